/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/robust.h. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/thread.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/robust.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* What the processes share. */
typedef struct {
  lf_robust robust;
  _Atomic uint32_t has; /* children that have taken it */
  uint64_t count;       /* under the robust */
  uint64_t copy;        /* the same, but in between */
} memory;

static lf_array *root;
static memory *m;

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  root = lf_array_new(LF_A_UINT8, sizeof *m);
  m = root->data;
  return 0;
}

static int end(void **state) {
  lf_array_unref(root);
  return fake_unshare(state);
}

#define ROBUST(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void begins_as_zeroes(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    assert_false(lf_robust_take(&m->robust));
    assert_int_equal(m->robust.word, lf_process());
    lf_robust_give(&m->robust);
    assert_int_equal(m->robust.word, 0);
  }
}

/* --- One at a time --- */

enum { TIMES = LF_LIMIT(20000, 3000), SEVERAL = 3 };

static void count(void) {
  for (int i = 0; i < TIMES; i++) {
    if (lf_robust_take(&m->robust) || m->copy != m->count)
      abort();
    m->count++;
    if (i % 64 == 0)
      sched_yield(); /* so that others have to wait for longer */
    m->copy = m->count;
    lf_robust_give(&m->robust);
  }
}

static gate done = GATE;

static void count_in_thread(void *arg) {
  (void)arg;
  count();
  gate_add(&done);
}

static void count_in_child(void *arg) {
  (void)arg;
  count();
}

static void one_has_it_at_a_time(void **state) {
  (void)state;
  fake_child child[SEVERAL];
  for (int i = 0; i < SEVERAL; i++)
    fake_start(&child[i], count_in_child, NULL);
  for (int i = 0; i < SEVERAL; i++)
    assert_int_equal(lf_thread_start("count", count_in_thread, NULL), 0);
  gate_await(&done, SEVERAL);
  for (int i = 0; i < SEVERAL; i++)
    assert_int_equal(fake_join(&child[i]), 0);
  assert_int_equal(m->count, 2 * SEVERAL * TIMES);
  assert_int_equal(m->robust.word, 0);
}

/* --- The dead --- */

static void take_and_stay(void *arg) {
  (void)arg;
  lf_robust_take(&m->robust);
  m->has++;
  for (;;)
    pause();
}

static void take_and_die(void *arg) {
  (void)arg;
  lf_robust_take(&m->robust);
  m->has++;
}

/* Whether it has been reaped or not. */
static void the_next_one_is_told_of_a_death(void **state) {
  (void)state;
  fake_child child;
  fake_start(&child, take_and_stay, NULL);
  until(m->has == 1);
  kill(child.pid, SIGKILL);
  assert_true(lf_robust_take(&m->robust));
  lf_robust_give(&m->robust);
  assert_false(lf_robust_take(&m->robust)); /* once */
  lf_robust_give(&m->robust);
  fake_join(&child);
  fake_start(&child, take_and_die, NULL);
  assert_int_equal(fake_join(&child), 0);
  assert_true(lf_robust_take(&m->robust));
  lf_robust_give(&m->robust);
}

static void take_when_it_is_dead(void *arg) {
  _Atomic int *told = arg;
  *told += lf_robust_take(&m->robust);
  lf_robust_give(&m->robust);
  gate_add(&done);
}

/* Of those who wait one is told; all go on. */
static void all_who_wait_go_on(void **state) {
  (void)state;
  fake_child child;
  static _Atomic int told;
  int before = gate_count(&done);
  fake_start(&child, take_and_stay, NULL);
  until(m->has == 1);
  for (int i = 0; i < SEVERAL; i++)
    lf_thread_start("wait", take_when_it_is_dead, &told);
  until(m->robust.word & LF_LATCH_WAITED);
  fake_kill(&child);
  gate_await(&done, before + SEVERAL);
  assert_int_equal(told, 1);
  assert_int_equal(m->robust.word & ~LF_LATCH_WAITED, 0);
}

/* --- The living --- */

static void take_until_told(void *arg) {
  (void)arg;
  lf_robust_take(&m->robust);
  m->has++;
  until(m->has == 2);
  m->count = 7;
  lf_robust_give(&m->robust);
}

/* However long it takes. */
static void nobody_robs_the_living(void **state) {
  (void)state;
  fake_child child;
  static _Atomic int told;
  int before = gate_count(&done);
  fake_start(&child, take_until_told, NULL);
  until(m->has == 1);
  lf_thread_start("wait", take_when_it_is_dead, &told);
  until(m->robust.word & LF_LATCH_WAITED);
  for (int64_t end = lf_now() + 30000000; lf_now() < end;)
    assert_int_equal(gate_count(&done), before); /* for longer than patience */
  m->has++;
  gate_await(&done, before + 1);
  assert_int_equal(told, 0);
  assert_int_equal(m->count, 7);
  assert_int_equal(fake_join(&child), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ROBUST(begins_as_zeroes),
      ROBUST(one_has_it_at_a_time),
      ROBUST(the_next_one_is_told_of_a_death),
      ROBUST(all_who_wait_go_on),
      ROBUST(nobody_robs_the_living),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
