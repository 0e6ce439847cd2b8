/* SPDX-License-Identifier: MIT
 *
 * See usr1_text.h. Workers of which the same is to be said, but for the times,
 * are told of together. No stream is used: the script may hold its lock. */
#include "runtime/pool/usr1_text.h"

#include "runtime/shm/arena.h"

#include <string.h>
#include <unistd.h>

enum {
  GROUPS = LF_LIMIT(50, 10), /* of a pool's workers */
  NAMED = 6                  /* numbers of workers that are alike */
};

/* What is written, and about what. */
typedef struct {
  lf_line *out;
  const lf_survey *s;
  const lf_surveyed *pool; /* NULL: the script's thread is spoken of */
} writer;

static void put(writer *w, const char *text) {
  lf_line_put(w->out, text);
}

static void put_number(writer *w, const char *before, uint64_t n,
                       const char *after) {
  put(w, before);
  lf_line_number(w->out, (int64_t)n);
  put(w, after);
}

static void put_seconds(writer *w, const char *before, int64_t ns,
                        const char *after) {
  put(w, before);
  lf_line_seconds(w->out, ns);
  put(w, after);
}

/* --- Who --- */

/* With a number, if others have the name, too. */
static void put_name(writer *w, const lf_surveyed *p) {
  uint64_t same = 0, nth = 0;
  const char *name = lf_pool_name(p->pool);
  for (size_t i = 0; i < w->s->npools; i++) {
    same += strcmp(lf_pool_name(w->s->pools[i].pool), name) == 0;
    nth = &w->s->pools[i] == p ? same : nth;
  }
  put(w, name);
  if (same > 1)
    put_number(w, " #", nth, "");
}

static void put_who(writer *w, const lf_place *place) {
  if (place->subject->id == 0)
    put(w, "the script's thread");
  else
    put_number(w, "worker ", (uint64_t)place->subject->id, "");
  if (place->pool && place->pool != w->pool) {
    put(w, " of ");
    put_name(w, place->pool);
  }
}

/* Have all said what they are at? */
static bool is_complete(const lf_survey *s) {
  size_t i = 0;
  while (i < s->n && s->subjects[i].got == LF_SIGHT_WHOLE)
    i++;
  return i == s->n;
}

static void put_holder(writer *w, uint64_t holder) {
  lf_place at = lf_survey_holder(w->s, holder);
  if (at.subject) {
    put(w, ", held by ");
    put_who(w, &at);
    put(w, at.line->name[0] ? " in " : "");
    put(w, at.line->name);
  } else if (!lf_holder_lives(holder)) {
    put(w, ", held by a process that has ended");
  } else {
    put(w, ", held by nothing that runs here: a task that has ended, or "
           "another process");
    if (!is_complete(w->s))
      put(w, ", or one that does not answer");
  }
}

/* Who has what is waited for. */
static void put_edge(writer *w, const lf_sight_line *l) {
  lf_place at = lf_survey_task(w->s, l->awaited);
  if (l->lock) {
    put_holder(w, l->lock);
  } else if (at.subject) {
    bool parked = at.line->state == LF_SIGHT_PARKED;
    put(w, parked ? ", which waits in " : ", which ");
    put_who(w, &at);
    put(w, parked ? "" : " runs");
  } else if (l->pending) {
    put(w, ", which has not begun");
  }
}

/* --- Lines --- */

static const char *up_to(const lf_sight_line *l) {
  return l->count > 1 ? "up to " : "";
}

static void put_wait(writer *w, const lf_sight_line *l) {
  put(w, l->count > 1 ? "wait for " : "waits for ");
  put(w, l->thing);
  if (l->waits_since) {
    put(w, " (");
    put_seconds(w, up_to(l), w->s->now - l->waits_since, " s");
    if (l->until && l->until != LF_FOREVER)
      put_seconds(w, ", ", l->until - w->s->now, " s left");
    put(w, ")");
  }
  put_edge(w, l);
}

static void put_task(writer *w, const lf_sight_line *l) {
  if (l->state == LF_SIGHT_PARKED && l->count > 1)
    put_number(w, "parked: ", l->count, " tasks like this: ");
  else if (l->state == LF_SIGHT_PARKED)
    put(w, "parked: ");
  else if (l->what == LF_SIGHT_INLINE)
    put(w, "runs itself: ");
  put(w, l->name);
  if (!l->since)
    return;
  put(w, " for ");
  put_seconds(w, up_to(l), w->s->now - l->since, " s");
}

static void put_line(writer *w, const lf_sight_line *l, bool whole) {
  put_task(w, l);
  const char *comma = l->name[0] ? ", " : "";
  if (l->thing[0]) {
    put(w, comma);
    put_wait(w, l);
  } else if (!l->name[0] && l->state != LF_SIGHT_BELOW) {
    put(w, "runs");
  }
  if (l->state == LF_SIGHT_BELOW) {
    put(w, l->thing[0] ? ", " : comma);
    put(w, "below another on its stack");
  }
  put(w, l->where[0] ? ", " : whole ? "" : ", in C code");
  put(w, l->where);
  lf_line_end(w->out);
}

/* --- Threads and processes --- */

static void put_unanswered(writer *w, const lf_subject *s) {
  if (s->presence == LF_STARTING) {
    put(w, "starts, or runs its initializer");
  } else {
    put(w, s->known.count > 0 ? s->known.name : "");
    put(w, s->known.count > 0 ? ", " : "");
    put(w, "does not answer: in C code, or stopped");
  }
  lf_line_end(w->out);
}

static void put_more(writer *w, const char *before, uint64_t n,
                     const char *after) {
  if (n == 0)
    return;
  put_number(w, before, n, after);
  lf_line_end(w->out);
}

static void put_sight(writer *w, const lf_sight *sight, bool whole) {
  if (sight->n == 0) {
    put(w, whole ? "idle" : "in C code");
    lf_line_end(w->out);
  }
  for (uint32_t i = 0; i < sight->n; i++) {
    put(w, i > 0 ? "    " : "");
    put_line(w, &sight->lines[i], whole);
  }
  put_more(w, "    and ", sight->more, " tasks more");
}

static void put_lines(writer *w, const lf_subject *s) {
  if (s->given_up)
    put(w, "given up, hangs: ");
  if (s->sight)
    put_sight(w, s->sight, s->got == LF_SIGHT_WHOLE);
  else
    put_unanswered(w, s);
  put_more(w, "    and ", s->parked, " parked, of which it does not tell now");
}

/* --- Workers that are alike --- */

typedef struct {
  const lf_subject *first;
  size_t n;
  int ids[NAMED];
} group;

static bool lines_are_alike(const lf_survey *s, const lf_sight_line *a,
                            const lf_sight_line *b) {
  return lf_sight_is_like(a, b) && (a->awaited == b->awaited ||
                                    lf_survey_task(s, a->awaited).subject ==
                                        lf_survey_task(s, b->awaited).subject);
}

static bool are_alike(const lf_survey *s, const lf_subject *a,
                      const lf_subject *b) {
  if (a->presence != b->presence || a->got != b->got ||
      a->given_up != b->given_up || !a->sight != !b->sight ||
      strcmp(a->known.name, b->known.name) != 0)
    return false;
  if (!a->sight)
    return true;
  bool alike = a->sight->n == b->sight->n && a->parked == b->parked &&
               a->sight->more == b->sight->more;
  for (uint32_t i = 0; alike && i < a->sight->n; i++)
    alike = a->sight->lines[i].count == b->sight->lines[i].count &&
            lines_are_alike(s, &a->sight->lines[i], &b->sight->lines[i]);
  return alike;
}

/* Puts the subject into a group; false: there are too many. */
static bool add_to_group(const lf_survey *s, group *groups, size_t *n,
                         const lf_subject *subject) {
  size_t i = 0;
  while (i < *n && !are_alike(s, groups[i].first, subject))
    i++;
  if (i == GROUPS)
    return false;
  if (i == *n)
    groups[(*n)++] = (group){.first = subject};
  if (groups[i].n < NAMED)
    groups[i].ids[groups[i].n] = subject->id;
  groups[i].n++;
  return true;
}

static void put_group(writer *w, const group *g) {
  put(w, g->n > 1 ? "  workers " : "  worker ");
  for (size_t i = 0; i < g->n && i < NAMED; i++)
    put_number(w, i > 0 ? ", " : "", (uint64_t)g->ids[i], "");
  if (g->n > NAMED)
    put_number(w, " ... (", g->n, ")");
  else if (g->n == 1 && g->first->sight)
    put_number(w, " (", (uint64_t)g->first->sight->thread, ")");
  put(w, g->n > 1 ? ", each: " : ": ");
  put_lines(w, g->first);
}

static void put_workers(writer *w, const lf_surveyed *p) {
  group groups[GROUPS];
  size_t n = 0;
  uint64_t more = 0;
  for (size_t i = p->n; i-- > 0;) /* the oldest is the last */
    more += !add_to_group(w->s, groups, &n, &w->s->subjects[p->first + i]);
  for (size_t i = 0; i < n; i++)
    put_group(w, &groups[i]);
  if (more == 0)
    return;
  put_number(w, "  and ", more, " workers more");
  lf_line_end(w->out);
}

/* --- Pools --- */

static const char *kind_of(const lf_pool *p) {
  const lf_backend *b = p->o.backend;
  return b->parks     ? "async"
         : !b->remote ? "threads"
         : b->look_at ? "processes"
                      : "a cluster";
}

static void put_pool(writer *w, const lf_surveyed *p) {
  w->pool = p;
  put_name(w, p);
  put(w, " (");
  put(w, kind_of(p->pool));
  put_number(w, ", max_workers=", (uint64_t)lf_pool_max_workers(p->pool),
             "): ");
  if (!p->looked)
    put(w, "cannot be looked at: its lock is held");
  else
    put_number(w, "", p->queued, " queued");
  if (p->held > 0)
    put_number(w, ", ", p->held, " that wait for others first");
  lf_line_end(w->out);
  put_workers(w, p);
}

/* --- Circles --- */

/* Whom the place waits for; no subject: nobody that is known. */
static lf_place next_of(const lf_survey *s, const lf_place *at) {
  const lf_sight_line *l = at->line;
  if (!l->thing[0] || l->until != LF_FOREVER)
    return (lf_place){0};
  return l->lock ? lf_survey_holder(s, l->lock) : lf_survey_task(s, l->awaited);
}

static bool is_before(const lf_place *a, const lf_place *b) {
  return a->subject == b->subject ? a->line < b->line : a->subject < b->subject;
}

/* How many are in the circle, which is told from the first of them; 0: there is
 * none from here. */
static size_t circle_from(const lf_survey *s, const lf_place *start) {
  enum { MOST = 100 };
  lf_place at = *start;
  for (size_t n = 1; n < MOST; n++) {
    at = next_of(s, &at);
    if (!at.subject || is_before(&at, start))
      return 0;
    if (at.line == start->line)
      return n;
  }
  return 0;
}

static void put_circle(writer *w, lf_place at, size_t n) {
  w->pool = NULL;
  put(w, "these wait for each other, for ever: ");
  for (size_t i = 0; i <= n; i++) {
    put(w, i > 0 ? " -> " : "");
    put_who(w, &at);
    at = next_of(w->s, &at);
  }
  lf_line_end(w->out);
}

static void put_circles(writer *w) {
  for (size_t i = 0; i < w->s->n; i++) {
    const lf_sight *sight = w->s->subjects[i].sight;
    for (uint32_t k = 0; sight && k < sight->n; k++) {
      lf_place at = lf_survey_place(w->s, i, k);
      size_t n = circle_from(w->s, &at);
      if (n > 0)
        put_circle(w, at, n);
    }
  }
}

/* --- All --- */

static void put_head(writer *w, int64_t opened) {
  put_number(w, "lfut: process ", (uint64_t)getpid(), "");
  put_seconds(w, " after ", w->s->now - opened, " s");
  lf_line_end(w->out);
  put(w, "the script: ");
  put_lines(w, &w->s->subjects[0]);
}

void lf_dump_put(lf_line *out, const lf_survey *s, int64_t opened) {
  writer w = {.out = out, .s = s};
  put_head(&w, opened);
  if (!s->looked) {
    put(&w, "the list of executors cannot be looked at: its lock is held");
    lf_line_end(out);
  }
  for (size_t i = 0; i < s->npools; i++)
    if (!s->pools[i].pool->o.backend->caller)
      put_pool(&w, &s->pools[i]);
  if (s->more > 0) {
    put_number(&w, "and ", s->more, " executors more");
    lf_line_end(out);
  }
  put_circles(&w);
}

void lf_dump_write(const lf_line *text) {
  for (size_t at = 0; at < text->len;) {
    ssize_t n = write(STDERR_FILENO, text->text + at, text->len - at);
    if (n <= 0)
      break;
    at += (size_t)n;
  }
}
