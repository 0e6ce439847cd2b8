/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/task/follow.h"

typedef struct item {
  lf_follow follow;
  int number;
  struct item *more; /* to be noted by it, or NULL */
} item;

static void run(lf_follow *follow) {
  item *i = lf_container_of(follow, item, follow);
  if (i->more)
    lf_follow_note(&i->more->follow);
  lf_follow_run(); /* is running already */
  log_add(i->number);
}

static void runs_what_was_noted_in_order(void **state) {
  (void)state;
  item items[3] = {{{.run = run}, 1, NULL},
                   {{.run = run}, 2, NULL},
                   {{.run = run}, 3, NULL}};
  lf_follow_run();
  for (int i = 0; i < 3; i++)
    lf_follow_note(&items[i].follow);
  assert_int_equal(log_len(), 0);
  lf_follow_run();
  assert_log(1, 2, 3);
  lf_follow_run();
  assert_int_equal(log_len(), 3);
}

static void what_comes_meanwhile_comes_later(void **state) {
  (void)state;
  item third = {{.run = run}, 3, NULL}, first = {{.run = run}, 1, &third};
  item second = {{.run = run}, 2, NULL};
  lf_follow_note(&first.follow);
  lf_follow_note(&second.follow);
  lf_follow_run();
  assert_log(1, 2, 3);
}

static void *note_one(void *arg) {
  lf_follow_note(arg);
  return NULL;
}

static void each_thread_has_its_own(void **state) {
  (void)state;
  item left = {{.run = run}, 1, NULL};
  pthread_t thread;
  pthread_create(&thread, NULL, note_one, &left.follow);
  pthread_join(thread, NULL);
  lf_follow_run();
  assert_int_equal(log_len(), 0);
}

enum { LONG = 1000000 };

static int count;

static void run_next(lf_follow *follow) {
  item *i = lf_container_of(follow, item, follow);
  if (++count < LONG)
    lf_follow_note(&i[1].follow);
  lf_follow_run();
}

static void a_long_chain_does_not_recurse(void **state) {
  (void)state;
  static item items[LONG];
  for (int i = 0; i < LONG; i++)
    items[i].follow.run = run_next;
  lf_follow_note(&items[0].follow);
  lf_follow_run();
  assert_int_equal(count, LONG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(runs_what_was_noted_in_order),
      TEST(what_comes_meanwhile_comes_later),
      TEST(each_thread_has_its_own),
      TEST(a_long_chain_does_not_recurse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
