/* Inside the engine only: what `doctor` says about when a plan would notice a bad version. */
#pragma once

#include "engine/outlook.h"

#define FORECAST_SIZE 1024

struct forecast {
	const struct rollout_spec *spec;
	double rps;	   /* of the alias, lately; > 0 */
	double error_rate; /* lately, 0 … 1 */
};

/* Writes one sentence or two. Returns what to do, in words; "" when it is good. */
const char *forecast_tell(const struct forecast *f, char out[static FORECAST_SIZE]);
