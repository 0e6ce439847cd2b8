/* SPDX-License-Identifier: MIT
 *
 * See process_worker.h. */
#include "bindings/process/process_worker.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/pack/names.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/process/snapshot.h"
#include "bindings/program/program.h"
#include "bindings/run/forked.h"
#include "bindings/run/output.h"
#include "bindings/run/standard.h"
#include "bindings/worker/chunk.h"
#include "bindings/worker/vm.h"
#include "runtime/base/mem.h"
#include "runtime/process/serve.h"

/* --- Forked --- */

void lfb_adopt(lua_State *L, struct lf_vm *vm) {
  lfb_state *S = lfb_state_find(L);
  lfb_forked(L, S);
  vm->S = S;
  S->vm = vm;
  S->waker = &vm->callbacks.waker;
  S->wire = lf_worker_pool(vm->worker);
  S->reach = lfb_setup_reach(S->wire, NULL);
  lfb_output_open(L, S);
  lfb_standard_adopt(L, S);
  lfb_names_renew(L, S);
  lfb_part_open(L);
  const lfb_setup *setup = lf_pool_setup(S->wire);
  lfb_picture_keep(L, setup->known);
}

/* --- Spawned --- */

void lfb_setup_greet(lua_State *L, lfb_state *S, lfb_setup *setup, int idx) {
  const lfb_label label = {.what = "setting",
                           .first = 1,
                           .where = "to a worker",
                           .reach = &lfb_reach_anywhere};
  lf_buf *out = &setup->greeting;
  int top = lua_gettop(L);
  lfb_start_pack(L, S, out);
  uint64_t second = out->len;
  lua_pushboolean(L, S->home->warns);
  lua_pushinteger(L, S->home->workers);
  lua_pushboolean(L, !lua_isnil(L, idx));
  lfb_pack(L, S, out, top + 1, 3, &label, NULL);
  lua_settop(L, top);
  if (!lua_isnil(L, idx))
    lfb_initializer_pack(L, S, out, idx, &lfb_reach_anywhere);
  if (lf_buf_put(out, &second, sizeof second) != 0)
    luaL_error(L, "not enough memory");
}

/* Protected: the setup of this process, from the greeting. The interpreter at
 * hand only serves to read a few values. */
typedef struct {
  lf_buf *greeting;
  lfb_setup *setup;
} making;

/* For home->open; set at the beginning. */
static void (*open_module)(lua_State *L, lfb_state *S);

static int make_setup(lua_State *L) {
  making *m = lua_touserdata(L, 1);
  lfb_state *S = lfb_state_new(L, NULL, NULL);
  lfb_setup *setup = lf_zalloc(sizeof *setup);
  const lfb_start *start = lfb_start_publish(S->home, m->greeting);
  if (!setup || !start)
    return luaL_error(L, "not enough memory");
  uint64_t second;
  memcpy(&second, start->packed.data + start->packed.len - sizeof second,
         sizeof second);
  size_t at = (size_t)second;
  int top = lua_gettop(L);
  lfb_unpack(L, S, &start->packed, &at, NULL);
  setup->home = lfb_home_ref(S->home);
  setup->home->is_lfut = true;
  setup->home->open = open_module;
  setup->home->warns = lua_toboolean(L, top + 1);
  setup->home->workers = (int)lua_tointeger(L, top + 2);
  setup->has_initializer = lua_toboolean(L, top + 3);
  setup->initializer_in = &start->packed;
  setup->initializer_at = at;
  setup->kind = "process";
  m->setup = setup;
  return 0;
}

static void *read_greeting(lf_buf *greeting) {
  making m = {.greeting = greeting};
  lua_State *L = luaL_newstate();
  if (!L)
    return NULL;
  lua_pushcfunction(L, make_setup);
  lua_pushlightuserdata(L, &m);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  lua_close(L);
  return ok ? m.setup : NULL;
}

void lfb_spawned_main(const char *id, const char *parent,
                      void (*open)(lua_State *L, lfb_state *S)) {
  open_module = open;
  lf_remote_spawned(atoi(id), atoi(parent), &lfb_vmops, read_greeting);
}

/* --- The program --- */

/* A new string if there is such a program. */
static char *if_program(const char *folder, const char *name) {
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s/%s", folder, name);
  if (n >= (int)sizeof path || access(path, X_OK) != 0)
    return NULL;
  return lf_strndup(path, strlen(path));
}

/* This program, if it is lfut; also if its file has been replaced meanwhile. */
static char *own_program(lua_State *L) {
  static const char self[] = "/proc/self/exe";
  return lfb_state_find(L)->home->is_lfut ? lf_strndup(self, sizeof self - 1)
                                          : NULL;
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

/* Near the module: where it was built, .libs/lfut.so, or under the prefix with
 * which both were installed, lib/lua/5.4/lfut.so. */
static char *near_program(void) {
  Dl_info info;
  char path[PATH_MAX], folder[PATH_MAX + 16];
  if (!dladdr((void *)(uintptr_t)luaopen_lfut, &info) ||
      !realpath(info.dli_fname, path))
    return NULL;
  const char *dir = dirname(path);
  if (ends_with(dir, "/.libs"))
    snprintf(folder, sizeof folder, "%s/..", dir);
  else if (ends_with(dir, "/lib/lua/5.4"))
    snprintf(folder, sizeof folder, "%s/../../../bin", dir);
  else
    return NULL;
  return if_program(folder, "lfut");
}

char *lfb_program_path(lua_State *L) {
  char *path = own_program(L);
  path = path ? path : near_program();
  path = path ? path : if_program(LF_BINDIR, "lfut");
  if (!path)
    luaL_error(L,
               "cannot find the program lfut, which start_method 'spawn' "
               "needs (it is not in %s)",
               LF_BINDIR);
  return path;
}
