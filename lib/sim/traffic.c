#include "sim/traffic.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* What one slice or one call brings to the series of one set of dimensions. */
struct batch {
	struct stat invocations[2]; /* prompt, late */
	struct stat errors[2];
	struct stat throttles[2];
	struct stat duration[2];
	struct cells cells;
	/* The last request, as often as it came in a row: counted when another one comes. */
	struct request_result last;
	bool last_late;
	uint64_t times;
};

static void batch_count(struct batch *b)
{
	const struct request_result *r = &b->last;
	bool late = b->last_late;
	if (!b->times || r->refused)
		return;
	if (r->throttled) {
		stat_add(&b->throttles[late], 1, b->times);
		return;
	}
	stat_add(&b->invocations[late], 1, b->times);
	stat_add(&b->errors[late], r->failed ? 1 : 0, b->times);
	stat_add(&b->throttles[late], 0, b->times);
	stat_add(&b->duration[late], r->duration_ms, b->times);
	cells_add(&b->cells, r->duration_ms, b->times);
}

static void batch_add(struct batch *b, const struct request_result *r, bool late)
{
	const struct request_result *l = &b->last;
	if (b->times && l->refused == r->refused && l->throttled == r->throttled && l->failed == r->failed &&
	    l->duration_ms == r->duration_ms && b->last_late == late) {
		b->times++;
		return;
	}
	batch_count(b);
	b->last = *r;
	b->last_late = late;
	b->times = 1;
}

static void record_one(struct metrics *m, struct series **slot, const char *name, const char *unit,
		       const struct dimension *dimensions, size_t n, int64_t at_ms, const struct stat both[2],
		       const struct cells *cells)
{
	if (!both[0].n && !both[1].n)
		return;
	if (!*slot)
		*slot = metrics_series(m, "AWS/Lambda", name, unit, dimensions, n, true);
	if (*slot)
		metrics_record(m, *slot, at_ms, m->settings.period_ms, &both[0], &both[1], cells);
}

static void record_batch(struct metrics *m, struct lambda_series *to, const struct dimension *dimensions, size_t n,
			 int64_t at_ms, const struct batch *b)
{
	record_one(m, &to->invocations, "Invocations", "Count", dimensions, n, at_ms, b->invocations, NULL);
	record_one(m, &to->errors, "Errors", "Count", dimensions, n, at_ms, b->errors, NULL);
	record_one(m, &to->throttles, "Throttles", "Count", dimensions, n, at_ms, b->throttles, NULL);
	record_one(m, &to->duration, "Duration", "Milliseconds", dimensions, n, at_ms, b->duration, &b->cells);
}

static struct lambda_series *executed_series(struct alias *a, uint64_t version)
{
	for (size_t i = 0; i < a->n_executed; i++)
		if (a->executed[i].version == version)
			return &a->executed[i].series;
	a->executed = mem_grow(a->executed, &a->executed_cap, a->n_executed + 1, sizeof(*a->executed));
	a->executed[a->n_executed] = (struct executed_series){.version = version};
	return &a->executed[a->n_executed++].series;
}

/*
 * The sets of dimensions that Lambda publishes: {FunctionName}; {FunctionName, Resource}; and, for invocations through
 * an alias, {FunctionName, Resource, ExecutedVersion}. `resource` is "fn", "fn:7" or "fn:alias".
 */
static void record_dimensions(struct world *w, struct function *f, struct alias *a, const struct version *v,
			      int64_t at_ms, const struct batch *b)
{
	char number[24], resource[LIMIT_FUNCTION_NAME + LIMIT_ALIAS_NAME + 2];
	version_format(v->number, number);
	if (a)
		snprintf(resource, sizeof(resource), "%s:%s", f->name, a->name);
	else if (v->number == VERSION_LATEST)
		snprintf(resource, sizeof(resource), "%s", f->name);
	else
		snprintf(resource, sizeof(resource), "%s:%s", f->name, number);
	const struct dimension dimensions[] = {
	    {"FunctionName", f->name}, {"Resource", resource}, {"ExecutedVersion", number}};
	record_batch(&w->metrics, &f->series, dimensions, 1, at_ms, b);
	struct lambda_series unnamed = {0};
	record_batch(&w->metrics, a ? &a->series : &unnamed, dimensions, 2, at_ms, b);
	if (a && (a->now.extra_version || w->metrics.settings.executed_version_always))
		record_batch(&w->metrics, executed_series(a, v->number), dimensions, 3, at_ms, b);
}

void traffic_count(struct world *w, struct function *f, struct alias *a, const struct version *v, int64_t at_ms,
		   uint64_t requests, uint64_t errors)
{
	struct batch b = {0};
	if (!requests)
		return;
	require(errors <= requests);
	stat_add(&b.invocations[0], 1, requests);
	stat_add(&b.errors[0], 0, requests - errors);
	stat_add(&b.errors[0], 1, errors);
	stat_add(&b.throttles[0], 0, requests);
	stat_add(&b.duration[0], 1, requests);
	cells_add(&b.cells, 1, requests);
	record_dimensions(w, f, a, v, at_ms, &b);
	cells_deinit(&b.cells);
}

/* Box and Muller: https://doi.org/10.1214/aoms/1177706645 */
static double draw_normal(struct prng *p)
{
	double u = 1 - prng_unit(p); /* not 0 */
	return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * prng_unit(p));
}

/* Log-normal with the given median and 99th percentile; rounded to two digits, so that few distinct values arise. */
static double draw_latency_ms(const struct behaviour *b, struct prng *p)
{
	if (!(b->latency_median_ms > 0))
		return 0;
	double sigma = b->latency_p99_ms > b->latency_median_ms
			   ? log(b->latency_p99_ms / b->latency_median_ms) / 2.3263478740408408
			   : 0;
	double ms = sigma > 0 ? b->latency_median_ms * exp(sigma * draw_normal(p)) : b->latency_median_ms;
	double unit = pow(10, floor(log10(ms)) - 1);
	return sigma > 0 ? round(ms / unit) * unit : ms;
}

static bool errors_begun(const struct behaviour *b, const struct usage *u, int64_t at_ms)
{
	return u->requests >= b->errors_after_requests &&
	       (!b->errors_after_ms || (u->first_ms && at_ms - u->first_ms >= b->errors_after_ms));
}

static void count(struct usage *u, int64_t at_ms, bool failed, const uint64_t *user)
{
	u->requests++;
	if (!u->first_ms)
		u->first_ms = at_ms;
	u->last_ms = at_ms;
	if (user)
		user_set_add(&u->users, *user);
	if (!failed)
		return;
	u->errors++;
	if (!u->first_error_ms)
		u->first_error_ms = at_ms;
	u->last_error_ms = at_ms;
	if (user)
		user_set_add(&u->error_users, *user);
}

/* Draws how the version answers, and counts it. */
static void serve(struct version *v, struct prng *p, int64_t at_ms, const uint64_t *user, struct request_result *ret)
{
	/* The code of old serves until an update is done. */
	const struct behaviour *b = v->before ? &v->before->behaviour : &v->behaviour;
	struct usage *u = &v->usage;
	*ret = (struct request_result){.version = v, .refused = v->state != STATE_ACTIVE};
	if (ret->refused) {
		count(u, at_ms, true, user);
		return;
	}
	if (b->throttle_rate > 0 && prng_unit(p) < b->throttle_rate) {
		ret->throttled = true;
		u->throttles++;
		return;
	}
	ret->failed = b->error_rate > 0 && errors_begun(b, u, at_ms) && prng_unit(p) < b->error_rate;
	ret->duration_ms = draw_latency_ms(b, p) + (u->requests < b->init_requests ? (double)b->init_ms : 0);
	count(u, at_ms, ret->failed, user);
}

static struct version *choose(struct function *f, const struct alias *a, struct prng *p)
{
	uint64_t number = a->now.version;
	if (a->now.extra_version && prng_unit(p) < a->now.extra_weight)
		number = a->now.extra_version;
	return model_version(f, number);
}

static bool draw_late(struct world *w, struct prng *p)
{
	return w->metrics.settings.late_share > 0 && prng_unit(p) < w->metrics.settings.late_share;
}

void traffic_invoke(struct world *w, struct function *f, struct alias *alias, struct version *version,
		    const uint64_t *user, struct request_result *ret)
{
	struct version *v = alias ? choose(f, alias, &w->invoke) : version;
	/* Deleting a version that an alias names is refused. */
	require(v);
	serve(v, &w->invoke, w->now_ms, user, ret);
	if (user)
		user_set_add(&f->users, *user);
	struct batch b = {0};
	batch_add(&b, ret, draw_late(w, &w->invoke));
	batch_count(&b);
	record_dimensions(w, f, alias, v, w->now_ms, &b);
	cells_deinit(&b.cells);
}

/* Knuth's method, in chunks so that exp() does not underflow: The Art of Computer Programming 2, 3.4.1. */
static uint64_t draw_poisson(struct prng *p, double mean)
{
	uint64_t n = 0;
	while (mean > 0) {
		double part = mean > 16 ? 16 : mean;
		double limit = exp(-part), product = prng_unit(p);
		while (product > limit) {
			product *= prng_unit(p);
			n++;
		}
		mean -= part;
	}
	return n;
}

static uint64_t draw_arrivals(struct traffic *t, int64_t slice_ms)
{
	double mean = t->rps * (double)slice_ms / 1000;
	if (!t->even)
		return draw_poisson(&t->prng, mean);
	t->owed += mean;
	double whole = floor(t->owed + 1e-9);
	t->owed -= whole;
	return (uint64_t)whole;
}

static void traffic_slice(struct world *w, struct traffic *t, int64_t start_ms)
{
	struct function *f = model_function(w, t->function);
	struct alias *a = f ? model_alias(f, t->alias) : NULL;
	uint64_t n = draw_arrivals(t, w->slice_ms);
	if (!a || !n)
		return;
	model_settle(w, f);
	/* One alias sends to at most two versions, so two batches do. */
	struct batch batches[2] = {0};
	struct version *versions[2] = {model_version(f, a->now.version),
				       a->now.extra_version ? model_version(f, a->now.extra_version) : NULL};
	if (f->n_users < t->users)
		f->n_users = t->users;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t user = prng_below(&t->prng, t->users);
		struct version *v = choose(f, a, &t->prng);
		require(v);
		struct request_result r;
		serve(v, &t->prng, start_ms, &user, &r);
		user_set_add(&f->users, user);
		batch_add(&batches[v != versions[0]], &r, draw_late(w, &t->prng));
	}
	for (size_t i = 0; i < array_len(batches); i++) {
		batch_count(&batches[i]);
		if (versions[i])
			record_dimensions(w, f, a, versions[i], start_ms, &batches[i]);
		cells_deinit(&batches[i].cells);
	}
}

void traffic_tick(struct world *w, int64_t start_ms)
{
	for (size_t i = 0; i < w->n_traffic; i++)
		if (w->traffic[i].rps > 0)
			traffic_slice(w, &w->traffic[i], start_ms);
}

static uint64_t mix_seed(uint64_t seed, const char *function, const char *alias)
{
	for (const char *s = function; *s; s++)
		seed = (seed ^ (unsigned char)*s) * 1099511628211u;
	seed = (seed ^ ':') * 1099511628211u;
	for (const char *s = alias; *s; s++)
		seed = (seed ^ (unsigned char)*s) * 1099511628211u;
	return seed;
}

bool traffic_set(struct world *w, const char *function, const char *alias, double rps, bool even, uint64_t users)
{
	struct traffic *t = NULL;
	for (size_t i = 0; i < w->n_traffic && !t; i++)
		if (strcmp(w->traffic[i].function, function) == 0 && strcmp(w->traffic[i].alias, alias) == 0)
			t = &w->traffic[i];
	if (!t) {
		if (w->n_traffic >= TRAFFIC_MAX)
			return false;
		w->traffic = mem_grow(w->traffic, &w->traffic_cap, w->n_traffic + 1, sizeof(*w->traffic));
		t = &w->traffic[w->n_traffic++];
		*t = (struct traffic){.function = mem_strdup(function), .alias = mem_strdup(alias)};
		/* A stream of its own: one alias's traffic does not depend on another's. */
		prng_init(&t->prng, mix_seed(w->seed, function, alias));
	}
	t->rps = rps;
	t->even = even;
	t->users = users;
	return true;
}
