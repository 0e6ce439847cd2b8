/* SPDX-License-Identifier: MIT
 *
 * What an error would lose: a box on the Lua stack frees its content when it is
 * collected, unless that has been taken out. */
#ifndef LFB_CORE_BOX_H
#define LFB_CORE_BOX_H

#include "bindings/engine/compat.h"

#include "runtime/base/buf.h"

typedef struct {
  void *content; /* NULL: nothing to free */
  void (*free)(void *content);
} lfb_box;

/* Pushes an empty box. */
lfb_box *lfb_push_box(lua_State *L, void (*free_content)(void *content));

/* Pushes a box with an empty buffer. Raises on lack of memory. */
lf_buf *lfb_push_buf(lua_State *L);

#endif
