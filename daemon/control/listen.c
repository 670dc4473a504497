#include "daemon/control/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

/* Callers beyond it fail instead of waiting; a burst of some must not make the others fail. */
#define BACKLOG SOMAXCONN

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Formats the sentence and gives the error back. */
#define failed(error, out, size, ...) (snprintf(out, size, __VA_ARGS__), (error))

/* Whether somebody listens at the address: 1 yes, 0 no, or a negative errno. */
static int somebody_answers(const struct sockaddr_un *address)
{
	cleanup(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return 1;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/* Clears the way for bind(): removes a socket that nobody listens at. */
static int remove_stale(const struct sockaddr_un *address, char *ret_error, size_t size)
{
	struct stat st;
	const char *path = address->sun_path;
	if (lstat(path, &st) < 0)
		return errno == ENOENT
			   ? 0
			   : failed(-errno, ret_error, size, "the control socket %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return failed(-EEXIST, ret_error, size,
			      "%s is there, and is no socket: remove it, or correct control.socket", path);
	int r = somebody_answers(address);
	if (r < 0)
		return failed(r, ret_error, size, "the control socket %s: %s", path, strerror(-r));
	if (r > 0)
		return failed(-EADDRINUSE, ret_error, size,
			      "another daemon listens at %s: stop it, or give this one another control.socket", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return failed(-errno, ret_error, size, "the stale control socket %s cannot be removed: %s", path,
			      strerror(errno));
	return 0;
}

static int make_folder(const char *path, char *ret_error, size_t size)
{
	const char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	cleanup(mem_free_p) char *folder = mem_strndup(path, (size_t)(slash - path));
	mode_t before = umask(022); /* the group must get to the socket */
	int r = mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
	umask(before);
	return r == 0 ? 0
		      : failed(r, ret_error, size, "the control socket's folder %s cannot be made: %s", folder,
			       strerror(-r));
}

/* Binds so that nobody but the owner can connect before the group is set. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(before);
	return r;
}

static int open_to_group(const char *path, gid_t group, char *ret_error, size_t size)
{
	struct stat st;
	if (group == (gid_t)-1)
		return 0;
	/* The service's sandbox forbids chown(2) altogether; there the daemon's own group is the right one already. */
	bool given = lstat(path, &st) == 0 && st.st_gid == group;
	if (!given && lchown(path, (uid_t)-1, group) < 0)
		return failed(-errno, ret_error, size, "the control socket %s cannot be given to group %u: %s", path,
			      group, strerror(errno));
	if (chmod(path, 0660) < 0)
		return failed(-errno, ret_error, size, "the control socket %s cannot be opened to its group: %s", path,
			      strerror(errno));
	return 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address, gid_t group, struct listener *ret,
			   char *ret_error, size_t size)
{
	struct stat st = {0};
	const char *path = address->sun_path;
	int r = bind_private(fd, address);
	if (r < 0)
		return failed(r, ret_error, size, "the control socket %s cannot be made: %s", path, strerror(-r));
	r = open_to_group(path, group, ret_error, size);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = failed(-errno, ret_error, size, "the control socket %s cannot be listened at: %s", path,
			   strerror(errno));
	if (r == 0 && lstat(path, &st) < 0)
		r = failed(-errno, ret_error, size, "the control socket %s: %s", path, strerror(errno));
	if (r < 0) {
		unlink(path);
		return r;
	}
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	return 0;
}

int listen_open(const char *path, gid_t group, struct listener *ret, char *ret_error, size_t error_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct listener l = {0};
	if (strlen(path) >= sizeof(address.sun_path))
		return failed(-ENAMETOOLONG, ret_error, error_size,
			      "control.socket is too long (%zu bytes, at most %zu): %s", strlen(path),
			      sizeof(address.sun_path) - 1, path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	int r = make_folder(path, ret_error, error_size);
	if (r == 0)
		r = remove_stale(&address, ret_error, error_size);
	if (r < 0)
		return r;
	cleanup(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(-errno, ret_error, error_size, "no socket can be made: %s", strerror(errno));
	r = bind_and_listen(fd, &address, group, &l, ret_error, error_size);
	if (r < 0)
		return r;
	l.path = mem_strdup(path);
	l.fd = fd;
	fd = -1;
	*ret = l;
	return 0;
}

void listen_adopt(int fd, struct listener *ret)
{
	*ret = (struct listener){.fd = fd};
}

void listen_deinit(struct listener *l)
{
	struct stat st;
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	*l = (struct listener){.fd = -1};
}
