/* SPDX-License-Identifier: MIT
 *
 * See trace.h. A ring has one producer, its thread, and one consumer at a time,
 * under the ring's lock: the trace's thread, or the producer when it is full. A
 * ring outlives its thread until it has been emptied. Locks are taken in this
 * order: a ring's, the spool's; the list's and the names' are taken last. */
#include "runtime/trace/trace.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/base/table.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"
#include "runtime/trace/export.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  RING = LF_LIMIT(1024, 16), /* events, a power of 2 */
  TICK_NS = 20000000,        /* how often rings are emptied */
  HASTY = 64,                /* events after which a worker process sends */
  MOST = 1024,               /* events of a piece */
  NAMES = 1024,              /* buckets of the names' table */
};

/* 32 bytes: a slice; or the head of a name, a process's title, or a piece in
 * the spool, of which 'ns' events follow. */
typedef struct {
  int64_t at, ns;
  uint64_t flow;
  uint32_t name;
  uint8_t kind, phase;
  char step;
  bool ours; /* of another process, but called as this one calls it */
} event;

enum { SLICE = 1, NAME, PIECE, TITLE };
enum { NAME_EVENTS = LF_FUNCTION_NAME / sizeof(event) };
_Static_assert(LF_FUNCTION_NAME % sizeof(event) == 0, "whole events");

/* A name, or a title. */
typedef struct {
  event head;
  char text[LF_FUNCTION_NAME]; /* as JSON has it */
} record;
_Static_assert(sizeof(record) == (1 + NAME_EVENTS) * sizeof(event),
               "whole events");

typedef struct ring {
  lf_link link; /* of all; the list's lock */
  lf_track track;
  uint32_t session;   /* of the trace that it is for */
  bool told;          /* the track has its name; the trace's thread */
  atomic_bool orphan; /* its thread has ended */
  char name[32];
  pthread_mutex_t lock; /* of the consumer */
  lf_trace_now now;     /* its thread, read by anyone */
  _Atomic size_t put, taken;
  event events[RING];
} ring;

/* What something is called: interned as long as the trace goes on. */
typedef struct name {
  struct name *next;
  uint32_t id;
  char text[LF_FUNCTION_NAME]; /* as JSON has it */
} name;

/* A worker process, as its program's trace sees it: what it calls names -> what
 * they are called here. Those that it has never told it has from its program,
 * of which it is a fork. */
typedef struct {
  uint32_t *names;
  size_t n;
} source;

static bool times_long; /* also without a trace */

static lf_trace_send *sender;             /* set once, in a worker process */
static _Thread_local lf_trace_now *shown; /* there; NULL: nobody looks */

/* --- Names --- */

LF_FORK_MUTEX(names_lock, LF_FORK_TRACE_NAMES, NULL);
static name *by_text[NAMES];
static name **by_id;
static uint32_t nnames, names_cap;

static name *add_name(const char *text, size_t bucket) {
  if (nnames == names_cap) {
    uint32_t cap = names_cap ? 2 * names_cap : 64;
    name **more = lf_realloc(by_id, cap * sizeof *more);
    if (!more)
      return NULL;
    by_id = more;
    names_cap = cap;
  }
  name *n = lf_zalloc(sizeof *n);
  if (!n)
    return NULL;
  snprintf(n->text, sizeof n->text, "%s", text);
  n->next = by_text[bucket];
  by_text[bucket] = n;
  by_id[nnames++] = n;
  n->id = nnames;
  return n;
}

static void send_name(const name *n);

/* The number of a text that is as JSON has it; 0: no memory. */
static uint32_t intern(const char *text) {
  size_t bucket = lf_hash(text, strlen(text)) % NAMES;
  pthread_mutex_lock(&names_lock);
  name *n = by_text[bucket];
  while (n && strcmp(n->text, text) != 0)
    n = n->next;
  bool added = !n && (n = add_name(text, bucket));
  if (added && sender)
    send_name(n);
  pthread_mutex_unlock(&names_lock);
  return n ? n->id : 0;
}

static const char *name_of(uint32_t id) {
  pthread_mutex_lock(&names_lock);
  const char *text = id > 0 && id <= nnames ? by_id[id - 1]->text : "?";
  pthread_mutex_unlock(&names_lock);
  return text;
}

static uint32_t intern_plain(const char *text) {
  char json[LF_FUNCTION_NAME];
  lf_json_text(json, sizeof json, text);
  return intern(json);
}

/* The code keeps its number, with that of the trace (32 bits each). */
static uint32_t name_code(lf_code *code) {
  uint64_t known = atomic_load_explicit(&code->traced, memory_order_relaxed);
  uint64_t session = (uint64_t)(lf_timing_now() / LF_TIME_SESSION);
  char plain[LF_FUNCTION_NAME];
  if (known && known >> 32 == session)
    return (uint32_t)known;
  uint32_t id = intern_plain(lf_function_name(code->label, plain));
  atomic_store_explicit(&code->traced, session << 32 | id,
                        memory_order_relaxed);
  return id;
}

static uint32_t name_what(lf_code *code, const char *text) {
  return text   ? intern_plain(text)
         : code ? name_code(code)
                : intern_plain("task");
}

static void forget_names(void) {
  pthread_mutex_lock(&names_lock);
  while (nnames > 0)
    lf_free(by_id[--nnames]);
  lf_free(by_id);
  by_id = NULL;
  names_cap = 0;
  memset(by_text, 0, sizeof by_text);
  pthread_mutex_unlock(&names_lock);
}

/* --- The trace --- */

static struct {
  lf_export out; /* the trace's thread, */
  event piece[MOST];
  lf_table sources; /* pid -> source * */
  lf_trace_sampler *sample, *rest;
  void *arg;
  _Atomic uint32_t session; /* of the trace there is or was */
  bool stopping;            /* the list's lock */
  atomic_bool
      leaves; /* its thread leaves what is in the spool to who stops it */
  bool on;    /* by who starts and stops it */
  pthread_t thread;
  pthread_cond_t changed;
  int err; /* of the whole */
  _Atomic uint64_t lost;
} trace;

static void forget(void);
LF_FORK_MUTEX(list_lock, LF_FORK_TRACE, forget);
static lf_link rings = {&rings, &rings};

/* What did not fit into rings, in a file without a name. */
LF_FORK_MUTEX(spool_lock, LF_FORK_TRACE_SPOOL, NULL);
static struct {
  int fd;
  off_t put, taken; /* bytes; the second: the trace's thread */
} spool = {.fd = -1};

static bool write_at(int fd, const void *bytes, size_t n, off_t at) {
  const char *p = bytes;
  while (n > 0) {
    ssize_t r = pwrite(fd, p, n, at);
    if (r <= 0)
      return false;
    p += r;
    n -= (size_t)r;
    at += r;
  }
  return true;
}

/* A file that may not grow is an error, not the end of the program: around
 * writes. */
static void hold_back(sigset_t *old) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &set, old);
}

static void let_through(const sigset_t *old) {
  static const struct timespec at_once;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  if (!sigismember(old, SIGXFSZ))
    (void)sigtimedwait(&set, NULL, &at_once);
  pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* Puts events of a track behind what is there. */
static void spool_put(lf_track track, const event *events, size_t n) {
  event head = {.kind = PIECE,
                .ns = (int64_t)n,
                .at = track.thread,
                .flow = (uint64_t)track.process};
  size_t size = n * sizeof *events;
  sigset_t old;
  hold_back(&old);
  pthread_mutex_lock(&spool_lock);
  bool ok = spool.fd >= 0 &&
            write_at(spool.fd, &head, sizeof head, spool.put) &&
            write_at(spool.fd, events, size, spool.put + (off_t)sizeof head);
  if (ok)
    spool.put += (off_t)(sizeof head + size);
  else
    atomic_fetch_add(&trace.lost, n);
  pthread_mutex_unlock(&spool_lock);
  let_through(&old);
}

/* --- Rings --- */

static void spill(ring *r);
static _Thread_local ring *own;
static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void ring_free(ring *r) {
  pthread_mutex_destroy(&r->lock);
  lf_free(r);
}

/* Of a thread that ends: the trace's thread frees it, or, without a trace,
 * nobody needs it. */
static void let_go(void *p) {
  ring *r = p;
  if (sender)
    spill(r);
  own = NULL;
  pthread_mutex_lock(&list_lock);
  bool needed = trace.on;
  atomic_store(&r->orphan, true);
  if (!needed)
    lf_list_del(&r->link);
  pthread_mutex_unlock(&list_lock);
  if (!needed)
    ring_free(r);
}

static void make_key(void) {
  (void)pthread_key_create(&at_end, let_go);
  lf_cond_init(&trace.changed);
}

static ring *ring_new(void) {
  ring *r = lf_malloc(sizeof *r);
  if (!r)
    return NULL;
  pthread_once(&once, make_key);
  r->track = (lf_track){getpid(), (pid_t)syscall(SYS_gettid)};
  r->told = false;
  atomic_init(&r->orphan, false);
  memset(&r->now, 0, sizeof r->now);
  atomic_init(&r->put, 0);
  atomic_init(&r->taken, 0);
  pthread_mutex_init(&r->lock, NULL);
  if (!sender && r->track.thread == r->track.process)
    snprintf(r->name, sizeof r->name, "script");
  else
    prctl(PR_GET_NAME, r->name);
  pthread_setspecific(at_end, r);
  pthread_mutex_lock(&list_lock);
  r->session = sender ? 0 : trace.session;
  lf_list_add(&rings, &r->link);
  pthread_mutex_unlock(&list_lock);
  return own = r;
}

/* Under its lock: takes what is in it. Returns how many. */
static size_t take(ring *r, event *to) {
  size_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
  size_t n = atomic_load_explicit(&r->put, memory_order_acquire) - taken;
  for (size_t i = 0; i < n; i++)
    to[i] = r->events[(taken + i) % RING];
  atomic_store_explicit(&r->taken, taken + n, memory_order_release);
  return n;
}

static void hand_on(const ring *r, const event *events, size_t n) {
  if (n > 0 && sender)
    sender(events, n * sizeof *events);
  else if (n > 0)
    spool_put(r->track, events, n);
}

/* Its own thread: there is no room. */
static void spill(ring *r) {
  pthread_mutex_lock(&r->lock);
  size_t put = atomic_load_explicit(&r->put, memory_order_relaxed);
  size_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
  size_t at = taken % RING, n = put - taken;
  size_t first = n < RING - at ? n : RING - at;
  hand_on(r, r->events + at, first);
  hand_on(r, r->events, n - first);
  atomic_store_explicit(&r->taken, put, memory_order_release);
  pthread_mutex_unlock(&r->lock);
}

static record make_title(const char *text) {
  record title = {.head = {.kind = TITLE, .ns = NAME_EVENTS}};
  lf_json_text(title.text, sizeof title.text, text);
  return title;
}

/* Tells the program what the worker is called, once in a trace. */
static void send_title(const ring *r) {
  record title = make_title(r->name);
  sender(&title, sizeof title);
}

static void put(ring *r, const event *e) {
  size_t at = atomic_load_explicit(&r->put, memory_order_relaxed);
  size_t filled = at - atomic_load_explicit(&r->taken, memory_order_acquire);
  if (filled >= (sender && HASTY < RING ? HASTY : RING))
    spill(r);
  r->events[at % RING] = *e;
  atomic_store_explicit(&r->put, at + 1, memory_order_release);
}

/* Its own thread: what is in it is of an earlier trace. */
static void turn_to(ring *r, uint32_t session) {
  pthread_mutex_lock(&r->lock);
  atomic_store(&r->taken, atomic_load(&r->put));
  r->session = session;
  r->told = false;
  pthread_mutex_unlock(&r->lock);
  if (sender)
    send_title(r);
}

static ring *own_ring(void) {
  ring *r = own ? own : ring_new();
  uint32_t session = sender ? (uint32_t)(lf_timing_now() / LF_TIME_SESSION)
                            : atomic_load(&trace.session);
  if (r && r->session != session)
    turn_to(r, session);
  return r;
}

void lf_trace_slice(int64_t at, int64_t ns, lf_phase phase, lf_code *code,
                    const char *text, char step, uint64_t flow) {
  ring *r = own_ring();
  event e = {.at = at, .ns = ns, .flow = step ? flow : 0, .kind = SLICE};
  if (!r)
    return;
  e.phase = (uint8_t)phase;
  e.step = step;
  e.name = name_what(code, text);
  put(r, &e);
}

void lf_trace_open(int64_t at, lf_phase phase, lf_code *code,
                   const char *text) {
  ring *r = own_ring();
  lf_trace_now *now = sender ? shown : r ? &r->now : NULL;
  if (!now)
    return;
  atomic_store_explicit(&now->at, 0, memory_order_relaxed);
  if (at == 0)
    return;
  uint32_t id = sender ? 0 : name_what(code, text);
  atomic_store_explicit(&now->name, id, memory_order_relaxed);
  atomic_store_explicit(&now->phase, phase, memory_order_relaxed);
  atomic_store_explicit(&now->session, r ? r->session : 0,
                        memory_order_relaxed);
  atomic_store_explicit(&now->at, at, memory_order_release);
}

/* --- Of a worker process --- */

void lf_trace_show(lf_trace_now *place) {
  shown = place;
}

void lf_trace_hand_over(void) {
  if (own && sender)
    spill(own);
}

/* Under the names' lock. */
static void send_name(const name *n) {
  record told = {.head = {.kind = NAME, .name = n->id, .ns = NAME_EVENTS}};
  memcpy(told.text, n->text, sizeof told.text);
  sender(&told, sizeof told);
}

void lf_trace_forward(lf_trace_send *send) {
  sender = send;
}

/* In a forked child: the trace is its parent's. */
static void forget(void) {
  lf_link *l;
  if (own)
    pthread_setspecific(at_end, NULL);
  own = NULL;
  while ((l = lf_list_pop(&rings)))
    lf_free(lf_container_of(l, ring, link));
  atomic_fetch_and(&lf_timing, ~LF_TIME_TRACE);
  if (!trace.on)
    return;
  trace.on = false;
  close(trace.out.fd);
  close(spool.fd);
  spool.fd = -1;
}

/* --- Export: the trace's thread --- */

static const char *const categories[LF_PHASES] = {"run", "native", "pack",
                                                  "unpack", "wait"};

static void write_slice(lf_track track, const event *e, uint32_t id) {
  lf_export *out = &trace.out;
  int64_t before = out->epoch > e->at ? out->epoch - e->at : 0;
  if (e->phase >= LF_PHASES || (before > 0 && before >= e->ns))
    return; /* it was over when the trace began */
  lf_export_slice(out, track, e->at + before, e->ns - before,
                  categories[e->phase], name_of(id));
  if (before == 0 && e->step &&
      e->flow) /* it leaves a slice at its end, enters at its begin */
    lf_export_flow(out, track, e->step == 's' ? e->at + e->ns : e->at, e->step,
                   e->flow);
}

static source *source_of(pid_t process, const char *title) {
  lf_entry *found = lf_table_find(&trace.sources, (uint64_t)process);
  if (found)
    return found->value;
  source *s = lf_zalloc(sizeof *s);
  lf_track track = {process, process};
  lf_export_track(&trace.out, track, "process_name", title);
  lf_export_track(&trace.out, track, "thread_name", title);
  if (s && lf_table_add(&trace.sources, (uint64_t)process, s) != 0) {
    lf_free(s);
    s = NULL;
  }
  return s;
}

/* The process has told what a name is. */
static void learn(source *s, uint32_t id, const event *text) {
  char json[LF_FUNCTION_NAME];
  memcpy(json, text, sizeof json);
  json[sizeof json - 1] = '\0';
  if (id > s->n) {
    size_t n = 2 * (size_t)id;
    uint32_t *more =
        id < 1 << 20 ? lf_realloc(s->names, n * sizeof *more) : NULL;
    if (!more)
      return;
    memset(more + s->n, 0, (n - s->n) * sizeof *more);
    s->names = more;
    s->n = n;
  }
  if (id > 0)
    s->names[id - 1] = intern(json);
}

static uint32_t translate(const source *s, uint32_t id) {
  uint32_t told = s && id > 0 && id <= s->n ? s->names[id - 1] : 0;
  return told ? told : id;
}

static void write_events(lf_track track, const event *e, size_t n) {
  bool foreign = track.process != getpid();
  const char *title = "lfut worker";
  char text[LF_FUNCTION_NAME];
  if (n > NAME_EVENTS && e->kind == TITLE) {
    memcpy(text, e + 1, sizeof text);
    title = text;
  }
  source *s = foreign ? source_of(track.process, title) : NULL;
  for (size_t i = 0; i < n; i++) {
    if (e[i].kind == SLICE)
      write_slice(track, &e[i],
                  foreign && !e[i].ours ? translate(s, e[i].name) : e[i].name);
    else if (e[i].kind == NAME && s && i + NAME_EVENTS < n)
      learn(s, e[i].name, &e[i + 1]);
    if (e[i].kind == NAME || e[i].kind == TITLE)
      i += NAME_EVENTS;
  }
}

static void write_track(ring *r) {
  char json[64];
  if (r->told)
    return;
  r->told = true;
  lf_json_text(json, sizeof json, r->name);
  lf_export_track(&trace.out, r->track, "thread_name", json);
}

static void empty(ring *r) {
  pthread_mutex_lock(&r->lock);
  size_t n = r->session == trace.session ? take(r, trace.piece) : 0;
  pthread_mutex_unlock(&r->lock);
  if (n == 0)
    return;
  write_track(r);
  write_events(r->track, trace.piece, n);
}

/* The ring after that one (NULL: the first), as long as it is in the list: only
 * the trace's thread takes rings out. */
static ring *next_ring(ring *r) {
  pthread_mutex_lock(&list_lock);
  lf_link *l = r ? r->link.next : rings.next;
  pthread_mutex_unlock(&list_lock);
  return l == &rings ? NULL : lf_container_of(l, ring, link);
}

static void drop_orphans(void) {
  for (ring *r = next_ring(NULL), *next; r; r = next) {
    next = next_ring(r);
    if (!atomic_load(&r->orphan))
      continue;
    empty(r); /* it may have come meanwhile */
    pthread_mutex_lock(&list_lock);
    lf_list_del(&r->link);
    pthread_mutex_unlock(&list_lock);
    ring_free(r);
  }
}

/* One piece of the spool; false: there is none. */
static bool empty_spool_once(void) {
  event head;
  pthread_mutex_lock(&spool_lock);
  off_t at = spool.taken;
  bool any = at < spool.put;
  if (!any && at > 0) { /* its room can be used again */
    spool.put = spool.taken = 0;
    (void)!ftruncate(spool.fd, 0);
  }
  pthread_mutex_unlock(&spool_lock);
  if (!any)
    return false;
  lf_track track = {0, 0};
  size_t n = 0, max = MOST;
  if (pread(spool.fd, &head, sizeof head, at) == sizeof head) {
    track = (lf_track){(pid_t)head.flow, (pid_t)head.at};
    n = (size_t)head.ns < max ? (size_t)head.ns : max;
  }
  at += (off_t)sizeof head;
  ssize_t r = pread(spool.fd, trace.piece, n * sizeof(event), at);
  if (r > 0)
    write_events(track, trace.piece, (size_t)r / sizeof(event));
  spool.taken = at + (off_t)(n * sizeof(event));
  return true;
}

static void drain(void) {
  for (ring *r = next_ring(NULL); r; r = next_ring(r))
    empty(r);
  while (!atomic_load(&trace.leaves) && empty_spool_once())
    ;
  drop_orphans();
  if (trace.sample && !trace.out.err)
    trace.sample(trace.arg);
  lf_export_flush(&trace.out);
  if (trace.out.err && !trace.err) {
    trace.err = trace.out.err;
    atomic_fetch_and(&lf_timing, ~LF_TIME_TRACE);
  }
}

void lf_trace_counter(const char *counter, const char *whose, uint64_t value) {
  char json[64];
  lf_json_text(json, sizeof json, whose);
  lf_export_counter(&trace.out, getpid(), lf_now(), counter, json, value);
}

/* Does not take the processor from those that it watches. */
static void be_humble(void) {
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
}

static void free_sources(void) {
  for (size_t i = 0; i < trace.sources.cap; i++) {
    source *s =
        trace.sources.entries[i].id ? trace.sources.entries[i].value : NULL;
    if (s)
      lf_free(s->names);
    lf_free(s);
  }
  lf_table_fini(&trace.sources);
}

static void *run(void *unused) {
  pthread_setname_np(pthread_self(), "lfut_trace");
  be_humble();
  pthread_mutex_lock(&list_lock);
  while (!trace.stopping) {
    lf_cond_wait(&trace.changed, &list_lock, lf_after_ns(TICK_NS));
    pthread_mutex_unlock(&list_lock);
    drain();
    pthread_mutex_lock(&list_lock);
  }
  pthread_mutex_unlock(&list_lock);
  return unused;
}

/* --- Beginning and ending --- */

static int open_spool(const char *path) {
  char directory[4096];
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  if (slash)
    slash[slash == directory] = '\0';
  int fd = open(slash ? directory : ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd >= 0 ? fd : memfd_create("lfut trace", MFD_CLOEXEC);
}

static void tell_process(void) {
  lf_track track = {getpid(), getpid()};
  lf_export_track(&trace.out, track, "process_name", "lfut");
}

/* Rings of threads that have ended, and of this one: others go with their
 * threads. There is no trace from then on. */
static void free_rings(void) {
  lf_link gone;
  lf_list_init(&gone);
  pthread_mutex_lock(&list_lock);
  trace.on = false;
  for (lf_link *l = rings.next, *next; l != &rings; l = next) {
    next = l->next;
    ring *r = lf_container_of(l, ring, link);
    if (!atomic_load(&r->orphan) && r != own)
      continue;
    lf_list_del(l);
    lf_list_add(&gone, l);
  }
  pthread_mutex_unlock(&list_lock);
  for (lf_link *l; (l = lf_list_pop(&gone));)
    ring_free(lf_container_of(l, ring, link));
  own = NULL;
  pthread_setspecific(at_end, NULL);
}

/* As a slice up to now. False: it is nothing, or of another trace. */
static bool read_now(const lf_trace_now *now, event *e) {
  *e = (event){.at = atomic_load(&now->at), .kind = SLICE};
  e->phase = (uint8_t)atomic_load(&now->phase);
  e->name = atomic_load(&now->name);
  e->ns = lf_now() - e->at;
  return e->at != 0 && e->ns > 0 && atomic_load(&now->session) == trace.session;
}

/* What threads are in the middle of. */
static void write_rest(void) {
  event e;
  for (ring *r = next_ring(NULL); r; r = next_ring(r)) {
    if (atomic_load(&r->orphan) || !read_now(&r->now, &e))
      continue;
    write_track(r);
    write_slice(r->track, &e, e.name);
  }
}

void lf_trace_rest(pid_t process, const lf_trace_now *now, lf_code *code,
                   const char *text) {
  event e;
  lf_track track = {process, process};
  if (!read_now(now, &e))
    return;
  e.name = name_what(code, text);
  e.ours = true;
  spool_put(track, &e, 1);
}

/* What its thread has left, by who stops it: that has the lowest priority. */
static void finish(void) {
  sigset_t old;
  hold_back(&old);
  atomic_store(&trace.leaves, false);
  if (trace.rest && !trace.out.err)
    trace.rest(trace.arg);
  drain();
  write_rest();
  int err = lf_export_close(&trace.out);
  trace.err = trace.err ? trace.err : err;
  let_through(&old);
  free_sources();
  free_rings();
  forget_names();
  pthread_mutex_lock(&spool_lock);
  close(spool.fd);
  spool.fd = -1;
  pthread_mutex_unlock(&spool_lock);
}

int lf_trace_stop(uint64_t *lost) {
  *lost = 0;
  if (!trace.on)
    return 0;
  atomic_fetch_and(&lf_timing,
                   ~(LF_TIME_TRACE | (times_long ? 0 : LF_TIME_LONG)));
  atomic_store(&trace.leaves, true);
  pthread_mutex_lock(&list_lock);
  trace.stopping = true;
  pthread_cond_broadcast(&trace.changed);
  pthread_mutex_unlock(&list_lock);
  pthread_join(trace.thread, NULL);
  finish();
  *lost = atomic_load(&trace.lost);
  return trace.err;
}

int lf_trace_start(const char *path, lf_trace_sampler *sample,
                   lf_trace_sampler *rest, void *arg) {
  uint64_t lost;
  (void)lf_trace_stop(&lost);
  pthread_once(&once, make_key);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return errno;
  int err = lf_export_open(&trace.out, fd, lf_now());
  if (err) {
    (void)lf_export_close(&trace.out);
    return err;
  }
  tell_process();
  int room = open_spool(path);
  pthread_mutex_lock(&spool_lock);
  spool.fd = room;
  spool.put = spool.taken = 0;
  pthread_mutex_unlock(&spool_lock);
  trace.sample = sample;
  trace.rest = rest;
  trace.arg = arg;
  trace.err = 0;
  atomic_store(&trace.lost, 0);
  atomic_store(&trace.leaves, false);
  pthread_mutex_lock(&list_lock);
  trace.stopping = false;
  atomic_fetch_add(&trace.session, 1);
  trace.on = true;
  pthread_mutex_unlock(&list_lock);
  if (!lf_thread_start_apart(run, 0, &trace.thread)) {
    finish();
    return EAGAIN;
  }
  int session = (int)trace.session * LF_TIME_SESSION;
  atomic_store(&lf_timing, LF_TIME_TRACE | LF_TIME_LONG | session);
  return 0;
}

void lf_trace_feed(pid_t process, pid_t thread, uint32_t session,
                   const void *bytes, size_t n) {
  lf_track track = {process, thread};
  if (!lf_is_traced() ||
      session != (uint32_t)(lf_timing_now() / LF_TIME_SESSION))
    return; /* it is for another */
  if (n % sizeof(event) == 0 && n / sizeof(event) <= MOST)
    spool_put(track, bytes, n / sizeof(event));
  else
    atomic_fetch_add(&trace.lost, n / sizeof(event));
}

void lf_trace_call_process(pid_t process, const char *kind, const char *text) {
  char whole[LF_FUNCTION_NAME];
  lf_track track = {process, process};
  snprintf(whole, sizeof whole, "%s%s", kind, text);
  record title = make_title(whole);
  spool_put(track, &title.head, 1 + NAME_EVENTS);
}

void lf_trace_far(pid_t process, pid_t thread, int64_t at, int64_t ns,
                  lf_code *code, const char *text, int64_t flow) {
  lf_track track = {process, thread};
  event e = {.at = at, .ns = ns, .kind = SLICE, .phase = LF_PHASE_RUN};
  e.flow = (uint64_t)flow;
  e.step = flow ? 't' : 0;
  e.name = name_what(code, text);
  e.ours = true;
  spool_put(track, &e, 1);
}

void lf_time_long(void) {
  times_long = true;
  atomic_fetch_or(&lf_timing, LF_TIME_LONG);
}

void lf_time_as(int bits) {
  if (bits / LF_TIME_SESSION != lf_timing_now() / LF_TIME_SESSION)
    forget_names(); /* they are those of another trace */
  atomic_store_explicit(&lf_timing, bits, memory_order_relaxed);
}
