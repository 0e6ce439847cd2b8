/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/array.h, runtime/process/array_refs.h: arrays in one process, and
 * between a process and its children, who tell each other by pipes what
 * messages would. */
#include "tests/c/fake.h"

#include "runtime/os/fork.h"
#include "runtime/process/array_refs.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/array.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = LF_LIMIT(10000, 1000) };

static int end(void **state) {
  assert_int_equal(lf_array_stat().arrays, 0);
  assert_int_equal(lf_array_stat().bytes, 0);
  assert_true(lf_zones_owned() <= 1);
  return fake_end(state);
}

#define ARRAY(f) cmocka_unit_test_setup_teardown(f, fake_begin, end)

/* --- In one process --- */

static void has_its_type_and_size(void **state) {
  (void)state;
  static const size_t sizes[LF_A_TYPES] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  for (int i = 0; i < LF_A_TYPES; i++) {
    lf_array *a = lf_array_new((lf_element)i, 10);
    assert_int_equal(lf_element_size(a->type), sizes[i]);
    assert_int_equal(a->length, 10);
    assert_int_equal(a->bytes, 10 * sizes[i]);
    assert_int_equal((uintptr_t)a->data % 64, 0);
    assert_false(a->readonly);
    for (size_t k = 0; k < a->bytes; k++)
      assert_int_equal(((char *)a->data)[k], 0);
    lf_array_unref(a);
  }
  assert_string_equal(lf_element_name(LF_A_UINT16), "uint16");
}

static void may_be_empty_or_too_large(void **state) {
  (void)state;
  lf_array *a = lf_array_new(LF_A_DOUBLE, 0);
  assert_non_null(a->data);
  assert_int_equal(a->bytes, 0);
  lf_array_unref(a);
  assert_null(lf_array_new(LF_A_INT8, SIZE_MAX));
  assert_null(lf_array_new(LF_A_DOUBLE, SIZE_MAX / 8));
  assert_null(lf_array_new(LF_A_DOUBLE, (size_t)lf_arena_size() / 8));
}

static void views_hold_their_root(void **state) {
  (void)state;
  lf_array *a = lf_array_new(LF_A_INT32, 100);
  lf_array *v = lf_array_view(a, 10, 50, false);
  lf_array *w = lf_array_view(v, 5, 5, true);
  lf_array *x = lf_array_view(w, 0, 2, false);
  ((int32_t *)a->data)[15] = 7;
  lf_array_unref(a);
  lf_array_unref(v);
  assert_ptr_equal(w->base, a);
  assert_int_equal(((int32_t *)w->data)[0], 7);
  assert_true(w->readonly && x->readonly);
  lf_array_unref(w);
  assert_int_equal(((int32_t *)x->data)[0], 7);
  assert_int_equal(lf_array_stat().arrays, 1);
  lf_array_unref(x);
}

static void comes_and_goes(void **state) {
  (void)state;
  for (int i = 0; i < MANY; i++) {
    lf_array *a = lf_array_new(LF_A_INT8, (size_t)i % 300);
    assert_non_null(a);
    lf_array_unref(a);
  }
}

static void is_kept_for_forks_before_its_end(void **state) {
  (void)state;
  lf_hold first, second;
  lf_array *old = lf_array_new(LF_A_INT8, 10);
  lf_hold_begin(&first);
  lf_array *between = lf_array_new(LF_A_INT8, 10);
  lf_hold_since(&first);
  lf_array *new = lf_array_new(LF_A_INT8, 10);
  lf_array_unref(new);
  assert_int_equal(lf_array_stat().arrays, 2);
  lf_array_unref(between);
  lf_array_unref(old);
  assert_int_equal(lf_array_stat().arrays, 2);
  lf_hold_begin(&second);
  lf_hold_since(&second);
  lf_hold_end(&first);
  assert_int_equal(lf_array_stat().arrays, 0);
  lf_hold_end(&second);
}

static void overlapping_forks_keep_it_until_the_last(void **state) {
  (void)state;
  lf_hold first, second;
  lf_array *a = lf_array_new(LF_A_INT8, 10);
  lf_hold_begin(&first);
  lf_hold_since(&first);
  lf_hold_begin(&second);
  lf_hold_since(&second);
  lf_array_unref(a);
  lf_hold_end(&first);
  assert_int_equal(lf_array_stat().arrays, 1);
  lf_hold_end(&second);
  assert_int_equal(lf_array_stat().arrays, 0);
}

/* --- Two processes --- */

static lf_array_refs array_refs;
static int roused;
static int in, out; /* pipes to the other */
static pid_t child;
static uint32_t owner;
static lf_hold hold;

static void rouse(lf_giver *giver) {
  assert_ptr_equal(giver, &array_refs.giver);
  roused++;
}

static void put(const void *bytes, size_t n) {
  if (write(out, bytes, n) != (ssize_t)n)
    abort();
}

static void get(void *bytes, size_t n) {
  for (size_t k = 0; k < n;) {
    ssize_t got = read(in, (char *)bytes + k, n - k);
    if (got <= 0)
      abort();
    k += (size_t)got;
  }
}

static void send(lf_array *a) {
  lf_array_name name;
  if (lf_array_refs_name(&array_refs, a, &name) != 0)
    abort();
  put(&name, sizeof name);
}

static lf_array *receive(void) {
  lf_array_name name;
  get(&name, sizeof name);
  lf_array *a = lf_array_find(&array_refs.giver, &name);
  if (!a)
    abort();
  return a;
}

static void send_dropped(void) {
  lf_buf gone;
  lf_buf_init(&gone, NULL, 0);
  lf_array_refs_put_dropped(&array_refs, &gone);
  put(&gone.len, sizeof gone.len);
  put(gone.data, gone.len);
  lf_buf_fini(&gone);
}

static void receive_dropped(void) {
  lf_buf gone;
  size_t n;
  lf_buf_init(&gone, NULL, 0);
  get(&n, sizeof n);
  if (n > 0)
    get(lf_buf_room(&gone, n), n);
  lf_array_refs_take_dropped(&array_refs, &gone);
  lf_buf_fini(&gone);
}

/* A child that runs 'body', then waits to be killed. */
static void start(void (*body)(void)) {
  int there[2], back[2];
  assert_int_equal(pipe(there) | pipe(back), 0);
  assert_int_equal(lf_arena_open(), 0);
  owner = lf_owner_new();
  lf_hold_begin(&hold);
  child = lf_fork(-1);
  lf_array_refs_init(&array_refs, child == 0, rouse);
  in = child ? back[0] : there[0];
  out = child ? there[1] : back[1];
  if (child == 0) {
    lf_owner_be(owner);
    body();
    put("", 1);
    for (;;)
      pause();
  }
  lf_hold_since(&hold);
  close(there[0]);
  close(back[1]);
  roused = 0;
}

static void await_body(void) {
  char byte;
  get(&byte, 1);
}

static void kill_child(void) {
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, NULL, 0), child);
  close(in);
  close(out);
  lf_array_refs_fini(&array_refs, owner);
  lf_hold_end(&hold);
}

static void fill(lf_array *a, int32_t value) {
  for (size_t i = 0; i < a->length; i++)
    ((int32_t *)a->data)[i] = value;
}

static bool is_full_of(lf_array *a, int32_t value) {
  for (size_t i = 0; i < a->length; i++)
    if (((int32_t *)a->data)[i] != value)
      return false;
  return true;
}

static void use_what_is_sent(void) {
  lf_array *a = receive(), *again = receive(), *part = receive();
  if (a != again || part->base != a || !part->readonly || part->length != 5 ||
      part->data != (int32_t *)a->data + 10 || !is_full_of(a, 1))
    abort();
  fill(a, 2);
  lf_array_unref(part);
  lf_array_unref(again);
  send_dropped(); /* nothing yet */
  send(a);        /* home */
  lf_array_unref(a);
  send_dropped();
}

static void a_child_uses_what_it_is_sent(void **state) {
  (void)state;
  start(use_what_is_sent);
  lf_array *a = lf_array_new(LF_A_INT32, 100); /* after the fork */
  lf_array *part = lf_array_view(a, 10, 5, true);
  fill(a, 1);
  send(a);
  send(a);
  send(part);
  lf_array_unref(part);
  receive_dropped();
  lf_array *global = receive();
  assert_ptr_equal(global, a);
  assert_true(is_full_of(a, 2));
  lf_array_unref(a);
  lf_array_unref(global);
  assert_int_equal(lf_array_stat().arrays, 1); /* the child's, it may be */
  receive_dropped();
  assert_int_equal(lf_array_stat().arrays, 0);
  await_body();
  kill_child();
}

static void make_and_send(void) {
  for (int i = 0; i < 10; i++) {
    lf_array *a = lf_array_new(LF_A_INT32, 1000);
    fill(a, i);
    send(a);
    lf_array_unref(a);
  }
  receive_dropped();
  if (lf_array_stat().arrays != 9)
    abort();
}

static void what_a_child_has_made_survives_it(void **state) {
  (void)state;
  lf_array *all[10];
  start(make_and_send);
  for (int i = 0; i < 10; i++)
    all[i] = receive();
  assert_int_equal(roused, 0);
  assert_true(is_full_of(all[3], 3));
  lf_array_unref(all[3]);
  assert_int_equal(roused, 1);
  send_dropped();
  await_body();
  kill_child();
  assert_int_equal(lf_array_stat().arrays, 9);
  uint32_t zones = lf_zones_owned();
  for (int i = 0; i < 10; i++)
    if (i != 3) {
      assert_true(is_full_of(all[i], i));
      assert_int_equal(lf_zones_owned(), zones);
      lf_array_unref(all[i]);
    }
  assert_int_equal(lf_zones_owned(), zones - 1);
}

static void make_a_large_one(void) {
  lf_array *a = lf_array_new(LF_A_INT32, (size_t)(5 * lf_zone_size() / 2) / 4);
  ((int32_t *)a->data)[a->length - 1] = 5;
  send(a);
  lf_array_unref(a);
}

static void a_large_one_survives_in_all_its_zones(void **state) {
  (void)state;
  start(make_a_large_one);
  lf_array *a = receive();
  await_body();
  kill_child();
  assert_int_equal(((int32_t *)a->data)[a->length - 1], 5);
  assert_true(lf_zones_owned() >= 3);
  lf_array_unref(a);
}

static lf_array *inherited;

static void send_what_is_inherited(void) {
  if (lf_array_is(inherited) != LF_ARRAY_INHERITED || !is_full_of(inherited, 1))
    abort();
  fill(inherited, 2);
  send(inherited); /* without having been sent it */
  lf_array *a = receive();
  if (a != inherited)
    abort();
  lf_array_unref(a);
  lf_array_unref(inherited); /* now it is given, no more inherited */
  send_dropped();
}

static void inherited_memory_is_the_parent_s(void **state) {
  (void)state;
  inherited = lf_array_new(LF_A_INT32, 100);
  fill(inherited, 1);
  start(send_what_is_inherited);
  lf_array *a = receive();
  assert_ptr_equal(a, inherited);
  assert_true(is_full_of(a, 2));
  send(a);
  receive_dropped();
  await_body();
  assert_true(is_full_of(a, 2));
  lf_array_unref(a);
  lf_array_unref(inherited);
  assert_int_equal(lf_array_stat().arrays, 1); /* held */
  kill_child();
  assert_int_equal(lf_array_stat().arrays, 0);
}

static void drop_what_is_inherited(void) {
  lf_array_unref(inherited);
  lf_array *a = lf_array_new(LF_A_INT32, 100);
  if (!a || a->data == inherited->data)
    abort();
  fill(a, 3);
  lf_array_unref(a);
}

static void a_child_does_not_free_its_parent_s(void **state) {
  (void)state;
  inherited = lf_array_new(LF_A_INT32, 100);
  lf_array_ref(inherited); /* so that the child can look at it */
  fill(inherited, 1);
  start(drop_what_is_inherited);
  await_body();
  kill_child();
  assert_true(is_full_of(inherited, 1));
  lf_array_unref(inherited);
  lf_array_unref(inherited);
}

static void end_at_once(void) {
}

static void names_that_were_not_sent_do_not_count(void **state) {
  (void)state;
  start(end_at_once);
  lf_array_name name;
  lf_array *a = lf_array_new(LF_A_INT8, 10);
  assert_int_equal(lf_array_refs_name(&array_refs, a, &name), 0);
  assert_int_equal(lf_array_refs_name(&array_refs, a, &name), 0);
  lf_array_unref(a);
  lf_array_refs_unname(&array_refs, &name);
  assert_int_equal(lf_array_stat().arrays, 1);
  lf_array_refs_unname(&array_refs, &name);
  assert_int_equal(lf_array_stat().arrays, 0);
  await_body();
  kill_child();
}

static void nonsense_is_refused(void **state) {
  (void)state;
  start(end_at_once);
  lf_array *a = lf_array_new(LF_A_INT32, 100);
  const lf_array_name good = {
      .at = a->at, .size = a->bytes, .length = a->length, .type = LF_A_INT32};
  lf_array *found = lf_array_find(&array_refs.giver, &good);
  assert_ptr_equal(found, a);
  lf_array_unref(found);
  lf_array_name bad[9];
  for (int i = 0; i < 9; i++)
    bad[i] = good;
  bad[0].type = UINT8_MAX;
  bad[1].type = LF_A_KINDS;
  bad[2].type = LF_A_INT8;
  bad[3].at = 0;
  bad[4].at += 1;
  bad[5].at = lf_arena_size();
  bad[6].size = UINT64_MAX;
  bad[7].skip = 1;
  bad[8].length = UINT64_MAX;
  for (int i = 0; i < 9; i++)
    assert_null(lf_array_find(&array_refs.giver, &bad[i]));
  lf_array_unref(a);
  await_body();
  kill_child();
}

/* Who has an array from elsewhere may give it to whom it belongs: it is told at
 * once that this was not needed. */
static void what_is_known_is_declined(void **state) {
  (void)state;
  start(end_at_once);
  lf_array *a = lf_array_new(LF_A_INT32, 100);
  const lf_array_name name = {.at = a->at,
                              .size = a->bytes,
                              .length = a->length,
                              .type = LF_A_INT32,
                              .given = true};
  lf_array *found = lf_array_find(&array_refs.giver, &name);
  assert_ptr_equal(found, a);
  lf_array_unref(found);
  assert_int_equal(roused, 1);
  lf_array *gone = lf_array_take_dropped(&array_refs.giver);
  assert_int_equal(gone->at, a->at);
  assert_int_equal(gone->names, 1);
  assert_null(gone->next);
  lf_array_put_dropped(&array_refs.giver, gone); /* freed with the array_refs */
  lf_array_unref(a);
  await_body();
  kill_child();
}

/* --- Against a model: both make, send, drop at random --- */

enum { SLOTS = 50 };

typedef struct {
  lf_array *a[SLOTS];
  int32_t value[SLOTS];
  unsigned random;
} model;

static unsigned draw(model *m, unsigned n) {
  m->random = m->random * 1103515245 + 12345;
  return (m->random >> 8) % n;
}

static void drop(model *m, unsigned i) {
  if (m->a[i] && !is_full_of(m->a[i], m->value[i]))
    abort();
  if (m->a[i])
    lf_array_unref(m->a[i]);
  m->a[i] = NULL;
}

/* One side's turn: makes or drops some, and sends one with its value. */
static void act(model *m) {
  for (int k = 0; k < 3; k++)
    drop(m, draw(m, SLOTS));
  unsigned i = draw(m, SLOTS);
  if (!m->a[i]) {
    m->a[i] = lf_array_new(LF_A_INT32, draw(m, 1u << draw(m, 14)) + 1);
    m->value[i] = (int32_t)draw(m, 1000000);
    fill(m->a[i], m->value[i]);
  }
  send(m->a[i]);
  put(&m->value[i], sizeof m->value[i]);
  send_dropped();
}

static void react(model *m) {
  unsigned i = draw(m, SLOTS);
  drop(m, i);
  m->a[i] = receive();
  get(&m->value[i], sizeof m->value[i]);
  if (!is_full_of(m->a[i], m->value[i]))
    abort();
  receive_dropped();
}

static void play(void) {
  model m = {.random = 1};
  for (int i = 0; i < MANY; i++) {
    react(&m);
    act(&m);
  }
  for (unsigned i = 0; i < SLOTS; i++)
    drop(&m, i);
  send_dropped();
  receive_dropped();
  if (lf_array_stat().arrays != 0 || lf_array_stat().bytes != 0)
    abort();
}

static void two_processes_agree(void **state) {
  (void)state;
  model m = {.random = 2};
  start(play);
  for (int i = 0; i < MANY; i++) {
    act(&m);
    react(&m);
  }
  for (unsigned i = 0; i < SLOTS; i++)
    drop(&m, i);
  receive_dropped();
  send_dropped();
  await_body();
  assert_int_equal(lf_array_stat().arrays, 0);
  kill_child();
}

/* Killed in the middle of it: what is here stays whole, and all comes back. */
static void play_for_ever(void) {
  model m = {.random = 3};
  for (;;) {
    react(&m);
    act(&m);
  }
}

static void a_death_in_the_middle_loses_nothing(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    model m = {.random = (unsigned)round};
    start(play_for_ever);
    for (int i = 0; i < 100 + round; i++) {
      act(&m);
      react(&m);
    }
    kill_child();
    for (unsigned i = 0; i < SLOTS; i++)
      drop(&m, i);
    assert_int_equal(lf_array_stat().arrays, 0);
    assert_true(lf_zones_owned() <= 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ARRAY(has_its_type_and_size),
      ARRAY(may_be_empty_or_too_large),
      ARRAY(views_hold_their_root),
      ARRAY(comes_and_goes),
      ARRAY(is_kept_for_forks_before_its_end),
      ARRAY(overlapping_forks_keep_it_until_the_last),
      ARRAY(a_child_uses_what_it_is_sent),
      ARRAY(what_a_child_has_made_survives_it),
      ARRAY(a_large_one_survives_in_all_its_zones),
      ARRAY(inherited_memory_is_the_parent_s),
      ARRAY(a_child_does_not_free_its_parent_s),
      ARRAY(names_that_were_not_sent_do_not_count),
      ARRAY(nonsense_is_refused),
      ARRAY(what_is_known_is_declined),
      ARRAY(two_processes_agree),
      ARRAY(a_death_in_the_middle_loses_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
