#include "daemon/artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/sha256.h"

#define BLOCK_BYTES   (3 * 16 * 1024) /* a multiple of three, so that its base64 needs no padding before the end */
#define REMEMBERED    64
#define SETTLED_S     2 /* times of younger files may be too coarse to show the next change */
#define BASE64_BYTES  (((size_t)LIMIT_ZIP_BYTES + 2) / 3 * 4)
#define BASE64_SHA256 (4 * ((SHA256_BYTES + 2) / 3) + 1)

/* What tells a file's content apart from another, as far as the file system knows. */
struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct timespec ctime;
};

struct memory {
	char *path; /* NULL: free */
	struct identity identity;
	char sha256[BASE64_SHA256];
};

struct load {
	uv_work_t work;
	struct artifacts *owner;
	struct load *next;
	char *path; /* as it was asked for, */
	char *file; /* and resolved */
	bool content;
	bool event; /* any text, which is wanted as it is */
	artifact_cb cb;
	void *arg;
	struct memory known; /* of that file; .path is not owned */
	/* the result */
	char error[LIMIT_REASON];
	struct identity identity;
	char sha256[BASE64_SHA256];
	struct buf base64; /* of an event: its text */
};

struct artifacts {
	uv_loop_t *loop;
	char *dir;
	uv_timer_t kick; /* starts and answers from the loop, never from a caller */
	struct load *waiting;
	struct load *running;
	bool closing;
	bool closed; /* the handle is */
	struct memory memories[REMEMBERED];
	size_t next_memory;
};

/* --- in a thread of the pool --- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void free_digest(EVP_MD_CTX **md)
{
	EVP_MD_CTX_free(*md);
}

#define complain(l, ...) (snprintf((l)->error, sizeof((l)->error), __VA_ARGS__), -1)

static void identify(const struct stat *st, struct identity *ret)
{
	*ret = (struct identity){
	    .dev = st->st_dev, .ino = st->st_ino, .size = st->st_size, .mtime = st->st_mtim, .ctime = st->st_ctim};
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec && a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

/* What is wanted is not too large. */
static int check_size(struct load *l, off_t size)
{
	if (l->event && size > LIMIT_PROBE_BYTES)
		return complain(l, "%s is too large: %jd bytes, and a probe's event has at most %d", l->file,
				(intmax_t)size, LIMIT_PROBE_BYTES);
	if (!l->event && size > LIMIT_ZIP_BYTES)
		return complain(l, "%s is too large: %jd bytes, and AWS takes at most %d directly: put it into S3",
				l->file, (intmax_t)size, LIMIT_ZIP_BYTES);
	return 0;
}

/*
 * A plan's author names the function that an event is sent to. Whatever else the daemon may read on this host, keys
 * in JSON among it, must not get there: an event comes from the plans folder, whatever links say.
 */
static int check_beneath(struct load *l, const char *file)
{
	cleanup(mem_free_p) char *dir = realpath(l->owner->dir, NULL);
	size_t len = dir ? strlen(dir) : 0;
	if (dir && strncmp(file, dir, len) == 0 && file[len] == '/')
		return 0;
	return complain(l, "%s is not beneath the plans folder (%s): put it there", l->file, l->owner->dir);
}

/* Before it is opened: opening some devices does something. */
static int check_place(struct load *l)
{
	cleanup(mem_free_p) char *file = realpath(l->file, NULL);
	if (!file)
		return 0; /* opening it will say why */
	return check_beneath(l, file);
}

/* And what was opened: a link may have been turned meanwhile. The kernel says where the file is. */
static int check_opened(struct load *l, int fd)
{
	char name[32], file[PATH_MAX];
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(name, file, sizeof(file) - 1);
	if (n < 0)
		return complain(l, "%s: where it is cannot be found out: %s", l->file, strerror(errno));
	file[n] = '\0';
	return check_beneath(l, file);
}

static int open_file(struct load *l)
{
	struct stat st;
	if (l->event && check_place(l) < 0)
		return -1;
	/* A named pipe must not hold up the thread until it is found out to be one. */
	int fd = open(l->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return complain(l, "%s does not exist: %s it, or correct the plan's path", l->file,
				l->event ? "write" : "build");
	if (fd < 0)
		return complain(l, "%s cannot be read: %s", l->file, strerror(errno));
	cleanup(close_fd) int owned = fd;
	if (l->event && check_opened(l, fd) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return complain(l, "%s cannot be read: %s", l->file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return complain(l, "%s is not a regular file: expected a %s file", l->file, l->event ? "JSON" : "zip");
	/* Builds belong to whoever makes them; but what everybody can write must not become production's code, nor be
	 * what it is called with. */
	if (st.st_mode & S_IWOTH)
		return complain(l, "%s can be written by everybody (mode %04o): chmod o-w it", l->file,
				st.st_mode & 07777);
	if (check_size(l, st.st_size) < 0)
		return -1;
	identify(&st, &l->identity);
	owned = -1;
	return fd;
}

/* Fills the block as far as the file goes; returns the bytes, or -1. */
static ssize_t read_block(struct load *l, int fd, unsigned char *block)
{
	size_t n = 0;
	while (n < BLOCK_BYTES) {
		ssize_t r = read(fd, block + n, BLOCK_BYTES - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return complain(l, "%s cannot be read: %s", l->file, strerror(errno));
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}

static int check_magic(struct load *l, const unsigned char *block, size_t n)
{
	static const unsigned char magic[] = {'P', 'K', 3, 4};
	if (n == 0)
		return complain(l, "%s is empty: expected a zip file", l->file);
	if (n < sizeof(magic) || memcmp(block, magic, sizeof(magic)) != 0)
		return complain(l, "%s is no zip file with anything in it: it does not begin with PK\\3\\4", l->file);
	return 0;
}

static void encode(struct load *l, const unsigned char *block, size_t n)
{
	unsigned char text[BLOCK_BYTES / 3 * 4 + 1];
	int len = EVP_EncodeBlock(text, block, (int)n);
	buf_add(&l->base64, text, (size_t)len);
}

/* Reads from the start to the end; a file that grows meanwhile is not followed beyond its cap. */
static int digest_file(struct load *l, int fd, EVP_MD_CTX *md)
{
	cleanup(mem_free_p) unsigned char *block = mem_alloc(BLOCK_BYTES);
	unsigned char hash[EVP_MAX_MD_SIZE];
	off_t total = 0;
	ssize_t n;
	require(EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	do {
		n = read_block(l, fd, block);
		if (n < 0 || (total == 0 && !l->event && check_magic(l, block, (size_t)n) < 0))
			return -1;
		total += n;
		if (total > LIMIT_ZIP_BYTES)
			break; /* it grew, which is found out below */
		require(EVP_DigestUpdate(md, block, (size_t)n) == 1);
		if (l->event)
			buf_add(&l->base64, block, (size_t)n);
		else if (l->content)
			encode(l, block, (size_t)n);
	} while (n == BLOCK_BYTES);
	require(EVP_DigestFinal_ex(md, hash, NULL) == 1);
	(void)EVP_EncodeBlock((unsigned char *)l->sha256, hash, SHA256_BYTES); /* exactly fits */
	return 0;
}

/* Of the name rather than of what was opened: another file may have taken it meanwhile. */
static int check_unchanged(struct load *l)
{
	struct stat st;
	struct identity now;
	if (stat(l->file, &st) < 0)
		return complain(l, "%s vanished while it was read: it is tried again", l->file);
	identify(&st, &now);
	return is_same(&now, &l->identity) ? 0 : complain(l, "%s is being written: it is tried again", l->file);
}

static void work_cb(uv_work_t *work)
{
	struct load *l = work->data;
	cleanup(close_fd) int fd = open_file(l);
	if (fd < 0)
		return;
	if (!l->content && !l->event && l->known.path && is_same(&l->known.identity, &l->identity)) {
		memcpy(l->sha256, l->known.sha256, sizeof(l->sha256));
		return;
	}
	cleanup(free_digest) EVP_MD_CTX *md = EVP_MD_CTX_new();
	require(md);
	if (digest_file(l, fd, md) == 0)
		(void)check_unchanged(l); /* the error is in the load */
}

/* --- in the loop --- */

static struct memory *find_memory(struct artifacts *s, const char *path)
{
	for (size_t i = 0; i < REMEMBERED; i++)
		if (s->memories[i].path && strcmp(s->memories[i].path, path) == 0)
			return &s->memories[i];
	return NULL;
}

static void remember(struct artifacts *s, const struct load *l)
{
	struct timespec now;
	struct memory *m = find_memory(s, l->path);
	if (clock_gettime(CLOCK_REALTIME, &now) < 0 || now.tv_sec - l->identity.ctime.tv_sec < SETTLED_S)
		return;
	if (!m) {
		m = &s->memories[s->next_memory++ % REMEMBERED];
		free(m->path);
		m->path = mem_strdup(l->path);
	}
	m->identity = l->identity;
	memcpy(m->sha256, l->sha256, sizeof(m->sha256));
}

static void tell(struct load *l)
{
	struct artifact a = {
	    .error = l->error[0] ? l->error : NULL,
	    .base64 = l->content ? buf_text(&l->base64) : NULL,
	    .sha256 = l->sha256,
	    .size = (uint64_t)l->identity.size,
	    .text = l->event ? buf_text(&l->base64) : NULL,
	};
	l->cb(l->arg, &a);
}

/* Touches nothing that a thread may be writing. */
static void break_off(const struct load *l)
{
	l->cb(l->arg, &(struct artifact){.error = "the file was not read: the daemon stops"});
}

static void load_free(struct load *l)
{
	buf_deinit(&l->base64);
	free(l->path);
	free(l->file);
	free(l);
}

static void free_when_done(struct artifacts *s)
{
	if (!s->closing || !s->closed || s->running)
		return;
	for (size_t i = 0; i < REMEMBERED; i++)
		free(s->memories[i].path);
	free(s->dir);
	free(s);
}

static void kick_cb(uv_timer_t *kick);

static void done_cb(uv_work_t *work, int status)
{
	struct load *l = work->data;
	struct artifacts *s = l->owner;
	(void)status; /* it is cancelled only when nobody waits for it any more */
	s->running = NULL;
	if (!s->closing) {
		if (!l->error[0] && !l->event) /* whether that is a zip was not looked at */
			remember(s, l);
		tell(l);
		if (s->waiting)
			require(uv_timer_start(&s->kick, kick_cb, 0, 0) == 0);
	}
	load_free(l);
	free_when_done(s);
}

static void kick_cb(uv_timer_t *kick)
{
	struct artifacts *s = kick->data;
	if (s->running || !s->waiting)
		return;
	struct load *l = s->waiting;
	s->waiting = l->next;
	struct memory *m = find_memory(s, l->path);
	if (m)
		l->known = *m;
	s->running = l;
	require(uv_queue_work(s->loop, &l->work, work_cb, done_cb) == 0); /* fails without a callback only */
}

struct artifacts *artifacts_new(uv_loop_t *loop, const char *dir)
{
	struct artifacts *s = mem_alloc(sizeof(*s));
	s->loop = loop;
	s->dir = mem_strdup(dir);
	require(uv_timer_init(loop, &s->kick) == 0); /* cannot fail */
	s->kick.data = s;
	return s;
}

/* Takes over the load, which says what is wanted and by whom. */
static void enqueue(struct artifacts *s, const char *path, struct load *l)
{
	struct load **last = &s->waiting;
	require(!s->closing);
	l->owner = s;
	l->work.data = l;
	l->path = mem_strdup(path);
	l->file = file_resolve(s->dir, path);
	while (*last)
		last = &(*last)->next;
	*last = l;
	require(uv_timer_start(&s->kick, kick_cb, 0, 0) == 0);
}

void artifacts_load(struct artifacts *s, const char *path, bool content, artifact_cb cb, void *arg)
{
	struct load *l = mem_alloc(sizeof(*l));
	*l = (struct load){.content = content, .cb = cb, .arg = arg, .base64 = BUF_INIT(BASE64_BYTES)};
	enqueue(s, path, l);
}

void artifacts_load_event(struct artifacts *s, const char *path, artifact_cb cb, void *arg)
{
	struct load *l = mem_alloc(sizeof(*l));
	*l = (struct load){.event = true, .cb = cb, .arg = arg, .base64 = BUF_INIT(LIMIT_PROBE_BYTES)};
	enqueue(s, path, l);
}

/* One of FNV-1a's steps, a word at a time. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	return (hash ^ word) * 0x100000001b3U;
}

uint64_t artifacts_stamp(const struct artifacts *s, const char *path)
{
	cleanup(mem_free_p) char *file = file_resolve(s->dir, path);
	uint64_t hash = 0xcbf29ce484222325U;
	struct identity i;
	struct stat st;
	if (stat(file, &st) < 0)
		return 0;
	identify(&st, &i);
	hash = mix(mix(mix(hash, i.dev), i.ino), (uint64_t)i.size);
	hash = mix(mix(hash, (uint64_t)i.mtime.tv_sec), (uint64_t)i.mtime.tv_nsec);
	hash = mix(mix(hash, (uint64_t)i.ctime.tv_sec), (uint64_t)i.ctime.tv_nsec);
	return hash ? hash : 1;
}

static void closed_cb(uv_handle_t *handle)
{
	struct artifacts *s = handle->data;
	s->closed = true;
	free_when_done(s);
}

void artifacts_close(struct artifacts *s)
{
	if (!s || s->closing)
		return;
	s->closing = true;
	uv_close((uv_handle_t *)&s->kick, closed_cb);
	while (s->waiting) {
		struct load *l = s->waiting;
		s->waiting = l->next;
		break_off(l);
		load_free(l);
	}
	if (!s->running)
		return;
	break_off(s->running);
	/* A thread may be at it: then the loop goes on until that is done, a second at most. */
	(void)uv_cancel((uv_req_t *)&s->running->work);
}
