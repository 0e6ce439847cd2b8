/* SPDX-License-Identifier: MIT
 *
 * Plugins of lfut: shared libraries that say themselves which functions they
 * have. A plugin includes this header, and links against nothing of lfut.
 *
 *   static double norm(const double *x, size_t n) { ... }
 *
 *   static const lfut_function functions[] = {
 *     {.prototype = "double norm(const double *x, size_t n)",
 *      .entry = (lfut_entry)norm,
 *      .flags = LFUT_THREADSAFE,
 *      .args = "x:in[n]"},
 *   };
 *
 *   LFUT_PLUGIN(.name = "vec", .version = "1.0", .functions = functions,
 *               .nfunctions = 1)
 *
 * For C11 and C++20; earlier C++ fills the struct that lfut_plugin_v1 returns
 * by hand. Script side: lfut.plugin(path).
 *
 * Versions: another major number is another interface. Within one, structs only
 * grow at their ends; minor counts that. A plugin that needs services of a
 * newer minor than the program has is refused; an older plugin is always fine.
 */
#ifndef LFUT_PLUGIN_H
#define LFUT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LFUT_PLUGIN_MAGIC 0x7475666cu /* "lfut" */
#define LFUT_PLUGIN_MAJOR 1u
#define LFUT_PLUGIN_MINOR 0u

/* The task in which a function runs, for the services below. Valid until the
 * function returns, in its thread. A parameter of the type lfut_task * is
 * filled in by lfut; scripts do not see it. */
typedef struct lfut_task lfut_task;

/* What lfut does for plugins: what init is given. 'size' is in bytes, as the
 * program knows the struct. All functions may be called from any thread, with a
 * task from its own only; none blocks, but for 'log'. */
typedef struct lfut_host {
  uint32_t size;
  uint32_t minor;
  /* Not 0: the task is to end soon; what it returns is thrown away. */
  int (*cancelled)(const lfut_task *task);
  /* Seconds until it is cancelled for taking too long; HUGE_VAL: never. */
  double (*deadline)(const lfut_task *task);
  /* How much of the work is done. As often as one likes: few are passed on. */
  void (*progress)(lfut_task *task, double done, double total);
  /* The call fails with this text, a copy of which is kept, whatever the
   * function returns. */
  void (*set_error)(lfut_task *task, const char *message);
  /* One more result, a string of 'size' bytes, which are copied, behind what
   * the function returns. At most 250 of them; not 0:
   * that was one too many, or there is no memory. */
  int (*return_bytes)(lfut_task *task, const void *bytes, size_t size);
  /* A line for standard error, in one piece. */
  void (*log)(const char *message);
} lfut_host;

/* How calls may overlap; without one of these LFUT_SERIAL_LIB. */
#define LFUT_SERIAL_LIB 0u  /* one call into the plugin at a time */
#define LFUT_THREADSAFE 1u  /* as they come */
#define LFUT_SERIAL_FN 2u   /* one call of this function at a time */
#define LFUT_AFFINE 3u      /* always by the same worker */
#define LFUT_PROCESS 4u     /* only in worker processes */
#define LFUT_THREADING 0xfu /* these bits */
/* What else is true of a function; shown by plugin:info(). */
#define LFUT_IDEMPOTENT 0x10u  /* may be run again */
#define LFUT_BLOCKING 0x20u    /* mostly waits */
#define LFUT_CANCELLABLE 0x40u /* looks at 'cancelled' */
#define LFUT_OWN_THREADS 0x80u /* starts threads */

/* What a field is that an initialiser leaves out: C++ would warn. */
#if defined __cplusplus && __cplusplus >= 201402L
#define LFUT_OR_NULL = nullptr
#else
#define LFUT_OR_NULL
#endif

/* Any function; cast yours to it. */
typedef void (*lfut_entry)(void);

typedef struct lfut_function {
  const char *prototype; /* in C, without ';', as scripts declare functions */
  lfut_entry entry;
  uint32_t flags;
  const char *args
      LFUT_OR_NULL; /* checks of lengths, "x:in[n] out:out[*m]", or NULL;
                        "x:in[n?]" lets scripts leave out a last n */
  const char *error LFUT_OR_NULL; /* "nonzero", "negative", "null", "zero": a
                        return value that means failure; or NULL */
  const char *doc LFUT_OR_NULL;   /* a line for people, or NULL */
} lfut_function;

typedef struct lfut_plugin {
  /* Filled in by LFUT_PLUGIN. */
  uint32_t size; /* of this struct in bytes, and of: */
  uint32_t magic, major, minor;
  uint32_t function_size, word_size; /* an lfut_function, a pointer */
  /* Yours. Everything has to stay as long as the plugin is loaded. */
  const char *name, *version;
  const lfut_function *functions;
  size_t nfunctions;
  /* When it has been loaded, once in a process; not 0: it cannot be used. */
  int (*init)(const lfut_host *host) LFUT_OR_NULL;
  /* In a process that was forked from one where it is loaded. */
  void (*after_fork)(void) LFUT_OR_NULL;
  /* When the program ends, unless it ends by _exit as forked workers do, or
   * while functions are running. */
  void (*fini)(void) LFUT_OR_NULL;
} lfut_plugin;

#define LFUT_EXPORT __attribute__((visibility("default")))

/* The one function that a plugin exports. */
LFUT_EXPORT const lfut_plugin *lfut_plugin_v1(void);

/* Defines it, with the fields of lfut_plugin that are yours. */
#define LFUT_PLUGIN(...)                                                       \
  LFUT_EXPORT const lfut_plugin *lfut_plugin_v1(void) {                        \
    static const lfut_plugin plugin = {.size = sizeof(lfut_plugin),            \
                                       .magic = LFUT_PLUGIN_MAGIC,             \
                                       .major = LFUT_PLUGIN_MAJOR,             \
                                       .minor = LFUT_PLUGIN_MINOR,             \
                                       .function_size = sizeof(lfut_function), \
                                       .word_size = sizeof(void *),            \
                                       __VA_ARGS__};                           \
    return &plugin;                                                            \
  }

#ifdef __cplusplus
}
#endif

#endif
