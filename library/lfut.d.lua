---@meta lfut
-- SPDX-License-Identifier: MIT
--
-- What lua-language-server is to know of lfut: put the folder of this file into its
-- setting workspace.library. docs/api.md says what everything does. The tests compare
-- this file with the module.

---@class lfut
---@field _VERSION string such as "0.1.0"
---@field ALL_COMPLETED "ALL_COMPLETED"
---@field FIRST_COMPLETED "FIRST_COMPLETED"
---@field FIRST_EXCEPTION "FIRST_EXCEPTION"
local lfut = {}

---@alias lfut.items table|lfut.Array|lfut.Queue|lfut.Range|lfut.Zip|fun(): ... what a loop goes over
---@alias lfut.element "int8"|"int16"|"int32"|"int64"|"uint8"|"uint16"|"uint32"|"uint64"|"float"|"double"

-- --- Errors ---

---@alias lfut.kind
---| "TimeoutError"
---| "CancelledError"
---| "TransferError"
---| "DeadlockError"
---| "WorkerLost"
---| "TaskTimeout"
---| "MemoryLimit"
---| "Empty"
---| "Full"
---| "Closed"
---| "BrokenBarrier"
---| "NativeError"
---| "BrokenExecutor"
---| "BrokenThreadPool"
---| "BrokenProcessPool"
---| "ClusterError"

---Errors made by lfut.
---@class lfut.Error
---@field kind lfut.kind
---@field message string
---@field pid? integer of WorkerLost
---@field host? string of WorkerLost, on a cluster: the machine
---@field signal? string of WorkerLost: what it has died of
---@field exitcode? integer of WorkerLost
---@field func? string of WorkerLost and NativeError
---@field code? any of NativeError: what the function returned
---@field errno? integer of NativeError
lfut.Error = {}

---@param v any
---@param kind? lfut.kind
---@return boolean
function lfut.is_error(v, kind) end

-- --- Executors ---

---@class lfut.ExecutorOptions
---@field max_workers? integer
---@field name? string
---@field initializer? function|string
---@field initargs? table
---@field finalizer? function
---@field start_method? "fork"|"spawn" of processes
---@field max_tasks_per_child? integer of processes
---@field max_queue? integer submit waits while so many tasks are pending
---@field timeout? number of each task, in seconds
---@field retries? integer how often a task is run again
---@field memory_limit? integer bytes by which a task may grow its interpreter
---@field grace? number seconds that a task may take to stop
---@field url? string of a cluster: where its server is
---@field reconnect? number of a cluster: seconds that a lost server is waited for

---@class lfut.LoopOptions
---@field chunksize? integer|"auto"
---@field ordered? boolean
---@field timeout? number
---@field buffersize? integer
---@field protected? boolean
---@field seed? integer
---@field progress? boolean|string|fun(done: integer, total: integer?, label: string?)

---@class lfut.Executor
---@field max_workers integer
---@field name string
local Executor = {}

---@param options? integer|lfut.ExecutorOptions
---@return lfut.Executor
function lfut.ThreadPoolExecutor(options) end

---@param options? integer|lfut.ExecutorOptions
---@return lfut.Executor
function lfut.ProcessPoolExecutor(options) end

---@param options? integer|lfut.ExecutorOptions
---@return lfut.Executor
function lfut.InlineExecutor(options) end

---Threads, of which each has any number of tasks that wait.
---@param options? integer|lfut.ExecutorOptions
---@return lfut.Executor
function lfut.AsyncExecutor(options) end

---Workers on every machine that has joined the cluster.
---@param options? integer|lfut.ExecutorOptions
---@return lfut.Executor
function lfut.ClusterExecutor(options) end

---Calls fn(exe), then exe:shutdown().
---@generic R
---@param exe lfut.Executor
---@param fn fun(exe: lfut.Executor): R...
---@return R ...
function lfut.with(exe, fn) end

---A view whose tasks have these limits, and this priority.
---@param options { timeout?: number, queue_timeout?: number, retries?: integer, memory_limit?: integer, grace?: number, name?: string, priority?: integer }
---@return lfut.Executor
function Executor:options(options) end

---Queues the call fn(...).
---@param fn function
---@param ... any
---@return lfut.Future
function Executor:submit(fn, ...) end

---As submit, but does not wait: nil, "full" if max_queue tasks are pending.
---@param fn function
---@param ... any
---@return lfut.Future?
---@return "full"?
function Executor:try_submit(fn, ...) end

---Calls fn(...) once in every worker.
---@param fn function
---@param ... any
---@return lfut.Future[]
function Executor:broadcast(fn, ...) end

---@param fn function
---@param items lfut.items
---@param opts? lfut.LoopOptions
---@return lfut.Map
function Executor:map(fn, items, opts) end

---As map, where each item is a table of arguments.
---@param fn function
---@param items lfut.items
---@param opts? lfut.LoopOptions
---@return lfut.Map
function Executor:starmap(fn, items, opts) end

---@param fn function
---@param items lfut.items
---@param opts? lfut.LoopOptions
---@return integer items how many there were
function Executor:for_each(fn, items, opts) end

---@param fn function
---@param items lfut.items
---@param combine fun(a: any, b: any): any
---@param init? any
---@param opts? lfut.LoopOptions
---@return any
function Executor:reduce(fn, items, combine, init, opts) end

---@param wait? boolean|{ wait?: boolean, cancel_futures?: boolean }
---@param cancel_futures? boolean
function Executor:shutdown(wait, cancel_futures) end

---Of processes: ends all workers now, by SIGTERM.
function Executor:terminate_workers() end

---Of processes: ends all workers now, by SIGKILL.
function Executor:kill_workers() end

---@class lfut.Stats
---@field workers integer
---@field idle integer
---@field queued integer
---@field running integer
---@field finished integer
---@field failed integer
---@field cancelled integer

---@return lfut.Stats
function Executor:stats() end

---@class lfut.FunctionProfile
---@field calls integer
---@field failures integer
---@field run number seconds, the sum
---@field mean number seconds
---@field longest number seconds
---@field queued number seconds, the sum
---@field packed number seconds, the sum
---@field unpacked number seconds, the sum
---@field sent integer bytes
---@field received integer bytes

---@class lfut.Profile
---@field kind string
---@field name string
---@field workers integer
---@field seconds number
---@field busy number from 0 to 1
---@field calls integer
---@field run number seconds
---@field functions table<string, lfut.FunctionProfile>
---@field advice string[]

---What the functions that it has run have taken.
---@return lfut.Profile
function Executor:profile() end

-- --- Futures ---

---@class lfut.Future
local Future = {}

---@param timeout? number
---@return any ...
function Future:result(timeout) end

---@param timeout? number
---@return any error nil if there is none
---@return true? failed
function Future:exception(timeout) end

---@return string? traceback
function Future:traceback() end

---Cancels a pending task; with true, also stops a running one.
---@param running? boolean
---@return boolean cancelled
function Future:cancel(running) end

---@return boolean
function Future:done() end

---@return boolean
function Future:running() end

---@return boolean
function Future:cancelled() end

---@return "pending"|"running"|"finished"|"failed"|"cancelled"
function Future:state() end

---What the task has reported last.
---@return number? fraction
---@return string? text
function Future:progress() end

---@param fn fun(f: lfut.Future)
function Future:add_done_callback(fn) end

---A future of fn(results...), run by the same executor when this one has
---finished. Its error or cancellation passes on.
---@param fn function
---@return lfut.Future
function Future:and_then(fn) end

---A future of a list of first results (with n), or of the first error.
---@param futures lfut.Future[]|table<lfut.Future, any>
---@return lfut.Future
function lfut.all(futures) end

---A future of the first success: its number, then its results; or of the last
---error.
---@param futures lfut.Future[]|table<lfut.Future, any>
---@return lfut.Future
function lfut.any(futures) end

---@class lfut.Scope
local Scope = {}

---@param exe lfut.Executor
---@param fn function
---@param ... any
---@return lfut.Future
function Scope:submit(exe, fn, ...) end

---Calls fn(scope), and waits for all that it has submitted; the first error
---cancels the others and is raised.
---@generic R
---@param fn fun(scope: lfut.Scope): R...
---@return R ...
function lfut.scope(fn) end

---@param futures lfut.Future[]|table<lfut.Future, any>
---@param timeout? number|{ timeout?: number, return_when?: string }
---@param return_when? "ALL_COMPLETED"|"FIRST_COMPLETED"|"FIRST_EXCEPTION"
---@return lfut.Future[] done
---@return lfut.Future[] not_done
function lfut.wait(futures, timeout, return_when) end

---An iterator over futures as they are done.
---@class lfut.AsCompleted
---@overload fun(): lfut.Future?
local AsCompleted = {}

---@param futures lfut.Future[]|table<lfut.Future, any>
---@param timeout? number|{ timeout?: number, progress?: boolean|string|fun(done: integer, total: integer?, label: string?) }
---@return lfut.AsCompleted
function lfut.as_completed(futures, timeout) end

---@class lfut.Text

---@param path string|string[]
---@param options? { blocksize?: integer, delimiter?: string }
---@return lfut.Text
function lfut.text(path, options) end

---@class lfut.Command
---@field [integer] string|number
---@field stdin? string
---@field stdout? string
---@field stderr? string
---@field cwd? string
---@field env? table<string, string|number|false>
---@field timeout? number

---@class lfut.Ended
---@field code integer|nil
---@field signal string|nil
---@field stdout string|nil
---@field stderr string|nil

---@param command lfut.Command
---@return lfut.Ended
function lfut.run(command) end

---A command that runs beside the script.
---@class lfut.Popen
---@field pid integer
local Popen = {}

---@param command table
---@return lfut.Popen
function lfut.Popen(command) end

---@param ... string|number
---@return lfut.Popen? self
---@return string? why
function Popen:write(...) end

function Popen:close_stdin() end

---@param ... string|integer
---@return any ...
function Popen:read(...) end

---@param ... string|integer
---@return fun(): any ...
function Popen:lines(...) end

---@param timeout? number
---@return { code: integer?, signal: string? }
function Popen:wait(timeout) end

---@return { code: integer?, signal: string? }?
function Popen:poll() end

function Popen:terminate() end

function Popen:kill() end

---Which of the directions is ready; or nil, and "timeout" or "closed".
---@param fd integer|table|userdata
---@param direction "r"|"w"|"rw"
---@param timeout? number
---@return "r"|"w"|"rw"|nil ready
---@return string? why
function lfut.wait_fd(fd, direction, timeout) end

---Calls it while another worker takes this one's place.
---@param fn function
---@param ... any
---@return any ...
function lfut.blocking(fn, ...) end

---A descriptor that can be read when lfut.poll() has something to do.
---@return integer
function lfut.fileno() end

---@param fn fun(err: any, traceback: string|nil)|nil
function lfut.on_unasked(fn) end

---@param f lfut.Future
function AsCompleted:add(f) end

-- --- Parallel loops ---

---An iterator over positions and results.
---@class lfut.Map
---@overload fun(): integer?, ...
local Map = {}

---@return table results with their number as n
function Map:list() end

---@param running? boolean also what runs is stopped
function Map:close(running) end

---The numbers of a numeric for.
---@class lfut.Range
---@overload fun(): number?
---@operator len: integer
lfut.Range = {}

---@param first integer|number the last one, if it is alone
---@param last? number
---@param step? number
---@return lfut.Range
function lfut.range(first, last, step) end

---Several sources side by side.
---@class lfut.Zip
lfut.Zip = {}

---@param ... lfut.items
---@return lfut.Zip
function lfut.zip(...) end

-- --- Threads and processes ---

---@class lfut.StartOptions
---@field target function
---@field args? table
---@field name? string
---@field daemon? boolean

---@class lfut.Thread
---@field name string
---@field daemon boolean
local Thread = {}

---@param options lfut.StartOptions
---@return lfut.Thread
function lfut.Thread(options) end

---@return lfut.Thread
function Thread:start() end

---@param timeout? number
---@return boolean ended
function Thread:join(timeout) end

---@param timeout? number
---@return any ...
function Thread:result(timeout) end

---@return boolean
function Thread:is_alive() end

---@class lfut.Process
---@field name string
---@field daemon boolean
---@field pid? integer
---@field exitcode? integer
local Process = {}

---@param options lfut.StartOptions
---@return lfut.Process
function lfut.Process(options) end

---@return lfut.Process
function Process:start() end

---@param timeout? number
---@return boolean ended
function Process:join(timeout) end

---@return boolean
function Process:is_alive() end

---Sends SIGTERM.
function Process:terminate() end

---Sends SIGKILL.
function Process:kill() end

function Process:close() end

-- --- Pool and ThreadPool ---

---@class lfut.PoolOptions
---@field processes? integer
---@field initializer? function|string
---@field initargs? table
---@field finalizer? function
---@field maxtasksperchild? integer
---@field start_method? "fork"|"spawn"
---@field name? string

---@class lfut.AsyncOptions
---@field chunksize? integer of a map
---@field callback? function
---@field error_callback? fun(e: any)

---@class lfut.Pool
---@field processes integer
local Pool = {}

---@param options? integer|lfut.PoolOptions
---@return lfut.Pool
function lfut.Pool(options) end

---@param options? integer|lfut.PoolOptions
---@return lfut.Pool
function lfut.ThreadPool(options) end

---@param fn function
---@param args? table
---@return any ...
function Pool:apply(fn, args) end

---@param fn function
---@param args? table
---@param opts? lfut.AsyncOptions
---@return lfut.AsyncResult
function Pool:apply_async(fn, args, opts) end

---@param fn function
---@param items lfut.items
---@param chunksize? integer
---@return table results with their number as n
function Pool:map(fn, items, chunksize) end

---@param fn function
---@param items lfut.items
---@param chunksize? integer
---@return table results with their number as n
function Pool:starmap(fn, items, chunksize) end

---@param fn function
---@param items lfut.items
---@param opts? lfut.AsyncOptions
---@return lfut.AsyncResult
function Pool:map_async(fn, items, opts) end

---@param fn function
---@param items lfut.items
---@param opts? lfut.AsyncOptions
---@return lfut.AsyncResult
function Pool:starmap_async(fn, items, opts) end

---@param fn function
---@param items lfut.items
---@param chunksize? integer
---@return lfut.Map
function Pool:imap(fn, items, chunksize) end

---@param fn function
---@param items lfut.items
---@param chunksize? integer
---@return lfut.Map
function Pool:imap_unordered(fn, items, chunksize) end

function Pool:close() end

function Pool:terminate() end

function Pool:join() end

---@class lfut.AsyncResult
local AsyncResult = {}

---@param timeout? number
---@return any ...
function AsyncResult:get(timeout) end

---@param timeout? number
---@return boolean ready
function AsyncResult:wait(timeout) end

---@return boolean
function AsyncResult:ready() end

---@return boolean
function AsyncResult:successful() end

-- --- Arrays ---

---@class lfut.Array
---@field type lfut.element
---@field [integer] number
---@operator len: integer
local Array = {}

---@param type lfut.element
---@param n integer|number[]|string
---@return lfut.Array
function lfut.Array(type, n) end

---@return integer
function Array:bytes() end

---@param i? integer
---@param j? integer
---@return number ...
function Array:get(i, j) end

---@param i integer
---@param t number[]
---@return lfut.Array
function Array:set(i, t) end

---@param v number
---@return lfut.Array
function Array:fill(v) end

---@param b lfut.Array
---@return lfut.Array
function Array:copy(b) end

---@param i integer
---@param v integer
---@return integer before
function Array:add(i, v) end

---@param i? integer
---@param j? integer
---@return lfut.Array
function Array:slice(i, j) end

---@param n integer
---@return lfut.Array[]
function Array:chunks(n) end

---@return lfut.Array
function Array:readonly() end

---@param i? integer
---@param j? integer
---@return string
function Array:tostring(i, j) end

---@param file file*
---@param i? integer
---@param j? integer
---@return integer|nil elements
---@return string|nil message
function Array:read(file, i, j) end

---@param file file*
---@param i? integer
---@param j? integer
---@return integer|nil elements
---@return string|nil message
function Array:write(file, i, j) end

-- --- Toolbox ---

---@class lfut.Queue
---@field maxsize integer
---@field closed boolean
local Queue = {}

---@param maxsize? integer
---@return lfut.Queue
function lfut.Queue(maxsize) end

---@param v any
---@param timeout? number
function Queue:put(v, timeout) end

---@param timeout? number
---@return any
function Queue:get(timeout) end

---@param v any
function Queue:put_nowait(v) end

---@return any
function Queue:get_nowait() end

function Queue:close() end

---@return fun(): any
function Queue:iter() end

---@return integer
function Queue:qsize() end

---@return boolean
function Queue:empty() end

---@return boolean
function Queue:full() end

function Queue:task_done() end

---@param timeout? number
---@return boolean done
function Queue:join(timeout) end

---@class lfut.Lock
local Lock = {}

---@return lfut.Lock
function lfut.Lock() end

---@param timeout? number
---@return boolean acquired
---@return "abandoned"? state
function Lock:acquire(timeout) end

function Lock:release() end

---@param fn function
---@param ... any
---@return any ...
function Lock:with(fn, ...) end

---@param timeout? number
---@return userdata|nil guard to be closed
---@return "abandoned"|nil
function Lock:guard(timeout) end

---@return boolean
function Lock:locked() end

---@class lfut.RLock
local RLock = {}

---@return lfut.RLock
function lfut.RLock() end

---@param timeout? number
---@return boolean acquired
---@return "abandoned"? state
function RLock:acquire(timeout) end

function RLock:release() end

---@param fn function
---@param ... any
---@return any ...
function RLock:with(fn, ...) end

---@param timeout? number
---@return userdata|nil guard to be closed
---@return "abandoned"|nil
function RLock:guard(timeout) end

---@return boolean
function RLock:locked() end

---@class lfut.Semaphore
local Semaphore = {}

---@param n? integer
---@return lfut.Semaphore
function lfut.Semaphore(n) end

---@param timeout? number
---@return boolean acquired
function Semaphore:acquire(timeout) end

---@param n? integer
function Semaphore:release(n) end

---@param fn function
---@param ... any
---@return any ...
function Semaphore:with(fn, ...) end

---@param timeout? number
---@return userdata|nil guard to be closed
---@return "abandoned"|nil
function Semaphore:guard(timeout) end

---@return integer
function Semaphore:value() end

---@class lfut.BoundedSemaphore
local BoundedSemaphore = {}

---@param n? integer
---@return lfut.BoundedSemaphore
function lfut.BoundedSemaphore(n) end

---@param timeout? number
---@return boolean acquired
function BoundedSemaphore:acquire(timeout) end

---@param n? integer
function BoundedSemaphore:release(n) end

---@param fn function
---@param ... any
---@return any ...
function BoundedSemaphore:with(fn, ...) end

---@param timeout? number
---@return userdata|nil guard to be closed
---@return "abandoned"|nil
function BoundedSemaphore:guard(timeout) end

---@return integer
function BoundedSemaphore:value() end

---@class lfut.Event
local Event = {}

---@return lfut.Event
function lfut.Event() end

function Event:set() end

function Event:clear() end

---@return boolean
function Event:is_set() end

---@param timeout? number
---@return boolean
function Event:wait(timeout) end

---@class lfut.Condition
local Condition = {}

---@param lock? lfut.Lock|lfut.RLock
---@return lfut.Condition
function lfut.Condition(lock) end

---@param timeout? number
---@return boolean acquired
---@return "abandoned"? state
function Condition:acquire(timeout) end

function Condition:release() end

---@param fn function
---@param ... any
---@return any ...
function Condition:with(fn, ...) end

---@param timeout? number
---@return userdata|nil guard to be closed
---@return "abandoned"|nil
function Condition:guard(timeout) end

---@return boolean
function Condition:locked() end

---@param timeout? number
---@return boolean notified
function Condition:wait(timeout) end

---@generic T
---@param fn fun(): T
---@param timeout? number
---@return T
function Condition:wait_for(fn, timeout) end

---@param n? integer
function Condition:notify(n) end

function Condition:notify_all() end

---@class lfut.Barrier
---@field parties integer
---@field n_waiting integer
---@field broken boolean
local Barrier = {}

---@param n integer
---@param action? function
---@return lfut.Barrier
function lfut.Barrier(n, action) end

---@param timeout? number
---@return integer before how many had come
function Barrier:wait(timeout) end

function Barrier:abort() end

function Barrier:reset() end

---@class lfut.Value
local Value = {}

---@param type lfut.element
---@param n? number
---@return lfut.Value
function lfut.Value(type, n) end

---@return number
function Value:get() end

---@param n number
function Value:set(n) end

---@param n integer
---@return integer before
function Value:add(n) end

---@param old number
---@param new number
---@return boolean
function Value:cas(old, new) end

---@class lfut.Dict
---@operator len: integer
local Dict = {}

---@return lfut.Dict
function lfut.Dict() end

---@param k string|number|boolean
---@return any
function Dict:get(k) end

---@param k string|number|boolean
---@param v any
function Dict:set(k, v) end

---@param k string|number|boolean
---@param n? number
---@return number sum
function Dict:incr(k, n) end

---@param k string|number|boolean
---@return any old
function Dict:pop(k) end

---@param k string|number|boolean
---@param v any
---@return any present
function Dict:setdefault(k, v) end

---@param k string|number|boolean
---@param old nil|boolean|number|string
---@param new any
---@return boolean
function Dict:cas(k, old, new) end

---@return fun(): any, any
function Dict:pairs() end

---@return integer
function Dict:len() end

-- --- C functions ---

---@class lfut.LoadOptions
---@field threads? "serial"|"safe"|"affine"|"process"
---@field error? table<string, "nonzero"|"negative"|"zero"|"null">
---@field args? table<string, string>

---Functions and constants by their names.
---@class lfut.Library
---@field [string] lfut.Function|integer
local Library = {}

---@param library string
---@param declarations string
---@param options? lfut.LoadOptions
---@return lfut.Library
function lfut.load(library, declarations, options) end

---@param path string
---@return lfut.Library
function lfut.plugin(path) end

---@return table
function Library:info() end

---A function in C, to be called or to be a task.
---@class lfut.Function
---@overload fun(...): any
local Function = {}

---@param types string
---@return lfut.Function
function Function:types(types) end

---@class lfut.Out
local Out = {}

---@return lfut.Out
function lfut.Out() end

---@return any
function Out:get() end

-- --- Helpers ---

---@class lfut.Worker
---@field kind "thread"|"process"|"inline"
---@field id integer
---@field name string
---@field pid integer

---@return lfut.Worker? worker nil outside of tasks
function lfut.worker() end

---@return integer
function lfut.cpu_count() end

---Has the running task been asked to stop?
---@return boolean
function lfut.cancelled() end

---Writes what runs where and when into a file for ui.perfetto.dev; nil ends that.
---@param file string?
function lfut.trace(file) end

---In a task: what its future's progress() is.
---@param fraction number
---@param text? string
function lfut.report(fraction, text) end

---@return integer
function lfut.getpid() end

---@param s number
function lfut.sleep(s) end

---@return number
function lfut.perf_counter() end

---@return number
function lfut.time() end

---Runs the done-callbacks that are due.
function lfut.poll() end

return lfut
