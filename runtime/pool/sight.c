/* SPDX-License-Identifier: MIT
 *
 * See sight.h. */
#include "runtime/pool/sight.h"

#include <string.h>
#include <unistd.h>

void lf_sight_begin(lf_sight *s) {
  atomic_fetch_add(&s->version, 1);
  s->thread = gettid();
  s->n = s->more = s->nholders = 0;
}

void lf_sight_end(lf_sight *s, bool whole) {
  uint32_t number = atomic_load(&s->asked);
  atomic_fetch_add(&s->version, 1);
  atomic_store(&s->glanced, number);
  if (whole)
    atomic_store(&s->answered, number);
}

bool lf_sight_is_like(const lf_sight_line *a, const lf_sight_line *b) {
  return a->what == b->what && a->state == b->state &&
         a->pending == b->pending && a->lock == b->lock &&
         strcmp(a->where, b->where) == 0 && strcmp(a->thing, b->thing) == 0 &&
         strcmp(a->name, b->name) == 0;
}

static int64_t earlier(int64_t a, int64_t b) {
  return b && (!a || b < a) ? b : a;
}

static void count(lf_sight_line *l, const lf_sight_line *new) {
  l->count++;
  l->since = earlier(l->since, new->since);
  l->waits_since = earlier(l->waits_since, new->waits_since);
  l->until = earlier(l->until, new->until);
  if (l->awaited != new->awaited)
    l->awaited = 0;
}

static void note_holder(lf_sight *s, uint64_t holder, uint32_t line) {
  if (!holder || s->nholders == LF_SIGHT_HOLDERS)
    return;
  s->holders[s->nholders].holder = holder;
  s->holders[s->nholders++].line = line;
}

void lf_sight_add(lf_sight *s, const lf_sight_line *line, uint64_t holder) {
  uint32_t i = 0;
  while (i < s->n && !lf_sight_is_like(&s->lines[i], line))
    i++;
  if (i < s->n) {
    count(&s->lines[i], line);
  } else if (i < LF_SIGHT_LINES) {
    s->lines[s->n] = *line;
    s->lines[s->n++].count = 1;
  } else {
    s->more++;
    return;
  }
  note_holder(s, holder, i);
}

bool lf_sight_ask(lf_sight *s, uint32_t number) {
  if (atomic_load(&s->asked) != number)
    atomic_store(&s->asked, number);
  return atomic_load(&s->answered) != number;
}

/* Of what another process may have written. */
static void make_sound(lf_sight *s) {
  s->n = s->n < LF_SIGHT_LINES ? s->n : LF_SIGHT_LINES;
  s->nholders = s->nholders < LF_SIGHT_HOLDERS ? s->nholders : LF_SIGHT_HOLDERS;
  for (uint32_t i = 0; i < s->n; i++) {
    lf_sight_line *l = &s->lines[i];
    l->name[sizeof l->name - 1] = '\0';
    l->thing[sizeof l->thing - 1] = '\0';
    l->where[sizeof l->where - 1] = '\0';
  }
}

lf_sight_got lf_sight_read(lf_sight *s, uint32_t number, lf_sight *copy) {
  enum { TRIES = 100 };
  bool whole = atomic_load(&s->answered) == number;
  if (!whole && atomic_load(&s->glanced) != number)
    return LF_SIGHT_NOTHING;
  for (int i = 0; i < TRIES; i++) {
    uint32_t version = atomic_load(&s->version);
    memcpy(copy, s, sizeof *copy);
    atomic_thread_fence(memory_order_acquire);
    if (version % 2 == 0 && atomic_load(&s->version) == version) {
      make_sound(copy);
      return whole ? LF_SIGHT_WHOLE : LF_SIGHT_GLANCE;
    }
  }
  return LF_SIGHT_NOTHING;
}
