-- SPDX-License-Identifier: MIT
--
-- Gates: what tests block workers on, so that no test sleeps. A gate is a table
-- of two fifos' names; it can be sent to a worker, where these functions come
-- by their name. Whoever holds at a gate tells that it has arrived there.
local gate = {}

local handles = setmetatable({}, { __mode = "k" })
local opened = {}
local directory

local function run(command)
  assert(os.execute(command), command)
end

local function get_directory()
  if not directory then
    local pipe <close> = assert(io.popen("mktemp -d"))
    directory = assert(pipe:read("l"))
  end
  return directory
end

-- A name for a new file.
local count = 0
function gate.filename()
  count = count + 1
  return ("%s/%d"):format(get_directory(), count)
end

-- A shut gate. Its __close opens it, so that a failing test leaves nobody there.
function gate.new()
  local g = { way = gate.filename(), bell = gate.filename() }
  run("mkfifo " .. g.way .. " " .. g.bell)
  -- Opened for both, a fifo lets writers in at once and has no end.
  handles[g] = { bell = assert(io.open(g.bell, "r+")) }
  return setmetatable(g, { __close = function(g) gate.open(g) end })
end

-- In a task: tells that it has arrived, without waiting.
function gate.ring(g)
  local bell = assert(io.open(g.bell, "a"))
  bell:write("here\n")
  bell:close()
end

-- In a task: waits until the gate is open; then returns its other arguments.
function gate.hold(g, ...)
  gate.ring(g)
  assert(io.open(g.way, "r")):close()
  return ...
end

-- Waits until that many have arrived (since the last call).
function gate.arrived(g, n)
  for _ = 1, n or 1 do
    assert(handles[g].bell:read("l"))
  end
end

-- Opens the gate for good, from anywhere.
function gate.open(g)
  local h = handles[g] or {}
  handles[g] = h
  h.way = h.way or assert(io.open(g.way, "r+"))
  opened[g.way] = h.way -- stays open when a task's copy of g is garbage
end

function gate.remove_files()
  if directory then
    run("rm -rf " .. directory)
    directory = nil
  end
end

return gate
