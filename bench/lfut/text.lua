-- SPDX-License-Identifier: MIT
-- The words of a file of SIZE bytes are counted, which is made first, where it
-- is not there yet.
--   text.lua SIZE lfut        s: by lfut.text and reduce, 2 workers
--   text.lua SIZE lua LUA     s: by two processes of LUA, half of it each
--   text.lua SIZE memory      bytes by which the process has grown by that
local lfut = require "lfut"
local dir = arg[0]:gsub("[^/]*$", "")

local size, way, lua = math.tointeger(arg[1]), arg[2], arg[3]
local path = ("%s/lfut-bench-%d.txt"):format(os.getenv "TMPDIR" or "/tmp", size)

local LINE = "the quick brown fox jumps over the lazy dog, and does it again on every line\n"
local WORDS = 16

-- How many words are in the file, which has whole lines only.
local function make()
  local file = io.open(path)
  local lines = size // #LINE
  if not file or file:seek "end" ~= lines * #LINE then
    local out <close> = assert(io.open(path, "w"))
    local block = LINE:rep(1000)
    for _ = 1, lines // 1000 do
      assert(out:write(block))
    end
    assert(out:write(LINE:rep(lines % 1000)))
  end
  if file then
    file:close()
  end
  return lines * WORDS
end

local function count(text)
  local n = 0
  for _ in text:gmatch "%S+" do
    n = n + 1
  end
  return n
end

local function add(a, b)
  return a + b
end

local function by_lfut(exe)
  return exe:reduce(count, lfut.text(path), add)
end

local function by_lua()
  local all, n = {}, 0
  for half = 1, 2 do
    all[half] = assert(io.popen(("'%s' '%s../lua/words.lua' '%s' %d"):format(lua, dir, path, half)))
  end
  for half = 1, 2 do
    n = n + all[half]:read "n"
    all[half]:close()
  end
  return n
end

local words = make()
local exe <close> = lfut.ThreadPoolExecutor(2)
for _, f in ipairs(exe:broadcast(count, "")) do
  f:result()
end
if way == "memory" then
  local memory = dofile(dir .. "memory.lua")
  local before = memory.own()
  assert(by_lfut(exe) == words)
  print(memory.own() - before)
else
  local start = lfut.perf_counter()
  assert((way == "lfut" and by_lfut(exe) or by_lua()) == words)
  print(lfut.perf_counter() - start)
end
