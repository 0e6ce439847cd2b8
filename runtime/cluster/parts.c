/* SPDX-License-Identifier: MIT
 *
 * See parts.h. A name is "P id n". */
#include "runtime/cluster/parts.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/identity.h"

#include <stdio.h>
#include <string.h>

typedef char field[LF_ID + 16];
typedef char key[LF_ID + 16];

static int put_part(lf_redis *redis, const char *where, const char *which,
                    const void *bytes, size_t len) {
  const lf_arg args[] = {lf_arg_text("HSET"),
                         lf_arg_text(where),
                         lf_arg_text(which),
                         {bytes, len}};
  return lf_redis_send(redis, args, 4, NULL, NULL);
}

int lf_parts_put(lf_redis *redis, const char *client, const void *bytes,
                 size_t len, lf_buf *name) {
  char id[LF_ID];
  key where;
  field which;
  int err = 0, n = 0;
  lf_cluster_new_id(id);
  snprintf(where, sizeof where, "lfut:parts:%s", client);
  for (size_t at = 0; at < len && err == 0; at += LF_PART, n++) {
    size_t part = len - at < LF_PART ? len - at : LF_PART;
    snprintf(which, sizeof which, "%s:%d", id, n);
    err = put_part(redis, where, which, (const char *)bytes + at, part);
  }
  return err ? err : lf_buf_print(name, "P %s %d\n", id, n);
}

bool lf_parts_is_name(const void *bytes, size_t len) {
  return len > 2 && memcmp(bytes, "P ", 2) == 0;
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
  snprintf(which, sizeof which, "%s:%d", f->id, f->next);
  const lf_arg get[] = {lf_arg_text("HGET"), lf_arg_text(f->where),
                        lf_arg_text(which)};
  const lf_arg del[] = {lf_arg_text("HDEL"), lf_arg_text(f->where),
                        lf_arg_text(which)};
  int err = lf_redis_send(f->redis, get, 3, on_part, f);
  if (err == 0)
    (void)lf_redis_send(f->redis, del, 3, NULL, NULL);
  return err;
}

int lf_parts_fetch(lf_redis *redis, const char *client, const void *name,
                   size_t len, lf_parts_done *done, void *user) {
  char text[64];
  fetching *f = lf_zalloc(sizeof *f);
  if (!f)
    return LF_ENOMEM;
  snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60),
           (const char *)name);
  f->redis = redis;
  f->done = done;
  f->user = user;
  snprintf(f->where, sizeof f->where, "lfut:parts:%s", client);
  if (sscanf(text, "P %32s %d", f->id, &f->n) == 2 && f->n > 0 && ask(f) == 0)
    return 0;
  lf_free(f);
  return LF_ENOMEM;
}
