/* See shrink.h. Delta debugging by hand: what is left out one by one is few enough. */
#include "tests/sim/shrink.h"

#include <string.h>

struct attempt {
	struct simulator *simulator;
	enum violation_kind kind;
	unsigned runs_left;
};

static bool still_fails(struct attempt *a, const struct script *s)
{
	struct outcome o;

	if (a->runs_left == 0)
		return false;
	a->runs_left--;
	simulation_run(a->simulator, s, NULL, &o);
	return o.violation.kind == a->kind;
}

static void remove_deeds(struct script *s, size_t at, size_t n)
{
	memmove(&s->deeds[at], &s->deeds[at + n], (s->n_deeds - at - n) * sizeof(s->deeds[0]));
	s->n_deeds -= n;
}

/* First in large parts, then one by one. */
static bool without_deeds(struct attempt *a, struct script *s)
{
	bool smaller = false;

	for (size_t n = s->n_deeds / 2; n > 0; n /= 2) {
		for (size_t at = 0; at + n <= s->n_deeds;) {
			struct script less = *s;

			remove_deeds(&less, at, n);
			if (still_fails(a, &less)) {
				*s = less;
				smaller = true;
			} else {
				at += n;
			}
		}
	}
	return smaller;
}

static bool without_fates(struct attempt *a, struct script *s)
{
	bool smaller = false;

	for (size_t at = 0; at < s->n_fates;) {
		struct script less = *s;

		memmove(&less.fates[at], &less.fates[at + 1], (less.n_fates - at - 1) * sizeof(less.fates[0]));
		less.n_fates--;
		if (still_fails(a, &less)) {
			*s = less;
			smaller = true;
		} else {
			at++;
		}
	}
	return smaller;
}

/* Sooner done, and nothing special about the metrics. */
static void plainer(struct attempt *a, struct script *s)
{
	struct script less = *s;

	less.metrics_jitter_ms = 0;
	less.late_percent = 0;
	less.hook_trouble_percent = 0;
	less.mark = false;
	if (still_fails(a, &less))
		*s = less;
	less = *s;
	less.faults_end_ms /= 2;
	less.end_ms -= less.faults_end_ms;
	if (still_fails(a, &less))
		*s = less;
}

void shrink(struct simulator *simulator, struct script *script, enum violation_kind kind, unsigned runs)
{
	struct attempt a = {simulator, kind, runs};
	bool smaller = true;

	while (smaller && a.runs_left > 0) {
		smaller = without_deeds(&a, script);
		smaller = without_fates(&a, script) || smaller;
	}
	plainer(&a, script);
}
