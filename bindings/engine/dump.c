/* SPDX-License-Identifier: MIT
 *
 * See dump.h. */
#include "bindings/engine/dump.h"

/* Some versions call it once more at the end, without bytes. */
static int put_bytes(lua_State *L, const void *bytes, size_t n, void *out) {
  (void)L;
  return n > 0 ? lf_buf_put(out, bytes, n) : 0;
}

int lfb_dump(lua_State *L, lf_buf *out, bool strip) {
  return lua_dump(L, put_bytes, out, strip);
}
