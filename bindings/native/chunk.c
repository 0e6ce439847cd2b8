/* SPDX-License-Identifier: MIT
 *
 * See chunk.h. Items come as numbers of a range, elements of an array, or
 * packed, and go into calls without an interpreter. What is not plain, does not
 * fit, or fails, is left to the Lua driver, which knows how to say so. */
#include "bindings/native/chunk.h"

#include <string.h>

#include "bindings/native/call.h"
#include "bindings/native/convert.h"
#include "bindings/native/native.h"
#include "bindings/pack/pack.h"
#include "bindings/run/forked.h"
#include "bindings/run/items.h"
#include "bindings/sync/element.h"
#include "runtime/os/clock.h"
#include "runtime/pool/current.h"
#include "runtime/task/strand.h"

/* A value that needs no interpreter. */
typedef struct {
  enum { NIL, BOOLEAN, INTEGER, FLOAT, TEXT, ARRAY } kind;
  lua_Integer i;
  lua_Number d;
  const char *text;
  size_t len;
  lf_array *array;
} plain;

typedef struct {
  lf_native *native;
  lfb_sink sink;
  plain first, step;       /* of a range; first: or the array */
  const double *doubles;   /* of the array, if they are just what the function
                              takes; else NULL */
  const unsigned char *at; /* the next packed item */
  lf_chunk *chunk;
  lfut_task task; /* empty between items */
} calls;

static void read_bytes(const unsigned char **at, void *out, size_t n) {
  memcpy(out, *at, n);
  *at += n;
}

static bool read_text(const unsigned char **at, size_t len, plain *v) {
  v->kind = TEXT;
  v->text = (const char *)*at;
  v->len = len;
  *at += len;
  return true;
}

static bool read_long(const unsigned char **at, plain *v) {
  uint64_t len;
  read_bytes(at, &len, sizeof len);
  return read_text(at, (size_t)len, v);
}

/* An array's handle. */
static bool read_handle(const unsigned char **at, plain *v) {
  if (*(*at)++ != LFB_ARRAY)
    return false;
  v->kind = ARRAY;
  read_bytes(at, &v->array, sizeof v->array);
  return true;
}

/* The value at '*at', which is moved behind it; false: it is not plain. */
static bool read_plain(const unsigned char **at, plain *v) {
  *v = (plain){.kind = INTEGER};
  switch ((lfb_tag) * (*at)++) {
  case LFB_T_NIL:
    v->kind = NIL;
    return true;
  case LFB_T_FALSE:
  case LFB_T_TRUE:
    v->kind = BOOLEAN;
    v->i = (*at)[-1] == LFB_T_TRUE;
    return true;
  case LFB_T_BYTE:
    v->i = (int8_t) * (*at)++;
    return true;
  case LFB_T_INTEGER:
    read_bytes(at, &v->i, sizeof v->i);
    return true;
  case LFB_T_FLOAT:
    v->kind = FLOAT;
    read_bytes(at, &v->d, sizeof v->d);
    return true;
  case LFB_T_SHORT:
    return ++*at, read_text(at, (*at)[-1], v);
  case LFB_T_STRING:
    return read_long(at, v);
  case LFB_T_HANDLE:
    return read_handle(at, v);
  default:
    return false;
  }
}

static void find_doubles(calls *l) {
  const lf_cfunc *f = l->native->proto;
  if (l->first.kind == ARRAY && l->first.array->type == LF_A_DOUBLE &&
      f->nparams == 1 && f->params[0].type->kind == LF_C_DOUBLE)
    l->doubles = l->first.array->data;
}

/* The function and the options of the loop; false: there is another function,
 * or a sink that needs Lua. */
static bool read_setup(calls *l, const lf_loop *loop) {
  const unsigned char *at = lf_loop_setup(loop)->data;
  lf_code *code;
  uint32_t index;
  plain sink;
  if (*at++ != LFB_SETUP_COUNT || *at++ != LFB_T_INSTANCE ||
      *at++ != LFB_NATIVE)
    return false;
  read_bytes(&at, &code, sizeof code);
  read_bytes(&at, &index, sizeof index);
  lf_library *library;
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  int err = lf_library_open(code, &library, &why);
  lf_buf_fini(&why);
  if (err || !read_plain(&at, &sink) || !read_plain(&at, &l->first) ||
      !read_plain(&at, &l->step))
    return false;
  l->native = library->functions[index];
  l->sink = (lfb_sink)sink.i;
  find_doubles(l);
  return l->sink != LFB_FOLD && !l->native->proto->variadic;
}

/* --- Arguments --------------------------------------------------------------
 */

/* The i-th element (from 0) of an array. */
static plain element(const lf_array *a, uint64_t i) {
  plain v = {.kind = INTEGER};
  if (a->type == LF_A_FLOAT || a->type == LF_A_DOUBLE)
    v = (plain){.kind = FLOAT, .d = lfb_float_element(a, (size_t)i)};
  else
    v.i = lfb_integer_element(a, (size_t)i);
  return v;
}

static bool to_target(const plain *v, const lf_native *n, int i,
                      lfb_cargs *args) {
  const lf_ctype *type = n->proto->params[i].type;
  args->values[i].p = NULL;
  args->lengths[i] = SIZE_MAX;
  if (v->kind == NIL)
    return true;
  if (v->kind != ARRAY || !lfb_takes_array(type, v->array))
    return false; /* packed strings have no zero behind them */
  args->values[i].p = v->array->data;
  args->lengths[i] = lfb_array_length(v->array, type);
  return true;
}

static bool to_argument(const plain *v, const lf_native *n, int i,
                        lfb_cargs *args) {
  lf_ckind kind = n->proto->params[i].type->kind;
  args->values[i].bits = (uint64_t)v->i;
  if (kind == LF_C_POINTER)
    return to_target(v, n, i, args);
  if (kind == LF_C_BOOL)
    return v->kind == BOOLEAN;
  if (v->kind == FLOAT)
    return lfb_fit_number(v->d, kind, &args->values[i]);
  return v->kind == INTEGER && lfb_fit_integer(v->i, kind, &args->values[i]);
}

/* The arguments of the chunk's i-th item. */
static bool take_packed(calls *l, lfb_cargs *args) {
  int n = *l->at++;
  if (n < l->native->least || n > l->native->proto->nparams)
    return false;
  for (int i = 0; i < n; i++) {
    plain v;
    if (!read_plain(&l->at, &v) || !to_argument(&v, l->native, i, args))
      return false;
  }
  lf_native_fill(l->native, n, args->values, args->lengths);
  return true;
}

static bool take_item(calls *l, uint64_t position, lfb_cargs *args) {
  if (l->doubles) {
    __atomic_load(l->doubles + position, &args->values[0].d, __ATOMIC_RELAXED);
    return true;
  }
  if (l->chunk->block)
    return take_packed(l, args);
  if (l->native->proto->nparams != 1)
    return false;
  plain v = l->first;
  if (v.kind == ARRAY)
    v = element(v.array, position);
  else if (v.kind == INTEGER)
    v.i = (lua_Integer)((uint64_t)v.i + position * (uint64_t)l->step.i);
  else
    v.d += (lua_Number)position * l->step.d;
  return to_argument(&v, l->native, 0, args);
}

/* --- Running ----------------------------------------------------------------
 */

/* A result that is one number. */
static bool emit_number(calls *l, const lf_cvalue *v) {
  lf_buf *out = &l->chunk->out;
  lf_ckind kind = l->native->proto->result->kind;
  lua_Number n = kind == LF_C_FLOAT ? (lua_Number)v->f : v->d;
  if (kind == LF_C_FLOAT || kind == LF_C_DOUBLE)
    return lfb_put_number(out, LFB_ITEM_FLOAT, &n) == 0;
  return lfb_put_number(out, LFB_ITEM_INTEGER, &v->i) == 0;
}

static bool emit(calls *l, const lf_cvalue *result) {
  static const unsigned char entry = LFB_ITEM_RESULT;
  lf_buf *out = &l->chunk->out;
  size_t before = out->len;
  lf_ckind kind = l->native->proto->result->kind;
  if (l->sink != LFB_MAPPED)
    return true;
  if (kind > LF_C_BOOL && kind < LF_C_POINTER && l->task.extra.len == 0)
    return emit_number(l, result);
  if (lf_buf_put(out, &entry, 1) == 0 &&
      lfb_put_result(out, l->native, result, &l->task) == 0)
    return true;
  lf_buf_cut(out, before);
  return false;
}

static bool is_long_enough(const calls *l, const lfb_cargs *args) {
  char text[300];
  lf_buf why;
  lf_buf_init(&why, text, sizeof text);
  bool is = lf_native_check(l->native, args->values, args->lengths, &why);
  lf_buf_fini(&why);
  return is;
}

static void clear_task(calls *l) {
  if (!l->native->library->version)
    return; /* no plugin: nobody has touched it */
  lf_call_fini(&l->task);
  l->task.error = NULL;
  l->task.no_memory = false;
}

/* The function has been called, but what it has returned cannot be kept: it
 * must not be called again. */
static bool give_up(lf_chunk *c) {
  c->failed = true;
  lf_buf_no_memory(&c->why);
  return false;
}

/* Runs one item; false: it is the driver's, or the chunk is given up. */
static bool run_item(struct lf_vm *vm, calls *l) {
  lfb_cargs args;
  lf_cvalue result;
  lf_native_error error;
  lf_chunk *c = l->chunk;
  if (!take_item(l, c->first + c->finished, &args) ||
      (l->native->checks && !is_long_enough(l, &args)))
    return false;
  bool made = lf_native_call(l->native, args.values, &l->task, &result, &error);
  lfb_forked_leave(vm, true, NULL);
  bool ok = made ? emit(l, &result)
                 : lfb_put_item_failure(vm, l->native, &l->task, &error,
                                        c->first + c->finished, &c->out);
  clear_task(l);
  if (!ok)
    return give_up(c);
  c->finished++;
  return true;
}

static void run_items(struct lf_vm *vm, calls *l) {
  lf_chunk *c = l->chunk;
  lf_pool *pool = lf_worker_pool(vm->worker);
  lf_hunger hunger = lf_pool_hunger(pool);
  int64_t since = lf_now();
  while (c->finished < c->count && !vm->interrupted && run_item(vm, l))
    if (lf_is_hungry(&hunger) && c->finished < c->count &&
        lf_chunk_overruns(c, pool, since)) {
      c->rest = c->count - c->finished;
      return;
    }
}

void lfb_native_chunk(struct lf_vm *vm, const lf_loop *loop, lf_chunk *chunk) {
  calls l = {.chunk = chunk, .task.stop = &vm->interrupted};
  if (!read_setup(&l, loop))
    return;
  if (chunk->block)
    l.at =
        chunk->block->bytes.data + lf_block_start(chunk->block, chunk->first);
  bool inside = lf_worker_is_inside(vm->worker);
  struct lf_strand *strand = inside ? NULL : lfb_pass(vm, l.native->strand);
  if (strand || inside || !l.native->strand) /* else interrupted */
    run_items(vm, &l);
  if (strand)
    lf_strand_leave(strand);
}
