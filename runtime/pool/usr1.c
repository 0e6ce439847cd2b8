/* SPDX-License-Identifier: MIT
 *
 * See usr1.h. */
#include "runtime/pool/usr1.h"

#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/os/interrupted.h"
#include "runtime/pool/internal.h"
#include "runtime/pool/survey.h"
#include "runtime/pool/usr1_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
  STACK_BYTES = 256 << 10,
  ROOM = 256 << 10, /* bytes of a report; it is cut there */
  ALONE_ROOM = 32 << 10,
  PATIENCE_NS = 400000000,
  STAY = 1 /* seconds that the thread waits for the next signal */
};

static lf_see *_Atomic sees; /* set before the handler is */
static sem_t bell;
static atomic_bool crowded;      /* there are, or were, other threads */
static atomic_bool there;        /* the thread that reports is */
static atomic_bool wanted;       /* it is to come, as soon as that is safe */
static int64_t opened;           /* when the program was */
static lf_sight script;          /* where its own thread answers */
static lf_sight *_Atomic served; /* in a worker process */

/* --- Reporting without a thread for it ---
 *
 * As long as there is no other thread, there is nobody to be asked. The
 * program's thread reports itself as soon as it can look at itself, or when the
 * timer says that it has had time enough. */

static volatile sig_atomic_t due; /* a report is; its own thread */
static timer_t patience;
static bool has_patience;

static void report_alone(bool whole) {
  static char room[ALONE_ROOM];
  lf_subject subject;
  lf_survey survey;
  due = 0;
  lf_survey_alone(&survey, &subject, &script, whole);
  lf_line text;
  lf_line_init(&text, room, sizeof room);
  lf_dump_put(&text, &survey, opened);
  lf_dump_write(&text);
}

static void set_patience(int64_t ns) {
  struct itimerspec in = {.it_value = lf_timespec(ns)};
  if (has_patience)
    timer_settime(patience, 0, &in, NULL);
}

/* --- The thread that reports, when it is wanted ---
 *
 * It is started by the first thread that can: whoever stands still when the
 * signal comes, or is at a hook, holds no lock of the C library's. Until then
 * the timer goes on asking all. */

enum { AGAIN_NS = 10000000 };

static void *run(void *unused);

static void bring_reporter(void) {
  if (atomic_exchange(&wanted, false) && !atomic_exchange(&there, true) &&
      !lf_thread_start_apart(run, STACK_BYTES, NULL))
    atomic_store(&there, false);
  if (atomic_load(&there))
    sem_post(&bell);
}

static pid_t number(const char *text) {
  pid_t n = 0;
  for (; *text >= '0' && *text <= '9'; text++)
    n = 10 * n + (*text - '0');
  return n;
}

/* Async-signal-safe: sends the signal to all threads but the calling one. */
static void ask_all_threads(void) {
  char entries[2048];
  long n;
  int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (fd >= 0 &&
         (n = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
    for (long at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(entries + at);
      pid_t thread = number(e->d_name);
      if (thread > 0 && thread != gettid())
        tgkill(getpid(), thread, SIGUSR1);
      at += e->d_reclen;
    }
  if (fd >= 0)
    close(fd);
}

/* In the handler. */
static void want_reporter(bool asleep, bool asks) {
  if (asks)
    atomic_store(&wanted, true);
  if (!atomic_load(&wanted))
    return;
  if (asleep) {
    bring_reporter();
    return;
  }
  if (!asks)
    return;
  set_patience(AGAIN_NS);
  ask_all_threads();
}

/* --- Answering --- */

static bool is_main(void) {
  return gettid() == getpid();
}

static lf_sight *own_sight(void) {
  lf_sight *s = atomic_load(&served);
  if (s)
    return is_main() ? s : NULL;
  if (lf_self)
    return atomic_load(&lf_self->sight);
  return is_main() ? &script : NULL;
}

static void answer(bool asleep) {
  static _Thread_local volatile bool answering;
  lf_see *see = atomic_load(&sees);
  lf_sight *s = own_sight();
  if (answering || !see || !s || !lf_sight_is_asked(s))
    return;
  answering = true;
  lf_sight_begin(s);
  bool whole = see(s, asleep);
  lf_sight_end(s, whole);
  if (s == &script && due && whole)
    report_alone(true);
  answering = false;
}

void lf_usr1_answer(void) {
  if (atomic_load(&wanted))
    bring_reporter();
  answer(true);
}

void lf_usr1_serve(lf_sight *s) {
  atomic_store(&served, s);
}

/* --- The signal --- */

static void handle_alone(bool late, bool asleep) {
  if (!is_main()) { /* of a library */
    tgkill(getpid(), getpid(), SIGUSR1);
    return;
  }
  if (late ? !due : (bool)due)
    return;
  if (!late) {
    due = 1;
    lf_sight_ask(&script, atomic_load(&script.asked) + 1);
  }
  answer(asleep);
  if (due && late)
    report_alone(false);
  else if (due)
    set_patience(PATIENCE_NS);
}

static void look_at_script(bool asleep) {
  lf_sight_ask(&script, atomic_load(&script.asked) + 1);
  answer(asleep);
}

/* What the program's thread, or another, has been sent. */
static void take(const siginfo_t *info, bool asleep) {
  bool late = info->si_code == SI_TIMER;
  bool asked = info->si_code == SI_TKILL && info->si_pid == getpid();
  if (atomic_load(&served)) {
    answer(asleep);
  } else if (!atomic_load(&crowded)) {
    handle_alone(late, asleep);
  } else if (asked) {
    want_reporter(asleep, false);
    answer(asleep);
  } else if (!late || atomic_load(&wanted)) {
    if (atomic_load(&there))
      sem_post(&bell);
    if (!atomic_load(&there)) /* or it has just gone */
      want_reporter(asleep, true);
    if (atomic_load(&wanted) && is_main()) /* its code comes to a hook */
      look_at_script(asleep);
  }
}

static void handle(int sig, siginfo_t *info, void *context) {
  int saved = errno;
  (void)sig;
  if (atomic_load(&sees))
    take(info, lf_is_asleep(context));
  errno = saved;
}

/* Of this process: a forked one has none of it. */
static void make_bell(void) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGUSR1};
  sem_init(&bell, 0, 0);
  has_patience = timer_create(CLOCK_MONOTONIC, &event, &patience) == 0;
}

bool lf_usr1_catch(lf_see *see) {
  struct sigaction action = {.sa_sigaction = handle,
                             .sa_flags = SA_SIGINFO | SA_RESTART};
  struct sigaction former;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGUSR1, NULL, &former) == 0 && former.sa_handler == SIG_IGN)
    return false;
  make_bell();
  opened = lf_now();
  atomic_store(&sees, see);
  return sigaction(SIGUSR1, &action, NULL) == 0;
}

/* --- Reporting by a thread --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lf_registry *program; /* NULL: it ends; the lock */
static uint32_t generation;  /* in which process; the program's thread */

/* The program's end waits for the lock, but not for those who read. */
static void report(void) {
  static char room[ROOM];
  lf_survey survey;
  lf_line text;
  uint32_t number = atomic_load(&script.asked) + 1;
  lf_line_init(&text, room, sizeof room);
  pthread_mutex_lock(&lock);
  if (program && lf_survey_make(&survey, program, &script, number) == 0) {
    lf_dump_put(&text, &survey, opened);
    lf_survey_fini(&survey);
  }
  pthread_mutex_unlock(&lock);
  lf_dump_write(&text);
}

/* False: it has not rung for a while. */
static bool wait_for_bell(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += STAY;
  while (sem_timedwait(&bell, &until) != 0)
    if (errno != EINTR)
      return false;
  return true;
}

static void *run(void *unused) {
  do {
    while (wait_for_bell()) {
      while (sem_trywait(&bell) == 0) /* one report will do */
        continue;
      report();
    }
    atomic_store(&there, false);
  } while (sem_trywait(&bell) == 0 && !atomic_exchange(&there, true) &&
           sem_post(&bell) == 0);
  return unused;
}

/* A forked process has neither the thread nor its locks. */
static void begin_anew(void) {
  generation = lf_generation;
  pthread_mutex_init(&lock, NULL);
  make_bell();
  script = (lf_sight){0};
  due = 0;
  opened = lf_now();
  atomic_store(&there, false);
  atomic_store(&wanted, false);
  atomic_store(&crowded, false);
}

void lf_usr1_open(lf_registry *registry) {
  if (!atomic_load(&sees))
    return;
  if (lf_is_foreign(generation))
    begin_anew();
  pthread_mutex_lock(&lock);
  program = registry;
  pthread_mutex_unlock(&lock);
}

void lf_usr1_attend(void) {
  if (!lf_is_foreign(generation))
    atomic_store(&crowded, true);
}

void lf_usr1_close(void) {
  if (lf_is_foreign(generation))
    return;
  pthread_mutex_lock(&lock);
  program = NULL;
  pthread_mutex_unlock(&lock);
}
