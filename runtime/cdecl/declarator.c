/* SPDX-License-Identifier: MIT
 *
 * See declarator.h. A declarator is read from the name outwards; the type of
 * the name is made in the other direction. */
#include "runtime/cdecl/declarator.h"

#include <stdio.h>

/* What is around the name. */
typedef struct lf_cmodifier {
  struct lf_cmodifier *inner; /* towards the name */
  int kind;                   /* '*', '[', '(' */
  bool is_const;              /* the pointer */
  const char *size;           /* of the array, in words */
  lf_cfunc *function;
  lf_ctoken at;
} lf_cmodifier;

/* --- Types --- */

static const lf_ctype *array_of(lf_creader *r, const lf_cmodifier *m,
                                const lf_ctype *type) {
  if (type->kind == LF_C_VOID || type->kind == LF_C_FUNCTION)
    lf_clex_fail(&r->x, &m->at, "array of type '%s' (use pointers)",
                 type->name);
  return lf_ctype_array(r->arena, type, m->size);
}

static const lf_ctype *function_with(lf_creader *r, const lf_cspecs *s,
                                     const lf_cmodifier *m,
                                     const lf_ctype *result) {
  if (result->kind == LF_C_FUNCTION || result->kind == LF_C_ARRAY)
    lf_clex_fail(&r->x, &m->at, "function that returns %s (return a pointer)",
                 result->kind == LF_C_ARRAY ? "an array" : "a function");
  if (result->kind == LF_C_OPAQUE)
    lf_clex_fail(&r->x, &s->at,
                 "'%s' cannot be returned by value (return a pointer)",
                 result->name);
  m->function->result = lf_ctype_plain(result);
  return lf_ctype_function(r->arena, m->function);
}

const lf_ctype *lf_cread_apply(lf_creader *r, lf_cspecs *s,
                               const lf_cform *form) {
  const lf_ctype *type = lf_cread_base(r, s, &form->name);
  for (const lf_cmodifier *m = form->outermost; m && r->x.err == 0;
       m = m->inner) {
    type = lf_cread_made(r, m->kind == '*'   ? lf_ctype_pointer(r->arena, type)
                            : m->kind == '[' ? array_of(r, m, type)
                                             : function_with(r, s, m, type));
    if (m->is_const)
      type = lf_cread_made(r, lf_ctype_const(r->arena, type));
    if (type->weight > LF_C_WEIGHT)
      lf_clex_fail(&r->x, &m->at,
                   "type made of more than %d types (use void *)", LF_C_WEIGHT);
  }
  return type;
}

/* --- Declarators --- */

static lf_cmodifier *add_modifier(lf_creader *r, lf_cform *form, int kind,
                                  const lf_ctoken *at) {
  lf_cmodifier *m = lf_carena_take(r->arena, sizeof *m);
  if (!m) {
    lf_clex_no_memory(&r->x);
    return NULL;
  }
  *m = (lf_cmodifier){
      .inner = form->outermost, .kind = kind, .size = "", .at = *at};
  form->outermost = m;
  return m;
}

/* Of a pointer; is it const? */
static bool read_qualifiers(lf_creader *r) {
  bool is_const = false;
  for (;;) {
    lf_cread_attributes(r);
    if (lf_cword_is(&r->x.tok, LF_W_CONST))
      is_const = true;
    else if (!lf_cword_is(&r->x.tok, LF_W_IGNORED))
      return is_const;
    lf_clex_next(&r->x);
  }
}

static const char *read_size(lf_creader *r) {
  lf_ctoken tok = r->x.tok, next = lf_clex_peek(&r->x);
  if (tok.kind == ']')
    return "";
  if (next.kind == ']' && (tok.kind == '*' || lf_cword_free(&tok))) {
    lf_clex_next(&r->x); /* a parameter, perhaps */
    return lf_cread_kept(r, &tok);
  }
  lf_cinteger v = lf_cread_constant(r);
  if (lf_cinteger_negative(&v))
    lf_clex_fail(&r->x, &tok, "array of negative size (leave the size out)");
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)v.bits);
  tok = (lf_ctoken){.at = text, .len = strlen(text)};
  return lf_cread_kept(r, &tok);
}

static void read_array(lf_creader *r, lf_cform *form) {
  lf_cmodifier *m = add_modifier(r, form, '[', &r->x.tok);
  lf_clex_next(&r->x);
  while (lf_cword_is(&r->x.tok, LF_W_STATIC) ||
         lf_cword_is(&r->x.tok, LF_W_CONST) ||
         lf_cword_is(&r->x.tok, LF_W_IGNORED))
    lf_clex_next(&r->x);
  const char *size = read_size(r);
  if (m)
    m->size = size;
  lf_clex_expect(&r->x, ']');
}

/* False: it is the void that says that there are no parameters. */
static bool check_void(lf_creader *r, const lf_cspecs *s, const lf_cform *form,
                       const lf_ctype *type, bool first) {
  if (first && form->name.len == 0 && !type->is_const && r->x.tok.kind == ')')
    return false;
  lf_clex_fail(&r->x, &s->at, "parameter%s%s of type void (leave it out)",
               form->name.len ? " " : "",
               form->name.len ? lf_clex_quote(&form->name).text : "");
  return true;
}

bool lf_cread_param(lf_creader *r, lf_buf *list) {
  size_t n = list->len / sizeof(lf_cparam);
  lf_cspecs s;
  lf_cform form = {.optional = true};
  lf_cread_specs(r, &s, false);
  lf_cread_form(r, &form);
  const lf_ctype *type = lf_cread_apply(r, &s, &form);
  if (type->kind == LF_C_VOID && !check_void(r, &s, &form, type, n == 0))
    return false;
  if (type->kind == LF_C_OPAQUE)
    lf_clex_fail(&r->x, &s.at,
                 "'%s' cannot be passed by value (pass a pointer)", type->name);
  if (r->x.tok.kind == '=')
    lf_clex_fail(&r->x, &r->x.tok,
                 "default argument '=' is C++ (leave it out)");
  if (n == LF_C_PARAMS)
    lf_clex_fail(&r->x, &s.at, "more than %d parameters (pass a structure)",
                 LF_C_PARAMS);
  if (type->kind == LF_C_FUNCTION)
    type = lf_cread_made(r, lf_ctype_pointer(r->arena, type));
  else if (type->kind == LF_C_ARRAY)
    type = lf_cread_made(r, lf_ctype_pointer(r->arena, type->to));
  lf_cparam p = {form.name.len ? lf_cread_kept(r, &form.name) : "",
                 lf_ctype_plain(type)};
  if (r->x.err == 0 && lf_buf_put(list, &p, sizeof p) != 0)
    lf_clex_no_memory(&r->x);
  return true;
}

void lf_cread_params(lf_creader *r, lf_cfunc *f, lf_buf *list) {
  lf_cparam *params = lf_carena_take(r->arena, list->len);
  if (!params)
    lf_clex_no_memory(&r->x);
  else if (list->len > 0)
    memcpy(params, list->data, list->len);
  f->params = params;
  f->nparams = params ? (int)(list->len / sizeof *params) : 0;
  lf_buf_fini(list);
}

static void read_params(lf_creader *r, lf_cfunc *f, const lf_ctoken *name) {
  lf_buf list;
  lf_buf_init(&list, NULL, 0);
  lf_clex_next(&r->x);
  if (r->x.tok.kind == ')')
    lf_clex_fail(&r->x, &r->x.tok,
                 "parameters expected before ')' (write %.*s(void))",
                 (int)name->len, name->len ? name->at : "");
  if (r->x.tok.kind == LF_T_DOTS)
    lf_clex_fail(&r->x, &r->x.tok,
                 "parameter expected before '...' (C needs one)");
  do {
    f->variadic = lf_clex_take(&r->x, LF_T_DOTS);
    if (f->variadic || !lf_cread_param(r, &list))
      break;
  } while (lf_clex_take(&r->x, ','));
  lf_clex_expect(&r->x, ')');
  lf_cread_params(r, f, &list);
}

static void read_function(lf_creader *r, lf_cform *form) {
  lf_ctoken at = r->x.tok;
  lf_cfunc *f = lf_carena_take(r->arena, sizeof *f);
  lf_cmodifier *m = f ? add_modifier(r, form, '(', &at) : NULL;
  if (!m) {
    lf_clex_no_memory(&r->x);
    return;
  }
  m->function = f;
  read_params(r, f, &form->name);
}

/* At a '(': is it around another declarator, and not around parameters? */
static bool is_nested(lf_creader *r) {
  lf_ctoken next = lf_clex_peek(&r->x);
  return next.kind == '*' || next.kind == '(' || next.kind == '&' ||
         lf_cword_is(&next, LF_W_ATTRIBUTE) ||
         (lf_cword_free(&next) && !lf_cnames_type(r->names, &next));
}

static void read_direct(lf_creader *r, lf_cform *form) {
  if (lf_cword_free(&r->x.tok)) {
    form->name = r->x.tok;
    lf_clex_next(&r->x);
  } else if (r->x.tok.kind == '(' && is_nested(r)) {
    lf_clex_next(&r->x);
    lf_cread_form(r, form);
    lf_clex_expect(&r->x, ')');
  } else if (!form->optional) {
    lf_clex_expected(&r->x, "name");
  }
}

static void read_suffixes(lf_creader *r, lf_cform *form) {
  for (;;) {
    lf_cread_attributes(r);
    if (r->x.tok.kind == '(')
      read_function(r, form);
    else if (r->x.tok.kind == '[')
      read_array(r, form);
    else
      return;
  }
}

void lf_cread_form(lf_creader *r, lf_cform *form) {
  uint64_t consts = 0;
  int stars = 0;
  lf_ctoken at;
  if (!lf_clex_enter(&r->x))
    return;
  for (at = r->x.tok; lf_clex_take(&r->x, '*'); stars++) {
    if (stars == LF_C_NESTING)
      lf_clex_too_deep(&r->x);
    else
      consts |= (uint64_t)read_qualifiers(r) << stars;
  }
  if (r->x.tok.kind == '&' || r->x.tok.kind == LF_T2('&', '&'))
    lf_clex_fail(&r->x, &r->x.tok, "reference %s is C++ (use a pointer)",
                 lf_clex_quote(&r->x.tok).text);
  lf_cread_attributes(r);
  read_direct(r, form);
  read_suffixes(r, form);
  while (stars-- > 0 && r->x.err == 0) {
    lf_cmodifier *m = add_modifier(r, form, '*', &at);
    if (m)
      m->is_const = consts >> stars & 1;
  }
  lf_clex_leave(&r->x);
}

const lf_ctype *lf_cread_type(void *reader) {
  lf_creader *r = reader;
  lf_cspecs s;
  lf_cform form = {.optional = true};
  lf_cread_specs(r, &s, false);
  lf_cread_form(r, &form);
  if (form.name.len > 0)
    lf_clex_fail(&r->x, &form.name, "unexpected %s in a type",
                 lf_clex_quote(&form.name).text);
  return lf_cread_apply(r, &s, &form);
}
