/* Files, read and written whole. */
#pragma once

#include <stddef.h>

#include "base/macros.h"

/* Reads at most max bytes; a larger file is -EFBIG, anything but a regular file -EINVAL. The text is NUL-terminated,
 * owned by the caller. */
must_use int file_read(const char *path, size_t max, char **ret_data, size_t *ret_len);
/* Writes through a temporary name in the same folder, fsyncs file and folder, then renames. */
must_use int file_write_atomic(const char *path, const void *data, size_t len, unsigned mode);
/* Joins base's folder (or dir itself) and a relative path; an absolute path is copied. The caller frees. */
char *file_resolve(const char *dir, const char *path);
