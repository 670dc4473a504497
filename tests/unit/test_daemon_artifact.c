/* Files that are to be uploaded, and the watch on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

static char *resolve(const char *path, char *resolved);

/* The daemon is a program and no library: its parts are compiled into the test. */
#define realpath resolve
#include "daemon/artifact.c"
#undef realpath
#include "folder.h"
#define free_when_closed watchfile_free_when_closed
#include "daemon/watchfile.c"

#define GUARD_MS 20000 /* a test that waits for so long has failed */
#define LOOK_MS	 10    /* of the watch */

struct outcome {
	unsigned answers;
	char error[LIMIT_REASON];
	char sha256[BASE64_SHA256];
	char *base64;
	uint64_t size;
};

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	bool late;
	char folder[64];
	struct artifacts *artifacts;
	struct watchfile *watch;
	struct outcome outcome;
	const char *listed[4];
	unsigned changes;
	char changed[64];
};

static void guard_cb(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

static int rig_setup(void **state)
{
	struct rig *r = mem_alloc(sizeof(*r));
	snprintf(r->folder, sizeof(r->folder), "/tmp/rollout-test-artifact-XXXXXX");
	if (!mkdtemp(r->folder) || uv_loop_init(&r->loop) != 0)
		return -1;
	uv_timer_init(&r->loop, &r->guard);
	r->guard.data = r;
	uv_timer_start(&r->guard, guard_cb, GUARD_MS, 0);
	uv_unref((uv_handle_t *)&r->guard);
	r->artifacts = artifacts_new(&r->loop, r->folder);
	*state = r;
	return 0;
}

static int rig_teardown(void **state)
{
	struct rig *r = *state;
	artifacts_close(r->artifacts);
	watchfile_close(r->watch);
	uv_close((uv_handle_t *)&r->guard, NULL);
	while (uv_run(&r->loop, UV_RUN_DEFAULT) != 0)
		;
	int rc = uv_loop_close(&r->loop);
	if (folder_remove(r->folder) != 0)
		rc = -1;
	free(r->outcome.base64);
	free(r);
	return rc;
}

static char *put(const struct rig *r, const char *name, const char *bytes, size_t len)
{
	char *path = mem_printf("%s/%s", r->folder, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void loaded(void *arg, const struct artifact *a)
{
	struct outcome *o = arg;
	o->answers++;
	snprintf(o->error, sizeof(o->error), "%s", a->error ? a->error : "");
	if (a->error)
		return;
	snprintf(o->sha256, sizeof(o->sha256), "%s", a->sha256);
	free(o->base64);
	o->base64 = mem_strdup(a->base64);
	o->size = a->size;
}

static const struct outcome *load(struct rig *r, const char *path, bool content)
{
	free(r->outcome.base64);
	r->outcome = (struct outcome){0};
	artifacts_load(r->artifacts, path, content, loaded, &r->outcome);
	assert_int_equal(r->outcome.answers, 0);
	while (r->outcome.answers == 0) {
		assert_false(r->late);
		uv_run(&r->loop, UV_RUN_ONCE);
	}
	return &r->outcome;
}

static void wrong(struct rig *r, const char *path, const char *because)
{
	const struct outcome *o = load(r, path, true);
	if (!strstr(o->error, because))
		fail_msg("'%s' does not say '%s'", o->error, because);
}

/* A file whose times lie so far back that they tell of every later change. */
static void age(const char *path)
{
	const struct timeval old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	assert_int_equal(utimes(path, old), 0);
}

/* --- reading --- */

static void test_a_zip(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = put(r, "a.zip", "PK\3\4hello", 9);
	const struct outcome *o = load(r, "a.zip", true);
	assert_string_equal(o->error, "");
	assert_string_equal(o->base64, "UEsDBGhlbGxv");
	/* printf 'PK\3\4hello' | openssl dgst -sha256 -binary | base64 */
	assert_string_equal(o->sha256, "fkRweGtQ+4+Xo9KHdkkUl8T8l3MxfCviYWLwiOivjwE=");
	assert_int_equal(o->size, 9);
	/* The hash alone, and by an absolute path. */
	o = load(r, path, false);
	assert_null(o->base64);
	assert_string_equal(o->sha256, "fkRweGtQ+4+Xo9KHdkkUl8T8l3MxfCviYWLwiOivjwE=");
}

static void event_loaded(void *arg, const struct artifact *a)
{
	struct outcome *o = arg;
	o->answers++;
	snprintf(o->error, sizeof(o->error), "%s", a->error ? a->error : "");
	free(o->base64);
	o->base64 = a->error ? NULL : mem_strndup(a->text, a->size);
	o->size = a->size;
}

static const struct outcome *load_event(struct rig *r, const char *path)
{
	free(r->outcome.base64);
	r->outcome = (struct outcome){0};
	artifacts_load_event(r->artifacts, path, event_loaded, &r->outcome);
	while (r->outcome.answers == 0) {
		assert_false(r->late);
		uv_run(&r->loop, UV_RUN_ONCE);
	}
	return &r->outcome;
}

/* Any text; whether it is JSON is not for this to say. */
static void test_an_event(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = put(r, "e.json", "{\"a\": 1}\n", 9);
	cleanup(mem_free_p) char *large = mem_alloc(LIMIT_PROBE_BYTES + 1);
	const struct outcome *o = load_event(r, "e.json");
	assert_string_equal(o->error, "");
	assert_string_equal(o->base64, "{\"a\": 1}\n");
	assert_int_equal(o->size, 9);
	/* It was never a zip, however often it was read. */
	age(path);
	(void)load_event(r, path);
	wrong(r, path, "is no zip file");
	o = load_event(r, "none.json");
	assert_non_null(strstr(o->error, "none.json does not exist: write it, or correct the plan's path"));
	memset(large, ' ', LIMIT_PROBE_BYTES + 1);
	cleanup(mem_free_p) char *fits = put(r, "fits.json", large, LIMIT_PROBE_BYTES);
	cleanup(mem_free_p) char *does_not = put(r, "large.json", large, LIMIT_PROBE_BYTES + 1);
	assert_int_equal(load_event(r, fits)->size, LIMIT_PROBE_BYTES);
	o = load_event(r, does_not);
	assert_non_null(
	    strstr(o->error, "large.json is too large: 262145 bytes, and a probe's event has at most 262144"));
	assert_int_equal(chmod(path, 0666), 0);
	o = load_event(r, path);
	assert_non_null(strstr(o->error, "can be written by everybody"));
}

/* The function that it is sent to is the plan's choice: a link or a path out of the folder must not choose the file. */
static void test_an_event_from_elsewhere(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *link = mem_printf("%s/link.json", r->folder);
	cleanup(mem_free_p) char *inside = put(r, "inside.json", "{}", 2);
	cleanup(mem_free_p) char *around = mem_printf("../%s/inside.json", strrchr(r->folder, '/') + 1);
	assert_int_equal(symlink("/etc/hostname", link), 0);
	assert_non_null(strstr(load_event(r, "link.json")->error, "is not beneath the plans folder (/tmp/"));
	assert_non_null(strstr(load_event(r, "/etc/hostname")->error, "is not beneath the plans folder"));
	assert_non_null(strstr(load_event(r, "../../etc/hostname")->error, "is not beneath the plans folder"));
	assert_string_equal(load_event(r, inside)->error, "");
	assert_string_equal(load_event(r, around)->error, "");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("inside.json", link), 0);
	assert_string_equal(load_event(r, "link.json")->error, "");
}

static const char *turned; /* a link that is turned to /etc/hostname once it was looked at */

static char *resolve(const char *path, char *resolved)
{
	char *file = realpath(path, resolved);
	if (turned && strcmp(path, turned) == 0) {
		assert_int_equal(unlink(turned), 0);
		assert_int_equal(symlink("/etc/hostname", turned), 0);
		turned = NULL;
	}
	return file;
}

static void test_a_link_that_is_turned_meanwhile(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *link = mem_printf("%s/link.json", r->folder);
	cleanup(mem_free_p) char *inside = put(r, "inside.json", "{}", 2);
	assert_int_equal(symlink(inside, link), 0);
	turned = link;
	const struct outcome *o = load_event(r, "link.json");
	assert_null(turned);
	assert_null(o->base64);
	assert_non_null(strstr(o->error, "link.json is not beneath the plans folder"));
}

/* Blocks are encoded one by one: the result is that of the whole. */
static void test_a_zip_of_many_blocks(void **state)
{
	struct rig *r = *state;
	for (size_t extra = 0; extra < 4; extra++) {
		size_t len = 2 * BLOCK_BYTES + extra;
		cleanup(mem_free_p) char *bytes = mem_alloc(len);
		cleanup(mem_free_p) unsigned char *base64 = mem_alloc(len / 3 * 4 + 8);
		unsigned char hash[SHA256_BYTES];
		char sha256[BASE64_SHA256];
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(i * 7 + i / 251);
		memcpy(bytes, "PK\3\4", 4);
		cleanup(mem_free_p) char *path = put(r, "b.zip", bytes, len);
		sha256_bytes(bytes, len, hash);
		EVP_EncodeBlock((unsigned char *)sha256, hash, sizeof(hash));
		EVP_EncodeBlock(base64, (unsigned char *)bytes, (int)len);
		const struct outcome *o = load(r, path, true);
		assert_string_equal(o->error, "");
		assert_string_equal(o->sha256, sha256);
		assert_string_equal(o->base64, (char *)base64);
		assert_int_equal(o->size, len);
	}
}

static void test_what_is_no_zip(void **state)
{
	struct rig *r = *state;
	free(put(r, "text.zip", "hello", 5));
	free(put(r, "empty.zip", "", 0));
	free(put(r, "nothing.zip", "PK\5\6", 4)); /* a zip without a file in it */
	cleanup(mem_free_p) char *pipe = mem_printf("%s/pipe.zip", r->folder);
	cleanup(mem_free_p) char *large = put(r, "large.zip", "PK\3\4", 4);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(truncate(large, (off_t)LIMIT_ZIP_BYTES + 1), 0);
	wrong(r, "text.zip", "is no zip file");
	wrong(r, "empty.zip", "is empty");
	wrong(r, "nothing.zip", "is no zip file");
	wrong(r, "pipe.zip", "is not a regular file");
	wrong(r, r->folder, "is not a regular file");
	wrong(r, "absent.zip", "does not exist");
	wrong(r, "large.zip", "is too large: 52428801 bytes");
	assert_int_equal(chmod(large, 0646), 0);
	wrong(r, "large.zip", "can be written by everybody (mode 0646)");
	assert_int_equal(chmod(large, 0664), 0); /* a group that builds together may */
	assert_int_equal(truncate(large, LIMIT_ZIP_BYTES), 0);
	assert_string_equal(load(r, "large.zip", false)->error, "");
}

/* Found out after the last byte was read. */
static void test_a_file_that_is_being_written(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = put(r, "w.zip", "PK\3\4one", 7);
	struct load l = {.file = path};
	int fd = open_file(&l);
	assert_true(fd >= 0);
	assert_int_equal(check_unchanged(&l), 0);
	FILE *f = fopen(path, "ae");
	assert_non_null(f);
	fputs("more", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(check_unchanged(&l), -1);
	assert_non_null(strstr(l.error, "is being written"));
	close(fd);

	/* Another file took its name meanwhile. */
	l.error[0] = '\0';
	fd = open_file(&l);
	cleanup(mem_free_p) char *other = put(r, "other.zip", "PK\3\4onemore", 11);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(check_unchanged(&l), -1);
	assert_non_null(strstr(l.error, "is being written"));
	close(fd);

	l.error[0] = '\0';
	assert_int_equal(unlink(path), 0);
	assert_int_equal(check_unchanged(&l), -1);
	assert_non_null(strstr(l.error, "vanished"));
}

static void test_a_hash_is_remembered_while_the_file_is_the_same(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = put(r, "m.zip", "PK\3\4one", 7);
	char first[BASE64_SHA256];
	snprintf(first, sizeof(first), "%s", load(r, "m.zip", false)->sha256);
	/* Too young to be remembered. */
	assert_null(find_memory(r->artifacts, "m.zip"));

	/* What is remembered is told without reading: a false memory shows. */
	struct memory *m = &r->artifacts->memories[0];
	struct load l = {.file = path};
	close(open_file(&l));
	*m = (struct memory){.path = mem_strdup("m.zip"), .identity = l.identity, .sha256 = "remembered"};
	assert_string_equal(load(r, "m.zip", false)->sha256, "remembered");
	/* Not when the content is wanted as well, */
	assert_string_equal(load(r, "m.zip", true)->sha256, first);
	/* and not when any of its times has changed. */
	age(path);
	assert_string_equal(load(r, "m.zip", false)->sha256, first);
}

static void test_a_stamp_changes_with_the_file(void **state)
{
	struct rig *r = *state;
	assert_int_equal(artifacts_stamp(r->artifacts, "s.zip"), 0);
	char *path = put(r, "s.zip", "PK", 2);
	uint64_t first = artifacts_stamp(r->artifacts, "s.zip");
	assert_int_not_equal(first, 0);
	assert_int_equal(artifacts_stamp(r->artifacts, "s.zip"), first);
	assert_int_equal(artifacts_stamp(r->artifacts, path), first);
	age(path);
	uint64_t aged = artifacts_stamp(r->artifacts, "s.zip");
	assert_int_not_equal(aged, first);
	free(put(r, "s.zip", "PKZ", 3));
	assert_int_not_equal(artifacts_stamp(r->artifacts, "s.zip"), aged);
	free(path);
}

static void test_the_daemon_stops(void **state)
{
	struct rig *r = *state;
	struct outcome many[5] = {0};
	cleanup(mem_free_p) char *path = put(r, "s.zip", "PK\3\4one", 7);
	for (size_t i = 0; i < array_len(many); i++)
		artifacts_load(r->artifacts, path, true, loaded, &many[i]);
	uv_run(&r->loop, UV_RUN_NOWAIT); /* one is under way */
	artifacts_close(r->artifacts);
	r->artifacts = NULL;
	for (size_t i = 0; i < array_len(many); i++) {
		assert_int_equal(many[i].answers, 1);
		free(many[i].base64);
	}
	assert_non_null(strstr(many[4].error, "the daemon stops"));
}

/* --- the watch --- */

static void each(void *ctx, void (*cb)(void *cb_ctx, const char *path), void *cb_ctx)
{
	struct rig *r = ctx;
	for (size_t i = 0; i < array_len(r->listed) && r->listed[i]; i++)
		cb(cb_ctx, r->listed[i]);
}

static void changed(void *ctx, const char *path)
{
	struct rig *r = ctx;
	r->changes++;
	snprintf(r->changed, sizeof(r->changed), "%s", path);
}

static void start_watch(struct rig *r)
{
	struct watchfile_ops ops = {.ctx = r, .each = each, .changed = changed};
	r->watch = watchfile_new(&r->loop, r->folder, LOOK_MS, &ops);
	watchfile_list(r->watch);
}

static void beat(uv_timer_t *timer)
{
	++*(unsigned *)timer->data;
}

/* Lets the loop run for some looks. */
static void let_pass(struct rig *r, unsigned looks)
{
	unsigned beats = 0;
	uv_timer_t timer;
	uv_timer_init(&r->loop, &timer);
	timer.data = &beats;
	uv_timer_start(&timer, beat, LOOK_MS, LOOK_MS);
	while (beats < looks)
		uv_run(&r->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&r->loop, UV_RUN_NOWAIT);
}

static void wait_for_change(struct rig *r)
{
	while (r->changes == 0) {
		assert_false(r->late);
		uv_run(&r->loop, UV_RUN_ONCE);
	}
}

static void test_a_change_is_told_once(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = put(r, "a.zip", "PK\3\4one", 7);
	age(path);
	r->listed[0] = "a.zip";
	r->listed[1] = path; /* the same file by another name is watched as well */
	start_watch(r);
	r->listed[1] = NULL;
	watchfile_list(r->watch);
	let_pass(r, 5);
	assert_int_equal(r->changes, 0);
	free(put(r, "a.zip", "PK\3\4two", 7));
	wait_for_change(r);
	assert_string_equal(r->changed, "a.zip");
	let_pass(r, 10);
	assert_int_equal(r->changes, 1);
}

static void test_a_file_that_appears(void **state)
{
	struct rig *r = *state;
	r->listed[0] = "new.zip";
	start_watch(r);
	let_pass(r, 5); /* that it is not there may be told, too */
	r->changes = 0;
	free(put(r, "new.zip", "PK\3\4one", 7));
	wait_for_change(r);
	assert_string_equal(r->changed, "new.zip");
}

static void test_what_is_not_listed_any_more(void **state)
{
	struct rig *r = *state;
	cleanup(mem_free_p) char *path = put(r, "a.zip", "PK\3\4one", 7);
	age(path);
	r->listed[0] = "a.zip";
	start_watch(r);
	let_pass(r, 5);
	r->listed[0] = NULL;
	watchfile_list(r->watch);
	free(put(r, "a.zip", "PK\3\4two", 7));
	let_pass(r, 10);
	assert_int_equal(r->changes, 0);
}

/* Written piece by piece it is told of when it has been left alone, not before: each look that finds something new
 * starts the wait anew. */
static void test_a_file_that_goes_on_changing(void **state)
{
	struct rig *r = *state;
	free(put(r, "a.zip", "PK\3\4one", 7));
	r->listed[0] = "a.zip";
	start_watch(r);
	let_pass(r, 5);
	struct watched *f = r->watch->files;
	r->watch->interval_ms = 1000;
	poll_cb(&f->poll, 0, NULL, NULL);
	assert_int_equal(uv_timer_get_due_in(&f->quiet), 1500);
	let_pass(r, 3);
	assert_in_range(uv_timer_get_due_in(&f->quiet), 1, 1499);
	poll_cb(&f->poll, 0, NULL, NULL);
	assert_int_equal(uv_timer_get_due_in(&f->quiet), 1500);
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    test(test_a_zip),
	    test(test_an_event),
	    test(test_an_event_from_elsewhere),
	    test(test_a_link_that_is_turned_meanwhile),
	    test(test_a_zip_of_many_blocks),
	    test(test_what_is_no_zip),
	    test(test_a_file_that_is_being_written),
	    test(test_a_hash_is_remembered_while_the_file_is_the_same),
	    test(test_a_stamp_changes_with_the_file),
	    test(test_the_daemon_stops),
	    test(test_a_change_is_told_once),
	    test(test_a_file_that_appears),
	    test(test_what_is_not_listed_any_more),
	    test(test_a_file_that_goes_on_changing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
