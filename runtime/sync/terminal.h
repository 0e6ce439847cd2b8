/* SPDX-License-Identifier: MIT
 *
 * The terminal behind standard error, on whose last line a bar may be drawn
 * (progress_bar.h): one at a time, of all processes that share the arena.
 * Whoever writes to a terminal meanwhile erases the bar first, and is not torn
 * by it; who draws it does so again soon. If standard error is a file, or a
 * terminal that cannot erase, what would be drawn are lines.
 *
 * Any thread. */
#ifndef LF_SYNC_TERMINAL_H
#define LF_SYNC_TERMINAL_H

#include "runtime/base/base.h"

#include <stdio.h>

/* Is standard error a terminal that can be drawn on? */
bool lf_terminal_is_one(void);

/* Its width, asked anew. */
int lf_terminal_columns(void);

/* The caller is who draws, under the number that this returns, until
 * lf_terminal_leave; 0: somebody else is. */
uint32_t lf_terminal_take(void);

/* The line (no newline) is what is seen in place of the former one. Nothing, if
 * another line is begun there, the terminal takes nothing now, or it is
 * another's. In a file it is one more line. */
void lf_terminal_draw(uint32_t taken, const char *line, size_t len);

/* The last: it stays, and the cursor is below it. */
void lf_terminal_leave(uint32_t taken, const char *line, size_t len);

/* Is anybody drawing? A hint. */
bool lf_terminal_is_drawn_on(void);

/* Writes to a stream, stdout or stderr, which is flushed if a bar has to be
 * erased for that. */
void lf_terminal_put(FILE *stream, const void *bytes, size_t n);

/* The same of text for standard error. */
void lf_terminal_complain(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Somebody else writes there, of whom nothing is known: the bar is erased, and
 * not drawn until that is over, or another line has been written. */
void lf_terminal_lend(void);
void lf_terminal_return(void);

/* The process is about to end: what it has drawn stays, the cursor is below.
 * Also in a signal handler. */
void lf_terminal_abandon(void);

#endif
