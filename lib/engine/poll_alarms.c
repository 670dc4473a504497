/* DescribeAlarms for many rollouts at once: up to 100 names a call. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/poll.h"

/* One DescribeAlarms call, with its pages. */
struct alarm_batch {
	struct engine *engine;
	struct poll_entry **entries;
	size_t n_entries;
	const char **names; /* borrowed of the plans */
	size_t n_names;
	struct buf token;
	unsigned pages;
};

static void take_alarm(void *ctx, const char *name, enum alarm_state state, const char *reason)
{
	struct alarm_batch *b = ctx;

	(void)reason;
	for (size_t k = 0; k < b->n_entries; k++) {
		const struct spec_analysis *a = &b->entries[k]->item->plan->spec.analysis;

		for (size_t m = 0; m < a->n_metrics; m++) {
			if (a->metrics[m].kind == SPEC_METRIC_ALARM && strcmp(a->metrics[m].alarm, name) == 0)
				b->entries[k]->alarms[m] = state;
		}
	}
}

/* Whether an alarm that cannot be read has a consequence: not if all of them run dry. */
static bool counts_on_alarms(const struct poll_entry *p)
{
	const struct spec_analysis *a = &p->item->plan->spec.analysis;

	for (size_t m = 0; m < a->n_metrics; m++) {
		if (a->metrics[m].kind == SPEC_METRIC_ALARM && !a->metrics[m].dry_run)
			return true;
	}
	return false;
}

static void alarm_batch_finish(struct alarm_batch *b, const char *error)
{
	for (size_t k = 0; k < b->n_entries; k++) {
		if (!error)
			b->entries[k]->alarms_read = true;
		else if (counts_on_alarms(b->entries[k]))
			poll_part_failed(b->entries[k], error);
		poll_part_done(b->entries[k]);
	}
	buf_deinit(&b->token);
	free(b->entries);
	free(b->names);
	free(b);
}

static int alarm_batch_build(void *arg, struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	struct alarm_batch *b = arg;

	cloudwatch_build_describe_alarms(a, e, b->names, b->n_names, b->token.len > 0 ? buf_text(&b->token) : NULL,
					 ret);
	return 0;
}

static void alarm_batch_submit(struct alarm_batch *b);

static void alarm_batch_done(void *arg, const struct http_response *response, const struct aws_error *error)
{
	struct alarm_batch *b = arg;
	struct aws_error problem;
	char text[LIMIT_REASON];

	buf_reset(&b->token);
	if (!error && cloudwatch_parse_describe_alarms(response, take_alarm, b, &b->token, &problem) != 0)
		error = &problem;
	if (error) {
		aws_error_format(error, "DescribeAlarms", text, sizeof(text));
		alarm_batch_finish(b, text);
	} else if (b->token.len > 0 && ++b->pages < LIMIT_PAGES) {
		alarm_batch_submit(b);
	} else {
		alarm_batch_finish(b, NULL);
	}
}

static void alarm_batch_submit(struct alarm_batch *b)
{
	struct item *i = b->entries[0]->item;
	struct dispatch_call call = {
	    .operation = OPERATION_DESCRIBE_ALARMS,
	    .account = i->plan->account,
	    .region = i->region,
	    .priority = PRIORITY_NORMAL,
	    .safe = true,
	    .build = alarm_batch_build,
	    .done = alarm_batch_done,
	    .arg = b,
	};

	(void)dispatch_submit(b->engine->dispatch, &call);
}

size_t poll_alarms_count(const struct poll_entry *p)
{
	const struct spec_analysis *a = &p->item->plan->spec.analysis;
	size_t n = 0;

	for (size_t m = 0; m < a->n_metrics; m++)
		n += a->metrics[m].kind == SPEC_METRIC_ALARM;
	return n;
}

static void alarm_batch_start(struct engine *e, struct poll_entry **entries, size_t n)
{
	struct alarm_batch *b = mem_alloc(sizeof(*b));

	b->engine = e;
	b->entries = mem_array(n, sizeof(*b->entries));
	b->n_entries = n;
	memcpy(b->entries, entries, n * sizeof(*entries));
	b->names = mem_array(CLOUDWATCH_ALARMS_MAX, sizeof(*b->names));
	b->token = BUF_INIT(CLOUDWATCH_TOKEN_MAX);
	for (size_t k = 0; k < n; k++) {
		const struct spec_analysis *a = &entries[k]->item->plan->spec.analysis;

		for (size_t m = 0; m < a->n_metrics; m++) {
			if (a->metrics[m].kind != SPEC_METRIC_ALARM)
				continue;
			entries[k]->alarms[m] = ALARM_MISSING;
			b->names[b->n_names++] = a->metrics[m].alarm;
		}
	}
	alarm_batch_submit(b);
}

void poll_alarms_start(struct engine *e, struct poll_entry **entries, size_t n)
{
	size_t first = 0, names = 0;

	for (size_t k = 0; k < n; k++) {
		size_t more = poll_alarms_count(entries[k]);

		if (k > first && names + more > CLOUDWATCH_ALARMS_MAX) {
			alarm_batch_start(e, entries + first, k - first);
			first = k;
			names = 0;
		}
		names += more;
	}
	if (n > first)
		alarm_batch_start(e, entries + first, n - first);
}
