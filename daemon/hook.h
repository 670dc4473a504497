/*
 * Runs the programs of hooks_dir for plans: no shell, a clean environment, a session of their own, an end after their
 * time. What a hook leaves running in its process group when it ends is killed.
 *
 * A program is refused, with a sentence, unless its name is that of a regular file in hooks_dir that may be executed,
 * and both the file and the folder belong to root or to the daemon's own user and can be written by nobody else: who
 * may write a plan may name a hook, and must not be able to bring one along.
 */
#pragma once

#include <uv.h>

#include "engine/ports.h"

struct hooks;

#define HOOKS_AT_ONCE 16   /* others wait */
#define HOOK_GRACE_MS 5000 /* from SIGTERM to SIGKILL */

/* `dir` is copied; it need not exist. */
struct hooks *hooks_new(uv_loop_t *loop, const char *dir);
/* As ports.run_hook. The time counts from the program's start. */
void hooks_run(struct hooks *s, const char *program, const char *input, int64_t timeout_ms, exec_cb cb, void *arg);
/* Kills what runs and answers everybody at once; freed by the loop's next turns. No hook may be run any more. NULL is
 * fine. */
void hooks_close(struct hooks *s);
