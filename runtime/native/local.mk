runtime_sources += \
	%D%/bind.c \
	%D%/call.c %D%/call.h \
	%D%/dso.c %D%/dso.h \
	%D%/internal.h \
	%D%/lengths.c \
	%D%/library.c %D%/library.h \
	%D%/plugin.c %D%/plugin.h \
	%D%/search.c %D%/search.h
