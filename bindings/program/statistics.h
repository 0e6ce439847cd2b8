/* SPDX-License-Identifier: MIT
 *
 * lfut.trace, exe:profile() and what the options --trace and --stats do. */
#ifndef LFB_PROGRAM_STATISTICS_H
#define LFB_PROGRAM_STATISTICS_H

#include "bindings/core/state.h"

/* The executor's method, and the function trace in the module at the top. */
void lfb_statistics_open(lua_State *L, lfb_state *S);

/* Begins a trace into the file, or tells why not on stderr. */
void lfb_trace_begin(const char *path);

/* Ends it, if there is one, and tells on stderr what has gone wrong. */
void lfb_trace_end(void);

/* Counts from now on for lfb_stats_print. */
void lfb_stats_begin(void);

/* Prints what was counted on stderr. Nothing in it raises. */
void lfb_stats_print(lua_State *L, bool json);

#endif
