/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of this folder. Packer and unpacker have the same parts:
 * their memory (packer.c, unpacker.c), the grammar (pack.c, unpack.c), classes.
 *
 * The packer: what is known of the values that are being written to a stream.
 * Its memory is userdata on the Lua stack, so that an error leaves nothing
 * behind; it has none until the first object. */
#ifndef LFB_PACK_INTERNAL_H
#define LFB_PACK_INTERNAL_H

#include <string.h>

#include "bindings/core/error.h"
#include "bindings/pack/identity.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/packer.h"
#include "bindings/pack/unpacker.h"

/* Stack slots of a packer, from P->base: the first object; the table of the
 * others (by their numbers) and of classes (from -1 down), a set of names, the
 * memory of the arrays, keys by their numbers from 1 on, and the interpreter's
 * tables of names and of identities. */
enum {
  LFB_FIRST,
  LFB_ANCHOR,
  LFB_KNOWN,
  LFB_MEMO,
  LFB_OBJS,
  LFB_IDS,
  LFB_METAS,
  LFB_CLASS_LIST,
  LFB_GLOBALS,
  LFB_KEY_LIST,
  LFB_NAMED,
  LFB_CLASSED,
  LFB_PACKER_SLOTS
};

/* Of whom something is a part: the number of an object, LFB_CLASS_BASE + that
 * of a class, LFB_ROOT + that of a value of the stream. */
#define LFB_CLASS_BASE 0x40000000u
#define LFB_ROOT 0x80000000u

typedef struct {
  uint32_t parent; /* in whose body it was met first */
  bool body;       /* its body follows the values */
  bool lone;       /* its tag, at 'hint', is LFB_T_LONE */
  size_t hint;     /* of a table: where its sizes are in the output */
} lfb_objrec;

/* An object, a class or an upvalue that has occurred. */
typedef struct {
  const void *key; /* of an object, or of an upvalue */
  uint32_t value;  /* number, as above; for an upvalue its closure's */
  uint32_t index;  /* of an upvalue in that closure; of a table that is a class
                      after all: which, from 1 on */
} lfb_memo;

typedef struct {
  unsigned char identity[LFB_IDENTITY];
  uint32_t parent; /* where it was met first */
  uint32_t object; /* the number of the table, if that had occurred as one */
  uint32_t first, end; /* the objects of its segment */
  size_t at;           /* where that is in the output */
} lfb_classrec;

/* A captured global, and the number of the closure that names it. The name
 * belongs to that one's code, or it is the path of an addition (addition.h). */
typedef struct {
  const char *name;
  uint32_t closure;
  bool added;
} lfb_globalrec;

/* A table with a metatable: which class that is, or LFB_CLASS_BASE: it has a
 * name. */
typedef struct {
  uint32_t object, class;
} lfb_metarec;

/* A table whose copy is to be recognised when it comes home. */
typedef struct {
  uint32_t object;
  unsigned char identity[LFB_IDENTITY];
} lfb_idrec;

/* An array: in the packer as long as it is small, then in a userdata on the
 * stack, or in a box there. */
typedef struct {
  void *data;
  size_t n, cap;
} lfb_array;

enum { LFB_FEW = LF_LIMIT(8, 2) }; /* objects that need no other memory */

/* That of the arrays at the beginning. */
typedef struct {
  lfb_memo memo[2 * LFB_FEW];
  lfb_objrec objs[LFB_FEW];
} lfb_few;

typedef struct lfb_packer {
  lua_State *L;
  lfb_state *S;
  lf_buf *out;
  int base;          /* 0: there are none */
  int values;        /* stack index of the stream's first value */
  lfb_array memo;    /* of lfb_memo: open addressing, cap a power of 2 */
  lfb_array objs;    /* of lfb_objrec */
  lfb_array classes; /* of lfb_classrec */
  lfb_array globals; /* of lfb_globalrec */
  lfb_array metas;   /* of lfb_metarec */
  lfb_array ids;     /* of lfb_idrec */
  uint32_t keys;     /* that have a number (keys.c); */
  uint32_t stream;  /* with these, which one it is of the interpreter's; or 0 */
  uint32_t drained; /* objects whose body is written */
  uint32_t current; /* whose body is being written, as above */
  /* The segment that is being written. */
  uint32_t first;     /* objects before it */
  uint32_t described; /* classes whose segments are written or begun */
  uint64_t version;   /* a hash of what it says so far */
  bool describing;    /* it is a class's */
  bool whole;         /* and may have a version */
  bool rest;          /* something follows the values */
  bool fresh_names;
  bool looks_up; /* LFB_NAMED, LFB_CLASSED are there */
  /* The one object so far, a bare closure, if there are no slots yet. */
  const void *lone;
  uint32_t lone_root; /* which value it is, as 'current' */
  size_t lone_at;     /* where its tag is */
  const lfb_label *label;
  /* The grammar (pack.c), for those below who come back to it: write the value
   * at the top, which stays; the bodies of the objects that have none yet. */
  void (*value)(struct lfb_packer *P);
  void (*bodies)(struct lfb_packer *P);
  const lfb_reach *reach; /* as in the label, or for results of a worker process
                           */
  lf_code **code;
  const struct lfb_packer *outer; /* whose stream this one is in */
  int subject;    /* stack index of what this stream describes */
  bool capturing; /* the value is an upvalue or a global */
  lfb_few *few;
} packer;

/* --- Bytes ------------------------------------------------------------------
 */

LF_INLINE unsigned char *room(packer *P, size_t n) {
  unsigned char *at = lf_buf_room(P->out, n);
  if (!at)
    lfb_raise_memory(P->L);
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
    lfb_raise_memory(P->L);
  }
}

/* Something that the segment says. */
LF_INLINE void feed(packer *P, uint64_t x) {
  P->version = (P->version ^ x) * 0x9e3779b97f4a7c15u;
  P->version ^= P->version >> 32;
}

/* --- Its memory (packer.c) --- */

/* Puts the slots below the value at the top, if they are not there yet; gives
 * back what is large of its memory. */
void lfb_packer_open(packer *P);
void lfb_packer_close(packer *P);

/* Keeps the value at the top as the object or class (LFB_CLASS_BASE + its own)
 * with the number, for as long as the stream is written; pushes it. */
void lfb_packer_keep(packer *P, uint32_t number);
void lfb_packer_push(packer *P, uint32_t number);

void lfb_packer_add(packer *P, lfb_array *a, int slot, const void *item,
                    size_t size);

/* What is known of an object or upvalue, or NULL; valid until the next note.
 * Notes it. */
lfb_memo *lfb_packer_find(packer *P, const void *key);
void lfb_packer_note(packer *P, const void *key, uint32_t value,
                     uint32_t index);

/* Numbers the object at the top, which occurs for the first time. */
uint32_t lfb_packer_object(packer *P, bool body);

/* The same with a bare closure whose tag is at 'at'. */
void lfb_packer_lone(packer *P, size_t at);

/* The object is named in a segment that is not its own: that one and its own
 * cannot be skipped. */
void lfb_packer_share(packer *P, uint32_t object);

/* --- Writing the value at the top, which stays (packer.c) --- */

/* Could it have a name, or be a class, as far as can be told fast? */
bool lfb_may_be_known(packer *P);

/* If it travels by name; if it has occurred before. */
bool lfb_has_name(packer *P);
bool lfb_pack_named(packer *P);
bool lfb_pack_seen(packer *P);

/* If it is no object; what it says goes into the version. */
bool lfb_pack_plain(packer *P);

/* A stream within the stream, about the object at 'subject': 'fill' writes it;
 * its length comes first. */
void lfb_pack_inner(packer *P, int subject, void (*fill)(packer *inner));

/* --- Classes (pack_class.c) --- */

/* If the table at the top is known to be used as a metatable. */
bool lfb_pack_class(packer *P);

/* The metatable at the top, of the table numbered 'n'. */
void lfb_pack_metatable(packer *P, uint32_t n);

/* The segments of the classes that have occurred; of one of them. */
void lfb_pack_segment(packer *P);

/* Which tables have which metatables, and which copies are to be recognised. */
void lfb_pack_metatables(packer *P);
void lfb_pack_identities(packer *P);

/* Notes that the copy of this table, numbered 'n', is to be recognised when it
 * comes home as a metatable. */
void lfb_pack_identity(packer *P, int table, uint32_t n);

/* --- Functions (pack_function.c) --- */

void lfb_pack_function(packer *P);
void lfb_pack_function_body(packer *P, uint32_t n, int function);

/* The segment of the globals that functions have named. */
void lfb_pack_globals(packer *P);

/* Pushes its value, if it is still to be captured. */
bool lfb_push_global(lua_State *L, const lfb_globalrec *global);

/* --- Keys that occur again and again (keys.c) --- */

/* Writes the key at the index, a string of a table's body; false: a long one,
 * which is to be written as a value. 'meta': it begins with "__". */
bool lfb_pack_key(packer *P, int idx, bool *meta);

/* --- Refusing (pack_refuse.c) --- */

/* Raises TransferError: the value at the top cannot travel. */
void lfb_pack_refuse(packer *P);

/* --- Unpacking --------------------------------------------------------------
 *
 * An unpacker uses the Lua stack and nothing else. Its slots, from U->base: the
 * first object; the others by number; the classes by number; what is to be done
 * to classes at the end; globals that are to be set then; keys by number. */

enum {
  LFB_U_FIRST,
  LFB_U_OBJECTS,
  LFB_U_CLASSES,
  LFB_U_STAGED,
  LFB_U_GLOBALS,
  LFB_U_KEYS,
  LFB_U_SLOTS
};

typedef struct lfb_unpacker {
  lua_State *L;
  lfb_state *S;
  const lf_buf *buf;
  const unsigned char *at, *end;
  /* The grammar (unpack.c), for those below who come back to it: push a value;
   * read the pairs of the table at the stack index; read the bodies of all
   * objects that have none yet. */
  void (*value)(struct lfb_unpacker *U);
  void (*pairs)(struct lfb_unpacker *U, int table);
  void (*bodies)(struct lfb_unpacker *U);
  int base; /* 0: no slots */
  uint32_t objects;
  uint32_t filled; /* with their body read */
  uint32_t classes;
  uint32_t keys;
  lua_Integer staged; /* how many are in LFB_U_STAGED */
  int function;       /* stack index of the closure that is filled, or 0 */
  int upvalue;        /* which of its upvalues is read */
  bool in_globals;    /* a global is read, whose name is at the top */
  int *globals;       /* a table of names, or LUA_NOREF; may be NULL */
} unpacker;

LF_INLINE void need(unpacker *U, uint64_t n) {
  if (n > (uint64_t)(U->end - U->at))
    lfb_unpacker_refuse(U);
}

LF_INLINE unsigned get_byte(unpacker *U) {
  need(U, 1);
  return *U->at++;
}

LF_INLINE void get_bytes(unpacker *U, void *out, size_t n) {
  need(U, n);
  memcpy(out, U->at, n);
  U->at += n;
}

static inline uint32_t get_u32(unpacker *U) {
  uint32_t x;
  get_bytes(U, &x, sizeof x);
  return x;
}

static inline uint64_t get_u64(unpacker *U) {
  uint64_t x;
  get_bytes(U, &x, sizeof x);
  return x;
}

/* --- Its memory (unpacker.c); all of these raise --- */

/* A count of things that take at least 'size' bytes each. */
uint32_t lfb_unpacker_count(unpacker *U, size_t size);

/* Pushes the object with the number. */
void lfb_unpacker_object(unpacker *U, uint32_t n);

/* The object at the top is that with the number; gets the next one; may there
 * be so many more? */
void lfb_unpacker_set(unpacker *U, uint32_t n);
void lfb_unpacker_note(unpacker *U);
void lfb_unpacker_check(unpacker *U, uint64_t more);

/* Pushes a key that is said in full, which gets the next number, or one by its
 * number (keys.c). */
void lfb_unpack_new_key(unpacker *U);
void lfb_unpack_key(unpacker *U);

/* Pushes what is at the slot, a table made when it is first needed. */
void lfb_unpacker_slot(unpacker *U, int slot);

/* --- Classes (unpack_class.c) --- */

/* Pushes the class that is named next. */
void lfb_unpack_class(unpacker *U);

/* Reads the segments; then, when all has been read, what is to be changed. */
void lfb_unpack_segments(unpacker *U);
void lfb_unpack_end(unpacker *U);

#endif
