/*
 * CodeDeploy's names for traffic shifting, with any numbers: "Canary10Percent5Minutes", "Linear10PercentEvery1Minute",
 * "AllAtOnce", with or without the prefix "CodeDeployDefault.Lambda" (and the old "CodeDeployDefault.").
 * "Minute" and "Minutes" are both taken.
 */
#pragma once

#include "base/mem.h"
#include "core/spec.h"

enum strategy_result {
	STRATEGY_OK = 0,
	STRATEGY_UNKNOWN = 1, /* not of any known form */
	STRATEGY_RANGE = 2,   /* of a known form, with impossible numbers; ret_error says which */
};

must_use int strategy_parse(struct arena *a, const char *name, struct spec_step **ret_steps, size_t *ret_n,
			    char *ret_error, size_t error_size);
