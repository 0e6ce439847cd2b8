/* SPDX-License-Identifier: MIT
 *
 * Events that are on their way: what did not fit into rings, and what other
 * processes have sent, in a file without a name. Any thread puts them behind
 * what is there; one at a time takes them. */
#ifndef LF_TRACE_SPOOL_H
#define LF_TRACE_SPOOL_H

#include "runtime/trace/events.h"
#include "runtime/trace/trace.h"

#include <signal.h>

/* It is empty, in the folder of 'path', or (also NULL) in memory; until it is
 * closed. */
void lf_spool_open(const char *path);
void lf_spool_close(void);

/* At most LF_PIECE_MOST events. False: they are lost. */
bool lf_spool_put(const lf_trace_from *from, const void *events, size_t n);

/* Takes one piece; false: there is none. */
bool lf_spool_take(lf_trace_from *from, lf_event *events, size_t *n);

/* Around writes: a file that may not grow is an error, not the end of the
 * program. */
void lf_spool_hold_back(sigset_t *old);
void lf_spool_let_through(const sigset_t *old);

#endif
