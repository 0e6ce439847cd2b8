/* SPDX-License-Identifier: MIT
 *
 * Worker processes are asked to stop a task just when they begin it, or go on
 * with it. The worker's side is played here, too. */
#include "tests/c/process/scene.h"

#include "runtime/pool/current.h"
#include "runtime/process/serve_receive.h"

/* The scene with a task in flight, and the worker's side. */
typedef struct {
  scene s;
  lf_pool *worker_pool; /* the pool as the worker has it */
  lf_serve serve;
  lf_worker worker;
  lf_task *task, *copy; /* as the program, and the worker knows it */
  lf_in_flight *flight;
} stage;

static int heard;

static void hear(lf_pool *p) {
  (void)p;
  heard++;
}

static const lf_backend listener = {.remote = true, .receive = hear};

static void play(stage *g) {
  scene_begin(&g->s);
  heard = 0;
  lf_worker *w = &g->worker;
  *w = (lf_worker){.runs_at = &g->s.proc.region->running,
                   .asked_at = &g->s.proc.region->asked,
                   .asks_at = &g->s.proc.region->asks};
  lf_list_init(&w->pinned);
  g->worker_pool = lf_zalloc(sizeof *g->worker_pool);
  w->pool = g->worker_pool;
  w->pool->o.backend = &listener;
  lf_list_init(&w->pool->queue);
  g->serve =
      (lf_serve){.pool = w->pool, .worker = w, .region = g->s.proc.region};
  g->task = fake_task(g->s.pool, step_log, NUMBER(1), NULL);
  g->flight = lf_in_flight_new(&g->s.proc, lf_task_ref(g->task));
  g->s.proc.sent++;
  g->copy = fake_task(g->s.pool, step_log, NUMBER(1), NULL);
  g->copy->far.id = lf_in_flight_id(g->flight);
  lf_list_add(&w->pool->queue, &g->copy->link);
}

static bool ask(stage *g) {
  return lf_processes_backend.ask(g->s.pool, g->task, LF_STOP_CANCEL);
}

static void clear(stage *g) {
  g->copy->far.carrier = NULL;
  if (g->flight->task) {
    lf_proc_finish_flight(g->flight);
    lf_task_unref(g->task);
  }
  lf_task_start(g->task);
  if (!lf_task_done(g->task))
    lf_task_end(g->task, LF_FINISHED);
  lf_task_unref(g->task);
  lf_task_cancel(g->copy);
  lf_task_unref(g->copy);
  while (!lf_list_empty(&g->s.proc.landed))
    lf_free(
        lf_container_of(lf_list_pop(&g->s.proc.landed), lf_in_flight, link));
  lf_free(g->s.proc.flights);
  lf_free(g->worker_pool);
  scene_end(&g->s);
}

/* It has begun, and its code is not running yet: it is not taken for a parked
 * one, whose future ends at once and which nobody looks after any more. */
static void one_that_begins(void **state) {
  (void)state;
  stage g;
  play(&g);
  assert_false(ask(&g)); /* it has not begun */
  assert_ptr_equal(lf_serve_take(&g.serve, false), g.copy);
  assert_true(ask(&g));
  assert_false(lf_task_done(g.task));
  assert_int_equal(atomic_load(&g.s.proc.region->asked), g.copy->far.id);
  assert_true(lf_worker_is_asked(&g.worker, g.copy));
  clear(&g);
}

static void one_that_was_taken_back(void **state) {
  (void)state;
  stage g;
  play(&g);
  atomic_store(&g.s.proc.region->running, 7);
  assert_true(lf_proc_take_back(g.flight));
  assert_ptr_equal(lf_serve_take(&g.serve, false), NULL);
  assert_int_equal(atomic_load(&g.s.proc.region->running), 7);
  lf_task_unref(g.task); /* the flight's */
  g.copy = fake_task(g.s.pool, step_log, NUMBER(1), NULL);
  clear(&g);
}

/* One that is parked ends for the program; its worker listens to that before
 * it goes on with it. */
static void one_that_goes_on(void **state) {
  (void)state;
  stage g;
  play(&g);
  assert_ptr_equal(lf_serve_take(&g.serve, false), g.copy);
  lf_worker_runs(&g.worker, g.copy);
  lf_worker_runs(&g.worker, NULL);
  assert_int_equal(heard, 0);
  assert_true(ask(&g));
  assert_true(lf_task_done(g.task));
  lf_worker_runs(&g.worker, g.copy);
  assert_int_equal(heard, 1);
  lf_worker_runs(&g.worker, NULL);
  assert_int_equal(heard, 1);
  clear(&g);
}

/* If the worker cannot be told yet, it does not end. */
static void one_of_a_worker_that_does_not_listen(void **state) {
  (void)state;
  stage g;
  play(&g);
  assert_ptr_equal(lf_serve_take(&g.serve, false), g.copy);
  lf_worker_runs(&g.worker, NULL);
  size_t room = lf_ring_room(g.s.proc.end.out);
  lf_ring_publish(g.s.proc.end.out, room);
  assert_true(ask(&g));
  assert_false(lf_task_done(g.task));
  clear(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(one_that_begins),
      TEST(one_that_was_taken_back),
      TEST(one_that_goes_on),
      TEST(one_of_a_worker_that_does_not_listen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
