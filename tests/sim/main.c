/*
 * rollout-sim: runs seeds of the deterministic simulator.
 *
 *	rollout-sim --seed N [--trace]       one seed; with its script and everything that happened
 *	rollout-sim --seeds N [--from N] [--years Y] [--jobs N]
 *	                                     so many seeds, or more of them until so many years were simulated
 *	rollout-sim --hashes N [--from N]    the trace's hash of each seed, a line each
 *	rollout-sim --stop, --keep-going     end at the first violation; or at none
 *	rollout-sim --hours N                each seed lasts so long: a soak
 *	rollout-sim --summary                the last line alone
 *	rollout-sim --gaps                   what no seed has met counts as a violation
 *	rollout-sim --twice                  with the others: each seed two times, and both must give the same hash
 *
 * Exit status: 0 no violation; 1 violations; 2 wrong usage.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/sim/shrink.h"
#include "tests/sim/simulation.h"

#define SHRINK_RUNS	 600
#define VIOLATIONS_SHOWN 5
#define JOBS_MAX	 64
#define MS_PER_YEAR	 (UINT64_C(36525) * MS_PER_DAY / 100)

struct options {
	uint64_t seed, from, seeds, hashes;
	double years;
	unsigned jobs;
	int64_t hours;		  /* each seed lasts so long; 0: as it is drawn */
	uint64_t most_violations; /* then a worker stops */
	bool one, trace, twice, summary, gaps;
};

/* What a worker hands over when it is done. */
struct report {
	struct tally tally;
	uint64_t violations;
	uint64_t unstable; /* seeds whose two runs differ */
};

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_seed(const struct options *o, struct simulator *simulator, uint64_t seed, FILE *trace,
		     struct outcome *ret)
{
	struct script *script cleanup(mem_free_p) = mem_alloc(sizeof(*script));

	script_draw(seed, script);
	if (o->hours > 0)
		script_stretch(script, o->hours * MS_PER_HOUR);
	if (trace)
		script_print(script, trace);
	simulation_run(simulator, script, trace, ret);
}

static void print_violation(uint64_t seed, const struct violation *v)
{
	printf("seed %" PRIu64 ": invariant violated: %s\n  after %.3f s: %s\n", seed, violation_name(v->kind),
	       (double)v->at_ms / 1000, v->text);
}

/* The failing seed's script, made smaller, with what happens in it. */
static void show_small(struct simulator *simulator, uint64_t seed, enum violation_kind kind)
{
	struct script *script cleanup(mem_free_p) = mem_alloc(sizeof(*script));
	struct outcome o;

	script_draw(seed, script);
	shrink(simulator, script, kind, SHRINK_RUNS);
	printf("\nthe same with less:\n");
	script_print(script, stdout);
	simulation_run(simulator, script, stdout, &o);
	print_violation(seed, &o.violation);
}

static int run_one(const struct options *o)
{
	struct simulator simulator = {0};
	struct outcome out;

	run_seed(o, &simulator, o->seed, o->trace ? stdout : NULL, &out);
	printf("seed %" PRIu64 ": %" PRIu64 " entries, trace %016" PRIx64 "\n", o->seed, out.entries, out.hash);
	if (out.violation.kind != VIOLATION_NONE) {
		print_violation(o->seed, &out.violation);
		if (!o->trace)
			show_small(&simulator, o->seed, out.violation.kind);
	}
	simulator_deinit(&simulator);
	return out.violation.kind != VIOLATION_NONE;
}

static void take_outcome(const struct options *o, struct simulator *simulator, uint64_t seed, const struct outcome *out,
			 struct report *report)
{
	struct outcome again;

	tally_add(&report->tally, &out->tally);
	if (out->violation.kind != VIOLATION_NONE) {
		report->violations++;
		if (report->violations <= VIOLATIONS_SHOWN)
			print_violation(seed, &out->violation);
		fflush(stdout);
	}
	if (!o->twice)
		return;
	run_seed(o, simulator, seed, NULL, &again);
	if (again.hash != out->hash) {
		report->unstable++;
		printf("seed %" PRIu64 ": its second run differs\n", seed);
	}
}

/* Every jobs-th seed, from its own place on. */
static void work(const struct options *o, unsigned worker, struct report *report)
{
	double years = o->years / o->jobs;
	struct simulator simulator = {0};

	for (uint64_t n = worker;; n += o->jobs) {
		struct outcome out;

		if (n >= o->seeds && (double)report->tally.n[TALLY_SIMULATED_MS] >= years * (double)MS_PER_YEAR)
			break;
		if (report->violations >= o->most_violations)
			break;
		run_seed(o, &simulator, o->from + n, NULL, &out);
		take_outcome(o, &simulator, o->from + n, &out, report);
	}
	simulator_deinit(&simulator);
}

static int start_worker(const struct options *o, unsigned worker, pid_t *ret_pid)
{
	int ends[2];

	fflush(stdout);
	if (pipe(ends) < 0)
		return -errno;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		struct report *report = mem_alloc(sizeof(*report));

		close(ends[0]);
		work(o, worker, report);
		fflush(stdout);
		_exit(write(ends[1], report, sizeof(*report)) == (ssize_t)sizeof(*report) ? 0 : 1);
	}
	close(ends[1]);
	return *ret_pid < 0 ? -errno : ends[0];
}

static bool read_report(int fd, struct report *into)
{
	struct report r;
	size_t got = 0;

	while (got < sizeof(r)) {
		ssize_t n = read(fd, (char *)&r + got, sizeof(r) - got);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	tally_add(&into->tally, &r.tally);
	into->violations += r.violations;
	into->unstable += r.unstable;
	return true;
}

static int run_many(const struct options *o)
{
	struct report sum = {0};
	double began = seconds_now();
	int fds[JOBS_MAX];
	pid_t pids[JOBS_MAX];
	unsigned lost = 0;

	for (unsigned i = 0; i < o->jobs; i++)
		fds[i] = start_worker(o, i, &pids[i]);
	for (unsigned i = 0; i < o->jobs; i++) {
		int status = 1;

		if (fds[i] < 0 || !read_report(fds[i], &sum))
			lost++;
		if (pids[i] > 0)
			waitpid(pids[i], &status, 0);
	}
	if (!o->summary)
		tally_print(&sum.tally, seconds_now() - began);
	sum.violations += !tally_alarms_kept(&sum.tally);
	if (o->gaps)
		sum.violations += tally_print_gaps(&sum.tally);
	if (lost > 0)
		printf("%u workers ended early (above)\n", lost);
	printf("\nfirst seed %" PRIu64 "; %" PRIu64 " seeds, %.2f years, %" PRIu64 " crashes, %" PRIu64
	       " conflicts, %.0f s; %" PRIu64 " open violations%s\n",
	       o->from, sum.tally.n[TALLY_SEEDS], (double)sum.tally.n[TALLY_SIMULATED_MS] / (double)MS_PER_YEAR,
	       sum.tally.n[TALLY_KILLS] + sum.tally.n[TALLY_POWER_CUTS] + sum.tally.n[TALLY_REBOOTS] +
		   sum.tally.n[TALLY_KILLS_IN_RECOVERY],
	       sum.tally.n[TALLY_CONFLICTS], seconds_now() - began, sum.violations,
	       sum.unstable ? "; runs of the same seed differ" : "");
	return sum.violations + sum.unstable + lost > 0;
}

static int print_hashes(const struct options *o)
{
	struct simulator simulator = {0};
	int status = 0;

	for (uint64_t n = 0; n < o->hashes && status == 0; n++) {
		struct outcome out;

		run_seed(o, &simulator, o->from + n, NULL, &out);
		printf("%" PRIu64 " %016" PRIx64 "\n", o->from + n, out.hash);
		if (out.violation.kind != VIOLATION_NONE) {
			print_violation(o->from + n, &out.violation);
			status = 1;
		}
	}
	simulator_deinit(&simulator);
	return status;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: rollout-sim --seed N [--trace]\n"
		"       rollout-sim [--seeds N] [--from N] [--years Y] [--jobs N] [--twice] [--stop|--keep-going]\n"
		"                   [--hours N] [--summary] [--gaps]\n"
		"       rollout-sim --hashes N [--from N]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'n'},
	    {"from", required_argument, NULL, 'f'},  {"years", required_argument, NULL, 'y'},
	    {"jobs", required_argument, NULL, 'j'},  {"hashes", required_argument, NULL, 'h'},
	    {"trace", no_argument, NULL, 't'},	     {"twice", no_argument, NULL, '2'},
	    {"keep-going", no_argument, NULL, 'k'},  {"stop", no_argument, NULL, 'S'},
	    {"hours", required_argument, NULL, 'H'}, {"summary", no_argument, NULL, 'm'},
	    {"gaps", no_argument, NULL, 'g'},	     {NULL, 0, NULL, 0},
	};
	struct options o = {.seeds = 1000, .from = 1, .jobs = 2, .most_violations = VIOLATIONS_SHOWN};
	int c;

	disk_quicken();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			o.one = true;
			o.seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			o.seeds = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			o.from = strtoull(optarg, NULL, 10);
			break;
		case 'y':
			o.years = strtod(optarg, NULL);
			break;
		case 'j':
			o.jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'h':
			o.hashes = strtoull(optarg, NULL, 10);
			break;
		case 't':
			o.trace = true;
			break;
		case '2':
			o.twice = true;
			break;
		case 'H':
			o.hours = strtoll(optarg, NULL, 10);
			break;
		case 'm':
			o.summary = true;
			break;
		case 'g':
			o.gaps = true;
			break;
		case 'S':
			o.most_violations = 1;
			break;
		case 'k':
			o.most_violations = UINT64_MAX;
			break;
		default:
			return usage();
		}
	}
	if (optind < argc || o.jobs < 1 || o.jobs > JOBS_MAX)
		return usage();
	if (o.one)
		return run_one(&o);
	return o.hashes > 0 ? print_hashes(&o) : run_many(&o);
}
