/* SPDX-License-Identifier: MIT
 *
 * A member of a cluster: a process that runs tasks of all clients, in worker
 * processes of its own. */
#ifndef LF_CLUSTER_MEMBER_H
#define LF_CLUSTER_MEMBER_H

#include "runtime/cluster/url.h"
#include "runtime/task/vm.h"

typedef struct {
  lf_url url;       /* moved */
  int workers;      /* how many tasks run at a time */
  double heartbeat; /* seconds of silence after which it counts as dead */
  double reconnect; /* seconds that a lost server is waited for */
  bool quiet;       /* nothing is said on standard error but what goes wrong */
  pid_t parent;     /* 0: none; else it ends with that process, */
  const char *dir;  /* and removes this directory then; NULL: none */
  const lf_vmops *ops;
  const char *program; /* of the workers */
} lf_member_options;

/* Is a member until SIGTERM or SIGINT, which let what runs end (the second one
 * does not), or until the server is lost. In the main thread; returns the
 * status to exit with. */
int lf_member_main(lf_member_options *options);

#endif
