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

struct account {
	const char *name;
	const char *profile; /* NULL: as the SDKs choose */
	const char *region;
	bool found; /* keys are valid */
	struct aws_credentials keys;
	char error[LIMIT_REASON];
	int64_t until_boot_ms; /* what is known is believed until then */
};

struct accounts {
	struct account *items;
	size_t n;
};

struct accounts *accounts_new(const struct config *config)
{
	struct accounts *a = mem_alloc(sizeof(*a));
	a->items = mem_array(config->n_accounts + 1, sizeof(a->items[0]));
	for (size_t i = 0; i < config->n_accounts; i++) {
		const struct config_account *c = &config->accounts[i];
		a->items[a->n++] = (struct account){.name = c->name, .profile = c->profile, .region = c->region};
	}
	if (!config_find_account(config, DEFAULT_NAME))
		a->items[a->n++] = (struct account){.name = DEFAULT_NAME};
	return a;
}

static void forget_keys(struct account *account)
{
	if (account->found)
		aws_credentials_deinit(&account->keys);
	account->found = false;
	account->until_boot_ms = 0;
}

void accounts_forget(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++)
		forget_keys(&a->items[i]);
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
		if (strcmp(a->items[i].name, name) == 0)
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
	return account ? account->region : NULL;
}

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static void renew(struct account *account, struct instant now)
{
	char source[64], error[LIMIT_REASON] = "";
	forget_keys(account);
	account->found = credentials_resolve(look_up, NULL, account->profile, &account->keys, source, error,
					     sizeof(error)) == CREDENTIALS_FOUND;
	(void)text_copy(account->error, sizeof(account->error), error); /* cut at the end at worst */
	account->until_boot_ms = now.boot_ms + (account->found ? KEPT_MS : ERROR_KEPT_MS);
}

int accounts_credentials(struct accounts *a, struct instant now, const char *name, struct aws_credentials *ret,
			 char *ret_error, size_t error_size)
{
	struct account *account = find(a, name);
	if (!account) {
		snprintf(ret_error, error_size, "rolloutd.yaml has no account '%s'", name);
		return 1;
	}
	bool expired = account->found && account->keys.expires_unix_ms <= now.unix_ms;
	if (expired || now.boot_ms >= account->until_boot_ms)
		renew(account, now);
	if (!account->found) {
		(void)text_copy(ret_error, error_size, account->error); /* cut at the end at worst */
		return 1;
	}
	aws_credentials_copy(ret, &account->keys);
	return 0;
}
