/* SPDX-License-Identifier: MIT
 *
 * runtime/base/stack.h: one thread takes what others push. */
#include "tests/c/fake.h"

#include "runtime/base/stack.h"

#include <pthread.h>

enum { PUSHERS = 4, EACH = 20000 };

typedef struct {
  lf_node node;
  int pusher, number;
} item;

static lf_stack stack;
static item items[PUSHERS][EACH];

static void *push_all(void *arg) {
  int pusher = (int)(intptr_t)arg;
  for (int i = 0; i < EACH; i++) {
    items[pusher][i].pusher = pusher;
    items[pusher][i].number = i;
    lf_stack_push(&stack, &items[pusher][i].node);
  }
  return NULL;
}

static item *take(void) {
  lf_node *node = lf_stack_take(&stack);
  return node ? lf_container_of(node, item, node) : NULL;
}

static void the_oldest_comes_first(void **state) {
  (void)state;
  lf_stack_init(&stack);
  assert_true(lf_stack_is_empty(&stack));
  assert_null(take());
  push_all((void *)0);
  for (int i = 0; i < EACH; i++) {
    assert_false(lf_stack_is_empty(&stack));
    assert_int_equal(take()->number, i);
    if (i == 5) /* behind all those that are there */
      lf_stack_push(&stack, &items[1][0].node);
  }
  assert_ptr_equal(take(), &items[1][0]);
  assert_true(lf_stack_is_empty(&stack));
}

static void all_that_threads_push_comes_once(void **state) {
  (void)state;
  pthread_t threads[PUSHERS];
  int next[PUSHERS] = {0}, left = PUSHERS * EACH;
  lf_stack_init(&stack);
  for (intptr_t i = 0; i < PUSHERS; i++)
    pthread_create(&threads[i], NULL, push_all, (void *)i);
  while (left > 0) {
    const item *it = take();
    if (!it)
      continue;
    assert_int_equal(it->number,
                     next[it->pusher]++); /* in the thread's order */
    left--;
  }
  for (int i = 0; i < PUSHERS; i++)
    pthread_join(threads[i], NULL);
  assert_true(lf_stack_is_empty(&stack));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_oldest_comes_first),
      TEST(all_that_threads_push_comes_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
