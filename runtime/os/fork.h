/* SPDX-License-Identifier: MIT
 *
 * Forking a program that may have threads: what the child finds, and what it
 * must not keep. What becomes of locks: atfork.h. */
#ifndef LF_OS_FORK_H
#define LF_OS_FORK_H

#include "runtime/base/base.h"

#include <stdio.h>
#include <sys/types.h>

/* Ctrl-C is the program's business: SIGINT does nothing in this process. It is
 * not ignored, for commands that are started would inherit that. */
void lf_fork_leave_interrupts(void);

/* Descriptors of the runtime's own: closed on exec, and in every child of
 * lf_fork that does not ask to keep them. Any thread. */
void lf_fd_own(int fd);
void lf_fd_close(int fd); /* -1, or one that is none of them, is allowed */

/* The descriptor, or in its place another of the same (closed on exec) that is
 * none of the first three. -1 with errno; -1 is allowed. */
int lf_fd_move_up(int fd);

/* A pipe between a command and a script: its read end and its write end, none
 * among the first three descriptors. In a child both numbers are taken as well,
 * but can neither be read nor written: the other side of the pipe sees its end
 * when the parent closes this one. 0, or a number of errno. */
int lf_pipe_open(int ends[2]);

/* Another of the same descriptor, as one of such a pipe. -1 with errno. */
int lf_pipe_duplicate(int fd);

/* fclose(3) of a stream over such an end. Blocks until all is written. */
void lf_pipe_close_stream(FILE *stream);

/* Some programs are started with their children's ends ignored: then they could
 * not be waited for. Undoes that. */
void lf_fork_want_ends(void);

/* Writes out what waits in stdio: in all streams (true) if no other thread can
 * be using one, else in the standard ones, as far as they are free. */
bool lf_flush_output(void);

/* Can exit(3) get at the streams of stdio, or does another thread hold them for
 * longer than a moment, waiting for one that is in use? Blocks for 2 s at most.
 */
bool lf_streams_are_free(void);

/* Forks. Output that waits in stdio is written first, so that it appears once.
 * In the child (0): only the calling thread; all signals unblocked, SIGINT
 * without effect; it is killed when the thread that called dies; of the
 * runtime's descriptors, only 'keep' is left (-1: none). Pools and tasks of the
 * parent are there, but foreign (lf_is_foreign). -1 with errno when it fails.
 */
pid_t lf_fork(int keep);

/* The same from a process that has no other thread; the new process is not the
 * caller's child, but its parent's, which waits for it. */
pid_t lf_fork_sibling(int keep);

/* A number that differs in every forked process: what has another one noted
 * when it was made belongs to a process further up. */
extern uint32_t lf_generation;

static inline bool lf_is_foreign(uint32_t generation) {
  return generation != lf_generation;
}

/* After lf_fork in the child: may all of stdio be flushed at the end, or is
 * there output in it that is the parent's? */
bool lf_fork_was_clean(void);

/* Writes out what is left and ends the process, without exit handlers. */
_Noreturn void lf_fork_exit(int status);

/* A number that no other interpreter has, in any process. */
uint64_t lf_unique(void);

/* "SIGSEGV", or "signal 70" for numbers without a name; valid until the thread
 * asks again. */
const char *lf_signal_name(int sig);

#endif
