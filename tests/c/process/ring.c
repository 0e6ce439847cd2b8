/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/process/ring.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char byte_at(uint64_t i) {
  return (unsigned char)(i * 7 + i / 251);
}

static void put(lf_ring *ring, uint64_t from, size_t n) {
  unsigned char bytes[LF_RING_SIZE];
  for (size_t i = 0; i < n; i++)
    bytes[i] = byte_at(from + i);
  lf_ring_put(ring, 0, bytes, n);
  lf_ring_publish(ring, n);
}

/* How many of the bytes are wrong. */
static size_t take(lf_ring *ring, uint64_t from, size_t n) {
  unsigned char bytes[LF_RING_SIZE];
  size_t wrong = 0;
  lf_ring_take(ring, bytes, n);
  for (size_t i = 0; i < n; i++)
    wrong += bytes[i] != byte_at(from + i);
  return wrong;
}

static void is_empty_at_first(void **state) {
  (void)state;
  int fd;
  lf_region *r = lf_region_new(&fd);
  assert_non_null(r);
  assert_int_equal(lf_ring_filled(&r->in), 0);
  assert_int_equal(lf_ring_room(&r->in), LF_RING_SIZE);
  assert_int_equal(lf_ring_room(&r->out), LF_RING_SIZE);
  for (int i = 0; i < LF_SLOTS; i++)
    assert_int_equal(r->slots[i], LF_SLOT_FREE);
  lf_region_unmap(r);
  close(fd);
}

/* All sizes that matter, at all places. */
static void goes_round(void **state) {
  (void)state;
  int fd;
  lf_region *r = lf_region_new(&fd);
  const size_t sizes[] = {1,   2,    3,
                          7,   64,   100,
                          999, 1024, LF_RING_SIZE / 2 + 1,
                          0,   4000, LF_RING_SIZE - 1,
                          5,   77,   LF_RING_SIZE};
  enum { SIZES = sizeof sizes / sizeof sizes[0] };
  uint64_t at = 0;
  for (int i = 0; i < 50 * SIZES; i++) {
    size_t n = sizes[i % SIZES];
    put(&r->in, at, n);
    assert_int_equal(lf_ring_filled(&r->in), n);
    assert_int_equal(lf_ring_room(&r->in), LF_RING_SIZE - n);
    assert_int_equal(take(&r->in, at, n), 0);
    at += n;
  }
  assert_int_equal(r->in.read, at);
  assert_int_equal(r->in.written, at);
  lf_region_unmap(r);
  close(fd);
}

/* A message put in pieces does not exist before it is published. */
static void publishes_at_once(void **state) {
  (void)state;
  int fd;
  lf_region *r = lf_region_new(&fd);
  for (int i = 0; i < 1000; i++) {
    char got[10];
    lf_ring_put(&r->out, 0, "abc", 3);
    lf_ring_put(&r->out, 3, "", 0);
    lf_ring_put(&r->out, 3, "defghij", 7);
    assert_int_equal(lf_ring_filled(&r->out), 0);
    lf_ring_publish(&r->out, 10);
    assert_int_equal(lf_ring_filled(&r->out), 10);
    lf_ring_take(&r->out, got, 4);
    assert_int_equal(lf_ring_filled(&r->out), 6);
    lf_ring_take(&r->out, got + 4, 6);
    assert_memory_equal(got, "abcdefghij", 10);
  }
  lf_region_unmap(r);
  close(fd);
}

/* What a dying process may leave in the words must not lead out of the ring. */
static void is_never_more_than_full(void **state) {
  (void)state;
  int fd;
  lf_region *r = lf_region_new(&fd);
  const uint64_t damaged[] = {LF_RING_SIZE + 1, UINT64_MAX, UINT64_MAX / 2};
  for (int i = 0; i < 3; i++) {
    r->in.written = damaged[i];
    assert_true(lf_ring_filled(&r->in) <= LF_RING_SIZE);
    assert_true(lf_ring_room(&r->in) <= LF_RING_SIZE);
    r->in.written = 0;
    r->in.read = damaged[i];
    assert_true(lf_ring_filled(&r->in) <= LF_RING_SIZE);
    assert_true(lf_ring_room(&r->in) <= LF_RING_SIZE);
    r->in.read = 0;
  }
  lf_region_unmap(r);
  close(fd);
}

enum { TOTAL = 64 * LF_RING_SIZE };

static void *produce(void *ring) {
  uint64_t at = 0;
  while (at < TOTAL) {
    size_t n = at % 997 + 1, room = lf_ring_room(ring);
    n = n < room ? n : room;
    n = n < TOTAL - at ? n : (size_t)(TOTAL - at);
    put(ring, at, n);
    at += n;
    if (n == 0)
      sched_yield();
  }
  return NULL;
}

/* Takes all of it; how many bytes are wrong. */
static size_t consume(lf_ring *ring) {
  uint64_t at = 0;
  size_t wrong = 0;
  while (at < TOTAL) {
    size_t n = at % 1009 + 1, filled = lf_ring_filled(ring);
    n = n < filled ? n : filled;
    wrong += take(ring, at, n);
    at += n;
    if (n == 0)
      sched_yield();
  }
  return wrong;
}

static void passes_bytes_between_threads(void **state) {
  (void)state;
  int fd;
  lf_region *r = lf_region_new(&fd);
  pthread_t thread;
  pthread_create(&thread, NULL, produce, &r->in);
  size_t wrong = consume(&r->in);
  pthread_join(thread, NULL);
  assert_int_equal(wrong, 0);
  lf_region_unmap(r);
  close(fd);
}

/* By the descriptor: a forked process does not have the mapping itself. */
static void passes_bytes_between_processes(void **state) {
  (void)state;
  int fd, status;
  lf_region *mine = lf_region_new(&fd);
  pid_t pid = fork();
  if (pid == 0) {
    lf_region *r = lf_region_map(fd);
    if (!r)
      _exit(99);
    size_t wrong = consume(&r->in);
    produce(&r->out);
    _exit(wrong != 0);
  }
  assert_true(pid > 0);
  produce(&mine->in);
  size_t wrong = consume(&mine->out);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(wrong, 0);
  lf_region_unmap(mine);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(is_empty_at_first),
      TEST(goes_round),
      TEST(publishes_at_once),
      TEST(is_never_more_than_full),
      TEST(passes_bytes_between_threads),
      TEST(passes_bytes_between_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
