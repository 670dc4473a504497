/* The deployment that stages serve, and the stages with the variable that names their alias. */
#include <string.h>

#include "base/text.h"
#include "chain/diff_inner.h"

static const struct view_deployment *find_deployment(const struct chain_view *v, const char *id)
{
	for (size_t n = 0; n < v->api.n_deployments; n++) {
		if (strcmp(v->api.deployments[n].id, id) == 0)
			return &v->api.deployments[n];
	}
	return NULL;
}

const struct view_deployment *stage_deployment_made(const struct chain_view *v, const struct chain_memory *m)
{
	if (m->deployment_id[0] != '\0')
		return find_deployment(v, m->deployment_id);
	/* One whose answer was lost. */
	for (size_t n = 0; m->deploy_mark[0] != '\0' && n < v->api.n_deployments; n++) {
		const struct view_deployment *x = &v->api.deployments[n];
		if (x->description && strcmp(x->description, m->deploy_mark) == 0)
			return x;
	}
	return NULL;
}

static bool has_route(const struct view_deployment *x, const struct service_route *r)
{
	size_t verb = strlen(r->method);

	for (size_t n = 0; n < x->n_routes; n++) {
		const char *key = x->routes[n];
		if (strncmp(key, r->method, verb) == 0 && key[verb] == ' ' && strcmp(key + verb + 1, r->path) == 0)
			return true;
	}
	return false;
}

/* There, and not known to lack a route. */
static bool is_usable(const struct diff *d, const char *id)
{
	const struct view_deployment *x = find_deployment(d->v, id);

	/* Of an HTTP API none is read: they do not tell their routes, and a stage has none that is not there. */
	if (!x)
		return d->spec->api.type == API_HTTP;
	if (!x->summary_read)
		return true;
	for (size_t n = 0; n < d->spec->api.n_routes; n++) {
		if (!has_route(x, &d->spec->api.routes[n]))
			return false;
	}
	return true;
}

/* What the stage should serve; NULL: it must be made first. `s` NULL: the stage is not there yet. */
static const char *wanted_deployment(const struct diff *d, const struct view_stage *s)
{
	const struct view_deployment *made = stage_deployment_made(d->v, d->m);

	if (d->m->deploy)
		return made ? made->id : NULL;
	if (s && s->deployment_id && is_usable(d, s->deployment_id))
		return s->deployment_id;
	/* Whatever its summary says: what was made for the routes as they are is not made again. */
	if (made)
		return made->id;
	for (size_t n = 0; n < d->spec->api.n_stages; n++) {
		const struct view_stage *other = chain_view_stage(d->v, d->spec->api.stages[n].name);
		if (other && other->deployment_id && is_usable(d, other->deployment_id))
			return other->deployment_id;
	}
	return NULL;
}

/* What a stage needs. */
struct stage_need {
	const struct view_stage *view; /* NULL: it is missing */
	bool deployment;	       /* another one than it has */
	const char *to;		       /* that one; NULL: not there yet */
	const char *variable;	       /* what the variable is now; NULL: not set */
	bool variable_differs;
};

static const char *stage_alias(const struct diff *d, size_t stage)
{
	return d->spec->aliases[d->spec->api.stages[stage].alias].name;
}

static struct stage_need stage_need(const struct diff *d, size_t stage)
{
	const struct view_stage *s = chain_view_stage(d->v, d->spec->api.stages[stage].name);
	struct stage_need need = {.view = s};
	bool by_itself = s ? s->auto_deploy : d->spec->api.type == API_HTTP;

	if (!by_itself) {
		need.to = wanted_deployment(d, s);
		need.deployment = !s || !s->deployment_id || !need.to || strcmp(s->deployment_id, need.to) != 0;
	}
	for (size_t n = 0; s && n < s->n_variables; n++) {
		if (strcmp(s->variables[n].name, d->spec->api.stage_variable) == 0)
			need.variable = s->variables[n].value;
	}
	need.variable_differs = !need.variable || strcmp(need.variable, stage_alias(d, stage)) != 0;
	return need;
}

static bool is_canary(const struct stage_need *n)
{
	return n->view && n->view->canary;
}

static void add_deployment(struct diff *d)
{
	struct change *c =
	    diff_add(d, CHANGE_CREATE_DEPLOYMENT, arena_printf(d->a, "deployment of %s", d->api_subject));
	char now[32];

	/* Asked for before, with the answer lost: whichever of the two arrives is found by the same mark. */
	text_format_utc(d->in->now_unix_ms, now);
	c->key = d->m->deploy_mark[0] ? d->m->deploy_mark : arena_printf(d->a, "rolloutd %s", now);
	c->to = c->key;
}

static void update_stage(struct diff *d, size_t stage, const struct stage_need *need, const char *subject)
{
	const char *deployment = need->deployment && !is_canary(need) ? need->to : NULL;

	if (!need->variable_differs && !deployment)
		return;
	struct change *c = diff_add(d, CHANGE_UPDATE_STAGE, subject);
	c->key = need->view->name;
	c->index = stage;
	c->parent = deployment;
	if (need->variable_differs) {
		c->field = arena_printf(d->a, "variable %s", d->spec->api.stage_variable);
		c->from = need->variable ? need->variable : "";
		c->to = stage_alias(d, stage);
	} else {
		c->field = "deployment";
		c->from = need->view->deployment_id ? need->view->deployment_id : "";
		c->to = deployment;
	}
}

static void one_stage(struct diff *d, size_t stage)
{
	const char *name = d->spec->api.stages[stage].name;
	const char *subject = arena_printf(d->a, "stage %s of %s", name, d->api_subject);
	struct stage_need need = stage_need(d, stage);

	if (need.deployment && is_canary(&need))
		diff_problem(
		    d, subject, "deployment",
		    "it has a canary of its own in API Gateway, and takes no other deployment as long as it has: "
		    "promote or remove that canary");
	if (!d->ready[stage])
		return;
	if (need.view) {
		/* The variable goes together with the deployment when one is about to come. */
		if (!need.deployment || is_canary(&need) || need.to || d->routes_held)
			update_stage(d, stage, &need, subject);
	} else if (!need.deployment || (need.to && d->route_calls == 0 && !d->routes_held)) {
		struct change *c = diff_add(d, CHANGE_CREATE_STAGE, subject);
		c->to = stage_alias(d, stage);
		c->key = name;
		c->index = stage;
		c->parent = need.to;
	}
}

static bool serves_at_once(const struct diff *d, size_t stage)
{
	const struct view_stage *s = chain_view_stage(d->v, d->spec->api.stages[stage].name);

	return s && s->auto_deploy;
}

void diff_stages_before_routes(struct diff *d)
{
	for (size_t n = 0; n < d->spec->api.n_stages; n++) {
		if (serves_at_once(d, n))
			one_stage(d, n);
	}
}

void diff_stages(struct diff *d)
{
	bool missing = false;

	for (size_t n = 0; n < d->spec->api.n_stages; n++) {
		struct stage_need need = stage_need(d, n);
		missing = missing || (d->ready[n] && need.deployment && !need.to && !is_canary(&need));
	}
	if (missing && d->route_calls == 0 && !d->routes_held)
		add_deployment(d);
	for (size_t n = 0; n < d->spec->api.n_stages; n++) {
		if (!serves_at_once(d, n))
			one_stage(d, n);
	}
}
