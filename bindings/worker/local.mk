bindings_sources += \
	%D%/chunk.c %D%/chunk.h \
	%D%/setup.c %D%/setup.h \
	%D%/vm.c %D%/vm.h
