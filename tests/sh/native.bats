# SPDX-License-Identifier: MIT
# Native tasks, as far as they are the program's: crashes, the end, Ctrl-C;
# plugins from outside the source tree.

source "$srcdir/tests/helpers.sh"

builddir=${LFUT_BUILDDIR:-$(dirname "$LFUT")}
misbehave=$builddir/plugins/.libs/misbehave.so

needs_no_sanitizer() {
  [ "${LFUT_SANITIZER:-no}" = no ] || skip 'a sanitizer handles crashes itself'
}

# dies STATUS SIGNAL SCRIPT: the script ends the program so, and it is told in
# which function.
dies() {
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local bad = lfut.plugin '$misbehave'
    $3"
  [ "$status" = "$1" ] || complain "status $status" "$stderr"
  [ "$stderr" = "lfut: $2 in function crash of misbehave.so" ] ||
    complain "$stderr"
  [ "$output" = 'before' ] || complain "$output"
}

@test "a crash in a worker thread names function and library" {
  needs_no_sanitizer
  for end in 139:SIGSEGV 134:SIGABRT 136:SIGFPE; do
    signal=${end#*:}
    dies "${end%:*}" "$signal" "print 'before'
      io.stdout:flush()
      local exe <close> = lfut.ThreadPoolExecutor(2)
      exe:submit(bad.crash, '$signal'):result()"
    dies "${end%:*}" "$signal" "print 'before'
      io.stdout:flush()
      local exe <close> = lfut.ThreadPoolExecutor(2)
      exe:map(bad.crash, { 'none', 'none', '$signal' }):list()"
  done
}

@test "a crash in the script's own call, in a Lua task, inline" {
  needs_no_sanitizer
  dies 139 SIGSEGV "print 'before' io.stdout:flush() bad.crash 'SIGSEGV'"
  dies 139 SIGSEGV "print 'before' io.stdout:flush()
    local exe <close> = lfut.ThreadPoolExecutor(2)
    exe:submit(function(bad) bad.crash 'SIGSEGV' end, bad):result()"
  dies 134 SIGABRT "print 'before' io.stdout:flush()
    lfut.InlineExecutor():submit(bad.crash, 'SIGABRT')"
}

@test "a crash of a function that lfut.load has bound" {
  needs_no_sanitizer
  dies 139 SIGSEGV "print 'before' io.stdout:flush()
    local lib = lfut.load('$misbehave', 'void crash(const char *way);')
    local exe <close> = lfut.ThreadPoolExecutor(2)
    exe:submit(lib.crash, 'SIGSEGV'):result()"
}

@test "a stack that overflows in a worker thread" {
  needs_no_sanitizer
  cat > deep.c << 'END'
int deep(int n);
int deep(int n) {
  volatile char frame[4096];
  frame[n % 4096] = (char)n;
  return deep(n + 1) + frame[(n + 1) % 4096];
}
END
  cc -O0 -fPIC -shared -o deep.so deep.c
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local exe <close> = lfut.ThreadPoolExecutor(1)
    exe:submit(lfut.load('./deep.so', 'int deep(int n);').deep, 1):result()"
  [ "$status" = 139 ] || complain "status $status"
  [ "$stderr" = 'lfut: SIGSEGV in function deep of deep.so' ] ||
    complain "$stderr"
}

@test "a crash in a worker process is told by its future alone" {
  needs_no_sanitizer
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local bad = lfut.plugin '$misbehave'
    local exe <close> = lfut.ProcessPoolExecutor(1)
    local e = exe:submit(bad.crash, 'SIGSEGV'):exception()
    print(e.kind, e.signal, e.func)"
  [ "$status" = 0 ] || complain "status $status" "$stderr"
  [ "$output" = $'WorkerLost\tSIGSEGV\tfunction crash of misbehave.so' ] ||
    complain "$output"
  [ "$stderr" = '' ] || complain "$stderr"
}

@test "a crash in a Lua task's own call, in a worker process" {
  needs_no_sanitizer
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local bad = lfut.plugin '$misbehave'
    local exe <close> = lfut.ProcessPoolExecutor(1)
    exe:submit(bad.overlap, 0):result()
    exe:map(bad.overlap, { 0, 0 }):list()
    local e = exe:submit(function(bad) bad.crash 'SIGSEGV' end, bad):exception()
    print(e.kind, e.signal, e.message)"
  [ "$status" = 0 ] || complain "status $status" "$stderr"
  [[ $output =~ ^$'WorkerLost\tSIGSEGV\tworker '[0-9]+' died of SIGSEGV while running function <'.*'> (in function crash of misbehave.so)'$ ]] ||
    complain "$output"
  [ "$stderr" = '' ] || complain "$stderr"
}

@test "a crash in an initializer, and in a process that a worker has forked" {
  needs_no_sanitizer
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local bad = lfut.plugin '$misbehave'
    local exe <close> = lfut.ProcessPoolExecutor{ max_workers = 1,
      initializer = function() bad.crash 'SIGABRT' end }
    print(exe:submit(print):exception().message)
    local other <close> = lfut.ProcessPoolExecutor(1)
    print(other:submit(function()
      local p = require 'lfut'.Process{ target = function() bad.crash 'SIGABRT' end }:start()
      p:join()
      return p.exitcode
    end):result())"
  [ "$status" = 0 ] || complain "status $status" "$stderr"
  [[ ${lines[0]} =~ ^'worker '[0-9]+' died of SIGABRT while starting (in function crash of misbehave.so)'$ ]] ||
    complain "$output"
  [ "${lines[1]}" = -6 ] || complain "$output"
  [ "$stderr" = 'lfut: SIGABRT in function crash of misbehave.so' ] ||
    complain "$stderr"
}

@test "an uncaught NativeError ends the script like any error" {
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local c = lfut.load('c', 'int chdir(const char *path);', { error = { chdir = 'nonzero' } })
    local exe <close> = lfut.ThreadPoolExecutor(1)
    exe:submit(c.chdir, '/nowhere'):result()"
  [ "$status" = 1 ]
  contains "$stderr" 'lfut: (command line):4: NativeError: chdir of libc.so.6 returned -1 (No such file or directory)'
}

@test "what init has refused is not there" {
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    for _ = 1, 2 do
      print(pcall(lfut.plugin, '$builddir/tests/plugins/init_failed.so'))
    end"
  [ "$status" = 0 ] || complain "$stderr"
  want=$'false\tplugin broken 2.3: its init has failed (3)'
  [ "$output" = "$want"$'\n'"$want" ] || complain "$output"
  want='broken: there is no licence'
  [ "$stderr" = "$want"$'\n'"$want" ] || complain "$stderr"
}

@test "log writes whole lines, fini is called once" {
  run --separate-stderr lfut -e "local lfut = require 'lfut'
    local bad = lfut.plugin '$misbehave'
    bad.set_epitaph 'epitaph'
    local threads <close> = lfut.ThreadPoolExecutor(2)
    local processes <close> = lfut.ProcessPoolExecutor(2)
    for _, exe in ipairs { threads, processes } do
      exe:map(bad.say, { 'a line', 'a line', 'a line', 'a line' }):list()
    end"
  [ "$status" = 0 ] || complain "$stderr"
  [ "$(sort -u <<< "$stderr")" = 'a line' ] || complain "$stderr"
  [ "$(wc -l <<< "$stderr")" = 8 ] || complain "$stderr"
  [ "$(cat epitaph)" = fini ] || complain "$(cat epitaph)"
}

@test "Ctrl-C and the end of the program cancel native tasks" {
  needs_signals
  mkfifo bell
  cat > script.lua << 'END'
local lfut = require "lfut"
local bad = lfut.plugin(arg[1])
local exe <close> = lfut.ThreadPoolExecutor(1)
exe:submit(bad.spin, "bell", "cancelled"):result()
END
  start script.lua "$misbehave"
  meet bell
  kill -INT "$pid"
  finish
  [ "$status" = 130 ] || complain "status $status" "$(cat err)"
  [ -e cancelled ]
}

@test "Ctrl-C in a loop of an inline executor, which goes on" {
  needs_signals
  mkfifo bell
  cat > script.lua << 'END'
local lfut = require "lfut"
local bad = lfut.plugin(arg[1])
local exe = lfut.InlineExecutor()
local function in_array(name) -- which needs no interpreter
  return lfut.Array("uint8", { (name .. "\0"):byte(1, -1) })
end
local calls = { { in_array "bell", in_array "cancelled" } }
print(pcall(function() exe:starmap(bad.spin, calls):list() end))
print(exe:starmap(bad.count_inits, { {}, {} }):list().n)
print(exe:map(function(x) return x end, { 1, 7 }):list()[2])
print(exe:submit(bad.count_inits):result())
END
  start script.lua "$misbehave"
  meet bell
  kill -INT "$pid"
  finish
  [ "$status" = 0 ] || complain "status $status" "$(cat out err)"
  contains "$(head -n 1 out)" 'interrupted!'
  [ "$(tail -n +2 out)" = $'2\n7\n1' ] || complain "$(cat out err)"
  [ -e cancelled ]
}

@test "Ctrl-C in a call that waits for the end of another" {
  mkfifo bell way ready
  for call in 'bad.hold_serial(nil, nil)' \
    'inline:submit(bad.hold_serial, nil, nil)' \
    'inline:starmap(bad.hold_serial, { { n = 2 } }):list()'; do
    cat > script.lua << END
local lfut = require "lfut"
local bad = lfut.plugin(arg[1])
local threads, inline = lfut.ThreadPoolExecutor(1), lfut.InlineExecutor()
local bell = assert(io.open("bell", "r+"))
threads:submit(bad.hold_serial, "bell", "way")
bell:read "l"
do
  local ready <close> = assert(io.open("ready", "w"))
  ready:write "here\n"
end
$call
END
    start script.lua "$misbehave"
    meet ready
    await_sleep
    kill -INT "$pid"
    finish
    [ "$status" = 130 ] || complain "$call: status $status" "$(cat err)"
    contains "$(cat err)" 'interrupted!'
  done
}

@test "the end of the program does not wait for a native task that blocks" {
  mkfifo bell way
  for ending in 'error "the end"' 'os.exit(false)'; do
    run --separate-stderr lfut -e "local lfut = require 'lfut'
      local bad = lfut.plugin '$misbehave'
      local exe = lfut.ThreadPoolExecutor(1)
      local bell = assert(io.open('bell', 'r+'))
      exe:submit(bad.hold_serial, 'bell', 'way')
      exe:submit(bad.hold_serial, nil, nil)
      bell:read 'l'
      $ending"
    [ "$status" = 1 ] || complain "status $status" "$stderr"
  done
}

@test "a library in the current directory is not found by its name" {
  cp "$misbehave" libmisbehave.so
  cp "$misbehave" misbehave
  cp "$misbehave" misbehave.so
  for name in misbehave misbehave.so libmisbehave.so; do
    run --separate-stderr lfut -e "require 'lfut'.load('$name', '')"
    [ "$status" = 1 ] || complain "$name was found"
    contains "$stderr" "cannot load '$name'"
  done
  run lfut -e "print(require 'lfut'.load('./libmisbehave.so', '') ~= nil)"
  [ "$output" = true ] || complain "$output"
}

@test "native tasks in the stock interpreter" {
  needs_stock_lua
  run stock_lua -e "local lfut = require 'lfut'
    local m = lfut.load('m', 'double floor(double x);')
    local vec = lfut.plugin '$builddir/plugins/vec.so'
    for _, new in ipairs { lfut.ThreadPoolExecutor, lfut.ProcessPoolExecutor } do
      local exe <close> = new(1)
      print(exe:submit(m.floor, 2.5):result(),
        exe:submit(vec.norm, lfut.Array('double', { 3, 4 }), 2):result())
    end"
  [ "$status" = 0 ] || complain "$output"
  [ "$output" = $'2.0\t5.0\n2.0\t5.0' ] || complain "$output"
}

# Plugins from outside

@test "plugins export one function, and are linked with nothing of ours" {
  for plugin in vec mandelbrot text; do
    run nm -D --defined-only "$builddir/plugins/.libs/$plugin.so"
    [ "$(awk '{ print $NF }' <<< "$output")" = lfut_plugin_v1 ] ||
      complain "$plugin" "$output"
    run ldd "$builddir/plugins/.libs/$plugin.so"
    [[ $output != *lfut* && $output != *liblua* ]] || complain "$output"
  done
}

# compiles COMPILER OPTION...: the file, with no warning.
compiles() {
  run "$@" -Wall -Wextra -Werror -I"$srcdir/plugins" -fPIC -c -o /dev/null
  [ "$status" = 0 ] || complain "$*" "$output"
}

@test "the header compiles as C11 and later, with all warnings" {
  cat > plugin.c << 'END'
#include "lfut_plugin.h"
#include "lfut_plugin.h"
static int twice(int x) { return 2 * x; }
static const lfut_function functions[] = {
  {.prototype = "int twice(int x)", .entry = (lfut_entry)twice,
   .flags = LFUT_THREADSAFE}};
LFUT_PLUGIN(.name = "twice", .version = "1", .functions = functions, .nfunctions = 1)
END
  for standard in c11 gnu11 c17 gnu17 c2x; do
    compiles cc -std=$standard -pedantic plugin.c
  done
  command -v c++ > /dev/null || skip 'no C++ compiler'
  for standard in c++20 gnu++20; do
    compiles c++ -std=$standard -pedantic -x c++ plugin.c
  done
}

@test "the header compiles as C++11, filled in by hand" {
  command -v c++ > /dev/null || skip 'no C++ compiler'
  cat > plugin.cc << 'END'
#include "lfut_plugin.h"
static int twice(int x) { return 2 * x; }
static const lfut_function functions[] = {
  {"int twice(int x)", (lfut_entry)twice, LFUT_THREADSAFE, nullptr, nullptr, nullptr}};
static const lfut_plugin plugin = {
  sizeof(lfut_plugin), LFUT_PLUGIN_MAGIC, LFUT_PLUGIN_MAJOR, LFUT_PLUGIN_MINOR,
  sizeof(lfut_function), sizeof(void *), "twice", "1", functions, 1,
  nullptr, nullptr, nullptr};
const lfut_plugin *lfut_plugin_v1(void) { return &plugin; }
END
  for standard in c++11 c++14 c++17 c++20; do
    compiles c++ -std=$standard -pedantic plugin.cc
  done
  c++ -std=c++11 -I"$srcdir/plugins" -fPIC -shared -o twice.so plugin.cc
  run lfut -e 'print(require "lfut".plugin("./twice.so").twice(21))'
  [ "$output" = 42 ] || complain "$output"
}

# The blocks of a page in their order: files that are named behind the language,
# commands, and scripts with their output.
follow() {
  awk '
    /^```/ && !inside { inside = 1; name = sprintf("step%02d.%s", ++n, substr($1, 4)); file = $2; next }
    /^```/ { inside = 0; close(name); next }
    inside { print > (file ? file : name) }
  ' "$1"
  for step in step*; do
    case $step in
      *.sh) sh -e "$step" ;;
      *.lua)
        run --separate-stderr lfut "$step"
        [ "$status" = 0 ] || complain "$step" "$stderr"
        want=$(sed -n 's/.*-->[[:blank:]]*//p' "$step")
        [ "$output" = "$want" ] || complain "$step" "$output" "not:" "$want" ;;
    esac
  done
}

@test "the page on plugins, followed in an empty directory with what is installed" {
  [ -e "$builddir/Makefile" ] || skip 'no build tree'
  needs_no_sanitizer
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
    make -s -C "$builddir" install prefix="$PWD/root" > install.log 2>&1 ||
    complain "$(tail install.log)"
  [ -e root/lib/lfut/vec.so ]
  [ ! -e root/lib/lfut/misbehave.so ]
  run env PKG_CONFIG_PATH="$PWD/root/lib/pkgconfig" pkg-config --cflags "$(installed_as)"
  [ "${output% }" = "-I$PWD/root/include" ] || complain "$output"
  # The program of this place is found from the module.
  needs_stock_lua
  LUA_CPATH="$PWD/root/lib/lua/$LFUT_LUA_VERSION/?.so" run stock_lua -e 'local lfut = require "lfut"
    local exe <close> = lfut.ProcessPoolExecutor{ max_workers = 1, start_method = "spawn" }
    print(exe:submit(math.max, 1, 2):result())'
  [ "$output" = 2 ] || complain "$output"
  mkdir elsewhere
  cd elsewhere
  export CPATH=$BATS_TEST_TMPDIR/root/include LFUT=$BATS_TEST_TMPDIR/root/bin/$(installed_as)
  follow "$srcdir/docs/plugins.md"
  [ -e words.so ]
  [ -e slow.so ]
}
