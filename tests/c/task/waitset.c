/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/os/thread.h"
#include "runtime/task/waitset.h"

static lf_task *running(void) {
  lf_task *t = lf_task_new(NULL);
  lf_task_start(t);
  return t;
}

static void end(lf_task *t) {
  lf_task_end(t, LF_FINISHED);
  lf_task_unref(t);
}

static void gives_each_once_in_order(void **state) {
  (void)state;
  lf_waitset set;
  lf_member members[4];
  lf_task *tasks[4];
  lf_waitset_init(&set);
  for (int i = 0; i < 4; i++)
    lf_waitset_add(&set, &members[i], tasks[i] = running());
  assert_null(lf_waitset_take(&set));
  end(tasks[2]);
  end(tasks[0]);
  assert_ptr_equal(lf_waitset_take(&set), &members[2]);
  end(tasks[3]);
  end(tasks[1]);
  assert_ptr_equal(lf_waitset_take(&set), &members[0]);
  assert_ptr_equal(lf_waitset_take(&set), &members[3]);
  assert_ptr_equal(lf_waitset_take(&set), &members[1]);
  assert_null(lf_waitset_take(&set));
  for (int i = 0; i < 4; i++)
    lf_waitset_forget(&members[i]);
}

static void done_ones_are_ready_at_once(void **state) {
  (void)state;
  lf_waitset set;
  lf_member members[3];
  lf_task *done = running(), *cancelled = lf_task_new(NULL);
  lf_waitset_init(&set);
  lf_task_ref(done);
  end(done);
  lf_task_cancel(cancelled);
  lf_waitset_add(&set, &members[0], done);
  lf_waitset_add(&set, &members[1], cancelled);
  lf_waitset_add(&set, &members[2], done);
  for (int i = 0; i < 3; i++)
    assert_ptr_equal(lf_waitset_take(&set), &members[i]);
  for (int i = 0; i < 3; i++)
    lf_waitset_forget(&members[i]);
  lf_task_unref(done);
  lf_task_unref(cancelled);
}

static void a_forgotten_one_does_not_come(void **state) {
  (void)state;
  lf_waitset set;
  lf_member members[2];
  lf_task *tasks[2];
  lf_waitset_init(&set);
  for (int i = 0; i < 2; i++)
    lf_waitset_add(&set, &members[i], tasks[i] = running());
  lf_waitset_forget(&members[0]);
  end(tasks[0]);
  assert_null(lf_waitset_take(&set));
  end(tasks[1]);
  assert_ptr_equal(lf_waitset_take(&set), &members[1]);
  lf_waitset_forget(&members[1]);
}

typedef struct {
  lf_waker waker;
  _Atomic int woken;
} counter;

static void count(lf_waker *waker) {
  lf_container_of(waker, counter, waker)->woken++;
}

static void wakes_who_watches(void **state) {
  (void)state;
  lf_waitset set;
  lf_member members[3];
  lf_task *tasks[3];
  counter c = {.waker = {.wake = count}};
  lf_waitset_init(&set);
  for (int i = 0; i < 3; i++)
    lf_waitset_add(&set, &members[i], tasks[i] = running());
  assert_true(lf_waitset_watch(&set, &c.waker));
  end(tasks[0]);
  assert_int_equal(c.woken, 1);
  lf_waitset_unwatch(&set, &c.waker);
  end(tasks[1]);
  assert_int_equal(c.woken, 1);
  lf_waitset_take(&set);
  assert_false(lf_waitset_watch(&set, &c.waker));
  lf_waitset_take(&set);
  lf_waitset_unwatch(&set, &c.waker);
  assert_true(lf_waitset_watch(&set, &c.waker));
  lf_waitset_unwatch(&set, &c.waker);
  for (int i = 0; i < 3; i++)
    lf_waitset_forget(&members[i]);
  end(tasks[2]);
}

/* The first is told, and by its leaving the others, as it may not take all. */
static void wakes_all_who_watch(void **state) {
  (void)state;
  enum { WATCHERS = 3 };
  lf_waitset set;
  lf_member members[3];
  lf_task *tasks[3];
  counter c[WATCHERS];
  lf_waitset_init(&set);
  for (int i = 0; i < 2; i++)
    lf_waitset_add(&set, &members[i], tasks[i] = running());
  for (int i = 0; i < WATCHERS; i++) {
    c[i] = (counter){.waker = {.wake = count}};
    assert_true(lf_waitset_watch(&set, &c[i].waker));
  }
  end(tasks[0]);
  assert_int_equal(c[0].woken, 1);
  lf_waitset_unwatch(&set, &c[0].waker);
  assert_ptr_equal(lf_waitset_take(&set), &members[0]);
  for (int i = 1; i < WATCHERS; i++)
    assert_int_equal(c[i].woken, 1);
  end(tasks[1]);
  assert_int_equal(c[1].woken, 2); /* it is the first now */
  lf_waitset_unwatch(&set, &c[2].waker);
  assert_ptr_equal(lf_waitset_take(&set), &members[1]);
  lf_waitset_unwatch(&set, &c[1].waker);
  assert_int_equal(c[0].woken, 1);
  tasks[2] = running();
  lf_task_ref(tasks[2]);
  end(tasks[2]);
  assert_true(lf_waitset_watch(&set, &c[0].waker));
  lf_waitset_add(&set, &members[2], tasks[2]); /* done already */
  assert_int_equal(c[0].woken, 2);
  lf_waitset_unwatch(&set, &c[0].waker);
  for (int i = 0; i < 3; i++)
    lf_waitset_forget(&members[i]);
  lf_task_unref(tasks[2]);
}

/* --- Many at once --------------------------------------------------------- */

enum { THREADS = 3, EACH = 2000, ALL = THREADS * EACH };

static lf_task *tasks[ALL];

static void *end_some(void *arg) {
  lf_task **first = arg;
  for (int i = 0; i < EACH; i++)
    end(first[i]);
  return NULL;
}

typedef struct {
  lf_waker waker;
  lf_parker *parker;
  atomic_bool gone;
} sleeper;

static _Atomic int late;

static void wake_waiter(lf_waker *waker) {
  sleeper *s = lf_container_of(waker, sleeper, waker);
  late += s->gone;
  lf_unpark(s->parker);
  late += s->gone;
}

/* The waker may go as soon as it does not watch any more. */
static lf_member *take_asleep(lf_waitset *set, lf_parker *parker, sleeper *s) {
  lf_member *m = lf_waitset_take(set);
  if (m)
    return m;
  *s = (sleeper){.waker = {.wake = wake_waiter}, .parker = parker};
  if (lf_waitset_watch(set, &s->waker))
    lf_park(parker, LF_FOREVER);
  lf_waitset_unwatch(set, &s->waker);
  s->gone = true;
  return NULL;
}

static void takes_all_while_threads_end_them(void **state) {
  (void)state;
  static lf_member members[ALL];
  static int taken[ALL];
  static sleeper sleepers[2 * ALL];
  pthread_t threads[THREADS];
  lf_waitset set;
  lf_parker parker;
  lf_waitset_init(&set);
  lf_parker_init(&parker);
  for (int i = 0; i < ALL; i++)
    lf_waitset_add(&set, &members[i], tasks[i] = running());
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, end_some, &tasks[i * EACH]);
  for (int n = 0, s = 0; n < ALL;) {
    lf_member *m = take_asleep(&set, &parker, &sleepers[s]);
    s += m == NULL;
    assert_true(s < 2 * ALL);
    n += m != NULL;
    if (m)
      taken[m - members]++;
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < ALL; i++) {
    assert_int_equal(taken[i], 1);
    lf_waitset_forget(&members[i]);
  }
  assert_int_equal(late, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(gives_each_once_in_order),         TEST(done_ones_are_ready_at_once),
      TEST(a_forgotten_one_does_not_come),    TEST(wakes_who_watches),
      TEST(a_forgotten_one_does_not_come),    TEST(wakes_all_who_watch),
      TEST(takes_all_while_threads_end_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
