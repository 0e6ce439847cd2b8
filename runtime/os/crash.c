/* SPDX-License-Identifier: MIT
 *
 * See crash.h. */
#include "runtime/os/crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CRASH_STACK = 32 << 10 /* bytes */ };

_Thread_local const char *volatile lf_crash_within;
_Thread_local bool lf_crash_ready;

static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { DEADLY = sizeof deadly / sizeof deadly[0] };
static struct sigaction former[DEADLY];

/* Where a worker process tells its program; else NULL. Set before its first
 * task. */
static char *crash_note;
static size_t crash_note_size;

void lf_crash_note(char *note, size_t size) {
  crash_note = note;
  crash_note_size = size;
}

static void say(const char *text) {
  ssize_t n = write(STDERR_FILENO, text, strlen(text));
  (void)n;
}

static pthread_key_t stack_key;

static void drop_stack(void *stack) {
  const stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  free(stack);
}

/* One that has such a stack already (a sanitizer's) keeps that. */
void lf_crash_give_stack(void) {
  stack_t old, stack = {.ss_size = CRASH_STACK};
  lf_crash_ready = true;
  if (sigaltstack(NULL, &old) != 0 || !(old.ss_flags & SS_DISABLE))
    return;
  stack.ss_sp = malloc(CRASH_STACK);
  if (stack.ss_sp && sigaltstack(&stack, NULL) == 0)
    pthread_setspecific(stack_key, stack.ss_sp);
  else
    free(stack.ss_sp);
}

/* Names the function in which the thread has crashed, then lets the signal do
 * what it would have done. */
static void crashed(int sig, siginfo_t *info, void *context) {
  const char *within = lf_crash_within;
  (void)context;
  if (within && crash_note) {
    for (size_t i = 0; i + 1 < crash_note_size; i++) {
      crash_note[i] = *within;
      within += *within != '\0';
    }
  } else if (within) {
    say("lfut: SIG");
    say(sigabbrev_np(sig));
    say(" in ");
    say(within);
    say("\n");
  }
  for (int i = 0; i < DEADLY; i++)
    if (deadly[i] == sig)
      sigaction(sig, &former[i], NULL);
  if (info->si_code <= 0) /* sent: it would not come again by itself */
    raise(sig);
}

static void install(void) {
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
  pthread_key_create(&stack_key, drop_stack);
  action.sa_sigaction = crashed;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < DEADLY; i++)
    sigaction(deadly[i], &action, &former[i]);
}

void lf_crash_watch(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
}
