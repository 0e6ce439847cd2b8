bindings_sources += \
	%D%/cluster.c %D%/cluster.h \
	%D%/command.c %D%/command.h \
	%D%/module.c %D%/module.h
