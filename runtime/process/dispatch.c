/* SPDX-License-Identifier: MIT
 *
 * See dispatch.h: which task goes to which worker process, and what comes back.
 */
#include "runtime/process/dispatch.h"

#include "runtime/base/mem.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* --- What is known of a worker --- */

static uint64_t begun(const lf_proc *c) {
  return atomic_load(&c->region->begun);
}

/* Sent, or about to be, and not begun. */
static uint64_t ahead(const lf_proc *c) {
  return c->sent + c->reserved - begun(c);
}

/* In this order: a worker says that it is busy before it says that it has
 * begun. */
static bool is_occupied(const lf_proc *c) {
  return ahead(c) > 0 || atomic_load(&c->region->busy);
}

static lf_slot slot_state(uint32_t word) {
  return word & 3;
}

static bool has_slot(const lf_proc *c) {
  uint64_t next = (c->sent + c->reserved) % LF_SLOTS;
  lf_slot s = slot_state(atomic_load(&c->region->slots[next]));
  return c->reserved < LF_SLOTS / 2 &&
         (s == LF_SLOT_FREE || s == LF_SLOT_BEGUN);
}

static bool has_room(const lf_proc *c) {
  return !c->stopping && !c->signal && c->left > c->reserved &&
         lf_list_empty(&c->end.parcels) && has_slot(c);
}

static bool can_receive(const lf_proc *c) {
  return c && c->ready && has_room(c);
}

static bool can_take(const lf_proc *c) {
  return can_receive(c) && !c->blocked;
}

/* --- Who is lively --- */

static lf_proc *proc_of(lf_link *l) {
  return lf_container_of(l, lf_proc, link);
}

/* For each of the lively. */
#define EACH_LIVELY(l, p)                                                      \
  for (lf_link *l = (p)->fleet->lively.next; l != &(p)->fleet->lively;         \
       l = l->next)

void lf_fleet_stir(lf_proc *c) {
  lf_fleet *f = c->worker->pool->fleet;
  if (c->lively)
    return;
  c->lively = true;
  lf_list_del(&c->link);
  lf_list_add(&f->lively, &c->link);
  atomic_store(&c->region->armed, atomic_load(&f->deep));
}

static bool has_news(const lf_proc *c) {
  return lf_ring_filled(c->end.in) > 0 ||
         (!lf_list_empty(&c->end.parcels) && lf_ring_room(c->end.out) > 0);
}

/* Is nothing expected of it, and nothing to be done for it? */
static bool can_rest(lf_proc *c) {
  return c->ready && !c->stopping && !c->signal && !c->mad && c->aloft == 0 &&
         c->left > 0 && !is_occupied(c) && !c->blocked &&
         lf_list_empty(&c->end.parcels) && !c->end.posted &&
         c->worker->npinned == 0 && !lf_peer_has_dropped(&c->end.peer);
}

/* It rings the bell from now on if it has something to say. */
static void let_rest(lf_pool *p) {
  for (lf_link *l = p->fleet->lively.next, *next; l != &p->fleet->lively;
       l = next) {
    lf_proc *c = proc_of(l);
    next = l->next;
    if (!can_rest(c))
      continue;
    c->lively = false;
    lf_list_del(&c->link);
    lf_list_add(p->fleet->idle.next, &c->link);
    atomic_store(&c->region->armed, 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (has_news(c))
      lf_fleet_stir(c);
  }
}

/* The bell was rung: by whom? */
static void look_at_idle(lf_pool *p) {
  for (lf_link *l = p->fleet->idle.next, *next; l != &p->fleet->idle;
       l = next) {
    lf_proc *c = proc_of(l);
    next = l->next;
    if (has_news(c) || lf_peer_has_dropped(&c->end.peer))
      lf_fleet_stir(c);
  }
}

/* --- Flights --- */

static lf_flight *flight_new(lf_proc *c, uint32_t *index) {
  if (!c->free_flight) {
    uint32_t n = c->nflights ? 2 * c->nflights : 8;
    lf_flight *more = lf_realloc(c->flights, n * sizeof *more);
    if (!more)
      return NULL;
    c->flights = more;
    for (uint32_t i = n; i-- > c->nflights;) {
      more[i] = (lf_flight){.next = c->free_flight};
      c->free_flight = i + 1;
    }
    c->nflights = n;
  }
  *index = c->free_flight - 1;
  lf_flight *f = &c->flights[*index];
  c->free_flight = f->next;
  c->aloft++;
  f->number++;
  f->begun = false;
  return f;
}

/* The task is the caller's then. */
void lf_fleet_finish_flight(lf_proc *c, uint32_t i) {
  lf_flight *f = &c->flights[i];
  if (f->wait)
    lf_nested_end_wait(f);
  f->task->at = NULL;
  f->task = NULL;
  f->next = c->free_flight;
  c->free_flight = i + 1;
  c->aloft--;
}

/* A task of which a part has been written is not taken back if others are to
 * run it ('again'): they need its data. If nobody is, the data is left to the
 * parcel. */
static bool take_back(lf_proc *c, lf_flight *f, bool again) {
  uint32_t word = f->word;
  uint32_t slot = (uint32_t)f->task->slot;
  lf_parcel *parcel = lf_end_parcel(&c->end, f->task);
  if (f->begun || (parcel && parcel->written > 0 && again))
    return false;
  if (parcel && parcel->written == 0) { /* it was the last */
    lf_parcel_withdraw(&c->end, parcel);
    atomic_store(&c->region->slots[slot], f->word ^ LF_SLOT_SENT);
    c->sent--;
    c->left++;
    return true;
  }
  if (parcel && lf_buf_move(&parcel->own, &f->task->data) != 0)
    return false;
  if (atomic_compare_exchange_strong(&c->region->slots[slot], &word,
                                     (f->word & ~3u) | LF_SLOT_BACK))
    return c->left += c->left < UINT64_MAX, true;
  f->begun = true;
  return false;
}

bool lf_fleet_take_back(lf_task *t) {
  lf_proc *c = t->at->proc;
  uint32_t i = (uint32_t)t->flight;
  if (!take_back(c, &c->flights[i], false))
    return false;
  lf_fleet_finish_flight(c, i);
  return true;
}

bool lf_fleet_withdraw(lf_task *t) {
  lf_pool *p = t->pool;
  if (lf_task_state(t) != LF_PENDING || t->ending != LF_PENDING)
    return false;
  if (t->at) {
    if (!lf_fleet_take_back(t))
      return false;
  } else if (lf_list_empty(&t->link)) {
    return false; /* on its way into the queue, or a broadcast's gathering */
  } else if (t->pinned) {
    for (lf_worker *w = p->workers; w; w = w->next)
      if ((uint32_t)w->id == t->pinned)
        w->npinned--;
    lf_list_del(&t->link);
  } else {
    p->queued--;
    lf_list_del(&t->link);
  }
  t->ending = LF_CANCELLED;
  return true;
}

bool lf_fleet_has_begun(lf_task *t) {
  lf_proc *c = t->at->proc;
  lf_flight *f = &c->flights[(uint32_t)t->flight];
  if (!f->begun)
    f->begun = atomic_load(&c->region->slots[t->slot]) != f->word;
  return f->begun;
}

/* In the order of being sent: by the use of slots. */
static uint64_t order_of(const lf_proc *c, const lf_task *t) {
  uint64_t back = (c->sent - 1 - t->slot) % LF_SLOTS;
  return c->sent - back;
}

void lf_fleet_recall(lf_proc *c, lf_recall what, lf_job *job, lf_link *out) {
  lf_link *before = out->prev; /* other workers' */
  for (uint32_t i = 0; i < c->nflights && ahead(c) > 0; i++) {
    lf_task *t = c->flights[i].task;
    bool wanted = t && (what == LF_ALL || (what == LF_MOVABLE && !t->pinned) ||
                        (what == LF_OF_JOB && t->job == job));
    uint64_t order = wanted ? order_of(c, t) : 0;
    if (!wanted || !take_back(c, &c->flights[i], what == LF_MOVABLE))
      continue;
    lf_fleet_finish_flight(c, i);
    t->part_order = order;
    lf_link *at = out->prev; /* nearly sorted: from the end */
    while (at != before &&
           lf_container_of(at, lf_task, link)->part_order > order)
      at = at->prev;
    lf_list_add(at->next, &t->link);
  }
}

/* --- Sending --- */

void lf_fleet_requeue(lf_pool *p, lf_link *tasks) {
  lf_link *l;
  while (!lf_list_empty(tasks)) {
    l = tasks->prev;
    lf_list_del(l);
    lf_list_add(p->queue.next, l);
    p->queued++;
  }
}

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

int lf_chunk_send(lf_end *end, lf_msg *msg, const lf_chunk *c) {
  lf_load load = {0};
  lf_block *b = c->block;
  msg->a = c->first;
  msg->b = c->count;
  msg->state = c->shareable;
  if (b) {
    bool last = c->first + c->count == b->first + b->count;
    load.body = &b->bytes;
    load.from = lf_block_start(b, c->first);
    load.to = last ? b->bytes.len : lf_block_start(b, c->first + c->count);
    load.tail = b->starts.data + (c->first - b->first) * sizeof(size_t);
    load.tail_len = c->count * sizeof(size_t);
    load.owner = b;
    load.drop = lf_block_drop;
    msg->c = load.from;
    atomic_fetch_add(&b->refs, 1);
  }
  int err = lf_end_send(end, msg, &load);
  if (err && b)
    lf_block_unref(b);
  return err;
}

static int send_task(lf_proc *c, lf_task *t, lf_msg *msg) {
  if (t->job) {
    int err = send_job(c, t->job);
    msg->kind = LF_MSG_CHUNK;
    return err ? err : lf_chunk_send(&c->end, msg, t->chunk);
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
  uint32_t i;
  lf_proc *c = w->proc;
  lf_fleet_stir(c);
  if (c->notices != w->pool->fleet->notices)
    send_notice(w->pool->fleet, c);
  lf_flight *f = flight_new(c, &i);
  if (ahead(c) == 0) { /* from now on it could begin something */
    c->seen = begun(c);
    c->seen_at = lf_now();
  }
  if (f) {
    f->task = t;
    uint32_t slot = (uint32_t)(c->sent % LF_SLOTS);
    uint32_t use = (uint32_t)(c->sent / LF_SLOTS) + 1;
    f->word = use << 2 | LF_SLOT_SENT;
    t->at = w;
    t->slot = (uint8_t)slot;
    t->flight = (uint64_t)f->number << 32 | i;
    atomic_store(&c->region->slots[slot], f->word);
    lf_msg msg = {.id = t->flight, .slot = slot, .flag = t->pinned != 0};
    if (send_task(c, t, &msg) == 0) {
      c->sent++;
      if (--c->left == 0)
        warm_replacement(w->pool);
      return;
    }
    atomic_store(&c->region->slots[slot], f->word ^ LF_SLOT_SENT);
    lf_fleet_finish_flight(c, i);
  }
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
  if (t->job && !t->chunk) {
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

/* Under the lock: workers that run something, or will. */
static int count_occupied(lf_pool *p) {
  int n = 0;
  EACH_LIVELY(l, p)
  n += !proc_of(l)->blocked && is_occupied(proc_of(l));
  return n;
}

/* One with nothing to do, rather one that is not asleep, or has not been for
 * long. */
static lf_worker *find_free(lf_pool *p) {
  lf_worker *asleep = NULL;
  EACH_LIVELY(l, p) {
    lf_proc *c = proc_of(l);
    if (!can_take(c) || is_occupied(c))
      continue;
    if (!lf_parker_sleeps(&c->region->parker))
      return c->worker;
    asleep = c->worker;
  }
  for (lf_link *l = p->fleet->idle.next; l != &p->fleet->idle; l = l->next)
    if (can_take(proc_of(l)))
      return proc_of(l)->worker;
  return asleep;
}

/* One that is starting and has no task yet: it finds it there. */
static lf_worker *find_starting(lf_pool *p) {
  lf_worker *w = p->fleet->starting > 0 ? p->workers : NULL;
  for (; w; w = w->next)
    if (w->mode == STARTING && w->proc && !w->proc->ready &&
        ahead(w->proc) == 0 && has_room(w->proc))
      return w;
  return NULL;
}

/* Can it take a task, without more workers running than may? */
static bool may_have(const lf_pool *p, const lf_proc *c, int occupied) {
  return can_take(c) && (occupied < p->o.max_workers || is_occupied(c));
}

/* One that will be through with what it has before another could be woken. */
static lf_worker *find_quick(lf_pool *p, int occupied) {
  EACH_LIVELY(l, p) {
    lf_proc *c = proc_of(l);
    if (!may_have(p, c, occupied) || lf_parker_sleeps(&c->region->parker))
      continue;
    uint64_t ns = atomic_load(&c->region->task_ns);
    if (ns > 0 && (ahead(c) + 1) * ns < QUICK_NS)
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
  uint64_t longest = next->job ? LONG_PART_NS : LONG_NS;
  EACH_LIVELY(l, p) {
    lf_proc *c = proc_of(l);
    if (!may_have(p, c, occupied))
      continue;
    uint64_t n = ahead(c), ns = atomic_load(&c->region->task_ns);
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

/* Workers that may run tasks, now or soon. */
static int count_hands(lf_pool *p) {
  int n = p->live;
  EACH_LIVELY(l, p) {
    lf_proc *c = proc_of(l);
    n -= c->worker->mode == ACTIVE && (c->blocked || c->left == 0);
  }
  return n;
}

/* Those that wait to go on with what they were in the middle of. */
static void let_go_on(lf_pool *p, int *occupied) {
  static const lf_load none;
  EACH_LIVELY(l, p) {
    lf_proc *c = proc_of(l);
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
  lf_worker *w = p->fleet->pinned ? p->workers : NULL;
  p->fleet->pinned = false;
  for (; w; w = w->next) {
    while (w->npinned > 0 && can_receive(w->proc) && ahead(w->proc) == 0) {
      lf_task *t = next_task(p, &w->pinned);
      w->npinned = lf_list_empty(&w->pinned) ? 0 : w->npinned - 1;
      if (t)
        send(w, t, after);
    }
    p->fleet->pinned |= w->npinned > 0;
  }
}

/* Are there tasks that no worker is being started for? */
static bool wants_hands(lf_pool *p) {
  size_t coming = 0;
  bool look = p->fleet->starting > 0 || p->fleet->pinned;
  for (lf_worker *w = look ? p->workers : NULL; w; w = w->next) {
    coming += w->mode == STARTING && (!w->proc || ahead(w->proc) == 0);
    if (w->mode == GONE && w->npinned > 0)
      return true;
  }
  return p->queued > coming;
}

/* Has it tasks that it has not begun and that others may run? */
static bool has_movable(const lf_proc *c) {
  for (uint32_t i = 0; i < c->nflights; i++) {
    const lf_flight *f = &c->flights[i];
    if (f->task && !f->task->pinned && !f->begun &&
        atomic_load(&c->region->slots[f->task->slot]) == f->word)
      return true;
  }
  return false;
}

/* The keeper is to look again soon. */
static void look_again(lf_pool *p) {
  lf_fleet *f = p->fleet;
  if (!atomic_exchange(&f->unbalanced, true) &&
      !pthread_equal(pthread_self(), f->keeper))
    lf_fleet_kick(p);
}

/* Tasks that a worker has not begun for a while go back to the queue, if there
 * is, or could be, another one for them. True if there were any. */
static bool rebalance(lf_pool *p, bool may_start) {
  bool idle = find_free(p) != NULL;
  int64_t now = lf_now(), patience = idle ? STUCK_NS : START_NS;
  for (lf_link *l = p->fleet->lively.next;
       (idle || may_start) && l != &p->fleet->lively; l = l->next) {
    lf_proc *c = proc_of(l);
    if (ahead(c) == 0 || !has_movable(c) || (!c->ready && !idle))
      continue;
    look_again(p);
    if (c->seen != begun(c)) {
      c->seen = begun(c);
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
  int hands = count_hands(p);
  lf_fleet *f = p->fleet;
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
  if (proc_of(l)->blocked && ahead(proc_of(l)) > 0)
    lf_fleet_recall(proc_of(l), LF_MOVABLE, NULL, &back);
  lf_fleet_requeue(p, &back);
}

/* Sends the next of the queue to a worker. */
static void send_to(lf_pool *p, lf_worker *w, lf_outcome *after,
                    int *occupied) {
  *occupied += !is_occupied(w->proc);
  send_next(p, w, after);
}

static void dispatch(lf_pool *p, lf_outcome *after) {
  lf_worker *w;
  bool again = true;
  recall_from_blocked(p);
  for (int round = 0; again && round < 2; round++) {
    int occupied = count_occupied(p);
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
    while (p->queued > 0 && p->fleet->starting == 0 &&
           (w = find_busy(p, occupied)))
      send_to(p, w, after, &occupied);
    again = p->queued == 0 && rebalance(p, may_start);
  }
}

/* --- Receiving --- */

lf_flight *lf_fleet_find_flight(lf_proc *c, uint64_t id) {
  uint32_t i = (uint32_t)id;
  if (i >= c->nflights || !c->flights[i].task ||
      c->flights[i].number != (uint32_t)(id >> 32))
    return NULL;
  return &c->flights[i];
}

static char no_memory[] = "not enough memory";

/* A task's result, as a buffer's contents; a text when they were lost. */
static void take_outcome(lf_task *t, lf_end *end) {
  lf_buf_reset(&t->data);
  t->error = end->msg.error;
  t->ending = end->msg.state == LF_FINISHED ? LF_FINISHED : LF_FAILED;
  if (end->msg.tail && !end->no_memory)
    t->trace = lf_strndup((char *)end->tail.data, end->tail.len);
  if (!end->no_memory && lf_buf_move(&t->data, &end->body) == 0)
    return;
  t->ending = LF_FAILED;
  t->error = LF_BROKEN;
  (void)lf_buf_put(&t->data, no_memory, sizeof no_memory - 1);
}

/* There was no memory for it, here or there. */
static void refuse_part(lf_task *t) {
  lf_chunk *c = t->chunk;
  t->ending = LF_FINISHED;
  c->finished = c->rest = 0;
  c->failed = true;
  c->error = LF_RAISED;
  lf_buf_reset(&c->why);
  (void)lf_buf_put(&c->why, no_memory, sizeof no_memory - 1);
}

static void take_part(lf_task *t, lf_end *end) {
  lf_chunk *c = t->chunk;
  t->ending = LF_FINISHED;
  c->ns = (int64_t)end->msg.b;
  c->finished = end->msg.a;
  c->failed = end->msg.flag & 1;
  c->error = end->msg.error;
  c->rest = end->msg.flag & 2 && c->finished ? c->count - c->finished : 0;
  if (end->no_memory || c->finished > c->count ||
      lf_buf_move(&c->out, &end->body) != 0 ||
      lf_buf_move(&c->why, &end->tail) != 0)
    refuse_part(t);
}

/* Can the outcome be that of the task? */
static bool is_outcome(const lf_end *end, const lf_task *t) {
  const lf_msg *msg = &end->msg;
  if (msg->error > LF_LOST ||
      (msg->error == LF_LOST && msg->size < sizeof(lf_lost)))
    return false;
  if (msg->kind == LF_MSG_PART)
    return t->chunk && msg->a <= t->chunk->count;
  return msg->state == LF_FINISHED || msg->state == LF_FAILED;
}

void lf_fleet_condemn(lf_proc *c) {
  if (c->mad)
    return;
  c->mad = true;
  snprintf(c->region->crash, sizeof c->region->crash, "%s",
           "sending what makes no sense");
  lf_keeper_signal(c, SIGKILL);
}

static void receive_outcome(lf_proc *c, lf_outcome *after) {
  lf_flight *f = lf_fleet_find_flight(c, c->end.msg.id);
  if (!f || !is_outcome(&c->end, f->task)) {
    lf_fleet_condemn(c);
    return;
  }
  lf_task *t = f->task;
  lf_fleet_finish_flight(c, (uint32_t)(f - c->flights));
  if (t->chunk && c->end.msg.kind == LF_MSG_PART)
    take_part(t, &c->end);
  else if (t->chunk)
    refuse_part(t);
  else
    take_outcome(t, &c->end);
  c->worker->started++;
  *(t->ending == LF_FINISHED ? &c->worker->finished : &c->worker->failed) += 1;
  lf_list_add(&after->done, &t->link);
}

static void receive_broken(lf_proc *c, lf_outcome *after) {
  if (c->ready) {
    lf_fleet_condemn(c);
    return;
  }
  c->stopping = true; /* it leaves */
  if (after->broken)
    return;
  after->broken = c->end.no_memory
                      ? NULL
                      : lf_strndup((char *)c->end.body.data, c->end.body.len);
  if (!after->broken)
    after->broken = lf_strndup(no_memory, sizeof no_memory - 1);
}

static void receive_ready(lf_proc *c) {
  lf_fleet *f = c->worker->pool->fleet;
  if (c->ready) {
    lf_fleet_condemn(c);
    return;
  }
  c->ready = true;
  c->own_pid = (pid_t)c->end.msg.id;
  c->worker->mode = ACTIVE;
  f->starting--;
  f->failures = 0;
}

static void receive_all(lf_proc *c, lf_outcome *after) {
  while (!c->mad && lf_end_receive(&c->end)) {
    switch (c->end.msg.kind) {
    case LF_MSG_READY:
      receive_ready(c);
      break;
    case LF_MSG_BROKEN:
      receive_broken(c, after);
      break;
    case LF_MSG_RESULT:
    case LF_MSG_PART:
      receive_outcome(c, after);
      break;
    default:
      lf_nested_receive(c, after);
    }
  }
  if (c->end.damaged)
    lf_fleet_condemn(c);
}

/* --- Looking and closing --- */

static bool is_empty(const lf_outcome *o) {
  return lf_list_empty(&o->done) && lf_list_empty(&o->cancelled) &&
         lf_list_empty(&o->claims) && !o->cancel_all && !o->broken;
}

bool lf_fleet_is_quiet(lf_pool *p) {
  bool quiet = !p->fleet->ending && is_empty(&p->fleet->after);
  for (lf_worker *w = p->workers; w && quiet; w = w->next)
    quiet = w->npinned == 0;
  return quiet;
}

void lf_fleet_stat(lf_pool *p, lf_pool_stats *s) {
  *s = (lf_pool_stats){.queued = p->queued};
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_proc *c = w->proc;
    s->finished += w->finished;
    s->failed += w->failed;
    s->queued += w->npinned;
    s->workers += w->mode == STARTING || w->mode == ACTIVE;
    s->idle += c && c->ready && w->mode == ACTIVE && !is_occupied(c);
    for (uint32_t i = 0; c && i < c->nflights; i++) {
      lf_task *t = c->flights[i].task;
      if (t && lf_fleet_has_begun(t))
        s->running++;
      else if (t)
        s->queued++;
    }
  }
  s->cancelled = p->cancelled;
  s->failed += p->unstarted;
}

void lf_fleet_close(lf_pool *p) {
  p->shutdown = true;
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->proc)
      atomic_store(&w->proc->region->closed, 1);
}

void lf_fleet_add(lf_pool *p, lf_task *t, lf_link *at) {
  lf_list_add(at, &lf_task_ref(t)->link);
  p->queued++;
  p->submitted++;
}

static bool is_fit(const lf_worker *w) {
  return w->mode == STARTING || (w->mode == ACTIVE && w->proc->left > 0);
}

static void pin(lf_worker *w, lf_task *t) {
  t->pinned = (uint32_t)w->id;
  t->ending = LF_PENDING;
  lf_list_add(&w->pinned, &lf_task_ref(t)->link);
  w->npinned++;
  w->pool->fleet->pinned = true;
}

int lf_fleet_add_home(lf_pool *p, lf_task *t) {
  bool stays = p->home && (is_fit(p->home) || p->home->npinned > 0);
  if (stays) {
    p->submitted++;
    pin(p->home, t);
    return 0;
  }
  lf_worker *w = p->workers;
  while (w && !is_fit(w))
    w = w->next;
  if (!w && !(w = lf_pool_spare_worker(p)))
    return LF_ENOMEM;
  if (!is_fit(w))
    lf_keeper_start_worker(p, w);
  p->home = w;
  p->submitted++;
  pin(w, t);
  return 0;
}

int lf_fleet_broadcast(lf_pool *p, lf_task **tasks) {
  if (p->shutdown)
    return LF_ESHUTDOWN;
  if (p->broken)
    return LF_EBROKEN;
  for (int n = count_hands(p); n < p->o.max_workers; n++)
    lf_keeper_start_worker(p, NULL);
  int fit = 0, i = 0;
  for (lf_worker *w = p->workers; w; w = w->next)
    fit += is_fit(w);
  if (fit < p->o.max_workers)
    return LF_ENOMEM;
  for (lf_worker *w = p->workers; w && i < p->o.max_workers; w = w->next)
    if (is_fit(w))
      pin(w, tasks[i++]);
  return 0;
}

/* --- A round --- */

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
  return c && c->ready && !c->stopping && c->aloft == 0 && c->untold == 0 &&
         !is_occupied(c) && !c->blocked && (w->npinned == 0 || c->left == 0);
}

static bool some_spent(lf_pool *p) {
  EACH_LIVELY(l, p)
  if (proc_of(l)->left == 0)
    return true;
  return false;
}

static void stop_idle(lf_pool *p) {
  bool closing = !lf_pool_is_open(p) || p->broken;
  int hands = count_hands(p);
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

/* Under the lock: how many workers are awake, to all who want to spin. */
static void count_awake(lf_pool *p) {
  int n = count_occupied(p);
  lf_count_awake(n - p->fleet->counted);
  p->fleet->counted = n;
  bool full = n >= p->o.max_workers || p->queued > 0;
  EACH_LIVELY(l, p) {
    lf_proc *c = proc_of(l);
    int others = lf_awake() - (is_occupied(c) ? 1 : 0);
    atomic_store_explicit(&c->region->load, (uint32_t)(others > 0 ? others : 0),
                          memory_order_relaxed);
    atomic_store_explicit(&c->region->full, full, memory_order_relaxed);
    if (!lf_list_empty(&c->end.parcels))
      lf_end_flush(&c->end);
    if (c->end.posted) {
      c->end.posted = false;
      lf_unpark(&c->region->parker);
    }
  }
}

/* Under the lock: the task is the next for its worker, or for any. */
static void put_first(lf_pool *p, lf_task *t) {
  for (lf_worker *w = p->workers; t->pinned && w; w = w->next)
    if ((uint32_t)w->id == t->pinned) {
      lf_list_add(w->pinned.next, &t->link);
      w->npinned++;
      p->fleet->pinned = true;
      return;
    }
  lf_list_add(p->queue.next, &t->link);
  p->queued++;
}

/* A runner gets its chunk, and goes back to be sent. Meanwhile it was in no
 * queue: if all that was queued has been cancelled, so is this. */
static void end_claimed(lf_pool *p, lf_task *t) {
  uint64_t epoch = lf_pool_epoch(p);
  lf_chunk *chunk = lf_job_claim(t->job, t);
  if (!chunk) {
    if (lf_task_start(t))
      lf_task_end(t, LF_FINISHED);
    lf_task_unref(t);
    return;
  }
  t->chunk = chunk;
  pthread_mutex_lock(&p->lock);
  bool cancelled = p->broken || lf_pool_epoch(p) != epoch;
  if (!cancelled)
    put_first(p, t);
  pthread_mutex_unlock(&p->lock);
  if (cancelled) {
    p->broken ? lf_task_fail(t, LF_BROKEN, p->broken) : lf_task_cancel(t);
    lf_task_unref(t);
  }
}

static void end_task(lf_task *t) {
  if (t->ending == LF_UNSENT) {
    lf_task_fail(t, LF_BROKEN, no_memory);
  } else if (lf_task_state(t) == LF_RUNNING || lf_task_start(t)) {
    lf_chunk *c = t->chunk;
    t->chunk = NULL;
    if (c)
      lf_job_done(t->job, c, c->ns);
    lf_task_end(t, t->ending);
  }
  lf_task_unref(t);
}

static void run_after(lf_pool *p, lf_outcome *after) {
  lf_link *l;
  if (after->cancel_all)
    lf_pool_shutdown(p, true);
  if (after->broken)
    lf_pool_break(p, after->broken);
  lf_free(after->broken);
  while ((l = lf_list_pop(&after->done)))
    end_task(lf_container_of(l, lf_task, link));
  while ((l = lf_list_pop(&after->cancelled))) {
    lf_task *t = lf_container_of(l, lf_task, link);
    lf_task_cancel(t);
    lf_task_unref(t);
  }
  while ((l = lf_list_pop(&after->claims)))
    end_claimed(p, lf_container_of(l, lf_task, link));
}

void lf_outcome_init(lf_outcome *after) {
  *after = (lf_outcome){0};
  lf_list_init(&after->done);
  lf_list_init(&after->cancelled);
  lf_list_init(&after->claims);
}

/* Under the lock: takes what is to be done, if there is anything and nobody is
 * at it. */
static bool take_after(lf_fleet *f, lf_outcome *out) {
  lf_outcome *in = &f->after;
  if (f->ending || is_empty(in))
    return false;
  lf_outcome_init(out);
  out->cancel_all = in->cancel_all;
  out->broken = in->broken;
  lf_list_move(&out->done, &in->done);
  lf_list_move(&out->cancelled, &in->cancelled);
  lf_list_move(&out->claims, &in->claims);
  lf_outcome_init(in);
  return f->ending = true;
}

static _Thread_local lf_pool
    *pumping; /* the pool that the caller looks after */

bool lf_fleet_is_pumping(const lf_pool *p) {
  return pumping == p;
}

/* Under the lock: receives and sends what can be. */
static void move_messages(lf_pool *p) {
  lf_outcome *after = &p->fleet->after;
  if (atomic_exchange(&p->fleet->rung, false))
    look_at_idle(p);
  EACH_LIVELY(l, p) {
    proc_of(l)->reserved = 0;
    receive_all(proc_of(l), after);
    lf_end_tell_dropped(&proc_of(l)->end);
  }
  lf_nested_tell(p);
  dispatch(p, after);
  stop_idle(p);
  count_awake(p);
  let_rest(p);
}

void lf_fleet_pump(lf_pool *p) {
  lf_pool *outer = pumping;
  lf_outcome after;
  pumping = p;
  pthread_mutex_lock(&p->lock);
  move_messages(p);
  while (take_after(p->fleet, &after)) {
    pthread_mutex_unlock(&p->lock);
    run_after(p, &after);
    pthread_mutex_lock(&p->lock);
    p->fleet->ending = false;
    move_messages(p);
    if (p->threads == 0) /* it may be over, but the keeper saw us at work */
      lf_fleet_kick(p);
  }
  pthread_mutex_unlock(&p->lock);
  pumping = outer;
}

void lf_fleet_settle(lf_pool *p) {
  bool ending = true;
  while (ending && !lf_fleet_is_pumping(p)) {
    pthread_mutex_lock(&p->lock);
    ending = p->fleet->ending;
    pthread_mutex_unlock(&p->lock);
    if (ending)
      sched_yield();
  }
}

bool lf_fleet_has_news(lf_pool *p, bool wait) {
  if (wait)
    pthread_mutex_lock(&p->lock);
  else if (pthread_mutex_trylock(&p->lock) != 0)
    return false;
  atomic_thread_fence(memory_order_seq_cst); /* after lf_fleet_arm */
  bool news = atomic_load_explicit(&p->fleet->ended, memory_order_relaxed);
  for (lf_link *l = p->fleet->lively.next; l != &p->fleet->lively && !news;
       l = l->next)
    news = has_news(proc_of(l));
  pthread_mutex_unlock(&p->lock);
  return news;
}

void lf_fleet_arm(lf_pool *p, bool keeper) {
  pthread_mutex_lock(&p->lock);
  if (keeper)
    atomic_store(&p->fleet->deep, true);
  EACH_LIVELY(l, p)
  atomic_store(&proc_of(l)->region->armed, 1);
  pthread_mutex_unlock(&p->lock);
}

void lf_fleet_kick(lf_pool *p) {
  lf_fleet *f = p->fleet;
  uint64_t one = 1;
  ssize_t n = 0;
  atomic_fetch_add(&f->ringing, 1);
  int bell = atomic_load(&f->bell);
  if (bell >= 0)
    n = write(bell, &one, sizeof one);
  (void)n; /* full: it is rung already */
  atomic_fetch_sub(&f->ringing, 1);
}
