/* SPDX-License-Identifier: MIT
 *
 * Writes a trace as a file in Chrome's trace-event format (the JSON array form
 * of "Trace Event Format", Google, 2016), which ui.perfetto.dev and others
 * open. Between two calls the file is whole: each write takes the place of the
 * array's end and ends with one. One thread. */
#ifndef LF_TRACE_EXPORT_H
#define LF_TRACE_EXPORT_H

#include "runtime/base/base.h"

#include <sys/types.h>

typedef struct {
  int fd;
  bool seekable; /* else the array's end comes at the end */
  bool any;      /* an event has been put */
  int err;       /* errno of the first write that failed; 0: none */
  off_t end;     /* where the array's end is in the file */
  int64_t epoch; /* the moment that is 0 in the file */
  size_t len;
  char bytes[1 << 16];
} lf_export;

/* Whose time line an event is on. */
typedef struct {
  pid_t process, thread;
} lf_track;

/* 0, or errno; takes 'fd' over in any case. */
int lf_export_open(lf_export *out, int fd, int64_t epoch);

/* "process_name" or "thread_name", and a name. */
void lf_export_track(lf_export *out, lf_track track, const char *what,
                     const char *name);

/* 'name' and 'category' are words that JSON need not escape (lf_json_text). */
void lf_export_slice(lf_export *out, lf_track track, int64_t at, int64_t ns,
                     const char *category, const char *name);

/* A step of a task's way: 's' it starts, 't' it goes on, 'f' it ends. */
void lf_export_flow(lf_export *out, lf_track track, int64_t at, char step,
                    uint64_t id);

/* The counter 'name' of 'whose'. */
void lf_export_counter(lf_export *out, pid_t process, int64_t at,
                       const char *name, const char *whose, uint64_t value);

/* Writes what was put. */
void lf_export_flush(lf_export *out);

/* The same and closes the file: errno of what has failed, or 0. */
int lf_export_close(lf_export *out);

/* The text as it stands in a JSON string, cut to 'size' with its 0. */
void lf_json_text(char *out, size_t size, const char *text);

#endif
