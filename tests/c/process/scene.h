/* SPDX-License-Identifier: MIT
 *
 * For tests of what a program knows of a worker process: all of it but the
 * process. */
#ifndef SCENE_H
#define SCENE_H

#include "runtime/process/internal.h"

#include "tests/c/fake.h"

#include <unistd.h>

/* One worker process of a pool, without a process and a supervisor. */
typedef struct {
  fake_setup setup;
  lf_pool *pool;
  lf_members members;
  lf_worker worker;
  lf_proc proc;
} scene;

static inline void scene_begin(scene *s) {
  int fd;
  *s = (scene){.proc.left = 1000, .proc.pidfd = -1};
  s->pool = fake_pool(&s->setup, 1);
  s->pool->own = &s->members;
  for (int i = 0; i < LF_PROC_STATES; i++)
    lf_list_init(&s->members.procs[i]);
  lf_outcome_init(&s->members.after);
  s->worker.pool = s->pool;
  s->worker.own = &s->proc;
  s->proc.worker = &s->worker;
  s->proc.region = lf_region_new(&fd);
  assert_non_null(s->proc.region);
  close(fd);
  lf_list_init(&s->proc.link);
  lf_list_init(&s->proc.in_flight);
  lf_list_init(&s->proc.landed);
  lf_channel_init(&s->proc.end, &s->proc.region->out, &s->proc.region->in,
                  &lf_requests_names, &s->proc, NULL);
  s->proc.ready = true;
  lf_members_place(&s->proc);
}

static inline void scene_end(scene *s) {
  lf_members_remove(&s->proc);
  lf_channel_fini(&s->proc.end);
  lf_region_unmap(s->proc.region);
  s->pool->own = NULL;
  fake_close(s->pool);
}

#endif
