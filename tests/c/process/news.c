/* SPDX-License-Identifier: MIT
 *
 * What is news for who looks after worker processes: also what they are to the
 * pool without having sent a message. Nobody would look otherwise. */
#include "runtime/process/internal.h"

#include "tests/c/fake.h"

#include <unistd.h>

/* One worker process of a pool, without a process and a supervisor. */
typedef struct {
  fake_setup setup;
  lf_pool *pool;
  lf_members members;
  lf_worker worker;
  lf_proc proc;
} scene;

static void begin(scene *s) {
  int fd;
  *s = (scene){.proc.left = 1000};
  s->pool = fake_pool(&s->setup, 1);
  s->pool->own = &s->members;
  for (int i = 0; i < LF_PROC_STATES; i++)
    lf_list_init(&s->members.procs[i]);
  lf_outcome_init(&s->members.after);
  s->worker.pool = s->pool;
  s->worker.own = &s->proc;
  s->proc.worker = &s->worker;
  s->proc.region = lf_region_new(&fd);
  assert_non_null(s->proc.region);
  close(fd);
  lf_list_init(&s->proc.link);
  lf_list_init(&s->proc.in_flight);
  lf_channel_init(&s->proc.end, &s->proc.region->out, &s->proc.region->in,
                  &lf_requests_names, &s->proc, NULL);
  s->proc.ready = true;
  lf_members_place(&s->proc);
}

static void end(scene *s) {
  lf_members_remove(&s->proc);
  lf_channel_fini(&s->proc.end);
  lf_region_unmap(s->proc.region);
  s->pool->own = NULL;
  fake_close(s->pool);
}

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
  begin(&s);
  assert_false(is_news(&s));
  atomic_store(&s.proc.region->busy, 1);
  assert_true(is_news(&s));
  assert_int_equal(s.members.occupied, 1);
  atomic_store(&s.proc.region->busy, 0); /* now it can be stopped */
  assert_true(is_news(&s));
  assert_int_equal(s.members.occupied, 0);
  end(&s);
}

static void to_become_idle_without_room(void **state) {
  (void)state;
  scene s;
  begin(&s);
  atomic_store(&s.proc.region->busy, 1);
  s.proc.reserved = LF_SLOTS;
  s.proc.sent = (uint64_t)0 - LF_SLOTS; /* nothing ahead */
  assert_true(is_news(&s));
  assert_int_equal(s.proc.state, LF_PROC_FULL);
  atomic_store(&s.proc.region->busy, 0);
  assert_true(is_news(&s));
  assert_int_equal(s.proc.state, LF_PROC_FULL);
  assert_int_equal(s.members.occupied, 0);
  end(&s);
}

static void to_block_is_told(void **state) {
  (void)state;
  scene s;
  begin(&s);
  atomic_store(&s.proc.region->busy, 1);
  assert_true(is_news(&s));
  s.proc.blocked = true; /* by its message */
  lf_members_place(&s.proc);
  atomic_store(&s.proc.region->busy, 0);
  assert_false(is_news(&s)); /* it does not count */
  end(&s);
}

/* It went on by itself for a moment, and has rung when it was through. */
static void who_rests_rings_again(void **state) {
  (void)state;
  scene s;
  begin(&s);
  lf_members_let_rest(s.pool);
  assert_int_equal(s.proc.state, LF_PROC_RESTING);
  assert_int_equal(atomic_load(&s.proc.region->armed), 1);
  atomic_store(&s.proc.region->armed, 0);
  lf_members_look_at_resting(s.pool);
  assert_int_equal(s.proc.state, LF_PROC_RESTING);
  assert_int_equal(atomic_load(&s.proc.region->armed), 1);
  end(&s);
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
