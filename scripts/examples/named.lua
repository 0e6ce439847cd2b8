#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Arguments by name: one table takes the place of a list of arguments.
local lfut = require "lfut"

local function greet(o)
  return (o.greeting or "Hello") .. ", " .. o.name .. (o.mark or ".")
end

local exe <close> = lfut.ThreadPoolExecutor()

-- One task. The table is copied now: what happens to it later, the task does
-- not see.
local who = { name = "Ada", mark = "!" }
local future = exe:submit(greet, who)
who.name = "nobody"
print(future:result())

-- Many: each item is such a table.
local people = {
  { name = "Grace" },
  { name = "Alan", greeting = "Good evening" },
  { name = "Edsger", mark = "?" },
}
for i, line in exe:map(greet, people) do
  print(i, line)
end
