/*
 * One plan file: from a name in the plans folder to a plan, with all the distrust that a file deserves. Used by the
 * folder's watch and by `rolloutd --check`, so both say the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/sha256.h"
#include "plan/plan.h"

/* What tells two states of a file apart. The inode's change time cannot be set back, so it counts as well. */
struct planfile_stamp {
	uint64_t dev;
	uint64_t ino;
	int64_t size;
	int64_t modified_ns;
	int64_t changed_ns;
};

void planfile_stamp_from_stat(const struct stat *st, struct planfile_stamp *ret);
bool planfile_stamp_equal(const struct planfile_stamp *a, const struct planfile_stamp *b);

/* *.yaml and *.yml, but no hidden file, no editor's leftover, and no name that cannot be shown. */
bool planfile_is_candidate(const char *name);

enum planfile_result {
	PLANFILE_LOADED = 0,
	PLANFILE_INVALID = 1, /* its notes have the errors; the hash is that of its bytes, or "" when it was not read */
	PLANFILE_GONE = 2,    /* there is no such file any more */
	PLANFILE_CHANGING = 3, /* it changed while it was read: look again later */
};

struct planfile {
	struct plan *plan; /* the caller's */
	char hash[SHA256_HEX_SIZE];
	char *notes; /* "file:line:column: error: …" lines, warnings included; NULL: none. The caller's */
	struct planfile_stamp stamp;
};

/* Whether what is in the folder may be believed: it belongs to root or `owner`, and nobody else can put names into it
 * or take them out. ret_why says what to change. */
must_use bool planfile_check_folder(const struct stat *st, uid_t owner, char *ret_why, size_t size);
/* The file must be beneath the folder without symbolic links, regular, owned by root or `owner`, not writable by
 * others, and not larger than LIMIT_PLAN_BYTES. */
enum planfile_result planfile_load(int dir_fd, const char *name, uid_t owner, struct planfile *ret);
void planfile_deinit(struct planfile *f);
