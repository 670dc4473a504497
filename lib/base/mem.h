/*
 * Memory. Running out of it aborts the process: the store makes that safe (invariant 7), and every outside size is
 * capped (base/limits.h) before memory is asked for. So nothing here returns NULL.
 *
 * struct arena: one owner frees many small objects at once. Used by plans, requests and responses.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

void *mem_alloc(size_t size);		    /* zeroed; size 0 gives a valid pointer; free() it */
void *mem_realloc(void *old, size_t size);  /* the new part is not zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; aborts on overflow of count * size */
void *mem_grow(void *array, size_t *cap, size_t need, size_t size); /* doubles *cap until >= need; zeroes the new */
char *mem_strdup(const char *s);				    /* NULL gives NULL */
char *mem_strndup(const char *s, size_t len);			    /* always NUL-terminated */
char *mem_printf(const char *fmt, ...) printf_like(1, 2);
/* For a library that says it had no memory: the same end. */
__attribute__((noreturn)) void mem_exhausted(void);
void mem_free_p(void *slot); /* for cleanup(): free(*(void **)slot) */

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);		 /* NULL is fine */
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3);
size_t arena_bytes(const struct arena *a); /* what the arena holds of the heap */
define_cleanup(struct arena *, arena_free);
