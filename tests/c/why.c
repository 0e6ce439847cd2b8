/* SPDX-License-Identifier: MIT
 *
 * See why.h. */
#include "tests/c/why.h"

lf_buf why;

int why_begin(void **state) {
  lf_buf_init(&why, NULL, 0);
  return fake_begin(state);
}

int why_end(void **state) {
  lf_buf_fini(&why);
  return fake_end(state);
}

const char *why_text(void) {
  assert_int_equal(lf_buf_put(&why, "", 1), 0);
  return (const char *)why.data;
}
