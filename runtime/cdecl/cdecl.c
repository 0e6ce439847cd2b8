/* SPDX-License-Identifier: MIT
 *
 * See cdecl.h. */
#include "runtime/cdecl/cdecl.h"

#include "runtime/base/mem.h"
#include "runtime/cdecl/declarator.h"

enum { TEXT = 1 << 20 }; /* bytes, at most */

typedef struct {
  lf_cdecl decl;
  lf_cnames names;
} unit;

/* --- Declarations --- */

/* What may not come behind something declared, if it is there. */
static void check_behind(lf_creader *r, const lf_cspecs *s,
                         const lf_cform *form) {
  const lf_ctoken *tok = &r->x.tok;
  if (r->x.err)
    return;
  lf_cquote name = lf_clex_quote(&form->name);
  if (tok->kind == '{')
    lf_clex_fail(&r->x, tok, "the body '{' of %s is not read (write ';')",
                 name.text);
  else if (tok->kind == LF_T_NAME && lf_cnames_type(r->names, &form->name))
    lf_cread_second_type(r, s, &form->name);
  else if (tok->kind == LF_T_NAME && lf_cread_begins_type(r, tok))
    lf_clex_expected(&r->x, "';'");
  else if (tok->kind == LF_T_NAME)
    lf_clex_fail(&r->x, tok, "unexpected %s after %s (leave out macros)",
                 lf_clex_quote(tok).text, name.text);
}

static void read_declared(lf_creader *r, lf_cspecs *s) {
  lf_cform form = {0};
  lf_cread_form(r, &form);
  check_behind(r, s, &form);
  const lf_ctype *type = lf_cread_apply(r, s, &form);
  if (r->x.err)
    return;
  if (s->is_typedef)
    lf_cnames_typedef(r->names, &r->x, &form.name, type);
  else if (type->kind == LF_C_FUNCTION)
    lf_cnames_function(r->names, &r->x, &form.name, type);
  else
    lf_clex_fail(&r->x, &form.name,
                 "%s is a variable (leave it out: only functions are called)",
                 lf_clex_quote(&form.name).text);
}

static void read_declaration(lf_creader *r) {
  lf_cspecs s;
  lf_cread_specs(r, &s, true);
  if (s.tagged && lf_clex_take(&r->x, ';'))
    return;
  do
    read_declared(r, &s);
  while (lf_clex_take(&r->x, ','));
  lf_clex_expect(&r->x, ';');
}

/* extern "C", with or without a brace: true if it was that. */
static bool read_linkage(lf_creader *r, int *braces) {
  if (!lf_cword_is(&r->x.tok, LF_W_EXTERN) ||
      lf_clex_peek(&r->x).kind != LF_T_STRING)
    return false;
  lf_clex_next(&r->x);
  if (r->x.tok.len != 3 || r->x.tok.at[1] != 'C')
    lf_clex_fail(&r->x, &r->x.tok, "extern %s is not C (leave it out)",
                 lf_clex_quote(&r->x.tok).text);
  lf_clex_next(&r->x);
  if (r->x.tok.kind == '{' && ++*braces > LF_C_NESTING)
    lf_clex_too_deep(&r->x);
  lf_clex_take(&r->x, '{');
  return true;
}

static void read_all(lf_creader *r) {
  int braces = 0; /* of extern "C" that are open */
  while (r->x.tok.kind != LF_T_END) {
    if (r->x.tok.kind == LF_T_HASH)
      lf_cread_hash(r);
    else if (r->x.tok.kind == '}' && braces > 0 && lf_clex_take(&r->x, '}'))
      braces--;
    else if (!lf_clex_take(&r->x, ';') && !read_linkage(r, &braces))
      read_declaration(r);
  }
  if (braces > 0)
    lf_clex_expect(&r->x, '}');
}

/* --- From outside --- */

static void begin(lf_creader *r, unit *u, const char *text, size_t len,
                  lf_buf *why) {
  r->names = &u->names;
  r->arena = &u->names.arena;
  r->type = lf_cread_type;
  lf_clex_init(&r->x, text, len, why);
  if (len > TEXT)
    lf_clex_fail(&r->x, &r->x.tok,
                 "text of more than 1 MiB (leave out what is not used)");
  lf_clex_next(&r->x);
}

int lf_cdecl_read(const char *text, size_t len, lf_cdecl **out, lf_buf *why) {
  lf_creader r;
  unit *u = lf_zalloc(sizeof *u);
  if (!u)
    return LF_ENOMEM;
  begin(&r, u, text, len, why);
  read_all(&r);
  if (r.x.err) {
    lf_cdecl_free(&u->decl);
    return r.x.err;
  }
  u->decl.functions = (const void *)u->names.functions.data;
  u->decl.nfunctions = u->names.functions.len / sizeof(lf_cfunc);
  u->decl.constants = (const void *)u->names.constants.data;
  u->decl.nconstants = u->names.constants.len / sizeof(lf_cconst);
  u->names.closed = true;
  *out = &u->decl;
  return 0;
}

/* As it is passed where a prototype has dots. */
static const lf_ctype *promoted(const lf_ctype *type) {
  if (type->kind == LF_C_FLOAT)
    return lf_ctype_builtin("double", 6);
  bool small = type->kind >= LF_C_BOOL && type->kind <= LF_C_UINT16;
  return small ? lf_ctype_builtin("int", 3) : type;
}

static void read_further(lf_creader *r, lf_buf *list) {
  do {
    size_t at = list->len;
    if (!lf_cread_param(r, list) || r->x.err)
      return;
    lf_cparam *p = (void *)(list->data + at);
    p->type = promoted(p->type);
  } while (lf_clex_take(&r->x, ','));
  if (r->x.tok.kind != LF_T_END)
    lf_clex_expected(&r->x, "','");
}

int lf_cdecl_extend(lf_cdecl *decl, const lf_cfunc *func, const char *types,
                    size_t len, const lf_cfunc **out, lf_buf *why) {
  lf_creader r;
  lf_buf list;
  lf_buf_init(&list, NULL, 0);
  begin(&r, lf_container_of(decl, unit, decl), types, len, why);
  if (!func->variadic)
    lf_clex_fail(&r.x, &r.x.tok,
                 "'%s' takes no further arguments (it has no '...')",
                 func->name);
  if (lf_buf_put(&list, func->params,
                 (size_t)func->nparams * sizeof *func->params) != 0)
    lf_clex_no_memory(&r.x);
  if (r.x.tok.kind != LF_T_END)
    read_further(&r, &list);
  lf_cfunc *f = lf_carena_take(r.arena, sizeof *f);
  if (!f) {
    lf_clex_no_memory(&r.x);
    lf_buf_fini(&list);
    return r.x.err;
  }
  *f = *func;
  f->variadic = false;
  lf_cread_params(&r, f, &list);
  if (r.x.err == 0 && lf_cfunc_name(r.arena, f, func->name) != 0)
    lf_clex_no_memory(&r.x);
  if (r.x.err == 0)
    *out = f;
  return r.x.err;
}

void lf_cdecl_free(lf_cdecl *decl) {
  if (!decl)
    return;
  unit *u = lf_container_of(decl, unit, decl);
  lf_cnames_fini(&u->names);
  lf_free(u);
}
