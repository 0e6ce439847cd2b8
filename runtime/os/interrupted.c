/* SPDX-License-Identifier: MIT
 *
 * See interrupted.h. The system lets a call that waits end with EINTR, or
 * begins it anew: then the thread stands at the instruction for it. It may also
 * have been about to make the call. */
#include "runtime/os/interrupted.h"

#include "runtime/os/thread.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#if defined(__x86_64__)

static const unsigned char *place(const ucontext_t *c) {
  return (const unsigned char *)c->uc_mcontext.gregs[REG_RIP];
}

static long result(const ucontext_t *c) {
  return (long)c->uc_mcontext.gregs[REG_RAX];
}

static long number(const ucontext_t *c) {
  return result(c);
}

static const unsigned char instruction[] = {0x0f, 0x05};

#elif defined(__aarch64__)

static const unsigned char *place(const ucontext_t *c) {
  return (const unsigned char *)c->uc_mcontext.pc;
}

static long result(const ucontext_t *c) {
  return (long)c->uc_mcontext.regs[0];
}

static long number(const ucontext_t *c) {
  return (long)c->uc_mcontext.regs[8];
}

static const unsigned char instruction[] = {0x01, 0x00, 0x00, 0xd4};

#else
#define UNKNOWN_MACHINE
#endif

#ifndef UNKNOWN_MACHINE

/* Calls that wait for something outside, and that the C library makes without a
 * lock of its own: not futex, which its allocator waits with, or clone, around
 * which it holds all of them. */
static bool waits(long call) {
  static const long calls[] = {
      SYS_read,
      SYS_readv,
      SYS_openat,
      SYS_fcntl,
      SYS_pread64,
      SYS_write,
      SYS_writev,
      SYS_pwrite64,
      SYS_ppoll,
      SYS_pselect6,
      SYS_epoll_pwait,
      SYS_nanosleep,
      SYS_clock_nanosleep,
      SYS_wait4,
      SYS_waitid,
      SYS_recvfrom,
      SYS_recvmsg,
      SYS_sendto,
      SYS_sendmsg,
      SYS_accept,
      SYS_accept4,
      SYS_connect,
      SYS_flock,
      SYS_rt_sigtimedwait,
      SYS_rt_sigsuspend,
      SYS_restart_syscall,
#ifdef SYS_poll
      SYS_poll,
      SYS_select,
      SYS_epoll_wait,
      SYS_pause,
#endif
  };
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    if (calls[i] == call)
      return true;
  return false;
}

static bool is_in_call(const ucontext_t *c) {
  const unsigned char *at = place(c);
  size_t n = sizeof instruction;
  if (memcmp(at, instruction, n) == 0)
    return waits(number(c));
  return result(c) == -EINTR && memcmp(at - n, instruction, n) == 0;
}

#else

static bool is_in_call(const ucontext_t *c) {
  (void)c;
  return false;
}

#endif

bool lf_is_asleep(const void *context) {
  return lf_thread_dozes || is_in_call(context);
}
