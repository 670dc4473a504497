#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Reads until the end of the file or until *ret_len is limit. */
static int read_until(int fd, char **data, size_t *cap, size_t limit, size_t *ret_len)
{
	size_t len = 0;
	for (;;) {
		if (len == limit)
			break;
		*data = mem_grow(*data, cap, len + 2, 1);
		size_t room = *cap - 1 - len;
		ssize_t n = read(fd, *data + len, room < limit - len ? room : limit - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	(*data)[len] = '\0';
	*ret_len = len;
	return 0;
}

int file_read(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	require(max < SIZE_MAX / 2);
	/* O_NONBLOCK: opening a FIFO would wait for a writer. */
	cleanup(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uintmax_t)st.st_size > max)
		return -EFBIG;

	/* The size is a hint only: the file may grow meanwhile, and files of /proc say 0. */
	size_t cap = (size_t)st.st_size + 2;
	char *data = mem_alloc(cap);
	size_t len = 0;
	int r = read_until(fd, &data, &cap, max + 1, &len);
	if (r == 0 && len > max)
		r = -EFBIG;
	if (r) {
		secret_wipe(data, cap); /* the file may hold credentials */
		free(data);
		return r;
	}
	*ret_data = data;
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_folder(const char *folder)
{
	cleanup(close_p) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

/* Fills the temporary file and makes its bytes durable. Closes fd in any case. */
static int fill_file(int fd, const void *data, size_t len, unsigned mode)
{
	int r = fchmod(fd, (mode_t)mode) < 0 ? -errno : 0;
	if (r == 0)
		r = write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int file_write_atomic(const char *path, const void *data, size_t len, unsigned mode)
{
	const char *slash = strrchr(path, '/');
	cleanup(mem_free_p) char *folder =
	    slash ? mem_strndup(path, slash > path ? (size_t)(slash - path) : 1) : mem_strdup(".");
	/* Hidden, so that a folder that is watched for files never takes in a half-written one. */
	cleanup(mem_free_p) char *temporary = mem_printf("%s/.new-XXXXXX", folder);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fill_file(fd, data, len, mode);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r) {
		unlink(temporary);
		return r;
	}
	return sync_folder(folder);
}

char *file_resolve(const char *dir, const char *path)
{
	if (path[0] == '/' || !dir || !dir[0])
		return mem_strdup(path);
	while (path[0] == '.' && path[1] == '/') {
		path += 2;
		while (*path == '/')
			path++;
	}
	size_t len = strlen(dir);
	while (len > 1 && dir[len - 1] == '/')
		len--;
	const char *between = len == 1 && dir[0] == '/' ? "" : "/";
	return mem_printf("%.*s%s%s", (int)len, dir, between, path);
}
