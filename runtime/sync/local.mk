runtime_sources += \
	%D%/progress_bar.c %D%/progress_bar.h \
	%D%/dict.c %D%/dict.h \
	%D%/queue.c %D%/queue.h \
	%D%/record.c %D%/record.h \
	%D%/sync.c %D%/sync.h \
	%D%/terminal.c %D%/terminal.h
