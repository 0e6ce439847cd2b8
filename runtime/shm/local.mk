runtime_sources += \
	%D%/arena.c %D%/arena.h \
	%D%/array.c %D%/array.h \
	%D%/heap.c %D%/heap.h \
	%D%/orphans.c %D%/orphans.h \
	%D%/refs.c %D%/refs.h \
	%D%/robust.c %D%/robust.h \
	%D%/slab.c %D%/slab.h \
	%D%/stream.c %D%/stream.h \
	%D%/waiters.c %D%/waiters.h
