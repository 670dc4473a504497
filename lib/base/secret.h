/* Secrets are zeroed after use and never formatted. */
#pragma once

#include <stddef.h>

void secret_wipe(void *bytes, size_t len); /* not removed by the optimiser */
void secret_free(char *s);		   /* wipes the string, then frees it; NULL is fine */
void secret_free_p(char **slot);	   /* for cleanup() */
