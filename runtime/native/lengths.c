/* SPDX-License-Identifier: MIT
 *
 * The option 'args': how long the arrays are that pointers point to, as
 * "src:in[n] dest:out[*destLen]" says it. See internal.h. */
#include "runtime/native/internal.h"

#include "runtime/base/mem.h"

#include <string.h>

/* The parameter of that name, or -1. */
static int find_param(const lf_cfunc *f, const char *name, size_t len) {
  for (int i = 0; i < f->nparams; i++)
    if (len > 0 && strlen(f->params[i].name) == len &&
        memcmp(f->params[i].name, name, len) == 0)
      return i;
  return -1;
}

size_t lf_lengths_span_name(const char *at) {
  return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                    "0123456789");
}

static bool is_integer(const lf_ctype *t) {
  return t->kind >= LF_C_INT8 && t->kind <= LF_C_UINT64;
}

/* "*destLen", "n" or "16" at '*at', which is moved behind it. */
static bool read_factor(const lf_cfunc *f, const char **at, lf_factor *out) {
  bool stored = **at == '*';
  *at += stored;
  size_t len = lf_lengths_span_name(*at);
  const char *digits = *at;
  *at += len;
  if (!stored && len > 0 && len < 18 && strspn(digits, "0123456789") >= len) {
    *out = (lf_factor){.kind = LF_BY_NUMBER};
    for (size_t i = 0; i < len; i++)
      out->number = 10 * out->number + digits[i] - '0';
    return true;
  }
  int param = find_param(f, digits, len);
  if (param < 0)
    return false;
  const lf_ctype *t = f->params[param].type;
  *out =
      (lf_factor){.kind = stored ? LF_BY_STORED : LF_BY_VALUE, .number = param};
  return stored ? t->kind == LF_C_POINTER && is_integer(t->to) : is_integer(t);
}

/* "n?]": such a length has to be able to hold all lengths. */
static bool can_fill(const lf_cfunc *f, const lf_length *c, const char *at) {
  const lf_factor *n = &c->factors[0];
  return c->nfactors == 1 && n->kind == LF_BY_VALUE &&
         strncmp(at, "?]", 2) == 0 &&
         lf_ctype_size(f->params[n->number].type) == sizeof(size_t);
}

/* "src:in[n]" at '*at', which is moved behind it. */
static bool read_check(const lf_cfunc *f, const char **at, lf_length *out) {
  size_t len = lf_lengths_span_name(*at);
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
  while (good && out->nfactors < LF_FACTORS) {
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
const lf_length *lf_lengths_filler(const lf_bound *b, int param) {
  const lf_length *c = b->checks;
  while (c && !(c->fills && c->factors[0].number == param))
    c = c->next;
  return c;
}

static void find_least(lf_bound *b) {
  while (b->native.least > 0 && lf_lengths_filler(b, b->native.least - 1))
    b->native.least--;
}

int lf_lengths_read(lf_bound *b, const char *value, lf_buf *why) {
  const lf_cfunc *f = b->native.proto;
  const char *at = value;
  for (at += strspn(at, " \t\n,"); *at; at += strspn(at, " \t\n,")) {
    const char *begin = at;
    lf_length *c = lf_zalloc(sizeof *c);
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
int lf_lengths_copy(lf_bound *b, const lf_length *from) {
  for (; from; from = from->next) {
    lf_length *c = lf_malloc(sizeof *c);
    if (!c)
      return LF_ENOMEM;
    *c = *from;
    c->next = b->checks;
    b->checks = c;
    b->native.checks = true;
  }
  return 0;
}
