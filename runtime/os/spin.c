/* SPDX-License-Identifier: MIT
 *
 * See spin.h. */
#include "runtime/os/spin.h"

#include "runtime/os/clock.h"
#include "runtime/os/processors.h"

#include <sched.h>

enum {
  SPIN_NS = 50000,  /* about what a futex round trip costs */
  LONG_NS = 200000, /* a wait of which it does not matter how it began */
  GAIN_NS = 1000,   /* what spinning has to save at least */
  SELDOM = 16,      /* of so many sleeps, one begins with spinning */
};

static _Atomic int awake;

void lf_count_awake(int by) {
  atomic_fetch_add(&awake, by);
}

int lf_awake(void) {
  return atomic_load_explicit(&awake, memory_order_relaxed);
}

static const _Atomic uint32_t *outside;

void lf_count_outside(const _Atomic uint32_t *others) {
  outside = others;
}

bool lf_may_spin(void) {
  int n = lf_awake();
  if (outside)
    n += (int)atomic_load_explicit(outside, memory_order_relaxed);
  return n <= lf_cpus_whole();
}

void lf_relax_for_other(int *looks) {
  enum { BRIEF = 100 };
  if (++*looks < BRIEF)
    lf_relax();
  else
    sched_yield();
}

static uint32_t get(const _Atomic uint32_t *value) {
  return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint32_t *value, uint32_t to) {
  atomic_store_explicit(value, to, memory_order_relaxed);
}

/* Moves the mean towards what has been measured, by that part of the way. */
static void learn(_Atomic uint32_t *mean, int64_t ns, int part) {
  int32_t was = (int32_t)get(mean);
  int32_t is = (int32_t)(ns < LONG_NS ? ns : LONG_NS);
  set(mean, (uint32_t)(was + (is - was) / part));
}

static bool is_better_to_spin(const lf_habit *h) {
  uint32_t slept = get(&h->slept);
  uint32_t gain = slept / 8 > GAIN_NS ? slept / 8 : GAIN_NS;
  return get(&h->spun) + gain < slept;
}

/* What has been better until now, or it is the turn of the other. */
static bool is_to_spin(lf_habit *h) {
  if (get(&h->sleeps) < SELDOM)
    return is_better_to_spin(h);
  set(&h->sleeps, 0);
  return !is_better_to_spin(h);
}

static int64_t end_of(int64_t now, int64_t deadline) {
  return now + SPIN_NS < deadline ? now + SPIN_NS : deadline;
}

lf_spin lf_spin_begin(lf_habit *h, int64_t deadline) {
  int64_t now = lf_now();
  bool spins = lf_may_spin() && is_to_spin(h);
  return (lf_spin){.habit = h,
                   .since = now,
                   .end = end_of(now, deadline),
                   .deadline = deadline,
                   .spins = spins,
                   .in_vain = !spins};
}

bool lf_spin_on(lf_spin *s) {
  if (s->in_vain)
    return false;
  lf_relax();
  s->in_vain = !lf_may_spin() || (++s->looks % 64 == 0 && lf_now() >= s->end);
  return !s->in_vain;
}

bool lf_spin_again(lf_spin *s) {
  int64_t now = lf_now();
  s->end = end_of(now, s->deadline);
  return now < s->deadline;
}

/* What is found at once counts for much: others have found their pace. As long
 * as it is, sleeping need not be tried. */
void lf_spin_end(const lf_spin *s) {
  lf_habit *h = s->habit;
  int64_t ns = lf_now() - s->since;
  if (!s->spins)
    learn(&h->slept, ns, 8);
  else
    learn(&h->spun, ns, s->in_vain ? 16 : 2);
  if (s->in_vain)
    set(&h->sleeps, get(&h->sleeps) + 1);
  else if (!is_better_to_spin(h)) /* that was a try: once more */
    set(&h->sleeps, SELDOM);
}
