-- SPDX-License-Identifier: MIT
-- The benchmark's driver: runs each figure's programs in turn (A B A B …),
-- prints a table of medians and ratios, writes CSV and JSON, and draws. It
-- measures nothing itself: each program prints its own number. Called by
-- bench/run.

local dir = table.remove(arg, 1)
local figures = dofile(dir .. "/figures.lua")
local report = dofile(dir .. "/report.lua")
local draw = dofile(dir .. "/draw.lua")

local BUILD = "bench-build" -- the C helpers, made in the current directory

local usage = [[
usage: bench/run [options] [figure...]
  --runs N     runs of each program; the medians count (default 5)
  --quick      one run at a tenth of the size: is everything alive?
  --csv FILE   results, one row a comparison (default bench-results.csv)
  --json FILE  results with every run (default bench-results.json)
  --svg FILE   a picture of them, by gnuplot (default bench-results.svg)
  --draw FILE  only draws, what is in a CSV file of results
  --one-cpu    all programs on one processor
  --loaded     all beside a busy loop on each processor
  --against REVISION  lfut as it was then, too: built from git
  --curves FILE  only draws: what a task costs, by tasks and by workers
  --caption TEXT  what stands under the title of the picture
  --list       the figures, one a line
environment: LFUT (./lfut), LFUT_LUAJIT (build-luajit/lfut), LUA (lua5.4),
  LUAJIT (luajit), PYTHON (python3), CC (cc), LUA_CFLAGS, LUA_LIBS (from
  pkg-config), GNUPLOT (gnuplot)]]

local function fail(message)
  io.stderr:write("bench/run: ", message, "\n", usage, "\n")
  os.exit(2)
end

local function say(...)
  io.stdout:write(...)
  io.stdout:write("\n")
  io.stdout:flush()
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The command's output without the last newline; nil when it failed.
local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  return pipe:close() and (text:gsub("%s+$", "")) or nil
end

-- Options -------------------------------------------------------------------

local function positive(text)
  local number = math.tointeger(tonumber(text))
  if not number or number < 1 then
    fail("--runs wants an integer of at least 1")
  end
  return number
end

local function show_usage()
  print(usage)
  os.exit(0)
end

-- What an option does; `take` gives the word that follows it.
local readers = {
  ["--runs"] = function(options, take)
    options.runs = positive(take())
  end,
  ["--csv"] = function(options, take)
    options.csv = take()
  end,
  ["--json"] = function(options, take)
    options.json = take()
  end,
  ["--svg"] = function(options, take)
    options.svg = take()
  end,
  ["--draw"] = function(options, take)
    options.draw = take()
  end,
  ["--caption"] = function(options, take)
    options.caption = take()
  end,
  ["--against"] = function(options, take)
    options.against = take()
  end,
  ["--curves"] = function(options, take)
    options.curves = take()
  end,
  ["--one-cpu"] = function(options)
    options.around = "taskset -c 0 "
  end,
  ["--loaded"] = function(options)
    options.around = "$beside "
  end,
  ["--quick"] = function(options)
    options.quick = true
  end,
  ["--list"] = function(options)
    options.list = true
  end,
  ["--help"] = show_usage,
  ["-h"] = show_usage,
}

local function parse(words)
  local options = {
    csv = "bench-results.csv", json = "bench-results.json",
    svg = "bench-results.svg", names = {},
  }
  while #words > 0 do
    local word = table.remove(words, 1)
    local function take()
      return table.remove(words, 1) or fail("a value is missing after " .. word)
    end
    if readers[word] then
      readers[word](options, take)
    elseif word:sub(1, 1) == "-" then
      fail("unknown option " .. word)
    else
      table.insert(options.names, word)
    end
  end
  options.runs = options.runs or (options.quick and 1 or 5)
  return options
end

local function select_figures(names)
  if #names == 0 then
    return figures
  end
  local by_name, chosen = {}, {}
  for _, figure in ipairs(figures) do
    by_name[figure.name] = figure
  end
  for _, name in ipairs(names) do
    table.insert(chosen, by_name[name] or fail("unknown figure " .. name))
  end
  return chosen
end

-- The tools -----------------------------------------------------------------

-- The C helpers come from the compiler that builds everything else. Without
-- one the C columns and the whole-process times are missing, and the plain
-- Lua programs fall back on CPU time.
local function build_helpers(cc)
  local cflags = os.getenv("LUA_CFLAGS")
    or output("pkg-config --cflags lua5.4 2>/dev/null") or ""
  local libs = os.getenv("LUA_LIBS")
    or output("pkg-config --libs lua5.4 2>/dev/null") or "-llua5.4"
  local function compile(flags, source, target, rest)
    return output(("%s -O2 %s %s -o %s %s %s"):format(cc, flags, cflags,
      BUILD .. "/" .. target, quote(dir .. "/c/" .. source), rest))
  end
  if not output("mkdir -p " .. BUILD) then
    return nil
  end
  if output("pkg-config --exists hiredis") then
    compile("", "redis.c", "redis", "$(pkg-config --cflags --libs hiredis) 2>/dev/null")
  end
  return compile("-shared -fPIC", "clock.c", "benchclock.so", "")
    and compile("", "baseline.c", "baseline", libs)
    and compile("", "native.c", "native", "-lffi -lm -pthread")
    and compile("", "machine.c", "machine", "-pthread")
end

-- The program as it was in another revision of the sources, built once.
local function build_revision(revision)
  local commit = output("git rev-parse --short " .. quote(revision .. "^{commit}"))
    or fail("there is no revision " .. revision)
  local folder = BUILD .. "/" .. commit
  if not output("test -x " .. folder .. "/lfut") then
    say("building ", revision, " in ", folder)
    output(([[mkdir -p %s && git archive %s | tar -x -C %s && cd %s && autoreconf -fi >build.log 2>&1 &&
      ./configure >>build.log 2>&1 && make -j2 >>build.log 2>&1]]):format(folder, commit, folder, folder))
  end
  return output("test -x " .. folder .. "/lfut") and "./" .. folder .. "/lfut"
    or fail("cannot build " .. revision .. ": " .. folder .. "/build.log")
end

-- The interpreter itself, not a wrapper that a version manager put there.
local function find_python()
  local python = quote(os.getenv("PYTHON") or "python3")
  local path = output(python
    .. " -c 'import sys; print(sys.executable)' 2>/dev/null")
  return path and quote(path) or python
end

-- What stands for $lfut, $python, … in a command, and the versions of what
-- was found. A tool that is missing is said once and has no entry.
local function find_tools()
  local tools, versions = { dir = quote(dir) }, {}
  tools.plugins = quote(os.getenv("LFUT_PLUGINS") or "./plugins/.libs")
  local function offer(name, what, command, probe)
    local version = output(probe .. " 2>&1")
    if version then
      tools[name] = command
      versions[name] = version:match("^[^\n]*")
    else
      say(what, " is missing: its column stays empty")
    end
  end
  local lfut = quote(os.getenv("LFUT") or "./lfut")
  local lua = quote(os.getenv("LUA") or "lua5.4")
  local python = find_python()
  local cc = os.getenv("CC") or "cc"

  offer("lfut", "lfut (" .. lfut .. ")", lfut,
    lfut .. " -e 'print(require\"lfut\"._VERSION)'")
  offer("python", "python3", python, python .. " --version")
  -- Debian's modules are its own interpreter's.
  local function offer_module(name, what, module)
    local import = " -c 'import " .. module .. "; print(" .. module .. ".__version__)'"
    local has = output(python .. import .. " 2>/dev/null") and python or "/usr/bin/python3"
    offer(name, what, has, has .. import)
  end
  offer_module("dask", "Dask (python3-distributed)", "distributed")
  offer_module("rq", "RQ (python3-rq)", "rq")
  local helped = build_helpers(cc)
  offer("redis", "a bare echo through Redis", "./" .. BUILD .. "/redis",
    "test -x ./" .. BUILD .. "/redis && redis-server --version")
  if helped then
    offer("c", "C", "./" .. BUILD .. "/baseline", cc .. " --version")
    tools.cnative = "./" .. BUILD .. "/native"
    tools.beside = "./" .. BUILD .. "/machine beside"
    tools.together = "./" .. BUILD .. "/machine together"
    tools.scaling = "./" .. BUILD .. "/machine scaling"
  else
    say("C is missing (the helpers did not compile): its column stays empty")
  end
  offer("lua", "lua5.4", lua, lua .. " -v")
  -- Two workers here too; luv takes the size of its pool from libuv.
  offer("luv", "lua-luv", "env UV_THREADPOOL_SIZE=2 " .. lua,
    lua .. " -e 'print(\"luv \" .. require\"luv\".version_string())'")
  local node = os.getenv("NODE") or "node"
  offer("node", "node", node, node .. " --version")
  local jit = quote(os.getenv("LFUT_LUAJIT") or "build-luajit/lfut")
  offer("jit", "lfut for LuaJIT (" .. jit .. ")", jit,
    jit .. " -e 'print(jit.version, require\"lfut\"._VERSION)'")
  local luajit = quote(os.getenv("LUAJIT") or "luajit")
  offer("luajit", "luajit", luajit, luajit .. " -v")
  return tools, versions
end

-- Running -------------------------------------------------------------------

-- The command with its $names filled in; nil when one of them is missing. The
-- clock of c/clock.c is in reach of every Lua. The shell sets this: a program
-- of its own, env, would be measured too where starting is.
local function expand(command, tools, size)
  local missing = false
  local text = command:gsub("%$(%a+)", function(name)
    if name == "size" then
      return tostring(size)
    elseif name == "tenth" then
      return tostring(size // 10)
    end
    missing = missing or not tools[name]
    return tools[name]
  end)
  local clock = ('LUA_CPATH="./%s/?.so;${LUA_CPATH:-;}" '):format(BUILD)
  return not missing and clock .. text or nil
end

-- One program of a figure: its label, command and the numbers it printed.
local function new_program(label, command, tools, size)
  return {
    label = label, command = expand(command, tools, size), values = {},
  }
end

-- Runs the program once more. A program that fails is not run again: what it
-- said is on stderr already.
local function run_once(program)
  if not program.command or program.failed then
    return
  end
  local text = output(program.command)
  local number = text and tonumber(text:match("[^\n]*$"))
  if number then
    table.insert(program.values, number)
  else
    program.failed = true
    program.values = {}
    io.stderr:write("bench/run: failed: ", program.command, "\n")
  end
end

-- What the figure's program is compared with: its peers; lfut as it was, by the
-- same program; and the machine's own scaling.
local function peers_of(figure, options)
  local peers = table.move(figure.against, 1, #figure.against, 1, {})
  local former, found = figure.lfut:gsub("%$lfut", "$former")
  if options.against and found > 0 then
    table.insert(peers, { options.against, former, bound = true })
  end
  if figure.parallel then
    table.insert(peers, { "(2 threads of C)", "$scaling 200", control = true })
  end
  return peers
end

local function measure(figure, tools, options)
  local size = options.quick and (figure.quick or figure.size // 10)
    or figure.size
  local around = options.around or ""
  local peers = peers_of(figure, options)
  local programs = { new_program("lfut", around .. figure.lfut, tools, size) }
  for _, peer in ipairs(peers) do
    table.insert(programs, new_program(peer[1], around .. peer[2], tools, size))
  end
  -- Alternating, so that a slow moment of the machine hits all alike. Without
  -- lfut itself there is nothing to compare.
  for _ = 1, programs[1].command and options.runs or 0 do
    for _, program in ipairs(programs) do
      run_once(program)
    end
  end
  return report.summarise(figure, peers, size, programs)
end

local function list(chosen)
  for _, figure in ipairs(chosen) do
    print(("%-22s %s"):format(figure.name, figure.about))
  end
end

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  assert(file:write(text))
  assert(file:close())
end

-- Measures and shows one figure after the other. Also returns whether all
-- of lfut's programs ran.
local function measure_all(chosen, tools, options)
  local results, sound = {}, true
  for _, figure in ipairs(chosen) do
    local result = measure(figure, tools, options)
    table.insert(results, result)
    sound = sound and not result.programs[1].failed
    say(report.rows(result))
  end
  return results, sound
end

-- Draws what the CSV text has; returns whether that went well.
local function draw_results(text, options)
  local bars = draw.bars(draw.read_csv(text), options.names)
  local drawn, why = draw.write(bars, options.caption, options.svg)
  say(drawn and "drawn: " .. options.svg or why .. ": no picture")
  return drawn
end

-- The picture of an older run, and nothing else.
local function draw_file(options)
  local file = io.open(options.draw) or fail("cannot read " .. options.draw)
  local text = file:read("a")
  file:close()
  os.exit(draw_results(text, options) or false, true)
end

-- What a task costs, measured with more and more of them, and of workers.
local function draw_curves(tools, options)
  local function cost(size, executor, workers)
    local program = new_program("lfut", "$lfut $dir/lfut/cost.lua $size " .. executor
      .. " " .. workers, tools, size)
    for _ = 1, options.runs do
      run_once(program)
    end
    return report.median(program.values)
  end
  local curves = {}
  for _, executor in ipairs { "ThreadPoolExecutor", "ProcessPoolExecutor" } do
    local by_tasks, by_workers = {}, {}
    for power = 2, options.quick and 4 or 6 do
      table.insert(by_tasks, { 10 ^ power // 1 | 0, cost(10 ^ power // 1 | 0, executor, 2) })
    end
    for power = 0, options.quick and 2 or 8 do
      table.insert(by_workers, { 1 << power, cost(20000, executor, 1 << power) })
    end
    table.insert(curves, { executor, by_tasks, by_workers })
    say(report.curves(curves[#curves]))
  end
  local drawn, why = draw.curves(curves, options.caption, options.curves)
  say(drawn and "drawn: " .. options.curves or why .. ": no picture")
end

local function main()
  local options = parse(arg)
  if options.draw then
    return draw_file(options)
  end
  local chosen = select_figures(options.names)
  if options.list then
    return list(chosen)
  end
  local tools, versions = find_tools()
  if options.curves then
    return draw_curves(tools, options)
  end
  tools.former = options.against and build_revision(options.against)
  local head = report.head(options, versions)
  say(report.head_text(head))
  say(report.columns())
  local results, sound = measure_all(chosen, tools, options)
  local csv = report.csv(results)
  write_file(options.csv, csv)
  write_file(options.json, report.json(head, results))
  say("\nwritten: ", options.csv, ", ", options.json)
  options.caption = options.caption or report.caption(head)
  draw_results(csv, options)
  -- A missed target is news, not a failure; a program that broke is one.
  os.exit(sound, true)
end

main()
