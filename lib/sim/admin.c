#include "sim/admin.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "sim/call.h"
#include "sim/reader.h"
#include "sim/settings.h"
#include "sim/world_file.h"

#define PREFIX	    "/_localaws"
#define ADVANCE_MAX (7 * MS_PER_DAY)

struct admin_call {
	struct call call;
	struct diags diags;
	const char *parts[4]; /* of the path after the prefix; NULL: not there */
	const struct node *body;
};

static void answer(struct admin_call *a, json_t *body)
{
	require(body);
	call_answer_json(&a->call, 200, body);
}

/* What the diagnostics say, as an answer. */
static void refuse(struct admin_call *a)
{
	json_t *errors = json_array();
	diags_sort(&a->diags);
	for (size_t i = 0; i < a->diags.len; i++) {
		const struct diag *d = &a->diags.items[i];
		json_array_append_new(errors, json_pack("{s:i, s:i, s:s}", "line", (int)d->line, "column",
							(int)d->column, "error", d->text));
	}
	call_answer_json(&a->call, 400, json_pack("{s:o}", "errors", errors));
}

static void not_found(struct admin_call *a, const char *what)
{
	call_answer_json(&a->call, 404, json_pack("{s:[{s:s}]}", "errors", "error", what));
}

/* --- one part each --- */

static void put_world(struct admin_call *a)
{
	if (world_file_apply(a->call.w, a->body, &a->diags))
		answer(a, admin_state_json(a->call.w));
}

static void put_traffic(struct admin_call *a)
{
	if (settings_traffic(a->call.w, a->body, &a->diags))
		answer(a, admin_traffic_json(a->call.w));
}

static void put_metrics(struct admin_call *a)
{
	if (settings_metrics(a->call.w, a->body, &a->diags))
		answer(a, admin_metrics_json(a->call.w));
}

static void put_gauges(struct admin_call *a)
{
	if (settings_gauges(a->call.w, a->body, &a->diags))
		answer(a, admin_gauges_json(a->call.w));
}

static void put_limits(struct admin_call *a)
{
	if (settings_limits(a->call.w, a->body, &a->diags))
		answer(a, admin_limits_json(a->call.w));
}

static void post_faults(struct admin_call *a)
{
	if (settings_faults(a->call.w, a->body, &a->diags))
		answer(a, faults_json(&a->call.w->faults));
}

/* Replaces: the old ones go only when the new ones are good. */
static void put_faults(struct admin_call *a)
{
	struct faults old = a->call.w->faults;
	a->call.w->faults = (struct faults){0};
	if (settings_faults(a->call.w, a->body, &a->diags)) {
		faults_deinit(&old);
		answer(a, faults_json(&a->call.w->faults));
		return;
	}
	faults_deinit(&a->call.w->faults);
	a->call.w->faults = old;
}

static void delete_faults(struct admin_call *a)
{
	faults_clear(&a->call.w->faults);
	answer(a, json_array());
}

static void put_alarms(struct admin_call *a)
{
	if (settings_alarms(a->call.w, a->body, &a->diags))
		answer(a, admin_alarms_json(a->call.w));
}

static void put_keys(struct admin_call *a)
{
	if (settings_keys(a->call.w, a->body, &a->diags))
		answer(a, json_object());
}

static void put_clock(struct admin_call *a)
{
	static const char *const keys[] = {"mode", "advance", NULL};
	static const char *const modes[] = {"real", "virtual", NULL};
	struct world *w = a->call.w;
	size_t mode = w->virtual_clock;
	int64_t advance_ms = 0;
	if (!reader_mapping(a->body, "clock", keys, &a->diags) ||
	    !reader_choice(node_get(a->body, "mode"), modes, &mode, &a->diags) ||
	    !reader_duration(node_get(a->body, "advance"), ADVANCE_MAX, &advance_ms, &a->diags) || a->diags.errors)
		return;
	if (advance_ms && !mode) {
		reader_error(a->body, &a->diags, "a real clock cannot be advanced: set `mode` to virtual first");
		return;
	}
	w->virtual_clock = mode;
	if (advance_ms)
		world_move_time(w, advance_ms);
	answer(a, admin_clock_json(w));
}

static void put_reset(struct admin_call *a)
{
	static const char *const keys[] = {"what", NULL};
	static const char *const choices[] = {"counters", "faults", "all", NULL};
	struct world *w = a->call.w;
	size_t what = 0;
	if (!node_is_null(a->body) &&
	    (!reader_mapping(a->body, "reset", keys, &a->diags) ||
	     !reader_choice(node_get(a->body, "what"), choices, &what, &a->diags) || a->diags.errors))
		return;
	if (what == 2 && !world_file_reset(w, &a->diags))
		return;
	if (what == 1)
		faults_clear(&w->faults);
	if (what == 0)
		model_reset_counters(w);
	answer(a, json_object());
}

static struct function *find_function(struct admin_call *a)
{
	struct function *f = a->parts[1] ? model_function(a->call.w, a->parts[1]) : NULL;
	if (!f)
		not_found(a, "there is no such function");
	return f;
}

static void get_function(struct admin_call *a)
{
	struct function *f = find_function(a);
	if (f)
		answer(a, admin_function_json(a->call.w, f));
}

/* functions/NAME/versions/N and functions/NAME/aliases/NAME */
static void put_function_part(struct admin_call *a)
{
	struct function *f = find_function(a);
	if (!f)
		return;
	/* A version is told by its key, as in a file. */
	struct node named = *a->body;
	named.key = a->parts[3];
	named.key_line = named.key_column = 1;
	bool version = a->parts[2] && strcmp(a->parts[2], "versions") == 0;
	bool alias = a->parts[2] && strcmp(a->parts[2], "aliases") == 0;
	if (!a->parts[3] || (!version && !alias))
		not_found(a, "use functions/NAME/versions/N or functions/NAME/aliases/NAME");
	else if (version ? settings_version(a->call.w, f, &named, &a->diags)
			 : settings_alias(a->call.w, f, a->parts[3], &named, &a->diags))
		answer(a, admin_function_json(a->call.w, f));
}

/* --- readers --- */

static void get_state(struct admin_call *a)
{
	answer(a, admin_state_json(a->call.w));
}

static void get_counters(struct admin_call *a)
{
	answer(a, counters_json(a->call.w));
}

static void get_calls(struct admin_call *a)
{
	answer(a, counters_calls_json(a->call.w));
}

static void get_traffic(struct admin_call *a)
{
	answer(a, admin_traffic_json(a->call.w));
}

static void get_metrics(struct admin_call *a)
{
	answer(a, admin_metrics_json(a->call.w));
}

static void get_gauges(struct admin_call *a)
{
	answer(a, admin_gauges_json(a->call.w));
}

static void get_limits(struct admin_call *a)
{
	answer(a, admin_limits_json(a->call.w));
}

static void get_faults(struct admin_call *a)
{
	answer(a, faults_json(&a->call.w->faults));
}

static void get_alarms(struct admin_call *a)
{
	answer(a, admin_alarms_json(a->call.w));
}

static void get_clock(struct admin_call *a)
{
	answer(a, admin_clock_json(a->call.w));
}

static const struct {
	const char *method;
	const char *part;
	bool body;
	void (*run)(struct admin_call *a);
} routes[] = {
    {"GET", "state", false, get_state},
    {"GET", "counters", false, get_counters},
    {"GET", "calls", false, get_calls}, /* one by one; the counters have the sums */
    {"GET", "traffic", false, get_traffic},
    {"PUT", "traffic", true, put_traffic},
    {"GET", "metrics", false, get_metrics},
    {"PUT", "metrics", true, put_metrics},
    {"GET", "gauges", false, get_gauges},
    {"PUT", "gauges", true, put_gauges},
    {"GET", "limits", false, get_limits},
    {"PUT", "limits", true, put_limits},
    {"GET", "faults", false, get_faults},
    {"PUT", "faults", true, put_faults},
    {"POST", "faults", true, post_faults},
    {"DELETE", "faults", false, delete_faults},
    {"GET", "alarms", false, get_alarms},
    {"PUT", "alarms", true, put_alarms},
    {"GET", "clock", false, get_clock},
    {"PUT", "clock", true, put_clock},
    {"PUT", "keys", true, put_keys},
    {"PUT", "world", true, put_world},
    {"PUT", "reset", true, put_reset},
    {"GET", "functions", false, get_function},
    {"PUT", "functions", true, put_function_part},
};

static bool split_path(struct admin_call *a)
{
	const char *at = a->call.request->path + strlen(PREFIX);
	for (size_t n = 0; *at == '/' && at[1];) {
		size_t len = strcspn(++at, "/");
		char *part = call_decode(&a->call, at, len, false);
		if (n == array_len(a->parts) || !part)
			return false;
		a->parts[n++] = part;
		at += len;
	}
	return true;
}

static void run_route(struct admin_call *a)
{
	const struct http_request *r = a->call.request;
	bool known = false;
	for (size_t i = 0; a->parts[0] && i < array_len(routes); i++) {
		if (strcmp(routes[i].part, a->parts[0]) != 0)
			continue;
		known = true;
		if (strcmp(routes[i].method, r->method) != 0)
			continue;
		if (routes[i].body) {
			a->body =
			    node_parse(a->call.arena, r->body ? r->body : "", r->body_len, WORLD_FILE_BYTES, &a->diags);
			if (!a->body || a->diags.errors)
				return;
		}
		routes[i].run(a);
		return;
	}
	not_found(a, known
			 ? "this path does not have that method"
			 : "the paths under /_localaws/ are state, counters, traffic, metrics, gauges, limits, faults, "
			   "alarms, clock, keys, world, reset and functions");
}

void admin_handle(struct world *w, const struct http_request *request, struct world_reply *ret)
{
	struct admin_call *a = arena_alloc(ret->arena, sizeof(*a));
	a->call = (struct call){.w = w, .request = request, .reply = ret, .arena = ret->arena};
	if (split_path(a))
		run_route(a);
	else
		not_found(a, "the path is malformed");
	if (a->diags.errors)
		refuse(a);
	diags_deinit(&a->diags);
	ret->applied = ret->response.status == 200;
}
