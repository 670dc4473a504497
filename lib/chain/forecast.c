/* All changes to come: each one let into a copy of the view, as if AWS had answered it well. */
#include "base/error.h"
#include "base/text.h"
#include "chain/diff.h"

/* Above what the limits on aliases, stages and routes allow together. */
#define STEPS_MAX 1000

#define NEW "(new)"

static void imagine_code(const struct chain_input *in, struct view_version *ret)
{
	const char *sha256 = in->spec->code.source == CODE_ZIP ? in->code_sha256 : NEW;

	*ret = in->view->latest;
	ret->number = VERSION_LATEST;
	(void)text_copy(ret->code_sha256, sizeof(ret->code_sha256), sha256);
	(void)text_copy(ret->state, sizeof(ret->state), "Active");
	(void)text_copy(ret->last_update_status, sizeof(ret->last_update_status), "Successful");
}

static void imagine(const struct chain_input *in, const struct change *c, unsigned step, struct arena *a,
		    struct change_answer *ret)
{
	const struct view_version *newest = chain_view_newest(in->view);

	*ret = (struct change_answer){.id = arena_printf(a, "(new %u)", step), .root_id = "(root)"};
	switch (c->kind) {
	case CHANGE_CREATE_FUNCTION:
	case CHANGE_UPDATE_CODE:
		imagine_code(in, &ret->version);
		break;
	case CHANGE_PUBLISH_VERSION:
		ret->version = in->view->latest;
		ret->version.number = newest ? newest->number + 1 : 1;
		break;
	case CHANGE_CREATE_ALIAS:
	case CHANGE_MOVE_ALIAS:
		ret->alias.target.version = c->version;
		break;
	default:
		break;
	}
}

static void append(struct arena *a, struct change_list *l, const struct change *c)
{
	struct change *items = arena_array(a, l->len + 1, sizeof(*items));

	for (size_t n = 0; n < l->len; n++)
		items[n] = l->items[n];
	items[l->len++] = *c;
	l->items = items;
}

void chain_forecast(const struct chain_input *now, struct arena *a, struct change_list *ret)
{
	struct chain_view view = *now->view; /* what is applied replaces arrays, and leaves the old ones as they are */
	struct chain_memory memory = *now->memory;
	struct chain_input in = *now;
	struct change_list left, l = {0};
	struct change_answer answer;

	view.arena = a;
	in.view = &view;
	in.memory = &memory;
	for (unsigned step = 1;; step++) {
		const struct change *c;

		require(step < STEPS_MAX);
		chain_diff(&in, a, &left);
		c = chain_first_call(&left);
		if (!c)
			break;
		append(a, &l, c);
		chain_remember_before(c, &memory);
		imagine(&in, c, step, a, &answer);
		chain_apply(in.spec, c, &answer, &view);
		chain_remember_after(&in, c, answer.id, &memory);
	}
	for (size_t n = 0; n < left.len; n++)
		append(a, &l, &left.items[n]);
	*ret = l;
}
