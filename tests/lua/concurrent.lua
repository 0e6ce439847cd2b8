-- SPDX-License-Identifier: MIT
--
-- For what threads and processes share: each test is run among threads, among
-- processes, and among both at once.
local lu = require "luaunit"
local lfut = require "lfut"

local concurrent = {}

-- Starts fn(...) in a thread or a process. The object's join waits, and raises if
-- it has failed.
local start = {}

function start.thread(fn, ...)
  local t = lfut.Thread { target = fn, args = table.pack(...) }
  t:start()
  return { join = function() return t:result() end }
end

function start.process(fn, ...)
  local p = lfut.Process { target = fn, args = table.pack(...) }
  p:start()
  return {
    process = p,
    join = function()
      p:join()
      lu.assertEquals(p.exitcode, 0)
    end,
  }
end

-- Adds a test for each kind: fn(start, kind), with start(f, ...) as above.
function concurrent.add(class, name, fn)
  local n = 0
  local function mixed(...)
    n = n + 1
    return (n % 2 == 0 and start.thread or start.process)(...)
  end
  for kind, starter in pairs { thread = start.thread, process = start.process, mixed = mixed } do
    class["test_" .. name .. "_" .. kind] = function()
      -- A fork beside busy threads: TSan's allocator is locked for ever in it, and
      -- valgrind misses what only those threads know.
      local checked = os.getenv "LFUT_SANITIZER" == "thread" or (os.getenv "LFUT_WRAPPER" or "") ~= ""
      lu.skipIf(kind == "mixed" and checked, "forks beside busy threads")
      fn(starter, kind)
    end
  end
end

function concurrent.join(list)
  for _, p in ipairs(list) do
    p:join()
  end
end

-- A process that is killed in the middle of fn(...), when it has called 'ready'.
function concurrent.killed(fn, ...)
  local ready = lfut.Event()
  local p = lfut.Process { target = fn, args = table.pack(ready, ...) }
  p:start()
  ready:wait()
  p:kill()
  p:join()
  lu.assertEquals(p.exitcode, -9)
end

-- Waits until f() is true.
function concurrent.await(f)
  while not f() do
    lfut.sleep(0)
  end
end

return concurrent
