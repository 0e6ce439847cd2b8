/* SPDX-License-Identifier: MIT
 *
 * See clocks.h. */
#include "runtime/cluster/clocks.h"

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#include <stdio.h>
#include <string.h>

/* The same for all clients of one trace, whichever process they are in. */
static pid_t number_of(const char *host, pid_t pid) {
  enum { FIRST = 1 << 22 }; /* no process has such a one (PID_MAX_LIMIT) */
  uint64_t hash = lf_hash(host, strlen(host)) * 31 + (uint64_t)pid;
  return FIRST + (pid_t)(lf_hash(&hash, sizeof hash) % (INT32_MAX - FIRST));
}

lf_far_clock *lf_clock_of(lf_link *clocks, const char *host, pid_t pid) {
  for (lf_link *l = clocks->next; l != clocks; l = l->next) {
    lf_far_clock *c = lf_container_of(l, lf_far_clock, link);
    if (c->pid == pid && strcmp(c->host, host) == 0)
      return c;
  }
  lf_far_clock *c = lf_zalloc(sizeof *c);
  if (!c)
    return NULL;
  snprintf(c->host, sizeof c->host, "%s", host);
  c->least = INT64_MIN; /* offset: 0, as long as it may be this host's clock */
  c->most = INT64_MAX;
  c->pid = pid;
  c->number = number_of(host, pid);
  lf_list_add(clocks, &c->link);
  return c;
}

void lf_clocks_free(lf_link *clocks) {
  lf_link *l;
  while ((l = lf_list_pop(clocks))) {
    lf_far_clock *c = lf_container_of(l, lf_far_clock, link);
    lf_table_fini(&c->ends);
    lf_table_fini(&c->named);
    lf_free(c);
  }
}

int64_t lf_clock_note(lf_far_clock *c, int64_t submitted, int64_t begun,
                      int64_t ended, int64_t received) {
  int64_t least = submitted - begun, most = received - ended;
  c->least = least > c->least ? least : c->least;
  c->most = most < c->most ? most : c->most;
  if (c->least > c->most) { /* the clocks do not go alike: anew */
    c->least = least;
    c->most = most;
  }
  if (c->offset < c->least || c->offset > c->most)
    c->offset = c->least + (c->most - c->least) / 2;
  return c->offset;
}

int64_t lf_clock_place(lf_far_clock *c, pid_t worker, int64_t at, int64_t ns) {
  lf_entry *e = lf_table_find(&c->ends, (uint64_t)worker);
  int64_t last = e ? (int64_t)(intptr_t)e->value : at;
  at = at > last ? at : last;
  if (e)
    e->value = (void *)(intptr_t)(at + ns);
  else
    (void)lf_table_add(&c->ends, (uint64_t)worker, (void *)(intptr_t)(at + ns));
  return at;
}

bool lf_clock_names(lf_far_clock *c, int session, pid_t worker) {
  uint64_t key = (uint64_t)worker + 1;
  if (c->session != session)
    lf_table_fini(&c->named);
  c->session = session;
  return !lf_table_find(&c->named, key) &&
         lf_table_add(&c->named, key, NULL) == 0;
}
