/* SPDX-License-Identifier: MIT
 *
 * In what a signal has interrupted a thread. Async-signal-safe. */
#ifndef LF_OS_INTERRUPTED_H
#define LF_OS_INTERRUPTED_H

#include <stdbool.h>

/* By what the handler has got as its third argument: does the thread sleep at a
 * parker, or in a system call that waits for something outside of the process?
 * Then it is in the middle of no change of its own memory, not even of an
 * allocation. False may mean that this cannot be seen. */
bool lf_is_asleep(const void *context);

#endif
