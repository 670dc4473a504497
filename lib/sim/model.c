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
	require(n == CODE_SHA_SIZE - 1);
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

void behaviour_copy(struct behaviour *into, const struct behaviour *from)
{
	char *body = mem_strdup(from->body);
	free(into->body);
	*into = *from;
	into->body = body;
}

static void version_deinit(struct version *v)
{
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

static void function_free(struct function *f)
{
	version_deinit(&f->latest);
	for (size_t i = 0; i < f->n_versions; i++)
		version_free(f->versions[i]);
	free(f->versions);
	for (size_t i = 0; i < f->aliases.len; i++)
		alias_free(f->aliases.entries[i].value);
	table_deinit(&f->aliases);
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
				     .state = STATE_PENDING,
				     .settles_ms = w->now_ms + w->update_ms,
				     .behaviour = {.latency_median_ms = 20, .latency_p99_ms = 60}};
	f->latest.behaviour.body = mem_strdup("{\"statusCode\": 200, \"body\": \"Hello from rollout-localaws\"}");
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

void model_remove_version(struct function *f, struct version *v)
{
	size_t at = version_lower_bound(f, v->number);
	require(at < f->n_versions && f->versions[at] == v);
	memmove(&f->versions[at], &f->versions[at + 1], (f->n_versions - at - 1) * sizeof(struct version *));
	f->n_versions--;
	version_free(v);
}

void model_settle(struct world *w, struct version *v)
{
	bool pending = v->state == STATE_PENDING, updating = v->update == UPDATE_IN_PROGRESS;
	if ((!pending && !updating) || w->now_ms < v->settles_ms)
		return;
	v->state = STATE_ACTIVE;
	v->update = UPDATE_SUCCESSFUL;
	model_uuid(w, v->revision);
}

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
	model_uuid(w, a->now.revision);
}

void model_remove_alias(struct function *f, struct alias *a)
{
	table_remove(&f->aliases, a->name);
	alias_free(a);
}

void model_drop_everything(struct world *w)
{
	for (size_t i = 0; i < w->functions.len; i++)
		function_free(w->functions.entries[i].value);
	table_deinit(&w->functions);
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
	metrics_deinit(&w->metrics);
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
