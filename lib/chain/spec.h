/*
 * What is declared about a function's chain, as values: where its code comes from, which versions its aliases name, and
 * the API whose stages reach them. Immutable; lib/plan makes it (and owns the memory), lib/chain compares it with what
 * AWS has. What was not validated has no way to become one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/spec.h"

enum code_source {
	CODE_NONE,   /* nothing is said about code: nothing is published */
	CODE_LATEST, /* $LATEST as it stands is published when it differs from the newest version */
	CODE_ZIP,
	CODE_S3,
	CODE_IMAGE,
};

struct code_spec {
	enum code_source source;
	const char *zip; /* a path; relative to the plans folder */
	const char *bucket;
	const char *key;
	const char *object_version; /* NULL: none */
	const char *image;	    /* an image's URI, by tag or by digest */
	const char *description;    /* of the versions that are published; NULL: none */
};

/* How a function that does not exist is created. An existing function's configuration is left alone. */
struct create_spec {
	const char *role;	  /* ARN; NULL: the function is never created */
	const char *runtime;	  /* NULL for images */
	const char *handler;	  /* NULL for images */
	const char *architecture; /* "x86_64" | "arm64" */
	uint32_t memory_mb;
	uint32_t timeout_s;
};

enum follow {
	FOLLOW_VERSION, /* a number */
	FOLLOW_NEWEST,	/* the newest published version, whoever published it */
	FOLLOW_HEAD,	/* $LATEST */
	FOLLOW_ALIAS,	/* what another alias has held alone for a while */
};

struct service_alias {
	const char *name;
	enum follow follow;
	uint64_t version;	/* FOLLOW_VERSION */
	const char *from_alias; /* FOLLOW_ALIAS */
	int64_t soak_ms;	/* FOLLOW_ALIAS: how long the other alias must have held it */
	bool jump;		/* its strategy is AllAtOnce: it may move without steps */
};

enum api_type { API_NONE, API_REST, API_HTTP };

struct service_route {
	const char *method; /* "GET", …, "ANY" */
	const char *path;   /* "/hello", "/{proxy+}" */
};

struct service_stage {
	const char *name;
	size_t alias; /* index into aliases */
};

struct service_api {
	enum api_type type;
	const char *name;	    /* NULL when it is named by its id */
	const char *id;		    /* NULL: found by name, or created */
	const char *stage_variable; /* "lambdaAlias" */
	const struct service_route *routes;
	size_t n_routes;
	const struct service_stage *stages;
	size_t n_stages;
	const char *probe_path; /* NULL: no probe */
	int probe_status;
};

struct service_spec {
	const char *name;
	const char *function; /* bare name */
	struct code_spec code;
	struct create_spec create;
	const struct service_alias *aliases;
	size_t n_aliases; /* 0 … LIMIT_SERVICE_ALIASES */
	struct service_api api;
	uint32_t keep_versions; /* 0: none are deleted */
	int64_t check_every_ms; /* > 0 */
};

/* What identifies the declared code, for the record: "zip:SHA256", "s3:…", "image:…"; "" for CODE_NONE and CODE_LATEST.
 * `zip_sha256`: base64 of the file's hash, as AWS gives it. */
void code_identity(const struct code_spec *c, const char *zip_sha256, char *out, size_t size);
