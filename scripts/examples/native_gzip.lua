#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Compresses a file on all cores, with zlib. A file for gunzip may have several
-- members, one behind the other: here each block of the file becomes one.
--
--   lfut native_gzip.lua FILE [OUT]     (default: FILE.gz)
local lfut = require "lfut"

local block_size = 1 << 18

local ok, z = pcall(lfut.load, "z", [[
  unsigned long compressBound(unsigned long n);
  int compress2(uint8_t *dest, unsigned long *destLen,
                const uint8_t *src, unsigned long n, int level);
  unsigned long crc32(unsigned long crc, const uint8_t *buf, unsigned int n);
]], {
  threads = "safe", -- calls may overlap
  error = { compress2 = "nonzero" }, -- such a return fails the task
  args = { compress2 = "dest:out[*destLen] src:in[n]", crc32 = "buf:in[n]" },
})
if not ok then
  print("skipped: " .. z)
  return
end

local name = assert(arg[1], "usage: lfut native_gzip.lua FILE [OUT]")
local input <close> = assert(io.open(name, "rb"))
local out <close> = assert(io.open(arg[2] or name .. ".gz", "wb"))
local exe <close> = lfut.ThreadPoolExecutor()

-- What a member is made of: compress2 writes into arrays of ours, which the
-- worker shares. An empty file has a member, too.
local members, size = {}, 0
local function next_call()
  local block = input:read(block_size) or #members == 0 and ""
  if not block then
    return nil
  end
  local bound = z.compressBound(#block)
  local m = { dest = lfut.Array("uint8", bound), length = lfut.Array("uint64", { bound }), size = #block }
  m.crc = exe:submit(z.crc32, 0, block, #block)
  members[#members + 1] = m
  size = size + #block
  return { m.dest, m.length, block, #block, 9 }
end

-- starmap takes the blocks as results are consumed, not the whole file at once.
-- compress2 makes zlib's format: 2 bytes, the compressed data, 4 bytes. That of
-- gzip has other things around the data.
local packed = 0
for i in exe:starmap(z.compress2, next_call) do
  local m = members[i]
  local head = "\x1f\x8b\8\0\0\0\0\0\2\xff"
  local text = head .. m.dest:tostring(3, m.length[1] - 4) .. string.pack("<I4I4", m.crc:result(), m.size)
  assert(out:write(text))
  packed = packed + #text
  members[i] = true -- its arrays are not needed any more
end
print(("%d bytes in %d members: %d"):format(size, #members, packed))
