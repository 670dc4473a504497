/*
 * The SQLite store on the crash disk: whatever was committed outlives power cuts, kills and faults at any operation,
 * and of what was not committed no part is seen. That these tests can tell is shown with syncs that do nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "tests/sim/disk.h"

#define LOCK_PATH    DISK_DATABASE ".lock"
#define WAL_PATH     DISK_DATABASE "-wal"
#define RESERVE_PATH DISK_DATABASE ".reserve"

/* --- one step of work: events and a new record, in one transaction --- */

#define EVENTS_OF_STEP 3
#define MISSING	       99

struct totals {
	unsigned events;
	unsigned revision;
	unsigned judgements;
	unsigned versions;
	unsigned intents;
	int64_t last;
};

static int count_event(void *ctx, const struct store_event *e)
{
	struct totals *t = ctx;
	/* One that is missing in the middle would be worse than a lost end. */
	if (e->unix_ms != t->last + 1)
		return MISSING;
	t->last = e->unix_ms;
	t->events++;
	return 0;
}

static int note_revision(void *ctx, const struct store_rollout *r)
{
	((struct totals *)ctx)->revision = (unsigned)r->revision;
	return 0;
}

static int count_judgement(void *ctx, const struct store_judgement *j)
{
	struct totals *t = ctx;
	return j->seq == ++t->judgements ? 0 : MISSING;
}

static int count_version(void *ctx, const struct store_sample *x)
{
	struct totals *t = ctx;
	return x->read_unix_ms == ++t->versions ? 0 : MISSING;
}

static int count_intent(void *ctx, const struct store_intent *i)
{
	struct totals *t = ctx;
	return i->seq == ++t->intents ? 0 : MISSING;
}

static bool with_flight; /* a step also has what was read and judged in it, and what will be asked for */

static int put_flight(struct store *s, unsigned n)
{
	struct store_judgement j = {.rollout_id = 1, .seq = n, .detail = "{\"metrics\":[]}", .text = "t"};
	struct store_sample x = {.rollout_id = 1, .start_unix_ms = 60000, .read_unix_ms = n, .counts = {n}};
	struct store_intent i = {.rollout_id = 1, .seq = n, .unix_ms = n, .target = "2@500bp", .revision = "r"};
	int r = store_put_judgement(s, &j);
	if (!r)
		r = store_put_sample(s, &x);
	return r ? r : store_put_intent(s, &i);
}

static int try_step(struct store *s, unsigned n, const char *record)
{
	int r = store_begin(s);
	for (unsigned i = 1; i <= EVENTS_OF_STEP && !r; i++) {
		struct store_event e = {.rollout_id = 1,
					.name = "hello",
					.unix_ms = (n - 1) * EVENTS_OF_STEP + i,
					.kind = "k",
					.text = i == 2 ? record : ""};
		uint64_t id;
		r = store_put_event(s, &e, &id);
	}
	struct store_rollout rollout = {.id = 1, .revision = n - 1, .live = true, .record = record};
	if (!r)
		r = store_put_rollout(s, &rollout);
	if (!r && with_flight)
		r = put_flight(s, n);
	if (!r)
		r = store_commit(s);
	if (r)
		store_abort(s);
	return r;
}

enum { UNREADABLE = -1, NOT_WHOLE = -2 };

/* How many steps the store holds. */
static int64_t count_steps(struct store *s)
{
	struct totals t = {0};
	int r = store_each_event(s, NULL, 0, 1000000, count_event, &t);
	if (!r)
		r = store_each_live(s, note_revision, &t);
	if (!r)
		r = store_each_judgement(s, 1, count_judgement, &t);
	if (!r)
		r = store_each_sample(s, 1, count_version, &t);
	if (!r)
		r = store_each_intent(s, 1, count_intent, &t);
	if (r)
		return r == MISSING ? NOT_WHOLE : UNREADABLE;
	unsigned rows = with_flight ? t.revision : 0;
	bool whole = t.judgements == rows && t.versions == rows && t.intents == rows;
	return whole && t.events == t.revision * EVENTS_OF_STEP ? (int64_t)t.revision : NOT_WHOLE;
}

/* --- disks --- */

static int open_store(struct disk_process *p, struct store **ret)
{
	return store_open_sqlite_on(disk_platform(p), DISK_DATABASE, ret);
}

/* A disk with a store in which no step was done yet. */
static struct disk *make_template(void)
{
	struct disk *d = disk_new(1);
	struct disk_process *p = disk_process_new(d);
	struct store *s = NULL;
	struct store_rollout r = {.name = "hello", .attempt = 1, .live = true};
	uint64_t id = 0;
	assert_int_equal(open_store(p, &s), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_insert_rollout(s, &r, &id), 0);
	assert_int_equal(store_commit(s), 0);
	store_close(s);
	disk_process_free(p);
	return d;
}

static bool is_sound(struct disk *d)
{
	struct disk_process *p = disk_process_new(d);
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	bool sound = sqlite3_open_v2(DISK_DATABASE, &db, SQLITE_OPEN_READWRITE, disk_platform(p)->vfs) == SQLITE_OK &&
		     sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
		     sqlite3_step(q) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;
	sqlite3_finalize(q);
	sqlite3_close(db);
	disk_process_free(p);
	return sound;
}

static char *draw_record(struct prng *random)
{
	/* Some change one page, some several, and a few many. */
	size_t len = (size_t)prng_below(random, prng_below(random, 10) == 0 ? 60000 : 5000);
	char *record = mem_alloc(len + 1);
	memset(record, 'a' + (int)prng_below(random, 26), len);
	return record;
}

/* --- lives and deaths --- */

enum manner {
	HONEST,	 /* the disk does what it is asked to */
	FAILING, /* now and then something fails, and says so */
	LYING,	 /* it reports syncs that it has not done */
};

struct run {
	struct disk *d;
	enum manner manner;
	struct prng random;
	unsigned done; /* steps that were acknowledged */
	bool begun;    /* one more was on its way at the end of the last life */
	unsigned steps;
	unsigned deaths_at_opening;
	unsigned deaths_at_closing;
	const char *fault; /* NULL: all is well */
};

static void check_store(struct run *r, struct disk_process *p, struct store *s)
{
	int64_t n = count_steps(s);
	/* The end may come while it reads. */
	if (disk_process_is_dead(p))
		return;
	if (n == UNREADABLE && r->manner == FAILING)
		return;
	if (n < 0)
		r->fault = n == UNREADABLE ? store_error_text(s) : "half a transaction";
	else if (n < r->done)
		r->fault = "a committed transaction is lost";
	else if (n > r->done + (r->begun ? 1 : 0))
		r->fault = "a transaction that never was";
	else
		r->done = (unsigned)n;
	r->begun = false;
}

static bool is_our_error(int r)
{
	return r == -EIO || r == -ENOSPC;
}

/* Most of all the worst one: a sync that fails and leaves in the cache what is not on the disk. */
static void plan_fault(struct run *r)
{
	static const enum disk_fault others[] = {
	    DISK_FAIL_ANY, DISK_FAIL_READ, DISK_FAIL_WRITE, DISK_FAIL_TRUNCATE, DISK_FAIL_SYNC, DISK_FULL,
	};
	enum disk_fault fault = DISK_LOSE_SYNC;
	if (prng_below(&r->random, 3) == 0)
		fault = others[prng_below(&r->random, array_len(others))];
	disk_heal(r->d);
	/* One after the other: compilers differ in which argument they draw first. */
	uint64_t after = prng_below(&r->random, 10);
	uint64_t times = 1 + prng_below(&r->random, 2);
	disk_fail(r->d, fault, after, times);
}

/* Steps until its end, which may come at any operation, in the opening and in the closing as well. */
static void live(struct run *r)
{
	struct disk_process *p = disk_process_new(r->d);
	/* The long ones come as far as the log is copied into the file. */
	bool is_long = prng_below(&r->random, 8) == 0;
	uint64_t span = is_long ? 6000 : 200;
	if (prng_below(&r->random, 4) == 0)
		disk_kill_at(p, 1 + prng_below(&r->random, span));
	else
		disk_crash_at(r->d, 1 + prng_below(&r->random, span));
	if (r->manner == FAILING)
		plan_fault(r);
	struct store *s = NULL;
	int result = open_store(p, &s);
	if (result && !disk_process_is_dead(p) && (r->manner != FAILING || !is_our_error(result)))
		r->fault = store_error_text(NULL);
	if (!result && !disk_process_is_dead(p))
		check_store(r, p, s);
	r->deaths_at_opening += result != 0;
	for (uint64_t steps = prng_below(&r->random, is_long ? 200 : 20); s && !r->fault && steps > 0; steps--) {
		if (disk_process_is_dead(p))
			break;
		cleanup(mem_free_p) char *record = draw_record(&r->random);
		r->begun = true;
		result = try_step(s, r->done + 1, record);
		/* A dead process tells nobody that it has committed. */
		if (disk_process_is_dead(p))
			break;
		if (result && (r->manner != FAILING || !is_our_error(result)))
			r->fault = store_error_text(s);
		if (result)
			continue;
		r->begun = false;
		r->done++;
		r->steps++;
	}
	bool alive = !disk_process_is_dead(p);
	uint64_t ending = prng_below(&r->random, 4);
	if (alive && ending == 0)
		disk_kill(p);
	else if (alive && ending < 3)
		disk_crash_at(r->d, 1 + prng_below(&r->random, 40));
	alive = !disk_process_is_dead(p);
	store_close(s);
	r->deaths_at_closing += alive && disk_process_is_dead(p);
	disk_crash_at(r->d, 0);
	disk_process_free(p);
}

static void check_end(struct run *r)
{
	if (!r->fault && !is_sound(r->d))
		r->fault = "the file is damaged";
	struct disk_process *p = disk_process_new(r->d);
	struct store *s = NULL;
	if (!r->fault && open_store(p, &s) != 0)
		r->fault = store_error_text(NULL);
	if (!r->fault)
		check_store(r, p, s);
	store_close(s);
	disk_process_free(p);
}

/* Gives the disk's counts and the sum of its hashes too, so that two runs can be compared. */
struct outcome {
	unsigned faulty;
	unsigned steps;
	unsigned deaths_at_opening;
	unsigned deaths_at_closing;
	struct disk_counts counts;
	uint64_t hash;
};

static struct outcome run_lives(const struct disk *template, uint64_t seeds, unsigned lives, enum manner manner)
{
	struct outcome o = {0};
	for (uint64_t seed = 0; seed < seeds; seed++) {
		struct run r = {.d = disk_new_from(template, seed), .manner = manner};
		prng_init(&r.random, seed);
		if (manner == LYING)
			disk_fail(r.d, DISK_LIE, 0, DISK_FOR_EVER);
		for (unsigned i = 0; i < lives && !r.fault; i++)
			live(&r);
		if (manner == FAILING)
			disk_heal(r.d);
		check_end(&r);
		if (r.fault && manner != LYING)
			print_error("seed %llu: %s\n", (unsigned long long)seed, r.fault);
		o.faulty += r.fault != NULL;
		o.steps += r.steps;
		o.deaths_at_opening += r.deaths_at_opening;
		o.deaths_at_closing += r.deaths_at_closing;
		const struct disk_counts *c = disk_counts(r.d);
		o.counts.crashes += c->crashes;
		o.counts.kills += c->kills;
		o.counts.kept += c->kept;
		o.counts.dropped += c->dropped;
		o.counts.torn += c->torn;
		o.counts.faults[DISK_LOSE_SYNC] += c->faults[DISK_LOSE_SYNC];
		o.counts.changes_dropped += c->changes_dropped;
		o.hash += disk_hash(r.d);
		disk_free(r.d);
	}
	return o;
}

static void test_lives(void **state)
{
	struct outcome o = run_lives(*state, 120, 12, HONEST);
	print_message("%u transactions, %llu power cuts, %llu kills; writes kept %llu, dropped %llu, torn %llu\n",
		      o.steps, (unsigned long long)o.counts.crashes, (unsigned long long)o.counts.kills,
		      (unsigned long long)o.counts.kept, (unsigned long long)o.counts.dropped,
		      (unsigned long long)o.counts.torn);
	assert_int_equal(o.faulty, 0);
	assert_true(o.steps > 10000 && o.counts.crashes > 700 && o.counts.kills > 250);
	print_message("of these ends, %u in an opening and %u in a closing\n", o.deaths_at_opening,
		      o.deaths_at_closing);
	assert_true(o.deaths_at_opening > 100 && o.deaths_at_closing > 50);
	assert_true(o.counts.kept > 1000 && o.counts.dropped > 1000 && o.counts.torn > 250);
	assert_true(o.counts.changes_dropped > 100);
}

/* Every version of a period's counts and every judgement goes with the transaction that it was put in. */
static void test_lives_of_the_flight(void **state)
{
	with_flight = true;
	struct outcome o = run_lives(*state, 120, 12, HONEST);
	unsigned lost = run_lives(*state, 30, 12, LYING).faulty;
	with_flight = false;
	assert_int_equal(o.faulty, 0);
	assert_true(o.steps > 8000 && o.counts.crashes > 700 && o.counts.kills > 250);
	assert_true(lost > 20);
}

/* Among others: a sync fails and the process dies; the next one finds in the cache what is not on the disk, builds on
 * it, and the power goes. TEST_STORE_SEEDS=N: as many seeds. */
static void test_lives_with_faults(void **state)
{
	const char *many = getenv("TEST_STORE_SEEDS");
	with_flight = true;
	struct outcome o = run_lives(*state, many ? strtoull(many, NULL, 10) : 120, 12, FAILING);
	with_flight = false;
	print_message("%u transactions, %llu power cuts, %llu kills, %llu syncs that failed and forgot\n", o.steps,
		      (unsigned long long)o.counts.crashes, (unsigned long long)o.counts.kills,
		      (unsigned long long)o.counts.faults[DISK_LOSE_SYNC]);
	assert_int_equal(o.faulty, 0);
	assert_true(o.steps > 5000 && o.counts.faults[DISK_LOSE_SYNC] > 200);
}

/* The first commit into a new log is forgotten by the sync that fails, its process is killed, and the power fails at
 * the n-th operation of the next opening, which sees that commit in the cache. It changes pages that are not in the
 * log yet: of the others, the log hides what the file has. False: the opening has not so many operations. */
static bool meet_forgotten_log(const struct disk *template, uint64_t seed, uint64_t n)
{
	struct run r = {.d = disk_new_from(template, seed), .manner = HONEST};
	prng_init(&r.random, seed);
	struct disk_process *p = disk_process_new(r.d);
	struct store *s = NULL;
	assert_int_equal(open_store(p, &s), 0);
	while (r.done < 4) {
		cleanup(mem_free_p) char *record = draw_record(&r.random);
		assert_int_equal(try_step(s, ++r.done, record), 0);
	}
	store_close(s);
	disk_process_free(p);
	p = disk_process_new(r.d);
	assert_int_equal(open_store(p, &s), 0);
	disk_fail(r.d, DISK_LOSE_SYNC, 0, 1);
	cleanup(mem_free_p) char *record = draw_record(&r.random);
	assert_int_equal(try_step(s, r.done + 1, record), -EIO);
	r.begun = true;
	disk_kill(p);
	store_close(s);
	disk_process_free(p);
	/* Half of those openings fail, as their sync does; closing the file then must not use the log either. */
	if (seed % 2)
		disk_fail(r.d, DISK_LOSE_SYNC, 0, 1);
	disk_crash_at(r.d, n);
	p = disk_process_new(r.d);
	bool opened = open_store(p, &s) == 0;
	bool met = disk_process_is_dead(p);
	assert_true(met || opened == (seed % 2 == 0));
	if (!met)
		disk_crash(r.d);
	if (opened)
		store_close(s);
	disk_process_free(p);
	check_end(&r);
	if (r.fault)
		print_error("seed %u, cut at %u: %s\n", (unsigned)seed, (unsigned)n, r.fault);
	assert_null(r.fault);
	disk_free(r.d);
	return met;
}

static void test_forgotten_log(void **state)
{
	unsigned cuts = 0;
	with_flight = true;
	for (uint64_t seed = 0; seed < 40; seed++)
		for (uint64_t n = 1; meet_forgotten_log(*state, seed, n); n++)
			cuts++;
	with_flight = false;
	print_message("%u power cuts in an opening after a sync that failed and forgot\n", cuts);
	assert_true(cuts > 1000);
}

/* A disk that lies about its syncs keeps no promise; a test that does not see this would see nothing. */
static void test_lying_disk(void **state)
{
	assert_true(run_lives(*state, 30, 12, LYING).faulty > 20);
}

static void test_deterministic(void **state)
{
	struct outcome first = run_lives(*state, 10, 12, HONEST);
	struct outcome again = run_lives(*state, 10, 12, HONEST);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_true(first.hash != run_lives(*state, 11, 12, HONEST).hash);
}

/* --- faults at each operation --- */

/* Opens, does steps, closes, with the fault from its n-th chance on; then all is mended and nothing may be missing.
 * False: there were not so many chances. */
static bool meet_fault(const struct disk *template, enum disk_fault fault, uint64_t n, uint64_t times)
{
	struct run r = {.d = disk_new_from(template, n)};
	prng_init(&r.random, n);
	disk_fail(r.d, fault, n, times);
	struct disk_process *p = disk_process_new(r.d);
	struct store *s = NULL;
	int result = open_store(p, &s);
	if (result) {
		assert_true(is_our_error(result));
		assert_non_null(strstr(store_error_text(NULL), "/var/lib/rolloutd"));
		if (times == DISK_FOR_EVER)
			disk_heal(r.d);
		assert_int_equal(open_store(p, &s), 0);
	}
	for (unsigned i = 0; i < 6 && !r.fault; i++) {
		cleanup(mem_free_p) char *record = draw_record(&r.random);
		result = try_step(s, r.done + 1, record);
		if (result) {
			assert_true(is_our_error(result));
			assert_non_null(strstr(store_error_text(s), "nothing was recorded"));
			/* What was not recorded is not there, and the store goes on as soon as the disk does. */
			disk_heal(r.d);
			check_store(&r, p, s);
			result = try_step(s, r.done + 1, record);
		}
		assert_int_equal(result, 0);
		r.done++;
	}
	if (n % 2)
		disk_crash(r.d);
	store_close(s);
	disk_process_free(p);
	bool met = disk_counts(r.d)->faults[fault] > 0;
	disk_heal(r.d);
	if (n % 4 < 2)
		disk_crash(r.d);
	check_end(&r);
	if (r.fault)
		print_error("fault %d at %llu: %s\n", (int)fault, (unsigned long long)n, r.fault);
	assert_null(r.fault);
	assert_int_equal(r.done, 6);
	disk_free(r.d);
	return met;
}

static unsigned meet_all_faults(const struct disk *template)
{
	static const enum disk_fault faults[] = {
	    DISK_FAIL_ANY,	DISK_FAIL_OPEN, DISK_FAIL_READ, DISK_FAIL_WRITE,
	    DISK_FAIL_TRUNCATE, DISK_FAIL_SYNC, DISK_LOSE_SYNC, DISK_FULL,
	};
	unsigned points = 0;
	for (size_t i = 0; i < array_len(faults); i++) {
		for (uint64_t n = 0; meet_fault(template, faults[i], n, 1); n++)
			points++;
		for (uint64_t n = 0; meet_fault(template, faults[i], n, DISK_FOR_EVER); n++)
			points++;
	}
	return points;
}

static void test_faults_everywhere(void **state)
{
	unsigned points = meet_all_faults(*state);
	print_message("%u points of failure\n", points);
	assert_true(points > 500);
}

/* The opening after a power cut reads the whole file: what the disk then cannot read does not count as damaged. */
static void test_faults_after_power_cut(void **state)
{
	struct disk *d = disk_new_from(*state, 1);
	struct disk_process *p = disk_process_new(d);
	struct store *s = NULL;
	assert_int_equal(open_store(p, &s), 0);
	disk_crash(d);
	store_close(s);
	disk_process_free(p);
	unsigned points = meet_all_faults(d);
	print_message("%u points of failure after a power cut\n", points);
	assert_true(points > 500);
	disk_free(d);
}

/* The first opening, which makes the file, meets them as well. */
static void test_faults_at_first_opening(void **state)
{
	(void)state;
	bool met = true;
	for (uint64_t n = 0; met; n++) {
		struct disk *d = disk_new(n);
		struct disk_process *p = disk_process_new(d);
		struct store *s = NULL;
		disk_fail(d, n % 2 ? DISK_FAIL_ANY : DISK_FULL, n / 2, DISK_FOR_EVER);
		int result = open_store(p, &s);
		met = disk_counts(d)->faults[DISK_FAIL_ANY] + disk_counts(d)->faults[DISK_FULL] > 0;
		disk_heal(d);
		if (result) {
			assert_true(is_our_error(result));
			assert_int_equal(open_store(p, &s), 0);
		}
		struct store_event e = {.kind = "k"};
		uint64_t id;
		assert_int_equal(store_begin(s), 0);
		assert_int_equal(store_put_event(s, &e, &id), 0);
		assert_int_equal(store_commit(s), 0);
		store_close(s);
		disk_process_free(p);
		assert_true(is_sound(d));
		disk_free(d);
	}
}

/* --- torn logs and damaged files --- */

/* Gives how many of two steps are left; false when the log is not so long. */
static bool steps_after_damage(const struct disk *template, uint64_t from_end, unsigned *ret_steps)
{
	struct disk *d = disk_new_from(template, from_end);
	struct disk_process *p = disk_process_new(d);
	struct store *s = NULL;
	assert_int_equal(open_store(p, &s), 0);
	assert_int_equal(try_step(s, 1, "first"), 0);
	assert_int_equal(try_step(s, 2, "second"), 0);
	disk_kill(p);
	store_close(s);
	disk_process_free(p);
	char sector[512];
	memset(sector, 0xaa, sizeof(sector));
	uint64_t size = disk_size(d, WAL_PATH);
	bool long_enough = size >= from_end;
	if (long_enough) {
		assert_int_equal(disk_damage(d, WAL_PATH, size - from_end, sector, sizeof(sector)), 0);
		p = disk_process_new(d);
		assert_int_equal(open_store(p, &s), 0);
		int64_t steps = count_steps(s);
		assert_in_range(steps, 0, 2);
		*ret_steps = (unsigned)steps;
		store_close(s);
		disk_process_free(p);
		assert_true(is_sound(d));
	}
	disk_free(d);
	return long_enough;
}

/* A transaction of which one sector is torn was never committed, however many pages of it are whole. */
static void test_torn_log(void **state)
{
	unsigned steps = 2;
	unsigned of[3] = {0};
	unsigned least = 1;
	for (uint64_t from_end = 512; steps_after_damage(*state, from_end, &steps); from_end += 1024) {
		assert_true(steps <= least);
		least = steps;
		of[steps]++;
	}
	/* More than one page of each. */
	assert_true(of[0] > 8 && of[1] > 8);
}

/* After a power cut the file is looked through before anything is believed; a killed process cannot damage it. */
static void test_damaged_file(void **state)
{
	for (unsigned cut = 0; cut < 2; cut++) {
		struct disk *d = disk_new_from(*state, cut);
		struct disk_process *p = disk_process_new(d);
		struct store *s = NULL;
		assert_int_equal(open_store(p, &s), 0);
		if (cut)
			disk_crash(d);
		else
			disk_kill(p);
		store_close(s);
		disk_process_free(p);
		char page[4096];
		memset(page, 0xaa, sizeof(page));
		assert_int_equal(disk_damage(d, DISK_DATABASE, disk_size(d, DISK_DATABASE) - 4096, page, 4096), 0);
		p = disk_process_new(d);
		s = NULL;
		assert_int_equal(open_store(p, &s), cut ? STORE_CORRUPT : 0);
		store_close(s);
		disk_process_free(p);
		disk_free(d);
	}
}

static void test_file_removed(void **state)
{
	struct disk *d = disk_new_from(*state, 1);
	struct disk_process *p = disk_process_new(d);
	struct store *s = NULL;
	assert_int_equal(open_store(p, &s), 0);
	assert_int_equal(try_step(s, 1, "{}"), 0);
	assert_int_equal(disk_remove(d, DISK_DATABASE), 0);
	assert_int_equal(try_step(s, 2, "{}"), -ESTALE);
	assert_non_null(strstr(store_error_text(s), "was removed or replaced"));
	store_close(s);
	disk_process_free(p);
	disk_free(d);
}

/* --- full disks --- */

static int fill(struct store *s, unsigned *n)
{
	cleanup(mem_free_p) char *record = mem_alloc(20001);
	memset(record, 'r', 20000);
	for (unsigned i = 0; i < 10000; i++) {
		int r = try_step(s, *n + 1, record);
		if (r)
			return r;
		++*n;
	}
	return 0;
}

static void test_full_disk(void **state)
{
	struct disk *d = disk_new_from(*state, 1);
	struct disk_process *p = disk_process_new(d);
	struct store *s = NULL;
	unsigned n = 0;
	assert_int_equal(open_store(p, &s), 0);
	disk_set_capacity(d, disk_used(d) + 3000000);
	assert_int_equal(fill(s, &n), -ENOSPC);
	assert_string_equal(store_error_text(s),
			    "the disk is full: free space under /var/lib/rolloutd; nothing was recorded");
	assert_true(n > 3);
	assert_int_equal(count_steps(s), n);
	assert_true(store_spend_reserve(s));
	assert_int_equal(try_step(s, n + 1, "{}"), 0);
	n++;
	assert_false(store_spend_reserve(s));
	assert_int_equal(fill(s, &n), -ENOSPC);
	/* Pruning holds the reserve back anew, once there is room. */
	disk_set_capacity(d, disk_used(d) + 10000000);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_prune(s, 0, 0), 0);
	assert_int_equal(store_commit(s), 0);
	assert_true(disk_size(d, RESERVE_PATH) > 0);
	assert_int_equal(fill(s, &n), -ENOSPC);
	/* The power goes, and somebody else fills it to the last byte: the daemon still starts, with the reserve. */
	disk_crash(d);
	store_close(s);
	disk_process_free(p);
	disk_set_capacity(d, disk_used(d));
	assert_true(disk_size(d, RESERVE_PATH) > 0);
	for (unsigned i = 0; i < 3; i++) {
		p = disk_process_new(d);
		assert_int_equal(open_store(p, &s), 0);
		assert_int_equal(count_steps(s), n);
		disk_crash(d);
		store_close(s);
		disk_process_free(p);
		assert_int_equal(disk_size(d, RESERVE_PATH), 0);
	}
	assert_true(is_sound(d));
	disk_free(d);
}

/* --- two daemons --- */

static void test_two_daemons(void **state)
{
	struct disk *d = disk_new_from(*state, 1);
	struct disk_process *p = disk_process_new(d);
	struct disk_process *q = disk_process_new(d);
	struct store *first = NULL;
	struct store *second = NULL;
	assert_int_equal(open_store(p, &first), 0);
	assert_int_equal(open_store(q, &second), STORE_LOCKED);
	assert_non_null(strstr(store_error_text(NULL), "in use by another rolloutd (process 1001)"));
	assert_int_equal(try_step(first, 1, "{}"), 0);
	/* Without its lock it may go on until another has opened the file, and then no more. */
	assert_int_equal(disk_remove(d, LOCK_PATH), 0);
	assert_int_equal(try_step(first, 2, "{}"), 0);
	assert_int_equal(open_store(q, &second), 0);
	assert_int_equal(try_step(first, 3, "{}"), STORE_LOCKED);
	assert_int_equal(count_steps(first), 2);
	assert_int_equal(try_step(second, 3, "{}"), 0);
	assert_int_equal(count_steps(first), 3);
	store_close(first);
	disk_process_free(p);
	/* A death frees the lock at once, and what the dead one does later takes nobody else's away. */
	disk_kill(q);
	p = disk_process_new(d);
	assert_int_equal(open_store(p, &first), 0);
	store_close(second);
	disk_process_free(q);
	q = disk_process_new(d);
	assert_int_equal(open_store(q, &second), STORE_LOCKED);
	assert_int_equal(store_epoch(first), 4);
	assert_int_equal(count_steps(first), 3);
	store_close(first);
	disk_process_free(p);
	disk_process_free(q);
	disk_free(d);
}

/* The owner is killed at each operation of its steps while a stale one still has the file and its memory open. */
static void test_killed_beside_another(void **state)
{
	bool died = true;
	for (uint64_t at = 1; died; at++) {
		struct disk *d = disk_new_from(*state, at);
		struct disk_process *stale = disk_process_new(d);
		struct disk_process *owner = disk_process_new(d);
		struct store *left = NULL;
		struct store *s = NULL;
		assert_int_equal(open_store(stale, &left), 0);
		assert_int_equal(disk_remove(d, LOCK_PATH), 0);
		assert_int_equal(open_store(owner, &s), 0);
		unsigned done = 0;
		disk_kill_at(owner, at);
		while (done < 3 && try_step(s, done + 1, "{}") == 0 && !disk_process_is_dead(owner))
			done++;
		died = disk_process_is_dead(owner);
		store_close(s);
		disk_process_free(owner);
		assert_in_range(count_steps(left), done, done + 1);
		struct disk_process *next = disk_process_new(d);
		assert_int_equal(open_store(next, &s), 0);
		int64_t steps = count_steps(s);
		assert_in_range(steps, done, done + 1);
		assert_int_equal(try_step(s, (unsigned)steps + 1, "{}"), 0);
		assert_int_equal(try_step(left, (unsigned)steps + 2, "{}"), STORE_LOCKED);
		store_close(left);
		disk_process_free(stale);
		assert_int_equal(count_steps(s), steps + 1);
		store_close(s);
		disk_process_free(next);
		assert_true(is_sound(d));
		disk_free(d);
	}
}

/* --- speed: printed, since no test hangs on a clock --- */

static double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void test_speed(void **state)
{
	enum { OPENINGS = 200 };
	double begun = cpu_us();
	for (uint64_t seed = 0; seed < OPENINGS; seed++) {
		struct disk *d = disk_new_from(*state, seed);
		struct disk_process *p = disk_process_new(d);
		struct store *s = NULL;
		assert_int_equal(open_store(p, &s), 0);
		disk_kill(p);
		store_close(s);
		disk_process_free(p);
		disk_free(d);
	}
	print_message("a disk with a store opened on it: %.0f us of CPU\n", (cpu_us() - begun) / OPENINGS);
}

static int set_up(void **state)
{
	/* As the simulator has it. */
	disk_quicken();
	*state = make_template();
	return 0;
}

static int tear_down(void **state)
{
	disk_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lives),
	    cmocka_unit_test(test_lives_of_the_flight),
	    cmocka_unit_test(test_lives_with_faults),
	    cmocka_unit_test(test_forgotten_log),
	    cmocka_unit_test(test_lying_disk),
	    cmocka_unit_test(test_deterministic),
	    cmocka_unit_test(test_faults_everywhere),
	    cmocka_unit_test(test_faults_after_power_cut),
	    cmocka_unit_test(test_faults_at_first_opening),
	    cmocka_unit_test(test_torn_log),
	    cmocka_unit_test(test_damaged_file),
	    cmocka_unit_test(test_file_removed),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_two_daemons),
	    cmocka_unit_test(test_killed_beside_another),
	    cmocka_unit_test(test_speed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
