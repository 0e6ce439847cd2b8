/* SPDX-License-Identifier: MIT
 *
 * See trace.h. A ring has one producer, its thread, and one consumer at a time,
 * under the ring's lock: the trace's thread (in a worker process the relay), or
 * the producer when it is full. A ring outlives its thread until it has been
 * emptied. Locks are taken in this order: the relay's, a ring's, the spool's;
 * the list's and the names' are taken last. */
#include "runtime/trace/trace.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"
#include "runtime/trace/lines.h"
#include "runtime/trace/names.h"
#include "runtime/trace/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  RING = LF_LIMIT(1024, 16), /* events, a power of 2 */
  TICK_NS = 20000000,        /* how often rings are emptied, */
  LONG_TICK_NS = 160000000,  /* and by a relay that has found nothing */
  HASTY = 64,                /* events after which a worker process sends */
};
_Static_assert((int)RING <= (int)LF_PIECE_MOST, "a ring fits into a piece");

typedef struct ring {
  lf_link link; /* of all; the list's lock */
  lf_track track;
  uint32_t session;   /* of the trace that it is for */
  bool told;          /* the track has its name; who empties it */
  atomic_bool orphan; /* its thread has ended */
  char name[32];
  pthread_mutex_t lock; /* of the consumer */
  lf_trace_now now;     /* its thread, read by anyone */
  _Atomic size_t put, taken;
  lf_event events[RING];
} ring;

static bool times_long; /* also without a trace */

static struct {
  lf_lines lines; /* the trace's thread, */
  lf_trace_sampler *sample, *rest;
  void *arg;
  _Atomic uint32_t session; /* of the trace there is or was */
  bool stopping;            /* the list's lock */
  atomic_bool
      leaves; /* its thread leaves what is in the spool to who stops it */
  atomic_bool takes; /* events of other processes */
  bool on;           /* by who starts and stops it */
  pthread_t thread;
  pthread_cond_t changed;
  int err; /* of the whole */
  _Atomic uint64_t lost;
} trace;

/* Of a worker process. */
static struct {
  lf_trace_way way; /* set once; send NULL: this is none */
  char name[32];
  atomic_bool runs;
  _Atomic uint32_t told; /* the trace that has the process's name */
  pthread_mutex_t lock;  /* of who takes from the spool, and rings out */
} relay = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What has been taken out; the trace's thread, or the relay's lock. */
static lf_event piece[LF_PIECE_MOST];

static void forget(void);
LF_FORK_MUTEX(list_lock, LF_FORK_TRACE, forget);
static lf_link rings = {&rings, &rings};

static bool is_worker(void) {
  return relay.way.send;
}

static uint32_t session_now(void) {
  return is_worker() ? (uint32_t)(lf_timing_now() / LF_TIME_SESSION)
                     : atomic_load(&trace.session);
}

/* What this process calls so. */
static lf_trace_from from_here(lf_track track, uint32_t session) {
  return (lf_trace_from){.process = track.process,
                         .thread = track.thread,
                         .namer = getpid(),
                         .parent = getppid(),
                         .session = session};
}

static void put_aside(const lf_trace_from *from, const lf_event *events,
                      size_t n) {
  if (!lf_spool_put(from, events, n))
    atomic_fetch_add(&trace.lost, n);
}

static lf_text_event make_text(uint8_t kind, const char *text) {
  lf_text_event e = {.head = {.kind = kind, .ns = LF_TEXT_EVENTS}};
  lf_json_text(e.text, sizeof e.text, text);
  return e;
}

/* --- Rings --- */

static void relay_start(void);
static void spill(ring *r);
static _Thread_local ring *own;
static _Thread_local bool at_desk; /* shows there what it is at */
static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void ring_free(ring *r) {
  pthread_mutex_destroy(&r->lock);
  lf_free(r);
}

/* Of a thread that ends: who empties it frees it, or, without a trace, nobody
 * needs it. */
static void let_go(void *p) {
  ring *r = p;
  if (is_worker())
    spill(r);
  own = NULL;
  pthread_mutex_lock(&list_lock);
  bool relayed = atomic_load(&relay.runs);
  bool needed = trace.on || relayed;
  atomic_store(&r->orphan, true);
  if (!needed)
    lf_list_del(&r->link);
  pthread_mutex_unlock(&list_lock);
  if (!needed)
    ring_free(r);
  if (relayed)
    lf_unpark(&relay.way.desk->parker);
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
  if (!is_worker() && r->track.thread == r->track.process)
    snprintf(r->name, sizeof r->name, "script");
  else
    prctl(PR_GET_NAME, r->name);
  pthread_setspecific(at_end, r);
  pthread_mutex_lock(&list_lock);
  r->session = is_worker() ? 0 : trace.session;
  lf_list_add(&rings, &r->link);
  pthread_mutex_unlock(&list_lock);
  relay_start();
  return own = r;
}

/* Under its lock: takes what is in it. Returns how many. */
static size_t take(ring *r, lf_event *to) {
  size_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
  size_t n = atomic_load_explicit(&r->put, memory_order_acquire) - taken;
  for (size_t i = 0; i < n; i++)
    to[i] = r->events[(taken + i) % RING];
  atomic_store_explicit(&r->taken, taken + n, memory_order_release);
  return n;
}

static void send_text(const lf_trace_from *from, uint8_t kind,
                      const char *text) {
  lf_text_event e = make_text(kind, text);
  relay.way.send(from, &e, sizeof e);
}

/* Under its lock: tells the program what the line is called, once in a trace.
 */
static void tell_line(ring *r, const lf_trace_from *from) {
  if (r->told)
    return;
  r->told = true;
  if (atomic_exchange(&relay.told, r->session) != r->session)
    send_text(from, LF_EVENT_PROCESS, relay.name);
  send_text(from, LF_EVENT_LINE, r->name);
}

static void hand_on(ring *r, const lf_event *events, size_t n) {
  if (n == 0)
    return;
  lf_trace_from from = from_here(r->track, r->session);
  if (!is_worker()) {
    put_aside(&from, events, n);
    return;
  }
  tell_line(r, &from);
  relay.way.send(&from, events, n * sizeof *events);
}

/* Its own thread: there is no room; or the relay. */
static void spill(ring *r) {
  pthread_mutex_lock(&r->lock);
  size_t put = atomic_load_explicit(&r->put, memory_order_acquire);
  size_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
  size_t at = taken % RING, n = put - taken;
  size_t first = n < RING - at ? n : RING - at;
  hand_on(r, r->events + at, first);
  hand_on(r, r->events, n - first);
  atomic_store_explicit(&r->taken, put, memory_order_release);
  pthread_mutex_unlock(&r->lock);
}

static void put(ring *r, const lf_event *e) {
  size_t at = atomic_load_explicit(&r->put, memory_order_relaxed);
  size_t filled = at - atomic_load_explicit(&r->taken, memory_order_acquire);
  if (filled >= (is_worker() && HASTY < RING ? HASTY : RING))
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
}

static ring *own_ring(void) {
  ring *r = own ? own : ring_new();
  uint32_t session = session_now();
  if (r && r->session != session)
    turn_to(r, session);
  return r;
}

void lf_trace_slice(int64_t at, int64_t ns, lf_phase phase, lf_code *code,
                    const char *text, char step, uint64_t flow) {
  ring *r = own_ring();
  lf_event e = {
      .at = at, .ns = ns, .flow = step ? flow : 0, .kind = LF_EVENT_SLICE};
  if (!r)
    return;
  e.phase = (uint8_t)phase;
  e.step = step;
  e.name = lf_trace_name_of(code, text);
  put(r, &e);
}

void lf_trace_open(int64_t at, lf_phase phase, lf_code *code, const char *text,
                   char step, uint64_t flow) {
  ring *r = own_ring();
  lf_trace_now *now = at_desk ? &relay.way.desk->now : r ? &r->now : NULL;
  if (!now)
    return;
  atomic_store_explicit(&now->at, 0, memory_order_relaxed);
  if (at == 0)
    return;
  uint32_t name = at_desk ? 0 : lf_trace_name_of(code, text);
  atomic_store_explicit(&now->name, name, memory_order_relaxed);
  atomic_store_explicit(&now->phase, phase, memory_order_relaxed);
  atomic_store_explicit(&now->step, (uint32_t)step, memory_order_relaxed);
  atomic_store_explicit(&now->flow, flow, memory_order_relaxed);
  atomic_store_explicit(&now->session, r ? r->session : 0,
                        memory_order_relaxed);
  atomic_store_explicit(&now->at, at, memory_order_release);
}

/* The ring after that one (NULL: the first), as long as it is in the list: only
 * who empties them takes rings out. */
static ring *next_ring(ring *r) {
  pthread_mutex_lock(&list_lock);
  lf_link *l = r ? r->link.next : rings.next;
  pthread_mutex_unlock(&list_lock);
  return l == &rings ? NULL : lf_container_of(l, ring, link);
}

static void drop_orphans(void (*empty)(ring *r)) {
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

/* As a slice up to now. False: it is nothing, of another trace, or something
 * else by now. */
static bool read_now(const lf_trace_now *now, lf_event *e) {
  *e = (lf_event){.at = atomic_load(&now->at), .kind = LF_EVENT_SLICE};
  e->phase = (uint8_t)atomic_load(&now->phase);
  e->name = atomic_load(&now->name);
  e->step = (char)atomic_load(&now->step);
  e->flow = atomic_load(&now->flow);
  e->ns = lf_now() - e->at;
  return e->at != 0 && e->ns > 0 &&
         atomic_load(&now->session) == session_now() &&
         atomic_load(&now->at) == e->at;
}

/* --- Of a worker process --- */

void lf_trace_hand_over(void) {
  if (own && is_worker())
    spill(own);
}

/* Under the relay's lock. False: there was nothing. */
static bool pass_on(void) {
  lf_trace_from from;
  size_t n;
  bool any = false;
  for (ring *r = next_ring(NULL); r; r = next_ring(r)) {
    any |= atomic_load(&r->put) != atomic_load(&r->taken);
    spill(r);
  }
  drop_orphans(spill);
  for (; lf_spool_take(&from, piece, &n); any = true)
    relay.way.send(&from, piece, n * sizeof *piece);
  return any;
}

void lf_trace_hand_over_all(void) {
  if (!is_worker())
    return;
  pthread_mutex_lock(&relay.lock);
  pass_on();
  pthread_mutex_unlock(&relay.lock);
}

/* What threads are in the middle of, but for the main one. */
static void send_rest(void) {
  lf_event e;
  pthread_mutex_lock(&relay.lock);
  for (ring *r = next_ring(NULL); r; r = next_ring(r)) {
    bool any = !atomic_load(&r->orphan) && read_now(&r->now, &e);
    pthread_mutex_lock(&r->lock);
    if (r->session == session_now()) { /* the program puts the main one's */
      lf_trace_from from = from_here(r->track, r->session);
      tell_line(r, &from);
      hand_on(r, &e, any);
    }
    pthread_mutex_unlock(&r->lock);
  }
  pthread_mutex_unlock(&relay.lock);
}

/* That trace has ended, unless another one has begun. */
static void end_session(uint32_t session) {
  int timing = lf_timing_now();
  while ((uint32_t)(timing / LF_TIME_SESSION) == session &&
         timing & LF_TIME_TRACE &&
         !atomic_compare_exchange_weak(&lf_timing, &timing,
                                       timing & ~LF_TIME_TRACE))
    ;
}

/* The program has asked. */
static void answer(lf_trace_desk *desk, uint32_t asked) {
  if (session_now() == asked) {
    end_session(asked);
    relay.way.sample(NULL);
    relay.way.rest(NULL);
    lf_trace_hand_over_all();
    send_rest();
  }
  atomic_store(&desk->answered, asked);
  lf_futex_wake(&desk->answered);
}

static void *relay_main(void *unused) {
  lf_trace_desk *desk = relay.way.desk;
  pthread_setname_np(pthread_self(), "lfut_trace");
  for (;;) { /* not as humble as the trace's thread: the program waits for it */
    uint32_t asked = atomic_load(&desk->asked);
    if (asked != atomic_load(&desk->answered))
      answer(desk, asked);
    bool traced = lf_is_traced();
    if (traced)
      relay.way.sample(NULL);
    pthread_mutex_lock(&relay.lock);
    bool any = pass_on();
    pthread_mutex_unlock(&relay.lock);
    int64_t later = lf_after_ns(any ? TICK_NS : LONG_TICK_NS);
    (void)lf_doze(&desk->parker, traced ? later : LF_FOREVER);
  }
  return unused;
}

/* When there is something to send. */
static void relay_start(void) {
  if (!is_worker() || atomic_exchange(&relay.runs, true))
    return;
  lf_spool_open(NULL);
  if (lf_thread_start_apart(relay_main, 0, NULL)) {
    atomic_store(&relay.way.desk->relays, 1);
    return;
  }
  lf_spool_close();
  atomic_store(&relay.runs, false);
}

/* Under the names' lock. */
static void send_name(uint32_t number, const char *json) {
  lf_track track = {getpid(), getpid()};
  lf_trace_from from = from_here(track, session_now());
  lf_text_event e = {.head = {.kind = LF_EVENT_NAME, .ns = LF_TEXT_EVENTS}};
  e.head.name = number;
  snprintf(e.text, sizeof e.text, "%s", json);
  relay.way.send(&from, &e, sizeof e);
}

void lf_trace_forward(const lf_trace_way *way) {
  relay.way = *way;
  prctl(PR_GET_NAME, relay.name);
  at_desk = true;
  lf_trace_names_tell(send_name);
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
  lf_trace_names_tell(NULL);
  relay.way = (lf_trace_way){0};
  at_desk = false;
  atomic_store(&relay.runs, false);
  atomic_store(&relay.told, 0);
  pthread_mutex_init(&relay.lock, NULL);
  if (!trace.on)
    return;
  trace.on = false;
  atomic_store(&trace.takes, false);
  close(trace.lines.out.fd);
  trace.lines.namers = trace.lines.seen = (lf_table){0}; /* half changed */
  lf_cond_init(&trace.changed);
}

/* --- The program: the trace's thread --- */

static void write_track(ring *r) {
  char json[64];
  if (r->told)
    return;
  r->told = true;
  lf_json_text(json, sizeof json, r->name);
  lf_lines_call(&trace.lines, r->track, json);
}

static void empty(ring *r) {
  pthread_mutex_lock(&r->lock);
  bool its = r->session == trace.session;
  size_t n = its ? take(r, piece) : 0;
  pthread_mutex_unlock(&r->lock);
  if (!its)
    return;
  write_track(r);
  lf_trace_from from = from_here(r->track, r->session);
  lf_lines_write(&trace.lines, &from, piece, n);
}

static bool empty_spool_once(void) {
  lf_trace_from from;
  size_t n;
  if (!lf_spool_take(&from, piece, &n))
    return false;
  lf_lines_write(&trace.lines, &from, piece, n);
  return true;
}

static void drain(void) {
  lf_export *out = &trace.lines.out;
  for (ring *r = next_ring(NULL); r; r = next_ring(r))
    empty(r);
  while (!atomic_load(&trace.leaves) && empty_spool_once())
    ;
  drop_orphans(empty);
  if (trace.sample && !out->err)
    trace.sample(trace.arg);
  lf_export_flush(out);
  if (out->err && !trace.err) {
    trace.err = out->err;
    atomic_fetch_and(&lf_timing, ~LF_TIME_TRACE);
  }
}

void lf_trace_counter(const char *counter, const char *whose, uint64_t value) {
  char json[64];
  lf_json_text(json, sizeof json, whose);
  if (!is_worker()) {
    lf_export_counter(&trace.lines.out, getpid(), lf_now(), counter, json,
                      value);
    return;
  }
  lf_event e = {.at = lf_now(), .kind = LF_EVENT_COUNTER};
  e.ns = (int64_t)value;
  e.flow = lf_trace_name(counter);
  e.name = lf_trace_name(json);
  lf_trace_from from = from_here((lf_track){getpid(), getpid()}, session_now());
  put_aside(&from, &e, 1);
}

/* Does not take the processor from those that it watches. */
static void be_humble(void) {
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
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

static void tell_process(void) {
  lf_track track = {getpid(), getpid()};
  lf_export_track(&trace.lines.out, track, "process_name", "lfut");
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

/* What threads are in the middle of. */
static void write_rest(void) {
  lf_event e;
  for (ring *r = next_ring(NULL); r; r = next_ring(r)) {
    if (atomic_load(&r->orphan) || !read_now(&r->now, &e))
      continue;
    write_track(r);
    lf_trace_from from = from_here(r->track, r->session);
    lf_lines_write(&trace.lines, &from, &e, 1);
  }
}

/* What its thread has left, by who stops it: that has the lowest priority. */
static void finish(void) {
  sigset_t old;
  lf_spool_hold_back(&old);
  atomic_store(&trace.leaves, false);
  if (trace.rest && !trace.lines.out.err)
    trace.rest(trace.arg);
  atomic_store(&trace.takes, false);
  drain();
  write_rest();
  int err = lf_export_close(&trace.lines.out);
  trace.err = trace.err ? trace.err : err;
  lf_spool_let_through(&old);
  lf_lines_fini(&trace.lines);
  free_rings();
  lf_trace_names_forget();
  lf_spool_close();
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
  int err = lf_export_open(&trace.lines.out, fd, lf_now());
  if (err) {
    (void)lf_export_close(&trace.lines.out);
    return err;
  }
  tell_process();
  lf_spool_open(path);
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
  atomic_store(&trace.takes, true);
  pthread_mutex_unlock(&list_lock);
  if (!lf_thread_start_apart(run, 0, &trace.thread)) {
    finish();
    return EAGAIN;
  }
  int session = (int)trace.session * LF_TIME_SESSION;
  atomic_store(&lf_timing, LF_TIME_TRACE | LF_TIME_LONG | session);
  return 0;
}

/* --- From other processes --- */

/* Is there somebody to take what others have done? */
static bool takes(void) {
  relay_start();
  return is_worker() ? atomic_load(&relay.runs) : atomic_load(&trace.takes);
}

void lf_trace_feed(const lf_trace_from *from, const void *bytes, size_t n) {
  size_t count = n / sizeof(lf_event);
  if (from->session != session_now() || !takes())
    return; /* it is for another */
  if (n % sizeof(lf_event) == 0 && count <= LF_PIECE_MOST)
    put_aside(from, bytes, count);
  else
    atomic_fetch_add(&trace.lost, count);
}

static void put_far(lf_track track, const lf_event *events, size_t n) {
  lf_trace_from from = from_here(track, session_now());
  if (takes())
    put_aside(&from, events, n);
}

void lf_trace_rest(pid_t process, const lf_trace_now *now, lf_code *code,
                   const char *text) {
  lf_event e;
  if (!read_now(now, &e))
    return;
  e.name = lf_trace_name_of(code, text);
  put_far((lf_track){process, process}, &e, 1);
}

void lf_trace_call_process(pid_t process, const char *text) {
  lf_text_event e = make_text(LF_EVENT_PROCESS, text);
  put_far((lf_track){process, process}, &e.head, 1 + LF_TEXT_EVENTS);
}

void lf_trace_call_thread(pid_t process, pid_t thread, const char *text) {
  lf_text_event e = make_text(LF_EVENT_LINE, text);
  put_far((lf_track){process, thread}, &e.head, 1 + LF_TEXT_EVENTS);
}

void lf_trace_far(pid_t process, pid_t thread, int64_t at, int64_t ns,
                  lf_code *code, const char *text, int64_t flow) {
  lf_event e = {.at = at, .ns = ns, .kind = LF_EVENT_SLICE};
  e.phase = LF_PHASE_RUN;
  e.flow = (uint64_t)flow;
  e.step = flow ? 't' : 0;
  e.name = lf_trace_name_of(code, text);
  put_far((lf_track){process, thread}, &e, 1);
}

/* --- Asking worker processes --- */

void lf_trace_ask(lf_trace_desk *desk) {
  atomic_store(&desk->asked, session_now());
  lf_unpark(&desk->parker);
}

bool lf_trace_has_answered(lf_trace_desk *desk) {
  return !atomic_load(&desk->relays) ||
         atomic_load(&desk->answered) == atomic_load(&desk->asked);
}

void lf_trace_await(lf_trace_desk *desk, int64_t deadline) {
  uint32_t answered = atomic_load(&desk->answered);
  if (answered != atomic_load(&desk->asked))
    (void)lf_futex_wait(&desk->answered, answered, deadline);
}

/* --- What is timed --- */

void lf_time_long(void) {
  times_long = true;
  atomic_fetch_or(&lf_timing, LF_TIME_LONG);
}

void lf_time_as(int bits) {
  if (bits / LF_TIME_SESSION != lf_timing_now() / LF_TIME_SESSION)
    lf_trace_names_forget(); /* they are those of another trace */
  atomic_store_explicit(&lf_timing, bits, memory_order_relaxed);
  if (atomic_load(&relay.runs))
    lf_unpark(&relay.way.desk->parker);
}
