/* SPDX-License-Identifier: MIT
 *
 * See map.h. What scripts see of a loop (loop.h). */
#include "bindings/pool/map.h"

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/loop.h"
#include "bindings/pool/results.h"
#include "bindings/pool/supply.h"
#include "bindings/run/wait.h"

/* --- map
 * ----------------------------------------------------------------------------------
 */

/* The values of one step of the iterator, from the chunk's next entry. */
static int deliver(lua_State *L, lfb_loop *l) {
  int n = 0;
  uint64_t i = l->chunk->first + l->read + 1;
  luaL_checkstack(L, 10, "results");
  lua_pushinteger(L, (lua_Integer)i);
  if (l->protected)
    lua_pushboolean(L, 1);
  bool ok = lfb_loop_read(L, l, &n);
  l->consumed++;
  if (l->chunk && l->read == l->chunk->count)
    lfb_loop_drop_chunk(l);
  if (ok)
    return 1 + l->protected + n;
  if (!l->protected)
    return lfb_loop_raise(L);
  lua_pop(L, 1);
  lua_pushboolean(L, 0);
  lua_replace(L, -3);
  return 3;
}

static int deliver_end(lua_State *L, lfb_loop *l, int how, const lf_stop *why) {
  uint64_t i = l->consumed + 1;
  if (how == LFB_END)
    lfb_loop_tell_all(L, l, 1);
  lfb_meter_end(L, &l->meter);
  if (!lfb_loop_push_end(L, l, 1, how, why)) {
    lua_pushnil(L);
    return 1;
  }
  if (!l->protected)
    return lua_error(L);
  lua_pushinteger(L, (lua_Integer)i);
  lua_pushboolean(L, 0);
  lua_pushvalue(L, -3);
  return 3;
}

/* it(): the loop is at stack index 1. */
static int next_step(lua_State *L, lfb_state *S, int64_t unused,
                     lfb_wait_for *what) {
  lfb_loop *l = lua_touserdata(L, 1);
  (void)S;
  (void)unused;
  lf_stop why;
  lua_settop(L, 1);
  if (l->reading || (l->ended && !l->chunk)) {
    lua_pushnil(L);
    return 1;
  }
  if (!l->chunk) {
    int how = lfb_loop_next(L, l, 1, &why, what);
    if (how < 0)
      return how;
    if (how != LFB_READY)
      return deliver_end(L, l, how, &why);
  } else if (l->buffersize) {
    lfb_loop_supply(L, l, 1);
  }
  int n = deliver(L, l);
  lfb_loop_tell(L, l, 1, l->consumed);
  return n;
}

static lfb_loop *check_loop(lua_State *L) {
  lfb_loop *l = lfb_check(L, 1, LFB_MAP);
  if (l->loop && lf_pool_is_foreign(lf_loop_pool(l->loop)))
    luaL_error(L, "iterator belongs to another process");
  return l;
}

static int loop_call(lua_State *L) {
  lfb_state *S = lfb_self(L);
  check_loop(L);
  lfb_poll(L, S);
  return lfb_waiting(L, S, next_step, 0);
}

/* Gets the next chunk into l->chunk, or finds that the loop at 1 has ended:
 * raises the error by which it did. What it returns, if less than 0, the step
 * returns. */
static int next_chunk(lua_State *L, lfb_loop *l, lfb_wait_for *what) {
  lf_stop why;
  int how = lfb_loop_next(L, l, 1, &why, what);
  if (how >= 0 && how != LFB_READY && lfb_loop_push_end(L, l, 1, how, &why))
    return lua_error(L);
  return how;
}

/* Appends the chunk's first results to the table at 2. */
static void list_chunk(lua_State *L, lfb_loop *l) {
  while (l->chunk) {
    int n = 0;
    lfb_loop_list_numbers(L, l, 2);
    if (l->read == l->chunk->count) {
      lfb_loop_drop_chunk(l);
      return;
    }
    lua_Integer i = (lua_Integer)(l->chunk->first + l->read + 1);
    bool ok = lfb_loop_read(L, l, &n);
    l->consumed++;
    if (l->chunk && l->read == l->chunk->count)
      lfb_loop_drop_chunk(l);
    if (!ok && !l->protected)
      lfb_loop_raise(L);
    if (!ok || n == 0)
      lua_settop(L, 3), lua_pushnil(L);
    lua_settop(L, 4);
    lua_rawseti(L, 2, i);
  }
}

/* The loop at 1, the list at 2, the number of results at 3. */
static int list_step(lua_State *L, lfb_state *S, int64_t unused,
                     lfb_wait_for *what) {
  lfb_loop *l = lua_touserdata(L, 1);
  (void)S;
  (void)unused;
  while (!l->reading && (!l->ended || l->chunk)) {
    lua_settop(L, 3);
    if (l->chunk) {
      list_chunk(L, l);
      continue;
    }
    lfb_loop_tell_done(L, l, 1);
    int how = next_chunk(L, l, what);
    if (how < 0)
      return lfb_loop_look_again(l, how, what);
  }
  lfb_loop_tell_all(L, l, 1);
  lua_settop(L, 2);
  lua_pushinteger(L, (lua_Integer)l->consumed);
  lua_setfield(L, 2, "n");
  return 1;
}

/* The call waits for all of the loop at 1: what is drawn for it has to go
 * however that ends. */
static void guard_meter(lua_State *L, const lfb_loop *l) {
  if (l->meter.on)
    lfb_toclose(L, 1);
}

/* it:list() */
static int loop_list(lua_State *L) {
  lfb_loop *l = check_loop(L);
  lfb_poll(L, lfb_self(L));
  lua_settop(L, 1);
  uint64_t n =
      l->source.known && l->source.total < 1 << 24 ? l->source.total : 0;
  lua_createtable(L, (int)n, 1);
  lua_pushnil(L);
  guard_meter(L, l);
  return lfb_waiting(L, lfb_self(L), list_step, 0);
}

static int close_loop(lua_State *L, bool running) {
  lfb_loop_close(L, lfb_check(L, 1, LFB_MAP), running);
  return 0;
}

/* it:close([running]) */
static int loop_close(lua_State *L) {
  return close_loop(L, lua_toboolean(L, 2));
}

/* With the error by which the block is left. */
static int loop_leave(lua_State *L) {
  return close_loop(L, false);
}

/* An InlineExecutor runs what is known at the call at once, as it does what is
 * submitted. */
static void run_at_call(lua_State *L, lfb_loop *l, int self) {
  if (l->source.at_call)
    while (lfb_loop_run_chunk(L, l, self))
      continue;
}

/* For generic for: the iterator, and what a break closes. */
static int push_iterator(lua_State *L) {
  int self = lua_gettop(L);
  run_at_call(L, lua_touserdata(L, self), self);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, self);
  return 4;
}

/* The options at 'opts' that are a second list, or what ipairs and the like
 * have returned besides a function. */
static void check_habits(lua_State *L, int opts) {
  if (!lua_istable(L, opts))
    return;
  if (lua_isfunction(L, 3) && lua_gettop(L) > opts)
    lfb_arg_error(L, 3,
                  "what pairs or ipairs returns is no list of items; pass the "
                  "list, or an iterator function alone");
  if (lua_rawlen(L, opts) > 0)
    lfb_arg_error(L, opts,
                  "options expected, got a list; lfut.zip(a, b) is for several "
                  "lists");
}

/* Missing arguments become nil only after that. */
static void check_call(lua_State *L, int opts) {
  lfb_check_executor(L, 1);
  lfb_check_callable(L, 2);
  if (lua_isnone(L, 3))
    lfb_type_error(L, 3, LFB_SOURCES);
  lfb_check_source(L, 3);
  check_habits(L, opts);
  lua_settop(L, opts);
}

/* exe:map(fn, items [, options]) */
static int map(lua_State *L) {
  check_call(L, 4);
  lfb_loop_push(L, false, LFB_MAPPED, 0, 4);
  return push_iterator(L);
}

/* exe:starmap(fn, items [, options]) */
static int starmap(lua_State *L) {
  check_call(L, 4);
  lfb_loop_push(L, true, LFB_MAPPED, 0, 4);
  return push_iterator(L);
}

/* --- for_each, reduce --- */

/* Reads the chunk of a loop without results: raises its error, if any. */
static void check_chunk(lua_State *L, lfb_loop *l) {
  int n;
  lf_chunk *c = l->chunk;
  bool entries = c->out.len > 0;
  l->consumed += c->count;
  if (entries || c->failed) {
    l->read = entries ? 0 : c->finished;
    if (!lfb_loop_read(L, l, &n)) {
      lf_loop_close(l->loop);
      lfb_loop_raise(L);
    }
  }
  lfb_loop_drop_chunk(l);
}

/* The loop at 1. */
static int for_each_step(lua_State *L, lfb_state *S, int64_t unused,
                         lfb_wait_for *what) {
  lfb_loop *l = lua_touserdata(L, 1);
  (void)S;
  (void)unused;
  while (!l->ended) {
    lua_settop(L, 1);
    lfb_loop_tell_done(L, l, 1);
    int how = next_chunk(L, l, what);
    if (how < 0)
      return lfb_loop_look_again(l, how, what);
    if (how == LFB_READY)
      check_chunk(L, l);
  }
  lfb_loop_tell_all(L, l, 1);
  lua_pushinteger(L, (lua_Integer)l->consumed);
  return 1;
}

/* All items of a range may be given to the workers at once: there are no
 * results to be kept. */
static void supply_all(lfb_loop *l) {
  if (!lfb_loop_is_indexed(l) || l->buffersize)
    return;
  l->pulled = l->source.total;
  lf_loop_supply(l->loop, NULL, l->pulled);
}

/* exe:for_each(fn, items [, options]) */
static int for_each(lua_State *L) {
  check_call(L, 4);
  lfb_loop *l = lfb_loop_push(L, false, LFB_EACH, 0, 4);
  supply_all(l);
  lua_replace(L, 1);
  lua_settop(L, 1);
  guard_meter(L, l);
  return lfb_waiting(L, lfb_self(L), for_each_step, 0);
}

/* Combines the chunk's value with the one so far. */
static void fold_chunk(lua_State *L, lfb_loop *l) {
  int n = 0;
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  l->consumed += l->chunk->count;
  l->read = l->chunk->finished ? 0 : l->read;
  if (!lfb_loop_read(L, l, &n)) {
    lf_loop_close(l->loop);
    lfb_loop_raise(L);
  }
  lfb_loop_drop_chunk(l);
  lua_settop(L, 6);
  if (l->folded)
    lua_call(L, 2, 1);
  lua_replace(L, 3);
  l->folded = true;
}

/* The loop at 1, combine at 2, the value so far at 3 if there is one. */
static int reduce_step(lua_State *L, lfb_state *S, int64_t unused,
                       lfb_wait_for *what) {
  lfb_loop *l = lua_touserdata(L, 1);
  (void)S;
  (void)unused;
  while (!l->ended) {
    lua_settop(L, 3);
    lfb_loop_tell_done(L, l, 1);
    int how = next_chunk(L, l, what);
    if (how < 0)
      return lfb_loop_look_again(l, how, what);
    if (how == LFB_READY)
      fold_chunk(L, l);
  }
  lfb_loop_tell_all(L, l, 1);
  lua_settop(L, 3);
  return l->folded ? 1 : 0;
}

/* exe:reduce(fn, items, combine [, initial [, options]]) */
static int reduce(lua_State *L) {
  check_call(L, 6);
  bool some = !lua_isnil(L, 5);
  lfb_check_callable(L, 4);
  lfb_loop *l = lfb_loop_push(L, false, LFB_FOLD, 4, 6);
  l->folded = some;
  supply_all(l);
  lua_replace(L, 1);
  lua_pushvalue(L, 4);
  lua_replace(L, 2);
  lua_pushvalue(L, 5);
  lua_replace(L, 3);
  lua_settop(L, 3);
  guard_meter(L, l);
  return lfb_waiting(L, lfb_self(L), reduce_step, 0);
}

/* --- The class
 * ----------------------------------------------------------------------------
 */

static int loop_tostring(lua_State *L) {
  lfb_loop *l = lfb_check(L, 1, LFB_MAP);
  lua_pushfstring(L, "map(%I items read%s)", (LUAI_UACINT)l->consumed,
                  l->ended ? ", ended" : "");
  return 1;
}

void lfb_map_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg of_executors[] = {{"map", map},
                                          {"starmap", starmap},
                                          {LFB_STEP "for_each", for_each},
                                          {LFB_STEP "reduce", reduce},
                                          {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {LFB_STEP "list", loop_list}, {"close", loop_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{LFB_STEP "__call", loop_call},
                                         {"__close", loop_leave},
                                         {"__gc", lfb_loop_gc},
                                         {"__tostring", loop_tostring},
                                         {NULL, NULL}};
  static const lfb_descriptor map_class = {.class = LFB_MAP,
                                           .name = "lfut.Map",
                                           .methods = methods,
                                           .metamethods = metamethods};
  lfb_newclass(L, S, &map_class);
  lfb_add_methods(L, S, LFB_EXECUTOR, of_executors);
}
