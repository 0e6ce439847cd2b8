/* SPDX-License-Identifier: MIT
 *
 * See refs.h. The table of references is a hash table with linear probing, of a
 * fixed size, by the root alone: so all entries of a root stand near each
 * other. There are two, of which one counts: when it is full of what was, what
 * is goes into the other (in one step, at the end). */
#include "runtime/shm/refs.h"

#include "runtime/shm/arena.h"
#include "runtime/shm/robust.h"

#include <string.h>

typedef struct {
  uint64_t at; /* 0: never used; FORMER: used once; set last */
  uint64_t who;
  uint64_t count;
} entry;

enum {
  FORMER = 1,
  ENTRIES = LF_LIMIT(80000, 512),
  MOST = ENTRIES / 4 * 3,
};

typedef struct {
  uint64_t used; /* entries that are not empty */
  entry entries[ENTRIES];
} table;

typedef struct {
  lf_robust robust;
  _Atomic uint32_t current;
  table tables[2];
} refs_table;

_Static_assert(sizeof(refs_table) <= LF_REFS_SIZE,
               "the table of references is too large");

/* A process's number, so marked, or the offset of an object. */
#define PROCESS ((uint64_t)1 << 63)

static table *current(refs_table *l) {
  return &l->tables[atomic_load_explicit(&l->current, memory_order_relaxed)];
}

static table *begin(void) {
  refs_table *l = lf_arena_refs();
  lf_robust_take(&l->robust); /* each change leaves it right */
  return current(l);
}

static void end(void) {
  refs_table *l = lf_arena_refs();
  lf_robust_give(&l->robust);
}

static uint64_t who_is(uint64_t whose) {
  return whose == LF_REFS_HERE ? PROCESS | lf_owner_self() : whose;
}

static uint32_t start(uint64_t at) {
  return (uint32_t)((at >> 6) * 0x9e3779b97f4a7c15u >> 40) % ENTRIES;
}

/* The entry, or NULL; in '*room' the first place where it could be. */
static entry *find(table *t, uint64_t at, uint64_t who, entry **room) {
  *room = NULL;
  uint32_t i = start(at);
  for (uint32_t n = 0; n < ENTRIES; n++, i = (i + 1) % ENTRIES) {
    entry *e = &t->entries[i];
    if (e->at == at && e->who == who)
      return e;
    if (e->at <= FORMER && !*room)
      *room = e;
    if (e->at == 0)
      break;
  }
  return NULL;
}

static void set(table *t, entry *e, uint64_t at, uint64_t who, uint64_t count) {
  t->used += e->at == 0;
  e->who = who;
  e->count = count;
  atomic_signal_fence(memory_order_seq_cst); /* a death is seen in order */
  e->at = at;
}

/* The other table, with all that counts, instead of the full one. */
static table *renew(void) {
  refs_table *l = lf_arena_refs();
  table *old = current(l), *new = &l->tables[old == &l->tables[0]];
  memset(new, 0, sizeof *new);
  for (uint32_t i = 0; i < ENTRIES; i++) {
    const entry *e = &old->entries[i];
    entry *room;
    if (e->at > FORMER && e->count > 0 && !find(new, e->at, e->who, &room))
      set(new, room, e->at, e->who, e->count);
  }
  atomic_store(&l->current, (uint32_t)(new - l->tables));
  return new;
}

bool lf_refs_add(uint64_t at, uint64_t whose) {
  uint64_t who = who_is(whose);
  entry *room;
  table *t = begin();
  entry *e = find(t, at, who, &room);
  if (!e && t->used >= MOST) {
    t = renew();
    find(t, at, who, &room);
  }
  bool fits = e || (room && t->used < MOST);
  if (e)
    e->count++;
  else if (fits)
    set(t, room, at, who, 1);
  end();
  return fits;
}

void lf_refs_del(uint64_t at, uint64_t whose) {
  entry *room;
  table *t = begin();
  entry *e = find(t, at, who_is(whose), &room);
  if (e && --e->count == 0)
    e->at = FORMER;
  end();
}

static bool has_any(const table *t, uint64_t at) {
  for (uint32_t i = start(at); t->entries[i].at != 0; i = (i + 1) % ENTRIES)
    if (t->entries[i].at == at && t->entries[i].count > 0)
      return true;
  return false;
}

bool lf_refs_place(uint64_t at) {
  table *t = begin();
  bool any = has_any(t, at);
  end();
  return any;
}

bool lf_refs_in(uint32_t zone) {
  uint64_t from = zone * lf_zone_size(), to = from + lf_zone_size();
  bool any = false;
  table *t = begin();
  for (uint32_t i = 0; t->used > 0 && i < ENTRIES; i++) {
    entry *e = &t->entries[i];
    if (e->at > FORMER && e->who >= from && e->who < to && !has_any(t, e->who))
      e->at = FORMER;
  }
  for (uint32_t i = 0; t->used > 0 && i < ENTRIES && !any; i++)
    any = t->entries[i].at > FORMER && t->entries[i].at >= from &&
          t->entries[i].at < to;
  end();
  return any;
}

void lf_refs_reap(uint32_t dead) {
  table *t = begin();
  for (uint32_t i = 0; t->used > 0 && i < ENTRIES; i++) {
    entry *e = &t->entries[i];
    if (e->at > FORMER && e->who & PROCESS &&
        lf_owner_descends((uint32_t)e->who, dead))
      e->at = FORMER;
  }
  end();
}
