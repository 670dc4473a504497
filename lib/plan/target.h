/*
 * Names that point into AWS: functions, aliases, regions, accounts, alarms. Each checker takes the whole text; when it
 * says no, `why` completes the sentence "`alias` is `…`: ".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

/* A function as written: "hello", "123456789012:function:hello" or
 * "arn:aws:lambda:us-east-1:123456789012:function:hello". Spans point into the text. */
struct target_function {
	const char *name; /* the rest of the text */
	const char *region;
	size_t region_len; /* 0: the text has none */
	bool is_arn;	   /* full or partial */
};

must_use bool target_parse_function(const char *text, struct target_function *ret, char *why, size_t size);

must_use bool target_check_name(const char *text, char *why, size_t size); /* of a plan */
/* A plan's name, or "SERVICE.ALIAS". */
must_use bool target_check_rollout_name(const char *text, char *why, size_t size);
must_use bool target_check_function(const char *text, char *why, size_t size);
must_use bool target_check_alias(const char *text, char *why, size_t size);
must_use bool target_check_region(const char *text, char *why, size_t size);
must_use bool target_check_account(const char *text, char *why, size_t size);
must_use bool target_check_alarm(const char *text, char *why, size_t size);
must_use bool target_check_version(const char *text, char *why, size_t size);  /* "7" or "latest" */
must_use bool target_check_followed(const char *text, char *why, size_t size); /* "7", "latest" or "$LATEST" */
