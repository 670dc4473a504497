/*
 * Prints the keys that rolloutd would sign with: resolve_keys [--profile NAME] [--role-arn ARN] [--external-id ID]; or
 * where it would send its requests: resolve_keys --endpoints FILE ACCOUNT, the account being one of that rolloutd.yaml.
 * The daemon's own parts, with the environment and the files that they are given; for tests that compare with other
 * SDKs. Keys, {region, urls} or error as one JSON object, exit status 0 or 1.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "daemon/ports.h"

#define ASK_MS	  10
#define ASKED_MAX 3000 /* half a minute */

struct tool {
	uv_loop_t loop;
	uv_timer_t timer;
	struct daemon_ports ports;
	unsigned asked;
	int exit_code;
};

static void print(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	require(text);
	puts(text);
	free(text);
	json_decref(object);
}

static void end(struct tool *t, int exit_code)
{
	t->exit_code = exit_code;
	programs_close(t->ports.programs);
	transport_abort(t->ports.transport);
	transport_close(t->ports.transport);
	turn_close(t->ports.turn);
	uv_close((uv_handle_t *)&t->timer, NULL);
}

static void ask(uv_timer_t *timer)
{
	struct tool *t = timer->data;
	struct aws_credentials keys;
	struct provider_status status;
	char error[LIMIT_REASON * 4] = "still pending after half a minute";
	int r = accounts_credentials(t->ports.accounts, "default", &keys, error, sizeof(error));
	if (r == PROVIDER_PENDING && ++t->asked < ASKED_MAX)
		return;
	require(accounts_describe(t->ports.accounts, "default", &status));
	if (r == PROVIDER_FOUND) {
		print(json_pack("{s:s,s:s,s:s*,s:s}", "id", keys.access_key_id, "secret", keys.secret_access_key,
				"token", keys.session_token, "source", status.source));
		aws_credentials_deinit(&keys);
	} else {
		print(json_pack("{s:s}", "error", error));
	}
	end(t, r == PROVIDER_FOUND ? 0 : 1);
}

static void turned(void *ctx)
{
	(void)ctx;
}

static bool parse_options(int argc, char **argv, struct config_account *ret)
{
	static const struct option options[] = {{"profile", required_argument, NULL, 'p'},
						{"role-arn", required_argument, NULL, 'r'},
						{"external-id", required_argument, NULL, 'e'},
						{NULL, 0, NULL, 0}};
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		char **slot = c == 'p'	 ? &ret->profile
			      : c == 'r' ? &ret->role_arn
			      : c == 'e' ? &ret->external_id
					 : NULL;
		if (!slot)
			return false;
		*slot = optarg;
	}
	return optind == argc;
}

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static void open_accounts(struct tool *t, const struct config *config)
{
	const struct transport_config transport = {.user_agent = "resolve_keys", .env = look_up};
	char error[LIMIT_REASON];
	require(transport_set_up() == 0 && uv_loop_init(&t->loop) == 0 && ports_init(&t->ports) == 0);
	require(transport_new(&t->loop, &transport, &t->ports.transport, error, sizeof(error)) == 0);
	turn_new(&t->loop, turned, t, &t->ports.turn);
	t->ports.programs = programs_new(&t->loop);
	t->ports.accounts = accounts_new(config);
	ports_connect_accounts(&t->ports);
	require(uv_timer_init(&t->loop, &t->timer) == 0);
	t->timer.data = t;
}

static int close_accounts(struct tool *t)
{
	while (uv_run(&t->loop, UV_RUN_DEFAULT) != 0)
		;
	require(uv_loop_close(&t->loop) == 0);
	accounts_free(t->ports.accounts);
	transport_tear_down();
	return t->exit_code;
}

/* --- endpoints --- */

static json_t *endpoints_of(struct accounts *accounts, const char *name, const char *region)
{
	json_t *urls = json_object();
	for (enum aws_service s = 0; s < AWS_N_SERVICES; s++) {
		struct aws_endpoint e;
		char error[LIMIT_REASON];
		if (accounts_endpoint(accounts, name, s, region, &e, error, sizeof(error))) {
			json_decref(urls);
			return json_pack("{s:s}", "error", error);
		}
		json_object_set_new(urls, endpoint_service_name(s),
				    json_sprintf("%s://%s%s", e.scheme, e.host, e.base_path));
	}
	return json_pack("{s:s,s:o}", "region", region, "urls", urls);
}

static int resolve_endpoints(const char *file, const char *name)
{
	struct diags diags = {0};
	struct tool t = {.exit_code = 0};
	char error[LIMIT_REASON];
	struct config *config cleanup(config_free_p) = config_load(file, &diags, error, sizeof(error));
	diags_deinit(&diags);
	if (!config)
		return 2;
	open_accounts(&t, config);
	const char *region = NULL;
	if (accounts_region(t.ports.accounts, name, &region, error, sizeof(error)) || !region)
		region = accounts_default_region(t.ports.accounts);
	char *copy cleanup(mem_free_p) = mem_strdup(region);
	print(endpoints_of(t.ports.accounts, name, copy));
	end(&t, 0);
	return close_accounts(&t);
}

int main(int argc, char **argv)
{
	struct config_account account = {.name = (char *)"default"};
	const struct config config = {.accounts = &account, .n_accounts = 1};
	struct tool t = {.exit_code = 2};
	if (argc == 4 && strcmp(argv[1], "--endpoints") == 0)
		return resolve_endpoints(argv[2], argv[3]);
	if (!parse_options(argc, argv, &account))
		return 2;
	open_accounts(&t, &config);
	require(uv_timer_start(&t.timer, ask, 0, ASK_MS) == 0);
	return close_accounts(&t);
}
