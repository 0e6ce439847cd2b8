bindings_sources += \
	%D%/bytecode.c %D%/bytecode.h \
	%D%/compat.h
