#include "plan/strategy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

#define MINUTES_MAX (LIMIT_BAKE_MS / MS_PER_MINUTE)

/* The numbers of a name. What does not fit is held as UINT64_MAX, so that the form is judged before the range. */
struct numbers {
	uint64_t percent;
	uint64_t minutes;
};

/* Moves *s behind the word, if it begins with it. */
static bool read_word(const char **s, const char *word)
{
	if (!text_starts_with(*s, word))
		return false;
	*s += strlen(word);
	return true;
}

/* Digits without leading zeros: there is one way to write each name. */
static bool read_number(const char **s, uint64_t *ret_v)
{
	uint64_t v = 0;
	size_t len = 0;
	bool too_large = false;
	for (; (*s)[len] >= '0' && (*s)[len] <= '9'; len++) {
		too_large |= __builtin_mul_overflow(v, 10, &v);
		too_large |= __builtin_add_overflow(v, (uint64_t)((*s)[len] - '0'), &v);
	}
	if (len == 0 || (len > 1 && (*s)[0] == '0'))
		return false;
	*s += len;
	*ret_v = too_large ? UINT64_MAX : v;
	return true;
}

/* "10Percent5Minutes", with `between` behind "Percent". */
static bool read_numbers(const char *s, const char *between, struct numbers *ret)
{
	return read_number(&s, &ret->percent) && read_word(&s, "Percent") && read_word(&s, between) &&
	       read_number(&s, &ret->minutes) && (strcmp(s, "Minutes") == 0 || strcmp(s, "Minute") == 0);
}

static int check_range(const struct numbers *n, char *ret_error, size_t error_size)
{
	if (n->percent < 1 || n->percent > 99) {
		(void)snprintf(ret_error, error_size, "the percentage must be from 1 to 99");
		return STRATEGY_RANGE;
	}
	if (n->minutes < 1 || n->minutes > MINUTES_MAX) {
		(void)snprintf(ret_error, error_size, "the minutes must be from 1 to %lld (14 days)",
			       (long long)MINUTES_MAX);
		return STRATEGY_RANGE;
	}
	return STRATEGY_OK;
}

/* percent, 2 * percent, … below 100, at most `max` of them. */
static struct spec_step *make_steps(struct arena *a, const struct numbers *n, size_t max, size_t *ret_n)
{
	size_t count = 99 / n->percent;
	count = count > max ? max : count;
	struct spec_step *steps = arena_array(a, count, sizeof(*steps));
	for (size_t i = 0; i < count; i++) {
		steps[i].weight_bp = (uint32_t)(n->percent * (i + 1) * 100);
		steps[i].bake_ms = (int64_t)n->minutes * MS_PER_MINUTE;
	}
	*ret_n = count;
	return steps;
}

int strategy_parse(struct arena *a, const char *name, struct spec_step **ret_steps, size_t *ret_n, char *ret_error,
		   size_t error_size)
{
	if (read_word(&name, "CodeDeployDefault."))
		(void)read_word(&name, "Lambda");
	if (strcmp(name, "AllAtOnce") == 0) {
		*ret_steps = NULL;
		*ret_n = 0;
		return STRATEGY_OK;
	}
	struct numbers n;
	size_t max;
	if (read_word(&name, "Canary") && read_numbers(name, "", &n))
		max = 1;
	else if (read_word(&name, "Linear") && read_numbers(name, "Every", &n))
		max = LIMIT_STEPS;
	else
		return STRATEGY_UNKNOWN;
	int r = check_range(&n, ret_error, error_size);
	if (r)
		return r;
	*ret_steps = make_steps(a, &n, max, ret_n);
	return STRATEGY_OK;
}
