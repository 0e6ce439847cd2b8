/* SPDX-License-Identifier: MIT
 *
 * See array_refs.h. */
#include "runtime/process/array_refs.h"

#include "runtime/base/mem.h"

/* What the other has, or has not said that it has no more. */
typedef struct {
  lf_array *array; /* a reference to the root */
  uint64_t names;  /* how often it was named */
} given;

/* In a message: what is gone. */
typedef struct {
  uint64_t at, names;
} gone;

void lf_array_refs_init(lf_array_refs *array_refs, bool parent,
                        void (*rouse)(lf_giver *giver)) {
  *array_refs = (lf_array_refs){.giver = {.parent = parent, .rouse = rouse}};
  lf_list_init(&array_refs->giver.taken);
}

static void free_chain(lf_array *a) {
  while (a) {
    lf_array *next = a->next;
    lf_free(a);
    a = next;
  }
}

void lf_array_refs_fini(lf_array_refs *array_refs, uint32_t owner) {
  lf_array_reap(&array_refs->giver, owner);
  free_chain(lf_array_take_dropped(&array_refs->giver));
  for (size_t i = 0; i < array_refs->given.cap; i++) {
    given *g = array_refs->given.entries[i].id
                   ? array_refs->given.entries[i].value
                   : NULL;
    if (g)
      lf_array_unref(g->array);
    lf_free(g);
  }
  lf_table_fini(&array_refs->given);
}

/* Counts that the root is named once more. */
static int note_given(lf_array_refs *array_refs, lf_array *root) {
  lf_entry *e = lf_table_find(&array_refs->given, root->at);
  if (e) {
    ((given *)e->value)->names++;
    return 0;
  }
  given *g = lf_malloc(sizeof *g);
  if (!g || lf_table_add(&array_refs->given, root->at, g) != 0) {
    lf_free(g);
    return LF_ENOMEM;
  }
  *g = (given){lf_array_ref(root), 1};
  return 0;
}

static void take_back(lf_array_refs *array_refs, uint64_t at, uint64_t names) {
  lf_entry *e = at ? lf_table_find(&array_refs->given, at) : NULL;
  given *g = e ? e->value : NULL;
  if (!g)
    return;
  g->names -= names < g->names ? names : g->names;
  if (g->names > 0)
    return;
  lf_table_del(&array_refs->given, at);
  lf_array_unref(g->array);
  lf_free(g);
}

int lf_array_refs_name(lf_array_refs *array_refs, lf_array *a,
                       lf_array_name *name) {
  lf_array *root = lf_array_root(a);
  *name = lf_array_describe(a);
  atomic_store(&root->named, true);
  name->given = !lf_array_is_from(root, &array_refs->giver);
  return name->given ? note_given(array_refs, root) : 0;
}

void lf_array_refs_unname(lf_array_refs *array_refs,
                          const lf_array_name *name) {
  if (name->given)
    take_back(array_refs, name->at, 1);
}

bool lf_array_refs_put_dropped(lf_array_refs *array_refs, lf_buf *out) {
  lf_array *a = lf_array_take_dropped(&array_refs->giver);
  while (a) {
    gone g = {a->at, a->names};
    lf_array *next = a->next;
    if (lf_buf_put(out, &g, sizeof g) != 0) {
      lf_array_put_dropped(&array_refs->giver, a);
      return false;
    }
    lf_free(a);
    a = next;
  }
  return true;
}

void lf_array_refs_take_dropped(lf_array_refs *array_refs, const lf_buf *body) {
  for (size_t i = 0; i + sizeof(gone) <= body->len; i += sizeof(gone)) {
    gone g;
    memcpy(&g, body->data + i, sizeof g);
    take_back(array_refs, g.at, g.names);
  }
}
