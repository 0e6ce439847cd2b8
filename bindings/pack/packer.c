/* SPDX-License-Identifier: MIT
 *
 * See packer.h. */
#include "bindings/pack/packer.h"

#include "bindings/pack/internal.h"

static void add_object(packer *P, const lfb_objrec *rec) {
  lua_State *L = P->L;
  uint32_t n = (uint32_t)P->objs.n;
  if (n >= LFB_CLASS_BASE - 1)
    luaL_error(L, "too many objects to send");
  lfb_packer_note(P, lua_topointer(L, -1), n, 0);
  lfb_packer_add(P, &P->objs, LFB_OBJS, rec, sizeof *rec);
  lua_pushvalue(L, -1);
  lua_rawseti(L, P->base + LFB_ANCHOR, (lua_Integer)n + 1);
}

void lfb_packer_open(packer *P) {
  lua_State *L = P->L;
  if (P->base)
    return;
  luaL_checkstack(L, 40, "too many values to send");
  P->base = lua_gettop(L);
  lua_settop(L, P->base + LFB_PACKER_SLOTS);
  lua_rotate(L, P->base, LFB_PACKER_SLOTS);
  lua_newtable(L);
  lua_replace(L, P->base + LFB_ANCHOR);
  if (!P->lone)
    return;
  lfb_objrec o = {.parent = P->lone_root, .lone = true, .hint = P->lone_at};
  lua_pushvalue(L, P->values + (int)(P->lone_root - LFB_ROOT));
  add_object(P, &o);
  lua_pop(L, 1);
  P->lone = NULL;
}

static void *array_grow(packer *P, lfb_array *a, int slot, size_t cap,
                        size_t size) {
  void *data = lua_newuserdatauv(P->L, cap * size, 0);
  if (a->n)
    memcpy(data, a->data, a->n * size);
  a->data = data;
  a->cap = cap;
  lua_replace(P->L, P->base + slot);
  return data;
}

void lfb_packer_add(packer *P, lfb_array *a, int slot, const void *item,
                    size_t size) {
  if (a->n == a->cap)
    array_grow(P, a, slot, a->cap ? 2 * a->cap : 16, size);
  memcpy((char *)a->data + a->n++ * size, item, size);
}

static lfb_memo *memo_at(lfb_array *memo, const void *key) {
  lfb_memo *e = memo->data;
  size_t i = ((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15u >> 32;
  for (i &= memo->cap - 1; e[i].key && e[i].key != key;)
    i = (i + 1) & (memo->cap - 1);
  return &e[i];
}

static void memo_grow(packer *P) {
  lfb_array old = P->memo;
  P->memo.cap = old.cap ? 2 * old.cap : 32;
  /* The old block stays on the stack until its entries are copied. */
  P->memo.data = lua_newuserdatauv(P->L, P->memo.cap * sizeof(lfb_memo), 0);
  memset(P->memo.data, 0, P->memo.cap * sizeof(lfb_memo));
  for (size_t i = 0; i < old.cap; i++) {
    lfb_memo *e = (lfb_memo *)old.data + i;
    if (e->key)
      *memo_at(&P->memo, e->key) = *e;
  }
  lua_replace(P->L, P->base + LFB_MEMO);
}

lfb_memo *lfb_packer_find(packer *P, const void *key) {
  if (P->lone == key && key)
    lfb_packer_open(P);
  lfb_memo *e = P->memo.cap ? memo_at(&P->memo, key) : NULL;
  return e && e->key ? e : NULL;
}

void lfb_packer_note(packer *P, const void *key, uint32_t value,
                     uint32_t index) {
  if (2 * P->memo.n >= P->memo.cap)
    memo_grow(P);
  *memo_at(&P->memo, key) = (lfb_memo){key, value, index};
  P->memo.n++;
}

uint32_t lfb_packer_object(packer *P, bool body) {
  lfb_objrec o = {.parent = P->current, .body = body};
  lfb_packer_open(P);
  add_object(P, &o);
  P->rest = true;
  P->whole = P->whole && lua_isfunction(P->L, -1);
  return (uint32_t)P->objs.n - 1;
}

void lfb_packer_lone(packer *P, size_t at) {
  if (!P->base && !P->lone && P->current >= LFB_ROOT && !P->outer) {
    P->lone = lua_topointer(P->L, -1);
    P->lone_root = P->current;
    P->lone_at = at;
    return;
  }
  lfb_objrec o = {.parent = P->current, .lone = true, .hint = at};
  lfb_packer_open(P);
  add_object(P, &o);
}

/* The class in whose segment the object occurred first, or NULL. */
static lfb_classrec *segment_of(packer *P, uint32_t object) {
  lfb_classrec *c = P->classes.data;
  size_t low = 0, high = P->described;
  while (low < high) { /* the first one that ends behind it */
    size_t middle = low + (high - low) / 2;
    if (c[middle].end <= object)
      low = middle + 1;
    else
      high = middle;
  }
  return low < P->described && c[low].first <= object ? &c[low] : NULL;
}

void lfb_packer_share(packer *P, uint32_t object) {
  lfb_classrec *c = segment_of(P, object);
  P->whole = false;
  if (c)
    memset(P->out->data + c->at + offsetof(lfb_segment, version), 0,
           sizeof(uint64_t));
}

/* --- For classes --- */

void lfb_packer_put(lfb_packer *P, const void *bytes, size_t n) {
  memcpy(room(P, n), bytes, n);
}

void lfb_packer_put_object(lfb_packer *P, void *object, void (*drop)(void *)) {
  size_t at = P->out->len;
  put_ref(P, at, object, drop);
  lfb_packer_put(P, &object, sizeof object);
}

const lfb_reach *lfb_packer_reach(const lfb_packer *P) {
  return P->reach;
}
