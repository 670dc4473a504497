#include "daemon/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define KEPT_MS	      MS_PER_MINUTE
#define ERROR_KEPT_MS (5 * MS_PER_SECOND) /* so that many calls do not read a broken file as many times */
#define DEFAULT_NAME  "default"
#define ERROR_SIZE    1024

struct account {
	struct config_account what; /* all borrowed */
	struct provider *provider;  /* NULL: nothing was resolved yet */
	char error[ERROR_SIZE];	    /* why nothing could be resolved; "" */
	int64_t until_boot_ms;	    /* what is known is believed until then */
};

struct accounts {
	struct account *items;
	size_t n;
	const char *region;
	struct provider_ports ports;
	void (*settled)(void *arg);
	void *settled_arg;
};

struct accounts *accounts_new(const struct config *config, const char *region)
{
	struct accounts *a = mem_alloc(sizeof(*a));
	a->region = region;
	a->items = mem_array(config->n_accounts + 1, sizeof(a->items[0]));
	for (size_t i = 0; i < config->n_accounts; i++)
		a->items[a->n++].what = config->accounts[i];
	if (!config_find_account(config, DEFAULT_NAME))
		a->items[a->n++].what.name = (char *)DEFAULT_NAME;
	return a;
}

void accounts_connect(struct accounts *a, const struct provider_ports *ports, void (*settled)(void *arg), void *arg)
{
	a->ports = *ports;
	a->settled = settled;
	a->settled_arg = arg;
}

static void forget(struct account *account)
{
	provider_free(take_ptr(account->provider));
	account->error[0] = '\0';
	account->until_boot_ms = 0;
}

void accounts_forget(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++)
		forget(&a->items[i]);
}

void accounts_free(struct accounts *a)
{
	if (!a)
		return;
	accounts_forget(a);
	free(a->items);
	free(a);
}

static struct account *find(const struct accounts *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i].what.name, name) == 0)
			return &a->items[i];
	return NULL;
}

bool accounts_known(const struct accounts *a, const char *name)
{
	return find(a, name) != NULL;
}

const char *accounts_region(const struct accounts *a, const char *name)
{
	const struct account *account = find(a, name);
	return account ? account->what.region : NULL;
}

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

/* Reads environment and files. What they cannot say any more does not take away what was known: a rollback may need it,
 * and whoever wants it gone reloads. */
static void resolve(struct accounts *a, struct account *account, int64_t now_ms)
{
	const struct config_account *c = &account->what;
	const struct source_request request = {
	    .lookup = look_up,
	    .profile = c->profile,
	    .region = c->region ? c->region : a->region,
	    .role_arn = c->role_arn,
	    .external_id = c->external_id,
	    .session_name = c->session_name,
	};
	struct source *source = NULL;
	int r =
	    source_load(&request, a->ports.read_file, a->ports.ctx, &source, account->error, sizeof(account->error));
	account->until_boot_ms = now_ms + (r ? ERROR_KEPT_MS : KEPT_MS);
	if (r)
		return;
	account->error[0] = '\0';
	if (account->provider && source_equal(source, provider_source(account->provider))) {
		source_free(source);
		return;
	}
	provider_free(account->provider);
	account->provider = provider_new(source, &a->ports, a->settled, a->settled_arg);
}

int accounts_credentials(struct accounts *a, const char *name, struct aws_credentials *ret, char *ret_error,
			 size_t error_size)
{
	struct account *account = find(a, name);
	if (!account) {
		snprintf(ret_error, error_size, "rolloutd.yaml has no account '%s'", name);
		return PROVIDER_BROKEN;
	}
	int64_t now_ms = a->ports.now(a->ports.ctx).boot_ms;
	if (now_ms >= account->until_boot_ms)
		resolve(a, account, now_ms);
	if (account->provider)
		return provider_get(account->provider, ret, ret_error, error_size);
	(void)text_copy(ret_error, error_size, account->error); /* cut at the end at worst */
	return PROVIDER_BROKEN;
}

void accounts_look(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].provider)
			provider_look(a->items[i].provider);
}

bool accounts_describe(struct accounts *a, const char *name, struct provider_status *ret)
{
	struct account *account = find(a, name);
	if (!account)
		return false;
	*ret = (struct provider_status){.source = "", .error = account->error};
	if (account->provider)
		provider_describe(account->provider, ret);
	if (*account->error)
		ret->error = account->error;
	return true;
}
