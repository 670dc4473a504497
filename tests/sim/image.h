/*
 * A file's bytes, for the crash disk: in blocks that images share until one of them is written to, so that a copy costs
 * little and a file that grows is not moved. What was never written to is zeros, which need no memory: a reserve of
 * megabytes costs none. Offsets and sizes are in bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_block;

/* All zeros is an empty image. */
struct image {
	struct image_block **blocks; /* NULL: zeros */
	size_t n_blocks;
	size_t cap_blocks;
	uint64_t size;
};

void image_deinit(struct image *i);
/* What is cut off is gone: if the image grows again, zeros stand there. */
void image_resize(struct image *i, uint64_t size);
/* Within its size. */
void image_put(struct image *i, uint64_t offset, const char *bytes, size_t len);
/* Gives how many bytes there were; the rest of `ret_bytes` is not written. */
size_t image_get(const struct image *i, uint64_t offset, char *ret_bytes, size_t len);
/* From the same place of another image, and within the size of this one; beyond the other's end are zeros. */
void image_take(struct image *to, const struct image *from, uint64_t offset, uint64_t len);
void image_copy(struct image *to, const struct image *from);
/* Whether the text stands in it; one that crosses from one block into the next is not seen. */
bool image_contains(const struct image *i, const char *text);
/* The same for the same bytes, however they came there. */
uint64_t image_hash(const struct image *i);
/* Mixes the bits of a word, for sums of hashes. */
uint64_t image_mix(uint64_t x);
