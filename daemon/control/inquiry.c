#include "daemon/control/inquiry.h"

#include <stdlib.h>

#include "base/mem.h"

struct inquiry {
	const struct backend *backend;
	enum inspect_what what;
	uint64_t ticket; /* 0: the engine has answered, or was told to forget it */
	void (*ready)(void *ctx);
	void *ctx;
	struct answer answer; /* .body NULL: not there yet, or taken */
};

static void inspected_cb(void *arg, const struct inspection *i)
{
	struct inquiry *q = arg;
	q->ticket = 0;
	answer_inspection(i, q->what, &q->answer);
	q->ready(q->ctx);
}

/* NULL, with an answer that says why there is none. */
static struct plan *load(const char *body, size_t len, struct answer *ret)
{
	struct diags diags = {0};
	struct plan *plan = plan_load(body, len, &diags);
	if (!plan)
		answer_invalid(&diags, "", ret);
	diags_deinit(&diags);
	return plan;
}

struct inquiry *inquiry_new(const struct backend *b, const struct control_request *r, const char *body, size_t len,
			    void (*ready)(void *ctx), void *ctx, struct answer *ret)
{
	if (b->draining(b->ctx)) {
		answer_error(503, "unavailable", "the daemon is stopping: ask again when it is back", ret);
		return NULL;
	}
	bool of_accounts = r->route == CONTROL_ACCOUNTS;
	struct plan *plan = of_accounts ? NULL : load(body, len, ret);
	if (!plan && !of_accounts)
		return NULL;
	struct inquiry *q = mem_alloc(sizeof(*q));
	q->backend = b;
	q->what = r->route == CONTROL_DIFF ? INSPECT_DIFF : INSPECT_DOCTOR;
	q->ready = ready;
	q->ctx = ctx;
	q->ticket = plan ? engine_inspect(b->engine, plan, q->what, inspected_cb, q)
			 : engine_inspect_accounts(b->engine, inspected_cb, q);
	turn_want(b->turn);
	if (q->ticket)
		return q;
	free(q);
	cleanup(mem_free_p) char *message =
	    mem_printf("%d plans or accounts are being looked at already: ask again in a moment", LIMIT_INSPECTIONS);
	answer_error(503, "unavailable", message, ret);
	return NULL;
}

static void forget(struct inquiry *q)
{
	if (q->ticket)
		engine_inspect_forget(q->backend->engine, q->ticket);
	q->ticket = 0;
}

void inquiry_free(struct inquiry *q)
{
	if (!q)
		return;
	forget(q);
	free(q->answer.body);
	free(q);
}

bool inquiry_take(struct inquiry *q, struct answer *ret)
{
	if (!q->answer.body)
		return false;
	*ret = q->answer;
	q->answer.body = NULL;
	return true;
}

static void end(struct inquiry *q, int status, const char *code, const char *message)
{
	forget(q);
	if (!q->answer.body)
		answer_error(status, code, message, &q->answer);
}

void inquiry_time_out(struct inquiry *q)
{
	cleanup(mem_free_p) char *message = mem_printf("AWS did not tell all within %d s: ask again, and see the log "
						       "if that does not help",
						       INQUIRY_TIMEOUT_MS / 1000);
	end(q, 504, "timed_out", message);
}

void inquiry_stop(struct inquiry *q)
{
	end(q, 503, "unavailable", "the daemon is stopping: ask again when it is back");
}
