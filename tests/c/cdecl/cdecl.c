/* SPDX-License-Identifier: MIT
 *
 * C declarations: what is understood, what is refused and in which words, and
 * that nothing else can happen. Linked with memory.c and with the target of the
 * fuzzer. */
#include "tests/c/memory.h"
#include "tests/c/why.h"

#include "runtime/cdecl/cdecl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static lf_cdecl *read_bytes(const char *text, size_t len) {
  lf_cdecl *decl = NULL;
  if (lf_cdecl_read(text, len, &decl, &why) != 0)
    fail_msg("%s", why_text());
  assert_int_equal(why.len, 0);
  return decl;
}

static lf_cdecl *read_text(const char *text) {
  return read_bytes(text, strlen(text));
}

static void assert_refused(const char *text, size_t len, const char *answer) {
  lf_cdecl *decl;
  lf_buf_reset(&why);
  if (lf_cdecl_read(text, len, &decl, &why) == 0)
    fail_msg("not refused: %s", text);
  /* The whole message, or its first line. */
  const char *whole = why_text(), *newline = strchr(whole, '\n');
  if (!strchr(answer, '\n') && newline)
    why.data[newline - whole] = '\0';
  assert_string_equal((char *)why.data, answer);
  lf_buf_reset(&why);
}

/* --- Good input --- */

static void assert_spelled(const char *text, const char *prototypes) {
  lf_cdecl *decl = read_text(text);
  char all[1000] = "";
  for (size_t i = 0; i < decl->nfunctions; i++) {
    strcat(all, i > 0 ? "; " : "");
    strcat(all, decl->functions[i].text);
  }
  assert_string_equal(all, prototypes);
  lf_cdecl_free(decl);
}

static const char *const good[][2] = {
    {"", ""},
    {" ;; \n\t;", ""},
    {"int f(void);", "int f(void)"},
    {"int f(int a,long b);", "int f(int a, long b)"},
    {"int f(int), g(void), *h(char);", "int f(int); int g(void); "
                                       "int *h(char)"},
    {"extern\nvoid*f(const  void*);", "void *f(const void *)"},
    {"unsigned long int long f(long unsigned);",
     "unsigned long long f(unsigned long)"},
    {"int long unsigned f(char signed, short signed int, signed, unsigned);",
     "unsigned long f(signed char, short, int, unsigned int)"},
    {"_Bool f(bool, long long, long signed long int);",
     "bool f(bool, long long, long long)"},
    {"char const *f(char const *const *, char *const *, char **const);",
     "const char *f(const char *const *, char *const *, char **)"},
    {"const int f(const int, volatile int *, int *restrict, "
     "int *__restrict__, register int);",
     "int f(int, int *, int *, int *, int)"},
    {"int f(int a[], int b[static 4], int c[const 3], int d[2][3], int n, "
     "int v[n], int w[*], char *argv[]);",
     "int f(int *a, int *b, int *c, int (*d)[3], int n, int *v, int *w, "
     "char **argv)"},
    {"void qsort(void *base, size_t n, size_t size, int (*cmp)(const void *, "
     "const void *));",
     "void qsort(void *base, size_t n, size_t size, "
     "int (*cmp)(const void *, const void *))"},
    {"void (*signal(int, void (*)(int)))(int);",
     "void (*signal(int, void (*)(int)))(int)"},
    {"int f(int g(int), int (int), int (*const h)(void), int (x), "
     "int (*(*y)(void))[3]);",
     "int f(int (*g)(int), int (*)(int), int (*h)(void), int x, "
     "int (*(*y)(void))[3])"},
    {"int (f)(int), (*g(void))(int), (*(h)(void));",
     "int f(int); int (*g(void))(int); int *h(void)"},
    {"int ****f(int ****, int (**)(int));",
     "int ****f(int ****, int (**)(int))"},
    {"int printf(const char *, ...);", "int printf(const char *, ...)"},
    {"typedef int fn(long), *ip; fn f, *g(ip); ip h(fn, fn *, const ip);",
     "int f(long); fn *g(ip); ip h(fn *, fn *, ip)"},
    {"typedef unsigned char md5[16]; void f(md5 a, const md5 b, md5 *c);",
     "void f(unsigned char *a, const unsigned char *b, md5 *c)"},
    {"typedef struct x x; x *f(struct x *, const x *, union y **);",
     "x *f(struct x *, const x *, union y **)"},
    {"struct x { int a; struct { char b[3]; } c; } *f(struct x *);",
     "struct x *f(struct x *)"},
    {"typedef struct { int a; } x, *y; y f(x *); typedef struct { int a; } "
     "x, *y; y f(x *);",
     "y f(x *)"},
    {"enum e; enum e f(enum e); typedef enum { A, B, } t; t g(t *);",
     "enum e f(enum e); t g(t *)"},
    {"FILE *fopen(const char *, const char *);",
     "FILE *fopen(const char *, const char *)"},
    {"int f(size_t size_t, int int8_t, long FILE);",
     "int f(size_t size_t, int int8_t, long FILE)"},
    {"extern \"C\" { int f(void); extern \"C\" int g(void); } int h(void);",
     "int f(void); int g(void); int h(void)"},
    {"__attribute__((nonnull(1))) int f(char *) __asm__(\"g\") "
     "__attribute((x));",
     "int f(char *)"},
    {"[[nodiscard]] _Noreturn __extension__ void f [[a]] (int [[b]] x);",
     "void f(int x)"},
    {"int f(int * __attribute__((x)) const p, int __attribute__((y)) q);",
     "int f(int *p, int q)"},
    {"int /* a */ f // b\\\n c\n(void) /**/;", "int f(void)"},
    {"int f(int x); int f(int); int f(signed y);", "int f(int x)"},
    {"typedef unsigned long size_t; typedef struct _IO_FILE FILE; "
     "typedef _Bool bool; size_t f(FILE *);",
     "size_t f(FILE *)"},
    {"int f(int class, int new, int template);",
     "int f(int class, int new, int template)"},
};

static void spells_prototypes(void **state) {
  (void)state;
  for (size_t i = 0; i < LENGTH(good); i++)
    assert_spelled(good[i][0], good[i][1]);
}

/* As this compiler has it. */
static void knows_the_sizes_of_types(void **state) {
  (void)state;
#define TYPE(type)                                                             \
  { #type, sizeof(type), (type)-1>(type)1 }
  static const struct {
    const char *name;
    size_t size;
    bool is_unsigned;
  } types[] = {
      TYPE(char),          TYPE(signed char),   TYPE(unsigned char),
      TYPE(short),         TYPE(unsigned),      TYPE(int),
      TYPE(long),          TYPE(unsigned long), TYPE(unsigned long long),
      TYPE(int8_t),        TYPE(uint8_t),       TYPE(int16_t),
      TYPE(uint16_t),      TYPE(int32_t),       TYPE(uint32_t),
      TYPE(int64_t),       TYPE(uint64_t),      TYPE(size_t),
      TYPE(ssize_t),       TYPE(ptrdiff_t),     TYPE(intptr_t),
      TYPE(uintptr_t),     TYPE(intmax_t),      TYPE(uintmax_t),
      TYPE(time_t),        TYPE(off_t),         TYPE(uint_fast16_t),
      TYPE(int_least16_t), TYPE(int_fast8_t),
  };
  for (size_t i = 0; i < LENGTH(types); i++) {
    char text[80];
    snprintf(text, sizeof text, "%s f(void);", types[i].name);
    lf_cdecl *decl = read_text(text);
    const lf_ctype *type = decl->functions[0].result;
    assert_int_equal(lf_ctype_size(type), types[i].size);
    assert_true(type->kind >= LF_C_INT8 && type->kind <= LF_C_UINT64);
    assert_int_equal((type->kind - LF_C_INT8) % 2, types[i].is_unsigned);
    assert_int_equal(type->is_char, strcmp(types[i].name, "char") == 0);
    lf_cdecl_free(decl);
  }
}

static void builds_types(void **state) {
  (void)state;
  lf_cdecl *decl = read_text("typedef struct gz *gzFile;\n"
                             "double f(const char *s, gzFile *g, bool b,\n"
                             "  int (*)(float, ...), const uint8_t *const *p,\n"
                             "  double (*m)[4]);\n");
  const lf_cfunc *f = &decl->functions[0];
  const lf_cparam *p = f->params;
  assert_int_equal(decl->nfunctions, 1);
  assert_string_equal(f->name, "f");
  assert_int_equal(f->line, 2);
  assert_int_equal(f->nparams, 6);
  assert_false(f->variadic);
  assert_int_equal(f->result->kind, LF_C_DOUBLE);
  assert_string_equal(p[0].name, "s");
  assert_string_equal(p[0].type->name, "const char *");
  assert_int_equal(p[0].type->kind, LF_C_POINTER);
  assert_false(p[0].type->is_const);
  assert_true(p[0].type->to->is_const);
  assert_true(p[0].type->to->is_char);
  assert_string_equal(p[1].type->name, "gzFile *");
  assert_string_equal(p[1].type->to->name, "gzFile");
  assert_int_equal(p[1].type->to->to->kind, LF_C_OPAQUE);
  assert_string_equal(p[1].type->to->to->tag, "struct gz");
  assert_int_equal(p[2].type->kind, LF_C_BOOL);
  assert_string_equal(p[3].name, "");
  assert_string_equal(p[3].type->name, "int (*)(float, ...)");
  assert_int_equal(p[3].type->to->kind, LF_C_FUNCTION);
  assert_true(p[3].type->to->function->variadic);
  assert_int_equal(p[3].type->to->function->nparams, 1);
  assert_true(p[4].type->to->is_const);
  assert_true(p[4].type->to->to->is_const);
  assert_int_equal(p[4].type->to->to->kind, LF_C_UINT8);
  assert_string_equal(p[5].type->name, "double (*)[4]");
  assert_int_equal(p[5].type->to->kind, LF_C_DOUBLE);
  lf_cdecl_free(decl);
}

/* Two parameters each: the same, or not? */
static void compares_types(void **state) {
  (void)state;
  static const char same[] =
      "typedef int t; typedef t u; typedef int (*cb)(t *);"
      "void a(int, u); void b(long, long long); void c(size_t, unsigned long);"
      "void d(const t *, int const *); void e(struct x *, struct x *);"
      "void f(cb, int (*)(int *)); void g(int *, int [3]);"
      "void h(enum e, int); void i(void *const, void *);";
  static const char other[] =
      "typedef struct x *p;"
      "void a(int, unsigned); void b(int, long); void c(char, signed char);"
      "void d(int *, const int *); void e(struct x *, struct y *);"
      "void f(int (*)(int), int (*)(long)); void g(int *, int **);"
      "void h(struct x *, union x *); void i(int (*)(int), int (*)(int, ...));"
      "void j(int (*)(int), long (*)(int)); void k(p *, void *);"
      "void l(int (*)(int), int (*)(int, int)); void m(bool, int8_t);";
  for (int i = 0; i < 2; i++) {
    lf_cdecl *decl = read_text(i == 0 ? same : other);
    assert_true(decl->nfunctions >= 9);
    for (size_t j = 0; j < decl->nfunctions; j++) {
      const lf_cparam *p = decl->functions[j].params;
      assert_int_equal(lf_ctype_equal(p[0].type, p[1].type), i == 0);
      assert_int_equal(lf_ctype_equal(p[1].type, p[0].type), i == 0);
    }
    lf_cdecl_free(decl);
  }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdiv-by-zero"
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wbool-compare"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"

/* The same by this compiler. */
static void calculates_constants(void **state) {
  (void)state;
#define EXPR(...)                                                              \
  { "#define X " #__VA_ARGS__ "\n", (int64_t)(__VA_ARGS__) }
  static const struct {
    const char *text;
    int64_t value;
  } exprs[] = {
      EXPR(0),
      EXPR(0u),
      EXPR(017),
      EXPR(0xFfL),
      EXPR(0b101),
      EXPR(4294967295),
      EXPR(0xffffffff),
      EXPR(0xffffffff + 1),
      EXPR(4294967295u + 1),
      EXPR(18446744073709551615ull),
      EXPR(0x7fffffffffffffffLL),
      EXPR(-2147483648),
      EXPR(-1),
      EXPR(- -1),
      EXPR(~0),
      EXPR(~0u),
      EXPR(~0ul),
      EXPR(!5 + !0),
      EXPR(+'a'),
      EXPR('\n' * 2 + '\0'),
      EXPR('\x7f' - '\101' + '\''),
      EXPR('\xff'),
      EXPR(1 + 2 * 3 - 8 / 3 % 2),
      EXPR((1 + 2) * (3 - 8) / 3),
      EXPR(-7 / 2 + -7 % 3),
      EXPR(7u / 2 + 7u % 4),
      EXPR(-1 > 0u),
      EXPR(-1L > 0u),
      EXPR(-1 < 0 && 0 < 1 || 0),
      EXPR(1 << 4 | 3 << 1 ^ 0xf & 0x3c),
      EXPR(1u << 31),
      EXPR(1ul << 40 >> 3),
      EXPR(-64 >> 3),
      EXPR(1 == 1 != 0),
      EXPR(3 <= 3 && 4 >= 5),
      EXPR(1 ? 2 : 3),
      EXPR(0   ? 2
           : 0 ? 3
               : 4),
      EXPR(1 ? -1 : 0u),
      EXPR(0 ? 1 / 0 : 5),
      EXPR(1 || 1 / 0),
      EXPR(0 && 1 % 0),
      EXPR(sizeof(long) + sizeof(char *)),
      EXPR((uint8_t)-1 + (int8_t)200 + (unsigned short)-1),
      EXPR((size_t)1 << 40),
      EXPR((bool)7 + (unsigned)-1),
      EXPR((long)-1 / 1),
  };
  for (size_t i = 0; i < LENGTH(exprs); i++) {
    lf_cdecl *decl = read_text(exprs[i].text);
    assert_int_equal(decl->nconstants, 1);
    assert_string_equal(decl->constants[0].name, "X");
    if (decl->constants[0].value != exprs[i].value)
      fail_msg("%s: %lld", exprs[i].text, (long long)decl->constants[0].value);
    lf_cdecl_free(decl);
  }
}

#pragma GCC diagnostic pop

static void collects_constants(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t value;
  } want[] = {{"A", 0},  {"B", 5},   {"C", 6},         {"D", -2},
              {"E", -1}, {"F", 0},   {"G", INT32_MAX}, {"H", 2147483648},
              {"I", 12}, {"J", 100}, {"K", INT32_MIN}};
  lf_cdecl *decl = read_text("enum { A, B = 5, C, D = -2, E, F, };\n"
                             "typedef enum t { G = 0x7fffffff, H } t;\n"
                             "enum { A, B = 5 };\n# define I (B + C +\\\n"
                             "  1) /* 12 */\n"
                             "  # define I 12 // twice\n"
                             "struct s {\n#define J (I * I - 44)\n int x; };\n"
                             "#define K 1 << 31");
  assert_int_equal(decl->nconstants, LENGTH(want));
  for (size_t i = 0; i < LENGTH(want); i++) {
    assert_string_equal(decl->constants[i].name, want[i].name);
    assert_int_equal(decl->constants[i].value, want[i].value);
  }
  lf_cdecl_free(decl);
}

/* An enumeration is an int unless it does not fit. */
static void gives_enumerations_a_type(void **state) {
  (void)state;
  lf_cdecl *decl = read_text(
      "enum a { A = -1 }; enum b { B = 0xffffffff }; enum c { C = -1, D = "
      "0xffffffff }; enum d { E = 0xffffffffffffffff }; void f(enum a, enum b,"
      "enum c, enum d, enum e);");
  static const lf_ckind kinds[] = {LF_C_INT32, LF_C_UINT32, LF_C_INT64,
                                   LF_C_UINT64, LF_C_INT32};
  for (size_t i = 0; i < LENGTH(kinds); i++)
    assert_int_equal(decl->functions[0].params[i].type->kind, kinds[i]);
  lf_cdecl_free(decl);
}

/* --- Bad input --- */

static void refuse_all(const char *const texts[][2], size_t n) {
  for (size_t i = 0; i < n; i++)
    assert_refused(texts[i][0], strlen(texts[i][0]), texts[i][1]);
}

static const char *const bad_whole[][2] = {
    {"int f(int", "cdef:1:10: ')' expected before end of text\n"
                  "int f(int\n"
                  "         ^"},
    {"int f(void);\n\n\tint\tg(\tfoo *x);\n",
     "cdef:3:9: unknown type name 'foo' (declare it: typedef struct foo_s "
     "foo;)\n\tint\tg(\tfoo *x);\n\t   \t  \t^"},
    {"int f(int a,\r\n  long b\r\n\r\n",
     "cdef:2:9: ')' expected before end of text\n  long b\n        ^"},
    {"/* \303\244 */ int x;", "cdef:1:14: 'x' is a variable (leave it out: "
                              "only functions are called)\n"
                              "/* \303\244 */ int x;\n"
                              "            ^"},
    {"int f(int aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, void x, "
     "int bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb);",
     "cdef:1:61: parameter 'x' of type void (leave it out)\n"
     "...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, void x, "
     "int bbbbbbbbbbbbbbbbbb...\n"
     "                                           ^"},
};

static void shows_the_place(void **state) {
  (void)state;
  refuse_all(bad_whole, LENGTH(bad_whole));
}

static const char *const bad_types[][2] = {
    {"itn f(int);", "cdef:1:1: unknown type name 'itn' (did you mean "
                    "'int'?)"},
    {"int f(unsinged x);",
     "cdef:1:7: unknown type name 'unsinged' (did you mean 'unsigned'?)"},
    {"int f(uint8 x);",
     "cdef:1:7: unknown type name 'uint8' (did you mean 'uint8_t'?)"},
    {"typedef struct z_s z_stream; int f(z_steam *x);",
     "cdef:1:36: unknown type name 'z_steam' (did you mean 'z_stream'?)"},
    {"struct s; int f(s *x);",
     "cdef:1:17: unknown type name 's' (did you mean 'struct s'?)"},
    {"uint f(void);", "cdef:1:1: unknown type name 'uint' (did you mean "
                      "'unsigned int'?)"},
    {"int f(z_stream *s);",
     "cdef:1:7: unknown type name 'z_stream' (declare it: typedef struct "
     "z_stream_s z_stream;)"},
    {"int f(abcdef x);",
     "cdef:1:7: unknown type name 'abcdef' (declare it by typedef)"},
    {"ZEXTERN int f(void);", "cdef:1:1: unknown name 'ZEXTERN' before a type "
                             "(if it is a macro, leave it out)"},
    {"int ZEXPORT f(void);",
     "cdef:1:13: unexpected 'f' after 'ZEXPORT' (leave out macros)"},
    {"int f OF((int));",
     "cdef:1:7: unexpected 'OF' after 'f' (leave out macros)"},
    {"f(int);", "cdef:1:1: type of the result expected before 'f'"},
    {"unsigned float f(void);", "cdef:1:10: 'float' does not go with "
                                "'unsigned int' (leave one of them out)"},
    {"int long long long f(void);", "cdef:1:15: 'long' does not go with "
                                    "'long long' (leave one of them out)"},
    {"unsigned size_t f(void);", "cdef:1:10: 'size_t' does not go with "
                                 "'unsigned int' (leave one of them out)"},
    {"size_t long f(void);", "cdef:1:8: 'long' does not go with 'size_t' "
                             "(leave one of them out)"},
    {"int struct x f(void);", "cdef:1:5: 'struct' does not go with 'int' "
                              "(leave one of them out)"},
    {"long double f(void);",
     "cdef:1:1: 'long double' cannot be passed (use double)"},
    {"int f(double long);",
     "cdef:1:7: 'long double' cannot be passed (use double)"},
    {"double _Complex f(void);",
     "cdef:1:8: '_Complex' cannot be passed (pass a pointer)"},
    {"double complex f(void);",
     "cdef:1:8: 'complex' cannot be passed (pass a pointer)"},
    {"int f(va_list);",
     "cdef:1:7: 'va_list' cannot be passed (leave the function out)"},
    {"struct x f(void);",
     "cdef:1:1: 'struct x' cannot be returned by value (return a pointer)"},
    {"typedef union { int a; } u; int f(int, const u x);",
     "cdef:1:46: 'const u' cannot be passed by value (pass a pointer)"},
    {"int f(FILE x);",
     "cdef:1:7: 'FILE' cannot be passed by value (pass a pointer)"},
    {"struct { int a; } *f(void);",
     "cdef:1:1: 'struct' without a name (name it)"},
    {"struct;", "cdef:1:7: name expected before ';'"},
    {"struct x { int a;", "cdef:1:18: '}' expected before end of text"},
    {"enum { };", "cdef:1:8: name expected before '}'"},
    {"enum { A = 1 / 0 };", "cdef:1:14: division by zero"},
    {"enum { A = 9223372036854775807, B };",
     "cdef:1:35: enumerator of more than 64 bits (give it a value)"},
};

static void refuses_types(void **state) {
  (void)state;
  refuse_all(bad_types, LENGTH(bad_types));
}

static const char *const bad_functions[][2] = {
    {"int f(void x);", "cdef:1:7: parameter 'x' of type void (leave it out)"},
    {"int f(int, void);", "cdef:1:12: parameter of type void (leave it out)"},
    {"int f(void, int);", "cdef:1:7: parameter of type void (leave it out)"},
    {"int f(...);", "cdef:1:7: parameter expected before '...' (C needs one)"},
    {"int f(int, ..., int);", "cdef:1:15: ')' expected before ','"},
    {"int f();", "cdef:1:7: parameters expected before ')' (write f(void))"},
    {"int (*f(void))();",
     "cdef:1:16: parameters expected before ')' (write f(void))"},
    {"void f(int (*)());",
     "cdef:1:16: parameters expected before ')' (write (void))"},
    {"int f(int) { return 1; }",
     "cdef:1:12: the body '{' of 'f' is not read (write ';')"},
    {"static int f(void);",
     "cdef:1:1: 'static' functions are in no library (leave it out)"},
    {"extern __inline int f(void);",
     "cdef:1:8: '__inline' functions are in no library (leave it out)"},
    {"int f(int)(int);",
     "cdef:1:6: function that returns a function (return a pointer)"},
    {"int f(int)[3];",
     "cdef:1:6: function that returns an array (return a pointer)"},
    {"int f(int a[3](int));",
     "cdef:1:12: array of type 'int (int)' (use pointers)"},
    {"int f(int a[-1]);",
     "cdef:1:13: array of negative size (leave the size out)"},
    {"int f(int) int g(void);", "cdef:1:12: ';' expected before 'int'"},
    {"int f(int a int b);", "cdef:1:13: ')' expected before 'int'"},
    {"int f(int,);", "cdef:1:11: type expected before ')'"},
    {"int f(typedef int x);", "cdef:1:7: type expected before 'typedef'"},
    {"int f(int) g;", "cdef:1:12: unexpected 'g' after 'f' (leave out macros)"},
    {"int f(int); long f(long);", "cdef:1:18: 'f' declared again with "
                                  "another type (first: line 1: int f(int))"},
    {"int f(int);\nint f(int, ...);",
     "cdef:2:5: 'f' declared again with another type (first: line 1: int "
     "f(int))"},
};

static void refuses_functions(void **state) {
  (void)state;
  refuse_all(bad_functions, LENGTH(bad_functions));
}

static const char *const bad_others[][2] = {
    {"int x;", "cdef:1:5: 'x' is a variable (leave it out: only functions "
               "are called)"},
    {"int (*x)(int);", "cdef:1:7: 'x' is a variable (leave it out: only "
                       "functions are called)"},
    {"typedef char *t;\ntypedef char t;",
     "cdef:2:14: 't' declared again with another type (first: line 1: "
     "typedef char *t)"},
    {"enum { A };\n#define A 1",
     "cdef:2:9: 'A' declared again with another value (first: line 1: 0)"},
    {"typedef int size_t;",
     "cdef:1:13: 'size_t' is built in with another meaning (leave it out)"},
    {"int int8_t(void);",
     "cdef:1:5: 'int8_t' is built in with another meaning (leave it out)"},
    {"typedef;", "cdef:1:8: type expected before ';'"},
    {"int;", "cdef:1:4: name expected before ';'"},
    {"int *long(void);", "cdef:1:6: name expected before 'long'"},
    {"int f(void)", "cdef:1:12: ';' expected before end of text"},
    {"int f(void); }", "cdef:1:14: type expected before '}'"},
    {"extern \"C\" { int f(void);",
     "cdef:1:26: '}' expected before end of text"},
    {"extern \"C++\" int f(void);",
     "cdef:1:8: extern '\"C++\"' is not C (leave it out)"},
    {"__attribute__ int f(void);", "cdef:1:15: '(' expected before 'int'"},
};

static void refuses_other_declarations(void **state) {
  (void)state;
  refuse_all(bad_others, LENGTH(bad_others));
}

static const char *const bad_cpp[][2] = {
    {"class x;", "cdef:1:1: 'class' is C++ (only C is read)"},
    {"template <class T> int f(T);",
     "cdef:1:1: 'template' is C++ (only C is read)"},
    {"namespace x { }", "cdef:1:1: 'namespace' is C++ (only C is read)"},
    {"int f(std::string s);", "cdef:1:7: 'std' is C++ (only C is read)"},
    {"int f(int &x);", "cdef:1:11: reference '&' is C++ (use a pointer)"},
    {"int f(int &&x);", "cdef:1:11: reference '&&' is C++ (use a pointer)"},
    {"int f(int x = 3);",
     "cdef:1:13: default argument '=' is C++ (leave it out)"},
};

static void refuses_cpp(void **state) {
  (void)state;
  refuse_all(bad_cpp, LENGTH(bad_cpp));
}

static const char *const bad_lines[][2] = {
    {"#include <zlib.h>",
     "cdef:1:1: '#include' is not read (paste the prototypes)"},
    {" # ifdef X\n", "cdef:1:2: '#ifdef' is not read (leave it out)"},
    {"# 1 \"x.h\"", "cdef:1:1: '#1' is not read (leave it out)"},
    {"#", "cdef:1:1: '#' is not read (leave it out)"},
    {"int #define A 1", "cdef:1:5: '#' in the middle of a line"},
    {"int f(\n#define A 1\nint);", "cdef:2:1: type expected before '#define'"},
    {"#define", "cdef:1:8: name expected before end of text"},
    {"#define A\n", "cdef:1:9: macro 'A' has no value (leave it out)"},
    {"#define F(x) x", "cdef:1:9: macro 'F' has parameters (leave it out)"},
    {"#define A \"x\"", "cdef:1:11: integer expected before '\"x\"' (other "
                        "constants are not read)"},
    {"#define A 1.5", "cdef:1:11: '1.5' is not an integer"},
    {"#define A 0x1p+3", "cdef:1:11: '0x1p+3' is not an integer"},
    {"#define A 09", "cdef:1:11: '09' is not an integer"},
    {"#define A 1ulu", "cdef:1:11: '1ulu' is not an integer"},
    {"#define A 18446744073709551616",
     "cdef:1:11: '18446744073709551616' has more than 64 bits"},
    {"#define A 1 2\n", "cdef:1:13: end of line expected before '2'"},
    {"#define A (1\n)", "cdef:1:13: ')' expected before end of line"},
    {"#define A B + 1", "cdef:1:11: unknown constant 'B' (define it before)"},
    {"#define A 2147483647 + 1",
     "cdef:1:22: constant does not fit its type (add a suffix UL)"},
    {"#define A 1 << 32", "cdef:1:13: shift by more than the type has bits"},
    {"#define A 'ab'", "cdef:1:11: ''ab'' is not one character"},
    {"#define A ''", "cdef:1:11: '''' is not one character"},
    {"#define A '\\q'", "cdef:1:11: ''\\q'' is not one character"},
    {"#define A '\\x141'", "cdef:1:11: ''\\x141'' is not one character"},
    {"#define A (char *)0",
     "cdef:1:12: constant of type 'char *' (only integers are read)"},
    {"#define A sizeof(struct x)",
     "cdef:1:18: the size of 'struct x' is not known"},
    {"#define long 3", "cdef:1:9: name expected before 'long'"},
};

static void refuses_lines_and_constants(void **state) {
  (void)state;
  refuse_all(bad_lines, LENGTH(bad_lines));
}

static const char *const bad_garbage[][2] = {
    {"int f(void) @", "cdef:1:13: unexpected character '@'"},
    {"int f(void) \\ ;", "cdef:1:13: unexpected character '\\'"},
    {"int \303\244(void);", "cdef:1:5: unexpected byte '\\xc3'"},
    {"int f(void); /* x", "cdef:1:14: comment without its end"},
    {"#define A 'x\n'", "cdef:1:11: quotation mark without its end"},
    {"int 3x(void);", "cdef:1:5: name expected before '3x'"},
};

static void refuses_garbage(void **state) {
  (void)state;
  refuse_all(bad_garbage, LENGTH(bad_garbage));
}

static void refuses_zeros(void **state) {
  (void)state;
  static const char text[] = "int f(\0void);";
  assert_refused(text, sizeof text - 1,
                 "cdef:1:7: unexpected byte '\\x00'\nint f(?void);\n      ^");
  assert_refused(text, 6, "cdef:1:7: type expected before end of text");
}

/* --- Limits --- */

static char *repeat(char *at, const char *text, size_t times) {
  for (size_t i = 0; i < times; i++)
    at = stpcpy(at, text);
  return at;
}

/* 'n' times 'open', 'middle', 'n' times 'close', between two texts: all is well
 * with 'most', and with one more it is refused so. */
typedef struct {
  const char *before, *open, *middle, *close, *behind, *answer;
  size_t most;
} limit;

static const char *nested(const limit *l, size_t n) {
  static char text[4096];
  char *at = repeat(text, l->before, 1);
  at = repeat(at, l->open, n);
  at = repeat(at, l->middle, 1);
  at = repeat(at, l->close, n);
  repeat(at, l->behind, 1);
  return text;
}

static void limits_nesting(void **state) {
  (void)state;
  static const char deep[] = "nested deeper than 64 (leave it out)";
  static const limit limits[] = {
      {"int ", "*", "f", "", "(void);", deep, 64},
      {"int ", "(", "f", ")", "(void);", deep, 63},
      {"void f(", "void (*)(", "int", ")", ");", deep, 62},
      {"struct x ", "{", "", "}", ";", deep, 64},
      {"#define A ", "- ", "1", "", "", deep, 62},
      {"#define A ", "(", "1", ")", "", deep, 31},
      {"", "extern \"C\" {", "", "}", "", deep, 64},
      {"int f(int", ",int", "", "", ");",
       "more than 64 parameters (pass a structure)", 63},
      {"int ", "f", "", "", "(void);", "name longer than 255 bytes", 255},
  };
  for (size_t i = 0; i < LENGTH(limits); i++) {
    lf_cdecl *decl;
    const char *text = nested(&limits[i], limits[i].most);
    lf_cdecl_free(read_text(text));
    text = nested(&limits[i], limits[i].most + 1);
    assert_int_equal(lf_cdecl_read(text, strlen(text), &decl, &why),
                     LF_EBROKEN);
    assert_non_null(strstr(why_text(), limits[i].answer));
    lf_buf_reset(&why);
  }
}

static void limits_the_text(void **state) {
  (void)state;
  enum { MOST = 1 << 20 };
  char *text = malloc(MOST + 1);
  memset(text, ' ', MOST + 1);
  memcpy(text, "int f(int);", 11);
  lf_cdecl_free(read_bytes(text, MOST));
  assert_refused(text, MOST + 1,
                 "cdef:1:1: text of more than 1 MiB (leave out "
                 "what is not used)");
  free(text);
}

static void limits_declarations(void **state) {
  (void)state;
  enum { MOST = 4096 };
  static const char *const kinds[] = {"int f%d(void);\n", "typedef int t%d;\n",
                                      "enum { A%d };\n", "#define B%d 1\n"};
  char *text = malloc(40 * MOST), *at = text;
  for (int i = 0; i < MOST; i++) {
    char line[40];
    const char *number = strchr(kinds[i % 4], '%');
    int before = (int)(number - kinds[i % 4]);
    snprintf(line, sizeof line, "%.*s%d%s", before, kinds[i % 4], i,
             number + 2);
    at = stpcpy(at, line);
  }
  strcpy(at, "int f0(void);");
  lf_cdecl *decl = read_text(text);
  assert_int_equal(decl->nfunctions, MOST / 4);
  assert_int_equal(decl->nconstants, MOST / 2);
  assert_int_equal(decl->functions[MOST / 4 - 1].line, MOST - 3);
  lf_cdecl_free(decl);
  strcpy(at, "int g(void);");
  assert_refused(text, strlen(text),
                 "cdef:4097:5: more than 4096 declarations "
                 "(leave out what is not used)");
  free(text);
}

/* Types that would be compared for ever. */
static void limits_types(void **state) {
  (void)state;
  char text[2000], *at = stpcpy(text, "typedef int t0;");
  for (int i = 0; i < 30; i++)
    at += sprintf(at, "typedef int t%d(t%d *, t%d *);", i + 1, i, i);
  lf_cdecl *decl;
  assert_int_equal(lf_cdecl_read(text, strlen(text), &decl, &why), LF_EBROKEN);
  assert_non_null(
      strstr(why_text(), "type made of more than 1024 types (use void *)"));
}

/* --- Variadic functions --- */

static int extend(lf_cdecl *decl, const char *types, const lf_cfunc **out) {
  lf_buf_reset(&why);
  return lf_cdecl_extend(decl, decl->functions, types, strlen(types), out,
                         &why);
}

static void extends_variadic_functions(void **state) {
  (void)state;
  static const char *const types[][2] = {
      {"", "int f(const char *s)"},
      {"int, double", "int f(const char *s, int, double)"},
      {"float, char, bool, short, uint16_t, signed char",
       "int f(const char *s, double, int, int, int, int, int)"},
      {"long, unsigned, uint64_t *",
       "int f(const char *s, long, unsigned int, uint64_t *)"},
      {"t, const t *, struct y *, int (*)(int), char [3], int (long)",
       "int f(const char *s, t, const t *, struct y *, int (*)(int), char *, "
       "int (*)(long))"},
  };
  lf_cdecl *decl = read_text("int f(const char *s, ...); typedef struct x *t;");
  for (size_t i = 0; i < LENGTH(types); i++) {
    const lf_cfunc *f;
    assert_int_equal(extend(decl, types[i][0], &f), 0);
    assert_string_equal(f->text, types[i][1]);
    assert_string_equal(f->name, "f");
    assert_false(f->variadic);
    assert_int_equal(f->line, 1);
    assert_ptr_equal(f->result, decl->functions[0].result);
  }
  assert_true(decl->functions[0].variadic);
  lf_cdecl_free(decl);
}

static void refuses_other_extensions(void **state) {
  (void)state;
  static const char *const types[][2] = {
      {"int, itn", "cdef:1:6: unknown type name 'itn' (did you mean 'int'?)\n"
                   "int, itn\n     ^"},
      {"int,", "cdef:1:5: type expected before end of text\nint,\n    ^"},
      {"int double", "cdef:1:5: 'double' does not go with 'int' (leave one of "
                     "them out)\nint double\n    ^"},
      {"void", "cdef:1:1: parameter of type void (leave it out)\nvoid\n^"},
      {"struct x", "cdef:1:1: 'struct x' cannot be passed by value (pass a "
                   "pointer)\nstruct x\n^"},
      {"int)", "cdef:1:4: ',' expected before ')'\nint)\n   ^"},
      {"int, ...", "cdef:1:6: type expected before '...'\nint, ...\n     ^"},
      {"enum { A } x", "cdef:1:8: nothing can be declared here, such as 'A'\n"
                       "enum { A } x\n       ^"},
  };
  lf_cdecl *decl = read_text("int f(int, ...); int g(void);");
  const lf_cfunc *f = NULL;
  for (size_t i = 0; i < LENGTH(types); i++) {
    assert_int_equal(extend(decl, types[i][0], &f), LF_EBROKEN);
    assert_string_equal(why_text(), types[i][1]);
  }
  lf_buf_reset(&why);
  assert_int_equal(
      lf_cdecl_extend(decl, &decl->functions[1], "int", 3, &f, &why),
      LF_EBROKEN);
  assert_string_equal(why_text(),
                      "cdef:1:1: 'g' takes no further arguments (it "
                      "has no '...')\nint\n^");
  assert_null(f);
  char many[400], *at = repeat(many, "int,", 63);
  strcpy(at, "int");
  assert_int_equal(extend(decl, many, &f), LF_EBROKEN);
  assert_non_null(strstr(why_text(), "more than 64 parameters"));
  assert_int_equal(extend(decl, many + 4, &f), 0);
  assert_int_equal(f->nparams, 64);
  lf_cdecl_free(decl);
}

/* --- The corpus of the fuzzer --- */

enum { LARGEST = 8192 };

typedef struct {
  char name[64];
  size_t len;
  uint8_t bytes[LARGEST];
} sample;

static sample samples[128];
static size_t nsamples;

static void read_sample(const char *dir, const char *name) {
  char path[1000];
  sample *s = &samples[nsamples];
  int len = snprintf(path, sizeof path, "%s/%s", dir, name);
  assert_in_range(len, 1, sizeof path - 1);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_in_range(nsamples, 0, LENGTH(samples) - 1);
  len = snprintf(s->name, sizeof s->name, "%s", name);
  assert_in_range(len, 1, sizeof s->name - 1);
  s->len = fread(s->bytes, 1, sizeof s->bytes, file);
  assert_in_range(s->len, 0, LARGEST - 1);
  fclose(file);
  nsamples++;
}

/* In the order of their names, so that the changes are the same everywhere. */
static void read_samples(void) {
  char dir[900];
  const char *srcdir = getenv("srcdir");
  struct dirent **all;
  snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/cdecl",
           srcdir ? srcdir : ".");
  int n = scandir(dir, &all, NULL, alphasort);
  assert_true(n >= 30);
  nsamples = 0;
  for (int i = 0; i < n; i++) {
    if (all[i]->d_name[0] != '.')
      read_sample(dir, all[i]->d_name);
    free(all[i]);
  }
  free(all);
}

/* Their names say what they are. */
static void replays_the_corpus(void **state) {
  (void)state;
  read_samples();
  for (size_t i = 0; i < nsamples; i++) {
    sample *s = &samples[i];
    lf_cdecl *decl;
    int err = lf_cdecl_read((char *)s->bytes, s->len, &decl, &why);
    if ((err == 0) != (strncmp(s->name, "good-", 5) == 0))
      fail_msg("%s: %s", s->name, why_text());
    if (err == 0)
      lf_cdecl_free(decl);
    lf_buf_reset(&why);
    LLVMFuzzerTestOneInput(s->bytes, s->len);
  }
}

/* xorshift64 (Marsaglia, 2003). */
static uint64_t random_state;

static size_t below(size_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (size_t)(random_state % n);
}

/* A piece of another sample, over what is there or between. */
static void splice(sample *s) {
  const sample *from = &samples[below(nsamples)];
  size_t at = below(s->len + 1), start = below(from->len + 1);
  size_t n = below(from->len - start + 1) % 64;
  bool between = below(2);
  n = n < LARGEST - s->len ? n : LARGEST - s->len;
  if (between)
    memmove(s->bytes + at + n, s->bytes + at, s->len - at);
  memcpy(s->bytes + at, from->bytes + start, n);
  s->len = between ? s->len + n : s->len > at + n ? s->len : at + n;
}

static void mutate(sample *s) {
  static const char marks[] = "()[]{}*,;#\n\"'\\/.&=<-0";
  size_t at = s->len ? below(s->len) : 0, n = below(s->len - at + 1) % 16;
  switch (below(5)) {
  case 0:
    s->len = at;
    break;
  case 1:
    memmove(s->bytes + at, s->bytes + at + n, s->len - at - n);
    s->len -= n;
    break;
  case 2:
    if (s->len > 0)
      s->bytes[at] ^= (uint8_t)(1 << below(8));
    break;
  case 3:
    if (s->len > 0)
      s->bytes[at] = (uint8_t)marks[below(sizeof marks)];
    break;
  default:
    splice(s);
  }
}

static void survives_changes_of_the_corpus(void **state) {
  (void)state;
  enum { VARIANTS = 2000 };
  static sample s;
  read_samples();
  random_state = 42;
  for (size_t i = 0; i < nsamples * VARIANTS; i++) {
    s = samples[i % nsamples];
    for (size_t n = 1 + below(4); n > 0; n--)
      mutate(&s);
    uint8_t *exact = malloc(s.len + 1); /* so that reading beyond is seen */
    LLVMFuzzerTestOneInput(memcpy(exact + 1, s.bytes, s.len), s.len);
    free(exact);
  }
}

/* --- Lack of memory --- */

/* What is read. */
typedef struct {
  const char *text;
  size_t len;
  const char *types;
} reading;

/* Without memory: LF_ENOMEM and no message; unless there was one already. */
static bool read_once(void *arg) {
  const reading *r = arg;
  const lf_cfunc *f;
  lf_cdecl *decl = NULL;
  int err = lf_cdecl_read(r->text, r->len, &decl, &why);
  if (err == 0 && r->types)
    err = lf_cdecl_extend(decl, decl->functions, r->types, strlen(r->types), &f,
                          &why);
  bool silent = why.len == 0;
  lf_cdecl_free(decl);
  lf_buf_fini(&why);
  return err != LF_ENOMEM || !silent;
}

static void fail_each(const char *text, size_t len, const char *types) {
  reading r = {text, len, types};
  assert_true(memory_fail_each(read_once, &r) > 0);
}

static void survives_lack_of_memory(void **state) {
  (void)state;
  read_samples();
  for (size_t i = 0; i < nsamples; i++) {
    bool variadic = strcmp(samples[i].name, "good-variadic") == 0;
    fail_each((char *)samples[i].bytes, samples[i].len,
              variadic ? "int, float, char *, struct foo *" : NULL);
  }
  fail_each("int f(int, ...);", 16, "int, float, itn *");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WHY_TEST(spells_prototypes),
      WHY_TEST(knows_the_sizes_of_types),
      WHY_TEST(builds_types),
      WHY_TEST(compares_types),
      WHY_TEST(calculates_constants),
      WHY_TEST(collects_constants),
      WHY_TEST(gives_enumerations_a_type),
      WHY_TEST(shows_the_place),
      WHY_TEST(refuses_types),
      WHY_TEST(refuses_functions),
      WHY_TEST(refuses_other_declarations),
      WHY_TEST(refuses_cpp),
      WHY_TEST(refuses_lines_and_constants),
      WHY_TEST(refuses_garbage),
      WHY_TEST(refuses_zeros),
      WHY_TEST(limits_nesting),
      WHY_TEST(limits_the_text),
      WHY_TEST(limits_declarations),
      WHY_TEST(limits_types),
      WHY_TEST(extends_variadic_functions),
      WHY_TEST(refuses_other_extensions),
      WHY_TEST(replays_the_corpus),
      WHY_TEST(survives_changes_of_the_corpus),
      WHY_TEST(survives_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
