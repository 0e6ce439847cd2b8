/* SPDX-License-Identifier: MIT
 *
 * Packed values as bytes that lie in shared memory for any process to take.
 * What they refer to follows them: code in full; of the objects of one process
 * their address, with the reference, which whoever takes them out has then:
 * only that process can. */
#ifndef LF_RECORD_H
#define LF_RECORD_H

#include "buf.h"
#include "stream.h"

/* What is written in front. */
typedef struct {
  uint64_t body, tail; /* bytes of the values, of what they refer to */
  uint64_t process; /* lf_process() of whose objects are in it; 0: nobody's */
} lf_record;

/* Puts into 'tail' what the values refer to, and says in 'record' what is to be
 * written: itself, the values, the tail. 0 or LF_ENOMEM. */
int lf_record_make(lf_record *record, const lf_buf *values, lf_buf *tail);

/* It has been written: the references to objects of this process are the
 * record's now, and no more those of 'values'. */
void lf_record_keep(lf_buf *values);

static inline size_t lf_record_size(const lf_record *r) {
  return sizeof *r + r->body + r->tail;
}

/* Can this process take it? */
bool lf_record_is_ours(const lf_record *record);

/* Gives the values the meaning that they have here. 'annotate': see code.h. 0,
 * LF_ENOMEM. */
int lf_record_open(const lf_record *record, lf_buf *values, const lf_buf *tail,
                   void *(*annotate)(const void *bytes, size_t len));

/* Drops the references that the record of this process has. */
void lf_record_drop(const lf_record *record, const lf_buf *tail);

#endif
