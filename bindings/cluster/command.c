/* SPDX-License-Identifier: MIT
 *
 * See command.h. */
#include "bindings/cluster/command.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef LF_CLUSTER

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/cluster/cluster.h"
#include "bindings/engine/compat.h"
#include "bindings/worker/vm.h"
#include "runtime/base/mem.h"
#include "runtime/cluster/client.h"
#include "runtime/cluster/functions.h"
#include "runtime/cluster/member.h"
#include "runtime/cluster/redis.h"
#include "runtime/cluster/server.h"
#include "runtime/os/processors.h"
#include "runtime/os/thread.h"
#include "runtime/pool/pool.h"
#include "runtime/pool/usr1.h"

#define DIAL 5.0

static void print_usage(FILE *out) {
  fputs("usage: lfut cluster up [--bind A] [--port N] [--dir D]\n"
        "       lfut cluster join [URL] [-w N] [--heartbeat S] "
        "[--reconnect S]\n"
        "       lfut cluster status [URL] [--json]\n"
        "       lfut cluster down [URL]\n"
        "\n"
        "  up       start a server in the background; prints how to join\n"
        "  join     make this host a member until SIGTERM\n"
        "  status   who is there, and what there is to do\n"
        "  down     end the members and the server\n"
        "\n"
        "  URL             redis://[user:password@]host[:port][/db] or\n"
        "                  unix:///path; else LFUT_CLUSTER says it\n"
        "  --bind A        address to listen on (127.0.0.1)\n"
        "  --port N        port to listen on (6379)\n"
        "  --dir D         where the server keeps its files\n"
        "                  (~/.local/state/lfut)\n"
        "  -w N            worker processes (one for each CPU)\n"
        "  --heartbeat S   seconds of silence after which a member counts as\n"
        "                  dead (5)\n"
        "  --reconnect S   seconds that a lost server is waited for (30)\n"
        "  --quiet         say only what goes wrong\n"
        "  --json          for programs\n",
        out);
}

/* What the arguments have said. */
typedef struct {
  const char *url, *bind, *dir;
  int port, workers;
  double heartbeat, reconnect;
  bool json, quiet, help;
  int parent;
} arguments;

enum { BIND = 256, PORT, DIR_, HEARTBEAT, RECONNECT, QUIET, JSON, PARENT };

static const struct option options[] = {
    {"bind", required_argument, NULL, BIND},
    {"port", required_argument, NULL, PORT},
    {"dir", required_argument, NULL, DIR_},
    {"workers", required_argument, NULL, 'w'},
    {"heartbeat", required_argument, NULL, HEARTBEAT},
    {"reconnect", required_argument, NULL, RECONNECT},
    {"quiet", no_argument, NULL, QUIET},
    {"json", no_argument, NULL, JSON},
    {"parent", required_argument, NULL, PARENT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0}};

static bool bad(const char *what, const char *text) {
  fprintf(stderr, "lfut: bad %s '%s'\n", what, text);
  return false;
}

static bool read_int(const char *what, const char *text, int least, int most,
                     int *n) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || *end || end == text || value < least || value > most)
    return bad(what, text);
  *n = (int)value;
  return true;
}

static bool read_seconds(const char *what, const char *text, double least,
                         double *s) {
  char *end;
  double value = strtod(text, &end);
  if (*end || end == text || !(value >= least && value <= 1e6))
    return bad(what, text);
  *s = value;
  return true;
}

static bool read_option(arguments *a, int option, const char *text) {
  switch (option) {
  case BIND:
    a->bind = text;
    return true;
  case PORT:
    return read_int("port", text, 1, 65535, &a->port);
  case DIR_:
    a->dir = text;
    return true;
  case 'w':
    return read_int("number of workers", text, 1, LF_MAX_WORKERS, &a->workers);
  case HEARTBEAT:
    return read_seconds("heartbeat", text, 0.1, &a->heartbeat);
  case RECONNECT:
    return read_seconds("reconnect", text, 0, &a->reconnect);
  case QUIET:
    return a->quiet = true;
  case JSON:
    return a->json = true;
  case PARENT:
    return read_int("parent", text, 1, INT_MAX, &a->parent);
  case 'h':
    return a->help = true;
  default:
    return false;
  }
}

static bool read_arguments(arguments *a, int argc, char **argv) {
  int option;
  *a = (arguments){.port = LF_URL_PORT, .heartbeat = 5, .reconnect = 30};
  while ((option = getopt_long(argc, argv, "w:h", options, NULL)) != -1)
    if (!read_option(a, option, optarg))
      return false;
  if (optind + 1 < argc) {
    fprintf(stderr, "lfut: too many arguments: '%s'\n", argv[optind + 1]);
    return false;
  }
  a->url = optind < argc ? argv[optind] : getenv("LFUT_CLUSTER");
  return true;
}

/* --- Servers --- */

/* Parses the url, and wipes it out where others can see it. */
static bool read_url(const arguments *a, lf_url *url) {
  char why[300];
  if (!a->url || !*a->url) {
    fputs("lfut: which cluster? An url is needed, or LFUT_CLUSTER\n", stderr);
    return false;
  }
  if (!lf_url_parse(url, a->url, why, sizeof why)) {
    fprintf(stderr, "lfut: %s\n", why);
    return false;
  }
  if (url->password && a->url != getenv("LFUT_CLUSTER"))
    memset((char *)a->url, '*', strlen(a->url));
  return true;
}

static redisReply *call(lf_redis *redis, const char *function,
                        const char *argument) {
  lf_arg args[4] = {lf_arg_text("FCALL"), lf_arg_text(function),
                    lf_arg_text("0"), lf_arg_text(argument ? argument : "")};
  return lf_redis_ask(redis, args, 4);
}

static lf_redis *dial(const arguments *a, lf_url *url) {
  char why[300];
  if (!read_url(a, url))
    return NULL;
  lf_redis *redis = lf_redis_open(url, DIAL, why, sizeof why);
  if (!redis) {
    fprintf(stderr, "lfut: %s\n", why);
    lf_url_free(url);
  }
  return redis;
}

/* --- up --- */

/* Makes the folders on the way to one, and writes its name. */
static const char *default_dir(char *path, size_t size) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  if (state && *state == '/')
    snprintf(path, size, "%s/lfut", state);
  else
    snprintf(path, size, "%s/.local/state/lfut", home ? home : "");
  for (char *at = path + 1; (at = strchr(at, '/')); at++) {
    *at = '\0';
    (void)mkdir(path, 0700);
    *at = '/';
  }
  return path;
}

/* What others reach it by. */
static const char *public_name(const char *bind, char *host, size_t size) {
  if (!bind)
    return "127.0.0.1";
  if (strcmp(bind, "0.0.0.0") != 0 && strcmp(bind, "::") != 0 &&
      strcmp(bind, "*") != 0)
    return bind;
  if (gethostname(host, size - 1) != 0)
    snprintf(host, size, "localhost");
  return host;
}

static int up(const arguments *a) {
  char why[400], path[PATH_MAX], password[33], host[256] = "";
  lf_server_options o = {.bind = a->bind, .port = a->port};
  o.dir = a->dir ? a->dir : default_dir(path, sizeof path);
  lf_server_password(password);
  o.password = password;
  if (!lf_server_up(&o, why, sizeof why)) {
    fprintf(stderr, "lfut: %s\n", why);
    return EXIT_FAILURE;
  }
  const char *name = public_name(a->bind, host, sizeof host);
  bool six = strchr(name, ':');
  printf("lfut cluster join redis://:%s@%s%s%s:%d\n", password, six ? "[" : "",
         name, six ? "]" : "", a->port);
  return EXIT_SUCCESS;
}

/* --- join --- */

static int join(const arguments *a) {
  lf_url url;
  if (!read_url(a, &url))
    return EXIT_FAILURE;
  lf_member_options o = {
      .url = url,
      .workers = a->workers ? a->workers : lf_cpu_count(),
      .heartbeat = a->heartbeat,
      .reconnect = a->reconnect,
      .quiet = a->quiet,
      .parent = a->parent,
      .dir = a->dir,
      .ops = &lfb_vmops,
      .program = "/proc/self/exe",
  };
  lf_usr1_catch(NULL);
  int status = lf_member_main(&o);
  lf_url_free(&o.url);
  return status;
}

/* --- status --- */

static long long number(const redisReply *r, size_t i) {
  const redisReply *e = r->element[i];
  return e->type == REDIS_REPLY_INTEGER  ? e->integer
         : e->type == REDIS_REPLY_STRING ? atoll(e->str)
                                         : 0;
}

static const char *text(const redisReply *r, size_t i) {
  return r->element[i]->type == REDIS_REPLY_STRING ? r->element[i]->str : "?";
}

/* A name of a host, which has no quotes in it, nor else what would need some.
 */
static void print_name(const char *name) {
  for (; *name; name++)
    putchar(*name == '"' || *name == '\\' || *name < ' ' ? '?' : *name);
}

enum { QUEUED, RUNNING, FAILED, CLIENTS, MEMBERS };
enum { ID, HOST, PID, WORKERS, SINCE, TASKS };

static long long count_workers(const redisReply *r) {
  long long n = 0;
  for (size_t i = MEMBERS; i < r->elements; i++)
    n += number(r->element[i], WORKERS);
  return n;
}

static void print_json(const redisReply *r) {
  printf("{\"members\": %zu, \"workers\": %lld, \"queued\": %lld, "
         "\"running\": %lld, \"failed\": %lld, \"clients\": %lld, \"hosts\": [",
         r->elements - MEMBERS, count_workers(r), number(r, QUEUED),
         number(r, RUNNING), number(r, FAILED), number(r, CLIENTS));
  for (size_t i = MEMBERS; i < r->elements; i++) {
    const redisReply *m = r->element[i];
    printf("%s{\"host\": \"", i > MEMBERS ? ", " : "");
    print_name(text(m, HOST));
    printf("\", \"pid\": %lld, \"workers\": %lld, \"seconds\": %.1f, "
           "\"running\": %lld}",
           number(m, PID), number(m, WORKERS), (double)number(m, SINCE) / 1e3,
           number(m, TASKS));
  }
  puts("]}");
}

static void print_table(const redisReply *r) {
  printf("members %zu\nworkers %lld\nqueued  %lld\nrunning %lld\nfailed  "
         "%lld\n",
         r->elements - MEMBERS, count_workers(r), number(r, QUEUED),
         number(r, RUNNING), number(r, FAILED));
  if (r->elements > MEMBERS)
    printf("\n%-24s %8s %8s %8s %8s\n", "host", "pid", "workers", "running",
           "minutes");
  for (size_t i = MEMBERS; i < r->elements; i++) {
    const redisReply *m = r->element[i];
    printf("%-24s %8lld %8lld %8lld %8lld\n", text(m, HOST), number(m, PID),
           number(m, WORKERS), number(m, TASKS), number(m, SINCE) / 60000);
  }
}

static int status(const arguments *a) {
  lf_url url;
  lf_redis *redis = dial(a, &url);
  if (!redis)
    return EXIT_FAILURE;
  redisReply *r = call(redis, LF_FUNCTION("status"), NULL);
  bool good = r && r->type == REDIS_REPLY_ARRAY && r->elements >= MEMBERS;
  if (!good)
    fputs("lfut: the server does not answer\n", stderr);
  else if (a->json)
    print_json(r);
  else
    print_table(r);
  if (r)
    freeReplyObject(r);
  lf_redis_close(redis);
  lf_url_free(&url);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- down --- */

static int down(const arguments *a) {
  lf_url url;
  lf_redis *redis = dial(a, &url);
  if (!redis)
    return EXIT_FAILURE;
  redisReply *r = call(redis, LF_FUNCTION("down"), NULL);
  if (r)
    freeReplyObject(r);
  const lf_arg args[] = {lf_arg_text("SHUTDOWN")};
  r = lf_redis_ask(redis, args, 1);
  bool good = !r; /* it does not answer any more */
  if (r) {
    fprintf(stderr, "lfut: the server refuses to end: %s\n",
            r->type == REDIS_REPLY_ERROR ? r->str : "");
    freeReplyObject(r);
  }
  lf_redis_close(redis);
  lf_url_free(&url);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- */

int lfb_cluster_command(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(const arguments *a);
  } commands[] = {
      {"up", up}, {"join", join}, {"status", status}, {"down", down}};
  arguments a;
  lfb_cluster_init();
  if (argc >= 3 &&
      (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
    return print_usage(stdout), EXIT_SUCCESS;
  for (size_t i = 0; argc >= 3 && i < sizeof commands / sizeof commands[0];
       i++) {
    if (strcmp(commands[i].name, argv[2]) != 0)
      continue;
    argv[2] = argv[0]; /* for messages */
    if (!read_arguments(&a, argc - 2, argv + 2))
      return print_usage(stderr), EXIT_FAILURE;
    if (a.help)
      return print_usage(stdout), EXIT_SUCCESS;
    return commands[i].run(&a);
  }
  if (argc >= 3)
    fprintf(stderr, "lfut: unknown command '%s'\n", argv[2]);
  print_usage(stderr);
  return EXIT_FAILURE;
}

#else

int lfb_cluster_command(int argc, char **argv) {
  (void)argc;
  (void)argv;
  fputs("lfut: no clusters: lfut was built without hiredis (Debian's package "
        "libhiredis-dev)\n",
        stderr);
  return EXIT_FAILURE;
}

#endif
