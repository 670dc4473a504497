#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

void secret_wipe(void *bytes, size_t len)
{
	if (len > 0)
		explicit_bzero(bytes, len);
}

void secret_free(char *s)
{
	if (!s)
		return;
	secret_wipe(s, strlen(s));
	free(s);
}

void secret_free_p(char **slot)
{
	secret_free(*slot);
}
