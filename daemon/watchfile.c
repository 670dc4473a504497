#include "daemon/watchfile.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct watched {
	struct watchfile *owner;
	struct watched *next;
	char *path;
	uv_fs_poll_t poll;
	uv_timer_t quiet; /* runs while a change may not be the last one */
	unsigned open_handles;
	bool listed;
};

struct watchfile {
	uv_loop_t *loop;
	char *dir;
	unsigned interval_ms;
	struct watchfile_ops ops;
	struct watched *files;
	unsigned closing; /* watched files whose handles are not closed yet */
	bool closed;
};

static void free_when_closed(struct watchfile *w)
{
	if (!w->closed || w->closing > 0)
		return;
	free(w->dir);
	free(w);
}

static void handle_closed(uv_handle_t *handle)
{
	struct watched *f = handle->data;
	struct watchfile *w = f->owner;
	if (--f->open_handles > 0)
		return;
	free(f->path);
	free(f);
	w->closing--;
	free_when_closed(w);
}

static void drop(struct watched *f)
{
	f->owner->closing++;
	uv_close((uv_handle_t *)&f->poll, handle_closed);
	uv_close((uv_handle_t *)&f->quiet, handle_closed);
}

static void quiet_cb(uv_timer_t *timer)
{
	const struct watched *f = timer->data;
	f->owner->ops.changed(f->owner->ops.ctx, f->path);
}

/* Also called when the file vanishes: whoever is told then finds out, and says so. */
static void poll_cb(uv_fs_poll_t *poll, int status, const uv_stat_t *before, const uv_stat_t *now)
{
	struct watched *f = poll->data;
	unsigned ms = f->owner->interval_ms;
	(void)status;
	(void)before;
	(void)now;
	/* A little more than one interval, so that the next look comes first and may start this anew. */
	require(uv_timer_start(&f->quiet, quiet_cb, ms + ms / 2, 0) == 0);
}

static void watch(struct watchfile *w, const char *path)
{
	struct watched *f = mem_alloc(sizeof(*f));
	cleanup(mem_free_p) char *file = file_resolve(w->dir, path);
	f->owner = w;
	f->path = mem_strdup(path);
	f->listed = true;
	f->open_handles = 2;
	/* None of these can fail: the first look comes later. */
	require(uv_fs_poll_init(w->loop, &f->poll) == 0);
	require(uv_timer_init(w->loop, &f->quiet) == 0);
	f->poll.data = f->quiet.data = f;
	require(uv_fs_poll_start(&f->poll, poll_cb, file, w->interval_ms) == 0);
	f->next = w->files;
	w->files = f;
}

static void list_cb(void *ctx, const char *path)
{
	struct watchfile *w = ctx;
	for (struct watched *f = w->files; f; f = f->next) {
		if (strcmp(f->path, path) != 0)
			continue;
		f->listed = true;
		return;
	}
	watch(w, path);
}

void watchfile_list(struct watchfile *w)
{
	for (struct watched *f = w->files; f; f = f->next)
		f->listed = false;
	w->ops.each(w->ops.ctx, list_cb, w);
	for (struct watched **at = &w->files; *at;) {
		struct watched *f = *at;
		if (f->listed) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		drop(f);
	}
}

struct watchfile *watchfile_new(uv_loop_t *loop, const char *dir, unsigned interval_ms, const struct watchfile_ops *ops)
{
	struct watchfile *w = mem_alloc(sizeof(*w));
	*w = (struct watchfile){
	    .loop = loop, .dir = mem_strdup(dir), .interval_ms = interval_ms ? interval_ms : WATCHFILE_MS, .ops = *ops};
	return w;
}

void watchfile_close(struct watchfile *w)
{
	if (!w || w->closed)
		return;
	w->closed = true;
	while (w->files) {
		struct watched *f = w->files;
		w->files = f->next;
		drop(f);
	}
	free_when_closed(w);
}
