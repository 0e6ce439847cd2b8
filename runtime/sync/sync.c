/* SPDX-License-Identifier: MIT
 *
 * See sync.h. */
#include "runtime/sync/sync.h"

/* --- Locks --- */

int lf_lock_try_slowly(lf_lock *l, uint64_t me, bool *abandoned) {
  uint64_t holder = atomic_load(&l->holder);
  if (holder == me && l->recursive) {
    l->depth++;
    return 0;
  }
  bool free = holder == 0, dead = !free && !lf_holder_lives(holder);
  if ((!free && !dead) ||
      !atomic_compare_exchange_strong(&l->holder, &holder, me))
    return LF_EAGAIN;
  if (dead) {
    l->depth = 0;
    *abandoned = true;
  }
  return 0;
}

/* --- Semaphores --- */

int lf_semaphore_try(lf_semaphore *s) {
  int64_t n = atomic_load(&s->value);
  while (n > 0)
    if (atomic_compare_exchange_weak(&s->value, &n, n - 1))
      return 0;
  return LF_EAGAIN;
}

int lf_semaphore_release(lf_semaphore *s, int64_t n) {
  int64_t before = atomic_load(&s->value);
  do
    if (before > s->most - n)
      return LF_EPERM;
  while (!atomic_compare_exchange_weak(&s->value, &before, before + n));
  lf_call(&s->shared, LF_WAITER, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
  return 0;
}

/* --- Events --- */

void lf_event_set(lf_event *e) {
  atomic_store(&e->set, 1);
  lf_call(&e->shared, LF_WAITER, UINT32_MAX);
}

/* --- Barriers ---
 *
 * The word: how many have come (24 bits), whether it is broken (1), how the
 * last rounds have ended (15, the latest lowest: 1 if it was reset), and the
 * number of the round (24). So a round's end is known to those who wait for it,
 * also when they look late. */

enum {
  COUNT = 24,
  BROKEN = 1 << COUNT,
  PAST = 15,
  ROUND = COUNT + 1 + PAST,
  ROUNDS = 1 << 24,
};

static uint32_t count_of(uint64_t word) {
  return word & (BROKEN - 1);
}

static uint32_t round_of(uint64_t word) {
  return (uint32_t)(word >> ROUND);
}

static uint64_t next_round(uint64_t word, bool reset) {
  uint64_t past = word >> (COUNT + 1) & ((1 << PAST) - 1);
  past = (past << 1 | reset) & ((1 << PAST) - 1);
  uint64_t round = (round_of(word) + 1) % ROUNDS;
  return round << ROUND | past << (COUNT + 1);
}

static void call_all(lf_barrier *b) {
  lf_call(&b->shared, LF_WAITER, UINT32_MAX);
}

/* Somebody who had come was killed: nobody can take its waiter. */
static void mourn(lf_barrier *b) {
  uint32_t deaths = atomic_load(&b->shared.deaths);
  uint32_t mourned = atomic_load(&b->mourned);
  while ((int32_t)(deaths - mourned) > 0)
    if (atomic_compare_exchange_weak(&b->mourned, &mourned, deaths)) {
      if (count_of(atomic_load(&b->word)) > 0)
        lf_barrier_abort(b);
      return;
    }
}

int lf_barrier_enter(lf_barrier *b, uint32_t *round) {
  mourn(b);
  uint64_t word = atomic_load(&b->word);
  do {
    if (word & BROKEN)
      return LF_EBROKEN;
    if (count_of(word) == b->parties)
      return LF_EAGAIN;
  } while (!atomic_compare_exchange_weak(&b->word, &word, word + 1));
  *round = round_of(word);
  return (int)count_of(word);
}

int lf_barrier_pass(lf_barrier *b, uint32_t round) {
  uint64_t word = atomic_load(&b->word);
  do
    if (word & BROKEN || round_of(word) != round)
      return LF_EBROKEN;
  while (
      !atomic_compare_exchange_weak(&b->word, &word, next_round(word, false)));
  call_all(b);
  return 0;
}

int lf_barrier_look(lf_barrier *b, uint32_t round) {
  mourn(b);
  uint64_t word = atomic_load(&b->word);
  uint32_t past = (round_of(word) - round) & (ROUNDS - 1);
  if (past == 0)
    return word & BROKEN ? LF_EBROKEN : LF_EAGAIN;
  bool reset = past <= PAST && word >> (COUNT + past) & 1;
  return reset ? LF_EBROKEN : 0;
}

void lf_barrier_abort(lf_barrier *b) {
  atomic_fetch_or(&b->word, BROKEN);
  call_all(b);
}

void lf_barrier_leave(lf_barrier *b, uint32_t round) {
  uint64_t word = atomic_load(&b->word);
  while (round_of(word) == round && !(word & BROKEN))
    if (atomic_compare_exchange_weak(&b->word, &word, word | BROKEN)) {
      call_all(b);
      return;
    }
}

void lf_barrier_reset(lf_barrier *b) {
  uint64_t word = atomic_load(&b->word);
  while (!atomic_compare_exchange_weak(&b->word, &word, next_round(word, true)))
    continue;
  call_all(b);
}

uint32_t lf_barrier_waiting(lf_barrier *b) {
  uint64_t word = atomic_load(&b->word);
  return word & BROKEN ? 0 : count_of(word);
}

bool lf_barrier_is_broken(lf_barrier *b) {
  return atomic_load(&b->word) & BROKEN;
}
