/* SPDX-License-Identifier: MIT
 *
 * See module.h. */
#include "bindings/cluster/module.h"

#ifdef LF_CLUSTER

#include <unistd.h>

#include "bindings/cluster/cluster.h"
#include "bindings/core/box.h"
#include "bindings/core/options.h"
#include "bindings/engine/compat.h"
#include "runtime/base/mem.h"
#include "runtime/cluster/modules.h"

/* Pushes why there is none. */
static int push_none(lua_State *L, const char *name) {
  char host[64] = "?";
  (void)gethostname(host, sizeof host - 1);
  lua_pushfstring(L,
                  "\n\tno module '%s' on host '%s', nor in the package.path of "
                  "the script",
                  name, host);
  return 1;
}

/* (name) -> loader, file; or why not. The client's id is an upvalue. */
static int search(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *client = lua_tostring(L, lua_upvalueindex(2));
  lfb_box *text = lfb_push_box(L, lf_free), *file = lfb_push_box(L, lf_free);
  lfb_cluster_init();
  size_t len = 0;
  char *named = NULL;
  text->content = lf_module_ask(client, name, &len, &named);
  file->content = named;
  if (!text->content || !named)
    return push_none(L, name);
  lua_pushfstring(L, "@%s", named);
  const char *chunk = lua_tostring(L, -1);
  if (luaL_loadbufferx(L, text->content, len, chunk, NULL) != LUA_OK)
    return luaL_error(L,
                      "error loading module '%s' from the script's file "
                      "'%s':\n\t%s",
                      name, named, lua_tostring(L, -1));
  lua_pushstring(L, named);
  return 2;
}

void lfb_module_open(lua_State *L, lfb_state *S) {
  const char *client = S->global->client;
  if (!client)
    return;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  if (lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
    lua_pushlightuserdata(L, S);
    lua_pushstring(L, client);
    lua_pushcclosure(L, search, 2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_pop(L, 3);
}

#else

void lfb_module_open(lua_State *L, lfb_state *S) {
  (void)L;
  (void)S;
}

#endif
