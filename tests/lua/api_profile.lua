-- SPDX-License-Identifier: MIT
--
-- exe:profile(): what the functions that an executor has run have taken (API
-- §11).
local lu = require "luaunit"
local lfut = require "lfut"
local support = require "support"

TestProfile = {}

-- The entry of a function, whose first line is given.
local function entry(profile, line)
  for name, f in pairs(profile.functions) do
    if name:match ":(%d+)$" == tostring(line) then
      return f, name
    end
  end
end

local function line_of(fn)
  return debug.getinfo(fn, "S").linedefined
end

local function good(x)
  return x, "results"
end

local function bad()
  error "no"
end

function TestProfile.test_counts()
  local exe <close> = support.Executor(2)
  for i = 1, 10 do
    exe:submit(good, i):result()
  end
  for _ = 1, 3 do
    exe:submit(bad):exception()
  end
  local p = exe:profile()
  local f, name = entry(p, line_of(good))
  lu.assertStrContains(name, "api_profile.lua:")
  lu.assertEquals({ f.calls, f.failures }, { 10, 0 })
  lu.assertTrue(f.sent > 0 and f.received > 0)
  local g = entry(p, line_of(bad))
  lu.assertEquals({ g.calls, g.failures }, { 3, 3 })
  lu.assertIsTable(p.advice) -- which depends on the machine
end

function TestProfile.test_times()
  local exe <close> = support.Executor(1)
  local function spend(seconds)
    local lfut = require "lfut"
    local till = lfut.perf_counter() + seconds
    repeat
    until lfut.perf_counter() >= till
  end
  for _ = 1, 3 do
    exe:submit(spend, 0.02):result()
  end
  local p = exe:profile()
  local f = entry(p, line_of(spend))
  lu.assertTrue(f.run >= 0.06)
  lu.assertTrue(f.longest >= 0.02 and f.longest <= f.run)
  lu.assertAlmostEquals(f.mean, f.run / 3, 1e-9)
  for _, field in ipairs { "queued", "packed", "unpacked" } do
    lu.assertTrue(f[field] >= 0, field)
  end
  lu.assertTrue(p.busy > 0 and p.busy <= 1)
  lu.assertTrue(p.seconds >= 0.06)
end

function TestProfile.test_loops()
  local exe <close> = support.Executor(2)
  local items = {}
  for i = 1, 1000 do
    items[i] = i
  end
  for _ in exe:map(good, items) do
  end
  exe:for_each(function(x)
    return x
  end, items)
  lu.assertEquals(entry(exe:profile(), line_of(good)).calls, 1000)
  local it = exe:map(bad, { 1, 2 })
  lu.assertFalse((pcall(it)))
  lu.assertFalse((pcall(it)))
  it:close()
  local f = entry(exe:profile(), line_of(bad))
  lu.assertEquals({ f.calls, f.failures }, { 2, 2 })
end

function TestProfile.test_nested()
  local exe <close> = support.Executor(2)
  local function inner(x)
    return x
  end
  local function outer(n)
    local fs = {}
    for i = 1, n do
      fs[i] = exe:submit(inner, i)
    end
    for i = 1, n do
      fs[i]:result()
    end
    return n
  end
  local ok, first = pcall(exe.submit, exe, outer, 1)
  if not ok then
    lu.skip "the executor does not cross"
  end
  first:result() -- what it submits is refused after shutdown
  exe:submit(outer, 5):result()
  exe:shutdown()
  local p = exe:profile()
  lu.assertEquals(entry(p, line_of(outer)).calls, 2)
  if support.kind ~= "cluster" then
    lu.assertEquals(entry(p, line_of(inner)).calls, 6)
  end
end

-- Enough for advice.
function TestProfile.test_very_many_short_ones()
  local exe <close> = support.Executor(2)
  local futures = {}
  for i = 1, 1000 do
    futures[i] = exe:submit(good, i)
  end
  lfut.wait(futures)
  local p = exe:profile()
  lu.assertEquals(entry(p, line_of(good)).calls, 1000)
  for _, text in ipairs(p.advice) do
    lu.assertIsString(text)
  end
end

function TestProfile.test_each_run_counts()
  local exe <close> = support.Executor(1)
  local function late()
    while true do
      os.time() -- where sanitizers let signals in
    end
  end
  local f = exe:options({ timeout = 0.02, retries = 2 }):submit(late)
  lu.assertEquals(f:exception().kind, "TaskTimeout")
  local g = entry(exe:profile(), line_of(late))
  lu.assertEquals({ g.calls, g.failures }, { 3, 3 })
  if not support.is_process then
    return
  end
  local function dies()
    os.execute("kill -9 " .. require "lfut".getpid())
  end
  lu.assertEquals(exe:options({ retries = 1 }):submit(dies):exception().kind, "WorkerLost")
  g = entry(exe:profile(), line_of(dies))
  lu.assertEquals({ g.calls, g.failures }, { 2, 2 })
end

function TestProfile.test_nothing()
  local exe = support.Executor(2)
  local p = exe:profile()
  lu.assertEquals(p.functions, {})
  lu.assertEquals(p.busy, 0.0)
  exe:shutdown()
  lu.assertEquals(exe:profile().functions, {}) -- one that is shut down is asked, too
  lu.assertErrorMsgContains("Executor", exe.profile, 1)
end

function TestProfile.test_each_time_a_table_of_its_own()
  local exe <close> = support.Executor(1)
  exe:submit(good, 1):result()
  local p = exe:profile()
  p.functions = nil
  lu.assertEquals(entry(exe:profile(), line_of(good)).calls, 1)
  lu.assertEquals(entry(exe:options({ name = "view" }):profile(), line_of(good)).calls, 1)
end

local rc = support.run(TestProfile)
if rc ~= 0 then
  os.exit(rc)
end
