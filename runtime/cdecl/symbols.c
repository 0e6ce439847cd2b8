/* SPDX-License-Identifier: MIT
 *
 * See symbols.h. */
#include "runtime/cdecl/symbols.h"

#include <stdio.h>

enum { TAG = LF_C_NAME + 10 }; /* room for "struct " and a name */

static uint64_t key_of(const char *text, size_t len) {
  uint64_t key = lf_hash(text, len);
  return key ? key : 1;
}

static lf_cname *find(const lf_cnames *names, const char *text, size_t len) {
  lf_entry *e = lf_table_find(&names->table, key_of(text, len));
  lf_cname *n = e ? e->value : NULL;
  while (n && (strlen(n->text) != len || memcmp(n->text, text, len) != 0))
    n = n->same;
  return n;
}

/* Adds one that is not there. NULL when there is no memory. */
static lf_cname *add(lf_cnames *names, const lf_cname *more) {
  uint64_t key = key_of(more->text, strlen(more->text));
  lf_cname *n = lf_carena_take(&names->arena, sizeof *n);
  if (!n)
    return NULL;
  *n = *more;
  lf_entry *e = lf_table_find(&names->table, key);
  if (e) {
    n->same = e->value;
    e->value = n;
  } else if (lf_table_add(&names->table, key, n) != 0) {
    return NULL;
  }
  if (names->last)
    names->last->next = n;
  else
    names->first = n;
  names->last = n;
  names->n += n->meaning != LF_N_TAG;
  return n;
}

void lf_cnames_fini(lf_cnames *names) {
  lf_table_fini(&names->table);
  lf_buf_fini(&names->functions);
  lf_buf_fini(&names->constants);
  lf_carena_free(&names->arena);
}

/* --- Finding --- */

lf_cname *lf_cnames_find(const lf_cnames *names, const lf_ctoken *tok) {
  return find(names, tok->at, tok->len);
}

const lf_ctype *lf_cnames_type(const lf_cnames *names, const lf_ctoken *tok) {
  if (!lf_cword_free(tok))
    return NULL;
  lf_cname *n = lf_cnames_find(names, tok);
  if (n)
    return n->meaning == LF_N_TYPE ? n->type : NULL;
  return lf_ctype_builtin(tok->at, tok->len);
}

static size_t put_tag(char text[TAG], const char *word, const lf_ctoken *tok) {
  return (size_t)snprintf(text, TAG, "%s %.*s", word, (int)tok->len, tok->at);
}

lf_cname *lf_cnames_tag(const lf_cnames *names, const char *word,
                        const lf_ctoken *tok) {
  static const char *const words[] = {"struct", "union", "enum"};
  char text[TAG];
  lf_cname *n = NULL;
  for (size_t i = 0; i < 3 && !n; i++)
    if (!word || strcmp(word, words[i]) == 0)
      n = find(names, text, put_tag(text, words[i], tok));
  return n;
}

const char *lf_cnames_near(const lf_cnames *names, const lf_ctoken *tok) {
  lf_cnear best = lf_cnear_word(tok);
  for (const lf_cname *n = names->first; n; n = n->next)
    if (n->meaning == LF_N_TYPE)
      lf_cnear_compare(&best, n->text);
  return best.name;
}

/* --- Declaring --- */

static const lf_cfunc *function_of(const lf_cnames *names, const lf_cname *n) {
  return &((const lf_cfunc *)(const void *)names->functions.data)[n->index];
}

static void clash(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                  const lf_cname *first) {
  lf_cquote q = lf_clex_quote(tok);
  if (first->meaning == LF_N_CONSTANT) {
    lf_clex_fail(x, tok,
                 "%s declared again with another value (first: line %d: %lld)",
                 q.text, first->line, (long long)first->value.bits);
    return;
  }
  bool is_type = first->meaning == LF_N_TYPE;
  const char *text = is_type
                         ? lf_ctype_spell(&names->arena, first->of, first->text)
                         : function_of(names, first)->text;
  if (!text)
    lf_clex_no_memory(x);
  else
    lf_clex_fail(x, tok,
                 "%s declared again with another type (first: line %d: %s%s)",
                 q.text, first->line, is_type ? "typedef " : "", text);
}

/* The same as the name stands for already? */
static bool is_same(const lf_cname *n, const lf_cname *more) {
  if (n->meaning != more->meaning)
    return false;
  return n->meaning == LF_N_CONSTANT ? n->value.bits == more->value.bits
                                     : lf_ctype_equal(n->type, more->type);
}

/* Gives the name this meaning; NULL when it had it already, or when it cannot
 * have it. */
static lf_cname *declare(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                         lf_cname more) {
  lf_cname *n = lf_cnames_find(names, tok);
  const lf_ctype *builtin = lf_ctype_builtin(tok->at, tok->len);
  if (names->closed)
    lf_clex_fail(x, tok, "nothing can be declared here, such as %s",
                 lf_clex_quote(tok).text);
  else if (n && !is_same(n, &more))
    clash(names, x, tok, n);
  else if (!n && builtin &&
           (more.meaning != LF_N_TYPE || !lf_ctype_equal(builtin, more.type)))
    lf_clex_fail(x, tok, "%s is built in with another meaning (leave it out)",
                 lf_clex_quote(tok).text);
  else if (!n && names->n >= LF_C_NAMES)
    lf_clex_fail(x, tok,
                 "more than %d declarations (leave out what is not used)",
                 LF_C_NAMES);
  if (n || x->err)
    return NULL;
  more.text = lf_carena_copy(&names->arena, tok->at, tok->len);
  more.line = tok->line;
  n = more.text ? add(names, &more) : NULL;
  if (!n)
    lf_clex_no_memory(x);
  return n;
}

void lf_cnames_constant(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                        lf_cinteger v) {
  lf_cname *n =
      declare(names, x, tok, (lf_cname){.meaning = LF_N_CONSTANT, .value = v});
  if (!n)
    return;
  lf_cconst c = {n->text, (int64_t)v.bits};
  if (lf_buf_put(&names->constants, &c, sizeof c) != 0)
    lf_clex_no_memory(x);
}

void lf_cnames_typedef(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                       const lf_ctype *type) {
  lf_cname *n =
      declare(names, x, tok,
              (lf_cname){.meaning = LF_N_TYPE, .type = type, .of = type});
  const lf_ctype *alias =
      n ? lf_ctype_alias(&names->arena, type, n->text) : NULL;
  if (alias)
    n->type = alias;
  else if (n)
    lf_clex_no_memory(x);
}

void lf_cnames_function(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                        const lf_ctype *type) {
  lf_buf *functions = &names->functions;
  lf_cname *n = declare(names, x, tok,
                        (lf_cname){.meaning = LF_N_FUNCTION, .type = type});
  if (!n)
    return;
  lf_cfunc f = *type->function;
  f.line = tok->line;
  n->index = functions->len / sizeof f;
  if (lf_cfunc_name(&names->arena, &f, n->text) != 0 ||
      lf_buf_put(functions, &f, sizeof f) != 0)
    lf_clex_no_memory(x);
}

const lf_ctype *lf_cnames_declare_tag(lf_cnames *names, lf_clex *x,
                                      const char *word, const lf_ctoken *tok,
                                      const lf_ctype *type) {
  char text[TAG];
  size_t len = put_tag(text, word, tok);
  lf_cname *n = find(names, text, len);
  lf_cname more = {.meaning = LF_N_TAG};
  if (n && !type)
    return n->type;
  more.text = n ? n->text : lf_carena_copy(&names->arena, text, len);
  if (more.text)
    more.type = type ? lf_ctype_alias(&names->arena, type, more.text)
                     : lf_ctype_opaque(&names->arena, more.text, more.text);
  if (n && more.type)
    n->type = more.type;
  if (more.type && (n || add(names, &more)))
    return more.type;
  lf_clex_no_memory(x);
  return lf_ctype_builtin("int", 3);
}
