#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Finds the word of a given length whose hash is known, by trying all of them: a
-- task for each first letter. As soon as one has found it, the others are
-- cancelled: those that have not begun never do, those that run are stopped in
-- the middle of their loop.
--
--   lfut search.lua HASH LENGTH
--   lfut search.lua [WORD]                 (default "lynx"): of this word
local lfut = require "lfut"

-- FNV-1a, 64 bits.
local function hash(word)
  local h = 0xcbf29ce484222325
  for i = 1, #word do
    h = (h ~ word:byte(i)) * 0x100000001b3
  end
  return h
end

-- The word with that hash that begins with 'start' and has so many letters more, or
-- nil. It looks at nothing but its arguments: it can be stopped anywhere.
local function try(start, length, wanted)
  if length == 0 then
    return hash(start) == wanted and start or nil
  end
  for letter = 97, 122 do
    local word = try(start .. string.char(letter), length - 1, wanted)
    if word then
      return word
    end
  end
end

local wanted, length
if #arg == 2 then
  wanted, length = math.tointeger(tonumber(arg[1], 16)), math.tointeger(arg[2])
else
  local word = arg[1] or "lynx"
  wanted, length = hash(word), #word
  print(("%016x is the hash of a word of %d letters"):format(wanted, length))
end
assert(wanted and length and length > 0, "a hash in hexadecimal and a length are expected")

local exe <close> = lfut.ThreadPoolExecutor()

local futures = {}
for letter = 97, 122 do
  table.insert(futures, exe:submit(try, string.char(letter), length - 1, wanted))
end
for f in lfut.as_completed(futures) do
  local word = f:result()
  if word then
    for _, other in ipairs(futures) do
      other:cancel(true) -- does nothing to those that are done
    end
    print("it is " .. word)
    return
  end
end
print("there is none")
os.exit(false)
