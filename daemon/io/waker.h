/*
 * An alarm clock on CLOCK_BOOTTIME, which runs on while the machine sleeps. uv's own timers do not: after a suspend
 * they would be late by as long as it slept.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "base/macros.h"

struct waker;

typedef void (*waker_cb)(void *ctx);

must_use int waker_new(uv_loop_t *loop, waker_cb cb, void *ctx, struct waker **ret);
/* Asks for one call at that time, at once when it is past; replaces the earlier wish. INT64_MAX: none. */
void waker_set(struct waker *w, int64_t boot_ms);
void waker_close(struct waker *w); /* freed by the loop's next turns; NULL is fine */
