#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"

/* ctype.h would ask the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A number that does not fit is remembered as such, so that the form is judged before the range. */
struct digits {
	uint64_t value;
	bool too_large;
};

/* Reads the digits at *s (at least one, or it returns false) and moves *s behind them. */
static bool read_digits(const char **s, struct digits *ret)
{
	const char *at = *s;
	if (!is_digit(*at))
		return false;
	struct digits d = {0};
	for (; is_digit(*at); at++) {
		d.too_large |= __builtin_mul_overflow(d.value, 10, &d.value);
		d.too_large |= __builtin_add_overflow(d.value, (uint64_t)(*at - '0'), &d.value);
	}
	*s = at;
	*ret = d;
	return true;
}

int text_parse_u64(const char *s, uint64_t max, uint64_t *ret_v)
{
	struct digits d;
	if (!read_digits(&s, &d) || *s)
		return -EINVAL;
	if (d.too_large || d.value > max)
		return -ERANGE;
	*ret_v = d.value;
	return 0;
}

int text_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret_v)
{
	bool negative = *s == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t size;
	int r = text_parse_u64(s + negative, limit, &size);
	if (r)
		return r;
	int64_t v = negative ? (int64_t)(0 - size) : (int64_t)size;
	if (v < min || v > max)
		return -ERANGE;
	*ret_v = v;
	return 0;
}

static const struct {
	const char *name;
	int64_t ms;
} units[] = {
    {"d", MS_PER_DAY}, {"h", MS_PER_HOUR}, {"m", MS_PER_MINUTE}, {"s", MS_PER_SECOND}, {"ms", 1},
};

/* The index in units[] of the letters at *s, which it moves behind them; array_len(units) if there is none. */
static size_t read_unit(const char **s)
{
	size_t len = 0;
	while ((*s)[len] && !is_digit((*s)[len]))
		len++;
	for (size_t i = 0; i < array_len(units); i++) {
		if (strlen(units[i].name) == len && memcmp(units[i].name, *s, len) == 0) {
			*s += len;
			return i;
		}
	}
	return array_len(units);
}

int text_parse_duration(const char *s, int64_t max_ms, int64_t *ret_ms)
{
	if (!*s)
		return -EINVAL;
	int64_t total = 0;
	bool too_large = false;
	size_t next_unit = 0;
	for (const char *at = s; *at;) {
		struct digits n;
		if (!read_digits(&at, &n))
			return -EINVAL;
		if (!*at && n.value == 0 && !n.too_large && next_unit == 0)
			break; /* a bare 0 */
		size_t unit = read_unit(&at);
		if (unit < next_unit || unit == array_len(units))
			return -EINVAL;
		next_unit = unit + 1;
		int64_t part;
		too_large |= n.too_large;
		too_large |= __builtin_mul_overflow(n.value, units[unit].ms, &part);
		too_large |= __builtin_add_overflow(total, part, &total);
	}
	if (too_large || total > max_ms)
		return -ERANGE;
	*ret_ms = total;
	return 0;
}

void text_format_duration(int64_t ms, char out[static 32])
{
	if (ms <= 0) {
		text_copy(out, 32, "0s");
		return;
	}
	size_t len = 0;
	for (size_t i = 0; i < array_len(units); i++) {
		int64_t n = ms / units[i].ms;
		ms %= units[i].ms;
		if (n > 0)
			len += (size_t)snprintf(out + len, 32 - len, "%lld%s", (long long)n, units[i].name);
	}
}

void text_format_span(int64_t ms, char out[static 32])
{
	if (ms <= 0) {
		text_copy(out, 32, "0s");
		return;
	}
	if (ms < MS_PER_SECOND) {
		/* Something is more than nothing: never "0.0s". */
		snprintf(out, 32, "0.%ds", ms < 100 ? 1 : (int)(ms / 100));
		return;
	}
	size_t first = 0;
	while (ms < units[first].ms)
		first++;
	long long major = ms / units[first].ms;
	int minor = units[first].ms > MS_PER_SECOND ? (int)(ms % units[first].ms / units[first + 1].ms) : 0;
	if (minor > 0)
		snprintf(out, 32, "%lld%s %d%s", major, units[first].name, minor, units[first + 1].name);
	else
		snprintf(out, 32, "%lld%s", major, units[first].name);
}

/* Reads "N%" or "N.D%" with 1 … decimals digits after the point, in units of 10^-decimals percent. */
static int parse_percent(const char *s, unsigned decimals, uint32_t *ret_v)
{
	struct digits whole;
	if (!read_digits(&s, &whole))
		return -EINVAL;
	bool too_large = whole.too_large || whole.value > 100;
	uint64_t v = too_large ? 0 : whole.value; /* keeps the arithmetic below small */
	unsigned left = decimals;
	if (*s == '.') {
		s++;
		if (!is_digit(*s))
			return -EINVAL;
		for (; is_digit(*s) && left > 0; s++, left--)
			v = v * 10 + (uint64_t)(*s - '0');
	}
	if (strcmp(s, "%") != 0)
		return -EINVAL;
	uint64_t max = 100;
	for (; left > 0; left--)
		v *= 10;
	for (unsigned i = 0; i < decimals; i++)
		max *= 10;
	if (too_large || v > max)
		return -ERANGE;
	*ret_v = (uint32_t)v;
	return 0;
}

int text_parse_percent_bp(const char *s, uint32_t *ret_bp)
{
	return parse_percent(s, 2, ret_bp);
}

int text_parse_percent_ppm(const char *s, uint32_t *ret_ppm)
{
	return parse_percent(s, 4, ret_ppm);
}

static void format_percent(uint32_t v, uint32_t unit, int decimals, char out[static 16])
{
	uint32_t fraction = v % unit;
	if (fraction == 0) {
		snprintf(out, 16, "%u%%", v / unit);
		return;
	}
	for (; fraction % 10 == 0; decimals--)
		fraction /= 10;
	snprintf(out, 16, "%u.%0*u%%", v / unit, decimals, fraction);
}

void text_format_bp(uint32_t bp, char out[static 16])
{
	format_percent(bp, 100, 2, out);
}

void text_format_ppm(uint32_t ppm, char out[static 16])
{
	format_percent(ppm, 10000, 4, out);
}

/* Days and dates by Howard Hinnant's civil_from_days and days_from_civil
 * (https://howardhinnant.github.io/date_algorithms.html): years start in March, eras have 400 of them. */
#define DAYS_PER_ERA	 146097
#define DAYS_BEFORE_1970 719468 /* from 0000-03-01 */

struct date {
	int64_t year;
	int month; /* 1 … 12 */
	int day;   /* 1 … 31 */
};

static struct date date_of_days(int64_t days)
{
	days += DAYS_BEFORE_1970;
	int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
	int64_t of_era = days - era * DAYS_PER_ERA;
	int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_PER_ERA - 1)) / 365;
	int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t from_march = (5 * of_year + 2) / 153;
	struct date d = {
	    .year = year_of_era + era * 400 + (from_march >= 10),
	    .month = (int)(from_march < 10 ? from_march + 3 : from_march - 9),
	    .day = (int)(of_year - (153 * from_march + 2) / 5 + 1),
	};
	return d;
}

static int64_t days_of_date(struct date d)
{
	int64_t year = d.year - (d.month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t of_year = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;
	int64_t of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
	return era * DAYS_PER_ERA + of_era - DAYS_BEFORE_1970;
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : days[month - 1];
}

/* Splits into date and milliseconds of the day, which are never negative. */
static struct date split_day(int64_t unix_ms, int64_t *ret_ms_of_day)
{
	int64_t days = unix_ms / MS_PER_DAY;
	int64_t rest = unix_ms % MS_PER_DAY;
	if (rest < 0) {
		rest += MS_PER_DAY;
		days--;
	}
	*ret_ms_of_day = rest;
	return date_of_days(days);
}

void text_format_utc(int64_t unix_ms, char out[static 32])
{
	int64_t ms;
	struct date d = split_day(unix_ms, &ms);
	snprintf(out, 32, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)d.year, d.month, d.day,
		 (int)(ms / MS_PER_HOUR), (int)(ms / MS_PER_MINUTE % 60), (int)(ms / MS_PER_SECOND % 60),
		 (int)(ms % MS_PER_SECOND));
}

static void put_digits(char *out, unsigned width, int64_t v)
{
	while (width > 0) {
		out[--width] = (char)('0' + v % 10);
		v /= 10;
	}
}

void text_format_amz_date(int64_t unix_ms, char out[static 17])
{
	/* The form has four digits for the year: 0000-01-01 … 9999-12-31. */
	const int64_t first_ms = INT64_C(-62167219200000);
	const int64_t last_ms = INT64_C(253402300799999);
	if (unix_ms < first_ms)
		unix_ms = first_ms;
	if (unix_ms > last_ms)
		unix_ms = last_ms;

	int64_t ms;
	struct date d = split_day(unix_ms, &ms);
	put_digits(out, 4, d.year);
	put_digits(out + 4, 2, d.month);
	put_digits(out + 6, 2, d.day);
	out[8] = 'T';
	put_digits(out + 9, 2, ms / MS_PER_HOUR);
	put_digits(out + 11, 2, ms / MS_PER_MINUTE % 60);
	put_digits(out + 13, 2, ms / MS_PER_SECOND % 60);
	out[15] = 'Z';
	out[16] = '\0';
}

/* Reads exactly `width` digits. */
static bool read_fixed(const char **s, unsigned width, int *ret_v)
{
	int v = 0;
	for (unsigned i = 0; i < width; i++) {
		if (!is_digit((*s)[i]))
			return false;
		v = v * 10 + ((*s)[i] - '0');
	}
	*s += width;
	*ret_v = v;
	return true;
}

static bool read_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* "." and any number of digits, to milliseconds, cut off; nothing at all is 0. */
static bool read_fraction_ms(const char **s, int *ret_ms)
{
	int ms = 0;
	if (read_char(s, '.')) {
		if (!is_digit(**s))
			return false;
		for (int unit = 100; is_digit(**s); (*s)++, unit /= 10)
			ms += unit * (**s - '0');
	}
	*ret_ms = ms;
	return true;
}

int text_parse_utc(const char *s, int64_t *ret_unix_ms)
{
	int year, month, day, hour, minute, second, ms;
	bool formed = read_fixed(&s, 4, &year) && read_char(&s, '-') && read_fixed(&s, 2, &month) &&
		      read_char(&s, '-') && read_fixed(&s, 2, &day) && read_char(&s, 'T') && read_fixed(&s, 2, &hour) &&
		      read_char(&s, ':') && read_fixed(&s, 2, &minute) && read_char(&s, ':') &&
		      read_fixed(&s, 2, &second) && read_fraction_ms(&s, &ms);
	if (!formed || (strcmp(s, "Z") != 0 && strcmp(s, "+00:00") != 0 && strcmp(s, "+0000") != 0))
		return -EINVAL;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return -ERANGE;
	if (hour > 23 || minute > 59 || second > 59)
		return -ERANGE;
	int64_t days = days_of_date((struct date){.year = year, .month = month, .day = day});
	*ret_unix_ms = days * MS_PER_DAY + hour * MS_PER_HOUR + minute * MS_PER_MINUTE + second * MS_PER_SECOND + ms;
	return 0;
}

bool text_is_utf8(const char *s, size_t len)
{
	while (len > 0) {
		size_t n = utf8_char_len(s, len);
		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

bool text_is_name(const char *s, size_t max_len)
{
	size_t len = 0;
	for (; s[len]; len++) {
		char c = s[len];
		if (len == max_len || !((c >= 'a' && c <= 'z') || is_digit(c) || c == '-'))
			return false;
	}
	return len > 0 && s[0] != '-' && s[len - 1] != '-';
}

bool text_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *s, const char *suffix)
{
	size_t len = strlen(s);
	size_t suffix_len = strlen(suffix);
	return len >= suffix_len && memcmp(s + len - suffix_len, suffix, suffix_len) == 0;
}

#define DISTANCE_MAX_LEN 64

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b, unsigned limit)
{
	size_t a_len = strnlen(a, DISTANCE_MAX_LEN + 1);
	size_t b_len = strnlen(b, DISTANCE_MAX_LEN + 1);
	if (a_len > DISTANCE_MAX_LEN || b_len > DISTANCE_MAX_LEN)
		return limit + 1;

	/* The last three rows of the table: a swap looks two rows back. */
	unsigned rows[3][DISTANCE_MAX_LEN + 1];
	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *two_above = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned differ = a[i - 1] != b[j - 1];
			row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + differ);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = smaller(row[j], two_above[j - 2] + 1);
		}
	}
	unsigned distance = rows[a_len % 3][b_len];
	return distance > limit ? limit + 1 : distance;
}

bool text_copy(char *out, size_t out_size, const char *s)
{
	if (out_size == 0)
		return false;
	size_t len = strnlen(s, out_size);
	bool fits = len < out_size;
	if (!fits) {
		/* Not in the middle of a character, if this is UTF-8. */
		len = out_size - 1;
		for (int back = 0; back < 3 && len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80; back++)
			len--;
	}
	memcpy(out, s, len);
	out[len] = '\0';
	return fits;
}

void text_copy_printable(char *out, size_t out_size, const char *s)
{
	if (out_size == 0)
		return;
	size_t left = strlen(s);
	size_t len = 0;
	while (left > 0) {
		const unsigned char *u = (const unsigned char *)s;
		size_t n = utf8_char_len(s, left);
		bool control = u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && n == 2 && u[1] < 0xa0);
		const char *shown = n == 0 || control ? "?" : s;
		size_t shown_len = n == 0 || control ? 1 : n;
		if (shown_len > out_size - 1 - len)
			break;
		memcpy(out + len, shown, shown_len);
		len += shown_len;
		s += n > 0 ? n : 1;
		left -= n > 0 ? n : 1;
	}
	out[len] = '\0';
}

bool text_equal_secret(const char *a, const char *b)
{
	size_t len = strlen(a);
	if (strlen(b) != len)
		return false;
	unsigned char differ = 0;
	for (size_t i = 0; i < len; i++)
		differ = (unsigned char)(differ | ((unsigned char)a[i] ^ (unsigned char)b[i]));
	/* Without this the compiler may leave the loop at the first difference. */
	__asm__ volatile("" : "+r"(differ));
	return differ == 0;
}

bool text_is_loopback(const char *s, size_t len)
{
	unsigned parts = 0;
	size_t i = 0;
	for (; parts < 4 && i < len; parts++) {
		unsigned value = 0;
		size_t digits = 0;
		for (; i < len && digits < 4 && s[i] >= '0' && s[i] <= '9'; i++, digits++)
			value = value * 10 + (unsigned)(s[i] - '0');
		if (digits == 0 || digits > 3 || value > 255 || (parts == 0 && value != 127))
			return false;
		if (parts < 3 && (i >= len || s[i++] != '.'))
			return false;
	}
	return parts == 4 && i == len;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_percent_byte(const char *s, size_t len)
{
	if (len < 3 || s[0] != '%')
		return -1;
	int high = hex_value(s[1]), low = hex_value(s[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}
