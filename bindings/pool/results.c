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

/* Skips an error's traceback; a copy, zero-terminated, on the stack, or nil. */
static void push_trace(lua_State *L, lfb_loop *l, const lf_buf *out) {
  uint32_t len = 0;
  if (has_bytes(out, l->at, sizeof len))
    memcpy(&len, l->at, sizeof len);
  if (!has_bytes(out, l->at, sizeof len + (size_t)len)) {
    lua_pushnil(L);
    return;
  }
  lua_pushlstring(L, (const char *)l->at + sizeof len, len);
  l->at += sizeof len + len;
}

/* Pushes the error of the items that the chunk has no results for. */
static void push_chunk_error(lua_State *L, const lfb_loop *l) {
  const lf_chunk *c = l->chunk;
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
    lua_pushnil(L);
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
    push_trace(L, l, &c->out);
  end_reading(l);
  return kind == LFB_ITEM_RESULT;
}

int lfb_loop_raise(lua_State *L) {
  const char *trace = lua_tostring(L, -1);
  lua_pushvalue(L, -2);
  return lfb_raise(L, trace && trace[0] ? trace : NULL);
}
