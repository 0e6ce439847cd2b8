/* SPDX-License-Identifier: MIT
 *
 * Points in time: nanoseconds of the system's monotonic clock. */
#ifndef LF_OS_CLOCK_H
#define LF_OS_CLOCK_H

#include "runtime/base/base.h"

#include <time.h>

int64_t lf_now(void);

/* The same clock as it was some milliseconds ago at most, for much less. */
static inline int64_t lf_now_roughly(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* 'seconds' from now as a point in time; NaN and large values: LF_FOREVER. */
int64_t lf_after(double seconds);

/* The same for nanoseconds, which are not negative. */
int64_t lf_after_ns(int64_t ns);

static inline bool lf_is_past(int64_t deadline) {
  return deadline != LF_FOREVER && lf_now() >= deadline;
}

/* A moment or a time in the system's form; negative ones are 0. */
static inline struct timespec lf_timespec(int64_t ns) {
  ns = ns > 0 ? ns : 0;
  return (struct timespec){ns / 1000000000, ns % 1000000000};
}

/* Seconds since 1970. */
double lf_wall_time(void);

#endif
