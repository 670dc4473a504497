#include "plan/followed.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "plan/artifact.h"

static void read_text(const char *text, struct followed *ret)
{
	if (strcmp(text, "latest") == 0) {
		ret->follow = FOLLOW_NEWEST;
	} else if (strcmp(text, "$LATEST") == 0) {
		ret->follow = FOLLOW_HEAD;
	} else {
		ret->follow = FOLLOW_VERSION;
		require(text_parse_u64(text, UINT64_MAX, &ret->version) == 0); /* the table checked it */
	}
}

/* One of `publish` and `from_alias`, and `soak` only with the latter. */
static void check_mapping(const struct record *r, struct diags *diags)
{
	require(r->fields); /* record_read fills every record */
	const struct field *from = &r->fields[VERSION_FROM_ALIAS];
	const struct field *soak = &r->fields[VERSION_SOAK];
	bool may_publish = r->object == &schema_rollout_version;
	const struct field *publish = may_publish ? &r->fields[VERSION_PUBLISH] : NULL;
	bool publishes = publish && publish->node;
	if (publishes && from->node)
		diags_add(diags, DIAG_ERROR, AT_KEY(publish->node),
			  "`publish` and `from_alias` (line %u) are both given; remove one of them",
			  from->node->key_line);
	else if (!publishes && !from->node && !from->misspelt && !(publish && publish->misspelt))
		diags_add(diags, DIAG_ERROR, AT_VALUE(r->node),
			  "`version` is a mapping without %s`from_alias`; write one such as {from_alias: test, soak: "
			  "2h}, or a version's number",
			  may_publish ? "`publish` or " : "");
	if (soak->node && publishes && !from->node)
		diags_add(diags, DIAG_ERROR, AT_KEY(soak->node),
			  "`soak` belongs to `from_alias`; a new version has served no one yet");
}

static void read_mapping(const struct record *r, struct diags *diags, struct followed *ret)
{
	const struct field *from = &r->fields[VERSION_FROM_ALIAS];
	check_mapping(r, diags);
	ret->ok = r->fields[VERSION_SOAK].ok && from->ok;
	ret->soak_ms = r->fields[VERSION_SOAK].number;
	if (from->node) {
		ret->follow = FOLLOW_ALIAS;
		ret->from_alias = from->text;
		ret->from = from->node;
	} else if (r->object == &schema_rollout_version && r->fields[VERSION_PUBLISH].items) {
		ret->publish = r->fields[VERSION_PUBLISH].items;
		artifact_check(ret->publish, true, diags);
	} else {
		ret->ok = false;
	}
}

void followed_read(const struct field *version, struct diags *diags, struct followed *ret)
{
	*ret = (struct followed){.ok = version->ok};
	if (version->items)
		read_mapping(version->items, diags, ret);
	else if (version->ok && version->text)
		read_text(version->text, ret);
	else
		ret->ok = false;
}
