/* SPDX-License-Identifier: MIT
 *
 * See sleeper.h. A place's state is its ticket and whether it has been called,
 * in one word: so a call that comes late cannot hit who has the place next. */
#include "sleeper.h"

#include "arena.h"

struct lf_sleeper {
  lf_parker parker;        /* of who has the place */
  _Atomic uint32_t owner;  /* its process's number, or 0: the place is free */
  _Atomic uint64_t state;  /* 0, or the ticket with one of the bits below */
  _Atomic uint64_t object; /* its offset; valid while there is a state */
  _Atomic uint32_t kind;
  _Atomic uint32_t bell; /* 0, or where its thread sleeps instead: see ring */
};

enum { WAITING = 1, CALLED = 2, AGAIN = 4, BITS = 3 };

typedef struct {
  _Atomic uint64_t tickets; /* given so far */
  _Atomic uint32_t top;     /* no place from there on has been in use */
  _Alignas(64) struct { _Alignas(64) lf_sleeper sleeper; } places[];
} board;

enum {
  PLACES = (LF_BOARD - sizeof(board)) / 64,
  MOST = LF_LIMIT(PLACES, 512),
};

static board *get_board(void) {
  return lf_arena_board();
}

static lf_sleeper *place(uint32_t i) {
  return &get_board()->places[i].sleeper;
}

/* A free place is the calling process's from now on. */
static lf_sleeper *take_place(uint32_t me) {
  board *b = get_board();
  for (uint32_t i = 0; i < MOST; i++) {
    uint32_t nobody = 0;
    lf_sleeper *s = place(i);
    if (atomic_load_explicit(&s->owner, memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong(&s->owner, &nobody, me))
      continue;
    uint32_t top = atomic_load(&b->top);
    while (top <= i && !atomic_compare_exchange_weak(&b->top, &top, i + 1))
      continue;
    return s;
  }
  return NULL;
}

lf_sleeper *lf_sleeper_new(lf_shared *object, uint32_t kind) {
  uint32_t me = lf_owner_self();
  lf_sleeper *s = me ? take_place(me) : NULL;
  if (!s)
    return NULL;
  lf_parker_init_shared(&s->parker);
  atomic_store(&s->object, lf_arena_offset(object));
  atomic_store(&s->kind, kind);
  atomic_store(&s->bell, 0);
  atomic_fetch_add(&object->sleeping, 1);
  uint64_t ticket = atomic_fetch_add(&get_board()->tickets, 1) + 1;
  atomic_store(&s->state, ticket << BITS | WAITING);
  return s;
}

bool lf_sleeper_called(const lf_sleeper *s) {
  return atomic_load_explicit(&s->state, memory_order_acquire) & CALLED;
}

bool lf_sleeper_stirred(const lf_sleeper *s) {
  return atomic_load_explicit(&s->state, memory_order_acquire) &
         (CALLED | AGAIN);
}

bool lf_sleeper_pause(lf_sleeper *s) {
  return atomic_fetch_and(&s->state, ~(uint64_t)(WAITING | CALLED)) & CALLED;
}

void lf_sleeper_resume(lf_sleeper *s) {
  atomic_fetch_or(&s->state, WAITING);
}

bool lf_sleeper_end(lf_sleeper *s) {
  lf_shared *object = lf_arena_at(atomic_load(&s->object));
  bool called = atomic_exchange(&s->state, 0) & CALLED;
  atomic_fetch_sub(&object->sleeping, 1);
  atomic_store(&s->owner, 0);
  return called;
}

static lf_spin_time sleeping = LF_SPIN_TIME;

/* Looks for a call or a wake-up for a moment without sleeping. */
static void spin(lf_sleeper *s, lf_parker *own, int64_t now, int64_t deadline) {
  int64_t end = now + lf_spin_ns(&sleeping);
  end = end < deadline ? end : deadline;
  for (int i = 1; lf_may_spin(); i++) {
    if (lf_sleeper_called(s) || lf_parker_woken(&s->parker) ||
        lf_parker_woken(own))
      return;
    lf_relax();
    if (i % 64 == 0 && lf_now() >= end)
      return;
  }
}

void lf_sleeper_rearm(lf_sleeper *s) {
  atomic_fetch_and(&s->state, ~(uint64_t)AGAIN);
  uint64_t state = atomic_load(&s->state);
  if (state & CALLED)
    atomic_store(&s->state, (state & ~(uint64_t)CALLED) | WAITING);
}

/* --- Bells --- */

lf_sleeper *lf_bell_new(void) {
  uint32_t me = lf_owner_self();
  lf_sleeper *bell = me ? take_place(me) : NULL;
  if (bell)
    lf_parker_init_shared(&bell->parker);
  return bell;
}

void lf_bell_end(lf_sleeper *bell) {
  atomic_store(&bell->owner, 0);
}

void lf_sleeper_ring(lf_sleeper *s, const lf_sleeper *bell) {
  uint64_t at = bell ? lf_arena_offset(bell) : 0;
  atomic_store(&s->bell, (uint32_t)at); /* the board is at the beginning */
}

void lf_sleeper_pass(lf_sleeper *s) {
  lf_shared *object = lf_arena_at(atomic_load(&s->object));
  uint32_t kind = atomic_load(&s->kind);
  if (lf_sleeper_end(s))
    lf_call(object, kind, 1);
}

/* Wakes whoever sleeps at the place, or at its bell. */
static void wake(lf_sleeper *s) {
  uint32_t bell = atomic_load(&s->bell);
  lf_sleeper *at = bell ? lf_arena_at(bell) : s;
  lf_unpark(&at->parker);
}

int lf_sleep(lf_sleeper *s, lf_parker *own, int64_t deadline) {
  if (lf_sleeper_called(s))
    return 0;
  if (deadline <= 0)
    return LF_ETIMEOUT;
  int64_t since = lf_now();
  spin(s, own, since, deadline);
  int r = lf_doze_at(&s->parker, own, deadline);
  if (r == 0)
    lf_spin_learn(&sleeping, lf_now() - since);
  return r;
}

/* The one that has waited for longest, with its state then; NULL: none. */
static lf_sleeper *find_first(uint64_t object, uint32_t kinds,
                              uint64_t *its_state) {
  lf_sleeper *first = NULL;
  uint32_t top = atomic_load(&get_board()->top);
  for (uint32_t i = 0; i < top; i++) {
    lf_sleeper *s = place(i);
    uint64_t state = atomic_load(&s->state);
    if (!(state & WAITING) || atomic_load(&s->object) != object ||
        !(atomic_load(&s->kind) & kinds) || (first && state > *its_state))
      continue;
    first = s;
    *its_state = state;
  }
  return first;
}

uint32_t lf_call_slowly(lf_shared *object, uint32_t kinds, uint32_t n) {
  uint64_t at = lf_arena_offset(object), state = 0;
  uint32_t called = 0;
  while (called < n) {
    lf_sleeper *s = find_first(at, kinds, &state);
    if (!s)
      break;
    uint64_t after = (state & ~(uint64_t)WAITING) | CALLED;
    if (!atomic_compare_exchange_strong(&s->state, &state, after))
      continue;
    wake(s);
    called++;
  }
  return called;
}

/* --- Burying --- */

static void empty_place(lf_sleeper *s) {
  uint64_t at = atomic_load(&s->object);
  if (atomic_exchange(&s->state, 0) != 0 &&
      lf_arena_touch(at, sizeof(lf_shared))) {
    lf_shared *object = lf_arena_at(at);
    atomic_fetch_add(&object->deaths, 1);
    atomic_fetch_sub(&object->sleeping, 1);
  }
  atomic_store(&s->owner, 0);
}

void lf_sleepers_bury(uint32_t dead) {
  uint32_t top = atomic_load(&get_board()->top);
  for (uint32_t i = 0; i < top; i++) {
    uint32_t owner = atomic_load(&place(i)->owner);
    if (owner && lf_owner_descends(owner, dead))
      empty_place(place(i));
  }
}

static void look_again(lf_sleeper *s) {
  uint64_t state = atomic_load(&s->state);
  while (state & WAITING &&
         !atomic_compare_exchange_weak(&s->state, &state, state | AGAIN))
    continue;
  wake(s);
}

void lf_sleepers_look_again(void) {
  uint32_t top = atomic_load(&get_board()->top);
  for (uint32_t i = 0; i < top; i++)
    if (atomic_load(&place(i)->owner) != 0)
      look_again(place(i));
}

uint32_t lf_sleepers(void) {
  uint32_t n = 0, top = lf_arena_size() ? atomic_load(&get_board()->top) : 0;
  for (uint32_t i = 0; i < top; i++)
    n += atomic_load(&place(i)->owner) != 0;
  return n;
}
