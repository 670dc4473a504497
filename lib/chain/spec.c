#include "chain/spec.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"

static const char *const scheme_names[] = {
    [CODE_NONE] = "", [CODE_LATEST] = "", [CODE_ZIP] = "zip", [CODE_S3] = "s3", [CODE_IMAGE] = "image"};

void code_identity(const struct code_spec *c, const char *zip_sha256, char *out, size_t size)
{
	/* A scheme, and at least the hash of what is too long. */
	require(size >= sizeof("image:") + SHA256_HEX_SIZE);
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	switch (c->source) {
	case CODE_NONE:
	case CODE_LATEST:
		out[0] = '\0';
		return;
	case CODE_ZIP:
		buf_add_text(&b, zip_sha256);
		break;
	case CODE_S3:
		buf_addf(&b, "%s/%s", c->bucket, c->key);
		if (c->object_version)
			buf_addf(&b, "?versionId=%s", c->object_version);
		break;
	case CODE_IMAGE:
		buf_add_text(&b, c->image);
		break;
	}
	/* All of it stood in one plan file. */
	require(buf_ok(&b));
	const char *scheme = scheme_names[c->source];
	if (strlen(scheme) + 1 + b.len < size) {
		snprintf(out, size, "%s:%s", scheme, buf_text(&b));
		return;
	}
	char hex[SHA256_HEX_SIZE];
	sha256_hex(buf_text(&b), b.len, hex);
	snprintf(out, size, "%s:%s", scheme, hex);
}
