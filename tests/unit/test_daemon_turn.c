/* The end of the loop's turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The daemon is a program and no library: its parts are compiled into the test. */
#include "daemon/io/turn.c"

static struct turn *turn;
static int runs;

/* As the daemon's last turn: what is closed, a program that fetched keys say, still wants to be looked after. */
static void last_run(void *ctx)
{
	(void)ctx;
	runs++;
	turn_want(turn);
	turn_close(turn);
}

static void a_turn_that_is_closed_within_a_turn_ends(void **state)
{
	(void)state;
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	turn_new(&loop, last_run, NULL, &turn);
	turn_want(turn);
	for (int i = 0; i < 10; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(runs, 1);
	assert_int_equal(uv_loop_alive(&loop), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_turn_that_is_closed_within_a_turn_ends)};
	return cmocka_run_group_tests_name("turns of the loop", tests, NULL, NULL);
}
