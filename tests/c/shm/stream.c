/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/stream.h. */
#include "tests/c/fake.h"

#include "runtime/shm/arena.h"
#include "runtime/shm/stream.h"

#include <stdlib.h>
#include <string.h>

enum { TYPE = 1 };

static lf_array *root;
static lf_shared *object;

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  lf_object_fini(TYPE, NULL);
  root = lf_object_new(TYPE, sizeof(lf_shared));
  object = root->data;
  return 0;
}

static int end(void **state) {
  lf_slabs_free_of(object);
  lf_array_unref(root);
  return fake_unshare(state);
}

#define STREAM(f) cmocka_unit_test_setup_teardown(f, begin, end)

static unsigned char byte_at(size_t i) {
  return (unsigned char)(i * 7 + i / 251);
}

/* Writes the bytes that follow the first 'from' of the pattern. */
static void write_pattern(lf_position *at, size_t from, size_t n) {
  unsigned char *bytes = malloc(n + 1);
  for (size_t i = 0; i < n; i++)
    bytes[i] = byte_at(from + i);
  assert_true(lf_stream_write(object, at, bytes, n));
  free(bytes);
}

static void assert_pattern(lf_position *at, size_t from, size_t n) {
  unsigned char *bytes = malloc(n + 1);
  assert_true(lf_stream_read(at, bytes, n));
  for (size_t i = 0; i < n; i++)
    if (bytes[i] != byte_at(from + i))
      fail_msg("byte %zu", from + i);
  free(bytes);
}

/* In pieces of all sizes, over the ends of slabs, read in other pieces. */
static void reads_what_was_written(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start, from = start;
  size_t written = 0, read = 0, most = 5 * lf_slab_size();
  for (size_t n = 0; written < most; n = n * 2 % 1021 + 1) {
    write_pattern(&to, written, n);
    written += n;
  }
  for (size_t n = 1; read < written; n = n * 3 % 977 + 1) {
    n = n < written - read ? n : written - read;
    assert_pattern(&from, read, n);
    read += n;
  }
  assert_int_equal(from, to);
  assert_int_equal(lf_slabs(), object->slabs);
  assert_true(lf_slabs() >= 5);
}

static void moves_without_reading(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start, from = start;
  size_t most = 3 * lf_slab_size();
  write_pattern(&to, 0, most + 10);
  assert_true(lf_stream_read(&from, NULL, most));
  assert_pattern(&from, most, 10);
  from = start;
  assert_true(lf_stream_read(&from, NULL, 0));
  assert_int_equal(from, start);
}

static void writes_over_what_is_there(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start, from = start;
  write_pattern(&to, 0, 3 * lf_slab_size());
  uint64_t slabs = lf_slabs();
  to = start;
  write_pattern(&to, 9, 3 * lf_slab_size());
  assert_int_equal(lf_slabs(), slabs); /* those that follow already */
  assert_pattern(&from, 9, 3 * lf_slab_size());
}

static void appends_to_a_buffer(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start, from = start;
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  write_pattern(&to, 0, 100);
  assert_int_equal(lf_stream_append(&from, &buf, 60), 0);
  assert_int_equal(lf_stream_append(&from, &buf, 0), 0);
  assert_int_equal(lf_stream_append(&from, &buf, 40), 0);
  assert_int_equal(buf.len, 100);
  for (size_t i = 0; i < 100; i++)
    assert_int_equal(buf.data[i], byte_at(i));
  assert_int_equal(lf_stream_append(&from, &buf, UINT64_MAX / 2), LF_ENOMEM);
  assert_int_equal(lf_stream_append(&from, &buf, 2 * lf_slab_size()),
                   LF_EDAMAGED);
  lf_buf_fini(&buf);
}

/* --- Damage --- */

static void ends_where_a_link_is_spoilt(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start;
  size_t n = 3 * lf_slab_size(), half = lf_slab_size() / 2;
  unsigned char *bytes = malloc(n);
  write_pattern(&to, 0, n);
  unsigned char *slab = lf_arena_at(start & ~(lf_slab_size() - 1));
  for (size_t i = 0; i < 16; i++) { /* the next one and its check */
    lf_position from = start;
    slab[i] ^= 0x10;
    memset(bytes, 0xff, n);
    assert_false(lf_stream_read(&from, bytes, n));
    assert_int_equal(bytes[half], byte_at(half));
    assert_int_equal(bytes[n - 1], 0); /* what is missing */
    slab[i] ^= 0x10;
  }
  lf_position from = start;
  assert_true(lf_stream_read(&from, bytes, n));
  free(bytes);
}

/* --- Giving back --- */

/* One that was read is kept to be written. */
static void keeps_one_behind_the_end(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start;
  write_pattern(&to, 0, 5 * lf_slab_size());
  uint64_t slabs = lf_slabs();
  lf_position from = start;
  assert_true(lf_stream_read(&from, NULL, 3 * lf_slab_size()));
  lf_stream_leave(start, from, to);
  assert_int_equal(lf_slabs(), slabs - 2); /* of three that were left */
  assert_pattern(&from, 3 * lf_slab_size(), 2 * lf_slab_size());
  write_pattern(&to, 5 * lf_slab_size(), lf_slab_size());
  assert_int_equal(lf_slabs(), slabs - 2);
  assert_pattern(&from, 5 * lf_slab_size(), lf_slab_size());
}

static void cuts_off_what_follows(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start, from = start;
  write_pattern(&to, 0, 4 * lf_slab_size());
  lf_stream_cut(start);
  assert_int_equal(lf_slabs(), 1);
  assert_false(lf_stream_read(&from, NULL, lf_slab_size()));
  lf_stream_cut(start);
  assert_int_equal(lf_slabs(), 1);
}

static void goes_back_to_the_start_of_a_slab(void **state) {
  (void)state;
  lf_position start = lf_stream_begin(object), to = start;
  write_pattern(&to, 0, 100);
  assert_int_equal(lf_stream_rewind(to), start);
  assert_int_equal(lf_stream_rewind(start), start);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      STREAM(reads_what_was_written),
      STREAM(moves_without_reading),
      STREAM(writes_over_what_is_there),
      STREAM(appends_to_a_buffer),
      STREAM(ends_where_a_link_is_spoilt),
      STREAM(keeps_one_behind_the_end),
      STREAM(cuts_off_what_follows),
      STREAM(goes_back_to_the_start_of_a_slab),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
