/* SPDX-License-Identifier: MIT
 *
 * Packed values as bytes that lie in shared memory for any process to take.
 * What they refer to follows them: code in full; of the objects of one process
 * their address, with the reference, which whoever takes them out has then:
 * only that process can. */
#ifndef LF_SYNC_RECORD_H
#define LF_SYNC_RECORD_H

#include "runtime/base/buf.h"
#include "runtime/base/code.h"
#include "runtime/shm/array.h"
#include "runtime/shm/stream.h"

/* What is written in front. Whatever a process does to shared memory, sizes are
 * only believed if they have their check, and what the values refer to if it
 * has its. (The values themselves are checked by who reads them.) */
typedef struct {
  uint64_t body, tail; /* bytes of the values, of what they refer to */
  uint64_t process; /* lf_process() of whose objects are in it; 0: nobody's */
  uint64_t hash;    /* of the tail */
  uint64_t check;   /* a hash of all that */
} lf_record;

/* Are they what has been written? */
bool lf_record_is_whole(const lf_record *record);
bool lf_record_has_tail(const lf_record *record, const lf_buf *tail);

/* Puts into 'tail' what the values refer to, and says in 'record' what is to be
 * written: itself, the values, the tail. It is to be the object's. 0 or
 * LF_ENOMEM. Then it is either
 * kept, having been written: its references to objects of this process are no
 * more those of 'values'. Or it is undone. */
int lf_record_make(lf_shared *object, lf_record *record, const lf_buf *values,
                   lf_buf *tail);
void lf_record_keep(lf_buf *values);
void lf_record_undo(const lf_shared *object, const lf_buf *tail);

/* Writes it for the object, and moves the position behind it. False: no memory.
 */
bool lf_record_write(lf_shared *object, lf_position *at, const lf_record *r,
                     const lf_buf *values, const lf_buf *tail);

/* Reads it into the buffers, which are empty, and moves the position behind it.
 * LF_EFOREIGN: this process cannot take it; LF_ENOMEM; LF_EDAMAGED: where it
 * ends is not known, or, if the position has moved, what it refers to. */
int lf_record_read(lf_position *at, lf_record *r, lf_buf *values, lf_buf *tail);

/* Can this process take it? */
bool lf_record_is_ours(const lf_record *record);

/* Gives the values the meaning that they have here, in a copy of the record.
 * 'annotate': see code.h. 0, LF_ENOMEM. */
int lf_record_open(lf_buf *values, const lf_buf *tail, lf_annotate *annotate);

/* A copy of the tail that is to be opened later, when the record may be no
 * more: holds what it refers to, until it is undone. LF_ENOMEM. */
int lf_record_pin(const lf_shared *object, const lf_buf *tail);

/* The record is no more, of which 'tail' is a copy. 'taken': the references to
 * objects of this process are now those of the opened values; else they are
 * dropped, if it is this process's. */
void lf_record_drop(const lf_shared *object, const lf_record *record,
                    const lf_buf *tail, bool taken);

/* Drops a record that nobody will take, whose values begin at the position; but
 * for what it refers to, if that is damaged or there is no memory. */
void lf_record_discard(const lf_shared *object, const lf_record *record,
                       lf_position at);

#endif
