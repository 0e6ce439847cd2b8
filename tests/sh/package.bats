# SPDX-License-Identifier: MIT
# What a package consists of, besides what runs.

source "$srcdir/tests/helpers.sh"

version() {
  sed -n 's/^AC_INIT(\[lfut\], \[\(.*\)\])/\1/p' "$srcdir/configure.ac"
}

built=$(dirname "$LFUT")

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
  for file in bin/lfut include/lfut_plugin.h lib/lua/5.4/lfut.so lib/lfut/vec.so \
    lib/pkgconfig/lfut.pc share/man/man1/lfut.1 \
    share/doc/lfut/{README.md,COPYING,NEWS,AUTHORS,docs/guide.md,examples/map.lua}
  do
    [ -f "root/usr/$file" ] || complain "not there: $file"
  done
  [ "$(find root -name '*.la')" = '' ]
  echo 'print(require "lfut".plugin(arg[1]):info().version)' > load.lua
  run root/usr/bin/lfut load.lua root/usr/lib/lfut/vec.so
  [ "$status:$output" = 0:1.0 ] || complain "$output"
}

@test "make uninstall leaves what is not its own" {
  run_make install
  touch root/usr/lib/lfut/others.so root/usr/lib/lua/5.4/others.so
  run_make uninstall
  run find root -type f
  [ "$(sort <<< "$output")" = \
    $'root/usr/lib/lfut/others.so\nroot/usr/lib/lua/5.4/others.so' ] ||
    complain "$output"
}

@test "pkg-config tells where header, module and plugins are" {
  run_make install
  export PKG_CONFIG_PATH=$PWD/root/usr/lib/pkgconfig
  [ "$(pkg-config --modversion lfut)" = "$(version)" ]
  [ "$(pkg-config --variable=includedir lfut)" = /usr/include ]
  [ "$(pkg-config --variable=lua_cmod lfut)" = /usr/lib/lua/5.4 ]
  [ "$(pkg-config --variable=pluginsdir lfut)" = /usr/lib/lfut ]
}
