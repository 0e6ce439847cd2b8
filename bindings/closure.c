/* SPDX-License-Identifier: MIT
 *
 * See closure.h. A closure seen before is recognised by its address, in a
 * table of weak references so that the address cannot be another's by now.
 * Code is interned by content (runtime/code.h), so fresh closures of one
 * function, as a loop makes them, cost a dump each and no memory. */
#include "closure.h"

#include <stdio.h>
#include <string.h>

enum { CODES = LF_LIMIT(4096, 8) };

static unsigned slot_of(const void *closure) {
  uintptr_t p = (uintptr_t)closure;
  return (unsigned)((p >> 4) ^ (p >> 12)) % LFB_SLOTS;
}

static int write_dump(lua_State *L, const void *bytes, size_t n, void *buf) {
  (void)L;
  return lf_buf_put(buf, bytes, n);
}

/* "function <script.lua:12>" */
static void label_of(lua_State *L, int idx, char *label, size_t size) {
  lua_Debug ar;
  lua_pushvalue(L, idx);
  lua_getinfo(L, ">S", &ar);
  snprintf(label, size, "function <%s:%d>", ar.short_src, ar.linedefined);
}

lf_code *lfb_code_cached(lua_State *L, lfb_state *S, int idx) {
  const void *closure = lua_topointer(L, idx);
  unsigned at = slot_of(closure);
  if (S->slots[at].closure != closure)
    return NULL;
  lfb_push_ref(L, LFB_REF_SLOTS);
  lua_rawgeti(L, -1, at + 1);
  bool same = lua_topointer(L, -1) == closure;
  lua_pop(L, 2);
  return same ? S->slots[at].code : NULL;
}

lf_code *lfb_code_of(lua_State *L, lfb_state *S, int idx) {
  lf_code *code = lfb_code_cached(L, S, idx);
  if (code)
    return code;
  idx = lua_absindex(L, idx);
  char label[LUA_IDSIZE + 32];
  label_of(L, idx, label, sizeof label);
  const void *closure = lua_topointer(L, idx);
  unsigned at = slot_of(closure);
  lfb_push_ref(L, LFB_REF_SLOTS);
  lua_pushvalue(L, idx);
  lua_rawseti(L, -2, at + 1); /* may raise: before the code is ours */
  lua_pop(L, 1);
  lf_buf_reset(&S->scratch);
  lua_pushvalue(L, idx);
  int err = lua_dump(L, write_dump, &S->scratch, 0);
  lua_pop(L, 1);
  if (err == 0)
    code = lf_code_get(S->scratch.data, S->scratch.len, label,
                       lfb_bytecode_globals);
  if (S->slots[at].code)
    lf_code_unref(S->slots[at].code);
  S->slots[at] = (lfb_slot){code ? closure : NULL, code};
  if (!code)
    luaL_error(L, "not enough memory");
  return code;
}

void lfb_push_code(lua_State *L, const lf_code *code) {
  if (luaL_loadbufferx(L, (const char *)code->bytes, code->len, code->label,
                       "b") != LUA_OK)
    lua_error(L);
}

void lfb_push_shared(lua_State *L, lfb_state *S, lf_code *code) {
  lfb_push_ref(L, LFB_REF_CODES);
  if (lua_rawgeti(L, -1, (lua_Integer)code->id) == LUA_TFUNCTION) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  if (++S->codes > CODES) { /* bounded: forget all and start anew */
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lfb_set_ref(L, LFB_REF_CODES);
    S->codes = 1;
  }
  lfb_push_code(L, code);
  for (int i = 1; lua_getupvalue(L, -1, i); i++) {
    lua_pop(L, 1);
    lua_pushglobaltable(L);
    lua_setupvalue(L, -2, i);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, (lua_Integer)code->id);
  lua_remove(L, -2);
}
