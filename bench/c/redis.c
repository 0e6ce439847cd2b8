// SPDX-License-Identifier: MIT
// Seconds of a number of bytes there and back through two lists of a Redis
// server of its own, by a client and an echo that do nothing else, one at a
// time: what a cluster's round trip cannot be faster than.
//   redis N
#define _GNU_SOURCE
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/bench-redis-XXXXXX";
static char path[64];
static pid_t server, other;

static void clean_up(void) {
  pid_t children[] = {server, other};
  for (int i = 0; i < 2; i++) {
    if (children[i] > 0) {
      kill(children[i], SIGKILL);
      waitpid(children[i], NULL, 0);
    }
  }
  unlink(path);
  rmdir(folder);
}

static void die(const char *message) {
  fprintf(stderr, "redis: %s\n", message);
  clean_up();
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static pid_t start_child(void) {
  pid_t pid = fork();
  if (pid == 0)
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

static void start_server(void) {
  if (!mkdtemp(folder))
    die("no directory");
  snprintf(path, sizeof path, "%s/socket", folder);
  server = start_child();
  if (server == 0) {
    if (!freopen("/dev/null", "w", stdout))
      _exit(1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path,
           "--save", "", "--dir", folder, (char *)NULL);
    _exit(127);
  }
}

static redisContext *reach(void) {
  for (int tries = 0; tries < 200; tries++) {
    redisContext *c = redisConnectUnix(path);
    if (c && !c->err)
      return c;
    if (c)
      redisFree(c);
    usleep(20000);
  }
  die("cannot reach the server");
  return NULL;
}

// One value is taken from a list, and put into another.
static void pass(redisContext *c, const char *from, const char *to) {
  redisReply *r = redisCommand(c, "BRPOP %s 0", from);
  if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2)
    exit(1);
  redisReply *put =
      redisCommand(c, "LPUSH %s %b", to, r->element[1]->str, r->element[1]->len);
  if (!put)
    exit(1);
  freeReplyObject(put);
  freeReplyObject(r);
}

static void round_trip(redisContext *c) {
  char text[64] = "";
  redisReply *put = redisCommand(c, "LPUSH there %b", text, sizeof text);
  redisReply *r = redisCommand(c, "BRPOP back 0");
  if (!put || !r || r->type != REDIS_REPLY_ARRAY ||
      r->element[1]->len != sizeof text)
    die("no echo");
  freeReplyObject(put);
  freeReplyObject(r);
}

static void start_echo(void) {
  other = start_child();
  if (other != 0)
    return;
  redisContext *c = reach();
  for (;;)
    pass(c, "there", "back");
}

int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 0;
  if (n < 1)
    die("how often?");
  start_server();
  redisContext *c = reach();
  start_echo();
  for (int i = 0; i < n / 10; i++)
    round_trip(c);
  double begun = now();
  for (int i = 0; i < n; i++)
    round_trip(c);
  printf("%.9g\n", (now() - begun) / n);
  redisFree(c);
  clean_up();
  return 0;
}
