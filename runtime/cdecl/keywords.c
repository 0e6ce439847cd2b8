/* SPDX-License-Identifier: MIT
 *
 * See keywords.h. */
#include "runtime/cdecl/keywords.h"

#include "runtime/base/suggest.h"

/* Base words are added up: each has room for as often as it may come. */
enum {
  VOID = 1 << 0,
  BOOL = 1 << 2,
  CHAR = 1 << 4,
  SHORT = 1 << 6,
  INT = 1 << 8,
  LONG = 1 << 10,
  FLOAT = 1 << 13,
  DOUBLE = 1 << 15,
  SIGNED = 1 << 17,
  UNSIGNED = 1 << 19,
};

static const char no_complex[] = "cannot be passed (pass a pointer)";
static const char no_wide[] = "cannot be passed (leave the function out)";
static const char no_inline[] = "functions are in no library (leave it out)";
static const char no_object[] = "is for variables (leave it out)";
static const char no_typeof[] = "is not read (write the type)";

static const lf_cword words[] = {
    {"void", LF_W_BASE, .base = VOID},
    {"_Bool", LF_W_BASE, .base = BOOL},
    {"char", LF_W_BASE, .base = CHAR},
    {"short", LF_W_BASE, .base = SHORT},
    {"int", LF_W_BASE, .base = INT},
    {"long", LF_W_BASE, .base = LONG},
    {"float", LF_W_BASE, .base = FLOAT},
    {"double", LF_W_BASE, .base = DOUBLE},
    {"signed", LF_W_BASE, .base = SIGNED},
    {"__signed", LF_W_BASE, .base = SIGNED},
    {"__signed__", LF_W_BASE, .base = SIGNED},
    {"unsigned", LF_W_BASE, .base = UNSIGNED},
    {"const", .kind = LF_W_CONST},
    {"__const", .kind = LF_W_CONST},
    {"__const__", .kind = LF_W_CONST},
    {"volatile", .kind = LF_W_IGNORED},
    {"__volatile", .kind = LF_W_IGNORED},
    {"__volatile__", .kind = LF_W_IGNORED},
    {"restrict", .kind = LF_W_IGNORED},
    {"__restrict", .kind = LF_W_IGNORED},
    {"__restrict__", .kind = LF_W_IGNORED},
    {"_Noreturn", .kind = LF_W_IGNORED},
    {"__extension__", .kind = LF_W_IGNORED},
    {"register", .kind = LF_W_IGNORED},
    {"__attribute__", .kind = LF_W_ATTRIBUTE},
    {"__attribute", .kind = LF_W_ATTRIBUTE},
    {"__declspec", .kind = LF_W_ATTRIBUTE},
    {"__asm__", .kind = LF_W_ATTRIBUTE},
    {"__asm", .kind = LF_W_ATTRIBUTE},
    {"asm", .kind = LF_W_ATTRIBUTE},
    {"extern", .kind = LF_W_EXTERN},
    {"typedef", .kind = LF_W_TYPEDEF},
    {"struct", .kind = LF_W_STRUCT},
    {"union", .kind = LF_W_STRUCT},
    {"enum", .kind = LF_W_ENUM},
    {"static", LF_W_STATIC, .why = no_inline},
    {"inline", LF_W_REFUSED, .why = no_inline},
    {"__inline", LF_W_REFUSED, .why = no_inline},
    {"__inline__", LF_W_REFUSED, .why = no_inline},
    {"_Complex", LF_W_REFUSED, .why = no_complex},
    {"__complex__", LF_W_REFUSED, .why = no_complex},
    {"_Imaginary", LF_W_REFUSED, .why = no_complex},
    {"_Atomic", LF_W_REFUSED, .why = no_complex},
    {"__int128", LF_W_REFUSED, .why = no_wide},
    {"_BitInt", LF_W_REFUSED, .why = no_wide},
    {"va_list", LF_W_REFUSED, .why = no_wide},
    {"__builtin_va_list", LF_W_REFUSED, .why = no_wide},
    {"auto", LF_W_REFUSED, .why = no_object},
    {"_Thread_local", LF_W_REFUSED, .why = no_object},
    {"__thread", LF_W_REFUSED, .why = no_object},
    {"_Alignas", LF_W_REFUSED, .why = no_object},
    {"typeof", LF_W_REFUSED, .why = no_typeof},
    {"__typeof__", LF_W_REFUSED, .why = no_typeof},
    {"_Static_assert", LF_W_REFUSED, .why = "is not read (leave it out)"},
    {"break", .kind = LF_W_OTHER},
    {"case", .kind = LF_W_OTHER},
    {"continue", .kind = LF_W_OTHER},
    {"default", .kind = LF_W_OTHER},
    {"do", .kind = LF_W_OTHER},
    {"else", .kind = LF_W_OTHER},
    {"for", .kind = LF_W_OTHER},
    {"goto", .kind = LF_W_OTHER},
    {"if", .kind = LF_W_OTHER},
    {"return", .kind = LF_W_OTHER},
    {"sizeof", .kind = LF_W_OTHER},
    {"switch", .kind = LF_W_OTHER},
    {"while", .kind = LF_W_OTHER},
};

enum { WORDS = sizeof words / sizeof words[0] };

const lf_cword *lf_cword_find(const lf_ctoken *tok) {
  if (tok->kind != LF_T_NAME)
    return NULL;
  for (size_t i = 0; i < WORDS; i++)
    if (lf_ctoken_is(tok, words[i].text))
      return &words[i];
  return NULL;
}

bool lf_cword_is(const lf_ctoken *tok, lf_cwordkind kind) {
  const lf_cword *word = lf_cword_find(tok);
  return word && word->kind == kind;
}

bool lf_cword_free(const lf_ctoken *tok) {
  return tok->kind == LF_T_NAME && !lf_cword_find(tok);
}

bool lf_cword_cpp(const lf_ctoken *tok) {
  static const char *const cpp[] = {
      "class",     "template", "namespace", "using",    "public",
      "private",   "virtual",  "protected", "typename", "operator",
      "constexpr", "friend",   "explicit",  "mutable",  "decltype"};
  for (size_t i = 0; i < sizeof cpp / sizeof cpp[0]; i++)
    if (lf_ctoken_is(tok, cpp[i]))
      return true;
  return false;
}

const lf_ctype *lf_cword_type(unsigned bases) {
  static const struct {
    unsigned bases;
    const char *name;
  } types[] = {
      {VOID, "void"},
      {BOOL, "bool"},
      {CHAR, "char"},
      {SIGNED + CHAR, "signed char"},
      {UNSIGNED + CHAR, "unsigned char"},
      {SHORT, "short"},
      {SHORT + INT, "short"},
      {SIGNED + SHORT, "short"},
      {SIGNED + SHORT + INT, "short"},
      {UNSIGNED + SHORT, "unsigned short"},
      {UNSIGNED + SHORT + INT, "unsigned short"},
      {INT, "int"},
      {SIGNED, "int"},
      {SIGNED + INT, "int"},
      {UNSIGNED, "unsigned int"},
      {UNSIGNED + INT, "unsigned int"},
      {LONG, "long"},
      {LONG + INT, "long"},
      {SIGNED + LONG, "long"},
      {SIGNED + LONG + INT, "long"},
      {UNSIGNED + LONG, "unsigned long"},
      {UNSIGNED + LONG + INT, "unsigned long"},
      {LONG + LONG, "long long"},
      {LONG + LONG + INT, "long long"},
      {SIGNED + LONG + LONG, "long long"},
      {SIGNED + LONG + LONG + INT, "long long"},
      {UNSIGNED + LONG + LONG, "unsigned long long"},
      {UNSIGNED + LONG + LONG + INT, "unsigned long long"},
      {FLOAT, "float"},
      {DOUBLE, "double"},
  };
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (types[i].bases == bases)
      return lf_ctype_builtin(types[i].name, strlen(types[i].name));
  return NULL;
}

/* --- Names that are alike --- */

/* The usual mistake: "uint8" for "uint8_t". */
static bool lacks_t(const lf_ctoken *tok, const char *name) {
  return strlen(name) == tok->len + 2 && strcmp(name + tok->len, "_t") == 0 &&
         memcmp(name, tok->at, tok->len) == 0;
}

void lf_cnear_compare(lf_cnear *best, const char *name) {
  size_t n = best->tok->len, m = strlen(name);
  if (lacks_t(best->tok, name)) {
    best->distance = 1;
    best->name = name;
  }
  if (n > LF_SIMILAR_MOST || m > LF_SIMILAR_MOST || n + best->distance <= m ||
      m + best->distance <= n)
    return;
  size_t d = lf_suggest_distance(best->tok->at, n, name, m);
  if (d < best->distance) {
    best->distance = d;
    best->name = name;
  }
}

lf_cnear lf_cnear_word(const lf_ctoken *tok) {
  static const char *const others[][2] = {{"uint", "unsigned int"},
                                          {"ulong", "unsigned long"},
                                          {"ushort", "unsigned short"},
                                          {"uchar", "unsigned char"}};
  lf_cnear best = {tok, NULL, tok->len < 3 ? 0 : tok->len < 6 ? 2 : 3};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (lf_ctoken_is(tok, others[i][0]))
      return (lf_cnear){tok, others[i][1], 0};
  for (size_t i = 0; i < WORDS; i++)
    if (words[i].kind < LF_W_STATIC && words[i].text[0] != '_')
      lf_cnear_compare(&best, words[i].text);
  for (size_t i = 0; lf_ctype_builtin_name(i); i++)
    lf_cnear_compare(&best, lf_ctype_builtin_name(i));
  return best;
}
