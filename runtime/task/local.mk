runtime_sources += \
	%D%/chain.c %D%/chain.h \
	%D%/deadlock.c %D%/deadlock.h \
	%D%/dependent.c %D%/dependent.h \
	%D%/follow.c %D%/follow.h \
	%D%/report.c %D%/report.h \
	%D%/strand.c %D%/strand.h \
	%D%/task.c %D%/task.h \
	%D%/vm.h \
	%D%/waitset.c %D%/waitset.h
