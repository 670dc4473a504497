#include "plan/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "plan/rate.h"

void value_show(const struct node *n, char out[static VALUE_SHOWN])
{
	if (n->kind != NODE_SCALAR) {
		text_copy(out, VALUE_SHOWN, n->kind == NODE_SEQUENCE ? "a list" : "a mapping");
		return;
	}
	char text[VALUE_SHOWN - 8];
	text_copy_printable(text, sizeof(text), n->text);
	bool cut = strlen(n->text) >= sizeof(text);
	(void)snprintf(out, VALUE_SHOWN, "`%s%s`", text, cut ? "…" : "");
}

unsigned value_typo_limit(const char *text)
{
	size_t len = strlen(text);
	return len <= 3 ? 1 : len <= 7 ? 2 : 3;
}

const char *value_nearest(const char *text, const char *const *choices)
{
	unsigned best = value_typo_limit(text) + 1;
	const char *nearest = NULL;
	for (; *choices; choices++) {
		unsigned distance = text_distance(text, *choices, best);
		if (distance < best) {
			best = distance;
			nearest = *choices;
		}
	}
	return nearest;
}

void value_list_choices(const char *const *choices, char *out, size_t size)
{
	struct buf b = BUF_INIT(size - 1);
	for (size_t i = 0; choices[i]; i++) {
		const char *joint = i == 0 ? "" : choices[i + 1] ? ", " : " and ";
		buf_addf(&b, "%s%s", joint, choices[i]);
	}
	text_copy(out, size, buf_text(&b));
	buf_deinit(&b);
}

/* Begins the sentence with key and value; the rest follows. */
__attribute__((format(printf, 5, 6))) static bool no(const struct schema_key *k, const struct node *n, char *why,
						     size_t size, const char *fmt, ...)
{
	char shown[VALUE_SHOWN];
	value_show(n, shown);
	int len = snprintf(why, size, "`%s` is %s", k->name, shown);
	va_list args;
	va_start(args, fmt);
	if (len >= 0 && (size_t)len < size)
		(void)vsnprintf(why + len, size - (size_t)len, fmt, args);
	va_end(args);
	return false;
}

/* Whether the text is a bare number: digits, perhaps with a point. */
static bool is_bare_number(const char *s)
{
	return *s && strspn(s, "0123456789.") == strlen(s);
}

/* Writes a bound as it would be written in a plan. */
static void format_bound(const struct schema_key *k, int64_t v, char out[static 32])
{
	switch (k->type) {
	case SCHEMA_DURATION:
		text_format_duration(v, out);
		break;
	case SCHEMA_PERCENT_BP:
		text_format_bp((uint32_t)v, out);
		break;
	case SCHEMA_PERCENT_PPM:
		text_format_ppm((uint32_t)v, out);
		break;
	case SCHEMA_PERMILLE:
		number_format_permille(v, out);
		break;
	default:
		(void)snprintf(out, 32, "%lld", (long long)v);
		break;
	}
}

static bool in_range(const struct schema_key *k, const struct node *n, int64_t v, char *why, size_t size)
{
	char bound[32];
	if (v < k->min) {
		format_bound(k, k->min, bound);
		return no(k, n, why, size, "; the least is %s", bound);
	}
	if (v > k->max) {
		format_bound(k, k->max, bound);
		return no(k, n, why, size, "; the most is %s", bound);
	}
	return true;
}

static bool read_duration(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	/* Beyond any limit of the table, so that the range is judged in one place. */
	int r = text_parse_duration(n->text, LIMIT_DURATION_MS, ret);
	if (r == -ERANGE)
		return in_range(k, n, INT64_MAX, why, size);
	if (r == 0)
		return in_range(k, n, *ret, why, size);
	bool short_one = k->min < MS_PER_SECOND && k->max <= 15 * MS_PER_MINUTE;
	if (is_bare_number(n->text) && strlen(n->text) < 12 && !strchr(n->text, '.'))
		return no(k, n, why, size, ", which has no unit; write %s%s, %s%s or %s%s", n->text,
			  short_one ? "ms" : "s", n->text, short_one ? "s" : "m", n->text, short_one ? "m" : "h");
	return no(k, n, why, size, ", which is not a duration; write one such as %s, 90s or 1h30m", k->example);
}

static bool read_percent(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	bool fine = k->type == SCHEMA_PERCENT_PPM;
	uint32_t v = 0;
	int r = fine ? text_parse_percent_ppm(n->text, &v) : text_parse_percent_bp(n->text, &v);
	if (r == -ERANGE)
		return in_range(k, n, INT64_MAX, why, size);
	if (r == 0) {
		*ret = v;
		return in_range(k, n, v, why, size);
	}
	if (is_bare_number(n->text) && strlen(n->text) < 12)
		return no(k, n, why, size, ", which has no percent sign; write %s%%", n->text);
	return no(k, n, why, size, ", which is not a percentage with at most %s decimals; write one such as %s",
		  fine ? "four" : "two", k->example);
}

/* Bare, since in quotes it would be a text. */
static bool check_plain(const struct schema_key *k, const struct node *n, char *why, size_t size)
{
	return n->plain || no(k, n, why, size, " in quotes, which makes it a text; write the number without them");
}

static bool read_count(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	uint64_t v;
	int r = text_parse_u64(n->text, INT64_MAX, &v);
	if (r == -ERANGE)
		return in_range(k, n, INT64_MAX, why, size);
	if (r)
		return no(k, n, why, size, ", which is not a count; write a whole number such as %s", k->example);
	if (!check_plain(k, n, why, size))
		return false;
	*ret = (int64_t)v;
	return in_range(k, n, *ret, why, size);
}

static bool read_permille(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	if (!check_plain(k, n, why, size))
		return false;
	int r = number_parse_permille(n->text, ret);
	if (r)
		return no(k, n, why, size, ", which is not a number with at most three decimals; write one such as %s",
			  k->example);
	return in_range(k, n, *ret, why, size);
}

static bool read_number(const struct schema_key *k, const struct node *n, const char **ret, char *why, size_t size)
{
	double v;
	if (!check_plain(k, n, why, size))
		return false;
	int r = number_parse(n->text, &v);
	if (r == -ERANGE)
		return no(k, n, why, size, ", which has more than %d digits, or more than %d of them after the point",
			  NUMBER_DIGITS, NUMBER_DECIMALS);
	if (r)
		return no(k, n, why, size, ", which is not a number; write one such as %s", k->example);
	*ret = n->text;
	return true;
}

/* The bounds are times from one to the next, so the least time is the highest rate. */
static bool read_rate(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	char bound[32];
	int64_t every_ms = 0;
	int r = rate_parse(n->text, &every_ms);
	if (r == -EINVAL)
		return no(k, n, why, size, ", which is not a rate; write one such as %s, 30/m or 10/h", k->example);
	if (r || every_ms < k->min) {
		rate_format(k->min, bound);
		return no(k, n, why, size, "; it is at most %s, and not 0", bound);
	}
	*ret = every_ms;
	return true;
}

static bool read_bool(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	bool yes = strcmp(n->text, "true") == 0;
	if (!n->plain || (!yes && strcmp(n->text, "false") != 0))
		return no(k, n, why, size, "%s; write true or false", n->plain ? "" : " in quotes");
	*ret = yes;
	return true;
}

static bool read_choice(const struct schema_key *k, const struct node *n, int64_t *ret, char *why, size_t size)
{
	for (int64_t i = 0; k->choices[i]; i++) {
		if (strcmp(n->text, k->choices[i]) == 0) {
			*ret = i;
			return true;
		}
	}
	char list[128];
	value_list_choices(k->choices, list, sizeof(list));
	const char *nearest = value_nearest(n->text, k->choices);
	if (!k->choices[1])
		return no(k, n, why, size, "; it must be %s", list);
	if (nearest)
		return no(k, n, why, size, "; did you mean `%s`? Allowed are %s", nearest, list);
	return no(k, n, why, size, "; allowed are %s", list);
}

static bool read_text(const struct schema_key *k, const struct node *n, const char **ret, char *why, size_t size)
{
	char reason[256];
	if (k->check && !k->check(n->text, reason, sizeof(reason)))
		return no(k, n, why, size, "; %s", reason);
	*ret = n->text;
	return true;
}

bool value_read(const struct schema_key *k, const struct node *n, struct value *ret, char *why, size_t size)
{
	require(n->kind == NODE_SCALAR);
	struct value v = {0};
	bool good = false;
	switch (k->type) {
	case SCHEMA_TEXT:
		good = read_text(k, n, &v.text, why, size);
		break;
	case SCHEMA_CHOICE:
		good = read_choice(k, n, &v.number, why, size);
		break;
	case SCHEMA_DURATION:
		good = read_duration(k, n, &v.number, why, size);
		break;
	case SCHEMA_PERCENT_BP:
	case SCHEMA_PERCENT_PPM:
		good = read_percent(k, n, &v.number, why, size);
		break;
	case SCHEMA_COUNT:
		good = read_count(k, n, &v.number, why, size);
		break;
	case SCHEMA_PERMILLE:
		good = read_permille(k, n, &v.number, why, size);
		break;
	case SCHEMA_NUMBER:
		good = read_number(k, n, &v.text, why, size);
		break;
	case SCHEMA_RATE:
		good = read_rate(k, n, &v.number, why, size);
		break;
	case SCHEMA_BOOL:
		good = read_bool(k, n, &v.number, why, size);
		break;
	case SCHEMA_OBJECT:
	case SCHEMA_LIST:
	case SCHEMA_MAP:
		require(!"a scalar's key");
	}
	if (good)
		*ret = v;
	return good;
}

void value_fallback(const struct schema_key *k, struct value *ret)
{
	char why[256];
	const struct node n = {.kind = NODE_SCALAR, .text = k->fallback, .plain = true};
	require(value_read(k, &n, ret, why, sizeof(why)));
}
