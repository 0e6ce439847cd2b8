bindings_sources += \
	%D%/bytecode.c %D%/bytecode.h \
	%D%/compat.h \
	%D%/newstate.c %D%/newstate.h
