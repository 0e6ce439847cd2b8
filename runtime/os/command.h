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
  uint64_t owner;      /* whose it is, or 0; the lock */
} lf_command;

/* Starts "/bin/sh -c text" with the descriptor 'fd' as its 'as' (0 or 1; -1:
 * none), no signal blocked. 'of_task': lf_commands_interrupt reaches it, unless
 * it reads from 'fd': who writes to it would get SIGPIPE. 0, or a number of
 * errno. */
int lf_command_start(lf_command *c, const char *text, int fd, int as,
                     bool of_task);

/* A command by its arguments, without a shell. */
typedef struct {
  const char *file;   /* is looked for in PATH */
  char *const *argv;  /* ends with NULL */
  char *const *envp;  /* NULL: as the program's */
  const char *folder; /* where it begins; NULL: here */
  int fds[3];         /* its first descriptors; -1: as the program's */
} lf_command_line;

/* Starts it, as lf_command_start. The descriptors are not among the first
 * three. */
int lf_command_run(lf_command *c, const lf_command_line *line, bool of_task);

/* Waits until it may have ended, or one of the descriptors is ready, whose
 * 'revents' are set, or the deadline has come, or a signal. There is room for
 * one more behind the n. True: it has ended. */
struct pollfd;
bool lf_command_poll(lf_command *c, struct pollfd *fds, int n,
                     int64_t deadline);

/* Waits for its end, until the deadline: 0, LF_ETIMEOUT, or LF_EINTR after a
 * signal, which may also have come just before. */
int lf_command_wait(lf_command *c, int64_t deadline);

/* After it has ended: its status as of waitpid(2); -1 with errno if that cannot
 * be had. Ends the record. */
int lf_command_end(lf_command *c);

/* What can be read when it has ended, or -1. The record's. */
int lf_command_pidfd(lf_command *c);

/* Instead of its end: nobody waits for it any more, and the record is the
 * caller's again. It is killed if it has not ended after so many nanoseconds
 * (LF_FOREVER: it is not). */
void lf_command_leave(lf_command *c, int64_t patience);

/* Sends the signal to the shell and to what it has started. */
void lf_command_signal(lf_command *c, int sig);

/* Has it been interrupted? */
bool lf_command_is_interrupted(lf_command *c);

/* As Ctrl-C would: SIGINT, once. */
void lf_command_interrupt(lf_command *c);

/* The same for all commands of tasks; for those of one owner, whose number has
 * been given out by lf_command_owner. */
void lf_commands_interrupt(void);
void lf_commands_interrupt_of(uint64_t owner);
uint64_t lf_command_owner(void);
void lf_command_own(lf_command *c, uint64_t owner);

#endif
