#include "aws/cloudwatch_verbatim.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "aws/json.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/nesting.h"

/* In the template an Id is the byte MARK and its index + 1, neither of which JSON has anywhere. */
#define MARK	      '\x01'
#define ID_BYTES_MAX  8 /* of "q499" */
#define LETTERS	      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define BLANKS	      " \t\r\n"
#define WORD	      LETTERS "0123456789_"
#define DUMP_VERBATIM (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17))

struct cloudwatch_verbatim {
	char *template;
	size_t n;
	size_t returns;
	size_t bytes;
};

/* While it is being made. */
struct making {
	const json_t *list;
	const char *ids[CLOUDWATCH_VERBATIM_MAX]; /* borrowed of the list */
	bool metric[CLOUDWATCH_VERBATIM_MAX];	  /* it is one, and not computed */
	struct cloudwatch_verbatim *v;
	struct buf out;
	char *error;
	size_t error_size;
};

static bool printf_like(2, 3) wrong(struct making *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(m->error, m->error_size, fmt, args);
	va_end(args);
	return false;
}

static void add_mark(struct buf *out, size_t index)
{
	buf_add_char(out, MARK);
	buf_add_char(out, (char)(index + 1));
}

/* --- what is there --- */

static bool is_id(const char *s)
{
	size_t len = s ? strlen(s) : 0;

	return len > 0 && len <= CLOUDWATCH_ID_MAX && s[0] >= 'a' && s[0] <= 'z' && strspn(s, WORD) == len;
}

/* CLOUDWATCH_VERBATIM_MAX: none has it. */
static size_t find_id(const struct making *m, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(m->ids[i], word, len) == 0 && m->ids[i][len] == '\0')
			return i;
	}
	return CLOUDWATCH_VERBATIM_MAX;
}

static bool read_ids(struct making *m, const char *returns)
{
	size_t n = json_array_size(m->list);

	if (n < 1 || n > CLOUDWATCH_VERBATIM_MAX)
		return wrong(m, "it has %zu queries, not 1 to %d", n, CLOUDWATCH_VERBATIM_MAX);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(m->list, i);

		m->ids[i] = json_string_value(json_object_get(item, "Id"));
		if (!is_id(m->ids[i]))
			return wrong(
			    m, "its query %zu has no Id of letters, digits and '_' that begins with a small letter",
			    i + 1);
		if (find_id(m, i, m->ids[i], strlen(m->ids[i])) != CLOUDWATCH_VERBATIM_MAX)
			return wrong(m, "two of its queries have the Id %.64s", m->ids[i]);
		m->metric[i] = json_object_get(item, "MetricStat") != NULL;
	}
	m->v->n = n;
	m->v->returns = find_id(m, n, returns, strlen(returns));
	if (m->v->returns == CLOUDWATCH_VERBATIM_MAX)
		return wrong(m, "none of its queries has the Id %.64s, which is to return data", returns);
	return true;
}

/* --- expressions --- */

/* METRICS() and METRICS("part of an Id"), from behind the name. Returns what follows; NULL: it is neither. */
static const char *add_metrics(const struct making *m, const char *at, struct buf *out)
{
	const char *part = "", *end;
	size_t len = 0, listed = 0;

	at += strspn(at, BLANKS);
	if (*at++ != '(')
		return NULL;
	at += strspn(at, BLANKS);
	if (*at == '"' || *at == '\'') {
		part = at + 1;
		end = strchr(part, *at);
		if (!end)
			return NULL;
		len = (size_t)(end - part);
		at = end + 1;
		at += strspn(at, BLANKS);
	}
	if (*at++ != ')')
		return NULL;
	buf_add_char(out, '[');
	for (size_t i = 0; i < m->v->n; i++) {
		if (!m->metric[i] || !memmem(m->ids[i], strlen(m->ids[i]), part, len))
			continue;
		if (listed++ > 0)
			buf_add_char(out, ',');
		add_mark(out, i);
	}
	buf_add_char(out, ']');
	return listed > 0 ? at : NULL;
}

/* One word: an Id, a function, a keyword or a number. Returns what follows; NULL: wrong. */
static const char *add_word(struct making *m, const char *at, struct buf *out)
{
	size_t len = strspn(at, WORD), id = find_id(m, m->v->n, at, len);

	if (id != CLOUDWATCH_VERBATIM_MAX) {
		add_mark(out, id);
		return at + len;
	}
	if (len == strlen("METRICS") && strncmp(at, "METRICS", len) == 0) {
		at = add_metrics(m, at + len, out);
		if (!at)
			(void)wrong(m, "METRICS(…) in an expression of it names none of its metrics");
		return at;
	}
	buf_add(out, at, len);
	return at + len;
}

/* A text in quotes, which names no Id. Returns what follows; NULL: it does not end. */
static const char *add_quoted(struct making *m, const char *at, struct buf *out)
{
	const char *end = strchr(at + 1, *at);

	if (!end) {
		(void)wrong(m, "an expression of it has a text that does not end");
		return NULL;
	}
	buf_add(out, at, (size_t)(end + 1 - at));
	return end + 1;
}

static bool rewrite(struct making *m, const char *expression, struct buf *out)
{
	const char *at = expression + strspn(expression, BLANKS);

	if (strchr(expression, MARK))
		return wrong(m, "an expression of it has a control character");
	/* Metrics Insights is a language of its own, in which no Id can be named. */
	if (strncasecmp(at, "SELECT", strlen("SELECT")) == 0 && at[strlen("SELECT")] != '\0' &&
	    strchr(BLANKS, at[strlen("SELECT")])) {
		buf_add_text(out, at);
		return true;
	}
	while (at && *at) {
		if (*at == '"' || *at == '\'')
			at = add_quoted(m, at, out);
		else if (strchr(WORD, *at))
			at = add_word(m, at, out);
		else
			buf_add_char(out, *at++);
	}
	return at != NULL;
}

/* As a JSON string; marks stay what they are. */
static void add_escaped(struct buf *out, const struct buf *text)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < text->len; i++) {
		char c = text->data[i];

		if (c == MARK) {
			buf_add(out, text->data + i++, 2);
			continue;
		}
		if (c == '"' || c == '\\')
			buf_add_char(out, '\\');
		if ((unsigned char)c < ' ')
			buf_addf(out, "\\u%04x", (unsigned)c);
		else
			buf_add_char(out, c);
	}
	buf_add_char(out, '"');
}

static bool add_expression(struct making *m, const json_t *value)
{
	struct buf text cleanup(buf_deinit) = BUF_INIT(CLOUDWATCH_VERBATIM_BYTES_MAX);

	if (!json_is_string(value))
		return wrong(m, "an Expression of it is no text");
	if (!rewrite(m, json_string_value(value), &text))
		return false;
	add_escaped(&m->out, &text);
	return buf_ok(&text) || wrong(m, "an expression of it is too long");
}

/* --- the template --- */

static bool add_value(struct making *m, const json_t *value)
{
	char *text cleanup(mem_free_p) = json_dumps(value, DUMP_VERBATIM);

	if (!text)
		return wrong(m, "it cannot be written as JSON");
	buf_add_text(&m->out, text);
	return true;
}

static bool add_query(struct making *m, size_t index)
{
	json_t *item = json_array_get(m->list, index), *value;
	const char *key;

	if (index > 0)
		buf_add_char(&m->out, ',');
	buf_add_text(&m->out, "{\"Id\":\"");
	add_mark(&m->out, index);
	buf_add_text(&m->out, "\",\"ReturnData\":");
	buf_add_text(&m->out, index == m->v->returns ? "true" : "false");
	json_object_foreach(item, key, value)
	{
		bool computed = strcmp(key, "Expression") == 0;

		if (strcmp(key, "Id") == 0 || strcmp(key, "ReturnData") == 0)
			continue;
		buf_add_char(&m->out, ',');
		buf_add_json_string(&m->out, key);
		buf_add_char(&m->out, ':');
		if (!(computed ? add_expression(m, value) : add_value(m, value)))
			return false;
	}
	buf_add_char(&m->out, '}');
	return true;
}

static bool make(struct making *m, const char *returns)
{
	size_t marks = 0;

	if (!json_is_array(m->list))
		return wrong(m, "it is no list of MetricDataQueries");
	if (!read_ids(m, returns))
		return false;
	for (size_t i = 0; i < m->v->n; i++) {
		if (!add_query(m, i))
			return false;
	}
	for (size_t i = 0; i < m->out.len; i++)
		marks += m->out.data[i] == MARK;
	m->v->bytes = m->out.len + marks * ID_BYTES_MAX;
	if (!buf_ok(&m->out) || m->v->bytes > CLOUDWATCH_VERBATIM_BYTES_MAX)
		return wrong(m, "it is longer than %d bytes", CLOUDWATCH_VERBATIM_BYTES_MAX);
	m->v->template = buf_take(&m->out);
	return true;
}

int cloudwatch_verbatim_new(const char *json, const char *returns, struct cloudwatch_verbatim **ret, char *ret_error,
			    size_t error_size)
{
	size_t len = strlen(json);
	bool sane = len <= CLOUDWATCH_VERBATIM_BYTES_MAX && !nesting_exceeds(json, len, LIMIT_JSON_DEPTH);
	json_t *list cleanup(json_decref_p) = sane ? json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct making m = {.list = list,
			   .v = mem_alloc(sizeof(*m.v)),
			   .out = BUF_INIT(CLOUDWATCH_VERBATIM_BYTES_MAX),
			   .error = ret_error,
			   .error_size = error_size};
	bool made = make(&m, returns);

	buf_deinit(&m.out);
	if (made)
		*ret = m.v;
	else
		cloudwatch_verbatim_free(m.v);
	return made ? 0 : 1;
}

void cloudwatch_verbatim_free(struct cloudwatch_verbatim *v)
{
	if (!v)
		return;
	free(v->template);
	free(v);
}

size_t cloudwatch_verbatim_count(const struct cloudwatch_verbatim *v)
{
	return v->n;
}

size_t cloudwatch_verbatim_returns(const struct cloudwatch_verbatim *v)
{
	return v->returns;
}

size_t cloudwatch_verbatim_bytes(const struct cloudwatch_verbatim *v)
{
	return v->bytes;
}

void cloudwatch_verbatim_add(const struct cloudwatch_verbatim *v, size_t first, struct buf *out)
{
	const char *at = v->template;

	for (;;) {
		size_t len = strcspn(at, "\x01");

		buf_add(out, at, len);
		if (at[len] == '\0')
			break;
		buf_add_char(out, 'q');
		buf_add_u64(out, first + (size_t)at[len + 1] - 1);
		at += len + 2;
	}
}
