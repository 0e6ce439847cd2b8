/* SPDX-License-Identifier: MIT
 *
 * See call.h. */
#include "runtime/native/call.h"

#include "runtime/native/internal.h"
#include "runtime/os/crash.h"

#include <errno.h>
#include <string.h>

/* --- Lengths --- */

static uint64_t stored_at(const lf_ctype *t, const void *p) {
  uint64_t bits = 0;
  if (p)
    memcpy(&bits, p, lf_ctype_size(t)); /* the machine is little-endian */
  return bits;
}

/* How many elements there have to be; UINT64_MAX: more than there can be. */
static uint64_t needed(const lf_cfunc *f, const lf_length *c,
                       const lf_cvalue *args, const size_t *lengths) {
  uint64_t product = 1;
  for (int i = 0; i < c->nfactors; i++) {
    const lf_factor *k = &c->factors[i];
    uint64_t x = (uint64_t)k->number;
    if (k->kind == LF_BY_VALUE)
      x = args[k->number].bits;
    else if (k->kind == LF_BY_STORED && lengths[k->number] > 0)
      x = stored_at(f->params[k->number].type->to, args[k->number].p);
    else if (k->kind == LF_BY_STORED)
      x = UINT64_MAX; /* nothing is stored there */
    if (x > INT64_MAX || __builtin_mul_overflow(product, x, &product))
      return UINT64_MAX;
  }
  return product;
}

void lf_native_fill(const lf_native *n, int count, lf_cvalue *args,
                    const size_t *lengths) {
  for (int i = count; i < n->proto->nparams; i++) {
    int from = lf_lengths_filler(lf_bound_of(n), i)->param;
    args[i].bits = args[from].p ? lengths[from] : 0;
  }
}

bool lf_native_check(const lf_native *n, const lf_cvalue *args,
                     const size_t *lengths, lf_buf *why) {
  for (const lf_length *c = lf_bound_of(n)->checks; c; c = c->next) {
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

/* --- Calling --- */

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
  return (void *)lf_bound_of(n)->entry;
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
static double call_plain(const lf_bound *b, const lf_cvalue *x) {
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

static void call_any(lf_bound *b, const lf_cvalue *args, lfut_task *task,
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
  lf_bound *b = lf_bound_of(n);
  const char *outer = lf_crash_enter(n->code->label);
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
  lf_crash_leave(outer);
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
