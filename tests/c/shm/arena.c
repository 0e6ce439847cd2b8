/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/arena.h, runtime/shm/heap.h: zones, their owners, blocks in them.
 */
#include "tests/c/fake.h"

#include "runtime/os/fork.h"
#include "runtime/os/thread.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/heap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY LF_LIMIT(20000, 2000)
#define LARGE ((uint64_t)LF_LIMIT(64 << 20, 256 << 10))

/* Bytes of the arena that are really there. */
static uint64_t resident(void) {
  struct stat s;
  assert_int_equal(fstat(lf_arena_fd(), &s), 0);
  return (uint64_t)s.st_blocks * 512;
}

static void *bytes_of(const lf_extent *x) {
  return lf_arena_at(x->at);
}

/* Reading, too, makes memory be there: not for large ones. */
static bool is_zero(const lf_extent *x, uint64_t n) {
  const unsigned char *p = bytes_of(x);
  for (uint64_t i = 0; i < n; i++)
    if (p[i] != 0)
      return false;
  return true;
}

static int begin(void **state) {
  return fake_begin(state) || lf_arena_open();
}

/* Nothing is left but the one zone that is kept. */
static int end(void **state) {
  assert_int_equal(lf_heap_used(), 0);
  assert_true(lf_zones_owned() <= 1);
  return fake_end(state);
}

#define ARENA(f) cmocka_unit_test_setup_teardown(f, begin, end)

/* --- The arena --- */

static void is_sealed_and_has_no_name(void **state) {
  (void)state;
  int fd = lf_arena_fd();
  assert_true(fd > 5); /* what spawned processes get is below */
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  int seals = fcntl(fd, F_GET_SEALS);
  assert_true(seals & F_SEAL_SHRINK);
  assert_true(seals & F_SEAL_GROW);
  assert_int_not_equal(ftruncate(fd, 0), 0);
  assert_int_equal(lf_arena_size(), lf_zone_size() * LF_ZONES);
  struct stat s;
  fstat(fd, &s);
  assert_int_equal(s.st_nlink, 0);
}

static void clears_any_bytes(void **state) {
  (void)state;
  int zone = lf_zones_claim(1);
  assert_true(zone > 0);
  uint64_t at = (uint64_t)zone * lf_zone_size(), all = 5 * 4096;
  unsigned char *p = lf_arena_at(at);
  static const uint64_t parts[][2] = {{0, 1},       {0, 4096},    {1, 4095},
                                      {4095, 2},    {100, 10000}, {4096, 8192},
                                      {8191, 4098}, {0, 5 * 4096}};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    uint64_t from = parts[i][0], n = parts[i][1];
    memset(p, 1, all);
    lf_arena_clear(at + from, n);
    for (uint64_t k = 0; k < all; k++)
      if (p[k] != (k < from || k >= from + n))
        fail_msg("byte %d of part %d", (int)k, (int)i);
  }
  lf_zone_free((uint32_t)zone);
}

static void claims_zones_in_a_row(void **state) {
  (void)state;
  int one = lf_zones_claim(1), three = lf_zones_claim(3), two;
  assert_true(one > 0 && three > 0);
  assert_true(one < three || one >= three + 3);
  lf_zone_free((uint32_t)three + 1);
  two = lf_zones_claim(2);
  assert_true(two + 1 < three || two > three + 2 ||
              (two != three && two + 1 != three + 2));
  lf_zones_release((uint32_t)two, 2);
  lf_zones_release((uint32_t)one, 1);
  lf_zones_release((uint32_t)three, 1);
  lf_zones_release((uint32_t)three + 2, 1);
  assert_int_equal(lf_zones_claim(LF_ZONES), -1);
  assert_int_equal(lf_zones_claim(LF_ZONES + 1), -1);
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

typedef void body(int pipe);

/* A child with zones of its own. What it writes into the pipe is for 'from'. */
static pid_t start(body *f, uint32_t *owner, int *from) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  *owner = lf_owner_new();
  assert_int_not_equal(*owner, 0);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    lf_owner_be(*owner);
    f(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  *from = ends[0];
  return pid;
}

static int await_end(pid_t pid, int from) {
  int status;
  close(from);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static void tell(int pipe, uint64_t number) {
  if (write(pipe, &number, sizeof number) != sizeof number)
    _exit(1);
}

static uint64_t hear(int from) {
  uint64_t number = 0;
  assert_int_equal(read(from, &number, sizeof number), sizeof number);
  return number;
}

static void free_inherited(uint32_t owner, uint32_t at_least) {
  uint16_t zones[LF_ZONES];
  uint32_t n = lf_owner_bury(owner, zones);
  assert_true(n >= at_least);
  for (uint32_t i = 0; i < n; i++)
    lf_zone_free(zones[i]);
}

static void take_and_tell(int pipe) {
  for (int i = 0; i < 50; i++) {
    lf_extent *x = lf_heap_take(lf_zone_size() / 20 * 3);
    if (!x || !is_zero(x, 64))
      _exit(2);
    memset(bytes_of(x), (int)(getpid() & 0x7f) + 1, 64);
    tell(pipe, x->at);
  }
  raise(SIGKILL);
}

/* No two have the same memory, and the dead leave it readable. */
static void children_claim_at_once(void **state) {
  (void)state;
  enum { CHILDREN = 4 };
  pid_t pids[CHILDREN];
  uint32_t owners[CHILDREN];
  int from[CHILDREN];
  lf_extent *mine = lf_heap_take(1000);
  memset(bytes_of(mine), 0xee, 1000);
  for (int i = 0; i < CHILDREN; i++)
    pids[i] = start(take_and_tell, &owners[i], &from[i]);
  for (int i = 0; i < CHILDREN; i++)
    for (int k = 0; k < 50; k++) {
      uint64_t at = hear(from[i]);
      assert_true(lf_arena_touch(at, 64));
      const unsigned char *p = lf_arena_at(at);
      assert_int_equal(p[0], (pids[i] & 0x7f) + 1);
      assert_int_equal(p[63], p[0]);
    }
  assert_true(is_filled(mine, 0xee) || mine->size > 1000);
  for (int i = 0; i < CHILDREN; i++) {
    assert_true(WIFSIGNALED(await_end(pids[i], from[i])));
    free_inherited(owners[i], 5);
  }
  lf_heap_give(mine);
}

static void start_a_grandchild(int pipe) {
  uint32_t owner;
  int from;
  pid_t pid = start(take_and_tell, &owner, &from);
  for (int i = 0; i < 50; i++)
    tell(pipe, hear(from));
  waitpid(pid, NULL, 0); /* and does not bury it */
}

static void inherits_from_grandchildren(void **state) {
  (void)state;
  uint32_t owner;
  int from;
  pid_t pid = start(start_a_grandchild, &owner, &from);
  for (int i = 0; i < 50; i++)
    hear(from);
  assert_int_equal(await_end(pid, from), 0);
  free_inherited(owner, 5);
}

static void give_what_is_mine(int pipe) {
  lf_extent *x = lf_heap_take(100);
  tell(pipe, lf_heap_used());
  tell(pipe, x->at / lf_zone_size());
  lf_heap_give(x);
  tell(pipe, lf_heap_used());
}

/* It does not hand out of its parent's zones. */
static void a_child_begins_with_nothing(void **state) {
  (void)state;
  uint32_t owner;
  int from;
  lf_extent *x = lf_heap_take(5000);
  pid_t pid = start(give_what_is_mine, &owner, &from);
  assert_int_equal(hear(from), 128);
  assert_int_not_equal(hear(from), x->at / lf_zone_size());
  assert_int_equal(hear(from), 0);
  assert_int_equal(await_end(pid, from), 0);
  free_inherited(owner, 1);
  lf_heap_give(x);
}

static void numbers_of_the_dead_are_used_again(void **state) {
  (void)state;
  uint16_t zones[LF_ZONES];
  uint32_t first = lf_owner_new();
  assert_int_equal(lf_owner_bury(first, zones), 0);
  for (int i = 0; i < 1000; i++) {
    uint32_t owner = lf_owner_new();
    assert_int_equal(owner, first);
    assert_int_equal(lf_owner_bury(owner, zones), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ARENA(is_sealed_and_has_no_name),
      ARENA(clears_any_bytes),
      ARENA(claims_zones_in_a_row),
      ARENA(hands_out_zeroes),
      ARENA(uses_small_blocks_again),
      ARENA(does_not_touch_what_it_hands_out),
      ARENA(gives_large_blocks_back),
      ARENA(gives_small_blocks_back),
      ARENA(takes_blocks_larger_than_a_zone),
      ARENA(refuses_what_it_has_not),
      ARENA(agrees_with_a_model),
      ARENA(agrees_in_several_threads),
      ARENA(children_claim_at_once),
      ARENA(inherits_from_grandchildren),
      ARENA(a_child_begins_with_nothing),
      ARENA(numbers_of_the_dead_are_used_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
