-- SPDX-License-Identifier: MIT
-- A gate that keeps a worker busy until it is opened: its task reads from a
-- fifo. No time passes by guess: `shut` returns when the worker is inside.
local gate = {}

local function hold(path)
  local file <close> = assert(io.open(path, "r"))
  return file:read("a") -- ends when the writing end is closed
end

-- Returns a function that lets the worker go.
function gate.shut(exe)
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo '" .. path .. "'"))
  local future = exe:submit(hold, path)
  -- Opening one end waits for the other.
  local writer = assert(io.open(path, "w"))
  os.remove(path)
  return function()
    writer:close()
    future:result()
  end
end

return gate
