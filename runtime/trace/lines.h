/* SPDX-License-Identifier: MIT
 *
 * The lines of a trace, of this process and of others, which call things by
 * numbers of their own. One thread. */
#ifndef LF_TRACE_LINES_H
#define LF_TRACE_LINES_H

#include "runtime/base/table.h"
#include "runtime/trace/events.h"
#include "runtime/trace/export.h"
#include "runtime/trace/trace.h"

typedef struct {
  lf_export out;
  lf_table namers; /* pid -> what is known of how it calls things */
  lf_table seen;   /* pids of other processes */
} lf_lines;

/* Writes what a thread has told. */
void lf_lines_write(lf_lines *lines, const lf_trace_from *from,
                    const lf_event *events, size_t n);

/* Of this process; 'name' as JSON has it. */
void lf_lines_call(lf_lines *lines, lf_track track, const char *name);

/* Forgets who has told what. */
void lf_lines_fini(lf_lines *lines);

#endif
