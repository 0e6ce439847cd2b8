/* SPDX-License-Identifier: MIT
 *
 * A survey in words. Async-signal-safe. */
#ifndef LF_POOL_USR1_TEXT_H
#define LF_POOL_USR1_TEXT_H

#include "runtime/pool/survey.h"

/* Puts it into the text; the program was 'opened' at that time. */
void lf_dump_put(lf_line *out, const lf_survey *survey, int64_t opened);

/* Writes the text on standard error, by one system call if that can be, past
 * all streams: as long as nobody reads there, it may block. */
void lf_dump_write(const lf_line *text);

#endif
