-- SPDX-License-Identifier: MIT
-- words.lua FILE HALF: how many words are in the first or second half of a file
-- of lines, read as one would in plain Lua.
local path, half = arg[1], tonumber(arg[2])
local BLOCK = 1 << 20

local file = assert(io.open(path, "rb"))
local size = file:seek "end"
local middle = size // 2

-- Lines that begin before 'last' are this half's.
local at, last = 0, size
if half == 1 then
  last = middle
else
  at = middle - 1
end
file:seek("set", at)
if half == 2 then
  at = at + #file:read "L"
end

local n = 0
while at < last do
  local text, rest = file:read(math.min(BLOCK, last - at), "L")
  if rest and text:sub(-1) ~= "\n" then
    text = text .. rest
  elseif rest then
    file:seek("cur", -#rest)
  end
  at = at + #text
  for _ in text:gmatch "%S+" do
    n = n + 1
  end
end
print(n)
