bindings_sources += \
	%D%/array.c %D%/array.h \
	%D%/barrier.c %D%/barrier.h \
	%D%/dict.c %D%/dict.h \
	%D%/element.c %D%/element.h \
	%D%/event.c %D%/event.h \
	%D%/lock.c %D%/lock.h \
	%D%/queue.c %D%/queue.h \
	%D%/shared.c %D%/shared.h \
	%D%/value.c %D%/value.h
