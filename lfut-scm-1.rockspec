-- SPDX-License-Identifier: MIT
-- For `luarocks make` in the source tree. What it needs besides LuaRocks: gcc, make,
-- autoconf, automake, libtool, pkg-config, and the headers of Lua 5.4 and libffi.
rockspec_format = "3.0"
package = "lfut"
version = "scm-1"
source = { url = "file://." }
description = {
  summary = "Parallel Lua: futures and executors",
  detailed = [[
Hands Lua functions to a pool of worker threads or worker processes, each with a
Lua interpreter of its own, and gets futures, parallel maps and parallel loops
back, with the names and the behaviour of Python's concurrent.futures.]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.4, < 5.5" }
build = {
  type = "command",
  build_command = "test -f configure || { mkdir -p build-aux/m4 && autoreconf -fi; } && "
    .. "{ test -f Makefile || ./configure; } && $(MAKE)",
  install_command = "$(MAKE) install prefix='$(PREFIX)' bindir='$(BINDIR)' "
    .. "luacmoddir='$(LIBDIR)' pkglibdir='$(PREFIX)/plugins' "
    .. "pkgconfigdir='$(PREFIX)/pkgconfig'",
}
