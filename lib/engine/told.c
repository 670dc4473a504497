/*
 * What the flight recorder kept of one attempt, told as JSON: GET /v1/rollouts/NAME/record. Everything comes from the
 * store, so it is what has become durable; only the state of a live rollout is that in memory.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/nesting.h"
#include "base/text.h"
#include "engine/chain.h"

#define RECORD_FORMAT 1

struct telling {
	struct engine *e;
	uint64_t attempt; /* wanted; 0: the newest */
	uint64_t id;	  /* of the row that was found; 0: none */
	json_t *form;
	json_t *items;	/* of the list at hand */
	size_t n;	/* rows met */
	size_t bytes;	/* of the judgements */
	size_t stride;	/* of the judgements that are nothing new, every so many is told */
	size_t omitted; /* judgements that are not */
	char last[64];	/* verdict, gap and step of the one before */
};

/* Values are built of valid text, so a refusal means that memory ran out. */
static void set(json_t *object, const char *key, json_t *value)
{
	require(json_object_set_new(object, key, value) == 0);
}

static void append(json_t *array, json_t *value)
{
	require(json_array_append_new(array, value) == 0);
}

/* What a damaged database holds may be anything. */
static json_t *make_text(const char *s)
{
	json_t *j = json_string(s);

	if (j)
		return j;
	size_t size = strlen(s) + 1;
	char *copy cleanup(mem_free_p) = mem_alloc(size);

	text_copy_printable(copy, size, s);
	return json_string(copy);
}

static json_t *make_time(int64_t unix_ms)
{
	char text[32];

	if (unix_ms <= 0 || unix_ms > RECORD_MS_MAX)
		return json_null();
	text_format_utc(unix_ms, text);
	return json_string(text);
}

/* Text that was JSON when it was stored; null when it is none any more. */
static json_t *make_parsed(const char *text)
{
	size_t len = strlen(text);
	json_t *j =
	    nesting_exceeds(text, len, LIMIT_JSON_DEPTH) ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	return j ? j : json_null();
}

/* --- metrics in words --- */

static void format_limits(const struct spec_metric *m, char *out, size_t size)
{
	char max[32] = "", ratio[48] = "";

	if (m->max_us > 0)
		(void)snprintf(max, sizeof(max), "%g ms", m->max_us / 1e3);
	if (m->max_ratio_permille > 0)
		(void)snprintf(ratio, sizeof(ratio), "%g times the stable version's", m->max_ratio_permille / 1e3);
	(void)snprintf(out, size, "%s of the canary's requests: at most %s%s%s", m->stat, max,
		       max[0] && ratio[0] ? " and at most " : "", ratio);
}

static void format_range(const struct spec_metric *m, char *out, size_t size)
{
	char min[48] = "", max[48] = "";

	if (m->has_min)
		(void)snprintf(min, sizeof(min), "at least %g", m->min);
	if (m->has_max)
		(void)snprintf(max, sizeof(max), "at most %g", m->max);
	(void)snprintf(out, size, "the query %s: %s%s%s", m->returns, min, min[0] && max[0] ? ", " : "", max);
}

/* "errors of the canary: at most 5% of its requests". */
static void format_metric(const struct spec_metric *m, char *out, size_t size)
{
	char rate[16];

	text_format_ppm(m->kind == SPEC_METRIC_COMPARE ? m->false_alarm_ppm : m->max_rate_ppm, rate);
	switch (m->kind) {
	case SPEC_METRIC_ERRORS:
		(void)snprintf(out, size, "errors of the canary: at most %s of its requests", rate);
		break;
	case SPEC_METRIC_COMPARE:
		(void)snprintf(out, size,
			       "errors of the canary compared with the stable version's: false alarms in at "
			       "most %s of rollouts",
			       rate);
		break;
	case SPEC_METRIC_THROTTLES:
		(void)snprintf(out, size, "throttled requests of the alias: at most %s", rate);
		break;
	case SPEC_METRIC_DURATION:
		format_limits(m, out, size);
		break;
	case SPEC_METRIC_API_5XX:
		(void)snprintf(out, size, "answers 5xx of stage %s of API %s: at most %s", m->stage, m->api, rate);
		break;
	case SPEC_METRIC_ALARM:
		(void)snprintf(out, size, "the alarm %s: not in state ALARM", m->alarm);
		break;
	case SPEC_METRIC_QUERY:
		format_range(m, out, size);
		break;
	}
}

/* Where its numbers are from. */
static const char *metric_source(const struct spec_metric *m)
{
	static const char *const sources[] = {
	    [SPEC_METRIC_ERRORS] = "AWS/Lambda Errors and Invocations by ExecutedVersion",
	    [SPEC_METRIC_COMPARE] = "AWS/Lambda Errors and Invocations by ExecutedVersion",
	    [SPEC_METRIC_THROTTLES] = "AWS/Lambda Throttles and Invocations of the alias",
	    [SPEC_METRIC_DURATION] = "AWS/Lambda Duration by ExecutedVersion",
	    [SPEC_METRIC_API_5XX] = "AWS/ApiGateway, answers and requests of the stage",
	    [SPEC_METRIC_ALARM] = "CloudWatch alarm",
	    [SPEC_METRIC_QUERY] = "CloudWatch query of the plan",
	};

	if (m->count_probes)
		return "AWS/Lambda Errors and Invocations by ExecutedVersion, and rolloutd's own probes";
	return sources[m->kind];
}

static const char *metric_kind(const struct spec_metric *m)
{
	static const char *const kinds[] = {
	    [SPEC_METRIC_ERRORS] = "errors",	   [SPEC_METRIC_COMPARE] = "compare",
	    [SPEC_METRIC_THROTTLES] = "throttles", [SPEC_METRIC_DURATION] = "duration",
	    [SPEC_METRIC_API_5XX] = "api_5xx",	   [SPEC_METRIC_ALARM] = "alarm",
	    [SPEC_METRIC_QUERY] = "query",
	};

	return kinds[m->kind];
}

static json_t *make_metrics(const struct spec_analysis *a)
{
	json_t *items = json_array();

	for (size_t n = 0; n < a->n_metrics; n++) {
		const struct spec_metric *m = &a->metrics[n];
		json_t *o = json_object();
		char text[512];

		format_metric(m, text, sizeof(text));
		set(o, "kind", json_string(metric_kind(m)));
		set(o, "text", make_text(text));
		set(o, "source", json_string(metric_source(m)));
		set(o, "dry_run", json_boolean(m->dry_run));
		set(o, "max_rate_ppm", m->max_rate_ppm > 0 ? json_integer(m->max_rate_ppm) : json_null());
		set(o, "false_alarm_ppm", m->false_alarm_ppm > 0 ? json_integer(m->false_alarm_ppm) : json_null());
		set(o, "max_ms", m->max_us > 0 ? json_real(m->max_us / 1e3) : json_null());
		set(o, "first_value", json_integer((json_int_t)spec_first_value(a, n)));
		set(o, "values", json_integer(spec_metric_values(m)));
		append(items, o);
	}
	return items;
}

/* --- lists --- */

static int tell_intent(void *ctx, const struct store_intent *i)
{
	struct telling *t = ctx;
	json_t *o = json_object();

	if (t->n++ >= LIMIT_TOLD_EVENTS)
		return 0;
	set(o, "seq", json_integer((json_int_t)i->seq));
	set(o, "at", make_time(i->unix_ms));
	set(o, "target", make_text(i->target));
	set(o, "revision", make_text(i->revision));
	append(t->items, o);
	return 0;
}

static int tell_event(void *ctx, const struct store_event *e)
{
	struct telling *t = ctx;

	append(t->items, form_event(e->id, e->name, e->rollout_id, e->unix_ms, e->kind, e->phase, e->text, e->by));
	return 0;
}

static json_t *make_pair(const int64_t counts[2])
{
	return counts[0] < 0 ? json_null() : json_pack("[I, I]", (json_int_t)counts[0], (json_int_t)counts[1]);
}

static int tell_sample(void *ctx, const struct store_sample *x)
{
	struct telling *t = ctx;
	json_t *o = json_object();

	set(o, "start_at", make_time(x->start_unix_ms));
	set(o, "read_at", make_time(x->read_unix_ms));
	set(o, "canary", make_pair(x->counts));
	set(o, "stable", make_pair(x->counts + 2));
	set(o, "alias", make_pair(x->counts + 4));
	if (x->probes[0] >= 0)
		set(o, "probe_canary", make_pair(x->probes));
	if (x->probes[2] >= 0)
		set(o, "probe_stable", make_pair(x->probes + 2));
	if (x->values)
		set(o, "values", make_parsed(x->values));
	append(t->items, o);
	return 0;
}

static int weigh_judgement(void *ctx, const struct store_judgement *j)
{
	struct telling *t = ctx;

	t->n++;
	t->bytes += 512 + strlen(j->detail) + strlen(j->text);
	return 0;
}

/* Whether it is told: the last one, and whatever differs from the one before, in any case. */
static bool is_told(struct telling *t, const struct store_judgement *j)
{
	char now[64];
	bool changed;

	(void)snprintf(now, sizeof(now), "%.20s %.20s %u", j->verdict, j->gap, (unsigned)j->step);
	changed = strcmp(now, t->last) != 0;
	memcpy(t->last, now, sizeof(now));
	t->n--;
	return changed || t->n % t->stride == 0; /* the last one has none behind it */
}

static int tell_judgement(void *ctx, const struct store_judgement *j)
{
	struct telling *t = ctx;
	json_t *o;

	if (!is_told(t, j)) {
		t->omitted++;
		return 0;
	}
	o = json_object();
	set(o, "seq", json_integer((json_int_t)j->seq));
	set(o, "at", make_time(j->unix_ms));
	set(o, "through_at", make_time(j->through_unix_ms));
	set(o, "step", json_integer(j->step));
	set(o, "weight_bp", json_integer(j->weight_bp));
	set(o, "verdict", make_text(j->verdict));
	set(o, "gap", make_text(j->gap));
	set(o, "metric", json_integer(j->metric));
	set(o, "text", make_text(j->text));
	set(o, "detail", make_parsed(j->detail));
	append(t->items, o);
	return 0;
}

static int tell_query(void *ctx, const struct store_query *x)
{
	struct telling *t = ctx;
	json_t *o = json_object();

	set(o, "at", make_time(x->unix_ms));
	set(o, "asks", make_parsed(x->text));
	append(t->items, o);
	return 0;
}

static void begin_list(struct telling *t, const char *key)
{
	t->items = json_array();
	t->n = 0;
	set(t->form, key, t->items);
}

static int tell_judgements(struct telling *t)
{
	struct store *s = t->e->store;
	int r;

	begin_list(t, "judgements");
	r = store_each_judgement(s, t->id, weigh_judgement, t);
	t->stride = t->bytes / LIMIT_TOLD_BYTES + 1;
	if (r == 0)
		r = store_each_judgement(s, t->id, tell_judgement, t);
	set(t->form, "judgements_omitted", json_integer((json_int_t)t->omitted));
	return r;
}

static int tell_lists(struct telling *t)
{
	struct store *s = t->e->store;
	int r;

	begin_list(t, "intents");
	r = store_each_intent(s, t->id, tell_intent, t);
	begin_list(t, "events");
	if (r == 0)
		r = store_each_event_of(s, t->id, LIMIT_TOLD_EVENTS, tell_event, t);
	begin_list(t, "samples");
	if (r == 0)
		r = store_each_sample(s, t->id, tell_sample, t);
	if (r == 0)
		r = tell_judgements(t);
	begin_list(t, "queries");
	return r == 0 ? store_each_query(s, t->id, tell_query, t) : r;
}

/* --- the rollout --- */

static void tell_view(void *ctx, const struct view_rollout *v)
{
	struct telling *t = ctx;

	set(t->form, "rollout", form_rollout(v, true));
	set(t->form, "metrics", v->unreadable ? json_array() : make_metrics(&v->spec->analysis));
}

static int tell_row(void *ctx, const struct store_rollout *r)
{
	struct telling *t = ctx;

	if (service_is_row(r) || (t->attempt != 0 && r->attempt != t->attempt))
		return 0;
	t->id = r->id;
	set(t->form, "format", json_integer(RECORD_FORMAT));
	set(t->form, "now", make_time(engine_now(t->e).unix_ms));
	view_of_row(t->e, r, tell_view, t);
	set(t->form, "plan", make_text(r->plan));
	set(t->form, "record", make_parsed(r->record));
	return 1; /* that was it */
}

static void keep_attempt(void *ctx, const struct view_rollout *v)
{
	*(uint64_t *)ctx = v->attempt;
}

enum engine_answer engine_record(struct engine *e, const char *name, uint64_t attempt, json_t **ret_form)
{
	struct telling t = {.e = e, .attempt = attempt, .form = json_object()};
	int r;

	if (attempt == 0)
		(void)engine_view(e, name, keep_attempt, &t.attempt);
	r = store_each_of_name(e->store, name, UINT32_MAX, tell_row, &t);
	if (t.id != 0)
		r = tell_lists(&t);
	if (t.id != 0 && r == 0) {
		*ret_form = t.form;
		return ENGINE_DONE;
	}
	json_decref(t.form);
	return r == 0 ? ENGINE_NO_SUCH : ENGINE_UNAVAILABLE;
}
