-- SPDX-License-Identifier: MIT
-- The resident memory of the process in bytes, after a full collection.
-- smaps_rollup is exact; statm and status lag behind by pages per thread.
return function()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open("/proc/self/smaps_rollup"))
  return tonumber(file:read("a"):match("\nRss:%s+(%d+) kB")) * 1024
end
