#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- The CRC-32 of each file (as in gzip and zip), a line per file in the order
-- given, whatever the number of workers. A file that cannot be read gets its
-- message on standard error, and the exit status is 1.
--
--   lfut checksums.lua FILE...
local lfut = require "lfut"

-- Runs once in each worker: tasks find the table in their global 'crc_table'.
local function make_table()
  crc_table = {}
  for i = 0, 255 do
    local c = i
    for _ = 1, 8 do
      c = c & 1 == 1 and c >> 1 ~ 0xEDB88320 or c >> 1
    end
    crc_table[i] = c
  end
end

-- Returns the checksum and the size, or nil and a message.
local function checksum(name)
  local file, message = io.open(name, "rb")
  if not file then
    return nil, message
  end
  local crc, size, byte, entry = 0xFFFFFFFF, 0, string.byte, crc_table
  local block
  repeat
    block, message = file:read(65536)
    for i = 1, block and #block or 0 do
      crc = crc >> 8 ~ entry[(crc ~ byte(block, i)) & 0xFF]
    end
    size = size + (block and #block or 0)
  until not block
  file:close()
  if message then
    return nil, name .. ": " .. message
  end
  return crc ~ 0xFFFFFFFF, size
end

local exe <close> = lfut.ThreadPoolExecutor{ initializer = make_table }

local failed = false
for i, crc, size in exe:map(checksum, arg) do
  if crc then
    print(("%08x %9d %s"):format(crc, size, arg[i]))
  else
    failed = true
    io.stderr:write("checksums: ", size, "\n")
  end
end

exe:shutdown()
os.exit(not failed)
