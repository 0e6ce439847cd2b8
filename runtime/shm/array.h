/* SPDX-License-Identifier: MIT
 *
 * Arrays: numbers of one type in memory that other processes see, too
 * (arena.h). Counted objects of one process: the elements are shared, the
 * object is not. A view is a part of another array, of which it holds a
 * reference; that one is a root.
 *
 * Each is of a state, which says whose its memory is and what becomes of that
 * when the last reference here is gone.
 *
 * What forked children may see in their copy of the interpreter is kept for as
 * long as they live (lf_hold). The same goes for what else is shared: an
 * *object* (a queue, a lock) is an array of the type LF_A_OBJECT, whose
 * elements are bytes and begin with an lf_shared. Any thread. */
#ifndef LF_SHM_ARRAY_H
#define LF_SHM_ARRAY_H

#include "runtime/shm/waiters.h"

typedef enum {
  LF_A_INT8,
  LF_A_UINT8,
  LF_A_INT16,
  LF_A_UINT16,
  LF_A_INT32,
  LF_A_UINT32,
  LF_A_INT64,
  LF_A_UINT64,
  LF_A_FLOAT,
  LF_A_DOUBLE,
  LF_A_TYPES,
  LF_A_OBJECT = LF_A_TYPES, /* no numbers */
  LF_A_KINDS
} lf_element;

/* Whose the memory is, and what is done when nobody here refers to it.
 *
 *   OWN        made here: freed, unless the table of references has it
 *   TAKEN      another process has given it (array_refs.h): that one is told
 *   LISTED     here by an item (refs.h): the table of references forgets it
 *   ORPHAN     who had given it has died: freed with the last one of its zone
 *   STRAY      of a living one, but who had given it has died: nothing
 *   INHERITED  a parent's, of which this process is a fork, and only looked at:
 *              nothing
 *   VIEW       a part of its root, to which the reference is given up
 *
 *   new -> OWN, TAKEN, LISTED, VIEW
 *   TAKEN -> ORPHAN, LISTED, STRAY   the giver has ended; it was its own, or
 *                                    not, and the table may be full
 *   any but VIEW -> INHERITED        in a forked process
 *   INHERITED -> TAKEN               the parent gives it
 *
 * In any state one without references goes, or stays in limbo for as long as a
 * forked child may see it or, an OWN one, the table of references has it; in
 * limbo it may be found and referred to again. */
typedef enum {
  LF_ARRAY_OWN,
  LF_ARRAY_TAKEN,
  LF_ARRAY_LISTED,
  LF_ARRAY_ORPHAN,
  LF_ARRAY_STRAY,
  LF_ARRAY_INHERITED,
  LF_ARRAY_VIEW,
} lf_array_state;

struct lf_extent;
struct lf_array;

/* Another process, as far as it has given arrays to this one; array.c's lock.
 */
typedef struct lf_giver {
  bool parent;                        /* it has started this process */
  lf_link taken;                      /* roots from it */
  _Atomic(struct lf_array *) dropped; /* of which nothing is left here */
  /* Called when there are some again: by any thread, under locks. */
  void (*rouse)(struct lf_giver *giver);
} lf_giver;

/* The first ones never change, the others are array.c's. */
typedef struct lf_array {
  void *data;
  size_t length, bytes;
  lf_element type;
  bool readonly;
  struct lf_array *base; /* a view's root, a reference; else NULL */

  _Atomic size_t refs;
  lf_array_state state;  /* as of the process that 'generation' is of: ask */
  uint32_t generation;   /* lf_array_is */
  uint64_t birth, death; /* counted in forks; death: in limbo since then */
  lf_link limbo;         /* while without references, and kept */
  /* Of roots. */
  uint64_t at;              /* offset in the arena */
  struct lf_extent *extent; /* OWN: the memory */
  lf_giver *giver;          /* TAKEN: who has given it, */
  uint64_t names;           /* how often that one has named it; */
  lf_link taken;            /* among those from that one */
  struct lf_array *next;    /* among those to be told as gone */
  atomic_bool named; /* another process has been told of it, or an item */
} lf_array;

/* Bytes of an element; "int8", ... */
size_t lf_element_size(lf_element type);
const char *lf_element_name(lf_element type);

/* Under the lock, or by whom else has it alone. */
lf_array_state lf_array_is(const lf_array *array);

/* 'length' zeroes, with one reference; NULL: no memory. */
lf_array *lf_array_new(lf_element type, size_t length);

/* An object of that type (lf_shared; less than LF_TYPES), zeroes behind it,
 * with one reference; NULL: no memory. */
lf_array *lf_object_new(uint32_t type, size_t size);

/* What is to be done with objects of the type when nobody has them any more. */
enum { LF_TYPES = 16 };
void lf_object_fini(uint32_t type, void (*fini)(void *data));

/* May other processes have it, now or later, but by a message? */
bool lf_array_is_shared(lf_array *root);

/* 'length' elements behind the first 'skip' ones (they are there), or all of
 * them without the permission to write. NULL: no memory. */
lf_array *lf_array_view(lf_array *array, size_t skip, size_t length,
                        bool readonly);

static inline lf_array *lf_array_ref(lf_array *array) {
  atomic_fetch_add_explicit(&array->refs, 1, memory_order_relaxed);
  return array;
}

void lf_array_unref(void *array);

static inline lf_array *lf_array_root(lf_array *array) {
  return array->base ? array->base : array;
}

/* Frees what was kept for forks that are over and items that are gone. (Also
 * done now and then when arrays go.) */
void lf_array_sweep(void);

/* Roots that this process knows, and bytes of its own that are in use. */
typedef struct {
  size_t arrays;
  uint64_t bytes;
} lf_array_stats;
lf_array_stats lf_array_stat(void);

/* --- Forks ------------------------------------------------------------------
 * Around a fork whose child runs on from this process's state: begin, fork,
 * since (in the parent); end when the child, and all that were forked from it,
 * have ended. */

typedef struct {
  lf_link link;
  uint64_t epoch;
} lf_hold;

void lf_hold_begin(lf_hold *hold);
void lf_hold_since(lf_hold *hold);
void lf_hold_end(lf_hold *hold);

/* --- For array_refs.c --- */

/* What another process calls an array. */
typedef struct {
  uint64_t at, size;     /* the root's memory */
  uint64_t skip, length; /* elements of the root's */
  uint8_t type;
  bool readonly;
  bool given; /* by the sender, who counts that; else it has it from us */
} lf_array_name;

/* The array that the other has named so, with a reference; NULL: there is none
 * such, or no memory. */
lf_array *lf_array_find(lf_giver *giver, const lf_array_name *name);

/* --- For record.c: items in shared memory that refer to an array --- */

/* What an item of the object is to say of it, which has a reference from now
 * on. False: there are too many. */
bool lf_array_deposit(lf_array *array, const lf_shared *object,
                      lf_array_name *name);

/* The same for a copy of the item. */
bool lf_array_pin(const lf_array_name *name, const lf_shared *object);

/* The array of an item, with a reference, or NULL: no memory. The item keeps
 * its own. */
lf_array *lf_array_collect(const lf_array_name *name);

/* The item has none any more. */
void lf_array_discard(const lf_array_name *name, const lf_shared *object);

/* --- The rest of what array_refs.c needs --- */

/* Has that process given it, or had it when this one was forked from it? */
bool lf_array_is_from(lf_array *root, const lf_giver *giver);

/* Where it lies, and how much of it is meant. */
lf_array_name lf_array_describe(lf_array *array);

/* Takes the arrays that the giver has to be told as gone, as a chain by 'next';
 * they are the caller's, to be freed. */
lf_array *lf_array_take_dropped(lf_giver *giver);

/* Puts a chain back. */
void lf_array_put_dropped(lf_giver *giver, lf_array *chain);

/* The giver (may be NULL), which owned zones as 'owner' (may be 0), has ended:
 * what it has given stays as long as it is referred to; the rest is free. */
void lf_array_reap(lf_giver *giver, uint32_t owner);

#endif
