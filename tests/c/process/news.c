/* SPDX-License-Identifier: MIT
 *
 * What is news for who looks after worker processes: also what they are to the
 * pool without having sent a message. Nobody would look otherwise. */
#include "tests/c/process/scene.h"

/* Is there, and is there none any more once it has been looked at? */
static bool is_news(scene *s) {
  bool news = lf_pump_has_news(s->pool, true);
  lf_members_place(&s->proc);
  assert_false(lf_pump_has_news(s->pool, true));
  return news;
}

static void to_become_idle(void **state) {
  (void)state;
  scene s;
  scene_begin(&s);
  assert_false(is_news(&s));
  atomic_store(&s.proc.region->busy, 1);
  assert_true(is_news(&s));
  assert_int_equal(s.members.occupied, 1);
  atomic_store(&s.proc.region->busy, 0); /* now it can be stopped */
  assert_true(is_news(&s));
  assert_int_equal(s.members.occupied, 0);
  scene_end(&s);
}

static void to_become_idle_without_room(void **state) {
  (void)state;
  scene s;
  scene_begin(&s);
  atomic_store(&s.proc.region->busy, 1);
  s.proc.reserved = LF_SLOTS;
  s.proc.sent = (uint64_t)0 - LF_SLOTS; /* nothing ahead */
  assert_true(is_news(&s));
  assert_int_equal(s.proc.state, LF_PROC_FULL);
  atomic_store(&s.proc.region->busy, 0);
  assert_true(is_news(&s));
  assert_int_equal(s.proc.state, LF_PROC_FULL);
  assert_int_equal(s.members.occupied, 0);
  scene_end(&s);
}

static void to_block_is_told(void **state) {
  (void)state;
  scene s;
  scene_begin(&s);
  atomic_store(&s.proc.region->busy, 1);
  assert_true(is_news(&s));
  s.proc.blocked = true; /* by its message */
  lf_members_place(&s.proc);
  atomic_store(&s.proc.region->busy, 0);
  assert_false(is_news(&s)); /* it does not count */
  scene_end(&s);
}

/* It went on by itself for a moment, and has rung when it was through. */
static void who_rests_rings_again(void **state) {
  (void)state;
  scene s;
  scene_begin(&s);
  lf_members_let_rest(s.pool);
  assert_int_equal(s.proc.state, LF_PROC_RESTING);
  assert_int_equal(atomic_load(&s.proc.region->armed), 1);
  atomic_store(&s.proc.region->armed, 0);
  lf_members_look_at_resting(s.pool);
  assert_int_equal(s.proc.state, LF_PROC_RESTING);
  assert_int_equal(atomic_load(&s.proc.region->armed), 1);
  scene_end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(to_become_idle),
      TEST(to_become_idle_without_room),
      TEST(to_block_is_told),
      TEST(who_rests_rings_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
