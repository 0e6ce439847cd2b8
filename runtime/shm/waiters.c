/* SPDX-License-Identifier: MIT
 *
 * See waiters.h. A waiter's state is its ticket and whether it has been called,
 * in one word: so a call that comes late cannot hit who has the waiter next. */
#include "runtime/shm/waiters.h"

#include "runtime/base/mem.h"
#include "runtime/os/spin.h"
#include "runtime/shm/arena.h"

#include <stdlib.h>

struct lf_shared_waiter {
  lf_parker parker;        /* of who has the waiter */
  _Atomic uint32_t owner;  /* its process's number, or 0: the waiter is free */
  _Atomic uint64_t state;  /* 0, or the ticket with one of the bits below */
  _Atomic uint64_t object; /* its offset; valid while there is a state */
  _Atomic uint32_t kind;
  _Atomic uint32_t
      doorbell;          /* 0, or where its thread sleeps instead: see ring */
  _Atomic uint32_t rung; /* of a doorbell; late, maybe of who has it next */
};

enum { WAITING = 1, CALLED = 2, AGAIN = 4, BITS = 3 };

enum { BUCKETS = LF_LIMIT(1024, 64), REACH_BITS = 32 };

typedef struct {
  _Alignas(64) lf_shared_waiter waiter;
} entry;

/* Those who wait for an object are in waiters from its bucket's home on, as far
 * as the bucket's 'reach' says: its lower half is how many waiters to look at,
 * the upper one grows with everybody who comes, so that the reach is not
 * reduced by somebody who has missed one. */
typedef struct {
  _Atomic uint64_t tickets; /* given so far */
  _Atomic uint64_t reach[BUCKETS];
  _Atomic uint32_t vacant[BUCKETS]; /* where to look first for a free one: a
                                       hint */
  _Alignas(64) entry waiters[];
} table;

enum {
  PLACES = (LF_WAITERS_SIZE - sizeof(table)) / 64,
  MOST = LF_LIMIT(PLACES, 2048),
};

static table *get_table(void) {
  return lf_arena_waiters();
}

/* The i-th waiter of a bucket. */
static lf_shared_waiter *waiter(uint32_t bucket, uint32_t i) {
  uint32_t home = bucket * (MOST / BUCKETS);
  return &get_table()->waiters[(home + i) % MOST].waiter;
}

static uint32_t bucket_of(uint64_t object) {
  return (uint32_t)(object * UINT64_C(0x9E3779B97F4A7C15) >> 40) % BUCKETS;
}

static uint32_t reach_of(uint32_t bucket) {
  return (uint32_t)atomic_load(&get_table()->reach[bucket]);
}

/* From now on the first 'n' waiters are looked at. */
static void extend(uint32_t bucket, uint32_t n) {
  _Atomic uint64_t *reach = &get_table()->reach[bucket];
  uint64_t old = atomic_load(reach), new;
  do {
    uint32_t now = (uint32_t)old;
    new = ((old >> REACH_BITS) + 1) << REACH_BITS | (now > n ? now : n);
  } while (!atomic_compare_exchange_weak(reach, &old, new));
}

/* Only the first 'n' are in use, unless somebody has come since 'before'. */
static void reduce(uint32_t bucket, uint64_t before, uint32_t n) {
  uint64_t after = (before >> REACH_BITS) << REACH_BITS | n;
  if (n < (uint32_t)before / 2)
    atomic_compare_exchange_strong(&get_table()->reach[bucket], &before, after);
}

/* A free waiter is the calling process's from now on. It is in the reach
 * before, so that who is killed can be found, and still afterwards. */
static lf_shared_waiter *take_waiter(uint32_t me, uint32_t bucket) {
  uint32_t from = atomic_load(&get_table()->vacant[bucket]);
  for (uint32_t n = 0; n < MOST; n++) {
    uint32_t nobody = 0, i = (from + n) % MOST;
    lf_shared_waiter *s = waiter(bucket, i);
    if (atomic_load_explicit(&s->owner, memory_order_relaxed) != 0)
      continue;
    extend(bucket, i + 1);
    if (!atomic_compare_exchange_strong(&s->owner, &nobody, me))
      continue;
    extend(bucket, i + 1);
    atomic_compare_exchange_strong(&get_table()->vacant[bucket], &from, i + 1);
    return s;
  }
  return NULL;
}

/* The waiter of the bucket is free again. */
static void vacate(uint32_t bucket, lf_shared_waiter *s) {
  _Atomic uint32_t *vacant = &get_table()->vacant[bucket];
  uint32_t home = bucket * (MOST / BUCKETS);
  uint32_t at = (uint32_t)((entry *)s - get_table()->waiters);
  uint32_t i = (at + MOST - home) % MOST;
  uint32_t before = atomic_load(vacant);
  atomic_store(&s->owner, 0);
  while (i < before && !atomic_compare_exchange_weak(vacant, &before, i))
    continue;
}

lf_shared_waiter *lf_shared_waiter_new(lf_shared *object, uint32_t kind) {
  uint64_t at = lf_arena_offset(object);
  uint32_t me = lf_owner_self();
  lf_shared_waiter *s = me ? take_waiter(me, bucket_of(at)) : NULL;
  if (!s)
    return NULL;
  lf_parker_init_shared(&s->parker);
  atomic_store(&s->object, at);
  atomic_store(&s->kind, kind);
  atomic_store(&s->doorbell, 0);
  atomic_fetch_add(&object->sleeping, 1);
  uint64_t ticket = atomic_fetch_add(&get_table()->tickets, 1) + 1;
  atomic_store(&s->state, ticket << BITS | WAITING);
  return s;
}

static lf_shared *object_of(const lf_shared_waiter *s) {
  return lf_arena_at(atomic_load(&s->object));
}

/* It does not wait any more, if it did. */
static void uncount(const lf_shared_waiter *s, uint64_t state) {
  if (state & WAITING)
    atomic_fetch_sub(&object_of(s)->sleeping, 1);
}

bool lf_shared_waiter_called(const lf_shared_waiter *s) {
  return atomic_load_explicit(&s->state, memory_order_acquire) & CALLED;
}

bool lf_shared_waiter_stirred(const lf_shared_waiter *s) {
  return atomic_load_explicit(&s->state, memory_order_acquire) &
         (CALLED | AGAIN);
}

bool lf_shared_waiter_pause(lf_shared_waiter *s) {
  uint64_t both = WAITING | CALLED;
  uint64_t before = atomic_fetch_and(&s->state, ~both);
  uncount(s, before);
  return before & CALLED;
}

void lf_shared_waiter_resume(lf_shared_waiter *s) {
  atomic_fetch_add(&object_of(s)->sleeping, 1);
  atomic_fetch_or(&s->state, WAITING);
}

bool lf_shared_waiter_end(lf_shared_waiter *s) {
  bool crowd = atomic_load(&s->kind) & LF_CROWD;
  uint64_t before = atomic_exchange(&s->state, 0);
  uncount(s, before);
  vacate(bucket_of(atomic_load(&s->object)), s);
  return before & CALLED && !crowd;
}

static lf_habit sleeping = LF_HABIT;

static bool is_woken(lf_shared_waiter *s, lf_parker *own) {
  return lf_shared_waiter_called(s) || lf_parker_woken(&s->parker) ||
         lf_parker_woken(own);
}

void lf_shared_waiter_rearm(lf_shared_waiter *s) {
  uint64_t state = atomic_fetch_and(&s->state, ~(uint64_t)AGAIN);
  if (!(state & CALLED))
    return;
  atomic_fetch_add(&object_of(s)->sleeping, 1);
  atomic_store(&s->state, (state & ~(uint64_t)(CALLED | AGAIN)) | WAITING);
}

/* --- Doorbells --- */

lf_shared_waiter *lf_doorbell_new(void) {
  uint32_t me = lf_owner_self();
  lf_shared_waiter *doorbell = me ? take_waiter(me, bucket_of(me)) : NULL;
  if (!doorbell)
    return NULL;
  lf_parker_init_shared(&doorbell->parker);
  return doorbell;
}

bool lf_doorbell_is_rung(const lf_shared_waiter *doorbell) {
  return atomic_load_explicit(&doorbell->rung, memory_order_relaxed);
}

bool lf_doorbell_take(lf_shared_waiter *doorbell) {
  return lf_doorbell_is_rung(doorbell) && atomic_exchange(&doorbell->rung, 0);
}

void lf_doorbell_end(lf_shared_waiter *doorbell) {
  vacate(bucket_of(lf_owner_self()), doorbell);
}

void lf_shared_waiter_ring(lf_shared_waiter *s,
                           const lf_shared_waiter *doorbell) {
  uint64_t at = doorbell ? lf_arena_offset(doorbell) : 0;
  atomic_store(&s->doorbell, (uint32_t)at); /* the table is at the beginning */
}

void lf_shared_waiter_pass(lf_shared_waiter *s) {
  lf_shared *object = object_of(s);
  uint32_t kind = atomic_load(&s->kind);
  if (lf_shared_waiter_end(s))
    lf_call(object, kind, 1);
}

/* Wakes whoever sleeps at the waiter, or at its doorbell. */
static void wake(lf_shared_waiter *s) {
  uint32_t doorbell = atomic_load(&s->doorbell);
  lf_shared_waiter *at = doorbell ? lf_arena_at(doorbell) : s;
  if (doorbell)
    atomic_store(&at->rung, 1);
  lf_unpark(&at->parker);
}

int lf_sleep(lf_shared_waiter *s, lf_parker *own, int64_t deadline) {
  if (lf_shared_waiter_called(s))
    return 0;
  if (deadline <= 0)
    return LF_ETIMEOUT;
  lf_spin spin = lf_spin_begin(&sleeping, deadline);
  while (!is_woken(s, own) && lf_spin_on(&spin))
    continue;
  int r = lf_doze_at(&s->parker, own, deadline);
  if (r == 0)
    lf_spin_end(&spin);
  return r;
}

/* --- Calling --- */

/* Who is meant. */
typedef struct {
  uint64_t object;
  uint32_t kinds, bucket;
} call;

/* The state of the waiter, if it waits and is meant, or 0. */
static uint64_t state_of(const call *c, lf_shared_waiter *s) {
  uint64_t state = atomic_load(&s->state);
  return state & WAITING && atomic_load(&s->object) == c->object &&
                 atomic_load(&s->kind) & c->kinds
             ? state
             : 0;
}

/* True if it still has the state. */
static bool call_one(lf_shared_waiter *s, uint64_t state) {
  uint64_t after = (state & ~(uint64_t)WAITING) | CALLED;
  lf_shared *object = object_of(s); /* afterwards it may be another's */
  if (!atomic_compare_exchange_strong(&s->state, &state, after))
    return false;
  atomic_fetch_sub(&object->sleeping, 1);
  wake(s);
  return true;
}

/* The one that has waited for longest, with its state then; NULL: none. */
static lf_shared_waiter *find_first(const call *c, uint64_t *its_state) {
  lf_shared_waiter *first = NULL;
  uint64_t before = atomic_load(&get_table()->reach[c->bucket]);
  uint32_t used = 0;
  for (uint32_t i = 0; i < (uint32_t)before; i++) {
    lf_shared_waiter *s = waiter(c->bucket, i);
    if (atomic_load(&s->owner) != 0)
      used = i + 1;
    uint64_t state = state_of(c, s);
    if (!state || (first && state > *its_state))
      continue;
    first = s;
    *its_state = state;
  }
  reduce(c->bucket, before, used);
  return first;
}

static uint32_t call_first(const call *c) {
  uint64_t state = 0;
  lf_shared_waiter *s;
  while ((s = find_first(c, &state)))
    if (call_one(s, state))
      return 1;
  return 0;
}

/* Calls all whose state, and so ticket, is at most that. */
static uint32_t call_until(const call *c, uint64_t last) {
  uint32_t called = 0, reach = reach_of(c->bucket);
  for (uint32_t i = 0; i < reach; i++) {
    lf_shared_waiter *s = waiter(c->bucket, i);
    uint64_t state = state_of(c, s);
    called += state && state <= last && call_one(s, state);
  }
  return called;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* The state of the n-th of those who wait, the longest waiting first; the
 * largest there is, if they are not so many, and 0 if there is no memory. */
static uint64_t find_nth(const call *c, uint32_t n) {
  uint32_t reach = reach_of(c->bucket), found = 0;
  uint64_t *states = lf_malloc((reach + 1) * sizeof *states);
  for (uint32_t i = 0; states && i < reach; i++) {
    uint64_t state = state_of(c, waiter(c->bucket, i));
    if (state)
      states[found++] = state;
  }
  if (found > n)
    qsort(states, found, sizeof *states, compare);
  uint64_t last = !states ? 0 : found > n ? states[n - 1] | AGAIN : UINT64_MAX;
  lf_free(states);
  return last;
}

uint32_t lf_call_slowly(lf_shared *object, uint32_t kinds, uint32_t n) {
  uint64_t at = lf_arena_offset(object);
  call c = {at, kinds, bucket_of(at)};
  uint32_t called = 0;
  if (n > 1)
    called = call_until(&c, n == UINT32_MAX ? UINT64_MAX : find_nth(&c, n));
  while (called < n && n < UINT32_MAX && call_first(&c))
    called++; /* of those who have come meanwhile, too */
  return called;
}

/* --- Burying --- */

static void empty_waiter(lf_shared_waiter *s) {
  uint64_t at = atomic_load(&s->object);
  uint64_t before = atomic_exchange(&s->state, 0);
  if (before != 0 && lf_arena_touch(at, sizeof(lf_shared))) {
    atomic_fetch_add(&object_of(s)->deaths, 1);
    uncount(s, before);
  }
  atomic_store(&s->owner, 0);
}

/* Calls 'f' for each waiter in use. */
static void each_waiter(void (*f)(lf_shared_waiter *s, uint32_t arg),
                        uint32_t arg) {
  for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
    uint32_t reach = reach_of(bucket);
    for (uint32_t i = 0; i < reach; i++)
      if (atomic_load(&waiter(bucket, i)->owner) != 0)
        f(waiter(bucket, i), arg);
  }
}

static void reap_one(lf_shared_waiter *s, uint32_t dead) {
  uint32_t owner = atomic_load(&s->owner);
  if (owner && lf_owner_descends(owner, dead))
    empty_waiter(s);
}

void lf_shared_waiters_reap(uint32_t dead) {
  each_waiter(reap_one, dead);
}

static void look_again(lf_shared_waiter *s, uint32_t arg) {
  (void)arg;
  uint64_t state = atomic_load(&s->state);
  while (state & WAITING &&
         !atomic_compare_exchange_weak(&s->state, &state, state | AGAIN))
    continue;
  wake(s);
}

void lf_shared_waiters_look_again(void) {
  each_waiter(look_again, 0);
}

uint32_t lf_shared_waiters(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; lf_arena_size() && i < MOST; i++)
    n += atomic_load(&waiter(0, i)->owner) != 0;
  return n;
}
