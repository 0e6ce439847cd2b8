-- SPDX-License-Identifier: MIT
--
-- What exe:profile() and lfut --stats say: from the counts of an executor to
-- what they mean. Its globals are the standard ones.
local own = ...
local concat, insert, sort = table.concat, table.insert, table.sort
local format, gsub, rep = string.format, string.gsub, string.rep

-- Seconds: what it takes to hand one task to a worker and its result back,
-- about, by the kind of workers (of async ones tasks mostly wait, which is no run).
local DISPATCH = { inline = 2e-6, thread = 5e-6, process = 10e-6, cluster = 50e-6 }

local FEW, MANY = 20, 1000 -- calls
local NOTICED = 0.02       -- seconds that are worth a word

-- Numbers with their unit, short

local function seconds(s)
  if s >= 100 then
    return format("%.0f s", s)
  elseif s >= 0.9995 then
    return format("%.2f s", s)
  elseif s >= 0.9995e-3 then
    return format("%.3g ms", s * 1e3)
  end
  return format("%.3g us", s * 1e6)
end

local function bytes(n)
  if n >= 999.5e6 then
    return format("%.3g GB", n / 1e9)
  elseif n >= 999.5e3 then
    return format("%.3g MB", n / 1e6)
  elseif n >= 1e4 then
    return format("%.3g kB", n / 1e3)
  end
  return format("%d B", n)
end

local function percent(share)
  return format("%.0f %%", 100 * share)
end

local function sorted_names(functions)
  local names = {}
  for name in pairs(functions) do
    insert(names, name)
  end
  sort(names, function(a, b)
    local x, y = functions[a], functions[b]
    if x.run ~= y.run then
      return x.run > y.run
    end
    return a < b
  end)
  return names
end

-- Advice. Each looks at one function of the profile and returns a sentence, or
-- nothing.

local function too_short(p, name, f)
  local dispatch = DISPATCH[p.kind]
  if not dispatch or f.tasks < MANY or f.mean >= dispatch then
    return
  end
  return format("%s takes %s a call, less than it takes to hand a task to a worker (about %s): "
    .. "use map, which hands over many at a time, or let each task do more", name, seconds(f.mean),
    seconds(dispatch))
end

local function one_long(p, name, f)
  local others = f.calls > 1 and (f.run - f.longest) / (f.calls - 1) or 0
  if p.workers < 2 or p.calls < p.workers or p.busy > 0.75 or f.longest < NOTICED
      or f.longest < 0.5 * p.seconds or f.longest < 2 * others then
    return
  end
  return format("one call of %s took %s of %s in all, and other workers had nothing left to do: "
    .. "submit the long ones first, or divide them", name, seconds(f.longest), seconds(p.seconds))
end

local function copies_much(_, name, f)
  local copied = f.packed + f.unpacked
  if copied < NOTICED or copied < f.run then
    return
  end
  return format("copying the arguments and results of %s takes %s (%s sent, %s received), "
    .. "computing takes %s: send less (an lfut.Array, a range, the name of a file), "
    .. "or do more with it", name, seconds(copied), bytes(f.sent), bytes(f.received), seconds(f.run))
end

-- Workers start on demand: there may be none but the one that the script waits for. More
-- than there are processors would not help, but for what waits.
local function waits_for_script(p, name, f)
  local queued = f.tasks > 0 and f.queued / f.tasks or 0
  local useful = math.min(p.max_workers, math.max(2, p.processors))
  if p.kind == "inline" or p.kind == "async" or f.tasks < FEW or p.seconds < NOTICED
      or p.occupied > 0.55 * useful or queued > 0.001 + 0.5 * f.mean or f.run < 0.5 * p.run then
    return
  end
  return format("on average %.1f of %d workers had something to do, and calls of %s did not have "
    .. "to wait: the script does not submit fast enough (it may wait for results too early, or "
    .. "compute the arguments itself)", p.occupied, p.max_workers, name)
end

local rules = { too_short, one_long, copies_much, waits_for_script }

local function advise(p)
  local advice = {}
  for _, name in ipairs(sorted_names(p.functions)) do
    for _, rule in ipairs(rules) do
      local sentence = rule(p, name, p.functions[name])
      if sentence then
        insert(advice, sentence)
        break
      end
    end
  end
  return advice
end

-- Of all calls, if so many of them have taken that.
local function scaled(seconds, calls, some)
  return some > 0 and seconds * calls / some or 0.0
end

-- Arguments and results are copied on both sides.
local function add_up_copying(f)
  f.packed = scaled(f.packed, f.tasks, f.packs) + scaled(f.fine_packed, f.tasks, f.fine)
  -- Nobody may ask for results: those of the tasks whose packing was timed are, if so.
  f.unpacked = scaled(f.unpacked, f.tasks, f.packs) + scaled(f.fine_unpacked, f.tasks, f.fine)
  f.fine_packed, f.fine_unpacked, f.fine, f.packs = nil, nil, nil, nil
end

-- From the counts: what follows from them.
local function complete(p)
  local run, busy, waited, calls = 0, 0, 0, 0
  for _, f in pairs(p.functions) do
    f.mean = f.calls > 0 and f.run / f.calls or 0.0
    add_up_copying(f)
    run, busy, waited, calls = run + f.run, busy + f.busy, waited + f.waited, calls + f.calls
    f.busy, f.waited = nil, nil
  end
  p.run, p.calls = run, calls
  p.busy = p.room > 0 and (busy < p.room and busy / p.room or 1.0) or 0.0
  p.max_workers = math.max(p.workers, math.min(p.max_workers, 100000)) -- a cluster's may be without bound
  p.occupied = p.room > 0 and (busy + waited) / p.room * p.workers or 0.0
  p.advice = advise(p)
  p.occupied, p.processors, p.room = nil, nil, nil
  for _, f in pairs(p.functions) do
    f.tasks = nil
  end
  return p
end

-- exe:profile()
local function profile(exe)
  return complete(own.counts(exe))
end

-- Text

local columns = {
  { "calls", function(f) return format("%d", f.calls) end },
  { "failures", function(f) return format("%d", f.failures) end },
  { "run", function(f) return seconds(f.run) end },
  { "mean", function(f) return seconds(f.mean) end },
  { "longest", function(f) return seconds(f.longest) end },
  { "queued", function(f) return seconds(f.queued) end },
  { "packed", function(f) return seconds(f.packed) end },
  { "unpacked", function(f) return seconds(f.unpacked) end },
  { "sent", function(f) return bytes(f.sent) end },
  { "received", function(f) return bytes(f.received) end },
}

local function put_table(lines, p)
  local names, width = sorted_names(p.functions), #"function"
  for _, name in ipairs(names) do
    width = #name > width and #name or width
  end
  local line = { format("  %-" .. width .. "s", "function") }
  for _, column in ipairs(columns) do
    insert(line, format("%9s", column[1]))
  end
  insert(lines, concat(line, " "))
  for _, name in ipairs(names) do
    line = { "  " .. name .. rep(" ", width - #name) }
    for _, column in ipairs(columns) do
      insert(line, format("%9s", column[2](p.functions[name])))
    end
    insert(lines, concat(line, " "))
  end
end

local function text(profiles)
  local lines = {}
  for _, p in ipairs(profiles) do
    local workers = p.workers < p.max_workers and format("%d of %d", p.workers, p.max_workers)
      or format("%d", p.workers)
    insert(lines, format("lfut: executor %s%s: %s %s worker%s, busy for %s of %s", p.name,
      p.nested and " (made in tasks)" or "", workers, p.kind, p.max_workers == 1 and "" or "s", percent(p.busy), seconds(p.seconds)))
    put_table(lines, p)
    for _, sentence in ipairs(p.advice) do
      insert(lines, "  * " .. sentence)
    end
  end
  if #lines == 0 then
    insert(lines, "lfut: no task was run")
  end
  return concat(lines, "\n") .. "\n"
end

-- JSON

local encode

local function encode_string(s)
  local odd = utf8.len(s) and '[%c"\\\127]' or '[%c"\\\127-\255]'
  return '"' .. gsub(s, odd, function(c)
    return format("\\u%04x", c:byte())
  end) .. '"'
end

local function encode_table(t)
  local parts = {}
  for key, value in pairs(t) do
    insert(parts, encode_string(key) .. ":" .. encode(value))
  end
  sort(parts)
  return "{" .. concat(parts, ",") .. "}"
end

function encode(value)
  local kind = math.type(value)
  if kind == "integer" then
    return format("%d", value)
  elseif kind == "float" then
    return (gsub(format("%.9g", value), ",", "."))
  elseif type(value) == "string" then
    return encode_string(value)
  end
  return encode_table(value)
end

local function json(profiles)
  local parts = {}
  for i, p in ipairs(profiles) do
    local advice = {}
    for j, sentence in ipairs(p.advice) do
      advice[j] = encode_string(sentence)
    end
    parts[i] = format('{"name":%s,"nested":%s,"kind":%s,"workers":%d,"max_workers":%d,"seconds":%s,"busy":%s,'
      .. '"functions":%s,"advice":[%s]}', encode(p.name), tostring(p.nested), encode(p.kind), p.workers, p.max_workers, encode(p.seconds),
      encode(p.busy), encode_table(p.functions), concat(advice, ","))
  end
  return '{"executors":[' .. concat(parts, ",") .. "]}\n"
end

-- The whole of --stats, as text or as JSON.
local function stats(as_json)
  local profiles = {}
  for _, counts in ipairs(own.all_counts()) do
    insert(profiles, complete(counts))
  end
  return (as_json and json or text)(profiles)
end

return { profile = profile, stats = stats }
