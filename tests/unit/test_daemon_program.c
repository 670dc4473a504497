/* credential_process is run for real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The daemon is a program and no library: its parts are compiled into the test. */
#include "daemon/program.c"

#define GUARD_MS 20000 /* a test that waits for so long has failed */

struct outcome {
	unsigned answers;
	char problem[128];
	int status;
	char text[256];
	size_t len;
	char complaint[512];
};

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	bool late;
	struct programs *programs;
	struct outcome o;
};

static void guard_cb(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

static int rig_setup(void **state)
{
	struct rig *r = mem_alloc(sizeof(*r));
	if (uv_loop_init(&r->loop) != 0)
		return -1;
	uv_timer_init(&r->loop, &r->guard);
	r->guard.data = r;
	uv_timer_start(&r->guard, guard_cb, GUARD_MS, 0);
	uv_unref((uv_handle_t *)&r->guard);
	r->programs = programs_new(&r->loop);
	*state = r;
	return 0;
}

static int rig_teardown(void **state)
{
	struct rig *r = *state;
	programs_close(r->programs);
	uv_close((uv_handle_t *)&r->guard, NULL);
	while (uv_run(&r->loop, UV_RUN_DEFAULT) != 0)
		;
	int rc = uv_loop_close(&r->loop);
	/* No zombie is left. */
	if (waitpid(-1, NULL, WNOHANG) != -1)
		rc = -1;
	free(r);
	return rc;
}

static void ended(void *arg, const struct provider_output *p)
{
	struct outcome *o = arg;
	o->answers++;
	o->status = p->status;
	o->len = p->len;
	snprintf(o->problem, sizeof(o->problem), "%s", p->problem ? p->problem : "");
	snprintf(o->text, sizeof(o->text), "%s", p->text);
	snprintf(o->complaint, sizeof(o->complaint), "%s", p->complaint);
}

static void run(struct rig *r, int64_t timeout_ms, char *const *words)
{
	r->o = (struct outcome){0};
	programs_run(r->programs, words, timeout_ms, ended, &r->o);
	assert_int_equal(r->o.answers, 0);
	while (r->o.answers == 0 && !r->late)
		uv_run(&r->loop, UV_RUN_ONCE);
	assert_int_equal(r->o.answers, 1);
}

#define sh(r, timeout_ms, text) run(r, timeout_ms, (char *[]){(char *)"sh", (char *)"-c", (char *)(text), NULL})

static void output_complaint_and_status(void **state)
{
	struct rig *r = *state;
	run(r, 10000, (char *[]){(char *)"printf", (char *)"%s|", (char *)"a b", (char *)"$HOME;", NULL});
	assert_string_equal(r->o.problem, "");
	assert_int_equal(r->o.status, 0);
	assert_string_equal(r->o.text, "a b|$HOME;|");
	assert_string_equal(r->o.complaint, "");
	sh(r, 10000, "echo out; echo 'no \033 such'  >&2; echo account >&2; exit 3");
	assert_int_equal(r->o.status, 3);
	assert_string_equal(r->o.text, "out\n");
	assert_string_equal(r->o.complaint, "no ? such account");
	sh(r, 10000, "kill -9 $$");
	assert_int_equal(r->o.status, 128 + 9);
	/* Its input is empty, and its environment the daemon's. */
	setenv("ROLLOUT_TEST_MARK", "mine", 1);
	sh(r, 10000, "cat; printf %s \"$ROLLOUT_TEST_MARK\"");
	assert_string_equal(r->o.text, "mine");
}

static void programs_that_cannot_be_run(void **state)
{
	struct rig *r = *state;
	run(r, 10000, (char *[]){(char *)"/nonexistent/keys", NULL});
	assert_string_equal(r->o.problem, "cannot be run: there is no such program");
	run(r, 10000, (char *[]){(char *)"/etc/passwd", NULL});
	assert_string_equal(r->o.problem, "cannot be run: it may not be executed by this user");
}

static void programs_that_do_too_much(void **state)
{
	struct rig *r = *state;
	sh(r, 100, "sleep 1000");
	assert_string_equal(r->o.problem, "did not end within 0.1s");
	sh(r, 10000, "yes");
	assert_string_equal(r->o.problem, "wrote more than 64 KiB, which no keys are");
	sh(r, 10000, "yes no such account | head -c 100000 >&2; exit 1");
	assert_int_equal(r->o.status, 1);
	assert_true(strlen(r->o.complaint) <= COMPLAINT_MAX && strlen(r->o.complaint) > COMPLAINT_MAX / 2);
	/* What it leaves running does not keep it from being over. */
	sh(r, 10000, "sleep 1000 & echo done");
	assert_string_equal(r->o.text, "done\n");
}

/* An agent in a session of its own keeps the pipes open for as long as it lives: the keys are there all the same. */
static void what_lives_on_elsewhere_does_not_hold_the_keys_back(void **state)
{
	struct rig *r = *state;
	sh(r, 10000, "setsid sleep 1000 & until [ \"$(cut -d' ' -f6 /proc/$!/stat)\" = $! ]; do :; done; echo $!");
	uint64_t agent = 0;
	r->o.text[strcspn(r->o.text, "\n")] = '\0';
	assert_int_equal(text_parse_u64(r->o.text, INT_MAX, &agent), 0);
	assert_true(agent > 1);
	assert_int_equal(kill((pid_t)agent, SIGKILL), 0); /* it was not ended: it is no part of the program any more */
	assert_string_equal(r->o.problem, "");
	assert_int_equal(r->o.status, 0);
}

static size_t count_running(const struct rig *r)
{
	size_t n = 0;
	for (const struct program *g = r->programs->running; g; g = g->next)
		n += g->started && !g->exited;
	return n;
}

/* Many accounts may have the same program. */
static void not_all_run_at_a_time(void **state)
{
	struct rig *r = *state;
	struct outcome o[3 * LIMIT_KEYS_PROGRAMS] = {0};
	for (size_t i = 0; i < array_len(o); i++)
		programs_run(r->programs, (char *[]){(char *)"echo", (char *)"keys", NULL}, 10000, ended, &o[i]);
	while (r->programs->running && !r->late)
		uv_run(&r->loop, UV_RUN_ONCE);
	for (size_t i = 0; i < array_len(o); i++)
		assert_string_equal(o[i].text, "keys\n");
	/* Those that still wait are answered at a stop, too. */
	for (size_t i = 0; i < array_len(o); i++) {
		o[i] = (struct outcome){0};
		programs_run(r->programs, (char *[]){(char *)"sleep", (char *)"1000", NULL}, 10000, ended, &o[i]);
	}
	for (int i = 0; i < 3; i++)
		uv_run(&r->loop, UV_RUN_NOWAIT);
	assert_int_equal(count_running(r), LIMIT_KEYS_PROGRAMS);
	programs_close(take_ptr(r->programs));
	for (size_t i = 0; i < array_len(o); i++)
		assert_string_equal(o[i].problem, "was broken off: the daemon stops");
}

static void a_stop_answers_everybody(void **state)
{
	struct rig *r = *state;
	struct outcome waiting = {0}, running = {0};
	programs_run(r->programs, (char *[]){(char *)"sleep", (char *)"1000", NULL}, 10000, ended, &running);
	for (int i = 0; i < 3; i++)
		uv_run(&r->loop, UV_RUN_NOWAIT);
	programs_run(r->programs, (char *[]){(char *)"sleep", (char *)"1000", NULL}, 10000, ended, &waiting);
	programs_close(take_ptr(r->programs));
	assert_int_equal(waiting.answers, 1);
	assert_int_equal(running.answers, 1);
	assert_string_equal(running.problem, "was broken off: the daemon stops");
}

static void what_could_be_a_key_is_masked(void **state)
{
	(void)state;
#define STARS_40 "****************************************"
	static const char *const cases[][2] = {
	    /* Letters alone, hex, UUIDs, other alphabets: the reasons of somebody else's secrets are not known. */
	    {"secret wJalrXUtnFEMIKbMDENGbPxRfiCYEXAMPLEKEYab", "secret " STARS_40},
	    {"wjalrxutnfemikbmdengbpxrficyexamplekeyab", STARS_40},
	    {"WJALRXUTNFEMIKBMDENGBPXRFICYEXAMPLEKEYAB", STARS_40},
	    {"token=da39a3ee5e6b4b0d3255bfef95601890afd80709", STARS_40 "******"},
	    {"(123e4567-e89b-12d3-a456-426614174000)", "(************************************)"},
	    {"wJal/rXUt/nFEM/IKbM+DENG=", "*************************"},
	    {"eyJhbGciOi.eyJzdWIi~x%2F", "************************"},
	    {"1234-5678-9012-3456", "*******************"},
	    {"ABCD-EFGH-IJKL-MNOP", "*******************"},
	    /* What people need to see. */
	    {"/usr/lib/python3.11/site-packages/keys.py: no such file",
	     "/usr/lib/python3.11/site-packages/keys.py: no such file"},
	    {"ExpiredTokenException for arn:aws:iam::123456789012:role/ops",
	     "ExpiredTokenException for arn:aws:iam::123456789012:role/ops"},
	    {"--no-such-option AWS_ACCESS_KEY_ID", "--no-such-option AWS_ACCESS_KEY_ID"},
	    {"key wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY!", "key ****************************************!"},
	    {"AKIAIOSFODNN7EXAMPLE and", "******************** and"},
	    {"an-ordinary-sentence-of-words 12345678901234567890",
	     "an-ordinary-sentence-of-words ********************"},
	    {"", ""},
	    {"Short1", "Short1"},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		char *text = mem_strdup(cases[i][0]);
		program_mask(text, false);
		assert_string_equal(text, cases[i][1]);
		free(text);
	}
	char end[] = "EYab and more";
	program_mask(end, true);
	assert_string_equal(end, "**** and more");
}

/* What is kept begins in the middle of a secret, at whatever place the windows cut it. */
static void the_end_of_what_was_cut_is_masked(void **state)
{
	struct rig *r = *state;
	static const char secret[] = "wJalrXUtnFEMIKbMDENGbPxRfiCYEXAMPLEKEYab";
	char line[256];
	/* In one piece, so that it is read in blocks of 4096. */
	for (int before = 2 * 4096 - 38; before < 2 * 4096; before += 6) {
		snprintf(line, sizeof(line),
			 "{ head -c %d /dev/zero | tr '\\0' ' '; printf '%s end'; } | "
			 "dd bs=64k iflag=fullblock status=none >&2; exit 1",
			 before, secret);
		sh(r, 10000, line);
		assert_int_equal(r->o.status, 1);
		for (const char *at = r->o.complaint; *at; at++)
			assert_true(strchr("* end", *at));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(output_complaint_and_status, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(programs_that_cannot_be_run, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(programs_that_do_too_much, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(what_lives_on_elsewhere_does_not_hold_the_keys_back, rig_setup,
					    rig_teardown),
	    cmocka_unit_test_setup_teardown(not_all_run_at_a_time, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(a_stop_answers_everybody, rig_setup, rig_teardown),
	    cmocka_unit_test(what_could_be_a_key_is_masked),
	    cmocka_unit_test_setup_teardown(the_end_of_what_was_cut_is_masked, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
