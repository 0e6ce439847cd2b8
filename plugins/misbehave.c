/* SPDX-License-Identifier: MIT
 *
 * All that a plugin should not do, for the tests: it crashes, exits, leaks,
 * fails, returns late or when it is cancelled; and it watches how its own calls
 * overlap. Never installed. Some functions are exported, so that tests of
 * lfut.load find them, too. */
#include "lfut_plugin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

LFUT_EXPORT void crash(const char *way);
LFUT_EXPORT void quit(int status);
LFUT_EXPORT int overlap(int kind);
LFUT_EXPORT int threads(void);
LFUT_EXPORT void forget(void);

static const lfut_host *host;
static int inits, forks;  /* calls of init and of after_fork */
static _Atomic int pours; /* calls of pour */
static char epitaph[4096];

/* --- Ends ------------------------------------------------------------------
 */

void crash(const char *way) {
  volatile int zero = 0, one = 1, *volatile nowhere = NULL;
  if (strcmp(way, "SIGSEGV") == 0) {
    *nowhere = 1;
  } else if (strcmp(way, "SIGABRT") == 0) {
    abort();
  } else if (strcmp(way, "SIGFPE") == 0) {
    one = one / zero;
    raise(SIGFPE); /* where that is no error */
  }
}

void quit(int status) {
  _exit(status);
}

static void leak(size_t n) {
  char *volatile lost = malloc(n);
  if (lost)
    memset(lost, 1, n);
}

static int fail(lfut_task *task, const char *message) {
  host->set_error(task, message);
  return -1;
}

/* Returns bytes besides its result, as often as asked. */
static int give(lfut_task *task, const uint8_t *bytes, size_t n, int times) {
  for (int i = 0; i < times; i++)
    if (host->return_bytes(task, bytes, n) != 0)
      return -1;
  return times;
}

/* The same, whatever it is told of that; returns how often it was fine. */
static int pour(int times, lfut_task *task) {
  int taken = 0;
  pours++;
  for (int i = 0; i < times; i++)
    taken += host->return_bytes(task, "drop", 4) == 0;
  return taken;
}

static int count_pours(void) {
  return pours;
}

/* What nobody can use. */
static lfut_task *itself(lfut_task *task) {
  return task;
}

/* --- Returning late ---------------------------------------------------------
 */

/* How calls that are held overlap: all of them, and of each function. */
enum { SERIAL, ALSO_SERIAL, SAFE, ONCE, ONCE_TOO, AFFINE, KINDS };
static _Atomic int inside[KINDS + 1], most[KINDS + 1]; /* [KINDS]: of all */
static _Atomic long first_thread;
static _Atomic bool second_thread;

static void enter(int kind) {
  int now = atomic_fetch_add(&inside[kind], 1) + 1, before = most[kind];
  while (now > before &&
         !atomic_compare_exchange_weak(&most[kind], &before, now))
    continue;
}

static void note_thread(void) {
  long me = syscall(SYS_gettid), none = 0;
  if (!atomic_compare_exchange_strong(&first_thread, &none, me) && none != me)
    second_thread = true;
}

/* Tells the one fifo that it has arrived, and waits until the other is opened
 * (tests/lua/gate.lua); NULL: does not wait. */
static void wait_at(const char *bell, const char *way) {
  int fd = bell ? open(bell, O_WRONLY) : -1;
  if (fd >= 0 && write(fd, "here\n", 5) == 5)
    close(fd);
  fd = way ? open(way, O_RDONLY) : -1;
  if (fd >= 0)
    close(fd);
}

static int hold(int kind, const char *bell, const char *way) {
  note_thread();
  enter(kind);
  enter(KINDS);
  wait_at(bell, way);
  inside[KINDS]--;
  inside[kind]--;
  return kind;
}

#define HOLD(name, kind)                                                       \
  LFUT_EXPORT int name(const char *bell, const char *way);                     \
  int name(const char *bell, const char *way) {                                \
    return hold(kind, bell, way);                                              \
  }
HOLD(hold_serial, SERIAL)
HOLD(hold_also_serial, ALSO_SERIAL)
HOLD(hold_safe, SAFE)
HOLD(hold_once, ONCE)
HOLD(hold_once_too, ONCE_TOO)
HOLD(hold_affine, AFFINE)

/* How many calls were held at once, of the kind that hold_... returns; -1: of
 * all. */
int overlap(int kind) {
  return most[kind >= 0 && kind < KINDS ? kind : KINDS];
}

/* In how many threads calls were held: 0, 1, or 2 for more. */
int threads(void) {
  return (first_thread != 0) + second_thread;
}

void forget(void) {
  for (int i = 0; i <= KINDS; i++)
    most[i] = inside[i];
  first_thread = 0;
  second_thread = false;
}

/* Computes until it is cancelled, and leaves word of that in a file. */
static int spin(lfut_task *task, const char *bell, const char *file) {
  wait_at(bell, NULL);
  while (!host->cancelled(task))
    continue;
  int fd = open(file, O_WRONLY | O_CREAT, 0600);
  if (fd >= 0)
    close(fd);
  return 1;
}

/* --- Being loaded -----------------------------------------------------------
 */

static int count_inits(void) {
  return inits;
}

static int count_forks(void) {
  return forks;
}

static int process(void) {
  return getpid();
}

static void advance(lfut_task *task, int steps) {
  for (int i = 1; i <= steps; i++)
    host->progress(task, i, steps);
}

static double deadline(lfut_task *task) {
  return host->deadline(task);
}

static void say(const char *line) {
  host->log(line);
}

/* At the end the file gets a line. */
static void set_epitaph(const char *file) {
  snprintf(epitaph, sizeof epitaph, "%s", file);
}

static int init(const lfut_host *h) {
  host = h;
  inits++;
  return h->size < sizeof *h || !h->cancelled || !h->deadline || !h->progress ||
         !h->set_error || !h->return_bytes || !h->log;
}

static void after_fork(void) {
  forks++;
}

static void fini(void) {
  FILE *f = epitaph[0] ? fopen(epitaph, "a") : NULL;
  if (f) {
    fprintf(f, "fini\n");
    fclose(f);
  }
}

#define HELD(name, rule)                                                       \
  {                                                                            \
    "int " #name "(const char *bell, const char *way)", (lfut_entry)name,      \
        (rule), NULL, NULL, "waits at a gate"                                  \
  }
#define SAFE_ONE(prototype, name)                                              \
  { prototype, (lfut_entry)name, LFUT_THREADSAFE, NULL, NULL, NULL }

static const lfut_function functions[] = {
    HELD(hold_serial, 0),
    HELD(hold_also_serial, LFUT_SERIAL_LIB),
    HELD(hold_safe, LFUT_THREADSAFE | LFUT_BLOCKING),
    HELD(hold_once, LFUT_SERIAL_FN),
    HELD(hold_once_too, LFUT_SERIAL_FN),
    HELD(hold_affine, LFUT_AFFINE),
    SAFE_ONE("int overlap(int kind)", overlap),
    SAFE_ONE("int threads(void)", threads),
    SAFE_ONE("void forget(void)", forget),
    SAFE_ONE("void crash(const char *way)", crash),
    SAFE_ONE("void quit(int status)", quit),
    SAFE_ONE("void leak(size_t n)", leak),
    SAFE_ONE("int fail(lfut_task *task, const char *message)", fail),
    SAFE_ONE("int count_inits(void)", count_inits),
    SAFE_ONE("int count_forks(void)", count_forks),
    SAFE_ONE("void advance(lfut_task *task, int steps)", advance),
    SAFE_ONE("double deadline(lfut_task *task)", deadline),
    SAFE_ONE("void say(const char *line)", say),
    SAFE_ONE("void set_epitaph(const char *file)", set_epitaph),
    SAFE_ONE("int pour(int times, lfut_task *task)", pour),
    SAFE_ONE("int count_pours(void)", count_pours),
    SAFE_ONE("lfut_task *itself(lfut_task *task)", itself),
    {"int spin(lfut_task *task, const uint8_t *bell, const uint8_t *file)",
     (lfut_entry)spin, LFUT_THREADSAFE | LFUT_CANCELLABLE, NULL, NULL, NULL},
    {"int give(lfut_task *task, const uint8_t *bytes, size_t n, int times)",
     (lfut_entry)give, LFUT_THREADSAFE, "bytes:in[n]", "negative", NULL},
    {"int process(void)", (lfut_entry)process, LFUT_PROCESS, NULL, NULL, NULL},
};

LFUT_PLUGIN(.name = "misbehave", .version = "1.0", .functions = functions,
            .nfunctions = sizeof functions / sizeof functions[0], .init = init,
            .after_fork = after_fork, .fini = fini)
