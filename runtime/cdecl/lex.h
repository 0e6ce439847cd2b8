/* SPDX-License-Identifier: MIT
 *
 * The words of C declarations, one by one, and complaints about them. The first
 * complaint is kept and ends the text: from then on every token is LF_T_END, so
 * that a reader needs no way out of its own. Any thread, one at a time. */
#ifndef LF_CDECL_LEX_H
#define LF_CDECL_LEX_H

#include "runtime/base/buf.h"

/* What a token is: one of these, or the punctuation itself. */
enum {
  LF_T_END = -1,  /* of the text */
  LF_T_LINE = -2, /* its end, where lines count */
  LF_T_NAME = -3,
  LF_T_NUMBER = -4,
  LF_T_CHAR = -5,
  LF_T_STRING = -6,
  LF_T_HASH = -7, /* # at the start of a line, with the word behind */
  LF_T_BAD = -8,
};

/* Punctuation of more than one character. */
#define LF_T2(a, b) ((a) << 8 | (b))
#define LF_T_DOTS ('.' << 16 | '.' << 8 | '.')

typedef struct {
  int kind;
  int line;
  const char *at;
  size_t len;
} lf_ctoken;

typedef struct {
  lf_ctoken tok;         /* the current one */
  int err;               /* 0, LF_EBROKEN, LF_ENOMEM */
  int depth;             /* of what is being read */
  bool lines;            /* the end of a line is a token */
  const char *text, *at; /* all, and what comes behind 'tok' */
  const char *end;
  const char *behind; /* the end of the last token, and its line */
  int behind_line;
  int line;
  bool fresh;      /* nothing has come in this line */
  const char *bad; /* what is wrong with a LF_T_BAD */
  lf_buf *why;
} lf_clex;

enum { LF_C_NESTING = 64, LF_C_NAME = 255 /* bytes */ };

/* Messages are put at the end of 'why'. No token is read. */
void lf_clex_init(lf_clex *x, const char *text, size_t len, lf_buf *why);

/* On to the next token; the one behind it. */
void lf_clex_next(lf_clex *x);
lf_ctoken lf_clex_peek(const lf_clex *x);

/* Goes on if the current token is of this kind, and says whether it was. */
bool lf_clex_take(lf_clex *x, int kind);

/* The same, and a complaint if not: "';' expected before ...". */
bool lf_clex_expect(lf_clex *x, int kind);

/* "WHAT expected before 'token'" */
void lf_clex_expected(lf_clex *x, const char *what);

/* Around everything that may contain its like. False: too deep. */
bool lf_clex_enter(lf_clex *x);
void lf_clex_leave(lf_clex *x);
void lf_clex_too_deep(lf_clex *x);

/* "cdef:LINE:COL: ", the text, the source line, a caret below 'where'. */
__attribute__((format(printf, 3, 4))) void
lf_clex_fail(lf_clex *x, const lf_ctoken *where, const char *format, ...);

/* The end without a message: LF_ENOMEM. */
void lf_clex_no_memory(lf_clex *x);

/* A token in words: "'int'", "end of text". */
typedef struct {
  char text[80];
} lf_cquote;

lf_cquote lf_clex_quote(const lf_ctoken *tok);

/* Is it this name? */
bool lf_ctoken_is(const lf_ctoken *tok, const char *name);

static inline bool lf_ctoken_over(const lf_ctoken *tok) {
  return tok->kind == LF_T_END || tok->kind == LF_T_LINE;
}

#endif
