bindings_sources += \
	%D%/call.c %D%/call.h \
	%D%/chunk.c %D%/chunk.h \
	%D%/convert.c %D%/convert.h \
	%D%/native.c %D%/native.h
