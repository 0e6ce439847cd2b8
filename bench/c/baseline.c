// SPDX-License-Identifier: MIT
// What the machine can do at best, in C. One thread; each command prints one
// number.
//   memcpy COUNT BUFFERS   bytes/s of COUNT copies of 1 MiB, rotating over
//                          BUFFERS sources and as many destinations
//   rawseti COUNT          floats/s of filling COUNT new tables of 10^5
//   spawn COUNT PROGRAM…   seconds of one run of PROGRAM, start to exit
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lua.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

enum { COPY = 1 << 20, FLOATS = 100000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *message) {
  fprintf(stderr, "baseline: %s\n", message);
  exit(1);
}

// Written to once, so that no page fault falls into the measurement.
static char *new_buffer(int fill) {
  char *p = malloc(COPY);
  if (!p)
    die("not enough memory");
  return memset(p, fill, COPY);
}

static void copy_all(char **to, char **from, int buffers, long count) {
  for (long i = 0; i < count; i++) {
    memcpy(to[i % buffers], from[i % buffers], COPY);
    // The copy must happen though nobody reads it.
    __asm__ volatile("" : : "r"(to[i % buffers]) : "memory");
  }
}

static double measure_memcpy(long count, int buffers) {
  char **to = calloc((size_t)buffers, sizeof *to);
  char **from = calloc((size_t)buffers, sizeof *from);
  if (!to || !from)
    die("not enough memory");
  for (int i = 0; i < buffers; i++) {
    to[i] = new_buffer(0);
    from[i] = new_buffer('x');
  }
  copy_all(to, from, buffers, count / 10 + buffers);
  double start = now();
  copy_all(to, from, buffers, count);
  return (double)count * COPY / (now() - start);
}

// A new table each time, as the receiver of a table has one. The collector
// runs as it does in any program.
static void fill_tables(lua_State *L, long count) {
  for (long i = 0; i < count; i++) {
    lua_createtable(L, FLOATS, 0);
    for (int j = 1; j <= FLOATS; j++) {
      lua_pushnumber(L, j + 0.5);
      lua_rawseti(L, -2, j);
    }
    lua_pop(L, 1);
  }
}

static double measure_rawseti(long count) {
  lua_State *L = luaL_newstate();
  if (!L)
    die("not enough memory");
  fill_tables(L, count / 10 + 1);
  double start = now();
  fill_tables(L, count);
  double seconds = now() - start;
  lua_close(L);
  return (double)count * FLOATS / seconds;
}

static void run_program(char **argv) {
  pid_t pid;
  int status;
  if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 ||
      waitpid(pid, &status, 0) != pid || status != 0)
    die("the program could not be run");
}

static double measure_spawn(long count, char **argv) {
  for (long i = 0; i <= count / 10; i++)
    run_program(argv);
  double start = now();
  for (long i = 0; i < count; i++)
    run_program(argv);
  return (now() - start) / (double)count;
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  long count = argc > 2 ? atol(argv[2]) : 0;
  double result = 0;
  if (count < 1)
    die("usage: baseline memcpy|rawseti|spawn COUNT [argument...]");
  if (strcmp(what, "memcpy") == 0 && argc == 4 && atoi(argv[3]) > 0)
    result = measure_memcpy(count, atoi(argv[3]));
  else if (strcmp(what, "rawseti") == 0)
    result = measure_rawseti(count);
  else if (strcmp(what, "spawn") == 0 && argc > 3)
    result = measure_spawn(count, argv + 3);
  else
    die("unknown command");
  printf("%.9g\n", result);
  return 0;
}
