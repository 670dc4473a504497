/* See tally.h. */
#include "tests/sim/tally.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[TALLY_COUNT] = {
#define TALLY_TEXT(id, text) [TALLY_##id] = text,
    TALLY_LIST(TALLY_TEXT)
#undef TALLY_TEXT
};

const char *tally_name(enum tally_item i)
{
	return names[i];
}

bool tally_of_fault(const char *fault, enum tally_item *ret)
{
	for (int i = TALLY_STRUCK_THROTTLE; i <= TALLY_STRUCK_METRICS_DELAY; i++) {
		if (strcmp(names[i], fault) == 0) {
			*ret = (enum tally_item)i;
			return true;
		}
	}
	return false;
}

void tally_add(struct tally *into, const struct tally *from)
{
	for (int i = 0; i < TALLY_COUNT; i++)
		into->n[i] += from->n[i];
}

static void print_group(const struct tally *t, const char *title, int from, int to)
{
	printf("\n%s\n", title);
	for (int i = from; i <= to; i++)
		printf("  %-44s %14" PRIu64 "\n", names[i], t->n[i]);
}

void tally_print(const struct tally *t, double seconds)
{
	double years = (double)t->n[TALLY_SIMULATED_MS] / (365.25 * 24 * 3600 * 1000);

	printf("\nRun\n");
	printf("  %-44s %14" PRIu64 "\n", names[TALLY_SEEDS], t->n[TALLY_SEEDS]);
	printf("  %-44s %14.2f\n", "simulated years", years);
	printf("  %-44s %14.1f\n", "seconds", seconds);
	print_group(t, "Work", TALLY_STEPS, TALLY_CONFLICTS);
	print_group(t, "Fates of calls", TALLY_STRUCK_THROTTLE, TALLY_REGION_OUT);
	print_group(t, "Crashes, clocks and disks", TALLY_KILLS, TALLY_COMMIT_FAILURES);
	print_group(t, "Others", TALLY_HUMAN_WRITES, TALLY_HOOKS);
	print_group(t, "Ends of rollouts", TALLY_ENDED_SUCCEEDED, TALLY_RESOLVED);
	print_group(t, "Invariants", TALLY_CHECK_INTENT, TALLY_CHECK_LIVENESS);
}

/* Four standard deviations of so many coins, and three for small numbers. */
static bool alarms_kept(const struct tally *t, enum tally_item of, unsigned percent)
{
	double chance = percent / 100.0, n = (double)t->n[of];
	double most = n * chance + 4 * sqrt(n * chance * (1 - chance)) + 3;
	uint64_t failed = t->n[of + 1];

	if ((double)failed <= most)
		return true;
	printf("of %" PRIu64 " canaries that are no worse %" PRIu64
	       " were sent back by a comparison, and their plans accept %u %%\n",
	       t->n[of], failed, percent);
	return false;
}

bool tally_alarms_kept(const struct tally *t)
{
	return alarms_kept(t, TALLY_EQUAL_1, 1) && alarms_kept(t, TALLY_EQUAL_10, 10) &&
	       alarms_kept(t, TALLY_EQUAL_50, 50);
}

size_t tally_print_gaps(const struct tally *t)
{
	size_t gaps = 0;

	for (int i = 0; i < TALLY_COUNT; i++) {
		bool never = i == TALLY_EQUAL_1_FAILED || i == TALLY_EQUAL_10_FAILED; /* is best */

		if (t->n[i] == 0 && !never) {
			printf("never met: %s\n", names[i]);
			gaps++;
		}
	}
	return gaps;
}
