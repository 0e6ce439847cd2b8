-- SPDX-License-Identifier: MIT
-- records/s: a table of 10^5 small records to a worker and back.
local lfut = require "lfut"

local RECORDS = 100000

local function records()
  local list = {}
  for i = 1, RECORDS do
    list[i] = { id = i, name = "name " .. i, value = i + 0.5 }
  end
  return list
end

local function same(list)
  return list
end

local function run(exe, list, n)
  for _ = 1, n do
    local back = exe:submit(same, list):result()
    assert(#back == RECORDS and back[RECORDS].id == RECORDS)
  end
end

local n = math.tointeger(arg[1])
local list = records()
local exe <close> = lfut[arg[2]](2)
run(exe, list, 1)
local start = lfut.perf_counter()
run(exe, list, n)
print(n * RECORDS / (lfut.perf_counter() - start))
