#include "daemon/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define KEPT_MS	       MS_PER_MINUTE
#define ERROR_KEPT_MS  (5 * MS_PER_SECOND) /* so that many calls do not read a broken file as many times */
#define DEFAULT_NAME   "default"
#define DEFAULT_REGION "us-east-1"
#define ERROR_SIZE     1024
#define TOLD_AGAIN_MS  (5 * MS_PER_MINUTE) /* trouble whose words change is not told at each change */

/* What one reading of environment and files has given: keys and settings belong together. With the keys of one and the
 * endpoints of another, what is signed for a private endpoint would go to the public one. */
struct identity {
	const struct account *account;
	struct profiles *profiles;
	struct provider *provider;
};

struct account {
	struct config_account what; /* all borrowed */
	struct accounts *owner;
	bool used;
	struct identity *now;  /* NULL: nothing could be made of environment and files yet */
	struct identity *next; /* is to take over; NULL: none */
	/* Of a last reading that was whole, but is not in use: it may tell the region before there are keys. */
	struct profiles *keyless;
	char error[ERROR_SIZE]; /* why what was read last is not in use; "" */
	char told[ERROR_SIZE];	/* the trouble that was told; "": none, or it is over */
	int64_t told_boot_ms;
	int64_t until_boot_ms; /* what is known is believed until then */
};

struct accounts {
	struct account *items;
	size_t n;
	size_t n_named;	    /* the first ones: without a "default" that nobody wrote down, though others were */
	const char *region; /* the configuration's; NULL: none */
	struct provider_ports ports;
	void (*settled)(void *arg);
	void (*tell)(void *arg, bool trouble, const char *text);
	void *arg; /* of both */
};

struct accounts *accounts_new(const struct config *config)
{
	struct accounts *a = mem_alloc(sizeof(*a));
	a->region = config->region;
	a->items = mem_array(config->n_accounts + 1, sizeof(a->items[0]));
	for (size_t i = 0; i < config->n_accounts; i++)
		a->items[a->n++].what = config->accounts[i];
	a->n_named = a->n ? a->n : 1;
	if (!config_find_account(config, DEFAULT_NAME))
		a->items[a->n++].what.name = (char *)DEFAULT_NAME;
	for (size_t i = 0; i < a->n; i++)
		a->items[i].owner = a;
	return a;
}

void accounts_connect(struct accounts *a, const struct provider_ports *ports, void (*settled)(void *arg),
		      void (*tell)(void *arg, bool trouble, const char *text), void *arg)
{
	a->ports = *ports;
	a->settled = settled;
	a->tell = tell;
	a->arg = arg;
}

static void identity_free(struct identity *i)
{
	if (!i)
		return;
	provider_free(i->provider);
	profiles_free(i->profiles);
	free(i);
}

void accounts_free(struct accounts *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		identity_free(a->items[i].next);
		identity_free(a->items[i].now);
		profiles_free(a->items[i].keyless);
	}
	free(a->items);
	free(a);
}

static bool has_keys(const struct identity *i)
{
	struct provider_status status;
	provider_describe(i->provider, &status);
	return status.has_keys;
}

static struct account *find(const struct accounts *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i].what.name, name) == 0)
			return &a->items[i];
	return NULL;
}

const char *accounts_name(const struct accounts *a, size_t index)
{
	return index < a->n_named ? a->items[index].what.name : NULL;
}

bool accounts_known(const struct accounts *a, const char *name)
{
	return find(a, name) != NULL;
}

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static struct source_request request_of(const struct account *account, const struct profiles *profiles)
{
	const struct config_account *c = &account->what;
	return (struct source_request){
	    .lookup = look_up,
	    .profiles = profiles,
	    .profile = c->profile,
	    .region = c->region ? c->region : account->owner->region,
	    .role_arn = c->role_arn,
	    .external_id = c->external_id,
	    .session_name = c->session_name,
	};
}

/* --- settings of its profile --- */

static const char *get_setting(void *ctx, const char *key)
{
	const struct identity *i = ctx;
	const struct source_request request = request_of(i->account, i->profiles);
	return profiles_get(i->profiles, source_profile(&request), key);
}

static const char *get_service(void *ctx, const char *service_id, const char *key)
{
	const struct identity *i = ctx;
	const struct source_request request = request_of(i->account, i->profiles);
	return profiles_get_service(i->profiles, source_profile(&request), service_id, key);
}

static bool has_services(void *ctx, const char *name)
{
	const struct identity *i = ctx;
	return profiles_has_services(i->profiles, name);
}

static struct endpoint_settings settings_of(struct identity *i)
{
	return (struct endpoint_settings){
	    .env = look_up,
	    .profile_get = get_setting,
	    .service_get = get_service,
	    .has_services = has_services,
	    .ctx = i,
	};
}

static int find_endpoint(void *ctx, enum aws_service service, const char *region, struct aws_endpoint *ret,
			 char *ret_error, size_t error_size)
{
	const struct endpoint_settings settings = settings_of(ctx);
	return endpoint_resolve(&settings, service, region, ret, ret_error, error_size);
}

/* --- trouble --- */

static void describe(const struct account *account, struct provider_status *ret)
{
	struct provider_status next = {.error = ""};
	*ret = (struct provider_status){.source = "", .error = account->error};
	if (account->now)
		provider_describe(account->now->provider, ret);
	if (account->next)
		provider_describe(account->next->provider, &next);
	if (*next.error)
		ret->error = next.error;
	if (*account->error)
		ret->error = account->error;
}

static void tell(struct account *account)
{
	const struct accounts *a = account->owner;
	int64_t now_ms = a->ports.now(a->ports.ctx).boot_ms;
	struct provider_status status;
	char text[ERROR_SIZE + LIMIT_NAME + 128];
	describe(account, &status);
	bool trouble = *status.error, known = *account->told;
	if (!a->tell || !account->used || strcmp(status.error, account->told) == 0 ||
	    (trouble && known && now_ms < account->told_boot_ms + TOLD_AGAIN_MS))
		return;
	if (trouble)
		snprintf(text, sizeof(text), "account %s: %s: %s", account->what.name,
			 status.has_keys ? "what was known goes on being used, but there is trouble"
					 : "nothing can be signed",
			 status.error);
	else
		snprintf(text, sizeof(text), "account %s: its AWS keys and settings are good again",
			 account->what.name);
	(void)text_copy(account->told, sizeof(account->told), status.error); /* neither is longer */
	account->told_boot_ms = now_ms;
	a->tell(a->arg, trouble, text);
}

static void settled(void *arg)
{
	struct account *account = arg;
	tell(account);
	account->owner->settled(account->owner->arg);
}

/* --- what the files say --- */

/* Whether the profiles name an endpoint wherever those in use do. What is wrong with both, a variable of the
 * environment say, is no reason to keep the old ones: each call tells of that. */
static bool check_endpoints(struct account *account, struct profiles *profiles)
{
	struct identity read = {.account = account, .profiles = profiles};
	for (enum aws_service s = 0; account->now && s < AWS_N_SERVICES; s++) {
		struct aws_endpoint e;
		char why[ERROR_SIZE], before[ERROR_SIZE];
		if (find_endpoint(&read, s, DEFAULT_REGION, &e, why, sizeof(why)) == 0 ||
		    find_endpoint(account->now, s, DEFAULT_REGION, &e, before, sizeof(before)) != 0)
			continue;
		(void)text_copy(account->error, sizeof(account->error), why); /* of the same size */
		return false;
	}
	return true;
}

static void set_profiles(struct identity *i, struct profiles *profiles)
{
	profiles_free(i->profiles);
	i->profiles = profiles;
}

static struct identity *new_identity(struct account *account, struct profiles *profiles, struct source *source)
{
	struct identity *i = mem_alloc(sizeof(*i));
	struct provider_ports ports = account->owner->ports;
	i->account = account;
	i->profiles = profiles;
	ports.endpoint = find_endpoint;
	ports.endpoint_ctx = i;
	i->provider = provider_new(source, &ports, settled, account);
	return i;
}

/* Takes both. */
static void take_reading(struct account *account, struct profiles *profiles, struct source *source)
{
	struct identity *known[] = {account->next, account->now};
	account->error[0] = '\0';
	for (size_t i = 0; i < array_len(known); i++) {
		if (!known[i] || !source_equal(source, provider_source(known[i]->provider)))
			continue;
		source_free(source);
		set_profiles(known[i], profiles);
		if (known[i] == account->now) /* as it was before */
			identity_free(take_ptr(account->next));
		return;
	}
	identity_free(account->next);
	account->next = new_identity(account, profiles, source);
}

static void take_over(struct account *account)
{
	identity_free(account->now);
	account->now = take_ptr(account->next);
}

/* A new source does when it has given keys, or when those of the old one have ended: a change must not take away what a
 * rollback can be signed with. */
static void take_turns(struct account *account)
{
	if (account->next && (!account->now || provider_ask(account->next->provider) || !has_keys(account->now)))
		take_over(account);
}

/* Reads environment and files. Whoever writes them may be at it just now: what they cannot say any more does not take
 * away what was known, neither keys nor settings, as a rollback may need it. */
static void resolve(struct accounts *a, struct account *account)
{
	struct source_request request = request_of(account, NULL);
	struct profiles *profiles = NULL;
	struct source *source = NULL;
	bool good = profiles_load(look_up, NULL, a->ports.read_file, a->ports.ctx, &profiles, account->error,
				  sizeof(account->error)) == 0;
	request.profiles = profiles;
	good = good && source_resolve(&request, &source, account->error, sizeof(account->error)) == 0 &&
	       check_endpoints(account, profiles);
	account->until_boot_ms = a->ports.now(a->ports.ctx).boot_ms + (good ? KEPT_MS : ERROR_KEPT_MS);
	if (good) {
		profiles_free(take_ptr(account->keyless));
		take_reading(account, profiles, source);
		return;
	}
	source_free(source);
	profiles_free(account->keyless);
	account->keyless = profiles;
}

static void refresh(struct accounts *a, struct account *account)
{
	if (a->ports.now(a->ports.ctx).boot_ms >= account->until_boot_ms)
		resolve(a, account);
	take_turns(account);
	tell(account);
}

/* NULL: there is no such account. */
static struct account *find_fresh(struct accounts *a, const char *name)
{
	struct account *account = find(a, name);
	if (!account)
		return NULL;
	account->used = true;
	refresh(a, account);
	return account;
}

static int no_such_account(const char *name, char *ret_error, size_t error_size)
{
	snprintf(ret_error, error_size, "rolloutd.yaml has no account '%s'", name);
	return PROVIDER_BROKEN;
}

static int not_resolved(const struct account *account, char *ret_error, size_t error_size)
{
	(void)text_copy(ret_error, error_size, account->error); /* cut at the end at worst */
	return PROVIDER_BROKEN;
}

int accounts_credentials(struct accounts *a, const char *name, struct aws_credentials *ret, char *ret_error,
			 size_t error_size)
{
	struct account *account = find_fresh(a, name);
	if (!account)
		return no_such_account(name, ret_error, error_size);
	if (!account->now)
		return not_resolved(account, ret_error, error_size);
	if (!account->next)
		return provider_get(account->now->provider, ret, ret_error, error_size);
	/* The old source is not asked any more. Its keys end just now, or they are there: see take_turns(). */
	return provider_peek(account->now->provider, ret) == PROVIDER_FOUND ? PROVIDER_FOUND : PROVIDER_PENDING;
}

/* "default" need not be there: whoever names none may have none. */
static bool has_profile(const struct account *account, const struct profiles *profiles)
{
	const struct source_request request = request_of(account, profiles);
	const char *profile = source_profile(&request);
	return profiles && (profiles_has(profiles, profile) || strcmp(profile, DEFAULT_NAME) == 0);
}

int accounts_endpoint(struct accounts *a, const char *name, enum aws_service service, const char *region,
		      struct aws_endpoint *ret, char *ret_error, size_t error_size)
{
	struct account *account = find_fresh(a, name);
	if (!account)
		return no_such_account(name, ret_error, error_size);
	/* Without keys nothing is sent; but where it would go is known. */
	struct identity keyless = {.account = account, .profiles = account->keyless};
	if (!account->now && !has_profile(account, account->keyless))
		return not_resolved(account, ret_error, error_size);
	return find_endpoint(account->now ? account->now : &keyless, service, region, ret, ret_error, error_size);
}

void accounts_refused(struct accounts *a, const char *name, const char *access_key_id)
{
	struct account *account = find(a, name);
	if (!account || !account->now || !provider_refused(account->now->provider, access_key_id))
		return;
	if (account->next)
		take_over(account); /* what AWS refuses is no help while others are awaited */
	/* They may be keys that stand in a file. */
	int64_t soon_ms = a->ports.now(a->ports.ctx).boot_ms + ERROR_KEPT_MS;
	if (account->until_boot_ms > soon_ms)
		account->until_boot_ms = soon_ms;
}

/* NULL: nothing names one for all accounts. */
static const char *common_region(const struct accounts *a)
{
	return a->region ? a->region : endpoint_region(&(struct endpoint_settings){.env = look_up});
}

const char *accounts_default_region(const struct accounts *a)
{
	const char *region = common_region(a);
	return region ? region : DEFAULT_REGION;
}

int accounts_region(struct accounts *a, const char *name, const char **ret, char *ret_error, size_t error_size)
{
	const struct account *account = find(a, name);
	if (!account)
		return no_such_account(name, ret_error, error_size);
	if (account->what.region || common_region(a)) {
		*ret = account->what.region;
		return 0;
	}
	account = find_fresh(a, name);
	struct identity keyless = {.account = account, .profiles = account->keyless};
	if (!account->now && !has_profile(account, account->keyless))
		return not_resolved(account, ret_error, error_size);
	/* It is recorded for good: the newest counts. */
	const struct endpoint_settings settings = settings_of(account->next  ? account->next
							      : account->now ? account->now
									     : &keyless);
	*ret = endpoint_region(&settings);
	return 0;
}

void accounts_look(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct account *account = &a->items[i];
		if (!account->used)
			continue;
		refresh(a, account);
		if (account->now && !account->next)
			provider_look(account->now->provider);
	}
}

const char *accounts_check(struct accounts *a, const char *name)
{
	struct account *account = find(a, name);
	if (account)
		resolve(a, account);
	return account ? account->error : "";
}

void accounts_renew(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct account *account = &a->items[i];
		account->until_boot_ms = 0;
		if (account->now)
			provider_renew(account->now->provider);
		if (account->next)
			provider_renew(account->next->provider);
	}
}

bool accounts_describe(struct accounts *a, const char *name, struct provider_status *ret)
{
	const struct account *account = find(a, name);
	if (account)
		describe(account, ret);
	return account != NULL;
}

bool accounts_next_used(struct accounts *a, size_t *at, const char **ret_name, struct provider_status *ret)
{
	while (*at < a->n && !a->items[*at].used)
		++*at;
	if (*at == a->n)
		return false;
	const struct account *account = &a->items[(*at)++];
	*ret_name = account->what.name;
	describe(account, ret);
	return true;
}
