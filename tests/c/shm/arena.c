/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/arena.h: zones and their owners. */
#include "tests/c/fake.h"

#include "runtime/os/fork.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/heap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
  uint32_t n = lf_owner_reap(owner, zones);
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
  const unsigned char *ours = bytes_of(mine);
  assert_int_equal(ours[0], 0xee);
  assert_memory_equal(ours, ours + 1, 999);
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
  waitpid(pid, NULL, 0); /* and does not reap it */
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

static void numbers_of_the_dead_are_used_again(void **state) {
  (void)state;
  uint16_t zones[LF_ZONES];
  uint32_t first = lf_owner_new();
  assert_int_equal(lf_owner_reap(first, zones), 0);
  for (int i = 0; i < 1000; i++) {
    uint32_t owner = lf_owner_new();
    assert_int_equal(owner, first);
    assert_int_equal(lf_owner_reap(owner, zones), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ARENA(is_sealed_and_has_no_name),
      ARENA(clears_any_bytes),
      ARENA(claims_zones_in_a_row),
      ARENA(children_claim_at_once),
      ARENA(inherits_from_grandchildren),
      ARENA(numbers_of_the_dead_are_used_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
