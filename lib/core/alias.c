/* Values of an alias: compare and format. */
#include "core/alias.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

bool alias_target_equal(const struct alias_target *a, const struct alias_target *b)
{
	if (a->version != b->version || a->weight_bp != b->weight_bp)
		return false;
	return a->weight_bp == 0 || a->extra == b->extra;
}

void version_format(uint64_t version, char out[static 24])
{
	if (version == VERSION_LATEST)
		(void)snprintf(out, 24, "$LATEST");
	else
		(void)snprintf(out, 24, "%" PRIu64, version);
}

void alias_target_format(const struct alias_target *t, char *out, size_t size)
{
	char main_version[24], extra[24], rest[16], weight[16];

	require(t->weight_bp <= WEIGHT_BP_MAX);
	version_format(t->version, main_version);
	if (t->weight_bp == 0) {
		(void)snprintf(out, size, "%s%s", t->version == VERSION_LATEST ? "" : "version ", main_version);
		return;
	}
	version_format(t->extra, extra);
	text_format_bp(WEIGHT_BP_MAX - t->weight_bp, rest);
	text_format_bp(t->weight_bp, weight);
	(void)snprintf(out, size, "version %s (%s) and version %s (%s)", main_version, rest, extra, weight);
}

void alias_view_format(const struct alias_view *v, char *out, size_t size)
{
	char target[96];

	alias_target_format(&v->target, target, sizeof(target));
	(void)snprintf(out, size, "%s%s", target, v->odd ? " and further or uneven weights" : "");
}
