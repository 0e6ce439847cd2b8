/* SPDX-License-Identifier: MIT
 *
 * The workers of a pool that are processes, as the program sees them: private
 * to this folder, whose files on the program's side are, each using only those
 * before it:
 *
 *   proc        a worker process, and the tasks that were sent to it
 *   members     all of them; the tasks that wait to be sent
 *   dispatch    which task goes to which worker
 *   requests    what workers ask for
 *   look        what workers are at, for reports
 *   pump        a round: receive, dispatch, do what has come of it
 *   supervisor  the thread that starts them and sees them end
 *   processes   the pool of them
 *
 * Everything here is under the pool's lock, apart from what is said. Whoever
 * submits, waits, or has been woken for it moves messages (lf_pump):
 * there is no thread between who submits and who runs. The supervisor, a thread
 * of the pool, does that too when nobody else does, and it alone starts
 * processes and sees them end.
 *
 * A task that was sent is in flight. Until the worker begins it, it can be
 * taken back (ring.h's slots), so a task is cancelled, moved to an idle worker,
 * or given to another when its worker dies, exactly if it has not begun.
 *
 * What a worker is to the pool, its state, is looked up once in each round, and
 * after each step of one that changes it: dispatch chooses by the lists of
 * those that are in a state. Workers that have nothing to do, and of which
 * nothing is expected, rest: they are not looked at, so that they cost nothing.
 * If they have something to say after all, they ring the doorbell. */
#ifndef LF_PROCESS_INTERNAL_H
#define LF_PROCESS_INTERNAL_H

#include "runtime/pool/internal.h"
#include "runtime/pool/loop.h"
#include "runtime/process/channel.h"
#include "runtime/process/processes.h"
#include "runtime/process/waits.h"

typedef struct lf_proc lf_proc;

/* A task that was sent, and has not come back. The worker begins it by moving
 * its slot on (ring.h); that this has happened is noted in task->stage when
 * somebody looks. */
typedef struct {
  lf_link link;  /* in the order of being sent; or among those not in use */
  lf_task *task; /* a reference; its far.carrier is this; NULL: not in use */
  lf_proc *proc;
  uint32_t index;    /* in proc->flights */
  uint64_t number;   /* of the tasks sent to this worker, from 1 */
  lf_far_wait *wait; /* what it waits for, or NULL (waits.h) */
} lf_in_flight;

/* A task that a worker has submitted or was told about, as a future: it is to
 * be told its end. */
typedef struct lf_export {
  lf_waiter waiter;
  lf_node node;           /* among those that have ended */
  lf_pool *pool;          /* not counted: it outlives its exports */
  lf_proc *proc;          /* NULL: the worker has gone */
  uint64_t id;            /* what it is called between the two */
  lf_task *task;          /* a reference */
  uint64_t names;         /* how often it was named to the worker */
  bool told;              /* the worker knows how it has ended */
  atomic_bool ended;      /* it is, or has been, on the list of those */
  struct lf_chunk *chunk; /* that has ended, or NULL */
} lf_export;

/* What a worker is to the pool: it is in the list of its state.
 *
 *   NONE -> STARTING -> FREE <-> BUSY <-> FULL
 *   FREE <-> RESTING
 *   STARTING, BUSY, FULL -> BLOCKED -> WANTING -> STARTING, BUSY, FULL
 *   BUSY, FULL -> SPENT
 *   any -> LEAVING -> NONE
 *
 * STARTING ends with LF_MSG_READY. FREE, BUSY and FULL are told apart by what
 * it shares with the program: what it has begun, whether it runs something,
 * whether there is room. It says itself when it blocks and wants to go on, and
 * gets LF_MSG_GO. SPENT it is by its last task, LEAVING when it is told to
 * stop, or killed. RESTING it is let by the end of a round, until somebody
 * has something for it, or it rings the doorbell. */
typedef enum {
  LF_PROC_NONE,     /* in no list: it is not there yet, or not any more */
  LF_PROC_STARTING, /* it is sent at most one task, which it finds there */
  LF_PROC_FREE,     /* nothing to do */
  LF_PROC_BUSY,     /* has something to do, and can be sent more */
  LF_PROC_FULL,     /* cannot be sent more now */
  LF_PROC_BLOCKED,  /* waits in the middle of something; others run tasks */
  LF_PROC_WANTING,  /* the same, and would go on */
  LF_PROC_SPENT,    /* has been sent all of its max_tasks */
  LF_PROC_LEAVING,
  LF_PROC_RESTING, /* the last: all before it are looked at in each round */
  LF_PROC_STATES
} lf_proc_state;

struct lf_proc {
  lf_worker *worker;
  lf_link link; /* in the list of its state */
  lf_proc_state state;
  bool occupied; /* it runs something, or will: it is counted so */
  pid_t pid;
  pid_t own_pid; /* as it says itself, when it is ready */
  int pidfd, fd; /* -1: none; fd: the region's, until the process has started */
  lf_region *region;
  lf_channel end;
  lf_in_flight **flights; /* all that were ever needed at once, */
  uint32_t nflights;
  lf_link in_flight; /* of these, those in use, in the order of being sent, */
  lf_link landed;    /* and those that are not */
  uint64_t sent;     /* tasks ever sent */
  uint64_t reserved; /* tasks about to be sent; while the lock is held */
  uint64_t left;     /* how many more it is to be sent, of max_tasks */
  uint64_t loop;     /* sent last */
  uint64_t notices;  /* the one that was sent last */
  lf_table exports;  /* number -> lf_export * */
  lf_table numbers;  /* task's address -> lf_export * */
  uint64_t last_number;
  size_t untold;     /* exports of which it has to be told */
  lf_loop *lent;     /* the loop that it has sent last, imported; a reference */
  lf_link gathering; /* tasks of a broadcast that is not complete */
  uint64_t seen;     /* begun, when it was looked at ... */
  int64_t seen_at;
  bool ready;          /* it has said so */
  bool stopping;       /* it was told */
  bool blocked, wants; /* in the middle of a task; wants to go on */
  int signal;          /* that is to end it, or 0 */
  bool mad;            /* what it says makes no sense: it is killed */
  bool interrupt;      /* SIGURG was to be sent */
};

/* A worker wants a task to be cancelled, of whichever pool; it is told whether
 * that is so. */
typedef struct {
  lf_link link;
  lf_worker *worker;   /* NULL: the task, which is parked, is to be forced */
  const lf_proc *proc; /* its process, which may be gone by then */
  pid_t pid;           /* as it had said itself */
  uint64_t number;     /* of the question */
  lf_task *task;       /* a reference */
  bool running;        /* also if it runs */
} lf_cancelling;

/* What is to be done once the lock is given back, by one thread at a time, so
 * that tasks end in the order in which the workers have ended them. */
typedef struct {
  lf_link done; /* tasks that end as task->stage says */
  lf_link cancelling;
  bool cancel_all;
  lf_link claims;                 /* runners that need a chunk */
  struct lf_dependent *beginning; /* tasks that come after others, a reference
                                     each, before they wait for these */
  char *broken;                   /* why the pool is */
} lf_outcome;

typedef struct lf_members {
  int epoll, control;            /* control: to the template, or -1 */
  _Atomic int doorbell;          /* any thread may ring it; -1: it is closed */
  _Atomic int ringing;           /* threads that are about to */
  pid_t template;                /* or 0 */
  lf_hold hold;                  /* of arrays, for what is forked from it */
  bool no_template;              /* it has died, or none is needed */
  lf_link procs[LF_PROC_STATES]; /* lists; FREE, RESTING: the latest first */
  int nprocs[LF_PROC_STATES];
  int occupied;     /* workers */
  bool pinned;      /* a task may be for one worker alone */
  bool lower;       /* one of negative priority may be ahead of its time */
  atomic_bool rung; /* somebody has rung the doorbell */
  atomic_bool deep; /* the supervisor sleeps until that */
  int starting;     /* workers asked for and not ready */
  int unwatched;    /* whose end is not told; the supervisor's */
  int failures;     /* starts in a row that came to nothing */
  int counted;      /* workers counted as awake */
  lf_stack ended;   /* exports; pushed by any thread; the lock */
  _Atomic uint64_t visits; /* of lf_pump by others than the supervisor */
  lf_outcome after;
  bool ending;            /* a thread sees to that */
  atomic_bool unbalanced; /* look again soon; the supervisor resets it */
  pthread_t supervisor;
  lf_notice notice;   /* the latest */
  uint64_t notices;   /* how many there were */
  int64_t rest_until; /* no starts before; the system has refused one */
  lf_parker *opening; /* who waits for the supervisor to be ready, or NULL */
  char trouble[300];  /* why workers cannot start */
} lf_members;

static inline lf_members *lf_members_of(const lf_pool *pool) {
  return pool->own;
}

/* --- proc.c --- */

/* The worker's process, or NULL. */
static inline lf_proc *lf_worker_proc(const lf_worker *w) {
  return w->own;
}

static inline lf_proc *lf_proc_of(lf_link *link) {
  return lf_container_of(link, lf_proc, link);
}

static inline uint64_t lf_proc_begun(const lf_proc *c) {
  return atomic_load(&c->region->begun);
}

/* Sent, or about to be, and not begun. */
static inline uint64_t lf_proc_ahead(const lf_proc *c) {
  return c->sent + c->reserved - lf_proc_begun(c);
}

/* In this order: a worker says that it is busy before it says that it has
 * begun. */
static inline bool lf_proc_is_occupied(const lf_proc *c) {
  return lf_proc_ahead(c) > 0 || atomic_load(&c->region->busy);
}

/* The state in which it is now, as far as can be seen; never RESTING. */
lf_proc_state lf_proc_look(const lf_proc *proc);

/* Could it be sent one more, whatever else it does? */
bool lf_proc_has_room(const lf_proc *proc);

/* A flight of the task, which can be begun from now on. NULL: no memory. */
lf_in_flight *lf_in_flight_new(lf_proc *proc, lf_task *task);

/* What the task is called between the two. */
uint64_t lf_in_flight_id(const lf_in_flight *flight);

/* The task waits for nothing any more, as far as its worker has told. */
void lf_in_flight_end_wait(lf_in_flight *flight);

/* It was not sent after all. */
void lf_in_flight_undo(lf_in_flight *flight);

/* The task is the caller's then. */
void lf_proc_finish_flight(lf_in_flight *flight);

/* The task in flight that a message is about, or NULL: it has ended. */
lf_in_flight *lf_proc_find(lf_proc *proc, uint64_t id);

/* For each, which may end meanwhile. */
#define EACH_FLIGHT(f, c)                                                      \
  for (lf_link *l_ = (c)->in_flight.next, *n_ = l_->next;                      \
       l_ != &(c)->in_flight &&                                                \
       ((f) = lf_container_of(l_, lf_in_flight, link), true);                  \
       l_ = n_, n_ = l_->next)

/* It has not begun, as far as can be seen now, and others may run it. */
bool lf_in_flight_is_movable(const lf_in_flight *flight);

/* Takes the task back, if it has not begun. */
bool lf_proc_take_back(lf_in_flight *flight);

/* Has a worker begun the task, as far as can be seen now? Notes it. */
bool lf_proc_has_begun(lf_task *task);

/* Those that a worker has not begun go to 'out', in order: all that others may
 * run, those of them with a lower priority than so much, all of one loop, or
 * really all. */
typedef enum { LF_MOVABLE, LF_LOWER, LF_OF_LOOP, LF_ALL } lf_recall_what;
typedef struct {
  lf_recall_what what;
  int64_t priority; /* LF_LOWER */
  lf_loop *loop;    /* LF_OF_LOOP */
} lf_recall;
void lf_proc_recall(lf_proc *proc, const lf_recall *recall, lf_link *out);

/* --- members.c --- */

/* Any thread: has the supervisor look. */
void lf_members_kick(lf_pool *pool);

/* For each that does not rest. */
lf_proc *lf_members_from(const lf_members *members, lf_proc_state state);
lf_proc *lf_members_next(const lf_members *members, const lf_proc *proc);
#define EACH_LIVELY(c, f)                                                      \
  for (lf_proc * (c) = lf_members_from(f, LF_PROC_STARTING); (c);              \
       (c) = lf_members_next(f, c))

/* Something about it may have changed: puts it into the list of its state. */
void lf_members_place(lf_proc *proc);

/* Is it in the list that it belongs to now, as far as can be seen? */
bool lf_members_is_placed(const lf_proc *proc);

/* It is in no list any more. */
void lf_members_remove(lf_proc *proc);

/* The worker is about to be sent something, or has sent something: it does not
 * rest. */
void lf_members_stir(lf_proc *proc);

/* Is there something to receive from it, or room for more of what it is to get?
 */
bool lf_proc_has_news(const lf_proc *proc);

/* Those that are FREE, and of which nothing is expected, ring the doorbell from
 * now on if they have something to say. */
void lf_members_let_rest(lf_pool *pool);

/* The doorbell was rung: who has does not rest. */
void lf_members_look_at_resting(lf_pool *pool);

/* Asks for one more worker, or (not NULL) for this one, which is not running.
 */
void lf_members_start_worker(lf_pool *pool, lf_worker *worker);

/* The worker is not running any more, or never was. */
void lf_members_forget(lf_pool *pool, lf_worker *worker);

/* None of those that the supervisor has not come to start is wanted any more.
 */
void lf_members_start_none(lf_pool *pool);

/* Sends the process a signal, now or once it is there. One that is to end it
 * (not SIGURG) means that it gets no more tasks. */
void lf_members_signal(lf_proc *proc, int sig);

/* Under the lock: sends the process a signal, if it is there. */
void lf_proc_signal(lf_proc *proc, int sig);

/* The worker has written what it cannot have meant: it is killed, and nothing
 * more that it says is listened to. */
void lf_members_condemn(lf_proc *proc);

/* Workers that may run tasks, now or soon. */
int lf_members_count_hands(const lf_pool *pool);

/* Queues a task in the common queue, as the last, or, if it has no priority, as
 * the first; for the one worker that runs what one worker has to run, starting
 * it if it is not there. */
void lf_members_add(lf_pool *pool, lf_task *task, bool first);
int lf_members_add_affine(lf_pool *pool, lf_task *task);

/* Pins tasks[i] to the i-th worker, starting missing ones. */
int lf_members_broadcast(lf_pool *pool, lf_task **tasks);

/* A task that was in flight, whose run has failed or was lost, and that is to
 * be run again (pool/limits.h), is queued, with its reference. False: it is
 * not.
 */
bool lf_members_again(lf_pool *pool, lf_task *task);

/* The task is the next for its worker, or for any; those are, in order. */
void lf_members_put_first(lf_pool *pool, lf_task *task);
void lf_members_requeue(lf_pool *pool, lf_link *tasks);

/* Takes a task that has not begun out of the pool, wherever it is. It is the
 * caller's then, with the pool's reference. */
bool lf_members_withdraw(lf_task *task);

void lf_outcome_init(lf_outcome *after);
bool lf_outcome_is_empty(const lf_outcome *after);

/* Is nothing on its way? */
bool lf_members_is_quiet(lf_pool *pool);

/* No more tasks are taken. */
void lf_members_close(lf_pool *pool);

void lf_members_stat(lf_pool *pool, lf_pool_stats *stats);

/* The pool for which the calling thread is in lf_pump, or NULL. It goes
 * on then until there is nothing to do. */
extern _Thread_local lf_pool *lf_members_pumping;
bool lf_members_is_pumping(const lf_pool *pool);

/* --- dispatch.c --- */

/* Sends what can be. */
void lf_dispatch(lf_pool *pool, lf_outcome *after);

/* Tells those to stop for whom nothing more will come. */
void lf_dispatch_stop(lf_pool *pool);

/* --- requests.c --- */

extern const lf_names lf_requests_names; /* user: the lf_proc */

/* The message in hand is a request. */
void lf_requests_receive(lf_proc *proc, lf_outcome *after);

/* Without the lock: cancels the task, and tells the worker. Frees it. */
void lf_requests_cancel(lf_pool *pool, lf_cancelling *what);

/* Tells the workers about tasks that have ended. */
void lf_requests_tell(lf_pool *pool);

/* The worker has gone. */
void lf_requests_forget(lf_proc *proc);

/* --- look.c: for lf_backend --- */

lf_presence lf_proc_look_at(lf_worker *worker, uint32_t number,
                            struct lf_sight **sight);
void lf_proc_know(lf_worker *worker, struct lf_sight_line *line);
void lf_proc_resolve(lf_worker *worker, struct lf_sight_line *line);
void lf_proc_trace_ask(lf_pool *pool);
void lf_proc_trace_rest(lf_pool *pool);

/* What the process is, or was, in the middle of goes into the trace. */
void lf_proc_put_rest(lf_proc *proc);

/* --- pump.c: without the lock --- */

/* One round: receives, sends, ends. */
void lf_pump(lf_pool *pool);

/* Is there something to receive? Who finds the lock taken may be told no
 * ('wait' false). */
bool lf_pump_has_news(lf_pool *pool, bool wait);

/* All workers are to ring the doorbell at their next news. By the supervisor:
 * it will sleep until then. */
void lf_pump_arm(lf_pool *pool, bool supervisor);

/* Waits until what was received has been seen to, by whichever thread. */
void lf_pump_settle(lf_pool *pool);

/* --- supervisor.c --- */

/* The thread of the pool, which is to have a reference for it. */
void lf_supervisor_main(void *pool);

#endif
