/* SPDX-License-Identifier: MIT
 *
 * See parts.h. A name is a line "P id n note". */
#include "runtime/cluster/parts.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/call.h"
#include "runtime/cluster/functions.h"
#include "runtime/cluster/identity.h"

#include <stdio.h>
#include <string.h>

typedef char field[LF_ID + 16];
typedef char key[LF_ID + 16];

static void name_part(const char *id, int i, field which) {
  snprintf(which, sizeof(field), "%s:%d", id, i);
}

typedef int put_part(lf_redis *redis, const char *client, const char *which,
                     lf_arg part);

static int put_value(lf_redis *redis, const char *client, const char *which,
                     lf_arg part) {
  key where;
  snprintf(where, sizeof where, "lfut:parts:%s", client);
  const lf_arg args[] = {lf_arg_text("HSET"), lf_arg_text(where),
                         lf_arg_text(which), part};
  return lf_redis_send(redis, args, 4, NULL, NULL);
}

/* The function may do so when the server is full; it looks at each byte once.
 */
static int put_always(lf_redis *redis, const char *client, const char *which,
                      lf_arg part) {
  const lf_arg args[] = {lf_arg_text(client), lf_arg_text(which), part};
  return lf_call_send(redis, LF_FUNCTION("part"), args, 3, NULL, NULL);
}

/* Returns how many parts there are; 0: LF_ENOMEM. */
static int put_all(lf_redis *redis, const char *client, const char *id,
                   lf_arg all, put_part *put) {
  const char *bytes = all.bytes;
  field which;
  int n = 0;
  for (size_t at = 0; at < all.len; at += LF_PART, n++) {
    size_t left = all.len - at;
    lf_arg part = {bytes + at, left < LF_PART ? left : LF_PART};
    name_part(id, n, which);
    if (put(redis, client, which, part) != 0)
      return 0;
  }
  return n;
}

int lf_parts_put(lf_redis *redis, const char *client, const void *bytes,
                 size_t len, const lf_buf *note, lf_buf *name) {
  char id[LF_ID];
  lf_cluster_new_id(id);
  int n = put_all(redis, client, id, (lf_arg){bytes, len}, put_value);
  if (n == 0 || lf_buf_print(name, "P %s %d ", id, n) != 0 ||
      lf_buf_put(name, note->data, note->len) != 0)
    return LF_ENOMEM;
  return lf_buf_put_text(name, "\n");
}

int lf_parts_put_result(lf_redis *redis, const char *client, const void *bytes,
                        size_t len, lf_buf *name) {
  char id[LF_ID];
  lf_cluster_new_id(id);
  int n = put_all(redis, client, id, (lf_arg){bytes, len}, put_always);
  return n == 0 ? LF_ENOMEM : lf_buf_print(name, "P %s %d \n", id, n);
}

bool lf_parts_is_name(const void *bytes, size_t len) {
  return len > 2 && memcmp(bytes, "P ", 2) == 0;
}

const char *lf_parts_note(const void *bytes, size_t len, size_t *note_len) {
  const char *at = bytes, *end = at + len;
  for (int spaces = 0; at < end && spaces < 3; at++)
    spaces += *at == ' ';
  const char *newline = memchr(at, '\n', (size_t)(end - at));
  *note_len = (size_t)((newline ? newline : end) - at);
  return at;
}

static bool parse(const void *name, size_t len, char id[LF_ID], int *n) {
  char text[64];
  snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60),
           (const char *)name);
  return sscanf(text, "P %32s %d", id, n) == 2 && *n > 0;
}

static void drop(lf_redis *redis, const char *where, const char *id, int n) {
  field which;
  for (int i = 0; i < n; i++) {
    name_part(id, i, which);
    const lf_arg del[] = {lf_arg_text("HDEL"), lf_arg_text(where),
                          lf_arg_text(which)};
    (void)lf_redis_send(redis, del, 3, NULL, NULL);
  }
}

void lf_parts_drop(lf_redis *redis, const char *client, const void *name,
                   size_t len) {
  char id[LF_ID];
  key where;
  int n;
  snprintf(where, sizeof where, "lfut:parts:%s", client);
  if (parse(name, len, id, &n))
    drop(redis, where, id, n);
}

/* What is on its way. */
typedef struct {
  lf_redis *redis;
  key where;
  char id[LF_ID];
  int n, next;
  lf_buf all;
  lf_parts_done *done;
  void *user;
} fetching;

static void end(fetching *f, bool good) {
  if (good) /* else, with another connection, they are asked for again */
    drop(f->redis, f->where, f->id, f->n);
  f->done(f->user, good ? &f->all : NULL);
  if (!good)
    lf_buf_fini(&f->all);
  lf_free(f);
}

static int ask(fetching *f);

static void on_part(void *user, const redisReply *reply) {
  fetching *f = user;
  bool good = reply && reply->type == REDIS_REPLY_STRING &&
              lf_buf_put(&f->all, reply->str, reply->len) == 0;
  f->next++;
  if (!good || f->next == f->n || ask(f) != 0)
    end(f, good && f->next == f->n);
}

static int ask(fetching *f) {
  field which;
  name_part(f->id, f->next, which);
  const lf_arg get[] = {lf_arg_text("HGET"), lf_arg_text(f->where),
                        lf_arg_text(which)};
  return lf_redis_send(f->redis, get, 3, on_part, f);
}

int lf_parts_fetch(lf_redis *redis, const char *client, const void *name,
                   size_t len, lf_parts_done *done, void *user) {
  fetching *f = lf_zalloc(sizeof *f);
  if (!f)
    return LF_ENOMEM;
  f->redis = redis;
  f->done = done;
  f->user = user;
  snprintf(f->where, sizeof f->where, "lfut:parts:%s", client);
  if (parse(name, len, f->id, &f->n) && ask(f) == 0)
    return 0;
  lf_free(f);
  return LF_ENOMEM;
}
