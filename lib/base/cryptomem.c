#include "base/cryptomem.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/mem.h"

static void *allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem_realloc(NULL, size);
}

static void *reallocate(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem_realloc(old, size);
}

static void release(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

void cryptomem_take_over(void)
{
	(void)CRYPTO_set_mem_functions(allocate, reallocate, release);
}
