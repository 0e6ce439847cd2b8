/* SPDX-License-Identifier: MIT
 *
 * What a worker process sends to its program: the results of what it runs, and
 * tasks of its own, which the program runs wherever there is room; and
 * lf_serve, the worker, of which everything else in serve*.c is a part.
 *
 * Any thread of the process sends, under the lock of the pool that stands for
 * the program's. */
#ifndef LF_PROCESS_SERVE_SEND_H
#define LF_PROCESS_SERVE_SEND_H

#include "runtime/os/timer.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/loop.h"
#include "runtime/process/channel.h"

/* A question to the program. Any thread asks; the worker's receives the answer,
 * and tells who waits for it. */
typedef struct {
  lf_link link;
  uint64_t number;
  lf_parker *parker; /* of who asks */
  atomic_bool answered;
  uint64_t answer;
  lf_pool_stats stats;
  lf_buf *body; /* the answer's, if it is wanted, or NULL */
} lf_question;

/* A task that the program knows, too, by the number task->far.id. */
typedef struct {
  lf_task *task;    /* a reference, until its end has been told */
  uint64_t names;   /* how often the program has named it */
  uint32_t revived; /* named when the last reference had gone */
} lf_known;

/* Bits of task->noted. */
enum {
  LF_NAMED = 1, /* there is an lf_known; the pool's lock */
  LF_TOLD = 2,  /* the program knows that it waits */
  LF_RESTS = 4, /* a chunk of a loop that has waited */
};

/* What the worker's thread is at; by it alone. To the program, RUNNING, WAITING
 * and WANTING are busy: it tells that from lf_region's word.
 *
 *   IDLE -> RUNNING          it begins a task or goes on with one
 *   RUNNING -> IDLE, WAITING when all its tasks have ended, or are parked
 *   WAITING -> RUNNING
 *   any -> BLOCKED           in the middle of a task: LF_MSG_BLOCK
 *   BLOCKED -> WANTING       it would go on: LF_MSG_UNBLOCK
 *   WANTING -> RUNNING       it may: LF_MSG_GO
 *
 * It leaves when it is IDLE and has been told to stop, which may come at any
 * time. */
typedef enum {
  LF_SERVE_IDLE,
  LF_SERVE_WAITING, /* for something shared, so that it begins nothing */
  LF_SERVE_RUNNING,
  LF_SERVE_BLOCKED,
  LF_SERVE_WANTING,
} lf_serve_state;

typedef struct lf_serve {
  lf_pool *pool; /* the reference of the process */
  lf_worker *worker;
  lf_region *region;
  lf_channel end;
  int doorbell;
  lf_serve_state state;
  bool stop;         /* the program will send nothing more */
  lf_task *begun;    /* the last one that has, unless it has ended */
  lf_link questions; /* without an answer yet; the lock */
  uint64_t last_question;
  lf_loop *loop;  /* received last; a reference */
  lf_table tasks; /* number -> lf_known *; the lock */
  uint64_t last_number;
  uint64_t lent_id; /* the loop that was sent last */
  int chunks;       /* of loops, sent, that may be running; the lock */
  lf_link runners;  /* that wait for their turn */
  lf_link waiting;  /* tasks that run here and wait */
  bool sending_runners;
  lf_link unsent; /* tasks whose last report has not been sent; the lock */
  atomic_size_t nunsent;
  lf_timer reports; /* when they are; the lock */
  int64_t reported; /* when one was sent last; the lock */
} lf_serve;

static inline lf_serve *lf_serve_of(const lf_pool *pool) {
  return pool->own;
}

/* The worker's thread is at something else now, as the program can see. */
void lf_serve_enter(lf_serve *serve, lf_serve_state state);

/* What was published is seen by a program that wants to be told. */
void lf_serve_ring_doorbell(lf_serve *serve);

/* Under the lock: waits until all is written; sends, waiting for room. */
void lf_serve_flush(lf_serve *serve);
int lf_serve_post(lf_serve *serve, lf_msg *msg, const lf_payload *payload);

/* A message without a body; takes the lock. */
int lf_serve_tell(lf_serve *serve, lf_msg_kind kind, uint64_t id, uint8_t flag);

/* Under the lock: the result that 'msg' is about could not be sent, or made,
 * for lack of memory: an error in its place. */
void lf_serve_tell_lack(lf_serve *serve, lf_msg *msg);

/* Under the lock: the task with that number, or NULL. */
lf_known *lf_serve_known(lf_serve *serve, uint64_t id);

extern const lf_names lf_serve_names; /* user: the lf_serve */

/* Nobody here knows the task any more; false if someone does again. */
bool lf_serve_release(lf_serve *serve, lf_task *task);

/* The task, run here, has ended as its fields say. */
void lf_serve_end(lf_serve *serve, lf_task *task, lf_state state);

/* What is traced in this process goes to the program. */
void lf_serve_trace(lf_serve *serve);

/* At its end: what executors have done that were made here. */
void lf_serve_profiles(void);

/* A chunk of a loop that was received has ended (lf_loop_import). */
void lf_serve_chunk_done(lf_runner *runner, lf_chunk *chunk, int64_t ns);

/* Sends chunks of loops, a few at a time, so that their sizes can adapt. */
void lf_serve_send_runners(lf_serve *serve);

/* As lf_pool_submit, lf_pool_broadcast, lf_pool_is_shutdown. */
int lf_serve_submit(lf_serve *serve, lf_task *task, lf_route route);
int lf_serve_broadcast(lf_serve *serve, lf_task **tasks);

/* Submits a task that comes after another, which the program knows. */
int lf_serve_follow(lf_serve *serve, lf_task *task, const lf_task *after);

bool lf_serve_is_closed(lf_serve *serve);

#endif
