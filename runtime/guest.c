/* SPDX-License-Identifier: MIT
 *
 * See guest.h. The ledger is a hash table with linear probing, of a fixed size,
 * by the root alone: so all entries of a root stand near each other. */
#include "guest.h"

#include "arena.h"

#include <stdatomic.h>

typedef struct {
  _Atomic uint64_t at; /* 0: never used; FORMER: used once */
  uint32_t owner;      /* a process's number; 0: an item */
  uint32_t count;
} entry;

typedef struct {
  uint32_t used, live; /* entries that are not empty; that count something */
  entry entries[];
} ledger;

enum {
  FORMER = 1,
  ENTRIES = LF_LIMIT(1 << 16, 1 << 10),
  MOST = ENTRIES / 4 * 3,
};

_Static_assert(sizeof(ledger) + ENTRIES * sizeof(entry) <= LF_LEDGER,
               "the ledger is too large");

static ledger *begin(void) {
  lf_latch *latch;
  ledger *l = lf_arena_ledger(&latch);
  lf_latch_take(latch); /* each change leaves it right */
  return l;
}

static void end(void) {
  lf_latch *latch;
  lf_arena_ledger(&latch);
  lf_latch_give(latch);
}

static uint32_t start(uint64_t at) {
  return (uint32_t)((at >> 6) * 0x9e3779b97f4a7c15u >> 40) % ENTRIES;
}

/* The entry, or NULL; in '*free' the first place where it could be. */
static entry *find(ledger *l, uint64_t at, uint32_t owner, entry **free) {
  entry *room = NULL;
  for (uint32_t i = start(at);; i = (i + 1) % ENTRIES) {
    entry *e = &l->entries[i];
    if (e->at == at && e->owner == owner)
      return e;
    if (e->at <= FORMER && !room)
      room = e;
    if (e->at == 0)
      break;
  }
  if (free)
    *free = room;
  return NULL;
}

static uint32_t owner_of(lf_guest whose) {
  return whose == LF_GUEST_HERE ? lf_owner_self() : 0;
}

bool lf_guest_add(uint64_t at, lf_guest whose) {
  entry *room = NULL;
  uint32_t owner = owner_of(whose);
  ledger *l = begin();
  entry *e = find(l, at, owner, &room);
  bool fits = e || (room && (room->at == FORMER || l->used < MOST));
  if (e) {
    e->count++;
  } else if (fits) {
    l->used += room->at == 0;
    l->live++;
    room->owner = owner;
    room->count = 1;
    room->at = at;
  }
  end();
  return fits;
}

/* The entry counts nothing any more. */
static void forget(ledger *l, entry *e) {
  e->at = FORMER;
  if (l->live > 0 && --l->live > 0)
    return;
  for (uint32_t i = 0; i < ENTRIES; i++) /* all are of the past */
    if (l->entries[i].at > FORMER)
      return; /* a killed one has miscounted */
  for (uint32_t i = 0; i < ENTRIES; i++)
    l->entries[i].at = 0;
  l->used = 0;
}

void lf_guest_del(uint64_t at, lf_guest whose) {
  uint32_t owner = owner_of(whose);
  ledger *l = begin();
  entry *e = find(l, at, owner, NULL);
  if (e && --e->count == 0)
    forget(l, e);
  end();
}

bool lf_guest_at(uint64_t at) {
  bool found = false;
  ledger *l = begin();
  for (uint32_t i = start(at); l->entries[i].at != 0 && !found;
       i = (i + 1) % ENTRIES)
    found = l->entries[i].at == at;
  end();
  return found;
}

bool lf_guest_in(uint32_t zone) {
  bool found = false;
  ledger *l = begin();
  for (uint32_t i = 0; l->used > 0 && i < ENTRIES && !found; i++)
    found =
        l->entries[i].at > FORMER && l->entries[i].at / lf_zone_size() == zone;
  end();
  return found;
}

void lf_guests_bury(uint32_t dead) {
  ledger *l = begin();
  for (uint32_t i = 0; l->used > 0 && i < ENTRIES; i++) {
    entry *e = &l->entries[i];
    if (e->at > FORMER && e->owner && lf_owner_descends(e->owner, dead))
      forget(l, e);
  }
  end();
}
