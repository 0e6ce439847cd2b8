/* SPDX-License-Identifier: MIT
 *
 * What worker processes ask of their program, for the tasks that run in them:
 * tasks of their own, how those stand, who waits for whom. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/base/mem.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/stop.h"
#include "runtime/process/task_io.h"
#include "runtime/task/chain.h"
#include "runtime/task/dependent.h"
#include "runtime/task/report.h"
#include "runtime/trace/trace.h"

#include <string.h>

/* --- Tasks that a worker submits --- */

static lf_export *find_export(const lf_proc *c, uint64_t id) {
  lf_entry *e = id ? lf_table_find(&c->exports, id) : NULL;
  return e ? e->value : NULL;
}

/* Submitted by the worker, not only known to it: it has to be there until it
 * has been told the end. */
static bool is_its_own(const lf_export *e) {
  return e->id & 1;
}

static void export_free(lf_export *e) {
  if (e->chunk)
    lf_chunk_free(e->chunk);
  lf_task_unref(e->task);
  lf_free(e);
}

/* Between the two it is not known any more. */
static void export_forget(lf_export *e) {
  lf_table_del(&e->proc->exports, e->id);
  lf_table_del(&e->proc->numbers, (uintptr_t)e->task);
  e->proc = NULL;
}

/* Any thread: the worker is to be told that it has ended. */
static void push_ended(lf_export *e) {
  lf_pool *p = e->pool;
  atomic_store(&e->ended, true);
  lf_stack_push(&lf_members_of(p)->ended, &e->node);
  if (!lf_members_is_pumping(p))
    lf_members_kick(p);
}

static void export_fire(lf_waiter *waiter) {
  push_ended(lf_container_of(waiter, lf_export, waiter));
}

/* The chunk of a loop has ended, or will not be run. */
static void chunk_done(lf_runner *runner, lf_chunk *chunk, int64_t ns) {
  lf_export *e = runner->from;
  e->chunk = chunk;
  chunk->ns = ns;
  push_ended(e);
}

static lf_export *export_new(lf_proc *c, lf_task *t, uint64_t id) {
  lf_export *e = find_export(c, id) ? NULL : lf_zalloc(sizeof *e);
  if (!e)
    return NULL;
  int err = lf_table_add(&c->exports, id, e);
  if (err == 0)
    err = lf_table_add(&c->numbers, (uintptr_t)t, e);
  if (err) {
    lf_table_del(&c->exports, id);
    lf_free(e);
    return NULL;
  }
  e->pool = c->worker->pool;
  e->proc = c;
  e->id = id;
  e->names = 1;
  e->task = lf_task_ref(t);
  e->waiter.fire = export_fire;
  lf_list_init(&e->waiter.link);
  e->waiter.task = t;
  c->untold += is_its_own(e);
  return e;
}

static uint64_t name(void *user, lf_task *t) {
  lf_proc *c = user;
  lf_entry *known = lf_table_find(&c->numbers, (uintptr_t)t);
  if (known) {
    lf_export *e = known->value;
    e->names++;
    return e->id;
  }
  lf_export *e = export_new(c, t, c->last_number + 2);
  if (!e)
    return 0;
  c->last_number = e->id;
  if (!lf_waiter_add(&e->waiter, t))
    push_ended(e);
  return e->id;
}

static lf_task *find(void *user, uint64_t id) {
  lf_export *e = find_export(user, id);
  return e ? lf_task_ref(e->task) : NULL;
}

static void *self(void *user) {
  lf_proc *c = user;
  return lf_pool_handle(c->worker->pool);
}

const lf_names lf_requests_names = {name, find, self, lf_pool_unhandle};

/* The worker has forgotten it, unless it was named to it meanwhile: then it is
 * new to the worker, who has to be told again. */
static void receive_release(lf_proc *c) {
  lf_export *e = find_export(c, c->end.msg.id);
  if (!e)
    return;
  bool told = e->told;
  if (e->names > c->end.msg.a) {
    e->names -= c->end.msg.a;
    if (told) {
      e->told = false;
      c->untold += is_its_own(e);
      push_ended(e);
    }
    return;
  }
  if (!told)
    c->untold -= is_its_own(e);
  export_forget(e);
  if (told)
    export_free(e); /* else when it has ended */
}

/* Whom the task comes after that the message in hand describes, or NULL. */
static lf_task *find_before(const lf_proc *c) {
  const lf_msg *m = &c->end.msg;
  lf_export *e = m->kind == LF_MSG_SUBMIT ? find_export(c, m->a) : NULL;
  return e ? e->task : NULL;
}

/* The task that the message in hand describes, or NULL. */
static lf_task *read_task(lf_proc *c) {
  lf_channel *end = &c->end;
  bool chunk = end->msg.kind == LF_MSG_SUBMIT_CHUNK;
  if (end->no_memory || (chunk && !c->lent))
    return NULL;
  lf_task *t = chunk ? lf_chunk_receive(end, c->lent)
                     : lf_call_receive(end, c->worker->pool, find_before(c));
  lf_code *code = t ? lf_channel_code(end, end->msg.slot) : NULL;
  if (code && !t->code)
    t->code = lf_code_ref(code);
  return t;
}

/* Sends the message with a text as its body. */
static void send_text(lf_proc *c, lf_msg *msg, const char *text) {
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  (void)lf_buf_put_text(&body, text);
  lf_payload payload = {.body = &body, .to = body.len};
  (void)lf_channel_send(&c->end, msg, &payload);
  lf_buf_fini(&body);
}

/* It cannot be run: the worker is told so as of any task that has failed. */
static void refuse(lf_proc *c, uint64_t id, const char *why) {
  lf_msg msg = {.kind = LF_MSG_DONE, .id = id, .state = LF_FAILED};
  msg.error = LF_BROKEN;
  send_text(c, &msg, why);
}

/* One more of a broadcast. With the last one they are pinned, all at once. */
static const char *gather(lf_proc *c, lf_task *t) {
  lf_pool *p = c->worker->pool;
  t->stage = LF_STAGE_GATHERED;
  lf_list_add(&c->gathering, &lf_task_ref(t)->link);
  if (c->end.msg.a > 1)
    return NULL;
  lf_task **all = lf_malloc((size_t)p->o.max_workers * sizeof *all);
  lf_link *l;
  int n = 0;
  while ((l = lf_list_pop(&c->gathering)))
    if (all && n < p->o.max_workers)
      all[n++] = lf_container_of(l, lf_task, link);
  int err = n == p->o.max_workers ? lf_members_broadcast(p, all) : LF_ENOMEM;
  for (int i = 0; i < n; i++)
    lf_task_unref(all[i]); /* not the last: the exports have one */
  lf_free(all);
  return err ? "cannot start all workers" : NULL;
}

/* Without the lock it begins to wait. */
static void hold(lf_pool *p, lf_dependent *chain) {
  lf_outcome *after = &lf_members_of(p)->after;
  p->submitted++;
  chain->task.stage = LF_STAGE_HELD;
  lf_chain_hold(chain);
  lf_task_ref(&chain->task);
  chain->next = after->beginning;
  after->beginning = chain;
}

/* Queues it. NULL, or why that cannot be. */
static const char *accept(lf_proc *c, lf_task *t) {
  lf_pool *p = c->worker->pool;
  const lf_msg *msg = &c->end.msg;
  if (p->broken)
    return p->broken;
  if (p->shutdown && !lf_runner_of(t))
    return "cannot schedule new futures after shutdown";
  if (lf_dependent_of(t)) {
    hold(p, lf_dependent_of(t));
    return NULL;
  }
  if (msg->kind == LF_MSG_BROADCAST)
    return gather(c, t);
  if (msg->flag == LF_ROUTE_AFFINE)
    return lf_members_add_affine(p, t) ? LF_NO_MEMORY : NULL;
  lf_members_add(p, t, !lf_runner_of(t));
  return NULL;
}

/* Can it be what the message in hand says? */
static bool is_submit(const lf_proc *c) {
  const lf_msg *msg = &c->end.msg;
  bool empty = msg->kind == LF_MSG_SUBMIT_CHUNK && !c->end.no_memory && !msg->b;
  bool lost = msg->kind == LF_MSG_SUBMIT && msg->a && !find_export(c, msg->a);
  return msg->id % 2 == 1 && !find_export(c, msg->id) &&
         msg->flag <= LF_ROUTE_AFFINE && !empty && !lost;
}

static void receive_submit(lf_proc *c) {
  uint64_t id = c->end.msg.id;
  if (!is_submit(c)) {
    lf_members_condemn(c);
    return;
  }
  lf_task *t = read_task(c);
  lf_export *e = t ? export_new(c, t, id) : NULL;
  if (!e) {
    if (t)
      lf_task_unref(t);
    refuse(c, id, LF_NO_MEMORY);
    return;
  }
  lf_runner *runner = lf_runner_of(t);
  if (runner)
    runner->from = e;
  const char *why = accept(c, t);
  if (why) {
    refuse(c, id, why);
    c->untold -= is_its_own(e);
    export_forget(e);
    export_free(e);
  } else {
    if (!runner)
      lf_waiter_add(&e->waiter, t); /* it cannot be done yet */
    lf_clock_queued(t);
  }
  lf_task_unref(t);
}

static void receive_loop(lf_proc *c) {
  if (c->lent)
    lf_loop_unref(c->lent);
  c->lent = lf_loop_receive(&c->end, c->worker->pool, chunk_done);
}

/* --- Telling the worker --- */

static int tell_chunk(lf_export *e) {
  lf_chunk *k = e->chunk;
  lf_msg msg = {.kind = LF_MSG_DONE, .id = e->id, .state = LF_FINISHED};
  lf_payload payload = lf_chunk_end(&msg, k);
  payload.owner = k;
  payload.drop = lf_chunk_free;
  int err = lf_channel_send(&e->proc->end, &msg, &payload);
  if (err == 0)
    e->chunk = NULL;
  return err;
}

static int tell_stopped(lf_export *e, lf_task *t) {
  lf_msg msg = {.kind = LF_MSG_DONE, .id = e->id, .error = LF_HALTED};
  lf_buf body = {0};
  msg.state = LF_FAILED;
  int err = lf_outcome_put_stopped(&body, t);
  lf_payload payload = {.body = &body, .to = body.len};
  err = err ? err : lf_channel_send(&e->proc->end, &msg, &payload);
  lf_buf_fini(&body);
  return err;
}

static int tell_task(lf_export *e) {
  lf_task *t = e->task, *origin = lf_task_origin(t);
  lf_msg msg = {.kind = LF_MSG_DONE, .id = e->id, .error = t->error};
  msg.state = (uint8_t)lf_task_state(t);
  if (msg.state == LF_FAILED && lf_task_reason(origin) != LF_GO_ON)
    return tell_stopped(e, origin);
  lf_payload payload = {0}; /* who cancels a task drops its data */
  if (msg.state != LF_CANCELLED)
    payload = lf_payload_task(t);
  payload.owner = lf_task_ref(t);
  payload.drop = lf_task_unref;
  int err = lf_channel_send(&e->proc->end, &msg, &payload);
  if (err)
    lf_task_unref(t);
  return err;
}

/* The export has ended, and the worker is there. */
static void tell(lf_export *e) {
  lf_members_stir(e->proc);
  int err = e->chunk ? tell_chunk(e) : tell_task(e);
  if (err)
    refuse(e->proc, e->id, LF_NO_MEMORY);
  e->told = true;
  e->proc->untold -= is_its_own(e);
}

void lf_requests_tell(lf_pool *p) {
  lf_node *node;
  while ((node = lf_stack_take(&lf_members_of(p)->ended))) {
    lf_export *e = lf_container_of(node, lf_export, node);
    if (e->proc)
      tell(e);
    if (!e->proc) {
      export_free(e);
    } else if (lf_runner_of(e->task)) { /* no future: nobody will name it */
      export_forget(e);
      export_free(e);
    }
  }
}

void lf_requests_forget(lf_proc *c) {
  lf_link *l;
  for (size_t i = 0; i < c->exports.cap; i++) {
    lf_export *e =
        c->exports.entries[i].id ? c->exports.entries[i].value : NULL;
    if (!e)
      continue;
    e->proc = NULL;
    if (!e->told && lf_runner_of(e->task))
      continue; /* goes when the chunk has ended, in this pool */
    if (!e->told)
      lf_waiter_remove(&e->waiter); /* from here on it does not fire */
    if (e->told || !atomic_load(&e->ended))
      export_free(e); /* else by lf_requests_tell */
  }
  lf_table_fini(&c->exports);
  lf_table_fini(&c->numbers);
  while ((l = lf_list_pop(&c->gathering)))
    lf_task_unref(lf_container_of(l, lf_task, link));
  if (c->lent)
    lf_loop_unref(c->lent);
  c->lent = NULL;
  lf_in_flight *f;
  EACH_FLIGHT(f, c)
  lf_in_flight_end_wait(f);
}

/* --- Who waits for whom --- */

static lf_far_wait *read_wait(lf_proc *c, lf_task *t) {
  size_t n = c->end.body.len / sizeof(uint64_t);
  lf_far_wait *w = lf_far_wait_new(t, c->end.msg.flag, n + 1);
  if (!w)
    return NULL;
  for (size_t i = 0; i < n; i++) {
    uint64_t id;
    memcpy(&id, c->end.body.data + i * sizeof id, sizeof id);
    lf_export *e = find_export(c, id);
    if (e)
      lf_far_wait_add(w, e->task);
  }
  lf_in_flight *top = lf_proc_find(c, c->end.msg.a);
  if (top)
    lf_far_wait_add(w, top->task);
  return w;
}

static void receive_wait(lf_proc *c) {
  char path[1000];
  lf_in_flight *f = lf_proc_find(c, c->end.msg.id);
  lf_far_wait *w =
      f && !f->wait && !c->end.no_memory ? read_wait(c, f->task) : NULL;
  if (!w)
    return;
  f->wait = w;
  if (lf_task_state(f->task) == LF_PENDING)
    lf_task_start(f->task);
  if (!c->end.msg.b) {
    lf_deadlock_swap(f->task, &w->waits);
    return;
  }
  if (lf_deadlock_begin(f->task, &w->waits, path, sizeof path) == 0)
    return;
  lf_msg msg = {.kind = LF_MSG_STUCK, .id = c->end.msg.id};
  send_text(c, &msg, path);
}

static void receive_unwait(lf_proc *c) {
  lf_in_flight *f = lf_proc_find(c, c->end.msg.id);
  if (f)
    lf_in_flight_end_wait(f);
}

static void receive_progress(lf_proc *c) {
  const lf_in_flight *f = lf_proc_find(c, c->end.msg.id);
  if (f)
    lf_report_receive(&c->end, f->task);
}

/* A task that is parked in the worker has been asked to stop: those who wait
 * for it do so no more, unless it is run again. */
static void receive_stopped(lf_proc *c, lf_outcome *after) {
  const lf_in_flight *f = lf_proc_find(c, c->end.msg.id);
  unsigned reason = c->end.msg.flag;
  if (!f || reason == LF_GO_ON || reason > LF_STOP_MEMORY)
    return;
  lf_task_start(f->task); /* as far as was known here */
  lf_task_stop(f->task, (lf_reason)reason);
  if (lf_task_may_again(f->task)) { /* if the worker comes to that in time */
    lf_pool_watch(f->task);
    return;
  }
  lf_cancelling *what = lf_malloc(sizeof *what);
  if (!what)
    return; /* when the worker says so */
  *what = (lf_cancelling){.task = lf_task_ref(f->task)};
  lf_list_add(&after->cancelling, &what->link);
}

/* A chunk of a loop waits. If a worker has submitted it, that one may send
 * another. */
static void receive_rest(lf_proc *c) {
  static const lf_payload none;
  lf_in_flight *f = lf_proc_find(c, c->end.msg.id);
  lf_runner *runner = f ? lf_runner_of(f->task) : NULL;
  bool ours = runner && lf_loop_is_told_by(runner->loop, chunk_done);
  lf_export *e = ours ? runner->from : NULL;
  if (!e || !e->proc)
    return;
  lf_msg msg = {.kind = LF_MSG_RESTED, .id = e->id};
  lf_members_stir(e->proc);
  (void)lf_channel_send(&e->proc->end, &msg, &none);
}

/* --- Questions --- */

static void reply(lf_proc *c, uint64_t number, uint64_t answer,
                  const lf_buf *body) {
  lf_msg msg = {.kind = LF_MSG_REPLY, .a = answer, .b = number};
  lf_payload payload = {.body = body, .to = body ? body->len : 0};
  (void)lf_channel_send(&c->end, &msg, &payload);
}

/* It may be a task of any pool: that is not done under this one's lock. */
static void receive_cancel(lf_proc *c, lf_task *t, lf_outcome *after) {
  lf_cancelling *what = t ? lf_malloc(sizeof *what) : NULL;
  if (!what) {
    reply(c, c->end.msg.b, false, NULL);
    return;
  }
  *what = (lf_cancelling){.worker = c->worker,
                          .proc = c,
                          .pid = c->own_pid,
                          .number = c->end.msg.b,
                          .task = lf_task_ref(t),
                          .running = c->end.msg.flag};
  lf_list_add(&after->cancelling, &what->link);
}

/* Tells the worker that has asked whether that is so. */
static void answer(lf_pool *p, const lf_cancelling *what, bool cancelled) {
  pthread_mutex_lock(&p->lock);
  lf_proc *c = lf_worker_proc(what->worker);
  if (c && c == what->proc && c->own_pid == what->pid) {
    lf_members_stir(c);
    reply(c, what->number, cancelled, NULL);
  }
  pthread_mutex_unlock(&p->lock);
}

void lf_requests_cancel(lf_pool *p, lf_cancelling *what) {
  if (what->worker)
    answer(p, what, lf_pool_cancel_future(what->task, what->running));
  else
    lf_task_force(what->task);
  lf_task_unref(what->task);
  lf_free(what);
}

static void tell_progress(lf_proc *c, lf_task *t) {
  lf_report report;
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  if (t && lf_task_progress(t, &report))
    (void)lf_report_put(&body, &report); /* else nothing is known */
  reply(c, c->end.msg.b, 0, &body);
  lf_buf_fini(&body);
}

static void receive_question(lf_proc *c, lf_outcome *after) {
  lf_pool *p = c->worker->pool;
  lf_export *e = find_export(c, c->end.msg.id);
  lf_task *t = e ? e->task : NULL;
  lf_pool_stats stats;
  lf_buf body;
  switch (c->end.msg.kind) {
  case LF_MSG_CANCEL:
    receive_cancel(c, t, after);
    break;
  case LF_MSG_LOOK:
    if (t && lf_task_pool(t) == p && lf_proc_has_begun(t))
      reply(c, c->end.msg.b, LF_RUNNING, NULL);
    else
      reply(c, c->end.msg.b, t ? lf_task_state(t) : LF_FINISHED, NULL);
    break;
  case LF_MSG_ASK_PROGRESS:
    tell_progress(c, t);
    break;
  case LF_MSG_STATS:
    lf_members_stat(p, &stats);
    lf_buf_init(&body, &stats, sizeof stats);
    body.len = sizeof stats;
    reply(c, c->end.msg.b, 0, &body);
    break;
  default: /* nothing that a worker says */
    lf_members_condemn(c);
  }
}

static void receive_trace(const lf_proc *c) {
  const lf_msg *msg = &c->end.msg;
  const lf_trace_from from = {.thread = (pid_t)(uint32_t)msg->id,
                              .process = (pid_t)(msg->id >> 32),
                              .namer = (pid_t)(uint32_t)msg->b,
                              .parent = (pid_t)(msg->b >> 32),
                              .session = (uint32_t)msg->a};
  if (!c->end.no_memory)
    lf_trace_feed(&from, c->end.body.data, c->end.body.len);
}

void lf_requests_receive(lf_proc *c, lf_outcome *after) {
  switch (c->end.msg.kind) {
  case LF_MSG_SUBMIT:
  case LF_MSG_SUBMIT_CHUNK:
  case LF_MSG_BROADCAST:
    receive_submit(c);
    break;
  case LF_MSG_RELEASE:
    receive_release(c);
    break;
  case LF_MSG_LOOP:
    receive_loop(c);
    break;
  case LF_MSG_BLOCK:
    c->blocked = true;
    break;
  case LF_MSG_UNBLOCK:
    c->wants = true;
    break;
  case LF_MSG_WAIT:
    receive_wait(c);
    break;
  case LF_MSG_UNWAIT:
    receive_unwait(c);
    break;
  case LF_MSG_REST:
    receive_rest(c);
    break;
  case LF_MSG_PROGRESS:
    receive_progress(c);
    break;
  case LF_MSG_STOPPED:
    receive_stopped(c, after);
    break;
  case LF_MSG_PROFILE:
    if (!c->end.no_memory)
      lf_profile_feed(c->end.body.data, c->end.body.len);
    break;
  case LF_MSG_TRACE:
    receive_trace(c);
    break;
  case LF_MSG_SHUTDOWN:
    lf_members_close(c->worker->pool);
    after->cancel_all |= c->end.msg.flag;
    break;
  default:
    receive_question(c, after);
  }
}
