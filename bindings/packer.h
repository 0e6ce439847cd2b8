/* SPDX-License-Identifier: MIT
 *
 * The packer: what is known of the values that are being written to a stream.
 * Private to packer.c and pack*.c. Its memory is userdata on the Lua stack, so
 * that an error leaves nothing behind; it has none until the first object. */
#ifndef LFB_PACKER_H
#define LFB_PACKER_H

#include <string.h>

#include "identity.h"
#include "pack.h"

/* Stack slots of a packer, from P->base: the table of all objects, and the
 * memory of the arrays. */
enum { LFB_ANCHOR, LFB_MEMO, LFB_OBJS, LFB_IDS, LFB_METAS, LFB_PACKER_SLOTS };

typedef struct {
  uint32_t parent; /* in whose body it was met first, or LFB_ROOT + i */
  bool body;       /* its body follows the values */
  size_t hint;     /* where a table's sizes are in the output; 0: nowhere */
} lfb_objrec;

/* An object or an upvalue that has occurred. */
typedef struct {
  const void *key; /* of an object, or of an upvalue */
  uint32_t value;  /* number; for an upvalue its closure's */
  uint32_t index;  /* of an upvalue in that closure */
} lfb_memo;

/* An array in a userdata on the stack. */
typedef struct {
  void *data;
  size_t n, cap;
} lfb_array;

typedef struct packer {
  lua_State *L;
  lfb_state *S;
  lf_buf *out;
  int base;         /* 0: there are none */
  lfb_array memo;   /* of lfb_memo: open addressing, cap a power of 2 */
  lfb_array objs;   /* of lfb_objrec */
  lfb_array metas;  /* of uint32: tables with a metatable */
  lfb_array ids;    /* of lfb_idrec: fresh copies with an identity */
  uint32_t drained; /* objects whose body is written */
  uint32_t current; /* whose body is being written, or LFB_ROOT + i */
  bool fresh_names;
  const lfb_label *label;
  lf_pool *wire; /* as in the label, or for results of a worker process */
  lf_code **code;
  const struct packer *outer; /* whose stream this one is in */
  int subject;                /* stack index of what this stream describes */
  const void *self;           /* the same, if it is a table */
  bool capturing;             /* the value is an upvalue or a global */
  int nesting;
} packer;

/* A table whose copy is to be recognised when it comes home. */
typedef struct {
  uint32_t object;
  char identity[LFB_IDENTITY];
} lfb_idrec;

/* From here on, numbers are of the stream's values. */
#define LFB_ROOT 0x80000000u

/* --- Bytes ------------------------------------------------------------------
 */

LF_INLINE unsigned char *room(packer *P, size_t n) {
  unsigned char *at = lf_buf_room(P->out, n);
  if (!at)
    luaL_error(P->L, "not enough memory");
  return at;
}

static inline void put_tag(packer *P, lfb_tag tag) {
  *room(P, 1) = (unsigned char)tag;
}

LF_INLINE void put(packer *P, lfb_tag tag, const void *bytes, size_t n) {
  unsigned char *at = room(P, 1 + n);
  at[0] = (unsigned char)tag;
  memcpy(at + 1, bytes, n);
}

static inline void put_u32(packer *P, uint32_t x) {
  memcpy(room(P, sizeof x), &x, sizeof x);
}

/* The bytes name the object at offset 'at', or not (LF_NOWHERE). */
static inline void put_ref(packer *P, size_t at, void *object,
                           void (*drop)(void *)) {
  if (lf_buf_ref(P->out, at, object, drop) != 0) {
    drop(object);
    luaL_error(P->L, "not enough memory");
  }
}

/* --- Its memory (packer.c) --- */

/* Puts the slots below the value at the top, if they are not there yet. */
void lfb_packer_open(packer *P);

void lfb_packer_add(packer *P, lfb_array *a, int slot, const void *item,
                    size_t size);

/* What is known of an object or upvalue, or NULL; notes it. */
lfb_memo *lfb_packer_find(packer *P, const void *key);
void lfb_packer_note(packer *P, const void *key, uint32_t value,
                     uint32_t index);

/* Numbers the object at the top, which occurs for the first time. */
uint32_t lfb_packer_object(packer *P, bool body);

/* --- Values (pack.c): each writes the one at the top, which stays --- */

void lfb_pack_value(packer *P);

/* If it travels by name; if it has occurred before. */
bool lfb_pack_named(packer *P);
bool lfb_pack_seen(packer *P);

/* A stream within the stream, about the object at 'subject': 'fill' writes it;
 * its length comes first. */
void lfb_pack_inner(packer *P, int subject, void (*fill)(packer *inner));

/* The end of a stream: bodies, metatables, identities. */
void lfb_pack_bodies(packer *P);

/* --- Classes (pack_class.c) --- */

bool lfb_is_metafield(lua_State *L, int idx);

/* Is the table at the top meant as a metatable? A look at some of its keys. */
bool lfb_looks_like_class(lua_State *L);

/* The class at the top with its identity above it, which is popped. */
void lfb_pack_class(packer *P);

/* The metatable at the top, of the table numbered 'n'. */
void lfb_pack_metatable(packer *P, uint32_t n);

/* Notes that the copy of this table, numbered 'n', is to be recognised when it
 * comes home as a metatable. */
void lfb_pack_identity(packer *P, int table, uint32_t n, bool class);

/* --- Functions (pack_function.c) --- */

void lfb_pack_function(packer *P);
void lfb_pack_function_body(packer *P, uint32_t n, int function);

/* Is the value at the top the globals table? */
bool lfb_is_globals(lua_State *L);

/* Pushes the script's global 'name', if it is one to be captured. */
bool lfb_push_captured(lua_State *L, const char *name);

/* The name behind this one in an lfb_globals. */
static inline const char *lfb_next_global(const char *name) {
  return name + strlen(name) + 1;
}

/* --- Refusing (pack_refuse.c) --- */

/* Raises TransferError: the value at the top cannot travel. */
void lfb_pack_refuse(packer *P);

#endif
