/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

typedef struct {
  lf_link link;
  int number;
} item;

static void add(lf_link *at, item *it, int number) {
  it->number = number;
  lf_list_add(at, &it->link);
}

static int pop(lf_link *head) {
  lf_link *l = lf_list_pop(head);
  return l ? lf_container_of(l, item, link)->number : 0;
}

static void keeps_the_order(void **state) {
  (void)state;
  lf_link list;
  item a, b, c;
  lf_list_init(&list);
  assert_true(lf_list_empty(&list));
  add(&list, &a, 1);
  add(&list, &b, 2);
  add(list.next, &c, 3); /* in front */
  assert_false(lf_list_empty(&list));
  assert_int_equal(pop(&list), 3);
  assert_int_equal(pop(&list), 1);
  assert_int_equal(pop(&list), 2);
  assert_int_equal(pop(&list), 0);
}

static void deleting_twice_is_harmless(void **state) {
  (void)state;
  lf_link list;
  item a, b;
  lf_list_init(&list);
  add(&list, &a, 1);
  add(&list, &b, 2);
  lf_list_del(&a.link);
  lf_list_del(&a.link);
  assert_int_equal(pop(&list), 2);
  assert_int_equal(pop(&list), 0);
}

static void moves_a_whole_list(void **state) {
  (void)state;
  lf_link from, to;
  item a, b, c;
  lf_list_init(&from);
  lf_list_init(&to);
  lf_list_move(&to, &from);
  assert_true(lf_list_empty(&to));
  add(&to, &a, 1);
  add(&from, &b, 2);
  add(&from, &c, 3);
  lf_list_move(&to, &from);
  assert_true(lf_list_empty(&from));
  assert_int_equal(pop(&to), 1);
  assert_int_equal(pop(&to), 2);
  assert_int_equal(pop(&to), 3);
  assert_int_equal(pop(&to), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(keeps_the_order),
      TEST(deleting_twice_is_harmless),
      TEST(moves_a_whole_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
