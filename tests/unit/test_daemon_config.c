/* The daemon's configuration, and its log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"

/* The daemon is a program and no library: its parts are compiled into the test. */
#include "daemon/config.c"
#include "daemon/log.c"

static struct config *parse(const char *text, struct diags *diags)
{
	*diags = (struct diags){0};
	return config_parse("/etc/here/rolloutd.yaml", text, strlen(text), diags);
}

/* The diagnostics as one text, as a user sees them. */
static char *complaints(const char *text)
{
	struct diags diags;
	struct buf out = BUF_INIT(1024 * 1024);
	struct config *c = parse(text, &diags);
	assert_null(c);
	diags_format(&diags, "f", &out);
	diags_deinit(&diags);
	return buf_take(&out);
}

static void assert_complaint(const char *text, const char *expected)
{
	char *got = complaints(text);
	assert_string_equal(got, expected);
	free(got);
}

static void test_nothing_gives_defaults(void **state)
{
	(void)state;
	static const char *const empty[] = {"", "\n", "# only a comment\n", "{}\n", "---\n"};
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		struct diags diags;
		struct config *c = parse(empty[i], &diags);
		assert_non_null(c);
		assert_string_equal(c->plans_dir, "/etc/here/plans.d");
		assert_string_equal(c->hooks_dir, "/etc/here/hooks.d");
		assert_string_equal(c->state_dir, "/var/lib/rolloutd");
		assert_string_equal(c->socket, "/run/rolloutd/control.sock");
		assert_null(c->group);
		assert_null(c->submit_group);
		assert_null(c->region);
		assert_false(c->mark);
		assert_float_equal(c->lambda_rps, 10, 0);
		assert_float_equal(c->cloudwatch_rps, 25, 0);
		assert_float_equal(c->apigateway_rps, 5, 0);
		assert_int_equal(c->log_level, LOG_LEVEL_INFO);
		assert_int_equal(c->log_format, LOG_FORMAT_AUTO);
		assert_int_equal(c->history_days, 90);
		assert_int_equal(c->history_keep, 20);
		config_free(c);
		diags_deinit(&diags);
	}
}

static void test_every_key_is_taken(void **state)
{
	(void)state;
	struct diags diags;
	struct config *c = parse("plans_dir: ../p\n"
				 "hooks_dir: /h\n"
				 "state_dir: ./state\n"
				 "control: {socket: run/c.sock, group: ops, submit_group: release_team}\n"
				 "mark: true\n"
				 "region: eu-west-1\n"
				 "accounts:\n"
				 "  default:\n"
				 "  prod-eu: {profile: prod, region: eu-central-1}\n"
				 "limits: {lambda_rps: 0.5, cloudwatch_rps: 50, apigateway_rps: 5.25}\n"
				 "log: {level: debug, format: json}\n"
				 "history_days: 7\n"
				 "history_keep: 3\n",
				 &diags);
	assert_non_null(c);
	assert_string_equal(c->plans_dir, "/etc/here/../p");
	assert_string_equal(c->hooks_dir, "/h");
	assert_string_equal(c->state_dir, "/etc/here/state");
	assert_string_equal(c->socket, "/etc/here/run/c.sock");
	assert_string_equal(c->group, "ops");
	assert_string_equal(c->submit_group, "release_team");
	assert_true(c->mark);
	assert_string_equal(c->region, "eu-west-1");
	assert_int_equal(c->n_accounts, 2);
	assert_null(config_find_account(c, "default")->profile);
	assert_string_equal(config_find_account(c, "prod-eu")->profile, "prod");
	assert_string_equal(config_find_account(c, "prod-eu")->region, "eu-central-1");
	assert_null(config_find_account(c, "other"));
	assert_float_equal(c->lambda_rps, 0.5, 0);
	assert_float_equal(c->apigateway_rps, 5.25, 0);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	assert_int_equal(c->history_days, 7);
	assert_int_equal(c->history_keep, 3);
	config_free(c);
	diags_deinit(&diags);
}

static void test_all_errors_at_once_with_their_place(void **state)
{
	(void)state;
	assert_complaint(
	    "plan_dir: x\n"
	    "mark: yes\n"
	    "region: 'us east'\n"
	    "limits:\n"
	    "  lambda_rps: 0\n"
	    "  cloudwatch_rps: 1e3\n"
	    "  apigateway_rps: 1001\n"
	    "log: {level: loud, format: xml, to: file}\n"
	    "history_days: 0\n"
	    "control: /run/x\n"
	    "state_dir: ''\n",
	    "f:1:1: error: unknown key 'plan_dir': did you mean 'plans_dir'?\n"
	    "f:2:7: error: 'mark': expected true or false\n"
	    "f:3:9: error: 'region': expected a region such as us-east-1\n"
	    "f:5:15: error: 'lambda_rps': expected a number of requests a second, above 0 and at most 1000\n"
	    "f:6:19: error: 'cloudwatch_rps': expected a number of requests a second, above 0 and at most "
	    "1000\n"
	    "f:7:19: error: 'apigateway_rps': expected a number of requests a second, above 0 and at most "
	    "1000\n"
	    "f:8:14: error: 'level': expected one of error, warning, info, debug\n"
	    "f:8:28: error: 'format': expected one of auto, text, json, journal\n"
	    "f:8:33: error: unknown key 'to': expected one of level, format\n"
	    "f:9:15: error: 'history_days': expected a whole number from 1 to 3650\n"
	    "f:10:10: error: 'control': expected a mapping of keys to values\n"
	    "f:11:12: error: 'state_dir' is empty: expected a path\n");
}

static void test_roles_of_accounts(void **state)
{
	(void)state;
	struct diags diags;
	struct config *c = parse("accounts:\n"
				 "  prod: {role_arn: \"arn:aws-cn:iam::111122223333:role/a/b\", external_id: y:/1,\n"
				 "         session_name: me@host, profile: ops}\n"
				 "  bare: {role_arn: \"arn:aws:iam::111122223333:role/x\"}\n",
				 &diags);
	assert_non_null(c);
	const struct config_account *prod = config_find_account(c, "prod"), *bare = config_find_account(c, "bare");
	assert_string_equal(prod->role_arn, "arn:aws-cn:iam::111122223333:role/a/b");
	assert_string_equal(prod->external_id, "y:/1");
	assert_string_equal(prod->session_name, "me@host");
	assert_string_equal(prod->profile, "ops");
	assert_null(bare->external_id);
	assert_null(bare->session_name);
	config_free(c);
	diags_deinit(&diags);

	char *got =
	    complaints("accounts:\n"
		       "  a: {role_arn: \"arn:aws:iam::111122223333:user/x\"}\n"
		       "  b: {role_arn: \"arn:aws:iam::1:role/x y\"}\n"
		       "  c: {external_id: yy}\n"
		       "  d: {session_name: yy}\n"
		       "  e: {role_arn: \"arn:aws:iam::1:role/x\", external_id: \"a b\", session_name: \"a/b\"}\n"
		       "  f: {role_arn: \"arn:aws:iam::1:role/x\", external_id: y, session_name: z}\n"
		       "  Prod!: {}\n");
	assert_non_null(strstr(got, "f:2:17: error: 'role_arn': expected a role's ARN such as"));
	assert_non_null(strstr(got, "f:3:17: error: 'role_arn': expected a role's ARN, of letters"));
	assert_non_null(strstr(got, "f:4:3: error: account 'c' has 'external_id' but no 'role_arn'"));
	assert_non_null(strstr(got, "f:5:3: error: account 'd' has 'session_name' but no 'role_arn'"));
	assert_non_null(strstr(got, "'external_id': expected an external id"));
	assert_non_null(strstr(got, "'session_name': expected the name of a session"));
	assert_non_null(strstr(got, "f:7:55: error: 'external_id': expected an external id, of 2 to 1224"));
	assert_non_null(strstr(got, "f:7:72: error: 'session_name': expected the name of a session, of 2 to 64"));
	assert_non_null(strstr(got, "f:8:3: error: an account's name: expected [a-z0-9-]"));
	free(got);
}

static void test_no_shape_of_document_breaks_it(void **state)
{
	(void)state;
	static const char *const wrong[] = {"- a\n",
					    "text\n",
					    "accounts: [a]\n",
					    "log: [level]\n",
					    "plans_dir: {}\n",
					    "plans_dir: [x]\n",
					    "a: &x 1\n",
					    "a: 1\na: 2\n",
					    "[[[[[[[[[[[[[[[[[[[[",
					    "\xff\xfe",
					    "mark: !!bool true\n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		free(complaints(wrong[i]));
}

static void test_a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	struct diags diags = {0};
	char error[256];
	assert_null(config_load("/nonexistent/rolloutd.yaml", &diags, error, sizeof(error)));
	assert_string_equal(error, "/nonexistent/rolloutd.yaml cannot be read: No such file or directory");
	assert_null(config_load("/dev/null", &diags, error, sizeof(error)));
	assert_string_equal(error, "/dev/null is not a regular file");
	assert_int_equal(diags.len, 0);
	diags_deinit(&diags);
}

static void test_a_file_that_everybody_can_write_is_refused(void **state)
{
	(void)state;
	struct diags diags = {0};
	char error[256], path[] = "/tmp/rollout-test-config-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0646), 0);
	assert_null(config_load(path, &diags, error, sizeof(error)));
	assert_non_null(strstr(error, "can be written by everybody: chmod o-w it"));
	assert_int_equal(fchmod(fd, 0644), 0);
	struct config *c = config_load(path, &diags, error, sizeof(error));
	assert_non_null(c);
	config_free(c);
	diags_deinit(&diags);
	close(fd);
	unlink(path);
}

/* Where requests go and how TLS is judged is not for this file, so nothing in it can turn a check off. */
static void test_no_key_weakens_the_connection(void **state)
{
	(void)state;
	static const char *const keys[] = {"endpoint",	"endpoint_url", "insecure", "verify",	"tls",
					   "ca_bundle", "proxy",	"imds",	    "redirects"};
	for (size_t i = 0; i < array_len(keys); i++) {
		cleanup(mem_free_p) char *top = mem_printf("%s: x\n", keys[i]);
		cleanup(mem_free_p) char *inner = mem_printf("accounts: {a: {%s: x}}\n", keys[i]);
		cleanup(mem_free_p) char *of_top = complaints(top), *of_inner = complaints(inner);
		assert_non_null(strstr(of_top, "unknown key"));
		assert_non_null(strstr(of_inner, "unknown key"));
	}
}

/* --- log --- */

#define AT INT64_C(1795385405123) /* 2026-11-22T22:10:05.123Z */

static const struct log_field fields[] = {{"rollout", "hello-prod"}, {"phase", ""}, {"event", "a b"}, {"by", NULL}};

static void assert_line(const struct log *l, const char *text, const char *expected)
{
	struct buf line = BUF_INIT(LINE_BYTES);
	log_format_line(l, AT, LOG_LEVEL_WARNING, text, fields, 4, &line);
	assert_string_equal(buf_text(&line), expected);
	buf_deinit(&line);
}

static void test_lines_of_each_format(void **state)
{
	(void)state;
	struct log l = {.level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT};
	assert_line(&l, "it \"says\"",
		    "2026-11-22T22:10:05.123Z warning it \"says\" rollout=hello-prod event=\"a b\"\n");
	l.colour = true;
	assert_line(&l, "x", "2026-11-22T22:10:05.123Z \033[33mwarning\033[0m x rollout=hello-prod event=\"a b\"\n");
	l.format = LOG_FORMAT_JSON;
	assert_line(&l, "it \"says\"",
		    "{\"time\":\"2026-11-22T22:10:05.123Z\",\"level\":\"warning\",\"message\":\"it \\\"says\\\"\","
		    "\"rollout\":\"hello-prod\",\"event\":\"a b\"}\n");
}

static void test_nothing_breaks_a_line(void **state)
{
	(void)state;
	struct log l = {.level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT};
	const struct log_field evil[] = {{"rollout", "a\nb \033[31m"}};
	struct buf line = BUF_INIT(LINE_BYTES);
	char *huge = mem_alloc(100000);
	memset(huge, '"', 99999);
	log_format_line(&l, AT, LOG_LEVEL_INFO, "one\ntwo\r\033]0;x\007", evil, 1, &line);
	assert_ptr_equal(strchr(buf_text(&line), '\n'), line.data + line.len - 1);
	assert_null(strpbrk(buf_text(&line), "\r\033\007"));

	const struct log_field many[20] = {
	    [0] = {"k", huge},	[1] = {"k", huge},  [2] = {"k", huge},	[3] = {"k", huge},  [4] = {"k", huge},
	    [5] = {"k", huge},	[6] = {"k", huge},  [7] = {"k", huge},	[8] = {"k", huge},  [9] = {"k", huge},
	    [10] = {"k", huge}, [11] = {"k", huge}, [12] = {"k", huge}, [13] = {"k", huge}, [14] = {"k", huge},
	    [15] = {"k", huge}, [16] = {"k", huge}, [17] = {"k", huge}, [18] = {"k", huge}, [19] = {"k", huge},
	};
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
		l.format = format;
		buf_reset(&line);
		log_format_line(&l, AT, LOG_LEVEL_INFO, huge, many, 20, &line);
		assert_true(buf_ok(&line));
		assert_int_equal(line.data[line.len - 1], '\n');
	}
	free(huge);
	buf_deinit(&line);
}

static void test_levels_and_the_file(void **state)
{
	(void)state;
	int fd = memfd_create("log", MFD_CLOEXEC);
	char text[512] = "";
	struct log l;
	unsetenv("JOURNAL_STREAM");
	log_init(&l, LOG_FORMAT_AUTO, LOG_LEVEL_WARNING, fd);
	assert_int_equal(l.format, LOG_FORMAT_TEXT);
	assert_false(l.colour);
	log_printf(&l, LOG_LEVEL_INFO, "quiet");
	log_printf(&l, LOG_LEVEL_ERROR, "%s %d", "loud", 7);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_null(strstr(text, "quiet"));
	assert_non_null(strstr(text, "error   loud 7\n"));
	close(fd);
}

static void test_the_journal_is_recognised(void **state)
{
	(void)state;
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct stat st;
	char stream[64];
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	assert_true(log_is_journal(fd, stream));
	snprintf(stream, sizeof(stream), "%ju:%ju1", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	assert_false(log_is_journal(fd, stream));
	assert_false(log_is_journal(fd, "x"));
	assert_false(log_is_journal(fd, NULL));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_gives_defaults),
	    cmocka_unit_test(test_every_key_is_taken),
	    cmocka_unit_test(test_all_errors_at_once_with_their_place),
	    cmocka_unit_test(test_roles_of_accounts),
	    cmocka_unit_test(test_no_shape_of_document_breaks_it),
	    cmocka_unit_test(test_a_file_that_cannot_be_read_is_named),
	    cmocka_unit_test(test_a_file_that_everybody_can_write_is_refused),
	    cmocka_unit_test(test_no_key_weakens_the_connection),
	    cmocka_unit_test(test_lines_of_each_format),
	    cmocka_unit_test(test_nothing_breaks_a_line),
	    cmocka_unit_test(test_levels_and_the_file),
	    cmocka_unit_test(test_the_journal_is_recognised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
