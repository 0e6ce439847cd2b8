/* SPDX-License-Identifier: MIT
 *
 * A client of a cluster: the back end of a pool whose tasks are run by members.
 * Private to this folder:
 *
 *   batch       tasks that are in the server, and how they come back from there
 *   questions   what the server or a member is asked about one of them
 *   send        what goes to the server: tasks, functions; a round
 *   each        a task for each worker
 *   hold        tasks that wait for the futures that they are given
 *   receive     what comes from it
 *   client      the thread that keeps the connection; the back end
 *
 * Everything here is under the pool's lock, apart from what is said. Whoever
 * submits sends (lf_client_round); the thread receives. Two connections: one
 * for commands, one that waits for results.
 *
 * A task stays PENDING here until it has ended, or somebody asks whether it has
 * begun: members do not tell. It is kept until then with what it was given, so
 * that it can be sent once more when its member is lost, or the server has
 * forgotten it. */
#ifndef LF_CLUSTER_INTERNAL_H
#define LF_CLUSTER_INTERNAL_H

#include "runtime/cluster/call.h"
#include "runtime/cluster/client.h"
#include "runtime/cluster/parts.h"
#include "runtime/cluster/private.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/loop.h"
#include "runtime/process/channel.h"

enum { LF_ENTRY_ID = 44 };

/* Tasks that are put into the server at once, and are taken at once. */
typedef struct {
  lf_link link;         /* among all */
  lf_link tasks;        /* lf_sent, those that have not ended */
  char id[LF_ENTRY_ID]; /* "": the server has not answered yet; */
  lf_buf numbers;       /* until then, what it was sent */
  lf_buf payload;
  lf_buf name; /* of the parts in which that has gone ahead; empty: none */
  int64_t priority;
  int64_t made;       /* when: nothing of it has run before */
  char member[LF_ID]; /* who alone is to have it; "": any */
  struct lf_cluster *cluster;
} lf_batch;

/* A task in the server, or taken from there. */
typedef struct {
  lf_link link;  /* in the batch */
  lf_task *task; /* a reference; its far.carrier is this */
  uint64_t number;
  lf_batch *batch;
  lf_reason withdrawn; /* to be, for that, as soon as the entry is known */
} lf_sent;

/* A task that ends otherwise than by its outcome, which is done without the
 * lock. */
typedef struct {
  lf_link link;
  lf_task *task; /* a reference */
  enum { LF_END_LOST, LF_END_DROPPED, LF_END_BROKEN } what;
  lf_lost how;      /* it is lost */
  lf_reason reason; /* why it is dropped, which nobody has begun */
} lf_ending;

/* Somebody wants to know what the server, or the member that has the task, says
 * about it. */
typedef struct lf_question {
  lf_link link;
  struct lf_cluster *cluster;
  uint64_t number, task;
  lf_reason reason; /* why it is to be dropped */
  bool told;        /* the server has answered, if only that its member will */
  bool answered;
  int64_t early; /* what its member has said before that, or -1 */
  int64_t value; /* -1: there is none */
  /* It has been answered: to free it. NULL: who waits looks. */
  void (*done)(struct lf_question *question);
} lf_question;

typedef struct lf_cluster {
  lf_pool *pool; /* the thread's reference */
  lf_cluster_options o;
  lf_private private; /* if o.program; the thread's */
  char id[LF_ID];     /* as the others know it; a new one if it is given up */
  lf_redis *commands; /* both or none: NULL */
  lf_redis *results;
  int doorbell;
  pthread_t thread;
  pthread_cond_t changed; /* something has come */
  int opening;            /* 1: not yet known; else 0 or LF_E... */
  lf_reader reader;       /* of the results */
  lf_channel out, in;
  lf_link clocks; /* of members */
  uint64_t taken; /* tasks, as the server said last, for a trace; */
  bool sampling;  /* it has been asked again */
  lf_msg took;    /* of the task whose result comes next (LF_MSG_TOOK) */
  lf_table sent;  /* number -> lf_sent * */
  lf_table loops; /* those that the server has */
  lf_link batches;
  lf_link questions;
  lf_link large;   /* results that are still fetched */
  lf_link held;    /* tasks that wait for futures, */
  lf_stack unheld; /* and, of these, those that do not any more */
  uint64_t last_question;
  size_t unanswered;  /* batches */
  size_t withdrawals; /* of these, those of lf_client_withdraw */
  lf_link claims;     /* runners that are to get their chunk, */
  lf_link done;       /* tasks that end as their stage says, */
  lf_link endings;    /* or otherwise: without the lock */
  char *broken;       /* why members cannot run our tasks; the same */
  int rounds;         /* threads that are at that */
  lf_notice notice;   /* the latest; of it, too, the script's package.path */
  uint64_t notices;   /* how many there were, and which the server has */
  uint64_t stored;
  uint64_t last_number;
  size_t in_server; /* tasks */
  size_t chunks;    /* of loops, of these */
  int workers;      /* of all members */
  uint64_t finished, failed, stopped;
  bool full;         /* the server has no room: 'trouble' says so */
  bool cut_off;      /* it is lost for good; the same */
  bool gone;         /* it does not know us any more */
  int64_t try_again; /* to send, when it was full */
  int64_t until;     /* when a lost server has to be there again; 0: it is */
  int64_t next_beat;
  char trouble[300];
} lf_cluster;

static inline lf_cluster *lf_cluster_of(const lf_pool *pool) {
  return pool->own;
}

static inline bool lf_client_is_connected(const lf_cluster *cluster) {
  return cluster->commands && cluster->until == 0;
}

/* --- batch.c --- */

/* Has the thread look. Any thread. */
void lf_client_kick(lf_cluster *cluster);

/* Sends what there is to send, as far as it goes; the thread does the rest. */
void lf_client_flush(lf_cluster *cluster);

/* Calls one of the server's functions. 0 or LF_ENOMEM. */
int lf_client_call(lf_cluster *cluster, const char *function,
                   const lf_arg *args, int n, lf_redis_reply *reply,
                   void *user);

/* There are so many workers now. */
void lf_client_note_workers(lf_cluster *cluster, int n);

/* The question has its answer; the same by its number, from a member. */
void lf_question_answer(lf_question *question, int64_t value);
void lf_client_answer(lf_cluster *cluster, uint64_t number, int64_t value);

/* An empty batch, or NULL: no memory. It is freed by hand as long as nothing of
 * it has been sent. */
lf_batch *lf_batch_new(lf_cluster *cluster, int64_t priority);
void lf_batch_free(lf_batch *batch);

/* The key of the stream that has it. Returns 'room'. */
const char *lf_batch_stream(const lf_batch *batch, char *room, size_t size);

/* Nothing of it is in the server any more. */
void lf_batch_end_if_empty(lf_batch *batch);

/* A task that was sent is the caller's again, with its reference. */
lf_task *lf_sent_end(lf_sent *sent);

/* The task, with its reference, is ended so by the next round; for lack of
 * memory. */
void lf_client_end(lf_cluster *cluster, lf_task *task, lf_ending ending);
void lf_client_lack(lf_cluster *cluster, lf_task *task);

/* A task that was sent is queued again, if it may be. */
bool lf_client_again(lf_cluster *cluster, lf_task *task);

/* The same of one that is lost, which ends else; all of a batch. */
void lf_client_lose(lf_cluster *cluster, lf_task *task, const lf_lost *how);
void lf_batch_lose(lf_batch *batch, const lf_lost *how);

/* --- questions.c --- */

/* Calls a function with the task's client, stream, entry, number, and a number
 * for the question. Waits, without the lock meanwhile, for the number that it
 * returns, or its member says; -1: there is none, as the task has ended, or by
 * the client's own thread, which must not wait. */
int64_t lf_client_ask(lf_cluster *cluster, lf_task *task, const char *function);

/* Nobody is to begin the task. Does not wait: if nobody has begun it, it is
 * dropped for 'reason' then. */
void lf_client_withdraw(lf_cluster *cluster, lf_task *task, lf_reason reason);

/* The same also of one that has been begun: it is asked to stop. */
void lf_client_stop(lf_cluster *cluster, lf_task *task, lf_reason reason);

/* --- hold.c --- */

/* Does it name a future? */
bool lf_ref_is_future(const struct lf_ref *ref);

/* The task, which is given futures of the pool, waits until these are done,
 * with a reference and an own stage; '*held': it has to. LF_ENOMEM. */
int lf_client_hold(lf_cluster *cluster, lf_task *task, bool *held);

/* Queues those that do not have to wait any more. */
void lf_client_unhold(lf_cluster *cluster);

/* One that waits (LF_STAGE_HELD, with a carrier) does not any more: it is the
 * caller's, with its reference. False: its futures have just been done, and it
 * has been queued. */
bool lf_client_let_go(lf_task *task);

/* All that wait end so. */
void lf_client_drop_held(lf_cluster *cluster, lf_ending how);

/* --- send.c --- */

/* Sends what can be sent, and ends, without the lock, what is to be ended.
 * Without the lock. */
void lf_client_round(lf_pool *pool);

/* Puts the task, whose reference goes along, into the batch. LF_ENOMEM: it is
 * not there. */
int lf_batch_add(lf_batch *batch, lf_task *task);

/* What the batch's tasks refer to is in the server. */
void lf_batch_store(lf_batch *batch);

/* Sends the batch; 'again': unless the server has it. */
int lf_client_put(lf_batch *batch, bool again);

/* --- each.c --- */

/* Workers of all members, as the server says. Without the lock; waits. */
int lf_client_count(lf_cluster *cluster);

/* The task, with a reference, for the i-th worker of all is sent to its member;
 * waits, without the lock meanwhile. LF_ENOMEM, LF_ECLUSTER: none was sent. */
int lf_client_broadcast(lf_cluster *cluster, lf_task **tasks, int n);

/* --- receive.c --- */

/* One of the results that the server has had for us. */
void lf_client_receive(lf_cluster *cluster, const char *bytes, size_t len);

/* Fetches the large results that are not on their way; forgets them. */
void lf_client_fetch_large(lf_cluster *cluster);
void lf_client_forget_large(lf_cluster *cluster);

/* The server has forgotten all that it had: what may be run once more is queued
 * again. */
void lf_client_forget_all(lf_cluster *cluster);

/* The server will not come back: all that it had fails. */
void lf_client_give_up(lf_cluster *cluster);

#endif
