/* SPDX-License-Identifier: MIT
 *
 * A cluster of this process alone: a server of its own, and one member on this
 * machine. All of it belongs to the thread that starts it, and ends with that,
 * however it ends. */
#ifndef LF_CLUSTER_PRIVATE_H
#define LF_CLUSTER_PRIVATE_H

#include "runtime/cluster/server.h"
#include "runtime/cluster/url.h"

typedef struct {
  lf_server server;
  pid_t member; /* 0: none */
  int pidfd;    /* readable when the member has ended; -1: none */
  int workers;
  const char *program; /* lfut; stays */
} lf_private;

/* Starts both: '*url' is the server's. Waits for the server. */
bool lf_private_start(lf_private *private, const char *program, int workers,
                      lf_url *url, char *why, size_t size);

/* The member has ended, as its pidfd says: another takes its place. */
void lf_private_restart(lf_private *private);

/* Ends both; the member may first end what it runs. Waits. */
void lf_private_end(lf_private *private);

#endif
