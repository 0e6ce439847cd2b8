/* SPDX-License-Identifier: MIT
 *
 * See results.h. The entries are those of run/items.h. */
#include "bindings/pool/results.h"

#include <string.h>

#include "bindings/core/error.h"
#include "bindings/pack/unpack.h"
#include "bindings/run/items.h"
#include "runtime/base/mem.h"

/* Has the chunk n more bytes? One from another process may have anything. */
LF_INLINE bool has_bytes(const lf_buf *out, const unsigned char *at, size_t n) {
  return (size_t)(out->data + out->len - at) >= n;
}

/* Is the entry a number? */
LF_INLINE bool is_number(const lf_buf *out, const unsigned char *at) {
  return has_bytes(out, at, 1 + sizeof(lua_Number)) && *at >= LFB_ITEM_INTEGER;
}

/* Pushes a worker's traceback (NULL: it has none) with the item, or the items
 * one of which it is, and where the loop has been called. The error value below
 * says so, too, if it is lfut's. */
static void push_trace(lua_State *L, lfb_loop *l, const char *trace, size_t len,
                       uint64_t item, uint64_t last) {
  int value = lua_gettop(L);
  if (len > 0)
    lua_pushlstring(L, trace, len);
  else
    lua_pushliteral(L, "stack traceback:");
  if (item == last)
    lua_pushfstring(L, "\n\titem %I", (LUAI_UACINT)item + 1);
  else
    lua_pushfstring(L, "\n\tone of items %I to %I", (LUAI_UACINT)item + 1,
                    (LUAI_UACINT)last + 1);
  lua_pushfstring(L, " of %s at %s:%d", l->method, l->source_name, l->line);
  lua_concat(L, 3);
  if (item != last || !lfb_is_own_error(L, value))
    return;
  lua_pushinteger(L, (lua_Integer)item + 1);
  lua_setfield(L, value, "item");
}

/* The same for the tail of an error's entry, which is skipped. */
static void push_entry_trace(lua_State *L, lfb_loop *l, const lf_buf *out) {
  lfb_error_tail tail = {0};
  if (has_bytes(out, l->at, sizeof tail))
    memcpy(&tail, l->at, sizeof tail);
  if (tail.len > SIZE_MAX - sizeof tail ||
      !has_bytes(out, l->at, sizeof tail + tail.len)) {
    lua_pushnil(L);
    return;
  }
  push_trace(L, l, (const char *)l->at + sizeof tail, tail.len, tail.item,
             tail.item);
  l->at += sizeof tail + tail.len;
}

/* For the error of a chunk at the top: of a loop with results it is the next
 * item's, else one's of those that have not been run. */
static void push_chunk_trace(lua_State *L, lfb_loop *l, uint64_t item) {
  const lf_chunk *c = l->chunk;
  if (l->sink == LFB_MAPPED)
    push_trace(L, l, NULL, 0, item, item);
  else
    push_trace(L, l, NULL, 0, c->first + c->finished, c->first + c->count - 1);
}

/* Pushes the error of the items that the chunk has no results for. */
static void push_chunk_error(lua_State *L, const lfb_loop *l) {
  const lf_chunk *c = l->chunk;
  if (c->reason != LF_GO_ON) {
    lfb_push_stopped(L, c->reason, lf_loop_limits(l->loop),
                     lf_loop_label(l->loop));
    return;
  }
  if (c->error == LF_LOST) {
    lfb_push_lost(L, c->why.data, c->why.len, lf_loop_label(l->loop));
    return;
  }
  if (c->why.len > 0)
    lua_pushlstring(L, (const char *)c->why.data, c->why.len);
  else /* there was none for the words, either */
    lua_pushliteral(L, LF_NO_MEMORY);
  if (c->error == LF_BROKEN) {
    lfb_push_error(L, lfb_broken_kind(lf_loop_pool(l->loop)), "%s",
                   lua_tostring(L, -1));
    lua_remove(L, -2);
  }
}

void lfb_loop_drop_chunk(lfb_loop *l) {
  if (l->chunk != l->reading)
    lf_chunk_free(l->chunk);
  l->chunk = NULL;
}

static void end_reading(lfb_loop *l) {
  lf_chunk *c = l->reading;
  l->reading = NULL;
  if (l->chunk != c)
    lf_chunk_free(c);
}

/* Pushes the number of an entry of that kind. */
LF_INLINE void push_number(lua_State *L, lfb_loop *l) {
  lfb_entry kind = (lfb_entry)*l->at++;
  lua_Integer i;
  lua_Number n;
  memcpy(&i, l->at, sizeof i);
  memcpy(&n, l->at, sizeof n);
  l->at += sizeof n;
  if (kind == LFB_ITEM_INTEGER)
    lua_pushinteger(L, i);
  else
    lua_pushnumber(L, n);
}

void lfb_loop_list_numbers(lua_State *L, lfb_loop *l, int list) {
  const lf_chunk *c = l->chunk;
  uint64_t before = l->read;
  while (l->read < c->finished && is_number(&c->out, l->at)) {
    push_number(L, l);
    lua_rawseti(L, list, (lua_Integer)(c->first + ++l->read));
  }
  l->consumed += l->read - before;
}

bool lfb_loop_read(lua_State *L, lfb_loop *l, int *n) {
  lf_chunk *c = l->chunk;
  if (l->read++ >= c->finished) {
    push_chunk_error(L, l);
    push_chunk_trace(L, l, c->first + l->read - 1);
    return false;
  }
  if (is_number(&c->out, l->at)) {
    push_number(L, l);
    *n = 1;
    return true;
  }
  unsigned kind = has_bytes(&c->out, l->at, 1) ? *l->at++ : LFB_ITEM_RESULT;
  size_t at = (size_t)(l->at - c->out.data);
  l->reading = c;
  *n = lfb_unpack(L, lfb_self(L), &c->out, &at, NULL);
  l->at = c->out.data + at;
  if (kind != LFB_ITEM_RESULT)
    push_entry_trace(L, l, &c->out);
  end_reading(l);
  return kind == LFB_ITEM_RESULT;
}

int lfb_loop_raise(lua_State *L) {
  const char *trace = lua_tostring(L, -1);
  lua_pushvalue(L, -2);
  return lfb_raise(L, trace && trace[0] ? trace : NULL);
}
