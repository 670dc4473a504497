#include "sim/world_file.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "sim/reader.h"
#include "sim/settings.h"

static void seed_streams(struct world *w, uint64_t seed)
{
	w->seed = seed;
	/* A stream for each use: a call more or less of one kind does not change what the others draw. */
	prng_init(&w->ids, seed ^ 0x1d5);
	prng_init(&w->invoke, seed ^ 0x13b0ce);
	prng_init(&w->chance, seed ^ 0xfa117);
	prng_init(&w->canary, seed ^ 0xca4a27);
	prng_init(&w->metrics.prng, seed ^ 0x3e7a1c);
}

void world_file_defaults(struct world *w, uint64_t seed)
{
	metrics_init(&w->metrics, seed);
	rates_deinit(&w->rates);
	rates_init(&w->rates);
	seed_streams(w, seed);
	w->invoke_delay = true;
	w->update_ms = 0;
	w->provision_ms = 0;
	w->late_sequence = 0;
}

static bool apply_part(struct world *w, const struct node *n, const char *key,
		       bool (*apply)(struct world *, const struct node *, struct diags *), struct diags *d)
{
	const struct node *part = node_get(n, key);
	return !part || node_is_null(part) || apply(w, part, d);
}

bool world_file_apply(struct world *w, const struct node *n, struct diags *d)
{
	static const char *const keys[] = {
	    "seed",   "clock",	"keys",	  "functions",	  "traffic",	 "metrics",
	    "limits", "faults", "alarms", "invoke_delay", "update_time", "provision_time",
	    "s3",     "images", "apis",	  "gauges",	  NULL};
	static const char *const clocks[] = {"real", "virtual", NULL};
	size_t before = d->errors, clock = w->virtual_clock;
	uint64_t seed = w->seed;
	if (node_is_null(n))
		return true;
	if (!reader_mapping(n, "a world file", keys, d))
		return false;
	reader_count(node_get(n, "seed"), 0, INT64_MAX, &seed, d);
	reader_choice(node_get(n, "clock"), clocks, &clock, d);
	reader_bool(node_get(n, "invoke_delay"), &w->invoke_delay, d);
	reader_duration(node_get(n, "update_time"), MS_PER_HOUR, &w->update_ms, d);
	reader_duration(node_get(n, "provision_time"), MS_PER_HOUR, &w->provision_ms, d);
	if (node_get(n, "seed") && !w->seed_fixed && d->errors == before)
		seed_streams(w, seed);
	w->virtual_clock = clock;
	/* In the order in which they need each other. */
	apply_part(w, n, "keys", settings_keys, d);
	apply_part(w, n, "metrics", settings_metrics, d);
	apply_part(w, n, "gauges", settings_gauges, d);
	apply_part(w, n, "limits", settings_limits, d);
	apply_part(w, n, "s3", settings_s3, d);
	apply_part(w, n, "images", settings_images, d);
	if (apply_part(w, n, "functions", settings_functions, d)) {
		apply_part(w, n, "traffic", settings_traffic, d);
		apply_part(w, n, "apis", settings_apis, d);
	}
	apply_part(w, n, "alarms", settings_alarms, d);
	apply_part(w, n, "faults", settings_faults, d);
	return d->errors == before;
}

bool world_file_load(struct world *w, const char *text, size_t len, struct diags *d)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	size_t before = d->errors;
	const struct node *n = node_parse(a, text, len, WORLD_FILE_BYTES, d);
	bool good = n && d->errors == before && world_file_apply(w, n, d);
	diags_sort(d);
	return good;
}

bool world_file_reset(struct world *w, struct diags *d)
{
	model_drop_everything(w);
	world_file_defaults(w, w->seed);
	return !w->file || world_file_load(w, w->file, w->file_len, d);
}
