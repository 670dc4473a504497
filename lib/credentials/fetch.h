/*
 * Inside the provider only: one fetch, and what its steps have in common. Whoever takes a step sends one request, or
 * ends the fetch by provider_succeed() or provider_fail(); the answer's callback begins with provider_take_back().
 */
#pragma once

#include "base/limits.h"
#include "credentials/provider.h"

#define IMDS_TOKEN_MAX	     1024
#define IMDS_ROLE_MAX	     64
#define PROVIDER_ERROR_SIZE  768
#define PROVIDER_KEY_ID_SIZE 132

enum step {
	STEP_SOURCE, /* the keys that a role is assumed with, and then the role */
	STEP_WEB_IDENTITY,
	STEP_SSO,
	STEP_PROCESS,
	STEP_CONTAINER,
	STEP_TOKEN,
	STEP_ROLE,
	STEP_KEYS,
};

struct fetch {
	struct provider *owner; /* NULL: it is gone */
	enum step step;
	bool out;	  /* an answer is to come */
	int64_t again_ms; /* boot: when the step is to be taken again; INT64_MAX: it waits for something else */
	unsigned tries;	  /* of this step */
	bool renewed;	  /* the instance's token, or the clock, was corrected: not a second time */
	int64_t sent_boot_ms;
	int64_t sent_unix_ms; /* what the time was taken for then */
	char signed_with[PROVIDER_KEY_ID_SIZE];
};

struct provider {
	struct source *owned; /* NULL: it belongs to the provider that this one is the source of */
	const struct source *source;
	struct provider_ports ports;
	void (*settled)(void *arg);
	void *settled_arg;
	struct provider *child;
	struct sigv4_signer *signer;

	struct aws_credentials keys;
	bool has_keys;
	bool extended;
	bool doubted;		 /* AWS has refused them, or somebody wants others */
	int64_t expires_unix_ms; /* with the extension */
	int64_t refresh_unix_ms;
	int64_t mandatory_unix_ms;

	struct fetch *fetch; /* NULL: none is under way */
	bool used;
	bool driven; /* by a call that will see for itself what became of it */
	unsigned failures;
	int64_t retry_boot_ms; /* not before */
	struct aws_clock own_clock;
	struct aws_clock *clock; /* the ports', its owner's, or that one */
	char error[PROVIDER_ERROR_SIZE];

	char token[IMDS_TOKEN_MAX + 1]; /* of the instance's session */
	int64_t token_until_boot_ms;
	char role[IMDS_ROLE_MAX + 1];
	char text[LIMIT_REASON];
};

/* By AWS's clock, as far as that is known. */
struct instant provider_now(const struct provider *p);
/* Takes the keys. */
void provider_succeed(struct provider *p, struct aws_credentials *keys);
__attribute__((format(printf, 2, 3))) void provider_fail(struct provider *p, const char *fmt, ...);
/* Takes the step again after a pause. False: it was taken often enough. */
bool provider_try_again(struct provider *p, unsigned tries, int64_t pause_ms);
void provider_send(struct provider *p, const struct http_request *r, int64_t timeout_ms, bool metadata,
		   transport_cb cb);
/* NULL: the provider is gone, and the fetch is freed. */
struct provider *provider_take_back(void *arg);
/* The source's token_file, with a line break at its end as it is; `what` names it. The caller secret_frees it. False:
 * it has failed. */
bool provider_read_token(struct provider *p, const char *what, char **ret);

/* metadata.c: the steps at the metadata services. */
void metadata_ask_container(struct provider *p);
void metadata_begin_instance(struct provider *p);
void metadata_ask_role(struct provider *p);
void metadata_ask_keys(struct provider *p);
