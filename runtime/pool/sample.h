/* SPDX-License-Identifier: MIT
 *
 * The counters of a trace: how many tasks wait in each pool, and run. */
#ifndef LF_POOL_SAMPLE_H
#define LF_POOL_SAMPLE_H

/* For lf_trace_start: puts the counters of all pools that have changed. */
void lf_profiles_sample(void *unused);

/* At its end: worker processes send what they have of it, and what they are in
 * the middle of is put. */
void lf_profiles_rest(void *unused);

#endif
