/* SPDX-License-Identifier: MIT
 *
 * The path to a value that cannot travel, looked for only then. See packer.h.
 */
#include <stdio.h>

#include "closure.h"
#include "error.h"
#include "packer.h"
#include "setup.h"

/* All of these push a string. */

static void push_path(packer *P, uint32_t parent, int child);

static bool is_identifier(const char *s, size_t len) {
  if (len == 0 || (s[0] >= '0' && s[0] <= '9'))
    return false;
  for (size_t i = 0; i < len; i++)
    if (!(s[i] == '_' || (s[i] >= '0' && s[i] <= '9') ||
          (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')))
      return false;
  return true;
}

static void push_key(lua_State *L, int key) {
  size_t len;
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, key, &len);
    lua_pushfstring(L, is_identifier(s, len) ? ".%s" : "[\"%s\"]", s);
  } else {
    luaL_tolstring(L, key, NULL);
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}

/* Where in the table the child is: ".x", "(key)", "(metatable)". */
static void push_place(lua_State *L, int table, int child) {
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    bool value = lua_rawequal(L, -1, child);
    if (!value && !lua_rawequal(L, -2, child))
      continue;
    if (value)
      push_key(L, lua_gettop(L) - 1);
    else
      lua_pushliteral(L, "(key)");
    lua_replace(L, -3);
    lua_pop(L, 1);
    return;
  }
  lua_pushliteral(L, "(metatable)");
}

/* "upvalue 'x'", "global 'x'". */
static void push_captured_name(packer *P, int function, int child) {
  lua_State *L = P->L;
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, function, i)); i++) {
    bool found = lua_rawequal(L, -1, child);
    lua_pop(L, 1);
    if (found) {
      lua_pushfstring(L, "upvalue '%s'", name);
      return;
    }
  }
  const lfb_globals *g = lfb_code_of(L, P->S, function)->notes;
  name = g ? g->names : "";
  for (size_t i = 0; g && i < g->count; i++, name = lfb_next_global(name)) {
    bool found = lfb_push_captured(L, name) && lua_rawequal(L, -1, child);
    if (found) {
      lua_pop(L, 1);
      break;
    }
  }
  lua_pushfstring(L, "global '%s'", name);
}

/* What the stream is about: "argument 2", or the path to its subject. */
static void push_root(packer *P, uint32_t i) {
  lua_State *L = P->L;
  if (P->outer)
    push_path((packer *)P->outer, P->outer->current, P->subject);
  else if (P->label->number)
    lua_pushfstring(L, "%s %I", P->label->what, (LUAI_UACINT)P->label->number);
  else if (P->label->first == 0)
    lua_pushstring(L, P->label->what);
  else if (P->label->first < 0 && i == 0)
    lua_pushliteral(L, "function");
  else
    lua_pushfstring(L, "%s %d", P->label->what,
                    (int)i + (P->label->first > 0 ? P->label->first : 0));
}

/* The path to the child met in the body of 'parent': what it starts from, the
 * way from there, and, if it starts from a function, which. */
static void push_path(packer *P, uint32_t parent, int child) {
  lua_State *L = P->L;
  luaL_checkstack(L, 20, "too many objects within objects to send");
  int top = lua_gettop(L);
  lua_pushliteral(L, "");  /* top + 1: the way */
  lua_pushvalue(L, child); /* top + 2: the child */
  lua_pushliteral(L, "");  /* top + 3: " of function <...>" */
  while (parent < LFB_ROOT) {
    lua_rawgeti(L, P->base + LFB_ANCHOR, (lua_Integer)parent + 1);
    if (lua_isfunction(L, -1)) {
      push_captured_name(P, top + 4, top + 2);
      lua_pushfstring(L, " of %s", lfb_code_of(L, P->S, top + 4)->label);
      lua_replace(L, top + 3);
      break;
    }
    push_place(L, top + 4, top + 2);
    lua_pushvalue(L, top + 1);
    lua_concat(L, 2);
    lua_replace(L, top + 1);
    lua_replace(L, top + 2);
    parent = ((lfb_objrec *)P->objs.data)[parent].parent;
  }
  if (parent >= LFB_ROOT)
    push_root(P, parent - LFB_ROOT);
  lua_pushvalue(L, top + 1);
  lua_pushvalue(L, top + 3);
  lua_concat(L, 3);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* "userdata FILE*" */
static void push_kind(lua_State *L, int idx) {
  if (lua_iscfunction(L, idx))
    lua_pushliteral(L, "C function");
  else if (lua_islightuserdata(L, idx))
    lua_pushliteral(L, "light userdata");
  else if (lua_isuserdata(L, idx) &&
           luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
    lua_pushfstring(L, "userdata %s", lua_tostring(L, -1));
  else
    lua_pushstring(L, luaL_typename(L, idx));
}

/* Handles travel, but not everywhere. */
static const char *why_not(packer *P, int value) {
  bool crosses = P->wire && P->wire != LFB_THIS_PROCESS;
  for (int i = 0; crosses && lfb_handles[i].push; i++)
    if (lfb_test(P->L, P->S, value, lfb_handles[i].class))
      return ", which cannot cross into another process";
  return "";
}

void lfb_pack_refuse(packer *P) {
  lua_State *L = P->L;
  luaL_checkstack(L, 20, "too many values to send");
  int value = lua_gettop(L);
  push_path(P, P->current, value);
  const char *path = lua_tostring(L, -1);
  push_kind(L, value);
  lfb_push_error(L, "TransferError", "cannot send %s (%s%s) %s", path,
                 lua_tostring(L, -1), why_not(P, value), P->label->where);
  lua_error(L);
}
