/* SPDX-License-Identifier: MIT
 *
 * See identity.h. Both maps are weak: a table that nobody uses any more
 * leaves nothing behind. */
#include "bindings/pack/identity.h"

#include <string.h>

/* What the map of identities says of a table: the identity and one byte. */
enum { CLASS = LFB_IDENTITY, SIZE = CLASS + 1 };

/* Pushes the table's entry, or nothing; NULL then. */
static const char *push_entry(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lfb_push_ref(L, LFB_REF_IDS);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  const char *entry = lua_tostring(L, -1);
  if (!entry)
    lua_pop(L, 1);
  return entry;
}

bool lfb_identity_class(lua_State *L, int idx) {
  const char *entry = push_entry(L, idx);
  if (!entry)
    return false;
  if (entry[CLASS])
    return true;
  lua_pop(L, 1);
  return false;
}

void lfb_identity_make(lua_State *L, lfb_state *S, int idx, bool class) {
  char identity[LFB_IDENTITY];
  idx = lua_absindex(L, idx);
  const char *entry = push_entry(L, idx);
  if (entry && (entry[CLASS] || !class))
    return;
  if (entry) {
    memcpy(identity, entry, LFB_IDENTITY);
    lua_pop(L, 1);
  } else {
    uint64_t number = ++S->next_table;
    memcpy(identity, &S->id, 8);
    memcpy(identity + 8, &number, 8);
  }
  lua_pushvalue(L, idx);
  lfb_identity_set(L, identity, class, true);
  lua_pop(L, 1);
  lua_pushlstring(L, identity, LFB_IDENTITY);
}

void lfb_identity_set(lua_State *L, const void *identity, bool class,
                      bool known) {
  char entry[SIZE];
  memcpy(entry, identity, LFB_IDENTITY);
  entry[CLASS] = class;
  lfb_push_ref(L, LFB_REF_IDS);
  lua_pushvalue(L, -2);
  lua_pushlstring(L, entry, SIZE);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  if (!known)
    return;
  lfb_push_ref(L, LFB_REF_BY_ID);
  lua_pushlstring(L, identity, LFB_IDENTITY);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

bool lfb_identity_find(lua_State *L, const void *identity) {
  lfb_push_ref(L, LFB_REF_BY_ID);
  lua_pushlstring(L, identity, LFB_IDENTITY);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_istable(L, -1))
    return true;
  lua_pop(L, 1);
  return false;
}
