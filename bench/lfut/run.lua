-- SPDX-License-Identifier: MIT
-- s: lfut.run of `true`, from the call to its return; the mean of N.
local lfut = require "lfut"

local n = math.tointeger(arg[1])
local function run(count)
  for _ = 1, count do
    assert(lfut.run { "true" }.code == 0)
  end
end
run(n // 10 + 1)
local start = lfut.perf_counter()
run(n)
print((lfut.perf_counter() - start) / n)
