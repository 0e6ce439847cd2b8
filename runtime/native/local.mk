runtime_sources += \
	%D%/dso.c %D%/dso.h \
	%D%/library.c %D%/library.h \
	%D%/plugin.c %D%/plugin.h
