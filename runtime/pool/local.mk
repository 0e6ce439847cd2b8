runtime_sources += \
	%D%/chunk.c %D%/chunk.h \
	%D%/backend.h \
	%D%/caller.c %D%/caller.h \
	%D%/current.c %D%/current.h \
	%D%/gate.c %D%/gate.h \
	%D%/internal.h \
	%D%/interrupt.c %D%/interrupt.h \
	%D%/levels.c \
	%D%/limits.c %D%/limits.h \
	%D%/loop.c %D%/loop.h \
	%D%/pool.c %D%/pool.h \
	%D%/profile.c %D%/profile.h \
	%D%/registry.c %D%/registry.h \
	%D%/ready.c %D%/ready.h \
	%D%/room.c %D%/room.h \
	%D%/sample.c %D%/sample.h \
	%D%/sched.c \
	%D%/sight.c %D%/sight.h \
	%D%/stop.c %D%/stop.h \
	%D%/survey.c %D%/survey.h \
	%D%/threads.c %D%/threads.h \
	%D%/usr1.c %D%/usr1.h \
	%D%/usr1_text.c %D%/usr1_text.h \
	%D%/wake.c \
	%D%/worker.c %D%/worker.h
