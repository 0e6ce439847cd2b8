/* SPDX-License-Identifier: MIT
 *
 * Memory of the runtime and of the workers' interpreters. Any thread. Debug
 * builds count the blocks and can fail the n-th allocation (LFUT_FAIL_ALLOC=n)
 * or all from the n-th on (LFUT_FAIL_ALLOC=n+). */
#ifndef LF_BASE_MEM_H
#define LF_BASE_MEM_H

#include "runtime/base/base.h"

/* What is said when there is none. */
#define LF_NO_MEMORY "not enough memory"

/* As malloc, calloc(1, n), realloc, free: NULL when there is none. */
void *lf_malloc(size_t size);
void *lf_zalloc(size_t size);
void *lf_realloc(void *block, size_t size);
void lf_free(void *block);

/* A copy of 'len' bytes with a zero behind; NULL when there is no memory. */
char *lf_strndup(const char *text, size_t len);

/* The same for words that have to be said: without memory they say that. */
char *lf_words(const char *text, size_t len);
void lf_words_free(char *words); /* may be NULL */

/* For other things that the system may refuse: true when this one is to be. It
 * counts as an allocation. */
bool lf_mem_refuse(void);

/* Bytes of address space that the process may have; UINT64_MAX: any number. */
uint64_t lf_address_space(void);

/* Blocks alive and allocations made so far; 0 in builds without debug. */
size_t lf_mem_blocks(void);
size_t lf_mem_count(void);

#endif
