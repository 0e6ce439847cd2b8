/* SPDX-License-Identifier: MIT
 *
 * runtime/sync/sync.h, runtime/shm/waiters.h: locks and the like, and who waits
 * for them, also when processes are killed in the middle. */
#include "tests/c/fake.h"

#include "runtime/sync/sync.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the test and its children share. */
typedef struct {
  lf_shared shared;
  lf_lock lock;
  lf_semaphore semaphore;
  lf_event event;
  lf_barrier barrier;
  _Atomic uint32_t ready; /* children that have come so far */
  _Atomic uint32_t went;  /* and further */
  _Atomic uint32_t told;
} common;

static lf_array *root;
static common *all;

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  root = lf_object_new(0, sizeof(common));
  all = root->data;
  return 0;
}

static int end(void **state) {
  lf_array_unref(root);
  return fake_unshare(state);
}

#define SYNC(f) cmocka_unit_test_setup_teardown(f, begin, end)

/* Waits until 'look' has what it wants; LF_ETIMEOUT. */
static int await_look(lf_shared *object, int (*look)(void), int64_t deadline) {
  lf_parker own;
  lf_parker_init(&own);
  lf_shared_waiter *s = lf_shared_waiter_new(object, LF_WAITER);
  if (!s)
    abort();
  int err, slept = 0;
  do
    lf_shared_waiter_rearm(s);
  while ((err = look()) == LF_EAGAIN &&
         (slept = lf_sleep(s, &own, deadline)) != LF_ETIMEOUT);
  if (lf_shared_waiter_end(s) && err != 0)
    lf_call(object, LF_WAITER, 1);
  return err == LF_EAGAIN ? slept : err;
}

/* Does the process sleep in the kernel? */
static bool sleeps(pid_t pid) {
  char path[40], state = '?';
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "r");
  if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
    state = '?';
  if (f)
    fclose(f);
  return state == 'S';
}

/* --- Locks --- */

static void one_holder_has_the_lock(void **state) {
  (void)state;
  bool abandoned = false;
  uint64_t a = lf_holder_new(), b = lf_holder_new();
  assert_true(a && b && a != b);
  assert_true(lf_holder_lives(a));
  assert_int_equal(lf_lock_try(&all->lock, a, &abandoned), 0);
  assert_int_equal(lf_lock_try(&all->lock, b, &abandoned), LF_EAGAIN);
  assert_int_equal(lf_lock_try(&all->lock, a, &abandoned), LF_EAGAIN);
  assert_int_equal(lf_lock_release(&all->lock, b), LF_EPERM);
  assert_int_equal(lf_lock_release(&all->lock, a), 0);
  assert_int_equal(lf_lock_release(&all->lock, a), LF_EPERM);
  assert_int_equal(lf_lock_try(&all->lock, b, &abandoned), 0);
  assert_false(abandoned);
}

static void a_recursive_lock_counts(void **state) {
  (void)state;
  bool abandoned = false;
  uint64_t a = lf_holder_new(), b = lf_holder_new();
  all->lock.recursive = true;
  for (int i = 0; i < 3; i++)
    assert_int_equal(lf_lock_try(&all->lock, a, &abandoned), 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(lf_lock_try(&all->lock, b, &abandoned), LF_EAGAIN);
    assert_int_equal(lf_lock_release(&all->lock, a), 0);
  }
  assert_int_equal(lf_lock_release(&all->lock, a), LF_EPERM);
  assert_int_equal(lf_lock_try(&all->lock, b, &abandoned), 0);
}

static bool was_abandoned;

static int try_lock(void) {
  static uint64_t me;
  static pid_t mine;
  if (mine != getpid())
    me = lf_holder_new();
  mine = getpid();
  return lf_lock_try(&all->lock, me, &was_abandoned);
}

static void hold_for_ever(void *arg) {
  (void)arg;
  if (try_lock() != 0)
    abort();
  all->lock.depth = 5;
  atomic_store(&all->ready, 1);
  for (;;)
    pause();
}

static void the_dead_hold_nothing(void **state) {
  (void)state;
  fake_child child;
  fake_start(&child, hold_for_ever, NULL);
  until(atomic_load(&all->ready) == 1);
  was_abandoned = false;
  assert_int_equal(await_look(&all->lock.shared, try_lock, 1), LF_ETIMEOUT);
  fake_kill(&child);
  assert_int_equal(await_look(&all->lock.shared, try_lock, LF_FOREVER), 0);
  assert_true(was_abandoned);
  assert_int_equal(all->lock.depth, 0);
}

static void wait_for_lock(void *arg) {
  (void)arg;
  was_abandoned = false;
  atomic_fetch_add(&all->ready, 1);
  if (await_look(&all->lock.shared, try_lock, LF_FOREVER) != 0)
    abort();
  atomic_store(&all->told, was_abandoned);
  atomic_fetch_add(&all->went, 1);
}

/* The holder dies while others wait: one of them gets it, and is told. */
static void a_death_wakes_who_waits(void **state) {
  (void)state;
  fake_child holder, waiter;
  fake_start(&holder, hold_for_ever, NULL);
  until(atomic_load(&all->ready) == 1);
  fake_start(&waiter, wait_for_lock, NULL);
  until(lf_shared_waiters() == 1);
  fake_kill(&holder);
  until(atomic_load(&all->went) == 1);
  assert_int_equal(atomic_load(&all->told), 1);
  fake_join(&waiter);
}

/* A waiter that was called and dies has not lost what it was called for. */
static void a_dead_waiter_takes_no_call_with_it(void **state) {
  (void)state;
  fake_child first, second;
  bool abandoned = false;
  uint64_t me = lf_holder_new();
  assert_int_equal(lf_lock_try(&all->lock, me, &abandoned), 0);
  fake_start(&first, wait_for_lock, NULL);
  until(lf_shared_waiters() == 1);
  fake_start(&second, wait_for_lock, NULL);
  until(lf_shared_waiters() == 2);
  kill(first.pid, SIGSTOP); /* it is called, and does not look */
  waitpid(first.pid, NULL, WUNTRACED);
  assert_int_equal(lf_lock_release(&all->lock, me), 0);
  fake_kill(&first);
  until(atomic_load(&all->went) == 1);
  assert_int_equal(atomic_load(&all->told), 0);
  fake_join(&second);
}

/* Numbers of processes are used again; what a former one held is free. */
static void a_new_process_is_not_a_former_one(void **state) {
  (void)state;
  fake_child child;
  for (int i = 0; i < 20; i++) {
    was_abandoned = false;
    atomic_store(&all->ready, 0);
    fake_start(&child, hold_for_ever, NULL);
    until(atomic_load(&all->ready) == 1);
    uint64_t holder = atomic_load(&all->lock.holder);
    assert_true(lf_holder_lives(holder));
    fake_kill(&child);
    assert_false(lf_holder_lives(holder));
    uint64_t me = lf_holder_new();
    assert_int_equal(lf_lock_try(&all->lock, me, &was_abandoned), 0);
    assert_true(was_abandoned);
    assert_int_equal(lf_lock_release(&all->lock, me), 0);
  }
}

static void take_turns(void *arg) {
  uint32_t *sum = arg;
  uint64_t me = lf_holder_new();
  for (int i = 0; i < 1000; i++) {
    lf_parker own;
    bool abandoned = false;
    lf_parker_init(&own);
    while (lf_lock_try(&all->lock, me, &abandoned) != 0) {
      lf_shared_waiter *s = lf_shared_waiter_new(&all->lock.shared, LF_WAITER);
      int err;
      do
        lf_shared_waiter_rearm(s);
      while ((err = lf_lock_try(&all->lock, me, &abandoned)) != 0 &&
             lf_sleep(s, &own, LF_FOREVER) <= 0);
      lf_shared_waiter_end(s);
      if (err == 0)
        break;
    }
    ++*sum; /* not in one step */
    if (lf_lock_release(&all->lock, me) != 0)
      abort();
  }
}

static void a_lock_excludes(void **state) {
  (void)state;
  fake_child children[3];
  for (int i = 0; i < 3; i++)
    fake_start(&children[i], take_turns, &all->told);
  take_turns(&all->told);
  for (int i = 0; i < 3; i++)
    assert_int_equal(fake_join(&children[i]), 0);
  assert_int_equal(all->told, 4000);
}

/* --- Semaphores, events --- */

static void a_semaphore_counts(void **state) {
  (void)state;
  lf_semaphore *s = &all->semaphore;
  s->most = 3;
  assert_int_equal(lf_semaphore_try(s), LF_EAGAIN);
  assert_int_equal(lf_semaphore_release(s, 2), 0);
  assert_int_equal(lf_semaphore_release(s, 2), LF_EPERM);
  assert_int_equal(lf_semaphore_try(s), 0);
  assert_int_equal(lf_semaphore_try(s), 0);
  assert_int_equal(lf_semaphore_try(s), LF_EAGAIN);
  s->most = INT64_MAX;
  atomic_store(&s->value, INT64_MAX - 1);
  assert_int_equal(lf_semaphore_release(s, 2), LF_EPERM);
}

static int try_semaphore(void) {
  return lf_semaphore_try(&all->semaphore);
}

static void wait_for_semaphore(void *arg) {
  (void)arg;
  if (await_look(&all->semaphore.shared, try_semaphore, LF_FOREVER) != 0)
    abort();
  atomic_fetch_add(&all->went, 1);
}

static void as_many_go_as_are_let(void **state) {
  (void)state;
  fake_child children[5];
  all->semaphore.most = INT64_MAX;
  for (int i = 0; i < 5; i++)
    fake_start(&children[i], wait_for_semaphore, NULL);
  until(lf_shared_waiters() == 5);
  assert_int_equal(lf_semaphore_release(&all->semaphore, 2), 0);
  until(atomic_load(&all->went) == 2 && lf_shared_waiters() == 3);
  assert_int_equal(atomic_load(&all->semaphore.value), 0);
  assert_int_equal(lf_semaphore_release(&all->semaphore, 3), 0);
  for (int i = 0; i < 5; i++)
    assert_int_equal(fake_join(&children[i]), 0);
}

static int look_at_event(void) {
  return atomic_load(&all->event.set) ? 0 : LF_EAGAIN;
}

static void wait_for_event(void *arg) {
  (void)arg;
  if (await_look(&all->event.shared, look_at_event, LF_FOREVER) != 0)
    abort();
}

static void an_event_lets_all_go(void **state) {
  (void)state;
  fake_child children[4];
  for (int i = 0; i < 4; i++)
    fake_start(&children[i], wait_for_event, NULL);
  until(lf_shared_waiters() == 4 && sleeps(children[3].pid));
  fake_kill(&children[3]);
  assert_int_equal(lf_shared_waiters(), 3);
  assert_int_equal(atomic_load(&all->event.shared.deaths), 1);
  lf_event_set(&all->event);
  for (int i = 0; i < 3; i++)
    assert_int_equal(fake_join(&children[i]), 0);
  assert_int_equal(atomic_load(&all->event.shared.sleeping), 0);
}

/* --- Barriers --- */

static void rounds_end_with_the_last(void **state) {
  (void)state;
  uint32_t first = 99, round;
  lf_barrier *b = &all->barrier;
  b->parties = 3;
  for (int i = 0; i < 50; i++) {
    assert_int_equal(lf_barrier_enter(b, &first), 0);
    assert_int_equal(lf_barrier_look(b, first), LF_EAGAIN);
    assert_int_equal(lf_barrier_enter(b, &round), 1);
    assert_int_equal(lf_barrier_waiting(b), 2);
    assert_int_equal(round, first);
    assert_int_equal(lf_barrier_enter(b, &round), 2);
    assert_int_equal(lf_barrier_enter(b, &round), LF_EAGAIN);
    assert_int_equal(lf_barrier_pass(b, first), 0);
    assert_int_equal(lf_barrier_look(b, first), 0);
    assert_int_equal(lf_barrier_waiting(b), 0);
  }
}

static void a_broken_one_stays_so_until_reset(void **state) {
  (void)state;
  uint32_t first, round;
  lf_barrier *b = &all->barrier;
  b->parties = 2;
  assert_int_equal(lf_barrier_enter(b, &first), 0);
  lf_barrier_leave(b, first + 1); /* of another round */
  assert_false(lf_barrier_is_broken(b));
  lf_barrier_leave(b, first);
  assert_true(lf_barrier_is_broken(b));
  assert_int_equal(lf_barrier_look(b, first), LF_EBROKEN);
  assert_int_equal(lf_barrier_enter(b, &round), LF_EBROKEN);
  lf_barrier_reset(b);
  assert_false(lf_barrier_is_broken(b));
  assert_int_equal(lf_barrier_look(b, first), LF_EBROKEN);
  assert_int_equal(lf_barrier_enter(b, &round), 0);
  lf_barrier_reset(b);
  assert_int_equal(lf_barrier_look(b, round), LF_EBROKEN);
  for (int i = 0; i < 10; i++) { /* also when it looks late */
    uint32_t r;
    assert_int_equal(lf_barrier_enter(b, &r), 0);
    assert_int_equal(lf_barrier_enter(b, &r), 1);
    assert_int_equal(lf_barrier_pass(b, r), 0);
    assert_int_equal(lf_barrier_look(b, round), LF_EBROKEN);
    assert_int_equal(lf_barrier_look(b, r), 0);
  }
}

static uint32_t my_round;
static bool entered;

static int look_at_barrier(void) {
  if (!entered && lf_barrier_enter(&all->barrier, &my_round) < 0)
    return LF_EBROKEN;
  entered = true;
  return lf_barrier_look(&all->barrier, my_round);
}

static void wait_at_barrier(void *arg) {
  (void)arg;
  atomic_store(&all->told, (uint32_t)-await_look(&all->barrier.shared,
                                                 look_at_barrier, LF_FOREVER));
  atomic_fetch_add(&all->went, 1);
}

/* Who was killed at a barrier cannot be replaced. */
static void a_death_breaks_a_barrier(void **state) {
  (void)state;
  fake_child first, second;
  all->barrier.parties = 3;
  fake_start(&first, wait_at_barrier, NULL);
  fake_start(&second, wait_at_barrier, NULL);
  until(lf_barrier_waiting(&all->barrier) == 2);
  fake_kill(&first);
  until(atomic_load(&all->went) == 1);
  assert_int_equal(atomic_load(&all->told), -LF_EBROKEN);
  fake_join(&second);
  assert_true(lf_barrier_is_broken(&all->barrier));
  lf_barrier_reset(&all->barrier);
  uint32_t round;
  assert_int_equal(lf_barrier_enter(&all->barrier, &round), 0);
}

/* --- Sleepers --- */

static void called_in_the_order_of_coming(void **state) {
  (void)state;
  lf_shared_waiter *s[3];
  for (int i = 0; i < 3; i++)
    s[i] = lf_shared_waiter_new(&all->shared, 1u << i);
  assert_int_equal(lf_call(&all->shared, 4, 5), 1);
  assert_true(lf_shared_waiter_called(s[2]));
  assert_int_equal(lf_call(&all->shared, 7, 1), 1);
  assert_true(lf_shared_waiter_called(s[0]));
  assert_false(lf_shared_waiter_called(s[1]));
  lf_shared_waiter_rearm(s[0]);
  assert_false(lf_shared_waiter_called(s[0]));
  assert_int_equal(lf_call(&all->shared, 7, 1), 1);
  assert_true(lf_shared_waiter_called(s[0])); /* it has kept its turn */
  assert_int_equal(lf_call(&all->shared, 7, 9), 1);
  assert_int_equal(lf_call(&all->lock.shared, 7, 9), 0);
  for (int i = 0; i < 3; i++)
    assert_true(lf_shared_waiter_end(s[i]));
  assert_int_equal(lf_call(&all->shared, 7, 9), 0);
}

enum { MANY = 40 };

static int count_called(lf_shared_waiter **s, int n) {
  int called = 0;
  for (int i = 0; i < n; i++)
    called += lf_shared_waiter_called(s[i]);
  return called;
}

static void of_many_the_first_are_called(void **state) {
  (void)state;
  lf_shared_waiter *s[MANY], *others[MANY];
  lf_shared *object = &all->shared;
  for (int i = 0; i < MANY; i++) {
    s[i] = lf_shared_waiter_new(object, 1);
    others[i] = lf_shared_waiter_new(i % 2 ? &all->lock.shared : object, 2);
  }
  assert_int_equal(atomic_load(&object->sleeping), MANY + MANY / 2);
  assert_int_equal(lf_call(object, 1, 10), 10);
  assert_int_equal(count_called(s, 10), 10);
  assert_int_equal(lf_call(object, 1, 2), 2);
  assert_int_equal(count_called(s, 12), 12);
  assert_int_equal(count_called(s, MANY), 12);
  assert_int_equal(atomic_load(&object->sleeping), MANY + MANY / 2 - 12);
  assert_int_equal(lf_call(object, 1, MANY), MANY - 12);
  assert_int_equal(lf_call(object, 1, UINT32_MAX), 0);
  assert_int_equal(count_called(others, MANY), 0);
  assert_int_equal(lf_call(object, 3, UINT32_MAX), MANY / 2);
  assert_int_equal(atomic_load(&object->sleeping), 0);
  assert_int_equal(lf_call(&all->lock.shared, 2, UINT32_MAX), MANY / 2);
  for (int i = 0; i < MANY; i++) {
    assert_true(lf_shared_waiter_end(s[i]));
    assert_true(lf_shared_waiter_end(others[i]));
  }
}

/* Only those who could be called count. */
static void sleeping_is_how_many_can_be_called(void **state) {
  (void)state;
  _Atomic uint32_t *sleeping = &all->shared.sleeping;
  lf_shared_waiter *s = lf_shared_waiter_new(&all->shared, 1);
  assert_int_equal(*sleeping, 1);
  assert_false(lf_shared_waiter_pause(s));
  assert_int_equal(*sleeping, 0);
  lf_shared_waiter_resume(s);
  assert_int_equal(lf_call(&all->shared, 1, 1), 1);
  assert_int_equal(*sleeping, 0);
  lf_shared_waiter_rearm(s);
  lf_shared_waiter_rearm(s);
  assert_int_equal(*sleeping, 1);
  assert_int_equal(lf_call(&all->shared, 1, 1), 1);
  assert_true(lf_shared_waiter_pause(s));
  lf_shared_waiter_resume(s);
  assert_int_equal(*sleeping, 1);
  assert_false(lf_shared_waiter_end(s));
  assert_int_equal(*sleeping, 0);
}

static void a_crowd_passes_nothing_on(void **state) {
  (void)state;
  lf_shared_waiter *s = lf_shared_waiter_new(&all->shared, 1 | LF_CROWD);
  assert_int_equal(lf_call(&all->shared, 1, UINT32_MAX), 1);
  assert_true(lf_shared_waiter_called(s));
  assert_false(lf_shared_waiter_end(s));
}

/* Many come and go at once, while they are called: none is missed. */
static void *come_and_go(void *arg) {
  lf_parker own;
  lf_parker_init(&own);
  for (int i = 0; i < 2000; i++) {
    lf_shared_waiter *s = lf_shared_waiter_new(&all->shared, 1);
    gate_add(arg);
    while (!lf_shared_waiter_called(s))
      lf_sleep(s, &own, LF_FOREVER);
    lf_shared_waiter_end(s);
  }
  return NULL;
}

static void none_of_a_coming_and_going_is_missed(void **state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  gate come = GATE;
  int called = 0;
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, come_and_go, &come);
  while (called < THREADS * 2000) {
    gate_await(&come, called + 1); /* there is one: it has to be found */
    uint32_t n = called % 3 == 0 ? UINT32_MAX : (uint32_t)(called % 3);
    uint32_t some = lf_call(&all->shared, 1, n);
    assert_true(some > 0);
    called += (int)some;
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void wake_parker(void *parker) {
  lf_unpark(parker);
}

/* A thread that sleeps at a waiter is woken through its own parker, too. */
static void wakes_through_its_own_parker(void **state) {
  (void)state;
  lf_parker own;
  lf_parker_init(&own);
  lf_shared_waiter *s = lf_shared_waiter_new(&all->shared, 1);
  for (int i = 0; i < 100; i++) {
    assert_int_equal(lf_thread_start("waker", wake_parker, &own), 0);
    assert_int_equal(lf_sleep(s, &own, LF_FOREVER), 0);
    assert_false(lf_shared_waiter_called(s));
    lf_threads_settle();
    lf_doze(&own, 1); /* what may have come late */
  }
  assert_int_equal(lf_sleep(s, &own, 1), LF_ETIMEOUT);
  lf_shared_waiter_end(s);
}

static void there_are_only_so_many_waiters(void **state) {
  (void)state;
  enum { MOST = 1 << 19 };
  static lf_shared_waiter *s[MOST];
  int n = 0;
  while (n < MOST && (s[n] = lf_shared_waiter_new(&all->shared, 1)))
    n++;
  assert_true(n >= 500 && n < MOST);
  while (n-- > 0)
    lf_shared_waiter_end(s[n]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SYNC(one_holder_has_the_lock),
      SYNC(a_recursive_lock_counts),
      SYNC(the_dead_hold_nothing),
      SYNC(a_death_wakes_who_waits),
      SYNC(a_dead_waiter_takes_no_call_with_it),
      SYNC(a_new_process_is_not_a_former_one),
      SYNC(a_lock_excludes),
      SYNC(a_semaphore_counts),
      SYNC(as_many_go_as_are_let),
      SYNC(an_event_lets_all_go),
      SYNC(rounds_end_with_the_last),
      SYNC(a_broken_one_stays_so_until_reset),
      SYNC(a_death_breaks_a_barrier),
      SYNC(called_in_the_order_of_coming),
      SYNC(of_many_the_first_are_called),
      SYNC(sleeping_is_how_many_can_be_called),
      SYNC(a_crowd_passes_nothing_on),
      SYNC(none_of_a_coming_and_going_is_missed),
      SYNC(wakes_through_its_own_parker),
      SYNC(there_are_only_so_many_waiters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
