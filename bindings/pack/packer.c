/* SPDX-License-Identifier: MIT
 *
 * See packer.h. */
#include "bindings/pack/packer.h"

#include "bindings/core/box.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/internal.h"
#include "bindings/pack/names.h"

#include "runtime/base/mem.h"

/* Where it is in LFB_ANCHOR. */
static lua_Integer place_of(uint32_t number) {
  return number < LFB_CLASS_BASE ? (lua_Integer)number
                                 : -(lua_Integer)(number - LFB_CLASS_BASE) - 1;
}

void lfb_packer_keep(packer *P, uint32_t number) {
  lua_State *L = P->L;
  if (number == 0) {
    lua_copy(L, -1, P->base + LFB_FIRST);
    return;
  }
  if (lua_isnil(L, P->base + LFB_ANCHOR)) {
    lua_createtable(L, LFB_FEW, 0);
    lua_replace(L, P->base + LFB_ANCHOR);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, P->base + LFB_ANCHOR, place_of(number));
}

void lfb_packer_push(packer *P, uint32_t number) {
  if (number == 0)
    lua_pushvalue(P->L, P->base + LFB_FIRST);
  else
    lua_rawgeti(P->L, P->base + LFB_ANCHOR, place_of(number));
}

static void add_object(packer *P, const lfb_objrec *rec) {
  lua_State *L = P->L;
  uint32_t n = (uint32_t)P->objs.n;
  if (n >= LFB_CLASS_BASE - 1)
    luaL_error(L, "too many objects to send");
  lfb_packer_note(P, lua_topointer(L, -1), n, 0);
  lfb_packer_add(P, &P->objs, LFB_OBJS, rec, sizeof *rec);
  lfb_packer_keep(P, n);
}

void lfb_packer_open(packer *P) {
  lua_State *L = P->L;
  if (P->base)
    return;
  luaL_checkstack(L, 40, "too many values to send");
  P->base = lua_gettop(L);
  lua_settop(L, P->base + LFB_PACKER_SLOTS);
  lua_rotate(L, P->base, LFB_PACKER_SLOTS);
  if (!P->lone)
    return;
  lfb_objrec o = {.parent = P->lone_root, .lone = true, .hint = P->lone_at};
  lua_pushvalue(L, P->values + (int)(P->lone_root - LFB_ROOT));
  add_object(P, &o);
  lua_pop(L, 1);
  P->lone = NULL;
}

/* --- Arrays: what is large is not the collector's, which would hurry --- */

enum { LARGE = 32 << 10 };

/* Pushes what has so much memory. */
static void *push_memory(packer *P, size_t size) {
  if (size <= LARGE)
    return lua_newuserdatauv(P->L, size, 0);
  lfb_box *box = lfb_push_box(P->L, lf_free);
  box->content = lf_malloc(size);
  if (!box->content)
    lfb_raise_memory(P->L);
  return box->content;
}

/* Frees it at once, if it is large. */
static void drop_memory(packer *P, int slot, size_t size) {
  if (size <= LARGE)
    return;
  lfb_box *box = lua_touserdata(P->L, P->base + slot);
  lf_free(box->content);
  box->content = NULL;
}

/* The memory at the top comes in the place of the old. */
static void replace_memory(packer *P, int slot, size_t old) {
  drop_memory(P, slot, old);
  lua_replace(P->L, P->base + slot);
}

static void array_grow(packer *P, lfb_array *a, int slot, size_t size) {
  if (a == &P->objs && a->cap == 0) {
    a->data = P->few->objs;
    a->cap = LFB_FEW;
    return;
  }
  size_t cap = a->cap ? 2 * a->cap : 16;
  void *data = push_memory(P, cap * size);
  if (a->n)
    memcpy(data, a->data, a->n * size);
  replace_memory(P, slot, a->cap * size);
  a->data = data;
  a->cap = cap;
}

void lfb_packer_add(packer *P, lfb_array *a, int slot, const void *item,
                    size_t size) {
  if (a->n == a->cap)
    array_grow(P, a, slot, size);
  memcpy((char *)a->data + a->n++ * size, item, size);
}

void lfb_packer_close(packer *P) {
  if (!P->base)
    return;
  drop_memory(P, LFB_MEMO, P->memo.cap * sizeof(lfb_memo));
  drop_memory(P, LFB_OBJS, P->objs.cap * sizeof(lfb_objrec));
  drop_memory(P, LFB_IDS, P->ids.cap * sizeof(lfb_idrec));
  drop_memory(P, LFB_METAS, P->metas.cap * sizeof(lfb_metarec));
  drop_memory(P, LFB_CLASS_LIST, P->classes.cap * sizeof(lfb_classrec));
  drop_memory(P, LFB_GLOBALS, P->globals.cap * sizeof(lfb_globalrec));
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
  if (old.cap == 0) {
    P->memo.data = memset(P->few->memo, 0, sizeof P->few->memo);
    P->memo.cap = 2 * LFB_FEW;
    return;
  }
  size_t cap = 2 * old.cap;
  P->memo.data = push_memory(P, cap * sizeof(lfb_memo));
  P->memo.cap = cap;
  memset(P->memo.data, 0, cap * sizeof(lfb_memo));
  for (size_t i = 0; i < old.cap; i++) {
    lfb_memo *e = (lfb_memo *)old.data + i;
    if (e->key)
      *memo_at(&P->memo, e->key) = *e;
  }
  replace_memory(P, LFB_MEMO, old.cap * sizeof(lfb_memo));
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

/* --- What occurs again, or elsewhere --- */

/* A name that is there leads to the object; else modules may have come since.
 */
static bool push_name(packer *P) {
  bool fresh = P->fresh_names;
  if ((fresh || !P->S->untold) && lfb_push_name(P->L, -1))
    return true;
  if (fresh)
    return false;
  lfb_names_refresh(P->L, P->S);
  P->fresh_names = true;
  return lfb_push_name(P->L, -1);
}

static bool is_in(packer *P, int slot) {
  lua_pushvalue(P->L, -1);
  bool is = lua_rawget(P->L, P->base + slot) != LUA_TNIL;
  lua_pop(P->L, 1);
  return is;
}

bool lfb_may_be_known(packer *P) {
  enum { FEW = 4 };
  lua_State *L = P->L;
  if (P->objs.n < FEW || !P->fresh_names)
    return true;
  if (!P->looks_up) {
    lfb_push_ref(L, LFB_REF_NAMES);
    lua_replace(L, P->base + LFB_NAMED);
    lfb_push_ref(L, LFB_REF_IDS);
    lua_replace(L, P->base + LFB_CLASSED);
    P->looks_up = true;
  }
  return is_in(P, LFB_NAMED) || is_in(P, LFB_CLASSED);
}

bool lfb_has_name(packer *P) {
  bool has = push_name(P);
  lua_pop(P->L, has);
  return has;
}

bool lfb_pack_named(packer *P) {
  lua_State *L = P->L;
  if (!push_name(P))
    return false;
  size_t len;
  const char *name = lua_tolstring(L, -1, &len);
  uint32_t n = (uint32_t)len;
  put(P, LFB_T_NAMED, &n, sizeof n);
  memcpy(room(P, len), name, len);
  feed(P, lf_hash(name, len));
  if (P->code && !*P->code && P->current == LFB_ROOT && lua_isfunction(L, -2))
    *P->code = lfb_code_of_named(L, P->S, -2, name, len);
  lua_pop(L, 1);
  return true;
}

static void put_class(packer *P, const lfb_classrec *c) {
  uint64_t half[2];
  memcpy(half, c->identity, sizeof half);
  put(P, LFB_T_CLASS, c->identity, LFB_IDENTITY);
  feed(P, half[0]);
  feed(P, half[1]);
  P->rest = true;
}

static void put_object(packer *P, uint32_t n) {
  lfb_objrec *o = (lfb_objrec *)P->objs.data + n;
  put(P, LFB_T_OBJECT, &n, sizeof n);
  P->rest = true;
  if (o->lone)
    P->out->data[o->hint] = LFB_T_BARE;
  o->lone = false;
  if (n < P->first)
    lfb_packer_share(P, n);
  feed(P, n - P->first);
}

bool lfb_pack_seen(packer *P) {
  lfb_memo *e = lfb_packer_find(P, lua_topointer(P->L, -1));
  if (!e)
    return false;
  if (e->value >= LFB_CLASS_BASE)
    put_class(P, (lfb_classrec *)P->classes.data + (e->value - LFB_CLASS_BASE));
  else
    put_object(P, e->value);
  return true;
}

void lfb_pack_inner(packer *P, int subject, void (*fill)(packer *inner)) {
  lua_State *L = P->L;
  if (lf_stack_left() < LFB_STACK)
    luaL_error(L, "C stack overflow (too many objects within objects to send)");
  luaL_checkstack(L, 40, "too many objects within objects to send");
  size_t at = P->out->len;
  room(P, sizeof(uint64_t));
  packer inner = {.L = L, .S = P->S, .out = P->out, .label = P->label};
  lfb_few few;
  inner.few = &few;
  inner.reach = P->reach;
  inner.value = P->value;
  inner.bodies = P->bodies;
  inner.outer = P;
  inner.subject = subject;
  inner.current = LFB_ROOT;
  inner.fresh_names = P->fresh_names;
  int top = lua_gettop(L);
  fill(&inner);
  lfb_packer_close(&inner);
  lua_settop(L, top);
  uint64_t len = P->out->len - at - sizeof len;
  memcpy(P->out->data + at, &len, sizeof len);
}

/* --- What goes into a version --- */

bool lfb_pack_plain(packer *P) {
  size_t at = P->out->len;
  switch (lua_type(P->L, -1)) {
  case LUA_TNIL:
  case LUA_TBOOLEAN:
  case LUA_TNUMBER:
  case LUA_TSTRING:
    P->value(P);
    feed(P, lf_hash(P->out->data + at, P->out->len - at));
    return true;
  default:
    return false;
  }
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
