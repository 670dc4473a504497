#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"

static bool is_zero(const void *p, size_t len)
{
	for (const char *c = p; len > 0; len--)
		if (*c++)
			return false;
	return true;
}

static void test_mem(void **state)
{
	(void)state;
	free(mem_alloc(0));
	char *p = mem_alloc(100);
	assert_true(is_zero(p, 100));
	p = mem_realloc(p, 0);
	assert_non_null(p);
	free(p);
	int *a = mem_array(10, sizeof(*a));
	assert_true(is_zero(a, 10 * sizeof(*a)));
	free(a);
	assert_null(mem_strdup(NULL));
	cleanup(mem_free_p) char *s = mem_strdup("text");
	assert_string_equal(s, "text");
	cleanup(mem_free_p) char *cut = mem_strndup("text", 2);
	assert_string_equal(cut, "te");
	cleanup(mem_free_p) char *whole = mem_strndup("te\0xt", 5);
	assert_string_equal(whole, "te");
	cleanup(mem_free_p) char *printed = mem_printf("%s-%d", "x", 7);
	assert_string_equal(printed, "x-7");
	char *taken = take_ptr(printed);
	assert_null(printed);
	free(taken);
}

static void test_grow(void **state)
{
	(void)state;
	size_t cap = 0;
	cleanup(mem_free_p) uint32_t *v = NULL;
	for (uint32_t i = 0; i < 1000; i++) {
		v = mem_grow(v, &cap, i + 1, sizeof(*v));
		assert_true(cap > i);
		assert_int_equal(v[i], 0); /* the new part is zeroed */
		v[i] = i + 1;
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(v[i], i + 1);
	assert_int_equal(cap, 1024);
	uint32_t *same = mem_grow(v, &cap, 1024, sizeof(*v));
	assert_ptr_equal(same, v);
}

/* Runs fn in a child and says whether it aborted. */
static bool aborts(void (*fn)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(STDERR_FILENO);
		fn();
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void overflow_array(void)
{
	struct arena *a = arena_new();
	arena_array(a, SIZE_MAX / 2, 3);
}

static void overflow_grow(void)
{
	size_t cap = 16;
	mem_grow(NULL, &cap, SIZE_MAX / 2, 16);
}

static void failed_require(void)
{
	require(1 + 1 == 3);
}

static void good_require(void)
{
	require(1 + 1 == 2);
}

static void test_aborts(void **state)
{
	(void)state;
	assert_true(aborts(overflow_array));
	assert_true(aborts(overflow_grow));
	assert_true(aborts(failed_require));
	assert_false(aborts(good_require));
}

static void test_arena_alignment(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	for (size_t size = 0; size < 300; size++) {
		assert_string_equal(arena_strdup(a, "x"), "x"); /* leaves an odd offset behind */
		char *p = arena_alloc(a, size);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_true(is_zero(p, size));
		memset(p, 0xff, size);
	}
	arena_free(a);
	arena_free(NULL);
}

static void test_arena_keeps(void **state)
{
	(void)state;
	cleanup(arena_free_p) struct arena *a = arena_new();
	/* Small and large objects in turn: none may overlap another. */
	enum { COUNT = 400 };
	unsigned char *blocks[COUNT];
	size_t sizes[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		sizes[i] = i % 40 == 39 ? 100000 : (i * 37) % 700;
		blocks[i] = arena_alloc(a, sizes[i]);
		memset(blocks[i], (int)(i & 0xff), sizes[i]);
	}
	for (size_t i = 0; i < COUNT; i++)
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(blocks[i][k], i & 0xff);
}

static void test_arena_text(void **state)
{
	(void)state;
	cleanup(arena_free_p) struct arena *a = arena_new();
	assert_null(arena_strdup(a, NULL));
	char *text = arena_strdup(a, "hello");
	assert_string_equal(arena_strndup(a, "hello", 3), "hel");
	assert_string_equal(arena_strndup(a, "he", 30), "he");
	assert_string_equal(arena_printf(a, "%s %05d", "n", 42), "n 00042");
	char large[5000];
	memset(large, 'y', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_string_equal(arena_printf(a, "%s", large), large);
	assert_string_equal(text, "hello");
}

static void test_arena_bytes(void **state)
{
	(void)state;
	cleanup(arena_free_p) struct arena *a = arena_new();
	assert_true(arena_bytes(a) < 200); /* nothing is held before it is needed */
	arena_alloc(a, 10);
	size_t small = arena_bytes(a);
	assert_true(small < 1024);
	arena_alloc(a, 1000000);
	assert_in_range(arena_bytes(a), small + 1000000, small + 1000200);
	/* What is left of the first chunk is still used. */
	size_t before = arena_bytes(a);
	arena_alloc(a, 10);
	assert_int_equal(arena_bytes(a), before);
}

static void test_secret(void **state)
{
	(void)state;
	char bytes[16] = "secret";
	secret_wipe(bytes, 6);
	assert_true(is_zero(bytes, sizeof(bytes)));
	secret_wipe(NULL, 0);
	secret_free(NULL);
	secret_free(mem_strdup("secret"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mem),		cmocka_unit_test(test_grow),
	    cmocka_unit_test(test_aborts),	cmocka_unit_test(test_arena_alignment),
	    cmocka_unit_test(test_arena_keeps), cmocka_unit_test(test_arena_text),
	    cmocka_unit_test(test_arena_bytes), cmocka_unit_test(test_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
