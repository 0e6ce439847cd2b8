-- SPDX-License-Identifier: MIT
--
-- Makes tests that are written for Lua 5.4 into such as LuaJIT can run:
--
--   lfut tests/lua/translate.lua FOLDER tests/lua/*.lua
--
-- What is to be closed is closed at the end of the test, and not at all in a
-- task. What standard libraries do not have is added to them, and travels to
-- workers as what a script adds does. Lines stay where they are.
local function translated(text)
  local function replace(what, by)
    text = text:gsub(what, by)
  end
  replace("([%w_]+) <close> =", "%1 = closing ..")
  replace("([%w_]+) <close>,", "%1,")
  replace("([%w_]+) <const>", "%1")
  replace("([%w_]+) << ([%w_]+)", "%1 * 2 ^ %2")
  replace(" | 0%f[^%w]", "")
  replace("(%* [%w_]+) // ", "%1 / ") -- all of these are whole
  replace("(%* %b()) // ", "%1 / ")
  replace("(#?[%w_]+) // ([%w_]+)", "math.floor(%1 / %2)")
  replace("(%b()) // (#?[%w_]+)", "math.floor(%1 / %2)")
  return text
end

local additions = [[
function table.pack(...)
  return { n = select("#", ...), ... }
end
table.unpack = unpack
function math.tointeger(x)
  return type(x) == "number" and x % 1 == 0 and x or nil
end
math.maxinteger, math.mininteger = 2 ^ 53, -2 ^ 53
function math.type(x)
  if type(x) ~= "number" then
    return nil
  end
  return x % 1 == 0 and math.abs(x) <= 2 ^ 53 and "integer" or "float"
end
closing = setmetatable({}, { __concat = function(_, value)
  local open = debug.getregistry().tests_open
  if io.type(value) == "file" then
    value:setvbuf "no"
  end
  if open then
    open[#open + 1] = value
  end
  return value
end })
function rawlen(value)
  return #value
end
local set = debug.setmetatable
function debug.setmetatable(value, meta)
  set(value, meta)
  return value
end
local collect = collectgarbage
function collectgarbage(what, ...)
  if what == "incremental" then
    collect("setstepmul", (select(2, ...)))
    return collect("setpause", (...))
  elseif what == "generational" then
    return collect("setpause", 200)
  end
  return collect(what, ...)
end
]]

local folder = arg[1]

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

for i = 2, #arg do
  local file = assert(io.open(arg[i]))
  local text = file:read("*a")
  file:close()
  -- Programs in strings get the same by support.program.
  write(arg[i]:match "[^/]*$", "require 'additions' " .. translated(text))
end
write("additions.lua", additions)
