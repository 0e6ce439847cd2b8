runtime_sources += \
	%D%/tally.c %D%/tally.h \
	%D%/export.c %D%/export.h \
	%D%/trace.c %D%/trace.h \
	%D%/meter.c %D%/meter.h
