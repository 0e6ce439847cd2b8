/* SPDX-License-Identifier: MIT
 *
 * The workers of a pool that are processes: which are looked at, which tasks
 * wait for which, how they are asked for. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/pool/limits.h"

#include "runtime/pool/room.h"
#include "runtime/task/chain.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void lf_members_kick(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  atomic_fetch_add(&f->ringing, 1);
  int doorbell = atomic_load(&f->doorbell);
  if (doorbell >= 0)
    lf_eventfd_ring(doorbell);
  atomic_fetch_sub(&f->ringing, 1);
}

/* --- Lists of states --- */

lf_proc *lf_members_from(const lf_members *f, lf_proc_state state) {
  for (; state < LF_PROC_RESTING; state++)
    if (!lf_list_empty(&f->procs[state]))
      return lf_proc_of(f->procs[state].next);
  return NULL;
}

lf_proc *lf_members_next(const lf_members *f, const lf_proc *c) {
  return c->link.next != &f->procs[c->state] ? lf_proc_of(c->link.next)
                                             : lf_members_from(f, c->state + 1);
}

static void move_to(lf_proc *c, lf_proc_state state) {
  lf_members *f = lf_members_of(c->worker->pool);
  bool first = state == LF_PROC_FREE || state == LF_PROC_RESTING;
  f->nprocs[c->state]--;
  f->nprocs[state]++;
  c->state = state;
  lf_list_del(&c->link);
  if (state != LF_PROC_NONE)
    lf_list_add(first ? f->procs[state].next : &f->procs[state], &c->link);
}

static void count(lf_proc *c, bool occupied) {
  lf_members_of(c->worker->pool)->occupied += occupied - c->occupied;
  c->occupied = occupied;
}

/* Does it run something, being in that state now? */
static bool occupied_in(const lf_proc *c, lf_proc_state state) {
  return state == LF_PROC_BUSY ||
         (state != LF_PROC_FREE && !c->blocked && lf_proc_is_occupied(c));
}

void lf_members_place(lf_proc *c) {
  lf_proc_state state = lf_proc_look(c);
  bool occupied = occupied_in(c, state);
  if (state != c->state)
    move_to(c, state);
  if (occupied != c->occupied)
    count(c, occupied);
}

bool lf_members_is_placed(const lf_proc *c) {
  lf_proc_state state = lf_proc_look(c);
  return state == c->state && occupied_in(c, state) == c->occupied;
}

void lf_members_remove(lf_proc *c) {
  count(c, false);
  move_to(c, LF_PROC_NONE);
}

void lf_members_stir(lf_proc *c) {
  if (c->state != LF_PROC_RESTING)
    return;
  atomic_store(&c->region->armed,
               atomic_load(&lf_members_of(c->worker->pool)->deep));
  lf_members_place(c);
}

bool lf_proc_has_news(const lf_proc *c) {
  return lf_ring_filled(c->end.in) > 0 ||
         (!lf_list_empty(&c->end.parcels) && lf_ring_room(c->end.out) > 0);
}

/* Is nothing expected of it, which is FREE, and nothing to be done for it? */
static bool can_rest(lf_proc *c) {
  return lf_list_empty(&c->in_flight) && lf_list_empty(&c->end.parcels) &&
         !c->end.posted && c->worker->npinned == 0 &&
         !lf_array_refs_has_dropped(&c->end.array_refs);
}

/* It rings from now on if it has something to say. If it had by then, it does
 * not rest. */
static void arm_resting(lf_proc *c) {
  atomic_store(&c->region->armed, 1);
  atomic_thread_fence(memory_order_seq_cst);
  if (lf_proc_has_news(c) || lf_array_refs_has_dropped(&c->end.array_refs))
    lf_members_stir(c);
}

/* Who has news by then is free again, behind those that are looked at now. */
void lf_members_let_rest(lf_pool *p) {
  lf_link *all = &lf_members_of(p)->procs[LF_PROC_FREE];
  lf_link *last = all->prev, *next;
  bool more = last != all;
  for (lf_link *l = all->next; more; l = next) {
    lf_proc *c = lf_proc_of(l);
    next = l->next;
    more = l != last;
    if (!can_rest(c))
      continue;
    move_to(c, LF_PROC_RESTING);
    arm_resting(c);
  }
}

/* Who has rung without news rings again. */
void lf_members_look_at_resting(lf_pool *p) {
  lf_link *all = &lf_members_of(p)->procs[LF_PROC_RESTING];
  for (lf_link *l = all->next, *next; l != all; l = next) {
    next = l->next;
    arm_resting(lf_proc_of(l));
  }
}

/* --- Coming and going --- */

void lf_members_start_worker(lf_pool *p, lf_worker *w) {
  w = w ? w : lf_pool_spare_worker(p);
  if (!w)
    return; /* tried again at the next round */
  lf_list_del(&w->standby);
  w->mode = LF_WORKER_STARTING;
  p->threads++;
  p->live++;
  lf_members_of(p)->starting++;
  lf_members_kick(p);
}

/* Under the lock: the worker is not running any more, or never was. */
void lf_members_forget(lf_pool *p, lf_worker *w) {
  if (w->mode != LF_WORKER_LEAVING)
    p->live--;
  w->mode = LF_WORKER_GONE;
  lf_list_add(&p->gone, &w->standby);
  p->threads--;
}

void lf_members_start_none(lf_pool *p) {
  for (lf_worker *w = p->workers; w; w = w->next) {
    if (w->mode != LF_WORKER_STARTING || w->own)
      continue;
    lf_members_of(p)->starting--;
    lf_members_forget(p, w);
  }
}

void lf_members_signal(lf_proc *c, int sig) {
  if (sig == SIGURG) {
    c->interrupt = true;
    atomic_store(&c->region->interrupt, 1);
  } else {
    c->signal = sig;
  }
  lf_proc_signal(c, sig);
}

void lf_proc_signal(lf_proc *c, int sig) {
  if (c->pidfd >= 0)
    syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
  else if (c->pid > 0) /* nobody has waited for it yet */
    kill(c->pid, sig);
}

void lf_members_condemn(lf_proc *c) {
  if (c->mad)
    return;
  c->mad = true;
  snprintf(c->region->crash, sizeof c->region->crash, "%s",
           "sending what makes no sense");
  lf_members_signal(c, SIGKILL);
}

int lf_members_count_hands(const lf_pool *p) {
  const lf_members *f = lf_members_of(p);
  int n = p->live - f->nprocs[LF_PROC_SPENT];
  for (lf_proc_state s = LF_PROC_BLOCKED; s <= LF_PROC_WANTING; s++)
    for (lf_link *l = f->procs[s].next; l != &f->procs[s]; l = l->next)
      n -= lf_proc_of(l)->ready; /* else it will run tasks soon */
  return n;
}

/* --- Tasks that were not sent --- */

void lf_members_add(lf_pool *p, lf_task *t, bool first) {
  lf_common_add(p, lf_task_ref(t), first && !lf_task_priority(t));
  p->submitted++;
}

static bool is_fit(const lf_worker *w) {
  return w->mode == LF_WORKER_STARTING ||
         (w->mode == LF_WORKER_ACTIVE && lf_worker_proc(w)->left > 0);
}

int lf_members_add_affine(lf_pool *p, lf_task *t) {
  bool stays = p->affine && (is_fit(p->affine) || p->affine->npinned > 0);
  lf_worker *w = stays ? p->affine : p->workers;
  while (w && !stays && !is_fit(w))
    w = w->next;
  if (!w && !(w = lf_pool_spare_worker(p)))
    return LF_ENOMEM;
  if (!stays && !is_fit(w))
    lf_members_start_worker(p, w);
  p->affine = w;
  p->submitted++;
  lf_worker_pin(w, t);
  lf_members_of(p)->pinned = true;
  return 0;
}

int lf_members_broadcast(lf_pool *p, lf_task **tasks) {
  if (p->shutdown)
    return LF_ESHUTDOWN;
  if (p->broken)
    return LF_EBROKEN;
  for (int n = lf_members_count_hands(p); n < p->o.max_workers; n++)
    lf_members_start_worker(p, NULL);
  int fit = 0;
  for (lf_worker *w = p->workers; w; w = w->next)
    fit += is_fit(w);
  if (fit < p->o.max_workers)
    return LF_ENOMEM;
  for (int i = 0; i < p->o.max_workers; i++)
    tasks[i]->stage = LF_STAGE_QUEUED;
  lf_pool_pin_each(p, tasks, is_fit);
  lf_members_of(p)->pinned = true;
  return 0;
}

/* Under the lock: the task is the next for its worker, or for any. */
void lf_members_put_first(lf_pool *p, lf_task *t) {
  lf_worker *w = lf_pool_pinned_to(p, t);
  t->stage = LF_STAGE_QUEUED;
  lf_pool_put_first(p, w, t);
  if (w)
    lf_members_of(p)->pinned = true;
}

void lf_members_requeue(lf_pool *p, lf_link *tasks) {
  lf_link *l;
  while (!lf_list_empty(tasks)) {
    l = tasks->prev;
    lf_list_del(l);
    lf_common_add(p, lf_container_of(l, lf_task, link), true);
  }
}

bool lf_members_again(lf_pool *p, lf_task *t) {
  lf_worker *w = lf_pool_pinned_to(p, t);
  if (!lf_task_again(t))
    return false;
  t->stage = LF_STAGE_QUEUED;
  if (w) {
    lf_pool_put_first(p, w, t);
    lf_members_of(p)->pinned = true;
  } else {
    lf_common_add(p, t, false);
  }
  return true;
}

/* Takes it out of its queue. False: it is on its way there. */
static bool unqueue(lf_pool *p, lf_task *t) {
  if (lf_list_empty(&t->link))
    return false;
  lf_worker *w = lf_pool_pinned_to(p, t);
  if (w) {
    w->npinned--;
    lf_list_del(&t->link);
  } else {
    lf_common_del(p, t);
  }
  return true;
}

/* Takes it, if it waits for another; with a reference. */
static bool release(lf_task *t) {
  bool held = lf_chain_claim(t);
  if (held)
    lf_task_ref(t)->owner->held--;
  return held;
}

bool lf_members_withdraw(lf_task *t) {
  bool out = false;
  if (lf_task_state(t) != LF_PENDING)
    return false;
  if (t->stage == LF_STAGE_QUEUED)
    out = unqueue(lf_task_pool(t), t);
  else if (t->stage == LF_STAGE_SENT)
    out = lf_proc_take_back(t->far.carrier);
  else if (t->stage == LF_STAGE_HELD)
    out = release(t);
  if (out)
    t->stage = LF_STAGE_TAKEN;
  return out;
}

/* --- Looking and closing --- */

void lf_outcome_init(lf_outcome *after) {
  *after = (lf_outcome){0};
  lf_list_init(&after->done);
  lf_list_init(&after->cancelling);
  lf_list_init(&after->claims);
}

bool lf_outcome_is_empty(const lf_outcome *o) {
  return lf_list_empty(&o->done) && lf_list_empty(&o->cancelling) &&
         lf_list_empty(&o->claims) && !o->beginning && !o->cancel_all &&
         !o->broken;
}

bool lf_members_is_quiet(lf_pool *p) {
  bool quiet = !lf_members_of(p)->ending &&
               lf_outcome_is_empty(&lf_members_of(p)->after);
  for (lf_worker *w = p->workers; w && quiet; w = w->next)
    quiet = w->npinned == 0;
  return quiet;
}

/* What has ended is not running, though it has not been received. */
static void stat_in_flight(lf_proc *c, lf_pool_stats *s) {
  uint64_t begun = 0, ended = atomic_load(&c->region->ended);
  uint64_t since = lf_proc_begun(c), now = since > ended ? since - ended : 0;
  lf_in_flight *f;
  EACH_FLIGHT(f, c)
  *(lf_proc_has_begun(f->task) ? &begun : &s->queued) += 1;
  s->running += begun < now ? begun : now;
}

void lf_members_stat(lf_pool *p, lf_pool_stats *s) {
  uint64_t stopped = 0;
  *s = (lf_pool_stats){.queued = p->queued + p->owner.held};
  s->occupied = (uint64_t)lf_members_of(p)->occupied;
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_proc *c = lf_worker_proc(w);
    s->finished += w->finished;
    s->failed += w->failed;
    stopped += w->stopped;
    s->queued += w->npinned;
    s->workers += w->mode == LF_WORKER_STARTING || w->mode == LF_WORKER_ACTIVE;
    s->idle +=
        c && c->ready && w->mode == LF_WORKER_ACTIVE && !lf_proc_is_occupied(c);
    if (c)
      stat_in_flight(c, s);
  }
  s->cancelled = p->owner.cancelled + stopped;
  s->failed += p->owner.unstarted;
}

void lf_members_close(lf_pool *p) {
  p->shutdown = true;
  lf_room_tell(p);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->own)
      atomic_store(&lf_worker_proc(w)->region->closed, 1);
}

_Thread_local lf_pool *lf_members_pumping;

bool lf_members_is_pumping(const lf_pool *p) {
  return lf_members_pumping == p;
}
