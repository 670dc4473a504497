/*
 * SQLite's view of the crash disk: a VFS of its own for each process, and what the store does beside SQLite.
 *
 * The wal-index lives in the heap, and a dead process keeps its hands on it until it is closed. That does no harm:
 * SQLite writes into it only under a lock, which a dead process does not get, or while it takes back a transaction
 * whose lock it had; and what it clears then is what the next writer would clear.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/reserve.h"
#include "tests/sim/disk_inner.h"

#define JULIAN_UNIX_EPOCH_MS INT64_C(210866760000000)

static struct disk_file *file_of(sqlite3_file *f)
{
	return (struct disk_file *)f;
}

/* SQLite and the store ask for the errno behind a failure. */
static int fail(struct disk_process *p, int error, int code)
{
	p->error = error;
	errno = error;
	return code;
}

/* --- files --- */

static void let_go_of_memory(struct disk_file *f)
{
	unsigned others = 0;
	for (const struct disk_file *o = f->process->disk->files; o; o = o->next)
		others += o != f && o->shm == f->shm && !o->process->dead;
	if (others == 0 && f->node->shm == f->shm)
		f->node->shm = NULL;
	f->shm_shared = 0;
	f->shm_exclusive = 0;
}

static int vfs_shm_unmap(sqlite3_file *file, int remove)
{
	(void)remove;
	struct disk_file *f = file_of(file);
	struct disk_shm *shm = f->shm;
	if (!shm)
		return SQLITE_OK;
	let_go_of_memory(f);
	f->shm = NULL;
	if (--shm->refs > 0)
		return SQLITE_OK;
	for (size_t i = 0; i < shm->n_regions; i++)
		free(shm->regions[i]);
	free(shm->regions);
	free(shm);
	return SQLITE_OK;
}

static int vfs_close(sqlite3_file *file)
{
	struct disk_file *f = file_of(file);
	struct disk *d = f->process->disk;
	vfs_shm_unmap(file, 0);
	struct disk_file **slot = &d->files;
	while (*slot != f)
		slot = &(*slot)->next;
	*slot = f->next;
	f->node->opened--;
	disk_release(d, f->node);
	return SQLITE_OK;
}

static int vfs_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
	struct disk_file *f = file_of(file);
	int n = disk_read(f->process, f->node, (uint64_t)offset, bytes, (size_t)len);
	if (n < 0)
		/* What SQLite's own VFS for POSIX gives for an EIO, and SQLite takes for a damaged file. */
		return fail(f->process, -n, SQLITE_IOERR_CORRUPTFS);
	if (n == len)
		return SQLITE_OK;
	memset((char *)bytes + n, 0, (size_t)(len - n));
	return fail(f->process, 0, SQLITE_IOERR_SHORT_READ);
}

static int vfs_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
	struct disk_file *f = file_of(file);
	int r = disk_write(f->process, f->node, (uint64_t)offset, bytes, (size_t)len);
	if (r == -ENOSPC)
		return fail(f->process, ENOSPC, SQLITE_FULL);
	return r ? fail(f->process, -r, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int vfs_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct disk_file *f = file_of(file);
	int r = disk_truncate(f->process, f->node, (uint64_t)size);
	return r ? fail(f->process, -r, SQLITE_IOERR_TRUNCATE) : SQLITE_OK;
}

static int vfs_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	struct disk_file *f = file_of(file);
	int r = disk_sync(f->process, f->node);
	return r ? fail(f->process, -r, SQLITE_IOERR_FSYNC) : SQLITE_OK;
}

static int vfs_file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	struct disk_file *f = file_of(file);
	if (f->process->dead)
		return fail(f->process, EIO, SQLITE_IOERR_FSTAT);
	*ret_size = (sqlite3_int64)f->node->now.size;
	return SQLITE_OK;
}

/* --- locks on files, as SQLite's own for POSIX give them --- */

/* The highest lock that another one has on the same file. */
static int level_of_others(const struct disk_file *f)
{
	int level = SQLITE_LOCK_NONE;
	for (const struct disk_file *o = f->process->disk->files; o; o = o->next)
		if (o != f && o->node == f->node && o->level > level)
			level = o->level;
	return level;
}

static int vfs_lock(sqlite3_file *file, int level)
{
	struct disk_file *f = file_of(file);
	if (f->process->dead)
		return fail(f->process, EIO, SQLITE_IOERR_LOCK);
	if (f->level >= level)
		return SQLITE_OK;
	int others = level_of_others(f);
	if (level == SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_PENDING)
		return SQLITE_BUSY;
	if (level >= SQLITE_LOCK_RESERVED && others >= SQLITE_LOCK_RESERVED)
		return SQLITE_BUSY;
	if (level == SQLITE_LOCK_EXCLUSIVE && others >= SQLITE_LOCK_SHARED) {
		f->level = SQLITE_LOCK_PENDING;
		return SQLITE_BUSY;
	}
	f->level = level;
	return SQLITE_OK;
}

static int vfs_unlock(sqlite3_file *file, int level)
{
	struct disk_file *f = file_of(file);
	if (f->level > level)
		f->level = level;
	return SQLITE_OK;
}

static int vfs_check_reserved_lock(sqlite3_file *file, int *ret_reserved)
{
	struct disk_file *f = file_of(file);
	if (f->process->dead)
		return fail(f->process, EIO, SQLITE_IOERR_CHECKRESERVEDLOCK);
	*ret_reserved = f->level >= SQLITE_LOCK_RESERVED || level_of_others(f) >= SQLITE_LOCK_RESERVED;
	return SQLITE_OK;
}

static int vfs_file_control(sqlite3_file *file, int operation, void *arg)
{
	struct disk_file *f = file_of(file);
	if (operation != SQLITE_FCNTL_HAS_MOVED)
		return SQLITE_NOTFOUND;
	*(int *)arg = !f->node->named && !f->process->dead;
	return SQLITE_OK;
}

/* What SQLite takes for granted of every disk under Linux: a write harms nothing beside it, and no more. */
static int vfs_characteristics(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int vfs_sector_size(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

/* --- shared memory --- */

static void attach_memory(struct disk_file *f, int region_size)
{
	if (!f->node->shm) {
		f->node->shm = mem_alloc(sizeof(*f->node->shm));
		f->node->shm->region_size = (size_t)region_size;
	}
	f->shm = f->node->shm;
	f->shm->refs++;
}

static int vfs_shm_map(sqlite3_file *file, int region, int region_size, int extend, void volatile **ret)
{
	struct disk_file *f = file_of(file);
	if (f->process->dead)
		return fail(f->process, EIO, SQLITE_IOERR_SHMMAP);
	if (!f->shm)
		attach_memory(f, region_size);
	struct disk_shm *shm = f->shm;
	size_t need = (size_t)region + 1;
	*ret = NULL;
	if (need > shm->n_regions && !extend)
		return SQLITE_OK;
	while (need > shm->n_regions) {
		int r = disk_ask_room(f->process, (uint64_t)region_size);
		if (r)
			return fail(f->process, -r, SQLITE_IOERR_SHMSIZE);
		size_t cap = shm->n_regions;
		shm->regions = mem_grow(shm->regions, &cap, shm->n_regions + 1, sizeof(*shm->regions));
		shm->regions[shm->n_regions++] = mem_alloc((size_t)region_size);
	}
	*ret = shm->regions[region];
	return SQLITE_OK;
}

static int vfs_shm_lock(sqlite3_file *file, int first, int n, int flags)
{
	struct disk_file *f = file_of(file);
	unsigned mask = ((1U << n) - 1) << first;
	if (flags & SQLITE_SHM_UNLOCK) {
		f->shm_shared &= ~mask;
		f->shm_exclusive &= ~mask;
		return SQLITE_OK;
	}
	if (f->process->dead)
		return fail(f->process, EIO, SQLITE_IOERR_SHMLOCK);
	for (const struct disk_file *o = f->process->disk->files; o; o = o->next) {
		if (o == f || o->shm != f->shm)
			continue;
		if ((o->shm_exclusive & mask) || ((flags & SQLITE_SHM_EXCLUSIVE) && (o->shm_shared & mask)))
			return SQLITE_BUSY;
	}
	if (flags & SQLITE_SHM_EXCLUSIVE)
		f->shm_exclusive |= mask;
	else
		f->shm_shared |= mask;
	return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *file)
{
	(void)file;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_file_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_unlock,
    .xCheckReservedLock = vfs_check_reserved_lock,
    .xFileControl = vfs_file_control,
    .xSectorSize = vfs_sector_size,
    .xDeviceCharacteristics = vfs_characteristics,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
};

/* --- the file system --- */

static struct disk_process *process_of(sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct disk_process *p = process_of(vfs);
	struct disk_file *f = file_of(file);
	memset(f, 0, sizeof(*f));
	struct disk_node *n = NULL;
	int r = disk_open(p, name ? name : "", flags & SQLITE_OPEN_CREATE, &n);
	if (r)
		return fail(p, -r, SQLITE_CANTOPEN);
	disk_hold(n);
	n->opened++;
	f->base.pMethods = &methods;
	f->process = p;
	f->node = n;
	f->next = p->disk->files;
	p->disk->files = f;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	struct disk_process *p = process_of(vfs);
	int r = disk_delete(p, name, sync_folder);
	if (r == -ENOENT)
		return fail(p, ENOENT, SQLITE_IOERR_DELETE_NOENT);
	return r ? fail(p, -r, SQLITE_IOERR_DELETE) : SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_there)
{
	struct disk_process *p = process_of(vfs);
	if (p->dead)
		return fail(p, EIO, SQLITE_IOERR_ACCESS);
	const struct disk_node *n = disk_find(p->disk, name);
	/* SQLite's own for POSIX takes an empty file for none, too. */
	*ret_there = n && (flags != SQLITE_ACCESS_EXISTS || n->now.size > 0);
	return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *ret_path)
{
	(void)vfs;
	snprintf(ret_path, (size_t)size, "%s", name);
	return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int len, char *ret_bytes)
{
	struct disk *d = process_of(vfs)->disk;
	for (int i = 0; i < len; i++)
		ret_bytes[i] = (char)prng_below(&d->prng, 256);
	return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
	(void)vfs;
	return microseconds;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
	(void)vfs;
	*ret_ms = JULIAN_UNIX_EPOCH_MS;
	return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret_days)
{
	sqlite3_int64 ms = 0;
	int r = vfs_current_time_ms(vfs, &ms);
	*ret_days = (double)ms / 86400000.0;
	return r;
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *ret_text)
{
	(void)len;
	(void)ret_text;
	return process_of(vfs)->error;
}

/* --- beside SQLite --- */

static int take_lock(void *ctx, const char *path, int *ret_lock, pid_t *ret_owner)
{
	struct disk_process *p = ctx;
	struct disk_node *n = NULL;
	int r = disk_open(p, path, true, &n);
	if (r)
		return r;
	if (n->owner) {
		*ret_owner = n->owner->pid;
		return 1;
	}
	require(!p->lock);
	n->owner = p;
	p->lock = n;
	disk_hold(n);
	*ret_lock = p->pid;
	return 0;
}

static void drop_lock(void *ctx, int lock)
{
	struct disk_process *p = ctx;
	require(p->lock && lock == p->pid);
	struct disk_node *n = take_ptr(p->lock);
	if (n->owner == p)
		n->owner = NULL;
	disk_release(p->disk, n);
}

static int make_file(void *ctx, const char *path)
{
	struct disk_node *n = NULL;
	return disk_open(ctx, path, true, &n);
}

static void make_reserve(void *ctx, const char *path)
{
	struct disk_process *p = ctx;
	struct disk_node *n = NULL;
	if (disk_open(p, path, true, &n) != 0)
		return;
	if (n->now.size < RESERVE_BYTES && disk_truncate(p, n, RESERVE_BYTES) != 0 && disk_delete(p, path, false) != 0)
		return;
}

static bool spend_reserve(void *ctx, const char *path)
{
	struct disk_process *p = ctx;
	const struct disk_node *n = disk_find(p->disk, path);
	return n && n->now.size > 0 && disk_delete(p, path, false) == 0;
}

static char *read_boot_id(void *ctx)
{
	struct disk_process *p = ctx;
	return mem_printf("boot %u", p->disk->boots);
}

/* --- coming and going --- */

void disk_quicken(void)
{
	require(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK);
	require(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
	/* Only speed hangs on these. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	mallopt(M_TOP_PAD, 4 << 20);
}

void disk_vfs_init(struct disk_process *p)
{
	/* SQLite tells its VFSs apart by name, and this one lives as long as its address. */
	snprintf(p->vfs_name, sizeof(p->vfs_name), "disk-%llx", (unsigned long long)(uintptr_t)p);
	p->vfs = (sqlite3_vfs){
	    .iVersion = 2,
	    .szOsFile = sizeof(struct disk_file),
	    .mxPathname = 512,
	    .zName = p->vfs_name,
	    .pAppData = p,
	    .xOpen = vfs_open,
	    .xDelete = vfs_delete,
	    .xAccess = vfs_access,
	    .xFullPathname = vfs_full_pathname,
	    .xRandomness = vfs_randomness,
	    .xSleep = vfs_sleep,
	    .xCurrentTime = vfs_current_time,
	    .xGetLastError = vfs_last_error,
	    .xCurrentTimeInt64 = vfs_current_time_ms,
	};
	p->platform = (struct sqlite_platform){
	    .ctx = p,
	    .vfs = p->vfs_name,
	    .prepares_late = true,
	    .take_lock = take_lock,
	    .drop_lock = drop_lock,
	    .make_file = make_file,
	    .make_reserve = make_reserve,
	    .spend_reserve = spend_reserve,
	    .read_boot_id = read_boot_id,
	};
	require(sqlite3_vfs_register(&p->vfs, 0) == SQLITE_OK);
	/* The salts of the log come from SQLite's own random numbers, and those from the default VFS. */
	int seed = 1 + (int)prng_below(&p->disk->prng, INT32_MAX - 1);
	require(sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed, (sqlite3 *)NULL) == SQLITE_OK);
}

void disk_vfs_deinit(struct disk_process *p)
{
	sqlite3_vfs_unregister(&p->vfs);
}

void disk_vfs_let_go(struct disk_process *p)
{
	for (struct disk_file *f = p->disk->files; f; f = f->next) {
		if (f->process != p)
			continue;
		f->level = SQLITE_LOCK_NONE;
		if (f->shm)
			let_go_of_memory(f);
	}
}
