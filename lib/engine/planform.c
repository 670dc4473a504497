#include "engine/planform.h"

#include "base/error.h"
#include "control/forms.h"

json_t *planform_diagnostics(const struct diags *diags)
{
	json_t *items = json_array();

	for (size_t i = 0; i < diags->len; i++) {
		const struct diag *d = &diags->items[i];
		json_t *form = form_diagnostic(d->severity == DIAG_ERROR, d->line, d->column, d->text);

		require(json_array_append_new(items, form) == 0);
	}
	return items;
}

/* The version does not matter to how a rollout goes, and no alias is looked up here: any will do. */
static json_t *make_aliases(const struct plan *service)
{
	json_t *items = json_array();

	for (size_t i = 0; i < service->service.n_aliases; i++) {
		const struct service_alias *alias = &service->service.aliases[i];
		cleanup(plan_free_p) struct plan *child =
		    alias->follow == FOLLOW_HEAD ? NULL : plan_make_child(service, i, 1, NULL, 0);
		json_t *form = form_alias_plan(alias, child ? child->name : NULL, child ? &child->spec : NULL);

		require(json_array_append_new(items, form) == 0);
	}
	return items;
}

json_t *planform_check(const struct plan *plan, const struct diags *diags)
{
	json_t *lines = planform_diagnostics(diags);

	if (!plan)
		return form_check(NULL, NULL, NULL, NULL, lines);
	if (plan->kind == PLAN_SERVICE)
		return form_check(plan->name, "Service", NULL, make_aliases(plan), lines);
	return form_check(plan->name, "Rollout", &plan->spec, NULL, lines);
}
