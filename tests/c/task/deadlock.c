/* SPDX-License-Identifier: MIT */
#include "tests/c/fake.h"

#include "runtime/task/deadlock.h"

/* A running task and what it waits for. */
typedef struct {
  lf_waits waits;
  lf_task *task;
  lf_task *awaited[10];
} node;

static void each(lf_waits *waits, lf_visit *visit, void *arg) {
  node *n = lf_container_of(waits, node, waits);
  for (int i = 0; n->awaited[i] && visit(n->awaited[i], arg); i++)
    continue;
}

static void count(lf_waits *waits, int by) {
  node *n = lf_container_of(waits, node, waits);
  for (int i = 0; n->awaited[i]; i++)
    lf_task_await(n->awaited[i], by);
}

static void node_init(node *n, const char *label) {
  *n = (node){.waits = {each, count, .any = false}, .task = lf_task_new(NULL)};
  n->task->code = lf_code_get(label, 1, label, NULL);
  lf_task_start(n->task);
}

/* The first n of them, which wait for each other at most. */
static void nodes_fini(node *nodes, int n) {
  for (int i = 0; i < n; i++)
    lf_deadlock_end(nodes[i].task);
  for (int i = 0; i < n; i++)
    lf_task_unref(nodes[i].task);
}

static char path[64];

/* n waits for all (or any) of the others, NULL after the last. */
static int wait_for(node *n, bool any, node *first, ...) {
  va_list args;
  size_t i = 0;
  va_start(args, first);
  for (node *other = first; other; other = va_arg(args, node *))
    n->awaited[i++] = other->task;
  va_end(args);
  n->awaited[i] = NULL;
  n->waits.any = any;
  return lf_deadlock_begin(n->task, &n->waits, path, sizeof path);
}

#define wait_all(n, ...) wait_for(n, false, __VA_ARGS__, (node *)NULL)
#define wait_any(n, ...) wait_for(n, true, __VA_ARGS__, (node *)NULL)

static node abcd[4];
#define a abcd[0]
#define b abcd[1]
#define c abcd[2]
#define d abcd[3]

static int begin(void **state) {
  fake_begin(state);
  node_init(&a, "a");
  node_init(&b, "b");
  node_init(&c, "c");
  node_init(&d, "d");
  return 0;
}

static int end(void **state) {
  nodes_fini(abcd, 4);
  return fake_end(state);
}

static void a_task_that_waits_for_itself(void **state) {
  (void)state;
  assert_int_equal(wait_all(&a, &a), LF_EDEADLOCK);
  assert_string_equal(path, "a -> a");
  assert_int_equal(wait_any(&a, &a), LF_EDEADLOCK);
}

static void a_chain_is_closed(void **state) {
  (void)state;
  assert_int_equal(wait_all(&a, &b), 0);
  assert_int_equal(wait_all(&b, &c), 0);
  assert_int_equal(wait_all(&d, &a), 0);
  assert_int_equal(wait_all(&c, &a), LF_EDEADLOCK);
  assert_string_equal(path, "c -> a -> b -> c");
  lf_deadlock_end(b.task);
  assert_int_equal(wait_all(&c, &a), 0);
}

static void a_done_one_is_no_obstacle(void **state) {
  (void)state;
  assert_int_equal(wait_all(&a, &b), 0);
  lf_task_end(a.task, LF_FINISHED);
  assert_int_equal(wait_all(&b, &a), 0);
}

static void a_pending_one_is_no_obstacle(void **state) {
  (void)state;
  lf_task *pending = lf_task_new(NULL);
  a.awaited[0] = pending;
  assert_int_equal(lf_deadlock_begin(a.task, &a.waits, path, sizeof path), 0);
  lf_deadlock_end(a.task);
  lf_task_unref(pending);
}

static void one_of_all_is_enough(void **state) {
  (void)state;
  assert_int_equal(wait_all(&b, &a), 0);
  assert_int_equal(wait_all(&a, &c, &d, &b), LF_EDEADLOCK);
}

static void any_needs_each_to_be_stuck(void **state) {
  (void)state;
  assert_int_equal(wait_all(&b, &a), 0);
  assert_int_equal(wait_any(&a, &b, &c), 0);
  lf_deadlock_end(a.task);
  assert_int_equal(wait_all(&c, &b), 0);
  assert_int_equal(wait_any(&a, &b, &c), LF_EDEADLOCK);
}

/* a waits for b or c, b for a: only c can end it. */
static void the_last_way_out_is_closed(void **state) {
  (void)state;
  assert_int_equal(wait_any(&a, &b, &c), 0);
  assert_int_equal(wait_all(&b, &a), 0);
  assert_int_equal(wait_any(&c, &a, &d), 0);
  lf_deadlock_end(c.task);
  assert_int_equal(wait_all(&c, &a), LF_EDEADLOCK);
}

static void the_main_script_is_not_recorded(void **state) {
  (void)state;
  a.awaited[0] = a.task;
  assert_int_equal(lf_deadlock_begin(NULL, &a.waits, path, sizeof path), 0);
  lf_deadlock_end(NULL);
}

static void a_path_is_cut(void **state) {
  (void)state;
  char small[8] = "";
  wait_all(&a, &b);
  b.awaited[0] = a.task;
  assert_int_equal(lf_deadlock_begin(b.task, &b.waits, small, sizeof small),
                   LF_EDEADLOCK);
  assert_string_equal(small, "b -> a ");
}

static void who_is_awaited_is_known(void **state) {
  (void)state;
  wait_all(&a, &b, &c);
  assert_int_equal(b.task->awaited + c.task->awaited, 2);
  assert_int_equal(wait_all(&b, &a), LF_EDEADLOCK);
  assert_int_equal(a.task->awaited, 0);
  wait_all(&d, &b);
  assert_int_equal(b.task->awaited, 2);
  lf_deadlock_end(a.task);
  lf_deadlock_end(d.task);
  assert_int_equal(b.task->awaited + c.task->awaited, 0);
}

static void what_is_swapped_is_counted(void **state) {
  (void)state;
  node other;
  node_init(&other, "a");
  other.awaited[0] = c.task;
  wait_all(&a, &b);
  assert_ptr_equal(lf_deadlock_swap(a.task, &other.waits), &a.waits);
  assert_int_equal(b.task->awaited, 0);
  assert_int_equal(wait_all(&c, &a), LF_EDEADLOCK);
  lf_deadlock_swap(a.task, &a.waits);
  assert_int_equal(c.task->awaited, 0);
  assert_int_equal(wait_all(&c, &a), 0);
  nodes_fini(&other, 1);
}

/* --- Many threads --- */

enum { THREADS = 4, ROUNDS = 3000 };

/* Each round all wait for the next one, in a ring: all but one get through, and
 * that one closes it. */
typedef struct {
  pthread_barrier_t meet;
  node nodes[THREADS];
  _Atomic int refused;
} ring;

typedef struct {
  ring *ring;
  int i;
} place;

static void *close_ring(void *arg) {
  place *p = arg;
  ring *r = p->ring;
  node *n = &r->nodes[p->i];
  char text[64];
  n->awaited[0] = r->nodes[(p->i + 1) % THREADS].task;
  for (int round = 0; round < ROUNDS; round++) {
    pthread_barrier_wait(&r->meet);
    if (lf_deadlock_begin(n->task, &n->waits, text, sizeof text) != 0)
      r->refused++;
    pthread_barrier_wait(&r->meet);
    lf_deadlock_end(n->task);
  }
  return NULL;
}

static void one_of_a_ring_is_refused(void **state) {
  (void)state;
  static ring r;
  place places[THREADS];
  pthread_t threads[THREADS];
  pthread_barrier_init(&r.meet, NULL, THREADS);
  for (int i = 0; i < THREADS; i++)
    node_init(&r.nodes[i], "n");
  for (int i = 0; i < THREADS; i++) {
    places[i] = (place){&r, i};
    pthread_create(&threads[i], NULL, close_ring, &places[i]);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(r.refused, ROUNDS);
  nodes_fini(r.nodes, THREADS);
  pthread_barrier_destroy(&r.meet);
}

/* One waits for all others, again and again, and is awaited; these wait for
 * something that ends, again and again: nobody is ever stuck. */
static void *wait_again(void *arg) {
  place *p = arg;
  node *n = &p->ring->nodes[p->i];
  char text[64];
  for (int round = 0; round < ROUNDS; round++) {
    if (lf_deadlock_begin(n->task, &n->waits, text, sizeof text) != 0)
      p->ring->refused++;
    lf_deadlock_end(n->task);
  }
  return NULL;
}

static void who_begins_to_wait_is_no_obstacle(void **state) {
  (void)state;
  static ring r;
  place places[THREADS];
  pthread_t threads[THREADS];
  r.refused = 0;
  for (int i = 0; i < THREADS; i++)
    node_init(&r.nodes[i], "n");
  wait_all(&a, &r.nodes[0]);
  for (int i = 1; i < THREADS; i++) {
    r.nodes[0].awaited[i - 1] = r.nodes[i].task;
    r.nodes[i].awaited[0] = b.task;
  }
  for (int i = 0; i < THREADS; i++) {
    places[i] = (place){&r, i};
    pthread_create(&threads[i], NULL, wait_again, &places[i]);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(r.refused, 0);
  lf_deadlock_end(a.task);
  nodes_fini(r.nodes, THREADS);
}

enum { DEEP = 1500 };

static void a_long_chain(void **state) {
  (void)state;
  static node nodes[DEEP];
  for (int i = 0; i < DEEP; i++)
    node_init(&nodes[i], "n");
  for (int i = 0; i + 1 < DEEP; i++)
    assert_int_equal(wait_all(&nodes[i], &nodes[i + 1]), 0);
  assert_int_equal(wait_all(&nodes[DEEP - 1], &nodes[0]), LF_EDEADLOCK);
  nodes_fini(nodes, DEEP);
}

enum { LAYERS = 60 };

/* There are 2^60 paths from the last layer to the first. */
static void layers_of_tasks(void **state) {
  (void)state;
  static node all[2 * LAYERS], *left = all, *right = all + LAYERS;
  for (int i = 0; i < LAYERS; i++) {
    node_init(&left[i], "l");
    node_init(&right[i], "r");
  }
  for (int i = 1; i < LAYERS; i++) {
    assert_int_equal(wait_all(&left[i], &left[i - 1], &right[i - 1]), 0);
    assert_int_equal(wait_all(&right[i], &left[i - 1], &right[i - 1]), 0);
  }
  assert_int_equal(wait_any(&left[0], &left[LAYERS - 1], &a), 0);
  lf_deadlock_end(left[0].task);
  assert_int_equal(wait_all(&left[0], &left[LAYERS - 1]), LF_EDEADLOCK);
  nodes_fini(all, 2 * LAYERS);
}

#define CYCLE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      CYCLE_TEST(a_task_that_waits_for_itself),
      CYCLE_TEST(a_chain_is_closed),
      CYCLE_TEST(a_done_one_is_no_obstacle),
      CYCLE_TEST(a_pending_one_is_no_obstacle),
      CYCLE_TEST(one_of_all_is_enough),
      CYCLE_TEST(any_needs_each_to_be_stuck),
      CYCLE_TEST(the_last_way_out_is_closed),
      CYCLE_TEST(the_main_script_is_not_recorded),
      CYCLE_TEST(a_path_is_cut),
      CYCLE_TEST(who_is_awaited_is_known),
      CYCLE_TEST(what_is_swapped_is_counted),
      CYCLE_TEST(one_of_a_ring_is_refused),
      CYCLE_TEST(who_begins_to_wait_is_no_obstacle),
      CYCLE_TEST(a_long_chain),
      CYCLE_TEST(layers_of_tasks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
