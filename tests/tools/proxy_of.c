/*
 * Prints for each https host that it is given the proxy by way of which rolloutd asks it, or "-": proxy_of HOST... By
 * the environment, for tests that compare with other SDKs. Exit status 1, and why, when a setting cannot be used.
 */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/io/proxy.h"

static const char *look_up(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

int main(int argc, char **argv)
{
	char error[512];
	struct proxy p;
	if (proxy_read(look_up, NULL, &p, error, sizeof(error))) {
		puts(error);
		return 1;
	}
	for (int i = 1; i < argc; i++)
		puts(proxy_serves(&p, argv[i]) ? p.url : "-");
	proxy_deinit(&p);
	return 0;
}
