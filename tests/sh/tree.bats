# SPDX-License-Identifier: MIT
# The source tree: what a compiler does not notice.

source "$srcdir/tests/helpers.sh"

# listed FILE...: Makefile.am names them, C tests by their programs.
listed() {
  for file; do
    name=${file#"$srcdir"/}
    [[ $name != tests/c/*.c ]] || name=${name%.c}
    [ ! -e "$file" ] ||
      grep -qE "(^|[[:space:]])$name(\.c)?( |\$)" "$srcdir/Makefile.am" ||
      complain "not in Makefile.am: $name"
  done
}

@test "Makefile.am knows every source and every test" {
  listed "$srcdir"/{runtime,bindings,plugins}/*.[ch] "$srcdir"/tests/{c,plugins}/*.[ch] \
    "$srcdir"/tests/{lua/*.lua,sh/*.bats,*.sh} "$srcdir"/scripts/*.lua
}
