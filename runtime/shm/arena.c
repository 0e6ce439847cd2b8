/* SPDX-License-Identifier: MIT
 *
 * See arena.h. */
#include "runtime/shm/arena.h"
#include "runtime/base/atfork.h"

#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST ((uint64_t)LF_LIMIT(1ull << 40, 1ull << 32)) /* bytes */
#define LEAST ((uint64_t)1 << 26) /* of which an eighth is the head */

enum {
  OWNERS = 1 << 17,
  NOBODY = OWNERS, /* a parent: there is none to inherit */
  HEAD = OWNERS,   /* an owner of zones: the table has them */
  COMMON,          /* another: nobody's */
  LIFE = 14,       /* bits */
  LIVES = (1 << LIFE) - 1,
  FREE_FD = 10,   /* below are those that spawned processes get */
  PATIENCE = 4,   /* rounds, while others claim, too */
  AT_MOST = 5000, /* ms, until those who have to die have died */
};

/* At the beginning of the arena. An owner's zones are given back by itself or,
 * once it is dead, by who reaps it. */
typedef struct {
  _Atomic uint32_t zones[LF_ZONES]; /* owner, or 0 */
  _Atomic uint32_t top;             /* no owner above has been in use */
  _Atomic uint32_t parents[OWNERS]; /* by whom it was started; 0: unused */
  _Atomic uint16_t lives[OWNERS]; /* how often one with the number has ended */
  _Atomic int pids[OWNERS];
  _Alignas(64) _Atomic uint64_t terminal; /* sync/terminal.c */
  _Alignas(64) unsigned char waiters_table[LF_WAITERS_SIZE];
  _Alignas(64) unsigned char refs_table[LF_REFS_SIZE];
} head;

LF_FORK_MUTEX(lock, LF_FORK_ARENA, NULL); /* the next ones */
static int arena_fd = -1;
static bool refused;

/* Set once, the base last. */
static uint64_t size, zone_size, page_size; /* powers of two */
static int zone_shift;
static unsigned char *_Atomic base;

static _Atomic bool touchable[LF_ZONES]; /* by this process, for good */

/* This process's number, or 0, and above it the generation that has it: no
 * lock, as others hold theirs. */
static _Atomic uint64_t own;

static head *table(void) {
  return (head *)atomic_load_explicit(&base, memory_order_acquire);
}

/* --- Opening --- */

/* How large it may be: the limits of the system are for the rest of the
 * program, too; what is beyond the size of files ends a process by a signal. */
static uint64_t largest(void) {
  struct rlimit limit;
  uint64_t most = MOST, space = lf_address_space();
  if (space / 4 < most)
    most = space / (space / 4 < LEAST ? 2 : 4);
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      limit.rlim_cur < most)
    most = limit.rlim_cur;
  return most;
}

static void make_head(head *t, uint64_t zone) {
  for (uint32_t i = 0; i * zone < sizeof *t; i++)
    atomic_store(&t->zones[i], HEAD);
}

/* Under the lock; 'new': its head is to be made. */
static bool map(int fd, uint64_t bytes, bool new) {
  void *p = mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (p == MAP_FAILED)
    return false;
  if (mprotect(p, sizeof(head), PROT_READ | PROT_WRITE) != 0) {
    munmap(p, bytes);
    return false;
  }
  madvise(p, bytes, MADV_DONTDUMP);
  arena_fd = fd;
  size = bytes;
  zone_size = bytes / LF_ZONES;
  zone_shift = __builtin_ctzll(zone_size);
  page_size = (uint64_t)sysconf(_SC_PAGESIZE);
  if (new)
    make_head(p, zone_size);
  lf_parkers_from(p);
  atomic_store_explicit(&base, p, memory_order_release);
  return true;
}

/* Under the lock: the largest that can be had, if any. */
static void create(void) {
  int low = lf_mem_refuse()
                ? -1
                : memfd_create("lfut-arrays", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (low < 0)
    return;
  int fd = fcntl(low, F_DUPFD_CLOEXEC, FREE_FD);
  close(low);
  bool made = false;
  for (uint64_t bytes = MOST; fd >= 0 && bytes >= LEAST && !made; bytes /= 2)
    made = bytes <= largest() && ftruncate(fd, (off_t)bytes) == 0 &&
           map(fd, bytes, true);
  if (made) {
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  } else if (fd >= 0) {
    close(fd);
  }
}

int lf_arena_open(void) {
  if (table())
    return 0;
  pthread_mutex_lock(&lock);
  if (!table() && !refused)
    create();
  pthread_mutex_unlock(&lock);
  return table() ? 0 : LF_ENOMEM;
}

void lf_arena_settle(void) {
  if (lf_arena_open() == 0)
    return;
  pthread_mutex_lock(&lock);
  refused = !table();
  pthread_mutex_unlock(&lock);
}

void lf_arena_reserve(void) {
  if (lf_address_space() != UINT64_MAX)
    (void)lf_arena_open();
}

int lf_arena_adopt(int fd) {
  struct stat s;
  pthread_mutex_lock(&lock);
  bool good = fstat(fd, &s) == 0 && (uint64_t)s.st_size >= LEAST &&
              fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
              map(fd, (uint64_t)s.st_size, false);
  refused = !good;
  pthread_mutex_unlock(&lock);
  return good ? 0 : LF_ENOMEM;
}

int lf_arena_fd(void) {
  return table() ? arena_fd : -1;
}

uint64_t lf_arena_size(void) {
  return table() ? size : 0;
}

uint64_t lf_zone_size(void) {
  return table() ? zone_size : 0;
}

void *lf_arena_at(uint64_t offset) {
  return (unsigned char *)table() + offset;
}

uint64_t lf_arena_offset(const void *memory) {
  return (uint64_t)((const char *)memory - (const char *)table());
}

_Atomic uint64_t *lf_arena_terminal(void) {
  return table() ? &table()->terminal : NULL;
}

void *lf_arena_waiters(void) {
  return table()->waiters_table;
}

void *lf_arena_refs(void) {
  return table()->refs_table;
}

/* Zones from 'first' to 'last'. */
static bool touch(uint32_t first, uint32_t last) {
  while (first <= last && touchable[first])
    first++;
  while (first < last && touchable[last])
    last--;
  if (first > last)
    return true;
  uint64_t n = (last - first + 1) * zone_size;
  if (mprotect(lf_arena_at(first * zone_size), n, PROT_READ | PROT_WRITE) != 0)
    return false;
  for (uint32_t i = first; i <= last; i++)
    touchable[i] = true;
  return true;
}

bool lf_arena_touch(uint64_t at, uint64_t n) {
  uint64_t end = at + (n ? n : 1);
  uint64_t first = at >> zone_shift, last = (end - 1) >> zone_shift;
  return (first == last && touchable[first]) ||
         touch((uint32_t)first, (uint32_t)last);
}

void lf_arena_clear(uint64_t at, uint64_t n) {
  unsigned char *bytes = lf_arena_at(at);
  if (!lf_arena_touch(at, n))
    lf_panic(__FILE__, __LINE__, "cannot clear shared memory");
  uint64_t from = (at + page_size - 1) / page_size * page_size - at;
  uint64_t to = (at + n) / page_size * page_size - at;
  if (from >= n || to <= from ||
      madvise(bytes + from, to - from, MADV_REMOVE) != 0) {
    memset(bytes, 0, n);
    return;
  }
  memset(bytes, 0, from);
  memset(bytes + to, 0, n - to);
}

/* --- Owners --- */

/* A number that was unused. */
static uint32_t new_owner(uint32_t parent) {
  head *t = table();
  for (uint32_t i = 1; i < OWNERS; i++) {
    uint32_t unused = 0;
    if (atomic_load_explicit(&t->parents[i], memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong(&t->parents[i], &unused, parent))
      continue;
    atomic_store(&t->pids[i], 0);
    uint32_t top = atomic_load(&t->top);
    while (top < i && !atomic_compare_exchange_weak(&t->top, &top, i))
      continue;
    return i;
  }
  return 0;
}

uint32_t lf_owner_self(void) {
  uint64_t now = atomic_load(&own);
  if (now >> 32 == lf_generation && (uint32_t)now)
    return (uint32_t)now;
  uint32_t new = new_owner(NOBODY);
  uint64_t mine = (uint64_t)lf_generation << 32 | new;
  if (new)
    atomic_store(&table()->pids[new], getpid());
  if (atomic_compare_exchange_strong(&own, &now, mine))
    return new;
  atomic_store(&table()->parents[new], 0); /* another thread was faster */
  return (uint32_t)now;
}

uint32_t lf_owner_new(void) {
  uint32_t me = table() ? lf_owner_self() : 0;
  return me ? new_owner(me) : 0;
}

void lf_owner_be(uint32_t owner) {
  if (owner)
    atomic_store(&table()->pids[owner], getpid());
  atomic_store(&own, (uint64_t)lf_generation << 32 | owner);
}

/* 17 bits of the number as an owner, 14 of how often one with it has ended. */
uint32_t lf_process(void) {
  uint32_t owner = table() ? lf_owner_self() : 0;
  if (!owner)
    return 0;
  return owner << LIFE | (atomic_load(&table()->lives[owner]) & LIVES);
}

/* The owner whose number it is, if that one has not been reaped; else 0. */
static uint32_t owner_of(uint32_t process) {
  head *t = table();
  uint32_t owner = process >> LIFE;
  bool same = owner < OWNERS && atomic_load(&t->parents[owner]) != 0 &&
              (atomic_load(&t->lives[owner]) & LIVES) == (process & LIVES);
  return same ? owner : 0;
}

/* Has the process ended? By /proc: one that has not been waited for is there,
 * too. (No stream is used: somebody may hold the lock of them all.) */
static bool is_gone(int pid) {
  char path[40], line[512];
  if (kill(pid, 0) != 0 && errno == ESRCH)
    return true;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
  if (fd >= 0)
    close(fd);
  line[n > 0 ? n : 0] = '\0';
  const char *end = strrchr(line, ')'); /* of its name */
  return end && end[1] && (end[2] == 'Z' || end[2] == 'X');
}

bool lf_process_is_gone(uint32_t process) {
  uint32_t owner = owner_of(process);
  int pid = owner ? atomic_load(&table()->pids[owner]) : 0;
  return !owner || (pid && is_gone(pid));
}

uint64_t lf_holder_new(void) {
  static _Atomic uint32_t last;
  uint64_t process = lf_process();
  return process ? process << 32 | (atomic_fetch_add(&last, 1) + 1) : 0;
}

bool lf_holder_lives(uint64_t holder) {
  return owner_of((uint32_t)(holder >> 32)) != 0;
}

bool lf_owner_descends(uint32_t owner, uint32_t from) {
  head *t = table();
  for (int depth = 0; depth < 100 && owner > 0 && owner < OWNERS; depth++) {
    if (owner == from)
      return true;
    owner = atomic_load(&t->parents[owner]);
  }
  return false;
}

/* The numbers of an ended process and of those that it had started are unused
 * from now on. */
static void forget_owners(uint32_t dead) {
  head *t = table();
  uint32_t top = atomic_load(&t->top);
  for (uint32_t i = 1; i <= top; i++)
    if (i != dead && lf_owner_descends(i, dead))
      atomic_store(&t->parents[i], dead); /* so that none loses its line */
  for (uint32_t i = 1; i <= top; i++)
    if (atomic_load(&t->parents[i]) == dead)
      atomic_store(&t->parents[i], 0);
  atomic_store(&t->parents[dead], 0);
}

bool lf_zone_is_mine(uint32_t zone) {
  return atomic_load(&table()->zones[zone]) == lf_owner_self();
}

bool lf_zone_descends(uint32_t zone, uint32_t owner) {
  return lf_owner_descends(atomic_load(&table()->zones[zone]), owner);
}

/* Does a process still run that the dead one had started? */
static bool has_running(uint32_t dead) {
  head *t = table();
  uint32_t top = atomic_load(&t->top);
  for (uint32_t i = 1; i <= top; i++)
    if (i != dead && lf_owner_descends(i, dead) && atomic_load(&t->pids[i]) &&
        !is_gone(atomic_load(&t->pids[i])))
      return true;
  return false;
}

void lf_owner_end(uint32_t dead) {
  head *t = table();
  const struct timespec moment = {.tv_nsec = 1000000};
  for (int i = 0; i < AT_MOST && has_running(dead); i++)
    nanosleep(&moment, NULL);
  uint32_t top = atomic_load(&t->top);
  for (uint32_t i = 1; i <= top; i++)
    if (lf_owner_descends(i, dead))
      atomic_fetch_add(&t->lives[i], 1);
}

uint32_t lf_owner_reap(uint32_t dead, uint16_t zones[LF_ZONES]) {
  head *t = table();
  uint32_t me = lf_owner_self(), n = 0;
  for (uint32_t i = 0; i < LF_ZONES; i++) {
    uint32_t owner = atomic_load(&t->zones[i]);
    if (!lf_owner_descends(owner, dead))
      continue;
    atomic_store(&t->zones[i], me);
    zones[n++] = (uint16_t)i;
  }
  forget_owners(dead);
  return n;
}

/* --- Zones --- */

/* All or none. */
static bool claim(uint32_t first, uint32_t n, uint32_t me) {
  head *t = table();
  if (!touch(first, first + n - 1))
    return false;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t nobody = 0;
    if (!atomic_compare_exchange_strong(&t->zones[first + i], &nobody, me)) {
      lf_zones_release(first, i);
      return false;
    }
  }
  return true;
}

static int claim_row(uint32_t n, uint32_t me) {
  head *t = table();
  for (int round = 0; me && n <= LF_ZONES && round < PATIENCE; round++) {
    uint32_t run = 0;
    bool collided = false;
    for (uint32_t i = 0; i < LF_ZONES; i++) {
      run = atomic_load(&t->zones[i]) == 0 ? run + 1 : 0;
      if (run < n)
        continue;
      if (claim(i + 1 - n, n, me))
        return (int)(i + 1 - n);
      collided = true;
      run = 0;
    }
    if (!collided)
      break;
  }
  return -1;
}

int lf_zones_claim(uint32_t n) {
  return claim_row(n, lf_owner_self());
}

int lf_zone_claim_common(void) {
  return claim_row(1, COMMON);
}

bool lf_zone_is_common(uint32_t zone) {
  return atomic_load_explicit(&table()->zones[zone], memory_order_acquire) ==
         COMMON;
}

void lf_zones_release(uint32_t first, uint32_t n) {
  head *t = table();
  for (uint32_t i = 0; i < n; i++)
    atomic_store(&t->zones[first + i], 0);
}

void lf_zone_free(uint32_t zone) {
  head *t = table();
  if (atomic_load(&t->zones[zone]) != lf_owner_self())
    return; /* what has been damaged */
  lf_arena_clear(zone * zone_size, zone_size);
  lf_zones_release(zone, 1);
}

uint32_t lf_zones_owned(void) {
  uint32_t n = 0, me = table() ? lf_owner_self() : 0;
  for (uint32_t i = 0; me && i < LF_ZONES; i++)
    n += atomic_load(&table()->zones[i]) == me;
  return n;
}
