/* SPDX-License-Identifier: MIT
 *
 * Workers that cannot start, and pools that are broken. Linked with
 * --wrap=pthread_create, so that threads can be refused. */
#include "runtime/pool/current.h"
#include "runtime/pool/ready.h"
#include "tests/c/fake.h"

#include <errno.h>
#include <string.h>

static _Atomic int refuse;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*entry)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*entry)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*entry)(void *), void *arg) {
  if (refuse)
    return EAGAIN;
  return __real_pthread_create(thread, attr, entry, arg);
}

static void assert_text(lf_task *task, const char *text) {
  assert_int_equal(lf_task_state(task), LF_FAILED);
  assert_int_equal(task->error, LF_BROKEN);
  assert_int_equal(task->data.len, strlen(text));
  assert_memory_equal(task->data.data, text, task->data.len);
}

static void an_initializer_that_fails_breaks_the_pool(void **state) {
  (void)state;
  gate opening = GATE;
  fake_setup setup = {
      .open_error = LF_EBROKEN, .why = "no luck", .opening = &opening};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *tasks[10], *late[2];
  assert_null(lf_pool_broken(pool));
  for (int i = 0; i < 10; i++)
    tasks[i] = submit(pool, step_log, NUMBER(1));
  gate_add(&opening);
  for (int i = 0; i < 10; i++) {
    await(tasks[i]);
    assert_text(tasks[i], "no luck");
    lf_task_unref(tasks[i]);
  }
  assert_string_equal(lf_pool_broken(pool), "no luck");
  for (int i = 0; i < 2; i++)
    late[i] = fake_task(pool, step_log, NUMBER(1), NULL);
  assert_int_equal(lf_pool_submit(pool, late[0], LF_NEAR), LF_EBROKEN);
  assert_int_equal(lf_pool_submit(pool, late[0], LF_TAIL), LF_EBROKEN);
  assert_int_equal(lf_pool_broadcast(pool, late, lf_pool_count(pool)),
                   LF_EBROKEN);
  for (int i = 0; i < 2; i++)
    lf_task_unref(late[i]);
  assert_int_equal(stat_of(pool).failed, 10);
  fake_close(pool);
  assert_int_equal(log_len(), 0);
}

static void no_memory_fails_what_nobody_can_run(void **state) {
  (void)state;
  fake_setup setup = {.open_error = LF_ENOMEM};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *task = submit(pool, step_log, NUMBER(1));
  await(task);
  assert_text(task, "cannot start a worker: not enough memory");
  assert_null(lf_pool_broken(pool));
  lf_task_unref(task);
  until(stat_of(pool).workers == 0);
  setup.open_error = 0; /* there is some again */
  task = submit(pool, step_log, NUMBER(2));
  await(task);
  assert_int_equal(lf_task_state(task), LF_FINISHED);
  lf_task_unref(task);
  fake_close(pool);
  assert_log(2);
}

static void one_worker_does_it_alone(void **state) {
  (void)state;
  enum { MANY = 50 };
  lf_task *tasks[MANY];
  fake_setup setup = {.open_error = LF_ENOMEM, .good_opens = 1};
  lf_pool *pool = fake_pool(&setup, 4);
  gate busy = GATE, go = GATE;
  tasks[0] = submit(pool, step_add, &busy, step_await, &go);
  gate_await(&busy, 1);
  for (int i = 1; i < MANY; i++)
    tasks[i] = submit(pool, step_log, NUMBER(i));
  until(stat_of(pool).workers == 1);
  gate_add(&go);
  for (int i = 0; i < MANY; i++) {
    await(tasks[i]);
    assert_int_equal(lf_task_state(tasks[i]), LF_FINISHED);
    lf_task_unref(tasks[i]);
  }
  fake_close(pool);
  assert_int_equal(setup.opened, 1);
}

static void pinned_ones_fail_with_their_worker(void **state) {
  (void)state;
  fake_setup setup = {.open_error = LF_ENOMEM, .good_opens = 1};
  lf_pool *pool = fake_pool(&setup, 3);
  lf_task *tasks[3];
  int failed = 0;
  for (int i = 0; i < 3; i++)
    tasks[i] = fake_task(pool, step_log, NUMBER(1), NULL);
  assert_int_equal(lf_pool_broadcast(pool, tasks, lf_pool_count(pool)), 0);
  for (int i = 0; i < 3; i++) {
    await(tasks[i]);
    failed += lf_task_state(tasks[i]) == LF_FAILED;
    lf_task_unref(tasks[i]);
  }
  assert_int_equal(failed, 2);
  fake_close(pool);
}

static void a_broken_pool_fails_what_is_queued(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 1);
  gate busy = GATE, go = GATE;
  lf_task *running = submit(pool, step_add, &busy, step_await, &go);
  gate_await(&busy, 1);
  lf_task *queued = submit(pool, step_log, NUMBER(1));
  lf_pool_break(pool, "the first reason");
  lf_pool_break(pool, "the second");
  assert_text(queued, "the first reason");
  assert_string_equal(lf_pool_broken(pool), "the first reason");
  gate_add(&go);
  fake_close(pool);
  assert_int_equal(lf_task_state(running), LF_FINISHED);
  lf_task_unref(running);
  lf_task_unref(queued);
}

/* --- Threads ----------------------------------------------------------------
 */

static void no_thread_no_task(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_task *tasks[2];
  for (int i = 0; i < 2; i++)
    tasks[i] = fake_task(pool, step_log, NUMBER(1), NULL);
  refuse = 1;
  assert_int_equal(lf_pool_submit(pool, tasks[0], LF_NEAR), LF_ETHREAD);
  assert_int_equal(lf_pool_submit(pool, tasks[0], LF_TAIL), LF_ETHREAD);
  assert_int_equal(lf_pool_broadcast(pool, tasks, lf_pool_count(pool)),
                   LF_ETHREAD);
  refuse = 0;
  assert_int_equal(lf_task_state(tasks[0]), LF_PENDING);
  lf_pool_stats stats = stat_of(pool);
  assert_int_equal(stats.queued + stats.workers, 0);
  assert_int_equal(lf_pool_submit(pool, tasks[0], LF_NEAR), 0);
  await(tasks[0]);
  for (int i = 0; i < 2; i++)
    lf_task_unref(tasks[i]);
  fake_close(pool);
  assert_log(1);
}

static void fewer_threads_than_wanted(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 3);
  gate busy = GATE, go = GATE;
  lf_task *tasks[3];
  tasks[0] = submit(pool, step_add, &busy, step_await, &go);
  gate_await(&busy, 1);
  refuse = 1;
  tasks[1] = submit(pool, step_log, NUMBER(1));
  tasks[2] = submit(pool, step_log, NUMBER(2));
  gate_add(&go);
  for (int i = 0; i < 3; i++) {
    await(tasks[i]);
    lf_task_unref(tasks[i]);
  }
  refuse = 0;
  fake_close(pool);
  assert_log(1, 2);
}

static _Atomic(lf_parker *) blocked_at;

/* Blocks until the gate is open, as an interpreter does it. */
static bool step_block_looking(fake_run *run, void *arg) {
  lf_worker *w = run->vm->worker;
  blocked_at = lf_worker_parker(w);
  lf_worker_block(w);
  while (gate_count(arg) == 0) {
    assert_null(lf_worker_ready(w));
    lf_park(lf_worker_parker(w), lf_worker_deadline(w));
  }
  lf_worker_unblock(w);
  return true;
}

static void no_stand_in_at_first(void **state, int open_error) {
  (void)state;
  fake_setup setup = {.open_error = open_error, .good_opens = 1};
  lf_pool *pool = fake_pool(&setup, 1);
  blocked_at = NULL;
  gate busy = GATE, done = GATE;
  lf_task *blocked = submit(pool, step_add, &busy, step_block_looking, &done);
  gate_await(&busy, 1);
  refuse = open_error == 0;
  until(blocked_at);
  lf_task *other = submit(pool, step_add, &done);
  if (open_error)
    until(stat_of(pool).workers == 1);
  setup.open_error = refuse = 0;
  await(other);
  until(blocked_at);
  lf_unpark(blocked_at);
  await(blocked);
  lf_task_unref(other);
  lf_task_unref(blocked);
  fake_close(pool);
}

/* Who is blocked may wait for a task for which there was no thread, or no
 * memory. */
static void a_stand_in_comes_later(void **state) {
  no_stand_in_at_first(state, 0);
  no_stand_in_at_first(state, LF_ENOMEM);
}

static void a_loop_without_threads_stops(void **state) {
  (void)state;
  fake_setup setup = {0};
  lf_pool *pool = fake_pool(&setup, 2);
  lf_loop *loop = fake_loop(pool, (fake_body){0}, 1, LF_ORDERED);
  lf_chunk *chunk;
  lf_stop why;
  refuse = 1;
  assert_int_equal(lf_loop_supply(loop, NULL, 10), 0);
  refuse = 0;
  assert_int_equal(fake_next(loop, &chunk, &why), LF_STOPPED);
  assert_int_equal(why.err, LF_ETHREAD);
  lf_loop_unref(loop);
  fake_close(pool);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_initializer_that_fails_breaks_the_pool),
      TEST(no_memory_fails_what_nobody_can_run),
      TEST(one_worker_does_it_alone),
      TEST(pinned_ones_fail_with_their_worker),
      TEST(a_broken_pool_fails_what_is_queued),
      TEST(no_thread_no_task),
      TEST(fewer_threads_than_wanted),
      TEST(a_stand_in_comes_later),
      TEST(a_loop_without_threads_stops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
