#include "sim/rates.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

static const struct {
	const char *name;
	double per_second;
} groups[RATE_N] = {
    [RATE_NONE] = {"none", 0},
    /* Lambda: developer guide, "Quotas", API requests. */
    [RATE_LAMBDA_CONTROL] = {"lambda_control", 15},
    [RATE_GET_FUNCTION] = {"get_function", 100},
    [RATE_GET_POLICY] = {"get_policy", 15},
    [RATE_INVOKE] = {"invoke", 10000},
    /* CloudWatch: user guide, "CloudWatch service quotas". */
    [RATE_GET_METRIC_DATA] = {"get_metric_data", 50},
    [RATE_GET_METRIC_STATISTICS] = {"get_metric_statistics", 400},
    [RATE_PUT_METRIC_DATA] = {"put_metric_data", 500},
    [RATE_LIST_METRICS] = {"list_metrics", 25},
    [RATE_DESCRIBE_ALARMS] = {"describe_alarms", 9},
    [RATE_SET_ALARM_STATE] = {"set_alarm_state", 3},
    [RATE_CHANGE_ALARMS] = {"change_alarms", 3},
    /* API Gateway: developer guide, "Quotas for creating, deploying and managing an API". */
    [RATE_APIGATEWAY] = {"apigateway", 10},
    [RATE_CREATE_DEPLOYMENT] = {"create_deployment", 0.2},
    [RATE_CREATE_RESOURCE] = {"create_resource", 5},
    [RATE_GET_RESOURCES] = {"get_resources", 2.5},
};

/* So many seconds' worth may be saved up where AWS says it: 40 requests at once, 5 in 2 s. Elsewhere one second's. */
static const double saved_s[RATE_N] = {[RATE_APIGATEWAY] = 4, [RATE_GET_RESOURCES] = 2};

void rates_init(struct rates *r)
{
	*r = (struct rates){0};
	for (size_t i = 0; i < RATE_N; i++)
		r->per_second[i] = groups[i].per_second;
}

void rates_deinit(struct rates *r)
{
	free(r->regions);
	*r = (struct rates){0};
}

const char *rates_name(enum rate_group g)
{
	return groups[g].name;
}

static void bucket_start(struct bucket *b, enum rate_group g, double per_second, int64_t now_ms)
{
	double saved = per_second * (saved_s[g] > 0 ? saved_s[g] : 1);
	if (per_second > 0)
		bucket_init(b, per_second, saved < 1 ? 1 : saved, now_ms);
}

void rates_set(struct rates *r, enum rate_group g, double per_second)
{
	r->per_second[g] = per_second;
	for (size_t i = 0; i < r->n_regions; i++)
		bucket_start(&r->regions[i].buckets[g], g, per_second, r->regions[i].buckets[g].at_ms);
}

static struct rates_region *find_region(struct rates *r, const char *name, int64_t now_ms)
{
	for (size_t i = 0; i < r->n_regions; i++)
		if (strcmp(r->regions[i].name, name) == 0)
			return &r->regions[i];
	if (r->n_regions >= RATES_REGIONS_MAX)
		return &r->regions[RATES_REGIONS_MAX - 1];
	r->regions = mem_grow(r->regions, &r->cap, r->n_regions + 1, sizeof(*r->regions));
	struct rates_region *region = &r->regions[r->n_regions++];
	text_copy(region->name, sizeof(region->name), name);
	for (size_t i = 0; i < RATE_N; i++)
		bucket_start(&region->buckets[i], (enum rate_group)i, r->per_second[i], now_ms);
	return region;
}

bool rates_take(struct rates *r, const char *region, enum rate_group g, int64_t now_ms)
{
	if (!(r->per_second[g] > 0))
		return true;
	return bucket_take(&find_region(r, region, now_ms)->buckets[g], now_ms);
}
