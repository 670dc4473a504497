/*
 * The admin API, /_localaws/…: the whole world as JSON, and changes to it in the words of a world file (JSON is YAML).
 * Unsigned; see world_serve_admin.
 */
#pragma once

#include <jansson.h>

#include "sim/model.h"

void admin_handle(struct world *w, const struct http_request *request, struct world_reply *ret);

/* Parts of the state, new references. */
json_t *admin_state_json(struct world *w);
json_t *admin_clock_json(const struct world *w);
json_t *admin_metrics_json(const struct world *w);
json_t *admin_gauges_json(const struct world *w);
json_t *admin_limits_json(const struct world *w);
json_t *admin_traffic_json(const struct world *w);
json_t *admin_alarms_json(const struct world *w);
json_t *admin_function_json(struct world *w, struct function *f);
