/*
 * Request rates as AWS limits them: a token bucket for each group of operations and each region, filled by the caller's
 * clock. A rate of 0 means no limit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/macros.h"

enum rate_group {
	RATE_NONE,
	RATE_LAMBDA_CONTROL, /* all of Lambda's control plane but the next two */
	RATE_GET_FUNCTION,
	RATE_GET_POLICY,
	RATE_INVOKE,
	RATE_GET_METRIC_DATA,
	RATE_GET_METRIC_STATISTICS,
	RATE_PUT_METRIC_DATA,
	RATE_LIST_METRICS,
	RATE_DESCRIBE_ALARMS,
	RATE_SET_ALARM_STATE,
	RATE_CHANGE_ALARMS, /* PutMetricAlarm, PutCompositeAlarm, DeleteAlarms */
	RATE_APIGATEWAY,    /* all of API Gateway's control plane together */
	RATE_CREATE_DEPLOYMENT,
	RATE_CREATE_RESOURCE,
	RATE_GET_RESOURCES,
	RATE_N,
};

#define RATES_REGIONS_MAX 64

struct rates_region {
	char name[64];
	struct bucket buckets[RATE_N];
};

struct rates {
	double per_second[RATE_N];
	struct rates_region *regions;
	size_t n_regions;
	size_t cap;
};

void rates_init(struct rates *r); /* AWS's own figures */
void rates_deinit(struct rates *r);
const char *rates_name(enum rate_group g);
/* Sets one rate and refills its buckets. */
void rates_set(struct rates *r, enum rate_group g, double per_second);
bool rates_take(struct rates *r, const char *region, enum rate_group g, int64_t now_ms);
