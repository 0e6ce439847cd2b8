/* SPDX-License-Identifier: MIT
 *
 * SIGUSR1: the program says what all of its threads and workers are at. The
 * signal's handler only rings; a thread of its own, which is started then, uses
 * no stream and waits for no lock for long, asks all and writes. The others are
 * asked by the same signal: each answers in its handler if it stands still,
 * else where its Lua code comes to a hook. All that handlers do is
 * async-signal-safe, also their reading of Lua's stacks, which neither
 * allocates nor changes anything.
 */
#ifndef LF_POOL_USR1_H
#define LF_POOL_USR1_H

#include "runtime/pool/pool.h"
#include "runtime/pool/sight.h"

/* What the calling thread is at, added to the sight, in a signal handler or
 * anywhere else. 'asleep': it is in the middle of nothing, so all that is its
 * own may be looked at. False: it has to be asked again for that, and has seen
 * to it that lf_usr1_answer is called soon, if that can be. */
typedef bool lf_see(lf_sight *sight, bool asleep);

/* Has the signal's handler set for this process from now on, unless the process
 * ignores the signal. False: it does. 'see' NULL: the process has nothing to
 * say, but is not ended by the signal. */
bool lf_usr1_catch(lf_see *see);

/* In the program, or a forked process that is one: it reports from now on,
 * until the registry is about to go; by the program's thread. */
void lf_usr1_open(lf_registry *registry);
void lf_usr1_close(void);

/* There are about to be other threads, or processes: from now on a thread of
 * its own reports, when there is something to report. (A program with one
 * thread alone reports itself: there is nobody to be asked.) Any thread, as
 * often as it likes. */
void lf_usr1_attend(void);

/* In a worker process: the calling thread answers there, to its program. */
void lf_usr1_serve(lf_sight *sight);

/* The calling thread, which is between two steps of its Lua code, answers if it
 * is asked. */
void lf_usr1_answer(void);

#endif
