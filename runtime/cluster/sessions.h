/* SPDX-License-Identifier: MIT
 *
 * What a member has of its clients: for each a pool of worker processes and the
 * entries that it has taken, from when they come to when their results have
 * arrived. The member's thread alone; it is woken by 'doorbell'. */
#ifndef LF_CLUSTER_SESSIONS_H
#define LF_CLUSTER_SESSIONS_H

#include "runtime/base/stack.h"
#include "runtime/cluster/identity.h"
#include "runtime/cluster/member.h"
#include "runtime/cluster/parts.h"
#include "runtime/cluster/redis.h"
#include "runtime/pool/loop.h"
#include "runtime/pool/registry.h"
#include "runtime/process/channel.h"

/* How a client's interpreters start from then on. Counted. */
typedef struct {
  _Atomic size_t refs;
  lf_buf bytes;
} lf_told_notice;

enum { LF_EARLY = 32 };

/* What was said of a task that was not here: it is not to begin, or is to end
 * as one that was stopped. */
typedef struct {
  char client[LF_ID];
  uint64_t number; /* 0: of none */
  bool stop;
} lf_early;

/* One client's. */
typedef struct {
  lf_link link;
  struct lf_sessions *all;
  char id[LF_ID]; /* the client's */
  lf_pool *pool;  /* a handle, or NULL: not yet */
  lf_channel end;
  lf_table loops;   /* number -> lf_loop *, a reference */
  lf_loop *loop;    /* of the chunks that come; borrowed */
  uint64_t notice;  /* the number of the latest, or 0 */
  lf_table jobs;    /* number -> lf_job * */
  lf_table futures; /* of the entry in hand: number -> lf_task *, a reference */
  lf_task **each; /* of a broadcast that is being received: one for each worker;
                     NULL: there was none */
  int neach;
  lf_link waiting; /* entries for which something has still to be fetched */
  bool fetching;
  bool gone; /* nobody wants results */
  bool told_broken;
  unsigned got;  /* values that have been fetched */
  bool unusable; /* its setup is not there */
} lf_session;

/* An entry of a stream. */
typedef struct {
  lf_link link; /* in all->entries */
  lf_link wait; /* in session->waiting */
  lf_session *session;
  char id[44], stream[48];
  char *cancelled; /* numbers, with commas */
  char *numbers;  /* of all its tasks, with spaces, if it is large; else NULL */
  lf_buf payload; /* messages, or what names them (parts.h) */
  size_t left;    /* tasks that have not ended */
  bool fetched;   /* once, when so many had been got: if nothing comes, what is
                     not there is nowhere */
  unsigned got;
  bool begun;
} lf_taken;

/* A task of it. */
typedef struct {
  lf_waiter waiter;
  lf_node node; /* among those that have ended */
  lf_taken *entry;
  uint64_t number;
  lf_task *task;   /* a reference */
  lf_chunk *chunk; /* that has ended */
  bool refused;    /* a chunk that cannot be run: the task says why */
  uint64_t told;   /* the number of its report that was (report.h), or 0 */
} lf_job;

/* What is told to the server at once, until it has answered. */
typedef struct {
  lf_link link;
  int n, failed;
  struct lf_told {
    char stream[48], entry[44], client[LF_ID];
    lf_buf result;
  } v[];
} lf_told_all;

typedef struct lf_sessions {
  lf_registry registry;
  lf_parker parker;
  const lf_member_options *o;
  char host[64];
  lf_redis *commands; /* NULL: none */
  lf_link sessions, entries;
  lf_stack ended;           /* jobs; pushed by any thread */
  int doorbell;             /* eventfd */
  size_t jobs;              /* that have not been told */
  uint64_t reports;         /* of all tasks, when those were last looked at */
  lf_early early[LF_EARLY]; /* the latest, */
  unsigned nearly;          /* of so many */
} lf_sessions;

bool lf_sessions_init(lf_sessions *all, const lf_member_options *options);

/* T: an entry that was taken. */
void lf_sessions_take(lf_sessions *all, const char *bytes, size_t len);

/* Cancels a task that has not begun; has it begun? */
bool lf_sessions_cancel(lf_sessions *all, const char *client, uint64_t task);
bool lf_sessions_has_begun(lf_sessions *all, const char *client, uint64_t task);

/* S: a task is to stop. G: a client has gone. */
void lf_sessions_stop(lf_sessions *all, const char *text);
void lf_sessions_forget(lf_sessions *all, const char *client);

/* What has ended since, to be told; NULL: nothing. */
lf_told_all *lf_sessions_collect(lf_sessions *all);
void lf_told_free(lf_told_all *told);

/* Tells the clients what their tasks have reported since the last time. */
void lf_sessions_report(lf_sessions *all);

/* How many more tasks could run now. */
int lf_sessions_free(lf_sessions *all);

/* The connection is another, or (NULL) lost: what was asked for is asked again.
 */
void lf_sessions_connect(lf_sessions *all, lf_redis *commands);

/* Ends all at once; nothing is told. */
void lf_sessions_abort(lf_sessions *all);

/* Waits until all worker processes have ended; then, without a connection,
 * forgets everything. */
void lf_sessions_end(lf_sessions *all);
void lf_sessions_fini(lf_sessions *all);

#endif
