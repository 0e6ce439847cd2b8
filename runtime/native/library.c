/* SPDX-License-Identifier: MIT
 *
 * See library.h. libffi writes into types while a call interface is prepared,
 * so that happens under the lock under which libraries are loaded; afterwards
 * all is only read. */
#include "runtime/native/library.h"

#include "runtime/native/search.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/native/dso.h"
#include "runtime/native/internal.h"
#include "runtime/os/crash.h"
#include "runtime/task/strand.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const lf_threads_names[] = {"serial", "safe", "affine", "process",
                                        NULL};

/* A shared library that is loaded: its serial functions pass one strand,
 * whatever descriptions they are from. */
typedef struct mapped {
  struct mapped *next;
  void *handle;
  lf_strand *strand;
} mapped;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lf_library *libraries; /* under the lock, as the next */
static mapped *mappings;

/* The thread holds the lock while a library is initialised, which may fork. */
static _Thread_local bool loading;

static void take_lock(void) {
  if (!loading)
    pthread_mutex_lock(&lock);
}

static void give_lock(void) {
  if (!loading)
    pthread_mutex_unlock(&lock);
}

static void be_forked(void) {
  lf_crash_note(NULL, 0);
  give_lock();
}

__attribute__((constructor)) static void survive_fork(void) {
  lf_at_fork(LF_FORK_LIBRARIES, take_lock, give_lock, be_forked);
}

/* --- Describing --- */

static int put_text(lf_buf *out, const char *text) {
  return lf_buf_put(out, text, strlen(text) + 1);
}

int lf_library_describe(lf_buf *out, const char *name, lf_threads threads,
                        const char *declarations) {
  char rule = (char)('0' + threads);
  int err = lf_buf_put(out, LF_LIBRARY_MAGIC, sizeof LF_LIBRARY_MAGIC);
  err = err ? err : put_text(out, name);
  err = err ? err : lf_buf_put(out, &rule, 1);
  return err ? err : put_text(out, declarations);
}

int lf_library_describe_plugin(lf_buf *out, const char *name) {
  char found[4096];
  const char *path = lf_plugin_find(name, found, sizeof found) ? found : name;
  int err = lf_buf_put(out, LF_LIBRARY_MAGIC, sizeof LF_LIBRARY_MAGIC);
  err = err ? err : put_text(out, path);
  return err ? err : lf_buf_put(out, "p", 1);
}

int lf_library_option_put(lf_buf *out, lf_library_option what,
                          const char *function, const char *value) {
  char kind = (char)what;
  int err = lf_buf_put(out, &kind, 1);
  err = err ? err : put_text(out, function);
  return err ? err : put_text(out, value);
}

/* The text at '*at', which is moved behind it. */
static const char *get_text(const char **at) {
  const char *text = *at;
  *at += strlen(text) + 1;
  return text;
}

/* --- Options --- */

static bool can_mean(lf_ckind kind, lf_failure failure) {
  bool is_unsigned = kind == LF_C_BOOL || kind == LF_C_UINT8 ||
                     kind == LF_C_UINT16 || kind == LF_C_UINT32 ||
                     kind == LF_C_UINT64;
  if (kind == LF_C_POINTER || failure == LF_NULL)
    return kind == LF_C_POINTER && failure == LF_NULL;
  return kind != LF_C_VOID && !(failure == LF_NEGATIVE && is_unsigned);
}

static int read_failure(lf_bound *b, const char *value, lf_buf *why) {
  static const char *const names[] = {"nonzero", "negative", "null", "zero"};
  const lf_ctype *result = b->native.proto->result;
  for (int i = 0; i < 4; i++) {
    if (strcmp(value, names[i]) != 0)
      continue;
    b->native.failure = (lf_failure)(LF_NONZERO + i);
    if (can_mean(result->kind, b->native.failure))
      return 0;
    lf_buf_print(why, "option 'error': %s returns %s, which is never %s",
                 b->native.proto->name, result->name, value);
    return LF_EBROKEN;
  }
  lf_buf_print(why,
               "option 'error': %s = '%s' ('nonzero', 'negative', 'null' or "
               "'zero' expected)",
               b->native.proto->name, value);
  return LF_EBROKEN;
}

/* A variadic function with these types. */
static int read_types(lf_library *l, const lf_native *n, const char *types,
                      lf_buf *why) {
  const lf_cfunc *f;
  int err = lf_cdecl_extend(l->decl, n->proto, types, strlen(types), &f, why);
  if (err)
    return err;
  lf_bound *b = lf_bind(l, f, n->proto->nparams, lf_bound_of(n)->entry);
  if (!b)
    return LF_ENOMEM;
  b->native.base = n->index;
  b->native.failure = n->failure;
  return lf_lengths_copy(b, lf_bound_of(n)->checks);
}

static int read_option(lf_library *l, lf_library_option what,
                       const char *function, const char *value, lf_buf *why) {
  lf_native *n = lf_library_find(l, function);
  if (!n) {
    lf_buf_print(why, "option '%s': '%s' is not declared",
                 what == LF_OPT_ERROR ? "error" : "args", function);
    return LF_EBROKEN;
  }
  if (what == LF_OPT_ERROR)
    return read_failure(lf_bound_of(n), value, why);
  if (what == LF_OPT_ARGS)
    return lf_lengths_read(lf_bound_of(n), value, why);
  return read_types(l, n, value, why);
}

/* --- Declared functions --- */

static void library_free(lf_library *l) {
  for (size_t i = 0; i < l->nfunctions; i++)
    lf_bound_free(lf_bound_of(l->functions[i]));
  lf_free(l->functions);
  if (l->decl)
    lf_cdecl_free(l->decl);
  lf_code_unref(l->code);
  lf_free(l);
}

static int bind_all(lf_library *l, const lf_dso *dso, lf_buf *why) {
  for (size_t i = 0; i < l->decl->nfunctions; i++) {
    const lf_cfunc *f = &l->decl->functions[i];
    lf_function *entry = lf_dso_function(dso, f->name, why);
    if (!entry)
      return LF_EBROKEN;
    if (!lf_bind(l, f, f->nparams, entry))
      return LF_ENOMEM;
  }
  return 0;
}

static lf_strand *strand_of(void *handle) {
  for (mapped *m = mappings; m; m = m->next)
    if (m->handle == handle)
      return m->strand;
  mapped *m = lf_zalloc(sizeof *m);
  if (!m || !(m->strand = lf_strand_new())) {
    lf_free(m);
    return NULL;
  }
  m->handle = handle;
  m->next = mappings;
  mappings = m;
  return m->strand;
}

static int open_dso(lf_library *l, const char *name, lf_dso *dso, lf_buf *why) {
  int err = lf_dso_open(name, dso, why);
  if (err)
    return err;
  snprintf(l->name, sizeof l->name, "%.63s", dso->name);
  l->path = dso->path;
  l->identity = dso->identity;
  l->strand = strand_of(dso->handle);
  return l->strand ? 0 : LF_ENOMEM;
}

/* Declared functions: all of the text is read before the library is looked for.
 */
static int build_declared(lf_library *l, const char *name, const char *at,
                          lf_buf *why) {
  const char *end = (const char *)l->code->bytes + l->code->len;
  lf_dso dso;
  l->threads = (lf_threads)(*at++ - '0');
  const char *text = get_text(&at);
  int err = lf_cdecl_read(text, strlen(text), &l->decl, why);
  err = err ? err : open_dso(l, name, &dso, why);
  err = err ? err : bind_all(l, &dso, why);
  while (err == 0 && at < end) {
    lf_library_option what = (lf_library_option)*at++;
    const char *function = get_text(&at);
    err = read_option(l, what, function, get_text(&at), why);
  }
  return err;
}

/* --- Plugins --- */

static int take_flags(lf_native *n, uint32_t flags) {
  static const lf_threads threads[] = {LF_SERIAL, LF_SAFE, LF_SERIAL, LF_AFFINE,
                                       LF_BY_PROCESS};
  n->threads = threads[flags & LFUT_THREADING];
  n->strand = lf_bound_passes_strand(n->threads) ? n->library->strand : NULL;
  n->flags = flags & ~LFUT_THREADING;
  if ((flags & LFUT_THREADING) != LFUT_SERIAL_FN)
    return 0;
  n->strand = lf_strand_new();
  return n->strand ? 0 : LF_ENOMEM;
}

static int bind_plugin_function(lf_library *l, size_t i, lfut_function from,
                                lf_buf *why) {
  const lf_cfunc *f = &l->decl->functions[i];
  if (f->variadic) {
    lf_buf_print(why, "variadic function '%s'", f->name);
    return LF_EBROKEN;
  }
  lf_bound *b = lf_bind(l, f, f->nparams, (lf_function *)from.entry);
  if (!b)
    return LF_ENOMEM;
  b->native.doc = from.doc;
  int err = take_flags(&b->native, from.flags);
  if (err == 0 && from.error)
    err = read_failure(b, from.error, why);
  if (err == 0 && from.args)
    err = lf_lengths_read(b, from.args, why);
  return err;
}

/* The function that the prototype declares, as an earlier one has, or NULL. */
static const char *declared_before(const lf_cdecl *d, const char *prototype) {
  size_t head = strcspn(prototype, "(");
  while (head > 0 && prototype[head - 1] == ' ')
    head--;
  for (size_t i = 0; i < d->nfunctions; i++) {
    const char *name = d->functions[i].name;
    size_t len = strlen(name);
    if (len < head && memcmp(prototype + head - len, name, len) == 0 &&
        lf_lengths_span_name(prototype + head - len - 1) == 0)
      return name;
  }
  return NULL;
}

/* There are not as many functions as prototypes: which is there twice, or is no
 * function? */
static void explain_count(const lf_cdecl *d, const lfut_plugin *p,
                          lf_buf *why) {
  for (size_t i = 0; i < p->nfunctions; i++) {
    int line = (int)i + 2; /* the first one is not the plugin's */
    const char *prototype = lf_plugin_function(p, i).prototype;
    size_t k = 0;
    while (k < d->nfunctions && d->functions[k].line != line)
      k++;
    bool last = k + 1 >= d->nfunctions || d->functions[k + 1].line != line;
    if (k < d->nfunctions && last)
      continue;
    const char *twin = declared_before(d, prototype);
    if (k < d->nfunctions)
      lf_buf_print(why, "'%s' is more than one function", prototype);
    else if (twin)
      lf_buf_print(why, "function '%s' is there twice", twin);
    else
      lf_buf_print(why, "'%s' is no function", prototype);
    return;
  }
}

static int bind_plugin(lf_library *l, const lfut_plugin *p, lf_buf *why) {
  lf_buf text;
  lf_buf_init(&text, NULL, 0);
  int err = lf_plugin_declare(p, &text);
  if (err == 0)
    err = lf_cdecl_read((char *)text.data, text.len, &l->decl, why);
  lf_buf_fini(&text);
  if (err == 0 && l->decl->nfunctions != p->nfunctions) {
    explain_count(l->decl, p, why);
    err = LF_EBROKEN;
  }
  for (size_t i = 0; i < p->nfunctions && err == 0; i++)
    err = bind_plugin_function(l, i, lf_plugin_function(p, i), why);
  return err;
}

/* Nothing is left behind by a plugin that is refused. */
static int build_plugin(lf_library *l, const char *path, lf_buf *why) {
  lf_dso dso;
  lf_buf what;
  int err = open_dso(l, path, &dso, why);
  const lfut_plugin *p = err ? NULL : lf_plugin_open(&dso, why);
  if (!p)
    return LF_EBROKEN;
  l->version = p->version;
  lf_buf_init(&what, NULL, 0);
  err = bind_plugin(l, p, &what);
  if (err == LF_EBROKEN) {
    lf_buf_print(why, "plugin %s %s: ", p->name, p->version);
    lf_buf_put(why, what.data, what.len);
  }
  lf_buf_fini(&what);
  return err ? err : lf_plugin_begin(p, why);
}

/* --- Loading --- */

static int build(lf_library *l, lf_buf *why) {
  const char *at = (const char *)l->code->bytes + sizeof LF_LIBRARY_MAGIC;
  const char *name = get_text(&at);
  return *at == 'p' ? build_plugin(l, name, why)
                    : build_declared(l, name, at, why);
}

lf_native *lf_library_find(const lf_library *l, const char *name) {
  for (size_t i = 0; i < l->nfunctions; i++)
    if (strcmp(l->functions[i]->proto->name, name) == 0)
      return l->functions[i];
  return NULL;
}

/* Under the lock. */
static int load(lf_code *code, lf_library **out, lf_buf *why) {
  for (lf_library *l = libraries; l; l = l->next)
    if (l->code == code) {
      *out = l;
      return 0;
    }
  lf_library *l = lf_zalloc(sizeof *l);
  if (!l)
    return LF_ENOMEM;
  l->code = lf_code_ref(code);
  int err = build(l, why);
  if (err) {
    library_free(l);
    return err;
  }
  lf_crash_watch();
  l->next = libraries;
  libraries = *out = l;
  __atomic_store_n(&code->notes, l, __ATOMIC_RELEASE);
  return 0;
}

int lf_library_open(lf_code *code, lf_library **out, lf_buf *why) {
  *out = __atomic_load_n(&code->notes, __ATOMIC_ACQUIRE);
  if (*out)
    return 0;
  pthread_mutex_lock(&lock);
  loading = true;
  int err = load(code, out, why);
  loading = false;
  pthread_mutex_unlock(&lock);
  return err;
}

#ifdef LF_DEBUG
/* So that what is left is a leak. */
__attribute__((destructor)) static void close_all(void) {
  if (!getenv("LFUT_SHOW_ALLOC"))
    return; /* threads may still be calling */
  while (libraries) {
    lf_library *l = libraries;
    libraries = l->next;
    l->code->notes = NULL;
    library_free(l);
  }
  while (mappings) {
    mapped *m = mappings;
    mappings = m->next;
    lf_strand_free(m->strand);
    lf_free(m);
  }
}
#endif
