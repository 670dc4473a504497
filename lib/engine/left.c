/*
 * Aliases that a rollout has left, and the RevisionId that each had before that rollout's last change: by it the next
 * one tells an old view of the alias. What is kept lives as long as the daemon; after a restart it is read back from
 * the records of what ended just before.
 */
#include "engine/chain.h"
#include "engine/item.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define RECENT_MS (5 * MS_PER_MINUTE) /* AWS shows old views for seconds */

static void remember(struct engine *e, const char *alias_key, const char *old_revision)
{
	struct left_alias *l = &e->left[e->n_left++ % LEFT_ALIASES];

	free(l->alias_key);
	l->alias_key = mem_strdup(alias_key);
	(void)text_copy(l->old_revision, sizeof(l->old_revision), old_revision);
}

void left_remember(struct item *i)
{
	remember(i->engine, i->alias_key, i->state.old_revision);
}

const char *left_old_revision(const struct engine *e, const char *alias_key)
{
	size_t oldest = e->n_left > LEFT_ALIASES ? e->n_left - LEFT_ALIASES : 0;

	for (size_t n = e->n_left; n-- > oldest;) {
		const struct left_alias *l = &e->left[n % LEFT_ALIASES];

		if (strcmp(l->alias_key, alias_key) == 0)
			return l->old_revision;
	}
	return NULL;
}

/* The newest come first: of each alias the first one counts. */
static int load_ended(void *ctx, const struct store_rollout *r)
{
	struct engine *e = ctx;
	struct rollout state;
	char boot_id[BOOT_ID_SIZE], error[LIMIT_REASON];

	if (r->live || service_is_row(r) || left_old_revision(e, r->alias_key) ||
	    engine_now(e).unix_ms - r->updated_unix_ms > RECENT_MS)
		return 0;
	if (record_decode(r->record, &state, boot_id, error, sizeof(error)) == 0)
		remember(e, r->alias_key, state.old_revision);
	return 0;
}

void left_load(struct engine *e)
{
	/* What cannot be read is no reason not to start: it only saves looking at an old view. */
	if (store_each_of_name(e->store, NULL, LEFT_ALIASES, load_ended, e) != 0)
		engine_log(e, LOG_WARNING, "the newest records cannot be read: %s", store_error_text(e->store));
}

void left_deinit(struct engine *e)
{
	for (size_t n = 0; n < LEFT_ALIASES; n++)
		free(e->left[n].alias_key);
}
