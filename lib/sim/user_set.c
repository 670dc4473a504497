#include "sim/user_set.h"

#include <stdlib.h>

#include "base/mem.h"

void user_set_add(struct user_set *s, uint64_t user)
{
	size_t word = user / 64;
	uint64_t bit = UINT64_C(1) << user % 64;
	s->words = mem_grow(s->words, &s->cap, word + 1, sizeof(*s->words));
	if (s->words[word] & bit)
		return;
	s->words[word] |= bit;
	s->members++;
}

void user_set_deinit(struct user_set *s)
{
	free(s->words);
	*s = (struct user_set){0};
}
