/* SPDX-License-Identifier: MIT
 *
 * Everything at once, for the sanitizers: several pools whose tasks submit,
 * wait, block, cancel and loop on each other's, while threads from outside do
 * the same and pools come and go. */
#include "tests/c/fake.h"

#include "runtime/pool/current.h"
#include "runtime/task/waitset.h"

#include <stdlib.h>

enum { POOLS = 3, THREADS = 3, ROUNDS = 150, GROUP = 8 };

static lf_pool *pools[POOLS];
static _Atomic int ran, wrong;

/* A reproducible number from 0 on, less than n. */
static int pick(unsigned *seed, int n) {
  return rand_r(seed) % n;
}

static bool step_count(fake_run *run, void *arg) {
  (void)run;
  (void)arg;
  ran++;
  return true;
}

static void count_item(uint64_t item, void *arg) {
  (void)item;
  (void)arg;
  ran++;
}

static bool step_work(fake_run *run, void *arg);

/* A task that works, with the seed for what it does; cancelled if its pool has
 * ended already. */
static lf_task *work(unsigned seed, int depth) {
  lf_pool *pool = pools[seed % POOLS];
  void *number = NUMBER((seed & 0xffff) * 8 + (unsigned)depth);
  lf_task *task = fake_task(pool, step_work, number, NULL);
  if (lf_pool_submit(pool, task, LF_NEAR) != 0)
    lf_task_cancel(task);
  return task;
}

/* Waits for all, as a thread outside or in the middle of a task. */
static void wait_asleep(lf_task **tasks, int n) {
  lf_worker *w = lf_worker_self();
  if (w)
    fake_block(w);
  for (int i = 0; i < n; i++)
    until(lf_task_done(tasks[i]));
  if (w)
    fake_unblock(w);
}

static void loop_over(lf_pool *pool, unsigned *seed) {
  fake_body body = {.item = count_item, .ns = pick(seed, 100000)};
  lf_order order = pick(seed, 2) ? LF_ORDERED : LF_UNORDERED;
  lf_loop *loop = fake_loop(pool, body, (uint64_t)pick(seed, 4), order);
  lf_chunk *chunk;
  lf_stop why;
  lf_loop_supply(loop, NULL, (uint64_t)pick(seed, 200));
  while (pick(seed, 50) && lf_loop_next(loop, &chunk, &why) == LF_CHUNK)
    lf_chunk_free(chunk);
  if (pick(seed, 2))
    lf_loop_close(loop);
  lf_loop_unref(loop);
}

/* A pool of its own, which ends in one way or another. */
static void use_short_lived_pool(unsigned *seed) {
  static fake_setup setup;
  lf_task *tasks[GROUP];
  lf_pool *pool = fake_pool(&setup, 1 + pick(seed, 3));
  for (int i = 0; i < GROUP; i++)
    tasks[i] = submit(pool, step_count, NULL);
  if (pick(seed, 2))
    lf_pool_shutdown(pool, pick(seed, 2));
  lf_pool_unhandle(pool);
  for (int i = 0; i < GROUP; i++)
    lf_task_unref(tasks[i]);
}

/* Takes the tasks as they complete. */
static void take_all(lf_task **tasks, int n) {
  lf_waitset set;
  lf_member members[GROUP];
  lf_waitset_init(&set);
  for (int i = 0; i < n; i++)
    lf_waitset_add(&set, &members[i], tasks[i]);
  for (int taken = 0; taken < n;) {
    lf_member *m = lf_waitset_take(&set);
    taken += m != NULL;
    wrong += m && !lf_task_done(m->waiter.task);
    if (!m)
      sched_yield();
  }
  for (int i = 0; i < n; i++)
    lf_waitset_forget(&members[i]);
}

static void do_some(unsigned *seed, int depth) {
  lf_task *tasks[GROUP];
  int n = depth > 0 ? pick(seed, GROUP) : 0;
  for (int i = 0; i < n; i++)
    tasks[i] = work((unsigned)rand_r(seed), depth - 1);
  for (int i = 0; i < n; i++)
    if (pick(seed, 3) == 0)
      lf_task_cancel(tasks[i]);
  switch (pick(seed, 6)) {
  case 0:
    wait_asleep(tasks, n);
    break;
  case 1:
    if (!lf_worker_self())
      take_all(tasks, n);
    break;
  case 2:
    loop_over(pools[pick(seed, POOLS)], seed);
    break;
  case 3:
    use_short_lived_pool(seed);
    break;
  default:
    break;
  }
  for (int i = 0; i < n; i++)
    lf_task_unref(tasks[i]);
}

/* In a worker; may end by a wait for another task, parked. */
static bool step_work(fake_run *run, void *arg) {
  unsigned number = (unsigned)(intptr_t)arg, seed = number / 8;
  int depth = (int)(number % 8);
  if (!run->resumed) {
    do_some(&seed, depth);
    ran++;
    if (depth == 0 || pick(&seed, 2))
      return true;
    run->user = work((unsigned)rand_r(&seed), 0);
  }
  if (!step_wait(run, run->user))
    return false;
  lf_task_unref(run->user);
  return true;
}

static void *submit_from_outside(void *arg) {
  unsigned seed = (unsigned)(intptr_t)arg;
  for (int i = 0; i < ROUNDS; i++)
    do_some(&seed, 2);
  return NULL;
}

static void everything_at_once(void **state) {
  (void)state;
  fake_setup setup[POOLS] = {{0}};
  pthread_t threads[THREADS];
  for (int i = 0; i < POOLS; i++)
    pools[i] = fake_pool(&setup[i], 1 << i);
  for (intptr_t i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, submit_from_outside, NUMBER(i + 1));
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < POOLS; i++)
    lf_pool_finish(pools[i]);
  for (int i = 0; i < POOLS; i++)
    await(lf_pool_over(pools[i])); /* their tasks submit to each other */
  for (int i = 0; i < POOLS; i++) {
    lf_pool_stats s = stat_of(pools[i]);
    assert_int_equal(s.running + s.workers + s.failed, 0);
    assert_true(setup[i].most <= 1 << i);
    lf_pool_unhandle(pools[i]);
  }
  assert_int_equal(wrong, 0);
  assert_true(ran > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(everything_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
