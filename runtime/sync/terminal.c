/* SPDX-License-Identifier: MIT
 *
 * See terminal.h. One word, in the arena if there is one, says which process
 * draws; so a process that was killed meanwhile is known not to. Each write of
 * text brings along what erases the bar, in one system call, so that no lock
 * between processes is needed. */
#include "runtime/sync/terminal.h"

#include "runtime/base/atfork.h"
#include "runtime/shm/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ERASE "\r\033[K"
#define ERASE_REST "\033[K"

/* The word: the process's number (arena.h) times 4, and these. 0: nobody. */
enum {
  CLEAR = 1, /* nothing but the bar, or nothing, is on the cursor's line */
  DRAWN = 2, /* on a terminal: it has to be erased */
  OWNER_SHIFT = 2,
};

enum { COLUMNS = 80 }; /* of a terminal that does not know */

static _Atomic uint64_t alone;   /* the word, without an arena */
static bool has_errors;          /* standard error was open at first */
static _Atomic uint32_t current; /* who draws, of this process, or 0; changed
                                    under the lock */
static uint32_t last;            /* under the lock */

/* It is the parent that draws. */
static void begin_anew(void) {
  atomic_store(&alone, 0);
  atomic_store(&current, 0);
}

LF_FORK_MUTEX(lock, LF_FORK_TERMINAL, begin_anew);

/* What is opened later under its number is something else. */
__attribute__((constructor)) static void look(void) {
  has_errors = fcntl(STDERR_FILENO, F_GETFD) != -1;
}

static _Atomic uint64_t *word(void) {
  _Atomic uint64_t *shared = lf_arena_terminal();
  return shared ? shared : &alone;
}

bool lf_terminal_is_one(void) {
  const char *kind = getenv("TERM");
  return has_errors && isatty(STDERR_FILENO) &&
         !(kind && strcmp(kind, "dumb") == 0);
}

int lf_terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return COLUMNS;
  return size.ws_col;
}

bool lf_terminal_is_drawn_on(void) {
  return atomic_load_explicit(word(), memory_order_relaxed) & DRAWN;
}

/* --- Writing --- */

/* Writes all; what cannot be written is lost. */
static void write_all(int fd, struct iovec *parts, int n) {
  while (n > 0) {
    ssize_t done = writev(fd, parts, n);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return;
    for (; n > 0 && (size_t)done >= parts->iov_len; parts++, n--)
      done -= (ssize_t)parts->iov_len;
    if (n > 0) {
      parts->iov_base = (char *)parts->iov_base + done;
      parts->iov_len -= (size_t)done;
    }
  }
}

static struct iovec part(const char *text) {
  return (struct iovec){(void *)text, strlen(text)};
}

/* The same to standard error: that nobody reads it is no reason to end. */
static void tell(struct iovec *parts, int n) {
  static const struct timespec now;
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  write_all(STDERR_FILENO, parts, n);
  if (!sigismember(&pending, SIGPIPE))
    while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
      continue;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- Drawing --- */

/* Under the lock: this process is who draws. False: somebody else is. */
static bool claim(void) {
  (void)lf_arena_open(); /* else others do not know */
  _Atomic uint64_t *at = word();
  uint64_t flags = CLEAR | (lf_terminal_is_one() ? DRAWN : 0);
  uint64_t mine = (uint64_t)(lf_process() + 1) << OWNER_SHIFT | flags;
  uint64_t old = atomic_load(at);
  do {
    if (old && !lf_process_is_gone((uint32_t)(old >> OWNER_SHIFT) - 1))
      return false;
  } while (!atomic_compare_exchange_weak(at, &old, mine));
  return true;
}

uint32_t lf_terminal_take(void) {
  pthread_mutex_lock(&lock);
  uint32_t number = 0;
  if (has_errors && !current && claim()) {
    last += last == UINT32_MAX ? 2 : 1;
    current = number = last;
  }
  pthread_mutex_unlock(&lock);
  return number;
}

/* Would nothing wait, or spoil what a shell shows, as this runs behind it? */
static bool may_draw(void) {
  pid_t foreground = tcgetpgrp(STDERR_FILENO);
  struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
  return (foreground < 0 || foreground == getpgrp()) && poll(&fd, 1, 0) == 1 &&
         fd.revents & POLLOUT;
}

static void write_line(const char *before, const char *line, size_t len,
                       const char *after) {
  struct iovec parts[] = {part(before), {(void *)line, len}, part(after)};
  tell(parts, 3);
}

void lf_terminal_draw(uint32_t taken, const char *line, size_t len) {
  pthread_mutex_lock(&lock);
  uint64_t w = current == taken ? atomic_load(word()) : 0;
  if (w & DRAWN && w & CLEAR && may_draw())
    write_line("\r", line, len, ERASE_REST);
  else if (w && !(w & DRAWN))
    write_line("", line, len, "\n");
  pthread_mutex_unlock(&lock);
}

void lf_terminal_leave(uint32_t taken, const char *line, size_t len) {
  pthread_mutex_lock(&lock);
  if (current == taken) {
    uint64_t w = atomic_exchange(word(), 0);
    current = 0;
    if (!(w & DRAWN))
      write_line("", line, len, "\n");
    else if (len == 0)
      write_line("", "", 0, w & CLEAR ? ERASE : "");
    else
      write_line(w & CLEAR ? "\r" : "\n", line, len, ERASE_REST "\n");
  }
  pthread_mutex_unlock(&lock);
}

void lf_terminal_abandon(void) {
  uint64_t w = current ? atomic_exchange(word(), 0) : 0;
  current = 0;
  if (w & DRAWN && write(STDERR_FILENO, "\n", 1) < 0)
    return; /* there is nothing to be done */
}

/* However the program ends. */
__attribute__((destructor)) static void leave(void) {
  lf_terminal_abandon();
}

/* --- Everybody's output --- */

/* The line of the cursor has something on it from now on, or nothing; unless
 * nobody draws any more. */
static void note_line(bool clear) {
  uint64_t old = atomic_load(word()), new;
  do {
    new = clear ? old | CLEAR : old & ~(uint64_t)CLEAR;
  } while (old && !atomic_compare_exchange_weak(word(), &old, new));
}

static void put_erased(FILE *stream, const void *bytes, size_t n) {
  bool whole = ((const char *)bytes)[n - 1] == '\n';
  fflush(stream);
  uint64_t w = atomic_load(word());
  if (!whole)
    note_line(false);
  struct iovec parts[] = {part(w & DRAWN && w & CLEAR ? ERASE : ""),
                          {(void *)bytes, n}};
  if (stream == stderr)
    tell(parts, 2);
  else
    write_all(fileno(stream), parts, 2);
  if (whole)
    note_line(true);
}

void lf_terminal_put(FILE *stream, const void *bytes, size_t n) {
  if (n == 0 || !lf_terminal_is_drawn_on() || !isatty(fileno(stream))) {
    fwrite(bytes, 1, n, stream);
    return;
  }
  pthread_mutex_lock(&lock);
  put_erased(stream, bytes, n);
  pthread_mutex_unlock(&lock);
}

void lf_terminal_lend(void) {
  if (!lf_terminal_is_drawn_on())
    return;
  pthread_mutex_lock(&lock);
  uint64_t w = atomic_load(word());
  note_line(false);
  if (w & DRAWN && w & CLEAR)
    write_line("", "", 0, ERASE);
  pthread_mutex_unlock(&lock);
}

void lf_terminal_return(void) {
  if (lf_terminal_is_drawn_on())
    note_line(true);
}

void lf_terminal_complain(const char *format, ...) {
  va_list args;
  char *text = NULL;
  va_start(args, format);
  bool beside = lf_terminal_is_drawn_on();
  int n = beside ? vasprintf(&text, format, args) : -1;
  va_end(args);
  va_start(args, format);
  if (n < 0)
    vfprintf(stderr, format, args);
  else if (n > 0)
    lf_terminal_put(stderr, text, (size_t)n);
  if (n >= 0)
    free(text);
  va_end(args);
}
