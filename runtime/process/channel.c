/* SPDX-License-Identifier: MIT
 *
 * See channel.h. */
#include "runtime/process/channel.h"

#include "runtime/base/mem.h"
#include "runtime/pool/limits.h"

#include <string.h>

enum { CODES = LF_LIMIT(4096, 8) }; /* remembered by each end */

#define MOST ((uint64_t)1 << 39) /* bytes; more is damage */

/* Where the body names an object, and which: code or a future by its number, an
 * array by the position of its name among those that follow the relocations, or
 * the pool. */
typedef struct {
  uint64_t at;
  enum { POOL, CODE, FUTURE, ARRAY } what;
  uint64_t id;
} reloc;

/* Empties a table of code, or of nothing. */
static void clear(lf_table *t) {
  for (size_t i = 0; i < t->cap; i++)
    if (t->entries[i].id && t->entries[i].value)
      lf_code_unref(t->entries[i].value);
  lf_table_fini(t);
}

lf_code *lf_channel_code(const lf_channel *end, uint64_t id) {
  lf_entry *e = id ? lf_table_find(&end->learned, id) : NULL;
  return e ? e->value : NULL;
}

/* --- Ends --- */

static void never_mind(lf_giver *giver) {
  (void)giver;
}

void lf_channel_init(lf_channel *end, lf_ring *in, lf_ring *out,
                     const lf_names *names, void *user, lf_annotate *annotate) {
  *end = (lf_channel){.in = in, .out = out, .names = names, .user = user};
  end->annotate = annotate;
  lf_list_init(&end->parcels);
  lf_buf_init(&end->body, end->small, sizeof end->small);
  lf_array_refs_init(&end->array_refs, false, never_mind);
}

void lf_channel_init_memory(lf_channel *end, const lf_names *names, void *user,
                            lf_annotate *annotate) {
  lf_channel_init(end, NULL, NULL, names, user, annotate);
}

void lf_channel_read(lf_channel *end, const void *bytes, size_t len) {
  end->source = bytes;
  end->left = len;
  end->piece = 0;
  end->damaged = false;
}

void lf_channel_forget(lf_channel *end) {
  clear(&end->known);
  clear(&end->learned);
}

void lf_channel_limit(lf_channel *end) {
  if (end->known.n >= CODES)
    clear(&end->known);
  if (end->learned.n >= CODES)
    clear(&end->learned);
}

static void parcel_free(lf_parcel *p) {
  lf_list_del(&p->link);
  if (p->drop)
    p->drop(p->owner);
  lf_buf_fini(&p->head);
  lf_buf_fini(&p->own);
  lf_free(p);
}

void lf_channel_drop_parcels(lf_channel *end) {
  while (!lf_list_empty(&end->parcels))
    parcel_free(lf_container_of(end->parcels.next, lf_parcel, link));
}

void lf_channel_fini(lf_channel *end) {
  lf_channel_drop_parcels(end);
  clear(&end->known);
  clear(&end->learned);
  lf_buf_fini(&end->relocs);
  lf_buf_fini(&end->body);
  lf_buf_fini(&end->tail);
  lf_buf_fini(&end->gone);
  if (end->limits)
    lf_limits_unref(end->limits);
  lf_array_refs_fini(&end->array_refs, end->owner);
}

lf_parcel *lf_channel_parcel(lf_channel *end, const void *owner) {
  for (lf_link *l = end->parcels.next; l != &end->parcels; l = l->next) {
    lf_parcel *p = lf_container_of(l, lf_parcel, link);
    if (p->owner == owner)
      return p;
  }
  return NULL;
}

/* Names of arrays that do not reach the other side. */
static void unname(lf_channel *end, const unsigned char *names, size_t n) {
  for (size_t i = 0; i < n; i++) {
    lf_array_name name;
    memcpy(&name, names + i * sizeof name, sizeof name);
    lf_array_refs_unname(&end->array_refs, &name);
  }
}

void lf_parcel_withdraw(lf_channel *end, lf_parcel *p) {
  lf_msg msg;
  lf_assert(p->written == 0);
  memcpy(&msg, p->head.data, sizeof msg);
  unname(end, p->head.data + sizeof msg + msg.nrelocs * sizeof(reloc),
         msg.narrays);
  parcel_free(p);
}

/* --- Sending --- */

/* Writes more of the parcel, piece after piece, into the room that there is now
 * (it may grow meanwhile); true when that was all. */
static bool write_parcel(lf_channel *end, lf_parcel *p) {
  const struct {
    const unsigned char *bytes;
    size_t n;
  } pieces[] = {{p->head.data, p->head.len},
                {p->body, p->body_len},
                {p->tail, p->tail_len}};
  size_t room = lf_ring_room(end->out), start = 0, used = 0;
  for (int i = 0; i < 3; i++) {
    size_t done = p->written + used;
    size_t skip = done > start ? done - start : 0;
    size_t left = skip < pieces[i].n ? pieces[i].n - skip : 0;
    size_t n = left < room - used ? left : room - used;
    if (n > 0)
      lf_ring_put(end->out, used, pieces[i].bytes + skip, n);
    used += n;
    start += pieces[i].n;
  }
  p->written += used;
  lf_ring_publish(end->out, used);
  end->posted = true;
  return p->written == start;
}

bool lf_channel_flush(lf_channel *end) {
  while (!lf_list_empty(&end->parcels)) {
    lf_parcel *p = lf_container_of(end->parcels.next, lf_parcel, link);
    if (!write_parcel(end, p)) {
      atomic_store(&end->out->want, 1);
      atomic_thread_fence(memory_order_seq_cst);
      if (!write_parcel(end, p)) /* room may have come meanwhile */
        return false;
    }
    parcel_free(p);
  }
  atomic_store_explicit(&end->out->want, 0, memory_order_relaxed);
  return true;
}

static size_t size_of_names(const lf_msg *msg) {
  return msg->nrelocs * sizeof(reloc) + msg->narrays * sizeof(lf_array_name);
}

static int put_head(lf_buf *head, const lf_msg *msg,
                    const unsigned char *names) {
  int err = lf_buf_put(head, msg, sizeof *msg);
  return err ? err : lf_buf_put(head, names, size_of_names(msg));
}

static lf_parcel *parcel_new(const lf_msg *msg, const unsigned char *names,
                             const lf_payload *payload) {
  lf_parcel *p = lf_zalloc(sizeof *p);
  if (!p)
    return NULL;
  lf_list_init(&p->link);
  int err = put_head(&p->head, msg, names);
  if (err == 0 && !payload->drop) { /* copied behind the head */
    err = msg->size ? lf_buf_put(&p->head, payload->body->data + payload->from,
                                 msg->size)
                    : 0;
    if (err == 0)
      err = lf_buf_put(&p->head, payload->tail, msg->tail);
  } else if (err == 0) {
    p->body = payload->body ? payload->body->data + payload->from : NULL;
    p->body_len = msg->size;
    p->tail = payload->tail;
    p->tail_len = msg->tail;
  }
  if (err) {
    lf_buf_fini(&p->head);
    lf_free(p);
    return NULL;
  }
  p->owner = payload->owner;
  p->drop = payload->drop;
  return p;
}

/* Into memory. */
static int put_whole(lf_buf *out, const lf_msg *msg, const unsigned char *names,
                     const lf_payload *payload) {
  size_t before = out->len;
  int err = put_head(out, msg, names);
  if (err == 0 && msg->size)
    err = lf_buf_put(out, payload->body->data + payload->from, msg->size);
  if (err == 0)
    err = lf_buf_put(out, payload->tail, msg->tail);
  if (err)
    lf_buf_cut(out, before);
  else if (payload->drop)
    payload->drop(payload->owner);
  return err;
}

/* Sends a message whose relocations, with the names of arrays, are known. */
static int send_whole(lf_channel *end, const lf_msg *msg,
                      const unsigned char *names, const lf_payload *payload) {
  if (end->sink)
    return put_whole(end->sink, msg, names, payload);
  size_t n = sizeof *msg + size_of_names(msg);
  if (lf_list_empty(&end->parcels) &&
      n + msg->size + msg->tail <= lf_ring_room(end->out)) {
    lf_ring_put(end->out, 0, msg, sizeof *msg);
    lf_ring_put(end->out, sizeof *msg, names, n - sizeof *msg);
    if (msg->size)
      lf_ring_put(end->out, n, payload->body->data + payload->from, msg->size);
    if (msg->tail)
      lf_ring_put(end->out, n + msg->size, payload->tail, msg->tail);
    lf_ring_publish(end->out, n + msg->size + msg->tail);
    end->posted = true;
    if (payload->drop)
      payload->drop(payload->owner);
    return 0;
  }
  lf_parcel *p = parcel_new(msg, names, payload);
  if (!p)
    return LF_ENOMEM;
  lf_list_add(&end->parcels, &p->link);
  lf_channel_flush(end);
  return 0;
}

bool lf_channel_knows(const lf_channel *end, const lf_code *code) {
  return lf_table_find(&end->known, code->id);
}

int lf_channel_put_code(lf_channel *end, lf_code *code, lf_buf *out) {
  int err = lf_buf_put(out, code->label, sizeof code->label);
  if (err == 0)
    err = lf_buf_put(out, code->bytes, code->len);
  return err ? err : lf_table_add(&end->known, code->id, NULL);
}

/* Lets the other side know the code. */
static int send_code(lf_channel *end, lf_code *code) {
  if (end->asked || lf_channel_knows(end, code))
    return 0;
  lf_buf both;
  lf_buf_init(&both, NULL, 0);
  lf_msg msg = {.kind = LF_MSG_CODE, .id = code->id};
  msg.size = sizeof code->label + code->len;
  int err = lf_channel_put_code(end, code, &both);
  lf_payload payload = {.body = &both, .to = both.len};
  if (err == 0 && (err = send_whole(end, &msg, NULL, &payload)) != 0)
    lf_table_del(&end->known, code->id);
  lf_buf_fini(&both);
  return err;
}

/* Between two messages: neither side remembers code without bound. */
static int forget_code(lf_channel *end) {
  static const lf_payload none;
  const lf_msg msg = {.kind = LF_MSG_FORGET};
  if (end->asked || end->known.n < CODES)
    return 0;
  int err = send_whole(end, &msg, NULL, &none);
  if (err == 0)
    clear(&end->known);
  return err;
}

/* The references of the body that lie between 'from' and 'to': the first, and
 * how many. */
static size_t named_between(const lf_payload *payload,
                            const struct lf_ref **first) {
  const lf_refs *refs = payload->body ? payload->body->refs : NULL;
  size_t low = 0, high = refs ? refs->n : 0, n = 0;
  while (low < high) { /* they are in order */
    size_t mid = (low + high) / 2;
    if (refs->v[mid].at < payload->from)
      low = mid + 1;
    else
      high = mid;
  }
  *first = refs ? &refs->v[low] : NULL;
  while (refs && low + n < refs->n && refs->v[low + n].at < payload->to)
    n++;
  return n;
}

/* What a message's body refers to, as it is called on the other side. Few names
 * need no memory. */
typedef struct {
  lf_buf relocs, arrays;
  reloc few[8];
  lf_array_name one;
} naming;

static int name_array(lf_channel *end, naming *n, lf_array *array,
                      uint64_t *place) {
  lf_array_name name;
  *place = n->arrays.len / sizeof name;
  int err = lf_array_refs_name(&end->array_refs, array, &name);
  if (err == 0 && (err = lf_buf_put(&n->arrays, &name, sizeof name)) != 0)
    lf_array_refs_unname(&end->array_refs, &name);
  return err;
}

static int name_object(lf_channel *end, naming *n, const struct lf_ref *ref,
                       reloc *r) {
  if (ref->drop == lf_code_unref) {
    r->what = CODE;
    r->id = ((lf_code *)ref->object)->id;
    return send_code(end, ref->object);
  }
  if (ref->drop == lf_array_unref) {
    r->what = ARRAY;
    return name_array(end, n, ref->object, &r->id);
  }
  r->what = ref->drop == lf_task_unref ? FUTURE : POOL;
  lf_assert(r->what == FUTURE || ref->drop == end->names->drop);
  r->id = r->what == FUTURE ? end->names->name(end->user, ref->object) : 0;
  return r->what == FUTURE && r->id == 0 ? LF_ENOMEM : 0;
}

/* Names what the part of the body refers to; arrays behind all others. */
static int name_all(lf_channel *end, naming *n, lf_msg *msg,
                    const lf_payload *payload) {
  const struct lf_ref *refs;
  size_t count = named_between(payload, &refs);
  int err = 0;
  for (size_t i = 0; i < count && err == 0; i++) {
    reloc r = {.at = refs[i].at - payload->from};
    err = name_object(end, n, &refs[i], &r);
    err = err ? err : lf_buf_put(&n->relocs, &r, sizeof r);
  }
  msg->nrelocs = (uint32_t)count;
  msg->narrays = (uint32_t)(n->arrays.len / sizeof(lf_array_name));
  return err ? err : lf_buf_put(&n->relocs, n->arrays.data, n->arrays.len);
}

int lf_channel_send(lf_channel *end, lf_msg *msg, const lf_payload *payload) {
  naming n;
  lf_buf_init(&n.relocs, n.few, sizeof n.few);
  lf_buf_init(&n.arrays, &n.one, sizeof n.one);
  int err = forget_code(end);
  err = err ? err : name_all(end, &n, msg, payload);
  err = err || !payload->code ? err : send_code(end, payload->code);
  msg->size = payload->body ? payload->to - payload->from : 0;
  msg->tail = payload->tail_len;
  if (err == 0)
    err = send_whole(end, msg, n.relocs.data, payload);
  if (err)
    unname(end, n.arrays.data, n.arrays.len / sizeof(lf_array_name));
  lf_buf_fini(&n.relocs);
  lf_buf_fini(&n.arrays);
  return err;
}

void lf_channel_tell_dropped(lf_channel *end) {
  if (!lf_array_refs_has_dropped(&end->array_refs) && end->gone.len == 0)
    return;
  lf_array_refs_put_dropped(&end->array_refs, &end->gone);
  lf_msg msg = {.kind = LF_MSG_DROP};
  lf_payload payload = {.body = &end->gone, .to = end->gone.len};
  if (lf_channel_send(end, &msg, &payload) == 0) /* else later */
    lf_buf_reset(&end->gone);
}

/* --- Receiving --- */

static size_t filled(const lf_channel *end) {
  return end->in ? lf_ring_filled(end->in) : end->left;
}

static void take(lf_channel *end, void *bytes, size_t n) {
  if (end->in) {
    lf_ring_take(end->in, bytes, n);
    return;
  }
  memcpy(bytes, end->source, n);
  end->source += n;
  end->left -= n;
}

/* Takes what is there of 'size' bytes into 'buf'; true when it has them all. */
static bool fill(lf_channel *end, lf_buf *buf, uint64_t size) {
  if (end->got == size)
    return true;
  if (end->got == 0 && size > buf->cap - buf->len &&
      (size > MOST || lf_buf_grow(buf, size) != 0))
    end->no_memory = true;
  size_t n = filled(end);
  n = n < size - end->got ? n : (size_t)(size - end->got);
  while (n > 0) {
    unsigned char waste[256];
    size_t part = end->no_memory && n > sizeof waste ? sizeof waste : n;
    take(end, end->no_memory ? waste : buf->data + buf->len, part);
    if (!end->no_memory)
      buf->len += part;
    end->got += part;
    n -= part;
  }
  return end->got == size;
}

static lf_array *find_array(lf_channel *end, uint64_t place) {
  lf_array_name name;
  if (place >= end->msg.narrays)
    return NULL;
  size_t at = end->msg.nrelocs * sizeof(reloc) + place * sizeof name;
  memcpy(&name, end->relocs.data + at, sizeof name);
  return lf_array_find(&end->array_refs.giver, &name);
}

/* What is named by the relocations from 'i' on is not wanted. */
static void refuse_arrays(lf_channel *end, uint32_t i) {
  for (; i < end->msg.nrelocs && end->relocs.len >= size_of_names(&end->msg);
       i++) {
    reloc r;
    memcpy(&r, end->relocs.data + i * sizeof r, sizeof r);
    lf_array *a = r.what == ARRAY ? find_array(end, r.id) : NULL;
    if (a)
      lf_array_unref(a);
  }
}

/* The object that is meant here, with a reference; NULL: there is none. */
static void *meaning_of(lf_channel *end, const reloc *r,
                        void (**drop)(void *)) {
  lf_code *code;
  switch (r->what) {
  case CODE:
    *drop = lf_code_unref;
    code = lf_channel_code(end, r->id);
    return code ? lf_code_ref(code) : NULL;
  case FUTURE:
    *drop = lf_task_unref;
    return end->names->find(end->user, r->id);
  case ARRAY:
    *drop = lf_array_unref;
    return find_array(end, r->id);
  case POOL:
    *drop = end->names->drop;
    return end->names->self(end->user);
  default:
    return NULL;
  }
}

static bool relocate_one(lf_channel *end, const reloc *r) {
  void (*drop)(void *);
  void *object = meaning_of(end, r, &drop);
  if (!object)
    return false;
  memcpy(end->body.data + r->at, &object, sizeof object);
  if (lf_buf_ref(&end->body, (size_t)r->at, object, drop) == 0)
    return true;
  drop(object);
  return false;
}

/* Is the place in the body, and behind those before, from 'from' on? */
static bool is_place(const lf_channel *end, uint64_t at, uint64_t from) {
  return at >= from && at <= end->body.len &&
         end->body.len - at >= sizeof(void *);
}

/* Gives the body's names the meaning that they have here. False: damaged, or no
 * memory. */
static bool relocate(lf_channel *end) {
  uint64_t from = 0;
  for (uint32_t i = 0; i < end->msg.nrelocs; i++) {
    reloc r;
    memcpy(&r, end->relocs.data + i * sizeof r, sizeof r);
    end->damaged = !is_place(end, r.at, from);
    from = r.at + sizeof(void *);
    if (end->damaged || !relocate_one(end, &r)) {
      refuse_arrays(end, i + 1);
      return false;
    }
  }
  return true;
}

bool lf_channel_learn(lf_channel *end, uint64_t id, const void *bytes,
                      size_t len) {
  char label[LF_LABEL];
  if (len < sizeof label || !id || lf_table_find(&end->learned, id))
    return false;
  memcpy(label, bytes, sizeof label);
  label[sizeof label - 1] = '\0';
  lf_code *code = lf_code_get((const char *)bytes + sizeof label,
                              len - sizeof label, label, end->annotate);
  if (code && lf_table_add(&end->learned, id, code) == 0)
    return true;
  if (code)
    lf_code_unref(code);
  return false;
}

static void learn(lf_channel *end) {
  if (!end->no_memory)
    lf_channel_learn(end, end->msg.id, end->body.data, end->body.len);
}

/* Can it be a message? Each object that it names has a place in the body, and
 * its references take eight bytes there. */
static bool is_sane(const lf_msg *msg) {
  return msg->kind > 0 && msg->kind < LF_MSG_KINDS && msg->size <= MOST &&
         msg->tail <= MOST && msg->nrelocs <= msg->size / sizeof(void *) &&
         msg->narrays <= msg->nrelocs;
}

/* Where the reading of a message stands: which of its four pieces is next. */
static bool read_pieces(lf_channel *end) {
  const uint64_t sizes[] = {sizeof end->msg, size_of_names(&end->msg),
                            end->msg.size, end->msg.tail};
  lf_buf *const bufs[] = {NULL, &end->relocs, &end->body, &end->tail};
  for (; end->piece < 4; end->piece++, end->got = 0) {
    if (end->piece > 0) {
      if (!fill(end, bufs[end->piece], sizes[end->piece]))
        return false;
      continue;
    }
    if (filled(end) < sizeof end->msg)
      return false;
    take(end, &end->msg, sizeof end->msg);
    end->damaged = !is_sane(&end->msg);
    if (end->damaged)
      return false;
    end->piece = 1;
    return read_pieces(end); /* with its sizes */
  }
  return true;
}

bool lf_channel_receive(lf_channel *end) {
  while (!end->damaged) {
    if (end->piece == 4 || end->piece == 0) {
      end->piece = 0;
      end->got = 0;
      end->no_memory = false;
      lf_buf_reset(&end->relocs);
      lf_buf_fini(&end->body);
      lf_buf_init(&end->body, end->small, sizeof end->small);
      lf_buf_fini(&end->tail);
    }
    if (!read_pieces(end))
      return false;
    if (end->msg.kind == LF_MSG_CODE)
      learn(end);
    else if (end->msg.kind == LF_MSG_FORGET)
      clear(&end->learned);
    else if (end->msg.kind == LF_MSG_DROP)
      lf_array_refs_take_dropped(&end->array_refs, &end->body);
    else
      break;
  }
  if (end->damaged)
    return false;
  if (end->no_memory)
    refuse_arrays(end, 0);
  else if (!relocate(end))
    end->no_memory = true;
  end->body.foreign = true;
  return !end->damaged;
}

/* Is there such a number, and no code by it here? */
static bool is_lacking(const lf_channel *end, uint64_t id) {
  return id && !lf_table_find(&end->learned, id);
}

/* Those of one message, whose relocations are at 'names'. */
static bool visit_lacks(const lf_channel *end, const lf_msg *msg,
                        const unsigned char *names,
                        bool (*visit)(void *arg, uint64_t id), void *arg) {
  if (is_lacking(end, msg->slot) && !visit(arg, msg->slot))
    return false;
  for (uint32_t i = 0; i < msg->nrelocs; i++) {
    reloc r;
    memcpy(&r, names + i * sizeof r, sizeof r);
    if (r.what == CODE && is_lacking(end, r.id) && !visit(arg, r.id))
      return false;
  }
  return true;
}

bool lf_channel_peek(const void **bytes, size_t *len, lf_msg *msg) {
  if (*len < sizeof *msg)
    return false;
  memcpy(msg, *bytes, sizeof *msg);
  size_t whole = is_sane(msg)
                     ? sizeof *msg + size_of_names(msg) + msg->size + msg->tail
                     : SIZE_MAX;
  if (whole > *len)
    return false;
  *bytes = (const unsigned char *)*bytes + whole;
  *len -= whole;
  return true;
}

void lf_channel_lacks(const lf_channel *end, const void *bytes, size_t len,
                      bool (*visit)(void *arg, uint64_t id), void *arg) {
  lf_msg msg;
  const void *next = bytes;
  while (lf_channel_peek(&next, &len, &msg)) {
    const unsigned char *names = (const unsigned char *)bytes + sizeof msg;
    if (!visit_lacks(end, &msg, names, visit, arg))
      return;
    bytes = next;
  }
}

lf_payload lf_payload_task(const lf_task *task) {
  lf_payload payload = {.body = &task->data, .to = task->data.len};
  payload.tail = task->trace;
  payload.tail_len = task->trace ? strlen(task->trace) : 0;
  return payload;
}
