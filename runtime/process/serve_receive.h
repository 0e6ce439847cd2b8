/* SPDX-License-Identifier: MIT
 *
 * What a worker process receives from its program: tasks to run, what has
 * become of those that were submitted from here, and answers. Its main thread
 * alone receives. */
#ifndef LF_PROCESS_SERVE_RECEIVE_H
#define LF_PROCESS_SERVE_RECEIVE_H

#include "runtime/process/serve_send.h"

/* Receives what has come. */
void lf_serve_receive(lf_serve *serve);

/* A task received, begun only now; pinned: one that no other worker may run.
 * NULL: none. */
lf_task *lf_serve_take(lf_serve *serve, bool pinned);

#endif
