-- SPDX-License-Identifier: MIT
-- The memory of processes in bytes. smaps_rollup is exact; statm and status
-- lag behind by pages per thread.
local memory = {}

local function sum(pid, ...)
  local file <close> = assert(io.open("/proc/" .. pid .. "/smaps_rollup"))
  local text, kilobytes = file:read("a"), 0
  for _, field in ipairs { ... } do
    kilobytes = kilobytes + text:match("\n" .. field .. ":%s+(%d+) kB")
  end
  return kilobytes * 1024
end

-- What this process has in memory, after a full collection.
function memory.own()
  collectgarbage()
  collectgarbage()
  return sum("self", "Rss")
end

-- What the process pid shares with no other.
function memory.private(pid)
  return sum(pid, "Private_Clean", "Private_Dirty")
end

return memory
