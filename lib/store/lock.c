#include "store/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

static pid_t read_owner(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (text[n - 1] == '\n')
		text[n - 1] = '\0';
	int64_t pid;
	return text_parse_i64(text, 1, INT32_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

/* The pid is there for people only, so a full disk must not keep the daemon from starting. */
static void write_owner(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)len, 0) != len && ftruncate(fd, 0) < 0)
		return;
}

int lock_take(const char *path, int *ret_fd, pid_t *ret_owner)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		write_owner(fd);
		*ret_fd = fd;
		return 0;
	}
	int r = errno == EWOULDBLOCK ? 1 : -errno;
	if (r == 1)
		*ret_owner = read_owner(fd);
	close(fd);
	return r;
}
