bindings_sources += \
	%D%/bytecode_54.c %D%/bytecode.h \
	%D%/compat.h \
	%D%/env.c %D%/env.h \
	%D%/newstate.c %D%/newstate.h
