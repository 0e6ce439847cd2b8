/* SPDX-License-Identifier: MIT
 *
 * Classes: tables that are used as metatables. See internal.h. */
#include "bindings/pack/identity.h"
#include "bindings/pack/internal.h"

/* The class whose table is at the top, which has occurred as an object ('table'
 * its number) or not (LFB_CLASS_BASE); its number. */
static uint32_t new_class(packer *P, uint32_t table) {
  lua_State *L = P->L;
  lfb_classrec c = {.parent = P->current, .object = table};
  uint32_t k = (uint32_t)P->classes.n;
  lfb_packer_open(P);
  if (k >= LFB_CLASS_BASE - 1)
    luaL_error(L, "too many classes to send");
  lfb_identity_make(L, P->S, -1, true);
  memcpy(c.identity, lua_tostring(L, -1), LFB_IDENTITY);
  lua_pop(L, 1);
  lfb_packer_add(P, &P->classes, LFB_CLASS_LIST, &c, sizeof c);
  lfb_packer_keep(P, LFB_CLASS_BASE + k);
  if (table == LFB_CLASS_BASE)
    lfb_packer_note(P, lua_topointer(L, -1), LFB_CLASS_BASE + k, 0);
  else
    lfb_packer_find(P, lua_topointer(L, -1))->index = k + 1;
  P->rest = true;
  return k;
}

bool lfb_pack_class(packer *P) {
  if (!lfb_identity_class(P->L, -1))
    return false;
  lua_pop(P->L, 1);
  new_class(P, LFB_CLASS_BASE);
  return lfb_pack_seen(P);
}

/* Makes a class of the metatable at the top, unless it has a name. False: it
 * has one; LFB_CLASS_BASE then. */
static uint32_t class_of(packer *P) {
  lfb_memo *e = lfb_packer_find(P, lua_topointer(P->L, -1));
  if (e && e->value >= LFB_CLASS_BASE)
    return e->value - LFB_CLASS_BASE;
  if (e)
    return e->index ? e->index - 1 : new_class(P, e->value);
  return lfb_has_name(P) ? LFB_CLASS_BASE : new_class(P, LFB_CLASS_BASE);
}

void lfb_pack_metatable(packer *P, uint32_t n) {
  P->current = n;
  lfb_metarec m = {n, class_of(P)};
  lfb_packer_add(P, &P->metas, LFB_METAS, &m, sizeof m);
}

void lfb_pack_identity(packer *P, int table, uint32_t n) {
  lfb_idrec rec = {.object = n};
  lfb_identity_make(P->L, P->S, table, false);
  memcpy(rec.identity, lua_tostring(P->L, -1), LFB_IDENTITY);
  lua_pop(P->L, 1);
  lfb_packer_add(P, &P->ids, LFB_IDS, &rec, sizeof rec);
}

/* --- Segments --- */

/* What is in the class, at 'table'. */
static void pack_content(packer *P, int table) {
  lua_State *L = P->L;
  if (!lua_getmetatable(L, table)) {
    put_tag(P, LFB_T_NIL);
  } else {
    class_of(P);
    if (!lfb_pack_seen(P))
      lfb_pack_named(P);
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_PAIRS);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lua_insert(L, -2);
    if (!lfb_pack_plain(P))
      P->value(P);
    lua_insert(L, -2);
    if (!lfb_pack_plain(P))
      P->value(P);
  }
  put_tag(P, LFB_T_END);
}

/* A table that has occurred as an object: its body is there already. */
static void pack_alias(packer *P, const lfb_classrec *c) {
  put(P, LFB_T_ALIAS, c->identity, LFB_IDENTITY);
  put_u32(P, c->object);
}

static void begin_segment(packer *P) {
  P->first = (uint32_t)P->objs.n;
  P->describing = P->whole = true;
  P->version = 0;
}

/* Returns the version. */
static uint64_t end_segment(packer *P) {
  uint64_t version = P->whole ? P->version | 1 : 0;
  P->describing = P->whole = false;
  return version;
}

static lfb_classrec *class_at(packer *P, uint32_t k) {
  return (lfb_classrec *)P->classes.data + k;
}

void lfb_pack_segment(packer *P) {
  lua_State *L = P->L;
  uint32_t k = P->described++;
  lfb_classrec *c = class_at(P, k);
  c->first = c->end = (uint32_t)P->objs.n;
  if (c->object != LFB_CLASS_BASE) {
    pack_alias(P, c);
    return;
  }
  lfb_segment s = {.version = 0};
  memcpy(s.identity, c->identity, LFB_IDENTITY);
  put_tag(P, LFB_T_SEGMENT);
  size_t at = c->at = P->out->len;
  memcpy(room(P, sizeof s), &s, sizeof s);
  begin_segment(P);
  P->current = LFB_CLASS_BASE + k;
  lfb_packer_push(P, LFB_CLASS_BASE + k);
  pack_content(P, lua_gettop(L));
  lua_pop(L, 1);
  P->bodies(P);
  c = class_at(P, k);
  c->end = (uint32_t)P->objs.n;
  s.version = end_segment(P);
  s.len = P->out->len - at - sizeof s;
  s.objects = c->end - c->first;
  memcpy(P->out->data + at, &s, sizeof s);
}

/* --- Behind the segments --- */

void lfb_pack_metatables(packer *P) {
  lua_State *L = P->L;
  int top = lua_gettop(L);
  put_u32(P, (uint32_t)P->metas.n);
  for (size_t i = 0; i < P->metas.n; i++) {
    lfb_metarec *m = (lfb_metarec *)P->metas.data + i;
    put_u32(P, m->object);
    put_u32(P, m->class);
    if (m->class != LFB_CLASS_BASE)
      continue;
    lfb_packer_push(P, m->object);
    if (!lua_getmetatable(L, -1) || !lfb_pack_named(P))
      put_tag(P, LFB_T_NIL); /* a finalizer has changed it */
    lua_settop(L, top);
  }
}

void lfb_pack_identities(packer *P) {
  put_u32(P, (uint32_t)P->ids.n);
  for (size_t i = 0; i < P->ids.n; i++) {
    lfb_idrec *rec = (lfb_idrec *)P->ids.data + i;
    put_u32(P, rec->object);
    memcpy(room(P, LFB_IDENTITY), rec->identity, LFB_IDENTITY);
  }
}
