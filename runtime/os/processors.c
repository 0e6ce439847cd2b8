/* SPDX-License-Identifier: MIT
 *
 * See processors.h. */
#include "runtime/os/processors.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The share of processors that a file cpu.max of a cgroup (v2) grants, or as
 * many as there can be. */
static double quota_in(const char *folder) {
  char name[512];
  long quota = 0, period = 0;
  snprintf(name, sizeof name, "/sys/fs/cgroup%s/cpu.max", folder);
  FILE *f = fopen(name, "re");
  int n = f ? fscanf(f, "%ld %ld", &quota, &period) : 0;
  if (f)
    fclose(f);
  return n == 2 && quota > 0 && period > 0 ? (double)quota / (double)period
                                           : INFINITY;
}

/* The least of the process's own cgroup and of those that it is in. */
static double quota(void) {
  char line[512] = "";
  FILE *f = fopen("/proc/self/cgroup", "re");
  while (f && fgets(line, sizeof line, f) && strncmp(line, "0::/", 4) != 0)
    line[0] = '\0';
  if (f)
    fclose(f);
  char *folder = line[0] ? line + 3 : line;
  folder[strcspn(folder, "\n")] = '\0';
  double least = quota_in("");
  for (char *end; *folder && (end = strrchr(folder, '/')); *end = '\0')
    least = fmin(least, quota_in(folder));
  return least;
}

/* Whole processors: of half a one there is one to compute with, and none to
 * spin on. */
static int count(bool whole) {
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof set, &set) == 0
              ? CPU_COUNT(&set)
              : (int)sysconf(_SC_NPROCESSORS_ONLN);
  double most = whole ? floor(quota()) : ceil(quota());
  n = most < n ? (int)most : n;
  return n < 1 && !whole ? 1 : n;
}

int lf_cpu_count(void) {
  return count(false);
}

int lf_cpus_whole(void) {
  static _Atomic int cached = -1;
  int n = atomic_load_explicit(&cached, memory_order_relaxed);
  if (n < 0) {
    n = count(true);
    atomic_store_explicit(&cached, n, memory_order_relaxed);
  }
  return n;
}
