/* SPDX-License-Identifier: MIT
 *
 * The program lfut: what the stock `lua` program does, with the module built
 * in, a default number of workers, and an orderly end for work and signals.
 * Everything here runs in the main thread. */
#include "bindings/cluster/command.h"
#include "bindings/core/report.h"
#include "bindings/process/finish.h"
#include "bindings/process/process_worker.h"
#include "bindings/program/lib.h"
#include "bindings/program/program.h"
#include "bindings/program/repl.h"
#include "bindings/program/statistics.h"
#include "bindings/run/exit.h"
#include "bindings/run/interrupt.h"
#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/process/serve.h"
#include "runtime/sync/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
/* Debian's Lua is compiled to call this, which the sanitizer does not know; it
 * does know _longjmp. */
#include <setjmp.h>
/* Worker processes are forked from a program with threads. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
  return "die_after_fork=0";
}

_Noreturn void __longjmp_chk(struct __jmp_buf_tag *env, int value);
_Noreturn void __longjmp_chk(struct __jmp_buf_tag *env, int value) {
  _longjmp(env, value);
}
#endif

#define PROGRAM "lfut"
#define VERSION PROGRAM " " PACKAGE_VERSION " (" LFB_LUA ")"

enum { STATUS_INTERRUPTED = 130 }; /* as of a shell for SIGINT */

/* ===== Messages ===== */

static bool at_prompt; /* who reads the messages knows where they are from */

static void print_error(const char *message) {
  lf_terminal_complain("%s%s\n", at_prompt ? "" : PROGRAM ": ", message);
  fflush(stderr);
}

static void print_usage(FILE *out) {
  fputs(
      "usage: " PROGRAM " [options] [script [args]]\n"
      "Available options are:\n"
      "  -e stat   execute string 'stat'\n"
      "  -i        enter interactive mode after executing 'script'\n"
      "  -l mod    require library 'mod' into global 'mod'\n"
      "  -l g=mod  require library 'mod' into global 'g'\n"
      "  -v        show version information\n"
      "  -E        ignore environment variables\n"
      "  -W        turn warnings on\n"
      "  -w n      let executors have 'n' workers by default\n"
      "  -h        show this help\n"
      "  --        stop handling options\n"
      "  -         stop handling options and execute stdin\n"
      "  cluster   see '" PROGRAM " cluster --help'\n"
      "Long options:\n"
      "  --workers n     the same as -w\n"
      "  --trace file    write what runs where and when, for ui.perfetto.dev\n"
      "  --stats[=json]  tell at the end what functions have taken\n"
      "  --help, --version\n",
      out);
}

static void print_version(void) {
  puts(VERSION);
  fflush(stdout);
}

/* ===== The command line ===== */

/* Something to be done before the script, in the order of the options. */
struct action {
  char what;        /* 'e', 'l' or 'W' */
  const char *text; /* the statement or the library */
};

struct options {
  struct action *actions;
  int action_count;
  int script;  /* index of the script in argv; argc if there is none */
  int workers; /* 0: not given */
  const char *trace;
  bool stats, json;
  bool interactive, version, ignore_environment, statement;
  bool only_help, only_version;
};

/* Tells what is wrong, and how it would be right. Returns false, as do its
 * callers then. */
__attribute__((format(printf, 1, 2))) static bool
usage_error(const char *format, ...) {
  va_list args;
  fprintf(stderr, PROGRAM ": ");
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  print_usage(stderr);
  return false;
}

static bool parse_workers(const char *text, const char *where, int *workers) {
  size_t digits = strspn(text, "0123456789");
  errno = 0;
  long n = strtol(text, NULL, 10);
  if (digits == 0 || text[digits] || errno || n < 1 || n > INT_MAX)
    return usage_error("bad %s '%s' (an integer greater than 0 expected)",
                       where, text);
  if (n > LF_MAX_WORKERS)
    return usage_error("bad %s '%s' (at most %d)", where, text, LF_MAX_WORKERS);
  *workers = (int)n;
  return true;
}

static void add_action(struct options *o, char what, const char *text) {
  o->actions[o->action_count++] = (struct action){what, text};
}

/* The argument of the option argv[*i], which ends at 'rest': what follows
 * there, or else the next word. NULL: there is none. */
static const char *option_argument(char **argv, int *i, const char *rest) {
  return *rest ? rest : argv[++*i];
}

/* Is the word that long option, with its argument behind '=', or on its own? */
static bool is_long(const char *word, const char *name) {
  size_t length = strlen(name);
  return strncmp(word, name, length) == 0 &&
         (word[length] == '\0' || word[length] == '=');
}

static bool parse_stats(struct options *o, const char *word) {
  const char *how = strchr(word, '=');
  o->stats = true;
  o->json = how && strcmp(how, "=json") == 0;
  return !how || o->json || usage_error("bad '%s' ('json' expected)", word);
}

static bool parse_long(struct options *o, char **argv, int *i) {
  const char *word = argv[*i];
  if (strcmp(word, "--help") == 0)
    return o->only_help = true;
  if (strcmp(word, "--version") == 0)
    return o->only_version = true;
  if (is_long(word, "--stats"))
    return parse_stats(o, word);
  if (!is_long(word, "--workers") && !is_long(word, "--trace"))
    return usage_error("unrecognized option '%s'", word);
  const char *equals = strchr(word, '=');
  const char *value = equals ? equals + 1 : argv[++*i];
  if (!value)
    return usage_error("'%s' needs argument", word);
  if (is_long(word, "--workers"))
    return parse_workers(value, "number of workers", &o->workers);
  if (!*value)
    return usage_error("bad '%s' (a file's name expected)", word);
  o->trace = value;
  return true;
}

static bool parse_with_argument(struct options *o, char **argv, int *i) {
  const char *word = argv[*i];
  const char *value = option_argument(argv, i, word + 2);
  bool own = word[1] == 'w';
  if (!value || (!own && value != word + 2 && value[0] == '-'))
    return usage_error("'%s' needs argument", word);
  if (own)
    return parse_workers(value, "number of workers", &o->workers);
  o->statement |= word[1] == 'e';
  add_action(o, word[1], value);
  return true;
}

static bool parse_flag(struct options *o, const char *word) {
  if (word[2] != '\0')
    return usage_error("unrecognized option '%s'", word);
  switch (word[1]) {
  case 'E':
    return o->ignore_environment = true;
  case 'W':
    add_action(o, 'W', NULL);
    return true;
  case 'h':
    return o->only_help = true;
  case 'i':
    o->interactive = true; /* and tells the version, too */
    return o->version = true;
  case 'v':
    return o->version = true;
  default:
    return usage_error("unrecognized option '%s'", word);
  }
}

/* Finds where the options end, and what they say. */
static bool parse_options(struct options *o, int argc, char **argv) {
  int i = 1;
  for (; i < argc; i++) {
    const char *word = argv[i];
    bool fine;
    if (word[0] != '-' || word[1] == '\0')
      break;
    if (strcmp(word, "--") == 0) {
      i++;
      break;
    }
    if (word[1] == '-')
      fine = parse_long(o, argv, &i);
    else if (strchr("elw", word[1]))
      fine = parse_with_argument(o, argv, &i);
    else
      fine = parse_flag(o, word);
    if (!fine)
      return false;
    if (o->only_help || o->only_version)
      break;
  }
  o->script = i < argc ? i : argc;
  return true;
}

static bool parse_environment(struct options *o) {
  const char *workers = getenv("LFUT_WORKERS");
  if (!workers || o->workers || o->ignore_environment)
    return true;
  return parse_workers(workers, "LFUT_WORKERS", &o->workers);
}

/* ===== Ctrl-C ===== */

enum { IMPATIENCE = 2 }; /* seconds: a second Ctrl-C within ends the program */

static pthread_t main_thread;         /* which a signal interrupts */
static volatile sig_atomic_t closing; /* no Lua code to interrupt any more */
static volatile sig_atomic_t seen;    /* a SIGINT came, at ... */
static struct timespec seen_at;       /* touched by the handler only */
static bool uncaught;                 /* nothing has caught interrupted! */

static bool is_second_interrupt(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  time_t seconds = now.tv_sec - seen_at.tv_sec;
  bool second =
      seen && (seconds < IMPATIENCE ||
               (seconds == IMPATIENCE && now.tv_nsec < seen_at.tv_nsec));
  seen = 1;
  seen_at = now;
  return second;
}

static void on_interrupt(int sig) {
  int saved = errno;
  if (!pthread_equal(pthread_self(), main_thread)) {
    pthread_kill(main_thread, sig);
  } else if (closing || is_second_interrupt()) {
    lf_terminal_abandon();
    _exit(STATUS_INTERRUPTED);
  } else {
    lfb_program_signal();
  }
  errno = saved;
}

/* Without SA_RESTART: a blocked read has to return for the hook to run. */
static void catch_interrupts(void) {
  struct sigaction action = {.sa_handler = on_interrupt};
  main_thread = pthread_self();
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

/* ===== Leaving in a hurry ===== */

/* Writes out what the stream holds and keeps it locked, for a worker may be in
 * the middle of using it. If one is, for long, the stream is left to exit(),
 * which takes no locks. (fflush(NULL) would wait for ever for a worker that is
 * blocked in reading some file.) */
static void settle(FILE *stream) {
  for (int tries = 0; tries < 100; tries++) {
    struct timespec pause = {.tv_nsec = 100000};
    if (ftrylockfile(stream) == 0) {
      fflush(stream);
      return;
    }
    nanosleep(&pause, NULL);
  }
}

static bool stats, json; /* --stats was given, as that */

/* What was counted is told, once. */
static void print_stats(lua_State *L) {
  if (stats)
    lfb_stats_print(L, json);
  stats = false;
}

static int end_status;

static void *end_soon(void *unused) {
  enum { PATIENCE = 2 }; /* seconds */
  (void)unused;
  sleep(PATIENCE);
  _exit(end_status);
}

/* The last handler of exit(3), which then writes out the streams of stdio: a
 * worker that goes on may hold what is needed for that. */
static void guard_end(int status, void *unused) {
  (void)unused;
  end_status = status;
  if (lf_threads_others())
    lf_thread_start_apart(end_soon, 0, NULL);
}

/* Ends the program without waiting for its workers, which may still run: their
 * interpreters are left as they are. */
static _Noreturn void leave(int status) {
  closing = 1;
  lfb_trace_end();
  lfb_repl_close();
  lf_terminal_abandon();
  settle(stdout);
  settle(stderr);
  if (!lf_streams_are_free())
    _exit(status);
  exit(status);
}

/* os.exit([code [, close]]) in the program itself. */
static int os_exit(lua_State *L) {
  int status = lfb_exit_status(L);
  if (!closing) { /* a finalizer may call this from within lua_close */
    bool close = lua_toboolean(L, 2);
    lfb_program_abandon(L);
    closing = 1;
    print_stats(L);
    lfb_program_report_no_more();
    if (close)
      lua_close(L);
  }
  leave(status);
}

/* ===== Running chunks ===== */

/* Message handler. */
static int with_traceback(lua_State *L) {
  int n = lfb_with_traceback(L);
  uncaught = lfb_interrupts > 0 && lfb_says_interrupted(lua_tostring(L, 2));
  return n;
}

/* Calls the function below its 'nargs' arguments. */
static int call(lua_State *L, int nargs, int nresults) {
  int function = lua_gettop(L) - nargs;
  lua_pushcfunction(L, with_traceback);
  lua_insert(L, function);
  int status = lua_pcall(L, nargs, nresults, function);
  lua_remove(L, function);
  return status;
}

/* Prints the message on the top and pops it, unless all went well. */
static bool report(lua_State *L, int status) {
  if (status == LUA_OK)
    return true;
  const char *message = lua_tostring(L, -1);
  print_error(message ? message : "(error object is not a string)");
  lua_pop(L, 1);
  return false;
}

/* Runs a chunk that was loaded with 'status'. */
static bool run_chunk(lua_State *L, int status) {
  if (status == LUA_OK)
    status = call(L, 0, 0);
  return report(L, status);
}

static bool run_string(lua_State *L, const char *text, const char *name) {
  return run_chunk(L, luaL_loadbuffer(L, text, strlen(text), name));
}

static bool run_file(lua_State *L, const char *name) {
  return run_chunk(L, luaL_loadfile(L, name));
}

/* ===== The steps of the program: each is false when it ends in an error =====
 */

static bool run_init(lua_State *L) {
  const char *name = "=LUA_INIT" LUA_VERSUFFIX;
  const char *init = getenv(name + 1);
  if (!init) {
    name = "=LUA_INIT";
    init = getenv(name + 1);
  }
  if (!init)
    return true;
  return init[0] == '@' ? run_file(L, init + 1) : run_string(L, init, name);
}

/* "mod" or "global=mod" */
static bool require_library(lua_State *L, const char *text) {
  const char *equals = strchr(text, '=');
  lua_getglobal(L, "require");
  lua_pushstring(L, equals ? equals + 1 : text);
  int status = call(L, 1, 1);
  if (status == LUA_OK) {
    lua_pushglobaltable(L);
    lua_pushlstring(L, text, equals ? (size_t)(equals - text) : strlen(text));
    lua_rotate(L, -3, -1);
    lua_settable(L, -3);
    lua_pop(L, 1);
  }
  return report(L, status);
}

static bool run_actions(lua_State *L, const struct options *o) {
  for (int i = 0; i < o->action_count; i++) {
    const struct action *a = &o->actions[i];
    if (a->what == 'W')
      lfb_program_warn(L);
    else if (a->what == 'l' && !require_library(L, a->text))
      return false;
    else if (a->what == 'e' && !run_string(L, a->text, "=(command line)"))
      return false;
  }
  return true;
}

/* Pushes the elements of 'arg', which the script sees as '...'. */
static int push_args(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE)
    luaL_error(L, "'arg' is not a table");
  int count = (int)luaL_len(L, -1);
  luaL_checkstack(L, count + 3, "too many arguments to script");
  for (int i = 1; i <= count; i++)
    lua_rawgeti(L, -i, i);
  lua_remove(L, -count - 1);
  return count;
}

static bool run_script(lua_State *L, char **argv, int script) {
  const char *name = argv[script];
  bool is_stdin = strcmp(name, "-") == 0 && strcmp(argv[script - 1], "--") != 0;
  int status = luaL_loadfile(L, is_stdin ? NULL : name);
  if (status == LUA_OK)
    status = call(L, push_args(L), 0);
  return report(L, status);
}

static void print_results(lua_State *L) {
  int count = lua_gettop(L);
  if (count == 0)
    return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (lua_pcall(L, count, 0, 0) == LUA_OK)
    return;
  lua_pushfstring(L, "error calling 'print' (%s)", lua_tostring(L, -1));
  report(L, LUA_ERRRUN);
}

static void run_prompt(lua_State *L) {
  int status;
  at_prompt = true;
  lua_settop(L, 0);
  lfb_repl_open(L);
  while ((status = lfb_repl_read(L)) >= LUA_OK) {
    if (status == LUA_OK)
      status = call(L, 0, LUA_MULTRET);
    if (report(L, status))
      print_results(L);
    lua_settop(L, 0);
  }
  lfb_repl_close();
  putchar('\n');
  at_prompt = false;
}

static bool run_stdin(lua_State *L) {
  if (!isatty(STDIN_FILENO))
    return run_file(L, NULL);
  print_version();
  run_prompt(L);
  return true;
}

static bool run_all(lua_State *L, const struct options *o, int argc,
                    char **argv) {
  if (!o->ignore_environment && !run_init(L))
    return false;
  if (!run_actions(L, o))
    return false;
  if (o->script < argc && !run_script(L, argv, o->script))
    return false;
  if (o->interactive)
    run_prompt(L);
  else if (o->script == argc && !o->statement && !o->version)
    return run_stdin(L);
  return true;
}

/* ===== The whole ===== */

/* arg[0] is the script; options lie below, its arguments above. */
static void set_arg(lua_State *L, int argc, char **argv, int script) {
  if (script == argc)
    script = 0;
  lua_createtable(L, argc - script, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static void open_libraries(lua_State *L) {
  luaL_openlibs(L);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, os_exit);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}

/* What run_program gets. */
struct program {
  struct options *options;
  int argc;
  char **argv;
};

/* (program) -> did all go well? Raises when a preparation fails. */
static int run_program(lua_State *L) {
  const struct program *p = lua_touserdata(L, 1);
  const struct options *o = p->options;
  luaL_checkversion(L);
  if (o->version)
    print_version();
  if (o->ignore_environment) { /* the libraries look at this */
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  lfb_warn_control(L, false); /* whatever they begin with */
  open_libraries(L);
  set_arg(L, p->argc, p->argv, o->script);
  lfb_gc_young(L);
  lfb_program_init(L, o->workers);
  stats = o->stats;
  json = o->json;
  if (stats)
    lfb_stats_begin();
  if (o->trace)
    lfb_trace_begin(o->trace);
  catch_interrupts();
  lfb_program_report();
  bool good = run_all(L, o, p->argc, p->argv);
  if (good) {
    lua_pushcfunction(L, lfb_finish);
    good = report(L, call(L, 0, 0));
  }
  lua_pushboolean(L, good);
  return 1;
}

/* Returns at the normal end only. */
static void run(lua_State *L, struct program *p) {
  lua_pushcfunction(L, run_program);
  lua_pushlightuserdata(L, p);
  bool good = report(L, lua_pcall(L, 1, 1, 0)) && lua_toboolean(L, -1);
  if (!good) {
    lfb_program_abandon(L);
    closing = 1;
    if (uncaught)
      lfb_program_linger(L);
    print_stats(L);
    leave(uncaught ? STATUS_INTERRUPTED : EXIT_FAILURE);
  }
  closing = 1;
  print_stats(L);
  lfb_program_report_no_more();
  bool busy = lfb_is_busy(L);
  lua_close(L);
  if (busy) /* daemons */
    leave(EXIT_SUCCESS);
}

static int start(struct program *p) {
  struct options *o = p->options;
  if (!o->actions || !parse_options(o, p->argc, p->argv))
    return EXIT_FAILURE;
  if (o->only_help)
    return print_usage(stdout), EXIT_SUCCESS;
  if (o->only_version)
    return print_version(), EXIT_SUCCESS;
  if (!parse_environment(o))
    return EXIT_FAILURE;
  lua_State *L = luaL_newstate();
  if (!L) {
    print_error("cannot create state: " LF_NO_MEMORY);
    return EXIT_FAILURE;
  }
  run(L, p);
  return EXIT_SUCCESS;
}

/* The numbers of streams that are closed are nobody else's: what is written to
 * stderr is not to go into a file that has been opened since. They stay of no
 * use, as they are: open, but the wrong way round. */
static void occupy_closed_streams(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv) {
  occupy_closed_streams();
  if ((argc == 5 || argc == 6) && strcmp(argv[1], LF_SERVE_OPTION) == 0)
    lfb_spawned_main(argv, lfb_lib_open);
  on_exit(guard_end, NULL); /* the first is the last */
  if (argc >= 2 && strcmp(argv[1], "cluster") == 0)
    return lfb_cluster_command(argc, argv);
  struct options options = {
      .actions = calloc((size_t)argc + 1, sizeof(struct action))};
  struct program program = {&options, argc, argv};
  int status = start(&program);
  free(options.actions);
  return status;
}
