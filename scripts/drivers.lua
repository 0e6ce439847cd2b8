-- SPDX-License-Identifier: MIT
--
-- How a worker runs one chunk of a parallel loop: in Lua, because a call from
-- Lua to Lua is cheaper than one from C. An item's arguments come from a range
-- of integers or from fetch(); its results go to emit(...), to combine, or
-- nowhere.
local drivers = {}

function drivers.map_range(fn, first, last, step, emit)
  for i = first, last, step do
    emit(fn(i))
  end
end

function drivers.map_items(fn, count, fetch, emit)
  for _ = 1, count do
    emit(fn(fetch()))
  end
end

function drivers.each_range(fn, first, last, step)
  for i = first, last, step do
    fn(i)
  end
end

function drivers.each_items(fn, count, fetch)
  for _ = 1, count do
    fn(fetch())
  end
end

function drivers.fold_range(fn, first, last, step, emit, combine)
  local acc = fn(first)
  if first ~= last then
    for i = first + step, last, step do
      acc = combine(acc, fn(i))
    end
  end
  emit(acc)
end

function drivers.fold_items(fn, count, fetch, emit, combine)
  local acc = fn(fetch())
  for _ = 2, count do
    acc = combine(acc, fn(fetch()))
  end
  emit(acc)
end

-- fn with math.random seeded anew for each item, from its position.
function drivers.seeded(fn, seed, position, randomseed)
  return function(...)
    position = position + 1
    randomseed(seed, position)
    return fn(...)
  end
end

-- fn for which the globals are its environment in each item, whatever it has
-- assigned to _ENV in another.
function drivers.renewed(fn, renew)
  return function(...)
    renew()
    return fn(...)
  end
end

return drivers
