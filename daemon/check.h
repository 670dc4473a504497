/* rolloutd --check: the configuration and every plan, judged by the daemon's own loaders, without starting anything. */
#pragma once

#include <stdio.h>

#include "base/macros.h"

/* Prints every diagnostic and a last line that sums up. Returns whether all is well. */
must_use int check_run(const char *config_path, FILE *out); /* 0: yes, 1: no */
