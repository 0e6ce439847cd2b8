/* SPDX-License-Identifier: MIT
 *
 * See closure.h. A closure seen before is recognised by its address, in a
 * table of weak references so that the address cannot be another's by now.
 * Code is interned by content (runtime/base/code.h), so fresh closures of one
 * function, as a loop makes them, cost a dump each and no memory. */
#include "bindings/pack/closure.h"

#include <stdio.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/engine/dump.h"
#include "bindings/pack/names.h"

#include "runtime/base/mem.h"

static unsigned slot_of(const void *closure) {
  uintptr_t p = (uintptr_t)closure;
  return (unsigned)((p >> 4) ^ (p >> 12)) % LFB_SLOTS;
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
  if (!S->slots || S->slots[at].closure != closure ||
      S->slots[at].names != S->names)
    return NULL;
  lfb_push_ref(L, LFB_REF_SLOTS);
  lua_rawgeti(L, -1, at + 1);
  bool same = lua_topointer(L, -1) == closure;
  lua_pop(L, 2);
  return same ? lf_code_ref(S->slots[at].code) : NULL;
}

/* The slot for the closure at 'idx'. May raise: before the code is ours. From
 * then on until it is filled, nothing of Lua's that collects garbage may be
 * called, as finalizers use slots, too. */
static lfb_slot *reserve(lua_State *L, lfb_state *S, int idx) {
  unsigned at = slot_of(lua_topointer(L, idx));
  if (!S->slots)
    S->slots = lf_zalloc(LFB_SLOTS * sizeof *S->slots);
  if (!S->slots)
    lfb_raise_memory(L);
  lua_pushvalue(L, idx);
  lfb_push_ref(L, LFB_REF_SLOTS);
  lua_insert(L, -2);
  lua_rawseti(L, -2, at + 1);
  lua_pop(L, 1);
  return &S->slots[at];
}

/* With a reference of its own. */
static void fill(lfb_state *S, lfb_slot *slot, const void *closure,
                 lf_code *code) {
  if (slot->code)
    lf_code_unref(slot->code);
  *slot = (lfb_slot){code ? closure : NULL, code, S->names};
  if (code)
    lf_code_ref(code);
}

lf_code *lfb_code_of(lua_State *L, lfb_state *S, int idx) {
  lf_code *code = lfb_code_cached(L, S, idx);
  if (code)
    return code;
  idx = lua_absindex(L, idx);
  char label[LF_LABEL];
  label_of(L, idx, label, sizeof label);
  bool named = lfb_was_named(L, idx); /* who asks has to look each time */
  lfb_slot *slot = named ? NULL : reserve(L, S, idx);
  lf_buf_reset(&S->scratch);
  lua_pushvalue(L, idx);
  int err = lfb_dump(L, &S->scratch, false);
  lua_pop(L, 1);
  if (err == 0)
    code =
        lf_code_get(S->scratch.data, S->scratch.len, label, lfb_bytecode_notes);
  if (slot)
    fill(S, slot, lua_topointer(L, idx), code);
  if (!code)
    lfb_raise_memory(L);
  return code;
}

/* "function string.rep", of "string\0rep" */
static void named_label(const char *name, size_t len, char *label,
                        size_t size) {
  size_t at = (size_t)snprintf(label, size, "function ");
  size_t skip = len > 3 && memcmp(name, "_G", 3) == 0 ? 3 : 0;
  for (size_t i = skip; i < len && at + 1 < size; i++)
    label[at++] = name[i] ? name[i] : '.';
  label[at] = '\0';
}

lf_code *lfb_code_of_named(lua_State *L, lfb_state *S, int idx,
                           const char *name, size_t len) {
  bool is_c = lua_iscfunction(L, idx);
  lf_code *code = is_c ? lfb_code_cached(L, S, idx) : NULL;
  if (code)
    return code;
  char label[LF_LABEL];
  if (is_c)
    named_label(name, len, label, sizeof label);
  else
    label_of(L, idx, label, sizeof label);
  lfb_slot *slot = is_c ? reserve(L, S, idx) : NULL;
  lf_buf_reset(&S->scratch);
  if (lf_buf_put(&S->scratch, "\0", 1) == 0 && /* no bytecode begins so */
      lf_buf_put_text(&S->scratch, label) == 0)
    code = lf_code_get(S->scratch.data, S->scratch.len, label, NULL);
  if (slot)
    fill(S, slot, lua_topointer(L, idx), code);
  if (!code)
    lfb_raise_memory(L);
  return code;
}

/* --- Closures --- */

enum { FEW_MAKERS = LF_LIMIT(16, 2) };

/* How many upvalues the closure at the top has. */
static int count_upvalues(lua_State *L) {
  int n = 0;
  while (lua_getupvalue(L, -1, n + 1)) {
    lua_pop(L, 1);
    n++;
  }
  return n;
}

static void push_loaded(lua_State *L, const lf_code *code, bool globals) {
  if (luaL_loadbufferx(L, (const char *)code->bytes, code->len, code->label,
                       "b") != LUA_OK)
    lua_error(L);
  for (int i = globals ? count_upvalues(L) : 0; i > 0; i--) {
    lua_pushglobaltable(L);
    lua_setupvalue(L, -2, i);
  }
}

/* Pushes a new maker of closures of the code; false: there can be none. */
static bool push_new_maker(lua_State *L, const lf_code *code) {
  lf_buf bytes = {0};
  const lfb_notes *notes = code->notes;
  if (!notes || !lfb_bytecode_maker(&bytes, code->bytes, code->len, notes)) {
    lf_buf_fini(&bytes);
    return false;
  }
  int status = luaL_loadbufferx(L, (const char *)bytes.data, bytes.len,
                                code->label, "b");
  lf_buf_fini(&bytes);
  if (status != LUA_OK)
    lua_error(L);
  return true;
}

/* Twice as many, or the first; false: there are enough, or there is no memory.
 */
static bool grow_makers(lfb_state *S) {
  unsigned n = S->nmakers ? 2 * S->nmakers : FEW_MAKERS;
  lfb_maker *more = n <= LFB_MAKERS ? lf_zalloc(n * sizeof *more) : NULL;
  if (!more)
    return false;
  for (unsigned i = 0; i < S->nmakers; i++)
    if (S->makers[i].code)
      more[S->makers[i].code % n] = S->makers[i];
  lf_free(S->makers);
  S->makers = more;
  S->nmakers = n;
  return true;
}

/* The slot for the code's maker, which is the last code's that came there. */
static lfb_maker *maker_of(lua_State *L, lfb_state *S, const lf_code *code) {
  if (!S->nmakers && !grow_makers(S))
    lfb_raise_memory(L);
  lfb_maker *m = &S->makers[code->id % S->nmakers];
  while (m->code && m->code != code->id && grow_makers(S))
    m = &S->makers[code->id % S->nmakers];
  if (m->code == code->id)
    return m;
  int ref = m->ref;
  *m = (lfb_maker){code->id, 0};
  if (ref > 0)
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
  return m;
}

/* Pushes the code's maker. Code that comes once is loaded; code that comes
 * again gets a maker, as a call in Lua costs much less than loading. */
static bool push_maker(lua_State *L, lfb_state *S, const lf_code *code) {
  lfb_maker *m = maker_of(L, S, code);
  if (m->ref > 0) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->ref);
    return true;
  }
  if (m->ref == 0) {
    m->ref = LUA_NOREF; /* the next time */
    return false;
  }
  if (!push_new_maker(L, code))
    return false;
  lua_pushvalue(L, -1);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  m = maker_of(L, S, code); /* a finalizer may have loaded others */
  if (m->ref > 0)
    luaL_unref(L, LUA_REGISTRYINDEX, m->ref);
  m->ref = ref;
  return true;
}

void lfb_push_closure(lua_State *L, lfb_state *S, const lf_code *code,
                      bool globals) {
  if (!push_maker(L, S, code)) {
    push_loaded(L, code, globals);
    return;
  }
  int n = globals ? (int)((const lfb_notes *)code->notes)->upvalues : 0;
  if (n > 10)
    luaL_checkstack(L, n, "upvalues");
  for (int i = 0; i < n; i++)
    lua_pushglobaltable(L);
  lua_call(L, n, 1);
}
