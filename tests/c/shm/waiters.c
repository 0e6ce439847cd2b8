/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/waiters.h. Places are taken by one thread and not slept at, but
 * where sleeping is what is tested: so what is called is seen at once. */
#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/thread.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/waiters.h"

#include <stdlib.h>
#include <unistd.h>

enum { TYPE = 1, READ = 1, WRITE = 2, MANY = 50 };

static lf_array *root, *other_root;
static lf_shared *object, *other;

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  lf_object_fini(TYPE, NULL);
  root = lf_object_new(TYPE, sizeof(lf_shared) + sizeof(uint32_t));
  other_root = lf_object_new(TYPE, sizeof(lf_shared));
  object = root->data;
  other = other_root->data;
  return 0;
}

static int end(void **state) {
  assert_int_equal(object->sleeping, 0);
  assert_int_equal(other->sleeping, 0);
  lf_array_unref(root);
  lf_array_unref(other_root);
  return fake_unshare(state);
}

#define WAITERS(f) cmocka_unit_test_setup_teardown(f, begin, end)

static lf_shared_waiter *waits(lf_shared *for_what, uint32_t kind) {
  lf_shared_waiter *s = lf_shared_waiter_new(for_what, kind);
  assert_non_null(s);
  assert_false(lf_shared_waiter_called(s));
  return s;
}

static void calls_who_has_waited_for_longest(void **state) {
  (void)state;
  lf_shared_waiter *s[MANY];
  for (int i = 0; i < MANY; i++)
    s[i] = waits(object, READ);
  assert_int_equal(object->sleeping, MANY);
  assert_int_equal(lf_call(object, READ, 1), 1);
  assert_int_equal(lf_call(object, READ, 3), 3);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(lf_shared_waiter_called(s[i]), i < 4);
  assert_int_equal(object->sleeping, MANY - 4);
  assert_int_equal(lf_call(object, READ, UINT32_MAX), MANY - 4);
  assert_int_equal(lf_call(object, READ, UINT32_MAX), 0);
  for (int i = 0; i < MANY; i++)
    assert_true(lf_shared_waiter_end(s[i]));
}

static void calls_who_is_meant(void **state) {
  (void)state;
  lf_shared_waiter *write = waits(object, WRITE), *read = waits(object, READ),
                   *both = waits(object, READ | WRITE),
                   *away = waits(other, READ);
  assert_int_equal(lf_call(object, READ, UINT32_MAX), 2);
  assert_false(lf_shared_waiter_called(write));
  assert_true(lf_shared_waiter_called(read));
  assert_true(lf_shared_waiter_called(both));
  assert_false(lf_shared_waiter_called(away));
  assert_int_equal(lf_call(object, READ, 1), 0);
  assert_int_equal(lf_call(object, WRITE, 5), 1);
  assert_int_equal(lf_call(other, READ, 1), 1);
  lf_shared_waiter_end(write);
  lf_shared_waiter_end(read);
  lf_shared_waiter_end(both);
  lf_shared_waiter_end(away);
}

static void can_be_called_again_when_it_is_rearmed(void **state) {
  (void)state;
  lf_shared_waiter *s = waits(object, READ);
  lf_shared_waiter_rearm(s); /* it is not called: nothing */
  assert_int_equal(object->sleeping, 1);
  assert_int_equal(lf_call(object, READ, 1), 1);
  assert_int_equal(lf_call(object, READ, 1), 0);
  lf_shared_waiter_rearm(s);
  assert_false(lf_shared_waiter_called(s));
  assert_int_equal(object->sleeping, 1);
  assert_int_equal(lf_call(object, READ, 1), 1);
  lf_shared_waiter_end(s);
}

/* It keeps its turn. */
static void is_not_called_while_it_pauses(void **state) {
  (void)state;
  lf_shared_waiter *s = waits(object, READ), *next = waits(object, READ);
  assert_false(lf_shared_waiter_pause(s));
  assert_int_equal(object->sleeping, 1);
  lf_shared_waiter_resume(s);
  assert_int_equal(lf_call(object, READ, 1), 1);
  assert_true(lf_shared_waiter_called(s));
  assert_true(lf_shared_waiter_pause(s)); /* it had been called */
  assert_int_equal(lf_call(object, READ, 1), 1);
  assert_true(lf_shared_waiter_called(next));
  lf_shared_waiter_resume(s);
  assert_false(lf_shared_waiter_end(s));
  lf_shared_waiter_end(next);
}

/* Who leaves without having taken anything. */
static void passes_a_call_on(void **state) {
  (void)state;
  lf_shared_waiter *first = waits(object, READ), *second = waits(object, READ);
  lf_shared_waiter_pass(second); /* not called: nothing to pass on */
  second = waits(object, READ);
  lf_call(object, READ, 1);
  lf_shared_waiter_pass(first);
  assert_true(lf_shared_waiter_called(second));
  lf_shared_waiter_end(second);
  lf_shared_waiter *crowd = waits(object, READ | LF_CROWD);
  lf_call(object, READ, UINT32_MAX);
  assert_false(lf_shared_waiter_end(crowd)); /* all have been */
}

static void looks_again_without_a_call(void **state) {
  (void)state;
  lf_parker own;
  lf_parker_init(&own);
  lf_shared_waiter *s = waits(object, READ);
  assert_false(lf_shared_waiter_stirred(s));
  lf_shared_waiters_look_again();
  assert_true(lf_shared_waiter_stirred(s));
  assert_false(lf_shared_waiter_called(s));
  assert_int_equal(lf_sleep(s, &own, LF_FOREVER), 0);
  lf_shared_waiter_rearm(s);
  assert_false(lf_shared_waiter_stirred(s));
  assert_int_equal(object->sleeping, 1);
  assert_false(lf_shared_waiter_end(s));
}

/* --- Sleeping --- */

static void sleeps_until_a_deadline(void **state) {
  (void)state;
  lf_parker own;
  lf_parker_init(&own);
  lf_shared_waiter *s = waits(object, READ);
  assert_int_equal(lf_sleep(s, &own, 0), LF_ETIMEOUT);
  assert_int_equal(lf_sleep(s, &own, lf_now() + 1000000), LF_ETIMEOUT);
  lf_unpark(&own); /* by whoever knows only the thread */
  assert_int_equal(lf_sleep(s, &own, LF_FOREVER), 0);
  lf_call(object, READ, 1);
  assert_int_equal(lf_sleep(s, &own, 0), 0);
  lf_shared_waiter_end(s);
}

static void ring_and_call(void *arg) {
  until(atomic_load((_Atomic uint32_t *)(object + 1)) == 1);
  lf_call(object, READ, 1);
  (void)arg;
}

/* Several waiters and one doorbell, woken from another process. */
static void a_doorbell_wakes_for_any_of_its_waiters(void **state) {
  (void)state;
  fake_child child;
  lf_parker own;
  lf_parker_init(&own);
  lf_shared_waiter *doorbell = lf_doorbell_new(), *away = waits(other, READ);
  lf_shared_waiter *s = waits(object, READ);
  assert_non_null(doorbell);
  lf_shared_waiter_ring(away, doorbell);
  lf_shared_waiter_ring(s, doorbell);
  fake_start(&child, ring_and_call, NULL);
  atomic_store((_Atomic uint32_t *)(object + 1), 1);
  assert_int_equal(lf_sleep(doorbell, &own, LF_FOREVER), 0);
  assert_true(lf_shared_waiter_called(s));
  assert_false(lf_shared_waiter_called(away));
  assert_int_equal(fake_join(&child), 0);
  lf_shared_waiter_ring(s, NULL);
  lf_shared_waiter_end(s);
  lf_shared_waiter_end(away);
  lf_doorbell_end(doorbell);
}

/* --- Limits and the dead --- */

static void there_are_only_so_many_waiters(void **state) {
  (void)state;
  enum { MOST = LF_WAITERS_SIZE / 64 };
  static lf_shared_waiter *s[MOST + 1];
  int n = 0;
  while (n <= MOST && (s[n] = lf_shared_waiter_new(object, READ)))
    n++;
  assert_true(n > 100 && n < MOST);
  assert_int_equal(lf_shared_waiters(), n);
  assert_null(lf_doorbell_new());
  assert_null(lf_shared_waiter_new(other, READ));
  assert_int_equal(lf_call(object, READ, UINT32_MAX), n);
  lf_shared_waiter_end(s[n / 2]);
  s[n / 2] = lf_shared_waiter_new(other, READ); /* wherever there is room */
  assert_non_null(s[n / 2]);
  assert_int_equal(lf_call(other, READ, 1), 1);
  for (int i = 0; i < n; i++)
    lf_shared_waiter_end(s[i]);
}

static void wait_for_both(void *arg) {
  (void)arg;
  if (!lf_shared_waiter_new(object, READ) ||
      !lf_shared_waiter_new(object, WRITE) || !lf_doorbell_new())
    abort();
  atomic_store((_Atomic uint32_t *)(object + 1), 1);
  for (;;)
    pause();
}

static void the_dead_wait_no_more(void **state) {
  (void)state;
  fake_child child;
  fake_start(&child, wait_for_both, NULL);
  until(atomic_load((_Atomic uint32_t *)(object + 1)) == 1);
  lf_shared_waiter *s = waits(object, READ);
  assert_int_equal(object->sleeping, 3);
  assert_int_equal(lf_shared_waiters(), 4);
  fake_kill(&child);
  assert_int_equal(object->sleeping, 1);
  assert_int_equal(object->deaths, 2);
  assert_int_equal(lf_shared_waiters(), 1);
  assert_true(lf_shared_waiter_stirred(s)); /* it may have waited for them */
  assert_int_equal(lf_call(object, READ, 1), 1);
  lf_shared_waiter_end(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WAITERS(calls_who_has_waited_for_longest),
      WAITERS(calls_who_is_meant),
      WAITERS(can_be_called_again_when_it_is_rearmed),
      WAITERS(is_not_called_while_it_pauses),
      WAITERS(passes_a_call_on),
      WAITERS(looks_again_without_a_call),
      WAITERS(sleeps_until_a_deadline),
      WAITERS(a_doorbell_wakes_for_any_of_its_waiters),
      WAITERS(there_are_only_so_many_waiters),
      WAITERS(the_dead_wait_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
