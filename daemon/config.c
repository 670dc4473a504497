/*
 * A table of keys drives everything: where a value goes, of which kind it is, which numbers are sensible. So each
 * key has one line, and an unknown key can be told its nearest neighbour.
 */
#include "daemon/config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "plan/node.h"

enum kind {
	KIND_PATH,
	KIND_GROUP,
	KIND_REGION,
	KIND_PROFILE,
	KIND_ROLE,
	KIND_EXTERNAL_ID,
	KIND_SESSION,
	KIND_BOOL,
	KIND_RATE,
	KIND_COUNT,
	KIND_CHOICE,
	KIND_SECTION,
	KIND_ACCOUNTS,
};

struct choice {
	const char *name;
	int value;
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset; /* of the value in what the table describes */
	unsigned min;  /* KIND_RATE: above 0 is always asked for */
	unsigned max;
	const struct choice *choices; /* ends with a NULL name */
	const struct key *keys;	      /* KIND_SECTION: ends with a NULL name */
};

static const struct choice levels[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {NULL, 0},
};

static const struct choice formats[] = {
    {"auto", LOG_FORMAT_AUTO},
    {"text", LOG_FORMAT_TEXT},
    {"json", LOG_FORMAT_JSON},
    {"journal", LOG_FORMAT_JOURNAL},
    {NULL, 0},
};

#define AT(member) .offset = offsetof(struct config, member)
#define IN(member) .offset = offsetof(struct config_account, member)

static const struct key control_keys[] = {
    {"socket", KIND_PATH, AT(socket)},
    {"group", KIND_GROUP, AT(group)},
    {"submit_group", KIND_GROUP, AT(submit_group)},
    {.name = NULL},
};

/* Rates far beyond AWS's own quotas are surely a mistake. */
static const struct key limits_keys[] = {
    {"lambda_rps", KIND_RATE, AT(lambda_rps), .max = 1000},
    {"cloudwatch_rps", KIND_RATE, AT(cloudwatch_rps), .max = 1000},
    {"apigateway_rps", KIND_RATE, AT(apigateway_rps), .max = 1000},
    {.name = NULL},
};

static const struct key log_keys[] = {
    {"level", KIND_CHOICE, AT(log_level), .choices = levels},
    {"format", KIND_CHOICE, AT(log_format), .choices = formats},
    {.name = NULL},
};

static const struct key config_keys[] = {
    {"plans_dir", KIND_PATH, AT(plans_dir)},
    {"hooks_dir", KIND_PATH, AT(hooks_dir)},
    {"state_dir", KIND_PATH, AT(state_dir)},
    {"control", KIND_SECTION, .keys = control_keys},
    {"mark", KIND_BOOL, AT(mark)},
    {"region", KIND_REGION, AT(region)},
    {.name = "accounts", .kind = KIND_ACCOUNTS},
    {"limits", KIND_SECTION, .keys = limits_keys},
    {"log", KIND_SECTION, .keys = log_keys},
    {"history_days", KIND_COUNT, AT(history_days), .min = 1, .max = 3650},
    {"history_keep", KIND_COUNT, AT(history_keep), .min = 1, .max = 1000},
    {.name = NULL},
};

static const struct key account_keys[] = {
    {"profile", KIND_PROFILE, IN(profile)},
    {"region", KIND_REGION, IN(region)},
    {"role_arn", KIND_ROLE, IN(role_arn)},
    {"external_id", KIND_EXTERNAL_ID, IN(external_id)},
    {"session_name", KIND_SESSION, IN(session_name)},
    {.name = NULL},
};

#undef AT
#undef IN

struct reader {
	struct config *config;
	const char *dir; /* of the file */
	struct diags *diags;
};

#define wrong(r, node, ...) diags_add((r)->diags, DIAG_ERROR, (node)->line, (node)->column, __VA_ARGS__)

static void set_text(char **slot, char *value)
{
	free(*slot);
	*slot = value;
}

static void take_path(struct reader *r, const struct node *n, char **slot)
{
	if (!n->text[0])
		wrong(r, n, "'%s' is empty: expected a path", n->key);
	else
		set_text(slot, file_resolve(r->dir, n->text));
}

static bool made_of(const char *s, size_t max, const char *more)
{
	size_t len = strlen(s);
	if (len == 0 || len > max)
		return false;
	for (; *s; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
		if (!alnum && !strchr(more, *s))
			return false;
	}
	return true;
}

static void take_text(struct reader *r, const struct node *n, size_t max, const char *more, const char *expected,
		      char **slot)
{
	if (!made_of(n->text, max, more))
		wrong(r, n, "'%s': expected %s", n->key, expected);
	else
		set_text(slot, mem_strdup(n->text));
}

static void take_name(struct reader *r, const struct node *n, const char *more, const char *expected, char **slot)
{
	take_text(r, n, 64, more, expected, slot);
}

/* STS takes no such text of one character. */
static void take_sts_text(struct reader *r, const struct node *n, size_t max, const char *more, const char *expected,
			  char **slot)
{
	if (strlen(n->text) == 1)
		wrong(r, n, "'%s': expected %s", n->key, expected);
	else
		take_text(r, n, max, more, expected, slot);
}

/* Its partition and its path are whatever they are: STS judges them. */
static void take_role(struct reader *r, const struct node *n, char **slot)
{
	if (!text_starts_with(n->text, "arn:") || !strstr(n->text, ":role/"))
		wrong(r, n, "'%s': expected a role's ARN such as arn:aws:iam::123456789012:role/rolloutd", n->key);
	else
		take_text(r, n, 2048, ":/_+=,.@-", "a role's ARN, of letters, digits and :/_+=,.@-", slot);
}

static void take_bool(struct reader *r, const struct node *n, bool *slot)
{
	bool yes = strcmp(n->text, "true") == 0;
	if (!yes && strcmp(n->text, "false") != 0)
		wrong(r, n, "'%s': expected true or false", n->key);
	else
		*slot = yes;
}

static void take_rate(struct reader *r, const struct node *n, unsigned max, double *slot)
{
	const char *digits = "0123456789";
	size_t whole = strspn(n->text, digits);
	size_t point = n->text[whole] == '.' ? 1 : 0;
	size_t part = point ? strspn(n->text + whole + 1, digits) : 0;
	bool form = whole > 0 && whole < 10 && part < 10 && (!point || part > 0) && !n->text[whole + point + part];
	double v = form ? strtod(n->text, NULL) : 0;
	if (!form || v <= 0 || v > max)
		wrong(r, n, "'%s': expected a number of requests a second, above 0 and at most %u", n->key, max);
	else
		*slot = v;
}

static void take_count(struct reader *r, const struct node *n, const struct key *key, unsigned *slot)
{
	uint64_t v;
	if (text_parse_u64(n->text, key->max, &v) || v < key->min)
		wrong(r, n, "'%s': expected a whole number from %u to %u", n->key, key->min, key->max);
	else
		*slot = (unsigned)v;
}

static void take_choice(struct reader *r, const struct node *n, const struct choice *choices, int *slot)
{
	struct buf names = BUF_INIT(256);
	for (const struct choice *c = choices; c->name; c++) {
		if (strcmp(c->name, n->text) == 0) {
			*slot = c->value;
			buf_deinit(&names);
			return;
		}
		buf_addf(&names, "%s%s", names.len ? ", " : "", c->name);
	}
	wrong(r, n, "'%s': expected one of %s", n->key, buf_text(&names));
	buf_deinit(&names);
}

static void take_mapping(struct reader *r, const struct node *n, const struct key *keys, void *base);

/* What is said of a role that is not there was meant for something. */
static void check_role(struct reader *r, const struct node *n, const struct config_account *a)
{
	if (!a->role_arn && (a->external_id || a->session_name))
		diags_add(r->diags, DIAG_ERROR, n->key_line, n->key_column,
			  "account '%s' has '%s' but no 'role_arn' that it is for", a->name,
			  a->external_id ? "external_id" : "session_name");
}

static void take_account(struct reader *r, const struct node *n)
{
	if (!text_is_name(n->key, LIMIT_NAME)) {
		diags_add(r->diags, DIAG_ERROR, n->key_line, n->key_column,
			  "an account's name: expected [a-z0-9-], at most %d characters", LIMIT_NAME);
		return;
	}
	struct config_account *a = &r->config->accounts[r->config->n_accounts++];
	a->name = mem_strdup(n->key);
	size_t errors = r->diags->errors;
	if (!node_is_null(n))
		take_mapping(r, n, account_keys, a);
	if (r->diags->errors == errors)
		check_role(r, n, a);
}

static void take_accounts(struct reader *r, const struct node *n)
{
	if (n->kind != NODE_MAPPING) {
		wrong(r, n, "'accounts': expected a mapping of names to {profile, region, role_arn}");
		return;
	}
	r->config->accounts = mem_array(n->n_children, sizeof(r->config->accounts[0]));
	for (const struct node *child = n->first; child; child = child->next)
		take_account(r, child);
}

static void take_scalar(struct reader *r, const struct node *n, const struct key *key, void *slot)
{
	if (n->kind != NODE_SCALAR) {
		wrong(r, n, "'%s': expected a single value", n->key);
		return;
	}
	switch (key->kind) {
	case KIND_PATH:
		take_path(r, n, slot);
		break;
	case KIND_GROUP:
		take_name(r, n, "_-.", "the name of a group", slot);
		break;
	case KIND_REGION:
		take_name(r, n, "-", "a region such as us-east-1", slot);
		break;
	case KIND_PROFILE:
		take_name(r, n, "_-.+=,@/ ", "the name of a profile in the AWS credentials file", slot);
		break;
	case KIND_ROLE:
		take_role(r, n, slot);
		break;
	case KIND_EXTERNAL_ID:
		take_sts_text(r, n, 1224, "_+=,.@:/-", "an external id, of 2 to 1224 letters, digits and _+=,.@:/-",
			      slot);
		break;
	case KIND_SESSION:
		take_sts_text(r, n, 64, "_+=,.@-", "the name of a session, of 2 to 64 letters, digits and _+=,.@-",
			      slot);
		break;
	case KIND_BOOL:
		take_bool(r, n, slot);
		break;
	case KIND_RATE:
		take_rate(r, n, key->max, slot);
		break;
	case KIND_COUNT:
		take_count(r, n, key, slot);
		break;
	case KIND_CHOICE:
		take_choice(r, n, key->choices, slot);
		break;
	case KIND_SECTION:
	case KIND_ACCOUNTS:
		break;
	}
}

/* A key without a value keeps its default. */
static void take_value(struct reader *r, const struct node *n, const struct key *key, void *base)
{
	if (node_is_null(n))
		return;
	else if (key->kind == KIND_SECTION)
		take_mapping(r, n, key->keys, base);
	else if (key->kind == KIND_ACCOUNTS)
		take_accounts(r, n);
	else
		take_scalar(r, n, key, (char *)base + key->offset);
}

static void complain_unknown(struct reader *r, const struct node *n, const struct key *keys)
{
	const char *nearest = NULL;
	unsigned best = 3;
	for (const struct key *k = keys; k->name; k++) {
		unsigned distance = text_distance(n->key, k->name, 2);
		if (distance < best) {
			best = distance;
			nearest = k->name;
		}
	}
	if (nearest) {
		diags_add(r->diags, DIAG_ERROR, n->key_line, n->key_column, "unknown key '%s': did you mean '%s'?",
			  n->key, nearest);
		return;
	}
	struct buf names = BUF_INIT(512);
	for (const struct key *k = keys; k->name; k++)
		buf_addf(&names, "%s%s", names.len ? ", " : "", k->name);
	diags_add(r->diags, DIAG_ERROR, n->key_line, n->key_column, "unknown key '%s': expected one of %s", n->key,
		  buf_text(&names));
	buf_deinit(&names);
}

static void take_mapping(struct reader *r, const struct node *n, const struct key *keys, void *base)
{
	if (n->kind != NODE_MAPPING) {
		wrong(r, n, "%s%s%s: expected a mapping of keys to values", n->key ? "'" : "",
		      n->key ? n->key : "the file", n->key ? "'" : "");
		return;
	}
	for (const struct node *child = n->first; child; child = child->next) {
		const struct key *key = keys;
		while (key->name && strcmp(key->name, child->key) != 0)
			key++;
		if (key->name)
			take_value(r, child, key, base);
		else
			complain_unknown(r, child, keys);
	}
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return mem_strdup(".");
	return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static struct config *new_default(const char *dir)
{
	struct config *c = mem_alloc(sizeof(*c));
	c->plans_dir = file_resolve(dir, "plans.d");
	c->hooks_dir = file_resolve(dir, "hooks.d");
	c->state_dir = mem_strdup("/var/lib/rolloutd");
	c->socket = mem_strdup("/run/rolloutd/control.sock");
	c->lambda_rps = 10;
	c->cloudwatch_rps = 25;
	c->apigateway_rps = 5;
	c->log_level = LOG_LEVEL_INFO;
	c->log_format = LOG_FORMAT_AUTO;
	c->history_days = 90;
	c->history_keep = 20;
	return c;
}

struct config *config_parse(const char *path, const char *bytes, size_t len, struct diags *diags)
{
	cleanup(mem_free_p) char *dir = folder_of(path);
	cleanup(config_free_p) struct config *c = new_default(dir);
	sha256_hex(bytes, len, c->hash);
	cleanup(arena_free_p) struct arena *arena = arena_new();
	const struct node *root = node_parse(arena, bytes, len, LIMIT_CONFIG_BYTES, diags);
	struct reader r = {.config = c, .dir = dir, .diags = diags};
	if (root && !node_is_null(root))
		take_mapping(&r, root, config_keys, c);
	diags_sort(diags);
	return diags->errors ? NULL : take_ptr(c);
}

/* Who may write the configuration rules the daemon: it names the folders, the groups and the identities. */
static bool is_open_to_all(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_mode & S_IWOTH && S_ISREG(st.st_mode);
}

struct config *config_load(const char *path, struct diags *diags, char *ret_error, size_t error_size)
{
	cleanup(mem_free_p) char *bytes = NULL;
	size_t len = 0;
	ret_error[0] = '\0';
	if (is_open_to_all(path)) {
		snprintf(ret_error, error_size, "%s can be written by everybody: chmod o-w it", path);
		return NULL;
	}
	int r = file_read(path, LIMIT_CONFIG_BYTES, &bytes, &len);
	if (r == -ENOENT && strcmp(path, CONFIG_DEFAULT_PATH) == 0)
		r = 0;
	if (r == -EFBIG)
		snprintf(ret_error, error_size, "%s is larger than %d bytes, which no configuration may be", path,
			 LIMIT_CONFIG_BYTES);
	else if (r == -EINVAL)
		snprintf(ret_error, error_size, "%s is not a regular file", path);
	else if (r < 0)
		snprintf(ret_error, error_size, "%s cannot be read: %s", path, strerror(-r));
	return r < 0 ? NULL : config_parse(path, bytes ? bytes : "", len, diags);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_accounts; i++) {
		free(c->accounts[i].name);
		free(c->accounts[i].profile);
		free(c->accounts[i].region);
		free(c->accounts[i].role_arn);
		free(c->accounts[i].external_id);
		free(c->accounts[i].session_name);
	}
	free(c->accounts);
	free(c->plans_dir);
	free(c->hooks_dir);
	free(c->state_dir);
	free(c->socket);
	free(c->group);
	free(c->submit_group);
	free(c->region);
	free(c);
}

const struct config_account *config_find_account(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_accounts; i++)
		if (strcmp(c->accounts[i].name, name) == 0)
			return &c->accounts[i];
	return NULL;
}
