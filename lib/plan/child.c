/*
 * The rollouts of a service. Each is written down like any other plan and loaded from there, so that it is one that a
 * restart reads back to the same.
 */
#include "base/error.h"
#include "base/mem.h"
#include "plan/normalize.h"
#include "plan/plan.h"

struct plan *plan_make_child(const struct plan *service, size_t alias, uint64_t version,
			     const struct plan_verify *verify, size_t n_verify)
{
	require(service->kind == PLAN_SERVICE && alias < service->service.n_aliases && version > 0);
	cleanup(arena_free_p) struct arena *a = arena_new();
	cleanup(diags_deinit) struct diags diags = {0};
	cleanup(buf_deinit) struct buf text = BUF_INIT(LIMIT_NORMALIZED_BYTES);
	const struct plan_how *how = &service->hows[alias];
	const char *alias_name = service->service.aliases[alias].name;
	struct plan_verify *all = arena_array(a, n_verify + how->n_verify, sizeof(*all));
	for (size_t i = 0; i < n_verify; i++)
		all[i] = verify[i];
	for (size_t i = 0; i < how->n_verify; i++)
		all[n_verify + i] = how->verify[i];
	struct plan child = {
	    .kind = PLAN_ROLLOUT,
	    .name = arena_printf(a, "%s.%s", service->name, alias_name),
	    .function = service->function,
	    .function_arn = service->function_arn,
	    .alias = alias_name,
	    .region = service->region,
	    .account = service->account,
	    .version_kind = PLAN_VERSION_NUMBER,
	    .version = version,
	    .pre_traffic = how->pre_traffic,
	    .post_traffic = how->post_traffic,
	    .verify = all,
	    .n_verify = n_verify + how->n_verify,
	    .owner = service->name,
	    .strategy = how->strategy,
	    .spec = how->spec,
	};
	normalize_plan(&child, true, &text);
	return buf_ok(&text) ? plan_load(buf_text(&text), text.len, &diags) : NULL;
}
