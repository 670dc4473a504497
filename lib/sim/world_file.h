/* A whole world file. */
#pragma once

#include "plan/node.h"
#include "sim/model.h"

/* What a world is before any file: AWS's own figures. Everything in it must have been dropped. */
void world_file_defaults(struct world *w, uint64_t seed);
bool world_file_load(struct world *w, const char *text, size_t len, struct diags *d);
bool world_file_apply(struct world *w, const struct node *n, struct diags *d);
/* Makes the world anew, from the file that was loaded first, if any; keys stay. */
bool world_file_reset(struct world *w, struct diags *d);

/* The world's clock; see world.c. */
void world_tell_time(struct world *w, struct instant now);
void world_move_time(struct world *w, int64_t by_ms);
