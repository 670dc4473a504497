/* What the benchmark programs share: their arguments, the measured CPU time, and the one line that they print. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define BENCH_REGION "us-east-1"
#define BENCH_KEY    "localaws"
#define BENCH_SLOTS  64 /* as LIMIT_CALLS_IN_FLIGHT */

/* PROGRAM HOST:PORT CALLS SLOTS: so many UpdateAlias calls, SLOTS of them in flight, each on an alias of its own
 * (functions bench-0 … or bare-0 …, alias live, versions 1 and 2). */
struct bench_args {
	const char *host;
	uint64_t calls;
	unsigned slots;
};

static inline struct bench_args bench_args_read(int argc, char **argv)
{
	if (argc < 4) {
		(void)fprintf(stderr, "usage: %s HOST:PORT CALLS SLOTS\n", argv[0]);
		exit(2);
	}
	struct bench_args a = {
	    .host = argv[1],
	    .calls = strtoull(argv[2], NULL, 10),
	    .slots = (unsigned)strtoul(argv[3], NULL, 10),
	};
	if (a.calls == 0 || a.slots == 0 || a.slots > BENCH_SLOTS) {
		(void)fprintf(stderr, "%s: CALLS from 1, SLOTS from 1 to %d\n", argv[0], BENCH_SLOTS);
		exit(2);
	}
	return a;
}

static inline void bench_fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

/* CPU time of this process so far, user and system, in microseconds. */
static inline double bench_cpu_us(void)
{
	struct rusage u;
	if (getrusage(RUSAGE_SELF, &u) != 0)
		bench_fail("getrusage", "failed");
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}
