c_test_names += \
	%D%/base/base \
	%D%/base/buf \
	%D%/base/code \
	%D%/base/mem \
	%D%/base/stack \
	%D%/base/suggest \
	%D%/base/table \
	%D%/cdecl/cdecl \
	%D%/cdecl/expr \
	%D%/cdecl/keywords \
	%D%/cdecl/lex \
	%D%/cdecl/symbols \
	%D%/cdecl/type \
	%D%/native/dso \
	%D%/native/library \
	%D%/native/plugin \
	%D%/base/atfork \
	%D%/os/command \
	%D%/os/fork \
	%D%/os/thread \
	%D%/os/timer \
	%D%/pool/chunk \
	%D%/pool/end \
	%D%/pool/levels \
	%D%/pool/limit \
	%D%/pool/limits \
	%D%/pool/loop \
	%D%/pool/loop_stop \
	%D%/pool/room \
	%D%/pool/sched \
	%D%/pool/start \
	%D%/pool/stop \
	%D%/pool/stress \
	%D%/pool/wake \
	%D%/pool/workers \
	%D%/process/ask \
	%D%/process/channel \
	%D%/process/child \
	%D%/process/news \
	%D%/process/ring \
	%D%/process/task_io \
	%D%/shm/arena \
	%D%/shm/array \
	%D%/shm/heap \
	%D%/shm/refs \
	%D%/shm/robust \
	%D%/shm/slab \
	%D%/shm/stream \
	%D%/shm/waiters \
	%D%/sync/dict \
	%D%/sync/queue \
	%D%/sync/record \
	%D%/sync/sync \
	%D%/task/chain \
	%D%/task/deadlock \
	%D%/task/dependent \
	%D%/task/follow \
	%D%/task/report \
	%D%/task/strand \
	%D%/task/task \
	%D%/task/waitset

if HAVE_HIREDIS
c_test_names += \
	%D%/cluster/server \
	%D%/cluster/url
endif
