/* SPDX-License-Identifier: MIT
 *
 * runtime/shm/refs.h: the table of references knows offsets; nothing has to lie
 * there. */
#include "tests/c/fake.h"

#include "runtime/shm/arena.h"
#include "runtime/shm/refs.h"

#include <stdlib.h>

/* The i-th place in a zone that nobody has. */
static uint64_t place(uint32_t zone, uint64_t i) {
  return zone * lf_zone_size() + i * 64;
}

enum { ZONE = LF_ZONES - 10, OTHER = LF_ZONES - 5 };

static void counts(void **state) {
  (void)state;
  uint64_t at = place(ZONE, 3);
  assert_false(lf_refs_place(at));
  for (int i = 0; i < 3; i++)
    assert_true(lf_refs_add(at, LF_REFS_HERE));
  for (int i = 0; i < 3; i++) {
    assert_true(lf_refs_place(at));
    lf_refs_del(at, LF_REFS_HERE);
  }
  assert_false(lf_refs_place(at));
  lf_refs_del(at, LF_REFS_HERE); /* does no harm */
  assert_false(lf_refs_place(at));
}

static void counts_for_each(void **state) {
  (void)state;
  uint64_t at = place(ZONE, 3), queue = place(OTHER, 1), dict = place(OTHER, 2);
  lf_refs_add(at, queue);
  lf_refs_add(at, dict);
  lf_refs_add(at, LF_REFS_HERE);
  lf_refs_del(at, queue);
  assert_true(lf_refs_place(at));
  lf_refs_del(at, queue); /* it has none: others keep theirs */
  lf_refs_del(at, LF_REFS_HERE);
  assert_true(lf_refs_place(at));
  lf_refs_del(at, dict);
  assert_false(lf_refs_place(at));
}

static void finds_each_of_many(void **state) {
  (void)state;
  enum { MANY = 300 };
  for (uint64_t i = 0; i < MANY; i++)
    assert_true(lf_refs_add(place(ZONE, i), LF_REFS_HERE));
  for (uint64_t i = 0; i < MANY; i += 2)
    lf_refs_del(place(ZONE, i), LF_REFS_HERE);
  for (uint64_t i = 0; i < MANY; i++)
    assert_int_equal(lf_refs_place(place(ZONE, i)), i % 2);
  for (uint64_t i = 1; i < MANY; i += 2)
    lf_refs_del(place(ZONE, i), LF_REFS_HERE);
  assert_false(lf_refs_place(place(ZONE, MANY)));
}

/* What was counts for nothing: the table of references never fills with it. */
static void forgets_what_was(void **state) {
  (void)state;
  uint64_t kept = place(OTHER, 1);
  assert_true(lf_refs_add(kept, LF_REFS_HERE));
  for (uint64_t i = 0; i < LF_LIMIT(200000, 5000); i++) {
    uint64_t at = place(ZONE, i % 4000) + i / 4000 * 64 * 4000;
    assert_true(lf_refs_add(at, LF_REFS_HERE));
    lf_refs_del(at, LF_REFS_HERE);
  }
  assert_true(lf_refs_place(kept));
  lf_refs_del(kept, LF_REFS_HERE);
}

static void says_when_it_is_full(void **state) {
  (void)state;
  uint64_t n = 0, most = LF_LIMIT(1000000, 10000);
  while (n < most && lf_refs_add(place(ZONE, n), LF_REFS_HERE))
    n++;
  assert_true(n > 100 && n < most);
  assert_true(lf_refs_add(place(ZONE, 0), LF_REFS_HERE)); /* it is there */
  lf_refs_del(place(ZONE, 0), LF_REFS_HERE);
  assert_false(lf_refs_place(place(ZONE, n)));
  lf_refs_del(place(ZONE, 5), LF_REFS_HERE);
  assert_true(lf_refs_add(place(ZONE, n), LF_REFS_HERE));
  for (uint64_t i = 0; i <= n; i++)
    lf_refs_del(place(ZONE, i), LF_REFS_HERE);
  for (uint64_t i = 0; i <= n; i++)
    assert_false(lf_refs_place(place(ZONE, i)));
}

/* --- Zones --- */

static void knows_the_zones_in_which_roots_lie(void **state) {
  (void)state;
  uint64_t last = place(ZONE + 1, 0) - 64;
  assert_false(lf_refs_in(ZONE));
  lf_refs_add(last, LF_REFS_HERE);
  assert_true(lf_refs_in(ZONE));
  assert_false(lf_refs_in(ZONE - 1));
  assert_false(lf_refs_in(ZONE + 1));
  lf_refs_del(last, LF_REFS_HERE);
  assert_false(lf_refs_in(ZONE));
}

/* An object that nobody has any more has no items when its zone goes. */
static void items_go_with_their_object(void **state) {
  (void)state;
  uint64_t at = place(OTHER, 1), object = place(ZONE, 1), kept = place(ZONE, 2);
  lf_refs_add(at, object);
  lf_refs_add(place(OTHER, 2), kept);
  lf_refs_add(kept, LF_REFS_HERE); /* which somebody has */
  assert_true(lf_refs_in(ZONE));
  assert_false(lf_refs_place(at));
  assert_true(lf_refs_place(place(OTHER, 2)));
  lf_refs_del(kept, LF_REFS_HERE);
  assert_false(lf_refs_in(ZONE));
  assert_false(lf_refs_place(place(OTHER, 2)));
}

/* --- The dead --- */

static void add_and_die(void *arg) {
  (void)arg;
  if (!lf_refs_add(place(ZONE, 1), LF_REFS_HERE) ||
      !lf_refs_add(place(ZONE, 2), LF_REFS_HERE) ||
      !lf_refs_add(place(ZONE, 3), place(OTHER, 1)))
    abort();
}

/* Their own references go; those of items stay, and ours. */
static void the_dead_have_none(void **state) {
  (void)state;
  fake_child child;
  lf_refs_add(place(ZONE, 2), LF_REFS_HERE);
  fake_start(&child, add_and_die, NULL);
  assert_int_equal(fake_join(&child), 0); /* buries it */
  assert_false(lf_refs_place(place(ZONE, 1)));
  assert_true(lf_refs_place(place(ZONE, 2)));
  assert_true(lf_refs_place(place(ZONE, 3)));
  lf_refs_del(place(ZONE, 2), LF_REFS_HERE);
  lf_refs_del(place(ZONE, 3), place(OTHER, 1));
  assert_false(lf_refs_in(ZONE));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SHARED(counts),
      SHARED(counts_for_each),
      SHARED(finds_each_of_many),
      SHARED(forgets_what_was),
      SHARED(says_when_it_is_full),
      SHARED(knows_the_zones_in_which_roots_lie),
      SHARED(items_go_with_their_object),
      SHARED(the_dead_have_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
