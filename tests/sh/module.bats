# SPDX-License-Identifier: MIT
# The module in the stock interpreter: lfut.so, found through LUA_CPATH.

source "$srcdir/tests/helpers.sh"

setup() {
  in_empty_directory
  needs_stock_lua
}

@test "require finds the module" {
  run stock_lua -e 'local lfut = require "lfut"
    print(type(lfut.ThreadPoolExecutor), lfut == require "lfut")'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'function\ttrue' ]
}

@test "submit and result" {
  run stock_lua -e 'local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(2)
    local f = exe:submit(function(x) return x * x, lfut.worker().kind end, 7)
    print(f:result())'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'49\tthread' ]
}

@test "what a script has added to the libraries before travels" {
  run stock_lua -e 'function string:framed() return ">" .. self .. "<" end
    local exe <close> = require "lfut".ThreadPoolExecutor(1)
    print(exe:submit(function(s) return s:framed() end, "a"):result())
    print(exe:submit(string.framed, "a"):result())'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'>a<\n>a<' ]
}

@test "workers load C modules against the host's symbols" {
  cat > cmod.c << 'END'
#include <lauxlib.h>
int luaopen_cmod(lua_State *L) { return luaL_checkversion(L), lua_pushinteger(L, 7), 1; }
END
  cc -shared -fPIC $(pkg-config --cflags "$LFUT_LUA") -o cmod.so cmod.c
  run stock_lua -e 'package.cpath = package.cpath .. ";./?.so"
    local exe <close> = require "lfut".ThreadPoolExecutor(1)
    print(exe:submit(function() return (require "cmod") end):result())'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = 7 ]
}

@test "the end of the script finishes pending work" {
  run stock_lua -e 'local exe = require "lfut".ThreadPoolExecutor(1)
    for i = 1, 3 do exe:submit(print, i) end'
  [ "$status" = 0 ]
  [ "$output" = $'1\n2\n3' ] || complain "$output"
}

@test "LFUT_WORKERS holds here, too" {
  export LFUT_WORKERS=3
  run stock_lua -e 'print(require "lfut".ThreadPoolExecutor().max_workers)'
  [ "$status:$output" = 0:3 ]
}

@test "the module exports its opener only" {
  run nm -D --defined-only "${LFUT_BUILDDIR:-$(dirname "$LFUT")}/.libs/lfut.so"
  [ "$status" = 0 ]
  [ "$(awk '{ print $NF }' <<< "$output")" = luaopen_lfut ]
}

@test "the module does not carry a Lua of its own" {
  run ldd "${LFUT_BUILDDIR:-$(dirname "$LFUT")}/.libs/lfut.so"
  [[ $output != *liblua* ]]
}

@test "the module can be required again" {
  run stock_lua -e 'local first = require "lfut"
    package.loaded.lfut = nil
    local second = require "lfut"
    package.loaded.lfut = nil
    local exe <close> = second.ThreadPoolExecutor(1)
    local again = function()
      local first = require "lfut"
      package.loaded.lfut = nil
      return rawequal(require "lfut", first) and first.worker().kind
    end
    package.preload.other = package.preload.lfut
    print(rawequal(first, second), rawequal(first, require "other"), exe:submit(again):result())'
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'true\ttrue\tthread' ]
}

@test "a finalizer older than the module may call it at the end" {
  cat > older.lua << 'END'
local lfut, made = nil, {}
local function try(name, ...)
  local ok, e = pcall(...)
  if not ok and not tostring(e):find "closed" then print(name, e) end
end
local older = setmetatable({}, { __gc = function()
  for name, f in pairs(lfut) do
    if type(f) == "function" then try(name, f, 1, 1, 1) end
  end
  try("pool", function() return lfut.ThreadPoolExecutor(1):submit(math.abs, -1):result() end)
  for name, object in pairs(made) do
    for _, method in ipairs { "submit", "map", "shutdown", "result", "done", "put", "get", "close", "acquire", "release",
      "wait", "set", "incr", "start", "join", "list" } do
      try(name .. method, function()
        local f = object[method]
        return f and f(object, 1, 1)
      end)
    end
    try(name, tostring, object)
  end
  local again = require "lfut"
  if not rawequal(again, lfut) then print "another module" end
  if mode == "exit" then os.exit(3) end
end })
lfut = require "lfut"
made.exe = lfut.ThreadPoolExecutor(1)
made.future = made.exe:submit(math.abs, -1)
made.pool, made.queue, made.lock, made.event = lfut.ThreadPool(1), lfut.Queue(), lfut.Lock(), lfut.Event()
made.dict, made.value, made.condition, made.barrier = lfut.Dict(), lfut.Value("int32", 1), lfut.Condition(), lfut.Barrier(1)
made.array, made.thread = lfut.Array("int8", 1), lfut.Thread { target = print }
made.map, made.completed = made.exe:map(math.abs, { 1 }), lfut.as_completed { made.future }
made.future:result()
if mode == "close" then os.exit(4, true) end
END
  for mode in none:0 close:4 exit:3; do
    run stock_lua -e "mode = '${mode%:*}'" older.lua
    [ "$status" = "${mode#*:}" ] || complain "$mode: $status $output"
    [[ $output != *stack* ]] || complain "$output"
  done
}
