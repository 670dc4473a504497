/* See evidence.h. */
#include "tests/sim/evidence.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/mem.h"

#define SERIES_MAX 160

/* One metric of one version, or of the alias as a whole (version 0). */
struct told_series {
	unsigned alias;
	unsigned version;
	enum told_metric metric;
	int64_t period_ms;
};

struct told_point {
	int64_t start_unix_ms;
	double value;
};

struct told {
	struct told_series series;
	bool complete;
	struct told_point *points;
	size_t n_points;
};

struct delivery {
	int64_t end_unix_ms;
	struct told *told;
	size_t n_told;
	unsigned aliases; /* that it was asked about, a bit each */
};

struct point {
	int64_t start_unix_ms;
	double value;
	uint64_t number; /* of the delivery that it came with */
	bool doubtful;
};

struct reach {
	uint64_t number; /* of the delivery that it came with */
	int64_t at_unix_ms;
	int64_t through_unix_ms;
	bool doubtful;
};

struct series {
	struct told_series id;
	struct point *points; /* rising */
	size_t n_points, cap_points;
	struct reach *reaches; /* in the order in which they came */
	size_t n_reaches, cap_reaches;
};

struct evidence {
	struct series series[SERIES_MAX];
	size_t n_series;
	uint64_t number;
	uint64_t durable; /* deliveries up to this one are */
};

struct evidence *evidence_new(void)
{
	return mem_alloc(sizeof(struct evidence));
}

void evidence_free(struct evidence *e)
{
	for (size_t i = 0; e && i < e->n_series; i++) {
		free(e->series[i].points);
		free(e->series[i].reaches);
	}
	free(e);
}

/* --- reading --- */

static bool is_get_metric_data(const struct http_request *r)
{
	for (size_t i = 0; i < r->n_headers; i++) {
		if (strcmp(r->headers[i].name, "X-Amz-Target") == 0)
			return strstr(r->headers[i].value, "GetMetricData") != NULL;
	}
	return false;
}

/*
 * The requests that the daemon writes have one form, without spaces, and are many: so they are not parsed but looked
 * through. In another form nothing is found, all evidence is missing, and the checker says so.
 */
static const char *after(const char *text, const char *end, const char *key)
{
	const char *found = memmem(text, (size_t)(end - text), key, strlen(key));

	return found ? found + strlen(key) : NULL;
}

static int64_t number_after(const char *text, const char *end, const char *key)
{
	const char *number = after(text, end, key);

	return number ? strtoll(number, NULL, 10) : 0;
}

static enum told_metric read_metric(const char *query, const char *end)
{
	const char *name = after(query, end, "\"MetricName\":\"");

	if (!name || *name == 'd')
		return TOLD_QUERY; /* metric math, or the gauge that plans look at */
	return *name == 'E'   ? TOLD_ERRORS
	       : *name == 'T' ? TOLD_THROTTLES
	       : *name == 'D' ? TOLD_DURATION
			      : TOLD_INVOCATIONS;
}

static struct told_series read_series(const char *query, const char *end)
{
	struct told_series s = {.alias = SCRIPT_ALIASES, .metric = read_metric(query, end)};
	const char *resource = after(query, end, "\"Resource\",\"Value\":\"" SCRIPT_FUNCTION ":");

	s.period_ms = number_after(query, end, "\"Period\":") * MS_PER_SECOND;
	s.version = (unsigned)number_after(query, end, "\"ExecutedVersion\",\"Value\":\"");
	for (unsigned i = 0; resource && i < SCRIPT_ALIASES; i++) {
		size_t len = strlen(script_aliases[i]);

		if (strncmp(resource, script_aliases[i], len) == 0 && resource[len] == '"')
			s.alias = i;
	}
	return s;
}

/* Up to the next one. False: there is none of that id. */
static bool find_query(const struct http_request *r, const char *id, const char **ret_query, const char **ret_end)
{
	const char *end = r->body + r->body_len, *next;
	char key[64];

	(void)snprintf(key, sizeof(key), "{\"Id\":\"%.32s\"", id ? id : "");
	*ret_query = after(r->body, end, key);
	if (!*ret_query)
		return false;
	next = after(*ret_query, end, "{\"Id\":");
	*ret_end = next ? next : end;
	return true;
}

/* Whether the query before that one, whose Id ends in a number, is of throttles. */
static bool is_beside_throttles(const struct http_request *r, const char *id)
{
	const char *query, *end;
	char before[32];
	uint64_t number = id ? strtoull(id + strcspn(id, "0123456789"), NULL, 10) : 0;

	(void)snprintf(before, sizeof(before), "q%llu", (unsigned long long)number - 1);
	return number > 0 && find_query(r, before, &query, &end) && read_metric(query, end) == TOLD_THROTTLES;
}

static void read_result(struct delivery *d, const json_t *result, const struct http_request *r)
{
	const char *query, *end;
	const json_t *times = json_object_get(result, "Timestamps"), *values = json_object_get(result, "Values");
	const char *status = json_string_value(json_object_get(result, "StatusCode"));
	struct told *t = &d->told[d->n_told];

	if (json_array_size(times) != json_array_size(values) ||
	    !find_query(r, json_string_value(json_object_get(result, "Id")), &query, &end))
		return;
	t->series = read_series(query, end);
	if (t->series.metric == TOLD_INVOCATIONS && t->series.version == 0 &&
	    is_beside_throttles(r, json_string_value(json_object_get(result, "Id"))))
		t->series.metric = TOLD_BESIDE;
	/* Whose query it is cannot be told where several rollouts ask; nobody asks about those then. */
	if (t->series.metric == TOLD_QUERY)
		t->series.alias = (d->aliases & 1) != 0 ? 0 : 1;
	if (t->series.alias >= SCRIPT_ALIASES)
		return;
	t->complete = status && strcmp(status, "Complete") == 0;
	t->n_points = json_array_size(times);
	t->points = mem_array(t->n_points, sizeof(*t->points));
	for (size_t i = 0; i < t->n_points; i++) {
		t->points[i].start_unix_ms =
		    (int64_t)(json_number_value(json_array_get(times, i)) * MS_PER_SECOND + 0.5);
		t->points[i].value = json_number_value(json_array_get(values, i));
	}
	d->n_told++;
}

static unsigned asked_about(const struct http_request *r)
{
	unsigned aliases = 0;
	char resource[64];

	for (unsigned i = 0; i < SCRIPT_ALIASES; i++) {
		(void)snprintf(resource, sizeof(resource), "\"" SCRIPT_FUNCTION ":%s\"", script_aliases[i]);
		if (after(r->body, r->body + r->body_len, resource))
			aliases |= 1u << i;
	}
	return aliases;
}

struct delivery *delivery_read(const struct http_request *r, const struct http_response *answer)
{
	struct delivery *d = NULL;
	const json_t *results;
	json_t *out;

	if (!is_get_metric_data(r) || answer->status != 200)
		return NULL;
	out = json_loadb(answer->body, answer->body_len, 0, NULL);
	results = json_object_get(out, "MetricDataResults");
	/* A page of several is no complete answer; this AWS gives none here. */
	if (json_is_array(results) && !json_object_get(out, "NextToken")) {
		d = mem_alloc(sizeof(*d));
		d->end_unix_ms = number_after(r->body, r->body + r->body_len, "\"EndTime\":") * MS_PER_SECOND;
		d->aliases = asked_about(r);
		d->told = mem_array(json_array_size(results), sizeof(*d->told));
		for (size_t i = 0; i < json_array_size(results); i++)
			read_result(d, json_array_get(results, i), r);
	}
	json_decref(out);
	return d;
}

bool delivery_is_of(const struct delivery *d, unsigned alias)
{
	return (d->aliases >> alias & 1) != 0;
}

bool delivery_is_of_alone(const struct delivery *d, unsigned alias)
{
	return d->aliases == 1u << alias;
}

void delivery_free(struct delivery *d)
{
	for (size_t i = 0; d && i < d->n_told; i++)
		free(d->told[i].points);
	if (d)
		free(d->told);
	free(d);
}

/* --- keeping --- */

static bool same_series(const struct told_series *a, const struct told_series *b)
{
	return a->alias == b->alias && a->version == b->version && a->metric == b->metric &&
	       a->period_ms == b->period_ms;
}

static struct series *series_of(struct evidence *e, const struct told_series *id)
{
	for (size_t i = 0; i < e->n_series; i++) {
		if (same_series(&e->series[i].id, id))
			return &e->series[i];
	}
	if (e->n_series == SERIES_MAX)
		return NULL;
	e->series[e->n_series].id = *id;
	return &e->series[e->n_series++];
}

static const struct series *find_series(const struct evidence *e, const struct evidence_window *w,
					enum told_metric metric)
{
	const struct told_series id = {w->alias, w->version, metric, w->period_ms};

	for (size_t i = 0; i < e->n_series; i++) {
		if (same_series(&e->series[i].id, &id))
			return &e->series[i];
	}
	return NULL;
}

static void keep_point(struct series *s, const struct told_point *told, uint64_t number)
{
	size_t at = s->n_points;

	while (at > 0 && s->points[at - 1].start_unix_ms >= told->start_unix_ms)
		at--;
	if (at == s->n_points || s->points[at].start_unix_ms != told->start_unix_ms) {
		s->points = mem_grow(s->points, &s->cap_points, s->n_points + 1, sizeof(*s->points));
		memmove(&s->points[at + 1], &s->points[at], (s->n_points - at) * sizeof(*s->points));
		s->n_points++;
		s->points[at] = (struct point){told->start_unix_ms, told->value, number, false};
	} else if (s->points[at].value != told->value || s->points[at].doubtful) {
		s->points[at] = (struct point){told->start_unix_ms, told->value, number, false};
	}
}

void evidence_take(struct evidence *e, const struct delivery *d, int64_t at_unix_ms)
{
	e->number++;
	for (size_t i = 0; i < d->n_told; i++) {
		const struct told *t = &d->told[i];
		struct series *s = series_of(e, &t->series);

		for (size_t n = 0; s && n < t->n_points; n++)
			keep_point(s, &t->points[n], e->number);
		if (s && t->complete) {
			s->reaches = mem_grow(s->reaches, &s->cap_reaches, s->n_reaches + 1, sizeof(*s->reaches));
			s->reaches[s->n_reaches++] = (struct reach){e->number, at_unix_ms, d->end_unix_ms, false};
		}
	}
}

void evidence_durable(struct evidence *e)
{
	e->durable = e->number;
}

void evidence_forget(struct evidence *e, unsigned alias)
{
	for (size_t i = 0; i < e->n_series; i++) {
		if (e->series[i].id.alias == alias)
			e->series[i].n_points = 0;
	}
}

void evidence_crash(struct evidence *e)
{
	for (size_t i = 0; i < e->n_series; i++) {
		for (size_t n = 0; n < e->series[i].n_points; n++) {
			struct point *p = &e->series[i].points[n];

			p->doubtful = p->doubtful || p->number > e->durable;
		}
		for (size_t n = 0; n < e->series[i].n_reaches; n++) {
			struct reach *r = &e->series[i].reaches[n];

			r->doubtful = r->doubtful || r->number > e->durable;
		}
	}
}

/* --- asking --- */

static double sum(const struct series *s, const struct evidence_window *w, bool firm)
{
	double n = 0;

	for (size_t i = 0; s && i < s->n_points; i++) {
		const struct point *p = &s->points[i];

		if (p->start_unix_ms >= w->from_unix_ms && p->start_unix_ms + w->period_ms <= w->until_unix_ms &&
		    !(firm && p->doubtful))
			n += p->value;
	}
	return n;
}

struct evidence_counts evidence_count(const struct evidence *e, const struct evidence_window *w, bool firm)
{
	return (struct evidence_counts){.invocations =
					    (uint64_t)(sum(find_series(e, w, TOLD_INVOCATIONS), w, firm) + 0.5),
					.errors = (uint64_t)(sum(find_series(e, w, TOLD_ERRORS), w, firm) + 0.5)};
}

/* NULL: nothing was told of it. */
static const struct point *find_point(const struct series *s, int64_t start_unix_ms)
{
	size_t low = 0, high = s ? s->n_points : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->points[mid].start_unix_ms < start_unix_ms)
			low = mid + 1;
		else
			high = mid;
	}
	return s && low < s->n_points && s->points[low].start_unix_ms == start_unix_ms ? &s->points[low] : NULL;
}

enum told_how evidence_value(const struct evidence *e, enum told_metric metric, const struct evidence_window *w,
			     double *ret)
{
	const struct point *p = find_point(find_series(e, w, metric), w->from_unix_ms);

	if (!p)
		return TOLD_NOTHING;
	*ret = p->value;
	return p->doubtful ? TOLD_DOUBTFUL : TOLD_FIRM;
}

int64_t evidence_complete_through(const struct evidence *e, unsigned alias, unsigned version, int64_t period_ms,
				  int64_t not_before_unix_ms, bool firm)
{
	const struct evidence_window w = {alias, version, period_ms, 0, 0};
	int64_t through = INT64_MAX;

	for (int metric = TOLD_INVOCATIONS; metric <= TOLD_ERRORS; metric++) {
		const struct series *s = find_series(e, &w, (enum told_metric)metric);
		int64_t most = 0;

		for (size_t i = 0; s && i < s->n_reaches; i++) {
			const struct reach *r = &s->reaches[i];

			if (r->at_unix_ms >= not_before_unix_ms && r->through_unix_ms > most && !(firm && r->doubtful))
				most = r->through_unix_ms;
		}
		through = most < through ? most : through;
	}
	return through;
}
