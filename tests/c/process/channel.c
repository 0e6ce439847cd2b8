/* SPDX-License-Identifier: MIT
 *
 * Two ends, A and B, of one region, both in this thread. */
#include "tests/c/fake.h"

#include <stdlib.h>

#include "runtime/process/channel.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static lf_region *region;
static int fd;
static lf_pool *pool;
static fake_setup setup;
static lf_channel a, b;

/* Both sides know this one future. */
static lf_task *known;
static int asked;

static uint64_t name(void *user, lf_task *task) {
  (void)user;
  asked++;
  return task == known ? 42 : 0;
}

static lf_task *find(void *user, uint64_t id) {
  (void)user;
  return id == 42 ? lf_task_ref(known) : NULL;
}

static void *self(void *user) {
  (void)user;
  return lf_pool_handle(pool);
}

static const lf_names names = {name, find, self, lf_pool_unhandle};

static int begin(void **state) {
  fake_begin(state);
  region = lf_region_new(&fd);
  setup = (fake_setup){0};
  pool = fake_pool(&setup, 1);
  known = lf_task_new(lf_pool_owner(pool));
  asked = 0;
  lf_channel_init(&a, &region->out, &region->in, &names, NULL, NULL);
  lf_channel_init(&b, &region->in, &region->out, &names, NULL, NULL);
  return region && known ? 0 : -1;
}

static int end(void **state) {
  lf_channel_fini(&a);
  lf_channel_fini(&b);
  lf_task_unref(known);
  fake_close(pool);
  lf_region_unmap(region);
  close(fd);
  return fake_end(state);
}

#define CHANNEL(f) cmocka_unit_test_setup_teardown(f, begin, end)

static void fill(lf_buf *buf, size_t n) {
  lf_buf_init(buf, NULL, 0);
  for (size_t i = 0; i < n; i++) {
    unsigned char byte = (unsigned char)(i * 13 + n);
    assert_int_equal(lf_buf_put(buf, &byte, 1), 0);
  }
}

static void check(const lf_buf *buf, size_t n) {
  assert_int_equal(buf->len, n);
  for (size_t i = 0; i < n; i++)
    if (buf->data[i] != (unsigned char)(i * 13 + n))
      fail();
}

static void assert_nothing(lf_channel *e) {
  assert_false(lf_channel_receive(e));
}

static void passes_messages(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 500; i++) {
    lf_buf body;
    fill(&body, i % 300);
    lf_msg msg = {.kind = LF_MSG_TASK, .state = 1, .error = 2, .flag = 3};
    msg.id = i;
    msg.slot = i + 1;
    msg.a = i + 2;
    msg.b = i + 3;
    msg.c = i + 4;
    lf_payload payload = {.body = &body, .to = body.len};
    payload.tail = i % 2 ? "a tail" : NULL;
    payload.tail_len = i % 2 ? 6 : 0;
    assert_nothing(&b);
    assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
    assert_true(a.posted);
    assert_true(lf_channel_receive(&b));
    assert_false(b.no_memory);
    assert_int_equal(b.msg.kind, LF_MSG_TASK);
    assert_int_equal(b.msg.state + b.msg.error * 10 + b.msg.flag * 100, 321);
    assert_int_equal(b.msg.id, i);
    assert_int_equal(b.msg.slot + b.msg.a + b.msg.b + b.msg.c, 4 * i + 10);
    check(&b.body, i % 300);
    assert_int_equal(b.tail.len, payload.tail_len);
    assert_memory_equal(b.tail.data ? b.tail.data : (void *)"", "a tail",
                        payload.tail_len);
    assert_nothing(&b);
    lf_buf_fini(&body);
  }
}

static void passes_a_part_of_a_body(void **state) {
  (void)state;
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  lf_buf_put(&body, "0123456789", 10);
  lf_msg msg = {.kind = LF_MSG_CHUNK};
  lf_payload payload = {.body = &body, .from = 3, .to = 7};
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  assert_true(lf_channel_receive(&b));
  assert_int_equal(b.body.len, 4);
  assert_memory_equal(b.body.data, "3456", 4);
  lf_buf_fini(&body);
}

static void passes_both_ways(void **state) {
  (void)state;
  static const lf_payload none;
  for (uint64_t i = 1; i < 300; i++) {
    lf_msg there = {.kind = LF_MSG_GO, .id = i};
    lf_msg back = {.kind = LF_MSG_BLOCK, .id = i + 1};
    assert_int_equal(lf_channel_send(&a, &there, &none), 0);
    assert_int_equal(lf_channel_send(&b, &back, &none), 0);
    assert_true(lf_channel_receive(&a));
    assert_int_equal(a.msg.id, i + 1);
    assert_true(lf_channel_receive(&b));
    assert_int_equal(b.msg.id, i);
  }
}

/* --- Parcels --- */

static int dropped;

static void count_drop(void *owner) {
  (void)owner;
  dropped++;
}

/* Larger than the ring by far, behind and before small ones. */
static void passes_what_is_larger_than_the_ring(void **state) {
  (void)state;
  enum { LARGE = 5 * LF_RING_SIZE + 123 };
  static const lf_payload none;
  lf_buf body, tail;
  fill(&body, LARGE);
  fill(&tail, LF_RING_SIZE + 7);
  lf_msg small = {.kind = LF_MSG_GO, .id = 1}, large = {.kind = LF_MSG_TASK};
  lf_payload payload = {.body = &body, .to = LARGE, .owner = &body};
  payload.tail = tail.data;
  payload.tail_len = tail.len;
  payload.drop = count_drop;
  dropped = 0;
  assert_int_equal(lf_channel_send(&a, &small, &none), 0);
  assert_int_equal(lf_channel_send(&a, &large, &payload), 0);
  small.id = 2;
  assert_int_equal(lf_channel_send(&a, &small, &none), 0);
  assert_non_null(lf_channel_parcel(&a, &body));
  assert_null(lf_channel_parcel(&a, &dropped));
  assert_int_equal(atomic_load(&a.out->want), 1);
  assert_true(lf_channel_receive(&b));
  assert_int_equal(b.msg.id, 1);
  int rounds = 0;
  while (!lf_channel_receive(&b)) {
    assert_int_equal(dropped, 0);
    lf_channel_flush(&a);
    rounds++;
  }
  assert_true(rounds >= 5);
  check(&b.body, LARGE);
  check(&b.tail, LF_RING_SIZE + 7);
  assert_true(lf_channel_flush(&a));
  assert_int_equal(atomic_load(&a.out->want), 0);
  assert_int_equal(dropped, 1);
  assert_null(lf_channel_parcel(&a, &body));
  assert_true(lf_channel_receive(&b));
  assert_int_equal(b.msg.id, 2);
  assert_nothing(&b);
  lf_buf_fini(&body);
  lf_buf_fini(&tail);
}

/* Without somebody who keeps them, bytes are copied. */
static void copies_what_nobody_keeps(void **state) {
  (void)state;
  enum { LARGE = 3 * LF_RING_SIZE };
  lf_buf body;
  fill(&body, LARGE);
  lf_msg msg = {.kind = LF_MSG_TASK};
  lf_payload payload = {.body = &body, .to = LARGE};
  payload.tail = "the end";
  payload.tail_len = 7;
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  memset(body.data, 0, LARGE);
  lf_buf_fini(&body);
  while (!lf_channel_receive(&b))
    lf_channel_flush(&a);
  check(&b.body, LARGE);
  assert_memory_equal(b.tail.data, "the end", 7);
  assert_true(lf_channel_flush(&a));
}

static void drops_at_once_what_fits(void **state) {
  (void)state;
  lf_buf body;
  fill(&body, 10);
  lf_msg msg = {.kind = LF_MSG_TASK};
  lf_payload payload = {.body = &body, .to = 10, .drop = count_drop};
  dropped = 0;
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  assert_int_equal(dropped, 1);
  assert_true(lf_channel_flush(&a));
  lf_buf_fini(&body);
}

static void keeps_the_order_of_many_parcels(void **state) {
  (void)state;
  enum { MESSAGES = 2000 };
  lf_buf body;
  fill(&body, LF_RING_SIZE / 10);
  for (uint64_t i = 0; i < MESSAGES; i++) {
    lf_msg msg = {.kind = LF_MSG_RESULT, .id = i};
    lf_payload payload = {.body = &body, .to = i % 3 ? 5 : body.len};
    assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  }
  for (uint64_t i = 0; i < MESSAGES; i++) {
    while (!lf_channel_receive(&b))
      lf_channel_flush(&a);
    assert_int_equal(b.msg.id, i);
    assert_int_equal(b.body.len, i % 3 ? 5 : body.len);
    assert_memory_equal(b.body.data, body.data, b.body.len);
  }
  assert_true(lf_channel_flush(&a));
  assert_nothing(&b);
  lf_buf_fini(&body);
}

/* A parcel of which nothing has been written is as if it had never been. */
static void takes_parcels_back(void **state) {
  (void)state;
  static const lf_payload none;
  lf_buf first, second;
  fill(&first, 2 * LF_RING_SIZE);
  fill(&second, 100);
  lf_msg msg = {.kind = LF_MSG_TASK, .id = 1};
  lf_payload payload = {.body = &first, .to = first.len, .drop = count_drop};
  dropped = 0;
  payload.owner = &first;
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  msg.id = 2;
  payload = (lf_payload){.body = &second, .to = 100, .drop = count_drop};
  payload.owner = &second;
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  msg = (lf_msg){.kind = LF_MSG_GO, .id = 3};
  assert_int_equal(lf_channel_send(&a, &msg, &none), 0);
  lf_parcel *parcel = lf_channel_parcel(&a, &second);
  assert_non_null(parcel);
  assert_int_equal(parcel->written, 0);
  assert_true(lf_channel_parcel(&a, &first)->written > 0);
  lf_parcel_withdraw(&a, parcel);
  assert_int_equal(dropped, 1);
  while (!lf_channel_receive(&b))
    lf_channel_flush(&a);
  assert_int_equal(b.msg.id, 1);
  while (!lf_channel_receive(&b))
    lf_channel_flush(&a);
  assert_int_equal(b.msg.id, 3);
  assert_int_equal(dropped, 2);
  lf_buf_fini(&first);
  lf_buf_fini(&second);
}

static void throws_parcels_away(void **state) {
  (void)state;
  lf_buf body;
  fill(&body, 2 * LF_RING_SIZE);
  lf_msg msg = {.kind = LF_MSG_TASK};
  lf_payload payload = {.body = &body, .to = body.len, .owner = &body};
  payload.drop = count_drop;
  dropped = 0;
  for (int i = 0; i < 3; i++)
    assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  lf_channel_drop_parcels(&a);
  assert_int_equal(dropped, 3);
  assert_true(lf_channel_flush(&a));
  /* The half that was written is in the ring; the receiver waits for more. */
  assert_nothing(&b);
  assert_nothing(&b);
  lf_buf_fini(&body);
}

/* --- Names --- */

static void put_name(lf_buf *body, void *object, void (*drop)(void *)) {
  size_t at = body->len;
  assert_int_equal(lf_buf_put(body, &object, sizeof object), 0);
  assert_int_equal(lf_buf_ref(body, at, object, drop), 0);
}

static void *named_at(const lf_buf *body, size_t at) {
  void *object;
  memcpy(&object, body->data + at, sizeof object);
  return object;
}

static lf_code *new_code(int i) {
  char text[20];
  int n = snprintf(text, sizeof text, "code %d", i);
  return lf_code_get(text, (size_t)n + 1, text, NULL);
}

static void send_names(lf_buf *body) {
  lf_msg msg = {.kind = LF_MSG_TASK};
  lf_payload payload = {.body = body, .to = body->len};
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
}

static void names_code_futures_and_the_pool(void **state) {
  (void)state;
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  lf_code *code = new_code(1);
  lf_buf_put(&body, "0123456", 7); /* not aligned */
  put_name(&body, lf_code_ref(code), lf_code_unref);
  put_name(&body, lf_task_ref(known), lf_task_unref);
  put_name(&body, lf_pool_handle(pool), lf_pool_unhandle);
  put_name(&body, lf_code_ref(code), lf_code_unref);
  send_names(&body);
  lf_buf_fini(&body);
  assert_true(lf_channel_receive(&b)); /* the code is received on the way */
  assert_false(b.no_memory);
  assert_int_equal(b.msg.kind, LF_MSG_TASK);
  assert_memory_equal(b.body.data, "0123456", 7);
  lf_code *there = named_at(&b.body, 7);
  assert_string_equal((char *)there->bytes, "code 1");
  assert_string_equal(there->label, "code 1");
  assert_ptr_equal(lf_channel_code(&b, code->id), there);
  assert_ptr_equal(named_at(&b.body, 7 + sizeof(void *)), known);
  assert_ptr_equal(named_at(&b.body, 7 + 2 * sizeof(void *)), pool);
  assert_ptr_equal(named_at(&b.body, 7 + 3 * sizeof(void *)), there);
  assert_int_equal(b.body.refs->n, 4);
  assert_int_equal(asked, 1);
  assert_null(lf_channel_code(&b, 0));
  assert_null(lf_channel_code(&b, code->id + 1000));
  lf_code_unref(code);
}

static void names_only_what_lies_in_the_part(void **state) {
  (void)state;
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  for (int i = 0; i < 20; i++)
    put_name(&body, lf_task_ref(known), lf_task_unref);
  lf_msg msg = {.kind = LF_MSG_CHUNK};
  lf_payload payload = {.body = &body};
  payload.from = 5 * sizeof(void *);
  payload.to = 15 * sizeof(void *);
  assert_int_equal(lf_channel_send(&a, &msg, &payload), 0);
  lf_buf_fini(&body);
  assert_true(lf_channel_receive(&b));
  assert_int_equal(b.body.refs->n, 10);
  for (size_t i = 0; i < 10; i++)
    assert_ptr_equal(named_at(&b.body, i * sizeof(void *)), known);
}

/* How many bytes a message takes that names the code. */
static uint64_t cost(lf_code *code) {
  uint64_t before = a.out->written;
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  put_name(&body, lf_code_ref(code), lf_code_unref);
  send_names(&body);
  lf_buf_fini(&body);
  uint64_t n = a.out->written - before;
  assert_true(lf_channel_receive(&b));
  assert_false(b.no_memory);
  assert_ptr_equal(named_at(&b.body, 0),
                   code); /* interned, as in one process */
  return n;
}

static void sends_code_once(void **state) {
  (void)state;
  lf_code *code = new_code(1), *other = new_code(2);
  uint64_t first = cost(code), again = cost(code);
  assert_true(first > again + sizeof(lf_msg));
  assert_int_equal(cost(code), again);
  assert_int_equal(cost(other), first);
  assert_int_equal(cost(code), again);
  lf_code_unref(code);
  lf_code_unref(other);
}

/* Neither end remembers code without bound, and all is well afterwards. */
static void forgets_code(void **state) {
  (void)state;
  enum { CODES = LF_LIMIT(4096, 8), MANY = 3 * CODES + 5 };
  lf_code *first = new_code(0);
  cost(first);
  size_t most = 0;
  for (int i = 1; i < MANY; i++) {
    lf_code *code = new_code(i);
    cost(code);
    most = a.known.n > most ? a.known.n : most;
    assert_true(b.learned.n <= a.known.n);
    lf_code_unref(code);
  }
  assert_true(most <= CODES + 1);
  assert_true(cost(first) > cost(first)); /* it had been forgotten */
  lf_code_unref(first);
}

static void sends_many_names_at_once(void **state) {
  (void)state;
  enum { MANY = 500 };
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  for (int i = 0; i < MANY; i++)
    put_name(&body, new_code(i), lf_code_unref);
  send_names(&body);
  while (!lf_channel_receive(&b))
    lf_channel_flush(&a);
  assert_false(b.no_memory);
  for (size_t i = 0; i < MANY; i++)
    assert_ptr_equal(named_at(&b.body, i * sizeof(void *)),
                     named_at(&body, i * sizeof(void *)));
  lf_buf_fini(&body);
}

/* A future that gets no number: nothing is sent. */
static void sends_nothing_without_memory(void **state) {
  (void)state;
  lf_buf body;
  lf_buf_init(&body, NULL, 0);
  lf_task *stranger = lf_task_new(lf_pool_owner(pool));
  put_name(&body, stranger, lf_task_unref);
  lf_msg msg = {.kind = LF_MSG_TASK};
  lf_payload payload = {.body = &body, .to = body.len, .drop = count_drop};
  dropped = 0;
  assert_int_equal(lf_channel_send(&a, &msg, &payload), LF_ENOMEM);
  assert_int_equal(dropped, 0);
  assert_nothing(&b);
  lf_buf_fini(&body);
}

/* --- Damage: a message is whole, but its body cannot be used --- */

static void put_raw(const lf_msg *msg, const void *relocs, size_t n,
                    const char *body) {
  lf_ring_put(a.out, 0, msg, sizeof *msg);
  lf_ring_put(a.out, sizeof *msg, relocs, n);
  lf_ring_put(a.out, sizeof *msg + n, body, msg->size);
  lf_ring_publish(a.out, sizeof *msg + n + msg->size);
}

static void survives_names_of_nothing(void **state) {
  (void)state;
  static const struct {
    uint64_t at, what, id;
  } relocs[] = {
      {0, 1, 12345}, /* code that was never sent */
      {0, 2, 7},     /* a future that nobody knows */
      {8, 3, 0},     /* an array that is not named */
      {8, 99, 0},    /* nothing that there is */
  };
  static const lf_payload none;
  for (size_t i = 0; i < sizeof relocs / sizeof relocs[0]; i++) {
    lf_msg msg = {.kind = LF_MSG_TASK, .nrelocs = 1, .size = 16, .id = i};
    put_raw(&msg, &relocs[i], sizeof relocs[i], "0123456789abcdef");
    assert_true(lf_channel_receive(&b));
    assert_true(b.no_memory);
    assert_int_equal(b.msg.id, i);
    msg = (lf_msg){.kind = LF_MSG_GO, .id = 99};
    assert_int_equal(lf_channel_send(&a, &msg, &none), 0);
    assert_true(lf_channel_receive(&b));
    assert_false(b.no_memory);
    assert_int_equal(b.msg.id, 99);
  }
}

static void survives_code_without_bytes(void **state) {
  (void)state;
  static const lf_payload none;
  lf_msg msg = {.kind = LF_MSG_CODE, .size = 3, .id = 5};
  put_raw(&msg, NULL, 0, "abc");
  msg = (lf_msg){.kind = LF_MSG_GO, .id = 99};
  assert_int_equal(lf_channel_send(&a, &msg, &none), 0);
  assert_true(lf_channel_receive(&b));
  assert_int_equal(b.msg.id, 99);
  assert_null(lf_channel_code(&b, 5));
}

/* A body for which there is no memory is read, and thrown away. */
static void survives_large_sizes(void **state) {
  (void)state;
  const char *sanitizer = getenv("LFUT_SANITIZER");
  if (sanitizer && strcmp(sanitizer, "no") != 0)
    skip(); /* whose malloc does not fail, but ends the program */
  lf_msg msg = {.kind = LF_MSG_TASK, .size = (uint64_t)1 << 39};
  lf_ring_put(a.out, 0, &msg, sizeof msg);
  lf_ring_publish(a.out, sizeof msg);
  for (int i = 0; i < 100; i++) {
    char waste[1000] = {0};
    assert_nothing(&b);
    assert_int_equal(lf_ring_filled(b.in), 0);
    lf_ring_put(a.out, 0, waste, sizeof waste);
    lf_ring_publish(a.out, sizeof waste);
  }
  assert_true(b.no_memory);
}

/* Nothing is read any more. */
static void assert_damaged(void) {
  static const lf_payload none;
  lf_msg msg = {.kind = LF_MSG_GO};
  assert_nothing(&b);
  assert_true(b.damaged);
  assert_int_equal(lf_channel_send(&a, &msg, &none), 0);
  assert_nothing(&b);
  b.damaged = false; /* for the next */
  b.piece = 0;
  lf_ring_take(b.in, &msg, sizeof msg);
  assert_int_equal(lf_ring_filled(b.in), 0);
}

static void refuses_what_is_no_message(void **state) {
  (void)state;
  const lf_msg wrong[] = {
      {.kind = 0},
      {.kind = LF_MSG_KINDS},
      {.kind = UINT8_MAX},
      {.kind = LF_MSG_TASK, .size = (uint64_t)1 << 60},
      {.kind = LF_MSG_TASK, .tail = UINT64_MAX},
      {.kind = LF_MSG_TASK, .size = 15, .nrelocs = 2},
      {.kind = LF_MSG_TASK, .nrelocs = UINT32_MAX},
      {.kind = LF_MSG_TASK, .size = 16, .nrelocs = 1, .narrays = 2},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    lf_ring_put(a.out, 0, &wrong[i], sizeof wrong[i]);
    lf_ring_publish(a.out, sizeof wrong[i]);
    assert_damaged();
  }
}

static void refuses_places_that_are_none(void **state) {
  (void)state;
  static const struct {
    uint64_t at, what, id;
  } relocs[][2] = {
      {{0, 0, 0}, {9, 0, 0}},          /* in the middle of the end */
      {{0, 0, 0}, {16, 0, 0}},         /* at the end */
      {{0, 0, 0}, {UINT64_MAX, 0, 0}}, /* behind it */
      {{UINT64_MAX - 7, 2, 42}, {0, 0, 0}},
      {{0, 0, 0}, {0, 0, 0}}, /* twice the same */
      {{0, 0, 0}, {7, 0, 0}}, /* one in the other */
      {{8, 0, 0}, {0, 0, 0}}, /* not in order */
  };
  for (size_t i = 0; i < sizeof relocs / sizeof relocs[0]; i++) {
    lf_msg msg = {.kind = LF_MSG_TASK, .nrelocs = 2, .size = 16};
    put_raw(&msg, &relocs[i], sizeof relocs[i], "0123456789abcdef");
    assert_damaged();
  }
}

/* --- Over memory --- */

static uint64_t lacking[8];
static int nlacking;

static bool note_lacking(void *arg, uint64_t id) {
  (void)arg;
  lacking[nlacking++] = id;
  return true;
}

/* What is put into memory can be read by another end, as often as that wants;
 * code goes along, or is named and has come in another way. */
static void passes_by_memory(void **state) {
  (void)state;
  static const char text[] = "return 1";
  lf_buf body, bytes, code_bytes;
  lf_channel from, to;
  lf_code *code = lf_code_get(text, sizeof text, "function <x:1>", NULL);
  lf_channel_init_memory(&from, &names, NULL, NULL);
  lf_channel_init_memory(&to, &names, NULL, NULL);
  lf_buf_init(&bytes, NULL, 0);
  lf_buf_init(&code_bytes, NULL, 0);
  lf_buf_init(&body, NULL, 0);
  put_name(&body, lf_code_ref(code), lf_code_unref);
  from.sink = &bytes;
  assert_int_equal(lf_channel_put_code(&from, code, &code_bytes), 0);
  assert_true(lf_channel_knows(&from, code));
  lf_msg msg = {.kind = LF_MSG_TASK, .id = 7};
  lf_payload payload = {.body = &body, .to = body.len};
  assert_int_equal(lf_channel_send(&from, &msg, &payload), 0);
  lf_channel_lacks(&to, bytes.data, bytes.len, note_lacking, NULL);
  assert_int_equal(nlacking, 1);
  assert_int_equal(lacking[0], code->id);
  assert_true(
      lf_channel_learn(&to, lacking[0], code_bytes.data, code_bytes.len));
  for (int i = 0; i < 2; i++) {
    lf_channel_read(&to, bytes.data, bytes.len);
    assert_true(lf_channel_receive(&to));
    assert_int_equal(to.msg.id, 7);
    assert_ptr_equal(named_at(&to.body, 0), code);
    assert_false(lf_channel_receive(&to));
    assert_true(lf_channel_is_read(&to));
  }
  nlacking = 0;
  lf_channel_lacks(&to, bytes.data, bytes.len, note_lacking, NULL);
  assert_int_equal(nlacking, 0);
  lf_channel_read(&to, bytes.data, bytes.len - 1); /* cut off */
  assert_false(lf_channel_receive(&to));
  assert_false(lf_channel_is_read(&to) && to.piece == 4);
  lf_buf_fini(&body);
  lf_buf_fini(&bytes);
  lf_buf_fini(&code_bytes);
  lf_code_unref(code);
  lf_channel_fini(&from);
  lf_channel_fini(&to);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CHANNEL(passes_messages),
      CHANNEL(passes_by_memory),
      CHANNEL(passes_a_part_of_a_body),
      CHANNEL(passes_both_ways),
      CHANNEL(passes_what_is_larger_than_the_ring),
      CHANNEL(copies_what_nobody_keeps),
      CHANNEL(drops_at_once_what_fits),
      CHANNEL(keeps_the_order_of_many_parcels),
      CHANNEL(takes_parcels_back),
      CHANNEL(throws_parcels_away),
      CHANNEL(names_code_futures_and_the_pool),
      CHANNEL(names_only_what_lies_in_the_part),
      CHANNEL(sends_code_once),
      CHANNEL(forgets_code),
      CHANNEL(sends_many_names_at_once),
      CHANNEL(sends_nothing_without_memory),
      CHANNEL(survives_names_of_nothing),
      CHANNEL(survives_code_without_bytes),
      CHANNEL(survives_large_sizes),
      CHANNEL(refuses_what_is_no_message),
      CHANNEL(refuses_places_that_are_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
