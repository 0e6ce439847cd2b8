/* SPDX-License-Identifier: MIT
 *
 * Functions, prepared to be called through libffi. See internal.h. */
#include "runtime/native/internal.h"

#include "runtime/base/mem.h"
#include "runtime/task/strand.h"

#include <stdio.h>
#include <string.h>

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

void lf_bound_free(lf_bound *b) {
  while (b->checks) {
    lf_length *c = b->checks;
    b->checks = c->next;
    lf_free(c);
  }
  if (b->native.code)
    lf_code_unref(b->native.code);
  if (b->native.strand && b->native.strand != b->native.library->strand)
    lf_strand_free(b->native.strand);
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
  if (lf_buf_put(&bytes, LF_LIBRARY_MAGIC, 2) == 0 &&
      lf_buf_put_text(&bytes, label) == 0)
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
static int take_proto(lf_bound *b, const lf_cfunc *f, bool plugin) {
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
static int prepare(lf_bound *b, const lf_cfunc *f, int nfixed) {
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
bool lf_bound_passes_strand(lf_threads threads) {
  return threads == LF_SERIAL || threads == LF_AFFINE;
}

static bool is_plain(const lf_cfunc *f) {
  bool plain = f->nparams >= 1 && f->nparams <= 3 && !f->variadic;
  for (int i = 0; plain && i < f->nparams; i++)
    plain = f->params[i].type->kind == LF_C_DOUBLE;
  return plain && f->result->kind == LF_C_DOUBLE;
}

/* One more function of the library. NULL: no memory. */
lf_bound *lf_bind(lf_library *l, const lf_cfunc *f, int nfixed,
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
  lf_bound *b = lf_zalloc(sizeof *b);
  if (!b)
    return NULL;
  b->native = (lf_native){.library = l, .threads = l->threads};
  b->native.index = b->native.base = (uint32_t)n;
  b->native.strand = lf_bound_passes_strand(l->threads) ? l->strand : NULL;
  b->entry = entry;
  b->native.code = make_label(l, f);
  if (!b->native.code || take_proto(b, f, plugin) != 0 ||
      prepare(b, f, nfixed) != 0) {
    lf_bound_free(b);
    return NULL;
  }
  b->plain = is_plain(f) && nfixed == f->nparams;
  b->native.least = b->proto.nparams;
  l->functions[l->nfunctions++] = &b->native;
  return b;
}
