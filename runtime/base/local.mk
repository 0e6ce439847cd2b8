runtime_sources += \
	%D%/atfork.c %D%/atfork.h \
	%D%/base.c %D%/base.h \
	%D%/buf.c %D%/buf.h \
	%D%/code.c %D%/code.h \
	%D%/deadline.c %D%/deadline.h \
	%D%/line.c %D%/line.h \
	%D%/mem.c %D%/mem.h \
	%D%/stack.h \
	%D%/suggest.c %D%/suggest.h \
	%D%/table.c %D%/table.h
