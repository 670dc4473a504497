/* See folder.h. */
#include "folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>

#define OPEN_AT_ONCE 8

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int folder_remove(const char *path)
{
	return nftw(path, remove_one, OPEN_AT_ONCE, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -errno;
}
