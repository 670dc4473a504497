/*
 * Rights: a key may have an IAM policy, and may then do what it allows and nothing else. Of a policy's language there
 * are Effect, Action and Resource with `*` and `?`; a statement that allows under a Condition allows nothing here.
 */
#pragma once

#include "sim/call.h"

/* Whether the policy lets the call through; GetCallerIdentity, whatever it says. */
bool iam_allows(struct call *c, const json_t *policy);
/* Answers as AWS does when no policy lets it through. */
void iam_deny(struct call *c);
