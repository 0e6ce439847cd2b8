-- SPDX-License-Identifier: MIT
--
-- What LuaJIT does not have, by the tests that are about it (patterns of their
-- names): they are skipped there (support.lua).
local integers = "integers of 64 bits"
local close = "what is closed when it is left"
local words = "the words of messages that are Lua's own"
local upvalues = "more than 60 upvalues"
local env = "_ENV"
local pipes = "pipes of io.popen that end with their task"
local generations = "generations of the collector"
local handlers = "handlers of xpcall that the end of a task passes by"
local set = "debug.setmetatable that returns its value"
local gc = "finalizers of tables"
local len = "__len of tables, __pairs, ipairs of userdata"

return {
  TestArray = {
    test_add_wraps_around = integers,
    test_begins_with_zeroes = integers,
    test_get_counts_as_string_sub_does = integers,
    test_large_unsigned_numbers_are_their_bits = integers,
    test_ipairs_ends_behind_the_last = len,
    test_methods_take_arrays_only = words,
  },
  TestStop = {
    test_handlers_are_not_disturbed = close,
    test_cancelled_as_it_reads_a_command = pipes,
    test_cancelled_as_it_reads_a_command_under_pcall = pipes,
    test_timed_out_as_it_reads_a_command = pipes,
  },
  TestEnding = {
    ["test_variables_are_closed_in_.*"] = close,
    test_in_close = close, test_in_finalizer = gc, test_in_xpcall_handler = handlers },
  TestClosing = { test_what_runs_is_cancelled = close },
  TestArguments = {
    test_floats = "string.pack",
    test_large_unsigned_integers_are_their_bits = integers,
  },
  TestLibraries = { test_constants = integers },
  TestResults = { test_unsigned_above_2_63 = integers },
  TestRandom = {
    test_many_things_at_once = generations,
    test_with_the_generational_collector = generations,
    test_the_comparison = integers,
  },
  TestPopen = { test_a_block = close, test_nothing_leaks = close },
  TestMessages = {
    test_c_functions_without_a_name = words,
    test_functions_of_c_in_loops = words,
    test_the_item_that_failed = words,
  },
  TestReport = { test_wrong_arguments = words },
  TestMemory = {
    test_everything_is_closed = close,
    test_handlers_have_some = close,
  },
  TestWorker = {
    test_coroutines_in_tasks = "coroutine.close",
    test_finalizers_run_when_the_worker_ends = gc,
    test_os_exit_is_not_caught = handlers,
    test_the_collector_in_a_task = generations,
    test_warnings = "warnings",
    test_debug_library = words,
  },
  TestValues = {
    test_integer_and_float_stay_what_they_are = integers,
  },
  TestFuture = {
    test_an_error_in_a_close = close,
    test_strings_keep_their_position = words,
    test_tracebacks = words,
    test_wrong_submits = words, 
    test_a_stack_overflow_is_an_error = "a limit of calls of C functions",
  },
  TestClasses = {
    test_callable_userdata = set,
    test_packed_userdata = set,
    test_what_fails_leaves_no_half_class = "modules that are loaded again after an error",
  },
  TestError = { test_uncaught_ones_of_lfut_in_functions = words },
  TestExecutor = { test_close = close, test_text_that_does_not_compile = words },
  TestEnds = { test_ctrl_c_goes_through = "Ctrl-C in loops that are compiled" },
  TestFinalizer = { test_once_in_each_worker = close },
  TestFinalizers = {
    test_a_full_queue = gc,
    test_dictionaries = gc,
    test_leaving_a_loop = gc,
    test_queues = gc,
  },
  TestFunctions = {
    test_255_upvalues = upvalues,
    test_as_many_upvalues_as_there_can_be = upvalues,
    test_a_function_is_new_for_each_task = env,
    test_an_environment_of_its_own = env,
    test_stripped_functions = env,
    test_debug_information = words,
  },
  TestInside = {
    test_a_coroutine_left_waiting_is_the_task_s_own = "coroutine.close",
    test_a_finalizer_that_waits = gc,
    test_the_script_s_own_waits = len,
    test_waits_in_metamethods = len,
  },
  TestMap = {
    test_a_huge_range_is_never_made = integers,
    test_ranges_of_floats = integers,
    test_seeds = integers,
    test_zips = integers,
    test_ranges_at_the_ends_of_the_integers = integers,
    test_close_cancels_what_has_not_started = close,
  },
}
