#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char hide_cursor[] = "\033[?25l";
static const char show_cursor[] = "\033[?25h";
static const char clear_screen[] = "\033[H\033[2J";
static const char erase_below[] = "\033[J";

static void watched_signals(sigset_t *set)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

	sigemptyset(set);
	for (size_t i = 0; i < array_len(signals); i++)
		sigaddset(set, signals[i]);
}

static void write_text(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

/* In the background the terminal belongs to another: its settings are left alone. */
static void echo_off(struct terminal *t)
{
	struct termios quiet;

	if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &t->saved) != 0)
		return;
	quiet = t->saved;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	t->echo_off = tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

static void echo_on(struct terminal *t)
{
	/* What was typed meanwhile was not meant for the shell. */
	if (t->echo_off)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->saved);
	t->echo_off = false;
}

int terminal_enter(struct terminal *t)
{
	sigset_t set;

	*t = (struct terminal){.signal_fd = -1};
	watched_signals(&set);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &set, NULL);
	t->signal_fd = fd;
	echo_off(t);
	write_text(hide_cursor);
	return 0;
}

static void release(struct terminal *t)
{
	write_text(show_cursor);
	echo_on(t);
}

void terminal_leave(struct terminal *t)
{
	sigset_t set;

	release(t);
	close(t->signal_fd);
	t->signal_fd = -1;
	watched_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void terminal_draw(struct terminal *t, const struct buf *frame, int rows)
{
	/* One write, so that no half of a frame is ever seen. */
	struct buf out = BUF_INIT(frame->len + 64);

	if (t->rows > 0)
		buf_addf(&out, "\033[%dA\r", t->rows);
	buf_add(&out, buf_text(frame), frame->len);
	buf_add_text(&out, erase_below);
	fwrite(buf_text(&out), 1, out.len, stdout);
	fflush(stdout);
	buf_deinit(&out);
	t->rows = rows;
}

void terminal_clear(struct terminal *t)
{
	write_text(clear_screen);
	t->rows = 0;
}

static void stop(struct terminal *t)
{
	release(t);
	raise(SIGSTOP);
	echo_off(t);
	write_text(hide_cursor);
	t->rows = 0; /* what stands above belongs to the shell's session by now */
}

int terminal_take_signal(struct terminal *t)
{
	struct signalfd_siginfo info;

	if (read(t->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	if (info.ssi_signo != SIGTSTP)
		return (int)info.ssi_signo;
	stop(t);
	return SIGCONT;
}

void terminal_die(struct terminal *t, int signal)
{
	terminal_leave(t); /* unblocks it */
	raise(signal);
	exit(128 + signal); /* when the signal is ignored */
}
