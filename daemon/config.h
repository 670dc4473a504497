/*
 * rolloutd.yaml: what the daemon is told once, at its start. Every key is optional. A relative path is relative to the
 * file's own folder. All errors of a file are reported at once, with line and column.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/sha256.h"
#include "daemon/log.h"
#include "plan/diag.h"

#define CONFIG_DEFAULT_PATH "/etc/rolloutd/rolloutd.yaml"

struct config_account {
	char *name;
	char *profile;	    /* NULL: the environment, then the profile that the SDKs would take */
	char *region;	    /* NULL: none of its own */
	char *role_arn;	    /* to assume with those keys; NULL: none */
	char *external_id;  /* of the role; NULL: none */
	char *session_name; /* of the role; NULL: rolloutd */
};

struct config {
	char *plans_dir;
	char *hooks_dir;
	char *state_dir;
	char *socket;
	char *group;	    /* may look and command; NULL: the default group */
	char *submit_group; /* may submit plans; NULL: the default group */
	bool mark;
	char *region; /* NULL: not given */
	struct config_account *accounts;
	size_t n_accounts;
	double lambda_rps;
	double cloudwatch_rps;
	double apigateway_rps;
	int log_level; /* enum log_level */
	int log_format;
	unsigned history_days;
	unsigned history_keep;
	char hash[SHA256_HEX_SIZE]; /* of the file's bytes */
};

#define CONFIG_DEFAULT_GROUP	    "rolloutd"
#define CONFIG_DEFAULT_SUBMIT_GROUP "rolloutd-admin"

/* Parses the text of a file at `path` (which only tells what relative paths mean). NULL when there are errors. */
struct config *config_parse(const char *path, const char *bytes, size_t len, struct diags *diags);
/*
 * Reads and parses. When the file itself cannot be read, *diags stays empty and ret_error (never NULL) is a sentence.
 * A missing file at CONFIG_DEFAULT_PATH is the same as an empty one. NULL when there are errors.
 */
struct config *config_load(const char *path, struct diags *diags, char *ret_error, size_t error_size);
void config_free(struct config *c); /* NULL is fine */
define_cleanup(struct config *, config_free);

/* NULL when the configuration has no such account. "default" is always known, also when this returns NULL for it. */
const struct config_account *config_find_account(const struct config *c, const char *name);
