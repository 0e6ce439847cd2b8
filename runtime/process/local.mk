runtime_sources += \
	%D%/array_refs.c %D%/array_refs.h \
	%D%/channel.c %D%/channel.h \
	%D%/child.c %D%/child.h \
	%D%/dispatch.c %D%/dispatch.h \
	%D%/launch.c %D%/launch.h \
	%D%/requests.c \
	%D%/ring.c %D%/ring.h \
	%D%/serve.c %D%/serve.h \
	%D%/supervisor.c
