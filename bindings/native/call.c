/* SPDX-License-Identifier: MIT
 *
 * See call.h. A packed call: a zero, where a stream has its count; the
 * address of the library's code and the function's number; for other processes
 * also the function's own code, which is its label; then an argument after the
 * other: scalars as 8 bytes, pointers as what they point to. */
#include "bindings/native/call.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bindings/core/error.h"
#include "bindings/native/convert.h"
#include "bindings/native/native.h"
#include "bindings/pack/pack.h"
#include "bindings/run/failure.h"
#include "bindings/run/forked.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/items.h"
#include "bindings/sync/array.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/ready.h"
#include "runtime/task/strand.h"

#define LOOK_AGAIN 0.05 /* for an interruption, in seconds */

typedef enum {
  TO_NOTHING,
  TO_BYTES,    /* uint64 length, bytes, a zero */
  TO_ARRAY,    /* address */
  TO_OUT,      /* the same */
  TO_HANDLE,   /* lfb_pointer */
  TO_FUNCTION, /* address of the library's code, uint32 number */
} target;

/* The next multiple of 8. */
static size_t align(size_t offset) {
  return (offset + 7) & ~(size_t)7;
}

/* --- Packing ----------------------------------------------------------------
 */

typedef struct {
  lua_State *L;
  lf_buf *out;
  bool far;
} writer;

static void put(writer *w, const void *bytes, size_t n) {
  if (lf_buf_put(w->out, bytes, n) != 0)
    lfb_raise_memory(w->L);
}

static void put_byte(writer *w, int byte) {
  unsigned char b = (unsigned char)byte;
  put(w, &b, 1);
}

/* The reference is the buffer's, also on an error. */
static void put_object(writer *w, void *object, void (*drop)(void *)) {
  size_t at = w->out->len;
  if (lf_buf_put(w->out, &object, sizeof object) != 0 ||
      lf_buf_ref(w->out, at, object, drop) != 0) {
    drop(object);
    lfb_raise_memory(w->L);
  }
}

/* Libraries and their functions stay: only other processes need a reference, to
 * be told what is meant. */
static void put_code(writer *w, lf_code *code) {
  if (w->far)
    put_object(w, lf_code_ref(code), lf_code_unref);
  else
    put(w, &code, sizeof code);
}

static void put_function(writer *w, const lf_native *n) {
  put_code(w, n->library->code);
  put(w, &n->index, sizeof n->index);
}

/* The bytes are where words of 8 bytes could be, as in a Lua string. */
static void put_string(writer *w, const char *s, size_t len) {
  static const char padding[8];
  uint64_t n = len;
  put_byte(w, TO_BYTES);
  put(w, &n, sizeof n);
  put(w, padding, align(w->out->len) - w->out->len);
  put(w, s, len + 1);
}

/* What the value at 'idx', which has been converted, points to. */
static void put_target(writer *w, lfb_state *S, int idx) {
  lua_State *L = w->L;
  void *object;
  size_t len;
  if (lua_isnil(L, idx)) {
    put_byte(w, TO_NOTHING);
  } else if (lua_type(L, idx) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, idx, &len);
    put_string(w, s, len);
  } else if ((object = lfb_test_array(L, S, idx))) {
    put_byte(w, TO_ARRAY);
    put_object(w, lf_array_ref(object), lf_array_unref);
  } else if ((object = lfb_test(L, S, idx, LFB_OUT))) {
    put_byte(w, TO_OUT);
    put_object(w, lf_array_ref(*(lf_array **)object), lf_array_unref);
  } else if ((object = lfb_test(L, S, idx, LFB_POINTER))) {
    put_byte(w, TO_HANDLE);
    put(w, object, sizeof(lfb_pointer));
  } else {
    put_byte(w, TO_FUNCTION);
    put_function(w, lfb_test_native(L, S, idx));
  }
}

void lfb_native_pack(lua_State *L, lfb_state *S, lf_native *n, int first,
                     int count, const lfb_reach *reach, lf_buf *out) {
  lfb_cargs args;
  writer w = {L, out, reach != NULL};
  lfb_convert(L, S, n, first, count,
              !reach     ? LFB_HERE
              : S->reach ? LFB_ANYWHERE
                         : LFB_THERE,
              &args);
  put_byte(&w, 0);
  put_byte(&w, w.far);
  put_function(&w, n);
  if (w.far)
    put_code(&w, n->code);
  for (int i = 0; i < n->proto->nparams; i++)
    if (n->proto->params[i].type->kind == LF_C_POINTER)
      put_target(&w, S, first + i);
    else
      put(&w, &args.values[i], sizeof args.values[i]);
}

bool lfb_is_native_task(const lf_task *t) {
  return t->data.len > 0 && t->data.data[0] == 0;
}

lf_route lfb_native_route(const lf_native *n) {
  return n->threads == LF_AFFINE ? LF_ROUTE_AFFINE : LF_NEAR;
}

struct lf_strand *lfb_native_strand(const lf_native *n, lf_pool *pool) {
  return lf_pool_is_remote(pool) ? NULL : n->strand;
}

/* --- Reading a packed call --------------------------------------------------
 */

/* A call in this process. */
typedef struct {
  const unsigned char *begin;
  lf_native *native;
  lfb_cargs args;
  lf_array *outs[LF_C_PARAMS];
  int nouts;
  lf_buf why; /* not empty: it cannot be made */
  char text[300];
} call;

static void *get_pointer(const unsigned char **at) {
  void *p;
  memcpy(&p, *at, sizeof p);
  *at += sizeof p;
  return p;
}

/* NULL: it cannot be loaded here; 'why' tells. */
static lf_native *get_function(const unsigned char **at, lf_buf *why) {
  lf_library *l;
  uint32_t index;
  lf_code *code = get_pointer(at);
  memcpy(&index, *at, sizeof index);
  *at += sizeof index;
  if (lf_library_open(code, &l, why) == 0)
    return l->functions[index];
  if (why->len == 0)
    lf_buf_print(why, LF_NO_MEMORY);
  return NULL;
}

static void get_bytes(call *c, int i, const unsigned char **at) {
  uint64_t len;
  memcpy(&len, *at, sizeof len);
  *at += sizeof len;
  *at = c->begin + align((size_t)(*at - c->begin));
  c->args.values[i].p = (void *)(uintptr_t)*at;
  c->args.lengths[i] = (size_t)len;
  *at += len + 1;
}

static void get_handle(call *c, int i, const unsigned char **at) {
  lfb_pointer p;
  memcpy(&p, *at, sizeof p);
  *at += sizeof p;
  c->args.values[i].p = p.pointer;
  lfb_print_param(&c->why, c->native, i);
  lf_buf_print(&c->why, ": ");
  if (lfb_pointer_fits(&p, c->native, LFB_HERE, &c->why))
    lf_buf_cut(&c->why, 0);
}

/* The i-th argument, a pointer. */
static void get_target(call *c, int i, const unsigned char **at) {
  lf_array *array;
  lf_native *function;
  c->args.values[i].p = NULL;
  c->args.lengths[i] = SIZE_MAX;
  switch ((target) * (*at)++) {
  case TO_NOTHING:
    break;
  case TO_BYTES:
    get_bytes(c, i, at);
    break;
  case TO_ARRAY:
    array = get_pointer(at);
    c->args.values[i].p = array->data;
    c->args.lengths[i] =
        lfb_array_length(array, c->native->proto->params[i].type);
    break;
  case TO_OUT:
    array = c->outs[c->nouts++] = get_pointer(at);
    c->args.values[i].p = array->data;
    break;
  case TO_HANDLE:
    get_handle(c, i, at);
    break;
  case TO_FUNCTION:
    function = get_function(at, &c->why);
    if (function)
      c->args.values[i].p = lf_native_entry(function);
    break;
  }
}

static void read_call(call *c, const unsigned char *at) {
  c->begin = at;
  c->nouts = 0;
  lf_buf_init(&c->why, c->text, sizeof c->text);
  bool far = at[1];
  at += 2;
  c->native = get_function(&at, &c->why);
  if (!c->native)
    return;
  at += far ? sizeof(lf_code *) : 0;
  const lf_cfunc *f = c->native->proto;
  for (int i = 0; i < f->nparams && c->why.len == 0; i++) {
    if (f->params[i].type->kind == LF_C_POINTER) {
      get_target(c, i, &at);
    } else {
      memcpy(&c->args.values[i], at, sizeof c->args.values[i]);
      at += sizeof c->args.values[i];
    }
  }
  if (c->why.len == 0 &&
      !lf_native_check(c->native, c->args.values, c->args.lengths, &c->why))
    return;
}

/* --- Results ----------------------------------------------------------------
 */

static int put_tagged(lf_buf *out, lfb_tag tag, const void *bytes, size_t n) {
  unsigned char *at = lf_buf_room(out, 1 + n);
  if (!at)
    return LF_ENOMEM;
  at[0] = (unsigned char)tag;
  if (n > 0)
    memcpy(at + 1, bytes, n);
  return 0;
}

static int put_text(lf_buf *out, const char *s) {
  uint64_t len = strlen(s);
  int err = put_tagged(out, LFB_T_STRING, &len, sizeof len);
  return err ? err : lf_buf_put(out, s, len);
}

static int put_number(lf_buf *out, double d) {
  return put_tagged(out, LFB_T_FLOAT, &d, sizeof d);
}

static int put_pointer(lf_buf *out, const lf_native *n, void *p) {
  static const unsigned char class = LFB_POINTER;
  lfb_pointer pointer = {p, n->library->identity, getpid()};
  if (!p)
    return put_tagged(out, LFB_T_NIL, NULL, 0);
  int err = put_tagged(out, LFB_T_INSTANCE, &class, 1);
  return err ? err : lf_buf_put(out, &pointer, sizeof pointer);
}

static int put_value(lf_buf *out, const lf_native *n, const lf_cvalue *v) {
  const lf_ctype *type = n->proto->result;
  switch (type->kind) {
  case LF_C_VOID:
    return 0;
  case LF_C_BOOL:
    return put_tagged(out, v->i ? LFB_T_TRUE : LFB_T_FALSE, NULL, 0);
  case LF_C_FLOAT:
    return put_number(out, (double)v->f);
  case LF_C_DOUBLE:
    return put_number(out, v->d);
  case LF_C_POINTER:
    break;
  default:
    return put_tagged(out, LFB_T_INTEGER, &v->i, sizeof v->i);
  }
  return type->to->is_char && v->p ? put_text(out, v->p)
                                   : put_pointer(out, n, v->p);
}

static int put_extra(lf_buf *out, const lfut_task *task, int *n) {
  const unsigned char *at = task->extra.data;
  const unsigned char *end = at + task->extra.len;
  int err = 0;
  while (task->extra.len > 0 && at < end && err == 0) {
    uint64_t size;
    memcpy(&size, at, sizeof size);
    at += sizeof size;
    err = put_tagged(out, LFB_T_STRING, &size, sizeof size);
    err = err ? err : lf_buf_put(out, at, size);
    at += size;
    ++*n;
  }
  return err;
}

int lfb_put_result(lf_buf *out, const lf_native *n, const lf_cvalue *v,
                   const lfut_task *task) {
  size_t at = out->len;
  int count = n->proto->result->kind != LF_C_VOID;
  unsigned char byte = 0;
  int err = lf_buf_put(out, &byte, 1);
  err = err ? err : put_value(out, n, v);
  err = err ? err : put_extra(out, task, &count);
  if (err || count > 254)
    return LF_ENOMEM;
  out->data[at] = (unsigned char)count;
  return 0;
}

/* --- Errors: made in the interpreter ----------------------------------------
 */

/* What has gone wrong with a call, and where that goes. */
typedef struct {
  struct lf_vm *vm;
  const lf_native *native;
  const lfut_task *task;
  const lf_native_error *error; /* NULL: 'why' says it */
  lf_buf *why, *out;
} failure;

static int pack_failure(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  if (f->error)
    lfb_explain(f->native, f->task, f->error, f->why);
  lua_pushlstring(L, (char *)f->why->data, f->why->len);
  if (f->error)
    lfb_push_native_error(L, f->native, lua_tostring(L, -1), f->error);
  lfb_pack(L, f->vm->S, f->out, lua_gettop(L), 1, &lfb_error_value, NULL);
  return 0;
}

/* Appends the packed error value. */
static bool put_failure(struct lf_vm *vm, const lf_native *n,
                        const lfut_task *task, const lf_native_error *error,
                        lf_buf *why, lf_buf *out) {
  failure f = {vm, n, task, error, why, out};
  size_t before = out->len;
  if (lfb_try(vm, pack_failure, &f))
    return true;
  lf_buf_cut(out, before);
  return false;
}

bool lfb_put_item_failure(struct lf_vm *vm, lf_native *n, const lfut_task *task,
                          const lf_native_error *error, uint64_t item,
                          lf_buf *out) {
  static const unsigned char entry = LFB_ITEM_ERROR;
  size_t before = out->len;
  char text[300];
  lf_buf why;
  lf_buf_init(&why, text, sizeof text);
  bool ok = lf_buf_put(out, &entry, 1) == 0 &&
            put_failure(vm, n, task, error, &why, out) &&
            lfb_put_error_tail(out, item, NULL) == 0;
  lf_buf_fini(&why);
  if (!ok)
    lf_buf_cut(out, before);
  return ok;
}

/* --- Running ----------------------------------------------------------------
 */

struct lf_strand *lfb_pass(struct lf_vm *vm, struct lf_strand *strand) {
  while (strand && !vm->interrupted)
    if (lf_strand_enter(strand, lf_after(LOOK_AGAIN)))
      return strand;
  return NULL;
}

/* Makes the call. False: 'error' tells of its failure. In a worker process the
 * task has passed no strand, but there may be threads. */
static bool make(struct lf_vm *vm, call *c, lfut_task *task, lf_cvalue *result,
                 lf_native_error *error) {
  bool process = vm->S->reach != NULL;
  struct lf_strand *strand = process ? lfb_pass(vm, c->native->strand) : NULL;
  if (process && c->native->strand &&
      !strand) { /* interrupted, as will be said */
    *error = (lf_native_error){.error_number = EINTR};
    return false;
  }
  bool ok = lf_native_call(c->native, c->args.values, task, result, error);
  lfb_forked_leave(vm, true, NULL);
  if (strand)
    lf_strand_leave(strand);
  for (int i = 0; i < c->nouts; i++)
    lfb_sign_out(c->outs[i], c->native);
  return ok;
}

/* Makes the call and writes what comes of it; false: that is an error. */
static bool perform(struct lf_vm *vm, call *c, lfut_task *task, lf_buf *out) {
  lf_cvalue result;
  lf_native_error error;
  bool ok = c->why.len == 0, told = true;
  if (!ok)
    told = put_failure(vm, c->native, task, NULL, &c->why, out);
  else if (make(vm, c, task, &result, &error))
    told = lfb_put_result(out, c->native, &result, task) == 0;
  else
    told = put_failure(vm, c->native, task, &error, &c->why, out), ok = false;
  if (!told)
    lfb_put_memory_error(out);
  return ok && told;
}

/* Passes on what the function says of its progress. */
typedef struct {
  lf_worker *worker;
  lf_task *task;
} reporter;

static void report(void *user, double done, double total) {
  reporter *r = user;
  lf_report said;
  if (!(total > 0))
    return; /* nothing that could be a share of something */
  lf_report_init(&said, done / total, NULL, 0);
  (void)lf_worker_report(r->worker, r->task, &said); /* else the former stays */
}

/* What it has returned does not count. */
static bool put_interrupted(lf_buf *out) {
  static const unsigned char one = 1;
  lf_buf_reset(out);
  if (lf_buf_put(out, &one, 1) != 0 || put_text(out, "interrupted!") != 0)
    lfb_put_memory_error(out);
  return false;
}

void lfb_native_run(struct lf_vm *vm, lf_task *t) {
  unsigned char small[64];
  lf_buf out;
  call c;
  lf_buf_init(&out, small, sizeof small);
  reporter r = {vm->worker, t};
  lfut_task task = {.stop = &vm->interrupted, .progress = report, .user = &r};
  lf_times times;
  lf_metered metered;
  bool timed = lf_profile_begin(t, &times, &metered);
  metered.phase = LF_PHASE_NATIVE;
  metered.step = metered.flow ? 't' : 0;
  read_call(&c, t->data.data);
  if (timed)
    lf_meter_enter(&metered);
  bool ok = perform(vm, &c, &task, &out);
  if (timed)
    lf_meter_leave(&metered);
  if (vm->interrupted)
    ok = put_interrupted(&out);
  lf_call_fini(&task);
  lf_buf_fini(&c.why);
  lf_worker_took(vm->worker, &times);
  if (!ok && lf_task_reason(t) != LF_GO_ON && lf_worker_again(vm->worker, t)) {
    lf_buf_fini(&out);
    return;
  }
  lf_buf_reset(&t->data); /* arguments, to which a result may have pointed */
  if (lf_buf_append(&t->data, &out) != 0) {
    lf_buf_reset(&t->data); /* what it has had of its own is enough */
    lfb_put_memory_error(&t->data);
    ok = false;
  }
  lf_buf_fini(&out);
  times.received = t->data.len;
  lf_worker_took(vm->worker, &times);
  lfb_frame_end_task();
  lf_worker_end(vm->worker, t, ok ? LF_FINISHED : LF_FAILED);
}
