bindings_sources += \
	%D%/combine.c %D%/combine.h \
	%D%/completed.c %D%/completed.h \
	%D%/control.c %D%/control.h \
	%D%/executor.c %D%/executor.h \
	%D%/future.c %D%/future.h \
	%D%/gather.c %D%/gather.h \
	%D%/inline.c %D%/inline.h \
	%D%/loop.c %D%/loop.h \
	%D%/map.c %D%/map.h \
	%D%/profile.c %D%/profile.h \
	%D%/progress.c %D%/progress.h \
	%D%/results.c %D%/results.h \
	%D%/source.c %D%/source.h \
	%D%/supply.c %D%/supply.h \
	%D%/text.c %D%/text.h \
	%D%/unasked.c %D%/unasked.h
