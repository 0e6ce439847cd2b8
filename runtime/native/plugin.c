/* SPDX-License-Identifier: MIT
 *
 * See plugin.h. A descriptor is read with the sizes that it says, as both sides
 * may be older than the other. */
#include "runtime/native/plugin.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  PROGRESS_NS = 100000000, /* between two reports that are passed on */
  MOST_RESULTS = 250,
};

/* A plugin that has been initialised in this process or one further up. */
typedef struct known {
  struct known *next;
  const lfut_plugin *plugin;
} known;

/* Written under the lock under which libraries are loaded (library.c). */
static known *plugins;

/* --- Services ---------------------------------------------------------------
 */

static int cancelled(const lfut_task *t) {
  return t && t->stop ? *t->stop : 0;
}

static double deadline(const lfut_task *t) {
  (void)t;
  return HUGE_VAL;
}

static void progress(lfut_task *t, double done, double total) {
  if (!t || !t->progress)
    return;
  int64_t now = lf_now();
  if (now - t->told < PROGRESS_NS && done < total)
    return;
  t->told = now;
  t->progress(t->user, done, total);
}

static void set_error(lfut_task *t, const char *message) {
  if (!t)
    return;
  lf_free(t->error);
  t->error = lf_strndup(message ? message : "", message ? strlen(message) : 0);
  t->no_memory = !t->error;
}

static int return_bytes(lfut_task *t, const void *bytes, size_t size) {
  uint64_t n = size;
  if (!t || t->nextra == MOST_RESULTS)
    return -1;
  size_t before = t->extra.len;
  if (lf_buf_put(&t->extra, &n, sizeof n) == 0 &&
      lf_buf_put(&t->extra, bytes, size) == 0) {
    t->nextra++;
    return 0;
  }
  lf_buf_cut(&t->extra, before);
  return -1;
}

static void log_line(const char *message) {
  lf_buf line;
  lf_buf_init(&line, NULL, 0);
  if (lf_buf_put_text(&line, message) == 0 && lf_buf_put(&line, "\n", 1) == 0) {
    ssize_t n = write(STDERR_FILENO, line.data, line.len);
    (void)n;
  }
  lf_buf_fini(&line);
}

static const lfut_host host = {
    .size = sizeof(lfut_host),
    .minor = LFUT_PLUGIN_MINOR,
    .cancelled = cancelled,
    .deadline = deadline,
    .progress = progress,
    .set_error = set_error,
    .return_bytes = return_bytes,
    .log = log_line,
};

void lf_call_fini(lfut_task *t) {
  lf_free(t->error);
  lf_buf_fini(&t->extra);
}

/* --- Checking ---------------------------------------------------------------
 */

/* Up to there every version of the interface is the same. */
enum { LEAST = offsetof(lfut_plugin, init) };

static bool is_known_kind(const lf_dso *dso, const lfut_plugin *p,
                          lf_buf *why) {
  if (p->magic != LFUT_PLUGIN_MAGIC)
    lf_buf_print(why, "plugin %s: its descriptor does not begin as one",
                 dso->name);
  else if (p->major != LFUT_PLUGIN_MAJOR)
    lf_buf_print(why, "plugin %s is for interface %u.%u, this is %u.%u",
                 dso->name, p->major, p->minor, LFUT_PLUGIN_MAJOR,
                 LFUT_PLUGIN_MINOR);
  else if (p->minor > LFUT_PLUGIN_MINOR)
    lf_buf_print(why, "plugin %s needs interface %u.%u, this is %u.%u",
                 dso->name, p->major, p->minor, LFUT_PLUGIN_MAJOR,
                 LFUT_PLUGIN_MINOR);
  else if (p->word_size != sizeof(void *))
    lf_buf_print(why, "plugin %s has words of %u bytes, not %zu", dso->name,
                 p->word_size, sizeof(void *));
  else if (p->size < LEAST)
    lf_buf_print(why, "plugin %s: its descriptor is too short (%u bytes)",
                 dso->name, p->size);
  else if (p->function_size < offsetof(lfut_function, args))
    lf_buf_print(why,
                 "plugin %s: its functions' entries are too short (%u bytes)",
                 dso->name, p->function_size);
  else
    return true;
  return false;
}

static bool has_functions(const lf_dso *dso, const lfut_plugin *p,
                          lf_buf *why) {
  const char *name = p->name ? p->name : "";
  const uint32_t flags = LFUT_THREADING | LFUT_IDEMPOTENT | LFUT_BLOCKING |
                         LFUT_CANCELLABLE | LFUT_OWN_THREADS;
  if (!name[0] || !p->version || !p->functions || p->nfunctions == 0) {
    lf_buf_print(why, "plugin %s: name, version or functions are missing",
                 dso->name);
    return false;
  }
  for (size_t i = 0; i < p->nfunctions; i++) {
    lfut_function f = lf_plugin_function(p, i);
    uint32_t unknown = f.flags & ~flags;
    if ((f.flags & LFUT_THREADING) > LFUT_PROCESS)
      unknown |= f.flags & LFUT_THREADING;
    if (!f.prototype || !f.entry)
      lf_buf_print(why, "plugin %s %s: function %zu has no %s", name,
                   p->version, i + 1, f.entry ? "prototype" : "entry");
    else if (unknown)
      lf_buf_print(why, "plugin %s %s: unknown flag 0x%x of '%s'", name,
                   p->version, unknown, f.prototype);
    else
      continue;
    return false;
  }
  return true;
}

lfut_function lf_plugin_function(const lfut_plugin *p, size_t i) {
  lfut_function f = {0};
  size_t n = p->function_size < sizeof f ? p->function_size : sizeof f;
  memcpy(&f, (const char *)p->functions + i * p->function_size, n);
  return f;
}

int lf_plugin_declare(const lfut_plugin *p, lf_buf *text) {
  static const char task[] = "typedef struct lfut_task lfut_task;";
  int err = lf_buf_put(text, task, sizeof task - 1);
  for (size_t i = 0; i < p->nfunctions && err == 0; i++) {
    const char *prototype = lf_plugin_function(p, i).prototype;
    err = lf_buf_put(text, "\n", 1);
    err = err ? err : lf_buf_put_text(text, prototype);
    err = err ? err : lf_buf_put(text, ";", 1);
  }
  return err;
}

/* --- Life -------------------------------------------------------------------
 */

/* The plugin's struct as this lfut knows it. */
static lfut_plugin whole(const lfut_plugin *p) {
  lfut_plugin copy = {0};
  memcpy(&copy, p, p->size < sizeof copy ? p->size : sizeof copy);
  return copy;
}

static void tell_of_fork(void) {
  for (known *k = plugins; k; k = k->next) {
    lfut_plugin p = whole(k->plugin);
    if (p.after_fork)
      p.after_fork();
  }
}

/* How many calls are running: a program that ends by an error waits for none.
 */
static _Atomic int running;

void lf_plugin_count(int by) {
  atomic_fetch_add(&running, by);
}

static void end_all(void) {
  if (running > 0)
    return;
  for (known *k = plugins; k; k = k->next) {
    lfut_plugin p = whole(k->plugin);
    if (p.fini)
      p.fini();
  }
}

static bool is_initialised(const lfut_plugin *p) {
  const known *k = plugins;
  while (k && k->plugin != p)
    k = k->next;
  return k;
}

int lf_plugin_begin(const lfut_plugin *p, lf_buf *why) {
  if (is_initialised(p))
    return 0;
  lfut_plugin all = whole(p);
  known *k = malloc(sizeof *k); /* for the rest of the process's life */
  if (!k)
    return LF_ENOMEM;
  int failed = all.init ? all.init(&host) : 0;
  if (failed) {
    free(k);
    lf_buf_print(why, "plugin %s %s: its init has failed (%d)", p->name,
                 p->version, failed);
    return LF_EBROKEN;
  }
  if (!plugins) {
    lf_at_fork(LF_FORK_PLUGINS, NULL, NULL, tell_of_fork);
    atexit(end_all);
  }
  *k = (known){plugins, p};
  plugins = k;
  return 0;
}

const lfut_plugin *lf_plugin_open(const lf_dso *dso, lf_buf *why) {
  lf_buf ignored;
  lf_buf_init(&ignored, NULL, 0);
  lf_function *entry = lf_dso_function(dso, "lfut_plugin_v1", &ignored);
  lf_buf_fini(&ignored);
  if (!entry) {
    lf_buf_print(why,
                 "%s is not a plugin for interface %u (no function "
                 "lfut_plugin_v1)",
                 dso->name, LFUT_PLUGIN_MAJOR);
    return NULL;
  }
  const lfut_plugin *p = ((const lfut_plugin *(*)(void))entry)();
  if (!p) {
    lf_buf_print(why, "plugin %s: lfut_plugin_v1 returned NULL", dso->name);
    return NULL;
  }
  if (!is_known_kind(dso, p, why) || !has_functions(dso, p, why))
    return NULL;
  return p;
}
