/* SPDX-License-Identifier: MIT
 *
 * See profile.h. */
#include "bindings/pool/profile.h"

#include <string.h>

#include "bindings/core/box.h"
#include "bindings/pool/executor.h"
#include "runtime/os/processors.h"
#include "runtime/pool/profile.h"

/* Adds to a field of the table at the top. */
static void add_number(lua_State *L, const char *name, double n) {
  lua_getfield(L, -1, name);
  lua_pushnumber(L, lua_tonumber(L, -1) + n);
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}

static void add_count(lua_State *L, const char *name, uint64_t n) {
  lua_getfield(L, -1, name);
  lua_pushinteger(L, lua_tointeger(L, -1) + (lua_Integer)n);
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}

/* Seconds for all of 'all', 'some' of which have taken 'ns'. */
static double scaled(uint64_t ns, uint64_t all, uint64_t some) {
  double share = some > 0 ? (double)all / (double)some : 0;
  return (double)ns * share / 1e9;
}

static void note_longest(lua_State *L, double seconds) {
  lua_getfield(L, -1, "longest");
  if (lua_tonumber(L, -1) < seconds || lua_isnil(L, -1)) {
    lua_pushnumber(L, seconds);
    lua_setfield(L, -3, "longest");
  }
  lua_pop(L, 1);
}

/* What is read of a count under its lock, and put into the table later. */
typedef struct {
  char name[LF_FUNCTION_NAME];
  uint64_t queues, calls, failures, sent, received, items, timed, run, longest,
      queued, busy, waited, longs, long_run, long_busy, long_waited, packs,
      packed, unpacked, fine, fine_packed, fine_unpacked;
} reading;

static uint64_t get(const _Atomic uint64_t *n) {
  return atomic_load_explicit(n, memory_order_relaxed);
}

static void read_one(const lf_tally *t, void *arg) {
  reading r = {.calls = get(&t->calls),
               .failures = get(&t->failures),
               .sent = get(&t->sent),
               .received = get(&t->received),
               .items = get(&t->items),
               .timed = get(&t->timed),
               .run = get(&t->run),
               .longest = get(&t->longest),
               .queued = get(&t->queued),
               .busy = get(&t->busy)};
  r.longs = get(&t->longs);
  r.long_run = get(&t->long_run), r.long_busy = get(&t->long_busy);
  r.waited = get(&t->waited), r.long_waited = get(&t->long_waited);
  r.queues = get(&t->queues);
  r.packs = get(&t->packs), r.packed = get(&t->packed);
  r.unpacked = get(&t->unpacked);
  r.fine = get(&t->fine);
  r.fine_packed = get(&t->fine_packed);
  r.fine_unpacked = get(&t->fine_unpacked);
  lf_function_name(t->code ? t->code->label : "others", r.name);
  (void)lf_buf_put(arg, &r, sizeof r);
}

/* Who submits counts apart from the workers, which are added up when their pool
 * has ended: so the table gathers sums, from which the script makes the rest.
 */
static void note_copying(lua_State *L, const reading *r) {
  add_count(L, "packs", r->packs);
  add_count(L, "fine", r->fine);
  add_number(L, "packed", (double)r->packed / 1e9);
  add_number(L, "unpacked", (double)r->unpacked / 1e9);
  add_number(L, "fine_packed", (double)r->fine_packed / 1e9);
  add_number(L, "fine_unpacked", (double)r->fine_unpacked / 1e9);
}

/* The same for calls of which those that are long are known all. */
static double scaled_short(const reading *r, uint64_t ns, uint64_t long_ns) {
  return scaled(ns, r->calls - r->longs, r->timed) + (double)long_ns / 1e9;
}

/* Adds it to its function's entry in the table at the top. (It may be one of
 * several: of several workers, or closures with other code on the same line.)
 */
static void put_one(lua_State *L, const reading *r) {
  luaL_getsubtable(L, -1, r->name);
  add_count(L, "calls", r->calls);
  add_count(L, "failures", r->failures);
  add_count(L, "sent", r->sent);
  add_count(L, "received", r->received);
  add_count(L, "tasks", r->calls - r->items);
  add_number(L, "run", scaled_short(r, r->run, r->long_run));
  add_number(L, "busy", scaled_short(r, r->busy, r->long_busy));
  add_number(L, "waited", scaled_short(r, r->waited, r->long_waited));
  add_number(L, "queued", scaled(r->queued, r->calls - r->items, r->queues));
  note_copying(L, r);
  note_longest(L, (double)r->longest / 1e9);
  lua_pop(L, 1);
}

static void put_all(lua_State *L, const lf_buf *all) {
  reading r;
  for (size_t at = 0; at + sizeof r <= all->len; at += sizeof r) {
    memcpy(&r, all->data + at, sizeof r);
    put_one(L, &r);
  }
}

static int body(lua_State *L) {
  lf_profile *f = lua_touserdata(L, 1);
  int64_t first, last;
  int workers;
  bool any = lf_profile_window(f, &first, &last);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, f->kind);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, f->name);
  lua_setfield(L, -2, "name");
  lua_pushnumber(L, any ? (double)(last - first) / 1e9 : 0);
  lua_setfield(L, -2, "seconds");
  lf_buf *all = lfb_push_buf(L);
  lf_profile_each(f, read_one, all, &workers);
  lua_newtable(L);
  put_all(L, all);
  lua_setfield(L, -3, "functions");
  lua_pop(L, 1);
  lua_pushinteger(L, workers);
  lua_setfield(L, -2, "workers");
  lua_pushnumber(L, lf_profile_room(f));
  lua_setfield(L, -2, "room");
  lua_pushboolean(L, f->nested);
  lua_setfield(L, -2, "nested");
  lua_pushinteger(L, f->max_workers);
  lua_setfield(L, -2, "max_workers");
  lua_pushinteger(L, lf_cpu_count());
  lua_setfield(L, -2, "processors");
  return 1;
}

int lfb_profile_counts(lua_State *L) {
  lfb_executor *exe = lfb_check_executor(L, 1);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, lf_pool_profile(exe->pool));
  lua_call(L, 1, 1);
  return 1;
}

int lfb_profile_all_counts(lua_State *L) {
  lua_newtable(L);
  int list = lua_gettop(L);
  lf_profile *f = lf_profiles_next(NULL);
  for (; f; f = lf_profiles_next(f)) {
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, f);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
      lf_profile_unref(f);
      return lua_error(L);
    }
    lua_getfield(L, -1, "functions");
    lua_pushnil(L);
    bool any = lua_next(L, -2);
    lua_settop(L, list + 1);
    if (any)
      lua_rawseti(L, list, luaL_len(L, list) + 1);
    lua_settop(L, list);
  }
  return 1;
}
