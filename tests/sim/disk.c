/* The crash disk: files, what of them is safe, power cuts and faults. */
#include "tests/sim/disk.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/sim/disk_inner.h"

#define SECTOR 512u
#define BLOCK  UINT64_C(4096)

/* --- files --- */

static struct disk_node *node_new(struct disk *d, const char *name)
{
	struct disk_node *n = mem_alloc(sizeof(*n));
	n->name = mem_strdup(name);
	n->next = d->nodes;
	d->nodes = n;
	return n;
}

static void node_free(struct disk_node *n)
{
	free(n->name);
	image_deinit(&n->now);
	image_deinit(&n->durable);
	free(n->writes);
	free(n->log);
	free(n);
}

/* Frees what nobody can reach any more. */
static void node_settle(struct disk *d, struct disk_node *n)
{
	if (n->refs > 0 || n->named || n->named_durably)
		return;
	for (struct disk_node **slot = &d->nodes; *slot; slot = &(*slot)->next)
		if (*slot == n) {
			*slot = n->next;
			node_free(n);
			return;
		}
}

struct disk_node *disk_find(const struct disk *d, const char *name)
{
	for (struct disk_node *n = d->nodes; n; n = n->next)
		if (n->named && strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

void disk_hold(struct disk_node *n)
{
	n->refs++;
}

void disk_release(struct disk *d, struct disk_node *n)
{
	require(n->refs > 0);
	n->refs--;
	node_settle(d, n);
}

static uint64_t blocks(uint64_t size)
{
	return (size + BLOCK - 1) / BLOCK * BLOCK;
}

uint64_t disk_used(const struct disk *d)
{
	uint64_t used = 0;
	for (const struct disk_node *n = d->nodes; n; n = n->next) {
		/* A file that was removed gives its room back, or a full disk would not take anything in its place. */
		if (n->named || n->opened > 0)
			used += blocks(n->now.size);
		if (n->shm)
			used += n->shm->n_regions * n->shm->region_size;
	}
	return used;
}

/* --- what is safe --- */

static void add_change(struct disk *d, int kind, struct disk_node *n, uint64_t size)
{
	d->changes = mem_grow(d->changes, &d->cap_changes, d->n_changes + 1, sizeof(*d->changes));
	d->changes[d->n_changes++] = (struct disk_change){.kind = kind, .node = n, .size = size};
	disk_hold(n);
}

static void apply_change(const struct disk_change *c)
{
	if (c->kind == DISK_RESIZED)
		image_resize(&c->node->durable, c->size);
	else
		c->node->named_durably = c->kind == DISK_NAMED;
}

/* The first n become safe; those behind them stay open. */
static void commit_changes(struct disk *d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		apply_change(&d->changes[i]);
	for (size_t i = 0; i < n; i++)
		disk_release(d, d->changes[i].node);
	d->n_changes -= n;
	if (n > 0)
		memmove(d->changes, d->changes + n, d->n_changes * sizeof(*d->changes));
}

/* The journal is written in order: a file's change takes along all that came before it. */
static void commit_changes_of(struct disk *d, const struct disk_node *n)
{
	size_t last = d->n_changes;
	while (last > 0 && d->changes[last - 1].node != n)
		last--;
	commit_changes(d, last);
}

static void forget_writes(struct disk_node *n)
{
	n->n_writes = 0;
	n->log_len = 0;
}

/* Takes the bytes from what processes see: later ones of them may have been cut off or written over. */
static void make_safe(struct disk *d, struct disk_node *n)
{
	commit_changes_of(d, n);
	for (size_t i = 0; i < n->n_writes; i++) {
		const struct disk_write *w = &n->writes[i];
		image_take(&n->durable, &n->now, w->offset, w->len);
	}
	forget_writes(n);
}

static void resize(struct disk *d, struct disk_node *n, uint64_t size)
{
	if (size == n->now.size)
		return;
	for (size_t i = 0; i < n->n_writes; i++) {
		struct disk_write *w = &n->writes[i];
		if (w->offset + w->len > size)
			w->len = w->offset < size ? (size_t)(size - w->offset) : 0;
	}
	image_resize(&n->now, size);
	add_change(d, DISK_RESIZED, n, size);
}

static void put(struct disk *d, struct disk_node *n, uint64_t offset, const char *bytes, size_t len)
{
	if (len == 0)
		return;
	if (offset + len > n->now.size)
		resize(d, n, offset + len);
	image_put(&n->now, offset, bytes, len);
	n->writes = mem_grow(n->writes, &n->cap_writes, n->n_writes + 1, sizeof(*n->writes));
	n->writes[n->n_writes++] = (struct disk_write){.offset = offset, .len = len, .at = n->log_len};
	n->log = mem_grow(n->log, &n->log_cap, n->log_len + len, 1);
	memcpy(n->log + n->log_len, bytes, len);
	n->log_len += len;
}

/* --- power cuts --- */

/* How this power cut deals: in hundredths. */
struct deal {
	unsigned keep;
	unsigned tear; /* of those that are not kept */
};

static struct deal draw_deal(struct prng *p)
{
	switch (prng_below(p, 8)) {
	case 0:
		return (struct deal){.keep = 100};
	case 1:
		return (struct deal){.keep = 0};
	default:
		return (struct deal){.keep = (unsigned)prng_below(p, 101), .tear = (unsigned)prng_below(p, 101)};
	}
}

static bool draw(struct prng *p, unsigned hundredths)
{
	return prng_below(p, 100) < hundredths;
}

/* A write reaches the disk as far as the file does. */
static void keep_part(struct disk_node *n, const struct disk_write *w, size_t from, size_t to)
{
	uint64_t offset = w->offset + from;
	if (offset >= n->durable.size)
		return;
	if (w->offset + to > n->durable.size)
		to = (size_t)(n->durable.size - w->offset);
	image_put(&n->durable, offset, n->log + w->at + from, to - from);
}

/* A first part, a last part, or any of the sectors. The write covers several. */
static void tear(struct disk *d, struct disk_node *n, const struct disk_write *w)
{
	uint64_t first = w->offset / SECTOR;
	uint64_t sectors = (w->offset + w->len - 1) / SECTOR - first + 1;
	uint64_t cut = 1 + prng_below(&d->prng, sectors - 1);
	uint64_t form = prng_below(&d->prng, 3);
	for (uint64_t s = 0; s < sectors; s++) {
		bool kept = form == 0 ? s < cut : form == 1 ? s >= cut : draw(&d->prng, 50);
		uint64_t start = (first + s) * SECTOR;
		size_t from = start > w->offset ? (size_t)(start - w->offset) : 0;
		size_t to = (size_t)(start + SECTOR - w->offset);
		if (kept)
			keep_part(n, w, from, to < w->len ? to : w->len);
	}
}

static void cut_write(struct disk *d, struct disk_node *n, const struct disk_write *w, struct deal deal)
{
	if (w->len == 0)
		return;
	bool several = w->offset / SECTOR != (w->offset + w->len - 1) / SECTOR;
	if (draw(&d->prng, deal.keep)) {
		keep_part(n, w, 0, w->len);
		d->counts.kept++;
	} else if (several && draw(&d->prng, deal.tear)) {
		tear(d, n, w);
		d->counts.torn++;
	} else {
		d->counts.dropped++;
	}
}

static void cut_changes(struct disk *d)
{
	struct deal deal = draw_deal(&d->prng);
	size_t kept = 0;
	if (deal.keep == 100)
		kept = d->n_changes;
	else if (deal.keep > 0)
		kept = (size_t)prng_below(&d->prng, d->n_changes + 1);
	d->counts.changes_kept += kept;
	d->counts.changes_dropped += d->n_changes - kept;
	commit_changes(d, kept);
	for (size_t i = 0; i < d->n_changes; i++)
		disk_release(d, d->changes[i].node);
	d->n_changes = 0;
}

static void die(struct disk_process *p)
{
	p->dead = true;
	p->kill_at = 0;
	if (p->lock)
		p->lock->owner = NULL;
	disk_vfs_let_go(p);
}

void disk_lose_lock(struct disk_process *p)
{
	if (p->lock)
		p->lock->owner = NULL;
}

void disk_crash(struct disk *d)
{
	d->counts.crashes++;
	d->boots++;
	d->crash_at = 0;
	for (struct disk_process *p = d->processes; p; p = p->next)
		if (!p->dead)
			die(p);
	/* Changes hold their files: none of them is freed before its writes have been dealt with. */
	for (struct disk_node *n = d->nodes; n; n = n->next)
		disk_hold(n);
	cut_changes(d);
	struct deal deal = draw_deal(&d->prng);
	for (struct disk_node *n = d->nodes; n; n = n->next) {
		for (size_t i = 0; i < n->n_writes; i++)
			cut_write(d, n, &n->writes[i], deal);
		forget_writes(n);
		n->named = n->named_durably;
		image_copy(&n->now, &n->durable);
	}
	for (struct disk_node *n = d->nodes, *next; n; n = next) {
		next = n->next;
		disk_release(d, n);
	}
}

void disk_kill(struct disk_process *p)
{
	if (p->dead)
		return;
	p->disk->counts.kills++;
	die(p);
}

void disk_crash_at(struct disk *d, uint64_t n)
{
	d->crash_at = n;
}

void disk_kill_at(struct disk_process *p, uint64_t n)
{
	p->kill_at = n;
}

/* --- faults --- */

static bool meets(enum disk_fault fault, enum disk_operation operation, bool grows)
{
	switch (fault) {
	case DISK_FAIL_ANY:
		return operation != DISK_OPERATIONS;
	case DISK_FAIL_OPEN:
		return operation == DISK_OPEN;
	case DISK_FAIL_READ:
		return operation == DISK_READ;
	case DISK_FAIL_WRITE:
		return operation == DISK_WRITE;
	case DISK_FAIL_TRUNCATE:
		return operation == DISK_TRUNCATE;
	case DISK_FAIL_SYNC:
	case DISK_LOSE_SYNC:
	case DISK_LIE:
		return operation == DISK_SYNC;
	case DISK_FULL:
		return grows;
	case DISK_FAULTS:
		break;
	}
	return false;
}

/* The first of the planned faults that this operation meets; DISK_FAULTS: none. */
static enum disk_fault draw_fault(struct disk *d, enum disk_operation operation, bool grows)
{
	for (size_t i = 0; i < d->n_plans; i++) {
		struct disk_plan *plan = &d->plans[i];
		if (plan->times == 0 || !meets(plan->fault, operation, grows))
			continue;
		if (plan->after > 0) {
			plan->after--;
			continue;
		}
		if (plan->times != DISK_FOR_EVER)
			plan->times--;
		d->counts.faults[plan->fault]++;
		return plan->fault;
	}
	return DISK_FAULTS;
}

void disk_fail(struct disk *d, enum disk_fault fault, uint64_t after, uint64_t times)
{
	size_t at = 0;
	while (at < d->n_plans && d->plans[at].times > 0)
		at++;
	require(at < array_len(d->plans));
	d->plans[at] = (struct disk_plan){.fault = fault, .after = after, .times = times};
	if (at == d->n_plans)
		d->n_plans++;
}

void disk_heal(struct disk *d)
{
	d->n_plans = 0;
}

/* What becomes of one operation: its end is chosen before it has any effect. */
struct fate {
	enum { GOES_ON, CRASHES, KILLED } end;
	enum disk_fault fault;
};

static bool count_down(uint64_t *left)
{
	return *left > 0 && --*left == 0;
}

static struct fate begin(struct disk_process *p, enum disk_operation operation, bool grows)
{
	struct disk *d = p->disk;
	d->counts.operations[operation]++;
	bool killed = count_down(&p->kill_at);
	if (count_down(&d->crash_at))
		return (struct fate){.end = CRASHES, .fault = DISK_FAULTS};
	if (killed)
		return (struct fate){.end = KILLED, .fault = DISK_FAULTS};
	return (struct fate){.end = GOES_ON, .fault = draw_fault(d, operation, grows)};
}

/* 0: the operation takes place. */
static int finish(struct disk_process *p, struct fate fate)
{
	if (fate.end == CRASHES)
		disk_crash(p->disk);
	if (fate.end == KILLED)
		disk_kill(p);
	if (fate.end != GOES_ON)
		return -EIO;
	if (fate.fault == DISK_FULL)
		return -ENOSPC;
	return fate.fault == DISK_FAULTS ? 0 : -EIO;
}

static uint64_t room(const struct disk *d)
{
	uint64_t used = disk_used(d);
	return used < d->capacity ? d->capacity - used : 0;
}

/* How long the file may become, at most `wanted`. */
static uint64_t room_for(struct disk *d, const struct disk_node *n, uint64_t wanted)
{
	if (d->capacity == UINT64_MAX)
		return wanted;
	uint64_t most = blocks(n->now.size) + room(d) / BLOCK * BLOCK;
	if (wanted <= most)
		return wanted;
	d->counts.faults[DISK_FULL]++;
	return most;
}

/* --- operations --- */

int disk_open(struct disk_process *p, const char *name, bool create, struct disk_node **ret)
{
	if (p->dead)
		return -EIO;
	struct disk *d = p->disk;
	struct disk_node *n = *name ? disk_find(d, name) : NULL;
	bool makes = !n && (create || !*name);
	int r = finish(p, begin(p, DISK_OPEN, makes));
	if (r)
		return r;
	if (!n && !makes)
		return -ENOENT;
	if (!n) {
		n = node_new(d, name);
		n->named = *name != '\0';
		if (n->named)
			add_change(d, DISK_NAMED, n, 0);
	}
	*ret = n;
	return 0;
}

int disk_read(struct disk_process *p, struct disk_node *n, uint64_t offset, void *ret_bytes, size_t len)
{
	if (p->dead)
		return -EIO;
	int r = finish(p, begin(p, DISK_READ, false));
	return r ? r : (int)image_get(&n->now, offset, ret_bytes, len);
}

int disk_write(struct disk_process *p, struct disk_node *n, uint64_t offset, const void *bytes, size_t len)
{
	if (p->dead)
		return -EIO;
	struct disk *d = p->disk;
	bool grows = offset + len > n->now.size;
	struct fate fate = begin(p, DISK_WRITE, grows);
	size_t fits = len;
	if (grows) {
		uint64_t end = room_for(d, n, offset + len);
		fits = end > offset ? (size_t)(end - offset) : 0;
	}
	size_t done = fits;
	if (fate.end != GOES_ON || fate.fault != DISK_FAULTS)
		done = (size_t)prng_below(&d->prng, fits + 1);
	put(d, n, offset, bytes, done);
	int r = finish(p, fate);
	return r || fits == len ? r : -ENOSPC;
}

int disk_truncate(struct disk_process *p, struct disk_node *n, uint64_t size)
{
	if (p->dead)
		return -EIO;
	bool grows = size > n->now.size;
	int r = finish(p, begin(p, DISK_TRUNCATE, grows));
	if (!r && grows && room_for(p->disk, n, size) < size)
		r = -ENOSPC;
	if (!r)
		resize(p->disk, n, size);
	return r;
}

int disk_sync(struct disk_process *p, struct disk_node *n)
{
	if (p->dead)
		return -EIO;
	struct fate fate = begin(p, DISK_SYNC, false);
	if (fate.end == GOES_ON && fate.fault == DISK_LIE)
		return 0;
	int r = finish(p, fate);
	if (!r)
		make_safe(p->disk, n);
	if (fate.fault == DISK_LOSE_SYNC)
		forget_writes(n);
	return r;
}

int disk_delete(struct disk_process *p, const char *name, bool sync_folder)
{
	if (p->dead)
		return -EIO;
	struct disk *d = p->disk;
	struct disk_node *n = disk_find(d, name);
	int r = finish(p, begin(p, DISK_DELETE, false));
	if (r || !n)
		return r ? r : -ENOENT;
	n->named = false;
	add_change(d, DISK_UNNAMED, n, 0);
	if (sync_folder)
		commit_changes(d, d->n_changes);
	return 0;
}

int disk_ask_room(struct disk_process *p, uint64_t bytes)
{
	if (p->dead)
		return -EIO;
	struct disk *d = p->disk;
	if (draw_fault(d, DISK_OPERATIONS, true) != DISK_FAULTS)
		return -ENOSPC;
	if (d->capacity == UINT64_MAX || room(d) >= bytes)
		return 0;
	d->counts.faults[DISK_FULL]++;
	return -ENOSPC;
}

/* --- disks and processes --- */

struct disk *disk_new(uint64_t seed)
{
	struct disk *d = mem_alloc(sizeof(*d));
	prng_init(&d->prng, seed);
	d->capacity = UINT64_MAX;
	d->boots = 1;
	return d;
}

struct disk *disk_new_from(const struct disk *template, uint64_t seed)
{
	struct disk *d = disk_new(seed);
	d->boots = template->boots;
	for (const struct disk_node *n = template->nodes; n; n = n->next) {
		if (!n->named)
			continue;
		struct disk_node *copy = node_new(d, n->name);
		copy->named = true;
		copy->named_durably = true;
		image_copy(&copy->now, &n->now);
		image_copy(&copy->durable, &n->now);
	}
	return d;
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	require(!d->processes && !d->files);
	for (struct disk_node *n = d->nodes, *next; n; n = next) {
		next = n->next;
		node_free(n);
	}
	free(d->changes);
	free(d);
}

struct disk_process *disk_process_new(struct disk *d)
{
	struct disk_process *p = mem_alloc(sizeof(*p));
	p->disk = d;
	p->pid = (int)(1000 + ++d->pids);
	p->next = d->processes;
	d->processes = p;
	disk_vfs_init(p);
	return p;
}

void disk_process_free(struct disk_process *p)
{
	if (!p)
		return;
	struct disk *d = p->disk;
	for (const struct disk_file *f = d->files; f; f = f->next)
		require(f->process != p);
	require(!p->lock);
	disk_vfs_deinit(p);
	struct disk_process **slot = &d->processes;
	while (*slot != p)
		slot = &(*slot)->next;
	*slot = p->next;
	free(p);
}

const struct sqlite_platform *disk_platform(struct disk_process *p)
{
	return &p->platform;
}

bool disk_process_is_dead(const struct disk_process *p)
{
	return p->dead;
}

void disk_set_capacity(struct disk *d, uint64_t bytes)
{
	d->capacity = bytes;
}

/* --- from outside --- */

int disk_remove(struct disk *d, const char *path)
{
	struct disk_node *n = disk_find(d, path);
	if (!n)
		return -ENOENT;
	n->named = false;
	add_change(d, DISK_UNNAMED, n, 0);
	commit_changes(d, d->n_changes);
	return 0;
}

int disk_damage(struct disk *d, const char *path, uint64_t offset, const void *bytes, size_t len)
{
	struct disk_node *n = disk_find(d, path);
	if (!n)
		return -ENOENT;
	if (offset + len > n->now.size)
		resize(d, n, offset + len);
	make_safe(d, n);
	image_put(&n->now, offset, bytes, len);
	image_put(&n->durable, offset, bytes, len);
	return 0;
}

const struct disk_counts *disk_counts(const struct disk *d)
{
	return &d->counts;
}

uint64_t disk_operations(const struct disk *d)
{
	uint64_t all = 0;
	for (size_t i = 0; i < DISK_OPERATIONS; i++)
		all += d->counts.operations[i];
	return all;
}

uint64_t disk_hash(const struct disk *d)
{
	uint64_t hash = 0;
	for (const struct disk_node *n = d->nodes; n; n = n->next) {
		if (!n->named_durably)
			continue;
		uint64_t of_name = 0;
		for (const char *c = n->name; *c; c++)
			of_name = image_mix(of_name ^ (unsigned char)*c);
		/* A sum: the order in which files were made means nothing. */
		hash += image_mix(of_name ^ image_hash(&n->durable));
	}
	return hash;
}

bool disk_contains(const struct disk *d, const char *text)
{
	for (const struct disk_node *n = d->nodes; n; n = n->next)
		if (image_contains(&n->durable, text))
			return true;
	return false;
}

uint64_t disk_size(const struct disk *d, const char *path)
{
	const struct disk_node *n = disk_find(d, path);
	return n ? n->now.size : 0;
}
