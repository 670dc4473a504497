#include "sim/reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "plan/value.h"

void reader_error(const struct node *n, struct diags *d, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	diags_add(d, DIAG_ERROR, n->line, n->column, "%s", text);
}

void reader_key_error(const struct node *n, struct diags *d, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	diags_add(d, DIAG_ERROR, n->key ? n->key_line : n->line, n->key ? n->key_column : n->column, "%s", text);
}

static bool wrong(const struct node *n, const char *wanted, struct diags *d)
{
	char shown[VALUE_SHOWN];
	value_show(n, shown);
	if (n->key)
		reader_error(n, d, "`%s` is %s; it should be %s", n->key, shown, wanted);
	else
		reader_error(n, d, "this is %s; it should be %s", shown, wanted);
	return false;
}

bool reader_mapping(const struct node *n, const char *what, const char *const *known, struct diags *d)
{
	if (n->kind != NODE_MAPPING)
		return wrong(n, "a mapping", d);
	for (const struct node *child = n->first; child; child = child->next) {
		size_t i = 0;
		while (known[i] && strcmp(known[i], child->key) != 0)
			i++;
		if (known[i])
			continue;
		const char *nearest = value_nearest(child->key, known);
		char shown[128], list[384];
		text_copy_printable(shown, sizeof(shown), child->key);
		value_list_choices(known, list, sizeof(list));
		if (nearest)
			diags_add(d, DIAG_ERROR, child->key_line, child->key_column,
				  "`%s` is not a key of %s; did you mean `%s`?", shown, what, nearest);
		else
			diags_add(d, DIAG_ERROR, child->key_line, child->key_column,
				  "`%s` is not a key of %s, which has: %s", shown, what, list);
	}
	return true;
}

bool reader_sequence(const struct node *n, const char *what, struct diags *d)
{
	return n->kind == NODE_SEQUENCE || wrong(n, what, d);
}

bool reader_text(const struct node *n, size_t max, const char **ret, struct diags *d)
{
	if (!n)
		return true;
	if (n->kind != NODE_SCALAR)
		return wrong(n, "a text", d);
	if (strlen(n->text) > max) {
		reader_error(n, d, "`%s` has %zu bytes; at most %zu are allowed", n->key ? n->key : "this",
			     strlen(n->text), max);
		return false;
	}
	*ret = n->text;
	return true;
}

bool reader_duration(const struct node *n, int64_t max_ms, int64_t *ret_ms, struct diags *d)
{
	if (!n || (n->kind == NODE_SCALAR && text_parse_duration(n->text, max_ms, ret_ms) == 0))
		return true;
	char most[32], wanted[96];
	text_format_duration(max_ms, most);
	snprintf(wanted, sizeof(wanted), "a duration such as 250ms, 90s or 1h30m, at most %s", most);
	return wrong(n, wanted, d);
}

/* A finite decimal number; strtod alone would take "inf", "nan" and hexadecimals. */
static bool parse_number(const char *text, double *ret)
{
	char *end;
	if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
		return false;
	double v = strtod(text, &end);
	if (*end || !isfinite(v))
		return false;
	*ret = v;
	return true;
}

bool reader_share(const struct node *n, double *ret, struct diags *d)
{
	uint32_t ppm;
	double number;
	if (!n)
		return true;
	if (n->kind == NODE_SCALAR && text_parse_percent_ppm(n->text, &ppm) == 0) {
		*ret = ppm / 1e6;
		return true;
	}
	if (n->kind == NODE_SCALAR && parse_number(n->text, &number) && number >= 0 && number <= 1) {
		*ret = number;
		return true;
	}
	return wrong(n, "a share such as 5%, or a number from 0 to 1", d);
}

bool reader_number(const struct node *n, double min, double max, double *ret, struct diags *d)
{
	double number;
	if (!n)
		return true;
	if (n->kind == NODE_SCALAR && parse_number(n->text, &number) && number >= min && number <= max) {
		*ret = number;
		return true;
	}
	char wanted[96];
	snprintf(wanted, sizeof(wanted), "a number from %.15g to %.15g", min, max);
	return wrong(n, wanted, d);
}

bool reader_count(const struct node *n, uint64_t min, uint64_t max, uint64_t *ret, struct diags *d)
{
	uint64_t number;
	if (!n)
		return true;
	if (n->kind == NODE_SCALAR && text_parse_u64(n->text, max, &number) == 0 && number >= min) {
		*ret = number;
		return true;
	}
	char wanted[96];
	snprintf(wanted, sizeof(wanted), "a whole number from %llu to %llu", (unsigned long long)min,
		 (unsigned long long)max);
	return wrong(n, wanted, d);
}

bool reader_bool(const struct node *n, bool *ret, struct diags *d)
{
	if (!n)
		return true;
	bool yes = n->kind == NODE_SCALAR && n->plain && strcmp(n->text, "true") == 0;
	if (!yes && !(n->kind == NODE_SCALAR && n->plain && strcmp(n->text, "false") == 0))
		return wrong(n, "true or false", d);
	*ret = yes;
	return true;
}

bool reader_choice(const struct node *n, const char *const *choices, size_t *ret, struct diags *d)
{
	if (!n)
		return true;
	for (size_t i = 0; n->kind == NODE_SCALAR && choices[i]; i++)
		if (strcmp(choices[i], n->text) == 0) {
			*ret = i;
			return true;
		}
	char list[512], wanted[544];
	const char *nearest = n->kind == NODE_SCALAR ? value_nearest(n->text, choices) : NULL;
	value_list_choices(choices, list, sizeof(list));
	if (nearest)
		snprintf(wanted, sizeof(wanted), "one of %s (`%s`?)", list, nearest);
	else
		snprintf(wanted, sizeof(wanted), "one of %s", list);
	return wrong(n, wanted, d);
}
