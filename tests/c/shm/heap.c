/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/heap.h: blocks in a process's own zones. */
#include "tests/c/fake.h"

#include "runtime/os/thread.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MANY LF_LIMIT(20000, 2000)
#define LARGE ((uint64_t)LF_LIMIT(64 << 20, 256 << 10))

/* Bytes of the arena that are really there. */
static uint64_t resident(void) {
  struct stat s;
  assert_int_equal(fstat(lf_arena_fd(), &s), 0);
  return (uint64_t)s.st_blocks * 512;
}

/* --- Blocks --- */

static void hands_out_zeroes(void **state) {
  (void)state;
  static const uint64_t sizes[] = {0, 1, 63, 64, 65, 1000, 5000, 100000};
  for (int round = 0; round < 3; round++) {
    lf_extent *x[8];
    for (int i = 0; i < 8; i++) {
      x[i] = lf_heap_take(sizes[i]);
      assert_non_null(x[i]);
      assert_true(x[i]->size >= sizes[i] && x[i]->size > 0);
      assert_int_equal((uintptr_t)bytes_of(x[i]) % LF_HEAP_ALIGN, 0);
      assert_true(is_zero(x[i], x[i]->size));
      memset(bytes_of(x[i]), 0xff, x[i]->size);
    }
    for (int i = 0; i < 8; i++)
      lf_heap_give(x[(i * 3 + round) % 8]);
  }
}

static void uses_small_blocks_again(void **state) {
  (void)state;
  lf_extent *x = lf_heap_take(100);
  uint64_t at = x->at;
  lf_heap_give(x);
  for (int i = 0; i < 100; i++) {
    x = lf_heap_take(100);
    assert_int_equal(x->at, at);
    lf_heap_give(x);
  }
}

static void does_not_touch_what_it_hands_out(void **state) {
  (void)state;
  lf_extent *warm = lf_heap_take(100);
  memset(bytes_of(warm), 1, 100);
  uint64_t before = resident();
  lf_extent *x = lf_heap_take(LARGE), *y = lf_heap_take(3 * lf_zone_size());
  lf_heap_give(warm);
  lf_extent *z = lf_heap_take(LARGE);
  assert_int_equal(resident(), before);
  lf_heap_give(x);
  lf_heap_give(y);
  lf_heap_give(z);
}

static void gives_large_blocks_back(void **state) {
  (void)state;
  uint64_t before = resident();
  lf_extent *x = lf_heap_take(LARGE), *y = lf_heap_take(LARGE);
  memset(bytes_of(x), 1, LARGE);
  memset(bytes_of(y), 1, LARGE);
  assert_true(resident() >= before + LARGE);
  lf_heap_give(x);
  assert_true(resident() < before + LARGE + LARGE / 2);
  lf_heap_give(y);
  assert_true(resident() < before + LARGE / 2);
}

/* Also if they were many small ones. */
static void gives_small_blocks_back(void **state) {
  (void)state;
  uint64_t before = resident();
  lf_extent **x = malloc(MANY * sizeof *x);
  for (int i = 0; i < MANY; i++) {
    x[i] = lf_heap_take(500);
    memset(bytes_of(x[i]), 1, 500);
  }
  assert_true(resident() >= before + MANY * 300);
  for (int i = 0; i < MANY; i++)
    lf_heap_give(x[(i * 7) % MANY]);
  assert_true(resident() <= before + LF_LIMIT(512 << 10, 32 << 10));
  free(x);
}

static void takes_blocks_larger_than_a_zone(void **state) {
  (void)state;
  uint64_t zone = lf_zone_size();
  lf_extent *x = lf_heap_take(2 * zone + 1), *y = lf_heap_take(zone / 2);
  assert_true(y->at >= x->at + 2 * zone + 1 || y->at + zone / 2 <= x->at);
  unsigned char *last = bytes_of(x);
  last[2 * zone] = 1;
  lf_heap_give(x);
  x = lf_heap_take(2 * zone + 1);
  last = bytes_of(x);
  assert_int_equal(last[2 * zone], 0);
  lf_heap_give(y);
  lf_heap_give(x);
}

static void refuses_what_it_has_not(void **state) {
  (void)state;
  assert_null(lf_heap_take(lf_arena_size()));
  assert_null(lf_heap_take(UINT64_MAX));
  assert_null(lf_heap_take(UINT64_MAX - 63));
}

/* --- Against a model: every block has its own byte, everywhere --- */

enum { SLOTS = 200 };

typedef struct {
  lf_extent *x[SLOTS];
  unsigned char byte[SLOTS];
  unsigned random;
} model;

static unsigned draw(model *m, unsigned n) {
  m->random = m->random * 1103515245 + 12345;
  return (m->random >> 8) % n;
}

static bool is_filled(const lf_extent *x, unsigned char byte) {
  const unsigned char *p = bytes_of(x);
  return p[0] == byte && memcmp(p, p + 1, x->size - 1) == 0;
}

static bool step(model *m) {
  unsigned i = draw(m, SLOTS);
  if (m->x[i]) {
    bool good = is_filled(m->x[i], m->byte[i]);
    lf_heap_give(m->x[i]);
    m->x[i] = NULL;
    return good;
  }
  uint64_t size = draw(m, 1u << draw(m, LF_LIMIT(20, 15))) + 1;
  m->x[i] = lf_heap_take(size);
  if (!m->x[i] || !is_zero(m->x[i], m->x[i]->size))
    return false;
  m->byte[i] = (unsigned char)draw(m, 256);
  memset(bytes_of(m->x[i]), m->byte[i], m->x[i]->size);
  return true;
}

static bool run_model(unsigned seed, int steps) {
  model m = {.random = seed};
  bool good = true;
  while (good && steps-- > 0)
    good = step(&m);
  for (int i = 0; i < SLOTS; i++)
    if (m.x[i]) {
      good = good && is_filled(m.x[i], m.byte[i]);
      lf_heap_give(m.x[i]);
    }
  return good;
}

static void agrees_with_a_model(void **state) {
  (void)state;
  for (unsigned seed = 1; seed <= 5; seed++)
    assert_true(run_model(seed, MANY / 4));
}

static gate done = GATE;
static _Atomic int bad;

static void model_thread(void *arg) {
  if (!run_model((unsigned)(intptr_t)arg, MANY / 8))
    bad++;
  gate_add(&done);
}

static void agrees_in_several_threads(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++)
    lf_thread_start("model", model_thread, NUMBER(100 + i));
  gate_await(&done, 4);
  assert_int_equal(bad, 0);
}

/* --- Processes --- */

static lf_extent *mine;

static void take_and_give(void *used) {
  uint64_t *seen = used;
  lf_extent *x = lf_heap_take(100);
  seen[0] = lf_heap_used();
  seen[1] = x->at / lf_zone_size();
  lf_heap_give(x);
  seen[2] = lf_heap_used();
}

/* It does not hand out of its parent's zones, nor what it gives back. */
static void a_child_begins_with_nothing(void **state) {
  (void)state;
  fake_child child;
  uint64_t before = lf_heap_used();
  mine = lf_heap_take(3 * sizeof(uint64_t));
  fake_start(&child, take_and_give, bytes_of(mine));
  assert_int_equal(fake_join(&child), 0);
  const uint64_t *seen = bytes_of(mine);
  assert_int_equal(seen[0], 128);
  assert_int_not_equal(seen[1], mine->at / lf_zone_size());
  assert_int_equal(seen[2], 0);
  assert_int_equal(lf_heap_used(), before + 64);
  lf_heap_give(mine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ARENA(hands_out_zeroes),
      ARENA(uses_small_blocks_again),
      ARENA(does_not_touch_what_it_hands_out),
      ARENA(gives_large_blocks_back),
      ARENA(gives_small_blocks_back),
      ARENA(takes_blocks_larger_than_a_zone),
      ARENA(refuses_what_it_has_not),
      ARENA(agrees_with_a_model),
      ARENA(agrees_in_several_threads),
      ARENA(a_child_begins_with_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
