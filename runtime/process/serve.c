/* SPDX-License-Identifier: MIT
 *
 * See serve.h. */
#include "runtime/process/serve.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/crash.h"
#include "runtime/os/spin.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/ready.h"
#include "runtime/pool/usr1.h"
#include "runtime/process/serve_receive.h"
#include "runtime/process/serve_report.h"
#include "runtime/shm/arena.h"
#include "runtime/task/chain.h"
#include "runtime/trace/trace.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { IDLE_NS = 250000000 }; /* until the interpreter is to sweep */

/* --- Running --- */

static void learn_time(lf_serve *r, int64_t ns) {
  uint64_t old =
      atomic_load_explicit(&r->region->task_ns, memory_order_relaxed);
  uint64_t new = old ? (3 * old + (uint64_t)ns) / 4 : (uint64_t)ns;
  atomic_store_explicit(&r->region->task_ns, new + 1, memory_order_relaxed);
}

/* What is timed and traced is the program's to say. */
static void look_at_timing(lf_serve *r) {
  int timing = atomic_load_explicit(&r->region->timing, memory_order_relaxed);
  if (timing == lf_timing_now())
    return;
  lf_trace_hand_over(); /* what is of a former trace */
  lf_time_as(timing);
  if (timing & LF_TIME_LONG) /* for --stats; or there is a trace */
    lf_profiles_keep();
}

static void run_task(lf_serve *r, lf_task *t) {
  int64_t since = lf_now();
  look_at_timing(r);
  r->worker->swept = false;
  lf_task_start(t);
  r->pool->o.ops->run(r->worker->vm, t);
  learn_time(r, lf_now() - since);
}

static bool has_work(lf_serve *r) {
  lf_worker *w = r->worker;
  return lf_ring_filled(r->end.in) > 0 || !lf_stack_is_empty(&w->ready);
}

static lf_habit idling = LF_HABIT;

/* Sleeps until there is something to do or a run's deadline has come. */
static void sleep_until(lf_serve *r, int64_t deadline) {
  lf_worker *w = r->worker;
  int64_t soon = w->swept ? LF_FOREVER : lf_now() + IDLE_NS;
  soon = soon < deadline ? soon : deadline;
  int err = r->state == LF_SERVE_WAITING ? lf_worker_sleep(w, soon)
                                         : lf_doze(w->parker_at, soon);
  if (err != LF_ETIMEOUT || soon >= deadline)
    return;
  w->swept = true;
  r->pool->o.ops->idle(w->vm);
}

/* Nothing to do now. */
static void rest(lf_serve *r) {
  lf_worker *w = r->worker;
  int64_t deadline = lf_worker_deadline(w);
  bool holds = lf_worker_holds(w);
  lf_trace_hand_over();
  lf_serve_enter(r, holds ? LF_SERVE_WAITING : LF_SERVE_IDLE);
  lf_serve_ring_doorbell(r);
  lf_spin spin = lf_spin_begin(&idling, deadline);
  while (!has_work(r) && lf_spin_on(&spin))
    continue;
  if (!has_work(r))
    sleep_until(r, deadline);
  lf_spin_end(&spin);
}

/* One step of the worker's life; false: it is to leave. */
static bool step(lf_serve *r) {
  lf_run *run = lf_worker_ready(r->worker); /* receives, too */
  if (run) {
    lf_serve_enter(r, LF_SERVE_RUNNING);
    r->pool->o.ops->resume(r->worker->vm, run);
    return true;
  }
  bool holds = lf_worker_holds(r->worker);
  lf_task *t = holds ? NULL : lf_serve_take(r, true);
  t = t || holds ? t : lf_serve_take(r, false);
  if (t)
    run_task(r, t);
  else if (r->stop)
    return false;
  else
    rest(r);
  return true;
}

/* --- Blocking --- */

static void block(lf_worker *w) {
  lf_serve *r = lf_serve_of(w->pool);
  lf_serve_enter(r, LF_SERVE_BLOCKED);
  lf_serve_tell(r, LF_MSG_BLOCK, 0, 0);
}

static void unblock(lf_worker *w) {
  lf_serve *r = lf_serve_of(w->pool);
  lf_serve_enter(r, LF_SERVE_WANTING);
  lf_serve_tell(r, LF_MSG_UNBLOCK, 0, 0);
  for (;;) {
    lf_serve_receive(r);
    if (r->state != LF_SERVE_WANTING)
      return;
    lf_doze(r->worker->parker_at, LF_FOREVER);
  }
}

/* --- Waiting --- */

static lf_serve *serve_of(const lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  return p && p->o.backend == &lf_serve_backend ? lf_serve_of(p) : NULL;
}

/* Numbers of awaited tasks. */
typedef struct {
  lf_buf ids;
  bool more; /* some have none: the program does not know them */
  int depth;
} awaited;

static bool put_id(lf_task *t, void *arg) {
  awaited *a = arg;
  if (t->noted & LF_NAMED && lf_task_state(t) == LF_RUNNING)
    (void)lf_buf_put(&a->ids, &t->far.id, sizeof t->far.id);
  else
    a->more |= !lf_task_done(t);
  return true;
}

/* Of a task that the program does not know, all that it needs (dependent.h). */
static bool put_needed(lf_task *t, void *arg) {
  enum { DEEPEST = 16 }; /* what lies deeper is not told */
  awaited *a = arg;
  lf_waits *waits =
      t->noted & LF_NAMED || lf_task_done(t) ? NULL : atomic_load(&t->waits);
  if (!waits || waits->any || a->depth == DEEPEST)
    return true;
  a->depth++;
  waits->each(waits, put_id, a);
  waits->each(waits, put_needed, a);
  a->depth--;
  return true;
}

static void put_awaited(lf_waits *waits, awaited *a) {
  lf_buf_init(&a->ids, NULL, 0);
  if (waits)
    waits->each(waits, put_id, a);
  if (a->more && !waits->any)
    lf_deadlock_visit(waits, put_needed, a);
}

/* Tells what the task waits for, and which one runs on top of it, or NULL. */
static void tell_wait(lf_serve *r, lf_task *t, lf_waits *waits,
                      const lf_task *top, bool look) {
  awaited a = {0};
  lf_buf *ids = &a.ids;
  put_awaited(waits, &a);
  if (ids->len > 0 || top) {
    lf_msg msg = {.kind = LF_MSG_WAIT, .id = t->far.id};
    lf_payload payload = {.body = ids, .to = ids->len};
    msg.flag = waits && waits->any;
    msg.a = top ? top->far.id : 0;
    msg.b = look;
    pthread_mutex_lock(&r->pool->lock);
    if (lf_serve_post(r, &msg, &payload) == 0)
      t->noted |= LF_TOLD;
    pthread_mutex_unlock(&r->pool->lock);
  }
  lf_buf_fini(ids);
}

static void tell_unwait(lf_serve *r, lf_task *t) {
  if (t->noted & LF_TOLD)
    lf_serve_tell(r, LF_MSG_UNWAIT, t->far.id, 0);
  t->noted &= (uint8_t)~LF_TOLD;
}

void lf_serve_wait(lf_task *t, lf_waits *waits) {
  lf_serve *r = serve_of(t);
  if (!r)
    return;
  lf_list_add(&r->waiting, &t->link);
  tell_wait(r, t, waits, NULL, true);
}

void lf_serve_cover(lf_task *t, lf_waits *waits, const lf_task *top) {
  lf_serve *r = serve_of(t);
  if (!r)
    return;
  tell_unwait(r, t);
  tell_wait(r, t, waits, top, false);
}

void lf_serve_unwait(lf_task *t) {
  lf_serve *r = serve_of(t);
  if (!r)
    return;
  lf_list_del(&t->link);
  tell_unwait(r, t);
}

uint64_t lf_serve_number(const lf_task *t, bool runs_here) {
  return serve_of(t) && (runs_here || t->noted & LF_NAMED) ? t->far.id : 0;
}

void lf_serve_rest(lf_task *t) {
  lf_serve *r = serve_of(t);
  if (!r || !lf_runner_of(t) || t->noted & LF_RESTS)
    return;
  t->noted |= LF_RESTS;
  lf_serve_tell(r, LF_MSG_REST, t->far.id, 0);
}

/* --- Questions --- */

/* A thread of this process that waits for what the worker's thread receives. */
typedef struct {
  lf_waiter waiter;
  lf_parker own, *at;
} listener;

static void listen(const lf_serve *r, listener *l) {
  lf_parker_init(&l->own);
  l->at = lf_self == r->worker ? r->worker->parker_at : &l->own;
}

/* Sleeps until something may have come. */
static void hear(lf_serve *r, const listener *l) {
  if (lf_self == r->worker)
    lf_serve_receive(r);
  else
    lf_doze(l->at, LF_FOREVER);
}

/* Asks the program and waits for its answer: in 'q', whose 'body' is set. */
static uint64_t ask(lf_serve *r, lf_msg_kind kind, uint64_t id, uint8_t flag,
                    lf_question *q) {
  static const lf_payload none;
  listener l;
  listen(r, &l);
  lf_buf *body = q->body;
  *q = (lf_question){.parker = l.at, .body = body};
  pthread_mutex_lock(&r->pool->lock);
  q->number = ++r->last_question;
  lf_list_add(&r->questions, &q->link);
  lf_msg msg = {.kind = (uint8_t)kind, .id = id, .flag = flag, .b = q->number};
  (void)lf_serve_post(r, &msg, &none);
  pthread_mutex_unlock(&r->pool->lock);
  for (;;) {
    hear(r, &l);
    if (atomic_load(&q->answered))
      return q->answer;
    if (lf_self == r->worker)
      lf_doze(l.at, LF_FOREVER);
  }
}

static void fire_listener(lf_waiter *waiter) {
  lf_unpark(lf_container_of(waiter, listener, waiter)->at);
}

/* It has ended, as the program has said; what has become of it is on its way.
 */
static void await_done(lf_serve *r, lf_task *t) {
  listener l = {.waiter.fire = fire_listener};
  listen(r, &l);
  lf_waiter_add(&l.waiter, t);
  while (!lf_task_done(t)) {
    hear(r, &l);
    if (lf_self == r->worker && !lf_task_done(t))
      lf_doze(l.at, LF_FOREVER);
  }
  lf_waiter_remove(&l.waiter);
}

static bool cancel(lf_pool *p, lf_task *t, lf_reason reason) {
  lf_serve *r = lf_serve_of(p);
  if (lf_task_done(t) || !(t->noted & LF_NAMED))
    return lf_task_drop(t, reason);
  lf_question q = {0};
  if (reason != LF_STOP_CANCEL || /* the program looks at its time */
      !ask(r, LF_MSG_CANCEL, t->far.id, false, &q))
    return false;
  await_done(r, t);
  return lf_task_state(t) == LF_CANCELLED;
}

static lf_state look(lf_pool *p, lf_task *t) {
  lf_serve *r = lf_serve_of(p);
  if (!(t->noted & LF_NAMED) || lf_task_done(t))
    return lf_task_state(t);
  lf_question q = {0};
  lf_state state = (lf_state)ask(r, LF_MSG_LOOK, t->far.id, 0, &q);
  if (state < LF_FINISHED)
    return state;
  await_done(r, t);
  return lf_task_state(t);
}

static void stat(lf_pool *p, lf_pool_stats *s) {
  lf_serve *r = lf_serve_of(p);
  lf_question q = {0};
  ask(r, LF_MSG_STATS, 0, 0, &q);
  *s = q.stats;
}

/* What a task that runs elsewhere has said of itself: the program knows. */
static bool progress(lf_pool *p, lf_task *t, lf_report *report) {
  if (!(t->noted & LF_NAMED))
    return lf_task_progress(t, report);
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  lf_question q = {.body = &body};
  ask(lf_serve_of(p), LF_MSG_ASK_PROGRESS, t->far.id, 0, &q);
  bool said = lf_report_get(&body, report);
  lf_buf_fini(&body);
  return said;
}

static void shut_down(lf_pool *p, bool cancel_queued) {
  lf_serve *r = lf_serve_of(p);
  atomic_store(&r->region->closed, 1);
  lf_serve_tell(r, LF_MSG_SHUTDOWN, 0, cancel_queued);
}

static lf_hunger hunger(lf_pool *p) {
  return (lf_hunger){&lf_serve_of(p)->region->full, 1};
}

static bool is_shutdown(const lf_pool *p) {
  return lf_serve_is_closed(lf_serve_of(p));
}

static bool can_name(const lf_pool *p, const lf_task *t) {
  (void)p;
  return t->noted & LF_NAMED;
}

/* --- On the worker's thread --- */

static lf_task *pinned(lf_worker *w) {
  return lf_serve_take(lf_serve_of(w->pool), true);
}

static void receive(lf_pool *p) {
  lf_serve_receive(lf_serve_of(p));
}

static void end(lf_worker *w, lf_task *t, lf_state state) {
  lf_serve_report_last(lf_serve_of(w->pool), t);
  lf_serve_end(lf_serve_of(w->pool), t, state);
}

static void report(lf_worker *w, lf_task *t) {
  lf_serve_report(lf_serve_of(w->pool), t);
}

/* --- Of tasks --- */

static int submit(lf_pool *p, lf_task *t, lf_route route) {
  return lf_serve_submit(lf_serve_of(p), t, route);
}

/* The program knows the other, and waits for it; if not, it is waited for here.
 */
static int follow(lf_pool *p, lf_dependent *chain) {
  const lf_task *after = lf_chain_after(chain);
  return after->noted & LF_NAMED
             ? lf_serve_follow(lf_serve_of(p), &chain->task, after)
             : lf_pool_hold(p, chain);
}

static void take_in(lf_task *t) {
  lf_pool *p = lf_task_pool(t);
  p->owner.held--;
  int err = lf_task_done(t) ? 0 : lf_serve_submit(lf_serve_of(p), t, LF_TAIL);
  if (err && !lf_task_cancel(t))
    lf_task_end(t, LF_CANCELLED);
  lf_task_unref(t);
}

static int broadcast(lf_pool *p, lf_task **tasks, int n) {
  (void)n; /* max_workers */
  return lf_serve_broadcast(lf_serve_of(p), tasks);
}

static bool release(lf_pool *p, lf_task *t) {
  return lf_serve_release(lf_serve_of(p), t);
}

/* --- Stopping --- */

/* One that is known to the program, which has it run elsewhere. */
static bool stop_elsewhere(lf_serve *r, lf_task *t, lf_reason reason) {
  lf_question q = {0};
  if (reason != LF_STOP_CANCEL || lf_task_done(t) ||
      !ask(r, LF_MSG_CANCEL, t->far.id, true, &q))
    return false;
  lf_task_stop(t, reason); /* unless its end has been told already */
  return true;
}

/* One that runs here: by a timer of this process. What the program asks for
 * comes as a message. */
static bool stop(lf_pool *p, lf_task *t, lf_reason reason) {
  lf_serve *r = lf_serve_of(p);
  if (t->noted & LF_NAMED)
    return stop_elsewhere(r, t, reason);
  if (!lf_task_stop(t, reason))
    return false;
  if (atomic_load(&t->parked)) /* it is closed when the interpreter is free */
    lf_serve_tell(r, LF_MSG_STOPPED, t->far.id, (uint8_t)reason);
  lf_worker_tell_asked(r->worker);
  return true;
}

static void remind(lf_pool *p, lf_task *t) {
  if (!(t->noted & LF_NAMED))
    lf_worker_tell_asked(lf_serve_of(p)->worker);
}

/* Nothing but its end stops the worker. */
static bool give_up(lf_pool *p, lf_task *t) {
  lf_serve *r = lf_serve_of(p);
  if (t->noted & LF_NAMED)
    return true; /* the program does */
  if (atomic_load(&r->worker->current) != t)
    return false;
  atomic_store(&r->region->given_up_for, lf_task_reason(t));
  atomic_store(&r->region->given_up, t->far.id);
  raise(SIGKILL);
  return true;
}

/* The program ends what is to be ended. */
static void settle(lf_pool *p) {
  (void)p;
}

const lf_backend lf_serve_backend = {
    .name = "process",
    .remote = true,
    .broken = "BrokenProcessPool",
    .submit = submit,
    .broadcast = broadcast,
    .follow = follow,
    .take_in = take_in,
    .cancel = cancel,
    .look = look,
    .progress = progress,
    .can_name = can_name,
    .ask = stop,
    .remind = remind,
    .give_up = give_up,
    .release = release,
    .stat = stat,
    .hunger = hunger,
    .is_shutdown = is_shutdown,
    .shutdown = shut_down,
    .settle = settle,
    .receive = receive,
    .pinned = pinned,
    .block = block,
    .unblock = unblock,
    .end = end,
    .report = report,
};

/* --- Life --- */

static _Noreturn void die(const char *why) {
  fprintf(stderr, "lfut: a worker process cannot start: %s\n", why);
  lf_fork_exit(LF_SERVE_REFUSED);
}

/* Arrays that the program has given are gone: it is to be told, by the worker's
 * thread, which does that before it sleeps. */
static void rouse(lf_giver *giver) {
  lf_serve *r = lf_container_of(giver, lf_serve, end.array_refs.giver);
  if (lf_self != r->worker)
    lf_unpark(r->worker->parker_at);
}

/* The program's pool, as it is seen from here. */
static lf_serve *serve_new(const lf_pool_options *options, int id,
                           lf_region *region, int doorbell) {
  lf_serve *r = lf_zalloc(sizeof *r);
  lf_pool *p = r ? lf_pool_new(options) : NULL;
  lf_worker *w = p ? lf_pool_spare_worker(p) : NULL;
  if (!w)
    die(LF_NO_MEMORY);
  p->own = r;
  r->pool = p;
  r->worker = w;
  r->region = region;
  r->doorbell = doorbell;
  lf_list_init(&r->runners);
  lf_list_init(&r->waiting);
  lf_list_init(&r->questions);
  lf_serve_report_init(r);
  w->id = id;
  w->mode = LF_WORKER_ACTIVE;
  w->parker_at = &region->parker;
  w->interrupt_at = &region->interrupt;
  w->runs_at = &region->running;
  w->asked_at = &region->asked;
  w->asks_at = &region->asks;
  lf_channel_init(&r->end, &region->in, &region->out, &lf_serve_names, r,
                  options->ops->annotate);
  lf_array_refs_init(&r->end.array_refs, true, rouse);
  lf_owner_be(region->owner);
  r->last_number = 1; /* odd */
  return r;
}

static void send_broken(lf_serve *r, int err, lf_buf *why) {
  lf_msg msg = {.kind = LF_MSG_BROKEN};
  if (err != LF_EBROKEN)
    lf_buf_no_memory(why);
  lf_payload payload = {.body = why, .to = why->len};
  pthread_mutex_lock(&r->pool->lock);
  (void)lf_serve_post(r, &msg, &payload);
  pthread_mutex_unlock(&r->pool->lock);
}

static _Noreturn void live(lf_serve *r) {
  char name[32];
  lf_buf why;
  lf_worker *w = r->worker;
  lf_buf_init(&why, NULL, 0);
  snprintf(name, sizeof name, "%.10s_%d", r->pool->o.name, w->id);
  prctl(PR_SET_NAME, name);
  lf_count_outside(&r->region->awake);
  lf_pool_catch_interrupts(r->pool->o.ops);
  lf_crash_note(r->region->crash, sizeof r->region->crash);
  lf_usr1_serve(&r->region->sight);
  atomic_store(&r->region->answers, 1);
  lf_self = w;
  w->thread = gettid();
  int err = r->pool->o.ops->open(w, &w->vm, &why);
  if (err) {
    send_broken(r, err, &why);
    lf_fork_exit(EXIT_FAILURE);
  }
  lf_serve_tell(r, LF_MSG_READY, (uint64_t)getpid(), 0);
  lf_serve_trace(r);
  while (step(r))
    continue;
  r->pool->o.ops->close(w->vm);
  lf_serve_profiles();
  lf_trace_hand_over_all();
  lf_fork_exit(EXIT_SUCCESS);
}

void lf_serve_main(const lf_pool_options *options, int id, int region_fd,
                   int doorbell) {
  lf_pool_options o = *options;
  lf_region *region = lf_region_map(region_fd);
  if (!region)
    die("no shared memory");
  close(region_fd);
  lf_fd_own(doorbell);
  o.registry = NULL;
  o.backend = &lf_serve_backend;
  o.max_queue = 0; /* the program counts */
  o.program = NULL;
  o.setup_free = NULL;
  live(serve_new(&o, id, region, doorbell));
}

/* The program that has spawned this one cannot be served. */
static _Noreturn void refuse(lf_serve *r, const char *engine) {
  char text[200];
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  snprintf(text, sizeof text,
           "the worker's lfut is for %s, the program's for %s",
           r->pool->o.ops->engine, engine);
  int err = lf_buf_put_text(&why, text) == 0 ? LF_EBROKEN : LF_ENOMEM;
  send_broken(r, err, &why);
  lf_fork_exit(EXIT_FAILURE);
}

void lf_serve_spawned(const char *engine, int id, pid_t parent,
                      const lf_vmops *ops, lf_serve_make *make) {
  lf_pool_options o = {.name = "", .ops = ops, .backend = &lf_serve_backend};
  lf_region *region = lf_region_map(LF_SERVE_REGION);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!region || getppid() != parent)
    die("no shared memory");
  close(LF_SERVE_REGION);
  if (region->owner && lf_arena_adopt(LF_SERVE_ARENA) != 0)
    die("no shared memory for arrays");
  lf_fd_own(LF_SERVE_DOORBELL);
  lf_fork_leave_interrupts();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  lf_serve *r = serve_new(&o, id, region, LF_SERVE_DOORBELL);
  while (!lf_channel_receive(&r->end))
    lf_doze(r->worker->parker_at, LF_FOREVER);
  if (strcmp(engine, ops->engine) != 0)
    refuse(r, engine);
  o.max_workers = (int)r->end.msg.a;
  o.name = lf_strndup((char *)r->end.tail.data, r->end.tail.len);
  o.setup = o.name && !r->end.no_memory ? make(&r->end.body) : NULL;
  if (!o.setup)
    die(LF_NO_MEMORY);
  r->pool->o = o;
  live(r);
}
