/* SPDX-License-Identifier: MIT
 *
 * See fake.h. */
#include "tests/c/fake.h"

#include "runtime/pool/threads.h"

#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/pool/current.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/ready.h"
#include "runtime/pool/registry.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/slab.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Gates and the log ---------------------------------------------------- */

void gate_add(gate *g) {
  pthread_mutex_lock(&g->lock);
  g->count++;
  pthread_cond_broadcast(&g->grown);
  pthread_mutex_unlock(&g->lock);
}

void gate_await(gate *g, int count) {
  pthread_mutex_lock(&g->lock);
  while (g->count < count)
    pthread_cond_wait(&g->grown, &g->lock);
  pthread_mutex_unlock(&g->lock);
}

int gate_count(gate *g) {
  pthread_mutex_lock(&g->lock);
  int count = g->count;
  pthread_mutex_unlock(&g->lock);
  return count;
}

enum { LOG_MAX = 4096 };

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int logged[LOG_MAX];
static size_t nlogged;

void log_add(int value) {
  pthread_mutex_lock(&log_lock);
  if (nlogged < LOG_MAX)
    logged[nlogged] = value;
  nlogged++;
  pthread_mutex_unlock(&log_lock);
}

size_t log_len(void) {
  pthread_mutex_lock(&log_lock);
  size_t n = nlogged;
  pthread_mutex_unlock(&log_lock);
  return n;
}

int log_at(size_t i) {
  pthread_mutex_lock(&log_lock);
  int value = logged[i];
  pthread_mutex_unlock(&log_lock);
  return value;
}

void fake_assert_log(const int *want, size_t n, const char *file, int line) {
  size_t len = log_len();
  for (size_t i = 0; i < len && i < n; i++)
    _assert_int_equal((uintmax_t)log_at(i), (uintmax_t)want[i], file, line);
  _assert_int_equal(len, n, file, line);
}

/* --- A test --------------------------------------------------------------- */

static lf_registry registry;
static lf_parker parker;
static size_t blocks;

static bool unclean; /* a test that failed has left threads behind */

int fake_begin(void **state) {
  (void)state;
  if (unclean)
    _exit(1);
  unclean = true;
  blocks = lf_mem_blocks();
  lf_parker_init(&parker);
  lf_registry_init(&registry, &parker);
  pthread_mutex_lock(&log_lock);
  nlogged = 0;
  pthread_mutex_unlock(&log_lock);
  return 0;
}

int fake_end(void **state) {
  (void)state;
  lf_threads_settle();
  assert_null(lf_registry_pool(&registry, 0));
  lf_registry_fini(&registry);
  for (int64_t end = lf_after(5); lf_mem_blocks() > blocks && lf_now() < end;)
    sched_yield(); /* a timer that nobody needs any more has to fire */
  assert_int_equal(lf_mem_blocks(), blocks);
  unclean = false;
  return 0;
}

static void fire_main(lf_waiter *waiter) {
  (void)waiter;
  lf_unpark(&parker);
}

void await(lf_task *task) {
  lf_waiter waiter = {.fire = fire_main};
  if (!lf_waiter_add(&waiter, task))
    return;
  while (!lf_task_done(task))
    lf_park(&parker, LF_FOREVER);
  lf_waiter_remove(&waiter);
}

/* --- The interpreter ------------------------------------------------------ */

typedef struct {
  fake_step *fn;
  void *arg;
} step;

static void count_in(fake_setup *setup) {
  int running = atomic_fetch_add(&setup->running, 1) + 1;
  int most = atomic_load(&setup->most);
  while (running > most &&
         !atomic_compare_exchange_weak(&setup->most, &most, running))
    continue;
}

static void count_out(fake_setup *setup) {
  atomic_fetch_sub(&setup->running, 1);
}

static int vm_open(lf_worker *worker, struct lf_vm **out, lf_buf *why) {
  fake_setup *setup = lf_pool_setup(lf_worker_pool(worker));
  if (setup->opening)
    gate_await(setup->opening, 1);
  int err = atomic_load(&setup->open_error);
  if (err && atomic_fetch_sub(&setup->good_opens, 1) <= 0) {
    if (err == LF_EBROKEN)
      lf_buf_put_text(why, setup->why);
    return err;
  }
  struct lf_vm *vm = lf_zalloc(sizeof *vm);
  lf_check(vm);
  vm->worker = worker;
  vm->setup = setup;
  lf_list_init(&vm->all);
  setup->opened++;
  *out = vm;
  return 0;
}

static void vm_close(struct lf_vm *vm) {
  lf_link *l;
  while ((l = lf_list_pop(&vm->all)))
    lf_free(lf_container_of(l, fake_run, all));
  vm->setup->closed++;
  lf_free(vm);
}

static fake_run *run_new(struct lf_vm *vm, lf_task *task) {
  fake_run *r = lf_zalloc(sizeof *r);
  lf_check(r);
  lf_run_init(&r->base, vm->worker);
  lf_list_add(&vm->all, &r->all);
  r->vm = vm;
  r->task = task;
  return r;
}

static void end_run(fake_run *r) {
  lf_task *task = r->task;
  r->task = NULL;
  count_out(r->vm->setup);
  lf_worker_end(r->vm->worker, task, r->failed ? LF_FAILED : LF_FINISHED);
}

static void go(fake_run *r) {
  size_t n = r->task->data.len / sizeof(step);
  while (r->next < n && !r->failed) {
    step s;
    memcpy(&s, r->task->data.data + r->next * sizeof s, sizeof s);
    if (!s.fn(r, s.arg))
      return;
    r->resumed = false;
    r->next++;
  }
  end_run(r);
}

static void run_chunk(struct lf_vm *vm, lf_task *task) {
  lf_runner *runner = lf_runner_of(task);
  lf_chunk *chunk = lf_loop_claim(runner->loop, runner);
  lf_task *former = lf_worker_runs(vm->worker, task);
  if (chunk)
    fake_run_chunk(runner->loop, chunk);
  lf_worker_runs(vm->worker, former);
  count_out(vm->setup);
  lf_worker_end(vm->worker, task, LF_FINISHED);
}

static void vm_run(struct lf_vm *vm, lf_task *task) {
  count_in(vm->setup);
  if (lf_runner_of(task))
    run_chunk(vm, task);
  else
    go(run_new(vm, task));
}

static void vm_resume(struct lf_vm *vm, lf_run *base) {
  if (!base->parked)
    return;
  fake_run *r = lf_container_of(base, fake_run, base);
  lf_run_unpark(base);
  if (r->waits)
    lf_waiter_remove(&r->waiter);
  r->waits = false;
  r->resumed = true;
  count_in(vm->setup);
  go(r);
}

static void vm_idle(struct lf_vm *vm) {
  vm->setup->idled++;
}

static void vm_interrupt(struct lf_vm *vm) {
  vm->setup->interrupted++;
  lf_unpark(lf_worker_parker(vm->worker));
}

static void vm_asked(struct lf_vm *vm) {
  vm->setup->asked++;
}

static void vm_poke(void) {
}

static const lf_vmops ops = {
    .engine = "fake",
    .open = vm_open,
    .run = vm_run,
    .resume = vm_resume,
    .idle = vm_idle,
    .interrupt = vm_interrupt,
    .asked = vm_asked,
    .poke = vm_poke,
    .close = vm_close,
};

/* --- Processes --- */

int fake_share(void **state) {
  return fake_begin(state) || lf_arena_open();
}

int fake_unshare(void **state) {
  lf_array_sweep();
  assert_int_equal(lf_array_stat().arrays, 0);
  assert_int_equal(lf_slabs(), 0);
  assert_int_equal(lf_shared_waiters(), 0);
  return fake_end(state);
}

int fake_give_back(void **state) {
  assert_int_equal(lf_heap_used(), 0);
  assert_true(lf_zones_owned() <= 1);
  return fake_end(state);
}

void *bytes_of(const lf_extent *block) {
  return lf_arena_at(block->at);
}

bool is_zero(const lf_extent *block, uint64_t n) {
  const unsigned char *p = bytes_of(block);
  for (uint64_t i = 0; i < n; i++)
    if (p[i] != 0)
      return false;
  return true;
}

void fake_start(fake_child *child, void (*body)(void *arg), void *arg) {
  child->owner = lf_owner_new();
  lf_hold_begin(&child->hold);
  child->pid = lf_fork(-1);
  if (child->pid == 0) {
    lf_owner_be(child->owner);
    body(arg);
    _exit(0);
  }
  assert_true(child->pid > 0);
  lf_hold_since(&child->hold);
}

int fake_join(fake_child *child) {
  int status;
  assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
  lf_array_reap(NULL, child->owner);
  lf_hold_end(&child->hold);
  return status;
}

int fake_kill(fake_child *child) {
  kill(child->pid, SIGKILL);
  return fake_join(child);
}

/* --- Pools ------------------------------------------------------------------
 */

lf_pool *fake_pool(fake_setup *setup, int max_workers) {
  lf_pool_options options = {
      .max_workers = max_workers,
      .name = "fake",
      .ops = &ops,
      .setup = setup,
      .registry = &registry,
      .backend = &lf_threads_backend,
  };
  lf_pool *pool = lf_pool_new(&options);
  assert_non_null(pool);
  return pool;
}

void fake_close(lf_pool *pool) {
  lf_pool_shutdown(pool, false);
  await(lf_pool_over(pool));
  lf_pool_unhandle(pool);
}

void fake_drop(lf_pool *pool) {
  lf_pool_ref(pool);
  lf_pool_unhandle(pool);
  await(lf_pool_over(pool));
  lf_pool_unref(pool);
}

lf_pool_stats stat_of(lf_pool *pool) {
  lf_pool_stats stats;
  lf_pool_stat(pool, &stats);
  return stats;
}

/* --- Tasks ------------------------------------------------------------------
 */

lf_task *fake_task_with(lf_pool *pool, int64_t priority, fake_step *fn,
                        void *arg) {
  lf_limits *limits = lf_limits_new(NULL, NULL, 0);
  lf_check(limits);
  limits->priority = priority;
  lf_task *task = lf_limited_new(lf_pool_owner(pool), limits);
  lf_check(task);
  lf_limits_unref(limits);
  step s = {fn, arg};
  lf_check(lf_buf_put(&task->data, &s, sizeof s) == 0);
  return task;
}

lf_task *fake_task(lf_pool *pool, ...) {
  lf_task *task = lf_task_new(lf_pool_owner(pool));
  lf_check(task);
  va_list args;
  va_start(args, pool);
  fake_step *fn;
  while ((fn = va_arg(args, fake_step *))) {
    step s = {fn, va_arg(args, void *)};
    lf_check(lf_buf_put(&task->data, &s, sizeof s) == 0);
  }
  va_end(args);
  return task;
}

lf_task *fake_submit(lf_pool *pool, lf_task *task) {
  lf_check(lf_pool_submit(pool, task, LF_NEAR) == 0);
  return task;
}

void fake_park(fake_run *run, int64_t deadline) {
  count_out(run->vm->setup);
  lf_run_park(&run->base, deadline);
}

bool step_log(fake_run *run, void *arg) {
  (void)run;
  log_add((int)(intptr_t)arg);
  return true;
}

bool step_add(fake_run *run, void *arg) {
  (void)run;
  gate_add(arg);
  return true;
}

bool step_await(fake_run *run, void *arg) {
  (void)run;
  gate_await(arg, 1);
  return true;
}

void fake_block(lf_worker *worker) {
  count_out(lf_worker_vm(worker)->setup);
  lf_worker_block(worker);
}

void fake_unblock(lf_worker *worker) {
  lf_worker_unblock(worker);
  count_in(lf_worker_vm(worker)->setup);
}

bool step_block(fake_run *run, void *arg) {
  fake_block(run->vm->worker);
  gate_await(arg, 1);
  fake_unblock(run->vm->worker);
  return true;
}

bool step_fail(fake_run *run, void *arg) {
  (void)arg;
  run->failed = true;
  return true;
}

bool step_submit(fake_run *run, void *arg) {
  lf_check(lf_pool_submit(lf_worker_pool(run->vm->worker), arg, LF_NEAR) == 0);
  lf_task_unref(arg);
  return true;
}

bool step_tail(fake_run *run, void *arg) {
  lf_check(lf_pool_submit(lf_worker_pool(run->vm->worker), arg, LF_TAIL) == 0);
  lf_task_unref(arg);
  return true;
}

static void fire_run(lf_waiter *waiter) {
  fake_run *r = lf_container_of(waiter, fake_run, waiter);
  r->base.waker.wake(&r->base.waker);
}

bool step_wait(fake_run *run, void *arg) {
  if (lf_task_done(arg))
    return true;
  fake_park(run, LF_FOREVER);
  run->waiter.fire = fire_run;
  run->waits = lf_waiter_add(&run->waiter, arg);
  if (!run->waits)
    run->base.waker.wake(&run->base.waker);
  return false;
}

/* --- Loops ------------------------------------------------------------------
 */

lf_loop *fake_loop(lf_pool *pool, fake_body body, uint64_t chunksize,
                   lf_order order) {
  lf_buf setup;
  lf_buf_init(&setup, NULL, 0);
  lf_check(lf_buf_put(&setup, &body, sizeof body) == 0);
  lf_loop *loop = lf_loop_new(pool, &setup, NULL, chunksize, order);
  assert_non_null(loop);
  lf_buf_fini(&setup);
  return loop;
}

void fake_run_chunk(lf_loop *loop, lf_chunk *chunk) {
  fake_body body;
  memcpy(&body, lf_loop_setup(loop)->data, sizeof body);
  uint64_t n = chunk->count;
  if (body.piece && chunk->shareable && body.piece < n)
    n = body.piece;
  for (; chunk->finished < n; chunk->finished++)
    if (body.item)
      body.item(chunk->first + chunk->finished, body.arg);
  chunk->rest = chunk->count - n;
  lf_loop_done(loop, chunk, body.ns * (int64_t)n);
}

static void wake_main(lf_waker *waker) {
  (void)waker;
  lf_unpark(&parker);
}

lf_next fake_next(lf_loop *loop, lf_chunk **chunk, lf_stop *why) {
  static lf_waker waker = {.wake = wake_main};
  lf_next next;
  lf_loop_watch(loop, &waker);
  while ((next = lf_loop_next(loop, chunk, why)) == LF_WAIT)
    lf_park(&parker, LF_FOREVER);
  lf_loop_unwatch(loop, &waker);
  return next;
}
