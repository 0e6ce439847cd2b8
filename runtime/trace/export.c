/* SPDX-License-Identifier: MIT
 *
 * See export.h. */
#include "runtime/trace/export.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST = 1024 }; /* bytes of one event */

static const char closing[] = "\n]\n";

/* --- Text --- */

static char *put_text(char *p, const char *text) {
  size_t n = strlen(text);
  memcpy(p, text, n);
  return p + n;
}

static char *put_number(char *p, uint64_t n) {
  char digits[20];
  int i = 0;
  do
    digits[i++] = (char)('0' + n % 10);
  while ((n /= 10) > 0);
  while (i > 0)
    *p++ = digits[--i];
  return p;
}

/* Microseconds, with three digits behind the point. */
static char *put_us(char *p, int64_t ns) {
  uint64_t n = ns > 0 ? (uint64_t)ns : 0;
  p = put_number(p, n / 1000);
  *p++ = '.';
  for (uint64_t unit = 100; unit > 0; unit /= 10)
    *p++ = (char)('0' + n / unit % 10);
  return p;
}

/* Bytes of the UTF-8 sequence there, or 0: it is none (RFC 3629, 4). */
static size_t sequence(const char *text) {
  const unsigned char *p = (const unsigned char *)text;
  size_t n = *p < 0x80   ? 1
             : *p < 0xc2 ? 0
             : *p < 0xe0 ? 2
             : *p < 0xf0 ? 3
             : *p < 0xf5 ? 4
                         : 0;
  for (size_t i = 1; i < n; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;
  bool overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
  bool none = (*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f);
  return overlong || none ? 0 : n;
}

void lf_json_text(char *out, size_t size, const char *text) {
  static const char hex[] = "0123456789abcdef";
  char *p = out, *last = out + size - 7;
  while (*text && p < last) {
    unsigned char c = (unsigned char)*text;
    size_t n = sequence(text);
    if (n > 1 || (n == 1 && c >= ' ' && c != '"' && c != '\\' && c != 0x7f)) {
      memcpy(p, text, n);
      p += n;
      text += n;
    } else { /* names need not be UTF-8 */
      p = put_text(p, "\\u00");
      *p++ = hex[c >> 4];
      *p++ = hex[c & 15];
      text++;
    }
  }
  *p = '\0';
}

/* --- The file --- */

static bool write_all(lf_export *out, const char *bytes, size_t n) {
  while (n > 0) {
    ssize_t r = out->seekable ? pwrite(out->fd, bytes, n, out->end)
                              : write(out->fd, bytes, n);
    if (r < 0 && errno == EINTR)
      continue;
    if (r <= 0) {
      out->err = r < 0 ? errno : EIO;
      return false;
    }
    bytes += r;
    n -= (size_t)r;
    out->end += r;
  }
  return true;
}

/* Where the last event ends behind which there is room for the array's end, of
 * 'n' bytes that are in the file. */
static size_t whole(const char *bytes, size_t n) {
  size_t end = n < sizeof closing - 1 ? 0 : n - (sizeof closing - 1);
  while (end > 0 && (bytes[end] != ',' || bytes[end + 1] != '\n'))
    end--;
  return end;
}

/* Nothing more fits behind 'before': what does is made whole again, in place
 * first, as the file may not get room again that it has given back. */
static void cut(lf_export *out, off_t before) {
  out->end = before + (off_t)whole(out->bytes, (size_t)(out->end - before));
  if (out->seekable &&
      pwrite(out->fd, closing, sizeof closing - 1, out->end) > 0)
    (void)!ftruncate(out->fd, out->end + (off_t)sizeof closing - 1);
}

void lf_export_flush(lf_export *out) {
  off_t before = out->end;
  size_t n = out->len;
  if (out->err || n == 0)
    return;
  out->len = 0;
  if (out->seekable)
    memcpy(out->bytes + n, closing, sizeof closing - 1);
  if (!write_all(out, out->bytes, n + (out->seekable ? sizeof closing - 1 : 0)))
    cut(out, before);
  else if (out->seekable)
    out->end -= (off_t)(sizeof closing - 1);
}

/* Where the next event begins. */
static char *begin(lf_export *out) {
  if (out->len + LONGEST + sizeof closing > sizeof out->bytes)
    lf_export_flush(out);
  if (out->err)
    out->len = 0;
  char *p = out->bytes + out->len;
  p = put_text(p, out->any ? ",\n" : "\n");
  out->any = true;
  return p;
}

static void end(lf_export *out, char *p) {
  *p++ = '}';
  out->len = (size_t)(p - out->bytes);
}

int lf_export_open(lf_export *out, int fd, int64_t epoch) {
  out->fd = fd;
  out->any = false;
  out->err = 0;
  out->end = 0;
  out->epoch = epoch;
  out->seekable = lseek(fd, 0, SEEK_SET) == 0;
  out->bytes[0] = '[';
  out->len = 1;
  lf_export_flush(out);
  return out->err;
}

int lf_export_close(lf_export *out) {
  lf_export_flush(out);
  if (!out->seekable && !out->err)
    write_all(out, closing, sizeof closing - 1);
  if (close(out->fd) != 0 && !out->err)
    out->err = errno;
  return out->err;
}

/* --- Events --- */

static char *put_track(char *p, const char *head, lf_track track) {
  p = put_text(p, head);
  p = put_text(p, ",\"pid\":");
  p = put_number(p, (uint64_t)track.process);
  p = put_text(p, ",\"tid\":");
  return put_number(p, (uint64_t)track.thread);
}

static char *put_time(const lf_export *out, char *p, int64_t at) {
  p = put_text(p, ",\"ts\":");
  return put_us(p, at - out->epoch);
}

static char *put_name(char *p, const char *name) {
  p = put_text(p, ",\"name\":\"");
  p = put_text(p, name);
  return put_text(p, "\"");
}

void lf_export_track(lf_export *out, lf_track track, const char *what,
                     const char *name) {
  char *p = put_track(begin(out), "{\"ph\":\"M\"", track);
  p = put_name(p, what);
  p = put_text(p, ",\"args\":{\"name\":\"");
  p = put_text(p, name);
  end(out, put_text(p, "\"}"));
}

void lf_export_slice(lf_export *out, lf_track track, int64_t at, int64_t ns,
                     const char *category, const char *name) {
  char *p = put_track(begin(out), "{\"ph\":\"X\"", track);
  p = put_time(out, p, at);
  p = put_text(p, ",\"dur\":");
  p = put_us(p, ns);
  p = put_text(p, ",\"cat\":\"");
  p = put_text(p, category);
  p = put_text(p, "\"");
  end(out, put_name(p, name));
}

void lf_export_flow(lf_export *out, lf_track track, int64_t at, char step,
                    uint64_t id) {
  char head[] = "{\"ph\":\"?\",\"name\":\"t\",\"cat\":\"t\"";
  head[7] = step;
  char *p = put_track(begin(out), head, track);
  p = put_time(out, p, at);
  p = put_text(p, step == 'f' ? ",\"bp\":\"e\",\"id\":" : ",\"id\":");
  end(out, put_number(p, id));
}

void lf_export_counter(lf_export *out, pid_t process, int64_t at,
                       const char *name, const char *whose, uint64_t value) {
  char *p = put_text(begin(out), "{\"ph\":\"C\",\"pid\":");
  p = put_number(p, (uint64_t)process);
  p = put_time(out, p, at);
  p = put_name(p, name);
  p = put_text(p, ",\"args\":{\"");
  p = put_text(p, whose);
  p = put_text(p, "\":");
  p = put_number(p, value);
  end(out, put_text(p, "}"));
}
