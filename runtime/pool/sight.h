/* SPDX-License-Identifier: MIT
 *
 * What one thread says of the code that it runs, when it is asked by a signal:
 * for each task where it is, since when, what it waits for. The thread writes,
 * in its signal handler or where its Lua code comes to a hook; who has asked,
 * maybe another process, reads. Equal lines are counted as one, as there may be
 * very many. What is written is async-signal-safe. */
#ifndef LF_POOL_SIGHT_H
#define LF_POOL_SIGHT_H

#include "runtime/base/line.h"

#include <stdatomic.h>
#include <sys/types.h>

/* What a line is about. */
typedef enum {
  LF_SIGHT_SCRIPT, /* what runs outside of tasks */
  LF_SIGHT_TASK,
  LF_SIGHT_INLINE, /* a task that an InlineExecutor runs on this thread */
} lf_sight_what;

/* And what that does. */
typedef enum {
  LF_SIGHT_RUNS,
  LF_SIGHT_WAITS,
  LF_SIGHT_PARKED, /* waits, while its worker runs others */
  LF_SIGHT_BELOW,  /* another runs on top of it, which it has called or awaits
                    */
} lf_sight_state;

typedef struct lf_sight_line {
  uint32_t count; /* lines that are like this one */
  uint8_t what, state;
  bool pending;     /* the awaited task has not begun, as far as is known */
  uint64_t task;    /* its address, or its number in a worker process; 0 */
  uint64_t awaited; /* the one that it waits for, likewise */
  uint64_t lock;    /* the holder of the lock that it waits for, or 0 */
  int64_t since;    /* when it began, or 0; of several: the first */
  int64_t waits_since, until; /* of its wait; LF_FOREVER: no deadline */
  char name[64];              /* of the task */
  char thing[192];            /* it waits for; "": it does not */
  char where[200];            /* in Lua code; "": not known */
} lf_sight_line;

enum {
  LF_SIGHT_LINES = LF_LIMIT(24, 6),
  LF_SIGHT_HOLDERS = LF_LIMIT(64, 8),
};

typedef struct lf_sight {
  /* By who asks: a number, never 0. */
  _Atomic uint32_t asked;
  /* By the thread: which one it has answered, as far as it can; which one while
   * it could not look at its Lua code; odd while it writes what follows. */
  _Atomic uint32_t answered, glanced, version;
  pid_t thread;
  uint32_t n, more; /* lines; others, for which there is no place */
  lf_sight_line lines[LF_SIGHT_LINES];
  /* By what names the tasks of the lines hold locks. */
  uint32_t nholders;
  struct {
    uint64_t holder;
    uint32_t line;
  } holders[LF_SIGHT_HOLDERS];
} lf_sight;

/* --- The thread that is asked --- */

/* Is there a question that it has not answered? */
static inline bool lf_sight_is_asked(lf_sight *s) {
  return atomic_load(&s->asked) != atomic_load(&s->answered);
}

/* Before lines are added, and when all are: 'whole' if that is all there is to
 * say. */
void lf_sight_begin(lf_sight *sight);
void lf_sight_end(lf_sight *sight, bool whole);

/* Adds the line, or counts it; 'holder': by what name it holds locks, or 0. */
void lf_sight_add(lf_sight *sight, const lf_sight_line *line, uint64_t holder);

/* Would a reader take the one for the other, but for the times? */
bool lf_sight_is_like(const lf_sight_line *a, const lf_sight_line *b);

/* --- Who asks --- */

/* Asks, under a number that is larger than all before; true: the thread has not
 * answered yet, and needs a signal. */
bool lf_sight_ask(lf_sight *sight, uint32_t number);

/* What there is of an answer to that number: NOTHING; a GLANCE, without Lua
 * code; all of it. It is copied to '*copy', whose numbers can be relied on,
 * whoever has written it. */
typedef enum { LF_SIGHT_NOTHING, LF_SIGHT_GLANCE, LF_SIGHT_WHOLE } lf_sight_got;
lf_sight_got lf_sight_read(lf_sight *sight, uint32_t number, lf_sight *copy);

#endif
