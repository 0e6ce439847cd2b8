# SPDX-License-Identifier: MIT
# The rules of the house (docs/internals.md), as far as grep can see them.

source "$srcdir/tests/helpers.sh"

setup() {
  cd "$srcdir" || return
  shopt -s nullglob
  sources=(runtime/*.[ch] bindings/*.[ch] plugins/*.[ch] tests/{c,plugins}/*.[ch])
}

# included FILE: what it includes of ours, without the folder.
included() {
  sed -n 's|^ *# *include "\(.*/\)\{0,1\}\([^/]*\)".*|\2|p' "$1"
}

@test "the runtime knows neither Lua nor the bindings" {
  run grep -nE '# *include.*(lua|lauxlib|lualib|bindings)' runtime/*.[ch]
  [ "$output" = '' ]
}

@test "only the bindings know Lua" {
  run grep -lE '# *include *[<"](lua|lauxlib|lualib)' "${sources[@]}"
  for file in $output; do
    [[ $file == bindings/* ]] || complain "includes Lua: $file"
  done
}

# A file includes only what stands to its left; task.c needs to know how what
# a task refers to is given back, cycle.c whether a task's loop is awaited, and
# pool.c is one of those that crew.h is for.
runtime_order=(base atfork mem buf table similar clex ctype cexpr cwords cnames cread
  cspec cform cdecl code dso thread plugin fork command arena latch sleeper slab stream
  guest heap array record sync queue dict peer ring task
  waitset cycle vm pool wire job crew gate native fleet nested remote launch keeper
  host take worker child)
runtime_exceptions='task.c:pool.h task.c:job.h cycle.c:job.h pool.c:crew.h pool.c:fleet.h pool.c:remote.h pool.c:gate.h plugin.h:lfut_plugin.h'

@test "the runtime's files include what is to their left" {
  for file in runtime/*.[ch]; do
    base=${file##*/}
    left=" ${runtime_order[*]} "
    [[ $left == *" ${base%.*} "* ]] || complain "not in the order: $base"
    left=" ${left%% "${base%.*}" *} ${base%.*} "
    for name in $(included "$file"); do
      [[ $left == *" ${name%.h} "* ]] ||
        [[ " $runtime_exceptions " == *" $base:$name "* ]] ||
        complain "$file includes $name"
    done
  done
}

@test "every file says its licence" {
  run grep -L SPDX-License-Identifier "${sources[@]}" scripts/*.lua \
    tests/*.sh tests/lua/*.lua tests/sh/*.bats bootstrap
  [ "$output" = '' ] || complain "no licence: $output"
}

@test "no function is longer than 70 lines" {
  run awk '
    FNR == 1 { inside = 0 }
    !inside && /^[^ \t}#\/*]/ { head = FNR }
    !inside && /\) \{$/ { inside = 1; start = head }
    inside && /^}/ {
      inside = 0
      if (FNR - start + 1 > 70)
        printf "%s:%d: %d lines\n", FILENAME, start, FNR - start + 1
    }' "${sources[@]}"
  [ "$output" = '' ] || complain "$output"
}

# Tests meet at gates. They may let something sleep for ever (1e6) or for no
# time (0), or have sleeping itself as their subject.
@test "no test waits by sleeping" {
  run grep -nE 'sleep[ (,]+[0-9.]' tests/c/*.[ch] tests/lua/*.lua \
    tests/sh/*.bats tests/*.sh
  allowed='sleep[ (,]+(0|1e6)[^0-9.]|^tests/lua/helpers.lua|: *example sleep'
  run grep -vE "$allowed" <<< "$output"
  [ "$output" = '' ] || complain "$output"
}
