#include "change.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/text.h"
#include "field.h"

#define PUBLISH "publish-version"

/* By the first word of the kind: so what a newer daemon adds reads well, too. What a field had before is altered. */
enum change_sort change_sort_of(const json_t *change)
{
	static const struct {
		const char *begin;
		enum change_sort sort;
	} sorts[] = {
	    {"create-", SORT_MAKES},   {"add-", SORT_MAKES},	  {"put-", SORT_MAKES},	     {"publish-", SORT_MAKES},
	    {"remove-", SORT_REMOVES}, {"delete-", SORT_REMOVES}, {"problem", SORT_HINDERS}, {"wait", SORT_WAITS},
	};
	const char *kind = field_text(change, "kind");

	if (text_starts_with(kind, "put-") && field_text(change, "from")[0])
		return SORT_ALTERS;
	for (size_t i = 0; i < array_len(sorts); i++)
		if (text_starts_with(kind, sorts[i].begin))
			return sorts[i].sort;
	return SORT_ALTERS;
}

static void put_sign(struct canvas *c, enum change_sort sort)
{
	switch (sort) {
	case SORT_MAKES:
		canvas_put(c, STYLE_GOOD, "+ ");
		break;
	case SORT_ALTERS:
		canvas_put(c, STYLE_WARN, "~ ");
		break;
	case SORT_REMOVES:
		canvas_put(c, STYLE_BAD, "- ");
		break;
	case SORT_HINDERS:
		canvas_put(c, STYLE_BAD, "! ");
		break;
	case SORT_WAITS:
		canvas_put(c, STYLE_DIM, ". ");
		break;
	}
}

/* Whose new value is in its subject already. */
static bool repeats_itself(const char *kind)
{
	static const char *const kinds[] = {"create-api", "create-resource", "create-route", "put-method"};

	for (size_t i = 0; i < array_len(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* "version: 1 -> 2", "version 2", "variable lambdaAlias: test ->" … as far as there is something to say. */
static void put_values(struct canvas *c, const json_t *change)
{
	const char *field = field_text(change, "field"), *from = field_text(change, "from");
	const char *to = field_text(change, "to"), *kind = field_text(change, "kind");

	if (repeats_itself(kind))
		return;
	if (strcmp(kind, PUBLISH) == 0) {
		/* Its number is AWS's to give: what it is made of is what can be said. */
		if (to[0])
			canvas_putf(c, STYLE_PLAIN, ": CodeSha256 %s", to);
		return;
	}
	if (field[0])
		canvas_putf(c, STYLE_PLAIN, ": %s", field);
	if (from[0] && to[0])
		canvas_putf(c, STYLE_PLAIN, ": %s -> %s", from, to);
	else if (from[0])
		canvas_putf(c, STYLE_PLAIN, ": %s -> (none)", from);
	else if (to[0])
		canvas_putf(c, STYLE_PLAIN, ": %s%s", strcmp(kind, "create-stage") == 0 ? "alias " : "", to);
}

static void put_verb(struct canvas *c, const char *kind)
{
	if (strcmp(kind, PUBLISH) == 0)
		canvas_put(c, STYLE_PLAIN, "publish a version of ");
	else if (strcmp(kind, "put-method") == 0)
		canvas_put(c, STYLE_PLAIN, "create ");
	else if (strcmp(kind, "put-integration") != 0)
		canvas_putf(c, STYLE_PLAIN, "%.*s ", (int)strcspn(kind, "-"), kind);
}

void change_put(struct canvas *c, const json_t *change, int indent)
{
	const char *kind = field_text(change, "kind"), *text = field_text(change, "text");
	enum change_sort sort = change_sort_of(change);

	canvas_pad(c, indent);
	put_sign(c, sort);
	if (sort == SORT_MAKES)
		put_verb(c, kind);
	canvas_put(c, STYLE_BOLD, field_text(change, "subject"));
	if (sort == SORT_HINDERS || sort == SORT_WAITS) {
		canvas_putf(c, STYLE_PLAIN, ": %s", text);
	} else {
		if (sort != SORT_REMOVES)
			put_values(c, change);
		if (strcmp(kind, "rollout") == 0)
			canvas_put(c, STYLE_DIM, ", by a rollout");
		if (text[0])
			canvas_putf(c, STYLE_DIM, " (%s)", text);
	}
	canvas_end_line(c);
}
