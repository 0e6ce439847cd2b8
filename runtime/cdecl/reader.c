/* SPDX-License-Identifier: MIT
 *
 * See reader.h. */
#include "runtime/cdecl/reader.h"

const lf_ctype *lf_cread_made(lf_creader *r, const lf_ctype *type) {
  if (type)
    return type;
  lf_clex_no_memory(&r->x);
  return lf_ctype_builtin("int", 3);
}

const char *lf_cread_kept(lf_creader *r, const lf_ctoken *tok) {
  const char *text = lf_carena_copy(r->arena, tok->at, tok->len);
  if (text)
    return text;
  lf_clex_no_memory(&r->x);
  return "";
}

/* --- What is read over --- */

/* Over everything between brackets. */
void lf_cread_over(lf_creader *r, int open, int close) {
  int depth = 0;
  do {
    if (r->x.tok.kind == LF_T_HASH) {
      lf_cread_hash(r);
      continue;
    }
    depth += r->x.tok.kind == open;
    depth -= r->x.tok.kind == close;
    if (lf_ctoken_over(&r->x.tok))
      lf_clex_expect(&r->x, close);
    else if (depth > LF_C_NESTING)
      lf_clex_too_deep(&r->x);
    else
      lf_clex_next(&r->x);
  } while (depth > 0 && r->x.err == 0);
}

void lf_cread_attributes(lf_creader *r) {
  for (;;) {
    if (r->x.tok.kind == '[' && lf_clex_peek(&r->x).kind == '[') {
      lf_cread_over(r, '[', ']');
    } else if (lf_cword_is(&r->x.tok, LF_W_ATTRIBUTE)) {
      lf_clex_next(&r->x);
      if (r->x.tok.kind == '(')
        lf_cread_over(r, '(', ')');
      else
        lf_clex_expected(&r->x, "'('");
    } else {
      return;
    }
  }
}

/* --- Constants --- */

static bool find_constant(void *user, const lf_ctoken *name, lf_cinteger *v) {
  lf_creader *r = user;
  lf_cname *n = lf_cnames_find(r->names, name);
  if (!n || n->meaning != LF_N_CONSTANT)
    return false;
  *v = n->value;
  return true;
}

bool lf_cread_begins_type(void *user, const lf_ctoken *tok) {
  lf_creader *r = user;
  const lf_cword *word = lf_cword_find(tok);
  if (!word)
    return lf_cnames_type(r->names, tok);
  return word->kind <= LF_W_ATTRIBUTE || word->kind == LF_W_STRUCT ||
         word->kind == LF_W_ENUM;
}

lf_cinteger lf_cread_constant(lf_creader *r) {
  const lf_cscope scope = {find_constant, lf_cread_begins_type, r->type};
  return lf_cexpr_read(&r->x, &scope, r);
}

/* #define NAME integer */
static void read_define(lf_creader *r) {
  r->x.lines = true;
  lf_clex_next(&r->x);
  lf_ctoken name = r->x.tok;
  lf_cquote q = lf_clex_quote(&name);
  if (!lf_cword_free(&name))
    lf_clex_expected(&r->x, "name");
  else if (r->x.at < r->x.end && *r->x.at == '(')
    lf_clex_fail(&r->x, &name, "macro %s has parameters (leave it out)",
                 q.text);
  lf_clex_next(&r->x);
  if (lf_ctoken_over(&r->x.tok))
    lf_clex_fail(&r->x, &name, "macro %s has no value (leave it out)", q.text);
  lf_cinteger v = lf_cread_constant(r);
  if (!lf_ctoken_over(&r->x.tok))
    lf_clex_expected(&r->x, "end of line");
  if (r->x.err)
    return;
  lf_cnames_constant(r->names, &r->x, &name, v);
  r->x.lines = false;
  lf_clex_next(&r->x);
}

void lf_cread_hash(lf_creader *r) {
  lf_ctoken hash = r->x.tok, word = hash;
  do {
    word.at++;
    word.len--;
  } while (word.len > 0 && (*word.at == ' ' || *word.at == '\t'));
  word.kind = LF_T_NAME;
  if (lf_ctoken_is(&word, "define"))
    read_define(r);
  else if (lf_ctoken_is(&word, "include"))
    lf_clex_fail(&r->x, &hash, "'#include' is not read (paste the prototypes)");
  else
    lf_clex_fail(&r->x, &hash, "'#%.*s' is not read (leave it out)",
                 (int)(word.len < 40 ? word.len : 40), word.at);
}
