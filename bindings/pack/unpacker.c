/* SPDX-License-Identifier: MIT
 *
 * See unpacker.h and internal.h. */
#include "bindings/pack/unpacker.h"

#include <stdlib.h>

#include "bindings/core/error.h"
#include "bindings/pack/internal.h"

enum { MOST_OBJECTS = 1 << 30 };

void lfb_unpacker_refuse(lfb_unpacker *U) {
  lfb_push_error(U->L, "TransferError", "packed values are damaged");
  lua_error(U->L);
  abort();
}

/* --- Bytes --- */

uint32_t lfb_unpacker_count(unpacker *U, size_t size) {
  uint32_t n = get_u32(U);
  need(U, (uint64_t)n * size);
  return n;
}

/* The buffer's reference at the offset, or NULL: they are in order. */
static const struct lf_ref *find_ref(const lf_refs *refs, size_t offset) {
  size_t low = 0, high = refs ? refs->n : 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (refs->v[middle].at < offset)
      low = middle + 1;
    else
      high = middle;
  }
  return refs && low < refs->n && refs->v[low].at == offset ? &refs->v[low]
                                                            : NULL;
}

void *lfb_unpacker_get_object(unpacker *U, void (*drop)(void *object)) {
  void *p;
  size_t offset = (size_t)(U->at - U->buf->data);
  get_bytes(U, &p, sizeof p);
  if (!U->buf->foreign)
    return p;
  const struct lf_ref *ref = find_ref(U->buf->refs, offset);
  if (!ref || ref->object != p || ref->drop != drop)
    lfb_unpacker_refuse(U);
  return p;
}

void lfb_unpacker_get(lfb_unpacker *U, void *bytes, size_t n) {
  get_bytes(U, bytes, n);
}

/* --- Objects --- */

void lfb_unpacker_object(unpacker *U, uint32_t n) {
  bool there = n < U->objects && U->base != 0 &&
               (n == 0 || lua_istable(U->L, U->base + LFB_U_OBJECTS));
  if (!there) /* some have a number and nothing else */
    lfb_unpacker_refuse(U);
  if (n == 0)
    lua_pushvalue(U->L, U->base + LFB_U_FIRST);
  else
    lua_rawgeti(U->L, U->base + LFB_U_OBJECTS, (lua_Integer)n);
}

void lfb_unpacker_check(unpacker *U, uint64_t more) {
  if (U->objects + more > MOST_OBJECTS)
    lfb_unpacker_refuse(U);
}

void lfb_unpacker_slot(unpacker *U, int slot) {
  lua_State *L = U->L;
  lua_pushvalue(L, U->base + slot);
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_createtable(L, LFB_FEW, 0);
  lua_pushvalue(L, -1);
  lua_replace(L, U->base + slot);
}

void lfb_unpacker_set(unpacker *U, uint32_t n) {
  lua_State *L = U->L;
  if (n == 0) {
    lua_copy(L, -1, U->base + LFB_U_FIRST);
    return;
  }
  lfb_unpacker_slot(U, LFB_U_OBJECTS);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)n);
  lua_pop(L, 1);
}

void lfb_unpacker_note(unpacker *U) {
  lfb_unpacker_check(U, 1);
  lfb_unpacker_set(U, U->objects++);
}
