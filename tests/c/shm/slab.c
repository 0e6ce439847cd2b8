/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/slab.h. */
#include "tests/c/fake.h"

#include "runtime/shm/arena.h"
#include "runtime/shm/slab.h"

#include <stdlib.h>
#include <string.h>

enum { TYPE = 1, OBJECTS = 3, MANY = 300 };

static lf_array *roots[OBJECTS];

static lf_shared *object(int i) {
  return roots[i]->data;
}

static int begin(void **state) {
  if (fake_share(state) != 0)
    return -1;
  lf_object_fini(TYPE, NULL);
  for (int i = 0; i < OBJECTS; i++)
    roots[i] = lf_object_new(TYPE, sizeof(lf_shared));
  return 0;
}

static int end(void **state) {
  for (int i = 0; i < OBJECTS; i++)
    lf_array_unref(roots[i]);
  return fake_unshare(state);
}

#define SLAB(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void has_one_size(void **state) {
  (void)state;
  uint64_t size = lf_slab_size();
  assert_true(size >= 256 && size <= lf_zone_size() / 16);
  assert_int_equal(size & (size - 1), 0);
}

static void no_two_are_the_same_memory(void **state) {
  (void)state;
  static uint64_t at[MANY];
  for (int i = 0; i < MANY; i++) {
    at[i] = lf_slab_claim(object(0));
    assert_int_not_equal(at[i], 0);
    assert_int_equal(at[i] % lf_slab_size(), 0);
    memset(lf_arena_at(at[i]), i & 0xff, lf_slab_size());
  }
  assert_int_equal(lf_slabs(), MANY);
  assert_int_equal(object(0)->slabs, MANY);
  for (int i = 0; i < MANY; i++) {
    const unsigned char *p = lf_arena_at(at[i]);
    assert_int_equal(p[0], i & 0xff);
    assert_memory_equal(p, p + 1, lf_slab_size() - 1);
  }
  for (int i = 0; i < MANY; i++)
    lf_slab_free(at[(i * 7) % MANY]);
  assert_int_equal(lf_slabs(), 0);
  assert_int_equal(object(0)->slabs, 0);
}

static void freed_ones_are_used_again(void **state) {
  (void)state;
  uint64_t first = lf_slab_claim(object(0)), at = lf_slab_claim(object(0));
  lf_slab_free(at);
  for (int i = 0; i < 10; i++) {
    uint64_t again = lf_slab_claim(object(1));
    assert_int_equal(again, at);
    lf_slab_free(again);
  }
  lf_slab_free(first);
}

static void an_object_takes_its_own_along(void **state) {
  (void)state;
  uint64_t kept = 0;
  for (int i = 0; i < MANY; i++) {
    uint64_t at = lf_slab_claim(object(i % OBJECTS));
    assert_int_not_equal(at, 0);
    kept = i % OBJECTS == 2 ? at : kept;
  }
  memset(lf_arena_at(kept), 0xee, lf_slab_size());
  lf_slabs_free_of(object(0));
  assert_int_equal(lf_slabs(), MANY / OBJECTS * 2);
  lf_slabs_free_of(object(1));
  assert_int_equal(lf_slabs(), MANY / OBJECTS);
  const unsigned char *p = lf_arena_at(kept);
  assert_memory_equal(p, p + 1, lf_slab_size() - 1);
  assert_int_equal(*p, 0xee);
  lf_slabs_free_of(object(2));
}

static void objects_that_are_lost_take_theirs_along(void **state) {
  (void)state;
  uint64_t at = lf_arena_offset(object(1));
  for (int i = 0; i < 30; i++)
    lf_slab_claim(object(i % OBJECTS));
  lf_slabs_free_between(at, at + 1);
  assert_int_equal(lf_slabs(), 20);
  lf_slabs_free_between(at, at + 1); /* there are none any more */
  assert_int_equal(lf_slabs(), 20);
  lf_slabs_free_between(1, lf_arena_size());
  assert_int_equal(lf_slabs(), 0);
}

/* What is in a slab is anything, but none of it is somebody else's. */
static void memory_is_given_back(void **state) {
  (void)state;
  uint64_t at = lf_slab_claim(object(0));
  memset(lf_arena_at(at), 0xff, lf_slab_size());
  lf_slab_free(at);
  const unsigned char *p = lf_arena_at(at);
  for (uint64_t i = 0; i < lf_slab_size(); i++)
    assert_int_equal(p[i], 0);
}

/* --- Processes --- */

static void claim_and_stay(void *arg) {
  for (int i = 0; i < MANY; i++) {
    uint64_t at = lf_slab_claim(arg);
    if (!at)
      abort();
    *(volatile uint64_t *)lf_arena_at(at) = at;
  }
  abort(); /* without having put them to use */
}

static void what_the_dead_have_claimed_goes_with_the_object(void **state) {
  (void)state;
  enum { CHILDREN = 3 };
  fake_child child[CHILDREN];
  for (int i = 0; i < CHILDREN; i++)
    fake_start(&child[i], claim_and_stay, object(i % 2));
  uint64_t at = lf_slab_claim(object(2));
  *(uint64_t *)lf_arena_at(at) = 7;
  for (int i = 0; i < CHILDREN; i++)
    assert_int_not_equal(fake_join(&child[i]), 0);
  assert_int_equal(lf_slabs(), CHILDREN * MANY + 1);
  lf_slabs_free_of(object(0));
  lf_slabs_free_of(object(1));
  assert_int_equal(lf_slabs(), 1);
  assert_int_equal(*(uint64_t *)lf_arena_at(at), 7);
  lf_slab_free(at);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SLAB(has_one_size),
      SLAB(no_two_are_the_same_memory),
      SLAB(freed_ones_are_used_again),
      SLAB(an_object_takes_its_own_along),
      SLAB(objects_that_are_lost_take_theirs_along),
      SLAB(memory_is_given_back),
      SLAB(what_the_dead_have_claimed_goes_with_the_object),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
