/*
 * What `version` says, of a rollout or of a service's alias.
 */
#pragma once

#include "chain/spec.h"
#include "plan/record.h"

struct followed {
	bool ok; /* the rest may be used */
	enum follow follow;
	uint64_t version;	      /* FOLLOW_VERSION */
	const char *from_alias;	      /* FOLLOW_ALIAS */
	const struct node *from;      /* where that is written */
	int64_t soak_ms;	      /* FOLLOW_ALIAS */
	const struct record *publish; /* it is published first: a mapping of schema_code; `follow` says nothing then */
};

void followed_read(const struct field *version, struct diags *diags, struct followed *ret);
