/* SPDX-License-Identifier: MIT
 *
 * See names.h. */
#include "runtime/trace/names.h"

#include "runtime/base/atfork.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/trace/export.h"

#include <stdio.h>
#include <string.h>

enum { BUCKETS = 1024 };

typedef struct name {
  struct name *next;
  uint32_t number;
  char text[LF_FUNCTION_NAME]; /* as JSON has it */
} name;

LF_FORK_MUTEX(lock, LF_FORK_TRACE_NAMES, NULL);
static name *by_text[BUCKETS];
static name **by_number;
static uint32_t n, cap;
static void (*teller)(uint32_t number, const char *json); /* set once */

static name *add(const char *text, size_t bucket) {
  if (n == cap) {
    uint32_t more = cap ? 2 * cap : 64;
    name **all = lf_realloc(by_number, more * sizeof *all);
    if (!all)
      return NULL;
    by_number = all;
    cap = more;
  }
  name *new = lf_zalloc(sizeof *new);
  if (!new)
    return NULL;
  snprintf(new->text, sizeof new->text, "%s", text);
  new->next = by_text[bucket];
  by_text[bucket] = new;
  by_number[n++] = new;
  new->number = n;
  return new;
}

uint32_t lf_trace_name(const char *json) {
  size_t bucket = lf_hash(json, strlen(json)) % BUCKETS;
  pthread_mutex_lock(&lock);
  name *known = by_text[bucket];
  while (known && strcmp(known->text, json) != 0)
    known = known->next;
  bool added = !known && (known = add(json, bucket));
  if (added && teller)
    teller(known->number, known->text);
  pthread_mutex_unlock(&lock);
  return known ? known->number : 0;
}

uint32_t lf_trace_name_plain(const char *text) {
  char json[LF_FUNCTION_NAME];
  lf_json_text(json, sizeof json, text);
  return lf_trace_name(json);
}

/* The code keeps its number, with that of the trace (32 bits each). */
static uint32_t name_code(lf_code *code) {
  uint64_t known = atomic_load_explicit(&code->traced, memory_order_relaxed);
  uint64_t session = (uint64_t)(lf_timing_now() / LF_TIME_SESSION);
  char plain[LF_FUNCTION_NAME];
  if (known && known >> 32 == session)
    return (uint32_t)known;
  uint32_t number = lf_trace_name_plain(lf_function_name(code->label, plain));
  atomic_store_explicit(&code->traced, session << 32 | number,
                        memory_order_relaxed);
  return number;
}

uint32_t lf_trace_name_of(lf_code *code, const char *text) {
  return text   ? lf_trace_name_plain(text)
         : code ? name_code(code)
                : lf_trace_name_plain("task");
}

const char *lf_trace_name_text(uint32_t number) {
  pthread_mutex_lock(&lock);
  const char *text =
      number > 0 && number <= n ? by_number[number - 1]->text : "?";
  pthread_mutex_unlock(&lock);
  return text;
}

void lf_trace_names_forget(void) {
  pthread_mutex_lock(&lock);
  while (n > 0)
    lf_free(by_number[--n]);
  lf_free(by_number);
  by_number = NULL;
  cap = 0;
  memset(by_text, 0, sizeof by_text);
  pthread_mutex_unlock(&lock);
}

void lf_trace_names_tell(void (*tell)(uint32_t number, const char *json)) {
  teller = tell;
}
