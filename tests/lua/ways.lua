-- SPDX-License-Identifier: MIT
--
-- How code comes to call f, in the middle of something that may keep its error
-- and call it again: for what ends tasks whatever they are at. In a new table, to
-- which tests add their own; functions of a module would be sent by their names.
local function ways()
  return {
    call = function(f) f() end,
    loop_of_pcall = function(f)
      while true do
        pcall(f)
      end
    end,
    wrap_in_pcall = function(f)
      while true do
        pcall(coroutine.wrap(f))
      end
    end,
    coroutine_in_coroutine = function(f)
      coroutine.wrap(function()
        pcall(coroutine.wrap(function() pcall(f) end))
        error "goes on"
      end)()
    end,
    comparator = function(f)
      while true do
        pcall(table.sort, { 3, 1, 2 }, function() f() end)
      end
    end,
    load = function(f)
      while true do
        load(function() f() end)
      end
    end,
  }
end

return ways
