runtime_sources += \
	%D%/chunk.c %D%/chunk.h \
	%D%/internal.h \
	%D%/loop.c %D%/loop.h \
	%D%/pool.c %D%/pool.h \
	%D%/registry.c \
	%D%/sched.c \
	%D%/worker.c
