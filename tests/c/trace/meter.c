/* SPDX-License-Identifier: MIT
 *
 * What a thread spends its time on: each moment is charged once, to what was on
 * top. */
#include "runtime/trace/meter.h"

#include "tests/c/fake.h"

#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

/* A moment that the clock can see. */
static void spend(void) {
  int64_t since = lf_now();
  until(lf_now() > since);
}

static int64_t sum(const lf_times *t) {
  int64_t all = 0;
  for (int i = 0; i < LF_PHASES; i++)
    all += t->ns[i];
  return all;
}

static void phases(void **state) {
  (void)state;
  lf_times times = {0};
  lf_metered m = {.times = &times, .phase = LF_PHASE_UNPACK};
  int64_t before = lf_now();
  lf_meter_enter(&m);
  spend();
  lf_meter_turn(LF_PHASE_RUN, 0);
  spend();
  lf_meter_turn(LF_PHASE_PACK, 0);
  spend();
  lf_meter_leave(&m);
  int64_t all = lf_now() - before;
  assert_null(lf_metered_now);
  assert_true(times.begun >= before);
  assert_true(times.ns[LF_PHASE_UNPACK] > 0);
  assert_true(times.ns[LF_PHASE_RUN] > 0);
  assert_true(times.ns[LF_PHASE_PACK] > 0);
  assert_int_equal(times.ns[LF_PHASE_WAIT], 0);
  assert_true(sum(&times) <= all);
}

static void one_on_top(void **state) {
  (void)state;
  lf_times low = {0}, high = {0};
  lf_metered below = {.times = &low, .phase = LF_PHASE_RUN};
  lf_metered top = {.times = &high, .phase = LF_PHASE_RUN};
  int64_t before = lf_now();
  lf_meter_enter(&below);
  spend();
  lf_meter_enter(&top);
  spend();
  lf_meter_leave(&top);
  assert_ptr_equal(lf_metered_now, &below);
  spend();
  lf_meter_leave(&below);
  assert_true(low.ns[LF_PHASE_RUN] > 0 && high.ns[LF_PHASE_RUN] > 0);
  assert_true(sum(&low) + sum(&high) <= lf_now() - before);
}

/* It is parked, and goes on later: what lies between is not its time. */
static void in_two_parts(void **state) {
  (void)state;
  lf_times times = {0}, others = {0};
  lf_metered m = {.times = &times, .phase = LF_PHASE_RUN};
  lf_metered other = {.times = &others, .phase = LF_PHASE_RUN};
  lf_meter_enter(&m);
  spend();
  lf_meter_leave(&m);
  int64_t begun = times.begun, first = times.ns[LF_PHASE_RUN];
  lf_meter_enter(&other);
  spend();
  lf_meter_leave(&other);
  assert_int_equal(times.ns[LF_PHASE_RUN], first);
  lf_meter_enter(&m);
  spend();
  lf_meter_leave(&m);
  assert_true(times.ns[LF_PHASE_RUN] > first);
  assert_int_equal(times.begun, begun);
}

static void nothing_to_turn(void **state) {
  (void)state;
  lf_meter_turn(LF_PHASE_RUN, 0);         /* nothing is on top */
  lf_metered m = {.phase = LF_PHASE_RUN}; /* whose times nobody wants */
  lf_meter_enter(&m);
  lf_meter_leave(&m);
  assert_null(lf_metered_now);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(phases),
      TEST(one_on_top),
      TEST(in_two_parts),
      TEST(nothing_to_turn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
