/* SPDX-License-Identifier: MIT
 *
 * A text of limited length, of one line or several, made of pieces, cut at its
 * end: for signal handlers, which may not use snprintf. Async-signal-safe. */
#ifndef LF_BASE_LINE_H
#define LF_BASE_LINE_H

#include "runtime/base/base.h"

typedef struct {
  char *text; /* ends with a zero */
  size_t size, len;
} lf_line;

/* Empty, in 'text', which has 'size' bytes, at least one. */
void lf_line_init(lf_line *line, char *text, size_t size);

/* Control characters become question marks. */
void lf_line_put(lf_line *line, const char *text);
void lf_line_end(lf_line *line); /* a newline */

void lf_line_number(lf_line *line, int64_t n);
void lf_line_seconds(lf_line *line, int64_t ns); /* "1.5"; not negative */
void lf_line_hex(lf_line *line, uint64_t n);     /* with 0x */

/* The text alone, without anything else. */
static inline void lf_line_copy(char *to, size_t size, const char *text) {
  lf_line line;
  lf_line_init(&line, to, size);
  lf_line_put(&line, text);
}

#endif
