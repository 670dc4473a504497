/* The world's life and its time. */
#include "sim/world.h"

#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "sim/admin.h"
#include "sim/dispatch.h"
#include "sim/gateway.h"
#include "sim/traffic.h"
#include "sim/world_file.h"

/* A jump of the clock beyond this is passed over without traffic. */
#define CATCH_UP_MS (7 * MS_PER_DAY)

struct world *world_new(uint64_t seed)
{
	struct world *w = mem_alloc(sizeof(*w));
	*w = (struct world){
	    .signatures = true, .invoke_delay = true, .signer = sigv4_signer_new(), .slice_ms = SLICE_MS};
	world_file_defaults(w, seed);
	return w;
}

void world_fix_seed(struct world *w)
{
	w->seed_fixed = true;
}

static void key_deinit(struct access_key *k)
{
	free(k->id);
	secret_free(k->secret);
	secret_free(k->token);
	json_decref(k->policy);
}

void world_free(struct world *w)
{
	if (!w)
		return;
	model_drop_everything(w);
	for (size_t i = 0; i < w->n_keys; i++)
		key_deinit(&w->keys[i]);
	free(w->keys);
	free(w->traffic);
	free(w->late);
	faults_deinit(&w->faults);
	rates_deinit(&w->rates);
	sigv4_signer_free(w->signer);
	free(w->file);
	free(w);
}

void world_add_key(struct world *w, const char *id, const char *secret, const char *token)
{
	struct access_key *k = NULL;
	for (size_t i = 0; i < w->n_keys && !k; i++)
		if (strcmp(w->keys[i].id, id) == 0)
			k = &w->keys[i];
	if (k)
		key_deinit(k);
	else if (w->n_keys < KEYS_MAX) {
		w->keys = mem_grow(w->keys, &w->keys_cap, w->n_keys + 1, sizeof(*w->keys));
		k = &w->keys[w->n_keys++];
	} else
		return;
	*k = (struct access_key){.id = mem_strdup(id), .secret = mem_strdup(secret), .token = mem_strdup(token)};
}

void world_require_signatures(struct world *w, bool required)
{
	w->signatures = required;
}

void world_serve_admin(struct world *w, bool served)
{
	w->admin = served;
}

void world_draw_traffic_in(struct world *w, int64_t slice_ms)
{
	require(!w->started && slice_ms > 0);
	w->slice_ms = slice_ms;
}

static bool traffic_flows(const struct world *w)
{
	for (size_t i = 0; i < w->n_traffic; i++)
		if (w->traffic[i].rps > 0)
			return true;
	return false;
}

/* Index of the late request that is due first; n_late when there is none. */
static size_t first_late(const struct world *w)
{
	size_t first = w->n_late;
	for (size_t i = 0; i < w->n_late; i++) {
		const struct late_request *l = &w->late[i], *f = first < w->n_late ? &w->late[first] : NULL;
		if (!f || l->due_ms < f->due_ms || (l->due_ms == f->due_ms && l->sequence < f->sequence))
			first = i;
	}
	return first;
}

static void run_late(struct world *w, size_t index)
{
	struct late_request late = w->late[index];
	w->late[index] = w->late[--w->n_late];
	dispatch_late(w, &late);
	arena_free(late.arena);
}

static void advance_to(struct world *w, int64_t target_ms)
{
	if (target_ms - w->tick_ms > CATCH_UP_MS)
		w->tick_ms = target_ms - target_ms % w->slice_ms - CATCH_UP_MS;
	if (target_ms - w->gauges.next_ms > CATCH_UP_MS)
		w->gauges.next_ms = target_ms - target_ms % w->metrics.settings.period_ms;
	for (;;) {
		size_t late = first_late(w);
		int64_t late_ms = late < w->n_late ? w->late[late].due_ms : INT64_MAX;
		int64_t alarm_ms = alarms_next_ms(&w->alarms);
		int64_t tick_ms = traffic_flows(w) ? w->tick_ms : INT64_MAX;
		int64_t gauge_ms = gauges_next_ms(&w->gauges);
		int64_t next_ms = tick_ms < late_ms ? tick_ms : late_ms;
		next_ms = gauge_ms < next_ms ? gauge_ms : next_ms;
		next_ms = alarm_ms < next_ms ? alarm_ms : next_ms;
		if (next_ms > target_ms)
			break;
		if (next_ms > w->now_ms)
			w->now_ms = next_ms;
		if (tick_ms == next_ms) {
			traffic_tick(w, w->tick_ms);
			w->tick_ms += w->slice_ms;
		} else if (late_ms == next_ms) {
			run_late(w, late);
		} else if (gauge_ms == next_ms) {
			gauges_record(&w->gauges, &w->metrics, gauge_ms);
		} else {
			alarms_evaluate(&w->alarms, &w->metrics, w->now_ms);
		}
	}
	if (target_ms > w->now_ms)
		w->now_ms = target_ms;
	/* Traffic that begins later begins then, and not in the past. */
	if (!traffic_flows(w) && w->tick_ms <= w->now_ms)
		w->tick_ms = w->now_ms - w->now_ms % w->slice_ms + w->slice_ms;
}

void world_tell_time(struct world *w, struct instant now)
{
	if (!w->started) {
		w->started = true;
		w->now_ms = now.unix_ms;
		w->tick_ms = now.unix_ms - now.unix_ms % w->slice_ms + w->slice_ms;
	}
}

void world_move_time(struct world *w, int64_t by_ms)
{
	advance_to(w, w->now_ms + by_ms);
}

void world_advance(struct world *w, struct instant now)
{
	world_tell_time(w, now);
	if (!w->virtual_clock)
		advance_to(w, now.unix_ms);
}

int64_t world_next_ms(const struct world *w)
{
	size_t late = first_late(w);
	int64_t alarm_ms = alarms_next_ms(&w->alarms);
	return late < w->n_late && w->late[late].due_ms < alarm_ms ? w->late[late].due_ms : alarm_ms;
}

int64_t world_time_ms(const struct world *w)
{
	return w->now_ms;
}

void world_reply_deinit(struct world_reply *r)
{
	arena_free(r->arena);
	*r = (struct world_reply){0};
}

void world_handle(struct world *w, const struct http_request *request, struct instant now, struct world_reply *ret)
{
	*ret = (struct world_reply){.fate = WORLD_ANSWER, .arena = arena_new()};
	world_advance(w, now);
	if (gateway_claims(request))
		gateway_handle(w, request, ret);
	else if (w->admin && text_starts_with(request->path, "/_localaws"))
		admin_handle(w, request, ret);
	else
		dispatch_request(w, request, now, ret);
}

int world_load(struct world *w, const char *text, size_t len, struct instant now, struct diags *diags)
{
	world_tell_time(w, now);
	if (!world_file_load(w, text, len, diags))
		return 1;
	if (!w->file) {
		w->file = mem_strndup(text, len);
		w->file_len = len;
	}
	return 0;
}

bool world_look_at_alias(const struct world *w, const char *function, const char *alias, struct world_alias *ret)
{
	const struct function *f = model_function(w, function);
	const struct alias *a = f ? model_alias(f, alias) : NULL;
	if (!a)
		return false;
	*ret = (struct world_alias){a->now.version, a->now.extra_version, a->now.extra_weight, {0}};
	text_copy(ret->revision, sizeof(ret->revision), a->now.revision);
	return true;
}

void world_count_requests(struct world *w, const char *function, const char *alias, uint64_t version, int64_t at_ms,
			  uint64_t requests, uint64_t errors)
{
	struct function *f = model_function(w, function);
	struct alias *a = f ? model_alias(f, alias) : NULL;
	struct version *v = f ? model_version(f, version) : NULL;
	require(a && v);
	traffic_count(w, f, a, v, at_ms, requests, errors);
}

void world_count_faults(const struct world *w, void (*cb)(void *ctx, const char *fault, uint64_t struck), void *ctx)
{
	for (size_t i = 0; i < w->faults.len; i++)
		cb(ctx, fault_kind_name(w->faults.items[i].kind), w->faults.items[i].struck);
}
