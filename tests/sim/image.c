/* See image.h. */
#include "tests/sim/image.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define BLOCK 4096u

struct image_block {
	union {
		unsigned refs;		  /* images that have it */
		struct image_block *next; /* of those that nobody has */
	};
	char bytes[BLOCK];
};

static const char zeros[BLOCK];

/* One seed after the other needs as many again. Never given back: there are no more than one seed has at once. */
static struct image_block *spare;

/* Its bytes are whatever they were. */
static struct image_block *block_new(void)
{
	struct image_block *b = spare;

	if (b)
		spare = b->next;
	else
		b = mem_alloc(sizeof(*b));
	b->refs = 1;
	return b;
}

static void block_release(struct image_block *b)
{
	if (!b || --b->refs > 0)
		return;
	b->next = spare;
	spare = b;
}

static void drop_blocks(struct image *i, size_t from)
{
	while (i->n_blocks > from)
		block_release(i->blocks[--i->n_blocks]);
}

void image_deinit(struct image *i)
{
	drop_blocks(i, 0);
	free(i->blocks);
	*i = (struct image){0};
}

/* The bytes of that block, to be written to. */
static char *own_block(struct image *i, size_t at)
{
	struct image_block *mine, *was;

	if (at >= i->n_blocks) {
		i->blocks = mem_grow(i->blocks, &i->cap_blocks, at + 1, sizeof(*i->blocks));
		memset(i->blocks + i->n_blocks, 0, (at + 1 - i->n_blocks) * sizeof(*i->blocks));
		i->n_blocks = at + 1;
	}
	was = i->blocks[at];
	if (was && was->refs == 1)
		return was->bytes;
	mine = block_new();
	memcpy(mine->bytes, was ? was->bytes : zeros, BLOCK);
	block_release(was);
	i->blocks[at] = mine;
	return mine->bytes;
}

static const char *block_bytes(const struct image *i, size_t at)
{
	return at < i->n_blocks && i->blocks[at] ? i->blocks[at]->bytes : zeros;
}

static size_t part_of_block(uint64_t offset, uint64_t len)
{
	size_t left = BLOCK - (size_t)(offset % BLOCK);

	return len < left ? (size_t)len : left;
}

void image_resize(struct image *i, uint64_t size)
{
	if (size < i->size) {
		size_t rest = (size_t)(size % BLOCK), last = (size_t)(size / BLOCK);

		drop_blocks(i, last + (rest > 0));
		if (rest > 0 && last < i->n_blocks && i->blocks[last])
			memset(own_block(i, last) + rest, 0, BLOCK - rest);
	}
	i->size = size;
}

void image_put(struct image *i, uint64_t offset, const char *bytes, size_t len)
{
	require(offset + len <= i->size);
	while (len > 0) {
		size_t n = part_of_block(offset, len);

		memcpy(own_block(i, (size_t)(offset / BLOCK)) + offset % BLOCK, bytes, n);
		offset += n;
		bytes += n;
		len -= n;
	}
}

size_t image_get(const struct image *i, uint64_t offset, char *ret_bytes, size_t len)
{
	size_t got = 0;

	if (offset >= i->size)
		return 0;
	if (len > i->size - offset)
		len = (size_t)(i->size - offset);
	while (got < len) {
		size_t n = part_of_block(offset + got, len - got);

		memcpy(ret_bytes + got, block_bytes(i, (size_t)((offset + got) / BLOCK)) + (offset + got) % BLOCK, n);
		got += n;
	}
	return len;
}

void image_take(struct image *to, const struct image *from, uint64_t offset, uint64_t len)
{
	while (len > 0) {
		size_t n = part_of_block(offset, len);

		image_put(to, offset, block_bytes(from, (size_t)(offset / BLOCK)) + offset % BLOCK, n);
		offset += n;
		len -= n;
	}
}

void image_copy(struct image *to, const struct image *from)
{
	for (size_t n = 0; n < from->n_blocks; n++) {
		if (from->blocks[n])
			from->blocks[n]->refs++;
	}
	drop_blocks(to, 0);
	if (from->n_blocks > 0) {
		to->blocks = mem_grow(to->blocks, &to->cap_blocks, from->n_blocks, sizeof(*to->blocks));
		memcpy(to->blocks, from->blocks, from->n_blocks * sizeof(*to->blocks));
	}
	to->n_blocks = from->n_blocks;
	to->size = from->size;
}

bool image_contains(const struct image *i, const char *text)
{
	for (size_t n = 0; n < i->n_blocks; n++) {
		if (i->blocks[n] && memmem(i->blocks[n]->bytes, BLOCK, text, strlen(text)))
			return true;
	}
	return false;
}

uint64_t image_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static uint64_t block_hash(const char *bytes, uint64_t place)
{
	uint64_t hash = 0;

	for (size_t at = 0; at < BLOCK; at += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, bytes + at, sizeof(word));
		/* Zeros count nothing, whether they are held or not. */
		if (word)
			hash += image_mix(word ^ (place + at + 1) * UINT64_C(0x9e3779b97f4a7c15));
	}
	return hash;
}

uint64_t image_hash(const struct image *i)
{
	uint64_t hash = image_mix(i->size + 1);

	for (size_t n = 0; n < i->n_blocks; n++) {
		if (i->blocks[n])
			hash += block_hash(i->blocks[n]->bytes, n * BLOCK);
	}
	return hash;
}
