/* SPDX-License-Identifier: MIT
 *
 * A dictionary in shared memory: packed keys with packed values, for threads
 * and processes. Entries are written one behind the other (stream.h) and never
 * changed, but for numbers, which are one word; a table finds them by the hash
 * of their key. When more of what is written is stale than not, it is written
 * anew. The state is kept twice, as a queue's; what a killed process may leave
 * is a wrong count, which the next one sets right. Any thread; nothing waits
 * but for the lock. */
#ifndef LF_SYNC_DICT_H
#define LF_SYNC_DICT_H

#include "runtime/shm/robust.h"
#include "runtime/sync/record.h"

typedef struct {
  lf_position log, tail; /* 0: nothing has been written yet */
  uint64_t table;        /* a slab of the offsets of slabs of slots */
  uint64_t slots;        /* a power of two */
  uint64_t used;         /* slots that are not empty, stale ones included */
  uint64_t count;        /* entries */
  uint64_t live, stale;  /* bytes */
} lf_dict_state;

/* In the arena; it begins as zeroes. */
typedef struct {
  lf_shared shared;
  lf_robust robust; /* the next ones */
  _Atomic uint32_t current;
  lf_dict_state states[2];
} lf_dict;

typedef enum { LF_D_INTEGER, LF_D_FLOAT, LF_D_PACKED } lf_dict_kind;

/* What stands under a key. */
typedef struct {
  lf_dict_kind kind;
  uint64_t bits;  /* of a number */
  lf_buf *values; /* else; without references to objects of one process */
} lf_dict_value;

/* What its entries refer to has their references no more. Its slabs are freed
 * with the object (array.h). */
void lf_dict_fini(lf_dict *d);

/* Sets '*value', whose buffer is empty at first; 'annotate': see code.h.
 * LF_EAGAIN: there is no such key; LF_ENOMEM. */
int lf_dict_get(lf_dict *d, const lf_buf *key, lf_dict_value *value,
                lf_annotate *annotate);

/* The same, and removes it in one step. */
int lf_dict_pop(lf_dict *d, const lf_buf *key, lf_dict_value *value,
                lf_annotate *annotate);

/* The same, or, where there is none, sets it to another in one step: LF_EAGAIN.
 */
int lf_dict_default(lf_dict *d, const lf_buf *key, const lf_dict_value *other,
                    lf_dict_value *value, lf_annotate *annotate);

/* Sets it in one step, if it is 'old' (NULL: nothing is there). LF_EAGAIN: it
 * is not. Values that refer to something are never the same. */
int lf_dict_cas(lf_dict *d, const lf_buf *key, const lf_dict_value *old,
                const lf_dict_value *value);

/* NULL: removes it. 0, LF_ENOMEM. */
int lf_dict_set(lf_dict *d, const lf_buf *key, const lf_dict_value *value);

/* Adds a number to the one under the key, which is 0 if there is none, in one
 * step; '*value' becomes the sum. LF_EPERM: it is not a number. */
int lf_dict_add(lf_dict *d, const lf_buf *key, lf_dict_value *value);

uint64_t lf_dict_count(lf_dict *d);

/* All entries as they are at one moment. */
typedef struct {
  lf_dict *dict; /* which has to outlive it */
  lf_buf bytes;
  size_t at; /* the next one */
} lf_dict_copy;

/* Fills it, which is zero at first; LF_ENOMEM: it is to be ended, too. */
int lf_dict_copy_init(lf_dict_copy *copy, lf_dict *d);
void lf_dict_copy_fini(lf_dict_copy *copy);

/* The next entry; the key's bytes are in 'copy'. LF_EAGAIN: there is none;
 * LF_ENOMEM. */
int lf_dict_copy_next(lf_dict_copy *copy, lf_buf *key, lf_dict_value *value,
                      lf_annotate *annotate);

#endif
