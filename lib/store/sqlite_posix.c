/* The host's own files under the SQLite store. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/lock.h"
#include "store/reserve.h"
#include "store/sqlite_platform.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static int take_lock(void *ctx, const char *path, int *ret_lock, pid_t *ret_owner)
{
	(void)ctx;
	return lock_take(path, ret_lock, ret_owner);
}

static void drop_lock(void *ctx, int lock)
{
	(void)ctx;
	close(lock);
}

/* SQLite would create the file with the umask's mode; its log and shared memory take over the mode of the file. */
static int make_file(void *ctx, const char *path)
{
	(void)ctx;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (!r && (st.st_mode & 0777) != 0600 && fchmod(fd, 0600) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void make_reserve(void *ctx, const char *path)
{
	(void)ctx;
	reserve_make(path);
}

static bool spend_reserve(void *ctx, const char *path)
{
	(void)ctx;
	return reserve_spend(path);
}

static char *read_boot_id(void *ctx)
{
	(void)ctx;
	char *text = NULL;
	size_t len = 0;
	if (file_read(BOOT_ID_PATH, 64, &text, &len))
		return mem_strdup("");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

const struct sqlite_platform sqlite_posix = {
    .take_lock = take_lock,
    .drop_lock = drop_lock,
    .make_file = make_file,
    .make_reserve = make_reserve,
    .spend_reserve = spend_reserve,
    .read_boot_id = read_boot_id,
};
