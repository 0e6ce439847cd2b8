-- SPDX-License-Identifier: MIT
--
-- The end of a task before its time, by os.exit: whatever its code is in the
-- middle of, nothing keeps the error, and everything is closed.
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"
support.stops()
local ways = require "ways"()

TestEnding = {}

local function ends(exe, fn)
  local f = exe:submit(fn)
  lu.assertStrContains(tostring(f:exception()), "os.exit(3) called in a task")
  lu.assertEquals(f:state(), "failed")
end

function ways.pcall(f) pcall(f) end
function ways.xpcall(f) xpcall(f, function(e) return e end) end
function ways.xpcall_handler(f) xpcall(error, f) end
function ways.wrap(f) coroutine.wrap(f)() end
function ways.resume(f)
  while true do
    coroutine.resume(coroutine.create(f))
  end
end
function ways.comparator_in_coroutine(f)
  coroutine.wrap(function() pcall(table.sort, { 3, 1, 2 }, function() pcall(f) end) end)()
  error "goes on"
end
function ways.coroutine_in_comparator(f)
  table.sort({ 3, 1, 2 }, function() pcall(coroutine.wrap(f)) end)
  error "goes on"
end
function ways.gsub(f) string.gsub("x", "x", function() pcall(f) end) end
function ways.metamethod(f) return setmetatable({}, { __index = function() pcall(f) end }).x.y end
function ways.iterator(f)
  for _ in function() pcall(f) end do
    error "goes on"
  end
  error "goes on"
end
function ways.close(f)
  local co = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() f() end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  while true do
    coroutine.close(co)
  end
end
function ways.finalizer(f)
  setmetatable({}, { __gc = function() f() end })
  while true do
    local _ = {}
  end
end

if os.getenv "LFUT_SANITIZER" == "thread" then
  ways.xpcall_handler = nil -- a handler of handlers: it loses count of the stack
end

for name, way in pairs(ways) do
  TestEnding["test_in_" .. name] = function()
    local exe <close> = support.Executor(1)
    local locks = {
      lock = lfut.Lock(),
      rlock = lfut.RLock(),
      semaphore = lfut.BoundedSemaphore(1),
      condition = lfut.Condition(),
    }
    if name == "xpcall_handler" then
      locks.semaphore = nil -- the handler is called again, while it has it
    end
    for kind, lock in pairs(locks) do
      ends(exe, function()
        lock:with(function() way(function() os.exit(3) end) end)
      end)
      ends(exe, function()
        way(function() lock:with(function() os.exit(3) end) end)
      end)
      lu.assertTrue((lock:acquire(0)), kind)
      lock:release()
    end
    support.works(exe)
  end

  TestEnding["test_variables_are_closed_in_" .. name] = function()
    local exe <close> = support.Executor(1)
    local order = lfut.Queue()
    ends(exe, function()
      local function closing(what)
        return setmetatable({}, { __close = function()
          local n = 0
          for i = 1, 1000 do -- handlers run to their end
            n = n + (pcall(error, i) and 0 or 1)
          end
          order:put(what .. n)
        end })
      end
      local _ <close> = closing "outer"
      way(function()
        local _ <close> = closing "inner"
        os.exit(3)
      end)
    end)
    local last
    repeat -- a message handler is called again for its own error
      lu.assertEquals(last or "inner1000", "inner1000")
      last = order:get(0)
    until last ~= "inner1000"
    lu.assertEquals(last, "outer1000")
    support.works(exe)
  end
end

function TestEnding.test_an_error_in_a_handler()
  local exe <close> = support.Executor(1)
  ends(exe, function()
    local _ <close> = setmetatable({}, { __close = function() error "in the handler" end })
    os.exit(3)
  end)
  support.works(exe)
end

function TestEnding.test_a_hook_is_not_left_for_the_next()
  local exe <close> = support.Executor(1)
  local function leave()
    debug.sethook(function() error("a hook that was left", 0) end, "", 1000)
  end
  local function compute()
    local s = 0
    for i = 1, 100000 do
      s = s + i
    end
    return s
  end
  exe:submit(leave):result()
  lu.assertEquals(exe:submit(compute):result(), 5000050000)
  lu.assertEquals(exe:map(function(i)
    if i == 1 then
      leave()
      return 0
    end
    return compute()
  end, { 1, 2 }, { chunksize = 1 }):list(), { 0, 5000050000, n = 2 })
end

function TestEnding.test_what_coroutines_refuse()
  local exe <close> = support.Executor(1)
  local function refusals()
    local outer, wrapped
    outer = coroutine.create(function()
      return coroutine.wrap(function() return coroutine.resume(outer) end)()
    end)
    local _, _, message = coroutine.resume(outer)
    wrapped = coroutine.wrap(function() return wrapped() end)
    local _, itself = pcall(wrapped)
    local _, dead = coroutine.resume(outer)
    return message, itself:gsub("^.-:%d+: ", ""):gsub("^.-:%d+: ", ""), dead, (pcall(coroutine.isyieldable, 3))
  end
  local expected = { "cannot resume non-suspended coroutine", "cannot resume non-suspended coroutine", "cannot resume dead coroutine", false }
  local function check(message, itself, ...)
    local rest = table.pack(...)
    lu.assertEquals({ message, itself, rest[rest.n - 1], rest[rest.n] }, expected)
  end
  check(refusals())
  check(exe:submit(refusals):result())
end

function TestEnding.test_yields_are_refused()
  local exe <close> = support.Executor(1)
  local f = exe:submit(function() coroutine.yield() end)
  lu.assertStrContains(f:exception(), "attempt to yield from outside a coroutine")
  support.works(exe)
end

os.exit(support.run(TestEnding))
