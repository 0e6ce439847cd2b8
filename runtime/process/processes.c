/* SPDX-License-Identifier: MIT
 *
 * See processes.h, internal.h. */
#include "runtime/process/processes.h"

#include "runtime/base/mem.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/threads.h"
#include "runtime/process/internal.h"
#include "runtime/task/chain.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>

int lf_pool_processes(lf_pool *p, char *why, size_t size) {
  char name[32];
  lf_parker here;
  lf_parker_init(&here);
  lf_members *f = lf_zalloc(sizeof *f);
  if (f) {
    f->epoll = f->control = -1;
    atomic_init(&f->doorbell, -1);
    f->opening = &here;
    lf_list_init(&f->hold.link);
    lf_outcome_init(&f->after);
    for (int s = 0; s < LF_PROC_STATES; s++)
      lf_list_init(&f->procs[s]);
    p->own = f;
    snprintf(name, sizeof name, "%.10s_supervisor", p->o.name);
    lf_pool_ref(p);
    if (lf_thread_start(name, lf_supervisor_main, p) == 0) {
      while (lf_doze(&here, LF_FOREVER) != 0)
        continue;
      pthread_mutex_lock(&p->lock); /* a worker may be ready by now */
      bool opened = f->failures == 0;
      pthread_mutex_unlock(&p->lock);
      if (opened)
        return 0;
      snprintf(why, size, "cannot start worker processes: %s", f->trouble);
      return LF_EBROKEN;
    }
    lf_pool_unref(p); /* not the last */
    p->own = NULL;
    lf_free(f);
  }
  p->o.backend = &lf_threads_backend; /* it ends as one without processes */
  snprintf(why, size, "cannot start worker processes: no thread for them");
  return LF_EBROKEN;
}

static int submit(lf_pool *p, lf_task *task, lf_route route) {
  pthread_mutex_lock(&p->lock);
  bool closed =
      p->ended || (p->shutdown && route != LF_TAIL && !lf_runner_of(task));
  int err = closed ? LF_ESHUTDOWN : p->broken ? LF_EBROKEN : 0;
  if (err == 0 && route == LF_ROUTE_AFFINE)
    err = lf_members_add_affine(p, task);
  else if (err == 0)
    lf_members_add(p, task, false);
  if (err == 0)
    lf_members_of(p)->visits++;
  pthread_mutex_unlock(&p->lock);
  if (err == 0 && !lf_members_is_pumping(p))
    lf_pump(p);
  return err;
}

static int broadcast(lf_pool *p, lf_task **tasks, int n) {
  (void)n; /* max_workers */
  pthread_mutex_lock(&p->lock);
  int err = lf_members_broadcast(p, tasks);
  pthread_mutex_unlock(&p->lock);
  lf_pump(p);
  return err;
}

/* A task that has waited for another. */
static void take_in(lf_task *t) {
  lf_pool *p = lf_pool_ref(lf_task_pool(t));
  pthread_mutex_lock(&p->lock);
  bool wanted = lf_pool_wants(p, t);
  if (wanted)
    lf_members_put_first(p, t);
  else
    t->stage = LF_STAGE_TAKEN;
  p->owner.held--;
  pthread_mutex_unlock(&p->lock);
  if (!wanted)
    lf_pool_fail(t, p->broken);
  if (wanted && !lf_members_is_pumping(p))
    lf_pump(p);
  else if (!wanted)
    lf_members_kick(p); /* it may be over */
  lf_pool_unref(p);
}

static size_t ahead(const lf_worker *w) {
  const lf_proc *c = lf_worker_proc(w);
  uint64_t begun = c ? lf_proc_begun(c) : 0;
  return c && c->sent > begun ? (size_t)(c->sent - begun) : 0;
}

static void sample(lf_pool *p, lf_pool_stats *s) {
  pthread_mutex_lock(&p->lock);
  lf_members_stat(p, s);
  pthread_mutex_unlock(&p->lock);
}

static void stat(lf_pool *p, lf_pool_stats *s) {
  lf_pump(p);
  sample(p, s);
}

static bool cancel(lf_pool *p, lf_task *t, lf_reason reason) {
  pthread_mutex_lock(&p->lock);
  bool out = lf_members_withdraw(t);
  bool ending = t->stage == LF_STAGE_TAKEN;
  pthread_mutex_unlock(&p->lock);
  while (!out && ending && !lf_task_done(t))
    sched_yield(); /* another thread is about to end it */
  if (!out)
    return false;
  bool cancelled = lf_task_drop(t, reason);
  if (lf_dependent_of(t))
    lf_members_kick(p); /* it may be over */
  lf_task_unref(t);
  return cancelled;
}

static lf_state look(lf_pool *p, lf_task *t) {
  if (lf_task_state(t) != LF_PENDING)
    return lf_task_state(t);
  lf_pump(p);
  pthread_mutex_lock(&p->lock);
  if (lf_proc_has_begun(t) && lf_task_state(t) == LF_PENDING)
    lf_task_start(t);
  pthread_mutex_unlock(&p->lock);
  return lf_task_state(t);
}

/* Under the lock. */
static void see_begun_by(lf_proc *c) {
  lf_in_flight *f;
  EACH_FLIGHT(f, c)
  if (lf_task_state(f->task) == LF_PENDING && lf_proc_has_begun(f->task))
    lf_task_start(f->task);
}

static void see_begun(lf_pool *p) {
  lf_pump(p);
  pthread_mutex_lock(&p->lock);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->own)
      see_begun_by(w->own);
  pthread_mutex_unlock(&p->lock);
}

static void recall(lf_pool *p, lf_loop *loop, lf_link *out) {
  lf_recall all = {.what = loop ? LF_OF_LOOP : LF_ALL, .loop = loop};
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->own)
      lf_proc_recall(w->own, &all, out);
}

static void shut_down(lf_pool *p, bool cancel_queued) {
  pthread_mutex_lock(&p->lock);
  lf_members_close(p);
  pthread_mutex_unlock(&p->lock);
  lf_pool_close(p, cancel_queued);
}

static void tell(lf_pool *p, const lf_notice *notice) {
  lf_members *f = lf_members_of(p);
  notice->hold(notice->owner);
  pthread_mutex_lock(&p->lock);
  lf_notice old = f->notice;
  f->notice = *notice;
  f->notices++;
  pthread_mutex_unlock(&p->lock);
  if (old.drop)
    old.drop(old.owner);
}

static void interrupt(lf_pool *p) {
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_proc *c = lf_worker_proc(w);
    if (c && c->ready && !lf_list_empty(&c->in_flight))
      lf_members_signal(c, SIGURG);
  }
}

static uint64_t run_of(const lf_worker *w) {
  const lf_proc *c = lf_worker_proc(w);
  return c && c->ready ? atomic_load(&c->region->running) : 0;
}

static void nudge(lf_worker *w) {
  lf_proc_signal(lf_worker_proc(w), SIGURG);
}

/* --- Stopping --- */

/* Under the lock: does the worker run code of the task now, and not of one on
 * top of it, or another while it is parked? */
static bool is_current(const lf_in_flight *f) {
  return atomic_load(&f->proc->region->running) == lf_in_flight_id(f);
}

/* Under the lock: has the worker look, if it runs the task. */
static bool poke(lf_in_flight *f) {
  if (!is_current(f))
    return false;
  atomic_store(&f->proc->region->asked, lf_in_flight_id(f));
  lf_proc_signal(f->proc, SIGURG);
  return true;
}

/* Under the lock: tells the worker. True: it runs the task, as far as can be
 * seen. If not, it will hear of it before it goes on with the task: who shows
 * what runs looks afterwards whether one has been asked to stop, and here it is
 * the other way round (Dekker). */
static bool tell_asked(lf_in_flight *f, lf_reason reason) {
  static const lf_payload none;
  lf_proc *c = f->proc;
  lf_msg msg = {.kind = LF_MSG_ASK, .id = lf_in_flight_id(f)};
  msg.flag = (uint8_t)reason;
  lf_members_stir(c);
  (void)lf_channel_send(&c->end, &msg, &none);
  bool sent = lf_list_empty(&c->end.parcels);
  atomic_fetch_add(&c->region->asks, 1);
  return poke(f) || !sent;
}

static bool ask(lf_pool *p, lf_task *t, lf_reason reason) {
  pthread_mutex_lock(&p->lock);
  lf_in_flight *f = t->far.carrier;
  bool begun = f && lf_proc_has_begun(t);
  if (begun && lf_task_state(t) == LF_PENDING)
    lf_task_start(t);
  bool asked = begun && lf_task_stop(t, reason);
  bool current = asked && tell_asked(f, reason);
  pthread_mutex_unlock(&p->lock);
  if (!asked)
    return false;
  if (!current && !lf_task_may_again(t))
    lf_task_force(t); /* for those who wait; it is closed when its turn comes */
  lf_pump(p);
  return true;
}

static void remind(lf_pool *p, lf_task *t) {
  pthread_mutex_lock(&p->lock);
  lf_in_flight *f = t->far.carrier;
  if (f)
    poke(f);
  pthread_mutex_unlock(&p->lock);
}

/* Its worker is killed, and others take its place. */
static bool give_up(lf_pool *p, lf_task *t) {
  pthread_mutex_lock(&p->lock);
  lf_in_flight *f = t->far.carrier;
  bool current = f && is_current(f);
  if (current)
    lf_members_signal(f->proc, SIGKILL);
  pthread_mutex_unlock(&p->lock);
  if (!current || !lf_task_may_again(t))
    lf_task_force(t); /* else it is run again when that has ended */
  return true;
}

static void kill_all(lf_pool *p, int sig) {
  pthread_mutex_lock(&p->lock);
  lf_members_start_none(p);
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->own && w->mode != LF_WORKER_GONE)
      lf_members_signal(w->own, sig);
  pthread_mutex_unlock(&p->lock);
  lf_members_kick(p);
}

static void members_free(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  if (f && f->notice.drop)
    f->notice.drop(f->notice.owner);
  lf_free(f);
}

static bool poll_news(lf_pool *p) {
  if (!lf_pump_has_news(p, false))
    return false;
  lf_members_of(p)->visits++;
  lf_pump(p);
  return true;
}

static void arm(lf_pool *p) {
  lf_pump_arm(p, false);
}

static void catch_up(lf_pool *p) {
  lf_pump(p);
  lf_pump_settle(p);
}

const lf_backend lf_processes_backend = {
    .name = "process",
    .sample = sample,
    .trace_ask = lf_proc_trace_ask,
    .trace_rest = lf_proc_trace_rest,
    .remote = true,
    .broken = "BrokenProcessPool",
    .submit = submit,
    .broadcast = broadcast,
    .follow = lf_pool_hold,
    .take_in = take_in,
    .cancel = cancel,
    .look = look,
    .see_begun = see_begun,
    .recall = recall,
    .stat = stat,
    .shutdown = shut_down,
    .tell = tell,
    .kill = kill_all,
    .settle = lf_members_kick,
    .interrupt = interrupt,
    .look_at = lf_proc_look_at,
    .ahead = ahead,
    .know = lf_proc_know,
    .resolve = lf_proc_resolve,
    .run_of = run_of,
    .nudge = nudge,
    .ask = ask,
    .remind = remind,
    .give_up = give_up,
    .is_quiet = lf_members_is_quiet,
    .free = members_free,
    .poll = poll_news,
    .arm = arm,
    .catch_up = catch_up,
};
