/* rolloutd.yaml: whatever the bytes are, there is a configuration that can be used as it is, or errors with places. */
#include <string.h>

#include "daemon/config.h"
#include "fuzz.h"

static void check_path(const char *path)
{
	require(path && path[0] == '/' && strlen(path) <= LIMIT_PATH);
}

static void check_rate(double rps)
{
	require(rps > 0 && rps <= 1000);
}

static void check(const struct config *c)
{
	check_path(c->plans_dir);
	check_path(c->hooks_dir);
	check_path(c->state_dir);
	check_path(c->socket);
	check_rate(c->lambda_rps);
	check_rate(c->cloudwatch_rps);
	check_rate(c->apigateway_rps);
	require(!c->region || *c->region);
	require(strlen(c->hash) == SHA256_HEX_SIZE - 1);
	require(c->history_days >= 1 && c->history_keep >= 1);
	for (size_t i = 0; i < c->n_accounts; i++) {
		require(c->accounts[i].name && *c->accounts[i].name);
		/* No name twice: each finds itself. */
		require(config_find_account(c, c->accounts[i].name) == &c->accounts[i]);
	}
	require(!config_find_account(c, "no such account"));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(config_free_p) struct config *c = config_parse("/etc/rolloutd/rolloutd.yaml", bytes, size, &d);
	require((c != NULL) == (d.errors == 0));
	fuzz_check_diags(&d, bytes, size);
	if (c)
		check(c);
}
