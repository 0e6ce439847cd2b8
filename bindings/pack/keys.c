/* SPDX-License-Identifier: MIT
 *
 * Keys of tables: records have the same ones again and again. Such a key is
 * said in full once, and by a number then. Keys are known by their address,
 * which is that of no other short string while the stream is written: they are
 * kept for so long. Classes are skipped by who has them: no key gets its number
 * in one. (One with another table in it, which may use numbers, is not
 * skipped.)
 */
#include "bindings/pack/internal.h"

enum {
  SHORT = 40,      /* bytes: longer strings with the same bytes are several */
  MOST_KEYS = 256, /* a byte tells which */
  TABLES = 4, /* in a stream, before keys have numbers: keeping them costs more
                 than is saved */
};

static uint32_t next_stream(lfb_state *S) {
  if (++S->streams == 0) { /* all were there: none is known any more */
    memset(S->keys, 0, sizeof S->keys);
    S->streams = 1;
  }
  return S->streams;
}

static void keep(packer *P, int idx) {
  lua_State *L = P->L;
  int list = P->base + LFB_KEY_LIST;
  lua_pushvalue(L, idx);
  if (!P->stream) {
    P->stream = next_stream(P->S);
    lua_newtable(L);
    lua_replace(L, list);
  }
  lua_rawseti(L, list, (lua_Integer)++P->keys);
}

static void put_text(packer *P, lfb_tag tag, const char *s, size_t len) {
  unsigned char n = (unsigned char)len;
  put(P, tag, &n, 1);
  memcpy(room(P, len), s, len);
}

bool lfb_pack_key(packer *P, int idx, bool *meta) {
  size_t len;
  const char *s = lua_tolstring(P->L, idx, &len);
  lfb_key *key = &P->S->keys[((uintptr_t)s >> 4) % LFB_KEYS];
  if (P->stream && key->text == s && key->stream == P->stream) {
    unsigned char number = (unsigned char)key->number;
    put(P, LFB_T_KEY, &number, 1);
    *meta = key->meta;
    return true;
  }
  *meta = s[0] == '_' && s[1] == '_';
  if (len > SHORT)
    return false;
  if (P->drained < TABLES || P->describing || P->keys == MOST_KEYS) {
    put_text(P, LFB_T_SHORT, s, len);
  } else {
    keep(P, idx);
    put_text(P, LFB_T_NEW_KEY, s, len);
    *key = (lfb_key){s, P->stream, (uint16_t)(P->keys - 1), *meta};
  }
  return true;
}

/* --- Unpacking --- */

void lfb_unpack_new_key(unpacker *U) {
  lua_State *L = U->L;
  size_t len = get_byte(U);
  need(U, len);
  lua_pushlstring(L, (const char *)U->at, len);
  U->at += len;
  lfb_unpacker_slot(U, LFB_U_KEYS);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, (lua_Integer)++U->keys);
  lua_pop(L, 1);
}

void lfb_unpack_key(unpacker *U) {
  uint32_t number = get_byte(U);
  if (number >= U->keys)
    lfb_unpacker_refuse(U);
  lua_rawgeti(U->L, U->base + LFB_U_KEYS, (lua_Integer)number + 1);
}
