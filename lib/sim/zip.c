#include "sim/zip.h"

#include <string.h>

#define LOCAL_HEADER	 30
#define DIRECTORY_HEADER 46
#define END_HEADER	 22
#define COMMENT_MAX	 65535

static uint32_t read_16(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t read_32(const unsigned char *p)
{
	return read_16(p) | read_16(p + 2) << 16;
}

/* The end record lies at the end, before a comment of any length; SIZE_MAX when there is none. */
static size_t find_end(const unsigned char *bytes, size_t len)
{
	for (size_t back = END_HEADER; back <= len && back <= END_HEADER + COMMENT_MAX; back++) {
		const unsigned char *p = bytes + len - back;
		if (memcmp(p, "PK\5\6", 4) == 0 && read_16(p + 20) == back - END_HEADER)
			return len - back;
	}
	return SIZE_MAX;
}

/* One entry of the central directory. */
struct entry {
	const unsigned char *name;
	size_t name_len;
	uint32_t method, flags;
	size_t packed, unpacked;
	size_t local; /* where its local header is */
	size_t next;  /* where the directory goes on */
};

static bool read_entry(const struct zip *z, size_t at, struct entry *ret)
{
	const unsigned char *p = z->bytes + at;
	if (at > z->len || z->len - at < DIRECTORY_HEADER || memcmp(p, "PK\1\2", 4) != 0)
		return false;
	size_t name_len = read_16(p + 28), rest = name_len + read_16(p + 30) + read_16(p + 32);
	if (z->len - at - DIRECTORY_HEADER < rest)
		return false;
	*ret = (struct entry){.name = p + DIRECTORY_HEADER,
			      .name_len = name_len,
			      .flags = read_16(p + 8),
			      .method = read_16(p + 10),
			      .packed = read_32(p + 20),
			      .unpacked = read_32(p + 24),
			      .local = read_32(p + 42),
			      .next = at + DIRECTORY_HEADER + rest};
	return true;
}

bool zip_open(const void *bytes, size_t len, struct zip *ret)
{
	struct zip z = {.bytes = bytes, .len = len};
	if (len < LOCAL_HEADER || memcmp(bytes, "PK\3\4", 4) != 0)
		return false;
	size_t end = find_end(z.bytes, len);
	if (end == SIZE_MAX)
		return false;
	z.n_entries = read_16(z.bytes + end + 10);
	z.directory = read_32(z.bytes + end + 16);
	if (z.directory > end)
		return false;
	struct entry e;
	size_t at = z.directory;
	for (size_t i = 0; i < z.n_entries; i++, at = e.next) {
		if (!read_entry(&z, at, &e))
			return false;
		z.unzipped += e.unpacked;
	}
	*ret = z;
	return true;
}

enum zip_found zip_find(const struct zip *z, const char *name, const char **ret_bytes, size_t *ret_len)
{
	struct entry e;
	size_t at = z->directory, len = strlen(name);
	for (size_t i = 0; i < z->n_entries && read_entry(z, at, &e); i++, at = e.next) {
		if (e.name_len != len || memcmp(e.name, name, len) != 0)
			continue;
		if (e.method != 0 || (e.flags & 1))
			return ZIP_COMPRESSED;
		const unsigned char *p = z->bytes + e.local;
		if (e.local > z->len || z->len - e.local < LOCAL_HEADER || memcmp(p, "PK\3\4", 4) != 0)
			return ZIP_ABSENT;
		size_t before = LOCAL_HEADER + read_16(p + 26) + read_16(p + 28);
		if (z->len - e.local < before || z->len - e.local - before < e.unpacked || e.packed != e.unpacked)
			return ZIP_ABSENT;
		*ret_bytes = (const char *)p + before;
		*ret_len = e.unpacked;
		return ZIP_FOUND;
	}
	return ZIP_ABSENT;
}
