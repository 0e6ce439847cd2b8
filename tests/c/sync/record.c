/* SPDX-License-Identifier: MIT
 *
 * runtime/sync/record.h. Linked with memory.c. */
#include "tests/c/fake.h"
#include "tests/c/memory.h"

#include "runtime/base/code.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/refs.h"
#include "runtime/sync/record.h"

#include <stdlib.h>
#include <string.h>

enum { TYPE = 1 };

static lf_array *root;
static lf_shared *object;
static lf_position start;
static lf_buf values, tail;

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  lf_object_fini(TYPE, NULL);
  root = lf_object_new(TYPE, sizeof(lf_shared));
  object = root->data;
  start = lf_stream_begin(object);
  lf_buf_init(&values, NULL, 0);
  lf_buf_init(&tail, NULL, 0);
  return 0;
}

static int end(void **state) {
  lf_buf_fini(&values);
  lf_buf_fini(&tail);
  lf_slabs_free_of(object);
  lf_array_unref(root);
  return fake_unshare(state);
}

#define RECORD(f) cmocka_unit_test_setup_teardown(f, begin, end)

/* --- Values that refer to something --- */

static int local_dropped;

static void drop_local(void *local) {
  ++*(int *)local;
}

static bool refer(void *to, void (*drop)(void *object)) {
  size_t at = values.len;
  if (lf_buf_put(&values, &to, sizeof to) == 0 &&
      lf_buf_ref(&values, at, to, drop) == 0)
    return true;
  drop(to);
  return false;
}

static bool refer_to_code(void) {
  lf_code *code = lf_code_get("code", 4, "its label", NULL);
  return code && refer(code, lf_code_unref);
}

static bool refer_to_array(uint64_t *at) {
  lf_array *a = lf_array_new(LF_A_INT32, 3);
  if (!a)
    return false;
  *at = a->at;
  ((int32_t *)a->data)[2] = 42;
  return refer(a, lf_array_unref);
}

static lf_record made(void) {
  lf_record r;
  assert_int_equal(lf_record_make(object, &r, &values, &tail), 0);
  return r;
}

/* Writes the values to the stream, as those do who keep records; what they
 * referred to then belongs to the record. */
static lf_record written(void) {
  lf_position at = start;
  lf_record r = made();
  assert_true(lf_record_write(object, &at, &r, &values, &tail));
  lf_record_keep(&values);
  lf_buf_fini(&values);
  lf_buf_fini(&tail);
  return r;
}

static int read_back(lf_record *r) {
  lf_position at = start;
  lf_buf_reset(&values);
  lf_buf_reset(&tail);
  return lf_record_read(&at, r, &values, &tail);
}

/* --- Round trips --- */

static void values_come_back(void **state) {
  (void)state;
  static const char text[] = "some values";
  lf_record r;
  assert_int_equal(lf_buf_put(&values, text, sizeof text), 0);
  written();
  assert_int_equal(read_back(&r), 0);
  assert_int_equal(values.len, sizeof text);
  assert_memory_equal(values.data, text, sizeof text);
  assert_int_equal(tail.len, 0);
  assert_int_equal(r.process, 0);
  assert_true(lf_record_is_ours(&r));
  assert_int_equal(lf_record_open(&values, &tail, NULL), 0);
  lf_record_drop(object, &r, &tail, true);
}

static void nothing_comes_back(void **state) {
  (void)state;
  lf_record r;
  written();
  assert_int_equal(read_back(&r), 0);
  assert_int_equal(values.len + tail.len, 0);
}

/* Where the values name an object there is its address, whatever it is now. */
static void references_come_back(void **state) {
  (void)state;
  lf_record r;
  uint64_t at = 0;
  void *named[2];
  assert_true(refer_to_code() && refer_to_array(&at));
  written();
  assert_int_equal(read_back(&r), 0);
  assert_true(lf_refs_place(at)); /* the record has the array */
  assert_int_equal(lf_record_open(&values, &tail, NULL), 0);
  assert_true(values.foreign);
  assert_int_equal(values.refs->n, 2);
  memcpy(named, values.data, sizeof named);
  lf_code *code = named[0];
  assert_memory_equal(code->bytes, "code", 4);
  assert_string_equal(code->label, "its label");
  lf_array *array = named[1];
  assert_int_equal(array->at, at);
  assert_int_equal(((int32_t *)array->data)[2], 42);
  lf_record_drop(object, &r, &tail, true);
  assert_int_equal(array->length, 3); /* the values keep it */
}

static void objects_of_this_process_come_back(void **state) {
  (void)state;
  lf_record r;
  local_dropped = 0;
  assert_true(refer(&local_dropped, drop_local));
  written();
  assert_int_equal(read_back(&r), 0);
  assert_int_equal(r.process, lf_process());
  assert_int_equal(lf_record_open(&values, &tail, NULL), 0);
  lf_record_drop(object, &r, &tail, true); /* the values have it now */
  assert_int_equal(local_dropped, 0);
  lf_buf_reset(&values);
  assert_int_equal(local_dropped, 1);
}

static void what_nobody_takes_is_dropped(void **state) {
  (void)state;
  lf_record r;
  uint64_t at = 0;
  local_dropped = 0;
  assert_true(refer(&local_dropped, drop_local) && refer_to_array(&at));
  written();
  assert_int_equal(read_back(&r), 0);
  lf_record_drop(object, &r, &tail, false);
  assert_int_equal(local_dropped, 1);
  assert_false(lf_refs_place(at));
}

static void what_is_undone_was_never_there(void **state) {
  (void)state;
  uint64_t at = 0;
  local_dropped = 0;
  assert_true(refer(&local_dropped, drop_local) && refer_to_array(&at));
  made();
  assert_true(lf_refs_place(at));
  lf_record_undo(object, &tail);
  assert_false(lf_refs_place(at));
  assert_int_equal(local_dropped, 0); /* the values have all that they had */
  lf_buf_reset(&values);
  assert_int_equal(local_dropped, 1);
}

/* A copy that is opened when the record is no more. */
static void a_pinned_copy_outlives_the_record(void **state) {
  (void)state;
  lf_record r;
  uint64_t at = 0;
  assert_true(refer_to_array(&at));
  written();
  assert_int_equal(read_back(&r), 0);
  assert_int_equal(lf_record_pin(object, &tail), 0);
  lf_record_drop(object, &r, &tail, false);
  assert_true(lf_refs_place(at));
  assert_int_equal(lf_record_open(&values, &tail, NULL), 0);
  lf_record_undo(object, &tail);
  assert_int_equal(values.refs->n, 1);
}

/* --- Other processes --- */

static void read_in_child(void *arg) {
  lf_record r;
  int want = *(int *)arg;
  if (read_back(&r) != want || lf_record_is_ours(&r) != (want == 0))
    abort();
  /* It may not touch what is not its own. */
  if (want == LF_EFOREIGN)
    lf_record_drop(object, &r, &tail, false);
}

static void only_its_process_takes_what_is_local(void **state) {
  (void)state;
  fake_child child;
  lf_record r;
  local_dropped = 0;
  assert_true(refer(&local_dropped, drop_local));
  written();
  fake_start(&child, read_in_child, (int[]){LF_EFOREIGN});
  assert_int_equal(fake_join(&child), 0);
  assert_int_equal(read_back(&r), 0);
  lf_record_drop(object, &r, &tail, false);
  assert_int_equal(local_dropped, 1);
  assert_true(refer_to_code());
  written();
  fake_start(&child, read_in_child, (int[]){0});
  assert_int_equal(fake_join(&child), 0);
}

/* --- Damage --- */

/* The byte of the record in the arena; it is in the first slab. */
static unsigned char *byte_of(size_t i) {
  return (unsigned char *)lf_arena_at(start) + i;
}

static void damaged_sizes_are_noticed(void **state) {
  (void)state;
  lf_record r;
  lf_buf_put(&values, "values", 6);
  assert_true(refer_to_code());
  written();
  for (size_t i = 0; i < sizeof(lf_record); i++)
    for (int bit = 0; bit < 8; bit++) {
      *byte_of(i) ^= 1 << bit;
      lf_position at = start;
      assert_int_equal(lf_record_read(&at, &r, &values, &tail), LF_EDAMAGED);
      assert_int_equal(at, start); /* where it ends is not known */
      *byte_of(i) ^= 1 << bit;
    }
  assert_int_equal(read_back(&r), 0);
}

static void damaged_references_are_noticed(void **state) {
  (void)state;
  lf_record r, whole;
  lf_buf_put(&values, "values", 6);
  assert_true(refer_to_code());
  whole = written();
  for (size_t i = 0; i < whole.tail; i++) {
    unsigned char *byte = byte_of(sizeof whole + whole.body + i);
    *byte ^= 0x20;
    lf_position at = start;
    lf_buf_reset(&values);
    lf_buf_reset(&tail);
    assert_int_equal(lf_record_read(&at, &r, &values, &tail), LF_EDAMAGED);
    assert_true(at > start); /* the next one can be read */
    assert_false(lf_record_has_tail(&r, &tail));
    *byte ^= 0x20;
  }
  assert_int_equal(read_back(&r), 0);
  assert_true(lf_record_has_tail(&r, &tail));
  tail.len--;
  assert_false(lf_record_has_tail(&r, &tail));
  tail.len++;
}

/* --- Lack of memory --- */

static bool make_and_open(void *arg) {
  lf_record r;
  uint64_t at = 0;
  (void)arg;
  bool good = refer_to_array(&at) && refer_to_code() &&
              lf_record_make(object, &r, &values, &tail) == 0;
  if (good) {
    lf_record_keep(&values);
    good = lf_record_pin(object, &tail) == 0;
    if (good) {
      good = lf_record_open(&values, &tail, NULL) == 0;
      lf_record_undo(object, &tail);
    }
    lf_record_drop(object, &r, &tail, good);
  }
  lf_buf_fini(&values);
  lf_buf_fini(&tail);
  lf_array_sweep();
  if (at && lf_refs_place(at))
    abort();
  return good;
}

static void lacks_memory(void **state) {
  (void)state;
  assert_true(make_and_open(NULL)); /* what stays is there */
  assert_true(memory_fail_each(make_and_open, NULL) > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      RECORD(values_come_back),
      RECORD(nothing_comes_back),
      RECORD(references_come_back),
      RECORD(objects_of_this_process_come_back),
      RECORD(what_nobody_takes_is_dropped),
      RECORD(what_is_undone_was_never_there),
      RECORD(a_pinned_copy_outlives_the_record),
      RECORD(only_its_process_takes_what_is_local),
      RECORD(damaged_sizes_are_noticed),
      RECORD(damaged_references_are_noticed),
      RECORD(lacks_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
