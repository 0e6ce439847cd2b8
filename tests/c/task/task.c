/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/task/task.h"

#include <string.h>

static int noted;

static void goes_through_its_states(void **state) {
  (void)state;
  lf_task *t = lf_task_new(NULL);
  assert_int_equal(lf_task_state(t), LF_PENDING);
  assert_false(lf_task_done(t));
  assert_true(lf_task_start(t));
  assert_int_equal(lf_task_state(t), LF_RUNNING);
  assert_false(lf_task_start(t));
  assert_false(lf_task_cancel(t));
  assert_false(lf_task_fail(t, LF_BROKEN, "no"));
  assert_false(lf_task_done(t));
  lf_task_end(t, LF_FINISHED);
  assert_int_equal(lf_task_state(t), LF_FINISHED);
  assert_true(lf_task_done(t));
  assert_false(lf_task_start(t));
  assert_false(lf_task_cancel(t));
  lf_task_unref(t);
}

static void drop(void *object) {
  ++*(int *)object;
}

static void a_cancelled_one_is_done(void **state) {
  (void)state;
  int dropped = 0;
  lf_task *t = lf_task_new(NULL);
  lf_buf_ref(&t->data, LF_NOWHERE, &dropped, drop);
  assert_true(lf_task_cancel(t));
  assert_int_equal(dropped, 1);
  assert_int_equal(lf_task_state(t), LF_CANCELLED);
  assert_true(lf_task_done(t));
  assert_false(lf_task_cancel(t));
  assert_false(lf_task_start(t));
  lf_task_unref(t);
  assert_int_equal(dropped, 1);
}

static void fails_with_a_text(void **state) {
  (void)state;
  static const char *const texts[] = {"", "short", NULL};
  char longer[1000];
  memset(longer, 'x', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  for (int i = 0; i < 3; i++) {
    const char *text = texts[i] ? texts[i] : longer;
    lf_task *t = lf_task_new(NULL);
    lf_buf_put(&t->data, "arguments", 9);
    assert_true(lf_task_fail(t, LF_LOST, text));
    assert_int_equal(lf_task_state(t), LF_FAILED);
    assert_int_equal(t->error, LF_LOST);
    assert_int_equal(t->data.len, strlen(text));
    assert_memory_equal(t->data.data, text, strlen(text));
    lf_task_unref(t);
  }
}

static void has_a_label(void **state) {
  (void)state;
  lf_task *t = lf_task_new(NULL);
  assert_string_equal(lf_task_label(t), "task");
  t->code = lf_code_get("x", 1, "function <x>", NULL);
  assert_string_equal(lf_task_label(t), "function <x>");
  lf_task_unref(t);
}

/* --- Who looks at its moves --- */

static lf_state seen[8];
static int nseen;

static void moved(lf_task *task, lf_state from, lf_state to) {
  assert_int_equal(lf_task_state(task), to);
  seen[nseen++] = from;
  seen[nseen++] = to;
}

static void forget(lf_task *task) {
  log_add(100);
  (void)task;
}

static const lf_task_ops watched_ops = {.free = forget, .moved = moved};

static void fire(lf_waiter *waiter) {
  (void)waiter;
  log_add(nseen);
}

/* Starts, or not; with or without somebody who waits. */
static void watch(bool starts, lf_waiter *waiter) {
  lf_task t;
  nseen = 0;
  lf_task_init(&t, NULL, &watched_ops);
  if (waiter)
    assert_true(lf_waiter_add(waiter, &t));
  if (starts) {
    assert_true(lf_task_start(&t));
    assert_false(lf_task_start(&t));
    assert_false(lf_task_cancel(&t));
    assert_int_equal(nseen, 2);
    lf_task_end(&t, LF_FINISHED);
  } else {
    assert_true(lf_task_cancel(&t));
    assert_false(lf_task_start(&t));
  }
  assert_true(lf_task_done(&t));
  lf_task_unref(&t);
}

static void its_moves_are_told(void **state) {
  (void)state;
  lf_waiter w = {.fire = fire};
  for (int waited = 0; waited < 2; waited++) {
    watch(true, waited ? &w : NULL);
    assert_int_equal(nseen, 4);
    assert_int_equal(seen[0], LF_PENDING);
    assert_int_equal(seen[1], LF_RUNNING);
    assert_int_equal(seen[2], LF_RUNNING);
    assert_int_equal(seen[3], LF_FINISHED);
    watch(false, waited ? &w : NULL);
    assert_int_equal(nseen, 4);
    assert_int_equal(seen[0], LF_PENDING);
    assert_int_equal(seen[3], LF_CANCELLED);
  }
  /* That it is not pending any more before the waiters, its end after them. */
  assert_log(100, 100, 2, 100, 2, 100);
}

/* --- Who waits ------------------------------------------------------------ */

typedef struct {
  lf_waiter waiter;
  int number;
} numbered;

static void note(lf_waiter *waiter) {
  log_add(lf_container_of(waiter, numbered, waiter)->number);
}

static void tells_in_order(void **state) {
  (void)state;
  lf_task *t = lf_task_new(NULL);
  numbered w[5];
  for (int i = 0; i < 5; i++) {
    w[i] = (numbered){.waiter.fire = note, .number = i};
    assert_true(lf_waiter_add(&w[i].waiter, t));
  }
  lf_waiter_remove(&w[0].waiter);
  lf_waiter_remove(&w[0].waiter);
  lf_waiter_remove(&w[3].waiter);
  assert_true(lf_waiter_add(&w[0].waiter, t));
  lf_task_start(t);
  assert_int_equal(log_len(), 0);
  lf_task_end(t, LF_FAILED);
  assert_log(1, 2, 4, 0);
  lf_waiter_remove(&w[1].waiter);
  assert_false(lf_waiter_add(&w[1].waiter, t));
  lf_waiter_remove(&w[1].waiter);
  assert_log(1, 2, 4, 0);
  lf_task_unref(t);
}

static void tells_when_cancelled_or_failed(void **state) {
  (void)state;
  numbered w = {.waiter.fire = note, .number = 1};
  lf_task *t = lf_task_new(NULL);
  lf_waiter_add(&w.waiter, t);
  lf_task_cancel(t);
  lf_task_unref(t);
  t = lf_task_new(NULL);
  lf_waiter_add(&w.waiter, t);
  lf_task_fail(t, LF_BROKEN, "");
  lf_task_unref(t);
  assert_log(1, 1);
}

/* --- Races ---------------------------------------------------------------- */

enum { ROUNDS = 3000, RACERS = 3 };

static lf_task *tasks[ROUNDS];
static _Atomic int won[ROUNDS];

static void *race(void *arg) {
  bool starts = arg != NULL;
  for (int i = 0; i < ROUNDS; i++)
    if (starts ? lf_task_start(tasks[i]) : lf_task_cancel(tasks[i]))
      won[i]++;
  return NULL;
}

static void one_of_start_and_cancel_wins(void **state) {
  (void)state;
  pthread_t threads[RACERS];
  for (int i = 0; i < ROUNDS; i++) {
    tasks[i] = lf_task_new(NULL);
    won[i] = 0;
  }
  for (int i = 0; i < RACERS; i++)
    pthread_create(&threads[i], NULL, race, i == 0 ? &won : NULL);
  for (int i = 0; i < RACERS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < ROUNDS; i++) {
    assert_int_equal(won[i], 1);
    lf_task_unref(tasks[i]);
  }
}

static void *end_all(void *arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    lf_task_start(tasks[i]);
    lf_task_end(tasks[i], LF_FINISHED);
    lf_task_unref(tasks[i]);
  }
  return NULL;
}

typedef struct {
  lf_waiter waiter;
  _Atomic int fired;
  atomic_bool gone;
} watcher;

static _Atomic int late;

static void watcher_fire(lf_waiter *waiter) {
  watcher *w = lf_container_of(waiter, watcher, waiter);
  w->fired++;
  late += w->gone;
}

/* Each waiter is told at most once, never after it was taken out, and always
 * if it was not. */
static void taking_out_races_with_the_end(void **state) {
  (void)state;
  static watcher w[ROUNDS];
  pthread_t thread;
  for (int i = 0; i < ROUNDS; i++) {
    tasks[i] = lf_task_new(NULL);
    lf_task_ref(tasks[i]);
  }
  pthread_create(&thread, NULL, end_all, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    w[i].waiter.fire = watcher_fire;
    bool added = lf_waiter_add(&w[i].waiter, tasks[i]);
    if (i % 2) {
      lf_waiter_remove(&w[i].waiter);
      w[i].gone = true;
      assert_true(w[i].fired <= added);
    }
    w[i].gone = w[i].gone || !added;
  }
  pthread_join(thread, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    if (!w[i].gone)
      assert_int_equal(w[i].fired, 1);
    lf_task_unref(tasks[i]);
  }
  assert_int_equal(late, 0);
}

static void ends_as_it_was_asked_to(void **state) {
  (void)state;
  static const struct {
    lf_reason reason;
    lf_state state;
  } cases[] = {{LF_STOP_CANCEL, LF_CANCELLED},
               {LF_STOP_TIMEOUT, LF_FAILED},
               {LF_STOP_MEMORY, LF_FAILED}};
  for (int i = 0; i < 3; i++) {
    lf_task *t = lf_task_new(NULL);
    assert_false(lf_task_stop(t, cases[i].reason)); /* it does not run */
    lf_task_start(t);
    assert_int_equal(lf_task_reason(t), LF_GO_ON);
    assert_int_equal(lf_task_outcome(t, LF_FINISHED), LF_FINISHED);
    assert_true(lf_task_stop(t, cases[i].reason));
    assert_false(lf_task_stop(t, LF_STOP_MEMORY)); /* the first stays */
    assert_int_equal(lf_task_reason(t), cases[i].reason);
    assert_int_equal(lf_task_outcome(t, LF_FINISHED), cases[i].state);
    assert_int_equal(lf_task_state(t), LF_RUNNING);
    lf_task_end(t, LF_FINISHED);
    assert_int_equal(lf_task_state(t), cases[i].state);
    assert_int_equal(lf_task_reason(t), cases[i].reason);
    assert_false(lf_task_force(t));
    assert_false(lf_task_is_forced(t));
    assert_false(lf_task_stop(t, LF_STOP_CANCEL));
    lf_task_unref(t);
  }
}

static void note_end(lf_waiter *w) {
  (void)w;
  noted++;
}

static void is_run_again(void **state) {
  (void)state;
  lf_task *t = lf_task_new(NULL);
  lf_waiter w = {.fire = note_end};
  noted = 0;
  assert_false(lf_task_rewind(t)); /* it does not run */
  assert_true(lf_waiter_add(&w, t));
  for (int i = 0; i < 3; i++) {
    assert_true(lf_task_start(t));
    lf_task_report(t, &(lf_report){.fraction = 0.5});
    assert_true(lf_task_stop(t, LF_STOP_TIMEOUT));
    assert_true(lf_task_rewind(t));
    assert_int_equal(lf_task_state(t), LF_PENDING);
    assert_int_equal(lf_task_reason(t), LF_GO_ON);
    lf_report report;
    assert_false(lf_task_progress(t, &report));
  }
  assert_int_equal(noted, 0); /* who waits goes on waiting */
  lf_task_start(t);
  lf_task_end(t, LF_FINISHED);
  assert_int_equal(noted, 1);
  assert_false(lf_task_rewind(t));
  lf_task_unref(t);
}

/* What was stopped for its time alone is run again. */
static void is_not_run_again_when_cancelled(void **state) {
  (void)state;
  lf_task *t = lf_task_new(NULL);
  lf_task_start(t);
  assert_true(lf_task_stop(t, LF_STOP_TIMEOUT));
  assert_true(lf_task_stop(t, LF_STOP_CANCEL)); /* in place of that */
  assert_false(lf_task_rewind(t));
  lf_task_end(t, LF_FINISHED);
  assert_int_equal(lf_task_state(t), LF_CANCELLED);
  lf_task_unref(t);
  t = lf_task_new(NULL);
  lf_task_start(t);
  assert_true(lf_task_stop(t, LF_STOP_TIMEOUT));
  assert_true(lf_task_force(t));
  assert_false(lf_task_rewind(t));
  lf_task_unref(t);
}

static void one_that_is_forced_ends_once(void **state) {
  (void)state;
  lf_task *t = lf_task_new(NULL);
  lf_waiter w = {.fire = note_end};
  noted = 0;
  lf_task_start(t);
  assert_true(lf_waiter_add(&w, t));
  assert_true(lf_task_stop(t, LF_STOP_CANCEL));
  assert_true(lf_task_force(t));
  assert_int_equal(noted, 1);
  assert_true(lf_task_is_forced(t));
  assert_int_equal(lf_task_state(t), LF_CANCELLED);
  lf_task_end(t, LF_FINISHED); /* whoever has run it comes to its end */
  assert_int_equal(noted, 1);
  assert_int_equal(lf_task_state(t), LF_CANCELLED);
  lf_task_unref(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(goes_through_its_states),
      TEST(a_cancelled_one_is_done),
      TEST(fails_with_a_text),
      TEST(has_a_label),
      TEST(its_moves_are_told),
      TEST(tells_in_order),
      TEST(tells_when_cancelled_or_failed),
      TEST(one_of_start_and_cancel_wins),
      TEST(taking_out_races_with_the_end),
      TEST(ends_as_it_was_asked_to),
      TEST(one_that_is_forced_ends_once),
      TEST(is_run_again),
      TEST(is_not_run_again_when_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
