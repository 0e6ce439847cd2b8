bindings_sources += \
	%D%/array.c %D%/array.h \
	%D%/barrier.c \
	%D%/dict.c \
	%D%/element.c %D%/element.h \
	%D%/event.c \
	%D%/lock.c \
	%D%/queue.c %D%/queue.h \
	%D%/shared.c %D%/shared.h \
	%D%/value.c
