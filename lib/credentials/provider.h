/*
 * Gives the keys of one source, and keeps them fresh. It asks over ports, and has no clock of its own:
 *
 *  - Asked once for however many want keys at the same time. What was fetched is kept.
 *  - Fetched anew ahead of the keys' end: from 15 minutes before it, or half of their life when that is shorter. The
 *    old ones are given out meanwhile, for as long as they are good, whatever becomes of the attempts; those are made
 *    with growing pauses, which stay short in the last 10 minutes
 *    and where there are none that AWS takes.
 *  - Fetched anew as well when AWS has refused them, whatever end they have, and when somebody asks for that; the old
 *    ones are given out until there are others.
 *  - Keys that have ended are never given out, but for an instance's: where the metadata service itself still gives
 *    keys whose time is over, AWS has extended them.
 *  - Keys end, and requests are signed, by AWS's clock (aws/clock.h): STS's answers tell it, too, and what was refused
 *    for its time is signed again, once.
 *  - Files (tokens of web identities, containers and SSO) are read at each attempt.
 *
 * provider_get() and provider_look() drive it: pauses between tries end with the next of either.
 */
#pragma once

#include "aws/clock.h"
#include "aws/endpoint.h"
#include "base/clock.h"
#include "base/transport.h"
#include "credentials/source.h"

/* How a program ended. Borrowed during the call; the receiver need not wipe it. */
struct provider_output {
	const char *problem; /* why it could not be run or was broken off; NULL: it ended by itself */
	int status;	     /* 128 + signal when it was killed */
	const char *text;    /* its standard output */
	size_t len;
	const char *complaint; /* the end of its standard error: printable, on one line; "" */
};

typedef void (*provider_ran_cb)(void *arg, const struct provider_output *output);

struct provider_ports {
	void *ctx;
	struct instant (*now)(void *ctx);
	struct aws_clock *clock; /* AWS's, shared with whoever else asks AWS; NULL: nobody does */
	uint64_t (*entropy)(void *ctx);
	/* Request and answer hold secrets. `metadata`: plain http may go to a container's or an instance's link-local
	 * address, and nothing goes through a proxy. The rest as in engine/ports.h. */
	void (*send)(void *ctx, const struct http_request *request, int64_t timeout_ms, bool metadata, transport_cb cb,
		     void *arg);
	/* Runs a program without a shell, its name looked up in PATH; the words end with NULL. Exactly one callback,
	 * never before it returns; no more than LIMIT_KEYS_ANSWER of output. */
	void (*run)(void *ctx, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg);
	profiles_read read_file;
	/* As in engine/ports.h, with a ctx of its own: endpoints are settings of an account. */
	int (*endpoint)(void *endpoint_ctx, enum aws_service service, const char *region, struct aws_endpoint *ret,
			char *ret_error, size_t error_size);
	void *endpoint_ctx;
};

enum provider_result {
	PROVIDER_FOUND = 0,
	PROVIDER_BROKEN = 1, /* a sentence says which source, and what to do */
	PROVIDER_PENDING = 2,
};

struct provider_status {
	const char *source; /* "instance role ops" */
	bool has_keys;
	int64_t expires_unix_ms; /* of the keys; INT64_MAX: never */
	bool extended;		 /* they are over, and AWS extended them */
	const char *error;	 /* of the last attempt; "": none */
};

struct provider;

/* Takes the source. `settled` (NULL: nobody waits) is called when something that was pending became keys or an error,
 * but not from inside provider_get() and provider_look(). It must not free the provider. */
struct provider *provider_new(struct source *source, const struct provider_ports *ports, void (*settled)(void *arg),
			      void *arg);
/* Wipes. Answers that are still under way go nowhere. NULL is fine. */
void provider_free(struct provider *p);
define_cleanup(struct provider *, provider_free);

/* PROVIDER_FOUND gives a copy for the caller to deinit. */
must_use int provider_get(struct provider *p, struct aws_credentials *ret, char *ret_error, size_t error_size);
/* As provider_get(), but for the keys themselves: whether there are some to sign with. */
bool provider_ask(struct provider *p);
/* PROVIDER_FOUND gives a copy of what is there; PROVIDER_BROKEN: nothing is. Nothing is fetched. */
must_use int provider_peek(const struct provider *p, struct aws_credentials *ret);
/* Somebody wants other keys, from all sources of a chain: what is under way begins anew, and no pause holds. */
void provider_renew(struct provider *p);
/* AWS has refused the keys with this id. True: they are the present ones, and new ones are due. The pauses hold, as
 * the source may give what is refused again. */
bool provider_refused(struct provider *p, const char *access_key_id);
/* From time to time: goes on after a pause, and fetches what ends soon. Nothing before the first provider_get(). */
void provider_look(struct provider *p);
/* Without any secret; the strings are good until the provider is next used. */
void provider_describe(struct provider *p, struct provider_status *ret);
const struct source *provider_source(const struct provider *p);
