/*
 * Where keys and addresses come from: the AWS files, the environment, what the sources of keys answer, endpoints. The
 * first byte chooses. No error may show a secret.
 */
#include <stdio.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "base/text.h"
#include "credentials/keys.h"
#include "credentials/place.h"
#include "credentials/source.h"
#include "fuzz.h"

/* They go into headers as they are. */
static void check_keys(const struct aws_credentials *keys)
{
	const char *const all[] = {keys->access_key_id, keys->secret_access_key, keys->session_token};
	for (size_t i = 0; i < array_len(all); i++) {
		require(all[i] ? *all[i] : i == 2);
		for (const char *c = all[i]; c && *c; c++)
			require(*c > ' ' && *c <= '~');
	}
	require(!strchr(keys->access_key_id, '/'));
}

/* An environment of lines "NAME=value"; a value that stands there twice is the first. */
struct environment {
	char *lines[16];
	size_t n;
};

static const char *lookup(void *ctx, const char *name)
{
	const struct environment *e = ctx;
	size_t len = strlen(name);
	for (size_t i = 0; i < e->n; i++)
		if (strncmp(e->lines[i], name, len) == 0 && e->lines[i][len] == '=')
			return e->lines[i] + len + 1;
	return NULL;
}

static void take_lines(struct environment *e, char **rest, size_t max)
{
	while (**rest && e->n < max)
		e->lines[e->n++] = fuzz_line(rest);
}

/* Whatever a resolved source promises to those who ask it. */
static void check_source(const struct source *s)
{
	unsigned depth = 0;
	for (; s; s = s->source) {
		require(++depth <= SOURCE_DEPTH_MAX + 2);
		require(s->text && source_equal(s, s));
		require((s->kind == SOURCE_ASSUME_ROLE) == (s->source != NULL));
		if (s->kind == SOURCE_STATIC)
			check_keys(&s->keys);
		if (s->kind == SOURCE_ASSUME_ROLE || s->kind == SOURCE_WEB_IDENTITY)
			require(s->role_arn && s->session_name && s->region);
		if (s->kind == SOURCE_CONTAINER)
			require(!place_check_container(s->url));
		if (s->kind == SOURCE_INSTANCE)
			require(!place_check_instance(s->url) && s->tries > 0 && s->timeout_ms > 0);
		if (s->kind == SOURCE_PROCESS)
			require(s->command[0] && *s->command[0]);
	}
}

/* Four lines of environment, and the same text as both files. */
static void fuzz_files(char *text, const char *profile)
{
	struct environment e = {.n = 0};
	struct profiles *profiles = NULL;
	struct source *source = NULL;
	char error[1024] = "", *rest = text;
	take_lines(&e, &rest, 4);
	const struct profiles_text files[] = {
	    [PROFILES_CREDENTIALS] = {"/credentials", rest, strlen(rest), NULL},
	    [PROFILES_CONFIG] = {"/config", rest, strlen(rest), NULL},
	};
	if (profiles_parse(files, &profiles, error, sizeof(error))) {
		fuzz_check_sentence(error, sizeof(error));
		return;
	}
	const struct source_request request = {
	    .lookup = lookup, .lookup_ctx = &e, .profiles = profiles, .profile = profile};
	if (source_resolve(&request, &source, error, sizeof(error)))
		fuzz_check_sentence(error, sizeof(error));
	const char *secret = profiles_get(profiles, profile ? profile : "default", "aws_secret_access_key");
	/* Shorter ones are in any sentence. */
	require(!secret || strlen(secret) < 24 || !strstr(error, secret));
	check_source(source);
	source_free(source);
	profiles_free(profiles);
}

static void fuzz_environment(struct environment *e)
{
	struct aws_credentials keys = {0};
	char error[512] = "";
	int result = credentials_from_env(lookup, e, &keys, error, sizeof(error));
	require(result >= CREDENTIALS_FOUND && result <= CREDENTIALS_BROKEN);
	require((result == CREDENTIALS_FOUND) == (keys.access_key_id != NULL));
	require((result == CREDENTIALS_BROKEN) == (*error != '\0'));
	fuzz_check_printable(error, sizeof(error));
	if (result == CREDENTIALS_FOUND)
		check_keys(&keys);
	const char *secret = lookup(e, "AWS_SECRET_ACCESS_KEY");
	require(!secret || strlen(secret) < 12 || !strstr(error, secret));
	aws_credentials_deinit(&keys);
}

/* What a program, a container, an instance, SSO or STS answers; and SSO's token. */
static void fuzz_answer(unsigned form, const char *text, size_t len)
{
	struct aws_credentials keys = {0};
	char error[512] = "", *token = NULL;
	int64_t expires;
	int r;
	if (form == 5)
		r = keys_sso_token(text, len, &token, &expires, error, sizeof(error));
	else if (form == 4)
		r = keys_from_sts(text, len, &keys, error, sizeof(error));
	else
		r = keys_from_json((enum keys_form)form, text, len, &keys, error, sizeof(error));
	if (r)
		fuzz_check_sentence(error, sizeof(error));
	else if (form == 5)
		require(token && *token);
	else
		check_keys(&keys);
	free(token);
	aws_credentials_deinit(&keys);
}

static void fuzz_endpoint(struct environment *e)
{
	struct aws_endpoint to;
	for (enum aws_service s = 0; s < AWS_N_SERVICES; s++) {
		char error[256] = "";
		if (endpoint_resolve(&(struct endpoint_settings){.env = lookup, .env_ctx = e}, s, "us-east-1", &to,
				     error, sizeof(error))) {
			fuzz_check_sentence(error, sizeof(error));
			continue;
		}
		require(*to.host && !strpbrk(to.host, "/?#@ \r\n\t"));
		require(strcmp(to.scheme, "http") == 0 || strcmp(to.scheme, "https") == 0);
		require(to.base_path[0] == '\0' || (to.base_path[0] == '/' && !text_ends_with(to.base_path, "/")));
		fuzz_check_printable(to.host, sizeof(to.host));
		fuzz_check_printable(to.base_path, sizeof(to.base_path));
	}
}

void fuzz_one(const uint8_t *data, size_t size)
{
	if (size < 1)
		return;
	struct environment e = {.n = 0};
	cleanup(mem_free_p) char *text = fuzz_text(data + 1, size - 1);
	char *rest = text;
	switch (data[0] % 4) {
	case 0:
		fuzz_files(text, data[0] % 8 ? "prod" : NULL);
		break;
	case 1:
		take_lines(&e, &rest, array_len(e.lines));
		fuzz_environment(&e);
		break;
	case 2:
		fuzz_answer(data[0] / 4 % 6, text, strlen(text));
		break;
	default:
		take_lines(&e, &rest, array_len(e.lines));
		fuzz_endpoint(&e);
	}
}
