/* SPDX-License-Identifier: MIT
 *
 * runtime/cluster/url.h. */
#include "tests/c/fake.h"
#include "tests/c/memory.h"

#include "runtime/cluster/url.h"

#include <stdio.h>
#include <string.h>

static char why[512];

static lf_url parsed(const char *text) {
  lf_url u;
  strcpy(why, "");
  if (!lf_url_parse(&u, text, why, sizeof why))
    print_error("%s\n", why);
  assert_string_equal(why, "");
  return u;
}

/* What the function appends, for a moment. */
static const char *text_by(int (*put)(const lf_url *url, lf_buf *out),
                           const lf_url *u) {
  static char text[512];
  lf_buf out;
  lf_buf_init(&out, text, sizeof text - 1);
  assert_int_equal(put(u, &out), 0);
  assert_ptr_equal(out.data, text);
  text[out.len] = '\0';
  lf_buf_fini(&out);
  return text;
}

static void assert_login(lf_url *u, const char *user, const char *password) {
  if (user)
    assert_string_equal(u->user, user);
  else
    assert_null(u->user);
  if (password)
    assert_string_equal(u->password, password);
  else
    assert_null(u->password);
}

static void assert_tcp(const char *text, const char *host, int port, int db) {
  lf_url u = parsed(text);
  assert_string_equal(u.host, host);
  assert_null(u.path);
  assert_int_equal(u.port, port);
  assert_int_equal(u.db, db);
  lf_url_free(&u);
  assert_null(u.host);
  lf_url_free(&u);
}

static void reads_hosts(void **state) {
  (void)state;
  assert_tcp("redis://localhost", "localhost", 6379, 0);
  assert_tcp("redis://my-host_2.example.org:1/3", "my-host_2.example.org", 1,
             3);
  assert_tcp("redis://10.0.0.1:65535/", "10.0.0.1", 65535, 0);
  assert_tcp("redis://[::1]", "::1", 6379, 0);
  assert_tcp("redis://[fe80::10.0.0.1]:7000/15", "fe80::10.0.0.1", 7000, 15);
  assert_tcp("redis://me:secret@host:80/1", "host", 80, 1);
  assert_tcp("redis://:secret@[::1]:80", "::1", 80, 0);
}

static void assert_socket(const char *text, const char *path, int db) {
  lf_url u = parsed(text);
  assert_string_equal(u.path, path);
  assert_null(u.host);
  assert_int_equal(u.port, 0);
  assert_int_equal(u.db, db);
  assert_login(&u, NULL, NULL);
  lf_url_free(&u);
}

static void reads_sockets(void **state) {
  (void)state;
  assert_socket("unix:///run/redis.sock", "/run/redis.sock", 0);
  assert_socket("unix:///a b/c@d:%41?db=12", "/a b/c@d:%41", 12);
}

static void reads_who_one_is(void **state) {
  (void)state;
  const struct {
    const char *text, *user, *password;
  } cases[] = {
      {"redis://h", NULL, NULL},
      {"redis://me:secret@h", "me", "secret"},
      {"redis://:secret@h", NULL, "secret"},
      {"redis://m%3ae:%40%2F%3f%23%25@h", "m:e", "@/?#%"},
      {"redis://:a:b%3a!\xc3\xa4@h", NULL, "a:b:!\xc3\xa4"},
      {"redis://:%ff%0a@h", NULL, "\xff\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lf_url u = parsed(cases[i].text);
    assert_login(&u, cases[i].user, cases[i].password);
    assert_string_equal(u.host, "h");
    lf_url_free(&u);
  }
}

/* Put, and parsed again, it is the same; shown, it has no password. */
static void assert_puts(const char *text, const char *put, const char *shown) {
  lf_url u = parsed(text);
  assert_string_equal(text_by(lf_url_put, &u), put);
  assert_string_equal(text_by(lf_url_show, &u), shown);
  lf_url again = parsed(put);
  assert_string_equal(text_by(lf_url_put, &again), put);
  assert_int_equal(again.port, u.port);
  assert_int_equal(again.db, u.db);
  assert_login(&again, u.user, u.password);
  lf_url_free(&u);
  lf_url_free(&again);
}

static void puts_what_it_has_read(void **state) {
  (void)state;
  assert_puts("redis://h", "redis://h:6379", "redis://h:6379");
  assert_puts("redis://:secret@[::1]/2", "redis://:secret@[::1]:6379/2",
              "redis://[::1]:6379/2");
  assert_puts("redis://me:secret@h:1", "redis://me:secret@h:1",
              "redis://me@h:1");
  assert_puts("redis://m%40:a:b%2f~\xc3@h", "redis://m%40:a%3Ab%2F~%C3@h:6379",
              "redis://m%40@h:6379");
  assert_puts("unix:///run/x?db=0", "unix:///run/x", "unix:///run/x");
  assert_puts("unix:///run/x?db=7", "unix:///run/x?db=7", "unix:///run/x?db=7");
}

/* --- Malformed ones --- */

static void assert_malformed(const char *text, const char *answer) {
  lf_url u = {.port = 1};
  assert_false(lf_url_parse(&u, text, why, sizeof why));
  if (!strstr(why, answer))
    print_error("'%s' is not in \"%s\"\n", answer, why);
  assert_non_null(strstr(why, answer));
  assert_null(strstr(why, "secret"));
  assert_null(strchr(why, '\n'));
  assert_null(u.host);
  assert_null(u.password);
}

static void says_what_is_malformed(void **state) {
  (void)state;
  const char *port = "port must be 1 to 65535", *db = "db must be a number";
  assert_malformed("redis://:secret@h:x", "malformed url 'redis://***@h:x' "
                                          "(port must be 1 to 65535)");
  assert_malformed("redis://h:", port);
  assert_malformed("redis://h:0", port);
  assert_malformed("redis://h:65536", port);
  assert_malformed("redis://h:000001", port);
  assert_malformed("redis://h:-1", port);
  assert_malformed("redis://[::1]6379", port);
  assert_malformed("redis://h/x", db);
  assert_malformed("redis://h/0/1", db);
  assert_malformed("redis://h/-1", db);
  assert_malformed("redis://h/1234567890", db);
  assert_malformed("unix:///run/x?db=", db);
  assert_malformed("redis://h?db=1", "after the host");
  assert_malformed("redis://h#1", "after the host");
  assert_malformed("unix:///run/x?n=1", "after the path");
  assert_malformed("unix://run/x", "the path of a socket");
  assert_malformed("unix:///run/", "the path of a socket");
  assert_malformed("h:6379", "'h:6379' (it must begin with redis:// or unix:");
  assert_malformed("", "it must begin with");
  assert_malformed("redis:/h", "it must begin with");
  assert_malformed("REDIS://h", "it must begin with");
}

static void says_what_is_no_host(void **state) {
  (void)state;
  assert_malformed("redis://", "'redis://' (host is missing)");
  assert_malformed("redis://:secret@", "host is missing");
  assert_malformed("redis:///1", "host is missing");
  assert_malformed("redis://a\nb\177", "'redis://a?b?' (host must be a name");
  assert_malformed("redis://\xc3\xa4", "host must be a name");
  assert_malformed("redis://10.0.0.256", "host is no IPv4 address");
  assert_malformed("redis://::1", "an IPv6 address must be in brackets");
  assert_malformed("redis://[::1", "] is missing");
  assert_malformed("redis://[h]", "there must be an IPv6 address");
  assert_malformed("redis://[]", "there must be an IPv6 address");
}

static void tls_is_left_to_a_tunnel(void **state) {
  (void)state;
  assert_malformed("rediss://:secret@h:1",
                   "unsupported url 'rediss://***@h:1' (TLS is left to a "
                   "tunnel");
}

/* Nor anything that may have been meant as one. */
static void never_says_the_password(void **state) {
  (void)state;
  const char *encoded = "must be written %2F %3F %23 %40";
  assert_malformed("redis://secret@h", "'redis://***@h' (before @ there must");
  assert_malformed("redis://secret:@h", "before @ there must");
  assert_malformed("redis://:secret/@h", encoded);
  assert_malformed("redis://:sec@secret@h", encoded);
  assert_malformed("redis://me:secret#@h", encoded);
  assert_malformed("redis://:secret%@h", "two hexadecimal digits");
  assert_malformed("redis://:secret%4x@h", "two hexadecimal digits");
  assert_malformed("redis://:secret%00@h", "two hexadecimal digits");
  assert_malformed("redis://:secret", "'redis://:***' (host is missing)");
  assert_malformed("redis://me:secret", "'redis://me:***' (port must be");
  assert_malformed("redis://me:in/secret", "'redis://me:***'");
  assert_malformed("redis://h?password=secret", "'redis://h***'");
  assert_malformed("unix:///x?db=1&password=secret", "'unix:///x***'");
  assert_malformed("me:secret@h", "'***@h' (it must begin");
  assert_malformed("me:secret?://", "'me:***' (it must begin");
  assert_malformed("secret@redis://h", "it must begin");
}

static void says_it_in_little_room(void **state) {
  (void)state;
  lf_url u;
  char text[600], small[10];
  snprintf(text, sizeof text, "redis://%0*d", 500, 0);
  assert_malformed(text, "0...' (host must be a name");
  snprintf(text, sizeof text, "%0*d", 500, 0);
  assert_malformed(text, "0...' (it must begin");
  memset(text, 'a', 500);
  strcpy(text + 500, "://");
  assert_malformed(text, "a' (it must begin");
  snprintf(text, sizeof text, "unix:///%0*d", 108, 0);
  assert_malformed(text, "must not be longer than 107 bytes");
  assert_false(lf_url_parse(&u, "redis://", small, sizeof small));
  assert_string_equal(small, "malformed");
}

static void tells_what_is_local(void **state) {
  (void)state;
  const struct {
    const char *text;
    bool is_local;
  } cases[] = {
      {"unix:///run/x", true},
      {"redis://localhost", true},
      {"redis://LocalHost:1", true},
      {"redis://127.0.0.1", true},
      {"redis://127.1.2.3", true},
      {"redis://[::1]", true},
      {"redis://[::ffff:127.0.0.1]", true},
      {"redis://[::ffff:10.0.0.1]", false},
      {"redis://[::2]", false},
      {"redis://0.0.0.0", false},
      {"redis://128.0.0.1", false},
      {"redis://localhost.example.org", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lf_url u = parsed(cases[i].text);
    assert_int_equal(lf_url_is_local(&u), cases[i].is_local);
    lf_url_free(&u);
  }
}

static bool read_and_put(void *arg) {
  lf_url u;
  lf_buf out;
  if (!lf_url_parse(&u, arg, why, sizeof why)) {
    lf_check(strcmp(why, LF_NO_MEMORY) == 0);
    return false;
  }
  lf_buf_init(&out, NULL, 0);
  bool put = lf_url_put(&u, &out) == 0;
  lf_buf_fini(&out);
  lf_url_free(&u);
  return put;
}

static void tells_when_there_is_no_memory(void **state) {
  (void)state;
  char tcp[] = "redis://me:secret@h:1/1", path[] = "unix:///run/x";
  assert_true(memory_fail_each(read_and_put, tcp) > 3);
  assert_true(memory_fail_each(read_and_put, path) > 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(reads_hosts),
      TEST(reads_sockets),
      TEST(reads_who_one_is),
      TEST(puts_what_it_has_read),
      TEST(says_what_is_malformed),
      TEST(says_what_is_no_host),
      TEST(tls_is_left_to_a_tunnel),
      TEST(never_says_the_password),
      TEST(says_it_in_little_room),
      TEST(tells_what_is_local),
      TEST(tells_when_there_is_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
