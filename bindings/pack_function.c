/* SPDX-License-Identifier: MIT
 *
 * Functions: their code, upvalues and the globals that they name. See packer.h.
 */
#include "closure.h"
#include "names.h"
#include "packer.h"
#include "setup.h"

bool lfb_is_globals(lua_State *L) {
  lua_pushglobaltable(L);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return is;
}

bool lfb_push_captured(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1) && !lfb_is_standard(L, name))
    return true;
  lua_pop(L, 1);
  return false;
}

/* Has the function at the top nothing to capture? */
static bool is_shared(packer *P, const lf_code *code) {
  lua_State *L = P->L;
  bool env = false;
  for (int i = 1; lua_getupvalue(L, -1, i); i++) {
    bool globals = lfb_is_globals(L);
    lua_pop(L, 1);
    if (!globals)
      return false;
    env = true;
  }
  const lfb_globals *g = code->notes;
  const char *name = g ? g->names : NULL;
  for (size_t i = 0; g && env && i < g->count;
       i++, name = lfb_next_global(name))
    if (lfb_push_captured(L, name)) {
      lua_pop(L, 1);
      return false;
    }
  return true;
}

static void put_code(packer *P, lfb_tag tag, lf_code *code) {
  put(P, tag, &code, sizeof(void *));
  bool first = P->code && !*P->code && P->current == LFB_ROOT;
  if (first)
    *P->code = lf_code_ref(code); /* which keeps it alive here, too */
  if (P->wire || (!first && (!P->code || *P->code != code)))
    put_ref(P, P->out->len - sizeof code, lf_code_ref(code), lf_code_unref);
}

void lfb_pack_function(packer *P) {
  lua_State *L = P->L;
  if (lfb_pack_seen(P))
    return;
  lf_code *code = NULL;
  if (!lua_iscfunction(L, -1))
    code = lfb_code_cached(L, P->S, -1);
  if (!code && lfb_pack_named(P))
    return;
  if (lua_iscfunction(L, -1)) {
    lfb_pack_refuse(P);
    return;
  }
  if (!code)
    code = lfb_code_of(L, P->S, -1);
  if (is_shared(P, code)) {
    put_code(P, LFB_T_SHARED, code);
    return;
  }
  put_code(P, LFB_T_CLOSURE, code);
  lfb_packer_object(P, true);
}

/* A large table that the workers have already, as it is? */
static bool pack_pictured(packer *P) {
  if (!lfb_is_pool(P->wire) || P->S->wire == P->wire ||
      lfb_packer_find(P, lua_topointer(P->L, -1)))
    return false;
  const lfb_setup *setup = lf_pool_setup(P->wire);
  int i = lfb_picture_find(P->L, P->S, setup->picture);
  if (i < 0)
    return false;
  uint32_t number = (uint32_t)i;
  put(P, LFB_T_PICTURE, &number, sizeof number);
  lfb_packer_object(P, false);
  return true;
}

/* The value at the top is an upvalue or a global: a table among these may be
 * used as a metatable in the worker. */
static void pack_captured(packer *P) {
  if (lua_istable(P->L, -1) && pack_pictured(P))
    return;
  P->capturing = true;
  lfb_pack_value(P);
  P->capturing = false;
}

static void pack_upvalue(packer *P, uint32_t n, int function, int i) {
  lua_State *L = P->L;
  void *cell = lua_upvalueid(L, function, i);
  lfb_memo *e = lfb_packer_find(P, cell);
  if (lfb_is_globals(L)) {
    put_tag(P, LFB_T_ENV);
  } else if (e) {
    put(P, LFB_T_JOIN, &e->value, sizeof e->value);
    *room(P, 1) = (unsigned char)e->index;
  } else {
    lfb_packer_note(P, cell, n, (uint32_t)i);
    pack_captured(P);
  }
}

/* The globals that the code names and that no function before it named:
 * the memo knows them by the address of their name's string. */
static void pack_globals(packer *P, const lf_code *code) {
  lua_State *L = P->L;
  const lfb_globals *g = code->notes;
  const char *name = g ? g->names : NULL;
  for (size_t i = 0; g && i < g->count; i++, name = lfb_next_global(name)) {
    const void *key = lua_pushstring(L, name);
    bool known = lfb_packer_find(P, key) != NULL;
    if (!known && lfb_push_captured(L, name)) {
      lfb_packer_note(P, key, 0, 0);
      lua_insert(L, -2);
      lfb_pack_value(P);
      lua_insert(L, -2);
      pack_captured(P);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
}

void lfb_pack_function_body(packer *P, uint32_t n, int function) {
  lua_State *L = P->L;
  lf_code *code = lfb_code_of(L, P->S, function); /* kept by put_code */
  bool env = false;
  for (int i = 1; lua_getupvalue(L, function, i); i++) {
    env = env || lfb_is_globals(L);
    pack_upvalue(P, n, function, i);
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
  if (env)
    pack_globals(P, code);
  else
    put_tag(P, LFB_T_END);
}
