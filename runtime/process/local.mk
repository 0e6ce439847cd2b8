runtime_sources += \
	%D%/array_refs.c %D%/array_refs.h \
	%D%/channel.c %D%/channel.h \
	%D%/child.c %D%/child.h \
	%D%/dispatch.c \
	%D%/internal.h \
	%D%/launch.c %D%/launch.h \
	%D%/look.c \
	%D%/members.c \
	%D%/proc.c \
	%D%/processes.c %D%/processes.h \
	%D%/pump.c \
	%D%/requests.c \
	%D%/ring.c %D%/ring.h \
	%D%/serve.c %D%/serve.h \
	%D%/serve_receive.c %D%/serve_receive.h \
	%D%/serve_report.c %D%/serve_report.h \
	%D%/serve_send.c %D%/serve_send.h \
	%D%/supervisor.c \
	%D%/task_io.c %D%/task_io.h \
	%D%/waits.c %D%/waits.h
