/* The control socket's parts: its file, its callers' rights, and the stream of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine.h"

/* One service, "hello", with two aliases. */
static bool fake_engine_service(struct engine *e, const char *name, engine_service_cb cb, void *ctx)
{
	static const struct view_service_alias aliases[] = {{.name = "prod"}, {.name = "test"}};
	(void)e;
	if (strcmp(name, "hello") != 0)
		return false;
	cb(ctx, &(struct view_service){.name = "hello", .aliases = aliases, .n_aliases = 2});
	return true;
}

/* The daemon is a program and no library: its parts are compiled into the test. */
#define engine_service fake_engine_service
#include "daemon/control/family.c"
#include "daemon/control/listen.c"
#include "daemon/control/peer.c"
#include "daemon/control/stream.c"

static char folder[64];

static int make_folder_(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/rollout-test-control-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	(void)state;
	return rmdir(folder); /* fails when a test left something in it */
}

static char *in_folder(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* --- the file --- */

static void test_a_private_socket(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("run/c.sock"), *run = in_folder("run");
	struct listener l;
	char error[256] = "";
	mode_t before = umask(077);
	assert_int_equal(listen_open(path, (gid_t)-1, &l, error, sizeof(error)), 0);
	assert_int_equal(umask(before), 077);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(run), 0755); /* whatever the umask is */
	close(connect_to(path));
	listen_deinit(&l);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(l.fd, -1);
	assert_int_equal(rmdir(run), 0);
}

static void test_a_socket_for_a_group(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("c.sock");
	struct listener l;
	struct stat st;
	char error[256] = "";
	assert_int_equal(listen_open(path, getegid(), &l, error, sizeof(error)), 0);
	assert_int_equal(mode_of(path), 0660);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_gid, getegid());
	listen_deinit(&l);
}

static void test_a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("c.sock");
	struct listener first, second;
	char error[256] = "";
	assert_int_equal(listen_open(path, (gid_t)-1, &first, error, sizeof(error)), 0);
	assert_int_equal(listen_open(path, (gid_t)-1, &second, error, sizeof(error)), -EADDRINUSE);
	assert_non_null(strstr(error, "another daemon listens at"));
	close(connect_to(path)); /* it was left alone */

	/* Its file was removed under it: the first one's end does not take the second one's away. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(listen_open(path, (gid_t)-1, &second, error, sizeof(error)), 0);
	listen_deinit(&first);
	close(connect_to(path));

	/* As if the second one had been killed. */
	close(second.fd);
	free(second.path);
	struct listener third;
	assert_int_equal(listen_open(path, (gid_t)-1, &third, error, sizeof(error)), 0);
	close(connect_to(path));
	listen_deinit(&third);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("c.sock"), *elsewhere = in_folder("no/such/c.sock");
	struct listener l;
	char error[256] = "", longest[200];
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(listen_open(path, (gid_t)-1, &l, error, sizeof(error)), -EEXIST);
	assert_non_null(strstr(error, "is no socket"));
	assert_int_equal(unlink(path), 0);

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(listen_open(longest, (gid_t)-1, &l, error, sizeof(error)), -ENAMETOOLONG);
	assert_non_null(strstr(error, "at most 107"));
	assert_int_equal(listen_open(elsewhere, (gid_t)-1, &l, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/no/such cannot be made: No such file or directory"));
}

static void test_an_adopted_socket_stays(void **state)
{
	(void)state;
	cleanup(mem_free_p) char *path = in_folder("c.sock");
	struct listener own, adopted;
	char error[256] = "";
	assert_int_equal(listen_open(path, (gid_t)-1, &own, error, sizeof(error)), 0);
	listen_adopt(dup(own.fd), &adopted);
	listen_deinit(&adopted);
	close(connect_to(path));
	listen_deinit(&own);
}

/* --- rights --- */

static void test_who_may_do_what(void **state)
{
	(void)state;
	const struct peer_rules rules = {.own = 100, .look = 500, .submit = 600};
	const struct peer_rules nobody = {.own = 100, .look = PEER_NO_GROUP, .submit = PEER_NO_GROUP};
	const struct peer root = {.uid = 0, .gid = 7};
	const struct peer own = {.uid = 100, .gid = 7};
	const struct peer stranger = {.uid = 1000, .gid = 1000, .groups = {4, 24}, .n_groups = 2};
	const struct peer looker = {.uid = 1000, .gid = 1000, .groups = {4, 500}, .n_groups = 2};
	const struct peer main_group = {.uid = 1000, .gid = 500};
	const struct peer submitter = {.uid = 1000, .gid = 1000, .groups = {500, 600}, .n_groups = 2};
	const struct peer odd = {.uid = 1000, .gid = (gid_t)-1, .groups = {(gid_t)-1}, .n_groups = 1};
	/* A group behind the end of the list does not count. */
	const struct peer stale = {.uid = 1000, .gid = 1000, .groups = {500, 600}, .n_groups = 0};

	assert_true(peer_may_look(&root, &nobody) && peer_may_submit(&root, &nobody));
	assert_true(peer_may_look(&own, &nobody) && peer_may_submit(&own, &nobody));
	assert_false(peer_may_look(&stranger, &rules) || peer_may_submit(&stranger, &rules));
	assert_true(peer_may_look(&looker, &rules));
	assert_false(peer_may_submit(&looker, &rules));
	assert_true(peer_may_look(&main_group, &rules));
	assert_true(peer_may_look(&submitter, &rules) && peer_may_submit(&submitter, &rules));
	assert_false(peer_may_look(&odd, &nobody) || peer_may_submit(&odd, &nobody));
	assert_false(peer_may_look(&stale, &rules) || peer_may_submit(&stale, &rules));
}

static void test_the_kernel_says_who_it_is(void **state)
{
	(void)state;
	int pair[2];
	struct peer p;
	char text[48], expected[48];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(peer_read(pair[0], &p), 0);
	assert_int_equal(p.uid, geteuid());
	assert_int_equal(p.gid, getegid());
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.n_groups, getgroups(0, NULL));
	peer_format(&p, text);
	snprintf(expected, sizeof(expected), "uid=%u pid=%d", geteuid(), getpid());
	assert_string_equal(text, expected);
	close(pair[0]);
	close(pair[1]);
	assert_true(peer_read(-1, &p) < 0);
}

static void test_groups_by_name(void **state)
{
	(void)state;
	gid_t gid = 77;
	assert_int_equal(peer_find_group("root", &gid), PEER_GROUP_FOUND);
	assert_int_equal(gid, 0);
	gid = 77;
	assert_int_equal(peer_find_group("no-such-group-here", &gid), PEER_GROUP_UNKNOWN);
	assert_int_equal(gid, 77);
}

/* --- the stream --- */

static uint64_t put_event(struct store *s, const char *name, const char *text)
{
	uint64_t id = 0;
	const struct store_event e = {
	    .name = name, .unix_ms = 1000, .kind = "phase", .phase = "", .text = text, .by = ""};
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_put_event(s, &e, &id), 0);
	assert_int_equal(store_commit(s), 0);
	return id;
}

/* All that the stream has now, the texts of its events alone: "one two ". */
static char *read_texts(struct stream *s, size_t piece)
{
	struct buf lines = BUF_INIT(4 * 1024 * 1024), texts = BUF_INIT(1024 * 1024);
	char bytes[4096];
	long n;
	while ((n = stream_read(s, bytes, piece)) > 0)
		buf_add(&lines, bytes, (size_t)n);
	assert_int_equal(n, 0);
	for (const char *line = buf_text(&lines); *line;) {
		const char *end = strchr(line, '\n');
		assert_non_null(end);
		json_t *event = end > line ? json_loadb(line, (size_t)(end - line), 0, NULL) : NULL;
		buf_addf(&texts, "%s ", event ? json_string_value(json_object_get(event, "text")) : "-");
		json_decref(event);
		line = end + 1;
	}
	buf_deinit(&lines);
	return buf_take(&texts);
}

static void assert_texts(struct stream *s, size_t piece, const char *expected)
{
	char *got = read_texts(s, piece);
	assert_string_equal(got, expected);
	free(got);
}

static void test_a_stream_begins_where_it_is_told(void **state)
{
	(void)state;
	struct store *store = store_open_memory();
	struct control_request r = {.limit = 2};
	uint64_t first = put_event(store, "a", "one");
	put_event(store, "b", "two");
	put_event(store, "a", "three");

	struct stream *newest = stream_new(NULL, store, &r);
	assert_texts(newest, 4096, "two three ");
	assert_texts(newest, 4096, "");

	r.after = first; /* everything since then, whatever the limit */
	put_event(store, "a", "four");
	put_event(store, "a", "five");
	struct stream *since = stream_new(NULL, store, &r);
	assert_texts(since, 4096, "two three four five ");
	assert_texts(newest, 3, "four five "); /* in any pieces */

	r = (struct control_request){.limit = 100, .name = "b"};
	struct stream *named = stream_new(NULL, store, &r);
	assert_texts(named, 4096, "two ");
	assert_true(stream_wants(named, "b"));
	assert_false(stream_wants(named, "a"));
	assert_true(stream_wants(since, "a"));
	stream_free(newest);
	stream_free(since);
	stream_free(named);
	store_close(store);
}

static void test_a_slow_follower_misses_nothing(void **state)
{
	(void)state;
	struct store *store = store_open_memory();
	struct control_request r = {.limit = 1};
	struct stream *s = stream_new(NULL, store, &r); /* of an empty record */
	struct buf expected = BUF_INIT(64 * 1024);
	assert_texts(s, 4096, "");
	for (unsigned i = 0; i < 350; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%u", i);
		put_event(store, "a", text);
		buf_addf(&expected, "%s ", text);
	}
	assert_texts(s, 100, buf_text(&expected));
	stream_beat(s);
	assert_texts(s, 4096, "- "); /* an empty line */
	assert_texts(s, 4096, "");
	buf_deinit(&expected);
	stream_free(s);
	store_close(store);
}

static void assert_events(struct store *store, const char *name, uint64_t after, unsigned limit, const char *expected)
{
	struct buf texts = BUF_INIT(4096);
	json_t *events = json_array();
	assert_int_equal(family_collect_events(NULL, store, name, after, limit, events), 0);
	for (size_t i = 0; i < json_array_size(events); i++)
		buf_addf(&texts, "%s ", json_string_value(json_object_get(json_array_get(events, i), "text")));
	assert_string_equal(buf_text(&texts), expected);
	json_decref(events);
	buf_deinit(&texts);
}

static void test_events_of_a_service_have_its_rollouts(void **state)
{
	(void)state;
	struct store *store = store_open_memory();
	put_event(store, "hello", "one");
	put_event(store, "hello.prod", "two");
	put_event(store, "hello-prod", "another");
	uint64_t third = put_event(store, "hello.test", "three");
	put_event(store, "other.prod", "another");
	put_event(store, "hello.prod", "four");
	put_event(store, "hello", "five");
	assert_events(store, "hello", 0, 100, "one two three four five ");
	assert_events(store, "hello", 0, 3, "three four five "); /* the newest */
	assert_events(store, "hello", 0, 1, "five ");
	assert_events(store, "hello", third, 100, "four five ");
	assert_events(store, "hello", third, 1, "four "); /* the oldest of those */
	assert_events(store, "hello.prod", 0, 100, "two four ");
	assert_events(store, "hello-prod", 0, 100, "another ");
	assert_events(store, "", 0, 2, "four five ");
	assert_events(store, "absent", 0, 100, "");

	struct control_request r = {.limit = 2, .name = "hello"};
	struct stream *s = stream_new(NULL, store, &r);
	assert_texts(s, 4096, "four five ");
	put_event(store, "hello.test", "six");
	put_event(store, "hello.tes", "another");
	put_event(store, "hello", "seven");
	assert_texts(s, 4096, "six seven ");
	assert_true(stream_wants(s, "hello"));
	assert_true(stream_wants(s, "hello.prod"));
	assert_false(stream_wants(s, "hello-prod"));
	assert_false(stream_wants(s, "hell"));
	stream_free(s);
	store_close(store);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, make_folder_, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    with_folder(test_a_private_socket),
	    with_folder(test_a_socket_for_a_group),
	    with_folder(test_a_stale_socket_is_replaced_and_a_live_one_is_not),
	    with_folder(test_what_is_no_socket_is_left_alone),
	    with_folder(test_an_adopted_socket_stays),
	    cmocka_unit_test(test_who_may_do_what),
	    cmocka_unit_test(test_the_kernel_says_who_it_is),
	    cmocka_unit_test(test_groups_by_name),
	    cmocka_unit_test(test_a_stream_begins_where_it_is_told),
	    cmocka_unit_test(test_a_slow_follower_misses_nothing),
	    cmocka_unit_test(test_events_of_a_service_have_its_rollouts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
