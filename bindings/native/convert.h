/* SPDX-License-Identifier: MIT
 *
 * Lua values as arguments of C functions, and C functions' results as Lua
 * values. Strict: what does not fit is an error, in words, before the call. */
#ifndef LFB_NATIVE_CONVERT_H
#define LFB_NATIVE_CONVERT_H

#include "bindings/core/state.h"

#include "runtime/native/call.h"
#include "runtime/shm/array.h"

/* Converted arguments. What pointers point to belongs to the Lua values. */
typedef struct {
  lf_cvalue values[LF_C_PARAMS];
  size_t lengths[LF_C_PARAMS]; /* what each points to has so many elements;
                                  SIZE_MAX: not known */
} lfb_cargs;

/* A pointer that C has given; a userdata of class LFB_POINTER. */
typedef struct {
  void *pointer;
  uint64_t library; /* its identity */
  int32_t pid;      /* of the process where it is one */
} lfb_pointer;

/* Where a function stores a pointer: an array of these, shared with workers.
 * The userdata (class LFB_OUT) holds the array. */
enum { LFB_OUT_POINTER, LFB_OUT_LIBRARY, LFB_OUT_PID, LFB_OUT_WORDS };

/* A number as an argument of that kind; false: it does not fit, or the kind is
 * no number's. */
bool lfb_fit_integer(lua_Integer i, lf_ckind kind, lf_cvalue *out);
bool lfb_fit_number(lua_Number n, lf_ckind kind, lf_cvalue *out);

/* Where a function will run: in this process; in another; who knows. */
typedef enum { LFB_HERE, LFB_THERE, LFB_ANYWHERE } lfb_target;

/* Converts the 'count' values from 'first' on; the function's arguments.
 * Raises. */
void lfb_convert(lua_State *L, lfb_state *S, const lf_native *native, int first,
                 int count, lfb_target target, lfb_cargs *out);

/* Appends "compress2: argument 5 'level'" for the i-th parameter, from 0. */
void lfb_print_param(lf_buf *out, const lf_native *native, int i);

/* Can this pointer be an argument of the function where that runs? False: 'why'
 * has the message. */
bool lfb_pointer_fits(const lfb_pointer *pointer, const lf_native *native,
                      lfb_target target, lf_buf *why);

/* Does a parameter of that type, a pointer, take the array? */
bool lfb_takes_array(const lf_ctype *type, const lf_array *array);

/* How long the array is for a parameter of that type: elements, or bytes. */
size_t lfb_array_length(const lf_array *array, const lf_ctype *type);

/* Appends the words for a failed call. */
void lfb_explain(const lf_native *native, const lfut_task *task,
                 const lf_native_error *error, lf_buf *out);

/* Raises: the call has failed. */
int lfb_raise_native(lua_State *L, const lf_native *native,
                     const lfut_task *task, const lf_native_error *error);

/* Pushes a NativeError. */
void lfb_push_native_error(lua_State *L, const lf_native *native,
                           const char *message, const lf_native_error *error);

/* Pushes what the function has returned: one value, or none (void). */
int lfb_push_cvalue(lua_State *L, const lf_native *native, const lf_cvalue *v);

/* Pushes the further results of a plugin's function; how many. */
int lfb_push_extra(lua_State *L, const lfut_task *task);

/* After a call in which outs were passed: notes whose pointers they hold. */
void lfb_sign_out(lf_array *out, const lf_native *native);

/* lfut.Out() */
int lfb_out(lua_State *L);

void lfb_convert_open(lua_State *L, lfb_state *S);

#endif
