/* SPDX-License-Identifier: MIT
 *
 * See redis.h. */
#include "runtime/cluster/redis.h"

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/cluster/functions.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
  OLDEST = 7,
  HEAD = 32,       /* bytes: more than a number's line has, with the next end */
  KEEP = 4 << 20,  /* and of a buffer that stays for the next ones */
  PIECE = 64 << 10 /* that are read at once */
};

/* Who waits for a reply. */
typedef struct {
  lf_link link;
  lf_redis_reply *reply;
  void *user;
} pending;

struct lf_redis {
  redisContext *context;
  lf_link pending; /* in the order of the commands */
  lf_buf out;      /* commands, */
  size_t written;  /* of which so many bytes have been written */
  bool full;       /* but not all */
  bool lost;
  char in[PIECE];
};

/* --- Commands --- */

lf_arg lf_arg_text(const char *text) {
  return (lf_arg){text, strlen(text)};
}

lf_arg lf_arg_int(lf_digits digits, int64_t n) {
  int len = snprintf(digits, sizeof(lf_digits), "%lld", (long long)n);
  return (lf_arg){digits, (size_t)len};
}

/* The line that stands before so many arguments, or bytes of one. */
static size_t print_head(char *out, char kind, size_t n) {
  return (size_t)sprintf(out, "%c%zu\r\n", kind, n);
}

static unsigned char *put_arg(unsigned char *at, const lf_arg *arg) {
  char head[HEAD];
  size_t n = print_head(head, '$', arg->len);
  at = mempcpy(at, head, n);
  if (arg->len > 0)
    at = mempcpy(at, arg->bytes, arg->len);
  return mempcpy(at, "\r\n", 2);
}

/* Once into the buffer, in one piece of the right size: values may be large. */
static int append(lf_redis *r, const lf_arg *args, int n) {
  char head[HEAD];
  size_t size = HEAD;
  for (int i = 0; i < n; i++)
    size += HEAD + args[i].len;
  unsigned char *at = lf_buf_room(&r->out, size);
  if (!at)
    return LF_ENOMEM;
  at = mempcpy(at, head, print_head(head, '*', (size_t)n));
  for (int i = 0; i < n; i++)
    at = put_arg(at, &args[i]);
  lf_buf_cut(&r->out, (size_t)(at - r->out.data));
  return 0;
}

int lf_redis_send(lf_redis *r, const lf_arg *args, int n, lf_redis_reply *reply,
                  void *user) {
  pending *p = lf_malloc(sizeof *p);
  if (!p)
    return LF_ENOMEM;
  *p = (pending){.reply = reply, .user = user};
  lf_list_init(&p->link);
  int err = append(r, args, n);
  if (err) {
    lf_free(p);
    return err;
  }
  lf_list_add(&r->pending, &p->link);
  return 0;
}

/* The connection is lost, for that reason, unless another is known. */
static void lose(lf_redis *r, const char *why) {
  redisContext *c = r->context;
  if (!r->lost && !c->errstr[0])
    snprintf(c->errstr, sizeof c->errstr, "%s", why);
  r->lost = true;
}

/* All has been written. */
static void empty(lf_redis *r) {
  r->written = 0;
  if (r->out.cap > KEEP)
    lf_buf_fini(&r->out);
  else
    lf_buf_cut(&r->out, 0);
}

/* A connection that is lost is no SIGPIPE. */
bool lf_redis_flush(lf_redis *r) {
  size_t left = r->out.len - r->written;
  ssize_t n =
      left > 0 && !r->lost
          ? send(r->context->fd, r->out.data + r->written, left, MSG_NOSIGNAL)
          : 0;
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    lose(r, strerror(errno));
  else if (n > 0)
    r->written += (size_t)n;
  if (r->written == r->out.len)
    empty(r);
  r->full = r->out.len > 0 && !r->lost;
  return !r->lost;
}

/* The oldest reply has come. */
static void answer(lf_redis *r, const redisReply *reply) {
  lf_link *l = lf_list_pop(&r->pending);
  pending *p = l ? lf_container_of(l, pending, link) : NULL;
  if (p && p->reply)
    p->reply(p->user, reply);
  lf_free(p);
}

/* What has come so far is answered. */
static void answer_all(lf_redis *r) {
  void *reply;
  while (redisGetReplyFromReader(r->context, &reply) == REDIS_OK && reply) {
    answer(r, reply);
    freeReplyObject(reply);
  }
  if (r->context->err)
    r->lost = true;
}

/* Reads once; how many bytes: 0: nothing is there, or the connection is lost.
 */
static size_t read_some(lf_redis *r) {
  ssize_t n;
  do
    n = recv(r->context->fd, r->in, sizeof r->in, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n == 0)
    lose(r, "Server closed the connection");
  else if (n < 0 && errno != EAGAIN)
    lose(r, strerror(errno));
  if (n > 0 && redisReaderFeed(r->context->reader, r->in, (size_t)n) != 0)
    lose(r, LF_NO_MEMORY);
  return n > 0 ? (size_t)n : 0;
}

bool lf_redis_receive(lf_redis *r) {
  size_t n = sizeof r->in;
  while (!r->lost && n == sizeof r->in) {
    n = read_some(r);
    answer_all(r);
  }
  return !r->lost;
}

int lf_redis_fd(const lf_redis *r) {
  return r->context->fd;
}

bool lf_redis_is_full(const lf_redis *r) {
  return r->full;
}

bool lf_redis_is_lost(const lf_redis *r) {
  return r->lost;
}

const char *lf_redis_error(const lf_redis *r) {
  return r->context->errstr[0] ? r->context->errstr : "connection lost";
}

/* --- Waiting --- */

redisReply *lf_redis_ask(lf_redis *r, const lf_arg *args, int n) {
  void *reply = NULL;
  int flags = r->context->flags;
  int mode = fcntl(r->context->fd, F_GETFL);
  if (append(r, args, n) != 0)
    return NULL;
  fcntl(r->context->fd, F_SETFL, mode & ~O_NONBLOCK);
  r->context->flags |= REDIS_BLOCK;
  while (lf_redis_flush(r) && r->full)
    continue;
  if (r->lost || redisGetReply(r->context, &reply) != REDIS_OK)
    r->lost = true;
  r->context->flags = flags;
  fcntl(r->context->fd, F_SETFL, mode);
  return reply;
}

static redisReply *ask_text(lf_redis *r, const char *a, const char *b,
                            const char *c) {
  const char *words[] = {a, b, c};
  lf_arg args[3];
  int n = 0;
  while (n < 3 && words[n]) {
    args[n] = lf_arg_text(words[n]);
    n++;
  }
  return lf_redis_ask(r, args, n);
}

/* --- Opening --- */

/* What is wrong with the server, in 'why'; the reply is freed. */
typedef struct {
  lf_redis *redis;
  const lf_url *url;
  char *why;
  size_t size;
} opening;

static bool fail(const opening *o, const char *what, const char *detail) {
  lf_buf name;
  lf_buf_init(&name, NULL, 0);
  if (lf_url_show(o->url, &name) != 0 || lf_buf_put(&name, "", 1) != 0)
    snprintf(o->why, o->size, "%s", LF_NO_MEMORY);
  else
    snprintf(o->why, o->size, "%s %s%s%s", what, (char *)name.data,
             detail ? ": " : "", detail ? detail : "");
  lf_buf_fini(&name);
  return false;
}

/* Is the reply there, and no error? */
static bool is_good(const opening *o, const redisReply *reply) {
  if (!reply)
    return fail(o, "no Redis server at", lf_redis_error(o->redis));
  if (reply->type != REDIS_REPLY_ERROR)
    return true;
  if (strncmp(reply->str, "NOAUTH", 6) == 0)
    return fail(o, "a password is needed for", NULL);
  if (strncmp(reply->str, "WRONGPASS", 9) == 0)
    return fail(o, "wrong password for", NULL);
  return fail(o, "refused by", reply->str);
}

static bool check(const opening *o, redisReply *reply) {
  bool good = is_good(o, reply);
  if (reply)
    freeReplyObject(reply);
  return good;
}

static bool authenticate(const opening *o) {
  const lf_url *u = o->url;
  if (!u->password)
    return true;
  return check(o, u->user && *u->user
                      ? ask_text(o->redis, "AUTH", u->user, u->password)
                      : ask_text(o->redis, "AUTH", u->password, NULL));
}

static bool choose(const opening *o) {
  lf_digits digits;
  lf_arg number = lf_arg_int(digits, o->url->db);
  if (o->url->db == 0)
    return true;
  const lf_arg args[] = {lf_arg_text("SELECT"), number};
  return check(o, lf_redis_ask(o->redis, args, 2));
}

/* The value behind "name:" in what INFO tells, as a number; 0: none. */
static int info_number(const char *info, const char *name) {
  const char *at = strstr(info, name);
  return at ? atoi(at + strlen(name)) : 0;
}

static bool check_version(const opening *o) {
  redisReply *reply = ask_text(o->redis, "INFO", "server", NULL);
  bool good = is_good(o, reply);
  if (good && reply->type != REDIS_REPLY_STRING) {
    good = fail(o, "no Redis server at", NULL);
  } else if (good) {
    int version = info_number(reply->str, "redis_version:");
    char text[64];
    snprintf(text, sizeof text, "version %d, but %d or later is needed",
             version, OLDEST);
    if (version < OLDEST)
      good = fail(o, "too old is", text);
  }
  if (reply)
    freeReplyObject(reply);
  return good;
}

/* The value of a setting, in 'value'; false: the server does not tell. */
static bool setting(const opening *o, const char *name, char *value,
                    size_t size) {
  redisReply *reply = ask_text(o->redis, "CONFIG", "GET", name);
  bool told = reply && reply->type == REDIS_REPLY_ARRAY &&
              reply->elements == 2 &&
              reply->element[1]->type == REDIS_REPLY_STRING;
  if (told)
    snprintf(value, size, "%s", reply->element[1]->str);
  if (reply)
    freeReplyObject(reply);
  return told;
}

/* Can it be reached from other machines? */
static bool listens_far(const opening *o) {
  char bind[512], mode[8], port[8];
  if (!setting(o, "bind", bind, sizeof bind) ||
      !setting(o, "protected-mode", mode, sizeof mode) ||
      !setting(o, "port", port, sizeof port))
    return !lf_url_is_local(o->url);
  if (strcmp(port, "0") == 0 || strcmp(mode, "yes") == 0)
    return false;
  char *rest, *word = strtok_r(bind, " ", &rest);
  if (!word)
    return true;
  for (; word; word = strtok_r(NULL, " ", &rest))
    if (strncmp(word + (*word == '-'), "127.", 4) != 0 &&
        strcmp(word + (*word == '-'), "::1") != 0)
      return true;
  return false;
}

/* Does the server let in whoever does not say a password? */
static bool lets_in(const opening *o) {
  redisReply *reply = ask_text(o->redis, "ACL", "GETUSER", "default");
  bool told = reply && reply->type == REDIS_REPLY_ARRAY &&
              reply->elements >= 2 &&
              reply->element[1]->type == REDIS_REPLY_ARRAY;
  bool nopass = !told && !o->url->password;
  for (size_t i = 0; told && i < reply->element[1]->elements; i++)
    nopass |= strcmp(reply->element[1]->element[i]->str, "nopass") == 0;
  if (reply)
    freeReplyObject(reply);
  return nopass;
}

/* Whoever may write to the server can run code on all members. */
static bool check_password(const opening *o) {
  if (!lets_in(o) || !listens_far(o))
    return true;
  return fail(o, "no password protects",
              "whoever can reach it could run code here (requirepass)");
}

/* Are our functions there, as they are here? A full server takes none. */
static bool has_functions(const opening *o) {
  const lf_arg args[] = {lf_arg_text("FUNCTION"), lf_arg_text("LIST"),
                         lf_arg_text("LIBRARYNAME"), lf_arg_text("lfut1"),
                         lf_arg_text("WITHCODE")};
  redisReply *reply = lf_redis_ask(o->redis, args, 5);
  const redisReply *lib =
      reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
          ? reply->element[0]
          : NULL;
  bool same = false;
  for (size_t i = 0; lib && i + 1 < lib->elements; i += 2)
    same |= lib->element[i]->type == REDIS_REPLY_STRING &&
            strcmp(lib->element[i]->str, "library_code") == 0 &&
            lib->element[i + 1]->len == lf_cluster_functions_len &&
            memcmp(lib->element[i + 1]->str, lf_cluster_functions,
                   lf_cluster_functions_len) == 0;
  if (reply)
    freeReplyObject(reply);
  return same;
}

static bool load_functions(const opening *o) {
  if (has_functions(o))
    return true;
  const lf_arg args[] = {lf_arg_text("FUNCTION"),
                         lf_arg_text("LOAD"),
                         lf_arg_text("REPLACE"),
                         {lf_cluster_functions, lf_cluster_functions_len}};
  return check(o, lf_redis_ask(o->redis, args, 4));
}

static redisContext *dial(const lf_url *u, double timeout) {
  struct timeval tv = {.tv_sec = (time_t)timeout};
  tv.tv_usec = (suseconds_t)((timeout - (double)tv.tv_sec) * 1e6);
  redisContext *c = u->path ? redisConnectUnixWithTimeout(u->path, tv)
                            : redisConnectWithTimeout(u->host, u->port, tv);
  if (c && !c->err)
    redisSetTimeout(c, tv);
  return c;
}

/* From here on it does not block. */
static void unblock(lf_redis *r, const lf_url *url) {
  static const struct timeval forever;
  redisContext *c = r->context;
  redisSetTimeout(c, forever);
  if (!url->path)
    (void)redisEnableKeepAlive(c);
  fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
  c->flags &= ~REDIS_BLOCK;
}

lf_redis *lf_redis_open(const lf_url *url, double timeout, char *why,
                        size_t size) {
  lf_redis *r = lf_zalloc(sizeof *r);
  opening o = {r, url, why, size};
  if (r)
    r->context = dial(url, timeout);
  if (!r || !r->context) {
    snprintf(why, size, "%s", LF_NO_MEMORY);
    lf_free(r);
    return NULL;
  }
  lf_list_init(&r->pending);
  r->context->reader->maxbuf = KEEP;
  bool good = r->context->err
                  ? fail(&o, "cannot reach", r->context->errstr)
                  : authenticate(&o) && choose(&o) && check_version(&o) &&
                        check_password(&o) && load_functions(&o);
  if (good) {
    fcntl(r->context->fd, F_SETFD, FD_CLOEXEC);
    unblock(r, url);
    return r;
  }
  lf_redis_close(r);
  return NULL;
}

void lf_redis_close(lf_redis *r) {
  if (!r)
    return;
  while (!lf_list_empty(&r->pending))
    answer(r, NULL);
  lf_buf_fini(&r->out);
  redisFree(r->context);
  lf_free(r);
}
