/* SPDX-License-Identifier: MIT
 *
 * See survey.h. Workers come and go meanwhile: in each round they are looked up
 * anew, under their pools' locks. */
#include "runtime/pool/survey.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"

#include <signal.h>
#include <unistd.h>

enum {
  ROUND_NS = 5000000,
  RING_ROUNDS = 8, /* a signal may come when a thread cannot look */
  PATIENCE_NS = 400000000,
  LOCKS_NS = 150000000 /* for all locks together, in a round */
};

static bool lock_in_time(pthread_mutex_t *lock, int64_t deadline) {
  struct timespec ts = lf_timespec(deadline);
  return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &ts) == 0;
}

/* --- Asking --- */

/* Of a pool whose lock is held: how many have not answered. */
static size_t ask_pool(lf_survey *s, lf_pool *p, bool ring) {
  size_t missing = 0;
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_sight *sight = NULL;
    lf_presence there = p->o.backend->look_at(w, ring ? s->number : 0, &sight);
    missing += there == LF_THERE && sight &&
               atomic_load(&sight->answered) != s->number;
  }
  return missing;
}

static size_t ask_all(lf_survey *s, lf_sight *script, bool ring) {
  size_t missing = 0;
  int64_t deadline = lf_now() + LOCKS_NS;
  if (ring && lf_sight_ask(script, s->number))
    tgkill(getpid(), getpid(), SIGUSR1);
  missing += atomic_load(&script->answered) != s->number;
  for (size_t i = 0; i < s->npools; i++) {
    lf_pool *p = s->pools[i].pool;
    if (!p->o.backend->look_at || !lock_in_time(&p->lock, deadline))
      continue;
    missing += ask_pool(s, p, ring);
    pthread_mutex_unlock(&p->lock);
  }
  return missing;
}

static void ask_until_answered(lf_survey *s, lf_sight *script) {
  struct timespec pause = lf_timespec(ROUND_NS);
  int64_t deadline = lf_now() + PATIENCE_NS;
  for (int i = 0; ask_all(s, script, i % RING_ROUNDS == 0) > 0; i++) {
    if (lf_now() >= deadline)
      return;
    nanosleep(&pause, NULL);
  }
}

/* --- Noting --- */

/* One more; NULL: no memory. */
static lf_subject *add_subject(lf_survey *s) {
  if (s->n == s->cap) {
    size_t cap = s->cap ? 2 * s->cap : 16;
    lf_subject *more = lf_realloc(s->subjects, cap * sizeof *more);
    if (!more)
      return NULL;
    s->subjects = more;
    s->cap = cap;
  }
  lf_subject *subject = &s->subjects[s->n++];
  *subject = (lf_subject){0};
  return subject;
}

static void note_answer(const lf_survey *s, lf_subject *subject,
                        lf_sight *sight) {
  lf_sight *copy = lf_malloc(sizeof *copy);
  subject->got =
      copy ? lf_sight_read(sight, s->number, copy) : LF_SIGHT_NOTHING;
  if (subject->got == LF_SIGHT_NOTHING)
    lf_free(copy);
  else
    subject->sight = copy;
}

/* What numbers of tasks mean is known to the back end, as long as the lock is
 * held. */
static void note_worker(lf_survey *s, lf_worker *w) {
  const lf_backend *backend = w->pool->o.backend;
  lf_sight *sight = NULL;
  lf_presence there = backend->look_at(w, 0, &sight);
  lf_subject *subject = there == LF_ABSENT ? NULL : add_subject(s);
  if (!subject)
    return;
  subject->id = w->id;
  subject->presence = there;
  subject->given_up = w->abandoned;
  if (sight)
    note_answer(s, subject, sight);
  if (subject->got != LF_SIGHT_WHOLE)
    subject->parked = w->parked;
  if (subject->got != LF_SIGHT_WHOLE && backend->know)
    backend->know(w, &subject->known);
  for (uint32_t i = 0; subject->sight && i < subject->sight->n; i++)
    if (backend->resolve)
      backend->resolve(w, &subject->sight->lines[i]);
}

static void note_pool(lf_survey *s, lf_surveyed *of, int64_t deadline) {
  lf_pool *p = of->pool;
  of->first = s->n;
  of->looked = lock_in_time(&p->lock, deadline);
  if (!of->looked)
    return;
  of->queued = p->queued;
  of->held = p->owner.held;
  for (lf_worker *w = p->workers; w; w = w->next) {
    of->queued += w->queued + w->npinned;
    of->queued += p->o.backend->ahead ? p->o.backend->ahead(w) : 0;
    if (p->o.backend->look_at)
      note_worker(s, w);
  }
  pthread_mutex_unlock(&p->lock);
  of->n = s->n - of->first;
}

static void note_all(lf_survey *s) {
  int64_t deadline = lf_now() + LOCKS_NS;
  for (size_t i = 0; i < s->npools; i++)
    note_pool(s, &s->pools[i], deadline);
}

static void get_pools(lf_survey *s, lf_registry *registry) {
  lf_pool *pools[LF_SURVEY_POOLS];
  s->looked = lock_in_time(&registry->lock, lf_now() + LOCKS_NS);
  if (!s->looked)
    return;
  s->npools = lf_registry_some(registry, pools, LF_SURVEY_POOLS, &s->more);
  pthread_mutex_unlock(&registry->lock);
  for (size_t i = 0; i < s->npools; i++)
    s->pools[i] = (lf_surveyed){.pool = pools[i]};
}

int lf_survey_make(lf_survey *s, lf_registry *registry, lf_sight *script,
                   uint32_t number) {
  *s = (lf_survey){.number = number};
  get_pools(s, registry);
  ask_until_answered(s, script);
  lf_subject *first = add_subject(s);
  if (!first) {
    lf_survey_fini(s);
    return LF_ENOMEM;
  }
  first->presence = LF_THERE;
  note_answer(s, first, script);
  note_all(s);
  s->now = lf_now();
  return 0;
}

void lf_survey_alone(lf_survey *s, lf_subject *subject, lf_sight *script,
                     bool whole) {
  *subject = (lf_subject){.presence = LF_THERE,
                          .got = whole ? LF_SIGHT_WHOLE : LF_SIGHT_GLANCE,
                          .sight = script};
  *s =
      (lf_survey){.now = lf_now(), .looked = true, .n = 1, .subjects = subject};
}

void lf_survey_fini(lf_survey *s) {
  for (size_t i = 0; i < s->n; i++)
    lf_free(s->subjects[i].sight);
  lf_free(s->subjects);
  for (size_t i = 0; i < s->npools; i++)
    lf_pool_unref(s->pools[i].pool);
}

/* --- Looking up --- */

static const lf_surveyed *pool_of(const lf_survey *s, size_t subject) {
  for (size_t i = 0; i < s->npools; i++)
    if (subject - s->pools[i].first < s->pools[i].n)
      return &s->pools[i];
  return NULL;
}

lf_place lf_survey_place(const lf_survey *s, size_t subject, uint32_t line) {
  const lf_subject *of = &s->subjects[subject];
  return (lf_place){pool_of(s, subject), of, &of->sight->lines[line]};
}

lf_place lf_survey_task(const lf_survey *s, uint64_t task) {
  for (size_t i = 0; task && i < s->n; i++) {
    const lf_sight *sight = s->subjects[i].sight;
    for (uint32_t k = 0; sight && k < sight->n; k++)
      if (sight->lines[k].task == task)
        return lf_survey_place(s, i, k);
    if (s->subjects[i].known.count > 0 && s->subjects[i].known.task == task)
      return (lf_place){pool_of(s, i), &s->subjects[i], &s->subjects[i].known};
  }
  return (lf_place){0};
}

lf_place lf_survey_holder(const lf_survey *s, uint64_t holder) {
  for (size_t i = 0; holder && i < s->n; i++) {
    const lf_sight *sight = s->subjects[i].sight;
    for (uint32_t k = 0; sight && k < sight->nholders; k++)
      if (sight->holders[k].holder == holder &&
          sight->holders[k].line < sight->n)
        return lf_survey_place(s, i, sight->holders[k].line);
  }
  return (lf_place){0};
}
