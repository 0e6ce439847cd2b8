/* SPDX-License-Identifier: MIT
 *
 * See mem.h. The counters are the only state: atomics, any thread. */
#include "runtime/base/mem.h"
#include "runtime/base/atfork.h"

#ifdef __SANITIZE_ADDRESS__
#include <pthread.h>
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#ifdef LF_DEBUG

static _Atomic size_t blocks, allocations;
static size_t fail_at;
static bool fail_on; /* and all that follow */

__attribute__((constructor)) static void read_environment(void) {
  const char *n = getenv("LFUT_FAIL_ALLOC");
  char *end = NULL;
  fail_at = n ? strtoul(n, &end, 10) : 0;
  fail_on = end && *end == '+';
}

/* With LFUT_SHOW_ALLOC set: what there was, for tests; after all others. */
__attribute__((destructor(101))) static void show(void) {
  if (getenv("LFUT_SHOW_ALLOC"))
    fprintf(stderr, "lfut: %zu allocations, %zu blocks left\n", lf_mem_count(),
            lf_mem_blocks());
}

/* Counts one allocation and says whether it has to fail, as malloc would. */
static bool must_fail(void) {
  size_t n = atomic_fetch_add(&allocations, 1) + 1;
  bool fails = n == fail_at || (fail_on && n > fail_at);
  if (fails)
    errno = ENOMEM;
  return fails;
}

static void count_block(int by) {
  atomic_fetch_add(&blocks, (size_t)by);
}

size_t lf_mem_blocks(void) {
  return atomic_load(&blocks);
}

size_t lf_mem_count(void) {
  return atomic_load(&allocations);
}

#else

#define must_fail() false
#define count_block(by) ((void)(by))

size_t lf_mem_blocks(void) {
  return 0;
}

size_t lf_mem_count(void) {
  return 0;
}

#endif

#ifdef __SANITIZE_ADDRESS__

/* The sanitizer's allocator does not survive a fork in the middle of another
 * thread's call, as malloc does: there is none then. */
static pthread_rwlock_t forking = PTHREAD_RWLOCK_INITIALIZER;

static void begin_fork(void) {
  pthread_rwlock_wrlock(&forking);
}

static void end_fork(void) {
  pthread_rwlock_unlock(&forking);
}

/* It would not know its writer again, whose number is another now. */
static void begin_anew(void) {
  pthread_rwlock_init(&forking, NULL);
}

/* Before all others, who may allocate. A fork takes it last, as the order of
 * lf_fork_lock says: who holds another's lock may be about to allocate. */
__attribute__((constructor(101))) static void survive_fork(void) {
  lf_at_fork(LF_FORK_MEMORY, begin_fork, end_fork, begin_anew);
}

static void begin_call(void) {
  pthread_rwlock_rdlock(&forking);
}

static void end_call(void) {
  pthread_rwlock_unlock(&forking);
}

#else

#define begin_call() ((void)0)
#define end_call() ((void)0)

#endif

bool lf_mem_refuse(void) {
  return must_fail();
}

void *lf_malloc(size_t size) {
  begin_call();
  void *block = must_fail() ? NULL : malloc(size ? size : 1);
  end_call();
  if (block)
    count_block(1);
  return block;
}

void *lf_zalloc(size_t size) {
  void *block = lf_malloc(size);
  if (block)
    memset(block, 0, size);
  return block;
}

void *lf_realloc(void *block, size_t size) {
  if (!block)
    return lf_malloc(size);
  begin_call();
  void *larger = must_fail() ? NULL : realloc(block, size ? size : 1);
  end_call();
  return larger;
}

void lf_free(void *block) {
  if (!block)
    return;
  count_block(-1);
  begin_call();
  free(block);
  end_call();
}

char *lf_strndup(const char *text, size_t len) {
  char *copy = lf_malloc(len + 1);
  if (!copy)
    return NULL;
  memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

static char no_memory[] = LF_NO_MEMORY;

char *lf_words(const char *text, size_t len) {
  char *words = lf_strndup(text, len);
  return words ? words : no_memory;
}

void lf_words_free(char *words) {
  if (words != no_memory)
    lf_free(words);
}

uint64_t lf_address_space(void) {
  struct rlimit limit;
  bool limited =
      getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? limit.rlim_cur : UINT64_MAX;
}
