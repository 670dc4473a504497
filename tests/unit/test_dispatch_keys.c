/* The dispatcher and its keys: none, refused ones, and ones that are still being fetched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dispatch_rig.h"

static void keys_and_endpoints_that_fail_end_the_call_unsent(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p[3] = {0};
	w->credentials_fail = 1;
	dispatch_rig_submit(w, &p[0], 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_int_equal(p[0].done, 0); /* told by the next round */
	assert_int_equal(dispatch_next_ms(w->d), w->now.boot_ms);
	w->credentials_fail = 0;
	w->endpoint_fail = 1;
	dispatch_rig_submit(w, &p[1], 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	w->endpoint_fail = 0;
	p[2].build_result = -E2BIG;
	dispatch_rig_submit(w, &p[2], 'c', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 0);
	assert_int_equal(p[0].error.class, AWS_CREDENTIALS);
	assert_string_equal(p[0].error.message, "no keys for default");
	assert_int_equal(p[1].error.class, AWS_SETTINGS);
	assert_string_equal(p[1].error.message, "bad endpoint");
	assert_int_equal(p[2].error.class, AWS_INVALID);
	assert_non_null(strstr(p[2].error.message, "larger than"));
	assert_true(dispatch_idle(w->d));
	dispatch_rig_free(w);
}

/* Whoever fetches keys hears which ones AWS does not take, and of nothing else. */
static void keys_that_are_refused_are_told(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *code;
		const char *told;
	} answers[] = {
	    {403, "ExpiredTokenException", "default AKID-default"},
	    {403, "UnrecognizedClientException", "default AKID-default"},
	    {403, "InvalidClientTokenId", "default AKID-default"},
	    {403, "AccessDeniedException", ""},
	    {403, "InvalidSignatureException", ""},
	    {500, "ServiceException", ""},
	};
	for (size_t i = 0; i < array_len(answers); i++) {
		struct dispatch_rig *w = dispatch_rig_new(10);
		struct probe p = {0};
		dispatch_rig_submit(w, &p, 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
		dispatch_run(w->d);
		dispatch_rig_answer_status(w, 0, answers[i].status, answers[i].code, NULL);
		assert_string_equal(w->refused, answers[i].told);
		dispatch_rig_free(w);
	}
}

/* They wait for their keys without paying: no token, no try, and the rollback is the first to go when they come. */
static void calls_wait_for_keys_that_are_being_fetched(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p[6] = {0};
	w->credentials_fail = 2;
	for (int i = 0; i < 5; i++)
		dispatch_rig_submit(w, &p[i], (char)('a' + i), OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	for (int ms = 0; ms < 30000; ms += 10) {
		dispatch_run(w->d);
		assert_true(dispatch_next_ms(w->d) <= w->now.boot_ms + 1000);
		dispatch_rig_advance(w, 10);
	}
	assert_int_equal(w->n_sent, 0);
	assert_in_range(w->keys_asked, 5 * 25, 5 * 50); /* pauses from 20 ms to a second */
	dispatch_rig_submit(w, &p[5], 'H', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_run(w->d);
	w->credentials_fail = 0;
	dispatch_rig_advance(w, 20);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 1);
	assert_string_equal(w->sent[0].path, "/H");
	dispatch_rig_advance(w, 1000);
	dispatch_run(w->d);
	assert_int_equal(w->n_sent, 6); /* at once: the bucket has all that it can hold */
	for (int i = 0; i < 6; i++)
		w->sent[i].cb(w->sent[i].arg, TRANSPORT_ANSWERED, &(struct http_response){.status = 200, .body = ""},
			      NULL);
	dispatch_run(w->d);
	for (int i = 0; i < 6; i++)
		assert_int_equal(p[i].status, 200);
	dispatch_rig_free(w);
}

static void calls_do_not_wait_for_keys_without_end(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe p = {0};
	w->credentials_fail = 2;
	dispatch_rig_submit(w, &p, 'a', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	for (int s = 0; s < 359; s++) {
		dispatch_run(w->d);
		dispatch_rig_advance(w, 1000);
	}
	assert_int_equal(p.done, 0);
	for (int s = 0; s < 5; s++) {
		dispatch_run(w->d);
		dispatch_rig_advance(w, 1000);
	}
	assert_int_equal(p.done, 1);
	assert_int_equal(p.error.class, AWS_CREDENTIALS);
	assert_non_null(strstr(p.error.message, "were not there after six minutes"));
	/* One that is taken back while it waits. */
	struct probe q = {0};
	dispatch_rig_submit(w, &q, 'b', OPERATION_GET_ALIAS, PRIORITY_NORMAL);
	dispatch_run(w->d);
	assert_true(dispatch_cancel(w->d, q.ticket));
	dispatch_run(w->d);
	assert_int_equal(q.done, 1);
	assert_true(dispatch_idle(w->d));
	dispatch_rig_free(w);
}

/* A rollback that has to wait for keys says so, and from where they are to come; not at every look. */
static void a_rollback_that_waits_for_keys_says_so(void **state)
{
	(void)state;
	struct dispatch_rig *w = dispatch_rig_new(10);
	struct probe home = {0}, other = {0};
	w->credentials_fail = 2;
	dispatch_rig_submit(w, &home, 'h', OPERATION_UPDATE_ALIAS, PRIORITY_HOME);
	dispatch_rig_submit(w, &other, 'o', OPERATION_GET_ALIAS, PRIORITY_LOOKUP);
	dispatch_rig_run_until(w, w->now.boot_ms + 900);
	assert_int_equal(home.delays, 0);
	dispatch_rig_run_until(w, w->now.boot_ms + 1100);
	assert_int_equal(home.delays, 1);
	assert_int_equal(home.error.class, AWS_CREDENTIALS);
	assert_string_equal(home.error.message, "the keys of account default are still being fetched from a slow "
						"program; it is sent with them");
	dispatch_rig_run_until(w, w->now.boot_ms + 28000);
	assert_int_equal(home.delays, 1);
	dispatch_rig_run_until(w, w->now.boot_ms + 33000);
	assert_int_equal(home.delays, 3); /* twice a minute */
	assert_int_equal(other.delays, 0);
	w->credentials_fail = 0;
	dispatch_rig_run_until(w, w->now.boot_ms + 1000);
	dispatch_rig_answer_all_from(w, 0);
	assert_int_equal(home.status, 200);
	dispatch_rig_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_and_endpoints_that_fail_end_the_call_unsent),
	    cmocka_unit_test(keys_that_are_refused_are_told),
	    cmocka_unit_test(calls_wait_for_keys_that_are_being_fetched),
	    cmocka_unit_test(calls_do_not_wait_for_keys_without_end),
	    cmocka_unit_test(a_rollback_that_waits_for_keys_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
