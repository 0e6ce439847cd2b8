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
