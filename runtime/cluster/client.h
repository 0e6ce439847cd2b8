/* SPDX-License-Identifier: MIT
 *
 * A pool whose tasks are run by the members of a cluster, over a Redis server
 * (functions.h says how they meet there). */
#ifndef LF_CLUSTER_CLIENT_H
#define LF_CLUSTER_CLIENT_H

#include "runtime/cluster/identity.h"
#include "runtime/cluster/url.h"
#include "runtime/pool/backend.h"

typedef struct {
  lf_url url;          /* moved; empty: a server and a member of its own, */
  const char *program; /* of which this program is run; owned; else NULL */
  int max_workers;  /* tasks that may run at a time; 0: any number; of its own
                       member: workers */
  double reconnect; /* seconds that a lost server is waited for */
  const lf_buf *setup; /* how the workers start; stays as long as the pool */
} lf_cluster_options;

/* Connects a pool that was made with lf_cluster_backend. Waits for the server.
 * 0; else 'why' tells, and the pool has no tasks, ever. The options are the
 * pool's in any case. */
int lf_pool_cluster(lf_pool *pool, lf_cluster_options *options, char *why,
                    size_t size);

/* How long a client may be silent until the others give it up. */
enum { LF_CLIENT_LEASE = 20000 }; /* ms */

extern const lf_backend lf_cluster_backend;

#endif
