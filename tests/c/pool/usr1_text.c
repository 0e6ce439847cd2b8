/* SPDX-License-Identifier: MIT
 *
 * runtime/pool/usr1_text.h, of surveys that are made by hand. */
#include "tests/c/fake.h"

#include "runtime/pool/usr1_text.h"

#include <stdlib.h>
#include <string.h>

static const int64_t SECOND = 1000000000;

static fake_setup setup;
static lf_survey survey;
static lf_subject subjects[200];
static char text[20000];

static lf_subject *add(int id) {
  lf_subject *s = &subjects[survey.n++];
  *s = (lf_subject){.id = id, .presence = LF_THERE, .got = LF_SIGHT_WHOLE};
  s->sight = calloc(1, sizeof *s->sight);
  s->sight->thread = 100 + id;
  return s;
}

static lf_sight_line *add_line(lf_subject *s, const char *name,
                               const char *thing, const char *where) {
  lf_sight_line *l = &s->sight->lines[s->sight->n++];
  l->count = 1;
  l->what = name[0] ? LF_SIGHT_TASK : LF_SIGHT_SCRIPT;
  l->until = LF_FOREVER;
  lf_line_copy(l->name, sizeof l->name, name);
  lf_line_copy(l->thing, sizeof l->thing, thing);
  lf_line_copy(l->where, sizeof l->where, where);
  return l;
}

static void hold(lf_subject *s, uint64_t holder, uint32_t line) {
  s->sight->holders[s->sight->nholders].holder = holder;
  s->sight->holders[s->sight->nholders++].line = line;
}

/* What is said, behind the first line. */
static const char *said(void) {
  lf_line out;
  lf_line_init(&out, text, sizeof text);
  lf_dump_put(&out, &survey, 3 * SECOND);
  const char *first = strchr(text, '\n');
  return first ? first + 1 : "";
}

static int begin(void **state) {
  if (fake_begin(state) != 0)
    return -1;
  survey =
      (lf_survey){.now = 10 * SECOND, .looked = true, .subjects = subjects};
  add(0);
  return 0;
}

static int end(void **state) {
  for (size_t i = 0; i < survey.n; i++)
    free(subjects[i].sight);
  for (size_t i = 0; i < survey.npools; i++)
    fake_close(survey.pools[i].pool);
  return fake_end(state);
}

/* The subjects from 'first' on are a pool's. */
static lf_surveyed *add_pool(size_t first) {
  lf_surveyed *p = &survey.pools[survey.npools++];
  *p = (lf_surveyed){.pool = fake_pool(&setup, 2),
                     .looked = true,
                     .first = first,
                     .n = survey.n - first};
  return p;
}

static void tells_of_the_script(void **state) {
  (void)state;
  lf_sight_line *l = add_line(&subjects[0], "", "a queue", "at s.lua:1");
  assert_string_equal(said(), "the script: waits for a queue, at s.lua:1\n");
  assert_non_null(strstr(text, " after 7.0 s\n"));
  l->waits_since = 8 * SECOND;
  assert_string_equal(said(),
                      "the script: waits for a queue (2.0 s), at s.lua:1\n");
  l->until = 11 * SECOND;
  assert_string_equal(
      said(),
      "the script: waits for a queue (2.0 s, 1.0 s left), at s.lua:1\n");
  l->thing[0] = '\0';
  assert_string_equal(said(), "the script: runs, at s.lua:1\n");
  l->where[0] = '\0';
  subjects[0].got = LF_SIGHT_GLANCE;
  assert_string_equal(said(), "the script: runs, in C code\n");
}

static void tells_of_what_could_not_be_looked_at(void **state) {
  (void)state;
  add_line(&subjects[0], "", "", "at s.lua:1");
  survey.looked = false;
  assert_non_null(strstr(said(), "list of executors cannot be looked at"));
  survey.looked = true;
  add_pool(1)->looked = false;
  assert_non_null(strstr(said(), "cannot be looked at: its lock is held\n"));
  survey.more = 5;
  assert_non_null(strstr(said(), "and 5 executors more\n"));
}

static void tells_who_has_what_is_waited_for(void **state) {
  (void)state;
  lf_sight_line *script = add_line(&subjects[0], "", "the future of f", "");
  lf_subject *one = add(1), *two = add(2);
  lf_sight_line *f = add_line(one, "f", "a lock", "at s.lua:2");
  lf_sight_line *g = add_line(two, "g", "", "at s.lua:3");
  script->awaited = f->task = 77;
  f->lock = 5;
  hold(two, 5, 0);
  g->since = 9 * SECOND;
  add_pool(1)->queued = 3;
  const char *all = said();
  assert_non_null(
      strstr(all, "the script: waits for the future of f, which worker 1 of "));
  assert_non_null(strstr(all, "): 3 queued\n"));
  assert_non_null(strstr(all, "  worker 1 (101): f, waits for a lock, held by "
                              "worker 2 in g, at s.lua:2\n"));
  assert_non_null(strstr(all, "  worker 2 (102): g for 1.0 s, at s.lua:3\n"));
  assert_null(strstr(all, "for ever"));
  script->awaited = 78;
  script->pending = true;
  assert_non_null(
      strstr(said(), "waits for the future of f, which has not begun"));
}

static void tells_executors_of_the_same_name_apart(void **state) {
  (void)state;
  lf_sight_line *script = add_line(&subjects[0], "", "the future of f", "");
  lf_sight_line *f = add_line(add(1), "f", "", "");
  add_pool(1);
  assert_non_null(strstr(said(), "fake (threads, max_workers=2): "));
  add_pool(2);
  script->awaited = f->task = 77;
  assert_non_null(strstr(said(), ", which worker 1 of fake #1 runs\n"));
  assert_non_null(strstr(said(), "fake #2 (threads, max_workers=2): "));
}

static void finds_circles(void **state) {
  (void)state;
  add_line(&subjects[0], "", "", "");
  lf_subject *one = add(1), *two = add(2), *three = add(3);
  lf_sight_line *a = add_line(one, "a", "a lock", "");
  lf_sight_line *b = add_line(two, "b", "the future of a", "");
  lf_sight_line *c = add_line(three, "c", "the future of a", "");
  a->lock = 5;
  hold(two, 5, 0);
  a->task = b->awaited = c->awaited = 77;
  add_pool(1);
  const char *circle = strstr(said(), "for ever: worker 1 of ");
  assert_non_null(circle);
  assert_null(strstr(circle + 1, "for ever")); /* only once */
  b->until = survey.now;                       /* it ends anyway */
  assert_null(strstr(said(), "for ever"));
}

static void tells_of_many_that_are_alike_together(void **state) {
  (void)state;
  add_line(&subjects[0], "", "", "");
  for (int i = 1; i <= 100; i++)
    add_line(add(i), "f", i == 7 ? "another lock" : "a lock", "");
  lf_sight_line *l = &subjects[7].sight->lines[0];
  l->state = LF_SIGHT_PARKED;
  l->count = 9998;
  subjects[7].sight->more = 3;
  add_pool(1);
  const char *all = said();
  assert_non_null(strstr(all, "  workers 100, 99, 98, 97, 96, 95 ... (99), "
                              "each: f, waits for a lock\n"));
  assert_non_null(strstr(all, "  worker 7 (107): parked: 9998 tasks like this: "
                              "f, wait for another lock\n"
                              "    and 3 tasks more\n"));
}

static void has_a_limit_for_those_that_are_not(void **state) {
  (void)state;
  add_line(&subjects[0], "", "", "");
  for (int i = 1; i <= 100; i++) {
    char name[] = {(char)('a' + i / 10), (char)('a' + i % 10), '\0'};
    add_line(add(i), name, "", "");
  }
  add_pool(1);
  assert_non_null(strstr(said(), " workers more\n"));
}

static void tells_of_those_that_do_not_answer(void **state) {
  (void)state;
  add_line(&subjects[0], "", "", "");
  for (int i = 1; i <= 2; i++) {
    lf_subject *s = add(i);
    free(s->sight);
    s->sight = NULL;
    s->got = LF_SIGHT_NOTHING;
  }
  subjects[1].presence = LF_STARTING;
  subjects[2].known.count = 1;
  subjects[2].given_up = true;
  lf_line_copy(subjects[2].known.name, sizeof subjects[2].known.name, "f");
  add_pool(1);
  assert_non_null(
      strstr(said(), "  worker 1: starts, or runs its initializer\n"));
  assert_non_null(strstr(said(), "  worker 2: given up, hangs: f, does not "
                                 "answer: in C code, or stopped\n"));
}

static void is_cut_at_its_end(void **state) {
  (void)state;
  char small[40];
  lf_line out;
  add_line(&subjects[0], "", "something that is not short at all", "");
  lf_line_init(&out, small, sizeof small);
  lf_dump_put(&out, &survey, 0);
  assert_int_equal(strlen(small), sizeof small - 1);
  assert_int_equal(small[sizeof small - 2], '\n');
}

#define DUMP(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      DUMP(tells_of_the_script),
      DUMP(tells_of_what_could_not_be_looked_at),
      DUMP(tells_who_has_what_is_waited_for),
      DUMP(tells_executors_of_the_same_name_apart),
      DUMP(finds_circles),
      DUMP(tells_of_many_that_are_alike_together),
      DUMP(has_a_limit_for_those_that_are_not),
      DUMP(tells_of_those_that_do_not_answer),
      DUMP(is_cut_at_its_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
