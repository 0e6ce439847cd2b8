/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/task/dependent.h"

/* Finishes with the last of its inputs, fails with the first that does. */
static void all_ready(lf_dependent *d, lf_input *in) {
  if (lf_task_state(in->waiter.task) != LF_FINISHED)
    lf_dependent_fail(d, in->waiter.task);
  else if (atomic_fetch_sub(&d->left, 1) == 1 && lf_task_start(&d->task))
    lf_task_end(&d->task, LF_FINISHED);
}

static void log_over(lf_dependent *d) {
  log_add(lf_task_state(&d->task));
}

static const lf_dependent_ops all = {all_ready, log_over},
                              quiet = {all_ready, NULL};

static lf_task *running(void) {
  lf_task *t = lf_task_new(NULL);
  lf_task_start(t);
  return t;
}

/* Depends on the tasks, up to a NULL; has not begun. */
static lf_dependent *on(const lf_dependent_ops *ops, lf_task **tasks) {
  size_t n = 0;
  while (tasks[n])
    n++;
  lf_dependent *d = lf_dependent_new(NULL, ops, n, false);
  for (size_t i = 0; i < n; i++)
    lf_dependent_add(d, tasks[i]);
  return d;
}

static void unref_all(lf_task **tasks) {
  for (; *tasks; tasks++)
    lf_task_unref(*tasks);
}

static void ends_with_the_last_of_its_inputs(void **state) {
  (void)state;
  lf_task *tasks[] = {running(), running(), running(), NULL};
  lf_task_ref(tasks[0]);
  lf_task *twice[] = {tasks[0], tasks[1], tasks[0], tasks[2], NULL};
  lf_dependent *d = on(&all, twice);
  lf_task_end(tasks[1], LF_FINISHED); /* before it begins */
  lf_dependent_begin(d);
  assert_int_equal(lf_task_state(&d->task), LF_PENDING);
  lf_task_end(tasks[0], LF_FINISHED);
  assert_int_equal(log_len(), 0);
  lf_task_end(tasks[2], LF_FINISHED);
  assert_log(LF_FINISHED);
  lf_task_unref(&d->task);
  lf_task_unref(tasks[0]);
  unref_all(tasks);
}

static void without_inputs_it_is_the_callers_to_end(void **state) {
  (void)state;
  lf_dependent *d = lf_dependent_new(NULL, &all, 0, false);
  assert_ptr_equal(lf_dependent_of(&d->task), d);
  lf_task_cancel(&d->task);
  assert_log(LF_CANCELLED);
  lf_task_unref(&d->task);
}

static void fails_with_the_first_failure(void **state) {
  (void)state;
  lf_task *tasks[] = {running(), running(), running(), NULL};
  lf_dependent *d = on(&all, tasks), *outer;
  outer = on(&all, (lf_task *[]){&d->task, NULL});
  lf_dependent_begin(outer);
  lf_dependent_begin(d);
  lf_buf_put(&tasks[1]->data, "why", 3);
  tasks[1]->error = LF_LOST;
  tasks[1]->trace = lf_strndup("where", 5);
  lf_task_end(tasks[1], LF_FAILED);
  assert_log(LF_FAILED, LF_FAILED);
  lf_task_end(tasks[0], LF_FAILED);
  lf_task_unref(&d->task);
  lf_task *t = &outer->task;
  assert_ptr_equal(lf_task_origin(t), tasks[1]);
  assert_int_equal(t->error, LF_LOST);
  assert_string_equal(t->trace, "where");
  assert_memory_equal(t->data.data, "why", 3);
  lf_task_unref(t);
  lf_task_end(tasks[2], LF_FINISHED);
  unref_all(tasks);
}

static void is_cancelled_with_an_input(void **state) {
  (void)state;
  lf_task *tasks[] = {running(), lf_task_new(NULL), NULL};
  lf_dependent *d = on(&all, tasks);
  lf_dependent_begin(d);
  assert_true(lf_task_cancel(tasks[1]));
  assert_log(LF_CANCELLED);
  lf_task_unref(&d->task);
  lf_task_end(tasks[0], LF_FINISHED);
  unref_all(tasks);
}

static void a_cancelled_one_is_told_nothing(void **state) {
  (void)state;
  lf_task *tasks[] = {running(), running(), NULL};
  lf_dependent *d = on(&all, tasks), *late = on(&all, tasks);
  lf_dependent_begin(d);
  assert_true(lf_task_cancel(&d->task));
  assert_true(lf_task_cancel(&late->task));
  lf_dependent_begin(late);
  assert_true(lf_list_empty(&tasks[0]->waiters));
  assert_int_equal(tasks[0]->awaited, 0);
  lf_task_unref(&d->task);
  lf_task_unref(&late->task);
  lf_task_end(tasks[0], LF_FINISHED);
  lf_task_end(tasks[1], LF_FINISHED);
  unref_all(tasks);
  assert_log(LF_CANCELLED, LF_CANCELLED);
}

/* A task that waits for it waits for its inputs. */
static void deadlocks_are_seen_through_it(void **state) {
  (void)state;
  char path[64];
  lf_wait_one first, second;
  lf_task *tasks[] = {running(), running(), NULL};
  lf_dependent *d = on(&all, tasks);
  lf_dependent_begin(d);
  assert_int_equal(lf_deadlock_begin(tasks[0],
                                     lf_wait_for_one(&first, tasks[1]), path,
                                     sizeof path),
                   0);
  assert_int_equal(lf_deadlock_begin(tasks[1],
                                     lf_wait_for_one(&second, &d->task), path,
                                     sizeof path),
                   LF_EDEADLOCK);
  lf_deadlock_end(tasks[0]);
  lf_task_end(tasks[0], LF_FINISHED);
  lf_task_end(tasks[1], LF_FINISHED);
  lf_task_unref(&d->task);
  unref_all(tasks);
}

enum { MANY = 100000, THREADS = 4 };

/* Each after the one before, of which nobody else knows. */
static void a_long_chain_ends_and_goes_without_recursion(void **state) {
  (void)state;
  lf_task *head = running(), *last = lf_task_ref(head);
  for (int i = 0; i < MANY; i++) {
    lf_dependent *d = on(&quiet, (lf_task *[]){last, NULL});
    lf_dependent_begin(d);
    lf_task_unref(last);
    last = &d->task;
  }
  lf_task_end(head, LF_FAILED);
  assert_int_equal(lf_task_state(last), LF_FAILED);
  lf_task_unref(head);
  lf_task_unref(last);
}

static lf_task *leaves[MANY];

static void *end_some(void *arg) {
  for (int i = (int)(intptr_t)arg; i < MANY; i += THREADS) {
    lf_task_end(leaves[i], LF_FINISHED);
    lf_task_unref(leaves[i]);
  }
  return NULL;
}

static lf_task *pair(lf_task *a, lf_task *b) {
  lf_dependent *d = on(&quiet, (lf_task *[]){a, b, NULL});
  lf_dependent_begin(d);
  lf_task_unref(a);
  lf_task_unref(b);
  return &d->task;
}

static void a_tree_ends_while_threads_end_its_leaves(void **state) {
  (void)state;
  static lf_task *level[MANY];
  pthread_t threads[THREADS];
  for (int i = 0; i < MANY; i++)
    level[i] = lf_task_ref(leaves[i] = running());
  int n = MANY;
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, end_some, NUMBER(i));
  for (; n > 1; n = n / 2 + n % 2) {
    for (int i = 0; i < n / 2; i++)
      level[i] = pair(level[2 * i], level[2 * i + 1]);
    if (n % 2)
      level[n / 2] = level[n - 1];
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(lf_task_state(level[0]), LF_FINISHED);
  lf_task_unref(level[0]);
}

/* Each is ended by one thread while another cancels what depends on it. */
static void *cancel_some(void *arg) {
  lf_dependent **d = arg;
  for (int i = 0; i < MANY / 10; i++)
    lf_task_cancel(&d[i]->task);
  return NULL;
}

static void ends_once_whoever_comes_first(void **state) {
  (void)state;
  static lf_dependent *dependents[MANY / 10];
  static lf_task *inputs[MANY / 10];
  pthread_t thread;
  for (int i = 0; i < MANY / 10; i++) {
    inputs[i] = running();
    dependents[i] = on(&quiet, (lf_task *[]){inputs[i], NULL});
  }
  pthread_create(&thread, NULL, cancel_some, dependents);
  for (int i = 0; i < MANY / 10; i++) {
    lf_dependent_begin(dependents[i]);
    lf_task_end(inputs[i], LF_FINISHED);
  }
  pthread_join(thread, NULL);
  for (int i = 0; i < MANY / 10; i++) {
    assert_true(lf_task_done(&dependents[i]->task));
    lf_task_unref(&dependents[i]->task);
    lf_task_unref(inputs[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(ends_with_the_last_of_its_inputs),
      TEST(without_inputs_it_is_the_callers_to_end),
      TEST(fails_with_the_first_failure),
      TEST(is_cancelled_with_an_input),
      TEST(a_cancelled_one_is_told_nothing),
      TEST(deadlocks_are_seen_through_it),
      TEST(a_long_chain_ends_and_goes_without_recursion),
      TEST(a_tree_ends_while_threads_end_its_leaves),
      TEST(ends_once_whoever_comes_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
