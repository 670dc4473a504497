#include "store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/ops.h"

/* An open that fails leaves no store behind that could keep its sentence. */
static _Thread_local char open_error[STORE_ERROR_SIZE];

void store_keep_open_error(const char *text)
{
	text_copy(open_error, sizeof(open_error), text);
}

int store_fail(struct store *s, int result, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, args);
	va_end(args);
	return result;
}

const char *store_error_text(const struct store *s)
{
	return s ? s->error : open_error;
}

uint64_t store_epoch(const struct store *s)
{
	return s->epoch;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_abort(s);
	s->ops->close(s);
}

int store_check_owner(struct store *s)
{
	require(!s->in_transaction);
	return s->ops->check_owner(s);
}

int store_begin(struct store *s)
{
	require(!s->in_transaction);
	int r = s->ops->begin(s);
	if (r)
		return r;
	s->in_transaction = true;
	s->failed = 0;
	return 0;
}

/* A transaction that failed once must not become durable in part, whatever its caller does next. */
static int may_write(const struct store *s)
{
	require(s->in_transaction);
	return s->failed;
}

static int wrote(struct store *s, int result)
{
	s->failed = result;
	return result;
}

int store_commit(struct store *s)
{
	int r = may_write(s);
	if (!r)
		r = wrote(s, s->ops->commit(s));
	if (!r)
		s->in_transaction = false;
	return r;
}

void store_abort(struct store *s)
{
	if (!s->in_transaction)
		return;
	s->ops->abort(s);
	s->in_transaction = false;
}

bool store_spend_reserve(struct store *s)
{
	return s->ops->spend_reserve(s);
}

struct bounded {
	const char *what;
	const char *text;
};

static int check_bounds(struct store *s, const struct bounded *texts, size_t n)
{
	int r = may_write(s);
	for (size_t i = 0; i < n && !r; i++) {
		const char *text = store_text(texts[i].text);
		if (strnlen(text, LIMIT_RECORD_BYTES + 1) > LIMIT_RECORD_BYTES)
			r = wrote(s, store_fail(s, -EMSGSIZE,
						"the %s is longer than %d bytes, the most that one record may have "
						"(LIMIT_RECORD_BYTES); nothing was recorded",
						texts[i].what, LIMIT_RECORD_BYTES));
	}
	return r;
}

#define check(s, ...)                                                                                                  \
	check_bounds(s, (const struct bounded[]){__VA_ARGS__}, array_len(((const struct bounded[]){__VA_ARGS__})))

int store_insert_rollout(struct store *s, const struct store_rollout *r, uint64_t *ret_id)
{
	int result = check(s, {"rollout's name", r->name}, {"alias's key", r->alias_key}, {"plan", r->plan},
			   {"plan's hash", r->plan_hash}, {"rollout's record", r->record});
	return result ? result : wrote(s, s->ops->insert_rollout(s, r, ret_id));
}

int store_put_rollout(struct store *s, const struct store_rollout *r)
{
	int result = check(s, {"rollout's record", r->record});
	return result ? result : wrote(s, s->ops->put_rollout(s, r));
}

int store_put_intent(struct store *s, const struct store_intent *i)
{
	int result = check(s, {"intent's target", i->target}, {"intent's revision", i->revision});
	return result ? result : wrote(s, s->ops->put_intent(s, i));
}

int store_put_event(struct store *s, const struct store_event *e, uint64_t *ret_id)
{
	int result = check(s, {"event's name", e->name}, {"event's kind", e->kind}, {"event's phase", e->phase},
			   {"event's text", e->text}, {"event's author", e->by});
	return result ? result : wrote(s, s->ops->put_event(s, e, ret_id));
}

int store_put_sample(struct store *s, const struct store_sample *x)
{
	int result = check(s, {"sample's values", x->values});
	return result ? result : wrote(s, s->ops->put_sample(s, x));
}

int store_drop_samples(struct store *s, uint64_t rollout_id, int64_t before_start_unix_ms)
{
	int result = may_write(s);
	return result ? result : wrote(s, s->ops->drop_samples(s, rollout_id, before_start_unix_ms));
}

int store_put_judgement(struct store *s, const struct store_judgement *j)
{
	int result = check(s, {"judgement's verdict", j->verdict}, {"judgement's gap", j->gap},
			   {"judgement's details", j->detail}, {"judgement's sentence", j->text});
	return result ? result : wrote(s, s->ops->put_judgement(s, j));
}

int store_put_query(struct store *s, const struct store_query *x)
{
	int result = check(s, {"queries", x->text});
	return result ? result : wrote(s, s->ops->put_query(s, x));
}

int store_put_source(struct store *s, const struct store_source *x)
{
	int result = check(s, {"source's name", x->source}, {"source's hash", x->hash}, {"plan's name", x->name});
	return result ? result : wrote(s, s->ops->put_source(s, x));
}

int store_put_quarantine(struct store *s, const char *alias_key, const char *code_hash, const char *reason,
			 int64_t unix_ms)
{
	int result = check(s, {"alias's key", alias_key}, {"code's hash", code_hash}, {"reason", reason});
	return result ? result : wrote(s, s->ops->put_quarantine(s, alias_key, code_hash, reason, unix_ms));
}

int store_drop_quarantine(struct store *s, const char *alias_key, const char *code_hash)
{
	int result = may_write(s);
	return result ? result : wrote(s, s->ops->drop_quarantine(s, alias_key, code_hash));
}

int store_prune(struct store *s, int64_t before_unix_ms, unsigned keep)
{
	int result = may_write(s);
	return result ? result : wrote(s, s->ops->prune(s, before_unix_ms, keep));
}

int store_each_live(struct store *s, store_rollout_cb cb, void *ctx)
{
	return s->ops->each_live(s, cb, ctx);
}

int store_each_latest(struct store *s, store_rollout_cb cb, void *ctx)
{
	return s->ops->each_latest(s, cb, ctx);
}

int store_each_of_name(struct store *s, const char *name, unsigned limit, store_rollout_cb cb, void *ctx)
{
	return s->ops->each_of_name(s, name, limit, cb, ctx);
}

int store_each_event(struct store *s, const char *name, uint64_t after, unsigned limit, store_event_cb cb, void *ctx)
{
	return s->ops->each_event(s, name, after, limit, cb, ctx);
}

int store_each_event_of(struct store *s, uint64_t rollout_id, unsigned limit, store_event_cb cb, void *ctx)
{
	return s->ops->each_event_of(s, rollout_id, limit, cb, ctx);
}

int store_each_intent(struct store *s, uint64_t rollout_id, store_intent_cb cb, void *ctx)
{
	return s->ops->each_intent(s, rollout_id, cb, ctx);
}

int store_each_sample(struct store *s, uint64_t rollout_id, store_sample_cb cb, void *ctx)
{
	return s->ops->each_sample(s, rollout_id, cb, ctx);
}

int store_each_judgement(struct store *s, uint64_t rollout_id, store_judgement_cb cb, void *ctx)
{
	return s->ops->each_judgement(s, rollout_id, cb, ctx);
}

int store_each_query(struct store *s, uint64_t rollout_id, store_query_cb cb, void *ctx)
{
	return s->ops->each_query(s, rollout_id, cb, ctx);
}

int store_each_source(struct store *s, store_source_cb cb, void *ctx)
{
	return s->ops->each_source(s, cb, ctx);
}

int store_find_quarantine(struct store *s, const char *alias_key, const char *code_hash)
{
	return s->ops->find_quarantine(s, alias_key, code_hash);
}
