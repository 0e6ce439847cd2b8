# SPDX-License-Identifier: MIT
# What a package consists of, besides what runs.

source "$srcdir/tests/helpers.sh"

version() {
  sed -n 's/^AC_INIT(\[lfut\], \[\(.*\)\])/\1/p' "$srcdir/configure.ac"
}

built=$(dirname "$LFUT")
program=$(installed_as || true)
modules=lib/lua/$LFUT_LUA_VERSION

# Below root/usr. What a make around this one has said to it does not count.
run_make() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
    make -C "$built" DESTDIR="$PWD/root" prefix=/usr "$@" > log 2>&1 ||
    complain "$(cat log)"
}

@test "make install puts everything into its place, without a warning" {
  run_make install
  run grep -iE 'warning|relink' log
  [ "$output" = '' ] || complain "$output"
  local file
  for file in bin/$program include/lfut_plugin.h $modules/lfut.so lib/lfut/vec.so \
    lib/pkgconfig/$program.pc share/man/man1/$program.1 share/man/man3/{$program,lfut-plugin}.3 \
    share/bash-completion/completions/lfut share/lfut/library/lfut.d.lua \
    share/doc/lfut/{README.md,COPYING,NEWS,AUTHORS,docs/guide.md,docs/bench.svg,examples/map.lua}
  do
    [ -f "root/usr/$file" ] || complain "not there: $file"
  done
  [ "$(find root -name '*.la')" = '' ]
  echo 'print(require "lfut".plugin(arg[1]):info().version)' > load.lua
  run root/usr/bin/$program load.lua root/usr/lib/lfut/vec.so
  [ "$status:$output" = 0:1.0 ] || complain "$output"
}

@test "make uninstall leaves what is not its own" {
  run_make install
  touch root/usr/lib/lfut/others.so root/usr/$modules/others.so
  run_make uninstall
  run find root -type f
  [ "$(sort <<< "$output")" = \
    $'root/usr/lib/lfut/others.so\nroot/usr/'"$modules/others.so" ] ||
    complain "$output"
}

@test "pkg-config tells where header, module and plugins are" {
  run_make install
  export PKG_CONFIG_PATH=$PWD/root/usr/lib/pkgconfig
  [ "$(pkg-config --modversion "$program")" = "$(version)" ]
  [ "$(pkg-config --variable=includedir "$program")" = /usr/include ]
  [ "$(pkg-config --variable=lua_cmod "$program")" = "/usr/$modules" ]
  [ "$(pkg-config --variable=pluginsdir "$program")" = /usr/lib/lfut ]
}

@test "the version is the same everywhere" {
  local v
  v=$(version)
  [[ $v =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]
  [ "$(lfut -l lfut -e 'print(lfut._VERSION)')" = "$v" ]
  grep -q "^$v " "$srcdir/NEWS" || complain "NEWS does not begin with $v"
  grep -q "^lfut ($v)" <(head -1 "$srcdir/debian/changelog")
  local page
  for page in lfut.1 lfut.3 lfut-plugin.3; do
    grep -q "^\.TH .*\"lfut $v\"" "$srcdir/docs/$page" || complain "$page is not of $v"
  done
}

@test "manual pages are right, and list all that there is" {
  command -v man > /dev/null || skip 'there is no man'
  local page name
  for page in lfut.1 lfut.3 lfut-plugin.3; do
    LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -l -Tutf8 -Z \
      "$srcdir/docs/$page" 2> log > text
    [ ! -s log ] || complain "$(cat log)"
    name=${page%.*}
    grep -q "^$name \\\\- " "$srcdir/docs/$page"
  done
  run lfut -e 'for name, value in pairs(require "lfut") do
    if name:find "^%a" and type(value) ~= "table" then print(name) end end'
  for name in $output; do
    grep -qw "$name" "$srcdir/docs/lfut.3" || complain "not in lfut(3): $name"
  done
  for name in $(grep -oE 'LFUT_[A-Z_]+ ' "$srcdir/plugins/lfut_plugin.h" |
    grep -vE '_H|MAGIC|OR_NULL|EXPORT|THREADING|MINOR') \
    $(grep -oE '\(\*[a-z_]+\)' "$srcdir/plugins/lfut_plugin.h" | tr -d '(*)'); do
    grep -qw "$name" "$srcdir/docs/lfut-plugin.3" || complain "not in lfut-plugin(3): $name"
  done
}

# --- Stubs for editors ---

@test "the stubs are Lua, and have the functions and methods that exist" {
  cat > compare.lua << 'END'
local lfut = require "lfut"
local there, stubs = {}, {}
local function has(class, t, sep)
  for name, v in pairs(t) do
    if name:find "^%a" and (type(v) == "function") then there[class .. sep .. name] = true end
  end
end
has("lfut", lfut, ".")
for class, methods in pairs(lfut._methods) do has(class, methods, ":") end
for _, module in ipairs { "lfut.pool", "lfut.scope", "lfut.popen" } do
  for class, t in pairs(require(module)) do
    if type(t) == "table" then has(class, t.__index, ":") end
  end
end
for line in io.lines(arg[1]) do
  local class, sep, name = line:match "^function (%w+)([.:])([%w_]+)%("
  if class then
    assert(not stubs[class .. sep .. name], "twice: " .. line)
    stubs[class .. sep .. name] = true
  end
end
for name in pairs(there) do
  if not stubs[name] then print("no stub: " .. name) end
end
for name in pairs(stubs) do
  if not there[name] then print("does not exist: " .. name) end
end
assert(loadfile(arg[1]))()
END
  run lfut compare.lua "$srcdir/library/lfut.d.lua"
  [ "$output" = '' ] || complain "$output"
}

@test "the stubs know the kinds of errors, the options and the fields" {
  local name
  for name in $(grep -ohE '^\| `[A-Z][A-Za-z]+`(, `[A-Z][A-Za-z]+`)* \|' "$srcdir/docs/api.md" |
    tr -d '|`,'); do
    grep -q "\"$name\"" "$srcdir/library/lfut.d.lua" || complain "no such kind: $name"
  done
  cat > fields.lua << 'END'
local lfut = require "lfut"
local exe = lfut.InlineExecutor()
local pool = lfut.ThreadPool(1)
local objects = {
  Executor = exe, Pool = pool, Error = exe:submit(string.dump, print):exception(),
  Thread = lfut.Thread { target = print }, Process = lfut.Process { target = print },
  Array = lfut.Array("int8", 1), Queue = lfut.Queue(), Barrier = lfut.Barrier(1),
}
local class
for line in io.lines(arg[1]) do
  class = line:match "^%-%-%-@class lfut%.(%w+)" or class
  local field = line:match "^%-%-%-@field (%a[%w_]*) "
  if field and objects[class] and type(objects[class]) == "userdata" and objects[class][field] == nil then
    print("has no such field: " .. class .. "." .. field)
  end
end
pool:terminate()
END
  run lfut fields.lua "$srcdir/library/lfut.d.lua"
  [ "$output" = '' ] || complain "$output"
}

# --- Completion ---

# completed WORD...: what bash offers for the last one.
completed() {
  bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _lfut; printf "%s\n" "${COMPREPLY[@]}" | sort' - "$srcdir/scripts/completion/lfut" "$@"
}

@test "bash completes options, scripts and their arguments" {
  mkdir folder
  touch one.lua two.lua data.txt module.lua
  [ "$(completed lfut --w)" = $'--workers\n--workers=' ]
  [ "$(completed lfut o)" = one.lua ]
  [ "$(completed lfut f)" = folder ]
  [ "$(completed lfut d)" = '' ]
  [ "$(completed lfut one.lua d)" = data.txt ]
  [ "$(completed lfut -w 2 one.lua -)" = '' ]
  [ "$(completed lfut -l lf)" = lfut ]
  [ "$(completed lfut -l mod)" = module ]
  [ "$(completed lfut -e '')" = '' ]
  [ "$(completed lfut -- d)" = '' ]
  [ "$(completed lfut -- one.lua d)" = data.txt ]
}

@test "every option of lfut --help is completed" {
  local option
  for option in $(lfut --help | grep -oE '^ +(-[A-Za-z-]+)|, --?[a-z]+' | tr -d ' ,'); do
    completed lfut "$option" | grep -qx -e "$option" || complain "not completed: $option"
  done
}

# --- The rest ---

@test "the rockspec is Lua, and names what is there" {
  cat > check.lua << 'END'
local spec = {}
assert(loadfile(arg[1], "t", spec))()
assert(spec.package == "lfut" and arg[1]:find(spec.package .. "-" .. spec.version .. ".rockspec", 1, true))
assert(spec.description.license == "MIT" and spec.source.url)
END
  run lfut check.lua "$srcdir"/lfut-scm-1.rockspec
  [ "$status" = 0 ] || complain "$output"
  command -v luarocks > /dev/null || skip 'there is no luarocks'
  run luarocks lint "$srcdir"/lfut-scm-1.rockspec
  [ "$status" = 0 ] || complain "$output"
}
