/* Requests of rolloutd's own, beside those that CloudWatch counts. */
#include "core/judge.h"

size_t judge_over(const struct judge *j, size_t *ret_first)
{
	const struct verdict_question *q = j->q;

	(void)judge_settled(j, ret_first);
	return samples_find(q->samples, q->now_unix_ms - q->analysis->period_ms + 1);
}

void judge_add_probes(struct judge *j)
{
	const struct verdict_question *q = j->q;
	int64_t step_from = verdict_period_start(q->step_from_unix_ms, q->analysis->period_ms);
	struct tally *t = &j->tally;
	size_t i, end = judge_over(j, &i);

	for (; i < end; i++) {
		const struct sample *s = &q->samples->items[i];

		judge_sum_up(&t->probe_canary, &s->probe_canary);
		judge_sum_up(&t->probe_stable, &s->probe_stable);
		if (s->start_unix_ms >= step_from) {
			judge_sum_up(&t->step, &s->probe_canary);
			judge_sum_up(&t->stable_step, &s->probe_stable);
		}
	}
	judge_sum_up(&t->all, &t->probe_canary);
	judge_sum_up(&t->stable, &t->probe_stable);
}

struct counts judge_counted(const struct judge *j, const struct spec_metric *m, size_t index, size_t settled)
{
	const struct sample *s = &j->q->samples->items[index];
	struct counts sum = {0};

	if (index < settled)
		judge_sum_up(&sum, judge_canary(j, s));
	if (m->count_probes)
		judge_sum_up(&sum, &s->probe_canary);
	return sum;
}

const char *judge_probes_note(const struct judge *j, const struct spec_metric *m)
{
	return m->count_probes && j->tally.probe_canary.seen ? ", probes included" : "";
}
