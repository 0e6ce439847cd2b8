/* SPDX-License-Identifier: MIT
 *
 * See library.h. libffi writes into types while a call interface is prepared,
 * so that happens under the lock under which libraries are loaded; afterwards
 * all is only read. */
#include "runtime/native/library.h"

#include "runtime/base/mem.h"
#include "runtime/native/dso.h"
#include "runtime/os/atfork.h"
#include "runtime/task/strand.h"

#include <errno.h>
#include <ffi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "\0native 1" /* no bytecode begins with a zero */

enum { FACTORS = 4, CRASH_STACK = 32 << 10 /* bytes */ };

const char *const lf_threads_names[] = {"serial", "safe", "affine", "process",
                                        NULL};

/* A factor of a length: a number, a parameter's value, or what is stored where
 * it points to. */
typedef struct {
  enum { NUMBER, VALUE, STORED } kind;
  int64_t number; /* or the parameter's place */
} factor;

/* A parameter points to so many elements. */
typedef struct check {
  struct check *next;
  int param, nfactors;
  factor factors[FACTORS];
  bool fills; /* the one factor, a parameter, may be left out */
} check;

typedef struct {
  lf_native native;
  lf_cfunc proto; /* as scripts see it */
  char *text;     /* the same; NULL: as it was declared */
  int task;       /* the place of a parameter that they do not; -1: none */
  lf_function *entry;
  bool plain; /* one to three doubles to a double */
  ffi_cif cif;
  ffi_type **types;
  check *checks;
} bound;

/* A shared library that is loaded: its serial functions pass one gate, whatever
 * descriptions they are from. */
typedef struct mapped {
  struct mapped *next;
  void *handle;
  lf_gate *gate;
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
  lf_native_note_crash(NULL, 0);
  give_lock();
}

__attribute__((constructor)) static void survive_fork(void) {
  lf_at_fork(LF_FORK_LIBRARIES, take_lock, give_lock, be_forked);
}

static bound *bound_of(const lf_native *n) {
  return lf_container_of(n, bound, native);
}

/* --- Describing ------------------------------------------------------------
 */

static int put_text(lf_buf *out, const char *text) {
  return lf_buf_put(out, text, strlen(text) + 1);
}

int lf_library_describe(lf_buf *out, const char *name, lf_threads threads,
                        const char *declarations) {
  char rule = (char)('0' + threads);
  int err = lf_buf_put(out, MAGIC, sizeof MAGIC);
  err = err ? err : put_text(out, name);
  err = err ? err : lf_buf_put(out, &rule, 1);
  return err ? err : put_text(out, declarations);
}

int lf_library_describe_plugin(lf_buf *out, const char *path) {
  int err = lf_buf_put(out, MAGIC, sizeof MAGIC);
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

/* --- Binding ----------------------------------------------------------------
 */

static ffi_type *ffi_type_of(const lf_ctype *t) {
  switch (t->kind) {
  case LF_C_VOID:
    return &ffi_type_void;
  case LF_C_BOOL:
  case LF_C_UINT8:
    return &ffi_type_uint8;
  case LF_C_INT8:
    return &ffi_type_sint8;
  case LF_C_INT16:
    return &ffi_type_sint16;
  case LF_C_UINT16:
    return &ffi_type_uint16;
  case LF_C_INT32:
    return &ffi_type_sint32;
  case LF_C_UINT32:
    return &ffi_type_uint32;
  case LF_C_INT64:
    return &ffi_type_sint64;
  case LF_C_UINT64:
    return &ffi_type_uint64;
  case LF_C_FLOAT:
    return &ffi_type_float;
  case LF_C_DOUBLE:
    return &ffi_type_double;
  default:
    return &ffi_type_pointer;
  }
}

static void bound_free(bound *b) {
  while (b->checks) {
    check *c = b->checks;
    b->checks = c->next;
    lf_free(c);
  }
  if (b->native.code)
    lf_code_unref(b->native.code);
  if (b->native.gate && b->native.gate != b->native.library->gate)
    lf_gate_free(b->native.gate);
  lf_free((void *)(uintptr_t)b->proto.params);
  lf_free(b->text);
  lf_free(b->types);
  lf_free(b);
}

/* What stands for it in messages, also of other processes. */
static lf_code *make_label(const lf_library *l, const lf_cfunc *f) {
  char label[LF_LABEL];
  lf_buf bytes;
  lf_buf_init(&bytes, NULL, 0);
  snprintf(label, sizeof label, "function %.50s of %.31s", f->name, l->name);
  lf_code *code = NULL;
  if (lf_buf_put(&bytes, MAGIC, 2) == 0 &&
      lf_buf_put(&bytes, label, strlen(label)) == 0)
    code = lf_code_get(bytes.data, bytes.len, label, NULL);
  lf_buf_fini(&bytes);
  return code;
}

static bool is_task(const lf_ctype *t) {
  return t->kind == LF_C_POINTER && t->to->kind == LF_C_OPAQUE &&
         (strcmp(t->to->name, "lfut_task") == 0 ||
          strcmp(t->to->name, "struct lfut_task") == 0);
}

/* The prototype's text without that parameter. NULL: no memory. */
static char *without_task(const lf_cfunc *f, const lf_ctype *task) {
  char *text = lf_strndup(f->text, strlen(f->text));
  char *at = text ? strchr(text, '(') : NULL;
  at = at ? strstr(at, task->name) : NULL;
  if (!at)
    return text;
  char *end = at + strcspn(at, ",)");
  if (*end == ',')
    end += strspn(end, ", ");
  else if (at[-1] == ' ')
    at -= 2;
  if (f->nparams == 1)
    memcpy(at, "void", 4), at += 4;
  memmove(at, end, strlen(end) + 1);
  return text;
}

/* What scripts see of the function: all but a plugin's task. */
static int take_proto(bound *b, const lf_cfunc *f, bool plugin) {
  lf_cparam *params = lf_malloc(((size_t)f->nparams + 1) * sizeof *params);
  if (!params)
    return LF_ENOMEM;
  b->proto = *f;
  b->proto.params = params;
  b->proto.nparams = 0;
  b->task = -1;
  for (int i = 0; i < f->nparams; i++) {
    if (plugin && b->task < 0 && is_task(f->params[i].type))
      b->task = i;
    else
      params[b->proto.nparams++] = f->params[i];
  }
  b->native.proto = &b->proto;
  if (b->task < 0)
    return 0;
  b->proto.text = b->text = without_task(f, f->params[b->task].type);
  return b->text ? 0 : LF_ENOMEM;
}

/* Prepares calls with 'nfixed' parameters and others behind '...'. */
static int prepare(bound *b, const lf_cfunc *f, int nfixed) {
  unsigned n = (unsigned)f->nparams;
  b->types = lf_malloc((n + 1) * sizeof *b->types);
  if (!b->types)
    return LF_ENOMEM;
  for (unsigned i = 0; i < n; i++)
    b->types[i] = ffi_type_of(f->params[i].type);
  ffi_type *result = ffi_type_of(f->result);
  ffi_status s =
      nfixed < f->nparams
          ? ffi_prep_cif_var(&b->cif, FFI_DEFAULT_ABI, (unsigned)nfixed, n,
                             result, b->types)
          : ffi_prep_cif(&b->cif, FFI_DEFAULT_ABI, n, result, b->types);
  return s == FFI_OK ? 0 : LF_EBROKEN;
}

/* Other executors' workers and direct calls may not overlap either. */
static bool passes_gate(lf_threads threads) {
  return threads == LF_SERIAL || threads == LF_AFFINE;
}

static bool is_plain(const lf_cfunc *f) {
  bool plain = f->nparams >= 1 && f->nparams <= 3 && !f->variadic;
  for (int i = 0; plain && i < f->nparams; i++)
    plain = f->params[i].type->kind == LF_C_DOUBLE;
  return plain && f->result->kind == LF_C_DOUBLE;
}

/* One more function of the library. NULL: no memory. */
static bound *bind(lf_library *l, const lf_cfunc *f, int nfixed,
                   lf_function *entry) {
  bool plugin = l->version != NULL;
  size_t n = l->nfunctions;
  if ((n & (n + 1)) == 0) { /* 0, 1, 3, 7, ...: full */
    lf_native **more =
        lf_realloc(l->functions, 2 * (n + 1) * sizeof *l->functions);
    if (!more)
      return NULL;
    l->functions = more;
  }
  bound *b = lf_zalloc(sizeof *b);
  if (!b)
    return NULL;
  b->native = (lf_native){.library = l, .threads = l->threads};
  b->native.index = b->native.base = (uint32_t)n;
  b->native.gate = passes_gate(l->threads) ? l->gate : NULL;
  b->entry = entry;
  b->native.code = make_label(l, f);
  if (!b->native.code || take_proto(b, f, plugin) != 0 ||
      prepare(b, f, nfixed) != 0) {
    bound_free(b);
    return NULL;
  }
  b->plain = is_plain(f) && nfixed == f->nparams;
  b->native.least = b->proto.nparams;
  l->functions[l->nfunctions++] = &b->native;
  return b;
}

lf_native *lf_library_find(const lf_library *l, const char *name) {
  for (size_t i = 0; i < l->nfunctions; i++)
    if (strcmp(l->functions[i]->proto->name, name) == 0)
      return l->functions[i];
  return NULL;
}

/* --- Options ----------------------------------------------------------------
 */

static bool can_mean(lf_ckind kind, lf_failure failure) {
  bool is_unsigned = kind == LF_C_BOOL || kind == LF_C_UINT8 ||
                     kind == LF_C_UINT16 || kind == LF_C_UINT32 ||
                     kind == LF_C_UINT64;
  if (kind == LF_C_POINTER || failure == LF_NULL)
    return kind == LF_C_POINTER && failure == LF_NULL;
  return kind != LF_C_VOID && !(failure == LF_NEGATIVE && is_unsigned);
}

static int read_failure(bound *b, const char *value, lf_buf *why) {
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

/* The parameter of that name, or -1. */
static int find_param(const lf_cfunc *f, const char *name, size_t len) {
  for (int i = 0; i < f->nparams; i++)
    if (len > 0 && strlen(f->params[i].name) == len &&
        memcmp(f->params[i].name, name, len) == 0)
      return i;
  return -1;
}

static size_t span_name(const char *at) {
  return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                    "0123456789");
}

static bool is_integer(const lf_ctype *t) {
  return t->kind >= LF_C_INT8 && t->kind <= LF_C_UINT64;
}

/* "*destLen", "n" or "16" at '*at', which is moved behind it. */
static bool read_factor(const lf_cfunc *f, const char **at, factor *out) {
  bool stored = **at == '*';
  *at += stored;
  size_t len = span_name(*at);
  const char *digits = *at;
  *at += len;
  if (!stored && len > 0 && len < 18 && strspn(digits, "0123456789") >= len) {
    *out = (factor){.kind = NUMBER};
    for (size_t i = 0; i < len; i++)
      out->number = 10 * out->number + digits[i] - '0';
    return true;
  }
  int param = find_param(f, digits, len);
  if (param < 0)
    return false;
  const lf_ctype *t = f->params[param].type;
  *out = (factor){.kind = stored ? STORED : VALUE, .number = param};
  return stored ? t->kind == LF_C_POINTER && is_integer(t->to) : is_integer(t);
}

/* "n?]": such a length has to be able to hold all lengths. */
static bool can_fill(const lf_cfunc *f, const check *c, const char *at) {
  const factor *n = &c->factors[0];
  return c->nfactors == 1 && n->kind == VALUE && strncmp(at, "?]", 2) == 0 &&
         lf_ctype_size(f->params[n->number].type) == sizeof(size_t);
}

/* "src:in[n]" at '*at', which is moved behind it. */
static bool read_check(const lf_cfunc *f, const char **at, check *out) {
  size_t len = span_name(*at);
  out->param = find_param(f, *at, len);
  if (out->param < 0 || f->params[out->param].type->kind != LF_C_POINTER)
    return false;
  *at += len;
  size_t direction = strncmp(*at, ":inout[", 7) == 0 ? 7
                     : strncmp(*at, ":out[", 5) == 0 ? 5
                     : strncmp(*at, ":in[", 4) == 0  ? 4
                                                     : 0;
  *at += direction;
  bool good = direction > 0;
  while (good && out->nfactors < FACTORS) {
    good = read_factor(f, at, &out->factors[out->nfactors++]);
    out->fills = good && can_fill(f, out, *at);
    *at += out->fills;
    if (good && **at == ']')
      return ++*at, true;
    good = good && *(*at)++ == '*';
  }
  return false;
}

/* The check that says what to fill in for a parameter, or NULL. */
static const check *filler_of(const bound *b, int param) {
  const check *c = b->checks;
  while (c && !(c->fills && c->factors[0].number == param))
    c = c->next;
  return c;
}

static void find_least(bound *b) {
  while (b->native.least > 0 && filler_of(b, b->native.least - 1))
    b->native.least--;
}

static int read_checks(bound *b, const char *value, lf_buf *why) {
  const lf_cfunc *f = b->native.proto;
  const char *at = value;
  for (at += strspn(at, " \t\n,"); *at; at += strspn(at, " \t\n,")) {
    const char *begin = at;
    check *c = lf_zalloc(sizeof *c);
    if (!c)
      return LF_ENOMEM;
    c->next = b->checks;
    b->checks = c;
    b->native.checks = true;
    if (read_check(f, &at, c) && (!*at || strchr(" \t\n,", *at)))
      continue;
    lf_buf_print(why,
                 "option 'args': %s: '%.*s' is not understood ('name:in[n]', "
                 "'name:out[*m]' expected, by the names of its parameters)",
                 f->name, (int)strcspn(begin, " \t\n,"), begin);
    return LF_EBROKEN;
  }
  find_least(b);
  return 0;
}

/* The parameters that they speak of are the same. */
static int copy_checks(bound *b, const check *from) {
  for (; from; from = from->next) {
    check *c = lf_malloc(sizeof *c);
    if (!c)
      return LF_ENOMEM;
    *c = *from;
    c->next = b->checks;
    b->checks = c;
    b->native.checks = true;
  }
  return 0;
}

/* A variadic function with these types. */
static int read_types(lf_library *l, const lf_native *n, const char *types,
                      lf_buf *why) {
  const lf_cfunc *f;
  int err = lf_cdecl_extend(l->decl, n->proto, types, strlen(types), &f, why);
  if (err)
    return err;
  bound *b = bind(l, f, n->proto->nparams, bound_of(n)->entry);
  if (!b)
    return LF_ENOMEM;
  b->native.base = n->index;
  b->native.failure = n->failure;
  return copy_checks(b, bound_of(n)->checks);
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
    return read_failure(bound_of(n), value, why);
  if (what == LF_OPT_ARGS)
    return read_checks(bound_of(n), value, why);
  return read_types(l, n, value, why);
}

/* --- Loading ----------------------------------------------------------------
 */

static void library_free(lf_library *l) {
  for (size_t i = 0; i < l->nfunctions; i++)
    bound_free(bound_of(l->functions[i]));
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
    if (!bind(l, f, f->nparams, entry))
      return LF_ENOMEM;
  }
  return 0;
}

static lf_gate *gate_of(void *handle) {
  for (mapped *m = mappings; m; m = m->next)
    if (m->handle == handle)
      return m->gate;
  mapped *m = lf_zalloc(sizeof *m);
  if (!m || !(m->gate = lf_gate_new())) {
    lf_free(m);
    return NULL;
  }
  m->handle = handle;
  m->next = mappings;
  mappings = m;
  return m->gate;
}

static int open_dso(lf_library *l, const char *name, lf_dso *dso, lf_buf *why) {
  int err = lf_dso_open(name, dso, why);
  if (err)
    return err;
  snprintf(l->name, sizeof l->name, "%.63s", dso->name);
  l->path = dso->path;
  l->identity = dso->identity;
  l->gate = gate_of(dso->handle);
  return l->gate ? 0 : LF_ENOMEM;
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

/* --- Plugins ----------------------------------------------------------------
 */

static int take_flags(lf_native *n, uint32_t flags) {
  static const lf_threads threads[] = {LF_SERIAL, LF_SAFE, LF_SERIAL, LF_AFFINE,
                                       LF_BY_PROCESS};
  n->threads = threads[flags & LFUT_THREADING];
  n->gate = passes_gate(n->threads) ? n->library->gate : NULL;
  n->flags = flags & ~LFUT_THREADING;
  if ((flags & LFUT_THREADING) != LFUT_SERIAL_FN)
    return 0;
  n->gate = lf_gate_new();
  return n->gate ? 0 : LF_ENOMEM;
}

static int bind_plugin_function(lf_library *l, size_t i, lfut_function from,
                                lf_buf *why) {
  const lf_cfunc *f = &l->decl->functions[i];
  if (f->variadic) {
    lf_buf_print(why, "variadic function '%s'", f->name);
    return LF_EBROKEN;
  }
  bound *b = bind(l, f, f->nparams, (lf_function *)from.entry);
  if (!b)
    return LF_ENOMEM;
  b->native.doc = from.doc;
  int err = take_flags(&b->native, from.flags);
  if (err == 0 && from.error)
    err = read_failure(b, from.error, why);
  if (err == 0 && from.args)
    err = read_checks(b, from.args, why);
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
        span_name(prototype + head - len - 1) == 0)
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

static int build(lf_library *l, lf_buf *why) {
  const char *at = (const char *)l->code->bytes + sizeof MAGIC;
  const char *name = get_text(&at);
  return *at == 'p' ? build_plugin(l, name, why)
                    : build_declared(l, name, at, why);
}

static void watch_crashes(void);

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
  watch_crashes();
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
    lf_gate_free(m->gate);
    lf_free(m);
  }
}
#endif

/* --- Lengths ----------------------------------------------------------------
 */

static uint64_t stored_at(const lf_ctype *t, const void *p) {
  uint64_t bits = 0;
  if (p)
    memcpy(&bits, p, lf_ctype_size(t)); /* the machine is little-endian */
  return bits;
}

/* How many elements there have to be; UINT64_MAX: more than there can be. */
static uint64_t needed(const lf_cfunc *f, const check *c, const lf_cvalue *args,
                       const size_t *lengths) {
  uint64_t product = 1;
  for (int i = 0; i < c->nfactors; i++) {
    const factor *k = &c->factors[i];
    uint64_t x = (uint64_t)k->number;
    if (k->kind == VALUE)
      x = args[k->number].bits;
    else if (k->kind == STORED && lengths[k->number] > 0)
      x = stored_at(f->params[k->number].type->to, args[k->number].p);
    else if (k->kind == STORED)
      x = UINT64_MAX; /* nothing is stored there */
    if (x > INT64_MAX || __builtin_mul_overflow(product, x, &product))
      return UINT64_MAX;
  }
  return product;
}

void lf_native_fill(const lf_native *n, int count, lf_cvalue *args,
                    const size_t *lengths) {
  for (int i = count; i < n->proto->nparams; i++) {
    int from = filler_of(bound_of(n), i)->param;
    args[i].bits = args[from].p ? lengths[from] : 0;
  }
}

bool lf_native_check(const lf_native *n, const lf_cvalue *args,
                     const size_t *lengths, lf_buf *why) {
  for (const check *c = bound_of(n)->checks; c; c = c->next) {
    uint64_t need = needed(n->proto, c, args, lengths);
    size_t has = args[c->param].p ? lengths[c->param] : 0;
    if (has >= need)
      continue;
    const char *name = n->proto->params[c->param].name;
    if (need > INT64_MAX)
      lf_buf_print(why, "argument '%s': its length is negative or too large",
                   name);
    else
      lf_buf_print(why, "argument '%s': needs %llu elements, has %zu", name,
                   (unsigned long long)need, has);
    return false;
  }
  return true;
}

/* --- Calling ----------------------------------------------------------------
 */

/* Read by a signal's handler, which must not be the first to touch it. */
static _Thread_local const lf_native *volatile calling
    __attribute__((tls_model("initial-exec")));
static _Thread_local bool has_stack; /* to tell of a crash on */
static void give_stack(void);

/* What libffi gives back: integers that are narrower than a register as one. */
typedef union {
  ffi_arg u;
  ffi_sarg s;
  uint64_t wide;
  float f;
  double d;
  void *p;
} returned;

void *lf_native_entry(const lf_native *n) {
  return (void *)bound_of(n)->entry;
}

static void take_result(const lf_ctype *t, const returned *r, lf_cvalue *out) {
  out->bits = 0;
  switch (t->kind) {
  case LF_C_VOID:
    break;
  case LF_C_BOOL:
    out->i = (uint8_t)r->u != 0;
    break;
  case LF_C_INT8:
    out->i = (int8_t)r->s;
    break;
  case LF_C_UINT8:
    out->i = (uint8_t)r->u;
    break;
  case LF_C_INT16:
    out->i = (int16_t)r->s;
    break;
  case LF_C_UINT16:
    out->i = (uint16_t)r->u;
    break;
  case LF_C_INT32:
    out->i = (int32_t)r->s;
    break;
  case LF_C_UINT32:
    out->i = (uint32_t)r->u;
    break;
  case LF_C_INT64:
  case LF_C_UINT64:
    out->bits = r->wide;
    break;
  case LF_C_FLOAT:
    out->f = r->f;
    break;
  case LF_C_DOUBLE:
    out->d = r->d;
    break;
  default:
    out->p = r->p;
  }
}

static bool has_failed(const lf_native *n, const lf_cvalue *v) {
  const lf_ckind kind = n->proto->result->kind;
  bool zero = kind == LF_C_DOUBLE  ? v->d == 0
              : kind == LF_C_FLOAT ? v->f == 0
                                   : v->bits == 0;
  switch (n->failure) {
  case LF_NONZERO:
    return !zero;
  case LF_NEGATIVE:
    return kind == LF_C_DOUBLE  ? v->d < 0
           : kind == LF_C_FLOAT ? v->f < 0
                                : kind != LF_C_UINT64 && v->i < 0;
  case LF_NULL:
  case LF_ZERO:
    return zero;
  default:
    return false;
  }
}

/* Most of libm is like that, and often takes less time than libffi does. */
static double call_plain(const bound *b, const lf_cvalue *x) {
  switch (b->proto.nparams) {
  case 1:
    return ((double (*)(double))b->entry)(x[0].d);
  case 2:
    return ((double (*)(double, double))b->entry)(x[0].d, x[1].d);
  default:
    return ((double (*)(double, double, double))b->entry)(x[0].d, x[1].d,
                                                          x[2].d);
  }
}

static void call_any(bound *b, const lf_cvalue *args, lfut_task *task,
                     lf_cvalue *result) {
  void *at[LF_C_PARAMS]; /* anew for each call, which may write there */
  lf_cvalue copies[LF_C_PARAMS];
  returned r = {.wide = 0};
  int count = b->proto.nparams + (b->task >= 0);
  for (int i = 0, k = 0; i < count; i++) {
    copies[i] = i == b->task ? (lf_cvalue){.p = task} : args[k++];
    at[i] = &copies[i];
  }
  ffi_call(&b->cif, b->entry, &r, at);
  take_result(b->proto.result, &r, result);
}

bool lf_native_call(const lf_native *n, const lf_cvalue *args, lfut_task *task,
                    lf_cvalue *result, lf_native_error *error) {
  bound *b = bound_of(n);
  const lf_native *outer = calling;
  if (!has_stack)
    give_stack();
  calling = n;
  if (n->failure != LF_NEVER)
    errno = 0;
  if (n->library->version)
    lf_plugin_count(1);
  if (b->plain)
    result->d = call_plain(b, args);
  else
    call_any(b, args, task, result);
  if (n->library->version)
    lf_plugin_count(-1);
  int number = n->failure != LF_NEVER ? errno : 0;
  calling = outer;
  bool failed = n->failure != LF_NEVER && has_failed(n, result);
  if (!failed && !task->error && !task->no_memory)
    return true;
  *error = (lf_native_error){.value = *result};
  error->error_number = failed ? number : 0;
  return false;
}

void lf_native_explain(const lf_native *n, const lf_native_error *e,
                       lf_buf *out) {
  const lf_ckind kind = n->proto->result->kind;
  lf_buf_print(out, "%s of %s returned ", n->proto->name, n->library->name);
  if (n->failure == LF_NULL)
    lf_buf_print(out, "NULL");
  else if (kind == LF_C_DOUBLE || kind == LF_C_FLOAT)
    lf_buf_print(out, "%.14g",
                 kind == LF_C_FLOAT ? (double)e->value.f : e->value.d);
  else
    lf_buf_print(out, "%lld", (long long)e->value.i);
  if (e->error_number)
    lf_buf_print(out, " (%s)", strerror(e->error_number));
}

/* --- Crashes ----------------------------------------------------------------
 */

static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { DEADLY = sizeof deadly / sizeof deadly[0] };
static struct sigaction former[DEADLY];

/* Where a worker process tells its program; else NULL. Set before its first
 * task. */
static char *crash_note;
static size_t crash_note_size;

void lf_native_note_crash(char *note, size_t size) {
  crash_note = note;
  crash_note_size = size;
}

static void say(const char *text) {
  ssize_t n = write(STDERR_FILENO, text, strlen(text));
  (void)n;
}

static pthread_key_t stack_key;

static void drop_stack(void *stack) {
  const stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  free(stack);
}

/* So that a thread that has used up its stack can still say so. One that has
 * such a stack already (a sanitizer's) keeps that. */
static void give_stack(void) {
  stack_t old, stack = {.ss_size = CRASH_STACK};
  has_stack = true;
  if (sigaltstack(NULL, &old) != 0 || !(old.ss_flags & SS_DISABLE))
    return;
  stack.ss_sp = malloc(CRASH_STACK);
  if (stack.ss_sp && sigaltstack(&stack, NULL) == 0)
    pthread_setspecific(stack_key, stack.ss_sp);
  else
    free(stack.ss_sp);
}

/* Names the function in which the thread has crashed, then lets the signal do
 * what it would have done. */
static void crashed(int sig, siginfo_t *info, void *context) {
  (void)context;
  if (calling && crash_note) {
    for (size_t i = 0; i + 1 < crash_note_size; i++)
      crash_note[i] = i < LF_LABEL ? calling->code->label[i] : '\0';
  } else if (calling) {
    say("lfut: SIG");
    say(sigabbrev_np(sig));
    say(" in ");
    say(calling->code->label);
    say("\n");
  }
  for (int i = 0; i < DEADLY; i++)
    if (deadly[i] == sig)
      sigaction(sig, &former[i], NULL);
  if (info->si_code <= 0) /* sent: it would not come again by itself */
    raise(sig);
}

/* Under the lock, once. */
static void watch_crashes(void) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
  if (libraries)
    return;
  pthread_key_create(&stack_key, drop_stack);
  action.sa_sigaction = crashed;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < DEADLY; i++)
    sigaction(deadly[i], &action, &former[i]);
}
