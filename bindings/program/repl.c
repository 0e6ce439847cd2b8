/* SPDX-License-Identifier: MIT
 *
 * The prompt: lines from readline, libedit or plain stdio, put together into
 * chunks. While a line is awaited SIGINT is ours, and the line is abandoned. */
#include "bindings/program/repl.h"

#include "bindings/core/state.h"

#include <lauxlib.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#if defined(LF_READLINE)
#include <readline/history.h>
#include <readline/readline.h>
#define LINE_EDITOR 1
#elif defined(LF_LIBEDIT)
#include <editline/readline.h>
#define LINE_EDITOR 1
#endif

/* What reading a line can come to, besides a line. */
enum { LINE, LINE_EOF, LINE_ABANDONED };

static volatile sig_atomic_t abandoned;

static void on_interrupt(int sig) {
  (void)sig;
  abandoned = 1;
}

/* The length of the name at the beginning, or 0: there is none. */
static size_t name_length(const char *s) {
  return *s >= '0' && *s <= '9'
             ? 0
             : strspn(s, "0123456789_abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

#ifdef LINE_EDITOR

enum { HISTORY_LINES = 1000 };

static bool editing;         /* the line editor is in use */
static char *history_path;   /* where lines are kept, or NULL */
static lua_State *completer; /* whose globals are completed */

/* Recent readlines catch signals while the terminal is theirs, and hand them on
 * when asked; elsewhere on_interrupt sees Ctrl-C by itself. */
#if defined(LF_READLINE) && RL_READLINE_VERSION >= 0x0800
#define EDITOR_CATCHES_SIGNALS 1
#define check_signals() rl_check_signals()
#define signal_pending() rl_pending_signal()
#else
#define EDITOR_CATCHES_SIGNALS 0
#define check_signals() ((void)0)
#define signal_pending() 0
#endif

/* Waits for a key; false if a signal has to be looked at first. SIGINT is let
 * in only while pselect waits: just before, the next key would get ahead of
 * it. */
static bool await_key(int fd) {
  sigset_t interrupt, before;
  fd_set keys;
  bool ready = false;
  FD_ZERO(&keys);
  FD_SET(fd, &keys);
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, &before);
  if (!abandoned && !signal_pending())
    ready =
        pselect(fd + 1, &keys, NULL, NULL, NULL, &before) > 0 || errno != EINTR;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ready && !abandoned && !signal_pending();
}

/* Reads a key for the editor. After Ctrl-C it pretends that Enter was pressed,
 * as often as needed to get out of whatever the editor is in the middle of. */
static int read_key(FILE *in) {
  unsigned char key;
  while (!abandoned) {
    if (!await_key(fileno(in))) {
      check_signals();
      continue;
    }
    ssize_t n = read(fileno(in), &key, 1);
    if (n == 1)
      return key;
    if (n == 0 || errno != EINTR)
      return EOF;
  }
  return '\n';
}

/* Is the metatable at the top one of lfut's? */
static bool is_own(lua_State *L) {
  lua_pushliteral(L, "__metatable");
  lua_rawget(L, -2);
  const char *mark = lua_tostring(L, -1);
  bool own = mark && strcmp(mark, "lfut") == 0;
  lua_pop(L, 1);
  return own;
}

/* Replaces the value on the top by the table its fields are looked up in: the
 * value itself, unless it is an object of lfut's, or __index of its metatable,
 * which may be a function with the methods. False: there is none. */
static bool fields_of_top(lua_State *L) {
  bool table = lua_istable(L, -1), meta = lua_getmetatable(L, -1);
  if (table && !(meta && is_own(L))) {
    lua_pop(L, meta);
    return true;
  }
  if (!meta)
    return false;
  lua_pushliteral(L, "__index");
  lua_rawget(L, -2);
  if (lua_iscfunction(L, -1))
    lua_getupvalue(L, -1, 2);
  return lua_istable(L, -1);
}

/* Is the key below the value at the top, of the table below, for everybody? The
 * module's tables are only there to travel by their names. */
static bool is_public(lua_State *L, const char *key, const char *name) {
  if (key[0] == '_' && name[0] != '_')
    return false;
  lfb_push_ref(L, LFB_REF_MODULE);
  bool module = lua_rawequal(L, -1, -4);
  lua_pop(L, 1);
  return !module || !lua_istable(L, -1);
}

/* Appends to the list at 'list' each name of the table on the top that begins
 * with 'name', the text before it in front. */
static void add_matches(lua_State *L, int list, const char *text,
                        const char *name) {
  size_t length = strlen(name);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      continue;
    const char *key = lua_tostring(L, -2);
    if (name_length(key) != lua_rawlen(L, -2) ||
        strncmp(key, name, length) != 0 || !is_public(L, key, name))
      continue;
    lua_pushlstring(L, text, (size_t)(name - text));
    lua_pushstring(L, key);
    lua_concat(L, 2);
    lua_rawseti(L, list, ++count);
  }
}

/* (text) -> list of completions of "a.b.c" or "a.b:c". */
static int complete(lua_State *L) {
  const char *text = lua_touserdata(L, 1);
  const char *name = text;
  lua_newtable(L);
  int list = lua_gettop(L);
  lua_pushglobaltable(L);
  for (;;) {
    if (!fields_of_top(L))
      break;
    lua_copy(L, -1, list + 1);
    lua_settop(L, list + 1);
    size_t length = name_length(name);
    if (name[length] != '.' && name[length] != ':') {
      add_matches(L, list, text, name);
      break;
    }
    lua_pushlstring(L, name, length);
    lua_rawget(L, -2);
    name += length + 1;
  }
  lua_settop(L, list);
  return 1;
}

/* The editor asks for one match after the other; the list is on the stack. */
static char *next_match(const char *text, int state) {
  static lua_Integer next;
  (void)text;
  if (state == 0)
    next = 0;
  char *match = NULL;
  lua_rawgeti(completer, -1, ++next);
  if (lua_isstring(completer, -1))
    match = strdup(lua_tostring(completer, -1));
  lua_pop(completer, 1);
  return match;
}

static char **find_matches(const char *text, int start, int end) {
  char **matches = NULL;
  (void)start;
  (void)end;
  rl_attempted_completion_over = 1; /* no names of files */
  rl_completion_append_character = '\0';
  lua_pushcfunction(completer, complete);
  lua_pushlightuserdata(completer, (void *)text);
  if (lua_pcall(completer, 1, 1, 0) == LUA_OK)
    matches = rl_completion_matches(text, next_match);
  lua_pop(completer, 1);
  return matches;
}

static void open_history(void) {
  const char *home = getenv("HOME");
  using_history();
  stifle_history(HISTORY_LINES);
  if (!home || !*home || asprintf(&history_path, "%s/.lfut_history", home) < 0)
    history_path = NULL;
  else
    read_history(history_path);
}

static void open_editor(lua_State *L) {
  editing = isatty(STDIN_FILENO);
  if (!editing)
    return;
  completer = L;
  rl_readline_name = "lfut";
  rl_catch_signals = EDITOR_CATCHES_SIGNALS;
  rl_getc_function = read_key;
  rl_attempted_completion_function = find_matches;
  rl_completer_word_break_characters = (char *)" \t\n\"'`~!@#$%^&*()-+={}[]|"
                                               "\\;<>,?/";
  open_history();
}

static void close_editor(void) {
  if (editing && history_path)
    write_history(history_path);
  free(history_path);
  history_path = NULL;
  editing = false;
}

static void remember(const char *line) {
  if (editing && *line)
    add_history(line);
}

/* Pushes a line, without its newline. */
static int read_edited(lua_State *L, const char *prompt) {
  char *line = readline(prompt);
  if (abandoned) {
    free(line);
    return LINE_ABANDONED;
  }
  if (!line)
    return LINE_EOF;
  lua_pushstring(L, line);
  free(line);
  return LINE;
}

#else

enum { editing = 0 };
#define open_editor(L) ((void)(L))
#define close_editor() ((void)0)
#define remember(line) ((void)(line))
#define read_edited(L, prompt) (LINE_EOF)

#endif

static int read_plain(lua_State *L, const char *prompt) {
  luaL_Buffer line;
  char part[512];
  bool some = false;
  fputs(prompt, stdout);
  fflush(stdout);
  luaL_buffinit(L, &line);
  while (fgets(part, sizeof part, stdin)) {
    size_t length = strlen(part);
    bool whole = length > 0 && part[length - 1] == '\n';
    luaL_addlstring(&line, part, length - whole);
    some = true;
    if (whole)
      break;
  }
  luaL_pushresult(&line);
  if (!abandoned && some)
    return LINE;
  lua_pop(L, 1);
  clearerr(stdin);
  if (abandoned)
    putchar('\n');
  return abandoned ? LINE_ABANDONED : LINE_EOF;
}

/* Pushes the text of a prompt: the script may have chosen one. */
static const char *push_prompt(lua_State *L, bool first) {
  if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TNIL)
    lua_pushstring(L, first ? "> " : ">> ");
  else
    luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* Pushes a line if it returns LINE. */
static int read_line(lua_State *L, bool first) {
  struct sigaction ours = {.sa_handler = on_interrupt}, before;
  const char *prompt = push_prompt(L, first);
  abandoned = 0;
  sigaction(SIGINT, &ours, &before);
  int what = editing ? read_edited(L, prompt) : read_plain(L, prompt);
  sigaction(SIGINT, &before, NULL);
  lua_remove(L, what == LINE ? -2 : -1);
  return what;
}

static int load_text(lua_State *L, const char *text, size_t length) {
  return luaL_loadbufferx(L, text, length, "=stdin", "t");
}

/* With a line on the top: pushes it compiled as an expression, or nothing. */
static bool load_expression(lua_State *L) {
  const char *text = lua_pushfstring(L, "return %s", lua_tostring(L, -1));
  int status = load_text(L, text, strlen(text));
  lua_remove(L, -2);
  if (status != LUA_OK)
    lua_pop(L, 1);
  return status == LUA_OK;
}

/* Does the message on the top say that the chunk has to go on? */
static bool is_incomplete(lua_State *L, int status) {
  size_t length, mark = strlen("<eof>");
  const char *message = lua_tolstring(L, -1, &length);
  return status == LUA_ERRSYNTAX && message && length >= mark &&
         strcmp(message + length - mark, "<eof>") == 0;
}

/* Replaces the line on the top by a function or a message, reading more lines
 * as long as the chunk is incomplete. */
static int load_statements(lua_State *L, int *what) {
  for (;;) {
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    int status = load_text(L, text, length);
    if (!is_incomplete(L, status) || (*what = read_line(L, false)) != LINE) {
      remember(text);
      lua_remove(L, -2);
      return status;
    }
    lua_remove(L, -2); /* the message */
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
}

/* A leading '=' prints a value, as it did in Lua 5.1. */
static void translate_equals(lua_State *L) {
  const char *line = lua_tostring(L, -1);
  if (line[0] != '=')
    return;
  lua_pushfstring(L, "return %s", line + 1);
  lua_remove(L, -2);
}

/* --- Locals ---
 *
 * A local variable would end with its line: so "local exe <close> = ..." is
 * taken for "exe = ...". */

static const char *skip_space(const char *s) {
  return s + strspn(s, " \t");
}

/* Adds the names at 's', without their attributes; returns what follows them.
 * NULL: they are not as they should be. */
static const char *add_names(luaL_Buffer *out, const char *s) {
  for (;; s = skip_space(s + 1)) {
    size_t n = name_length(s);
    if (n == 0)
      return NULL;
    luaL_addlstring(out, s, n);
    s = skip_space(s + n);
    if (*s == '<' && !(s = strchr(s, '>')))
      return NULL;
    s = *s == '>' ? skip_space(s + 1) : s;
    if (*s != ',')
      return s;
    luaL_addstring(out, ", ");
  }
}

/* The same line without 'local' is pushed; false: it does not begin so. */
static bool push_global(lua_State *L, const char *line) {
  luaL_Buffer out;
  const char *s = skip_space(line);
  size_t n = name_length(s);
  if (n != strlen("local") || strncmp(s, "local", n) != 0)
    return false;
  s = skip_space(s + n);
  if (name_length(s) == strlen("function") &&
      strncmp(s, "function", strlen("function")) == 0) {
    lua_pushstring(L, s);
    return true;
  }
  luaL_buffinit(L, &out);
  s = add_names(&out, s);
  bool fine = s && (*s == '=' || *s == ';' || *s == '\0');
  if (fine && *s != '=')
    luaL_addstring(&out, " = nil");
  luaL_addstring(&out, fine ? s : "");
  luaL_pushresult(&out);
  if (!fine)
    lua_pop(L, 1);
  return fine;
}

/* Replaces the line at the top; the first time it is told. */
static void keep_locals(lua_State *L) {
  static bool told;
  if (!push_global(L, lua_tostring(L, -1)))
    return;
  lua_remove(L, -2);
  if (!told)
    fputs("(a local variable would end with its line: here it is global)\n",
          stderr);
  told = true;
}

void lfb_repl_open(lua_State *L) {
  open_editor(L);
}

void lfb_repl_close(void) {
  close_editor();
}

int lfb_repl_read(lua_State *L) {
  for (;;) {
    int status = LUA_OK, what = read_line(L, true);
    if (what == LINE_EOF)
      return -1;
    if (what == LINE_ABANDONED)
      continue;
    translate_equals(L);
    keep_locals(L);
    if (load_expression(L)) {
      remember(lua_tostring(L, -2));
      lua_remove(L, -2);
      return LUA_OK;
    }
    status = load_statements(L, &what);
    if (what != LINE_ABANDONED)
      return status;
    lua_pop(L, 1);
  }
}
