runtime_sources += \
	%D%/clock.c %D%/clock.h \
	%D%/command.c %D%/command.h \
	%D%/crash.c %D%/crash.h \
	%D%/fork.c %D%/fork.h \
	%D%/interrupted.c %D%/interrupted.h \
	%D%/poller.c %D%/poller.h \
	%D%/processors.c %D%/processors.h \
	%D%/spin.c %D%/spin.h \
	%D%/thread.c %D%/thread.h \
	%D%/timer.c %D%/timer.h
