/*
 * The plans folder: watches it, waits until a file is stable on disk, reads it once, loads it and hands the plan on.
 *
 * A file is stable when its size and times have not changed for 200 ms. What is wrong with a file is kept for as long
 * as the file stays so, and logged once. Removing a file stops nothing; a folder that vanishes is watched for. Besides
 * the kernel's notices the folder is read again from time to time, since notices may be lost.
 *
 * Works in short pieces of the loop's turns, however many files there are.
 */
#pragma once

#include <uv.h>

#include "control/forms.h"
#include "daemon/log.h"
#include "engine/engine.h"

struct dropin;

struct dropin_counts {
	size_t files;
	size_t bad; /* files that are wrong, or refused */
};

struct dropin_ops {
	void *ctx;
	/* Takes over the plan. As engine_take_plan(). */
	enum intake_result (*take)(void *ctx, struct plan *plan, const char *source, const char *hash,
				   char ret_text[static LIMIT_REASON]);
	/* The whole folder has been looked through. */
	void (*scanned)(void *ctx, const struct dropin_counts *counts);
};

struct dropin_config {
	const char *folder; /* copied */
	int64_t stable_ms;  /* 0: 200 */
	int64_t rescan_ms;  /* 0: 30 s */
	struct dropin_ops ops;
	struct log *log;
};

/* Starts with a scan in the loop's next turns. A missing folder is no error. Returns 0 or a negative errno. */
must_use int dropin_new(uv_loop_t *loop, const struct dropin_config *config, struct dropin **ret);
/* Takes nothing in any more; what was found out can still be asked for. NULL is fine. */
void dropin_stop(struct dropin *d);
/* Stops, and frees by the loop's next turns. NULL is fine. */
void dropin_close(struct dropin *d);

/* Looks through the folder again, soon; what was refused before is tried again. */
void dropin_rescan(struct dropin *d);

typedef void (*dropin_problem_cb)(void *ctx, const struct view_file *file);
void dropin_each_problem(const struct dropin *d, dropin_problem_cb cb, void *ctx); /* by file name */
void dropin_count(const struct dropin *d, struct dropin_counts *ret);
