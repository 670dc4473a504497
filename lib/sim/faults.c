#include "sim/faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static const char *const kind_names[FAULT_N] = {
    [FAULT_THROTTLE] = "throttle",
    [FAULT_ERROR_500] = "error500",
    [FAULT_ERROR_503] = "error503",
    [FAULT_ACCESS_DENIED] = "access_denied",
    [FAULT_LOST_BEFORE] = "lost_before",
    [FAULT_LOST_AFTER] = "lost_after",
    [FAULT_LATE] = "late",
    [FAULT_TWICE] = "twice",
    [FAULT_DELAY] = "delay",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_HTML] = "html",
    [FAULT_TRUNCATED] = "truncated",
    [FAULT_RESET] = "reset",
    [FAULT_STALE] = "stale",
    [FAULT_METRICS_MISSING] = "metrics_missing",
    [FAULT_METRICS_PARTIAL] = "metrics_partial",
    [FAULT_METRICS_ERROR] = "metrics_error",
    [FAULT_METRICS_DELAY] = "metrics_delay",
};

const char *fault_kind_name(enum fault_kind k)
{
	return kind_names[k];
}

bool fault_kind_is_metrics(enum fault_kind k)
{
	return k == FAULT_METRICS_MISSING || k == FAULT_METRICS_PARTIAL || k == FAULT_METRICS_ERROR ||
	       k == FAULT_METRICS_DELAY;
}

static void fault_deinit(struct fault *f)
{
	free(f->op);
	free(f->function);
	free(f->alias);
	free(f->metric);
	free(f->version);
}

void faults_clear(struct faults *f)
{
	for (size_t i = 0; i < f->len; i++)
		fault_deinit(&f->items[i]);
	f->len = 0;
}

void faults_deinit(struct faults *f)
{
	faults_clear(f);
	free(f->items);
	*f = (struct faults){0};
}

bool faults_add(struct faults *f, struct fault *fault)
{
	if (f->len >= FAULTS_MAX) {
		fault_deinit(fault);
		return false;
	}
	f->items = mem_grow(f->items, &f->cap, f->len + 1, sizeof(*f->items));
	f->items[f->len++] = *fault;
	return true;
}

static bool matches(const char *pattern, const char *text)
{
	return !pattern || (text && strcmp(pattern, text) == 0);
}

/* Counts the call, and says whether it is struck. */
static bool strike(struct fault *f, struct prng *chance)
{
	f->calls++;
	if (f->calls < f->from_call || (f->times >= 0 && f->struck >= (uint64_t)f->times))
		return false;
	if (f->probability < 1 && prng_unit(chance) >= f->probability)
		return false;
	f->struck++;
	return true;
}

const struct fault *faults_strike(struct faults *f, struct prng *chance, const char *op, const char *function,
				  const char *alias)
{
	for (size_t i = 0; i < f->len; i++) {
		struct fault *fault = &f->items[i];
		if (fault_kind_is_metrics(fault->kind) || (strcmp(fault->op, "*") != 0 && strcmp(fault->op, op) != 0))
			continue;
		if (matches(fault->function, function) && matches(fault->alias, alias) && strike(fault, chance))
			return fault;
	}
	return NULL;
}

const struct fault *faults_strike_metric(struct faults *f, struct prng *chance, const char *op, const char *function,
					 const char *alias, const char *metric, const char *version)
{
	for (size_t i = 0; i < f->len; i++) {
		struct fault *fault = &f->items[i];
		if (!fault_kind_is_metrics(fault->kind) || (strcmp(fault->op, "*") != 0 && strcmp(fault->op, op) != 0))
			continue;
		if (matches(fault->function, function) && matches(fault->alias, alias) &&
		    matches(fault->metric, metric) && matches(fault->version, version) && strike(fault, chance))
			return fault;
	}
	return NULL;
}

json_t *faults_json(const struct faults *f)
{
	json_t *list = json_array();
	for (size_t i = 0; i < f->len; i++) {
		const struct fault *x = &f->items[i];
		json_t *item = json_pack(
		    "{s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:I, s:f, s:I, s:I, s:b, s:b, s:I, s:I}", "op", x->op, "fault",
		    kind_names[x->kind], "function", x->function, "alias", x->alias, "metric", x->metric, "version",
		    x->version, "delay_ms", (json_int_t)x->delay_ms, "probability", x->probability, "from_call",
		    (json_int_t)x->from_call, "times", (json_int_t)x->times, "close", x->close, "applied", x->applied,
		    "calls", (json_int_t)x->calls, "struck", (json_int_t)x->struck);
		json_array_append_new(list, item);
	}
	return list;
}
