runtime_sources += \
	%D%/deadlock.c %D%/deadlock.h \
	%D%/strand.c %D%/strand.h \
	%D%/task.c %D%/task.h \
	%D%/vm.h \
	%D%/waitset.c %D%/waitset.h
