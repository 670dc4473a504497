/*
 * The flight recorder: what a rollout has read, judged and asked, so that it can be told later why it did what it did.
 * Everything is gathered in memory and goes into the turn's one transaction with the record.
 *
 * Of each metric period every change is kept with the time at which it was read, so that a judgement can be made again
 * on what was known then. A judgement carries the number of the poll that it was made on: polls are numbered in the
 * record, so numbers rise over restarts, and one that is missing was never answered.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/item.h"
#include "engine/record_values.h"

/* Judgements that wait for a store that does not take them: beyond this, the oldest go. */
#define JUDGEMENTS_KEPT 1000
#define VALUES_BYTES	4096
/* Further back it is not looked whether a period is on the list already: it is stored twice then, to the same row. */
#define CHANGED_SEEN 32

struct judgement {
	uint64_t seq;
	int64_t unix_ms;
	int64_t through_unix_ms;
	uint32_t step;
	uint32_t weight_bp;
	enum verdict verdict;
	enum verdict_gap gap;
	uint32_t metric;
	char *detail;
	char text[LIMIT_REASON];
};

struct flight_log {
	struct judgement *judgements; /* not stored yet */
	size_t n_judgements;
	size_t cap_judgements;
	int64_t read_unix_ms;	       /* the newest time that samples were read at; never goes back */
	size_t n_versions;	       /* rows of samples */
	struct alias_target asked_for; /* which versions, and whether at 100 %, CloudWatch was asked about last */
	char *query;		       /* not stored yet; NULL: as before */
};

struct flight_log *flight_log_new(void)
{
	return mem_alloc(sizeof(struct flight_log));
}

static void drop_judgements(struct flight_log *f, size_t n)
{
	for (size_t k = 0; k < n; k++)
		free(f->judgements[k].detail);
	f->n_judgements -= n;
	memmove(f->judgements, f->judgements + n, f->n_judgements * sizeof(*f->judgements));
}

void flight_log_free(struct flight_log *f)
{
	if (!f)
		return;
	if (f->n_judgements > 0)
		drop_judgements(f, f->n_judgements);
	free(f->judgements);
	free(f->query);
	free(f);
}

/* --- judgements --- */

static void add_time(struct buf *out, const char *key, int64_t unix_ms)
{
	char text[32];

	if (unix_ms == 0)
		return;
	text_format_utc(unix_ms, text);
	buf_add_text(out, key);
	buf_add_json_string(out, text);
}

static void add_counts(struct buf *out, const char *key, const struct counts *c)
{
	if (!c->seen)
		return;
	buf_add_text(out, key);
	buf_add_char(out, '[');
	buf_add_u64(out, c->invocations);
	buf_add_char(out, ',');
	buf_add_u64(out, c->errors);
	buf_add_char(out, ']');
}

static void add_number(struct buf *out, const char *key, double v)
{
	if (isfinite(v))
		buf_addf(out, "%s%.6g", key, v);
}

static void add_metric(struct buf *out, const struct rollout_judged *j, size_t index)
{
	const struct metric_result *m = &j->result.metrics[index];
	char why[LIMIT_REASON];

	buf_add_text(out, index > 0 ? ",{\"verdict\":\"" : "{\"verdict\":\"");
	buf_add_text(out, verdict_name(m->verdict));
	buf_add_char(out, '"');
	if (m->gap != VERDICT_GAP_NONE) {
		buf_add_text(out, ",\"gap\":");
		buf_add_json_string(out, verdict_gap_name(m->gap));
	}
	if (m->weighed) {
		add_number(out, ",\"evidence\":", m->evidence);
		add_number(out, ",\"evidence_needed\":", m->evidence_needed);
	}
	if (j->question.analysis->metrics[index].kind == SPEC_METRIC_ALARM)
		buf_addf(out, ",\"alarm\":%u", (unsigned)j->question.alarms[index]);
	/* The sentence of the one that decided stands in the judgement itself. */
	if (index != j->result.metric) {
		text_copy_printable(why, sizeof(why), m->why);
		buf_add_text(out, ",\"why\":");
		buf_add_json_string(out, why);
	}
	buf_add_char(out, '}');
}

/* What docs/openapi.yaml calls a judgement's detail. */
static char *format_detail(const struct rollout_judged *j)
{
	const struct verdict_question *q = &j->question;
	const struct verdict_result *v = &j->result;
	struct buf out = BUF_INIT(LIMIT_JUDGEMENT_BYTES);

	buf_add_text(&out, "{\"metrics\":[");
	for (size_t n = 0; n < q->analysis->n_metrics; n++)
		add_metric(&out, j, n);
	buf_add_char(&out, ']');
	add_time(&out, ",\"weight_since_at\":", q->step_from_unix_ms);
	add_time(&out, ",\"bake_until_at\":", q->step_until_unix_ms);
	add_time(&out, ",\"read_through_at\":", q->read_through_unix_ms);
	add_time(&out, ",\"alarms_read_at\":", q->alarms_read_unix_ms);
	add_counts(&out, ",\"canary\":", &v->canary_all);
	add_counts(&out, ",\"stable\":", &v->stable_all);
	add_counts(&out, ",\"canary_step\":", &v->canary_step);
	add_counts(&out, ",\"stable_step\":", &v->stable_step);
	buf_add_char(&out, '}');
	if (!buf_ok(&out)) {
		buf_reset(&out);
		buf_add_text(&out, "{}");
	}
	return buf_take(&out);
}

void flight_judged(struct item *i, const struct rollout_judged *j, uint64_t seq)
{
	struct flight_log *f = i->flight;
	int64_t now = j->question.now_unix_ms;
	struct judgement *row;

	/* What was read for this judgement was known at its time; a clock that went back must not hide it. */
	f->read_unix_ms = now > f->read_unix_ms ? now : f->read_unix_ms + 1;
	if (f->n_judgements == JUDGEMENTS_KEPT)
		drop_judgements(f, 1);
	f->judgements = mem_grow(f->judgements, &f->cap_judgements, f->n_judgements + 1, sizeof(*f->judgements));
	row = &f->judgements[f->n_judgements++];
	*row = (struct judgement){
	    .seq = seq,
	    .unix_ms = f->read_unix_ms,
	    .through_unix_ms = j->result.through_unix_ms,
	    .step = j->step,
	    .weight_bp = j->weight_bp,
	    .verdict = j->result.verdict,
	    .gap = j->result.gap,
	    .metric = (uint32_t)j->result.metric,
	    .detail = format_detail(j),
	};
	text_copy_printable(row->text, sizeof(row->text), j->result.why);
}

static int put_judgements(struct engine *e, const struct item *i)
{
	const struct flight_log *f = i->flight;
	int r = 0;

	for (size_t n = 0; n < f->n_judgements && r == 0; n++) {
		const struct judgement *j = &f->judgements[n];
		struct store_judgement row = {
		    .rollout_id = i->id,
		    .seq = j->seq,
		    .unix_ms = j->unix_ms,
		    .through_unix_ms = j->through_unix_ms,
		    .step = j->step,
		    .weight_bp = j->weight_bp,
		    .verdict = verdict_name(j->verdict),
		    .gap = verdict_gap_name(j->gap),
		    .metric = j->metric,
		    .detail = j->detail,
		    .text = j->text,
		};

		r = store_put_judgement(e->store, &row);
	}
	return r;
}

/* --- samples --- */

/* An answer tells its metrics one after the other, each of them the same few periods. */
void flight_changed(struct item *i, int64_t start_unix_ms)
{
	size_t oldest = i->n_changed > CHANGED_SEEN ? i->n_changed - CHANGED_SEEN : 0;

	for (size_t n = i->n_changed; n-- > oldest;) {
		if (i->changed_samples[n] == start_unix_ms)
			return;
	}
	i->changed_samples =
	    mem_grow(i->changed_samples, &i->cap_changed, i->n_changed + 1, sizeof(*i->changed_samples));
	i->changed_samples[i->n_changed++] = start_unix_ms;
}

/* What was read without being judged at once, such as the first page of an answer, is read now. */
static int64_t read_time(const struct engine *e, const struct flight_log *f)
{
	int64_t now = engine_now(e).unix_ms;

	if (f->n_judgements > 0)
		return f->read_unix_ms;
	return now > f->read_unix_ms ? now : f->read_unix_ms + 1;
}

static int put_samples(struct engine *e, const struct item *i)
{
	struct buf values cleanup(buf_deinit) = BUF_INIT(VALUES_BYTES);
	const struct flight_log *f = i->flight;
	int64_t read = read_time(e, f);
	int r = 0;

	for (size_t n = 0; n < i->n_changed && r == 0; n++) {
		size_t at = samples_find(&i->samples, i->changed_samples[n]);
		struct store_sample row = {
		    .rollout_id = i->id,
		    .start_unix_ms = i->changed_samples[n],
		    .read_unix_ms = read,
		    .alone = f->n_versions + n >= LIMIT_SAMPLE_VERSIONS,
		};
		const struct sample *s;

		if (at >= i->samples.len || i->samples.items[at].start_unix_ms != i->changed_samples[n])
			continue; /* it fell out at the cap */
		s = &i->samples.items[at];
		const struct counts *counts[3] = {&s->canary, &s->stable, &s->alias};

		/* Errors may be told before the requests that they are of: without those they count nothing yet, but
		 * a restart is no reason to forget them. */
		for (size_t c = 0; c < 3; c++) {
			bool any = counts[c]->seen || counts[c]->errors > 0;

			row.counts[2 * c] = counts[c]->seen ? (int64_t)counts[c]->invocations : -1;
			row.counts[2 * c + 1] = any ? (int64_t)counts[c]->errors : -1;
		}
		row.values = record_values_encode(&i->samples, at, &values);
		probing_pack(s, row.probes);
		r = store_put_sample(e->store, &row);
	}
	if (r == 0 && i->n_changed > 0 && i->samples.len == LIMIT_PERIODS)
		r = store_drop_samples(e->store, i->id, i->samples.items[0].start_unix_ms);
	return r;
}

static int load_sample(void *ctx, const struct store_sample *x)
{
	struct item *i = ctx;
	struct flight_log *f = i->flight;

	f->n_versions++;
	if (x->read_unix_ms > f->read_unix_ms && x->read_unix_ms <= RECORD_MS_MAX)
		f->read_unix_ms = x->read_unix_ms;
	return record_load_sample(&i->samples, x);
}

int flight_load(struct engine *e, struct item *i)
{
	return store_each_sample(e->store, i->id, load_sample, i);
}

/* --- queries --- */

static void add_alarms(const struct spec_analysis *a, struct buf *out)
{
	bool any = false;

	for (size_t n = 0; n < a->n_metrics; n++) {
		if (a->metrics[n].kind != SPEC_METRIC_ALARM)
			continue;
		buf_add_text(out, any ? "," : "");
		buf_add_json_string(out, a->metrics[n].alarm);
		any = true;
	}
}

/* {"metric_data_queries": [...], "alarms": [...]}: the first can be handed to GetMetricData as it is. */
static char *format_query(struct item *i)
{
	struct buf out = BUF_INIT(LIMIT_RECORD_BYTES);

	buf_add_text(&out, "{\"metric_data_queries\":[");
	poll_describe(i, &out);
	buf_add_text(&out, "],\"alarms\":[");
	add_alarms(&i->plan->spec.analysis, &out);
	buf_add_text(&out, "]}");
	if (!buf_ok(&out)) {
		buf_reset(&out);
		buf_add_text(&out, "{}");
	}
	return buf_take(&out);
}

void flight_asked(struct item *i)
{
	const struct rollout *r = &i->state;
	struct flight_log *f = i->flight;
	struct alias_target now = {r->stable, r->canary, r->promoted_unix_ms != 0 ? WEIGHT_BP_MAX : 1};

	if (alias_target_equal(&now, &f->asked_for))
		return;
	f->asked_for = now;
	free(f->query);
	f->query = format_query(i);
	item_mark_dirty(i);
}

static int put_query(struct engine *e, const struct item *i)
{
	struct store_query row = {i->id, engine_now(e).unix_ms, i->flight->query};

	return row.text ? store_put_query(e->store, &row) : 0;
}

/* --- the turn --- */

int flight_put(struct engine *e, const struct item *i)
{
	int r = put_samples(e, i);

	if (r == 0)
		r = put_judgements(e, i);
	return r == 0 ? put_query(e, i) : r;
}

void flight_recorded(struct item *i)
{
	struct flight_log *f = i->flight;

	if (i->n_changed > 0)
		f->read_unix_ms = read_time(i->engine, f);
	f->n_versions += i->n_changed;
	i->n_changed = 0;
	if (f->n_judgements > 0)
		drop_judgements(f, f->n_judgements);
	free(f->query);
	f->query = NULL;
}
