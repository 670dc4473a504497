#include "daemon/io/waker.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

struct waker {
	uv_poll_t poll;
	int fd;
	int64_t at_ms; /* as armed; INT64_MAX: not armed */
	waker_cb cb;
	void *ctx;
};

static void arm(struct waker *w, int64_t boot_ms)
{
	struct itimerspec spec = {0};
	if (boot_ms != INT64_MAX) {
		if (boot_ms < 1)
			boot_ms = 1; /* all zero would disarm it */
		spec.it_value.tv_sec = boot_ms / MS_PER_SECOND;
		spec.it_value.tv_nsec = boot_ms % MS_PER_SECOND * 1000000;
	}
	require(timerfd_settime(w->fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
	struct waker *w = poll->data;
	uint64_t expirations;
	(void)status; /* a timer has no errors: what counts is whether it can be read */
	(void)events;
	if (read(w->fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	w->at_ms = INT64_MAX;
	w->cb(w->ctx);
}

int waker_new(uv_loop_t *loop, waker_cb cb, void *ctx, struct waker **ret)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct waker *w = mem_alloc(sizeof(*w));
	*w = (struct waker){.fd = fd, .at_ms = INT64_MAX, .cb = cb, .ctx = ctx};
	int r = uv_poll_init(loop, &w->poll, fd);
	if (r < 0) {
		close(fd);
		free(w);
		return r;
	}
	w->poll.data = w;
	require(uv_poll_start(&w->poll, UV_READABLE, poll_cb) == 0);
	*ret = w;
	return 0;
}

void waker_set(struct waker *w, int64_t boot_ms)
{
	/* The engine says its wish after each turn, mostly the same one. */
	if (boot_ms == w->at_ms)
		return;
	w->at_ms = boot_ms;
	arm(w, boot_ms);
}

static void closed_cb(uv_handle_t *handle)
{
	struct waker *w = handle->data;
	close(w->fd);
	free(w);
}

void waker_close(struct waker *w)
{
	if (w && !uv_is_closing((uv_handle_t *)&w->poll))
		uv_close((uv_handle_t *)&w->poll, closed_cb);
}
