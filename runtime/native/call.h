/* SPDX-License-Identifier: MIT
 *
 * Calling a library's function. Any thread. */
#ifndef LF_NATIVE_CALL_H
#define LF_NATIVE_CALL_H

#include "runtime/native/library.h"

/* An argument or a result: the member for its C type's kind. */
typedef union {
  uint64_t bits;
  int64_t i; /* integers and booleans, sign or zero extended */
  float f;
  double d;
  void *p;
} lf_cvalue;

/* What messages say: "compress2 of libz.so.1 returned -5". */
typedef struct {
  lf_cvalue value;      /* what it returned */
  int32_t error_number; /* errno, or 0 */
} lf_native_error;

/* Its address, as an argument for a parameter that points to a function. */
void *lf_native_entry(const lf_native *native);

/* The arguments from 'count' on, at least native->least, become the lengths of
 * the arrays that the option 'args' says. 'lengths': as below. */
void lf_native_fill(const lf_native *native, int count, lf_cvalue *args,
                    const size_t *lengths);

/* Before a call: are what the pointers in 'args' point to as long as the
 * option 'args' says? 'lengths': of what each points to, in elements; SIZE_MAX:
 * not known. False: 'why' has the message. */
bool lf_native_check(const lf_native *native, const lf_cvalue *args,
                     const size_t *lengths, lf_buf *why);

/* Calls the function with its proto->nparams arguments, whatever its threading
 * rule. 'task' is what a plugin's function finds the services with, and leaves
 * further results in. False: its result means failure, and 'error' tells, or
 * task->error is set. */
bool lf_native_call(const lf_native *native, const lf_cvalue *args,
                    lfut_task *task, lf_cvalue *result, lf_native_error *error);

/* Appends the message of a failure. */
void lf_native_explain(const lf_native *native, const lf_native_error *error,
                       lf_buf *out);

#endif
