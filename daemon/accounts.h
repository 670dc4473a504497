/*
 * The AWS identities that plans may name, and their keys: a provider (credentials/provider.h) for each, made when it is
 * first asked for. The AWS files are read again once a minute, so that what somebody changes in them is picked up; what
 * they say is compared, and a provider whose source is the same stays as it is. Keys and settings are those of one
 * reading: what cannot be read, or names no keys or no endpoint any more, takes neither away. Where another source is
 * named, the keys of the one before are given out, with the settings that belong to them, until it has given some, or
 * they end, or AWS refuses them.
 */
#pragma once

#include "base/clock.h"
#include "credentials/provider.h"
#include "daemon/config.h"

struct accounts;

/* Borrows the configuration. */
struct accounts *accounts_new(const struct config *config);
void accounts_free(struct accounts *a); /* wipes; NULL is fine */
/* Before anything is asked for. `settled`: see provider_new(). `tell` (NULL: nobody listens) hears in a sentence, once,
 * when an account that is in use has trouble with its files or its source of keys, when that is of another kind, and
 * when it is over. The endpoint port is not used: that is the accounts' own matter. */
void accounts_connect(struct accounts *a, const struct provider_ports *ports, void (*settled)(void *arg),
		      void (*tell)(void *arg, bool trouble, const char *text), void *arg);

/* In the configuration's order; "default" where it names none. NULL: there are no more. */
const char *accounts_name(const struct accounts *a, size_t index);
bool accounts_known(const struct accounts *a, const char *name);
/* What rolloutd.yaml says of it; where nothing else names a region, that of its profile; NULL: none of its own. Good
 * until the accounts are next used. Returns 0; or 1 with a sentence where the profile decides and no file could be read
 * yet, so that nobody takes another region for good. */
must_use int accounts_region(struct accounts *a, const char *name, const char **ret, char *ret_error,
			     size_t error_size);
/* Where nothing else names a region: the configuration's, the environment's, us-east-1. */
const char *accounts_default_region(const struct accounts *a);
/* As in engine/ports.h: the environment, and the account's profile. */
must_use int accounts_endpoint(struct accounts *a, const char *name, enum aws_service service, const char *region,
			       struct aws_endpoint *ret, char *ret_error, size_t error_size);
/* An enum provider_result. PROVIDER_FOUND gives a copy for the caller to deinit, PROVIDER_BROKEN a sentence that names
 * the source. */
must_use int accounts_credentials(struct accounts *a, const char *name, struct aws_credentials *ret, char *ret_error,
				  size_t error_size);
/* AWS has refused the account's keys with this id: the source is asked for others, and the files are read again. */
void accounts_refused(struct accounts *a, const char *name, const char *access_key_id);
/* From time to time: files are read again, and keys that end soon are fetched anew. */
void accounts_look(struct accounts *a);
/* What files and environment say of an account, without asking anybody: "" where keys and endpoints can be asked for.
 * Good until the accounts are next used. */
const char *accounts_check(struct accounts *a, const char *name);
void accounts_renew(struct accounts *a); /* the next use reads and fetches all anew; until then what is there holds */

/* Without any secret: where the keys are from, until when they are good, what went wrong last. False: there is no such
 * account. The strings are good until the account is next used. */
bool accounts_describe(struct accounts *a, const char *name, struct provider_status *ret);
/* The same for each that is in use, whoever named it: begin with *at = 0. False: there are no more. */
bool accounts_next_used(struct accounts *a, size_t *at, const char **ret_name, struct provider_status *ret);
