/* SPDX-License-Identifier: MIT
 *
 * The counters of a trace: how many tasks wait in each pool, and run. */
#ifndef LF_POOL_SAMPLE_H
#define LF_POOL_SAMPLE_H

/* For lf_trace_start: puts the counters of all pools that have changed. */
void lf_profiles_sample(void *unused);

/* Before its end: what worker processes have sent comes in. */
void lf_profiles_receive(void);

/* What worker processes are in the middle of, at the end of the trace. */
void lf_profiles_rest(void *unused);

#endif
