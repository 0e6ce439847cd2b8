/* SPDX-License-Identifier: MIT
 *
 * See gather.h. An outcome has the list of results at 1, and once an item has
 * failed the fields 'failed', 'error' and 'trace' of the first that has. */
#include "bindings/pool/gather.h"

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/future.h"
#include "bindings/pool/loop.h"
#include "bindings/pool/results.h"
#include "bindings/pool/supply.h"
#include "bindings/run/wait.h"
#include "runtime/os/clock.h"

enum { CHUNKS = 4 }; /* for each worker, if nothing is said of their size */

/* --- Starting --- */

/* Replaces the n values at the top by a table of arguments. */
static void pack_arguments(lua_State *L, int n) {
  lua_createtable(L, n, 1);
  lua_insert(L, -n - 1);
  for (int i = n; i >= 1; i--)
    lua_rawseti(L, -i - 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
}

/* Puts a list in the place of the items at 3, of which nobody knows how many
 * they are. Each is a table of arguments then. */
static uint64_t read_items(lua_State *L, lfb_source *s, bool star) {
  lua_Integer count = 0;
  int kept = lua_gettop(L), n;
  lua_newtable(L);
  while ((n = lfb_source_next(L, s, kept)) > 0) {
    if (!star || n > 1)
      pack_arguments(L, n);
    lua_rawseti(L, kept + 1, ++count);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  lua_replace(L, 3);
  return (uint64_t)count;
}

/* How many items there are; '*star' as it is to be from now on. */
static uint64_t count_items(lua_State *L, bool *star) {
  lfb_source s;
  lfb_source_open(L, 3, &s);
  uint64_t n = s.total;
  s.waits = true; /* a queue: until it is closed */
  if (!s.known) {
    n = read_items(L, &s, *star);
    *star = true;
  }
  lua_settop(L, 3);
  return n;
}

/* Pushes the options of the loop. */
static void push_options(lua_State *L, lua_Integer chunksize, uint64_t n) {
  if (chunksize == 0) {
    lf_pool *pool = lfb_check_executor(L, 1)->pool;
    uint64_t chunks = CHUNKS * (uint64_t)lf_pool_max_workers(pool);
    chunksize = (lua_Integer)(n / chunks + (n % chunks > 0));
  }
  lua_createtable(L, 0, 1);
  lua_pushinteger(L, chunksize > 0 ? chunksize : 1);
  lua_setfield(L, -2, "chunksize");
}

/* Pushes a future for the end of something. */
static lf_task *push_over(lua_State *L) {
  lf_task **slot = lfb_new_future(L, lfb_self(L));
  *slot = lf_task_new(NULL);
  if (!*slot)
    lfb_raise_memory(L);
  lf_task_start(*slot);
  return *slot;
}

int lfb_gather_start(lua_State *L) {
  bool star = lua_toboolean(L, 4);
  const char *method = star ? "starmap" : "map";
  lua_Integer chunksize = lfb_optional_integer(L, 5, 0);
  lua_settop(L, 3);
  push_options(L, chunksize, count_items(L, &star));
  lf_task *over = push_over(L);
  lfb_loop *l = lfb_loop_push(L, star, LFB_MAPPED, 0, 4);
  l->method = method;
  lfb_loop_supply_rest(L, l, lua_gettop(L));
  lf_loop_seal(l->loop, lf_task_ref(over));
  lua_insert(L, -2);
  return 2;
}

/* --- Gathering: the loop at 1, the future at 2, the outcome at 3 --- */

/* The error value below the traceback at the top, which are popped, is the one
 * to be raised, unless there is one before it. */
static void note_error(lua_State *L) {
  if (lua_getfield(L, 3, "failed") != LUA_TNIL) {
    lua_pop(L, 3);
    return;
  }
  lua_pushboolean(L, 1);
  lua_setfield(L, 3, "failed");
  lua_pop(L, 1);
  lua_setfield(L, 3, "trace");
  lua_setfield(L, 3, "error");
}

/* Reads an entry that is not only a number; the list is at 4. */
static void read_entry(lua_State *L, lfb_loop *l) {
  int n = 0;
  lua_Integer i = (lua_Integer)(l->chunk->first + l->read + 1);
  bool ok = lfb_loop_read(L, l, &n);
  l->consumed++;
  if (!ok) {
    note_error(L);
    return;
  }
  if (n == 0)
    lua_pushnil(L);
  lua_settop(L, 5);
  lua_rawseti(L, 4, i);
}

/* Pushes the list of results, which is made at the first call. */
static void push_list(lua_State *L) {
  if (lua_rawgeti(L, 3, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, 3, 1);
}

static void read_chunk(lua_State *L, lfb_loop *l) {
  push_list(L);
  while (l->chunk && l->read < l->chunk->count) {
    lfb_loop_list_numbers(L, l, 4);
    if (l->read < l->chunk->count)
      read_entry(L, l);
  }
  if (l->chunk)
    lfb_loop_drop_chunk(l);
  lua_settop(L, 3);
}

/* Waits for the next chunk; unlike lfb_loop_next, a timeout ends nothing. */
static int next_chunk(lua_State *L, lfb_state *S, lfb_loop *l, int64_t deadline,
                      lf_stop *why, lfb_wait_for *what) {
  lf_next next;
  bool late = false;
  while ((next = lf_loop_next(l->loop, &l->chunk, why)) == LF_WAIT) {
    if (late) {
      lfb_push_error(L, "TimeoutError", "the result is not ready in time");
      lua_error(L);
    }
    late = lf_is_past(deadline);
    if (late) { /* once more, with what has come by now */
      lfb_catch_up(S);
      continue;
    }
    *what = (lfb_wait_for){.loop = l->loop, .deadline = deadline};
    return LFB_NOT_YET;
  }
  if (next != LF_CHUNK)
    return next == LF_STOPPED ? LFB_STOPPED : LFB_END;
  l->at = l->chunk->out.data;
  l->read = 0;
  return LFB_READY;
}

static int push_outcome(lua_State *L, const lfb_loop *l) {
  if (lua_getfield(L, 3, "failed") != LUA_TNIL) {
    lua_getfield(L, 3, "error");
    lua_getfield(L, 3, "trace");
    return lfb_loop_raise(L);
  }
  push_list(L);
  lua_pushinteger(L, (lua_Integer)l->consumed);
  lua_setfield(L, -2, "n");
  return 1;
}

static int gather_step(lua_State *L, lfb_state *S, int64_t deadline,
                       lfb_wait_for *what) {
  lfb_loop *l = lua_touserdata(L, 1);
  lf_stop why;
  while (!l->ended) {
    lua_settop(L, 3);
    int how = l->chunk ? LFB_READY : next_chunk(L, S, l, deadline, &why, what);
    if (how < 0)
      return how;
    if (how == LFB_READY) {
      read_chunk(L, l);
    } else if (lfb_loop_push_end(L, l, 1, how, &why)) {
      lua_pushnil(L);
      note_error(L);
    }
  }
  lua_settop(L, 3);
  if (lfb_await(L, S, lfb_check_future(L, 2), deadline, what))
    return LFB_NOT_YET;
  return push_outcome(L, l);
}

static lfb_loop *check_loop(lua_State *L) {
  lfb_loop *l = lfb_check(L, 1, LFB_MAP);
  if (lf_pool_is_foreign(lf_loop_pool(l->loop)))
    luaL_error(L, "result belongs to another process");
  return l;
}

int lfb_gather(lua_State *L) {
  check_loop(L);
  int64_t deadline = lfb_check_deadline(L, 4);
  lfb_poll(L, lfb_self(L));
  lua_settop(L, 3);
  return lfb_waiting(L, lfb_self(L), gather_step, deadline);
}

/* --- Iterators --- */

int lfb_gather_supply(lua_State *L) {
  lfb_loop_supply_rest(L, check_loop(L), 1);
  return 0;
}

int lfb_gather_is_supplied(lua_State *L) {
  lfb_loop *l = lfb_check(L, 1, LFB_MAP);
  lua_pushboolean(L, lfb_loop_is_supplied(l));
  return 1;
}
