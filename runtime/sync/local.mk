runtime_sources += \
	%D%/dict.c %D%/dict.h \
	%D%/queue.c %D%/queue.h \
	%D%/record.c %D%/record.h \
	%D%/sync.c %D%/sync.h
