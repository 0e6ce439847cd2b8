/* SPDX-License-Identifier: MIT
 *
 * See lines.h. */
#include "runtime/trace/lines.h"

#include "runtime/base/mem.h"
#include "runtime/trace/names.h"

#include <string.h>
#include <unistd.h>

/* Its numbers -> ours, in this trace. Those that it has never told are of the
 * one that it is a fork of. */
typedef struct {
  uint32_t *names;
  size_t n;
  pid_t parent;
} namer;

/* NULL: this process, or no memory. */
static namer *namer_of(lf_lines *l, pid_t process, pid_t parent) {
  if (process == getpid())
    return NULL;
  lf_entry *found = lf_table_find(&l->namers, (uint64_t)process);
  if (found)
    return found->value;
  namer *new = lf_zalloc(sizeof *new);
  if (new &&lf_table_add(&l->namers, (uint64_t)process, new) != 0) {
    lf_free(new);
    return NULL;
  }
  if (new)
    new->parent = parent;
  return new;
}

/* It has told what a number means. */
static void learn(namer *who, uint32_t number, const char *json) {
  if (number > who->n) {
    size_t n = 2 * (size_t)number;
    uint32_t *more =
        number < 1 << 20 ? lf_realloc(who->names, n * sizeof *more) : NULL;
    if (!more)
      return;
    memset(more + who->n, 0, (n - who->n) * sizeof *more);
    who->names = more;
    who->n = n;
  }
  if (number > 0)
    who->names[number - 1] = lf_trace_name(json);
}

static uint32_t translate(const lf_lines *l, const namer *who,
                          uint32_t number) {
  enum { GENERATIONS = 100 };
  for (int i = 0; who && i < GENERATIONS; i++) {
    uint32_t told = number > 0 && number <= who->n ? who->names[number - 1] : 0;
    if (told)
      return told;
    lf_entry *parent = lf_table_find(&l->namers, (uint64_t)who->parent);
    who = parent ? parent->value : NULL;
  }
  return number;
}

static const char *const categories[LF_PHASES] = {"run", "native", "pack",
                                                  "unpack", "wait"};

static void write_slice(lf_lines *l, lf_track track, const lf_event *e,
                        uint32_t name) {
  lf_export *out = &l->out;
  int64_t before = out->epoch > e->at ? out->epoch - e->at : 0;
  if (e->phase >= LF_PHASES || (before > 0 && before >= e->ns))
    return; /* it was over when the trace began */
  lf_export_slice(out, track, e->at + before, e->ns - before,
                  categories[e->phase], lf_trace_name_text(name));
  if (before == 0 && e->step &&
      e->flow) /* it leaves a slice at its end, enters at its begin */
    lf_export_flow(out, track, e->step == 's' ? e->at + e->ns : e->at, e->step,
                   e->flow);
}

static void call_process(lf_lines *l, pid_t process, const char *json) {
  lf_track track = {process, process};
  lf_export_track(&l->out, track, "process_name", json);
  if (!lf_table_find(&l->seen, (uint64_t)process))
    (void)lf_table_add(&l->seen, (uint64_t)process, NULL);
}

void lf_lines_call(lf_lines *l, lf_track track, const char *json) {
  lf_export_track(&l->out, track, "thread_name", json);
}

static void write_text(lf_lines *l, lf_track track, namer *who,
                       const lf_event *e) {
  char json[LF_FUNCTION_NAME];
  memcpy(json, e + 1, sizeof json);
  json[sizeof json - 1] = '\0';
  if (e->kind == LF_EVENT_NAME && who)
    learn(who, e->name, json);
  else if (e->kind == LF_EVENT_PROCESS)
    call_process(l, track.process, json);
  else if (e->kind == LF_EVENT_LINE)
    lf_lines_call(l, track, json);
}

/* A process of which something else comes before what it is called. */
static void meet(lf_lines *l, lf_track track, const lf_event *e) {
  static const char *const unnamed = "lfut worker";
  if (e->kind >= LF_EVENT_NAME || track.process == getpid() ||
      lf_table_find(&l->seen, (uint64_t)track.process))
    return;
  call_process(l, track.process, unnamed);
  lf_lines_call(l, track, unnamed);
}

void lf_lines_write(lf_lines *l, const lf_trace_from *from, const lf_event *e,
                    size_t n) {
  lf_track track = {from->process, from->thread};
  namer *who = namer_of(l, from->namer, from->parent);
  for (size_t i = 0; i < n; i++) {
    meet(l, track, &e[i]);
    if (e[i].kind == LF_EVENT_SLICE) {
      write_slice(l, track, &e[i], translate(l, who, e[i].name));
    } else if (e[i].kind == LF_EVENT_COUNTER) {
      uint32_t which = translate(l, who, (uint32_t)e[i].flow);
      lf_export_counter(
          &l->out, track.process, e[i].at, lf_trace_name_text(which),
          lf_trace_name_text(translate(l, who, e[i].name)), (uint64_t)e[i].ns);
    } else if (i + LF_TEXT_EVENTS < n) {
      write_text(l, track, who, &e[i]);
      i += LF_TEXT_EVENTS;
    }
  }
}

void lf_lines_fini(lf_lines *l) {
  for (size_t i = 0; i < l->namers.cap; i++) {
    namer *who = l->namers.entries[i].id ? l->namers.entries[i].value : NULL;
    if (who)
      lf_free(who->names);
    lf_free(who);
  }
  lf_table_fini(&l->namers);
  lf_table_fini(&l->seen);
}
