/* SPDX-License-Identifier: MIT
 *
 * Where functions say why they have failed, for tests of what they say. */
#ifndef WHY_H
#define WHY_H

#include "tests/c/fake.h"

/* A test as TEST has it, at whose beginning 'why' is empty. */
#define WHY_TEST(f) cmocka_unit_test_setup_teardown(f, why_begin, why_end)

int why_begin(void **state);
int why_end(void **state);

extern lf_buf why;

/* As a string; valid until more is written. */
const char *why_text(void);

#endif
