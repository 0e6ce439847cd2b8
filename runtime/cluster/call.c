/* SPDX-License-Identifier: MIT
 *
 * See call.h. */
#include "runtime/cluster/call.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/identity.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 3, FEW = 16, READ_MS = 60000 };

/* The words of the command, in 'few' or (lf_free) on the heap; NULL: no memory.
 */
static lf_arg *words(const char *function, const lf_arg *args, int n,
                     lf_arg few[FEW]) {
  lf_arg *all =
      n + HEAD <= FEW ? few : lf_malloc((size_t)(n + HEAD) * sizeof *all);
  if (!all)
    return NULL;
  all[0] = lf_arg_text("FCALL");
  all[1] = lf_arg_text(function);
  all[2] = lf_arg_text("0");
  if (n > 0)
    memcpy(all + HEAD, args, (size_t)n * sizeof *args);
  return all;
}

int lf_call_send(lf_redis *redis, const char *function, const lf_arg *args,
                 int n, lf_redis_reply *reply, void *user) {
  lf_arg few[FEW], *all = words(function, args, n, few);
  int err = all ? lf_redis_send(redis, all, HEAD + n, reply, user) : LF_ENOMEM;
  if (all != few)
    lf_free(all);
  return err;
}

redisReply *lf_call_ask(lf_redis *redis, const char *function,
                        const lf_arg *args, int n) {
  lf_arg few[FEW], *all = words(function, args, n, few);
  redisReply *reply = all ? lf_redis_ask(redis, all, HEAD + n) : NULL;
  if (all != few)
    lf_free(all);
  return reply;
}

int lf_call_beat(lf_redis *redis, const char *who, const char *id,
                 int64_t lease_ms) {
  lf_digits lease;
  const lf_arg args[] = {lf_arg_text(who), lf_arg_text(id),
                         lf_arg_int(lease, lease_ms)};
  redisReply *reply = lf_call_ask(redis, LF_FUNCTION("beat"), args, 3);
  int n =
      reply && reply->type == REDIS_REPLY_INTEGER ? (int)reply->integer : -1;
  if (reply)
    freeReplyObject(reply);
  return n;
}

bool lf_call_is_let_in(redisReply *reply, char *why, size_t size) {
  static const char version[] = "VERSION ";
  bool good = reply && reply->type == REDIS_REPLY_INTEGER;
  const char *text = reply && reply->type == REDIS_REPLY_ERROR
                         ? reply->str
                         : "connection lost";
  if (!good && strncmp(text, version, sizeof version - 1) == 0)
    snprintf(why, size, "the cluster is of %s, but this is %s",
             text + sizeof version - 1, lf_cluster_version());
  else if (!good)
    snprintf(why, size, "the server has failed: %s", text);
  if (reply)
    freeReplyObject(reply);
  return good;
}

/* --- Reading --- */

static void take_entry(lf_reader *r, const redisReply *entry) {
  if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
      entry->element[1]->type != REDIS_REPLY_ARRAY ||
      entry->element[1]->elements < 2)
    return;
  const redisReply *value = entry->element[1]->element[1];
  snprintf(r->last, sizeof r->last, "%s", entry->element[0]->str);
  if (value->type == REDIS_REPLY_STRING)
    r->take(r, value->str, value->len);
}

static void ask(lf_reader *r);

/* The entries of one stream, as XREAD returns them. */
static void on_entries(void *user, const redisReply *reply) {
  lf_reader *r = user;
  if (!reply)
    return;
  const redisReply *stream =
      reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
          ? reply->element[0]
          : NULL;
  const redisReply *list =
      stream && stream->elements == 2 ? stream->element[1] : NULL;
  for (size_t i = 0; list && i < list->elements; i++)
    take_entry(r, list->element[i]);
  if (list && r->more)
    r->more(r);
  ask(r);
}

int lf_entry_compare(const char *a, const char *b) {
  unsigned long long x[2] = {0}, y[2] = {0};
  (void)sscanf(a, "%llu-%llu", &x[0], &x[1]);
  (void)sscanf(b, "%llu-%llu", &y[0], &y[1]);
  int i = x[0] == y[0];
  return (x[i] > y[i]) - (x[i] < y[i]);
}

/* Cuts off what has been dealt with, and waits for more. */
static void ask(lf_reader *r) {
  char after[44];
  lf_digits block;
  unsigned long long ms = 0, n = 0;
  if (sscanf(r->last, "%llu-%llu", &ms, &n) == 2) {
    snprintf(after, sizeof after, "%llu-%llu", ms, n + 1);
    const lf_arg trim[] = {lf_arg_text("XTRIM"), lf_arg_text(r->key),
                           lf_arg_text("MINID"), lf_arg_text(after)};
    (void)lf_redis_send(r->redis, trim, 4, NULL, NULL);
  }
  const lf_arg args[] = {lf_arg_text("XREAD"),       lf_arg_text("COUNT"),
                         lf_arg_text("1000"),        lf_arg_text("BLOCK"),
                         lf_arg_int(block, READ_MS), lf_arg_text("STREAMS"),
                         lf_arg_text(r->key),        lf_arg_text(r->last)};
  (void)lf_redis_send(r->redis, args, 8, on_entries, r);
}

void lf_reader_go_on(lf_reader *r, lf_redis *redis) {
  r->redis = redis;
  ask(r);
}
