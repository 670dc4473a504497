/* Of a world file: how code behaves, and the code that is to be found by name. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/sha256.h"
#include "sim/reader.h"
#include "sim/settings.h"

#define KEYS_BESIDES_MAX 8

/* --- behaviour --- */

static bool read_latency(const struct node *n, struct behaviour *b, struct diags *d)
{
	static const char *const keys[] = {"median", "p99", NULL};
	int64_t median = (int64_t)b->latency_median_ms, p99 = 0;
	if (!n)
		return true;
	if (n->kind == NODE_SCALAR) {
		if (!reader_duration(n, MS_PER_HOUR, &median, d))
			return false;
	} else if (!reader_mapping(n, "latency", keys, d) ||
		   !reader_duration(node_get(n, "median"), MS_PER_HOUR, &median, d) ||
		   !reader_duration(node_get(n, "p99"), MS_PER_HOUR, &p99, d)) {
		return false;
	}
	if (p99 && p99 < median) {
		reader_error(n, d, "`p99` is less than `median`");
		return false;
	}
	b->latency_median_ms = (double)median;
	b->latency_p99_ms = (double)p99;
	return true;
}

/* A body that is JSON stands as it is; anything else is given as a JSON string. */
static char *body_json(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	if (json) {
		json_decref(json);
		return mem_strdup(text);
	}
	json_t *string = json_string(text);
	char *dumped = json_dumps(string, JSON_ENCODE_ANY);
	char *copy = mem_strdup(dumped);
	free(dumped);
	json_decref(string);
	return copy;
}

/* The answer of a function behind an API, as API Gateway takes it apart: {statusCode, headers, body}. NULL when it is
 * none. */
static char *response_json(const struct node *n, struct diags *d)
{
	static const char *const keys[] = {"status", "headers", "body", NULL};
	const struct node *headers = node_get(n, "headers");
	uint64_t status = 200;
	const char *body = "";
	size_t before = d->errors;
	if (n->kind == NODE_SCALAR) {
		reader_text(n, BODY_MAX, &body, d);
	} else if (reader_mapping(n, "response", keys, d)) {
		reader_count(node_get(n, "status"), 100, 599, &status, d);
		reader_text(node_get(n, "body"), BODY_MAX, &body, d);
	}
	json_t *out = json_pack("{s:i, s:s}", "statusCode", (int)status, "body", body);
	json_t *named = json_object();
	if (headers && headers->kind != NODE_MAPPING)
		reader_error(headers, d, "`headers` must be a mapping from names to texts");
	for (const struct node *h = headers ? headers->first : NULL; h; h = h->next) {
		const char *value = "";
		if (h->key && reader_text(h, 1024, &value, d))
			json_object_set_new(named, h->key, json_string(value));
	}
	if (json_object_size(named))
		json_object_set(out, "headers", named);
	char *text = d->errors == before ? json_dumps(out, JSON_COMPACT) : NULL;
	json_decref(named);
	json_decref(out);
	return text;
}

static void read_answer(const struct node *n, struct behaviour *b, struct diags *d)
{
	const struct node *response = node_get(n, "response");
	const char *body = NULL;
	if (response && node_get(n, "body")) {
		reader_error(response, d, "`response` and `body` say the same in two ways: give one of them");
		return;
	}
	reader_text(node_get(n, "body"), BODY_MAX, &body, d);
	char *text = response ? response_json(response, d) : body ? body_json(body) : NULL;
	if (!text)
		return;
	free(b->body);
	b->body = text;
}

static bool check_keys(const struct node *n, const char *what, const char *const *besides, struct diags *d)
{
	static const char *const own[] = {"error_rate",	   "throttle_rate", "errors_after_requests",
					  "errors_after",  "latency",	    "init",
					  "init_requests", "body",	    "response"};
	const char *all[array_len(own) + KEYS_BESIDES_MAX + 1];
	size_t len = 0;
	for (; besides && besides[len]; len++) {
		require(len < KEYS_BESIDES_MAX);
		all[len] = besides[len];
	}
	for (size_t i = 0; i < array_len(own); i++)
		all[len++] = own[i];
	all[len] = NULL;
	return reader_mapping(n, what, all, d);
}

bool settings_behaviour(const struct node *n, const char *what, const char *const *besides, struct behaviour *b,
			struct diags *d)
{
	size_t before = d->errors;
	if (!check_keys(n, what, besides, d))
		return false;
	reader_share(node_get(n, "error_rate"), &b->error_rate, d);
	reader_share(node_get(n, "throttle_rate"), &b->throttle_rate, d);
	reader_count(node_get(n, "errors_after_requests"), 0, UINT32_MAX, &b->errors_after_requests, d);
	reader_duration(node_get(n, "errors_after"), LIMIT_DURATION_MS, &b->errors_after_ms, d);
	read_latency(node_get(n, "latency"), b, d);
	if (node_get(n, "init") && !b->init_requests)
		b->init_requests = 1;
	reader_duration(node_get(n, "init"), MS_PER_HOUR, &b->init_ms, d);
	reader_count(node_get(n, "init_requests"), 0, UINT32_MAX, &b->init_requests, d);
	read_answer(n, b, d);
	return d->errors == before;
}

/* --- code --- */

/* One object or image; `name` is what it is told by, besides its contents. */
static void apply_object(const struct node *n, struct table *t, const char *name, bool is_image, struct diags *d)
{
	static const char *const object_keys[] = {"code", "version", NULL}, *const image_keys[] = {"code", NULL};
	const char *code = NULL, *version = NULL;
	size_t before = d->errors;
	struct code_object *o = mem_alloc(sizeof(*o));
	behaviour_init(&o->behaviour);
	if (settings_behaviour(n, is_image ? "an image" : "an object", is_image ? image_keys : object_keys,
			       &o->behaviour, d)) {
		reader_text(node_get(n, "code"), BODY_MAX, &code, d);
		reader_text(node_get(n, "version"), 1024, &version, d);
	}
	/* Other contents, another hash. */
	char *made cleanup(mem_free_p) = code ? mem_strdup(code) : mem_printf("%s\n%s", name, o->behaviour.body);
	if (is_image)
		sha256_hex(made, strlen(made), o->code_sha256);
	else
		model_code_sha(made, strlen(made), o->code_sha256);
	o->code_size = is_image ? 0 : strlen(made);
	o->version = mem_strdup(version);
	if (d->errors != before)
		code_object_free(o);
	else if (!model_put_object(t, name, o))
		reader_error(n, d, "there are %d of these already, the most there may be", OBJECTS_MAX);
}

static void apply_bucket(struct world *w, const struct node *bucket, struct diags *d)
{
	if (!*bucket->key || strchr(bucket->key, '/') || bucket->kind != NODE_MAPPING) {
		reader_key_error(bucket, d, "a bucket has a name without `/`, and is a mapping from keys to objects");
		return;
	}
	char *marker cleanup(mem_free_p) = mem_printf("%s/", bucket->key);
	if (!model_put_object(&w->objects, marker, NULL))
		reader_error(bucket, d, "there are %d objects already, the most there may be", OBJECTS_MAX);
	for (const struct node *n = bucket->first; n; n = n->next) {
		char *name cleanup(mem_free_p) = mem_printf("%s/%s", bucket->key, n->key);
		if (*n->key)
			apply_object(n, &w->objects, name, false, d);
		else
			reader_key_error(n, d, "an object's key may not be empty");
	}
}

bool settings_s3(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	if (n->kind != NODE_MAPPING)
		reader_error(n, d, "`s3` must be a mapping from buckets to {KEY: object}");
	for (const struct node *b = n->kind == NODE_MAPPING ? n->first : NULL; b; b = b->next)
		apply_bucket(w, b, d);
	return d->errors == before;
}

bool settings_images(struct world *w, const struct node *n, struct diags *d)
{
	size_t before = d->errors;
	if (n->kind != NODE_MAPPING)
		reader_error(n, d, "`images` must be a mapping from URIs to images");
	for (const struct node *i = n->kind == NODE_MAPPING ? n->first : NULL; i; i = i->next)
		apply_object(i, &w->images, i->key, true, d);
	return d->errors == before;
}
