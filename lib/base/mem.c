#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

void mem_exhausted(void)
{
	static const char text[] = "out of memory: stopping at once; everything that was recorded is safe\n";
	/* Neither stdio nor the heap may be needed here. */
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	abort();
}

void *mem_alloc(size_t size)
{
	return mem_array(1, size);
}

void *mem_realloc(void *old, size_t size)
{
	void *p = realloc(old, size > 0 ? size : 1);
	if (!p)
		mem_exhausted();
	return p;
}

void *mem_array(size_t count, size_t size)
{
	void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
	if (!p)
		mem_exhausted();
	return p;
}

void *mem_grow(void *array, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return array;
	size_t wanted = *cap > 0 ? *cap : 8;
	while (wanted < need)
		if (__builtin_mul_overflow(wanted, 2, &wanted))
			mem_exhausted();
	size_t bytes;
	if (__builtin_mul_overflow(wanted, size, &bytes))
		mem_exhausted();
	char *grown = mem_realloc(array, bytes);
	memset(grown + *cap * size, 0, (wanted - *cap) * size);
	*cap = wanted;
	return grown;
}

char *mem_strdup(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t len)
{
	len = strnlen(s, len);
	char *copy = mem_alloc(len + 1);
	memcpy(copy, s, len);
	return copy;
}

/* Measured first: vasprintf() would leave parts of the text, which may be a secret, in buffers that it grew out of. */
char *mem_printf(const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		mem_exhausted();
	char *text = mem_alloc((size_t)len + 1);
	(void)vsnprintf(text, (size_t)len + 1, fmt, again); /* as long as it was before */
	va_end(again);
	return text;
}

void mem_free_p(void *slot)
{
	free(*(void **)slot);
}

/*
 * An arena is a list of chunks, the newest first, of which only the newest is filled. Chunks double from a size that
 * suits a small request or plan up to one that suits a large response; what is larger gets a chunk of its own, put
 * behind the newest so that the rest of that one stays in use.
 */
#define CHUNK_FIRST   512
#define CHUNK_LARGEST (32 * 1024)

struct chunk {
	struct chunk *next;
	size_t size; /* of bytes[] */
	size_t used;
	_Alignas(max_align_t) char bytes[];
};

struct arena {
	struct chunk *newest;
	size_t next_size;
	size_t total;
};

struct arena *arena_new(void)
{
	struct arena *a = mem_alloc(sizeof(*a));
	a->next_size = CHUNK_FIRST;
	a->total = sizeof(*a);
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->newest; c;) {
		struct chunk *next = c->next;
		free(c);
		c = next;
	}
	free(a);
}

static struct chunk *chunk_new(struct arena *a, size_t size)
{
	size_t bytes;
	if (__builtin_add_overflow(size, sizeof(struct chunk), &bytes))
		mem_exhausted();
	struct chunk *c = mem_alloc(bytes);
	c->size = size;
	a->total += bytes;
	return c;
}

static void *carve(struct arena *a, size_t size, size_t align)
{
	struct chunk *c = a->newest;
	if (c) {
		size_t start = (c->used + align - 1) & ~(align - 1);
		if (start <= c->size && size <= c->size - start) {
			c->used = start + size;
			return c->bytes + start;
		}
	}
	if (c && size > a->next_size / 4) {
		struct chunk *own = chunk_new(a, size);
		own->used = size;
		own->next = c->next;
		c->next = own;
		return own->bytes;
	}
	struct chunk *fresh = chunk_new(a, size > a->next_size ? size : a->next_size);
	fresh->used = size;
	fresh->next = c;
	a->newest = fresh;
	if (a->next_size < CHUNK_LARGEST)
		a->next_size *= 2;
	return fresh->bytes;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return carve(a, size, _Alignof(max_align_t));
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		mem_exhausted();
	return arena_alloc(a, bytes);
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	len = strnlen(s, len);
	char *copy = carve(a, len + 1, 1); /* zeroed, so it ends with NUL */
	memcpy(copy, s, len);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		mem_exhausted();
	char *text = carve(a, (size_t)len + 1, 1);
	vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	return text;
}

size_t arena_bytes(const struct arena *a)
{
	return a->total;
}
