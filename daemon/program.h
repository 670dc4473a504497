/*
 * Runs the programs that give AWS keys (credential_process): no shell, the daemon's own environment, nothing on their
 * standard input, an end after their time. Their output goes to whoever asked and is wiped; of what they complain, the
 * end is kept for people, with everything masked that could be a key, whoever it is one of.
 *
 * At most LIMIT_KEYS_PROGRAMS run at a time, as many accounts may have the same one; the others wait for their turn in
 * the order in which they were asked for, and their time begins when they do.
 *
 * With a program ends its process group: what it leaves running there is killed, also when all went well. What it puts
 * into a session of its own lives on, and holds the keys back for a second at most.
 */
#pragma once

#include <uv.h>

#include "credentials/provider.h"

struct programs;

struct programs *programs_new(uv_loop_t *loop);
/* As provider_ports.run. */
void programs_run(struct programs *s, char *const *words, int64_t timeout_ms, provider_ran_cb cb, void *arg);
/* Kills what runs and answers everybody at once; freed by the loop's next turns. No program may be run any more. NULL
 * is fine. */
void programs_close(struct programs *s);

/* Stars in place of each run of 16 or more characters that keys, tokens and ids are made of, unless it consists of
 * short words as paths and the names of errors do. `cut`: the text's beginning is missing, so that its first run may be
 * the end of a longer one. */
void program_mask(char *text, bool cut);
