/* SPDX-License-Identifier: MIT
 *
 * Statistics of a text: results in an array of the script's, results that are
 * strings, and a function that can fail.
 *
 *   local text = lfut.plugin("./text.so")
 *   local counts = lfut.Array("int64", 3)
 *   text.count(s, #s, counts)
 *   print(counts:get())              --> lines, words, bytes
 *   print(text.most_frequent(s, #s)) --> how often, which word */
#include "lfut_plugin.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const lfut_host *host;

static int init(const lfut_host *h) {
  host = h;
  return 0;
}

/* In ASCII whatever the locale: a task must not depend on it. */
static bool is_letter(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

typedef struct {
  const uint8_t *at;
  size_t len;
} word;

/* The next word from '*at' on, which is moved behind it; false: there is none.
 */
static bool next_word(const uint8_t **at, const uint8_t *end, word *out) {
  while (*at < end && !is_letter(**at))
    ++*at;
  out->at = *at;
  while (*at < end && is_letter(**at))
    ++*at;
  out->len = (size_t)(*at - out->at);
  return out->len > 0;
}

/* Lines, words and bytes, into the caller's array. A string that may contain
 * zeroes is a const uint8_t * and a length. */
static void count(const uint8_t *text, size_t n, int64_t *counts) {
  const uint8_t *at = text, *end = text + n;
  word w;
  counts[0] = counts[1] = 0;
  for (size_t i = 0; i < n; i++)
    counts[0] += text[i] == '\n';
  while (next_word(&at, end, &w))
    counts[1]++;
  counts[2] = (int64_t)n;
}

static int compare(const void *a, const void *b) {
  const word *v = a, *w = b;
  int order = memcmp(v->at, w->at, v->len < w->len ? v->len : w->len);
  return order ? order : (v->len > w->len) - (v->len < w->len);
}

/* How often the most frequent word occurs; the first of them by the alphabet.
 * Equal words are neighbours in a sorted list. */
static int64_t longest_run(word *words, size_t n, word *out) {
  int64_t run = 0, most = 0;
  qsort(words, n, sizeof *words, compare);
  for (size_t i = 0; i < n; i++) {
    run = i > 0 && compare(&words[i - 1], &words[i]) == 0 ? run + 1 : 1;
    if (run > most) {
      most = run;
      *out = words[i];
    }
  }
  return most;
}

/* Returns how often, and by return_bytes the word. What is found wrong is said
 * by set_error: then the call fails in the script, whatever is returned. */
static int64_t most_frequent(lfut_task *task, const uint8_t *text, size_t n) {
  const uint8_t *at = text;
  word *words = malloc((n / 2 + 2) * sizeof *words), found = {0};
  size_t len = 0;
  if (!words) {
    host->set_error(task, "not enough memory");
    return 0;
  }
  while (next_word(&at, text + n, &words[len]))
    len++;
  int64_t times = longest_run(words, len, &found);
  if (times == 0)
    host->set_error(task, "there is no word in the text");
  else if (host->return_bytes(task, found.at, found.len) != 0)
    host->set_error(task, "not enough memory");
  free(words);
  return times;
}

static const lfut_function functions[] = {
    {.prototype = "void count(const uint8_t *text, size_t n, int64_t *counts)",
     .entry = (lfut_entry)count,
     .flags = LFUT_THREADSAFE | LFUT_IDEMPOTENT,
     .args = "text:in[n] counts:out[3]",
     .doc = "lines, words and bytes"},
    {.prototype = "int64_t most_frequent(lfut_task *task, const uint8_t *text, "
                  "size_t n)",
     .entry = (lfut_entry)most_frequent,
     .flags = LFUT_THREADSAFE | LFUT_IDEMPOTENT,
     .args = "text:in[n]",
     .doc = "how often the most frequent word occurs, and the word"},
};

LFUT_PLUGIN(.name = "text", .version = "1.0", .functions = functions,
            .nfunctions = sizeof functions / sizeof functions[0], .init = init)
