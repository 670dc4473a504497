/*
 * The code of CreateFunction and UpdateFunctionCode: a zip in the request, an object in S3, or a container image. It
 * runs nowhere: what there is of it are its hash and how it will behave.
 */
#pragma once

#include "sim/call.h"

struct code {
	char sha256[CODE_SHA_SIZE];
	uint64_t size;
	const char *image;	    /* NULL: no image; the request's */
	bool behaves;		    /* it says how */
	struct behaviour behaviour; /* behaves only */
};

/* Reads ZipFile, S3Bucket with S3Key, or ImageUri from `in`, for a function of package type Image or Zip. `doing` is
 * "creating" or "updating". Answers with an error and returns false when the code will not do. */
bool code_read(struct call *c, json_t *in, bool is_image, const char *doing, struct code *ret);
void code_deinit(struct code *code);
/* The code becomes $LATEST's. What behaves in no way of its own behaves as the code before it did. */
void code_apply(const struct code *code, struct version *latest);
