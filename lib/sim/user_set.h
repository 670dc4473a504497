/* A set of small numbers, as bits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct user_set {
	uint64_t *words;
	size_t cap; /* words */
	uint64_t members;
};

void user_set_add(struct user_set *s, uint64_t user);
void user_set_deinit(struct user_set *s);
