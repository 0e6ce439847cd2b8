/* SPDX-License-Identifier: MIT
 *
 * Which task goes to which worker process. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/base/mem.h"
#include "runtime/process/chunk_io.h"

#include <string.h>

enum {
  AHEAD_NS = 100000, /* how much work is sent ahead to a busy worker */
  AHEAD = LF_SLOTS / 2,
  LONG_NS = 2000000,       /* what takes longer is not sent ahead, */
  LONG_PART_NS = 10000000, /* also of a loop, whose parts are alike */
  QUICK_NS = 10000,        /* about what waking a worker takes */
  STUCK_NS = 20000, /* a worker that begins nothing for so long gives back */
  WAKING_NS = 100000000, /* the same, while it is waking up */
  START_NS = 1000000,    /* the same, if another has to be started first */
};

/* --- Sending --- */

/* The job's setup, if it was not sent last. */
static int send_job(lf_proc *c, lf_job *job) {
  if (c->job == lf_job_id(job))
    return 0;
  lf_msg msg = {.kind = LF_MSG_JOB, .id = lf_job_id(job)};
  const lf_buf *setup = lf_job_setup(job);
  lf_load load = {.body = setup, .to = setup->len};
  load.owner = lf_job_ref(job);
  load.drop = lf_job_unref;
  int err = lf_end_send(&c->end, &msg, &load);
  if (err)
    lf_job_unref(job);
  else
    c->job = lf_job_id(job);
  return err;
}

static int send_task(lf_proc *c, lf_task *t, lf_msg *msg) {
  const lf_runner *runner = lf_runner_of(t);
  if (runner) {
    int err = send_job(c, runner->job);
    msg->kind = LF_MSG_CHUNK;
    return err ? err : lf_chunk_send(&c->end, msg, runner->chunk);
  }
  msg->kind = LF_MSG_TASK;
  lf_load load = {.body = &t->data, .to = t->data.len};
  load.owner = lf_task_ref(t);
  load.drop = lf_task_unref;
  int err = lf_end_send(&c->end, msg, &load);
  if (err)
    lf_task_unref(t); /* not the last */
  return err;
}

static void warm_replacement(lf_pool *p) {
  if (lf_pool_is_open(p))
    lf_keeper_start_worker(p, NULL);
}

/* Before anything that was submitted later. */
static void send_notice(lf_fleet *f, lf_proc *c) {
  lf_msg msg = {.kind = LF_MSG_NOTICE};
  lf_load load = {.body = f->notice.bytes, .to = f->notice.bytes->len};
  load.owner = f->notice.owner;
  load.drop = f->notice.drop;
  f->notice.hold(f->notice.owner);
  if (lf_end_send(&c->end, &msg, &load) == 0)
    c->notices = f->notices;
  else /* a module may not be found then, which is said */
    f->notice.drop(f->notice.owner);
}

/* Sends the task, whose reference goes along. It fails if there is no memory
 * for that. */
static void launch(lf_worker *w, lf_task *t, lf_outcome *after) {
  lf_proc *c = w->proc;
  lf_fleet_stir(c);
  if (c->notices != lf_fleet_of(w->pool)->notices)
    send_notice(lf_fleet_of(w->pool), c);
  if (lf_proc_ahead(c) == 0) { /* from now on it could begin something */
    c->seen = lf_proc_begun(c);
    c->seen_at = lf_now();
  }
  lf_flight *f = lf_flight_new(c, t);
  lf_msg msg = {.id = c->sent + 1, .flag = t->pinned != 0};
  if (f && send_task(c, t, &msg) == 0) {
    c->sent++;
    if (--c->left == 0)
      warm_replacement(w->pool);
    return;
  }
  if (f)
    lf_flight_undo(f);
  t->ending = LF_UNSENT;
  lf_list_add(&after->done, &t->link);
}

/* Under the lock: the first of the queue that is still wanted, or NULL. */
static lf_task *next_task(lf_pool *p, lf_link *queue) {
  lf_link *l;
  while ((l = lf_list_pop(queue))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    if (queue == &p->queue)
      p->queued--;
    if (!lf_task_done(t))
      return t;
    lf_task_unref(t);
  }
  return NULL;
}

/* A runner has to get its chunk first. */
static void send(lf_worker *w, lf_task *t, lf_outcome *after) {
  if (lf_runner_of(t) && !lf_runner_of(t)->chunk) {
    lf_fleet_stir(w->proc); /* the next round takes that back */
    w->proc->reserved++;
    lf_list_add(&after->claims, &t->link);
  } else {
    launch(w, t, after);
  }
}

/* The next task of the queue to this worker. */
static void send_next(lf_pool *p, lf_worker *w, lf_outcome *after) {
  lf_task *t = next_task(p, &p->queue);
  if (t)
    send(w, t, after);
}

/* --- Whom to send to --- */

/* One with nothing to do, rather one that is not asleep, or has not been for
 * long. */
static lf_worker *find_free(lf_pool *p) {
  lf_worker *asleep = NULL;
  EACH_LIVELY(l, p) {
    lf_proc *c = lf_proc_of(l);
    if (!lf_proc_can_take(c) || lf_proc_is_occupied(c))
      continue;
    if (!lf_parker_sleeps(&c->region->parker))
      return c->worker;
    asleep = c->worker;
  }
  for (lf_link *l = lf_fleet_of(p)->idle.next; l != &lf_fleet_of(p)->idle;
       l = l->next)
    if (lf_proc_can_take(lf_proc_of(l)))
      return lf_proc_of(l)->worker;
  return asleep;
}

/* One that is starting and has no task yet: it finds it there. */
static lf_worker *find_starting(lf_pool *p) {
  lf_worker *w = lf_fleet_of(p)->starting > 0 ? p->workers : NULL;
  for (; w; w = w->next)
    if (w->mode == STARTING && w->proc && !w->proc->ready &&
        lf_proc_ahead(w->proc) == 0 && lf_proc_has_room(w->proc))
      return w;
  return NULL;
}

/* Can it take a task, without more workers running than may? */
static bool may_have(const lf_pool *p, const lf_proc *c, int occupied) {
  return lf_proc_can_take(c) &&
         (occupied < p->o.max_workers || lf_proc_is_occupied(c));
}

/* One that will be through with what it has before another could be woken. */
static lf_worker *find_quick(lf_pool *p, int occupied) {
  EACH_LIVELY(l, p) {
    lf_proc *c = lf_proc_of(l);
    if (!may_have(p, c, occupied) || lf_parker_sleeps(&c->region->parker))
      continue;
    uint64_t ns = atomic_load(&c->region->task_ns);
    if (ns > 0 && (lf_proc_ahead(c) + 1) * ns < QUICK_NS)
      return c->worker;
  }
  return NULL;
}

/* Of the busy ones, the one with the least to do, if that is little. What takes
 * long is not sent ahead: it would begin out of turn. */
static lf_worker *find_busy(lf_pool *p, int occupied) {
  lf_worker *best = NULL;
  uint64_t least = UINT64_MAX;
  const lf_task *next = lf_container_of(p->queue.next, lf_task, link);
  uint64_t longest = lf_runner_of(next) ? LONG_PART_NS : LONG_NS;
  EACH_LIVELY(l, p) {
    lf_proc *c = lf_proc_of(l);
    if (!may_have(p, c, occupied))
      continue;
    uint64_t n = lf_proc_ahead(c), ns = atomic_load(&c->region->task_ns);
    if (ns == 0 || ns > longest)
      continue;
    uint64_t depth = AHEAD_NS / ns + 1;
    depth = depth > AHEAD ? AHEAD : depth;
    if (n < depth && n < least) {
      least = n;
      best = c->worker;
    }
  }
  return best;
}

/* Those that wait to go on with what they were in the middle of. */
static void let_go_on(lf_pool *p, int *occupied) {
  static const lf_load none;
  EACH_LIVELY(l, p) {
    lf_proc *c = lf_proc_of(l);
    if (!c->wants || *occupied >= p->o.max_workers)
      continue;
    lf_msg msg = {.kind = LF_MSG_GO};
    if (lf_end_send(&c->end, &msg, &none) != 0)
      continue; /* later */
    c->blocked = c->wants = false;
    ++*occupied;
  }
}

static void send_pinned(lf_pool *p, lf_outcome *after) {
  lf_worker *w = lf_fleet_of(p)->pinned ? p->workers : NULL;
  lf_fleet_of(p)->pinned = false;
  for (; w; w = w->next) {
    while (w->npinned > 0 && lf_proc_can_receive(w->proc) &&
           lf_proc_ahead(w->proc) == 0) {
      lf_task *t = next_task(p, &w->pinned);
      w->npinned = lf_list_empty(&w->pinned) ? 0 : w->npinned - 1;
      if (t)
        send(w, t, after);
    }
    lf_fleet_of(p)->pinned |= w->npinned > 0;
  }
}

/* Are there tasks that no worker is being started for? */
static bool wants_hands(lf_pool *p) {
  size_t coming = 0;
  bool look = lf_fleet_of(p)->starting > 0 || lf_fleet_of(p)->pinned;
  for (lf_worker *w = look ? p->workers : NULL; w; w = w->next) {
    coming += w->mode == STARTING && (!w->proc || lf_proc_ahead(w->proc) == 0);
    if (w->mode == GONE && w->npinned > 0)
      return true;
  }
  return p->queued > coming;
}

/* Has it tasks that it has not begun and that others may run? */
static bool has_movable(const lf_proc *c) {
  lf_flight *f;
  EACH_FLIGHT(f, c)
  if (lf_flight_is_movable(f))
    return true;
  return false;
}

/* The keeper is to look again soon. */
static void look_again(lf_pool *p) {
  lf_fleet *f = lf_fleet_of(p);
  if (!atomic_exchange(&f->unbalanced, true) &&
      !pthread_equal(pthread_self(), f->keeper))
    lf_fleet_kick(p);
}

/* Tasks that a worker has not begun for a while go back to the queue, if there
 * is, or could be, another one for them. True if there were any. */
static bool rebalance(lf_pool *p, bool may_start) {
  bool idle = find_free(p) != NULL;
  int64_t now = lf_now(), patience = idle ? STUCK_NS : START_NS;
  for (lf_link *l = lf_fleet_of(p)->lively.next;
       (idle || may_start) && l != &lf_fleet_of(p)->lively; l = l->next) {
    lf_proc *c = lf_proc_of(l);
    if (lf_proc_ahead(c) == 0 || !has_movable(c) || (!c->ready && !idle))
      continue;
    look_again(p);
    if (c->seen != lf_proc_begun(c)) {
      c->seen = lf_proc_begun(c);
      c->seen_at = now;
    } else if (!c->ready ||
               now - c->seen_at >
                   (atomic_load(&c->region->busy) ? patience : WAKING_NS)) {
      lf_link back;
      lf_list_init(&back);
      lf_fleet_recall(c, LF_MOVABLE, NULL, &back);
      bool some = !lf_list_empty(&back);
      lf_fleet_requeue(p, &back);
      if (some)
        return true;
    }
  }
  return false;
}

/* Starts workers for tasks that have none, as many as there may be; false if
 * there may not be more. */
static bool start_workers(lf_pool *p, lf_outcome *after) {
  int hands = lf_members_count_hands(p);
  lf_fleet *f = lf_fleet_of(p);
  if (f->no_template && hands == 0 && wants_hands(p) && !after->broken)
    after->broken = lf_strndup(f->trouble, strlen(f->trouble));
  if (p->broken || f->no_template || lf_now() < f->rest_until)
    return false;
  for (lf_worker *w = f->pinned ? p->workers : NULL; w; w = w->next)
    if (w->mode == GONE && w->npinned > 0) {
      lf_keeper_start_worker(p, w);
      hands++;
    }
  for (; wants_hands(p) && hands < p->o.max_workers; hands++)
    lf_keeper_start_worker(p, NULL);
  return hands < p->o.max_workers;
}

/* What a worker has not begun when it blocks goes to others, also what was in
 * the middle of being written then. */
static void recall_from_blocked(lf_pool *p) {
  lf_link back;
  lf_list_init(&back);
  EACH_LIVELY(l, p)
  if (lf_proc_of(l)->blocked && lf_proc_ahead(lf_proc_of(l)) > 0)
    lf_fleet_recall(lf_proc_of(l), LF_MOVABLE, NULL, &back);
  lf_fleet_requeue(p, &back);
}

/* Sends the next of the queue to a worker. */
static void send_to(lf_pool *p, lf_worker *w, lf_outcome *after,
                    int *occupied) {
  *occupied += !lf_proc_is_occupied(w->proc);
  send_next(p, w, after);
}

void lf_dispatch(lf_pool *p, lf_outcome *after) {
  lf_worker *w;
  bool again = true;
  recall_from_blocked(p);
  for (int round = 0; again && round < 2; round++) {
    int occupied = lf_members_count_occupied(p);
    let_go_on(p, &occupied);
    send_pinned(p, after);
    while (p->queued > 0 && (w = find_quick(p, occupied)))
      send_to(p, w, after, &occupied);
    while (p->queued > 0 && occupied < p->o.max_workers && (w = find_free(p)))
      send_to(p, w, after, &occupied);
    while (p->queued > 0 && occupied < p->o.max_workers &&
           (w = find_starting(p)))
      send_to(p, w, after, &occupied);
    bool may_start = start_workers(p, after);
    while (p->queued > 0 && lf_fleet_of(p)->starting == 0 &&
           (w = find_busy(p, occupied)))
      send_to(p, w, after, &occupied);
    again = p->queued == 0 && rebalance(p, may_start);
  }
}

/* --- Who is to leave --- */

/* Under the lock: nothing more will come for this worker. */
static void stop_worker(lf_pool *p, lf_worker *w) {
  static const lf_load none;
  lf_proc *c = w->proc;
  lf_msg msg = {.kind = LF_MSG_STOP};
  lf_fleet_stir(c);
  if (lf_end_send(&c->end, &msg, &none) != 0)
    return; /* later */
  c->stopping = true;
  w->mode = LEAVING;
  p->live--;
}

/* May it be told to stop? */
static bool can_stop(const lf_worker *w) {
  const lf_proc *c = w->proc;
  return c && c->ready && !c->stopping && c->flights.n == 0 && c->untold == 0 &&
         !lf_proc_is_occupied(c) && !c->blocked &&
         (w->npinned == 0 || c->left == 0);
}

static bool some_spent(lf_pool *p) {
  EACH_LIVELY(l, p)
  if (lf_proc_of(l)->left == 0)
    return true;
  return false;
}

void lf_dispatch_stop_idle(lf_pool *p) {
  bool closing = !lf_pool_is_open(p) || p->broken;
  int hands = lf_members_count_hands(p);
  bool any = closing || hands > p->o.max_workers || some_spent(p);
  for (lf_worker *w = any ? p->workers : NULL; w; w = w->next) {
    if (!can_stop(w))
      continue;
    bool over = w->proc->left == 0;
    bool extra = !over && hands > p->o.max_workers && w != p->home;
    if (over || extra || (closing && p->queued == 0))
      stop_worker(p, w);
    if (extra)
      hands--;
  }
}
