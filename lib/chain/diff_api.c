/* The API itself, and its routes: REST resources with methods, or HTTP routes. Their order is that of diff.h. */
#include <string.h>

#include "base/error.h"
#include "chain/diff_inner.h"

#define PROXY "AWS_PROXY"

static bool same(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* --- the API --- */

/* A clock that was set back must not make it longer. */
static bool api_may_come(const struct diff *d)
{
	int64_t ahead_ms = d->m->api_until_unix_ms - d->in->now_unix_ms;

	return ahead_ms > 0 && ahead_ms <= CHAIN_API_COMES_MS;
}

/* True when there is one that can be worked on. */
static bool api_in_order(struct diff *d)
{
	const struct service_api *s = &d->spec->api;
	const struct view_api *v = &d->v->api;

	if (s->id && !v->found) {
		diff_problem(
		    d, d->api_subject, "",
		    "there is no %s API with the id %s in this region: correct `id:`, or give a `name:` and one is "
		    "made",
		    s->type == API_REST ? "REST" : "HTTP", s->id);
		return false;
	}
	if (!s->id && v->n_same_name > 1) {
		diff_problem(d, d->api_subject, "", "%u APIs have the name %s: say which one with `id:`",
			     v->n_same_name, s->name);
		return false;
	}
	if (!v->found && api_may_come(d)) {
		diff_wait(d, d->api_subject, "", "it was asked for, and AWS may not show it yet");
		d->items[d->len - 1].until_unix_ms = d->m->api_until_unix_ms;
		d->api_waits = true;
		return false;
	}
	if (!v->found) {
		struct change *c = diff_add(d, CHANGE_CREATE_API, d->api_subject);
		c->until_unix_ms = d->in->now_unix_ms + CHAIN_API_COMES_MS;
		c->to = s->name;
		c->key = s->name;
		return false;
	}
	if (d->v->account_id[0] == '\0' || d->v->region[0] == '\0') {
		diff_wait(d, d->api_subject, "", "the account of function %s was not read yet", d->spec->function);
		d->api_waits = true;
		return false;
	}
	return true;
}

void diff_api(struct diff *d)
{
	const struct service_api *s = &d->spec->api;

	if (s->type == API_NONE)
		return;
	require(s->name || s->id);
	d->api_subject = arena_printf(d->a, "API %s", s->name ? s->name : s->id);
	if (!api_in_order(d))
		return;
	d->uri = chain_integration_uri(d->a, d->spec, d->v);
	diff_permissions(d);
	diff_stages_before_routes(d);
	diff_routes(d);
	diff_stages(d);
}

/* --- routes: what both types share --- */

static const char *route_key(struct diff *d, const struct service_route *r)
{
	return arena_printf(d->a, "%s %s", r->method, r->path);
}

static struct change *add_route_change(struct diff *d, enum change_kind kind, const char *what, size_t route)
{
	struct change *c = diff_add(d, kind, arena_printf(d->a, "%s of %s", what, d->api_subject));

	c->index = route;
	return c;
}

static const struct view_method *find_method(const struct diff *d, const struct service_route *r)
{
	for (size_t n = 0; n < d->v->api.n_methods; n++) {
		const struct view_method *m = &d->v->api.methods[n];
		if (strcmp(m->verb, r->method) == 0 && strcmp(m->path, r->path) == 0)
			return m;
	}
	return NULL;
}

/* --- REST --- */

static const struct view_resource *find_resource(const struct diff *d, const char *path, size_t len)
{
	for (size_t n = 0; n < d->v->api.n_resources; n++) {
		const struct view_resource *r = &d->v->api.resources[n];
		if (strlen(r->path) == len && memcmp(r->path, path, len) == 0)
			return r;
	}
	return NULL;
}

static const char *resource_id(const struct diff *d, const char *path, size_t len)
{
	if (len == 0 || (len == 1 && path[0] == '/'))
		return d->v->api.root_id;
	const struct view_resource *r = find_resource(d, path, len);
	return r ? r->id : NULL;
}

/*
 * Lambda takes POST only, whatever the verb of the caller is: by any other the integration answers nothing but errors.
 * HTTP APIs see to that themselves.
 */
static bool calls_lambda(const struct view_method *m)
{
	return same(m->integration_type, PROXY) && (!m->called_by || strcmp(m->called_by, "POST") == 0);
}

/* For people: with the verb when that is what is wrong. */
static const char *named_integration(struct diff *d, const struct view_method *m)
{
	if (!m->uri)
		return "";
	return same(m->uri, d->uri) && m->called_by ? arena_printf(d->a, "%s by %s", m->uri, m->called_by) : m->uri;
}

static bool resource_is_listed(const struct diff *d, const char *path)
{
	for (size_t n = 0; n < d->len; n++) {
		if (d->items[n].kind == CHANGE_CREATE_RESOURCE && strcmp(d->items[n].key, path) == 0)
			return true;
	}
	return false;
}

/* The first resource on the way to the path that is missing; those below it come with a later asking. */
static void add_resource(struct diff *d, size_t route)
{
	const char *path = d->spec->api.routes[route].path;
	const char *parent = d->v->api.root_id;
	size_t end = 0;

	while (path[end] != '\0') {
		size_t begin = end + 1;
		end = begin + strcspn(path + begin, "/");
		const char *id = resource_id(d, path, end);
		if (id) {
			parent = id;
			continue;
		}
		const char *prefix = arena_strndup(d->a, path, end);
		if (resource_is_listed(d, prefix))
			return;
		struct change *c =
		    add_route_change(d, CHANGE_CREATE_RESOURCE, arena_printf(d->a, "resource %s", prefix), route);
		c->to = arena_strndup(d->a, path + begin, end - begin);
		c->key = prefix;
		c->parent = parent;
		return;
	}
}

static void rest_route(struct diff *d, size_t route)
{
	const struct service_route *r = &d->spec->api.routes[route];
	const char *resource = resource_id(d, r->path, strlen(r->path));
	const struct view_method *m = find_method(d, r);

	if (!resource) {
		add_resource(d, route);
		return;
	}
	const char *key = route_key(d, r);
	const char *what = arena_printf(d->a, "method %s", key);
	if (!m) {
		struct change *c = add_route_change(d, CHANGE_PUT_METHOD, what, route);
		c->to = key;
		c->key = key;
		c->parent = resource;
	} else if (!calls_lambda(m) || !same(m->uri, d->uri)) {
		struct change *c = add_route_change(d, CHANGE_PUT_INTEGRATION, what, route);
		c->field = "integration";
		c->from = named_integration(d, m);
		c->to = d->uri;
		c->key = key;
		c->parent = resource;
	}
}

static void rest_routes(struct diff *d)
{
	if (!d->v->api.root_id) {
		diff_wait(d, d->api_subject, "routes", "its resources were not read yet");
		d->api_waits = true;
		d->routes_held = true;
		return;
	}
	for (size_t n = 0; n < d->spec->api.n_routes; n++)
		rest_route(d, n);
}

/* --- HTTP --- */

static const struct view_integration *find_integration(const struct diff *d, const char *id)
{
	for (size_t n = 0; n < d->v->api.n_integrations; n++) {
		const struct view_integration *i = &d->v->api.integrations[n];
		if (strcmp(i->id, id) == 0)
			return i;
	}
	return NULL;
}

static bool is_ours(const struct diff *d, const struct view_integration *i)
{
	return i && same(i->type, PROXY) && same(i->uri, d->uri);
}

static bool route_in_order(const struct diff *d, const struct view_method *m)
{
	return m && m->integration_id && is_ours(d, find_integration(d, m->integration_id));
}

/* The index of a declared stage; n_stages: it is not declared. */
static size_t declared_stage(const struct diff *d, const char *name)
{
	size_t n = 0;

	while (n < d->spec->api.n_stages && strcmp(d->spec->api.stages[n].name, name) != 0)
		n++;
	return n;
}

static bool sets_variable(const struct diff *d, const struct view_stage *s)
{
	for (size_t n = 0; n < s->n_variables; n++) {
		if (strcmp(s->variables[n].name, d->spec->api.stage_variable) == 0)
			return true;
	}
	return false;
}

/* Something is served already, by other means than ours. */
static bool serves_others(const struct diff *d)
{
	for (size_t n = 0; n < d->v->api.n_methods; n++) {
		if (d->v->api.methods[n].integration_id && !route_in_order(d, &d->v->api.methods[n]))
			return true;
	}
	return false;
}

/*
 * A stage that deploys by itself serves a changed route at once: with no permission or no variable, that would be an
 * error where an answer was. True when one of them is not ready for it.
 */
static bool hold_routes(struct diff *d)
{
	for (size_t n = 0; n < d->v->api.n_stages; n++) {
		const struct view_stage *s = &d->v->api.stages[n];
		size_t declared = declared_stage(d, s->name);

		if (!s->auto_deploy)
			continue;
		if (declared < d->spec->api.n_stages) {
			if (d->ready[declared])
				continue;
			d->api_waits = true; /* why is said of its alias or its permission */
			return true;
		}
		if (sets_variable(d, s) || !serves_others(d))
			continue;
		diff_problem(
		    d, arena_printf(d->a, "stage %s of %s", s->name, d->api_subject), "routes",
		    "it deploys by itself, serves other routes, and sets no variable %s, so it would fail where it "
		    "answers now: declare it in `stages:`, or turn its automatic deployment off",
		    d->spec->api.stage_variable);
		return true;
	}
	return false;
}

static const char *our_integration(const struct diff *d)
{
	for (size_t n = 0; n < d->v->api.n_integrations; n++) {
		if (is_ours(d, &d->v->api.integrations[n]))
			return d->v->api.integrations[n].id;
	}
	return NULL;
}

static void http_route(struct diff *d, size_t route, const char *integration)
{
	const struct service_route *r = &d->spec->api.routes[route];
	const struct view_method *m = find_method(d, r);

	if (route_in_order(d, m))
		return;
	const char *key = route_key(d, r);
	struct change *c = add_route_change(d, m ? CHANGE_UPDATE_ROUTE : CHANGE_CREATE_ROUTE,
					    arena_printf(d->a, "route %s", key), route);
	c->key = key;
	c->parent = integration;
	if (!m) {
		c->to = key;
		return;
	}
	const struct view_integration *old = m->integration_id ? find_integration(d, m->integration_id) : NULL;
	c->field = "integration";
	c->from = old && old->uri ? old->uri : "";
	c->to = d->uri;
	c->id = m->route_id;
}

static void http_routes(struct diff *d)
{
	const char *integration = our_integration(d);
	bool due = false;

	for (size_t n = 0; n < d->spec->api.n_routes; n++)
		due = due || !route_in_order(d, find_method(d, &d->spec->api.routes[n]));
	if (!due)
		return;
	d->routes_held = hold_routes(d);
	if (d->routes_held)
		return;
	if (!integration) {
		struct change *c =
		    diff_add(d, CHANGE_CREATE_INTEGRATION, arena_printf(d->a, "integration of %s", d->api_subject));
		c->to = d->uri;
		c->key = d->uri;
		return;
	}
	for (size_t n = 0; n < d->spec->api.n_routes; n++)
		http_route(d, n, integration);
}

void diff_routes(struct diff *d)
{
	if (d->spec->api.type == API_REST)
		rest_routes(d);
	else
		http_routes(d);
}
