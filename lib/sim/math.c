#include "sim/math.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define DEPTH_MAX 32
#define ARGS_MAX  100
#define FILL_MAX  100800 /* as many datapoints as a page has */
#define DIGITS	  "0123456789"
#define WORD	  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" DIGITS

enum kind { NUMBER, SERIES, LIST, KEYWORD };

struct operand {
	enum kind kind;
	double number;
	struct values series; /* in the arena */
	struct operand *items;
	size_t n;
	const char *word; /* KEYWORD */
};

struct parser {
	const struct math_scope *scope;
	const char *at;
	unsigned depth;
	bool failed;
	char *error;
	size_t error_size;
};

static struct operand parse(struct parser *p);

static struct operand printf_like(2, 3) fail(struct parser *p, const char *fmt, ...)
{
	va_list args;

	if (!p->failed) {
		va_start(args, fmt);
		(void)vsnprintf(p->error, p->error_size, fmt, args);
		va_end(args);
	}
	p->failed = true;
	return (struct operand){.kind = NUMBER};
}

static bool take(struct parser *p, const char *text)
{
	size_t len = strlen(text);

	p->at += strspn(p->at, " \t\r\n");
	if (strncmp(p->at, text, len) != 0 || (strchr(WORD, text[0]) && p->at[len] && strchr(WORD, p->at[len])))
		return false;
	p->at += len;
	return true;
}

/* --- values --- */

static struct operand number(double v)
{
	return (struct operand){.kind = NUMBER, .number = v};
}

static struct operand series_of(struct parser *p, size_t cap)
{
	struct operand o = {.kind = SERIES};

	o.series.items = arena_array(p->scope->arena, cap, sizeof(*o.series.items));
	o.series.cap = cap;
	return o;
}

/* What cannot be told, as after a division by zero, is no datapoint. */
static void put(struct operand *o, int64_t start_ms, double v)
{
	if (isfinite(v))
		o->series.items[o->series.len++] = (struct value){.start_ms = start_ms, .value = v};
}

/* The value of one time; NAN: there is none. A number has it at any time. */
static double value_at(const struct operand *o, int64_t start_ms)
{
	size_t low = 0, high = o->series.len;

	if (o->kind == NUMBER)
		return o->number;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (o->series.items[middle].start_ms < start_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low < o->series.len && o->series.items[low].start_ms == start_ms ? o->series.items[low].value : NAN;
}

/* --- operators --- */

struct operator
{
	const char *text;
	int rank; /* what binds closer is higher */
	double (*apply)(double a, double b);
};

static double plus(double a, double b)
{
	return a + b;
}

static double minus(double a, double b)
{
	return a - b;
}

static double times(double a, double b)
{
	return a * b;
}

static double over(double a, double b)
{
	return a / b;
}

static double less(double a, double b)
{
	return a < b;
}

static double most(double a, double b)
{
	return a <= b;
}

static double more(double a, double b)
{
	return a > b;
}

static double least(double a, double b)
{
	return a >= b;
}

static double same(double a, double b)
{
	return a == b;
}

static double other(double a, double b)
{
	return a != b;
}

static double both(double a, double b)
{
	return a != 0 && b != 0;
}

static double either(double a, double b)
{
	return a != 0 || b != 0;
}

#define RANKS 6

static const struct operator subtraction = {"-", 4, minus};

static const struct operator operators[] = {
    {"||", 1, either}, {"OR", 1, either}, {"&&", 2, both},  {"AND", 2, both}, {"<=", 3, most},
    {">=", 3, least},  {"==", 3, same},	  {"!=", 3, other}, {"<", 3, less},   {">", 3, more},
    {"+", 4, plus},    {"-", 4, minus},	  {"*", 5, times},  {"/", 5, over},   {"^", 6, pow},
};

/* Where both have a value. */
static struct operand combine(struct parser *p, const struct operator* op, const struct operand *a,
			      const struct operand *b)
{
	const struct operand *along = a->kind == SERIES ? a : b;
	struct operand o;

	if ((a->kind != NUMBER && a->kind != SERIES) || (b->kind != NUMBER && b->kind != SERIES))
		return fail(p, "Unsupported operand type(s) for %s", op->text);
	if (along->kind == NUMBER)
		return number(op->apply(a->number, b->number));
	o = series_of(p, along->series.len);
	for (size_t i = 0; i < along->series.len; i++) {
		int64_t start_ms = along->series.items[i].start_ms;
		double x = value_at(a, start_ms), y = value_at(b, start_ms);

		if (!isnan(x) && !isnan(y))
			put(&o, start_ms, op->apply(x, y));
	}
	return o;
}

/* --- functions --- */

struct function {
	const char *name;
	size_t min, max; /* arguments */
	struct operand (*apply)(struct parser *p, const struct function *f, const struct operand *args, size_t n);
	double (*fold)(double so_far, double v);
	double (*map)(double v);
};

static int by_time(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	return (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

/* All times of a list, each once. */
static struct operand times_of(struct parser *p, const struct operand *list, size_t n)
{
	size_t total = 0, len = 0;
	struct operand o;

	for (size_t i = 0; i < n; i++)
		total += list[i].series.len;
	o = series_of(p, total);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < list[i].series.len; k++)
			o.series.items[o.series.len++] = list[i].series.items[k];
	qsort(o.series.items, o.series.len, sizeof(*o.series.items), by_time);
	for (size_t i = 0; i < o.series.len; i++)
		if (len == 0 || o.series.items[i].start_ms != o.series.items[len - 1].start_ms)
			o.series.items[len++] = o.series.items[i];
	o.series.len = len;
	return o;
}

/* Of one series over its time, a number; of a list at each time, a series. Whoever has no value then is left out. */
static struct operand fold(struct parser *p, const struct function *f, const struct operand *args, size_t n)
{
	const struct operand *list = args->kind == LIST ? args->items : args;
	size_t len = args->kind == LIST ? args->n : 1;
	bool mean = strcmp(f->name, "AVG") == 0;
	double sum = NAN;
	size_t count = 0;

	(void)n;
	for (size_t i = 0; i < len; i++)
		if (list[i].kind != SERIES)
			return fail(p, "%s is of a metric or a list of metrics", f->name);
	struct operand o = times_of(p, list, len);
	for (size_t i = 0; i < o.series.len; i++) {
		struct value *at = &o.series.items[i];

		if (args->kind == LIST) {
			sum = NAN;
			count = 0;
		}
		for (size_t k = 0; k < len; k++) {
			double v = value_at(&list[k], at->start_ms);

			if (isnan(v))
				continue;
			sum = count++ == 0 ? v : f->fold(sum, v);
		}
		at->value = mean ? sum / (double)count : sum;
	}
	if (args->kind == LIST)
		return o;
	return number(mean && count > 0 ? sum / (double)count : sum);
}

static struct operand map(struct parser *p, const struct function *f, const struct operand *args, size_t n)
{
	(void)n;
	if (args->kind == NUMBER)
		return number(f->map(args->number));
	if (args->kind != SERIES)
		return fail(p, "%s is of a metric", f->name);
	struct operand o = series_of(p, args->series.len);
	for (size_t i = 0; i < args->series.len; i++)
		put(&o, args->series.items[i].start_ms, f->map(args->series.items[i].value));
	return o;
}

static struct operand choose(struct parser *p, const struct function *f, const struct operand *args, size_t n)
{
	(void)f;
	for (size_t i = 0; i < n; i++)
		if (args[i].kind != NUMBER && args[i].kind != SERIES)
			return fail(p, "IF is of metrics and numbers");
	if (args[0].kind == NUMBER)
		return args[0].number != 0 ? args[1] : args[2];
	struct operand o = series_of(p, args[0].series.len);
	for (size_t i = 0; i < args[0].series.len; i++) {
		const struct value *v = &args[0].series.items[i];

		put(&o, v->start_ms, value_at(v->value != 0 ? &args[1] : &args[2], v->start_ms));
	}
	return o;
}

static struct operand fill(struct parser *p, const struct function *f, const struct operand *args, size_t n)
{
	const struct math_scope *s = p->scope;
	bool repeat = args[1].kind == KEYWORD && strcmp(args[1].word, "REPEAT") == 0;
	double last = NAN;
	int64_t from_ms = s->start_ms - s->start_ms % s->period_ms;

	(void)f;
	(void)n;
	if (args[0].kind != SERIES || (!repeat && args[1].kind != NUMBER))
		return fail(p, "FILL is of a metric and a number or REPEAT");
	if ((s->end_ms - from_ms) / s->period_ms > FILL_MAX)
		return fail(p, "FILL would give more than %d datapoints", FILL_MAX);
	struct operand o = series_of(p, (size_t)((s->end_ms - from_ms) / s->period_ms + 1));
	for (int64_t at = from_ms; at < s->end_ms; at += s->period_ms) {
		double v = value_at(&args[0], at);

		if (isnan(v))
			v = repeat ? last : args[1].number;
		put(&o, at, v);
		last = v;
	}
	return o;
}

static const struct function functions[] = {
    {"SUM", 1, 1, fold, plus, NULL},   {"AVG", 1, 1, fold, plus, NULL},	 {"MIN", 1, 1, fold, fmin, NULL},
    {"MAX", 1, 1, fold, fmax, NULL},   {"ABS", 1, 1, map, NULL, fabs},	 {"CEIL", 1, 1, map, NULL, ceil},
    {"FLOOR", 1, 1, map, NULL, floor}, {"IF", 3, 3, choose, NULL, NULL}, {"FILL", 2, 2, fill, NULL, NULL},
};

/* --- parsing --- */

/* What stands between the brackets, and the closing one; in the arena. */
static size_t parse_items(struct parser *p, const char *close, struct operand **ret)
{
	struct operand items[ARGS_MAX];
	size_t n = 0;

	*ret = NULL;
	if (take(p, close))
		return 0;
	do {
		if (n == ARGS_MAX) {
			(void)fail(p, "more than %d arguments", ARGS_MAX);
			return 0;
		}
		items[n++] = parse(p);
	} while (!p->failed && take(p, ","));
	if (!p->failed && !take(p, close))
		(void)fail(p, "'%s' is missing", close);
	*ret = arena_array(p->scope->arena, n, sizeof(*items));
	memcpy(*ret, items, n * sizeof(*items));
	return p->failed ? 0 : n;
}

static struct operand parse_list(struct parser *p)
{
	struct operand o = {.kind = LIST};

	o.n = parse_items(p, "]", &o.items);
	return o;
}

static struct operand parse_call(struct parser *p, const char *name)
{
	struct operand *args;
	size_t n = parse_items(p, ")", &args);

	for (size_t i = 0; i < array_len(functions) && !p->failed; i++) {
		const struct function *f = &functions[i];

		if (strcmp(f->name, name) != 0)
			continue;
		if (n < f->min || n > f->max)
			return fail(p, "%s takes %zu arguments", name, f->min);
		return f->apply(p, f, args, n);
	}
	return fail(p,
		    "rollout-localaws does not have the function %s: it has SUM, AVG, MIN, MAX, ABS, CEIL, FLOOR, IF "
		    "and FILL",
		    name);
}

static struct operand parse_word(struct parser *p)
{
	size_t len = strspn(p->at, WORD);
	const char *word = arena_strndup(p->scope->arena, p->at, len);
	struct operand o = {.kind = SERIES};

	p->at += len;
	if (take(p, "("))
		return parse_call(p, word);
	if (strcmp(word, "REPEAT") == 0)
		return (struct operand){.kind = KEYWORD, .word = word};
	if (!p->scope->find(p->scope->ctx, word, &o.series))
		return fail(p, "'%s' is undefined", word);
	return o;
}

static struct operand parse_number(struct parser *p)
{
	size_t len = strspn(p->at, DIGITS ".");
	char text[32];

	if (len >= sizeof(text))
		return fail(p, "a number is too long");
	memcpy(text, p->at, len);
	text[len] = '\0';
	p->at += len;
	return number(strtod(text, NULL));
}

static struct operand parse_primary(struct parser *p)
{
	struct operand o;

	if (take(p, "-")) {
		struct operand zero = number(0), right;

		if (++p->depth > DEPTH_MAX)
			return fail(p, "it is nested too deep");
		right = parse_primary(p);
		p->depth--;
		return combine(p, &subtraction, &zero, &right);
	}
	if (take(p, "["))
		return parse_list(p);
	if (take(p, "(")) {
		o = parse(p);
		if (!p->failed && !take(p, ")"))
			return fail(p, "')' is missing");
		return o;
	}
	if (*p->at && strchr(DIGITS ".", *p->at))
		return parse_number(p);
	if (*p->at && strchr(WORD, *p->at))
		return parse_word(p);
	return fail(p, "something is missing at its end, or there is a character that has no meaning");
}

static struct operand parse_rank(struct parser *p, int rank)
{
	struct operand left = rank < RANKS ? parse_rank(p, rank + 1) : parse_primary(p);

	for (size_t i = 0; i < array_len(operators) && !p->failed; i++) {
		struct operand right;

		if (operators[i].rank != rank || !take(p, operators[i].text))
			continue;
		right = rank < RANKS ? parse_rank(p, rank + 1) : parse_primary(p);
		left = combine(p, &operators[i], &left, &right);
		i = (size_t)-1; /* from the first one again */
	}
	return left;
}

static struct operand parse(struct parser *p)
{
	struct operand o;

	if (++p->depth > DEPTH_MAX)
		return fail(p, "it is nested too deep");
	o = parse_rank(p, 1);
	p->depth--;
	return o;
}

bool math_evaluate(const struct math_scope *scope, const char *expression, struct values *ret, char *ret_error,
		   size_t error_size)
{
	struct parser p = {.scope = scope, .at = expression, .error = ret_error, .error_size = error_size};
	struct operand o = parse(&p);

	p.at += strspn(p.at, " \t\r\n");
	if (!p.failed && *p.at)
		(void)fail(&p, "something is left behind its end");
	if (!p.failed && o.kind != SERIES)
		(void)fail(&p, "its result is not a time series");
	if (!p.failed)
		*ret = o.series;
	return !p.failed;
}
