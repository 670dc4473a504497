#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* digits * 10^-decimals; both of its numbers are exact as doubles. */
struct decimal {
	int64_t digits;
	unsigned decimals;
	bool too_long;
};

static int64_t power_of_ten(unsigned n)
{
	int64_t v = 1;
	for (; n > 0; n--)
		v *= 10;
	return v;
}

/* Zeros at the end of the decimals say nothing, so 1.50 is 1.5 and takes no digit more. */
static size_t count_decimals(const char *s)
{
	size_t len = strspn(s, "0123456789");
	while (len > 0 && s[len - 1] == '0')
		len--;
	return len;
}

static void add_digits(struct decimal *d, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		d->too_long |= d->digits >= power_of_ten(NUMBER_DIGITS - 1);
		if (!d->too_long)
			d->digits = d->digits * 10 + (s[i] - '0');
	}
}

static int parse(const char *s, unsigned max_decimals, struct decimal *ret)
{
	struct decimal d = {0};
	size_t whole = strspn(s, "0123456789");
	const char *after = s + whole;
	if (whole == 0)
		return -EINVAL;
	add_digits(&d, s, whole);
	if (*after == '.') {
		size_t all = strspn(after + 1, "0123456789"), telling = count_decimals(after + 1);
		if (all == 0)
			return -EINVAL;
		d.too_long |= telling > max_decimals;
		if (!d.too_long)
			add_digits(&d, after + 1, telling);
		d.decimals = (unsigned)(d.too_long ? 0 : telling);
		after += 1 + all;
	}
	if (*after)
		return -EINVAL;
	*ret = d;
	return d.too_long ? -ERANGE : 0;
}

int number_parse_permille(const char *s, int64_t *ret_permille)
{
	struct decimal d;
	int64_t v;
	int r = parse(s, 3, &d);
	if (r)
		return r;
	if (__builtin_mul_overflow(d.digits, power_of_ten(3 - d.decimals), &v))
		return -ERANGE;
	*ret_permille = v;
	return 0;
}

static void format(const char *sign, struct decimal d, char out[static 32])
{
	int64_t unit = power_of_ten(d.decimals), fraction = d.digits % unit;
	for (; d.decimals > 0 && fraction % 10 == 0; d.decimals--)
		fraction /= 10;
	if (d.decimals == 0)
		(void)snprintf(out, 32, "%s%" PRId64, sign, d.digits / unit);
	else
		(void)snprintf(out, 32, "%s%" PRId64 ".%0*" PRId64, sign, d.digits / unit, (int)d.decimals, fraction);
}

void number_format_permille(int64_t permille, char out[static 32])
{
	require(permille >= 0);
	format("", (struct decimal){.digits = permille, .decimals = 3}, out);
}

int number_parse(const char *s, double *ret)
{
	struct decimal d;
	bool negative = *s == '-';
	int r = parse(s + negative, NUMBER_DECIMALS, &d);
	if (r)
		return r;
	double v = (double)d.digits / (double)power_of_ten(d.decimals);
	*ret = negative && d.digits > 0 ? -v : v; /* there is no -0 */
	return 0;
}

void number_format(double v, char out[static 32])
{
	struct decimal d = {0};
	double size = fabs(v), back = -1;
	require(size < (double)power_of_ten(NUMBER_DIGITS));
	for (unsigned n = 0; n <= NUMBER_DECIMALS && (back < size || back > size); n++) {
		double unit = (double)power_of_ten(n);
		if (size * unit > (double)power_of_ten(NUMBER_DIGITS))
			break;
		d = (struct decimal){.digits = llround(size * unit), .decimals = n};
		back = (double)d.digits / unit;
	}
	format(v < 0 ? "-" : "", d, out);
}
