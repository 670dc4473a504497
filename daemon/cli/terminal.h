/*
 * The terminal while something is redrawn on it: cursor hidden, typed keys not echoed, signals read from a descriptor.
 * Everything is put back by terminal_leave, which every way out goes through, signals included.
 */
#pragma once

#include <stdbool.h>
#include <termios.h>

#include "base/buf.h"

struct terminal {
	int signal_fd;
	bool echo_off;
	struct termios saved;
	int rows; /* of the frame that stands there; the cursor is below it */
};

/* Returns 0 or a negative errno; then nothing was changed. */
must_use int terminal_enter(struct terminal *t);
void terminal_leave(struct terminal *t);

/* Draws over the last frame. The lines in `frame` end with "erase to the end of the line". */
void terminal_draw(struct terminal *t, const struct buf *frame, int rows);
/* The screen was resized, and what stands there cannot be told: the next frame starts on an empty screen. */
void terminal_clear(struct terminal *t);

/* Reads what came: 0 nothing; SIGWINCH; SIGCONT after a stop, the terminal set up again; or a signal that ends. */
int terminal_take_signal(struct terminal *t);
/* Ends the process by that signal, as it would have without us. */
__attribute__((noreturn)) void terminal_die(struct terminal *t, int signal);
