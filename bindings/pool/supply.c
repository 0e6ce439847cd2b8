/* SPDX-License-Identifier: MIT
 *
 * See supply.h. */
#include "bindings/pool/supply.h"

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pack/pack.h"
#include "bindings/run/interrupt.h"
#include "bindings/worker/setup.h"

enum {
  WINDOW = LF_LIMIT(8192, 32), /* items pulled ahead of their use */
  BLOCK = LF_LIMIT(16384, 8),  /* items of a table given to the workers at once,
                                  who so begin while others are still packed */
};

/* Replaces the item's table at the top by its arguments. */
static int spread(lua_State *L, uint64_t i) {
  if (!lua_istable(L, -1)) {
    luaL_where(L, 2); /* of who called map, or the iterator */
    lua_pushfstring(L, "%sbad item #%I (table of arguments expected, got %s)",
                    lua_tostring(L, -1), (LUAI_UACINT)i, luaL_typename(L, -2));
    lua_error(L);
  }
  int table = lua_gettop(L);
  int n = lfb_list_length(L, table);
  for (int k = 1; k <= n; k++)
    lua_geti(L, table, k);
  lua_remove(L, table);
  return n;
}

/* Pulls one item into the block: 1, or what lfb_source_next says of none. */
static int pull_item(lua_State *L, lfb_loop *l, lf_block *block, int kept) {
  int top = lua_gettop(L);
  int n = lfb_source_next(L, &l->source, kept);
  if (n <= 0)
    return n;
  uint64_t i = block->first + block->count + 1;
  if (l->star && n == 1) /* else they are arguments already, as a zip's */
    n = spread(L, i);
  const lfb_label label = {
      .what = "item", .where = "to a worker", .number = i, .reach = l->reach};
  size_t start = block->bytes.len;
  lfb_pack(L, lfb_self(L), &block->bytes, top + 1, n, &label, NULL);
  if (lf_block_item(block, start) != 0)
    lfb_raise_memory(L);
  lua_settop(L, top);
  return 1;
}

static void free_block(void *block) {
  lf_block_unref(block);
}

/* What pull_items is called with, protected. */
typedef struct {
  lfb_loop *loop;
  lf_block *block;
  uint64_t most;
  int got; /* of the last item */
} pulling;

static int pull_items(lua_State *L) {
  pulling *p = lua_touserdata(L, 1);
  while (p->got > 0 && p->block->count < p->most)
    p->got = pull_item(L, p->loop, p->block, 2);
  return 0;
}

/* The source has so many items. */
static void end(lfb_loop *l, uint64_t total) {
  l->source.known = true;
  l->source.total = total;
}

/* The same, as there is an error in the place of the next one: at the top,
 * which is popped. */
static void fail(lua_State *L, lfb_loop *l, int self, uint64_t total) {
  lua_setiuservalue(L, self, LFB_LOOP_SOURCE_ERROR);
  l->supply = LFB_SUPPLY_FAILED;
  end(l, total);
}

/* Pulls up to 'most' items and gives them to the loop. An error of the source
 * is kept for its position; one of the values to be sent, too, unless the
 * items are read at the call: then it is raised here. */
static void pull(lua_State *L, lfb_loop *l, int self, uint64_t most) {
  if (l->supply == LFB_SUPPLY_PULLING)
    luaL_error(L, "the loop's source is already being asked for an item");
  lfb_box *box = lfb_push_box(L, free_block);
  lf_block *block = box->content = lf_block_new();
  if (!block)
    lfb_raise_memory(L);
  block->first = l->pulled;
  pulling p = {.loop = l, .block = block, .most = most, .got = 1};
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushcclosure(L, pull_items, 1);
  lua_pushlightuserdata(L, &p);
  lua_getiuservalue(L, self, LFB_LOOP_SOURCE);
  lfb_self(L)->interrupted = false;
  l->supply = LFB_SUPPLY_PULLING;
  bool failed = lua_pcall(L, 2, 0, 0) != LUA_OK;
  l->supply = LFB_SUPPLY_OPEN;
  if (failed && (l->source.at_call || lfb_must_stop(lfb_self(L)))) {
    lf_loop_close(l->loop);
    lua_error(L);
  }
  if (failed)
    fail(L, l, self, block->first + block->count);
  else if (p.got == 0)
    end(l, block->first + block->count);
  if (p.got < 0 && block->count == 0) {
    lua_pop(L, 1);
    return;
  }
  box->content = NULL;
  l->pulled += block->count;
  if (l->reach)
    lfb_start_tell(lfb_self(L), l->reach->pool);
  if (lf_loop_supply(l->loop, block, l->pulled) != 0)
    lfb_raise_memory(L);
  lua_pop(L, 1);
}

/* After shutdown nothing more is pulled: the error at that position. */
static void refuse_more(lua_State *L, lfb_loop *l, int self) {
  luaL_where(L, 1);
  lua_pushliteral(L, "cannot schedule new futures after shutdown");
  lua_concat(L, 2);
  fail(L, l, self, l->pulled);
}

bool lfb_loop_is_supplied(const lfb_loop *l) {
  return l->ended || lfb_loop_is_pulled(l);
}

void lfb_loop_supply_rest(lua_State *L, lfb_loop *l, int self) {
  if (lfb_loop_is_indexed(l) && !lfb_loop_is_pulled(l)) {
    l->pulled = l->source.total;
    lf_loop_supply(l->loop, NULL, l->pulled);
  }
  bool queue = l->source.kind == LFB_ITEMS;
  l->source.waits = true;
  while (!lfb_loop_is_supplied(l))
    pull(L, l, self, queue ? 1 : BLOCK);
}

uint64_t lfb_loop_room(const lfb_loop *l) {
  uint64_t window = l->buffersize;
  if (!window) {
    window = lf_loop_window(l->loop);
    if (!lfb_loop_is_indexed(l) && window > WINDOW)
      window = WINDOW;
  }
  uint64_t ahead = l->pulled - l->consumed;
  return ahead < window ? window - ahead : 0;
}

void lfb_loop_supply(lua_State *L, lfb_loop *l, int self) {
  if (lfb_loop_is_pulled(l))
    return;
  bool first = l->supply == LFB_SUPPLY_NEW;
  if (first)
    l->supply = LFB_SUPPLY_OPEN;
  if (l->source.at_call && !l->buffersize && first) {
    while (!lfb_loop_is_pulled(l))
      pull(L, l, self, BLOCK);
    return;
  }
  if (!first && lf_pool_is_shutdown(lf_loop_pool(l->loop))) {
    refuse_more(L, l, self);
    return;
  }
  uint64_t n = lfb_loop_room(l);
  if (n == 0)
    return;
  if (lfb_loop_is_indexed(l)) {
    uint64_t left = l->source.total - l->pulled;
    l->pulled += n < left ? n : left;
    lf_loop_supply(l->loop, NULL, l->pulled);
  } else {
    pull(L, l, self, n);
  }
}
