/* SPDX-License-Identifier: MIT
 *
 * See specifiers.h. Types of one or more words, structures, enumerations. */
#include "runtime/cdecl/specifiers.h"

static const lf_ctype *int_type(void) {
  return lf_ctype_builtin("int", 3);
}

/* --- Structures and enumerations --- */

/* The name behind struct, union or enum, if there is one. */
static lf_ctoken read_tag(lf_creader *r) {
  lf_ctoken none = {0}, tok;
  lf_clex_next(&r->x);
  lf_cread_attributes(r);
  tok = r->x.tok;
  if (lf_cword_free(&tok)) {
    lf_clex_next(&r->x);
    lf_cread_attributes(r);
    return tok;
  }
  if (tok.kind != '{')
    lf_clex_expected(&r->x, "name");
  return none;
}

static const lf_ctype *read_struct(lf_creader *r, lf_cspecs *s) {
  const char *word = lf_ctoken_is(&r->x.tok, "struct") ? "struct" : "union";
  lf_ctoken name = read_tag(r);
  if (r->x.tok.kind == '{')
    lf_cread_over(r, '{', '}');
  s->tagged = true;
  s->anonymous = name.len == 0;
  if (s->anonymous || r->x.err)
    return int_type();
  return lf_cnames_declare_tag(r->names, &r->x, word, &name, NULL);
}

/* The value that an enumerator has by itself. */
static lf_cinteger successor(lf_creader *r, lf_cinteger v) {
  uint64_t last = v.is_unsigned ? UINT64_MAX : INT64_MAX;
  if (v.bits == last)
    lf_clex_fail(&r->x, &r->x.tok,
                 "enumerator of more than 64 bits (give it a value)");
  v.bits++;
  v.is_wide |= v.bits > (v.is_unsigned ? (uint64_t)UINT32_MAX : INT32_MAX) &&
               !lf_cinteger_negative(&v);
  return v;
}

/* Enumerators are int if they can be. */
static lf_cinteger as_enumerator(lf_cinteger v) {
  bool fits = lf_cinteger_negative(&v) ? (int64_t)v.bits >= INT32_MIN
                                       : v.bits <= INT32_MAX;
  return fits ? (lf_cinteger){.bits = v.bits} : v;
}

/* An int, or what is needed for the values. */
static const lf_ctype *enum_type(uint64_t most, int64_t least) {
  const char *name = "int";
  if (least < INT32_MIN || (least < 0 && most > INT32_MAX))
    name = "int64_t";
  else if (most > UINT32_MAX)
    name = most > INT64_MAX ? "uint64_t" : "int64_t";
  else if (most > INT32_MAX)
    name = "uint32_t";
  return lf_ctype_builtin(name, strlen(name));
}

static const lf_ctype *read_enumerators(lf_creader *r) {
  lf_cinteger v = {0};
  uint64_t most = 0;
  int64_t least = 0;
  bool first = true;
  do {
    lf_clex_next(&r->x);
    while (r->x.tok.kind == LF_T_HASH)
      lf_cread_hash(r);
    lf_ctoken name = r->x.tok;
    if (name.kind == '}' && !first)
      break;
    if (!lf_cword_free(&name))
      lf_clex_expected(&r->x, "name");
    lf_clex_next(&r->x);
    lf_cread_attributes(r);
    if (lf_clex_take(&r->x, '='))
      v = as_enumerator(lf_cread_constant(r));
    else if (!first)
      v = successor(r, v);
    if (r->x.err)
      break;
    lf_cnames_constant(r->names, &r->x, &name, v);
    if (lf_cinteger_negative(&v))
      least = (int64_t)v.bits < least ? (int64_t)v.bits : least;
    else
      most = v.bits > most ? v.bits : most;
    first = false;
  } while (r->x.tok.kind == ',');
  while (r->x.tok.kind == LF_T_HASH)
    lf_cread_hash(r);
  lf_clex_expect(&r->x, '}');
  return enum_type(most, least);
}

static const lf_ctype *read_enum(lf_creader *r, lf_cspecs *s) {
  lf_ctoken name = read_tag(r);
  bool body = r->x.tok.kind == '{';
  const lf_ctype *type = body ? read_enumerators(r) : int_type();
  s->tagged = true;
  if (name.len == 0 || r->x.err)
    return type;
  if (!body && lf_cnames_tag(r->names, "enum", &name))
    type = NULL; /* it has one */
  return lf_cnames_declare_tag(r->names, &r->x, "enum", &name, type);
}

/* --- Types --- */

/* A type that nobody knows; 'top': of what is declared by itself. */
static void unknown_type(lf_creader *r, bool top) {
  lf_ctoken tok = r->x.tok, next = lf_clex_peek(&r->x);
  lf_cquote q = lf_clex_quote(&tok);
  const lf_cname *tag = lf_cnames_tag(r->names, NULL, &tok);
  const char *near = tag ? tag->text : lf_cnames_near(r->names, &tok);
  if (lf_cword_cpp(&tok) || next.kind == LF_T2(':', ':'))
    lf_clex_fail(&r->x, &tok, "%s is C++ (only C is read)", q.text);
  else if (near)
    lf_clex_fail(&r->x, &tok, "unknown type name %s (did you mean '%s'?)",
                 q.text, near);
  else if (lf_cread_begins_type(r, &next))
    lf_clex_fail(&r->x, &tok,
                 "unknown name %s before a type (if it is a macro, leave it "
                 "out)",
                 q.text);
  else if (next.kind == '(' && top)
    lf_clex_expected(&r->x, "type of the result");
  else if (next.kind == '*')
    lf_clex_fail(&r->x, &tok,
                 "unknown type name %s (declare it: typedef struct %.*s_s "
                 "%.*s;)",
                 q.text, (int)tok.len, tok.at, (int)tok.len, tok.at);
  else
    lf_clex_fail(&r->x, &tok, "unknown type name %s (declare it by typedef)",
                 q.text);
}

void lf_cread_second_type(lf_creader *r, const lf_cspecs *s,
                          const lf_ctoken *tok) {
  lf_clex_fail(&r->x, tok, "%s does not go with '%s' (leave one of them out)",
               lf_clex_quote(tok).text, s->type->name);
}

static void read_base(lf_creader *r, lf_cspecs *s, unsigned base) {
  unsigned bases = s->bases + base;
  const lf_ctype *type = lf_cword_type(bases);
  const char *was = s->type ? s->type->name : "";
  bool is_double = lf_ctoken_is(&r->x.tok, "double");
  bool is_long = lf_ctoken_is(&r->x.tok, "long");
  if (s->bases == 0 && s->type) {
    lf_cread_second_type(r, s, &r->x.tok);
  } else if (type) {
    s->bases = bases;
    s->type = type;
  } else if ((is_double && strcmp(was, "long") == 0) ||
             (is_long && strcmp(was, "double") == 0)) {
    lf_clex_fail(&r->x, &s->at, "'long double' cannot be passed (use double)");
  } else {
    lf_cread_second_type(r, s, &r->x.tok);
  }
  lf_clex_next(&r->x);
}

/* "double complex", as <complex.h> has it. */
static void refuse_complex(lf_creader *r, const lf_cspecs *s) {
  if (!s->bases || !lf_ctoken_is(&r->x.tok, "complex"))
    return;
  int next = lf_clex_peek(&r->x).kind;
  if (next == LF_T_NAME || next == '*')
    lf_clex_fail(&r->x, &r->x.tok,
                 "'complex' cannot be passed (pass a pointer)");
}

/* A word that stands before the type or is a part of it; false: it is neither.
 */
static bool read_word(lf_creader *r, lf_cspecs *s, const lf_cword *word,
                      bool top) {
  switch (word->kind) {
  case LF_W_BASE:
    read_base(r, s, word->base);
    return true;
  case LF_W_STRUCT:
  case LF_W_ENUM:
    if (s->type)
      lf_cread_second_type(r, s, &r->x.tok);
    else
      s->type = word->kind == LF_W_ENUM ? read_enum(r, s) : read_struct(r, s);
    return true;
  case LF_W_STATIC:
  case LF_W_REFUSED:
    lf_clex_fail(&r->x, &r->x.tok, "'%s' %s", word->text, word->why);
    return false;
  case LF_W_CONST:
  case LF_W_IGNORED:
    s->is_const |= word->kind == LF_W_CONST;
    lf_clex_next(&r->x);
    return true;
  case LF_W_TYPEDEF:
  case LF_W_EXTERN:
    if (top) {
      s->is_typedef |= word->kind == LF_W_TYPEDEF;
      lf_clex_next(&r->x);
    }
    return top;
  default:
    return false;
  }
}

void lf_cread_specs(lf_creader *r, lf_cspecs *s, bool top) {
  *s = (lf_cspecs){.at = r->x.tok};
  for (;;) {
    lf_cread_attributes(r);
    const lf_cword *word = lf_cword_find(&r->x.tok);
    if (!s->type)
      s->at = r->x.tok;
    if (word) {
      if (!read_word(r, s, word, top))
        break;
      continue;
    }
    if (s->type)
      break;
    s->type = lf_cnames_type(r->names, &r->x.tok);
    if (!s->type)
      break;
    lf_clex_next(&r->x);
  }
  refuse_complex(r, s);
  if (s->type)
    return;
  if (lf_cword_free(&r->x.tok))
    unknown_type(r, top);
  else
    lf_clex_expected(&r->x, "type");
  s->type = int_type();
}

const lf_ctype *lf_cread_base(lf_creader *r, lf_cspecs *s,
                              const lf_ctoken *name) {
  if (s->anonymous && !s->is_typedef)
    lf_clex_fail(&r->x, &s->at, "%s without a name (name it)",
                 lf_clex_quote(&s->at).text);
  if (s->anonymous && r->x.err == 0) {
    const char *tag = lf_cread_kept(r, name);
    s->type = lf_cread_made(r, lf_ctype_opaque(r->arena, tag, "struct"));
  }
  s->anonymous = false;
  if (s->is_const)
    s->type = lf_cread_made(r, lf_ctype_const(r->arena, s->type));
  s->is_const = false;
  return s->type;
}
