/* SPDX-License-Identifier: MIT
 *
 * runtime/sync/queue.h, with what it is made of: slabs, streams, records,
 * robust locks, the table of references of taken references. */
#include "tests/c/fake.h"

#include "runtime/base/code.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/refs.h"
#include "runtime/sync/queue.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TYPE = 1 };

static lf_array *root;
static lf_queue *q;

static void fini(void *queue) {
  lf_queue_fini(queue);
}

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  lf_object_fini(TYPE, fini);
  root = lf_object_new(TYPE, sizeof(lf_queue));
  q = root->data;
  lf_queue_init(q, 0);
  return 0;
}

static int end(void **state) {
  lf_array_unref(root);
  return fake_unshare(state);
}

#define QUEUE(f) cmocka_unit_test_setup_teardown(f, begin, end)

static int put_bytes(const void *bytes, size_t n) {
  lf_buf b = {0};
  if (lf_buf_put(&b, bytes, n) != 0)
    abort();
  int err = lf_queue_put(q, &b);
  lf_buf_fini(&b);
  return err;
}

static int put_number(uint64_t n) {
  return put_bytes(&n, sizeof n);
}

/* -1: none. */
static int64_t get_number(void) {
  uint64_t n = 0;
  lf_buf b = {0};
  int err = lf_queue_get(q, &b, NULL);
  if (err == 0)
    memcpy(&n, b.data, sizeof n);
  lf_buf_fini(&b);
  return err ? -1 : (int64_t)n;
}

/* --- Items --- */

static void first_in_first_out(void **state) {
  (void)state;
  assert_int_equal(get_number(), -1);
  for (uint64_t k = 0; k < 5; k++) {
    for (uint64_t i = 0; i < 1000; i++)
      assert_int_equal(put_number(i), 0);
    assert_int_equal(lf_queue_look(q).count, 1000);
    for (uint64_t i = 0; i < 1000; i++)
      assert_int_equal(get_number(), i);
    assert_int_equal(lf_queue_look(q).count, 0);
  }
}

/* What lies in front of the first item. */
static lf_record *first_record(void) {
  return lf_arena_at(lf_queue_look(q).head);
}

static int get_any(void) {
  lf_buf b = {0};
  int err = lf_queue_get(q, &b, NULL);
  lf_buf_fini(&b);
  return err;
}

/* Whatever of a record is changed: it is noticed, and what cannot be found any
 * more is gone. */
static void spoilt_records(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(lf_record); i++) {
    for (uint64_t n = 1; n <= 3; n++)
      assert_int_equal(put_number(n), 0);
    ((unsigned char *)first_record())[i] ^= (unsigned char)(1u << i % 8);
    assert_int_equal(get_any(), LF_EDAMAGED);
    assert_int_equal(lf_queue_look(q).count, 0);
    assert_int_equal(lf_queue_look(q).unfinished, 0);
    assert_int_equal(get_any(), LF_EAGAIN);
    assert_int_equal(put_number(7), 0);
    assert_int_equal(get_number(), 7);
    assert_int_equal(lf_queue_done(q), 0);
  }
}

/* Of what an item refers to, the next one still begins behind it. */
static void spoilt_references(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    lf_buf b = {0};
    void *none = NULL;
    lf_code *code = lf_code_get("bytes", 5, "label", NULL);
    assert_non_null(code);
    assert_int_equal(lf_buf_put(&b, &none, sizeof none), 0);
    assert_int_equal(lf_buf_ref(&b, 0, code, lf_code_unref), 0);
    assert_int_equal(lf_queue_put(q, &b), 0);
    lf_buf_fini(&b);
    assert_int_equal(put_number(5), 0);
    lf_record *r = first_record();
    ((unsigned char *)(r + 1))[r->body + (size_t)i] ^= 1;
    assert_int_equal(get_any(), LF_EDAMAGED);
    assert_int_equal(get_number(), 5);
    assert_int_equal(lf_queue_done(q), 0);
  }
}

/* Sizes around those of slabs, mixed, while the queue is long and short. */
static void items_of_any_size(void **state) {
  (void)state;
  uint64_t slab = lf_slab_size();
  const size_t sizes[] = {
      0,         1,         7,    slab - 200, slab - 100,
      slab - 73, slab - 72, slab, 3 * slab,   10 * slab + 5};
  enum { SIZES = sizeof sizes / sizeof sizes[0] };
  unsigned char *bytes = malloc(sizes[SIZES - 1]);
  for (size_t ahead = 1; ahead < 30; ahead += 7) {
    for (size_t i = 0; i < 200 + ahead; i++) {
      if (i < 200) {
        memset(bytes, (int)i, sizes[i % SIZES]);
        assert_int_equal(put_bytes(bytes, sizes[i % SIZES]), 0);
      }
      if (i < ahead)
        continue;
      size_t k = i - ahead;
      lf_buf b = {0};
      assert_int_equal(lf_queue_get(q, &b, NULL), 0);
      assert_int_equal(b.len, sizes[k % SIZES]);
      for (size_t at = 0; at < b.len; at += at + 1 < b.len ? b.len / 3 + 1 : 1)
        assert_int_equal(b.data[at], (unsigned char)k);
      lf_buf_fini(&b);
    }
    assert_true(lf_slabs() <= 2); /* the rest has been given back */
  }
  free(bytes);
}

static void as_many_as_there_is_room_for(void **state) {
  (void)state;
  q->maxsize = 2;
  assert_int_equal(put_number(1), 0);
  assert_int_equal(put_number(2), 0);
  assert_int_equal(put_number(3), LF_EAGAIN);
  assert_int_equal(get_number(), 1);
  assert_int_equal(put_number(3), 0);
}

static void a_closed_one_is_drained(void **state) {
  (void)state;
  lf_buf b = {0};
  put_number(1);
  lf_queue_close(q);
  assert_int_equal(put_number(2), LF_ECLOSED);
  assert_int_equal(get_number(), 1);
  assert_int_equal(lf_queue_get(q, &b, NULL), LF_ECLOSED);
  lf_queue_close(q);
}

static void done_is_counted(void **state) {
  (void)state;
  assert_int_equal(lf_queue_done(q), LF_EPERM);
  put_number(1);
  put_number(2);
  get_number();
  assert_int_equal(lf_queue_done(q), 0);
  assert_int_equal(lf_queue_look(q).unfinished, 1);
  assert_int_equal(lf_queue_done(q), 0);
  assert_int_equal(lf_queue_done(q), LF_EPERM);
}

/* What is in it when it goes, goes with it (fake_unshare counts). */
static void goes_with_its_slabs(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 100000; i++)
    put_number(i);
  assert_true(lf_slabs() > 2);
}

/* --- What items refer to --- */

static int dropped;

static void drop_object(void *object) {
  (void)object;
  dropped++;
}

static lf_buf naming(void *object, void (*drop)(void *object)) {
  lf_buf b = {0};
  if (lf_buf_put(&b, &object, sizeof object) != 0 ||
      lf_buf_ref(&b, 0, object, drop) != 0)
    abort();
  return b;
}

static void code_goes_along(void **state) {
  (void)state;
  lf_code *code = lf_code_get("abc", 3, "function <x>", NULL);
  lf_buf b = naming(code, lf_code_unref), c = {0};
  assert_int_equal(lf_queue_put(q, &b), 0);
  lf_buf_fini(&b); /* and with it the code */
  assert_int_equal(lf_queue_get(q, &c, NULL), 0);
  lf_code *got;
  memcpy(&got, c.data, sizeof got);
  assert_memory_equal(got->bytes, "abc", 3);
  assert_string_equal(got->label, "function <x>");
  lf_buf_fini(&c);
}

static void take_nothing(void *arg) {
  lf_buf b = {0};
  (void)arg;
  if (lf_queue_get(q, &b, NULL) != LF_EFOREIGN)
    abort();
}

static void objects_of_a_process_stay_there(void **state) {
  (void)state;
  fake_child child;
  dropped = 0;
  lf_buf b = naming(&dropped, drop_object), c = {0};
  assert_int_equal(lf_queue_put(q, &b), 0);
  lf_buf_fini(&b);
  assert_int_equal(dropped, 0);
  fake_start(&child, take_nothing, NULL);
  assert_int_equal(fake_join(&child), 0);
  assert_int_equal(lf_queue_get(q, &c, NULL), 0);
  assert_int_equal(dropped, 0);
  lf_buf_fini(&c);
  assert_int_equal(dropped, 1);
  b = naming(&dropped, drop_object);
  assert_int_equal(lf_queue_put(q, &b), 0);
  lf_buf_fini(&b);
  lf_queue_fini(q);
  assert_int_equal(dropped, 2);
  c = (lf_buf){0};
  assert_int_equal(lf_queue_get(q, &c, NULL), 0);
  c.refs->n = 0;
  lf_buf_fini(&c);
}

/* An item that is not put has no reference. */
static void what_is_not_put_is_not_kept(void **state) {
  (void)state;
  lf_array *a = lf_array_new(LF_A_INT32, 10);
  lf_buf b = naming(lf_array_ref(a), lf_array_unref);
  lf_queue_close(q);
  assert_int_equal(lf_queue_put(q, &b), LF_ECLOSED);
  lf_buf_fini(&b);
  assert_false(lf_refs_place(a->at));
  lf_array_unref(a);
  assert_int_equal(lf_array_stat().arrays, 1);
}

static void put_array(lf_array *a) {
  lf_buf b = naming(a, lf_array_unref);
  if (lf_queue_put(q, &b) != 0)
    abort();
  lf_buf_fini(&b);
}

static lf_array *get_array(void) {
  lf_buf b = {0};
  lf_array *a;
  if (lf_queue_get(q, &b, NULL) != 0)
    abort();
  memcpy(&a, b.data, sizeof a);
  lf_array_ref(a);
  lf_buf_fini(&b);
  return a;
}

static void make_and_put(void *arg) {
  (void)arg;
  for (int32_t i = 0; i < 5; i++) {
    lf_array *a = lf_array_new(LF_A_INT32, 1000);
    if (i == 0) /* the others have parts of zones, this one many */
      a = (lf_array_unref(a), lf_array_new(LF_A_UINT8, lf_zone_size() + 1));
    for (size_t k = 0; k < a->length && k < 1000; k++)
      memset((char *)a->data + k * lf_element_size(a->type), i + 1, 1);
    put_array(a);
  }
}

/* What a process has put there outlives it. */
static void arrays_of_the_dead_are_taken(void **state) {
  (void)state;
  fake_child child;
  uint32_t zones = lf_zones_owned();
  fake_start(&child, make_and_put, NULL);
  assert_int_equal(fake_join(&child), 0);
  assert_true(lf_zones_owned() > zones);
  for (int32_t i = 0; i < 5; i++) {
    lf_array *a = get_array();
    assert_int_equal(*(unsigned char *)a->data, i + 1);
    lf_array_unref(a);
  }
  lf_array_sweep();
  assert_int_equal(lf_zones_owned(), zones);
}

static void leave_a_queue(void *arg) {
  (void)arg;
  lf_array *own = lf_object_new(TYPE, sizeof(lf_queue));
  q = own->data;
  put_array(lf_array_new(LF_A_INT32, 1000));
  put_array(lf_object_new(TYPE, sizeof(lf_queue)));
}

/* A queue that nobody has any more has no items. */
static void queues_of_the_dead_hold_nothing(void **state) {
  (void)state;
  fake_child child;
  uint32_t zones = lf_zones_owned();
  fake_start(&child, leave_a_queue, NULL);
  assert_int_equal(fake_join(&child), 0);
  lf_array_sweep();
  assert_int_equal(lf_zones_owned(), zones);
}

/* Many different roots, one after the other, while one stays. */
static void the_table_does_not_wear_out(void **state) {
  (void)state;
  enum { MANY = LF_LIMIT(200000, 3000) };
  uint64_t here = lf_arena_size() / 2;
  assert_true(lf_refs_add(64, here));
  for (uint64_t i = 2; i < MANY; i++) {
    assert_true(lf_refs_add(i * 64, here));
    assert_true(lf_refs_add(i * 64, LF_REFS_HERE));
    lf_refs_del(i * 64, here);
    assert_true(lf_refs_place(i * 64));
    lf_refs_del(i * 64, LF_REFS_HERE);
    assert_false(lf_refs_place(i * 64));
  }
  assert_true(lf_refs_place(64));
  lf_refs_del(64, here);
  uint64_t n = 1;
  while (lf_refs_add(n * 64, here))
    n++;
  assert_true(n > LF_LIMIT(50000, 300));
  while (n-- > 1)
    lf_refs_del(n * 64, here);
  assert_true(lf_refs_add(64, here));
  lf_refs_del(64, here);
}

static void take_and_look(void *arg) {
  (void)arg;
  lf_array *a = get_array();
  if (((int32_t *)a->data)[9] != 7)
    abort();
  put_number(1);
  for (;;)
    pause();
}

/* The owner keeps what another has taken, until that one has ended. */
static void what_is_taken_is_kept(void **state) {
  (void)state;
  fake_child child;
  lf_array *a = lf_array_new(LF_A_INT32, 10);
  uint64_t at = a->at;
  ((int32_t *)a->data)[9] = 7;
  put_array(a); /* with our reference */
  lf_array_sweep();
  assert_true(lf_refs_place(at));
  assert_int_equal(lf_array_stat().arrays, 2);
  fake_start(&child, take_and_look, NULL);
  until(lf_queue_look(q).count == 1 && lf_queue_look(q).unfinished == 2);
  lf_array_sweep();
  assert_true(lf_refs_place(at));
  assert_int_equal(lf_array_stat().arrays, 2);
  assert_int_equal(get_number(), 1);
  fake_kill(&child);
  lf_array_sweep();
  assert_false(lf_refs_place(at));
  assert_int_equal(lf_array_stat().arrays, 1);
}

/* --- Processes --- */

static void put_thousand(void *number) {
  for (uint64_t i = 0; i < 1000; i++)
    if (put_number((uint64_t)(uintptr_t)number << 32 | i) != 0)
      abort();
}

static void several_put_at_once(void **state) {
  (void)state;
  fake_child children[3];
  uint64_t next[3] = {0};
  for (uintptr_t i = 0; i < 3; i++)
    fake_start(&children[i], put_thousand, (void *)i);
  for (int n = 0; n < 3000;) {
    int64_t i = get_number();
    if (i < 0) {
      sched_yield();
      continue;
    }
    assert_int_equal(i & 0xffffffff, next[i >> 32]++); /* each in its order */
    n++;
  }
  for (int i = 0; i < 3; i++)
    assert_int_equal(fake_join(&children[i]), 0);
}

static void die_with_the_lock(void *arg) {
  (void)arg;
  put_number(1);
  lf_robust_take(&q->robust);
  q->states[!q->current].count = 77; /* in the middle of a change */
  raise(SIGKILL);
}

static void a_dead_one_s_lock_is_taken_over(void **state) {
  (void)state;
  fake_child child;
  fake_start(&child, die_with_the_lock, NULL);
  assert_true(WIFSIGNALED(fake_join(&child)));
  assert_int_equal(lf_queue_look(q).count, 1);
  assert_int_equal(put_number(2), 0);
  assert_int_equal(get_number(), 1);
  assert_int_equal(get_number(), 2);
}

static void put_and_get_for_ever(void *arg) {
  (void)arg;
  static unsigned char bytes[20000];
  for (unsigned i = 0;; i++) {
    lf_buf b = {0};
    bytes[0] = 42;
    put_bytes(bytes, 1 + i * 7919 % sizeof bytes);
    if (i % 3 > 0)
      lf_queue_get(q, &b, NULL);
    lf_buf_fini(&b);
  }
}

/* Killed at any instant, a process leaves whole items, and as many as it says.
 */
static void deaths_at_any_instant(void **state) {
  (void)state;
  fake_child child;
  for (int i = 0; i < 100; i++) {
    uint64_t before = lf_queue_look(q).count;
    fake_start(&child, put_and_get_for_ever, NULL);
    until(lf_queue_look(q).count > before + (uint64_t)i % 5);
    fake_kill(&child);
    uint64_t n = lf_queue_look(q).count;
    for (; n > 0; n--) {
      lf_buf b = {0};
      assert_int_equal(lf_queue_get(q, &b, NULL), 0);
      assert_int_equal(b.data[0], 42);
      lf_buf_fini(&b);
    }
    assert_int_equal(get_number(), -1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      QUEUE(first_in_first_out),
      QUEUE(spoilt_records),
      QUEUE(spoilt_references),
      QUEUE(items_of_any_size),
      QUEUE(as_many_as_there_is_room_for),
      QUEUE(a_closed_one_is_drained),
      QUEUE(done_is_counted),
      QUEUE(goes_with_its_slabs),
      QUEUE(code_goes_along),
      QUEUE(objects_of_a_process_stay_there),
      QUEUE(what_is_not_put_is_not_kept),
      QUEUE(arrays_of_the_dead_are_taken),
      QUEUE(queues_of_the_dead_hold_nothing),
      QUEUE(the_table_does_not_wear_out),
      QUEUE(what_is_taken_is_kept),
      QUEUE(several_put_at_once),
      QUEUE(a_dead_one_s_lock_is_taken_over),
      QUEUE(deaths_at_any_instant),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
