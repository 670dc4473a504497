/*
 * Runs a target's inputs once each, for compilers without a fuzzer, and for every input that was ever a finding:
 *
 *   replay/fuzz_plan tests/fuzz/corpus/plan/…      files, or folders of them
 *
 * Ends with 0 when all of them were read and nothing stopped the program. With no input it fails: a test that ran
 * nothing has shown nothing.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz.h"

#define INPUT_MAX ((size_t)16 * 1024 * 1024)

static unsigned n_inputs;

static int replay_file(const char *path)
{
	cleanup(mem_free_p) char *data = NULL;
	size_t len;
	int rc = file_read(path, INPUT_MAX, &data, &len);
	if (rc != 0) {
		fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(-rc));
		return 1;
	}
	/* What stops the program is the last that was named. */
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s\n", path);
	/* Without the NUL that file_read puts behind it. */
	uint8_t *exact = malloc(len > 0 ? len : 1);
	require(exact);
	memcpy(exact, data, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	n_inputs++;
	return 0;
}

static int replay_folder(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort), failed = 0;
	if (n < 0) {
		perror(path);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		cleanup(mem_free_p) char *file = mem_printf("%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			failed |= replay_file(file);
		free(names[i]);
	}
	free(names);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		bool folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
		failed |= folder ? replay_folder(argv[i]) : replay_file(argv[i]);
	}
	if (n_inputs == 0) {
		fprintf(stderr, "%s: no input was given\n", argv[0]);
		return 1;
	}
	printf("%u inputs\n", n_inputs);
	return failed;
}
