/* SPDX-License-Identifier: MIT
 *
 * See lex.h. Bytes of the text are compared, never classified by the locale.
 */
#include "runtime/cdecl/lex.h"

#include <stdarg.h>
#include <stdio.h>

enum { WIDE = 76, SHOWN = 70, BEFORE = 40 }; /* of long source lines */

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_control(char c) {
  return (unsigned char)c < ' ' || c == 0x7f;
}

/* A byte that continues a character of UTF-8. */
static bool is_continuation(char c) {
  return ((unsigned char)c & 0xc0) == 0x80;
}

bool lf_ctoken_is(const lf_ctoken *tok, const char *name) {
  return tok->kind == LF_T_NAME && strlen(name) == tok->len &&
         memcmp(tok->at, name, tok->len) == 0;
}

/* --- Complaints --- */

__attribute__((format(printf, 2, 0))) static int
put_format(lf_buf *buf, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, again);
  va_end(again);
  size_t from = buf->len;
  char *at = (char *)lf_buf_room(buf, (size_t)len + 1);
  if (!at)
    return LF_ENOMEM;
  vsnprintf(at, (size_t)len + 1, format, args);
  lf_buf_cut(buf, from + (size_t)len);
  return 0;
}

static int put_permit(lf_buf *buf, int line, size_t column) {
  char text[48];
  snprintf(text, sizeof text, "cdef:%d:%zu: ", line, column);
  return lf_buf_put_text(buf, text);
}

/* The source line, or the part of it around the column (from 0). */
typedef struct {
  const char *at;
  size_t len, column;
  bool cut_before, cut_behind;
} excerpt;

static excerpt excerpt_of(const lf_clex *x, const char *where) {
  excerpt e = {.at = where};
  const char *end = where;
  while (e.at > x->text && e.at[-1] != '\n')
    e.at--;
  while (end < x->end && *end != '\n')
    end++;
  while (end > where && end[-1] == '\r')
    end--;
  e.len = (size_t)(end - e.at);
  e.column = (size_t)(where - e.at);
  return e;
}

static void shorten(excerpt *e) {
  size_t skip = e->column > BEFORE ? e->column - BEFORE : 0;
  if (e->len <= WIDE)
    return;
  if (e->len - skip < SHOWN)
    skip = e->len - SHOWN;
  while (skip > 0 && is_continuation(e->at[skip]))
    skip--;
  e->cut_before = skip > 0;
  e->at += skip;
  e->len -= skip;
  e->column -= skip;
  e->cut_behind = e->len > SHOWN;
  if (e->cut_behind)
    for (e->len = SHOWN; is_continuation(e->at[e->len]) && e->len > e->column;)
      e->len--;
}

static int put_excerpt(lf_buf *buf, const excerpt *e) {
  int err = lf_buf_put_text(buf, e->cut_before ? "..." : "");
  for (size_t i = 0; i < e->len && err == 0; i++) {
    bool odd = is_control(e->at[i]) && e->at[i] != '\t';
    err = lf_buf_put(buf, odd ? "?" : &e->at[i], 1);
  }
  if (err == 0)
    err = lf_buf_put_text(buf, e->cut_behind ? "...\n" : "\n");
  if (err == 0)
    err = lf_buf_put_text(buf, e->cut_before ? "   " : "");
  for (size_t i = 0; i < e->column && err == 0; i++)
    if (!is_continuation(e->at[i]))
      err = lf_buf_put_text(buf, e->at[i] == '\t' ? "\t" : " ");
  return err == 0 ? lf_buf_put_text(buf, "^") : err;
}

/* Nothing comes any more. */
static void finish(lf_clex *x, int err) {
  x->err = err;
  x->at = x->end;
  x->lines = false;
  x->tok.kind = LF_T_END;
}

void lf_clex_no_memory(lf_clex *x) {
  if (x->err == 0)
    finish(x, LF_ENOMEM);
}

void lf_clex_fail(lf_clex *x, const lf_ctoken *where, const char *format, ...) {
  if (x->err)
    return;
  size_t from = x->why->len;
  excerpt e = excerpt_of(x, where->at);
  int err = put_permit(x->why, where->line, e.column + 1);
  va_list args;
  va_start(args, format);
  if (err == 0)
    err = put_format(x->why, format, args);
  va_end(args);
  for (size_t i = from; i < x->why->len; i++)
    if (is_control((char)x->why->data[i]))
      x->why->data[i] = '?';
  shorten(&e);
  if (err == 0)
    err = lf_buf_put_text(x->why, "\n");
  if (err == 0)
    err = put_excerpt(x->why, &e);
  if (err)
    lf_buf_cut(x->why, from);
  finish(x, err ? err : LF_EBROKEN);
}

lf_cquote lf_clex_quote(const lf_ctoken *tok) {
  enum { MOST = 60 };
  lf_cquote q;
  if (tok->kind == LF_T_END)
    snprintf(q.text, sizeof q.text, "end of text");
  else if (tok->kind == LF_T_LINE)
    snprintf(q.text, sizeof q.text, "end of line");
  else
    snprintf(q.text, sizeof q.text, "'%.*s%s'",
             (int)(tok->len > MOST ? MOST : tok->len), tok->at,
             tok->len > MOST ? "..." : "");
  return q;
}

/* --- Tokens --- */

static char at(const lf_clex *x, size_t i) {
  return (size_t)(x->end - x->at) > i ? x->at[i] : '\0';
}

/* Over what ends a line within a line: the length of backslash and newline. */
static size_t continued(const lf_clex *x) {
  if (at(x, 0) != '\\')
    return 0;
  if (at(x, 1) == '\n')
    return 2;
  return at(x, 1) == '\r' && at(x, 2) == '\n' ? 3 : 0;
}

static void skip_line_comment(lf_clex *x) {
  while (x->at < x->end && *x->at != '\n') {
    size_t n = continued(x);
    x->line += n > 0;
    x->at += n ? n : 1;
  }
}

/* False: it does not end. */
static bool skip_comment(lf_clex *x) {
  const char *p = x->at + 2;
  int lines = 0;
  for (; x->end - p >= 2; p++) {
    if (p[0] == '*' && p[1] == '/') {
      x->at = p + 2;
      x->line += lines;
      return true;
    }
    lines += *p == '\n';
  }
  return false;
}

/* Spaces, comments, and the ends of lines where they do not count. */
static void skip_blanks(lf_clex *x) {
  while (x->at < x->end) {
    char c = *x->at;
    size_t n = continued(x);
    if (n > 0) {
      x->line++;
      x->at += n;
    } else if (c == '\n' && !x->lines) {
      x->line++;
      x->fresh = true;
      x->at++;
    } else if (c == ' ' || (c >= '\t' && c <= '\r' && c != '\n')) {
      x->at++;
    } else if (c == '/' && at(x, 1) == '/') {
      skip_line_comment(x);
    } else if (c != '/' || at(x, 1) != '*' || !skip_comment(x)) {
      return;
    }
  }
}

static size_t name_length(const lf_clex *x) {
  size_t n = 0;
  while (is_letter(at(x, n)) || is_digit(at(x, n)))
    n++;
  return n;
}

static size_t number_length(const lf_clex *x) {
  size_t n = 1;
  for (;; n++) {
    char c = at(x, n), e = at(x, n - 1) | ('a' ^ 'A');
    bool sign = (c == '+' || c == '-') && (e == 'e' || e == 'p');
    bool hex = at(x, 0) == '0' && (at(x, 1) | ('a' ^ 'A')) == 'x';
    if (!is_letter(c) && !is_digit(c) && c != '.' &&
        (!sign || (hex && e == 'e')))
      return n;
  }
}

/* 0: no end in this line. */
static size_t quoted_length(const lf_clex *x) {
  for (size_t n = 1; n < (size_t)(x->end - x->at); n++) {
    char c = at(x, n);
    if (c == '\n')
      return 0;
    if (c == '\\')
      n++;
    else if (c == at(x, 0))
      return n + 1;
  }
  return 0;
}

static size_t hash_length(lf_clex *x) {
  lf_clex word = *x;
  word.at++;
  while (at(&word, 0) == ' ' || at(&word, 0) == '\t')
    word.at++;
  size_t n = name_length(&word);
  return n > 0 ? (size_t)(word.at - x->at) + n : 1;
}

static size_t punctuation(const lf_clex *x, int *kind) {
  static const char pairs[][3] = {
      "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "::"};
  char c = at(x, 0);
  *kind = c;
  if (c == '.' && at(x, 1) == '.' && at(x, 2) == '.') {
    *kind = LF_T_DOTS;
    return 3;
  }
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    if (c == pairs[i][0] && at(x, 1) == pairs[i][1]) {
      *kind = LF_T2(pairs[i][0], pairs[i][1]);
      return 2;
    }
  if (!c || !strchr("()[]{},;:*&=+-/%<>!~^|?.", c))
    *kind = LF_T_BAD;
  return 1;
}

static size_t bad(lf_clex *x, lf_ctoken *t, const char *what) {
  x->bad = what;
  t->kind = LF_T_BAD;
  return 1;
}

/* The length of the token that begins here, not a blank. */
static size_t measure(lf_clex *x, lf_ctoken *t) {
  char c = at(x, 0);
  size_t n;
  if (c == '\n') {
    t->kind = LF_T_LINE;
    return 0;
  }
  if (is_letter(c)) {
    t->kind = LF_T_NAME;
    n = name_length(x);
    return n <= LF_C_NAME ? n : bad(x, t, "name longer than 255 bytes");
  }
  if (is_digit(c) || (c == '.' && is_digit(at(x, 1)))) {
    t->kind = LF_T_NUMBER;
    return number_length(x);
  }
  if (c == '"' || c == '\'') {
    t->kind = c == '"' ? LF_T_STRING : LF_T_CHAR;
    n = quoted_length(x);
    return n > 0 ? n : bad(x, t, "quotation mark without its end");
  }
  if (c == '#' && x->fresh) {
    t->kind = LF_T_HASH;
    return hash_length(x);
  }
  if (c == '/' && at(x, 1) == '*')
    return bad(x, t, "comment without its end");
  n = punctuation(x, &t->kind);
  return t->kind == LF_T_BAD ? bad(x, t, NULL) : n;
}

static lf_ctoken read_token(lf_clex *x) {
  skip_blanks(x);
  lf_ctoken t = {.kind = LF_T_END, .line = x->line, .at = x->at};
  if (x->at < x->end)
    t.len = measure(x, &t);
  if (lf_ctoken_over(&t)) { /* errors are shown where something is */
    t.at = x->behind;
    t.line = x->behind_line;
    return t;
  }
  x->at += t.len;
  x->fresh = false;
  x->behind = x->at;
  x->behind_line = x->line;
  return t;
}

void lf_clex_init(lf_clex *x, const char *text, size_t len, lf_buf *why) {
  *x = (lf_clex){.text = text, .at = text, .end = text + len, .why = why};
  x->line = x->behind_line = 1;
  x->behind = text;
  x->fresh = true;
  x->tok = (lf_ctoken){.kind = LF_T_END, .line = 1, .at = text};
}

void lf_clex_next(lf_clex *x) {
  if (x->err)
    return;
  x->tok = read_token(x);
  if (x->tok.kind != LF_T_BAD)
    return;
  unsigned char c = (unsigned char)*x->tok.at;
  if (x->bad)
    lf_clex_fail(x, &x->tok, "%s", x->bad);
  else if (c == '#')
    lf_clex_fail(x, &x->tok, "'#' in the middle of a line");
  else if (is_control((char)c) || c >= 0x80)
    lf_clex_fail(x, &x->tok, "unexpected byte '\\x%02x'", c);
  else
    lf_clex_fail(x, &x->tok, "unexpected character '%c'", c);
}

lf_ctoken lf_clex_peek(const lf_clex *x) {
  lf_clex ahead = *x;
  return read_token(&ahead);
}

bool lf_clex_take(lf_clex *x, int kind) {
  if (x->tok.kind != kind)
    return false;
  lf_clex_next(x);
  return true;
}

void lf_clex_expected(lf_clex *x, const char *what) {
  lf_clex_fail(x, &x->tok, "%s expected before %s", what,
               lf_clex_quote(&x->tok).text);
}

bool lf_clex_expect(lf_clex *x, int kind) {
  if (lf_clex_take(x, kind))
    return true;
  const char what[] = {'\'', (char)kind, '\'', '\0'};
  lf_clex_expected(x, what);
  return false;
}

void lf_clex_too_deep(lf_clex *x) {
  lf_clex_fail(x, &x->tok, "nested deeper than %d (leave it out)",
               LF_C_NESTING);
}

bool lf_clex_enter(lf_clex *x) {
  if (++x->depth > LF_C_NESTING)
    lf_clex_too_deep(x);
  return x->err == 0;
}

void lf_clex_leave(lf_clex *x) {
  x->depth--;
}
