/* SPDX-License-Identifier: MIT
 *
 * See clock.h. */
#include "runtime/os/clock.h"

#include <math.h>

static int64_t clock_ns(clockid_t clock) {
  struct timespec ts;
  clock_gettime(clock, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t lf_now(void) {
  return clock_ns(CLOCK_MONOTONIC);
}

double lf_wall_time(void) {
  return (double)clock_ns(CLOCK_REALTIME) / 1e9;
}

int64_t lf_after(double seconds) {
  if (isnan(seconds) || seconds > 1e9)
    return LF_FOREVER;
  if (seconds <= 0)
    return 0;
  return lf_now() + (int64_t)(seconds * 1e9);
}

int64_t lf_after_ns(int64_t ns) {
  int64_t now = lf_now();
  return ns < LF_FOREVER - now ? now + ns : LF_FOREVER;
}
