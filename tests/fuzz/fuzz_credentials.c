/*
 * Where keys and addresses come from: the shared credentials file, the environment, endpoints. The first byte chooses.
 * No error may show a secret.
 */
#include <stdio.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "base/text.h"
#include "fuzz.h"

static void check_keys(int result, const struct aws_credentials *keys, const char *error, size_t size)
{
	require(result >= CREDENTIALS_FOUND && result <= CREDENTIALS_BROKEN);
	require((result == CREDENTIALS_FOUND) == (keys->access_key_id != NULL));
	require((result == CREDENTIALS_BROKEN) == (*error != '\0'));
	fuzz_check_printable(error, size);
	if (result != CREDENTIALS_FOUND)
		return;
	/* They go into headers as they are. */
	const char *const all[] = {keys->access_key_id, keys->secret_access_key, keys->session_token};
	for (size_t i = 0; i < array_len(all); i++) {
		require(all[i] ? *all[i] : i == 2);
		for (const char *c = all[i]; c && *c; c++)
			require(*c > ' ' && *c <= '~');
	}
	require(!strchr(keys->access_key_id, '/'));
}

static void fuzz_file(const char *text, size_t len, const char *profile)
{
	struct aws_credentials keys = {0};
	char error[512] = "";
	int result = credentials_from_file_text(text, len, profile, &keys, error, sizeof(error));
	check_keys(result, &keys, error, sizeof(error));
	aws_credentials_deinit(&keys);
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

static void fuzz_environment(struct environment *e)
{
	struct aws_credentials keys = {0};
	char error[512] = "";
	int result = credentials_from_env(lookup, e, &keys, error, sizeof(error));
	check_keys(result, &keys, error, sizeof(error));
	const char *secret = lookup(e, "AWS_SECRET_ACCESS_KEY");
	/* Shorter ones are in any sentence. */
	require(!secret || strlen(secret) < 12 || !strstr(error, secret));
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
	cleanup(mem_free_p) char *text = fuzz_text(data + 1, size - 1);
	struct environment e = {.n = 0};
	char *rest = text;
	if (data[0] % 4 == 0) {
		fuzz_file(text, size - 1, "default");
		fuzz_file(text, size - 1, "prod");
		return;
	}
	while (*rest && e.n < array_len(e.lines))
		e.lines[e.n++] = fuzz_line(&rest);
	if (data[0] % 4 == 1)
		fuzz_environment(&e);
	else
		fuzz_endpoint(&e);
}
