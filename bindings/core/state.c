/* SPDX-License-Identifier: MIT
 *
 * See state.h. */
#include "bindings/core/state.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/os/spin.h"
#include "runtime/pool/registry.h"
#include "runtime/shm/array.h"

static const char refs[LFB_REF_COUNT];
static const char state_key;
static _Atomic uint64_t last_id;

void lfb_push_ref(lua_State *L, lfb_ref ref) {
  lfb_registry_push(L, &refs[ref]);
}

void lfb_set_ref(lua_State *L, lfb_ref ref) {
  lfb_registry_set(L, &refs[ref]);
}

lfb_state *lfb_state_find(lua_State *L) {
  lfb_registry_push(L, &state_key);
  lfb_state *S = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return S;
}

lfb_global *lfb_global_ref(lfb_global *global) {
  atomic_fetch_add(&global->refs, 1);
  return global;
}

void lfb_global_unref(lfb_global *global) {
  if (atomic_fetch_sub(&global->refs, 1) != 1)
    return;
  lf_registry_fini(&global->registry);
  if (global->start.latest)
    global->start.free(global->start.latest);
  lf_buf *drivers = global->drivers;
  if (drivers) {
    lf_buf_fini(drivers);
    lf_free(drivers);
  }
  pthread_mutex_destroy(&global->lock);
  lf_free(global);
}

static lfb_global *global_new(void) {
  lfb_global *global = lf_zalloc(sizeof *global);
  if (!global)
    return NULL;
  atomic_init(&global->refs, 1);
  global->generation = lf_generation;
  lf_parker_init(&global->parker);
  lf_registry_init(&global->registry, &global->parker);
  pthread_mutex_init(&global->lock, NULL);
  return global;
}

void lfb_raise_closed(lua_State *L) {
  luaL_error(L, "lfut is closed: the interpreter ends");
  abort();
}

/* Closes the state; its memory lasts longer, as the interpreter frees all
 * objects after all finalizers. */
static int state_gc(lua_State *L) {
  lfb_state *S = lua_touserdata(L, 1);
  for (int i = 0; i < LFB_CLOSERS && S->closers[i]; i++)
    S->closers[i](S);
  for (int i = 0; S->slots && i < LFB_SLOTS; i++)
    if (S->slots[i].code)
      lf_code_unref(S->slots[i].code);
  lf_free(S->slots);
  lf_free(S->makers);
  S->slots = NULL;
  S->makers = NULL;
  S->nmakers = 0;
  lf_buf_fini(&S->scratch);
  lf_buf_fini(&S->plain);
  if (S->global)
    lfb_global_unref(S->global);
  S->global = NULL;
  lf_array_sweep(); /* the last handles are gone */
  return 0;
}

void lfb_at_close(lfb_state *S, lfb_closer closer) {
  int i = 0;
  while (i < LFB_CLOSERS && S->closers[i] && S->closers[i] != closer)
    i++;
  lf_check(i < LFB_CLOSERS);
  S->closers[i] = closer;
}

void lfb_new_ref(lua_State *L, lfb_ref ref, const char *mode) {
  lua_newtable(L);
  if (mode) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lfb_set_ref(L, ref);
}

static void new_refs(lua_State *L) {
  lfb_new_ref(L, LFB_REF_SLOTS, "v");
  lfb_new_ref(L, LFB_REF_NAMES, "k");
  lfb_new_ref(L, LFB_REF_NAMED, "v");
  lfb_new_ref(L, LFB_REF_MODULES, NULL);
  lfb_new_ref(L, LFB_REF_ORIGINALS, "k");
  lfb_new_ref(L, LFB_REF_ADDITIONS, NULL);
  lfb_new_ref(L, LFB_REF_BY_NAME, NULL);
  lfb_new_ref(L, LFB_REF_STANDARD, NULL);
  lfb_new_ref(L, LFB_REF_IDS, "k");
  lfb_new_ref(L, LFB_REF_BY_ID, "v");
  lfb_new_ref(L, LFB_REF_VERSIONS, "k");
  lfb_new_ref(L, LFB_REF_HANDLES, "v");
  lfb_new_ref(L, LFB_REF_CALLBACKS, NULL);
  lfb_new_ref(L, LFB_REF_LOOP, NULL);
  lfb_new_ref(L, LFB_REF_BORROWED, NULL);
  lfb_new_ref(L, LFB_REF_LAST_ERROR, NULL);
}

lfb_state *lfb_state_new(lua_State *L, lfb_global *global, struct lf_vm *vm) {
  lfb_state *S = lua_newuserdatauv(L, sizeof *S, 0);
  memset(S, 0, sizeof *S);
  S->id = atomic_fetch_add(&last_id, 1) + 1;
  S->vm = vm;
  S->out = stdout;
  S->err = stderr;
  S->news = LFB_NEWS;
  S->L = S->running = lfb_main_thread(L);
  lf_list_init(&S->callbacks);
  lf_list_init(&S->lent);
  lf_list_init(&S->returned);
  S->global = global ? lfb_global_ref(global) : global_new();
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  if (!S->global)
    luaL_error(L, LF_NO_MEMORY);
  lfb_registry_set(L, &state_key);
  new_refs(L);
  lfb_steps_open(L, S);
  return S;
}

bool lfb_state_renew(lfb_state *S) {
  lfb_global *global = global_new();
  if (!global)
    return false;
  lf_count_awake(-1); /* the thread has been counted */
  global->workers = S->global->workers;
  global->warns = S->global->warns;
  global->is_lfut = S->global->is_lfut;
  global->open = S->global->open;
  global->former = S->global;
  S->global = global;
  atomic_store(&last_id, lf_unique());
  S->id = atomic_fetch_add(&last_id, 1) + 1;
  return true;
}

void lfb_copy_pairs(lua_State *L, int from, int to) {
  for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, to);
  }
}

void lfb_setfuncs(lua_State *L, lfb_state *S, const luaL_Reg *funcs) {
  luaL_checkstack(L, 4, "functions");
  for (; funcs->name; funcs++) {
    const char *name = funcs->name;
    bool step = *name == *LFB_STEP;
    lua_pushlightuserdata(L, S);
    if (strcmp(name, "__tostring") == 0)
      lfb_push_tostring(L, funcs->func);
    else
      lua_pushcclosure(L, funcs->func, 1);
    if (step)
      lfb_push_step(L);
    lua_setfield(L, -2, name + step);
  }
}
