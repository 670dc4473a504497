/*
 * The rig of the dispatcher's tests: a clock that the test moves, and a transport that keeps what is sent until
 * the test answers it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lane.h"

#define START_UNIX_MS INT64_C(1795385405000) /* 2026-11-22T22:10:05Z */
#define START_BOOT_MS 5000
#define MANY	      10000

struct sent {
	char path[128];
	char authorization[512];
	char amz_date[32];
	int64_t timeout_ms;
	transport_cb cb;
	void *arg;
};

struct dispatch_rig {
	struct instant now;
	uint64_t entropy;
	struct sent sent[MANY + 100];
	size_t n_sent;
	char refused[64];     /* the last keys that AWS refused: account and id */
	int credentials_fail; /* 1: there are none; 2: they are being fetched */
	unsigned keys_asked;
	int endpoint_fail;
	char logged[1024]; /* the last */
	int n_logged;
	struct dispatch *d;
	int done; /* calls answered */
	char order[1024];
};

/* What one call of the test is told. */
struct probe {
	unsigned delays;
	struct dispatch_rig *w;
	char name;
	int done;
	int status; /* 0: an error */
	struct aws_error error;
	int build_result;
	int builds;
	void (*then)(struct probe *p); /* within done */
	struct dispatch_call again;
	uint64_t ticket;
};

/* `unchecked`: nothing has been answered yet, so that the first call goes alone to ask for the time. */
struct dispatch_rig *dispatch_rig_new_unchecked(double lambda_rps);
struct dispatch_rig *dispatch_rig_new(double lambda_rps);
void dispatch_rig_free(struct dispatch_rig *w);
void dispatch_rig_advance(struct dispatch_rig *w, int64_t ms);
struct dispatch_call dispatch_rig_call_of(struct probe *p, enum engine_operation operation,
					  enum dispatch_priority priority);
void dispatch_rig_submit(struct dispatch_rig *w, struct probe *p, char name, enum engine_operation operation,
			 enum dispatch_priority priority);
void dispatch_rig_answer_status(struct dispatch_rig *w, size_t i, int status, const char *code, const char *date);
void dispatch_rig_answer_all_from(struct dispatch_rig *w, size_t first);
const char *dispatch_rig_sent_order(const struct dispatch_rig *w, char *out, size_t size);
void dispatch_rig_run_until(struct dispatch_rig *w, int64_t boot_ms);
