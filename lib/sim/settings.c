/* Settings besides functions: metrics, limits, faults, traffic, keys, alarms. */
#include "sim/settings.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/dispatch.h"
#include "sim/reader.h"
#include "sim/traffic.h"

#define POLICY_TEXT_MAX (64 * 1024)

bool settings_metrics(struct world *w, const struct node *n, struct diags *d)
{
	static const char *const keys[] = {"period",	       "delay",		  "jitter", "late",
					   "executed_version", "page_datapoints", NULL};
	static const char *const late_keys[] = {"share", "by", NULL};
	static const char *const series[] = {"weighted", "always", NULL};
	struct metrics_settings s = w->metrics.settings;
	size_t before = d->errors, executed = s.executed_version_always;
	uint64_t page = s.page_datapoints;
	if (!reader_mapping(n, "metrics", keys, d))
		return false;
	const struct node *period = node_get(n, "period"), *late = node_get(n, "late");
	reader_duration(period, MS_PER_HOUR, &s.period_ms, d);
	if (s.period_ms < 1000 || s.period_ms % 1000)
		reader_error(period, d, "`period` must be whole seconds, at least 1s");
	reader_duration(node_get(n, "delay"), MS_PER_DAY, &s.delay_ms, d);
	reader_duration(node_get(n, "jitter"), MS_PER_DAY, &s.jitter_ms, d);
	if (late && reader_mapping(late, "late", late_keys, d)) {
		reader_share(node_get(late, "share"), &s.late_share, d);
		reader_duration(node_get(late, "by"), MS_PER_DAY, &s.late_by_ms, d);
	}
	reader_choice(node_get(n, "executed_version"), series, &executed, d);
	reader_count(node_get(n, "page_datapoints"), 0, 100800, &page, d);
	if (d->errors != before)
		return false;
	s.executed_version_always = executed;
	s.page_datapoints = (uint32_t)page;
	w->metrics.settings = s;
	return true;
}

bool settings_limits(struct world *w, const struct node *n, struct diags *d)
{
	const char *keys[RATE_N];
	double rates[RATE_N];
	size_t before = d->errors;
	if (n->kind == NODE_SCALAR && (strcmp(n->text, "off") == 0 || strcmp(n->text, "aws") == 0)) {
		struct rates aws;
		rates_init(&aws);
		for (size_t i = RATE_NONE + 1; i < RATE_N; i++)
			rates_set(&w->rates, (enum rate_group)i, n->text[0] == 'o' ? 0 : aws.per_second[i]);
		rates_deinit(&aws);
		return true;
	}
	for (size_t i = RATE_NONE + 1; i < RATE_N; i++)
		keys[i - 1] = rates_name((enum rate_group)i);
	keys[RATE_N - 1] = NULL;
	if (!reader_mapping(n, "limits (requests a second; 0: none)", keys, d))
		return false;
	for (size_t i = RATE_NONE + 1; i < RATE_N; i++) {
		rates[i] = w->rates.per_second[i];
		reader_number(node_get(n, keys[i - 1]), 0, 1e6, &rates[i], d);
	}
	if (d->errors != before)
		return false;
	for (size_t i = RATE_NONE + 1; i < RATE_N; i++)
		if (node_get(n, keys[i - 1]))
			rates_set(&w->rates, (enum rate_group)i, rates[i]);
	return true;
}

/* --- gauges --- */

struct gauge_wish {
	const char *namespace, *name;
	struct dimension dimensions[METRICS_DIMENSIONS_MAX];
	size_t n;
	double value;
};

static void read_dimensions(const struct node *n, struct gauge_wish *ret, struct diags *d)
{
	if (!n)
		return;
	if (n->kind != NODE_MAPPING || n->n_children > METRICS_DIMENSIONS_MAX) {
		reader_error(n, d, "`dimensions` must be {NAME: VALUE}, at most %d of them", METRICS_DIMENSIONS_MAX);
		return;
	}
	for (const struct node *one = n->first; one; one = one->next) {
		const char *value = "";
		reader_text(one, 1024, &value, d);
		ret->dimensions[ret->n++] = (struct dimension){.name = one->key, .value = value};
	}
}

static bool read_gauge(const struct node *n, struct gauge_wish *ret, struct diags *d)
{
	static const char *const keys[] = {"namespace", "metric", "dimensions", "value", NULL};
	size_t before = d->errors;
	*ret = (struct gauge_wish){.value = NAN};
	if (!reader_mapping(n, "a gauge", keys, d))
		return false;
	const struct node *value = node_get(n, "value");
	reader_text(node_get(n, "namespace"), 255, &ret->namespace, d);
	reader_text(node_get(n, "metric"), 255, &ret->name, d);
	read_dimensions(node_get(n, "dimensions"), ret, d);
	if (value && !node_is_null(value))
		reader_number(value, -1e300, 1e300, &ret->value, d);
	if (d->errors == before && (!ret->namespace || !*ret->namespace || !ret->name || !*ret->name))
		reader_error(n, d, "a gauge needs `namespace` and `metric`");
	else if (ret->namespace && text_starts_with(ret->namespace, "AWS/"))
		reader_error(n, d, "the namespaces AWS/… are the world's own");
	return d->errors == before;
}

bool settings_gauges(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	struct gauge_wish wish;
	if (!reader_sequence(n, "a list of {namespace, metric, value}", d))
		return false;
	for (const struct node *item = n->first; item; item = item->next)
		(void)read_gauge(item, &wish, d);
	for (const struct node *item = n->first; item && d->errors == before; item = item->next) {
		struct gauge *g;
		if (!read_gauge(item, &wish, d))
			break;
		g = gauges_put(&w->gauges, wish.namespace, wish.name, wish.dimensions, wish.n);
		if (g)
			gauges_set(&w->gauges, &w->metrics, g, wish.value, w->now_ms);
		else
			reader_error(item, d, "there are %d gauges already, the most there may be", GAUGES_MAX);
	}
	return d->errors == before;
}

/* --- faults --- */

static bool applied_by_itself(enum fault_kind k)
{
	return k == FAULT_GARBAGE || k == FAULT_TRUNCATED;
}

static void read_fault_op(const struct node *n, enum fault_kind kind, const char **ret, struct diags *d)
{
	const struct node *op = node_get(n, "op");
	const char *names[DISPATCH_NAMES_MAX];
	size_t index;
	dispatch_names(names);
	*ret = fault_kind_is_metrics(kind) ? "*" : NULL;
	if (op && op->kind == NODE_SCALAR && strcmp(op->text, "*") == 0)
		*ret = "*";
	else if (op && reader_choice(op, names, &index, d))
		*ret = names[index];
	else if (!op && !*ret)
		reader_error(n, d, "a fault needs `op`: an operation's name, or \"*\"");
	if (kind == FAULT_STALE && *ret && strcmp(*ret, "GetAlias") != 0)
		reader_error(op ? op : n, d, "`stale` is a fault of GetAlias alone");
}

/* Fills numbers and flags; the strings are left to the caller. */
static bool read_fault(const struct node *n, struct fault *f, const char *texts[5], struct diags *d)
{
	static const char *const keys[] = {"op",      "fault",	    "function", "alias",       "metric",
					   "version", "delay",	    "times",	"probability", "nth",
					   "from",    "connection", "applied",	"within",      NULL};
	static const char *const connections[] = {"hang", "close", NULL};
	const char *kinds[FAULT_N + 1];
	size_t kind = 0, closes = 0, before = d->errors;
	uint64_t times = 0, from = 1;
	for (size_t i = 0; i < FAULT_N; i++)
		kinds[i] = fault_kind_name((enum fault_kind)i);
	kinds[FAULT_N] = NULL;
	if (!reader_mapping(n, "a fault", keys, d))
		return false;
	if (!node_get(n, "fault")) {
		reader_error(n, d, "a fault needs `fault`: what goes wrong");
		return false;
	}
	if (!reader_choice(node_get(n, "fault"), kinds, &kind, d))
		return false;
	*f = (struct fault){
	    .kind = (enum fault_kind)kind, .probability = 1, .times = -1, .delay_ms = 1000, .within_ms = INT64_MAX};
	f->applied = applied_by_itself(f->kind);
	read_fault_op(n, f->kind, &texts[0], d);
	reader_text(node_get(n, "function"), LIMIT_FUNCTION_NAME, &texts[1], d);
	reader_text(node_get(n, "alias"), LIMIT_ALIAS_NAME, &texts[2], d);
	reader_text(node_get(n, "metric"), 255, &texts[3], d);
	reader_text(node_get(n, "version"), 20, &texts[4], d);
	reader_duration(node_get(n, "delay"), MS_PER_DAY, &f->delay_ms, d);
	reader_duration(node_get(n, "within"), MS_PER_DAY, &f->within_ms, d);
	reader_share(node_get(n, "probability"), &f->probability, d);
	reader_count(node_get(n, "from"), 1, UINT32_MAX, &from, d);
	reader_bool(node_get(n, "applied"), &f->applied, d);
	reader_choice(node_get(n, "connection"), connections, &closes, d);
	if (node_get(n, "times") && reader_count(node_get(n, "times"), 1, UINT32_MAX, &times, d))
		f->times = (int64_t)times;
	if (node_get(n, "nth") && reader_count(node_get(n, "nth"), 1, UINT32_MAX, &from, d))
		f->times = 1;
	f->from_call = from;
	f->close = closes;
	return d->errors == before;
}

bool settings_faults(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	if (!reader_sequence(n, "a list of faults", d))
		return false;
	/* Twice, so that nothing is added when any of them is bad. */
	for (int adding = 0; adding < 2 && d->errors == before; adding++)
		for (const struct node *item = n->first; item; item = item->next) {
			struct fault f;
			const char *texts[5] = {NULL};
			if (!read_fault(item, &f, texts, d) || !adding)
				continue;
			f.op = mem_strdup(texts[0]);
			f.function = mem_strdup(texts[1]);
			f.alias = mem_strdup(texts[2]);
			f.metric = mem_strdup(texts[3]);
			f.version = mem_strdup(texts[4]);
			if (!faults_add(&w->faults, &f))
				reader_error(item, d, "there are %d faults already, the most there may be", FAULTS_MAX);
		}
	return d->errors == before;
}

/* --- traffic --- */

struct traffic_wish {
	const char *function, *alias;
	double rps;
	bool even;
	uint64_t users;
};

static bool read_traffic(const struct world *w, const struct node *n, struct traffic_wish *ret, struct diags *d)
{
	static const char *const keys[] = {"function", "alias", "rps", "arrival", "users", NULL};
	static const char *const arrivals[] = {"poisson", "even", NULL};
	size_t even = 0, before = d->errors;
	*ret = (struct traffic_wish){.users = 1000};
	if (!reader_mapping(n, "traffic", keys, d))
		return false;
	for (size_t i = 0; i < 3; i++)
		if (!node_get(n, keys[i]))
			reader_error(n, d, "traffic needs `%s`", keys[i]);
	reader_text(node_get(n, "function"), LIMIT_FUNCTION_NAME, &ret->function, d);
	reader_text(node_get(n, "alias"), LIMIT_ALIAS_NAME, &ret->alias, d);
	reader_number(node_get(n, "rps"), 0, 100000, &ret->rps, d);
	reader_choice(node_get(n, "arrival"), arrivals, &even, d);
	reader_count(node_get(n, "users"), 1, USERS_MAX, &ret->users, d);
	ret->even = even;
	if (d->errors != before)
		return false;
	if (text_ends_with(ret->function, "*"))
		return true;
	const struct function *f = model_function(w, ret->function);
	if (!f || !model_alias(f, ret->alias)) {
		reader_error(n, d, f ? "function %s has no alias `%s`" : "there is no function %s with an alias `%s`",
			     ret->function, ret->alias);
		return false;
	}
	return true;
}

/* "bench-*" stands for every function whose name begins so and that has the alias. */
static bool apply_traffic(struct world *w, const struct traffic_wish *t)
{
	if (!text_ends_with(t->function, "*"))
		return traffic_set(w, t->function, t->alias, t->rps, t->even, t->users);
	bool good = true;
	size_t len = strlen(t->function) - 1;
	for (size_t i = 0; i < w->functions.len && good; i++) {
		const struct function *f = w->functions.entries[i].value;
		if (strncmp(f->name, t->function, len) == 0 && model_alias(f, t->alias))
			good = traffic_set(w, f->name, t->alias, t->rps, t->even, t->users);
	}
	return good;
}

bool settings_traffic(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	struct traffic_wish t;
	if (!reader_sequence(n, "a list of {function, alias, rps}", d))
		return false;
	for (const struct node *item = n->first; item; item = item->next)
		(void)read_traffic(w, item, &t, d);
	for (const struct node *item = n->first; item && d->errors == before; item = item->next)
		if (read_traffic(w, item, &t, d) && !apply_traffic(w, &t))
			reader_error(item, d, "there is traffic for %d aliases already, the most there may be",
				     TRAFFIC_MAX);
	return d->errors == before;
}

/* --- keys --- */

struct key_wish {
	const char *id, *secret, *token, *policy;
	bool expired;
};

static bool read_key(const struct node *n, struct key_wish *ret, struct diags *d)
{
	static const char *const keys[] = {"id", "secret", "token", "policy", "expired", NULL};
	size_t before = d->errors;
	*ret = (struct key_wish){0};
	if (!reader_mapping(n, "a key", keys, d))
		return false;
	reader_text(node_get(n, "id"), 127, &ret->id, d);
	reader_text(node_get(n, "secret"), 255, &ret->secret, d);
	reader_text(node_get(n, "token"), 4096, &ret->token, d);
	reader_text(node_get(n, "policy"), POLICY_TEXT_MAX, &ret->policy, d);
	reader_bool(node_get(n, "expired"), &ret->expired, d);
	json_t *policy = ret->policy ? json_loads(ret->policy, 0, NULL) : NULL;
	const json_t *statements = json_object_get(policy, "Statement");
	if (ret->policy && !json_is_array(statements) && !json_is_object(statements))
		reader_error(node_get(n, "policy"), d,
			     "`policy` must be an IAM policy in JSON, with a statement or a list of them");
	json_decref(policy);
	if (d->errors == before && (!ret->id || !*ret->id || (!ret->secret && !ret->expired)))
		reader_error(n, d, "a key needs `id` and `secret`");
	return d->errors == before;
}

static void apply_rights(struct access_key *key, const struct key_wish *k)
{
	key->expired = k->expired;
	json_decref(key->policy);
	key->policy = k->policy ? json_loads(k->policy, 0, NULL) : NULL;
}

static void apply_key(struct world *w, const struct key_wish *k)
{
	if (k->secret)
		world_add_key(w, k->id, k->secret, k->token);
	for (size_t i = 0; i < w->n_keys; i++)
		if (strcmp(w->keys[i].id, k->id) == 0)
			apply_rights(&w->keys[i], k);
}

bool settings_keys(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	struct key_wish k;
	if (!reader_sequence(n, "a list of {id, secret}", d))
		return false;
	for (const struct node *item = n->first; item; item = item->next)
		(void)read_key(item, &k, d);
	for (const struct node *item = n->first; item && d->errors == before; item = item->next)
		if (read_key(item, &k, d))
			apply_key(w, &k);
	return d->errors == before;
}

/* --- alarms --- */

struct alarm_wish {
	const char *name, *reason;
	bool composite;
	size_t state;
};

static struct alarm *new_alarm(const struct alarm_wish *wish)
{
	struct alarm *a = mem_alloc(sizeof(*a));
	a->name = mem_strdup(wish->name);
	a->composite = wish->composite;
	a->as_put = json_pack("{s:b, s:[], s:[], s:[]}", "ActionsEnabled", 1, "OKActions", "AlarmActions",
			      "InsufficientDataActions");
	require(a->as_put);
	if (wish->composite)
		json_object_set_new(a->as_put, "AlarmRule", json_string("FALSE"));
	return a;
}

static bool read_alarm(const struct node *n, struct alarm_wish *ret, struct diags *d)
{
	static const char *const keys[] = {"name", "state", "reason", "composite", NULL};
	static const char *const states[] = {"OK", "ALARM", "INSUFFICIENT_DATA", NULL};
	size_t before = d->errors;
	*ret = (struct alarm_wish){.reason = "Set through rollout-localaws", .state = ALARM_VALUE_OK};
	if (!reader_mapping(n, "an alarm", keys, d))
		return false;
	reader_text(node_get(n, "name"), LIMIT_ALARM_NAME, &ret->name, d);
	reader_text(node_get(n, "reason"), 1023, &ret->reason, d);
	reader_bool(node_get(n, "composite"), &ret->composite, d);
	reader_choice(node_get(n, "state"), states, &ret->state, d);
	if (d->errors == before && (!ret->name || !*ret->name))
		reader_error(n, d, "an alarm needs `name`");
	return d->errors == before;
}

/* An alarm that is made here has no metric: its state is what it is set to. */
bool settings_alarms(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	struct alarm_wish wish;
	if (!reader_sequence(n, "a list of {name, state}", d))
		return false;
	for (const struct node *item = n->first; item; item = item->next)
		(void)read_alarm(item, &wish, d);
	for (const struct node *item = n->first; item && d->errors == before; item = item->next) {
		if (!read_alarm(item, &wish, d))
			break;
		if (!alarms_find(&w->alarms, wish.name) && !alarms_put(&w->alarms, new_alarm(&wish), w->now_ms))
			reader_error(item, d, "there are %d alarms already, the most there may be", ALARMS_MAX);
		else
			alarm_set_state(alarms_find(&w->alarms, wish.name), (enum alarm_value)wish.state, wish.reason,
					NULL, w->now_ms);
	}
	return d->errors == before;
}
