/* SPDX-License-Identifier: MIT
 *
 * See follow.h. */
#include "runtime/task/follow.h"

#include "runtime/base/base.h"

static _Thread_local struct {
  lf_follow *first, *last;
  bool running;
} noted;

void lf_follow_note(lf_follow *f) {
  f->next = NULL;
  if (noted.first)
    noted.last->next = f;
  else
    noted.first = f;
  noted.last = f;
}

/* Apart, so that it costs little to find that there is nothing. */
static __attribute__((noinline)) void run_all(void) {
  lf_follow *f;
  noted.running = true;
  while ((f = noted.first)) {
    noted.first = f->next;
    f->run(f); /* then it may be gone */
  }
  noted.running = false;
}

void lf_follow_run(void) {
  if (noted.first && !noted.running)
    run_all();
}
