/* SPDX-License-Identifier: MIT
 *
 * See url.h. A function that reads a part returns what is wrong with it, or
 * NULL. */
#include "runtime/cluster/url.h"

#include "runtime/base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define TCP "redis://"
#define TLS "rediss://"
#define SOCKET "unix://"
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const char no_memory[] = LF_NO_MEMORY;

/* A part of the text; without bytes it is missing. */
typedef struct {
  const char *at;
  size_t len;
} part;

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static bool consists_of(part p, const char *set) {
  for (size_t i = 0; i < p.len; i++)
    if (!strchr(set, p.at[i]))
      return false;
  return true;
}

static const char *copy(part p, char **out) {
  *out = lf_malloc(p.len + 1);
  if (!*out)
    return no_memory;
  memcpy(*out, p.at, p.len);
  (*out)[p.len] = '\0';
  return NULL;
}

/* A number of so many digits at most; -1: it is none. */
static int number_of(part p, size_t most) {
  if (p.len == 0 || p.len > most || !consists_of(p, DIGITS))
    return -1;
  return (int)strtol(p.at, NULL, 10);
}

static const char *read_db(part p, int *out) {
  *out = number_of(p, 9);
  return *out < 0 ? "db must be a number" : NULL;
}

/* --- User and password --- */

static int digit_of(char c) {
  return isdigit((unsigned char)c) ? c - '0'
                                   : tolower((unsigned char)c) - 'a' + 10;
}

static bool can_be_decoded(const char *text) {
  for (text = strchr(text, '%'); text; text = strchr(text + 1, '%'))
    if (!isxdigit((unsigned char)text[1]) ||
        !isxdigit((unsigned char)text[2]) || begins(text, "%00"))
      return false;
  return true;
}

/* In place; nothing is left behind its end. */
static void decode(char *text) {
  char *to = text;
  for (; *text; text++) {
    if (*text == '%') {
      *to++ = (char)(digit_of(text[1]) << 4 | digit_of(text[2]));
      text += 2;
    } else {
      *to++ = *text;
    }
  }
  explicit_bzero(to, (size_t)(text - to));
}

static const char *read_decoded(part p, char **out) {
  const char *fault = copy(p, out);
  if (fault)
    return fault;
  if (!can_be_decoded(*out))
    return "in user and password, % must be followed by two hexadecimal "
           "digits, and not by 00";
  decode(*out);
  return NULL;
}

/* What stands before the '@'. */
static const char *read_login(lf_url *u, part p) {
  const char *colon = memchr(p.at, ':', p.len);
  if (!colon || colon + 1 == p.at + p.len)
    return "before @ there must be user:password or :password";
  part user = {p.at, (size_t)(colon - p.at)};
  part password = {colon + 1, p.len - user.len - 1};
  const char *fault = user.len > 0 ? read_decoded(user, &u->user) : NULL;
  return fault ? fault : read_decoded(password, &u->password);
}

/* --- Host and port --- */

static bool is_address(int family, const char *text) {
  unsigned char bytes[sizeof(struct in6_addr)];
  return inet_pton(family, text, bytes) == 1;
}

/* Only bytes that a name may have, and if it looks like an IPv4 address, one.
 */
static const char *check_host(const char *host) {
  part p = {host, strlen(host)};
  if (p.len == 0)
    return "host is missing";
  if (p.len > 255 || !consists_of(p, LETTERS DIGITS "-._"))
    return "host must be a name, an IPv4 address or an [IPv6 address]";
  if (consists_of(p, DIGITS ".") && !is_address(AF_INET, host))
    return "host is no IPv4 address";
  return NULL;
}

/* The text behind '[', of which '*rest' is what follows the ']'. */
static const char *read_ipv6(lf_url *u, part p, part *rest) {
  const char *end = memchr(p.at, ']', p.len);
  if (!end)
    return "] is missing";
  part host = {p.at, (size_t)(end - p.at)};
  *rest = (part){end + 1, p.len - host.len - 1};
  const char *fault = copy(host, &u->host);
  if (fault)
    return fault;
  return is_address(AF_INET6, u->host) ? NULL
                                       : "in brackets there must be an IPv6 "
                                         "address";
}

static const char *read_name(lf_url *u, part p, part *rest) {
  const char *colon = memchr(p.at, ':', p.len);
  part host = {p.at, colon ? (size_t)(colon - p.at) : p.len};
  *rest = (part){p.at + host.len, p.len - host.len};
  if (colon && memchr(colon + 1, ':', rest->len - 1))
    return "an IPv6 address must be in brackets";
  const char *fault = copy(host, &u->host);
  return fault ? fault : check_host(u->host);
}

static const char *read_port(lf_url *u, part p) {
  if (p.len == 0) {
    u->port = LF_URL_PORT;
    return NULL;
  }
  part digits = {p.at + 1, p.len - 1};
  u->port = p.at[0] == ':' ? number_of(digits, 5) : -1;
  return u->port > 0 && u->port <= 65535 ? NULL : "port must be 1 to 65535";
}

static const char *read_host(lf_url *u, part p) {
  part port = {0};
  const char *fault = p.len > 0 && p.at[0] == '['
                          ? read_ipv6(u, (part){p.at + 1, p.len - 1}, &port)
                          : read_name(u, p, &port);
  return fault ? fault : read_port(u, port);
}

/* --- The whole --- */

/* Behind redis://. */
static const char *read_tcp(lf_url *u, const char *text) {
  part server = {text, strcspn(text, "/?#")};
  const char *at = strchr(text, '@'), *rest = text + server.len;
  if (at && (at > rest || strchr(at + 1, '@')))
    return "/ ? # @ in user and password must be written %2F %3F %23 %40";
  const char *fault = NULL;
  if (at) {
    size_t len = (size_t)(at - text);
    fault = read_login(u, (part){text, len});
    server = (part){at + 1, server.len - len - 1};
  }
  if (!fault)
    fault = read_host(u, server);
  if (fault || rest[0] == '\0' || strcmp(rest, "/") == 0)
    return fault;
  if (rest[0] != '/')
    return "after the host there can be /db only";
  return read_db((part){rest + 1, strlen(rest + 1)}, &u->db);
}

/* Behind unix://. */
static const char *read_socket(lf_url *u, const char *text) {
  struct sockaddr_un address;
  part path = {text, strcspn(text, "?")};
  const char *query = text + path.len;
  if (path.len == 0 || path.at[0] != '/' || path.at[path.len - 1] == '/')
    return "after " SOCKET " there must be the path of a socket, from / on";
  if (path.len >= sizeof address.sun_path)
    return "a socket's path must not be longer than 107 bytes";
  const char *fault = copy(path, &u->path);
  if (fault || query[0] == '\0')
    return fault;
  if (!begins(query, "?db="))
    return "after the path there can be ?db=N only";
  query += strlen("?db=");
  return read_db((part){query, strlen(query)}, &u->db);
}

static const char *read_url(lf_url *u, const char *text) {
  if (begins(text, TLS))
    return "TLS is left to a tunnel, such as stunnel or ssh -L: give the "
           "address of its near end as " TCP;
  if (begins(text, TCP))
    return read_tcp(u, text + strlen(TCP));
  if (begins(text, SOCKET))
    return read_socket(u, text + strlen(SOCKET));
  return "it must begin with " TCP " or " SOCKET;
}

/* --- What is said of one that is malformed --- */

enum { SHOWN = 100 }; /* bytes of a part of the text */

/* How much of what stands where the server should can be no password that
 * nobody has seen as one. Such may be what comes behind a colon, unless it is
 * as long as a port, and has a host and nothing more but a db; a query other
 * than db; a fragment. */
static size_t harmless(const char *server) {
  size_t end = strcspn(server, "?#"), colon = strcspn(server, ":");
  if (colon < end && server[0] != '[') {
    const char *port = server + colon + 1;
    size_t len = strcspn(port, "/?#");
    const char *db = port + len + (port[len] == '/');
    if (colon == 0 || len > 5 || db[strspn(db, DIGITS)] != '\0')
      return colon + 1;
  }
  if (begins(server + end, "?db=") && !strchr(server + end, '&'))
    return strlen(server);
  return end;
}

/* As one line without control characters. */
static void say(char *why, size_t size, const char *text, const char *fault) {
  size_t letters = strspn(text, LETTERS);
  size_t before = begins(text + letters, "://") ? letters + 3 : 0;
  const char *at = strrchr(text, '@');
  const char *server = at ? at + 1 : text + before;
  size_t len = harmless(server);
  bool cut = len > SHOWN;
  snprintf(why, size, "%s url '%.*s%s%.*s%s' (%s)",
           begins(text, TLS) ? "unsupported" : "malformed",
           before < SHOWN ? (int)before : SHOWN, text, at ? "***@" : "",
           cut ? SHOWN : (int)len, server,
           cut           ? "..."
           : server[len] ? "***"
                         : "",
           fault);
  for (char *c = why; size > 0 && *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127)
      *c = '?';
}

bool lf_url_parse(lf_url *url, const char *text, char *why, size_t size) {
  lf_url u = {0};
  const char *fault = read_url(&u, text);
  *url = u;
  if (!fault)
    return true;
  lf_url_free(url);
  if (fault == no_memory)
    snprintf(why, size, "%s", fault);
  else
    say(why, size, text, fault);
  return false;
}

/* --- The record --- */

void lf_url_free(lf_url *url) {
  if (url->password)
    explicit_bzero(url->password, strlen(url->password));
  lf_free(url->host);
  lf_free(url->path);
  lf_free(url->user);
  lf_free(url->password);
  *url = (lf_url){0};
}

/* With all that may not stand in a URL as '%' and two digits. */
static int put_encoded(lf_buf *out, const char *text) {
  int err = 0;
  for (; *text && err == 0; text++) {
    if (strchr(LETTERS DIGITS "-._~", *text))
      err = lf_buf_put(out, text, 1);
    else
      err = lf_buf_print(out, "%%%02X", (unsigned char)*text);
  }
  return err;
}

static int put_socket(const lf_url *u, lf_buf *out) {
  int err = lf_buf_put_text(out, SOCKET);
  if (err == 0)
    err = lf_buf_put_text(out, u->path);
  if (err == 0 && u->db > 0)
    err = lf_buf_print(out, "?db=%d", u->db);
  return err;
}

/* "user:password@", of which the password may be left out. */
static int put_login(const lf_url *u, lf_buf *out, bool with_password) {
  int err = 0;
  with_password = with_password && u->password;
  if (u->user)
    err = put_encoded(out, u->user);
  if (err == 0 && with_password)
    err = lf_buf_put_text(out, ":");
  if (err == 0 && with_password)
    err = put_encoded(out, u->password);
  if (err == 0 && (u->user || with_password))
    err = lf_buf_put_text(out, "@");
  return err;
}

static int put_host(const lf_url *u, lf_buf *out) {
  bool brackets = strchr(u->host, ':');
  int err = lf_buf_print(out, brackets ? "[%s]:%d" : "%s:%d", u->host, u->port);
  if (err == 0 && u->db > 0)
    err = lf_buf_print(out, "/%d", u->db);
  return err;
}

static int put(const lf_url *u, lf_buf *out, bool with_password) {
  if (u->path)
    return put_socket(u, out);
  int err = lf_buf_put_text(out, TCP);
  if (err == 0)
    err = put_login(u, out, with_password);
  return err ? err : put_host(u, out);
}

int lf_url_show(const lf_url *url, lf_buf *out) {
  return put(url, out, false);
}

int lf_url_put(const lf_url *url, lf_buf *out) {
  return put(url, out, true);
}

bool lf_url_is_local(const lf_url *url) {
  struct in_addr four;
  struct in6_addr six;
  if (url->path || strcasecmp(url->host, "localhost") == 0)
    return true;
  if (inet_pton(AF_INET, url->host, &four) == 1)
    return ntohl(four.s_addr) >> 24 == 127;
  if (inet_pton(AF_INET6, url->host, &six) != 1)
    return false;
  return IN6_IS_ADDR_LOOPBACK(&six) ||
         (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}
