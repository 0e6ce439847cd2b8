/* SPDX-License-Identifier: MIT
 *
 * See private.h. */
#include "runtime/cluster/private.h"

#include "runtime/base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

/* Starts the member. An errno, or 0. */
static int spawn_member(lf_private *p) {
  char url[LF_SOCKET_PATH + 8], workers[16], parent[16];
  snprintf(url, sizeof url, "unix://%s", p->server.socket);
  snprintf(workers, sizeof workers, "%d", p->workers);
  snprintf(parent, sizeof parent, "%d", (int)getpid());
  char *argv[] = {(char *)"lfut",
                  (char *)"cluster",
                  (char *)"join",
                  url,
                  (char *)"-w",
                  workers,
                  (char *)"--quiet",
                  (char *)"--parent",
                  parent,
                  (char *)"--dir",
                  (char *)p->server.dir,
                  NULL};
  posix_spawnattr_t attr;
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attr);
  posix_spawnattr_setsigmask(&attr, &none);
  posix_spawnattr_setpgroup(&attr, 0); /* Ctrl-C is the program's alone */
  posix_spawnattr_setflags(&attr,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  int err = posix_spawn(&p->member, p->program, NULL, &attr, argv, environ);
  posix_spawnattr_destroy(&attr);
  if (err)
    p->member = 0;
  else
    p->pidfd = (int)syscall(SYS_pidfd_open, p->member, 0);
  return err;
}

bool lf_private_start(lf_private *p, const char *program, int workers,
                      lf_url *url, char *why, size_t size) {
  *p = (lf_private){.pidfd = -1, .workers = workers, .program = program};
  if (!lf_server_private(&p->server, why, size))
    return false;
  *url =
      (lf_url){.path = lf_strndup(p->server.socket, strlen(p->server.socket))};
  int err = url->path ? spawn_member(p) : ENOMEM;
  if (err == 0)
    return true;
  snprintf(why, size, "cannot start %s: %s", program, strerror(err));
  lf_url_free(url);
  lf_server_end(&p->server);
  return false;
}

/* Reaps the member. */
static void forget_member(lf_private *p, int flags) {
  if (p->member == 0 || waitpid(p->member, NULL, flags) == 0)
    return;
  if (p->pidfd >= 0)
    close(p->pidfd);
  p->pidfd = -1;
  p->member = 0;
}

void lf_private_restart(lf_private *p) {
  forget_member(p, WNOHANG);
  if (p->member == 0)
    (void)spawn_member(p);
}

void lf_private_end(lf_private *p) {
  if (p->member > 0) {
    kill(p->member, SIGTERM);
    struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};
    if (p->pidfd < 0 || poll(&fd, 1, PATIENCE_MS) <= 0)
      kill(p->member, SIGKILL);
    forget_member(p, 0);
  }
  lf_server_end(&p->server);
}
