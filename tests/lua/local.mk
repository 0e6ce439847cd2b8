# tests/lua/api_*.lua are run once for each kind of executor.
lua_tests = \
	%D%/api_additions.lua \
	%D%/api_array.lua \
	%D%/api_callback.lua \
	%D%/api_chain.lua \
	%D%/api_classes.lua \
	%D%/api_control.lua \
	%D%/api_ending.lua \
	%D%/api_error.lua \
	%D%/api_executor.lua \
	%D%/api_finalizer.lua \
	%D%/api_finalizers.lua \
	%D%/api_functions.lua \
	%D%/api_future.lua \
	%D%/api_globals.lua \
	%D%/api_graphs.lua \
	%D%/api_inside.lua \
	%D%/api_limits.lua \
	%D%/api_loops.lua \
	%D%/api_map.lua \
	%D%/api_messages.lua \
	%D%/api_native.lua \
	%D%/api_native_threads.lua \
	%D%/api_nesting.lua \
	%D%/api_plugins.lua \
	%D%/api_priority.lua \
	%D%/api_queue_limits.lua \
	%D%/api_random.lua \
	%D%/api_refusal.lua \
	%D%/api_run.lua \
	%D%/api_scope.lua \
	%D%/api_shared_waits.lua \
	%D%/api_text.lua \
	%D%/api_toolbox.lua \
	%D%/api_unasked.lua \
	%D%/api_values.lua \
	%D%/api_wait.lua \
	%D%/api_worker.lua \
	%D%/chaos.lua \
	%D%/debug_hooks.lua \
	%D%/event_barrier.lua \
	%D%/helpers.lua \
	%D%/locks.lua \
	%D%/native_load.lua \
	%D%/pool.lua \
	%D%/process.lua \
	%D%/process_loss.lua \
	%D%/processes.lua \
	%D%/queues.lua \
	%D%/shared_damage.lua \
	%D%/threading.lua \
	%D%/value_dict.lua
lua_test_helpers = \
	%D%/concurrent.lua \
	%D%/gate.lua \
	%D%/libraries.lua \
	%D%/support.lua
