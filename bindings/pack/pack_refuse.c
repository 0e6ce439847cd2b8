/* SPDX-License-Identifier: MIT
 *
 * The path to a value that cannot travel, looked for only then. See internal.h.
 */
#include "bindings/core/error.h"
#include "bindings/pack/c_function.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/internal.h"

enum {
  PIECES = 20, /* of a long path, at either end */
  MOST = 1600, /* bytes of a path */
};

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

/* The key at 'key' without calling metamethods. */
static void push_key(lua_State *L, int key) {
  size_t len;
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, key, &len);
    lua_pushfstring(L, is_identifier(s, len) ? ".%s" : "[\"%s\"]", s);
  } else if (lua_type(L, key) == LUA_TNUMBER || lua_isboolean(L, key)) {
    luaL_tolstring(L, key, NULL);
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushfstring(L, "[%s]", luaL_typename(L, key));
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
  for (size_t i = 0; i < P->globals.n; i++) {
    const lfb_globalrec *g = (lfb_globalrec *)P->globals.data + i;
    bool found = lfb_push_global(L, g);
    bool same = found && lua_rawequal(L, -1, child);
    lua_pop(L, found);
    if (same && g->added)
      lua_pushfstring(L, "'%s.%s'", g->name, g->name + strlen(g->name) + 1);
    else if (same)
      lua_pushfstring(L, "global '%s'", g->name);
    if (same)
      return;
  }
  lua_pushliteral(L, "something");
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

/* Pushes what has the number, an object or a class; returns that of what it is
 * a part of. */
static uint32_t push_chunk(packer *P, uint32_t number) {
  lfb_packer_push(P, number);
  if (number < LFB_CLASS_BASE)
    return ((lfb_objrec *)P->objs.data)[number].parent;
  return ((lfb_classrec *)P->classes.data)[number - LFB_CLASS_BASE].parent;
}

/* How many tables there are on the way from the root, or from a function, to
 * a part of 'parent'. */
static size_t count_steps(packer *P, uint32_t parent) {
  size_t n = 0;
  for (bool table = true; table && parent < LFB_ROOT; n += table) {
    parent = push_chunk(P, parent);
    table = lua_istable(P->L, -1);
    lua_pop(P->L, 1);
  }
  return n;
}

/* A string at the top that is too long loses its middle. */
static void shorten(lua_State *L, size_t most) {
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  if (len <= most)
    return;
  lua_pushlstring(L, s, most / 2);
  lua_pushliteral(L, "...");
  lua_pushlstring(L, s + len - most / 2, most / 2);
  lua_concat(L, 3);
  lua_replace(L, -2);
}

/* Puts the piece at the top in front of the way at 'way', and pops it; in the
 * middle of a long one there is no piece. */
static void prepend(lua_State *L, int way) {
  shorten(L, MOST / 4);
  lua_pushvalue(L, way);
  lua_concat(L, 2);
  lua_replace(L, way);
}

/* The path to the child met in the body of 'parent': what it starts from, the
 * way from there, and, if it starts from a function, which. */
static void push_path(packer *P, uint32_t parent, int child) {
  lua_State *L = P->L;
  luaL_checkstack(L, 30, "too many objects within objects to send");
  int top = lua_gettop(L), way = top + 1, inner = top + 2, part = top + 3;
  size_t steps = count_steps(P, parent);
  lua_pushliteral(L, ""); /* the way */
  lua_pushvalue(L, child);
  for (size_t i = steps; i > 0; i--) { /* from the child outwards */
    uint32_t next = push_chunk(P, parent);
    bool near = i > steps - PIECES || steps < 2 * PIECES;
    if (near || i <= PIECES) {
      push_place(L, part, inner);
      prepend(L, way);
    } else if (i == PIECES + 1) {
      lua_pushliteral(L, "...");
      prepend(L, way);
    }
    lua_replace(L, inner);
    parent = next;
  }
  if (parent >= LFB_ROOT) {
    push_root(P, parent - LFB_ROOT);
    lua_pushvalue(L, way);
    lua_concat(L, 2);
  } else {
    push_chunk(P, parent);
    push_captured_name(P, part, inner);
    lua_pushvalue(L, way);
    lf_code *code = lfb_code_of(L, P->S, part);
    char label[LF_LABEL];
    memcpy(label, code->label, sizeof label);
    lf_code_unref(code);
    lua_pushfstring(L, " of %s", label);
    lua_concat(L, 3);
  }
  shorten(L, MOST);
  lua_replace(L, way);
  lua_settop(L, way);
}

/* "userdata FILE*" */
static void push_kind(lua_State *L, int idx) {
  if (lfb_is_opaque(L, idx))
    lfb_push_c_function(L, idx);
  else if (lua_islightuserdata(L, idx))
    lua_pushliteral(L, "light userdata");
  else if (lua_isuserdata(L, idx) &&
           luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
    lua_pushfstring(L, "userdata %s", lua_tostring(L, -1));
  else
    lua_pushstring(L, luaL_typename(L, idx));
  shorten(L, 100);
}

/* Handles travel, but not everywhere. */
static const char *why_not(packer *P, int value) {
  const lfb_descriptor *class = lfb_class_at(P->L, P->S, value);
  if (!class || !lfb_reach_is_far(P->reach))
    return "";
  return class->local    ? ", which stays on this machine"
         : class->handle ? ", which cannot cross into another process"
                         : "";
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
