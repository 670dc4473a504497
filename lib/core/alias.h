/*
 * What an alias holds, as values: observed (struct alias_view) or wanted (struct alias_target).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Versions are their numbers; VERSION_LATEST stands for $LATEST. */
#define VERSION_LATEST UINT64_C(0)

#define WEIGHT_BP_MAX 10000u
#define REVISION_SIZE 64

/* The traffic an alias sends: all to `version`, but `weight_bp` basis points of it to `extra`. */
struct alias_target {
	uint64_t version;
	uint64_t extra;	    /* VERSION_LATEST when weight_bp is 0 */
	uint32_t weight_bp; /* 0 … 10000; 0: no routing configuration at all */
};

/* An alias as AWS answered. */
struct alias_view {
	struct alias_target target;
	bool odd; /* more entries, a zero weight left over, or finer than a basis point: not expressible as a target */
	char revision[REVISION_SIZE]; /* RevisionId */
};

bool alias_target_equal(const struct alias_target *a, const struct alias_target *b);
/* "version 1", or "version 1 (90%) and version 2 (10%)". */
void alias_target_format(const struct alias_target *t, char *out, size_t size);
void alias_view_format(const struct alias_view *v, char *out, size_t size); /* the same, and what is odd */
/* "7" or "$LATEST". */
void version_format(uint64_t version, char out[static 24]);
