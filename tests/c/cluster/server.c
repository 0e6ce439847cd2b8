/* SPDX-License-Identifier: MIT
 *
 * runtime/cluster/server.h: servers are there and answer, or are gone. All they
 * make is in a directory of the test's. */
#include "tests/c/fake.h"

#include "runtime/cluster/server.h"
#include "runtime/os/fork.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64], why[512];

static int begin(void **state) {
  snprintf(base, sizeof base, "/tmp/lfut-server-XXXXXX");
  setenv("XDG_RUNTIME_DIR", mkdtemp(base), 1);
  strcpy(why, "");
  return fake_begin(state);
}

/* Nothing is left but what the test has noted. */
static int end(void **state) {
  assert_int_equal(rmdir(base), 0);
  return fake_end(state);
}

static int remove_one(const char *name, const struct stat *st, int type,
                      struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  return remove(name);
}

static void remove_all(const char *dir) {
  assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* There may be none on the machine. */
static void needs_redis(void) {
  if (system("command -v redis-server > /dev/null") != 0)
    skip();
}

static bool says(const char *part) {
  bool is_in = strstr(why, part) != NULL;
  if (!is_in)
    print_error("'%s' is not in '%s'\n", part, why);
  return is_in;
}

/* --- Processes and connections --- */

static bool is_alive(pid_t pid) {
  char path[64], state = 'X';
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
    state = 'X';
  if (f)
    fclose(f);
  return state != 'X' && state != 'Z';
}

/* Waits until the process has ended, whosever child it is. (Valgrind knows no
 * such descriptors.) */
static void await_end(pid_t pid) {
  struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0),
                     .events = POLLIN};
  if (p.fd >= 0)
    assert_int_equal(poll(&p, 1, -1), 1);
  else
    until(!is_alive(pid));
  close(p.fd);
}

static int connect_to(const struct sockaddr *to, socklen_t len) {
  int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, to, len), 0);
  return fd;
}

static int connect_socket(const char *path) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strcpy(to.sun_path, path);
  return connect_to((struct sockaddr *)&to, sizeof to);
}

static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static int connect_port(int port) {
  struct sockaddr_in to = loopback(port);
  return connect_to((struct sockaddr *)&to, sizeof to);
}

/* A descriptor with a port that is nobody else's as long as it is open. */
static int take_port(int *port) {
  struct sockaddr_in at = loopback(0);
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  *port = ntohs(at.sin_port);
  return fd;
}

/* The line that the server answers with. */
static const char *ask(int fd, const char *text) {
  static char line[256];
  size_t n = 0;
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
  while (n < sizeof line - 1 && (n == 0 || line[n - 1] != '\n'))
    assert_int_equal(read(fd, &line[n++], 1), 1);
  line[n] = '\0';
  return line;
}

static int mode_of(const char *dir, const char *name) {
  struct stat st;
  char path[256];
  snprintf(path, sizeof path, "%s%s", dir, name);
  assert_int_equal(stat(path, &st), 0);
  return st.st_mode & 0777;
}

/* --- Private ones --- */

static lf_server started(void) {
  lf_server s;
  if (!lf_server_private(&s, why, sizeof why))
    print_error("%s\n", why);
  assert_string_equal(why, "");
  assert_true(s.pid > 0);
  return s;
}

static void a_private_server_answers_and_goes(void **state) {
  (void)state;
  needs_redis();
  lf_server s = started();
  assert_memory_equal(s.dir, base, strlen(base));
  assert_memory_equal(s.dir + strlen(base), "/lfut-", 6);
  assert_int_equal(mode_of(s.dir, ""), 0700);
  assert_int_equal(mode_of(s.dir, "/redis.log"), 0600);
  assert_int_equal(getsid(s.pid), s.pid); /* Ctrl-C does not reach it */
  int fd = connect_socket(s.socket);
  assert_string_equal(ask(fd, "PING\r\n"), "+PONG\r\n");
  close(fd);
  lf_server was = s;
  lf_server_end(&s);
  assert_int_equal(kill(was.pid, 0), -1);
  assert_int_not_equal(access(was.dir, F_OK), 0);
  assert_int_equal(s.pid, 0);
  lf_server_end(&s);
}

/* Whatever the program has open, blocks and ignores. */
static void it_inherits_little(void **state) {
  (void)state;
  needs_redis();
  sigset_t all, before;
  char path[64], where[64] = "";
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  lf_server s = started();
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(ends[1]);
  assert_int_equal(read(ends[0], path, 1), 0); /* it has not got the other */
  close(ends[0]);
  snprintf(path, sizeof path, "/proc/%d/fd/0", (int)s.pid);
  assert_true(readlink(path, where, sizeof where - 1) > 0);
  assert_string_equal(where, "/dev/null");
  kill(s.pid, SIGTERM);
  await_end(s.pid); /* it was not blocked */
  lf_server_end(&s);
}

static void it_is_killed_if_it_does_not_end(void **state) {
  (void)state;
  needs_redis();
  lf_server s = started();
  int status;
  pid_t pid = s.pid;
  kill(pid, SIGSTOP);
  assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
  assert_true(WIFSTOPPED(status));
  lf_server_end(&s);
  assert_int_equal(kill(pid, 0), -1);
}

static void it_goes_with_a_parent_that_is_killed(void **state) {
  (void)state;
  needs_redis();
  int ends[2];
  lf_server s;
  assert_int_equal(pipe(ends), 0);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    if (!lf_server_private(&s, why, sizeof why) ||
        write(ends[1], &s, sizeof s) != sizeof s)
      _exit(1);
    for (;;)
      pause();
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], &s, sizeof s), sizeof s);
  close(ends[0]);
  int fd = connect_socket(s.socket);
  assert_string_equal(ask(fd, "PING\r\n"), "+PONG\r\n");
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  await_end(s.pid);
  close(fd);
  remove_all(s.dir);
}

static void it_is_the_parents_in_a_fork(void **state) {
  (void)state;
  needs_redis();
  lf_server s = started();
  int status;
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    lf_server_end(&s);
    _exit(s.pid != 0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  int fd = connect_socket(s.socket);
  assert_string_equal(ask(fd, "PING\r\n"), "+PONG\r\n");
  close(fd);
  lf_server_end(&s);
}

/* One whose name is a zero for each of the bytes. */
static void start_in_dir_of(int bytes, char socket[LF_SOCKET_PATH]) {
  char dir[LF_SOCKET_PATH];
  snprintf(dir, sizeof dir, "%s/%0*d", base, bytes, 0);
  assert_int_equal(mkdir(dir, 0700), 0);
  setenv("XDG_RUNTIME_DIR", dir, 1);
  lf_server s = started();
  close(connect_socket(s.socket));
  strcpy(socket, s.socket);
  lf_server_end(&s);
  rmdir(dir);
}

/* If the path of its socket would be too long, it is in the next place. */
static void it_is_where_there_is_room(void **state) {
  (void)state;
  needs_redis();
  char socket[LF_SOCKET_PATH];
  int most =
      (int)(LF_SOCKET_PATH - strlen(base) - sizeof "//lfut-XXXXXX/redis.sock");
  setenv("TMPDIR", base, 1);
  start_in_dir_of(most, socket);
  assert_int_equal(strlen(socket), LF_SOCKET_PATH - 1);
  start_in_dir_of(most + 1, socket);
  assert_int_equal(strlen(socket),
                   strlen(base) + strlen("/lfut-XXXXXX/redis.sock"));
  setenv("TMPDIR", "not/from/the/root", 1);
  start_in_dir_of(most + 1, socket);
  assert_memory_equal(socket, "/tmp/lfut-", 10);
  unsetenv("TMPDIR");
}

static void assert_no_server(const char *answer) {
  lf_server s;
  assert_false(lf_server_private(&s, why, sizeof why));
  assert_true(says(answer));
  assert_int_equal(s.pid, 0);
  assert_string_equal(s.dir, "");
}

/* With a program of that name that does what the text says, as the only one. */
static void assert_program_fails(const char *text, const char *answer) {
  char path[256], *before = strdup(getenv("PATH"));
  snprintf(path, sizeof path, "%s/redis-server", base);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
  setenv("PATH", base, 1);
  assert_no_server(answer);
  setenv("PATH", before, 1);
  free(before);
  unlink(path);
}

static void says_why_there_is_none(void **state) {
  (void)state;
  char *before = strdup(getenv("PATH")), path[] = "/nowhere::/tmp/";
  setenv("PATH", path, 1);
  assert_no_server("cannot find redis-server: install Debian's package "
                   "redis-server");
  setenv("PATH", before, 1);
  free(before);
  assert_program_fails("#!/bin/sh\necho one; echo \"1:M 01 Jan 2026 "
                       "00:00:00.000 # two: $4\"\necho\n",
                       "redis-server has ended: two: /tmp/lfut-server-");
  assert_program_fails("#!/bin/sh\nexit 1\n", "redis-server has ended");
  if (!getenv("LFUT_WRAPPER")) /* valgrind gives up when exec fails */
    assert_program_fails("#!/no/shell\n", "has ended: No such file or dir");
}

/* --- Those that stay --- */

#define PASSWORD "s\xc3\xa4 \"c\\r#e't\n"

static int connect_with_password(int port) {
  char text[128];
  int fd = connect_port(port);
  assert_memory_equal(ask(fd, "PING\r\n"), "-NOAUTH", 7);
  snprintf(text, sizeof text, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n",
           strlen(PASSWORD), PASSWORD);
  assert_string_equal(ask(fd, text), "+OK\r\n");
  return fd;
}

/* As "lfut cluster down" might. */
static void end_by_pidfile(const char *dir) {
  char path[256];
  int pid = 0;
  snprintf(path, sizeof path, "%s/redis.pid", dir);
  FILE *f = fopen(path, "re");
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%d", &pid), 1);
  fclose(f);
  kill(pid, SIGTERM);
  await_end(pid);
}

static void up(const lf_server_options *o) {
  if (!lf_server_up(o, why, sizeof why))
    print_error("%s\n", why);
  assert_string_equal(why, "");
}

static void one_that_stays_keeps_what_it_has(void **state) {
  (void)state;
  needs_redis();
  char dir[128];
  int port, fd = take_port(&port);
  snprintf(dir, sizeof dir, "%s/a \"place\"", base);
  lf_server_options o = {.port = port, .dir = dir, .password = PASSWORD};
  close(fd);
  up(&o);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it is no child */
  assert_int_equal(mode_of(dir, ""), 0700);
  assert_int_equal(mode_of(dir, "/redis.conf"), 0600);
  assert_int_equal(mode_of(dir, "/redis.log"), 0600);
  fd = connect_with_password(port);
  assert_string_equal(ask(fd, "PING\r\n"), "+PONG\r\n");
  assert_string_equal(ask(fd, "SET key 17\r\n"), "+OK\r\n");
  close(fd);
  end_by_pidfile(dir);
  up(&o);
  fd = connect_with_password(port);
  assert_string_equal(ask(fd, "INCR key\r\n"), ":18\r\n");
  close(fd);
  end_by_pidfile(dir);
  remove_all(dir);
}

static void assert_not_up(const lf_server_options *o, const char *answer) {
  assert_false(lf_server_up(o, why, sizeof why));
  assert_true(says(answer));
  strcpy(why, "");
}

static void there_is_one_in_a_directory(void **state) {
  (void)state;
  needs_redis();
  char dir[128], other[128], answer[256];
  int port, fd = take_port(&port);
  snprintf(dir, sizeof dir, "%s/one", base);
  snprintf(other, sizeof other, "%s/other", base);
  lf_server_options o = {.bind = "localhost", .port = port, .dir = dir};
  close(fd);
  up(&o);
  snprintf(answer, sizeof answer, "in '%s' already (process ", dir);
  assert_not_up(&o, answer);
  fd = connect_port(port); /* that one is as it was */
  assert_string_equal(ask(fd, "PING\r\n"), "+PONG\r\n");
  close(fd);
  end_by_pidfile(dir);
  remove_all(dir);
}

static void says_why_it_is_not_up(void **state) {
  (void)state;
  needs_redis();
  char dir[128], file[160], answer[256];
  int port, fd = take_port(&port);
  snprintf(dir, sizeof dir, "%s/one", base);
  snprintf(file, sizeof file, "%s/redis.conf", dir);
  lf_server_options o = {.port = port, .dir = dir, .password = "secret"};
  snprintf(answer, sizeof answer, "Failed listening on port %d", port);
  assert_not_up(&o, answer);
  close(fd);
  o.bind = "no address\n";
  assert_not_up(&o, "redis-server has ended: ");
  o.port = 0;
  assert_not_up(&o, "port must be 1 to 65535, not 0");
  o.port = 65536;
  assert_not_up(&o, "port must be 1 to 65535, not 65536");
  o.port = port;
  o.dir = file;
  assert_not_up(&o, "redis.conf': Not a directory");
  o.dir = "/proc/none";
  assert_not_up(&o, "cannot use the directory '/proc/none': ");
  remove_all(dir);
}

static void makes_up_passwords(void **state) {
  (void)state;
  char one[33], two[33];
  lf_server_password(one);
  lf_server_password(two);
  assert_int_equal(strspn(one, "0123456789abcdef"), 32);
  assert_int_equal(one[32], '\0');
  assert_string_not_equal(one, two);
}

#define SERVER(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      SERVER(a_private_server_answers_and_goes),
      SERVER(it_inherits_little),
      SERVER(it_is_killed_if_it_does_not_end),
      SERVER(it_goes_with_a_parent_that_is_killed),
      SERVER(it_is_the_parents_in_a_fork),
      SERVER(it_is_where_there_is_room),
      SERVER(says_why_there_is_none),
      SERVER(one_that_stays_keeps_what_it_has),
      SERVER(there_is_one_in_a_directory),
      SERVER(says_why_it_is_not_up),
      SERVER(makes_up_passwords),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
