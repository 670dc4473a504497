/*
 * What a Service declares, from records to values: its aliases and who follows whom, its API, and what must agree
 * between them.
 */
#pragma once

#include "plan/followed.h"
#include "plan/how.h"

struct chainspec_alias {
	const char *name;
	const struct node *node; /* its value; its key is the name */
	struct followed followed;
	const struct record *rollout; /* of schema_how */
	struct how how;
	unsigned probes; /* stages that lead to it and are probed */
};

struct chainspec {
	struct record root;		 /* of schema_service */
	struct chainspec_alias *aliases; /* by name */
	size_t n_aliases;
};

/* Reports every error across keys. Everything lives in the arena. */
void chainspec_read(struct arena *a, const struct record *root, struct diags *diags, struct chainspec *ret);
/* Of what had no error: the service, and how each of its aliases moves. Everything is copied into the plan's arena. */
void chainspec_fill(const struct chainspec *c, struct plan *p);

/* Of the API alone; of chainspec_api.c. */
void chainspec_api_check(const struct chainspec *c, struct diags *diags);
void chainspec_api_fill(const struct chainspec *c, struct arena *a, struct service_api *ret);
/* n_aliases when there is none of that name. */
size_t chainspec_find_alias(const struct chainspec *c, const char *name);
/* Says that `name` is not among the aliases, and which one may be meant. */
void chainspec_report_unknown(const struct chainspec *c, const struct node *at, const char *what, const char *name,
			      struct diags *diags);
