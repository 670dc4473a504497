/* Answers of changes, let into the view: it then is as if it had been read anew. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "chain/diff.h"

/* What Lambda writes around the statements of a policy. */
#define POLICY_FRAME (sizeof("{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[]}") - 1)

/* A copy in the view's arena with room for `more`; what it replaces goes when the view does. */
static void *copy_array(struct chain_view *v, const void *items, size_t len, size_t more, size_t size)
{
	char *copy = arena_array(v->arena, len + more, size);

	if (len > 0)
		memcpy(copy, items, len * size);
	return copy;
}

static const char *keep(struct chain_view *v, const char *s)
{
	return arena_strdup(v->arena, s);
}

/* --- function and versions --- */

static void set_account(const struct service_spec *spec, struct chain_view *v)
{
	/* arn:PARTITION:iam::ACCOUNT:role/NAME: a function's role is of the function's own account. */
	const char *partition = strchr(spec->create.role, ':');
	const char *account = partition ? strstr(partition, ":iam::") : NULL;

	if (!account || v->account_id[0] != '\0')
		return;
	(void)text_copy(v->partition, sizeof(v->partition),
			arena_strndup(v->arena, partition + 1, (size_t)(account - partition - 1)));
	account += strlen(":iam::");
	(void)text_copy(v->account_id, sizeof(v->account_id), arena_strndup(v->arena, account, strcspn(account, ":")));
}

static void set_latest(const struct service_spec *spec, const struct view_version *answer, struct chain_view *v)
{
	char digest[DIGEST_SIZE];

	/* An update of the code leaves the configuration, which the answer may not tell in the same form. */
	(void)text_copy(digest, sizeof(digest), v->latest.config_digest);
	v->latest = *answer;
	v->latest.number = VERSION_LATEST;
	if (answer->config_digest[0] == '\0')
		(void)text_copy(v->latest.config_digest, sizeof(v->latest.config_digest), digest);
	if (spec->code.source == CODE_IMAGE)
		(void)text_copy(v->image_uri, sizeof(v->image_uri), spec->code.image);
}

static void add_version(const struct view_version *answer, struct chain_view *v)
{
	struct view_version published = *answer;
	size_t at = 0;

	/* It froze what $LATEST is. */
	(void)text_copy(published.config_digest, sizeof(published.config_digest), v->latest.config_digest);
	while (at < v->n_versions && v->versions[at].number < published.number)
		at++;
	struct view_version *copy = copy_array(v, v->versions, v->n_versions, 1, sizeof(*copy));
	if (at == v->n_versions || copy[at].number != published.number) {
		/* AWS answers with the newest version when there is nothing new: then it is there already. */
		memmove(copy + at + 1, copy + at, (v->n_versions - at) * sizeof(*copy));
		v->n_versions++;
	}
	copy[at] = published;
	v->versions = copy;
}

static void remove_version(uint64_t number, struct chain_view *v)
{
	struct view_version *copy = copy_array(v, v->versions, v->n_versions, 0, sizeof(*copy));
	size_t len = 0;

	for (size_t n = 0; n < v->n_versions; n++) {
		if (v->versions[n].number != number)
			copy[len++] = v->versions[n];
	}
	v->versions = copy;
	v->n_versions = len;
}

/* --- aliases and their policies --- */

static struct view_alias_entry *edit_alias(struct chain_view *v, const char *name)
{
	struct view_alias_entry *copy = copy_array(v, v->aliases, v->n_aliases, 0, sizeof(*copy));

	v->aliases = copy;
	for (size_t n = 0; n < v->n_aliases; n++) {
		if (strcmp(copy[n].name, name) == 0)
			return &copy[n];
	}
	return NULL;
}

static void add_alias(const struct change *c, const struct alias_view *answer, struct chain_view *v)
{
	struct view_alias_entry *copy = copy_array(v, v->aliases, v->n_aliases, 1, sizeof(*copy));
	size_t at = 0;

	while (at < v->n_aliases && strcmp(copy[at].name, c->key) < 0)
		at++;
	memmove(copy + at + 1, copy + at, (v->n_aliases - at) * sizeof(*copy));
	/* A new alias has no policy, so there is nothing to read. */
	copy[at] = (struct view_alias_entry){.name = keep(v, c->key), .view = *answer, .policy_read = true};
	v->aliases = copy;
	v->n_aliases++;
}

static void move_alias(const struct change *c, const struct alias_view *answer, struct chain_view *v)
{
	struct view_alias_entry *e = edit_alias(v, c->key);

	require(e);
	e->view = *answer;
}

static void add_statement(const struct service_spec *spec, const struct change *c, size_t bytes, struct chain_view *v)
{
	const char *alias = spec->aliases[spec->api.stages[c->index].alias].name;
	struct view_alias_entry *e = edit_alias(v, alias);

	require(e);
	struct view_policy *p = &e->policy;
	struct view_statement *copy = copy_array(v, p->statements, p->n_statements, 1, sizeof(*copy));
	copy[p->n_statements++] = (struct view_statement){.sid = keep(v, c->key),
							  .invokes = true,
							  .source_arn = keep(v, c->to),
							  .source_account = keep(v, v->account_id)};
	p->statements = copy;
	if (bytes == 0)
		bytes =
		    chain_statement_bytes(chain_function_arn(v->arena, spec, v), alias, c->key, c->to, v->account_id);
	p->bytes += bytes + (p->bytes == 0 ? POLICY_FRAME : 1);
}

static void remove_statement(const struct service_spec *spec, const struct change *c, struct chain_view *v)
{
	struct view_alias_entry *e = edit_alias(v, spec->aliases[c->index].name);

	require(e);
	struct view_policy *p = &e->policy;
	struct view_statement *copy = copy_array(v, p->statements, p->n_statements, 0, sizeof(*copy));
	size_t len = 0;
	for (size_t n = 0; n < p->n_statements; n++) {
		if (strcmp(p->statements[n].sid, c->key) != 0)
			copy[len++] = p->statements[n];
	}
	/* The bytes stay as they were until the policy is read again: too many is the safe side of a limit. */
	p->statements = copy;
	p->n_statements = len;
	if (len == 0)
		p->bytes = 0;
}

/* --- API, routes --- */

static void add_resource(const char *id, const char *parent, const char *path, struct chain_view *v)
{
	struct view_resource *copy = copy_array(v, v->api.resources, v->api.n_resources, 1, sizeof(*copy));

	copy[v->api.n_resources++] =
	    (struct view_resource){.id = keep(v, id), .parent_id = keep(v, parent), .path = keep(v, path)};
	v->api.resources = copy;
}

static void set_api(const struct service_spec *spec, const struct change_answer *answer, struct chain_view *v)
{
	v->api = (struct view_api){.found = true, .n_same_name = 1};
	(void)text_copy(v->api.id, sizeof(v->api.id), answer->id);
	(void)text_copy(v->api.name, sizeof(v->api.name), spec->api.name);
	if (spec->api.type == API_REST && answer->root_id && answer->root_id[0] != '\0') {
		v->api.root_id = keep(v, answer->root_id);
		add_resource(answer->root_id, NULL, "/", v);
	}
}

static struct view_method *add_method(const struct service_route *r, struct chain_view *v)
{
	struct view_method *copy = copy_array(v, v->api.methods, v->api.n_methods, 1, sizeof(*copy));
	struct view_method *m = &copy[v->api.n_methods++];

	*m = (struct view_method){.path = keep(v, r->path), .verb = keep(v, r->method)};
	v->api.methods = copy;
	return m;
}

static struct view_method *edit_method(const struct service_route *r, struct chain_view *v)
{
	struct view_method *copy = copy_array(v, v->api.methods, v->api.n_methods, 0, sizeof(*copy));

	v->api.methods = copy;
	for (size_t n = 0; n < v->api.n_methods; n++) {
		if (strcmp(copy[n].path, r->path) == 0 && strcmp(copy[n].verb, r->method) == 0)
			return &copy[n];
	}
	return NULL;
}

static void set_integration(const struct service_spec *spec, struct view_method *m, struct chain_view *v)
{
	require(m);
	m->integration_type = "AWS_PROXY";
	m->uri = chain_integration_uri(v->arena, spec, v);
	m->called_by = "POST";
}

static void add_integration(const struct service_spec *spec, const char *id, struct chain_view *v)
{
	struct view_integration *copy = copy_array(v, v->api.integrations, v->api.n_integrations, 1, sizeof(*copy));

	copy[v->api.n_integrations++] = (struct view_integration){
	    .id = keep(v, id), .type = "AWS_PROXY", .uri = chain_integration_uri(v->arena, spec, v)};
	v->api.integrations = copy;
}

static void apply_route(const struct service_spec *spec, const struct change *c, const char *id, struct chain_view *v)
{
	const struct service_route *r = &spec->api.routes[c->index];
	struct view_method *m;

	switch (c->kind) {
	case CHANGE_PUT_METHOD:
		add_method(r, v)->resource_id = keep(v, c->parent);
		break;
	case CHANGE_PUT_INTEGRATION:
		set_integration(spec, edit_method(r, v), v);
		break;
	case CHANGE_CREATE_ROUTE:
		m = add_method(r, v);
		m->route_id = keep(v, id);
		m->integration_id = keep(v, c->parent);
		set_integration(spec, m, v);
		break;
	default: /* CHANGE_UPDATE_ROUTE */
		m = edit_method(r, v);
		set_integration(spec, m, v);
		m->integration_id = keep(v, c->parent);
	}
}

/* --- deployments, stages --- */

static void add_deployment(const struct change *c, const char *id, struct chain_view *v)
{
	struct view_deployment *copy = copy_array(v, v->api.deployments, v->api.n_deployments, 1, sizeof(*copy));

	copy[v->api.n_deployments++] = (struct view_deployment){.id = keep(v, id), .description = keep(v, c->key)};
	v->api.deployments = copy;
}

static void set_variable(const struct service_spec *spec, const struct change *c, struct view_stage *s,
			 struct chain_view *v)
{
	const char *name = spec->api.stage_variable;
	struct view_variable *copy = copy_array(v, s->variables, s->n_variables, 1, sizeof(*copy));
	size_t at = 0;

	while (at < s->n_variables && strcmp(copy[at].name, name) != 0)
		at++;
	copy[at] = (struct view_variable){.name = keep(v, name),
					  .value = keep(v, spec->aliases[spec->api.stages[c->index].alias].name)};
	if (at == s->n_variables)
		s->n_variables++;
	s->variables = copy;
}

static void apply_stage(const struct service_spec *spec, const struct change *c, struct chain_view *v)
{
	bool create = c->kind == CHANGE_CREATE_STAGE;
	struct view_stage *copy = copy_array(v, v->api.stages, v->api.n_stages, create, sizeof(*copy));
	size_t at = 0;

	if (create) {
		at = v->api.n_stages++;
		copy[at] = (struct view_stage){.name = keep(v, c->key),
					       .auto_deploy = spec->api.type == API_HTTP && !c->parent};
	} else {
		while (at < v->api.n_stages && strcmp(copy[at].name, c->key) != 0)
			at++;
		require(at < v->api.n_stages);
	}
	if (c->parent)
		copy[at].deployment_id = keep(v, c->parent);
	set_variable(spec, c, &copy[at], v);
	v->api.stages = copy;
}

void chain_apply(const struct service_spec *spec, const struct change *c, const struct change_answer *answer,
		 struct chain_view *v)
{
	const char *id = answer->id ? answer->id : "";

	switch (c->kind) {
	case CHANGE_CREATE_FUNCTION:
		v->function_found = true;
		set_account(spec, v);
		set_latest(spec, &answer->version, v);
		break;
	case CHANGE_UPDATE_CODE:
		set_latest(spec, &answer->version, v);
		break;
	case CHANGE_PUBLISH_VERSION:
		add_version(&answer->version, v);
		break;
	case CHANGE_CREATE_ALIAS:
		add_alias(c, &answer->alias, v);
		break;
	case CHANGE_MOVE_ALIAS:
		move_alias(c, &answer->alias, v);
		break;
	case CHANGE_CREATE_API:
		set_api(spec, answer, v);
		break;
	case CHANGE_ADD_PERMISSION:
		add_statement(spec, c, answer->statement_bytes, v);
		break;
	case CHANGE_CREATE_RESOURCE:
		add_resource(id, c->parent, c->key, v);
		break;
	case CHANGE_PUT_METHOD:
	case CHANGE_PUT_INTEGRATION:
	case CHANGE_CREATE_ROUTE:
	case CHANGE_UPDATE_ROUTE:
		apply_route(spec, c, id, v);
		break;
	case CHANGE_CREATE_INTEGRATION:
		add_integration(spec, id, v);
		break;
	case CHANGE_CREATE_DEPLOYMENT:
		add_deployment(c, id, v);
		break;
	case CHANGE_CREATE_STAGE:
	case CHANGE_UPDATE_STAGE:
		apply_stage(spec, c, v);
		break;
	case CHANGE_REMOVE_PERMISSION:
		remove_statement(spec, c, v);
		break;
	case CHANGE_DELETE_VERSION:
		remove_version(c->version, v);
		break;
	case CHANGE_ROLLOUT:
	case CHANGE_WAIT:
	case CHANGE_PROBLEM:
		break; /* nothing was sent */
	}
}
