/* SPDX-License-Identifier: MIT
 *
 * Which task goes to which worker process. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/pool/limits.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/process/task_io.h"
#include "runtime/trace/trace.h"

#include <string.h>

enum {
  AHEAD_NS = 100000, /* how much work is sent ahead to a busy worker */
  AHEAD = LF_SLOTS / 2,
  LONG_NS = 2000000,        /* what takes longer is not sent ahead, */
  LONG_CHUNK_NS = 10000000, /* also of a loop, whose chunks are alike */
  QUICK_NS = 10000,         /* about what waking a worker takes */
  STUCK_NS = 20000, /* a worker that begins nothing for so long gives back */
  WAKING_NS = 100000000, /* the same, while it is waking up */
  START_NS = 1000000,    /* the same, if another has to be started first */
};

/* --- Sending --- */

/* The loop's setup, if it was not sent last. */
static int send_loop(lf_proc *c, lf_loop *loop) {
  if (c->loop == lf_loop_id(loop))
    return 0;
  lf_msg msg = {.kind = LF_MSG_LOOP, .id = lf_loop_id(loop)};
  lf_payload payload = lf_payload_loop(&msg, loop);
  payload.owner = lf_loop_ref(loop);
  payload.drop = lf_loop_unref;
  int err = lf_channel_send(&c->end, &msg, &payload);
  if (err)
    lf_loop_unref(loop);
  else
    c->loop = lf_loop_id(loop);
  return err;
}

static int send_task(lf_proc *c, lf_task *t, lf_msg *msg) {
  atomic_store_explicit(&c->region->timing, lf_timing_now(),
                        memory_order_relaxed);
  const lf_runner *runner = lf_runner_of(t);
  if (runner) {
    int err = send_loop(c, runner->loop);
    msg->kind = LF_MSG_CHUNK;
    return err ? err : lf_chunk_send(&c->end, msg, runner->chunk);
  }
  msg->kind = LF_MSG_TASK;
  lf_payload payload = lf_payload_call(msg, t);
  payload.owner = lf_task_ref(t);
  payload.drop = lf_task_unref;
  int err = lf_channel_send(&c->end, msg, &payload);
  if (err)
    lf_task_unref(t); /* not the last */
  return err;
}

static void warm_replacement(lf_pool *p) {
  if (lf_pool_is_open(p))
    lf_members_start_worker(p, NULL);
}

/* Before anything that was submitted later. */
static void send_notice(lf_members *f, lf_proc *c) {
  lf_msg msg = {.kind = LF_MSG_NOTICE};
  lf_payload payload = {.body = f->notice.bytes, .to = f->notice.bytes->len};
  payload.owner = f->notice.owner;
  payload.drop = f->notice.drop;
  f->notice.hold(f->notice.owner);
  if (lf_channel_send(&c->end, &msg, &payload) == 0)
    c->notices = f->notices;
  else /* a module may not be found then, which is said */
    f->notice.drop(f->notice.owner);
}

/* Sends the task, whose reference goes along. It fails if there is no memory
 * for that. */
static void launch(lf_proc *c, lf_task *t, lf_outcome *after) {
  lf_pool *p = c->worker->pool;
  lf_members_stir(c);
  if (c->notices != lf_members_of(p)->notices)
    send_notice(lf_members_of(p), c);
  if (lf_proc_ahead(c) == 0) { /* from now on it could begin something */
    c->seen = lf_proc_begun(c);
    c->seen_at = lf_now();
  }
  lf_in_flight *f = lf_in_flight_new(c, t);
  lf_msg msg = {.id = f ? lf_in_flight_id(f) : 0, .flag = t->pinned != 0};
  if (f && send_task(c, t, &msg) == 0) {
    lf_members_of(p)->lower |= lf_task_priority(t) < 0;
    c->sent++;
    if (--c->left == 0)
      warm_replacement(p);
    return;
  }
  if (f)
    lf_in_flight_undo(f);
  t->stage = LF_STAGE_UNSENT;
  lf_list_add(&after->done, &t->link);
}

/* The task has been taken out of a queue: is it still wanted? */
static bool is_wanted(lf_task *t) {
  if (!lf_task_done(t))
    return true;
  lf_task_unref(t);
  return false;
}

/* The first of the common queue that is still wanted, or NULL. */
static lf_task *next_task(lf_pool *p) {
  lf_task *t;
  while ((t = lf_common_first(p))) {
    lf_common_del(p, t);
    if (is_wanted(t))
      return t;
  }
  return NULL;
}

/* A runner has to get its chunk first. */
static void send(lf_proc *c, lf_task *t, lf_outcome *after) {
  if (lf_runner_of(t) && !lf_runner_of(t)->chunk) {
    lf_members_stir(c); /* the next round takes that back */
    c->reserved++;
    t->stage = LF_STAGE_CLAIMING;
    lf_list_add(&after->claims, &t->link);
  } else {
    launch(c, t, after);
  }
  lf_members_place(c);
}

/* --- Whom the next of the queue is sent to --- */

/* May one more worker run something? */
static bool may_more_run(const lf_pool *p) {
  return lf_members_of(p)->occupied < p->o.max_workers;
}

static bool is_awake(const lf_proc *c) {
  return !lf_parker_sleeps(&c->region->parker);
}

/* What it takes to run what it has not begun, and one more; 0: not known. */
static uint64_t time_for(const lf_proc *c, uint64_t one) {
  return (lf_proc_ahead(c) + 1) * one;
}

/* One that will be through with what it has before another could be woken. */
static lf_proc *find_quick(const lf_pool *p) {
  const lf_link *all = &lf_members_of(p)->procs[LF_PROC_BUSY];
  for (lf_link *l = all->next; l != all; l = l->next) {
    lf_proc *c = lf_proc_of(l);
    uint64_t ns = atomic_load(&c->region->task_ns);
    if (ns > 0 && time_for(c, ns) < QUICK_NS && is_awake(c))
      return c;
  }
  return NULL;
}

/* One with nothing to do, rather one that is not asleep, or has not been for
 * long. */
static lf_proc *find_free(const lf_pool *p) {
  lf_link *all = lf_members_of(p)->procs;
  lf_link *free = &all[LF_PROC_FREE], *resting = &all[LF_PROC_RESTING];
  if (!may_more_run(p))
    return NULL;
  for (lf_link *l = free->next; l != free; l = l->next)
    if (is_awake(lf_proc_of(l)))
      return lf_proc_of(l);
  if (!lf_list_empty(resting))
    return lf_proc_of(resting->next);
  return lf_list_empty(free) ? NULL : lf_proc_of(free->prev);
}

/* Has it no task yet, while it is starting? Its initializer may wait for one.
 */
static bool is_vacant(const lf_proc *c) {
  return !c->blocked && lf_proc_ahead(c) == 0;
}

/* One that is starting and has no task yet: it finds it there. */
static lf_proc *find_starting(const lf_pool *p) {
  const lf_link *all = &lf_members_of(p)->procs[LF_PROC_STARTING];
  for (lf_link *l = all->next; may_more_run(p) && l != all; l = l->next)
    if (is_vacant(lf_proc_of(l)) && lf_proc_has_room(lf_proc_of(l)))
      return lf_proc_of(l);
  return NULL;
}

/* Of the busy ones, the one with the least to do, if that is little. What takes
 * long is not sent ahead: it would begin out of turn; nor is anything while
 * there will soon be another worker. */
static lf_proc *find_busy(const lf_pool *p) {
  const lf_members *f = lf_members_of(p);
  const lf_link *all = &f->procs[LF_PROC_BUSY];
  const lf_task *next = lf_common_first(p);
  uint64_t longest = lf_runner_of(next) ? LONG_CHUNK_NS : LONG_NS;
  uint64_t least = AHEAD;
  lf_proc *best = NULL;
  for (lf_link *l = all->next; f->starting == 0 && l != all; l = l->next) {
    lf_proc *c = lf_proc_of(l);
    uint64_t n = lf_proc_ahead(c), ns = atomic_load(&c->region->task_ns);
    if (ns > 0 && ns <= longest && n < AHEAD_NS / ns + 1 && n < least) {
      least = n;
      best = c;
    }
  }
  return best;
}

static void send_while(lf_pool *p, lf_proc *(*find)(const lf_pool *),
                       lf_outcome *after) {
  lf_proc *c;
  while (p->queued > 0 && (c = find(p))) {
    lf_task *t = next_task(p);
    if (t)
      send(c, t, after);
  }
}

/* --- What others have to do first --- */

/* Those that wait to go on with what they were in the middle of. */
static void let_go_on(lf_pool *p) {
  static const lf_payload none;
  lf_link *all = &lf_members_of(p)->procs[LF_PROC_WANTING];
  while (!lf_list_empty(all) && may_more_run(p)) {
    lf_proc *c = lf_proc_of(all->next);
    lf_msg msg = {.kind = LF_MSG_GO};
    if (lf_channel_send(&c->end, &msg, &none) != 0)
      return; /* later */
    c->blocked = c->wants = false;
    lf_members_place(c);
  }
}

/* Has it done all that it was sent, and can it be sent what only it may run? */
static bool can_have_pinned(const lf_proc *c) {
  return c && c->ready && c->state != LF_PROC_LEAVING &&
         lf_proc_ahead(c) == 0 && lf_proc_has_room(c);
}

static void send_pinned(lf_pool *p, lf_outcome *after) {
  lf_members *f = lf_members_of(p);
  lf_worker *w = f->pinned ? p->workers : NULL;
  f->pinned = false;
  for (; w; w = w->next) {
    while (w->npinned > 0 && can_have_pinned(lf_worker_proc(w))) {
      lf_link *l = lf_list_pop(&w->pinned);
      lf_task *t = l ? lf_container_of(l, lf_task, link) : NULL;
      w->npinned = lf_list_empty(&w->pinned) ? 0 : w->npinned - 1;
      if (t && is_wanted(t))
        send(lf_worker_proc(w), t, after);
    }
    f->pinned |= w->npinned > 0;
  }
}

/* --- More workers --- */

/* Are there tasks that no worker is being started for? */
static bool wants_hands(lf_pool *p) {
  size_t coming = 0;
  bool look = lf_members_of(p)->starting > 0 || lf_members_of(p)->pinned;
  for (lf_worker *w = look ? p->workers : NULL; w; w = w->next) {
    coming += w->mode == LF_WORKER_STARTING &&
              (!w->own || is_vacant(lf_worker_proc(w)));
    if (w->mode == LF_WORKER_GONE && w->npinned > 0)
      return true;
  }
  return p->queued > coming;
}

/* Starts workers for tasks that have none, as many as there may be; false if
 * there may not be more. */
static bool start_workers(lf_pool *p, lf_outcome *after) {
  int hands = lf_members_count_hands(p);
  lf_members *f = lf_members_of(p);
  if (f->no_template && hands == 0 && !after->broken && wants_hands(p))
    after->broken = lf_words(f->trouble, strlen(f->trouble));
  if (p->broken || f->no_template || lf_now() < f->rest_until)
    return false;
  for (lf_worker *w = f->pinned ? p->workers : NULL; w; w = w->next)
    if (w->mode == LF_WORKER_GONE && w->npinned > 0) {
      lf_members_start_worker(p, w);
      hands++;
    }
  for (; hands < p->o.max_workers && wants_hands(p); hands++)
    lf_members_start_worker(p, NULL);
  return hands < p->o.max_workers;
}

/* --- Taking back what was sent too early --- */

/* What the worker has not begun goes to others; true if there was something. */
static bool take_back(lf_pool *p, lf_proc *c, const lf_recall *recall) {
  lf_link back;
  lf_list_init(&back);
  lf_proc_recall(c, recall, &back);
  bool some = !lf_list_empty(&back);
  lf_members_requeue(p, &back);
  if (some)
    lf_members_place(c);
  return some;
}

static const lf_recall movable = {.what = LF_MOVABLE};

/* Also what was in the middle of being written when it blocked. */
static void take_back_blocked(lf_pool *p) {
  for (lf_proc_state s = LF_PROC_BLOCKED; s <= LF_PROC_WANTING; s++)
    for (lf_link *l = lf_members_of(p)->procs[s].prev, *prev;
         l != &lf_members_of(p)->procs[s]; l = prev) {
      prev = l->prev;
      if (lf_proc_ahead(lf_proc_of(l)) > 0)
        take_back(p, lf_proc_of(l), &movable);
    }
}

/* What was sent before something came that has a higher priority is sent after
 * it. */
static void take_back_lower(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  lf_task *first = lf_common_first(p);
  lf_recall lower = {.what = LF_LOWER};
  if (!first)
    return;
  lower.priority = lf_task_priority(first);
  if (lower.priority <= 0 && !f->lower)
    return;
  for (lf_worker *w = p->workers; w; w = w->next)
    if (lf_worker_proc(w) && lf_proc_ahead(lf_worker_proc(w)) > 0)
      take_back(p, lf_worker_proc(w), &lower);
  f->lower = f->lower && lower.priority < 0;
}

/* Has it tasks that it has not begun and that others may run? */
static bool has_movable(const lf_proc *c) {
  lf_in_flight *f;
  if (lf_proc_ahead(c) > 0)
    EACH_FLIGHT(f, c)
  if (lf_in_flight_is_movable(f))
    return true;
  return false;
}

/* The supervisor is to look again soon. */
static void look_again(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  if (!atomic_exchange(&f->unbalanced, true) &&
      !pthread_equal(pthread_self(), f->supervisor))
    lf_members_kick(p);
}

/* Has it begun nothing for longer than it should take another to begin it?
 * 'idle': one that is there already. */
static bool is_stuck(lf_proc *c, bool idle, int64_t now) {
  if (c->seen != lf_proc_begun(c)) {
    c->seen = lf_proc_begun(c);
    c->seen_at = now;
    return false;
  }
  int64_t patience = !atomic_load(&c->region->busy) ? WAKING_NS
                     : idle                         ? STUCK_NS
                                                    : START_NS;
  return !c->ready || now - c->seen_at > patience;
}

/* Tasks that a worker has not begun for a while go back to the queue, if there
 * is, or could be, another one for them. True if there were any. */
static bool rebalance(lf_pool *p, bool may_start) {
  const lf_members *f = lf_members_of(p);
  bool idle = f->nprocs[LF_PROC_FREE] + f->nprocs[LF_PROC_RESTING] > 0;
  if (!idle && !may_start)
    return false;
  int64_t now = lf_now();
  EACH_LIVELY(c, f) {
    if (!has_movable(c) || (!c->ready && !idle))
      continue;
    look_again(p);
    if (is_stuck(c, idle, now) && take_back(p, c, &movable))
      return true;
  }
  return false;
}

/* --- A round --- */

void lf_dispatch(lf_pool *p, lf_outcome *after) {
  bool again = true;
  take_back_blocked(p);
  if (p->urgent > 0 || lf_members_of(p)->lower)
    take_back_lower(p);
  for (int round = 0; again && round < 2; round++) {
    let_go_on(p);
    send_pinned(p, after);
    send_while(p, find_quick, after);
    send_while(p, find_free, after);
    send_while(p, find_starting, after);
    bool may_start = start_workers(p, after);
    send_while(p, find_busy, after);
    again = p->queued == 0 && rebalance(p, may_start);
  }
}

/* --- Who is to leave --- */

/* Nothing more will come for this worker. */
static void stop(lf_proc *c) {
  static const lf_payload none;
  lf_msg msg = {.kind = LF_MSG_STOP};
  lf_members_stir(c);
  if (lf_channel_send(&c->end, &msg, &none) != 0)
    return; /* later */
  c->stopping = true;
  c->worker->mode = LF_WORKER_LEAVING;
  c->worker->pool->live--;
  lf_members_place(c);
}

/* Has it nothing to do, for itself or for others, and is it there? */
static bool can_stop(const lf_proc *c) {
  bool over = c && c->state == LF_PROC_SPENT;
  return c &&
         (over || c->state == LF_PROC_FREE || c->state == LF_PROC_FULL ||
          c->state == LF_PROC_RESTING) &&
         !lf_proc_is_occupied(c) && lf_list_empty(&c->in_flight) &&
         c->untold == 0 && (over || c->worker->npinned == 0);
}

void lf_dispatch_stop(lf_pool *p) {
  bool closing = !lf_pool_is_open(p) || p->broken;
  int hands = lf_members_count_hands(p);
  bool any = closing || hands > p->o.max_workers ||
             lf_members_of(p)->nprocs[LF_PROC_SPENT] > 0;
  for (lf_worker *w = any ? p->workers : NULL; w; w = w->next) {
    if (!can_stop(lf_worker_proc(w)))
      continue;
    bool over = lf_worker_proc(w)->state == LF_PROC_SPENT;
    bool extra = !over && hands > p->o.max_workers && w != p->affine;
    if (over || extra || (closing && p->queued == 0 && p->owner.held == 0))
      stop(lf_worker_proc(w));
    if (extra)
      hands--;
  }
}
