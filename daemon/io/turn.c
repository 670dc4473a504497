/*
 * uv's order in a turn: timers, idle, prepare, wait for sockets, closing. What sockets and timers did is all done when
 * the next "prepare" comes, right before the loop would wait; so that is the end of a turn. While more is wanted, an
 * idle handle keeps the loop from waiting. A turn was busy for what it took less what uv says that it waited.
 */
#include "daemon/io/turn.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"

struct turn {
	uv_prepare_t prepare;
	uv_idle_t idle;
	unsigned open_handles;
	bool wanted;
	void (*run)(void *ctx);
	void *ctx;
	uint64_t ended_ns;  /* the last turn; 0: none yet */
	uint64_t waited_ns; /* in all, by then */
	uv_loop_t *loop;
	struct turn_stats stats;
};

static void idle_cb(uv_idle_t *idle)
{
	(void)idle; /* being active is all that it is for */
}

static void measure(struct turn *t)
{
	uint64_t now_ns = uv_hrtime();
	uint64_t waited_ns = uv_metrics_idle_time(t->loop);
	if (t->ended_ns) {
		uint64_t busy_us = (now_ns - t->ended_ns - (waited_ns - t->waited_ns)) / 1000;
		t->stats.turns++;
		if (busy_us > TURN_STALL_MS * 1000)
			t->stats.stalls++;
		if (busy_us > t->stats.longest_us)
			t->stats.longest_us = busy_us;
	}
	t->ended_ns = now_ns;
	t->waited_ns = waited_ns;
}

static void prepare_cb(uv_prepare_t *prepare)
{
	struct turn *t = prepare->data;
	if (t->wanted) {
		t->wanted = false;
		t->run(t->ctx);
	}
	/* The run may have closed it, and what it closed besides may have wanted another one: nothing starts again. */
	if (uv_is_closing((uv_handle_t *)prepare))
		return;
	if (t->wanted)
		require(uv_idle_start(&t->idle, idle_cb) == 0);
	else
		(void)uv_idle_stop(&t->idle); /* never fails */
	measure(t);
}

void turn_new(uv_loop_t *loop, void (*run)(void *ctx), void *ctx, struct turn **ret)
{
	struct turn *t = mem_alloc(sizeof(*t));
	t->loop = loop;
	t->run = run;
	t->ctx = ctx;
	/* None of these can fail. */
	require(uv_loop_configure(loop, UV_METRICS_IDLE_TIME) == 0);
	require(uv_prepare_init(loop, &t->prepare) == 0);
	require(uv_idle_init(loop, &t->idle) == 0);
	t->prepare.data = t->idle.data = t;
	t->open_handles = 2;
	require(uv_prepare_start(&t->prepare, prepare_cb) == 0);
	*ret = t;
}

void turn_want(struct turn *t)
{
	t->wanted = true;
}

void turn_stats(const struct turn *t, struct turn_stats *ret)
{
	*ret = t->stats;
}

static void closed_cb(uv_handle_t *handle)
{
	struct turn *t = handle->data;
	if (--t->open_handles == 0)
		free(t);
}

void turn_close(struct turn *t)
{
	if (!t || uv_is_closing((uv_handle_t *)&t->prepare))
		return;
	uv_close((uv_handle_t *)&t->prepare, closed_cb);
	uv_close((uv_handle_t *)&t->idle, closed_cb);
}
