/* The simulated AWS's reader of zips: a function's code, which came over the network. The bytes are the zip. */
#include <string.h>

#include "fuzz.h"
#include "sim/zip.h"

void fuzz_one(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"localaws.json", "index.js", "a", ""};
	struct zip z;
	if (!zip_open(data, size, &z))
		return;
	require(z.directory <= size && z.n_entries <= 65535);
	for (size_t i = 0; i < array_len(names); i++) {
		const char *bytes = NULL;
		size_t len = 0;
		if (zip_find(&z, names[i], &bytes, &len) != ZIP_FOUND)
			continue;
		/* Inside of what was given, and readable. */
		require(bytes >= (const char *)data && len <= size && bytes + len <= (const char *)data + size);
		cleanup(mem_free_p) char *copy = mem_strndup(bytes, strnlen(bytes, len));
		require(strlen(copy) <= len);
	}
}
