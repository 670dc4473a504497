#include "sim/model.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"

void model_uuid(struct world *w, char out[static UUID_SIZE])
{
	uint64_t high = prng_next(&w->ids), low = prng_next(&w->ids);
	/* Version 4, variant 1 (RFC 9562). */
	high = (high & ~UINT64_C(0xf000)) | 0x4000;
	low = (low & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
	snprintf(out, UUID_SIZE, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff),
		 (unsigned)(high & 0xffff), (unsigned)(low >> 48), (unsigned long long)(low & 0xffffffffffff));
}

void model_code_sha(const void *code, size_t len, char out[static CODE_SHA_SIZE])
{
	unsigned char hash[SHA256_BYTES];
	sha256_bytes(code, len, hash);
	int n = EVP_EncodeBlock((unsigned char *)out, hash, sizeof(hash));
	require(n > 0 && n < CODE_SHA_SIZE);
}

bool model_parse_version(const char *text, uint64_t *ret)
{
	if (strcmp(text, "$LATEST") == 0) {
		*ret = VERSION_LATEST;
		return true;
	}
	size_t len = strlen(text);
	uint64_t number;
	if (len > 18 || text[0] == '0' || strspn(text, "0123456789") != len ||
	    text_parse_u64(text, INT64_MAX, &number) != 0)
		return false;
	*ret = number;
	return true;
}

void behaviour_init(struct behaviour *b)
{
	*b = (struct behaviour){.latency_median_ms = 20, .latency_p99_ms = 60};
	b->body = mem_strdup("{\"statusCode\": 200, \"body\": \"Hello from rollout-localaws\"}");
}

void behaviour_copy(struct behaviour *into, const struct behaviour *from)
{
	char *body = mem_strdup(from->body);
	free(into->body);
	*into = *from;
	into->body = body;
}

static void forget_before(struct version *v)
{
	if (!v->before)
		return;
	free(v->before->image);
	json_decref(v->before->settings);
	free(v->before->behaviour.body);
	free(v->before);
	v->before = NULL;
}

static void version_deinit(struct version *v)
{
	forget_before(v);
	free(v->image);
	free(v->reason);
	free(v->description);
	json_decref(v->settings);
	free(v->behaviour.body);
	user_set_deinit(&v->usage.users);
	user_set_deinit(&v->usage.error_users);
}

static void version_free(struct version *v)
{
	version_deinit(v);
	free(v);
}

static void alias_free(struct alias *a)
{
	free(a->name);
	free(a->now.description);
	free(a->before.description);
	free(a->executed);
	free(a);
}

static void policy_free(struct policy *p)
{
	if (!p)
		return;
	json_decref(p->statements);
	free(p);
}

static void provisioned_free(struct provisioned *p)
{
	if (!p)
		return;
	free(p->reason);
	free(p);
}

static void function_free(struct function *f)
{
	version_deinit(&f->latest);
	for (size_t i = 0; i < f->n_versions; i++)
		version_free(f->versions[i]);
	free(f->versions);
	for (size_t i = 0; i < f->aliases.len; i++)
		alias_free(f->aliases.entries[i].value);
	table_deinit(&f->aliases);
	for (size_t i = 0; i < f->policies.len; i++)
		policy_free(f->policies.entries[i].value);
	table_deinit(&f->policies);
	for (size_t i = 0; i < f->provisioned.len; i++)
		provisioned_free(f->provisioned.entries[i].value);
	table_deinit(&f->provisioned);
	free(f->platform.publish_fails);
	free(f->platform.update_fails);
	free(f->platform.provision_fails);
	user_set_deinit(&f->users);
	free(f->name);
	free(f);
}

struct function *model_function(const struct world *w, const char *name)
{
	return table_get(&w->functions, name);
}

json_t *model_default_settings(void)
{
	json_t *settings =
	    json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:{s:s}, s:{s:i}, s:{s:s, s:s}, s:[s], s:{s:o}}", "Runtime",
		      "python3.12", "Role", "arn:aws:iam::" WORLD_ACCOUNT ":role/localaws", "Handler", "index.handler",
		      "Timeout", 3, "MemorySize", 128, "PackageType", "Zip", "TracingConfig", "Mode", "PassThrough",
		      "EphemeralStorage", "Size", 512, "SnapStart", "ApplyOn", "None", "OptimizationStatus", "Off",
		      "Architectures", "x86_64", "Environment", "Variables", json_object());
	require(settings);
	return settings;
}

static void settle_at(struct function *f, struct version *v, int64_t at_ms)
{
	v->settles_ms = at_ms;
	if (at_ms < f->settles_ms)
		f->settles_ms = at_ms;
}

struct function *model_add_function(struct world *w, const char *name, json_t *settings, const char *code_sha,
				    uint64_t code_size, const char *description)
{
	if (w->functions.len >= FUNCTIONS_MAX)
		return NULL;
	struct function *f = mem_alloc(sizeof(*f));
	*f = (struct function){.name = mem_strdup(name), .next_version = 1};
	f->latest = (struct version){.number = VERSION_LATEST,
				     .code_size = code_size,
				     .description = mem_strdup(description),
				     .settings = json_incref(settings),
				     .modified_ms = w->now_ms,
				     .state = STATE_PENDING};
	settle_at(f, &f->latest, w->now_ms + w->update_ms);
	behaviour_init(&f->latest.behaviour);
	text_copy(f->latest.code_sha256, sizeof(f->latest.code_sha256), code_sha);
	model_uuid(w, f->latest.revision);
	table_put(&w->functions, name, f);
	return f;
}

void model_remove_function(struct world *w, struct function *f)
{
	table_remove(&w->functions, f->name);
	function_free(f);
}

static size_t version_lower_bound(const struct function *f, uint64_t number)
{
	size_t low = 0, high = f->n_versions;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->versions[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct version *model_version(struct function *f, uint64_t number)
{
	if (number == VERSION_LATEST)
		return &f->latest;
	size_t at = version_lower_bound(f, number);
	return at < f->n_versions && f->versions[at]->number == number ? f->versions[at] : NULL;
}

struct version *model_publish(struct world *w, struct function *f, uint64_t number, const char *description)
{
	if (f->n_versions >= VERSIONS_MAX)
		return NULL;
	if (!number)
		number = f->next_version;
	struct version *v = mem_alloc(sizeof(*v));
	*v = (struct version){.number = number,
			      .code_size = f->latest.code_size,
			      .image = mem_strdup(f->latest.image),
			      .description = mem_strdup(description ? description : f->latest.description),
			      .settings = json_incref(f->latest.settings),
			      .modified_ms = w->now_ms,
			      .state = STATE_ACTIVE,
			      .update = UPDATE_SUCCESSFUL};
	memcpy(v->code_sha256, f->latest.code_sha256, sizeof(v->code_sha256));
	behaviour_copy(&v->behaviour, &f->latest.behaviour);
	model_uuid(w, v->revision);
	size_t at = version_lower_bound(f, number);
	f->versions = mem_grow(f->versions, &f->versions_cap, f->n_versions + 1, sizeof(struct version *));
	memmove(&f->versions[at + 1], &f->versions[at], (f->n_versions - at) * sizeof(struct version *));
	f->versions[at] = v;
	f->n_versions++;
	if (number >= f->next_version)
		f->next_version = number + 1;
	/* Publishing changes the revision of $LATEST, too. */
	model_uuid(w, f->latest.revision);
	return v;
}

void model_remove_version(struct world *w, struct function *f, struct version *v)
{
	char number[24];
	size_t at = version_lower_bound(f, v->number);
	require(at < f->n_versions && f->versions[at] == v);
	version_format(v->number, number);
	model_remove_policy(f, number);
	model_remove_provisioned(w, f, number);
	memmove(&f->versions[at], &f->versions[at + 1], (f->n_versions - at - 1) * sizeof(struct version *));
	f->n_versions--;
	version_free(v);
}

/* --- policies --- */

struct policy *model_policy(const struct function *f, const char *qualifier)
{
	return table_get(&f->policies, qualifier);
}

struct policy *model_add_policy(struct function *f, const char *qualifier)
{
	struct policy *p = mem_alloc(sizeof(*p));
	p->statements = json_array();
	table_put(&f->policies, qualifier, p);
	return p;
}

void model_remove_policy(struct function *f, const char *qualifier)
{
	policy_free(table_remove(&f->policies, qualifier));
}

/* --- provisioned concurrency --- */

struct provisioned *model_provisioned(const struct function *f, const char *qualifier)
{
	return table_get(&f->provisioned, qualifier);
}

static void provision_start(struct world *w, struct function *f, struct provisioned *p)
{
	free(p->reason);
	p->reason = mem_strdup(f->platform.provision_fails);
	p->in_progress = true;
	p->modified_ms = w->now_ms;
	p->ready_ms = w->now_ms + w->provision_ms;
	if (p->ready_ms < f->settles_ms)
		f->settles_ms = p->ready_ms;
}

struct provisioned *model_provision(struct world *w, struct function *f, const char *qualifier, uint64_t requested)
{
	struct provisioned *p = model_provisioned(f, qualifier);
	if (!p) {
		p = mem_alloc(sizeof(*p));
		table_put(&f->provisioned, qualifier, p);
	}
	p->requested = requested;
	provision_start(w, f, p);
	return p;
}

/* Weights that AWS itself sets or takes away. */
static void set_own_weights(struct world *w, struct function *f, struct alias *a, uint64_t extra)
{
	struct alias_state state = a->now;
	state.extra_version = extra;
	state.extra_weight = extra ? 1 : 0;
	model_change_alias(w, a, &state);
	struct alias_change change = {.unix_ms = w->now_ms,
				      .operation = "(provisioned concurrency)",
				      .function = f->name,
				      .alias = a->name,
				      .version = a->now.version,
				      .extra_version = a->now.extra_version,
				      .extra_weight = a->now.extra_weight};
	memcpy(change.revision, a->now.revision, sizeof(change.revision));
	counters_log(&w->counters, &change);
}

static void end_move(struct world *w, struct function *f, const char *qualifier, struct provisioned *p)
{
	struct alias *a = model_alias(f, qualifier);
	if (p->moving && a)
		set_own_weights(w, f, a, VERSION_LATEST);
	p->moving = false;
}

void model_move_provisioned(struct world *w, struct function *f, struct alias *a, uint64_t old)
{
	struct provisioned *p = model_provisioned(f, a->name);
	require(p);
	provision_start(w, f, p);
	/* Back to where it still is: nothing to bridge. */
	p->moving = old != a->now.version;
	if (p->moving)
		set_own_weights(w, f, a, old);
}

/* As settle_version. */
static int64_t settle_provisioned(struct world *w, struct function *f, const char *qualifier)
{
	struct provisioned *p = model_provisioned(f, qualifier);
	if (!p->in_progress)
		return INT64_MAX;
	if (w->now_ms < p->ready_ms)
		return p->ready_ms;
	p->in_progress = false;
	p->available = p->reason ? 0 : p->requested;
	end_move(w, f, qualifier, p);
	return INT64_MAX;
}

void model_remove_provisioned(struct world *w, struct function *f, const char *qualifier)
{
	struct provisioned *p = table_remove(&f->provisioned, qualifier);
	if (p)
		end_move(w, f, qualifier, p);
	provisioned_free(p);
}

/* --- what takes its time --- */

void model_start_update(struct world *w, struct function *f)
{
	struct version *v = &f->latest;
	forget_before(v);
	v->before = mem_alloc(sizeof(*v->before));
	*v->before = (struct version_before){
	    .code_size = v->code_size, .image = mem_strdup(v->image), .settings = json_incref(v->settings)};
	memcpy(v->before->code_sha256, v->code_sha256, sizeof(v->code_sha256));
	behaviour_copy(&v->before->behaviour, &v->behaviour);
	free(v->reason);
	v->reason = mem_strdup(f->platform.update_fails);
	v->modified_ms = w->now_ms;
	v->update = UPDATE_IN_PROGRESS;
	settle_at(f, v, w->now_ms + w->update_ms);
	model_uuid(w, v->revision);
}

void model_start_version(struct world *w, struct function *f, struct version *v, int64_t pending_ms)
{
	v->reason = mem_strdup(f->platform.publish_fails);
	v->state = STATE_PENDING;
	v->update = UPDATE_NONE;
	settle_at(f, v, w->now_ms + pending_ms);
}

static void bring_back(struct version *v)
{
	struct version_before *b = v->before;
	memcpy(v->code_sha256, b->code_sha256, sizeof(v->code_sha256));
	v->code_size = b->code_size;
	free(v->image);
	v->image = b->image;
	b->image = NULL;
	json_decref(v->settings);
	v->settings = json_incref(b->settings);
	behaviour_copy(&v->behaviour, &b->behaviour);
}

/* Gives the time when it is to be looked at again; INT64_MAX: it is settled. */
static int64_t settle_version(struct world *w, struct version *v)
{
	bool pending = v->state == STATE_PENDING, updating = v->update == UPDATE_IN_PROGRESS;
	if (!pending && !updating)
		return INT64_MAX;
	if (w->now_ms < v->settles_ms)
		return v->settles_ms;
	bool failed = v->reason;
	if (failed && v->before)
		bring_back(v);
	forget_before(v);
	if (pending)
		v->state = failed ? STATE_FAILED : STATE_ACTIVE;
	v->update = failed ? UPDATE_FAILED : UPDATE_SUCCESSFUL;
	model_uuid(w, v->revision);
	return INT64_MAX;
}

void model_settle(struct world *w, struct function *f)
{
	if (w->now_ms < f->settles_ms)
		return;
	int64_t next_ms = settle_version(w, &f->latest);
	for (size_t i = 0; i < f->n_versions; i++) {
		int64_t at_ms = settle_version(w, f->versions[i]);
		next_ms = at_ms < next_ms ? at_ms : next_ms;
	}
	for (size_t i = 0; i < f->provisioned.len; i++) {
		int64_t at_ms = settle_provisioned(w, f, f->provisioned.entries[i].key);
		next_ms = at_ms < next_ms ? at_ms : next_ms;
	}
	f->settles_ms = next_ms;
}

/* --- aliases --- */

struct alias *model_alias(const struct function *f, const char *name)
{
	return table_get(&f->aliases, name);
}

struct alias *model_add_alias(struct world *w, struct function *f, const char *name, const struct alias_state *state)
{
	if (f->aliases.len >= ALIASES_MAX)
		return NULL;
	struct alias *a = mem_alloc(sizeof(*a));
	*a = (struct alias){.name = mem_strdup(name), .now = *state};
	a->now.description = mem_strdup(state->description ? state->description : "");
	model_uuid(w, a->now.revision);
	table_put(&f->aliases, name, a);
	return a;
}

void model_change_alias(struct world *w, struct alias *a, const struct alias_state *state)
{
	char *description = mem_strdup(state->description);
	struct alias_state changed = *state;
	free(a->before.description);
	a->before = a->now;
	a->now = changed;
	a->now.description = description;
	a->changed_ms = w->now_ms;
	model_uuid(w, a->now.revision);
}

void model_remove_alias(struct world *w, struct function *f, struct alias *a)
{
	model_remove_policy(f, a->name);
	table_remove(&f->aliases, a->name);
	model_remove_provisioned(w, f, a->name);
	alias_free(a);
}

/* --- code to be found by name --- */

void code_object_free(struct code_object *o)
{
	if (!o)
		return;
	free(o->version);
	free(o->behaviour.body);
	free(o);
}

bool model_put_object(struct table *t, const char *name, struct code_object *o)
{
	struct code_object *old = table_get(t, name);
	if (!old && t->len >= OBJECTS_MAX) {
		code_object_free(o);
		return false;
	}
	table_put(t, name, o);
	code_object_free(old);
	return true;
}

static void drop_objects(struct table *t)
{
	for (size_t i = 0; i < t->len; i++)
		code_object_free(t->entries[i].value);
	table_deinit(t);
}

void model_drop_everything(struct world *w)
{
	for (size_t i = 0; i < w->functions.len; i++)
		function_free(w->functions.entries[i].value);
	table_deinit(&w->functions);
	drop_objects(&w->objects);
	drop_objects(&w->images);
	for (size_t i = 0; i < w->n_traffic; i++) {
		free(w->traffic[i].function);
		free(w->traffic[i].alias);
	}
	w->n_traffic = 0;
	for (size_t i = 0; i < w->n_late; i++)
		arena_free(w->late[i].arena);
	w->n_late = 0;
	faults_clear(&w->faults);
	alarms_deinit(&w->alarms);
	gateway_deinit(&w->gateway);
	metrics_deinit(&w->metrics);
	gauges_deinit(&w->gauges);
	counters_deinit(&w->counters);
}

static void usage_reset(struct version *v)
{
	user_set_deinit(&v->usage.users);
	user_set_deinit(&v->usage.error_users);
	v->usage = (struct usage){0};
}

void model_reset_counters(struct world *w)
{
	counters_deinit(&w->counters);
	for (size_t i = 0; i < w->functions.len; i++) {
		struct function *f = w->functions.entries[i].value;
		usage_reset(&f->latest);
		for (size_t k = 0; k < f->n_versions; k++)
			usage_reset(f->versions[k]);
		user_set_deinit(&f->users);
		f->n_users = 0;
	}
}
