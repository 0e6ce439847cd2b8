/* SPDX-License-Identifier: MIT
 *
 * See expr.h. */
#include "runtime/cdecl/expr.h"

#include <limits.h>

typedef struct {
  lf_clex *x;
  const lf_cscope *scope;
  void *user;
  int unused; /* > 0: the value is not needed and need not exist */
} reader;

static lf_cinteger conditional(reader *r);

/* --- Values --- */

static lf_cinteger fitted(uint64_t bits, bool is_unsigned, bool is_wide) {
  if (!is_wide)
    bits = is_unsigned ? (uint32_t)bits : (uint64_t)(int32_t)bits;
  return (lf_cinteger){bits, is_unsigned, is_wide};
}

static lf_cinteger truth(bool is_true) {
  return (lf_cinteger){.bits = is_true};
}

/* Makes both of the type that C calculates with. */
static void balance(lf_cinteger *a, lf_cinteger *b) {
  bool wide = a->is_wide || b->is_wide;
  bool uns = (a->is_wide == wide && a->is_unsigned) ||
             (b->is_wide == wide && b->is_unsigned);
  *a = fitted(a->bits, uns, wide);
  *b = fitted(b->bits, uns, wide);
}

/* A value that does not exist, unless nobody needs it. */
static lf_cinteger no_value(reader *r, const lf_ctoken *where,
                            const char *why) {
  if (r->unused == 0)
    lf_clex_fail(r->x, where, "%s", why);
  return truth(false);
}

static lf_cinteger signed_result(reader *r, const lf_ctoken *op, bool overflow,
                                 int64_t value, bool wide) {
  if (overflow || (!wide && value != (int32_t)value))
    return no_value(r, op, "constant does not fit its type (add a suffix UL)");
  return fitted((uint64_t)value, false, wide);
}

/* Of two of the same type. */
static lf_cinteger divide(reader *r, const lf_ctoken *op, lf_cinteger a,
                          lf_cinteger b) {
  int64_t n = (int64_t)a.bits, d = (int64_t)b.bits;
  bool remainder = op->kind == '%';
  if (b.bits == 0)
    return no_value(r, op, "division by zero");
  if (a.is_unsigned)
    return fitted(remainder ? a.bits % b.bits : a.bits / b.bits, true,
                  a.is_wide);
  if (d == -1)
    return remainder ? fitted(0, false, a.is_wide)
                     : signed_result(r, op, n == INT64_MIN,
                                     n == INT64_MIN ? 0 : -n, a.is_wide);
  return fitted((uint64_t)(remainder ? n % d : n / d), false, a.is_wide);
}

/* The same: + - * */
static lf_cinteger calculate(reader *r, const lf_ctoken *op, lf_cinteger a,
                             lf_cinteger b) {
  int64_t n = (int64_t)a.bits, m = (int64_t)b.bits, value;
  uint64_t bits;
  bool overflow;
  if (op->kind == '+') {
    bits = a.bits + b.bits;
    overflow = __builtin_add_overflow(n, m, &value);
  } else if (op->kind == '-') {
    bits = a.bits - b.bits;
    overflow = __builtin_sub_overflow(n, m, &value);
  } else {
    bits = a.bits * b.bits;
    overflow = __builtin_mul_overflow(n, m, &value);
  }
  if (a.is_unsigned)
    return fitted(bits, true, a.is_wide);
  return signed_result(r, op, overflow, value, a.is_wide);
}

static lf_cinteger shift(reader *r, const lf_ctoken *op, lf_cinteger a,
                         lf_cinteger b) {
  uint64_t width = a.is_wide ? 64 : 32;
  if (lf_cinteger_negative(&b) || b.bits >= width)
    return no_value(r, op, "shift by more than the type has bits");
  if (op->kind == LF_T2('<', '<'))
    return fitted(a.bits << b.bits, a.is_unsigned, a.is_wide);
  uint64_t bits =
      a.is_unsigned ? a.bits >> b.bits : (uint64_t)((int64_t)a.bits >> b.bits);
  return fitted(bits, a.is_unsigned, a.is_wide);
}

/* The same as of divide. */
static bool is_less(lf_cinteger a, lf_cinteger b) {
  return a.is_unsigned ? a.bits < b.bits : (int64_t)a.bits < (int64_t)b.bits;
}

static lf_cinteger apply(reader *r, const lf_ctoken *op, lf_cinteger a,
                         lf_cinteger b) {
  if (op->kind == LF_T2('<', '<') || op->kind == LF_T2('>', '>'))
    return shift(r, op, a, b);
  balance(&a, &b);
  switch (op->kind) {
  case '/':
  case '%':
    return divide(r, op, a, b);
  case '<':
    return truth(is_less(a, b));
  case '>':
    return truth(is_less(b, a));
  case LF_T2('<', '='):
    return truth(!is_less(b, a));
  case LF_T2('>', '='):
    return truth(!is_less(a, b));
  case LF_T2('=', '='):
    return truth(a.bits == b.bits);
  case LF_T2('!', '='):
    return truth(a.bits != b.bits);
  case '&':
    return fitted(a.bits & b.bits, a.is_unsigned, a.is_wide);
  case '^':
    return fitted(a.bits ^ b.bits, a.is_unsigned, a.is_wide);
  case '|':
    return fitted(a.bits | b.bits, a.is_unsigned, a.is_wide);
  default:
    return calculate(r, op, a, b);
  }
}

/* --- Numbers and characters --- */

static int digit_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 'a' ^ 'A';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* The suffix of a number: u, l, ll, in any order. */
static bool read_suffix(const char *p, const char *end, bool *is_unsigned,
                        int *longs) {
  while (p < end) {
    if ((*p == 'u' || *p == 'U') && !*is_unsigned) {
      *is_unsigned = true;
      p++;
    } else if ((*p == 'l' || *p == 'L') && *longs == 0) {
      *longs = end - p > 1 && p[1] == p[0] ? 2 : 1;
      p += *longs;
    } else {
      return false;
    }
  }
  return true;
}

/* The first type of C's list that has the value. */
static lf_cinteger typed(uint64_t bits, bool is_unsigned, int longs,
                         bool decimal) {
  lf_cinteger v = {bits, is_unsigned, (size_t)longs * sizeof(long) > 4};
  bool both = is_unsigned || !decimal;
  if (!v.is_wide && bits > UINT32_MAX)
    v.is_wide = true;
  if (!v.is_wide && bits > INT32_MAX) {
    v.is_unsigned = both;
    v.is_wide = !both;
  }
  if (v.is_wide && bits > INT64_MAX)
    v.is_unsigned = true;
  return v;
}

static lf_cinteger number(reader *r) {
  const lf_ctoken *tok = &r->x->tok;
  const char *p = tok->at, *end = p + tok->len, *digits;
  unsigned base = 10;
  uint64_t bits = 0;
  bool is_unsigned = false, overflow = false;
  int longs = 0;
  if (*p == '0' && tok->len > 1) {
    char mark = p[1] | ('a' ^ 'A');
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    p += base == 8 ? 1 : 2;
  }
  for (digits = p; p < end && (unsigned)digit_of(*p) < base; p++) {
    overflow |= __builtin_mul_overflow(bits, base, &bits);
    overflow |= __builtin_add_overflow(bits, (uint64_t)digit_of(*p), &bits);
  }
  if ((p == digits && base != 8) || !read_suffix(p, end, &is_unsigned, &longs))
    lf_clex_fail(r->x, tok, "%s is not an integer", lf_clex_quote(tok).text);
  else if (overflow)
    lf_clex_fail(r->x, tok, "%s has more than 64 bits",
                 lf_clex_quote(tok).text);
  if (r->x->err)
    return truth(false);
  lf_clex_next(r->x);
  return typed(bits, is_unsigned, longs, base == 10);
}

/* What comes behind a backslash; -1: nothing known. */
static int escape(const char **at, const char *end) {
  static const char plain[][2] = {{'n', '\n'},  {'t', '\t'}, {'r', '\r'},
                                  {'a', '\a'},  {'b', '\b'}, {'f', '\f'},
                                  {'v', '\v'},  {'e', 27},   {'\\', '\\'},
                                  {'\'', '\''}, {'"', '"'},  {'?', '?'}};
  const char *p = *at;
  bool hex = *p == 'x';
  unsigned base = hex ? 16 : 8, value = 0;
  const char *digits = p += hex;
  for (; p < end && (unsigned)digit_of(*p) < base && (hex || p - digits < 3);
       p++)
    value = value > UCHAR_MAX ? value : value * base + (unsigned)digit_of(*p);
  *at = p > digits ? p : digits + 1;
  if (p > digits)
    return value <= UCHAR_MAX ? (int)value : -1;
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
    if (*digits == plain[i][0] && !hex)
      return plain[i][1];
  return -1;
}

static lf_cinteger character(reader *r) {
  const lf_ctoken *tok = &r->x->tok;
  const char *p = tok->at + 1, *end = tok->at + tok->len - 1;
  int value = -1;
  if (p < end && *p == '\\' && end - p > 1) {
    p++;
    value = escape(&p, end);
  } else if (p < end) {
    value = (unsigned char)*p++;
  }
  if (value < 0 || p != end) {
    lf_clex_fail(r->x, tok, "%s is not one character", lf_clex_quote(tok).text);
    return truth(false);
  }
  lf_clex_next(r->x);
  return fitted((uint64_t)(char)value, false, false);
}

/* --- Expressions --- */

static bool is_integer(const lf_ctype *type) {
  return type->kind >= LF_C_BOOL && type->kind <= LF_C_UINT64;
}

/* As a value of that type, promoted. */
static lf_cinteger convert(lf_cinteger v, const lf_ctype *type) {
  switch (type->kind) {
  case LF_C_BOOL:
    return truth(v.bits != 0);
  case LF_C_INT8:
    return fitted((uint64_t)(int8_t)v.bits, false, false);
  case LF_C_UINT8:
    return fitted((uint8_t)v.bits, false, false);
  case LF_C_INT16:
    return fitted((uint64_t)(int16_t)v.bits, false, false);
  case LF_C_UINT16:
    return fitted((uint16_t)v.bits, false, false);
  default:
    return fitted(v.bits,
                  type->kind == LF_C_UINT32 || type->kind == LF_C_UINT64,
                  lf_ctype_size(type) == 8);
  }
}

static lf_cinteger unary(reader *r);

/* Behind '(': the type is next. */
static lf_cinteger cast(reader *r) {
  lf_ctoken at = r->x->tok;
  const lf_ctype *type = r->scope->type(r->user);
  if (!is_integer(type))
    lf_clex_fail(r->x, &at, "constant of type '%s' (only integers are read)",
                 type->name);
  lf_clex_expect(r->x, ')');
  lf_cinteger v = unary(r);
  return r->x->err ? v : convert(v, type);
}

static lf_cinteger parenthesis(reader *r) {
  lf_clex_next(r->x);
  if (r->scope->begins_type(r->user, &r->x->tok))
    return cast(r);
  lf_cinteger v = conditional(r);
  lf_clex_expect(r->x, ')');
  return v;
}

static lf_cinteger size_of(reader *r) {
  lf_clex_next(r->x);
  lf_clex_expect(r->x, '(');
  lf_ctoken at = r->x->tok;
  if (!r->scope->begins_type(r->user, &at)) {
    lf_clex_expected(r->x, "type");
    return truth(false);
  }
  const lf_ctype *type = r->scope->type(r->user);
  size_t size = lf_ctype_size(type);
  if (size == 0)
    lf_clex_fail(r->x, &at, "the size of '%s' is not known", type->name);
  lf_clex_expect(r->x, ')');
  return (lf_cinteger){size, true, sizeof(size_t) > 4};
}

static lf_cinteger name(reader *r) {
  lf_cinteger v;
  const lf_ctoken *tok = &r->x->tok;
  if (lf_ctoken_is(tok, "sizeof"))
    return size_of(r);
  if (!r->scope->constant(r->user, tok, &v)) {
    lf_clex_fail(r->x, tok, "unknown constant %s (define it before)",
                 lf_clex_quote(tok).text);
    return truth(false);
  }
  lf_clex_next(r->x);
  return v;
}

static lf_cinteger primary(reader *r) {
  switch (r->x->tok.kind) {
  case LF_T_NUMBER:
    return number(r);
  case LF_T_CHAR:
    return character(r);
  case LF_T_NAME:
    return name(r);
  case '(':
    return parenthesis(r);
  default:
    lf_clex_fail(r->x, &r->x->tok,
                 "integer expected before %s (other constants are not read)",
                 lf_clex_quote(&r->x->tok).text);
    return truth(false);
  }
}

static lf_cinteger operate(reader *r, const lf_ctoken *op) {
  lf_clex_next(r->x);
  lf_cinteger v = unary(r);
  if (op->kind == '!')
    return truth(v.bits == 0);
  if (op->kind == '~')
    return fitted(~v.bits, v.is_unsigned, v.is_wide);
  if (op->kind == '-')
    return calculate(r, op, (lf_cinteger){0, v.is_unsigned, v.is_wide}, v);
  return v;
}

static lf_cinteger unary(reader *r) {
  lf_ctoken op = r->x->tok;
  lf_cinteger v = truth(false);
  if (lf_clex_enter(r->x))
    v = op.kind > 0 && op.kind < 0x80 && strchr("!~-+", op.kind)
            ? operate(r, &op)
            : primary(r);
  lf_clex_leave(r->x);
  return v;
}

/* How closely an operator binds; 0: it is none. */
static int rank_of(int kind) {
  static const struct {
    int kind, rank;
  } ranks[] = {
      {LF_T2('|', '|'), 1},
      {LF_T2('&', '&'), 2},
      {'|', 3},
      {'^', 4},
      {'&', 5},
      {LF_T2('=', '='), 6},
      {LF_T2('!', '='), 6},
      {'<', 7},
      {'>', 7},
      {LF_T2('<', '='), 7},
      {LF_T2('>', '='), 7},
      {LF_T2('<', '<'), 8},
      {LF_T2('>', '>'), 8},
      {'+', 9},
      {'-', 9},
      {'*', 10},
      {'/', 10},
      {'%', 10},
  };
  for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++)
    if (ranks[i].kind == kind)
      return ranks[i].rank;
  return 0;
}

/* Operators that bind at least so closely. */
static lf_cinteger binary(reader *r, int least) {
  lf_cinteger a = unary(r);
  int rank;
  while ((rank = rank_of(r->x->tok.kind)) >= least) {
    lf_ctoken op = r->x->tok;
    bool either = op.kind == LF_T2('|', '|');
    bool both = op.kind == LF_T2('&', '&');
    bool settled = (either && a.bits) || (both && !a.bits);
    lf_clex_next(r->x);
    r->unused += settled;
    lf_cinteger b = binary(r, rank + 1);
    r->unused -= settled;
    if (either || both)
      a = truth(settled ? either : b.bits != 0);
    else
      a = apply(r, &op, a, b);
  }
  return a;
}

static lf_cinteger conditional(reader *r) {
  lf_cinteger v = truth(false);
  if (lf_clex_enter(r->x)) {
    v = binary(r, 1);
    if (lf_clex_take(r->x, '?')) {
      bool first = v.bits != 0;
      r->unused += !first;
      lf_cinteger a = conditional(r);
      r->unused += first - !first;
      lf_clex_expect(r->x, ':');
      lf_cinteger b = conditional(r);
      r->unused -= first;
      balance(&a, &b);
      v = first ? a : b;
    }
  }
  lf_clex_leave(r->x);
  return v;
}

lf_cinteger lf_cexpr_read(lf_clex *x, const lf_cscope *scope, void *user) {
  reader r = {.x = x, .scope = scope, .user = user};
  return conditional(&r);
}
