#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

void require_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: require(%s) failed: this is a fault of the program\n", file, line, condition);
	abort();
}
