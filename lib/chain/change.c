/* Changes as text. */
#include <stdio.h>

#include "base/error.h"
#include "chain/diff.h"

/* `verb`: of what comes or goes as a whole; NULL: a field changes. */
static const struct {
	const char *name;
	const char *verb;
} kinds[] = {
    [CHANGE_CREATE_FUNCTION] = {"create-function", "create"},
    [CHANGE_UPDATE_CODE] = {"update-code", NULL},
    [CHANGE_PUBLISH_VERSION] = {"publish-version", "publish a version of"},
    [CHANGE_CREATE_ALIAS] = {"create-alias", "create"},
    [CHANGE_MOVE_ALIAS] = {"move-alias", NULL},
    [CHANGE_CREATE_API] = {"create-api", "create"},
    [CHANGE_ADD_PERMISSION] = {"add-permission", "add"},
    [CHANGE_CREATE_RESOURCE] = {"create-resource", "create"},
    [CHANGE_PUT_METHOD] = {"put-method", "create"},
    [CHANGE_PUT_INTEGRATION] = {"put-integration", NULL},
    [CHANGE_CREATE_INTEGRATION] = {"create-integration", "create"},
    [CHANGE_CREATE_ROUTE] = {"create-route", "create"},
    [CHANGE_UPDATE_ROUTE] = {"update-route", NULL},
    [CHANGE_CREATE_DEPLOYMENT] = {"create-deployment", "create"},
    [CHANGE_CREATE_STAGE] = {"create-stage", "create"},
    [CHANGE_UPDATE_STAGE] = {"update-stage", NULL},
    [CHANGE_REMOVE_PERMISSION] = {"remove-permission", "remove"},
    [CHANGE_DELETE_VERSION] = {"delete-version", "delete"},
    [CHANGE_ROLLOUT] = {"rollout", NULL},
    [CHANGE_WAIT] = {"wait", NULL},
    [CHANGE_PROBLEM] = {"problem", NULL},
};

const char *change_kind_name(enum change_kind k)
{
	require((size_t)k < array_len(kinds));
	return kinds[k].name;
}

/* What is worth saying beside the subject of something that comes as a whole: what it is made of. */
static const char *detail(const struct change *c)
{
	bool says =
	    c->kind == CHANGE_CREATE_ALIAS || c->kind == CHANGE_CREATE_FUNCTION || c->kind == CHANGE_CREATE_STAGE;

	return says ? c->to : "";
}

void change_format(const struct change *c, char *out, size_t size)
{
	const char *verb = kinds[c->kind].verb;

	if (c->text) {
		snprintf(out, size, "%s: %s", c->subject, c->text);
	} else if (verb && detail(c)[0]) {
		const char *what = c->kind == CHANGE_CREATE_STAGE ? "alias " : "";
		snprintf(out, size, "%s %s (%s%s)", verb, c->subject, what, detail(c));
	} else if (verb) {
		snprintf(out, size, "%s %s", verb, c->subject);
	} else {
		const char *how = c->kind == CHANGE_ROLLOUT ? ", by a rollout" : "";
		snprintf(out, size, "%s: %s: %s -> %s%s", c->subject, c->field, c->from[0] ? c->from : "none", c->to,
			 how);
	}
}
