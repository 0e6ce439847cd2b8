/* SPDX-License-Identifier: MIT
 *
 * See modules.h. */
#include "runtime/cluster/modules.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/functions.h"
#include "runtime/cluster/identity.h"
#include "runtime/cluster/redis.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIAL 5.0
#define PATIENCE "30" /* seconds */

/* --- In the client --- */

/* A whole file, or NULL. */
static char *read_file(const char *name, size_t *len) {
  FILE *f = fopen(name, "re");
  lf_buf text;
  char part[4096];
  size_t n;
  if (!f)
    return NULL;
  lf_buf_init(&text, NULL, 0);
  bool good = true;
  while (good && (n = fread(part, 1, sizeof part, f)) > 0)
    good = lf_buf_put(&text, part, n) == 0;
  good = good && !ferror(f);
  fclose(f);
  char *copy = good ? lf_strndup((char *)text.data, text.len) : NULL;
  *len = text.len;
  lf_buf_fini(&text);
  return copy;
}

/* The template with the name for each question mark, dots in it as slashes. */
static int fill_in(lf_buf *out, const char *template, size_t n,
                   const char *name) {
  int err = 0;
  lf_buf_reset(out);
  for (size_t i = 0; i < n && err == 0; i++) {
    if (template[i] != '?') {
      err = lf_buf_put(out, template + i, 1);
      continue;
    }
    for (const char *c = name; *c && err == 0; c++)
      err = lf_buf_put(out, *c == '.' ? "/" : c, 1);
  }
  return err ? err : lf_buf_put(out, "", 1);
}

char *lf_module_find(const char *path, const char *name, size_t *len,
                     char **file) {
  lf_buf one;
  char *text = NULL;
  lf_buf_init(&one, NULL, 0);
  while (*path && !text) {
    size_t n = strcspn(path, ";");
    if (n > 0 && fill_in(&one, path, n, name) == 0)
      text = read_file((char *)one.data, len);
    path += n + (path[n] == ';');
  }
  *file = text ? lf_strndup((char *)one.data, one.len - 1) : NULL;
  lf_buf_fini(&one);
  return text;
}

/* --- In a worker --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lf_redis *server; /* the lock; NULL: not yet, or lost */

static lf_redis *connect_once(void) {
  char why[300];
  lf_url url;
  const char *text = getenv("LFUT_CLUSTER");
  if (server || !text || !lf_url_parse(&url, text, why, sizeof why))
    return server;
  server = lf_redis_open(&url, DIAL, why, sizeof why);
  lf_url_free(&url);
  return server;
}

/* file, text: of the list that was waited for. */
static char *take_answer(const redisReply *reply, size_t *len, char **file) {
  const redisReply *value =
      reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
          ? reply->element[1]
          : NULL;
  const char *end = value && value->type == REDIS_REPLY_STRING
                        ? memchr(value->str, '\n', value->len)
                        : NULL;
  if (!end || end == value->str)
    return NULL;
  *len = value->len - (size_t)(end + 1 - value->str);
  *file = lf_strndup(value->str, (size_t)(end - value->str));
  return lf_strndup(end + 1, *len);
}

/* Under the lock. */
static char *ask(lf_redis *redis, const char *client, const char *name,
                 size_t *len, char **file) {
  char id[LF_ID], key[64];
  lf_cluster_new_id(id);
  snprintf(key, sizeof key, "lfut:module:%s", id);
  const lf_arg question[] = {
      lf_arg_text("FCALL"), lf_arg_text(LF_FUNCTION("want")),
      lf_arg_text("0"),     lf_arg_text(client),
      lf_arg_text(id),      lf_arg_text(name)};
  const lf_arg wait[] = {lf_arg_text("BLPOP"), lf_arg_text(key),
                         lf_arg_text(PATIENCE)};
  redisReply *there = lf_redis_ask(redis, question, 6);
  redisReply *reply =
      there && there->type == REDIS_REPLY_INTEGER && there->integer == 1
          ? lf_redis_ask(redis, wait, 3)
          : NULL;
  char *text = take_answer(reply, len, file);
  if (there)
    freeReplyObject(there);
  if (reply)
    freeReplyObject(reply);
  return text;
}

char *lf_module_ask(const char *client, const char *name, size_t *len,
                    char **file) {
  char *text = NULL;
  *file = NULL;
  pthread_mutex_lock(&lock);
  lf_redis *redis = connect_once();
  if (redis)
    text = ask(redis, client, name, len, file);
  if (redis && lf_redis_is_lost(redis)) {
    lf_redis_close(redis);
    server = NULL;
  }
  pthread_mutex_unlock(&lock);
  return text;
}
