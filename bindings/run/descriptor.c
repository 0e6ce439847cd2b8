/* SPDX-License-Identifier: MIT
 *
 * See descriptor.h. */
#include "bindings/run/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/run/wait.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/poller.h"

/* --- Which descriptor --- */

static int of_file(lua_State *L, int arg) {
  luaL_Stream *file = luaL_testudata(L, arg, LUA_FILEHANDLE);
  if (!file)
    return -1;
  return lfb_file_is_open(file) ? fileno(file->f) : -2;
}

/* The result of one of its methods, or nil. */
static bool call_method(lua_State *L, int arg, const char *name) {
  if (!luaL_getmetafield(L, arg, "__index") && !lua_istable(L, arg))
    return false;
  lua_settop(L, arg > 3 ? arg : 3);
  lua_getfield(L, arg, name);
  if (lua_isnil(L, -1))
    return false;
  lua_pushvalue(L, arg);
  lua_call(L, 1, 1);
  return true;
}

/* -1 or less: it has been closed. Raises if the argument is none. */
static int check_descriptor(lua_State *L, int arg) {
  int isint, type = lua_type(L, arg);
  bool has = type == LUA_TUSERDATA || type == LUA_TTABLE;
  int fd = type == LUA_TUSERDATA ? of_file(L, arg) : -1;
  if (fd != -1)
    return fd;
  if (!has)
    lua_pushvalue(L, arg);
  else if (!call_method(L, arg, "getfd") && !call_method(L, arg, "pollfd"))
    lua_pushnil(L);
  lua_Number n = lua_tonumberx(L, -1, &isint);
  bool number = isint && lua_type(L, -1) == LUA_TNUMBER;
  lfb_arg_check(L, number, arg,
                "descriptor, or object that has one (getfd, pollfd), expected");
  bool fits = n >= INT_MIN && n <= INT_MAX;
  lfb_arg_check(L, fits && n == (int)n, arg, "descriptor out of range");
  lua_settop(L, 3);
  return n < 0 ? -1 : (int)n;
}

static unsigned check_direction(lua_State *L, int arg) {
  static const char *const names[] = {"r", "w", "rw", NULL};
  return (unsigned)luaL_checkoption(L, arg, NULL, names) + 1;
}

/* --- Waiting --- */

typedef struct {
  lf_polled polled;
  int64_t deadline;
  bool after; /* the caller has looked before, and looks again afterwards */
} descriptor_wait;

static int push_ready(lua_State *L, int ready) {
  static const char *const names[] = {"r", "w", "rw"};
  lua_pushstring(L, names[ready - 1]);
  return 1;
}

static int push_why(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

static int refuse(lua_State *L, int err) {
  if (err == EBUSY)
    return luaL_error(L, "busy");
  if (err == EPERM)
    return luaL_error(L, "a file of this kind is always ready: read or write "
                         "it in lfut.blocking");
  return luaL_error(L, "cannot wait for the descriptor: %s", strerror(err));
}

static bool is_always_ready(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* 'context' is the descriptor_wait, which is on the stack. Who was told looks:
 * it may have been for what was there before. */
static int wait_step(lua_State *L, lfb_state *S, int64_t context,
                     lfb_wait_for *what) {
  descriptor_wait *w = (descriptor_wait *)(intptr_t)context;
  lf_polled *p = &w->polled;
  (void)S;
  int err = p->err;
  p->err = 0;
  if (atomic_load(&p->closed) || err == EBADF)
    return push_why(L, "closed");
  if (err)
    return refuse(L, err);
  int ready = w->after ? atomic_load(&p->told) ? (int)p->wanted : 0
                       : lf_poll_now(p->fd, p->wanted);
  if (ready == LF_ECLOSED)
    return push_why(L, "closed");
  if (ready && !w->after && is_always_ready(p->fd))
    return refuse(L, EPERM);
  if (ready)
    return push_ready(L, ready);
  if (lf_is_past(w->deadline))
    return push_why(L, "timeout");
  *what = (lfb_wait_for){
      .polled = p, .npolled = 1, .deadline = w->deadline, .occupies = true};
  return LFB_NOT_YET;
}

static int wait_fd(lua_State *L, bool after) {
  lfb_state *S = lfb_self(L);
  lua_settop(L, 3);
  unsigned wanted = check_direction(L, 2);
  int64_t deadline = lfb_check_deadline(L, 3);
  int fd = check_descriptor(L, 1);
  lfb_poll(L, S);
  if (fd < 0)
    return push_why(L, "closed");
  descriptor_wait *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (descriptor_wait){.polled = {.fd = fd, .wanted = wanted},
                         .deadline = deadline,
                         .after = after};
  return lfb_waiting(L, S, wait_step, (intptr_t)w);
}

int lfb_wait_fd(lua_State *L) {
  return wait_fd(L, false);
}

int lfb_wait_after(lua_State *L) {
  return wait_fd(L, true);
}

int lfb_closing(lua_State *L) {
  lua_settop(L, 3);
  lf_poller_close(check_descriptor(L, 1));
  return 0;
}

/* --- Descriptors that travel --- */

typedef struct {
  _Atomic size_t refs;
  int fd;
} held;

static void ref_held(void *object) {
  atomic_fetch_add(&((held *)object)->refs, 1);
}

static void drop_held(void *object) {
  held *h = object;
  if (atomic_fetch_sub(&h->refs, 1) != 1)
    return;
  close(h->fd);
  lf_free(h);
}

/* Pushes a userdata without one. */
static held **push_empty(lua_State *L) {
  held **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = NULL;
  lfb_set_class(L, LFB_DESCRIPTOR);
  return slot;
}

static void push_held(lua_State *L, lfb_state *S, void *object) {
  (void)S;
  held **slot = push_empty(L);
  ref_held(object);
  *slot = object;
}

int lfb_release_descriptor(lua_State *L) {
  held **slot = lfb_check(L, 1, LFB_DESCRIPTOR);
  if (*slot)
    drop_held(*slot);
  *slot = NULL;
  return 0;
}

static int raise_errno(lua_State *L) {
  return luaL_error(L, "cannot make a descriptor: %s", strerror(errno));
}

int lfb_hold_descriptor(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  held **slot = push_empty(L);
  held *h = lf_malloc(sizeof *h);
  if (!h)
    return lfb_raise_memory(L);
  atomic_init(&h->refs, 1);
  h->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (h->fd < 0) {
    lf_free(h);
    return raise_errno(L);
  }
  *slot = h;
  return 1;
}

int lfb_take_descriptor(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  held **slot = lfb_check(L, 2, LFB_DESCRIPTOR);
  lfb_arg_check(L, *slot, 2, "handle has been released");
  return dup3((*slot)->fd, fd, O_CLOEXEC) < 0 ? raise_errno(L) : 0;
}

void lfb_descriptor_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg metamethods[] = {{"__gc", lfb_release_descriptor},
                                         {NULL, NULL}};
  static const lfb_handle handle = {
      .ref = ref_held, .drop = drop_held, .push = push_held};
  static const lfb_descriptor class = {.class = LFB_DESCRIPTOR,
                                       .name = "lfut.Descriptor",
                                       .metamethods = metamethods,
                                       .handle = &handle};
  lfb_newclass(L, S, &class);
}
