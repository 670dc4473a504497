#include "plan/rate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

static const struct {
	char letter;
	int64_t ms;
} units[] = {{'s', MS_PER_SECOND}, {'m', MS_PER_MINUTE}, {'h', MS_PER_HOUR}};

static int64_t divide_up(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

int rate_parse(const char *s, int64_t *ret_every_ms)
{
	char count[24];
	uint64_t n = 0;
	const char *slash = strchr(s, '/');
	if (!slash || (size_t)(slash - s) >= sizeof(count) || slash[1] == '\0' || slash[2] != '\0')
		return -EINVAL;
	memcpy(count, s, (size_t)(slash - s));
	count[slash - s] = '\0';
	for (size_t i = 0; i < array_len(units); i++) {
		if (slash[1] != units[i].letter)
			continue;
		int r = text_parse_u64(count, (uint64_t)units[i].ms, &n);
		if (r || n == 0)
			return r ? r : -ERANGE;
		*ret_every_ms = divide_up(units[i].ms, (int64_t)n);
		return 0;
	}
	return -EINVAL;
}

void rate_format(int64_t every_ms, char out[static 32])
{
	size_t i = 0;
	int64_t n = 0;
	for (; i < array_len(units); i++) {
		n = divide_up(units[i].ms, every_ms);
		if (divide_up(units[i].ms, n) == every_ms)
			break;
	}
	require(i < array_len(units));
	(void)snprintf(out, 32, "%" PRId64 "/%c", n, units[i].letter);
}
