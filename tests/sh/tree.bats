# SPDX-License-Identifier: MIT
# The source tree: what a compiler does not notice.

source "$srcdir/tests/helpers.sh"

# listed FILE...: the local.mk of its folder, or Makefile.am, names it; C tests
# by their programs.
listed() {
  for file; do
    name=${file#"$srcdir"/}
    case $name in
    tests/c/*/*.c) list=tests/c/local.mk name=%D%/${name#tests/c/} name=${name%.c} ;;
    runtime/* | bindings/* | tests/lua/* | tests/sh/*)
      list=${name%/*}/local.mk name=%D%/${name##*/} ;;
    *) list=Makefile.am ;;
    esac
    [ ! -e "$file" ] || grep -qE "(^|[[:space:]])$name( |\$)" "$srcdir/$list" ||
      grep -qE "[[:space:]]${file#"$srcdir"/}( |\$)" "$srcdir/Makefile.am" ||
      complain "not in $list: ${file#"$srcdir"/}"
  done
}

@test "every source and every test is in a list of the build" {
  listed "$srcdir"/{runtime,bindings}/*/*.[ch] "$srcdir"/plugins/*.[ch] \
    "$srcdir"/tests/{c,c/*,plugins}/*.[ch] "$srcdir"/tests/{lua/*.lua,sh/*.bats,*.sh} \
    "$srcdir"/scripts/*.lua
}

# A line of a table names it in its first column.
has_a_reason() {
  sed -n 's/^| \([a-z0-9_, /]*\) |.*/ \1,/p' "$srcdir/tests/README.md" |
    grep -q " $1,"
}

@test "every file of the runtime has a test of its name, or a reason" {
  local file name
  for file in "$srcdir"/runtime/*/*.c; do
    name=${file#"$srcdir"/runtime/} name=${name%.c}
    if [ -e "$srcdir/tests/c/$name.c" ]; then
      ! has_a_reason "$name" || complain "needs no reason any more: $name"
    else
      has_a_reason "$name" || complain "neither test nor reason: $name"
    fi
  done
}

@test "each reason is that of a file" {
  local name
  sed -n '/^| file | tested by/,$ s/^| \([a-z0-9_, /]*\) |.*/\1/p' "$srcdir/tests/README.md" |
    tr -d ' ' | tr ',' '\n' | grep / | while read -r name; do
    [ -e "$srcdir/runtime/$name.c" ] || complain "no such file: $name"
  done
}
