/* SPDX-License-Identifier: MIT
 *
 * See pool.h, internal.h: the life of a pool, submitting, ending work early. */
#include "runtime/pool/internal.h"
#include "runtime/shm/arena.h"

#include "runtime/base/mem.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/room.h"
#include "runtime/task/chain.h"
#include "runtime/task/strand.h"

#include <string.h>
#include <time.h>

enum {
  RETRIES = 10,      /* of submitting, when no thread can be started, */
  RETRY_NS = 5000000 /* after so long */
};

/* --- Life of a pool --- */

static const lf_owner_ops owner_ops;

/* The pool is in its registry's list from its making to its end. */
static void registry_add(lf_pool *p) {
  lf_pool_ref(p);
  pthread_mutex_lock(&p->o.registry->lock);
  lf_list_add(&p->o.registry->pools, &p->registered);
  pthread_mutex_unlock(&p->o.registry->lock);
}

static void registry_del(lf_pool *p) {
  pthread_mutex_lock(&p->o.registry->lock);
  lf_list_del(&p->registered);
  pthread_mutex_unlock(&p->o.registry->lock);
  lf_pool_unref(p);
}

static _Atomic size_t limited;

lf_pool *lf_pool_new(const lf_pool_options *options) {
  lf_arena_reserve();
  lf_pool *p = lf_zalloc(sizeof *p);
  char *name = lf_strndup(options->name, strlen(options->name));
  lf_task *over = lf_task_new_event("the end of an executor or a thread");
  if (p && name) {
    p->o = *options;
    p->o.name = name;
    p->profile = lf_profile_new(p);
  }
  if (!p || !name || !over || !p->profile) {
    if (p && p->profile)
      lf_profile_end(p->profile);
    lf_free(p);
    lf_free(name);
    if (over)
      lf_task_unref(over);
    return NULL;
  }
  atomic_init(&p->owner.refs, 1);
  p->owner.ops = &owner_ops;
  lf_list_init(&p->owner.chains);
  atomic_init(&p->handles, 1);
  p->generation = lf_generation;
  p->over = over;
  lf_list_init(&p->registered);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
  pthread_mutex_init(&p->lock, &attr);
  pthread_mutexattr_destroy(&attr);
  pthread_mutex_init(&p->room_lock, NULL);
  lf_list_init(&p->queue);
  lf_list_init(&p->levels);
  lf_list_init(&p->idle);
  lf_list_init(&p->wanting);
  lf_list_init(&p->gone);
  if (lf_gate_is_limited(p))
    atomic_fetch_add(&limited, 1);
  lf_profile_open(p->profile, p);
  if (p->o.registry)
    registry_add(p);
  return p;
}

size_t lf_pools_limited(void) {
  return atomic_load_explicit(&limited, memory_order_relaxed);
}

lf_pool *lf_pool_ref(lf_pool *pool) {
  lf_owner_ref(&pool->owner);
  return pool;
}

void lf_pool_unref(void *pool) {
  lf_owner_unref(&((lf_pool *)pool)->owner);
}

static void pool_free(lf_owner *owner) {
  lf_pool *p = lf_container_of(owner, lf_pool, owner);
  lf_profile_end(p->profile);
  for (lf_worker *w = p->workers, *next; w; w = next) {
    next = w->next;
    pthread_mutex_destroy(&w->lock);
    lf_free(w->sight);
    lf_free(w);
  }
  if (p->o.setup_free)
    p->o.setup_free(p->o.setup);
  lf_free(p->o.program);
  if (p->o.backend->free)
    p->o.backend->free(p);
  lf_free((char *)p->o.name);
  lf_words_free(p->broken);
  lf_task_unref(p->over);
  if (p->room)
    lf_task_unref(p->room);
  pthread_mutex_destroy(&p->room_lock);
  pthread_mutex_destroy(&p->lock);
  lf_free(p);
}

/* Under the lock: true once, when nothing can happen in the pool any more. */
bool lf_pool_try_end(lf_pool *p) {
  if (p->ended || lf_pool_is_open(p) || p->threads > 0 || p->queued > 0 ||
      p->owner.held > 0 ||
      (p->o.backend->is_quiet && !p->o.backend->is_quiet(p)))
    return false;
  p->ended = true;
  p->shutdown = true;
  return true;
}

/* After try_end, without the lock. The caller still has a reference. */
void lf_pool_end(lf_pool *p) {
  registry_del(p);
  lf_task_end(p->over, LF_FINISHED);
}

lf_pool *lf_pool_handle(lf_pool *pool) {
  atomic_fetch_add(&pool->handles, 1);
  return lf_pool_ref(pool);
}

void lf_pool_unhandle(void *pool) {
  lf_pool *p = pool;
  if (lf_pool_is_foreign(p))
    return; /* its locks may be held by threads that are not here */
  if (atomic_fetch_sub(&p->handles, 1) == 1)
    p->o.backend->settle(p);
  lf_pool_unref(p);
}

static bool release(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  return lf_pool_is_foreign(p) || p->o.backend->release(p, t);
}

static void take_in(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  p->o.backend->take_in(t);
}

static const lf_owner_ops owner_ops = {pool_free, release, take_in};

/* --- Submitting --- */

/* The system may have refused a thread because others are about to end. */
int lf_pool_submit(lf_pool *p, lf_task *task, lf_route route) {
  struct timespec moment = {.tv_nsec = RETRY_NS};
  int err = p->o.backend->submit(p, task, route);
  for (int i = 0; i < RETRIES && err == LF_ETHREAD; i++) {
    nanosleep(&moment, NULL);
    err = p->o.backend->submit(p, task, route);
  }
  return err;
}

int lf_pool_count(lf_pool *p) {
  return p->o.backend->count ? p->o.backend->count(p) : lf_pool_max_workers(p);
}

int lf_pool_broadcast(lf_pool *p, lf_task **tasks, int n) {
  return p->o.backend->broadcast(p, tasks, n);
}

int lf_pool_follow(lf_pool *p, lf_dependent *chain) {
  return p->o.backend->follow(p, chain);
}

int lf_pool_hold(lf_pool *p, lf_dependent *chain) {
  pthread_mutex_lock(&p->lock);
  int err = p->ended || p->shutdown ? LF_ESHUTDOWN : p->broken ? LF_EBROKEN : 0;
  if (err == 0) {
    p->submitted++;
    chain->task.stage = LF_STAGE_HELD;
    lf_chain_hold(chain);
  }
  pthread_mutex_unlock(&p->lock);
  if (err == 0)
    lf_dependent_begin(chain);
  return err;
}

/* --- Ending work early --- */

/* Under the lock: they are in no queue any more, and about to end. */
static void mark_taken(lf_link *tasks) {
  for (lf_link *l = tasks->next; l != tasks; l = l->next)
    lf_container_of(l, lf_task, link)->stage = LF_STAGE_TAKEN;
}

/* Takes every queued task out of the pool. */
void lf_pool_drain(lf_pool *p, lf_link *out) {
  lf_list_init(out);
  pthread_mutex_lock(&p->lock);
  lf_common_drain(p, out);
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_list_move(out, &w->pinned);
    w->npinned = 0;
  }
  if (p->o.backend->recall)
    p->o.backend->recall(p, NULL, out);
  lf_chain_drain(&p->owner, out);
  mark_taken(out);
  pthread_mutex_unlock(&p->lock);
  lf_strand_drain(&p->owner, out);
  for (lf_worker *w = p->workers; w; w = w->next)
    lf_worker_drain(w, out);
}

void lf_pool_fail(lf_task *t, const char *why) {
  if (t->strand)
    lf_strand_dismiss(t);
  if (why)
    lf_task_fail(t, LF_BROKEN, why);
  else
    lf_task_cancel(t);
  lf_task_unref(t);
}

void lf_pool_fail_all(lf_link *tasks, const char *why) {
  lf_link *l;
  while ((l = lf_list_pop(tasks)))
    lf_pool_fail(lf_container_of(l, lf_task, link), why);
}

static void cancel_queued(lf_pool *p) {
  lf_link tasks;
  atomic_fetch_add(&p->owner.epoch, 1);
  lf_pool_drain(p, &tasks);
  lf_pool_fail_all(&tasks, NULL);
}

void lf_pool_close(lf_pool *p, bool cancel) {
  pthread_mutex_lock(&p->lock);
  p->shutdown = true;
  if (cancel)
    p->dropped = true;
  pthread_mutex_unlock(&p->lock);
  lf_room_tell(p);
  if (cancel)
    cancel_queued(p);
  p->o.backend->settle(p);
}

void lf_pool_shutdown(lf_pool *p, bool cancel) {
  if (p->o.backend->shutdown)
    p->o.backend->shutdown(p, cancel);
  else
    lf_pool_close(p, cancel);
}

void lf_pool_finish(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  p->finish = true;
  pthread_mutex_unlock(&p->lock);
  p->o.backend->settle(p);
}

void lf_pool_break(lf_pool *p, const char *why) {
  char *words = lf_words(why, strlen(why)), *none = NULL;
  if (!atomic_compare_exchange_strong(&p->broken, &none, words))
    lf_words_free(words);
  lf_room_tell(p);
  lf_link tasks;
  lf_pool_drain(p, &tasks);
  lf_pool_fail_all(&tasks, why);
}

void lf_pool_interrupt(lf_pool *p) {
  cancel_queued(p);
  pthread_mutex_lock(&p->lock);
  p->o.backend->interrupt(p);
  pthread_mutex_unlock(&p->lock);
}

void lf_pool_kill(lf_pool *p, int sig) {
  lf_pool_shutdown(p, true);
  if (p->o.backend->kill)
    p->o.backend->kill(p, sig);
}

void lf_pool_recall(lf_pool *p, struct lf_loop *loop) {
  if (!p->o.backend->recall)
    return;
  lf_link back;
  lf_list_init(&back);
  pthread_mutex_lock(&p->lock);
  p->o.backend->recall(p, loop, &back);
  mark_taken(&back);
  pthread_mutex_unlock(&p->lock);
  lf_pool_fail_all(&back, NULL);
}

bool lf_pool_drop(lf_task *t, lf_reason reason) {
  lf_pool *p = lf_task_pool(t);
  if (!p)
    return lf_task_drop(t, reason);
  return !lf_pool_is_foreign(p) && p->o.backend->cancel(p, t, reason);
}

bool lf_pool_cancel(lf_task *t) {
  return lf_pool_drop(t, LF_STOP_CANCEL);
}

/* --- Processes --- */

void lf_pool_listen(lf_pool *p) {
  p->o.backend->receive(p);
}

void lf_pool_tell(lf_pool *p, const lf_notice *notice) {
  if (p->o.backend->tell)
    p->o.backend->tell(p, notice);
}

bool lf_pool_can_name(const lf_pool *p, const lf_task *t) {
  if (p->o.backend->can_name)
    return p->o.backend->can_name(p, t);
  return !t->owner || !lf_pool_is_foreign(lf_task_pool(t));
}

bool lf_pool_is_remote(const lf_pool *p) {
  return p->o.backend->remote;
}

/* --- Looking --- */

lf_state lf_pool_look(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  if (!p || lf_pool_is_foreign(p) || !p->o.backend->look)
    return lf_task_state(t);
  return p->o.backend->look(p, t);
}

bool lf_pool_progress(lf_task *t, lf_report *report) {
  lf_pool *p = lf_task_pool(t);
  if (!p || lf_pool_is_foreign(p) || !p->o.backend->progress)
    return lf_task_progress(t, report);
  return p->o.backend->progress(p, t, report);
}

void lf_pool_see_begun(lf_pool *p) {
  if (p->o.backend->see_begun)
    p->o.backend->see_begun(p);
}

void lf_pool_stat(lf_pool *p, lf_pool_stats *s) {
  p->o.backend->stat(p, s);
}

uint64_t lf_pool_epoch(lf_pool *p) {
  return atomic_load(&p->owner.epoch);
}

lf_task *lf_pool_over(lf_pool *p) {
  return p->over;
}

const lf_vmops *lf_pool_ops(const lf_pool *p) {
  return p->o.ops;
}

const char *lf_pool_name(const lf_pool *p) {
  return p->o.name;
}

int lf_pool_max_workers(const lf_pool *pool) {
  return __atomic_load_n(&pool->o.max_workers, __ATOMIC_RELAXED);
}

bool lf_pool_parks(const lf_pool *p) {
  return p->o.backend->parks;
}

bool lf_pool_in_caller(const lf_pool *p) {
  return p->o.backend->caller;
}

void *lf_pool_setup(const lf_pool *p) {
  return p->o.setup;
}

lf_registry *lf_pool_registry(const lf_pool *p) {
  return p->o.registry;
}

bool lf_pool_is_foreign(const lf_pool *p) {
  return lf_is_foreign(p->generation);
}

bool lf_pool_is_shutdown(lf_pool *p) {
  return p->o.backend->is_shutdown ? p->o.backend->is_shutdown(p) : p->shutdown;
}

lf_hunger lf_pool_hunger(lf_pool *p) {
  return p->o.backend->hunger(p);
}

bool lf_pool_is_hungry(lf_pool *p) {
  lf_hunger h = lf_pool_hunger(p);
  return lf_is_hungry(&h) && p->queued == 0;
}

bool lf_pool_runs_chunks_again(const lf_pool *p) {
  return p->o.backend->whole;
}

const char *lf_pool_broken_kind(const lf_pool *p) {
  return lf_pool_trouble(p) ? "ClusterError" : p->o.backend->broken;
}

const char *lf_pool_trouble(const lf_pool *p) {
  return p->o.backend->trouble ? p->o.backend->trouble(p) : NULL;
}

const char *lf_pool_broken(lf_pool *p) {
  return p->broken;
}

bool lf_pool_may_retry(const lf_pool *p) {
  return !p->broken && !p->dropped;
}

/* --- What workers do --- */

lf_task *lf_worker_pinned(lf_worker *w) {
  return w->pool->o.backend->pinned(w);
}

void lf_worker_block(lf_worker *w) {
  if (w->blocks++ == 0)
    w->pool->o.backend->block(w);
}

void lf_worker_unblock(lf_worker *w) {
  if (--w->blocks == 0)
    w->pool->o.backend->unblock(w);
}

int lf_worker_report(lf_worker *w, lf_task *task, const lf_report *report) {
  int err = lf_task_report(task, report);
  if (err == 0 && w->pool->o.backend->report)
    w->pool->o.backend->report(w, task);
  return err;
}

bool lf_task_is_queued(lf_task *t) {
  const lf_pool *p = t->owner ? lf_task_pool(t) : NULL;
  const lf_backend *b = p ? p->o.backend : NULL;
  bool unseen =
      b && b->remote && !b->look_at; /* who has it may have begun it */
  return lf_task_state(t) == LF_PENDING &&
         t->stage < (unseen ? LF_STAGE_SENT : LF_STAGE_BEGUN);
}
