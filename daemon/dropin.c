/*
 * A scan has two stages: the folder's names are gathered and sorted (so that of two files with one plan name the same
 * one is always the first), then the files are looked at one after the other. Both stop after a short while and go on
 * in the loop's next turn. A notice from the kernel looks at its one file without a scan.
 */
#include "daemon/dropin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "base/text.h"
#include "daemon/planfile.h"

#define STABLE_MS     200
#define RESCAN_MS     (30 * MS_PER_SECOND)
#define MISSING_MS    MS_PER_SECOND /* how often a missing folder is looked for */
#define TURN_NS	      UINT64_C(2000000)
#define NAMES_A_TURN  2000
#define HANDLES_COUNT 4

enum state {
	STATE_NEW,     /* not read yet */
	STATE_TAKEN,   /* handed on */
	STATE_WRONG,   /* not a valid plan */
	STATE_TWIN,    /* another file has a plan of this name */
	STATE_REFUSED, /* valid, but it was not taken: tried again with each scan */
};

struct file {
	char *name;
	enum state state;
	struct planfile_stamp seen;  /* when last looked at */
	int64_t seen_ms;	     /* since when it has been seen so */
	bool read;		     /* `taken` is valid */
	struct planfile_stamp taken; /* when last read */
	char hash[SHA256_HEX_SIZE];
	char *plan_name; /* NULL: never had a valid plan */
	char *notes;	 /* what is wrong with it; NULL: nothing */
	bool waiting;	 /* in the list of files that are not stable yet */
	struct file *next_waiting;
	uint64_t scan; /* the last scan that met it */
};

enum stage { STAGE_IDLE, STAGE_NAMES, STAGE_FILES };

struct dropin {
	uv_loop_t *loop;
	struct log *log;
	struct dropin_ops ops;
	char *folder;
	int64_t stable_ms;
	int64_t rescan_ms;
	uid_t owner;

	uv_fs_event_t watch;
	uv_timer_t rescan;
	uv_timer_t settle; /* looks again at files that were not stable */
	uv_idle_t worker;  /* runs while a scan does */
	unsigned open_handles;
	bool stopped;

	int dir_fd; /* -1: the folder is not there */
	uint64_t dir_dev;
	uint64_t dir_ino;
	char *folder_note; /* what is wrong with the folder; NULL: nothing */

	struct strmap files;  /* name -> struct file */
	struct strmap owners; /* plan name -> the struct file that has it */
	struct file *waiting; /* first come, first served, so that of two equals the first by name wins */
	struct file **waiting_end;

	enum stage stage;
	bool again; /* a scan was asked for while one ran */
	uint64_t scan;
	DIR *dir;
	char **names;
	size_t n_names;
	size_t cap_names;
	size_t at;
};

static void start_scan(struct dropin *d);

/* for (size_t i = 0; (f = next_file(map, &i));) walks all; nothing may be put meanwhile. */
static struct file *next_file(const struct strmap *m, size_t *i)
{
	while (*i < m->cap) {
		const struct strmap_slot *slot = &m->slots[(*i)++];
		if (slot->key)
			return slot->value;
	}
	return NULL;
}

/* --- files --- */

static struct file *add_file(struct dropin *d, const char *name)
{
	struct file *f = mem_alloc(sizeof(*f));
	f->name = mem_strdup(name);
	strmap_put(&d->files, f->name, f);
	return f;
}

static void free_file(struct file *f)
{
	free(f->name);
	free(f->plan_name);
	free(f->notes);
	free(f);
}

static void wait_for(struct dropin *d, struct file *f)
{
	if (f->waiting)
		return;
	f->waiting = true;
	f->next_waiting = NULL;
	*d->waiting_end = f;
	d->waiting_end = &f->next_waiting;
	if (!uv_is_active((uv_handle_t *)&d->settle))
		require(uv_timer_start(&d->settle, d->settle.timer_cb, (uint64_t)d->stable_ms, 0) == 0);
}

static void unlink_waiting(struct dropin *d, const struct file *f)
{
	struct file **slot = &d->waiting;
	while (*slot != f)
		slot = &(*slot)->next_waiting;
	*slot = f->next_waiting;
	if (!*slot)
		d->waiting_end = slot;
}

/* The name is free now: a file that was refused for having it may be read again. */
static void release_name(struct dropin *d, struct file *f)
{
	struct file *other;
	if (!f->plan_name || strmap_get(&d->owners, f->plan_name) != f)
		return;
	strmap_put(&d->owners, f->plan_name, NULL);
	for (size_t i = 0; (other = next_file(&d->files, &i));) {
		if (other != f && other->state == STATE_TWIN && strcmp(other->plan_name, f->plan_name) == 0) {
			other->read = false;
			wait_for(d, other);
		}
	}
}

static void forget_file(struct dropin *d, struct file *f)
{
	if (f->read)
		log_printf(d->log, LOG_LEVEL_INFO, "%s is gone; what it started goes on", f->name);
	release_name(d, f);
	if (f->waiting)
		unlink_waiting(d, f);
	strmap_put(&d->files, f->name, NULL);
	free_file(f);
}

static void log_notes(struct dropin *d, int level, const char *notes)
{
	while (*notes) {
		size_t len = strcspn(notes, "\n");
		log_printf(d->log, level, "%.*s", (int)len, notes);
		notes += len + (notes[len] == '\n');
	}
}

/* Remembers what is wrong with a file (NULL: nothing), and logs it when that is new. Takes over the notes. */
static void set_notes(struct dropin *d, struct file *f, int level, char *notes)
{
	if (notes && (!f->notes || strcmp(f->notes, notes) != 0))
		log_notes(d, level, notes);
	free(f->notes);
	f->notes = notes;
}

static void set_state(struct file *f, enum state state, const char *hash)
{
	f->state = state;
	memcpy(f->hash, hash, sizeof(f->hash));
}

static void take(struct dropin *d, struct file *f, struct planfile *loaded)
{
	char text[LIMIT_REASON] = "";
	enum intake_result result = d->ops.take(d->ops.ctx, take_ptr(loaded->plan), f->name, loaded->hash, text);
	if (result == INTAKE_REFUSED) {
		set_state(f, STATE_REFUSED, loaded->hash);
		set_notes(d, f, LOG_LEVEL_ERROR, mem_printf("%s: error: %s\n", f->name, text));
		return;
	}
	set_state(f, STATE_TAKEN, loaded->hash);
	if (loaded->notes)
		log_notes(d, LOG_LEVEL_WARNING, loaded->notes);
	set_notes(d, f, LOG_LEVEL_ERROR, NULL);
	if (result != INTAKE_UNCHANGED)
		log_printf(d->log, LOG_LEVEL_INFO, "%s: plan %s was taken in%s%s", f->name, f->plan_name,
			   text[0] ? ": " : "", text);
	else if (text[0]) /* other bytes, the same plan: whoever edited the file should hear why nothing happens */
		log_printf(d->log, LOG_LEVEL_INFO, "%s: nothing to do: %s", f->name, text);
}

/* A file with a valid plan: it may have the name if nobody else has. */
static void claim(struct dropin *d, struct file *f, struct planfile *loaded)
{
	const struct file *owner = strmap_get(&d->owners, loaded->plan->name);
	bool renamed = !f->plan_name || strcmp(f->plan_name, loaded->plan->name) != 0;
	if (renamed) {
		release_name(d, f);
		free(f->plan_name);
		f->plan_name = mem_strdup(loaded->plan->name);
	}
	if (owner && owner != f) {
		set_state(f, STATE_TWIN, loaded->hash);
		set_notes(d, f, LOG_LEVEL_ERROR,
			  mem_printf("%s: error: a plan named '%s' is in %s already: names are unique; this file is "
				     "not used\n",
				     f->name, f->plan_name, owner->name));
		return;
	}
	strmap_put(&d->owners, f->plan_name, f);
	take(d, f, loaded);
}

static void read_file(struct dropin *d, struct file *f)
{
	struct planfile loaded;
	enum planfile_result result = planfile_load(d->dir_fd, f->name, d->owner, &loaded);
	bool same = f->hash[0] && strcmp(f->hash, loaded.hash) == 0;
	switch (result) {
	case PLANFILE_GONE:
		forget_file(d, f);
		break;
	case PLANFILE_CHANGING:
		wait_for(d, f);
		break;
	case PLANFILE_INVALID:
	case PLANFILE_LOADED:
		f->read = true;
		f->taken = loaded.stamp;
		if (result == PLANFILE_INVALID) {
			set_state(f, STATE_WRONG, loaded.hash);
			set_notes(d, f, LOG_LEVEL_ERROR, take_ptr(loaded.notes));
		} else if (!same || f->state != STATE_TAKEN) {
			claim(d, f, &loaded);
		}
		break;
	}
	planfile_deinit(&loaded);
}

/* Whether the inode has been left alone for long enough, as its change time tells. */
static bool is_old(const struct dropin *d, const struct stat *st)
{
	struct timespec now;
	require(clock_gettime(CLOCK_REALTIME, &now) == 0);
	int64_t age_ms =
	    (now.tv_sec - st->st_ctim.tv_sec) * MS_PER_SECOND + (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
	return age_ms > d->stable_ms;
}

/* Looks at one file: reads it when it is new or changed, and stable. */
static void look_at(struct dropin *d, const char *name)
{
	struct stat st;
	struct planfile_stamp stamp;
	struct file *f = strmap_get(&d->files, name);
	if (fstatat(d->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT && f)
			forget_file(d, f);
		return;
	}
	if (!f && d->files.len >= LIMIT_PLAN_FILES)
		return;
	if (!f)
		f = add_file(d, name);
	f->scan = d->scan;
	planfile_stamp_from_stat(&st, &stamp);
	if (f->read && f->state != STATE_REFUSED && planfile_stamp_equal(&stamp, &f->taken))
		return;
	int64_t now_ms = (int64_t)(uv_hrtime() / 1000000);
	bool unchanged = planfile_stamp_equal(&stamp, &f->seen);
	if (!unchanged) {
		f->seen = stamp;
		f->seen_ms = now_ms;
	}
	if (is_old(d, &st) || (unchanged && now_ms - f->seen_ms >= d->stable_ms))
		read_file(d, f);
	else
		wait_for(d, f);
}

/* Looks again at the files that were not stable; what there is no time for now stays in the list. */
static void settle_cb(uv_timer_t *timer)
{
	struct dropin *d = timer->data;
	uint64_t until = uv_hrtime() + TURN_NS;
	struct file **end = d->waiting_end; /* what is still not stable comes behind it */
	bool last = false;
	while (d->waiting && !last && uv_hrtime() < until) {
		struct file *f = d->waiting;
		last = &f->next_waiting == end;
		d->waiting = f->next_waiting;
		if (!d->waiting)
			d->waiting_end = &d->waiting;
		f->waiting = false;
		if (d->dir_fd >= 0)
			look_at(d, f->name);
	}
	if (d->waiting && !last)
		require(uv_timer_start(&d->settle, settle_cb, 0, 0) == 0);
}

/* --- the folder --- */

static void set_folder_note(struct dropin *d, char *note)
{
	if (note && (!d->folder_note || strcmp(note, d->folder_note) != 0))
		log_printf(d->log, LOG_LEVEL_ERROR, "%s: %s", d->folder, note);
	if (!note && d->folder_note)
		log_printf(d->log, LOG_LEVEL_INFO, "%s can be read again", d->folder);
	free(d->folder_note);
	d->folder_note = note;
}

static void close_folder(struct dropin *d)
{
	if (d->dir_fd >= 0)
		close(d->dir_fd);
	d->dir_fd = -1;
	(void)uv_fs_event_stop(&d->watch); /* never fails */
}

static void event_cb(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct dropin *d = watch->data;
	(void)events;
	/* A notice without a name, or about the folder itself, says only that something has changed. */
	if (status < 0 || !name || !planfile_is_candidate(name) || strlen(name) > NAME_MAX)
		dropin_rescan(d);
	else if (d->dir_fd >= 0)
		look_at(d, name);
}

/* Opens the folder, or sees that the open one is still the one that the path names. */
static int open_folder(struct dropin *d)
{
	struct stat st;
	if (stat(d->folder, &st) < 0)
		return -errno;
	if (d->dir_fd >= 0 && st.st_dev == d->dir_dev && st.st_ino == d->dir_ino)
		return 0;
	close_folder(d);
	int fd = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	d->dir_fd = fd;
	d->dir_dev = st.st_dev;
	d->dir_ino = st.st_ino;
	int r = uv_fs_event_start(&d->watch, event_cb, d->folder, 0);
	if (r < 0)
		log_printf(d->log, LOG_LEVEL_WARNING, "%s cannot be watched (%s): changes are seen every %jd s only",
			   d->folder, uv_strerror(r), (intmax_t)(d->rescan_ms / MS_PER_SECOND));
	return 0;
}

/* --- the scan --- */

static void free_names(struct dropin *d)
{
	for (size_t i = 0; i < d->n_names; i++)
		free(d->names[i]);
	free(d->names);
	d->names = NULL;
	d->n_names = d->cap_names = d->at = 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void end_scan(struct dropin *d)
{
	if (d->dir)
		(void)closedir(d->dir); /* it was only read */
	d->dir = NULL;
	free_names(d);
	d->stage = STAGE_IDLE;
	(void)uv_idle_stop(&d->worker); /* never fails */
	uint64_t wait = (uint64_t)(d->dir_fd >= 0 ? d->rescan_ms : MISSING_MS);
	require(uv_timer_start(&d->rescan, d->rescan.timer_cb, wait, 0) == 0);

	struct dropin_counts counts;
	dropin_count(d, &counts);
	if (d->ops.scanned)
		d->ops.scanned(d->ops.ctx, &counts);
	if (d->again)
		start_scan(d);
}

/* Files that the scan did not meet are gone. */
static void forget_unmet(struct dropin *d)
{
	struct file *f;
	size_t n = 0;
	struct file **gone = mem_array(d->files.len, sizeof(struct file *));
	for (size_t i = 0; (f = next_file(&d->files, &i));)
		if (f->scan != d->scan)
			gone[n++] = f;
	for (size_t i = 0; i < n; i++)
		forget_file(d, gone[i]);
	free(gone);
}

static void names_read(struct dropin *d, int error)
{
	if (error) {
		set_folder_note(d, mem_printf("cannot be read: %s", strerror(error)));
		end_scan(d);
		return;
	}
	if (d->n_names > LIMIT_PLAN_FILES) {
		set_folder_note(
		    d, mem_printf("has more than %d plan files: the further ones are not used", LIMIT_PLAN_FILES));
	} else {
		set_folder_note(d, NULL);
	}
	if (d->n_names > 0)
		qsort(d->names, d->n_names, sizeof(d->names[0]), compare_names);
	d->stage = STAGE_FILES;
}

static void read_names(struct dropin *d)
{
	for (size_t i = 0; i < NAMES_A_TURN; i++) {
		errno = 0;
		const struct dirent *entry = readdir(d->dir);
		if (!entry || d->n_names > LIMIT_PLAN_FILES) {
			names_read(d, entry ? 0 : errno);
			return;
		}
		if (!planfile_is_candidate(entry->d_name))
			continue;
		d->names = mem_grow(d->names, &d->cap_names, d->n_names + 1, sizeof(d->names[0]));
		d->names[d->n_names++] = mem_strdup(entry->d_name);
	}
}

static void read_files(struct dropin *d)
{
	uint64_t until = uv_hrtime() + TURN_NS;
	while (d->at < d->n_names) {
		look_at(d, d->names[d->at++]);
		if (uv_hrtime() >= until)
			return;
	}
	forget_unmet(d);
	end_scan(d);
}

static void worker_cb(uv_idle_t *worker)
{
	struct dropin *d = worker->data;
	if (d->stage == STAGE_NAMES)
		read_names(d);
	else if (d->stage == STAGE_FILES)
		read_files(d);
}

/* Opens the folder for one scan, if it may be believed. Returns NULL, or what is wrong, for the caller to free. */
static char *open_for_scan(struct dropin *d)
{
	struct stat st;
	char why[LIMIT_REASON];
	int r = open_folder(d);
	int fd = r < 0 ? -1 : openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && (fd < 0 || fstat(fd, &st) < 0))
		r = -errno;
	if (r == 0 && !planfile_check_folder(&st, d->owner, why, sizeof(why))) {
		close(fd);
		return mem_strdup(why);
	}
	d->dir = r < 0 ? NULL : fdopendir(fd);
	if (d->dir)
		return NULL;
	if (r == 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return mem_printf("the folder for plans cannot be opened: %s; make it, or correct plans_dir", strerror(-r));
}

static void start_scan(struct dropin *d)
{
	d->again = d->stage != STAGE_IDLE;
	if (d->again)
		return;
	d->scan++;
	char *problem = open_for_scan(d);
	if (problem) {
		close_folder(d);
		set_folder_note(d, problem);
		end_scan(d);
		return;
	}
	d->stage = STAGE_NAMES;
	require(uv_idle_start(&d->worker, worker_cb) == 0);
}

static void rescan_cb(uv_timer_t *timer)
{
	start_scan(timer->data);
}

void dropin_rescan(struct dropin *d)
{
	if (d->stopped)
		return;
	/* By the timer, so that a burst of notices makes one scan. */
	if (d->stage != STAGE_IDLE)
		d->again = true;
	else
		require(uv_timer_start(&d->rescan, rescan_cb, 0, 0) == 0);
}

/* --- life --- */

static void free_dropin(struct dropin *d)
{
	struct file *f;
	for (size_t i = 0; (f = next_file(&d->files, &i));)
		free_file(f);
	strmap_deinit(&d->files);
	strmap_deinit(&d->owners);
	free_names(d);
	free(d->folder_note);
	free(d->folder);
	free(d);
}

static void close_cb(uv_handle_t *handle)
{
	struct dropin *d = handle->data;
	if (--d->open_handles == 0)
		free_dropin(d);
}

int dropin_new(uv_loop_t *loop, const struct dropin_config *config, struct dropin **ret)
{
	struct dropin *d = mem_alloc(sizeof(*d));
	d->loop = loop;
	d->log = config->log;
	d->ops = config->ops;
	d->folder = mem_strdup(config->folder);
	d->stable_ms = config->stable_ms ? config->stable_ms : STABLE_MS;
	d->rescan_ms = config->rescan_ms ? config->rescan_ms : RESCAN_MS;
	d->owner = geteuid();
	d->dir_fd = -1;
	d->waiting_end = &d->waiting;
	int r = uv_fs_event_init(loop, &d->watch);
	if (r < 0) {
		free_dropin(d);
		return r;
	}
	/* These three cannot fail. */
	require(uv_timer_init(loop, &d->rescan) == 0);
	require(uv_timer_init(loop, &d->settle) == 0);
	require(uv_idle_init(loop, &d->worker) == 0);
	d->open_handles = HANDLES_COUNT;
	d->watch.data = d->rescan.data = d->settle.data = d->worker.data = d;
	d->settle.timer_cb = settle_cb;
	d->rescan.timer_cb = rescan_cb;
	require(uv_timer_start(&d->rescan, rescan_cb, 0, 0) == 0);
	*ret = d;
	return 0;
}

void dropin_stop(struct dropin *d)
{
	if (!d || d->stopped)
		return;
	d->stopped = true;
	if (d->dir)
		(void)closedir(d->dir); /* it was only read */
	d->dir = NULL;
	close_folder(d);
	d->stage = STAGE_IDLE;
	/* None of these fails. */
	(void)uv_timer_stop(&d->rescan);
	(void)uv_timer_stop(&d->settle);
	(void)uv_idle_stop(&d->worker);
}

void dropin_close(struct dropin *d)
{
	if (!d || uv_is_closing((uv_handle_t *)&d->watch))
		return;
	dropin_stop(d);
	uv_close((uv_handle_t *)&d->watch, close_cb);
	uv_close((uv_handle_t *)&d->rescan, close_cb);
	uv_close((uv_handle_t *)&d->settle, close_cb);
	uv_close((uv_handle_t *)&d->worker, close_cb);
}

/* --- views --- */

void dropin_count(const struct dropin *d, struct dropin_counts *ret)
{
	const struct file *f;
	*ret = (struct dropin_counts){.files = d->files.len};
	for (size_t i = 0; (f = next_file(&d->files, &i));)
		ret->bad += f->notes != NULL;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp((*(const struct file *const *)a)->name, (*(const struct file *const *)b)->name);
}

void dropin_each_problem(const struct dropin *d, dropin_problem_cb cb, void *ctx)
{
	struct file *f;
	size_t n = 0;
	struct file **bad = mem_array(d->files.len, sizeof(struct file *));
	for (size_t i = 0; (f = next_file(&d->files, &i));)
		if (f->notes)
			bad[n++] = f;
	if (n > 0)
		qsort(bad, n, sizeof(struct file *), compare_files);
	if (d->folder_note)
		cb(ctx, &(struct view_file){.file = d->folder, .errors = d->folder_note});
	for (size_t i = 0; i < n; i++)
		cb(ctx, &(struct view_file){.file = bad[i]->name, .errors = bad[i]->notes});
	free(bad);
}
