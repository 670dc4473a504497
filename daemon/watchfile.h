/*
 * Watches the files that services' code comes from: a new build is taken up a moment after it was written, rather
 * than when the service is compared with AWS the next time. Works by looking once a second, as builds replace their
 * output by renaming, remove its folder, or write to a file system that gives no notices.
 */
#pragma once

#include <uv.h>

#include "base/macros.h"

struct watchfile;

struct watchfile_ops {
	void *ctx;
	/* Calls `cb` with each path that is to be watched, as plans write it. */
	void (*each)(void *ctx, void (*cb)(void *cb_ctx, const char *path), void *cb_ctx);
	/* The file of that path is another one than before, or has other content, and has been left alone since. */
	void (*changed)(void *ctx, const char *path);
};

#define WATCHFILE_MS 1000

/* `dir`: what relative paths are meant from; copied. `interval_ms`: 0: WATCHFILE_MS. */
struct watchfile *watchfile_new(uv_loop_t *loop, const char *dir, unsigned interval_ms,
				const struct watchfile_ops *ops);
/* Asks again which files there are. */
void watchfile_list(struct watchfile *w);
void watchfile_close(struct watchfile *w); /* freed by the loop's next turns; NULL is fine */
