-- SPDX-License-Identifier: MIT
--
-- How a worker runs one chunk of a parallel loop: in Lua, because a call from
-- Lua to Lua is cheaper than one from C. An item's arguments come from a range
-- of integers or from fetch(); its results go to emit(...), to combine, or
-- nowhere.
local drivers = {}

-- What takes too long is left for others to run: emit() says so, or full(),
-- after each piece of 8 items, which is unrolled to make that cheap.

function drivers.map_range(fn, first, last, step, emit)
  for i = first, last, step do
    if emit(fn(i)) then
      return
    end
  end
end

function drivers.map_items(fn, count, fetch, emit)
  for _ = 1, count do
    if emit(fn(fetch())) then
      return
    end
  end
end

function drivers.each_range(fn, i, count, step, full)
  for _ = 8, count, 8 do
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    fn(i)
    i = i + step
    if full() then
      return
    end
  end
  for _ = 1, count % 8 do
    fn(i)
    i = i + step
  end
end

function drivers.each_items(fn, count, fetch, full)
  for _ = 8, count, 8 do
    fn(fetch())
    fn(fetch())
    fn(fetch())
    fn(fetch())
    fn(fetch())
    fn(fetch())
    fn(fetch())
    fn(fetch())
    if full() then
      return
    end
  end
  for _ = 1, count % 8 do
    fn(fetch())
  end
end

function drivers.fold_range(fn, i, count, step, emit, combine, full)
  local acc = fn(i)
  i = i + step
  count = count - 1
  for _ = 8, count, 8 do
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    acc = combine(acc, fn(i))
    i = i + step
    if full() then
      return emit(acc)
    end
  end
  for _ = 1, count % 8 do
    acc = combine(acc, fn(i))
    i = i + step
  end
  emit(acc)
end

function drivers.fold_items(fn, count, fetch, emit, combine, full)
  local acc = fn(fetch())
  count = count - 1
  for _ = 8, count, 8 do
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    acc = combine(acc, fn(fetch()))
    if full() then
      return emit(acc)
    end
  end
  for _ = 1, count % 8 do
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

-- fn for which the globals are its environment in each item, and no debug hook is
-- set, whatever it has done in another.
function drivers.renewed(fn, renew)
  return function(...)
    renew()
    return fn(...)
  end
end

return drivers
