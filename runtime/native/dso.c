/* SPDX-License-Identifier: MIT
 *
 * See dso.h. The loader's cache is read as glibc writes it (dl-cache.h), the
 * symbol table by way of the hash table of the ELF ABI's GNU extension. */
#include "runtime/native/dso.h"

#include "runtime/base/suggest.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE "/etc/ld.so.cache"

/* --- The loader's cache ------------------------------------------------------
 */

/* The file's beginning and entries; offsets count from the beginning. */
typedef struct {
  char magic[20]; /* "glibc-ld.so.cache1.1" */
  uint32_t count, strings;
  uint32_t unused[5];
} cache_head;

typedef struct {
  int32_t flags;
  uint32_t name, path, version;
  uint64_t capabilities;
} cache_entry;

typedef struct {
  const char *bytes;
  size_t len;
  const cache_head *head;
} cache;

/* Maps it; false if it is not there or of another kind. */
static bool cache_open(cache *c) {
  struct stat st;
  int fd = open(CACHE, O_RDONLY | O_CLOEXEC);
  *c = (cache){0};
  if (fd < 0)
    return false;
  if (fstat(fd, &st) == 0 && st.st_size > (off_t)sizeof *c->head) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    c->bytes = p == MAP_FAILED ? NULL : p;
    c->len = (size_t)st.st_size;
  }
  close(fd);
  c->head = (const cache_head *)c->bytes;
  return c->bytes && memcmp(c->head->magic, "glibc-ld.so.cache1.1", 20) == 0;
}

static void cache_close(cache *c) {
  if (c->bytes)
    munmap((void *)(uintptr_t)c->bytes, c->len);
}

/* The i-th name, or NULL after the last. */
static const char *cache_name(const cache *c, uint32_t i) {
  const cache_entry *e = (const cache_entry *)(c->head + 1) + i;
  if (i >= c->head->count || (const char *)(e + 1) > c->bytes + c->len ||
      e->name >= c->len || !memchr(c->bytes + e->name, '\0', c->len - e->name))
    return NULL;
  return c->bytes + e->name;
}

/* Is it lib + name + ".so." + digits and dots? Where those begin, or NULL. */
static const char *version_of(const char *file, const char *name) {
  size_t n = strlen(name);
  if (strncmp(file, "lib", 3) != 0 || strncmp(file + 3, name, n) != 0 ||
      strncmp(file + 3 + n, ".so.", 4) != 0)
    return NULL;
  const char *version = file + 3 + n + 4;
  return version[strspn(version, "0123456789.")] == '\0' ? version : NULL;
}

static bool is_newer(const char *a, const char *b) {
  for (;;) {
    char *enda, *endb;
    unsigned long x = strtoul(a, &enda, 10), y = strtoul(b, &endb, 10);
    if (x != y || *enda != '.' || *endb != '.')
      return x != y ? x > y : strlen(a) > strlen(b);
    a = enda + 1;
    b = endb + 1;
  }
}

/* The file name of the library's newest version into 'out'; false: none. */
static bool find_version(const char *name, char *out, size_t size) {
  cache c;
  const char *file, *version, *best = NULL, *newest = "";
  if (cache_open(&c))
    for (uint32_t i = 0; (file = cache_name(&c, i)); i++)
      if ((version = version_of(file, name)) &&
          (!best || is_newer(version, newest))) {
        best = file;
        newest = version;
      }
  if (best)
    snprintf(out, size, "%s", best);
  cache_close(&c);
  return best != NULL;
}

/* A library with nearly that name, without lib and .so, into 'out'. */
static bool find_suggestion(const char *name, char *out, size_t size) {
  cache c;
  const char *file;
  lf_suggestion s = lf_suggest(name);
  char one[128];
  if (cache_open(&c))
    for (uint32_t i = 0; (file = cache_name(&c, i)); i++) {
      const char *end = strstr(file, ".so");
      if (strncmp(file, "lib", 3) != 0 || !end || end <= file + 3)
        continue;
      snprintf(one, sizeof one, "%.*s", (int)(end - file - 3), file + 3);
      lf_suggest_try(&s, one);
    }
  cache_close(&c);
  snprintf(out, size, "%s", s.best);
  return s.best[0] != '\0';
}

/* --- Opening ----------------------------------------------------------------
 */

extern const ElfW(Ehdr) __ehdr_start
    __attribute__((visibility("hidden"))); /* ours; the linker's */

/* What is wrong with a file that is there but cannot be loaded; "" if nothing
 * is seen. */
static const char *what_is_wrong(const char *path) {
  struct stat st;
  Elf64_Ehdr head;
  if (stat(path, &st) != 0)
    return "";
  if (S_ISDIR(st.st_mode))
    return "it is a directory";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, &head, sizeof head) : 0;
  if (fd >= 0)
    close(fd);
  if (n < 0 || fd < 0)
    return strerror(errno);
  if (n < (ssize_t)sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
    return "it is not an ELF file";
  if (head.e_machine != __ehdr_start.e_machine)
    return "it is for another architecture";
  return head.e_type == ET_DYN ? "" : "it is another kind of ELF file";
}

static void *load(const char *file) {
  return dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

static void *open_path(const char *path, lf_buf *why) {
  void *handle = load(path);
  if (handle)
    return handle;
  const char *text = dlerror(), *wrong = what_is_wrong(path);
  if (wrong[0])
    lf_buf_print(why, "'%s' is not a shared library (%s)", path, wrong);
  else if (access(path, F_OK) != 0)
    lf_buf_print(why, "cannot load '%s': %s", path, strerror(errno));
  else
    lf_buf_print(why, "cannot load '%s': %s", path, text ? text : "");
  return NULL;
}

/* 'file' receives the name by which it was found. */
static void *open_name(const char *name, char *file, size_t size, lf_buf *why) {
  char near[128], plain[256];
  snprintf(plain, sizeof plain, "lib%s.so", name);
  snprintf(file, size, "%s", plain);
  void *handle = load(file);
  if (handle)
    return handle;
  char versioned[256] = "";
  if (find_version(name, versioned, sizeof versioned)) {
    snprintf(file, size, "%s", versioned);
    if ((handle = load(file)))
      return handle;
  }
  lf_buf_print(why, "cannot load '%s': tried %s, %s", name, plain,
               versioned[0] ? dlerror() : "any version of it");
  if (access(name, F_OK) == 0)
    lf_buf_print(why, " (here: ./%s)", name);
  else if (!versioned[0] && find_suggestion(name, near, sizeof near))
    lf_buf_print(why, " (similar: %s)", near);
  return NULL;
}

static uint64_t identify(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0)
    return lf_hash(path, strlen(path));
  return lf_hash(&st.st_ino, sizeof st.st_ino) ^ (uint64_t)st.st_dev;
}

/* By the name that the library gives itself it is known whatever link to it was
 * followed. */
static void take_soname(const struct link_map *map, lf_dso *out) {
  const char *strings = NULL;
  uint64_t at = 0;
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
    if (d->d_tag == DT_STRTAB)
      strings = (const char *)d->d_un.d_ptr;
    else if (d->d_tag == DT_SONAME)
      at = d->d_un.d_val;
  }
  if (strings && at && strings[at])
    snprintf(out->name, sizeof out->name, "%s", strings + at);
}

int lf_dso_open(const char *name, lf_dso *out, lf_buf *why) {
  char file[256];
  struct link_map *map = NULL;
  const char *slash = strrchr(name, '/');
  *out = (lf_dso){0};
  out->handle =
      slash ? open_path(name, why) : open_name(name, file, sizeof file, why);
  if (!out->handle)
    return LF_EBROKEN;
  snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : file);
  if (dlinfo(out->handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
    return 0;
  out->path = map->l_name;
  out->identity = identify(map->l_name);
  take_soname(map, out);
  return 0;
}

/* --- Symbols ----------------------------------------------------------------
 */

typedef struct {
  const ElfW(Sym) * symbols;
  const char *strings;
  size_t count;
} symbols;

/* How many symbols a GNU hash table knows: behind the last chain's end. */
static size_t count_hashed(const uint32_t *hash) {
  uint32_t nbuckets = hash[0], first = hash[1], bloom = hash[2], last = 0;
  const uint32_t *buckets =
      (const uint32_t *)((const ElfW(Addr) *)(hash + 4) + bloom);
  const uint32_t *chain = buckets + nbuckets;
  for (uint32_t i = 0; i < nbuckets; i++)
    last = buckets[i] > last ? buckets[i] : last;
  if (last < first)
    return first;
  while (!(chain[last - first] & 1))
    last++;
  return last + 1;
}

static symbols symbols_of(const lf_dso *dso) {
  struct link_map *map = NULL;
  symbols s = {0};
  if (dlinfo(dso->handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
    return s;
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
    const void *at = (const void *)d->d_un.d_ptr;
    if (d->d_tag == DT_SYMTAB)
      s.symbols = at;
    else if (d->d_tag == DT_STRTAB)
      s.strings = at;
    else if (d->d_tag == DT_GNU_HASH)
      s.count = count_hashed(at);
  }
  if (!s.symbols || !s.strings)
    s.count = 0;
  return s;
}

static bool is_function(const ElfW(Sym) * symbol) {
  int type = ELF64_ST_TYPE(symbol->st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC;
}

/* A function of the library with nearly that name into 'out'. */
static bool suggest_symbol(const lf_dso *dso, const char *name, char *out,
                           size_t size) {
  symbols s = symbols_of(dso);
  lf_suggestion near = lf_suggest(name);
  for (size_t i = 0; i < s.count; i++)
    if (is_function(&s.symbols[i]) && s.symbols[i].st_shndx != SHN_UNDEF)
      lf_suggest_try(&near, s.strings + s.symbols[i].st_name);
  snprintf(out, size, "%s", near.best);
  return near.best[0] != '\0';
}

/* Does it lie in the thread-local variables of one library? */
static int is_thread_local(struct dl_phdr_info *info, size_t size, void *at) {
  (void)size;
  uintptr_t first = (uintptr_t)info->dlpi_tls_data;
  for (int i = 0; first && i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_TLS &&
        (uintptr_t)at - first < info->dlpi_phdr[i].p_memsz)
      return 1;
  return 0;
}

/* What an IFUNC resolves to need not have a symbol. */
static bool is_variable(void *at) {
  Dl_info info;
  const ElfW(Sym) *found = NULL;
  if (dladdr1(at, &info, (void **)&found, RTLD_DL_SYMENT) == 0)
    return dl_iterate_phdr(is_thread_local, at) != 0; /* in no library */
  return found && info.dli_saddr == at &&
         ELF64_ST_TYPE(found->st_info) == STT_OBJECT;
}

lf_function *lf_dso_function(const lf_dso *dso, const char *symbol,
                             lf_buf *why) {
  char near[128];
  void *at = dlsym(dso->handle, symbol);
  if (at && !is_variable(at))
    return (lf_function *)at;
  if (at) {
    lf_buf_print(why, "'%s' is a variable of %s", symbol, dso->name);
    return NULL;
  }
  lf_buf_print(why, "%s has no function '%s'", dso->name, symbol);
  if (suggest_symbol(dso, symbol, near, sizeof near))
    lf_buf_print(why, " (similar: %s)", near);
  return NULL;
}
