runtime_sources += \
	%D%/tally.c %D%/tally.h \
	%D%/export.c %D%/export.h \
	%D%/events.h \
	%D%/names.c %D%/names.h \
	%D%/lines.c %D%/lines.h \
	%D%/spool.c %D%/spool.h \
	%D%/trace.c %D%/trace.h \
	%D%/meter.c %D%/meter.h
