/*
 * What the engine needs from outside. The daemon gives uv, curl and SQLite; the simulator gives a virtual clock, a
 * simulated AWS and memory. Every function gets the port's own ctx first.
 */
#pragma once

#include <stdbool.h>

#include "aws/clock.h"
#include "aws/endpoint.h"
#include "aws/error.h"
#include "base/clock.h"
#include "base/transport.h"
#include "store/store.h"

/* Of a file that is to be uploaded, or sent; borrowed during the call. */
struct artifact {
	const char *error;  /* a sentence; NULL: it was read, and is a zip if it has to be */
	const char *base64; /* the content, when it was asked for */
	const char *sha256; /* base64 of the hash, as AWS gives it */
	uint64_t size;	    /* of the file */
	const char *text;   /* the content itself, with a NUL behind it: of load_event alone */
};

/* Called exactly once, never before load_artifact returns. */
typedef void (*artifact_cb)(void *arg, const struct artifact *a);

/* How a hook's program ended. `output`: the last LIMIT_HOOK_OUTPUT_BYTES of what it wrote, printable. */
struct exec_result {
	bool started;
	int status; /* exit status; 128 + signal when it was killed */
	bool timed_out;
	const char *output; /* or, when it did not start, why */
};

typedef void (*exec_cb)(void *arg, const struct exec_result *result);

/* Where an account's keys are from. No secret. The strings are good until the account's keys are next asked for. */
struct keys_told {
	const char *source;	 /* "instance role ops"; "": not known */
	bool there;		 /* they can be signed with now */
	bool extended;		 /* they are over, and AWS extended them */
	int64_t expires_unix_ms; /* INT64_MAX: never */
	const char *error;	 /* of the last attempt to get them; "": none */
};

/* Levels of `log`, as syslog has them. */
#define LOG_ERROR   3
#define LOG_WARNING 4
#define LOG_INFO    6

struct ports {
	void *ctx;
	struct instant (*now)(void *ctx);
	struct aws_clock *clock; /* AWS's, shared with whoever else asks AWS; NULL: nobody does */
	uint64_t (*entropy)(void *ctx);
	/* Ask for one call of engine_turn() at that time (replaces the earlier wish; INT64_MAX: none). */
	void (*wake_at)(void *ctx, int64_t boot_ms);
	/* The request is copied or sent before it returns. */
	void (*send)(void *ctx, const struct http_request *request, int64_t timeout_ms, transport_cb cb, void *arg);
	/* Keys of an account; 0, or 1 with a sentence that names what was tried, or 2: they are being fetched, ask
	 * again. The caller deinits *ret. */
	int (*credentials)(void *ctx, const char *account, struct aws_credentials *ret, char *ret_error,
			   size_t error_size);
	/* AWS has refused an account's keys, those with this id: others may be fetched. NULL: nobody cares. */
	void (*keys_refused)(void *ctx, const char *account, const char *access_key_id);
	/* What is to be told of those keys; nothing is fetched. NULL: nobody can tell. */
	void (*describe_keys)(void *ctx, const char *account, struct keys_told *ret);
	/* Endpoint of a service, as the account's profile and the environment have it; 0, or 1 with a sentence. */
	int (*endpoint)(void *ctx, const char *account, enum aws_service service, const char *region,
			struct aws_endpoint *ret, char *ret_error, size_t error_size);
	/* Reads a file off the loop; a relative path is meant from the plans folder. `content`: base64 is
	 * wanted too. */
	void (*load_artifact)(void *ctx, const char *path, bool content, artifact_cb cb, void *arg);
	/* The same of an event that a function is to be invoked with, of at most LIMIT_PROBE_BYTES and from beneath
	 * the plans folder only: its text, which may be anything. NULL: nobody can read one. */
	void (*load_event)(void *ctx, const char *path, artifact_cb cb, void *arg);
	/* A number that changes when the file does; 0: it is not there. At once. NULL: nobody can tell. */
	uint64_t (*stamp_artifact)(void *ctx, const char *path);
	/* Runs a program of hooks_dir: no shell, a clean environment, `input` on its standard input, killed
	 * with all its
	 * children after the timeout. Exactly one callback, never before it returns. */
	void (*run_hook)(void *ctx, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg);
	/* An event is durable now: to the log and to whoever follows. Borrowed during the call. */
	void (*published)(void *ctx, const struct store_event *event);
	/* Something about the engine itself that belongs into the log only. */
	void (*log)(void *ctx, int level, const char *text); /* level: above */
};
