/* SPDX-License-Identifier: MIT
 *
 * Bytes in the slabs of a shared object: a chain of slabs, written at one end
 * and read from any position. Where it begins and ends is the object's
 * business, which publishes that, so that what a dying process has written in
 * part does not exist. All of it under the object's lock. */
#ifndef LF_SHM_STREAM_H
#define LF_SHM_STREAM_H

#include "runtime/base/buf.h"
#include "runtime/shm/slab.h"

/* The offset of a byte in the arena. */
typedef uint64_t lf_position;

/* Where the first byte is to be; 0: no memory. */
lf_position lf_stream_begin(lf_shared *object);

/* Writes at the position, and moves it. Slabs are claimed for the object, or
 * those reused that follow already. False: no memory; then some of it may have
 * been written. */
bool lf_stream_write(lf_shared *object, lf_position *at, const void *bytes,
                     size_t n);

/* Reads, and moves the position. Bytes NULL: only moves. False: the stream ends
 * before, as a process has spoilt it; what is missing is zeroes. */
bool lf_stream_read(lf_position *at, void *bytes, size_t n);

/* Reads to the end of the buffer. 0, LF_ENOMEM or LF_EDAMAGED. */
int lf_stream_append(lf_position *at, lf_buf *to, uint64_t n);

/* The slabs from 'from' up to that of 'to' are not needed any more: one is kept
 * behind the last, 'end', for what will be written, the others are freed. */
void lf_stream_leave(lf_position from, lf_position to, lf_position end);

/* Frees the slabs that follow the one of the position. */
void lf_stream_cut(lf_position end);

/* Frees all of a stream, by a position in its first slab. */
void lf_stream_free(lf_position at);

/* The first position of the slab. */
lf_position lf_stream_rewind(lf_position at);

#endif
