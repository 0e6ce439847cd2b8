/* SPDX-License-Identifier: MIT
 *
 * See ring.h. */
#include "runtime/process/ring.h"

#include "runtime/base/mem.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

lf_region *lf_region_map(int fd) {
  if (lf_mem_refuse())
    return NULL;
  void *p =
      mmap(NULL, sizeof(lf_region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return p == MAP_FAILED ? NULL : p;
}

lf_region *lf_region_new(int *fd) {
  *fd = lf_mem_refuse() ? -1 : memfd_create("lfut", MFD_CLOEXEC);
  if (*fd < 0)
    return NULL;
  lf_region *region =
      ftruncate(*fd, sizeof *region) == 0 ? lf_region_map(*fd) : NULL;
  if (!region) {
    close(*fd);
    *fd = -1;
    return NULL;
  }
  madvise(region, sizeof *region, MADV_DONTFORK); /* no sibling sees it */
  return region;
}

void lf_region_unmap(lf_region *region) {
  munmap(region, sizeof *region);
}

size_t lf_ring_filled(const lf_ring *ring) {
  uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
  uint64_t n =
      atomic_load_explicit(&ring->written, memory_order_acquire) - read;
  return n > LF_RING_SIZE ? LF_RING_SIZE : (size_t)n;
}

size_t lf_ring_room(const lf_ring *ring) {
  return LF_RING_SIZE - lf_ring_filled(ring);
}

void lf_ring_put(lf_ring *ring, size_t at, const void *bytes, size_t n) {
  if (n == 0)
    return;
  uint64_t end =
      atomic_load_explicit(&ring->written, memory_order_relaxed) + at;
  size_t from = (size_t)end & (LF_RING_SIZE - 1);
  size_t first = LF_RING_SIZE - from;
  first = first < n ? first : n;
  memcpy(ring->bytes + from, bytes, first);
  if (n > first)
    memcpy(ring->bytes, (const char *)bytes + first, n - first);
}

void lf_ring_publish(lf_ring *ring, size_t n) {
  uint64_t end = atomic_load_explicit(&ring->written, memory_order_relaxed);
  atomic_store_explicit(&ring->written, end + n, memory_order_release);
}

void lf_ring_take(lf_ring *ring, void *bytes, size_t n) {
  uint64_t start = atomic_load_explicit(&ring->read, memory_order_relaxed);
  size_t from = (size_t)start & (LF_RING_SIZE - 1);
  size_t first = LF_RING_SIZE - from;
  first = first < n ? first : n;
  memcpy(bytes, ring->bytes + from, first);
  if (n > first)
    memcpy((char *)bytes + first, ring->bytes, n - first);
  atomic_store_explicit(&ring->read, start + n, memory_order_release);
}
