/* SPDX-License-Identifier: MIT
 *
 * Commands of the shell, as system(3) and popen(3) start them, but for what
 * these do to a whole program: no signal is ignored or blocked meanwhile, no
 * stream is flushed, and no lock of the C library is held. Any thread. */
#ifndef LF_OS_COMMAND_H
#define LF_OS_COMMAND_H

#include "runtime/base/base.h"

#include <sys/types.h>

/* Who starts a command owns the record, and has to wait for its end. */
typedef struct {
  lf_link link; /* among those that run; a lock of command.c */
  pid_t pid;
  int pidfd;           /* while it is waited for; or -1 */
  uint32_t generation; /* of the process that started it (fork.h) */
  bool of_task;        /* to be interrupted with all others */
  bool signalled;      /* it has been interrupted; the lock */
} lf_command;

/* Starts "/bin/sh -c text" with the descriptor 'fd' as its 'as' (0 or 1; -1:
 * none), no signal blocked. 'of_task': lf_commands_interrupt reaches it, unless
 * it reads from 'fd': who writes to it would get SIGPIPE. 0, or a number of
 * errno. */
int lf_command_start(lf_command *c, const char *text, int fd, int as,
                     bool of_task);

/* Waits for its end, until the deadline: 0, LF_ETIMEOUT, or LF_EINTR after a
 * signal, which may also have come just before. */
int lf_command_wait(lf_command *c, int64_t deadline);

/* After it has ended: its status as of waitpid(2); -1 with errno if that cannot
 * be had. Ends the record. */
int lf_command_end(lf_command *c);

/* Sends the signal to the shell and to what it has started. */
void lf_command_signal(lf_command *c, int sig);

/* Has it been interrupted? */
bool lf_command_is_interrupted(lf_command *c);

/* As Ctrl-C would: SIGINT, once. */
void lf_command_interrupt(lf_command *c);

/* The same for all commands of tasks. */
void lf_commands_interrupt(void);

#endif
