#include "plan/query.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/number.h"
#include "base/text.h"

static void add_object(struct buf *out, const struct record *r);

/* The keys that are known are all there are, so each value has the type that CloudWatch takes. */
static void add_value(struct buf *out, const struct schema_key *k, const struct field *f)
{
	switch (k->type) {
	case SCHEMA_OBJECT:
		add_object(out, f->items);
		break;
	case SCHEMA_LIST:
		for (size_t i = 0; i < f->n_items; i++) {
			buf_add_char(out, i > 0 ? ',' : '[');
			add_object(out, &f->items[i]);
		}
		buf_add_char(out, ']');
		break;
	case SCHEMA_COUNT:
		buf_add_u64(out, (uint64_t)f->number);
		break;
	case SCHEMA_BOOL:
		buf_add_text(out, f->number ? "true" : "false");
		break;
	default:
		buf_add_json_string(out, f->text);
		break;
	}
}

/* In the order of the file. Keys are the table's own words; another one was reported by then. */
static void add_object(struct buf *out, const struct record *r)
{
	char before = '{';
	for (const struct node *n = r->node->first; n; n = n->next) {
		const struct schema_key *k = schema_find(r->object, n->key);
		if (!k)
			continue;
		buf_add_char(out, before);
		buf_add_json_string(out, n->key);
		buf_add_char(out, ':');
		add_value(out, k, &r->fields[schema_index(r->object, k)]);
		before = ',';
	}
	buf_add_char(out, '}');
}

static void add_queries(struct buf *out, const struct record *query)
{
	add_value(out, schema_query.keys[QUERY_KEY_QUERIES], &query->fields[QUERY_KEY_QUERIES]);
}

const char *query_json(struct arena *a, const struct record *query)
{
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_QUERY_BYTES);
	add_queries(&b, query);
	require(buf_ok(&b));
	return arena_strndup(a, buf_text(&b), b.len);
}

/* CloudWatch's own default: what is not said to return none returns data. */
static bool returns_data(const struct record *item)
{
	const struct field *f = &item->fields[DATA_QUERY_RETURN_DATA];
	return !f->node || (f->ok && f->number);
}

const char *query_returning(const struct record *query)
{
	const struct field *list = &query->fields[QUERY_KEY_QUERIES];
	size_t i = 0;
	while (i < list->n_items && !returns_data(&list->items[i]))
		i++;
	require(i < list->n_items);
	return list->items[i].fields[DATA_QUERY_ID].text;
}

static void check_returning(const struct field *list, struct diags *diags)
{
	const struct record *first = NULL;
	for (size_t i = 0; i < list->n_items; i++) {
		const struct record *item = &list->items[i];
		const struct field *f = &item->fields[DATA_QUERY_RETURN_DATA];
		if (f->misspelt || (f->node && !f->ok))
			return;
		if (!returns_data(item))
			continue;
		if (first)
			diags_add(diags, DIAG_ERROR, AT_VALUE(item->node),
				  "this query returns data, and so does the one in line %u, but one value is judged; "
				  "write `ReturnData: false` into the other ones",
				  first->node->line);
		else
			first = item;
	}
	if (!first && list->n_items > 0)
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(list->node),
		    "no query returns data, so there is nothing to judge; remove `ReturnData: false` from the one "
		    "whose value is meant");
}

static void check_ids(const struct field *list, struct diags *diags)
{
	for (size_t i = 0; i < list->n_items; i++) {
		const struct field *id = &list->items[i].fields[DATA_QUERY_ID];
		for (size_t j = 0; id->ok && j < i; j++) {
			const struct field *other = &list->items[j].fields[DATA_QUERY_ID];
			if (!other->ok || strcmp(id->text, other->text) != 0)
				continue;
			diags_add(diags, DIAG_ERROR, AT_VALUE(id->node),
				  "`Id` is `%.64s`, as in line %u; every query has its own", id->text,
				  other->node->line);
			break;
		}
	}
}

/* Values of another period could not be laid beside the other metrics'. `owner` is what should have one. */
static void check_period(const struct field *f, const struct node *owner, bool needed, const struct field *period,
			 struct diags *diags)
{
	char ours[32], theirs[32];
	long long want_s = period->number / MS_PER_SECOND;
	if (!period->ok || period->number % MS_PER_SECOND != 0)
		return;
	text_format_duration(period->number, ours);
	if (!f->node && !f->misspelt && needed)
		diags_add(diags, DIAG_ERROR, AT_VALUE(owner),
			  "`Period` is missing; add `Period: %lld`, since the `period` of this analysis is %s", want_s,
			  ours);
	if (!f->node || !f->ok || f->number == want_s)
		return;
	text_format_duration(f->number * MS_PER_SECOND, theirs);
	bool possible = f->number % 60 == 0; /* of all metrics, AWS's own included */
	diags_add(diags, DIAG_ERROR, AT_VALUE(f->node),
		  "`Period` is %lld, but the `period` of this analysis is %s; write `Period: %lld` here%s%s%s",
		  (long long)f->number, ours, want_s, possible ? ", or `period: " : "", possible ? theirs : "",
		  possible ? "` there" : "");
}

static void check_item(const struct record *item, const struct field *period, struct diags *diags)
{
	const struct field *stat = &item->fields[DATA_QUERY_METRIC_STAT];
	const struct field *expression = &item->fields[DATA_QUERY_EXPRESSION];
	if (stat->node && expression->node)
		diags_add(
		    diags, DIAG_ERROR, AT_KEY(expression->node),
		    "`Expression` and `MetricStat` (line %u) are both given, and CloudWatch takes one; remove one of "
		    "them, or make two queries",
		    stat->node->key_line);
	else if (!stat->node && !expression->node && !stat->misspelt && !expression->misspelt)
		diags_add(diags, DIAG_ERROR, AT_VALUE(item->node),
			  "this query asks for nothing; give it `MetricStat` or `Expression`");
	if (stat->items)
		check_period(&stat->items->fields[METRIC_STAT_PERIOD], stat->items->node, true, period, diags);
	check_period(&item->fields[DATA_QUERY_PERIOD], item->node, expression->node && !stat->node, period, diags);
}

static void check_bounds(const struct record *query, struct diags *diags)
{
	const struct field *min = &query->fields[QUERY_KEY_MIN];
	const struct field *max = &query->fields[QUERY_KEY_MAX];
	double least, most;
	if (!min->node && !max->node && !min->misspelt && !max->misspelt)
		diags_add(diags, DIAG_ERROR, AT_VALUE(query->node),
			  "`query` has no bound, so it could not fail; add `max`, for example `max: 250`, or `min`");
	if (!min->node || !max->node || !min->ok || !max->ok)
		return;
	require(number_parse(min->text, &least) == 0 && number_parse(max->text, &most) == 0);
	if (least > most)
		diags_add(diags, DIAG_ERROR, AT_VALUE(min->node),
			  "`min` is %s, which is above `max`, %s, so no value would do; exchange them", min->text,
			  max->text);
}

void query_check(const struct record *query, const struct field *period, struct diags *diags)
{
	const struct field *list = &query->fields[QUERY_KEY_QUERIES];
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_QUERY_BYTES);
	check_bounds(query, diags);
	if (!list->items)
		return;
	for (size_t i = 0; i < list->n_items; i++)
		check_item(&list->items[i], period, diags);
	check_ids(list, diags);
	check_returning(list, diags);
	if (!record_is_good(query))
		return;
	add_queries(&b, query);
	if (!buf_ok(&b))
		diags_add(diags, DIAG_ERROR, AT_VALUE(list->node),
			  "`metric_data_queries` has more than %d bytes as JSON; shorten the expressions, or use fewer "
			  "queries",
			  LIMIT_QUERY_BYTES);
}
