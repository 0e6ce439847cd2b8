/* SPDX-License-Identifier: MIT
 *
 * See launch.h. The template is told what to fork over a socket, with the
 * descriptors of the region and of the doorbell. The worker is no child of the
 * template, but its sibling: the program waits for it. */
#include "runtime/process/launch.h"
#include "runtime/process/internal.h"
#include "runtime/process/serve.h"
#include "runtime/shm/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Messages to the template: a worker's number and two descriptors --- */

typedef union {
  char bytes[CMSG_SPACE(2 * sizeof(int))];
  struct cmsghdr align;
} control_space;

static int send_order(int control, int32_t id, int region, int doorbell) {
  int fds[2] = {region, doorbell};
  control_space space = {.bytes = {0}};
  struct iovec iov = {&id, sizeof id};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
  m.msg_control = space.bytes;
  m.msg_controllen = sizeof space.bytes;
  struct cmsghdr *h = CMSG_FIRSTHDR(&m);
  h->cmsg_level = SOL_SOCKET;
  h->cmsg_type = SCM_RIGHTS;
  h->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(h), fds, sizeof fds);
  return sendmsg(control, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Descriptors for which there was no room did not come: -EMFILE, and those that
 * did are closed. 0: there is nobody who orders any more. */
static int check_order(struct msghdr *m, int fds[2]) {
  struct cmsghdr *h = CMSG_FIRSTHDR(m);
  size_t n = h ? (h->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
  if (n > 0)
    memcpy(fds, CMSG_DATA(h), n * sizeof(int));
  for (size_t i = 0; n < 2 && i < n; i++)
    close(fds[i]);
  return n < 2 ? -EMFILE : 1;
}

static int receive_order(int control, int32_t *id, int fds[2]) {
  control_space space;
  struct iovec iov = {id, sizeof *id};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
  m.msg_control = space.bytes;
  m.msg_controllen = sizeof space.bytes;
  ssize_t n;
  do
    n = recvmsg(control, &m, 0);
  while (n < 0 && errno == EINTR);
  return n == sizeof *id ? check_order(&m, fds) : 0;
}

/* Forks a worker: its pid, or an error's number, negative. */
static pid_t fork_worker(lf_pool *p, int32_t id, const int fds[2]) {
  pid_t pid = lf_fork_sibling(-1);
  if (pid == 0)
    lf_serve_main(&p->o, id, fds[0], fds[1]);
  int err = errno;
  close(fds[0]);
  close(fds[1]);
  return pid < 0 ? -err : pid;
}

/* --- The template's life --- */

/* A copy of the program that stands still, and is copied again. */
static _Noreturn void template_main(lf_pool *p, int control) {
  int32_t id;
  int fds[2], got;
  prctl(PR_SET_NAME, "lfut_template");
  while ((got = receive_order(control, &id, fds)) != 0) {
    lf_launched news = {id, got < 0 ? got : fork_worker(p, id, fds)};
    if (send(control, &news, sizeof news, MSG_NOSIGNAL) < 0)
      break;
  }
  _exit(EXIT_SUCCESS);
}

bool lf_launch_open(lf_pool *p) {
  int ends[2];
  lf_fork_want_ends();
  lf_arena_settle();
  if (p->o.program)
    return true;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return false;
  lf_fd_own(ends[0]);
  lf_fd_own(ends[1]);
  lf_hold_begin(&lf_members_of(p)->hold);
  pid_t pid = lf_fork(ends[1]);
  if (pid == 0)
    template_main(p, ends[1]);
  int err = errno;
  lf_hold_since(&lf_members_of(p)->hold);
  lf_fd_close(ends[1]);
  if (pid < 0) {
    lf_fd_close(ends[0]);
    errno = err;
    return false;
  }
  lf_members_of(p)->template = pid;
  lf_members_of(p)->control = ends[0];
  return true;
}

int lf_launch_receive(int control, lf_launched *news) {
  ssize_t n = recv(control, news, sizeof *news, MSG_DONTWAIT);
  if (n == sizeof *news)
    return 1;
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* --- Spawning --- */

static int spawn(lf_pool *p, int id, int fd) {
  char number[24], parent[24];
  snprintf(number, sizeof number, "%d", id);
  snprintf(parent, sizeof parent, "%d", (int)getpid());
  char *argv[] = {(char *)"lfut",
                  (char *)LF_SERVE_OPTION,
                  (char *)p->o.ops->engine,
                  number,
                  parent,
                  (char *)p->o.origin,
                  NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  sigset_t none;
  pid_t pid;
  sigemptyset(&none);
  sigaddset(&none, SIGINT); /* until it ignores that */
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attr);
  posix_spawnattr_setsigmask(&attr, &none);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
  /* Above all that they may be themselves; dup2 clears FD_CLOEXEC. */
  int high[2] = {fcntl(fd, F_DUPFD_CLOEXEC, 10),
                 fcntl(lf_members_of(p)->doorbell, F_DUPFD_CLOEXEC, 10)};
  posix_spawn_file_actions_adddup2(&actions, high[0], LF_SERVE_REGION);
  posix_spawn_file_actions_adddup2(&actions, high[1], LF_SERVE_DOORBELL);
  if (lf_arena_fd() >= 0) /* high, too */
    posix_spawn_file_actions_adddup2(&actions, lf_arena_fd(), LF_SERVE_ARENA);
  int err =
      high[0] < 0 || high[1] < 0
          ? errno
          : posix_spawn(&pid, p->o.program, &actions, &attr, argv, environ);
  for (int i = 0; i < 2; i++)
    if (high[i] >= 0)
      close(high[i]);
  posix_spawnattr_destroy(&attr);
  posix_spawn_file_actions_destroy(&actions);
  return err ? -err : pid;
}

/* --- Either --- */

int lf_launch(lf_pool *p, int id, int fd) {
  if (p->o.program)
    return spawn(p, id, fd);
  if (lf_members_of(p)->control < 0)
    return -ESRCH;
  return send_order(lf_members_of(p)->control, id, fd,
                    lf_members_of(p)->doorbell);
}

const char *lf_launch_what(const lf_pool *p) {
  return p->o.program ? p->o.program
         : lf_members_of(p)->control < 0
             ? "the process that they are forked from"
             : "fork";
}
