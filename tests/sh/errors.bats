# SPDX-License-Identifier: MIT
# How a script that fails is reported, and with which status the program ends.

source "$srcdir/tests/helpers.sh"

@test "an error has its position and a traceback" {
  printf 'local function f()\n  error "bad"\nend\nf()\n' > script.lua
  same_as_lua script.lua
  run --separate-stderr lfut script.lua
  [ "$status" = 1 ]
  [ "${stderr_lines[0]}" = 'lfut: script.lua:2: bad' ]
  [ "${stderr_lines[1]}" = 'stack traceback:' ]
}

@test "a syntax error has its position" {
  printf '\n\nx = = 1\n' > script.lua
  same_as_lua script.lua
  run --separate-stderr lfut script.lua
  [ "$status" = 1 ]
  contains "$stderr" 'lfut: script.lua:3: '
}

@test "a script that cannot be read" {
  same_as_lua absent.lua
  same_as_lua .
}

@test "an error may be any value" {
  for value in nil false 12 '{}' print 'coroutine.create(print)'; do
    same_as_lua -e "error($value)"
  done
}

@test "an error object tells about itself" {
  local object='setmetatable({}, { __tostring = function() return %s end })'
  same_as_lua -e "error(${object/\%s/\"in words\"})"
  run --separate-stderr lfut -e "error(${object/\%s/error \"again\"})"
  [ "$status" = 1 ]
  contains "$stderr" 'lfut: (error object is a table value)'
  run --separate-stderr lfut -e "error(${object/\%s/12})"
  [ "$status" = 1 ]
}

@test "an error while handling an error, and a stack overflow" {
  run --separate-stderr lfut -e 'local function f() return 1 + f() end f()'
  [ "$status" = 1 ]
  contains "$stderr" 'lfut: '
  contains "$stderr" 'stack overflow'
}

@test "os.exit takes what it takes in stock Lua" {
  for args in '' 0 3 true false '4, true' 'true, true' 'false, false' nil; do
    same_as_lua -e "io.write 'x' os.exit($args)"
  done
  same_as_lua -e 'os.exit("x")'
  same_as_lua -e 'os.exit({})'
}

@test "os.exit closes the state when asked to" {
  local stat='setmetatable({}, { __gc = function() print "closed" end })'
  same_as_lua -e "x = $stat os.exit(2, true)"
  same_as_lua -e "x = $stat os.exit(2)"
  same_as_lua -e 'local x <close> = setmetatable({},
    { __close = function() print "closed" end }) os.exit(2, true)'
  same_as_lua -e 'coroutine.wrap(function() os.exit(5, true) end)()'
}

@test "os.exit in a finalizer" {
  same_as_lua -e 'setmetatable({}, { __gc = function() os.exit(6) end })'
}

@test "what is buffered is written, however the program ends" {
  for ending in '' 'error "x"' 'os.exit(3)' 'os.exit(3, true)'; do
    rm -f file
    run --separate-stderr lfut -e "file = io.open('file', 'w')
      file:setvbuf 'full' file:write 'in the file'
      io.stdout:setvbuf 'full' io.write 'on the screen' $ending"
    [ "$output" = 'on the screen' ]
    [ "$(cat file)" = 'in the file' ]
  done
}

@test "a closed state closes what is pending in the script" {
  same_as_lua -e 'x = setmetatable({}, { __gc = function() print "gc" end })'
}

@test "an error in a worker shows the worker's traceback and the caller's" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local function inner(x)
  error("boom " .. x)
end
local function task(x)
  inner(x)
  return x
end
local function caller(f)
  local r = f:result()
  return r
end
local exe <close> = lfut.ThreadPoolExecutor(1)
caller(exe:submit(task, 7))
END
  run --separate-stderr lfut script.lua
  [ "$status" = 1 ]
  [[ ${stderr_lines[0]} =~ ^lfut:\ (.*/)?script.lua:3:\ boom\ 7$ ]]
  contains "$stderr" 'stack traceback:'
  contains "$stderr" "worker's stack traceback:"
  local callers=${stderr%%"worker's stack traceback:"*}
  local workers=${stderr#*"worker's stack traceback:"}
  contains "$callers" 'script.lua:10: in '
  contains "$workers" 'script.lua:3: in '
  contains "$workers" 'script.lua:6: in '
}

@test "an error object of a worker shows both tracebacks too" {
  cat > script.lua << 'END'
local lfut = require "lfut"
local exe <close> = lfut.ThreadPoolExecutor(1)
local E = { __tostring = function(e) return "E: " .. e.text end }
exe:submit(function()
  error(setmetatable({ text = "gone" }, E))
end):result()
END
  run --separate-stderr lfut script.lua
  [ "$status" = 1 ]
  [ "${stderr_lines[0]}" = 'lfut: E: gone' ]
  contains "$stderr" "worker's stack traceback:"
  contains "$stderr" 'script.lua:5: in '
}

@test "an error of the script itself shows no worker" {
  run --separate-stderr lfut -e 'local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(1)
    exe:submit(error, "in the worker"):exception()
    error "here"'
  [ "$status" = 1 ]
  contains "$stderr" ': here'
  [[ $stderr != *worker\'s* ]]
}
