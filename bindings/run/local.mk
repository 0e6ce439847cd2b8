bindings_sources += \
	%D%/callback.c %D%/callback.h \
	%D%/command.c %D%/command.h \
	%D%/coro.c %D%/coro.h \
	%D%/blocking.c %D%/blocking.h \
	%D%/descriptor.c %D%/descriptor.h \
	%D%/debugging.c %D%/debugging.h \
	%D%/exit.c %D%/exit.h \
	%D%/failure.c %D%/failure.h \
	%D%/forked.c %D%/forked.h \
	%D%/interrupt.c %D%/interrupt.h \
	%D%/items.h \
	%D%/memory.c %D%/memory.h \
	%D%/on_top.c %D%/on_top.h \
	%D%/output.c %D%/output.h \
	%D%/poll.c %D%/poll.h \
	%D%/position.c %D%/position.h \
	%D%/protect.c %D%/protect.h \
	%D%/run.c %D%/run.h \
	%D%/spawned.c %D%/spawned.h \
	%D%/standard.c %D%/standard.h \
	%D%/subprocess.c %D%/subprocess.h \
	%D%/wait.c %D%/wait.h \
	%D%/wait_shared.c %D%/wait_shared.h \
	%D%/watch.c %D%/watch.h
