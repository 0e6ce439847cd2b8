/* SPDX-License-Identifier: MIT
 *
 * See process_pool.h. */
#include "bindings/process/process_pool.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/pool/executor.h"
#include "bindings/process/process_worker.h"
#include "bindings/process/snapshot.h"
#include "bindings/worker/chunk.h"
#include "runtime/base/mem.h"
#include "runtime/process/processes.h"

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
  return lfb_state_find(L)->global->is_lfut ? lf_strndup(self, sizeof self - 1)
                                            : NULL;
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

/* Near the module: where it was built, .libs/lfut.so, or under the prefix with
 * which both were installed, lib/lua/<version>/lfut.so. */
static char *near_program(void) {
  Dl_info info;
  char path[PATH_MAX], folder[PATH_MAX + 16];
  if (!dladdr((void *)(uintptr_t)lfb_process_pool_executor, &info) ||
      !realpath(info.dli_fname, path))
    return NULL;
  const char *dir = dirname(path);
  bool built = ends_with(dir, "/.libs");
  if (built)
    snprintf(folder, sizeof folder, "%s/..", dir);
  else if (ends_with(dir, "/lib/" LFB_LUA_FOLDER))
    snprintf(folder, sizeof folder, "%s/../../../bin", dir);
  else
    return NULL;
  return if_program(folder, built ? "lfut" : LF_PROGRAM);
}

char *lfb_program_path(lua_State *L) {
  char *path = own_program(L);
  path = path ? path : near_program();
  path = path ? path : if_program(LF_BINDIR, LF_PROGRAM);
  if (!path)
    luaL_error(L,
               "cannot find the program %s, which workers need that are not "
               "forked (it is not in %s)",
               LF_PROGRAM, LF_BINDIR);
  return path;
}

/* --- Starting workers --- */

/* Goes into the setup or the options. */
static void prepare(lua_State *L, lfb_state *S, lfb_setup *setup,
                    lf_pool_options *options) {
  options->max_tasks = (uint64_t)lfb_optional_integer(L, LFB_MAX_TASKS, 0);
  if (strcmp(lfb_optional_string(L, LFB_START_METHOD, "fork"), "fork") == 0) {
    setup->image = S;
    setup->adopt = lfb_adopt;
    lfb_chunk_open(L, S); /* once, not in each worker */
    setup->known = lfb_snapshot_take(L, S);
    return;
  }
  lfb_greeting_pack(L, S, setup, LFB_INITIALIZER, &lfb_reach_anywhere);
  options->program = lfb_program_path(L);
  options->greeting = &setup->greeting;
}

static void start(lua_State *L, lfb_state *S, lf_pool *pool) {
  (void)S;
  char why[300];
  lfb_setup *setup = lf_pool_setup(pool);
  lfb_setup_reach(pool, setup->known);
  if (lf_pool_processes(pool, why, sizeof why) != 0)
    luaL_error(L, "%s", why);
}

int lfb_process_pool_executor(lua_State *L) {
  static const lfb_kind processes = {.name = "process",
                                     .backend = &lf_processes_backend,
                                     .reach = &lfb_reach_anywhere,
                                     .prepare = prepare,
                                     .start = start};
  return lfb_executor_new(L, &processes);
}
