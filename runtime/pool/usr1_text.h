/* SPDX-License-Identifier: MIT
 *
 * A survey in words. Async-signal-safe. */
#ifndef LF_POOL_USR1_TEXT_H
#define LF_POOL_USR1_TEXT_H

#include "runtime/pool/survey.h"

/* Puts it into the text; the program was 'opened' at that time. */
void lf_dump_put(lf_line *out, const lf_survey *survey, int64_t opened);

/* Writes it on standard error, by one system call if that can be, past all
 * streams. The room for it, of 'size' bytes, is the caller's. */
void lf_dump(char *room, size_t size, const lf_survey *survey, int64_t opened);

#endif
