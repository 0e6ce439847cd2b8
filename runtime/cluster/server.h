/* SPDX-License-Identifier: MIT
 *
 * Starting a redis-server: one for this process alone, or one that stays. Any
 * thread. All of this blocks, and says why it has failed in one line. */
#ifndef LF_CLUSTER_SERVER_H
#define LF_CLUSTER_SERVER_H

#include "runtime/base/base.h"

#include <sys/types.h>
#include <sys/un.h>

enum { LF_SOCKET_PATH = sizeof((struct sockaddr_un *)0)->sun_path };

/* One that belongs to who has started it. */
typedef struct {
  pid_t pid;                   /* a child of this process; 0: none */
  uint32_t generation;         /* of the process that started it (os/fork.h) */
  char dir[LF_SOCKET_PATH];    /* its own, for nobody else to enter */
  char socket[LF_SOCKET_PATH]; /* in there: all that it listens on */
} lf_server;

/* Starts one that keeps everything in memory, and waits until it accepts
 * connections, or has ended, for 10 s at most. Its directory is made in
 * $XDG_RUNTIME_DIR, $TMPDIR or /tmp. False: there is neither a server nor a
 * directory, and the record is empty.
 *
 * The server is killed when the *thread* that has called this ends, however it
 * does: with a process that is killed only the directory stays. Ctrl-C does not
 * reach it. */
bool lf_server_private(lf_server *s, char *why, size_t size);

/* Ends it, which may take some 0.1 s, and 2 s if it has to be killed; removes
 * the directory with all that is in it. The record is empty then, and may have
 * been. In a forked process it only forgets what is the parent's. */
void lf_server_end(lf_server *s);

typedef struct {
  const char *bind; /* the address to listen on; NULL: 127.0.0.1 */
  int port;
  const char *dir;      /* for its files; is made if its parent is there */
  const char *password; /* NULL: none */
} lf_server_options;

/* Starts one in the background that outlives this process and writes down what
 * it is told. Its settings (redis.conf, which only its owner may read), process
 * (redis.pid), log (redis.log) and data are in the directory. Returns when it
 * accepts connections, having read its data: for 60 s at most. False: none has
 * begun by then. */
bool lf_server_up(const lf_server_options *o, char *why, size_t size);

/* Makes one up: 32 hexadecimal digits and a zero. */
void lf_server_password(char out[33]);

#endif
