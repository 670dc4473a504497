#include "store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void reserve_make(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return;
	/* Allocated, not only long: a sparse file would hold nothing back. */
	bool full = posix_fallocate(fd, 0, RESERVE_BYTES) == 0;
	close(fd);
	if (!full)
		unlink(path);
}

bool reserve_spend(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_blocks > 0 && unlink(path) == 0;
}
