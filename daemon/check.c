#include "daemon/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "daemon/accounts.h"
#include "daemon/config.h"
#include "daemon/io/transport.h"
#include "daemon/control/peer.h"
#include "daemon/planfile.h"
#include "daemon/ports.h"

struct check {
	const struct config *config;
	FILE *out;
	int dir_fd;
	struct strmap names; /* plan name -> the first file that has it */
	unsigned files;
	unsigned bad;
};

static int select_candidates(const struct dirent *entry)
{
	return planfile_is_candidate(entry->d_name);
}

/* What the daemon would refuse although the plan alone is valid. Names are those of Rollouts and Services alike. */
static bool check_use(struct check *c, const char *file, const struct plan *plan)
{
	const char *first = strmap_get(&c->names, plan->name);
	if (plan->owner) {
		fprintf(c->out,
			"%s: error: '%s' is a rollout of the service '%s', which rolloutd makes itself: remove the "
			"file\n",
			file, plan->name, plan->owner);
		return false;
	}
	if (first) {
		fprintf(c->out, "%s: error: a plan named '%s' is in %s already: names are unique\n", file, plan->name,
			first);
		return false;
	}
	strmap_put(&c->names, plan->name, mem_strdup(file));
	if (strcmp(plan->account, "default") == 0 || config_find_account(c->config, plan->account))
		return true;
	fprintf(c->out, "%s: error: account '%s' is not in rolloutd.yaml\n", file, plan->account);
	return false;
}

static void check_file(struct check *c, const char *name)
{
	struct planfile f;
	bool good = false;
	enum planfile_result result = planfile_load(c->dir_fd, name, geteuid(), &f);
	if (f.notes)
		fputs(f.notes, c->out);
	if (result == PLANFILE_LOADED)
		good = check_use(c, name, f.plan);
	else if (result == PLANFILE_CHANGING)
		fprintf(c->out, "%s: error: changed while it was read: check again\n", name);
	c->files++;
	c->bad += !good;
	planfile_deinit(&f);
}

static void forget_names(struct check *c)
{
	for (size_t i = 0; i < c->names.cap; i++)
		if (c->names.slots[i].key)
			free(c->names.slots[i].value);
	strmap_deinit(&c->names);
}

static bool check_folder(const struct check *c)
{
	struct stat st;
	char why[LIMIT_REASON] = "";
	if (fstat(c->dir_fd, &st) < 0)
		snprintf(why, sizeof(why), "cannot be looked at: %s", strerror(errno));
	else if (planfile_check_folder(&st, geteuid(), why, sizeof(why)))
		return true;
	fprintf(c->out, "%s: error: %s\n", c->config->plans_dir, why);
	return false;
}

static bool check_plans(const struct config *config, FILE *out)
{
	struct check c = {.config = config, .out = out};
	struct dirent **entries;
	DIR *dir = opendir(config->plans_dir);
	int n = dir ? scandir(config->plans_dir, &entries, select_candidates, alphasort) : -1;
	if (n < 0) {
		fprintf(out, "%s: error: the folder for plans cannot be read: %s\n", config->plans_dir,
			strerror(errno));
		if (dir)
			(void)closedir(dir); /* it was only read */
		return false;
	}
	c.dir_fd = dirfd(dir);
	bool safe = check_folder(&c);
	for (int i = 0; i < n; i++) {
		check_file(&c, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	(void)closedir(dir);
	forget_names(&c);
	if (n > LIMIT_PLAN_FILES)
		fprintf(out, "%s: error: has %d plan files: at most %d are used\n", config->plans_dir, n,
			LIMIT_PLAN_FILES);
	if (c.bad)
		fprintf(out, "%u of %u plan files in %s have errors\n", c.bad, c.files, config->plans_dir);
	else if (safe)
		fprintf(out, "the configuration and %u plan %s are good\n", c.files, c.files == 1 ? "file" : "files");
	return safe && !c.bad && n <= LIMIT_PLAN_FILES;
}

static bool check_group(const char *key, const char *group, FILE *out)
{
	gid_t gid;
	if (!group || peer_find_group(group, &gid) == PEER_GROUP_FOUND)
		return true;
	fprintf(out, "%s: error: there is no group '%s'\n", key, group);
	return false;
}

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

/* The service's environment may be another one; but whoever checks with the same hears what the start would say. */
static bool check_environment(FILE *out)
{
	char error[LIMIT_REASON];
	if (transport_check(look_up, NULL, error, sizeof(error)) == 0)
		return true;
	fprintf(out, "error: %s\n", error);
	return false;
}

static int read_any(void *ctx, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	(void)ctx;
	return file_read(path, max, ret_data, ret_len);
}

static struct instant now_any(void *ctx)
{
	(void)ctx;
	return ports_now();
}

/* Only a warning, as the service may have another environment and another home, and what it knows already serves it
 * while a file is broken. */
static void check_accounts(const struct config *config, FILE *out)
{
	const struct provider_ports ports = {.now = now_any, .read_file = read_any};
	struct accounts *accounts = accounts_new(config);
	const char *name;
	accounts_connect(accounts, &ports, NULL, NULL, NULL);
	for (size_t i = 0; (name = accounts_name(accounts, i)); i++) {
		const char *why = accounts_check(accounts, name);
		if (*why)
			fprintf(out, "account %s: warning: with this environment it has no AWS keys: %s\n", name, why);
	}
	accounts_free(accounts);
}

int check_run(const char *config_path, FILE *out)
{
	struct diags diags = {0};
	char error[LIMIT_REASON];
	cleanup(config_free_p) struct config *config = config_load(config_path, &diags, error, sizeof(error));
	struct buf text = BUF_INIT(LIMIT_DIAGNOSTICS * 1024);
	diags_format(&diags, config_path, &text);
	diags_deinit(&diags);
	fputs(buf_text(&text), out);
	buf_deinit(&text);
	if (!config) {
		if (error[0])
			fprintf(out, "error: %s\n", error);
		fprintf(out, "the configuration has errors; the plans were not checked\n");
		return 1;
	}
	bool good = check_group("control.group", config->group, out);
	good = check_group("control.submit_group", config->submit_group, out) && good;
	good = check_environment(out) && good;
	check_accounts(config, out);
	good = check_plans(config, out) && good;
	return good ? 0 : 1;
}
