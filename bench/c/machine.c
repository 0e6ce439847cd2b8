// SPDX-License-Identifier: MIT
// The machine itself, and programs beside others. Each command prints one
// number, or what the program prints.
//   scaling MS             how often more two threads compute in MS
//                          milliseconds than one
//   beside PROGRAM…        runs PROGRAM while each processor that it may use
//                          has a busy loop besides
//   together N PROGRAM…    runs N times PROGRAM at once, with its number (from
//                          0 on) as its last argument; prints the largest of
//                          the numbers that they print
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MOST = 1024 };

static void die(const char *message) {
  fprintf(stderr, "machine: %s\n", message);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// --- Scaling ---

static double end;

// How often it could do the same before the end.
static void *compute(void *result) {
  double count = 0, x = 1;
  while (now() < end) {
    for (int i = 0; i < 10000; i++)
      x = x * 1.0000001 + 0.0000001;
    __asm__ volatile("" : "+x"(x));
    count++;
  }
  *(double *)result = count;
  return NULL;
}

static double work(int threads, double seconds) {
  double counts[2] = {0}, sum = 0;
  pthread_t ids[2];
  end = now() + seconds;
  for (int i = 0; i < threads; i++)
    if (pthread_create(&ids[i], NULL, compute, &counts[i]) != 0)
      die("no thread");
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    sum += counts[i];
  }
  return sum;
}

static int scaling(double seconds) {
  double one = work(1, seconds), two = work(2, seconds);
  one += work(1, seconds);
  two += work(2, seconds);
  printf("%.4g\n", two / one);
  return 0;
}

// --- Beside busy loops ---

static void loop_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;)
    __asm__ volatile("");
}

static int status_of(pid_t pid) {
  int status;
  if (waitpid(pid, &status, 0) != pid)
    die("no status");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int beside(char **argv) {
  pid_t loops[MOST], pid;
  int n = 0;
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  for (int cpu = 0; cpu < CPU_SETSIZE && n < MOST; cpu++)
    if (CPU_ISSET(cpu, &set) && (loops[n++] = fork()) == 0)
      loop_on(cpu);
  if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
    die("cannot start the program");
  int status = status_of(pid);
  while (n-- > 0) {
    kill(loops[n], SIGKILL);
    waitpid(loops[n], NULL, 0);
  }
  return status;
}

// --- Several at once ---

static FILE *start(char **argv, int number) {
  char line[4096] = "exec";
  size_t len = strlen(line);
  for (; *argv; argv++)
    len += (size_t)snprintf(line + len, sizeof line - len, " '%s'", *argv);
  snprintf(line + len, sizeof line - len, " %d", number);
  FILE *f = popen(line, "r");
  if (!f)
    die("cannot start the program");
  return f;
}

static int together(int n, char **argv) {
  FILE *outputs[MOST];
  double most = 0, value;
  for (int i = 0; i < n; i++)
    outputs[i] = start(argv, i);
  for (int i = 0; i < n; i++) {
    if (fscanf(outputs[i], "%lf", &value) != 1 || pclose(outputs[i]) != 0)
      die("a program has failed");
    most = value > most ? value : most;
  }
  printf("%.9g\n", most);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  int n = argc > 2 ? atoi(argv[2]) : 0;
  if (strcmp(what, "scaling") == 0 && n > 0)
    return scaling(n / 1e3);
  if (strcmp(what, "beside") == 0)
    return beside(argv + 2);
  if (strcmp(what, "together") == 0 && argc > 3 && n > 0 && n <= MOST)
    return together(n, argv + 3);
  die("usage: scaling MS | beside PROGRAM... | together N PROGRAM...");
}
