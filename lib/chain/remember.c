/* What must outlive a look: said before a change is sent, after it was answered, and by what a look shows. */
#include <string.h>

#include "base/text.h"
#include "chain/diff_inner.h"

static void remember_code(const struct chain_input *in, const char *identity, struct chain_memory *m)
{
	(void)text_copy(m->applied_code, sizeof(m->applied_code), identity);
	(void)text_copy(m->applied_sha256, sizeof(m->applied_sha256), in->view->latest.code_sha256);
}

static void remember_reached(struct alias_memory *m, uint64_t version)
{
	m->reached = version; /* VERSION_LATEST is no version's number */
	m->was_head = version == VERSION_LATEST;
	m->rolled_back = false;
	m->unmoved = false;
	m->outcome[0] = '\0';
}

/* What was made for other routes is of no use any more. */
static void forget_deployment(struct chain_memory *m)
{
	m->deployment_id[0] = '\0';
	m->deploy_mark[0] = '\0';
}

void chain_remember_before(const struct change *c, struct chain_memory *m)
{
	if (c->kind == CHANGE_CREATE_API) {
		m->deploy = false;
		m->api_until_unix_ms = c->until_unix_ms;
		forget_deployment(m);
	} else if (c->kind >= CHANGE_CREATE_RESOURCE && c->kind <= CHANGE_UPDATE_ROUTE) {
		m->deploy = true;
		forget_deployment(m);
	} else if (c->kind == CHANGE_CREATE_DEPLOYMENT) {
		/* Due from here on, even if no route was changed: one deployment for all stages. */
		m->deploy = true;
		m->deployment_id[0] = '\0'; /* it is gone, or lacks a route */
		(void)text_copy(m->deploy_mark, sizeof(m->deploy_mark), c->key);
	}
}

void chain_remember_sent(const struct change *c, int64_t now_unix_ms, struct chain_memory *m)
{
	if (c->kind == CHANGE_CREATE_API)
		m->api_until_unix_ms = now_unix_ms + CHAIN_API_COMES_MS;
}

/* Every declared stage serves the routes as they are: nothing is left to deploy. */
static void settle_deployment(const struct chain_input *in, struct chain_memory *m)
{
	const struct service_api *api = &in->spec->api;

	for (size_t n = 0; n < api->n_stages; n++) {
		const struct view_stage *s = chain_view_stage(in->view, api->stages[n].name);
		bool by_itself = s ? s->auto_deploy : api->type == API_HTTP;

		if (by_itself)
			continue;
		if (!s || !s->deployment_id || m->deployment_id[0] == '\0' ||
		    strcmp(s->deployment_id, m->deployment_id) != 0)
			return;
	}
	m->deploy = false;
}

void chain_remember_after(const struct chain_input *in, const struct change *c, const char *created,
			  struct chain_memory *m)
{
	switch (c->kind) {
	case CHANGE_UPDATE_CODE:
		m->code_done = m->insist;
		remember_code(in, c->to, m);
		break;
	case CHANGE_CREATE_FUNCTION:
		remember_code(in, c->to, m);
		break;
	case CHANGE_CREATE_ALIAS:
	case CHANGE_MOVE_ALIAS:
	case CHANGE_ROLLOUT:
		remember_reached(&m->aliases[c->index], c->version);
		m->aliases[c->index].rollout_live = c->kind == CHANGE_ROLLOUT;
		m->aliases[c->index].insisted = m->insist;
		break;
	case CHANGE_CREATE_DEPLOYMENT:
		m->deploy_mark[0] = '\0';
		(void)text_copy(m->deployment_id, sizeof(m->deployment_id), created ? created : "");
		break;
	default:
		break;
	}
	settle_deployment(in, m);
}

/* --- what a look shows --- */

static void see_code(const struct chain_input *in, struct chain_memory *m)
{
	char identity[sizeof(m->applied_code)];

	if (!code_is_latest(in))
		return;
	code_identity(&in->spec->code, in->code_sha256, identity, sizeof(identity));
	remember_code(in, identity, m);
}

static void see_alias(const struct chain_input *in, size_t n, struct alias_memory *m)
{
	const struct view_alias_entry *e = chain_view_alias(in->view, in->spec->aliases[n].name);

	if (!e || e->view.odd || e->view.target.weight_bp > 0 || m->rollout_live || m->held_by[0] != '\0')
		return;
	if (alias_is_wanted(in, n, e->view.target.version))
		remember_reached(m, e->view.target.version);
}

static void see_source(const struct chain_input *in, size_t n, struct alias_memory *m)
{
	uint64_t version = alias_source_version(in, n);

	/* From when on is not known but for what was seen; a clock that was set back must not make it longer. */
	if (version == m->seen && (version == 0 || m->seen_unix_ms <= in->now_unix_ms))
		return;
	m->seen = version;
	m->seen_unix_ms = version > 0 ? in->now_unix_ms : 0;
}

static void see_deployment(const struct chain_input *in, struct chain_memory *m)
{
	const struct view_deployment *made = stage_deployment_made(in->view, m);

	if (made && m->deployment_id[0] == '\0') {
		(void)text_copy(m->deployment_id, sizeof(m->deployment_id), made->id);
		m->deploy_mark[0] = '\0';
	}
	if (m->deploy && in->view->api.found)
		settle_deployment(in, m);
}

/* Nothing differs any more between asking and insisting, and no code is on its way for which it might. */
static bool is_fulfilled(const struct chain_input *in, const struct chain_memory *m)
{
	cleanup(arena_free_p) struct arena *a = arena_new();
	struct chain_memory calm = *m;
	calm.insist = false;
	struct diff with = {.in = in, .spec = in->spec, .v = in->view, .m = m, .a = a};
	struct diff without = {.in = in, .spec = in->spec, .v = in->view, .m = &calm, .a = a};

	diff_run(&with);
	diff_run(&without);
	return !with.code_busy && diff_count(&with, CHANGE_PROBLEM) == diff_count(&without, CHANGE_PROBLEM);
}

/* Field by field, as nobody promises what is between them. */
static bool alias_memory_equal(const struct alias_memory *a, const struct alias_memory *b)
{
	return a->reached == b->reached && a->was_head == b->was_head && a->seen == b->seen &&
	       a->seen_unix_ms == b->seen_unix_ms && a->rolled_back == b->rolled_back && a->insisted == b->insisted;
}

static bool memory_equal(const struct chain_memory *a, const struct chain_memory *b, size_t n_aliases)
{
	bool equal = strcmp(a->applied_code, b->applied_code) == 0 &&
		     strcmp(a->applied_sha256, b->applied_sha256) == 0 && a->deploy == b->deploy &&
		     strcmp(a->deployment_id, b->deployment_id) == 0 && strcmp(a->deploy_mark, b->deploy_mark) == 0 &&
		     a->insist == b->insist && a->code_done == b->code_done;

	for (size_t n = 0; n < n_aliases; n++)
		equal = equal && alias_memory_equal(&a->aliases[n], &b->aliases[n]);
	return equal;
}

bool chain_remember_seen(const struct chain_input *in, struct chain_memory *m)
{
	struct chain_memory before = *m;

	if (!in->view->function_found)
		return false;
	see_code(in, m);
	for (size_t n = 0; n < in->spec->n_aliases; n++) {
		/* Before what the alias itself has reached: the soak is over when it has. */
		if (in->spec->aliases[n].follow == FOLLOW_ALIAS)
			see_source(in, n, &m->aliases[n]);
		see_alias(in, n, &m->aliases[n]);
	}
	if (in->spec->api.type != API_NONE)
		see_deployment(in, m);
	if (m->insist && is_fulfilled(in, m)) {
		m->insist = false;
		m->code_done = false;
		for (size_t n = 0; n < in->spec->n_aliases; n++)
			m->aliases[n].insisted = false;
	}
	return !memory_equal(&before, m, in->spec->n_aliases);
}
