/* SPDX-License-Identifier: MIT
 *
 * See server.h. A private server is watched as the child that it is. One that
 * stays leaves its parent, us; but as long as it lives it has the other end of
 * a pipe. */
#include "runtime/cluster/server.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "redis-server"
#define TEMPLATE "/lfut-XXXXXX"
#define SOCKET "/redis.sock"
#define LOG "/redis.log"
#define CONF "/redis.conf"
#define PIDFILE "/redis.pid"

enum { PRIVATE_S = 10, STAYS_S = 60, END_S = 2 };

/* --- Files --- */

/* One that is in a directory. */
typedef struct {
  char text[PATH_MAX + 32];
} path;

static path in(const char *dir, const char *name) {
  path p;
  snprintf(p.text, sizeof p.text, "%.*s%s", PATH_MAX, dir, name);
  return p;
}

static bool is_program(const char *file) {
  struct stat st;
  return stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0;
}

/* In PATH. */
static bool find_program(path *out, char *why, size_t size) {
  const char *from = getenv("PATH");
  if (!from)
    from = "/usr/local/bin:/usr/bin:/bin";
  for (size_t len; *from; from += len + (from[len] == ':')) {
    len = strcspn(from, ":");
    if (len == 0 || len >= PATH_MAX)
      continue;
    snprintf(out->text, sizeof out->text, "%.*s/" PROGRAM, (int)len, from);
    if (is_program(out->text))
      return true;
  }
  snprintf(why, size,
           "cannot find " PROGRAM ": install Debian's package " PROGRAM);
  return false;
}

/* --- What it has logged --- */

static off_t size_of(const char *file) {
  struct stat st;
  return stat(file, &st) == 0 ? st.st_size : 0;
}

/* The end of it, as a string, but nothing before 'from'. */
static void read_log(const char *log, off_t from, char *text, size_t size) {
  off_t end = size_of(log), most = (off_t)size - 1;
  int fd = open(log, O_RDONLY | O_CLOEXEC);
  ssize_t n =
      fd < 0 ? 0
             : pread(fd, text, size - 1, end - from > most ? end - most : from);
  if (fd >= 0)
    close(fd);
  text[n > 0 ? n : 0] = '\0';
}

/* The last line, without process, date and level; changes the text. */
static const char *last_line(char *text) {
  size_t len = strlen(text);
  while (len > 0 && text[len - 1] == '\n')
    text[--len] = '\0';
  char *newline = strrchr(text, '\n');
  const char *line = newline ? newline + 1 : text;
  int skip = 0;
  sscanf(line, "%*d:%*c %*d %*s %*d %*s %*c %n", &skip);
  return line + skip;
}

/* --- Starting --- */

/* Between fork and exec, and until it listens. */
typedef struct {
  const char *program;
  char *const *argv;
  const char *log;
  const char *socket; /* NULL: the log says when it listens */
  off_t from;         /* where the log begins that is its own */
  int pipe[2];        /* -1: it is private */
  pid_t parent, pid;
} start;

/* Nothing of the program's stays open. Errors from before the log is opened are
 * in it, too. */
static void set_descriptors(const start *s) {
  int end = s->pipe[1] < 0 ? -1 : fcntl(s->pipe[1], F_DUPFD, 3);
  for (int fd = 0; fd < 3; fd++)
    close(fd);
  open("/dev/null", O_RDWR);
  if (open(s->log, O_WRONLY | O_APPEND | O_CREAT, 0600) < 0)
    dup2(0, 1);
  dup2(1, 2);
  if (end > 3)
    dup2(end, 3);
  close_range(end < 0 ? 3 : 4, ~0U, 0);
}

/* The child, in which only async-signal-safe calls may be made. Redis sets
 * handlers for SIGINT and SIGTERM, whatever these do: no terminal is to reach
 * it. */
static _Noreturn void become_server(const start *s) {
  sigset_t none;
  if (s->socket) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != s->parent) /* it has died already */
      _exit(EXIT_FAILURE);
  }
  setsid();
  umask(077);
  signal(SIGINT, SIG_IGN);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  set_descriptors(s);
  execv(s->program, s->argv);
  const char *error = strerrordesc_np(errno);
  ssize_t n = error ? write(STDERR_FILENO, error, strlen(error)) : 0;
  _exit(n < 0 ? 126 : 127);
}

static bool has_begun(const start *s) {
  char text[4096];
  if (!s->socket) {
    read_log(s->log, s->from, text, sizeof text);
    return strstr(text, "eady to accept connections") != NULL;
  }
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  snprintf(to.sun_path, sizeof to.sun_path, "%s", s->socket);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  bool has = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
  close(fd);
  return has;
}

static bool child_has_ended(pid_t pid) {
  siginfo_t info = {.si_pid = 0};
  return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         info.si_pid != 0;
}

static bool has_ended(const start *s) {
  struct pollfd p = {.fd = s->pipe[0]};
  return p.fd < 0 ? child_has_ended(s->pid) : poll(&p, 1, 0) > 0;
}

static void nap(void) {
  struct timespec moment = {.tv_nsec = 1000000};
  nanosleep(&moment, NULL);
}

/* Why it does not listen; the log of a private one is about to go. */
static void say(const start *s, bool ended, char *why, size_t size) {
  char text[4096];
  read_log(s->log, s->from, text, sizeof text);
  const char *line = last_line(text);
  snprintf(why, size, PROGRAM " %s%s%s%s%s",
           ended ? "has ended" : "does not listen in time", line[0] ? ": " : "",
           line, s->socket ? "" : "; see ", s->socket ? "" : s->log);
}

static bool await_begin(const start *s, int seconds, char *why, size_t size) {
  int64_t deadline = lf_after(seconds);
  for (;;) {
    bool ended = has_ended(s);
    if (!ended && has_begun(s))
      return true;
    if (ended || lf_is_past(deadline)) {
      say(s, ended, why, size);
      return false;
    }
    nap();
  }
}

static bool fork_server(start *s, char *why, size_t size) {
  lf_fork_want_ends();
  s->from = size_of(s->log);
  s->parent = getpid();
  errno = ENOMEM;
  s->pid = lf_mem_refuse() ? -1 : fork();
  if (s->pid == 0)
    become_server(s);
  if (s->pid < 0)
    snprintf(why, size, "cannot start " PROGRAM ": %s", strerror(errno));
  return s->pid > 0;
}

static void reap(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* --- A private one --- */

/* Is it set, and a directory of ours? */
static const char *runtime_dir(void) {
  const char *dir = getenv("XDG_RUNTIME_DIR");
  struct stat st;
  return dir && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
                 st.st_uid == geteuid()
             ? dir
             : NULL;
}

/* In the first of the places where the socket's path is not too long. */
static bool make_private_dir(lf_server *s, char *why, size_t size) {
  const char *bases[] = {runtime_dir(), getenv("TMPDIR"), "/tmp"}, *base;
  const size_t more = sizeof TEMPLATE SOCKET;
  for (size_t i = 0; i < 3; i++) {
    base = bases[i];
    if (base && base[0] == '/' && strlen(base) + more <= sizeof s->socket)
      break;
  }
  stpcpy(stpcpy(s->dir, base), TEMPLATE);
  if (!mkdtemp(s->dir)) {
    s->dir[0] = '\0';
    snprintf(why, size, "cannot make a directory in '%s': %s", base,
             strerror(errno));
    return false;
  }
  stpcpy(stpcpy(s->socket, s->dir), SOCKET);
  return true;
}

static bool start_private(lf_server *s, const char *program, char *why,
                          size_t size) {
  path log = in(s->dir, LOG);
  const char *argv[] = {PROGRAM,   "--port",
                        "0",       "--unixsocket",
                        s->socket, "--daemonize",
                        "no",      "--save",
                        "",        "--appendonly",
                        "no",      "--dir",
                        s->dir,    "--logfile",
                        log.text,  "--unixsocketperm",
                        "700",     NULL};
  start its = {.program = program,
               .argv = (char *const *)argv,
               .log = log.text,
               .socket = s->socket,
               .pipe = {-1, -1}};
  if (!fork_server(&its, why, size))
    return false;
  s->pid = its.pid;
  return await_begin(&its, PRIVATE_S, why, size);
}

bool lf_server_private(lf_server *s, char *why, size_t size) {
  path program;
  *s = (lf_server){.generation = lf_generation};
  if (find_program(&program, why, size) && make_private_dir(s, why, size) &&
      start_private(s, program.text, why, size))
    return true;
  lf_server_end(s);
  return false;
}

static void end_process(pid_t pid) {
  int64_t deadline = lf_after(END_S);
  int sig = SIGTERM;
  while (!child_has_ended(pid)) { /* so the number is still its own */
    if (sig)
      kill(pid, sig);
    nap();
    sig = lf_is_past(deadline) ? SIGKILL : 0;
  }
  reap(pid);
}

static int remove_one(const char *name, const struct stat *st, int type,
                      struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  remove(name);
  return 0;
}

void lf_server_end(lf_server *s) {
  if (!lf_is_foreign(s->generation)) {
    if (s->pid > 0)
      end_process(s->pid);
    if (s->dir[0])
      nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  }
  *s = (lf_server){0};
}

/* --- One that stays --- */

/* 'out' receives its path from the root on. */
static bool make_dir(const char *dir, char out[PATH_MAX], char *why,
                     size_t size) {
  struct stat st;
  if ((mkdir(dir, 0700) == 0 || errno == EEXIST) && realpath(dir, out) &&
      stat(out, &st) == 0) {
    if (S_ISDIR(st.st_mode))
      return true;
    errno = ENOTDIR;
  }
  snprintf(why, size, "cannot use the directory '%s': %s", dir,
           strerror(errno));
  return false;
}

/* Two servers would ruin each other's data. One works where its data is. */
static bool is_free(const char *dir, char *why, size_t size) {
  char proc[64], there[PATH_MAX];
  int pid = 0;
  FILE *f = fopen(in(dir, PIDFILE).text, "re");
  if (f && fscanf(f, "%d", &pid) != 1)
    pid = 0;
  if (f)
    fclose(f);
  snprintf(proc, sizeof proc, "/proc/%d/cwd", pid);
  ssize_t n = pid > 0 ? readlink(proc, there, sizeof there) : -1;
  if (n < 0 || (size_t)n != strlen(dir) || memcmp(there, dir, (size_t)n) != 0)
    return true;
  snprintf(why, size, "there is a server in '%s' already (process %d)", dir,
           pid);
  return false;
}

static bool needs_escape(char c) {
  return (unsigned char)c < ' ' || (unsigned char)c > '~' || c == '"' ||
         c == '\\';
}

/* 'value' and 'more' as one word, whatever bytes are in it. */
static void put_setting(FILE *f, const char *name, const char *value,
                        const char *more) {
  fprintf(f, "%s \"", name);
  for (; *value; value++)
    fprintf(f, needs_escape(*value) ? "\\x%02x" : "%c", (unsigned char)*value);
  fprintf(f, "%s\"\n", more);
}

static void put_settings(FILE *f, const lf_server_options *o, const char *dir) {
  put_setting(f, "bind", o->bind ? o->bind : "127.0.0.1", "");
  fprintf(f, "port %d\n", o->port);
  if (o->password)
    put_setting(f, "requirepass", o->password, "");
  put_setting(f, "dir", dir, "");
  put_setting(f, "pidfile", dir, PIDFILE);
  put_setting(f, "logfile", dir, LOG);
  fprintf(f, "loglevel notice\n" /* it says when it listens */
             "protected-mode yes\n"
             "daemonize yes\n"
             "appendonly yes\n"
             "maxmemory-policy noeviction\n");
}

static bool write_conf(const lf_server_options *o, const char *dir, char *why,
                       size_t size) {
  path conf = in(dir, CONF);
  unlink(conf.text);
  int fd = open(conf.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
  if (f) {
    put_settings(f, o, dir);
    bool failed = ferror(f);
    if (fclose(f) == 0 && !failed)
      return true;
  }
  snprintf(why, size, "cannot write '%s': %s", conf.text, strerror(errno));
  return false;
}

/* The child ends as soon as it has forked the server. */
static bool start_staying(start *s, char *why, size_t size) {
  if (!fork_server(s, why, size))
    return false;
  lf_fd_close(s->pipe[1]);
  s->pipe[1] = -1;
  bool begun = await_begin(s, STAYS_S, why, size);
  if (!begun)
    kill(s->pid, SIGKILL);
  reap(s->pid);
  return begun;
}

static bool start_in(const char *dir, const char *program, char *why,
                     size_t size) {
  path conf = in(dir, CONF), log = in(dir, LOG);
  char *argv[] = {(char *)PROGRAM, conf.text, NULL};
  start s = {.program = program, .argv = argv, .log = log.text};
  if (pipe2(s.pipe, O_CLOEXEC) != 0) {
    snprintf(why, size, "cannot start " PROGRAM ": %s", strerror(errno));
    return false;
  }
  lf_fd_own(s.pipe[0]);
  lf_fd_own(s.pipe[1]);
  bool begun = start_staying(&s, why, size);
  lf_fd_close(s.pipe[0]);
  lf_fd_close(s.pipe[1]);
  return begun;
}

bool lf_server_up(const lf_server_options *o, char *why, size_t size) {
  char dir[PATH_MAX];
  path program;
  if (o->port < 1 || o->port > 65535) {
    snprintf(why, size, "port must be 1 to 65535, not %d", o->port);
    return false;
  }
  return find_program(&program, why, size) &&
         make_dir(o->dir, dir, why, size) && is_free(dir, why, size) &&
         write_conf(o, dir, why, size) &&
         start_in(dir, program.text, why, size);
}

void lf_server_password(char out[33]) {
  unsigned char bytes[16];
  while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    lf_check(errno == EINTR);
  for (int i = 0; i < 16; i++)
    snprintf(out + 2 * i, 3, "%02x", bytes[i]);
  explicit_bzero(bytes, sizeof bytes);
}
