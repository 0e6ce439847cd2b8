/* SPDX-License-Identifier: MIT
 *
 * See box.h. */
#include "bindings/core/box.h"

#include "bindings/core/error.h"
#include "bindings/core/state.h"
#include "runtime/base/mem.h"

static int box_gc(lua_State *L) {
  lfb_box *b = lua_touserdata(L, 1);
  if (b->content)
    b->free(b->content);
  b->content = NULL;
  return 0;
}

lfb_box *lfb_push_box(lua_State *L, void (*free_content)(void *content)) {
  lfb_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (lfb_box){NULL, free_content};
  lfb_push_metatable(L, "lfut.Box", "__gc", box_gc);
  lua_setmetatable(L, -2);
  return b;
}

static void free_buf(void *buf) {
  lf_buf_fini(buf);
  lf_free(buf);
}

lf_buf *lfb_push_buf(lua_State *L) {
  lfb_box *box = lfb_push_box(L, free_buf);
  box->content = lf_zalloc(sizeof(lf_buf));
  if (!box->content)
    lfb_raise_memory(L);
  return box->content;
}
