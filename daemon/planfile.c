#include "daemon/planfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define NANOSECONDS INT64_C(1000000000)

/* Room for all diagnostics of one file. */
#define NOTES_BYTES (LIMIT_DIAGNOSTICS * 1024)

static void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void planfile_stamp_from_stat(const struct stat *st, struct planfile_stamp *ret)
{
	*ret = (struct planfile_stamp){
	    .dev = st->st_dev,
	    .ino = st->st_ino,
	    .size = st->st_size,
	    .modified_ns = st->st_mtim.tv_sec * NANOSECONDS + st->st_mtim.tv_nsec,
	    .changed_ns = st->st_ctim.tv_sec * NANOSECONDS + st->st_ctim.tv_nsec,
	};
}

bool planfile_stamp_equal(const struct planfile_stamp *a, const struct planfile_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->modified_ns == b->modified_ns &&
	       a->changed_ns == b->changed_ns;
}

bool planfile_is_candidate(const char *name)
{
	size_t len = strlen(name);
	if (name[0] == '.' || name[0] == '#' || !text_is_utf8(name, len))
		return false;
	/* Names are shown to people, line by line. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return text_ends_with(name, ".yaml") || text_ends_with(name, ".yml");
}

/* A kernel without openat2, or a sandbox that does not know it, still gets no symbolic link: the name has no slash. */
static int open_beneath(int dir_fd, const char *name)
{
	struct open_how how = {
	    .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	return fd < 0 ? -errno : (int)fd;
}

bool planfile_check_folder(const struct stat *st, uid_t owner, char *ret_why, size_t size)
{
	ret_why[0] = '\0';
	if (st->st_uid != 0 && st->st_uid != owner)
		snprintf(
		    ret_why, size,
		    "belongs to uid %u: expected root or the daemon's user (uid %u); chown it, no plan in it is used",
		    st->st_uid, owner);
	else if (st->st_mode & (S_IWGRP | S_IWOTH))
		snprintf(ret_why, size,
			 "can be written by others, who could put other files in the place of yours (mode %04o): chmod "
			 "go-w it, no plan in it is used",
			 st->st_mode & 07777);
	return !ret_why[0];
}

static void say_open_error(const char *name, int error, struct buf *notes)
{
	if (error == -ELOOP || error == -EXDEV)
		buf_addf(notes, "%s: error: is a symbolic link, which is not followed: put the file itself there\n",
			 name);
	else
		buf_addf(notes, "%s: error: cannot be opened: %s\n", name, strerror(-error));
}

/* Whether the file may be believed; says why not. */
static bool check_file(const char *name, const struct stat *st, uid_t owner, struct buf *notes)
{
	if (!S_ISREG(st->st_mode))
		buf_addf(notes, "%s: error: is not a regular file\n", name);
	else if (st->st_uid != 0 && st->st_uid != owner)
		buf_addf(notes, "%s: error: belongs to uid %u: expected root or the daemon's user (uid %u); chown it\n",
			 name, st->st_uid, owner);
	else if (st->st_mode & (S_IWGRP | S_IWOTH))
		buf_addf(notes, "%s: error: can be written by others (mode %04o): chmod go-w it\n", name,
			 st->st_mode & 07777);
	else if (st->st_size > LIMIT_PLAN_BYTES)
		buf_addf(notes, "%s: error: has %jd bytes: a plan has at most %d\n", name, (intmax_t)st->st_size,
			 LIMIT_PLAN_BYTES);
	else
		return true;
	return false;
}

/* Reads what fits into the buffer. Returns the count, or a negative errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;
	while (len < size) {
		ssize_t n = read(fd, bytes + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static enum planfile_result parse(const char *name, const char *bytes, size_t len, struct buf *notes,
				  struct planfile *ret)
{
	struct diags diags = {0};
	sha256_hex(bytes, len, ret->hash);
	ret->plan = plan_load(bytes, len, &diags);
	diags_format(&diags, name, notes);
	diags_deinit(&diags);
	return ret->plan ? PLANFILE_LOADED : PLANFILE_INVALID;
}

static enum planfile_result load(int dir_fd, const char *name, uid_t owner, struct buf *notes, struct planfile *ret)
{
	struct stat st, after;
	struct planfile_stamp stamp_after;
	cleanup(close_p) int fd = open_beneath(dir_fd, name);
	if (fd == -ENOENT)
		return PLANFILE_GONE;
	if (fd < 0) {
		say_open_error(name, fd, notes);
		return PLANFILE_INVALID;
	}
	if (fstat(fd, &st) < 0) {
		say_open_error(name, -errno, notes);
		return PLANFILE_INVALID;
	}
	planfile_stamp_from_stat(&st, &ret->stamp);
	if (!check_file(name, &st, owner, notes))
		return PLANFILE_INVALID;

	cleanup(mem_free_p) char *bytes = mem_alloc(LIMIT_PLAN_BYTES + 1);
	ssize_t len = read_all(fd, bytes, LIMIT_PLAN_BYTES + 1);
	if (len < 0) {
		buf_addf(notes, "%s: error: cannot be read: %s\n", name, strerror((int)-len));
		return PLANFILE_INVALID;
	}
	if (fstat(fd, &after) == 0)
		planfile_stamp_from_stat(&after, &stamp_after);
	else
		stamp_after = (struct planfile_stamp){0};
	if (!planfile_stamp_equal(&ret->stamp, &stamp_after) || len != st.st_size)
		return PLANFILE_CHANGING;
	return parse(name, bytes, (size_t)len, notes, ret);
}

enum planfile_result planfile_load(int dir_fd, const char *name, uid_t owner, struct planfile *ret)
{
	struct buf notes = BUF_INIT(NOTES_BYTES);
	*ret = (struct planfile){0};
	enum planfile_result result = load(dir_fd, name, owner, &notes, ret);
	if (notes.len)
		ret->notes = buf_take(&notes);
	buf_deinit(&notes);
	return result;
}

void planfile_deinit(struct planfile *f)
{
	plan_free(f->plan);
	free(f->notes);
	*f = (struct planfile){0};
}
