c_test_names += \
	%D%/base/base \
	%D%/base/buf \
	%D%/base/code \
	%D%/base/table \
	%D%/cdecl/cdecl \
	%D%/os/thread \
	%D%/pool/end \
	%D%/pool/limit \
	%D%/pool/loop \
	%D%/pool/loop_stop \
	%D%/pool/order \
	%D%/pool/start \
	%D%/pool/strand \
	%D%/pool/stress \
	%D%/pool/wake \
	%D%/pool/workers \
	%D%/process/channel \
	%D%/process/ring \
	%D%/shm/arena \
	%D%/shm/array \
	%D%/sync/dict \
	%D%/sync/queue \
	%D%/sync/sync \
	%D%/task/deadlock \
	%D%/task/task \
	%D%/task/waitset
