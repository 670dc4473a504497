/* require(): silent where it holds, and the end of the process where it does not, in every build. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"

static void what_holds_is_asked_once(void **state)
{
	int asked = 0;

	(void)state;
	require(++asked == 1);
	assert_int_equal(asked, 1);
}

/* In a process of its own: it says which condition and where, for whoever reads the journal, and leaves by SIGABRT, so
 * that whoever started it takes notice. */
static void what_does_not_hold_ends_the_process(void **state)
{
	int ends[2], status;
	char text[512] = "";
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = {0, 0};

		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGABRT, SIG_DFL); /* the test runner's own handler is not wanted here */
		(void)dup2(ends[1], STDERR_FILENO);
		require(child != 0);
		_exit(0);
	}
	(void)close(ends[1]);
	for (size_t len = 0; len < sizeof(text) - 1;) {
		ssize_t n = read(ends[0], text + len, sizeof(text) - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	(void)close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "test_base_require.c:"));
	assert_non_null(strstr(text, "require(child != 0) failed: this is a fault of the program"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_holds_is_asked_once),
	    cmocka_unit_test(what_does_not_hold_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
