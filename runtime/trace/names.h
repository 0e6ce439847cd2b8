/* SPDX-License-Identifier: MIT
 *
 * What functions and executors are called in a trace: each name has a number,
 * as long as the trace goes on. Any thread. A forked process has the names of
 * the one that it is a fork of. */
#ifndef LF_TRACE_NAMES_H
#define LF_TRACE_NAMES_H

#include "runtime/trace/tally.h"

/* The number of a text that is as JSON has it; 0: no memory. */
uint32_t lf_trace_name(const char *json);

/* The same of any text; of what a function is called, if that is NULL. */
uint32_t lf_trace_name_plain(const char *text);
uint32_t lf_trace_name_of(lf_code *code, const char *text);

/* What it is the number of, until the names are forgotten; "?": of none. */
const char *lf_trace_name_text(uint32_t number);

void lf_trace_names_forget(void);

/* 'tell' is called from then on with each new name before its number is used;
 * under the names' lock. */
void lf_trace_names_tell(void (*tell)(uint32_t number, const char *json));

#endif
