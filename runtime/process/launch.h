/* SPDX-License-Identifier: MIT
 *
 * How worker processes come into being: forked from the template, a process
 * that was itself forked when the pool was made, or spawned. Of the
 * supervisor's thread alone. */
#ifndef LF_PROCESS_LAUNCH_H
#define LF_PROCESS_LAUNCH_H

#include "runtime/pool/internal.h"

#include <sys/types.h>

/* Makes the template, if the pool's workers are forked; false with errno. */
bool lf_launch_open(lf_pool *pool);

/* Starts a process for the region 'fd'. Its pid, 0 if the template will tell
 * it, or -errno. */
int lf_launch(lf_pool *pool, int id, int fd);

/* What it was that could not be done. */
const char *lf_launch_what(const lf_pool *pool);

/* What the template says: the worker's pid, or -errno. */
typedef struct {
  int32_t id, pid;
} lf_launched;

/* 1: there is news; 0: none now; -1: the template has gone. */
int lf_launch_receive(int control, lf_launched *news);

#endif
