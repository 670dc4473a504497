#include "plan/artifact.h"

/* The keys of the sources; `ret` is the first that was given, or NULL. */
static const struct node *find_source(const struct record *code, const struct node **ret_second)
{
	static const size_t sources[] = {CODE_KEY_ZIP, CODE_KEY_S3, CODE_KEY_IMAGE};
	const struct node *first = NULL;
	*ret_second = NULL;
	for (size_t i = 0; i < array_len(sources); i++) {
		const struct node *n = code->fields[sources[i]].node;
		if (n && first)
			*ret_second = n;
		else if (n)
			first = n;
	}
	return first;
}

static bool is_misspelt(const struct record *code)
{
	return code->fields[CODE_KEY_ZIP].misspelt || code->fields[CODE_KEY_S3].misspelt ||
	       code->fields[CODE_KEY_IMAGE].misspelt;
}

void artifact_check(const struct record *code, bool or_latest, struct diags *diags)
{
	const struct node *second;
	const struct node *first = find_source(code, &second);
	if (second)
		diags_add(diags, DIAG_ERROR, AT_KEY(second),
			  "`%s` and `%s` (line %u) are both given, but code comes from one place; remove one of them",
			  second->key, first->key, first->key_line);
	else if (!first && !or_latest && !is_misspelt(code))
		diags_add(
		    diags, DIAG_ERROR, AT_VALUE(code->node),
		    "this does not say where the code comes from; write {zip: PATH}, {s3: {bucket: …, key: …}} or "
		    "{image: URI}");
}

void artifact_fill(struct arena *a, const struct record *code, struct code_spec *ret)
{
	const struct field *f = code->fields;
	struct code_spec c = {.source = CODE_LATEST, .description = arena_strdup(a, f[CODE_KEY_DESCRIPTION].text)};
	if (f[CODE_KEY_ZIP].node) {
		c.source = CODE_ZIP;
		c.zip = arena_strdup(a, f[CODE_KEY_ZIP].text);
	} else if (f[CODE_KEY_IMAGE].node) {
		c.source = CODE_IMAGE;
		c.image = arena_strdup(a, f[CODE_KEY_IMAGE].text);
	} else if (f[CODE_KEY_S3].node) {
		const struct field *s3 = f[CODE_KEY_S3].items->fields;
		c.source = CODE_S3;
		c.bucket = arena_strdup(a, s3[S3_BUCKET].text);
		c.key = arena_strdup(a, s3[S3_KEY].text);
		c.object_version = arena_strdup(a, s3[S3_VERSION].text);
	}
	*ret = c;
}
