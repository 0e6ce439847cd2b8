/* SPDX-License-Identifier: MIT
 *
 * See memory.h: what the linker's --wrap puts in place of lf_malloc and so on.
 */
#include "tests/c/memory.h"

static size_t allocations, fail_at;
static long blocks;

void *__real_lf_malloc(size_t size);
void *__real_lf_zalloc(size_t size);
void *__real_lf_realloc(void *block, size_t size);
void __real_lf_free(void *block);
void *__wrap_lf_malloc(size_t size);
void *__wrap_lf_zalloc(size_t size);
void *__wrap_lf_realloc(void *block, size_t size);
void __wrap_lf_free(void *block);

static bool must_fail(void) {
  return fail_at > 0 && ++allocations == fail_at;
}

void *__wrap_lf_malloc(size_t size) {
  void *block = must_fail() ? NULL : __real_lf_malloc(size);
  blocks += block != NULL;
  return block;
}

void *__wrap_lf_zalloc(size_t size) {
  void *block = must_fail() ? NULL : __real_lf_zalloc(size);
  blocks += block != NULL;
  return block;
}

void *__wrap_lf_realloc(void *old, size_t size) {
  void *block = must_fail() ? NULL : __real_lf_realloc(old, size);
  blocks += block && !old;
  return block;
}

void __wrap_lf_free(void *block) {
  blocks -= block != NULL;
  __real_lf_free(block);
}

void memory_fail_at(size_t n) {
  allocations = 0;
  fail_at = n;
}

bool memory_has_failed(void) {
  return fail_at > 0 && allocations >= fail_at;
}

long memory_blocks(void) {
  return blocks;
}

int memory_fail_each(bool (*attempt)(void *arg), void *arg) {
  int failed = 0;
  for (size_t n = 1;; n++) {
    long before = blocks;
    memory_fail_at(n);
    bool good = attempt(arg), lacked = memory_has_failed();
    memory_fail_at(0);
    if (blocks != before || (!good && !lacked))
      return -1;
    if (!lacked)
      return failed;
    failed += !good;
  }
}
