bindings_sources += \
	%D%/argument.c %D%/argument.h \
	%D%/box.c %D%/box.h \
	%D%/class.c %D%/class.h \
	%D%/error.c %D%/error.h \
	%D%/options.c %D%/options.h \
	%D%/report.c %D%/report.h \
	%D%/state.c %D%/state.h
