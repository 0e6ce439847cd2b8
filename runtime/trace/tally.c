/* SPDX-License-Identifier: MIT
 *
 * See tally.h. */
#include "runtime/trace/tally.h"

#include "runtime/base/mem.h"

#include <stdio.h>
#include <string.h>

atomic_int lf_timing;

enum { SLOW_NS = 20000 }; /* some hundred times a look at the clock */

/* One more, of no function yet. NULL: no memory, no statistics. */
static lf_tally *add_tally(lf_tallies *all) {
  lf_tally *t = lf_zalloc(sizeof *t);
  if (!t)
    return NULL;
  t->next = atomic_load_explicit(&all->first, memory_order_relaxed);
  return t;
}

static lf_tally *publish(lf_tallies *all, lf_tally *t) {
  atomic_store_explicit(&all->first, t, memory_order_release);
  return t;
}

static lf_tally *others(lf_tallies *all) {
  lf_tally *t = all->others ? NULL : add_tally(all);
  if (t)
    all->others = publish(all, t);
  return all->others;
}

static lf_tally *add_code(lf_tallies *all, lf_code *code) {
  if (all->by_code.n >= LF_TALLIES_MOST)
    return others(all);
  lf_tally *t = add_tally(all);
  if (!t || lf_table_add(&all->by_code, code->id, t) != 0) {
    lf_free(t);
    return NULL;
  }
  t->code = lf_code_ref(code);
  return publish(all, t);
}

static lf_tally *find(lf_tallies *all, lf_code *code) {
  if (all->last && all->last->code == code)
    return all->last;
  if (!code)
    return others(all);
  lf_entry *e = lf_table_find(&all->by_code, code->id);
  lf_tally *t = e ? e->value : add_code(all, code);
  if (t && t->code)
    all->last = t;
  return t;
}

static void widen(lf_tallies *all, int64_t begun, int64_t ended) {
  int64_t first = atomic_load_explicit(&all->begun, memory_order_relaxed);
  int64_t last = atomic_load_explicit(&all->ended, memory_order_relaxed);
  if (begun && (!first || begun < first))
    atomic_store_explicit(&all->begun, begun, memory_order_relaxed);
  if (ended > last)
    atomic_store_explicit(&all->ended, ended, memory_order_relaxed);
}

/* What runs have taken; 'busy': with their copying. */
typedef struct {
  uint64_t calls, run, busy, waited;
} spent;

static void add_long(lf_tally *t, const spent *s) {
  lf_tally_add(&t->longs, s->calls);
  lf_tally_add(&t->long_run, s->run);
  lf_tally_add(&t->long_busy, s->busy);
  lf_tally_add(&t->long_waited, s->waited);
}

static void add_short(lf_tally *t, const spent *s) {
  lf_tally_add(&t->timed, s->calls);
  lf_tally_add(&t->run, s->run);
  lf_tally_add(&t->busy, s->busy);
  lf_tally_add(&t->waited, s->waited);
}

static void add_run(lf_tally *t, uint64_t calls, const lf_times *times) {
  uint64_t run =
      (uint64_t)(times->ns[LF_PHASE_RUN] + times->ns[LF_PHASE_NATIVE]);
  uint64_t mean = run / calls;
  uint64_t busy =
      run + (uint64_t)(times->ns[LF_PHASE_PACK] + times->ns[LF_PHASE_UNPACK]);
  spent s = {calls, run, busy, (uint64_t)times->ns[LF_PHASE_WAIT]};
  bool apart = mean >= LF_LONG_NS && lf_timing_now() & LF_TIME_LONG;
  (apart ? add_long : add_short)(t, &s);
  if (mean > atomic_load_explicit(&t->longest, memory_order_relaxed))
    atomic_store_explicit(&t->longest, mean, memory_order_relaxed);
  if (t->code)
    atomic_store_explicit(&t->code->slow, mean >= SLOW_NS,
                          memory_order_relaxed);
}

static void add_times(lf_tally *t, uint64_t calls, const lf_times *times) {
  add_run(t, calls, times);
  if (times->born > 0 && times->begun >= times->born) {
    lf_tally_add(&t->queues, calls);
    lf_tally_add(&t->queued, (uint64_t)(times->begun - times->born));
  }
  if (times->fine) {
    lf_tally_add(&t->fine, calls);
    lf_tally_add(&t->fine_packed, (uint64_t)times->ns[LF_PHASE_PACK]);
    lf_tally_add(&t->fine_unpacked, (uint64_t)times->ns[LF_PHASE_UNPACK]);
  }
}

static void count(lf_tallies *tallies, lf_tally *t, uint64_t calls,
                  uint64_t failures, const lf_times *times) {
  lf_tally_add(&t->calls, calls);
  if (failures > 0)
    lf_tally_add(&t->failures, failures);
  lf_tally_add(&t->sent, times->sent);
  lf_tally_add(&t->received, times->received);
  if (!times->begun)
    return;
  int64_t taken = 0;
  for (int i = 0; i < LF_PHASES; i++)
    taken += times->ns[i];
  add_times(t, calls, times);
  widen(tallies, times->begun,
        times->ended ? times->ended : times->begun + taken);
}

void lf_tallies_count(lf_tallies *tallies, lf_code *code, bool failed,
                      const lf_times *times) {
  lf_tally *t = code ? find(tallies, code) : NULL;
  if (t)
    count(tallies, t, 1, failed, times);
}

void lf_tallies_chunk(lf_tallies *tallies, lf_code *code, uint64_t items,
                      uint64_t failures, const lf_times *times) {
  lf_tally *t = code && items > 0 ? find(tallies, code) : NULL;
  if (!t)
    return;
  lf_tally_add(&t->items, items);
  count(tallies, t, items, failures, times);
}

void lf_tallies_packed(lf_tallies *tallies, lf_code *code, int64_t ns) {
  lf_tally *t = code ? find(tallies, code) : NULL;
  if (t) {
    lf_tally_add(&t->packs, 1);
    lf_tally_add(&t->packed, (uint64_t)ns);
  }
}

void lf_tallies_unpacked(lf_tallies *tallies, lf_code *code, int64_t ns) {
  lf_tally *t = code ? find(tallies, code) : NULL;
  if (t)
    lf_tally_add(&t->unpacked, (uint64_t)ns);
}

static void add_up(lf_tally *to, const lf_tally *from) {
  struct {
    _Atomic uint64_t *to;
    uint64_t n;
  } sums[] = {{&to->calls, from->calls},
              {&to->failures, from->failures},
              {&to->sent, from->sent},
              {&to->received, from->received},
              {&to->items, from->items},
              {&to->timed, from->timed},
              {&to->run, from->run},
              {&to->queued, from->queued},
              {&to->queues, from->queues},
              {&to->busy, from->busy},
              {&to->waited, from->waited},
              {&to->longs, from->longs},
              {&to->long_run, from->long_run},
              {&to->long_busy, from->long_busy},
              {&to->long_waited, from->long_waited},
              {&to->fine, from->fine},
              {&to->fine_packed, from->fine_packed},
              {&to->fine_unpacked, from->fine_unpacked},
              {&to->packs, from->packs},
              {&to->packed, from->packed},
              {&to->unpacked, from->unpacked}};
  for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
    lf_tally_add(sums[i].to, sums[i].n);
  if (from->longest > to->longest)
    atomic_store_explicit(&to->longest, from->longest, memory_order_relaxed);
}

void lf_tallies_add(lf_tallies *to, const lf_tallies *from) {
  for (lf_tally *t = atomic_load(&from->first); t; t = t->next) {
    lf_tally *sum = find(to, t->code);
    if (sum)
      add_up(sum, t);
  }
  widen(to, from->begun, from->ended);
}

void lf_tallies_move(lf_tallies *to, lf_tallies *from) {
  lf_tallies_add(to, from);
  lf_tallies_fini(from);
}

/* --- Sent from one process to another, of the same version --- */

/* What is counted of one function. */
typedef struct {
  char label[LF_LABEL]; /* "": of others */
  lf_tally counts;      /* without what leads elsewhere */
} one_sent;

int lf_tallies_put(const lf_tallies *tallies, lf_buf *out) {
  int64_t moments[2] = {tallies->begun, tallies->ended};
  int err = lf_buf_put(out, moments, sizeof moments);
  for (const lf_tally *t = tallies->first; t && !err; t = t->next) {
    one_sent one = {.label = ""};
    snprintf(one.label, sizeof one.label, "%s", t->code ? t->code->label : "");
    add_up(&one.counts, t);
    err = lf_buf_put(out, &one, sizeof one);
  }
  return err;
}

/* One function here for all that are called so there. */
static lf_code *code_called(const char *label) {
  char bytes[LF_LABEL + 1];
  size_t n = (size_t)snprintf(bytes, sizeof bytes, "@%s", label);
  return lf_code_get(bytes, n, label, NULL);
}

static void get_one(lf_tallies *to, one_sent *one) {
  one->label[LF_LABEL - 1] = '\0';
  lf_code *code = one->label[0] ? code_called(one->label) : NULL;
  lf_tally *t = find(to, code);
  if (t)
    add_up(t, &one->counts);
  if (code)
    lf_code_unref(code);
}

bool lf_tallies_get(lf_tallies *to, const void *bytes, size_t n) {
  int64_t moments[2];
  one_sent one;
  const unsigned char *at = bytes;
  if (n < sizeof moments || (n - sizeof moments) % sizeof one != 0)
    return false;
  memcpy(moments, at, sizeof moments);
  widen(to, moments[0], moments[1]);
  for (at += sizeof moments, n -= sizeof moments; n > 0;
       at += sizeof one, n -= sizeof one) {
    memcpy(&one, at, sizeof one);
    get_one(to, &one);
  }
  return true;
}

void lf_tallies_fini(lf_tallies *tallies) {
  lf_tally *t = atomic_load(&tallies->first), *next;
  for (; t; t = next) {
    next = t->next;
    if (t->code)
      lf_code_unref(t->code);
    lf_free(t);
  }
  lf_table_fini(&tallies->by_code);
  *tallies = (lf_tallies){0};
}

const char *lf_function_name(const char *label, char out[LF_FUNCTION_NAME]) {
  static const char function[] = "function ";
  size_t n = sizeof function - 1;
  const char *from = strncmp(label, function, n) == 0 ? label + n : label;
  snprintf(out, LF_FUNCTION_NAME, "%s", from);
  size_t len = strlen(out);
  char *of = from == label ? NULL : strstr(out, " of "); /* a library */
  if (out[0] == '<' && len > 1 && out[len - 1] == '>') {
    memmove(out, out + 1, len - 2);
    out[len - 2] = '\0';
  } else if (of) {
    *of = '\0';
  }
  return out;
}
