/* SPDX-License-Identifier: MIT
 *
 * Libraries that describe themselves: ../plugins/lfut_plugin.h. Their
 * descriptors are checked here; library.c binds what they have. */
#ifndef LF_NATIVE_PLUGIN_H
#define LF_NATIVE_PLUGIN_H

#include "plugins/lfut_plugin.h"
#include "runtime/native/dso.h"

/* The checked descriptor of the plugin. NULL: 'why' (empty before) has the
 * message. */
const lfut_plugin *lf_plugin_open(const lf_dso *dso, lf_buf *why);

/* Lets it begin, when all else is known to be right; once in a process, and
 * what was forked from it. By one thread at a time. LF_EBROKEN: 'why' tells. */
int lf_plugin_begin(const lfut_plugin *plugin, lf_buf *why);

/* The i-th function, whatever the size of the plugin's structs is. */
lfut_function lf_plugin_function(const lfut_plugin *plugin, size_t i);

/* All prototypes as one text of declarations. 0 or LF_ENOMEM. */
int lf_plugin_declare(const lfut_plugin *plugin, lf_buf *text);

/* Around calls: while there are any, the plugins' fini is not called. */
void lf_plugin_count(int by);

/* What a function of a plugin leaves besides what it returns. Zeroed before a
 * call; freed by lf_call_fini. One thread's. */
struct lfut_task {
  const volatile int *stop; /* not 0: it is to end; may be NULL */
  void (*progress)(void *user, double done, double total); /* may be NULL */
  void *user;
  int64_t told; /* when progress was passed on last */
  char *error;  /* its text, or NULL */
  lf_buf extra; /* uint64 size and bytes of each further result */
  int nextra;
  bool no_memory;
};

void lf_call_fini(lfut_task *task);

#endif
