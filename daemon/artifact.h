/*
 * Files that are to be uploaded, or sent as events: read, hashed and encoded by a thread of the loop's pool, one after
 * the other, as the largest take some 70 MB of memory each. A hash is remembered for as long as the file's identity,
 * size and times are the same.
 */
#pragma once

#include <uv.h>

#include "engine/ports.h"

struct artifacts;

/* `dir`: what relative paths are meant from; copied. */
struct artifacts *artifacts_new(uv_loop_t *loop, const char *dir);
/* As ports.load_artifact. */
void artifacts_load(struct artifacts *s, const char *path, bool content, artifact_cb cb, void *arg);
/* As ports.load_event. */
void artifacts_load_event(struct artifacts *s, const char *path, artifact_cb cb, void *arg);
/* As ports.stamp_artifact. */
uint64_t artifacts_stamp(const struct artifacts *s, const char *path);
/* Everybody who waits is answered at once, with an error; freed by the loop's next turns. Nothing may be loaded any
 * more. NULL is fine. */
void artifacts_close(struct artifacts *s);
