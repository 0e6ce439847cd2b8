/* SPDX-License-Identifier: MIT
 *
 * A queue between threads and processes, in shared memory: packed values, first
 * in, first out. Its state is kept twice, and one word says which counts, so
 * that a process that dies in the middle has either done what it was about to
 * do or nothing. None of the functions waits for an item or for room: that is
 * waiters.h's, with the reasons below. Any thread. */
#ifndef LF_SYNC_QUEUE_H
#define LF_SYNC_QUEUE_H

#include "runtime/shm/robust.h"
#include "runtime/sync/record.h"

/* Why somebody waits for a queue. */
enum { LF_GETTER = 1, LF_PUTTER = 2, LF_JOINER = 4 };

typedef struct {
  lf_position head, tail; /* 0: nothing has been put yet */
  uint64_t count;         /* items in it */
  uint64_t unfinished;    /* put, and not yet said to be done */
  bool closed;
} lf_queue_state;

/* In the arena. */
typedef struct lf_queue {
  lf_shared shared;
  uint64_t maxsize; /* immutable; 0: any number */
  lf_robust robust; /* the next ones */
  _Atomic uint32_t current;
  lf_queue_state states[2];
} lf_queue;

/* In memory that reads zero. */
void lf_queue_init(lf_queue *q, uint64_t maxsize);

/* Drops what its items refer to in this process. Its slabs are freed with the
 * object (array.h). */
void lf_queue_fini(lf_queue *q);

/* Puts the values, whose references to this process's objects are taken over.
 * LF_EAGAIN: it is full; LF_ECLOSED; LF_ENOMEM. */
int lf_queue_put(lf_queue *q, lf_buf *values);

/* Takes the first item, into an empty buffer. 'annotate': see code.h.
 * LF_EAGAIN: there is none; LF_ECLOSED: and there will be none; LF_EFOREIGN: it
 * stays where it is; LF_ENOMEM: the same, or it is lost if it could not be
 * opened; LF_EDAMAGED: it is nonsense, and lost, with all behind it if nobody
 * can tell where they begin. */
int lf_queue_get(lf_queue *q, lf_buf *values, lf_annotate *annotate);

/* Nothing can be put from now on. */
void lf_queue_close(lf_queue *q);

/* One item that was taken has been dealt with. LF_EPERM: all have. */
int lf_queue_done(lf_queue *q);

lf_queue_state lf_queue_look(lf_queue *q);

#endif
