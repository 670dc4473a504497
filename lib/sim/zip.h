/*
 * What a zip file holds, as far as it is asked here: its size unpacked, and the bytes of an entry that is stored
 * without compression. APPNOTE.TXT 6.3, sections 4.3 and 4.4; neither ZIP64 nor archives in several parts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrows the bytes. */
struct zip {
	const unsigned char *bytes;
	size_t len;
	size_t directory; /* where the central directory starts */
	size_t n_entries;
	uint64_t unzipped; /* bytes of all entries, as the directory says */
};

enum zip_found { ZIP_FOUND, ZIP_ABSENT, ZIP_COMPRESSED };

/* False when it is no zip, or one with a broken directory. */
bool zip_open(const void *bytes, size_t len, struct zip *ret);
/* The entry's bytes, with ZIP_FOUND. One whose header is broken counts as absent. */
enum zip_found zip_find(const struct zip *z, const char *name, const char **ret_bytes, size_t *ret_len);
