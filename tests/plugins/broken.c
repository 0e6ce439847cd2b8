/* SPDX-License-Identifier: MIT
 *
 * Plugins that are wrong, each in its own way, for what lfut.plugin says of
 * them: compiled once with each of the macros BROKEN_... */
#include "../../plugins/lfut_plugin.h"

#include <sys/wait.h>
#include <unistd.h>

/* BROKEN_PLUGIN and BROKEN_FUNCTION: fields that take the place of right ones.
 */
#if defined BROKEN_bad_magic
#define BROKEN_PLUGIN .magic = 0x6c656621
#elif defined BROKEN_other_major
#define BROKEN_PLUGIN .major = LFUT_PLUGIN_MAJOR + 1
#elif defined BROKEN_newer_minor
#define BROKEN_PLUGIN .minor = LFUT_PLUGIN_MINOR + 1
#elif defined BROKEN_word_size
#define BROKEN_PLUGIN .word_size = 4
#elif defined BROKEN_short_plugin
#define BROKEN_PLUGIN .size = 24
#elif defined BROKEN_short_function
#define BROKEN_PLUGIN .function_size = 8
#elif defined BROKEN_no_name
#define BROKEN_PLUGIN .name = NULL
#elif defined BROKEN_no_functions
#define BROKEN_PLUGIN .functions = NULL
#elif defined BROKEN_init_failed || defined BROKEN_init_forks
#define BROKEN_PLUGIN .init = init
#elif defined BROKEN_bad_prototype
#define BROKEN_FUNCTION .prototype = "itn twice(int x)"
#elif defined BROKEN_two_prototypes
#define BROKEN_FUNCTION .prototype = "int twice(int x); int thrice(int x)"
#elif defined BROKEN_no_prototype
#define BROKEN_FUNCTION .prototype = NULL
#elif defined BROKEN_variadic
#define BROKEN_FUNCTION .prototype = "int twice(int x, ...)"
#elif defined BROKEN_duplicate
#define BROKEN_FUNCTION .prototype = "int good(int x)"
#elif defined BROKEN_unknown_flag
#define BROKEN_FUNCTION .flags = 0x4000
#elif defined BROKEN_unknown_rule
#define BROKEN_FUNCTION .flags = 9
#elif defined BROKEN_no_address
#define BROKEN_FUNCTION .entry = NULL
#elif defined BROKEN_bad_args
#define BROKEN_FUNCTION .args = "y:in[x]"
#elif defined BROKEN_bad_error
#define BROKEN_FUNCTION .error = "null"
#endif

#ifndef BROKEN_PLUGIN
#define BROKEN_PLUGIN .name = "broken"
#endif
#ifndef BROKEN_FUNCTION
#define BROKEN_FUNCTION .flags = LFUT_THREADSAFE
#endif

#ifndef BROKEN_no_entry
#pragma GCC diagnostic ignored "-Woverride-init"

static int twice(int x) {
  return 2 * x;
}

#define GOOD                                                                   \
  { .prototype = "int good(int x)", .entry = (lfut_entry)twice }
#define TWICE                                                                  \
  {                                                                            \
    .prototype = "int twice(int x)", .entry = (lfut_entry)twice,               \
    BROKEN_FUNCTION                                                            \
  }

/* Not wrong, but of a later version of the interface, whose structs have grown.
 */
#ifdef BROKEN_grown
static const struct {
  lfut_function function;
  const char *more;
} table[] = {{GOOD, "more"}, {TWICE, "more"}};
static const struct {
  lfut_plugin plugin;
  const char *more;
} grown = {{.size = sizeof grown,
            .magic = LFUT_PLUGIN_MAGIC,
            .major = LFUT_PLUGIN_MAJOR,
            .minor = 0,
            .function_size = sizeof table[0],
            .word_size = sizeof(void *),
            .name = "grown",
            .version = "2.3",
            .functions = &table[0].function,
            .nfunctions = 2},
           "more"};

LFUT_EXPORT const lfut_plugin *lfut_plugin_v1(void) {
  return &grown.plugin;
}
#else
static const lfut_function functions[] = {GOOD, TWICE};

/* Not wrong either. */
#ifdef BROKEN_init_forks
static int init(const lfut_host *host) {
  pid_t child = fork();
  (void)host;
  if (child == 0) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(127);
  }
  return child < 0 || waitpid(child, NULL, 0) != child;
}
#endif

#ifdef BROKEN_init_failed
static int init(const lfut_host *host) {
  host->log("broken: there is no licence");
  return 3;
}
#endif

LFUT_PLUGIN(.name = "broken", .version = "2.3", .functions = functions,
            .nfunctions = 2, BROKEN_PLUGIN)
#endif
#endif
