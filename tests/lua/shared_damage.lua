-- SPDX-License-Identifier: MIT
--
-- A process writes nonsense into the memory that it shares with others: items
-- of queues and values of dictionaries may raise or be something else, but
-- whoever takes them goes on.
local lu = require "luaunit"
local support = require "support"

TestDamage = {}

-- In front of each marker in the shared pages that the process has touched, a
-- byte is changed: how far in front and to what depends on its number.
local head = [[
local lfut = require "lfut"
local values = { 0, 1, 2, 5, 9, 15, 16, 17, 18, 19, 20, 24, 26, 27, 31, 32, 63, 64, 127, 128, 200, 254, 255 }
local function mark(i) return ("<nons" .. "ense %d>"):format(i) end

local function spoil(mem, text, at)
  while true do
    local _, i
    at, _, i = text:find("<nons" .. "ense (%d+)>", at + 1)
    if not at then return end
    i = tonumber(i)
    coroutine.yield(at - 2 - (i - 1) // #values, string.char(values[(i - 1) % #values + 1]))
  end
end

local function vandalize()
  local mem, pages, n = io.open("/proc/self/mem", "r+b"), io.open("/proc/self/pagemap", "rb"), 0
  mem:setvbuf "no"
  for line in io.lines "/proc/self/maps" do
    local a, b = line:match "^(%x+)%-(%x+) rw%-s .*/memfd:"
    a, b = tonumber(a or "0", 16), tonumber(b or "0", 16)
    pages:seek("set", a // 4096 * 8)
    local entries, first = pages:read((b - a) // 4096 * 8) or "", nil
    for i = 0, #entries // 8 do
      local present = (entries:byte(i * 8 + 8) or 0) >= 128
      if present then
        first = first or i
      elseif first then
        local from = a + first * 4096
        mem:seek("set", from)
        local text = mem:read((i - first) * 4096)
        for offset, byte in coroutine.wrap(function() spoil(mem, text, 0) end) do
          mem:seek("set", from + offset)
          mem:write(byte)
          n = n + 1
        end
        first = nil
      end
    end
  end
  return n
end

local array, queue, condition = lfut.Array("int8", 3), lfut.Queue(), lfut.Condition()
local function item(i)
  local kind, text = i % 6, mark(i)
  if kind == 0 then return text end
  if kind == 1 then return { 1, 2.5, 3.5, { text, x = true }, text } end
  if kind == 2 then
    local up, list = i, { i }
    return { function() return up, list, text end, function() up = up + 1 end, text }
  end
  if kind == 3 then return { array, queue, condition, text } end
  if kind == 4 then
    local C = { __index = { f = function(self) return self.x end }, name = text }
    return { setmetatable({ x = text }, C), setmetatable({}, C), text }
  end
  local t = { print, string.format, io.stdout, text }
  t.t, t[t] = t, text
  return t
end
]]

-- What 'make' does with the items in the worker, and 'take' with them here.
local function survives(make, take)
  local out, err, status = support.program(head .. [[
    local q, d, n = lfut.Queue(), lfut.Dict(), 30 * #values
    local exe = lfut.ProcessPoolExecutor { max_workers = 1, start_method = "fork" }
    local found = exe:submit(function()
      for i = 1, n do ]] .. make .. [[ end
      return vandalize()
    end):result()
    assert(found >= n, found)
    local looked = 0
    local function look(v)
      if type(v) == "function" and v ~= print then pcall(v) end
      if type(v) ~= "table" then return end
      for k, w in next, v do
        looked = looked + 1
        if type(w) == "userdata" then pcall(tostring, w) end
        if w ~= v then look(w) end
      end
      local mt = getmetatable(v)
    end
    for i = 1, n do ]] .. take .. [[ end
    collectgarbage()
    print(exe:submit(math.abs, -1):result(), looked > 0)
    q:put "new"
    d:set("new", 1)
    print(q:qsize() > 0, d:get "new")
    os.exit(0)
  ]])
  lu.assertEquals({ err, status }, { "", 0 })
  lu.assertEquals(out, "1\ttrue\ntrue\t1\n")
end

function TestDamage.test_items_of_a_queue()
  support.needs_processes()
  survives("q:put(item(i))", [[
    local ok, v = pcall(q.get, q, 0)
    if ok then look(v) end
  ]])
end

function TestDamage.test_values_of_a_dictionary()
  support.needs_processes()
  survives("d:set(i, item(i))", [[
    local ok, v = pcall(d.get, d, i)
    if ok then look(v) end
    if i % 7 == 0 then pcall(d.set, d, i, nil) end
    if i % 5 == 0 then pcall(d.set, d, i, { "another" }) end
  ]])
end

function TestDamage.test_keys_of_a_dictionary()
  support.needs_processes()
  survives("d:set(mark(i), i % 2 == 0 and i or { mark(i) })", [[
    local ok, v = pcall(d.get, d, mark(i))
    if ok then look(v) end
    if i == n // 2 then
      pcall(function() for k, v in d:pairs() do look { v } end end)
    end
    pcall(d.incr, d, mark(i))
  ]])
end

local rc = support.run(TestDamage)
if rc ~= 0 then
  os.exit(rc)
end
