/* SPDX-License-Identifier: MIT
 *
 * A pool and its workers from the inside: private to pool.c, levels.c, sched.c,
 * worker.c.
 *
 * Two kinds of locks, never held together: the pool's (the common queue, which
 * worker is in which mode) and each worker's (its own queue).
 *
 * A worker is ACTIVE (runs tasks or looks for them), IDLE (sleeps), BLOCKED
 * (sleeps in the middle of a task), LEAVING (closes its interpreter) or GONE.
 * At most max_workers are active; one that was blocked queues for a free permit
 * before it goes on.
 *
 * Looking for common work (what is in any queue, for any worker) is a token:
 * who has it *seeks*. Spinners have one, and whoever is woken for a task gets
 * one. While there is a seeker, who pushes a task wakes nobody. So a seeker
 * that turns to work, of whatever kind, or goes to sleep, gives the token back
 * first, then looks whether there is still a task, and has another one seek
 * then; or itself, if it was about to sleep.
 *
 * Nothing is missed, as each writes before it reads: one the queue's length,
 * then who seeks, who is active; the other that it seeks no more, is not active
 * any more, then the length. (tests/model/idle.pml) */
#ifndef LF_POOL_INTERNAL_H
#define LF_POOL_INTERNAL_H

#include "runtime/os/fork.h"
#include "runtime/pool/backend.h"
#include "runtime/pool/current.h"
#include "runtime/pool/ready.h"
#include "runtime/pool/registry.h"
#include "runtime/shm/waiters.h"
#include "runtime/trace/tally.h"

typedef enum {
  LF_WORKER_GONE,
  LF_WORKER_STARTING,
  LF_WORKER_ACTIVE,
  LF_WORKER_IDLE,
  LF_WORKER_BLOCKED,
  LF_WORKER_LEAVING,
} lf_worker_mode;

struct lf_worker {
  lf_pool *pool;
  lf_worker *next; /* in the pool's list; set before it is published */
  int id;
  lf_vm *vm; /* the worker's thread */
  lf_parker parker;
  lf_parker *parker_at;  /* that, or one that a process shares */
  lf_stack ready;        /* runs; pushed by any thread, taken by its own */
  lf_deadlines timed;    /* of parked runs; its thread */
  _Atomic size_t parked; /* runs; written by its thread */
  lf_link held;          /* of these, the runs that wait for something shared;
                            its thread */
  unsigned resumed;      /* runs since the last task; its thread */
  bool has_place;        /* for the task that it has taken (gate.c); the same */
  unsigned deferred;     /* how often it has left the next one to others; the
                            same */
  lf_shared_waiter *doorbell; /* at which it sleeps then, or NULL; its thread */
  atomic_bool interrupted;    /* the held ones are to end */
  _Atomic uint32_t interrupt; /* a signal means lf_pool_interrupt */
  _Atomic uint32_t *interrupt_at; /* that, or one that a process shares */
  _Atomic uint64_t *runs_at;      /* where current->far.id is shown, or NULL */
  _Atomic uint64_t *asked_at; /* where a process is shown which one is asked to
                                 stop, or NULL */
  _Atomic uint32_t *asks_at;  /* and how often one was; set like runs_at */
  uint32_t asks;              /* as it has seen; its thread */
  atomic_bool asked;          /* tasks of it have been asked to stop */
  _Atomic(lf_task *) current; /* whose code runs, or NULL; not counted */
  _Atomic int64_t since;      /* when it has turned to that, roughly */
  _Atomic(struct lf_sight *) sight; /* where its thread answers, or NULL: it has
                                       not been asked yet; the pool's lock */

  int64_t batch_time; /* when it last took from the common queue */
  size_t batch;       /* and how many; its thread */
  unsigned unfair;    /* tasks taken since the last fair turn; its thread */
  struct lf_strand *inside; /* that the running task has passed; its thread */
  unsigned blocks;          /* how often it is blocked; its thread */
  bool stays;               /* it is the affine one; the pool's lock */
  bool swept;               /* ops->idle since the last task; its thread */
  bool seeks;               /* has a token; its thread, or who wakes it */
  atomic_bool abandoned;    /* it hangs in a task that has been given up, or has
                                come back from it; the pool's lock */

  pthread_mutex_t lock; /* the next three */
  lf_link queue;        /* tasks submitted here; it takes the newest */
  lf_link grabbed;      /* from the common queue; it takes the oldest */
  _Atomic size_t queued, ngrabbed; /* in both, and in the second; written under
                                      the lock, read anywhere */
  atomic_bool moving;              /* holds tasks that are in no queue */

  lf_worker_mode mode;    /* the pool's lock, as all that follows */
  lf_link standby;        /* among the idle, the gone, who want a permit */
  bool open;              /* its interpreter is */
  pid_t thread;           /* its number; 0 unless it has started and not left */
  lf_link pinned;         /* tasks that only it may run */
  _Atomic size_t npinned; /* read without the lock as a hint */

  lf_times times; /* of the run that is about to end; between runs, or if that
                     was not timed, 'begun' is 0; its thread */

  /* Written by the worker's thread alone, read by anyone. */
  lf_tallies tallies;
  _Atomic uint64_t submitted, started, finished, failed, stopped;

  void *own; /* the back end's; the pool's lock */
};

/* Does the worker have runs that wait for something shared? Its thread. */
static inline bool lf_worker_holds(const lf_worker *w) {
  return !lf_list_empty(&w->held);
}

/* Where a task of a pool is, task->stage; the pool's lock. Threads only tell
 * TAKEN from all else.
 *
 *   GATHERED -> QUEUED -> SENT -> BEGUN
 *   SENT -> QUEUED                      taken back, to be sent again
 *   QUEUED -> UNSENT
 *   HELD -> QUEUED                      by take_in
 *   HELD, QUEUED, SENT -> TAKEN
 *   SENT, BEGUN -> FINISHED, FAILED     as the worker says, or by its end
 *   QUEUED -> CLAIMING -> QUEUED        a runner that is to have its chunk
 *
 * The last four do not run any more: whoever has moved a task there is about to
 * end it so. */
typedef enum {
  LF_STAGE_QUEUED,   /* in a queue, or on its way there */
  LF_STAGE_GATHERED, /* waits for the rest of its broadcast */
  LF_STAGE_HELD,     /* waits for the task that it comes after */
  LF_STAGE_CLAIMING,
  LF_STAGE_SENT,  /* in flight, and not begun as far as was seen */
  LF_STAGE_BEGUN, /* in flight */
  LF_STAGE_FINISHED,
  LF_STAGE_FAILED,
  LF_STAGE_UNSENT, /* failed: it could not be sent for lack of memory */
  LF_STAGE_TAKEN,  /* out of the pool: cancelled, or failed with the pool */
} lf_stage;

struct lf_pool {
  lf_owner owner; /* first: of its tasks */
  _Atomic size_t handles;
  lf_pool_options o;   /* immutable */
  uint32_t generation; /* immutable: whose process (fork.h) */
  lf_task *over;
  struct lf_profile *profile;   /* a reference */
  void *own;                    /* the back end's */
  lf_link registered;           /* in the registry's list; its lock */
  _Atomic(lf_worker *) workers; /* grows only */
  _Atomic(char *) broken;       /* set once */
  atomic_bool shutdown;         /* set under the lock, */
  atomic_bool dropped;   /* with all that was queued; nothing is retried */
  _Atomic int seekers;   /* active workers that look for common work */
  _Atomic int stocked;   /* workers with tasks in their own queues */
  _Atomic int64_t again; /* when to try again to start a worker that a
                            task could not have, or 0 */
  lf_worker *affine;     /* that runs what one worker has to; the lock */

  _Atomic size_t begun;      /* tasks that have a place (gate.h); */
  atomic_bool needed;        /* somebody may wait for a queued one */
  _Atomic size_t waiting;    /* tasks that have a place (room.h) */
  _Atomic(lf_task *) room;   /* ends when there is one again, or NULL; written
                                under its lock, */
  pthread_mutex_t room_lock; /* which is taken last */

  pthread_mutex_t lock;   /* all below */
  lf_link queue;          /* the common one: tasks of the usual priority, 0 */
  lf_link levels;         /* and those of others: levels.c */
  _Atomic size_t queued;  /* in both; read without the lock as a hint, */
  _Atomic size_t leveled; /* in the second, */
  _Atomic size_t urgent;  /* and of these, with a positive one */
  bool finish, ended;
  int threads;        /* workers not GONE */
  int live;           /* workers neither LEAVING nor GONE */
  int abandoned;      /* workers that hang; in none of the counts above */
  _Atomic int active; /* read without the lock as a hint */
  int nworkers;
  lf_link idle;    /* of workers, latest first */
  lf_link wanting; /* blocked workers that want to go on */
  lf_link gone;    /* workers that are GONE, but for new ones */
  _Atomic int nwanting;
  uint64_t submitted;
};

/* --- pool.c ------------------------------------------------------------- */

/* Under the lock: can more work come from outside? */
static inline bool lf_pool_is_open(const lf_pool *p) {
  return !p->shutdown && !p->finish && atomic_load(&p->handles) > 0;
}

/* Under the lock: true once, when nothing can happen in the pool any more;
 * then lf_pool_end has to follow, without the lock. */
bool lf_pool_try_end(lf_pool *pool);
void lf_pool_end(lf_pool *pool);

/* Takes no more tasks from outside, as lf_pool_shutdown. */
void lf_pool_close(lf_pool *pool, bool cancel);

/* As lf_pool_follow: the pool waits for it, and takes it in then. */
int lf_pool_hold(lf_pool *pool, struct lf_dependent *chain);

/* Does it still want the task to be run? Under the lock, where others may end
 * it. */
static inline bool lf_pool_wants(lf_pool *pool, lf_task *task) {
  return !lf_task_done(task) && !pool->broken &&
         task->epoch == (uint32_t)lf_pool_epoch(pool);
}

/* Takes every queued task out of the pool; ends one, or all, that will not be
 * run: cancelled, or failed with a text. They take over the reference. */
void lf_pool_drain(lf_pool *pool, lf_link *out);
void lf_pool_fail(lf_task *task, const char *why);
void lf_pool_fail_all(lf_link *tasks, const char *why);

/* --- gate.c: how many tasks have begun and not ended -----------------------
 */

static inline bool lf_gate_is_limited(const lf_pool *p) {
  return p->o.max_running > 0;
}

/* May a queued task begin, as far as can be told without the lock? */
static inline bool lf_gate_is_open(const lf_pool *p) {
  return !lf_gate_is_limited(p) || p->begun < p->o.max_running || p->needed;
}

/* Is it waited for by one that has begun? */
static inline bool lf_gate_passes(const lf_task *t) {
  return atomic_load(&t->needed) ||
         (t->ops && t->ops->is_awaited && t->ops->is_awaited(t));
}

/* A place is taken, by a task that begins or is about to, or given back. */
static inline void lf_gate_enter(lf_pool *p) {
  atomic_fetch_add(&p->begun, 1);
}

void lf_gate_leave(lf_pool *pool);

/* The worker begins a task: one that it has taken has its place already. */
static inline void lf_gate_begin(lf_worker *w) {
  if (lf_gate_is_limited(w->pool) && !w->has_place)
    lf_gate_enter(w->pool);
  w->has_place = false;
}

/* --- levels.c: the common queue, under the lock ----------------------------
 */

/* For tasks of another priority than 0: queues it as the last of its priority,
 * or the first; takes one out that is queued; the first of the highest
 * priority, if that is at least so much, or NULL. */
void lf_level_add(lf_pool *pool, lf_task *task, bool first);
void lf_level_del(lf_pool *pool, lf_task *task);
lf_task *lf_level_first(const lf_pool *pool, int64_t least);

/* The first of which that is true, or NULL. */
lf_task *lf_level_find(const lf_pool *pool, bool (*is)(const lf_task *task));

/* The same for all. */
static inline void lf_common_add(lf_pool *p, lf_task *task, bool first) {
  if (lf_gate_is_limited(p) && lf_gate_passes(task))
    p->needed = true;
  if (lf_task_priority(task)) {
    lf_level_add(p, task, first);
    return;
  }
  lf_list_add(first ? p->queue.next : &p->queue, &task->link);
  p->queued++;
}

static inline void lf_common_del(lf_pool *p, lf_task *task) {
  if (lf_task_priority(task)) {
    lf_level_del(p, task);
    return;
  }
  lf_list_del(&task->link);
  p->queued--;
}

/* The next task, which stays, or NULL. */
lf_task *lf_common_first(const lf_pool *pool);

/* Takes out all. */
void lf_common_drain(lf_pool *pool, lf_link *out);

/* The worker that runs the task, of a pool whose workers share their memory;
 * NULL: it is about to begin, or is to be run again. */
static inline lf_worker *lf_task_carrier(const lf_task *t) {
  return __atomic_load_n(&t->far.carrier, __ATOMIC_ACQUIRE);
}

static inline void lf_task_carry(lf_task *t, lf_worker *w) {
  __atomic_store_n(&t->far.carrier, (void *)w, __ATOMIC_RELEASE);
}

/* --- sched.c: which task a worker runs next ------------------------------- */

void lf_worker_push(lf_worker *worker, lf_task *task);

/* Under the pool's lock: the task, of which a reference is kept, is for this
 * worker alone, behind those that are so; each of 'tasks' is for one of the
 * first max_workers workers that fit, which are there. */
void lf_worker_pin(lf_worker *worker, lf_task *task);
void lf_pool_pin_each(lf_pool *pool, lf_task **tasks,
                      bool (*fits)(const lf_worker *worker));

/* Under the pool's lock: whose alone the task is, or NULL. */
lf_worker *lf_pool_pinned_to(lf_pool *pool, const lf_task *task);

/* Under the pool's lock: the task comes back and is the next for the worker, or
 * (NULL) for any. */
void lf_pool_put_first(lf_pool *pool, lf_worker *worker, lf_task *task);

void lf_worker_drain(lf_worker *worker, lf_link *out);
lf_task *lf_worker_take(lf_worker *worker);
lf_task *lf_thread_pinned(lf_worker *worker);

/* Where tasks wait without a thread: is there another worker that is about to
 * look for work, as far as can be told, and has clearly fewer tasks that wait?
 */
bool lf_worker_may_defer(lf_worker *worker);

/* Under the lock: a worker stands still; who is to be unparked to run in its
 * place, or NULL. */
lf_worker *lf_pool_replace(lf_pool *pool);

/* Hints without locks: is there something for any worker to do; for this one
 * alone, as others see it; for this one, by its thread? */
bool lf_pool_any_queued(lf_pool *pool);
static inline bool lf_worker_has_own(const lf_worker *w) {
  return w->npinned || lf_stack_has_new(&w->ready, memory_order_seq_cst);
}

bool lf_worker_has_work(lf_worker *worker);

/* --- current.c: what a worker runs now ------------------------------------ */

/* The worker whose thread calls; a signal handler may ask, too. */
extern _Thread_local lf_worker *lf_self;

/* --- wake.c: workers come, are woken, give up their permits --------------- */

/* Has SIGURG interrupt the tasks that the receiving thread runs, or have them
 * look whether they are to stop; from now on, for interpreters of these ops. */
void lf_pool_catch_interrupts(const lf_vmops *ops);

/* Tells the worker that some of its tasks have been asked to stop. */
void lf_worker_tell_asked(lf_worker *worker);

/* Under the lock: a worker that is not running, new or one that has gone. */
lf_worker *lf_pool_spare_worker(lf_pool *pool);

/* Under the lock: starts one more worker, active. 0 or LF_ETHREAD. */
int lf_pool_start_worker(lf_pool *pool);

/* Under the lock: who is to be unparked, as a permit has become free. */
lf_worker *lf_pool_pass_permit(lf_pool *pool);

/* Under the lock, after a task has come: who is to be unparked, or NULL. A
 * worker is started if none is idle; '*err' tells if that failed. */
lf_worker *lf_pool_rouse(lf_pool *pool, int *err);

/* The worker has a token from now on, or gives it back; false: it had none.
 * Then who gives it back has to look for tasks once more. */
void lf_worker_seek(lf_worker *worker);
bool lf_worker_seek_no_more(lf_worker *worker);

/* Under the lock: a worker could not be started. Those that are blocked try it
 * again when it is time: one of them may wait for what it was to do. */
void lf_pool_try_later(lf_pool *pool);

/* There is work: has one more worker look for it, if nobody does. */
void lf_pool_rouse_more(lf_pool *pool);

/* Under the lock, which it may give back meanwhile: from idle or blocked to
 * active, as soon as there is a permit. */
void lf_worker_become_active(lf_worker *worker);

/* --- ready.c: runs that stand still ----------------------------------------
 */

/* Any thread: puts a run on its worker's ready list, once. */
void lf_run_ready(lf_waker *waker);

#endif
