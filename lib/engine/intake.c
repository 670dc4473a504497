/*
 * From a validated plan to a rollout: what is new, what was taken in before, what it supersedes.
 *
 * Each acceptance is a transaction of its own, so that the caller's answer is the truth: it is on disk, or it is not.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

struct plan *intake_load_plan(const char *normalized, char *ret_error, size_t error_size)
{
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	struct plan *p = plan_load(normalized, strlen(normalized), diags);

	if (!p)
		(void)snprintf(ret_error, error_size, "its stored plan cannot be read: %.160s",
			       diags->len > 0 ? diags->items[0].text : "it has no content");
	diags_deinit(diags);
	return p;
}

char *intake_alias_key(const struct plan *p, const char *region)
{
	return mem_printf("%s/%s/%s/%s", p->account, region, p->function, p->alias);
}

int intake_region(const struct engine *e, const struct plan *p, char **ret, char *ret_error, size_t error_size)
{
	const char *region = p->region;
	char why[LIMIT_REASON] = "";

	if (!region && e->config.account_region(e->config.account_ctx, p->account, &region, why, sizeof(why)) != 0) {
		(void)snprintf(ret_error, error_size, "the region of account %.60s is not known: %s", p->account, why);
		return 1;
	}
	*ret = mem_strdup(region ? region : e->config.region);
	return 0;
}

/* --- what is stored --- */

struct latest {
	bool found;
	uint64_t id;
	uint64_t attempt;
	uint64_t revision;
	bool live;
	char hash[65];
	char *plan;
	char *record;
	char *alias_key;
};

static void latest_deinit(struct latest *l)
{
	free(l->plan);
	free(l->record);
	free(l->alias_key);
}

static int take_latest(void *ctx, const struct store_rollout *r)
{
	struct latest *l = ctx;

	l->found = true;
	l->id = r->id;
	l->attempt = r->attempt;
	l->revision = r->revision;
	l->live = r->live;
	(void)text_copy(l->hash, sizeof(l->hash), r->plan_hash);
	l->plan = mem_strdup(r->plan);
	l->record = mem_strdup(r->record);
	l->alias_key = mem_strdup(r->alias_key);
	return 0;
}

static int find_latest(struct engine *e, const char *name, struct latest *ret)
{
	return store_each_of_name(e->store, name, 1, take_latest, ret);
}

/* Inserts the new rollout, and remembers the source; one transaction. */
static int record_new(struct engine *e, struct item *i, const char *source, const char *hash, const char *unquarantine)
{
	struct buf record cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	int64_t now = engine_now(e).unix_ms;
	struct store_source s = {source, hash, i->name};
	struct store_rollout row;
	uint64_t id = 0;
	int r = store_begin(e->store);

	if (r != 0)
		return r;
	record_encode(&i->state, e->config.boot_id, &record);
	row = (struct store_rollout){
	    .name = i->name,
	    .attempt = i->attempt,
	    .alias_key = i->alias_key,
	    .live = true,
	    .revision = i->revision,
	    .plan = i->plan->normalized,
	    .plan_hash = i->plan->hash,
	    .record = buf_text(&record),
	    .created_unix_ms = now,
	    .updated_unix_ms = now,
	};
	r = store_insert_rollout(e->store, &row, &id);
	if (r == 0 && source)
		r = store_put_source(e->store, &s);
	if (r == 0 && unquarantine)
		r = store_drop_quarantine(e->store, i->alias_key, unquarantine);
	if (r == STORE_NOT_FOUND)
		r = 0;
	if (r == 0)
		r = store_commit(e->store);
	if (r != 0)
		store_abort(e->store);
	else
		i->id = id;
	return r;
}

static void replace_text(struct strmap *map, const char *key, const char *text)
{
	free(strmap_get(map, key));
	strmap_put(map, key, mem_strdup(text));
}

void intake_remember_source(struct engine *e, const char *source, const char *hash, const char *name)
{
	replace_text(&e->sources, source, hash);
	replace_text(&e->source_of, name, source);
}

/* --- taking plans --- */

struct intake {
	struct engine *e;
	struct plan *plan;
	const char *source; /* for people: a file's name, or "submit" */
	char *key;	    /* in the store: the same, or "submit:NAME", as each name is a source of its own there */
	const char *hash;
	const char *by;
	char *text; /* LIMIT_REASON */
};

static enum intake_result refuse(struct intake *in, const char *why)
{
	(void)text_copy(in->text, LIMIT_REASON, why);
	return INTAKE_REFUSED;
}

static size_t count_services(const struct engine *e)
{
	size_t n = 0;

	for (const struct service *s = e->first_service; s; s = service_next(s))
		n++;
	return n;
}

/* What forbids the plan whatever its content is; NULL: nothing, and *ret_region is the caller's to free. `text` may
 * hold the sentence. */
static const char *unusable(struct engine *e, const struct plan *plan, char **ret_region,
			    char text[static LIMIT_REASON])
{
	const struct item *live = strmap_get(&e->by_name, plan->name);

	if (e->fenced)
		return "another daemon has taken over this state";
	if (e->draining)
		return "rolloutd is shutting down: again after its restart";
	if (!e->config.account_known(e->config.account_ctx, plan->account))
		return "`account` names none of the accounts in rolloutd.yaml";
	if (plan->kind == PLAN_ROLLOUT && !plan->owner && service_find(e, plan->name))
		return "a service of this name is kept: give the rollout another name";
	if (plan->kind == PLAN_SERVICE && live && !rollout_ended(&live->state))
		return "a rollout of this name is under way: give the service another name, or roll that one back "
		       "first";
	if (plan->kind == PLAN_SERVICE && count_services(e) >= LIMIT_SERVICES)
		return "the limit of 2000 services is reached";
	if (live && live->unreadable && !rollout_ended(&live->state))
		return "the stored record of this name cannot be read; see `rolloutctl status`";
	if (e->stats.live >= LIMIT_ROLLOUTS)
		return "the limit of 20000 live rollouts is reached";
	/* It is recorded with the plan, for good. */
	if (intake_region(e, plan, ret_region, text, LIMIT_REASON) != 0)
		return text;
	if (*ret_region && **ret_region)
		return NULL;
	free(take_ptr(*ret_region));
	return "no region: set `region` in the plan, in rolloutd.yaml, or AWS_REGION";
}

/* A source whose bytes changed but whose plan did not: a comment, say. */
static void forget_bytes(struct intake *in)
{
	struct engine *e = in->e;
	struct store_source s = {in->key, in->hash, in->plan->name};
	int r = store_begin(e->store);

	if (r == 0)
		r = store_put_source(e->store, &s);
	if (r == 0)
		r = store_commit(e->store);
	if (r != 0)
		store_abort(e->store);
	else
		intake_remember_source(e, in->key, in->hash, in->plan->name);
}

static void describe_version(const struct plan *p, char *out, size_t size)
{
	switch (p->version_kind) {
	case PLAN_VERSION_NUMBER:
		(void)snprintf(out, size, "version %llu", (unsigned long long)p->version);
		break;
	case PLAN_VERSION_LATEST:
		(void)snprintf(out, size, "the latest version");
		break;
	case PLAN_VERSION_PUBLISH:
		(void)snprintf(out, size, "the version that is published for it");
		break;
	case PLAN_VERSION_FROM_ALIAS:
		(void)snprintf(out, size, "what %.40s holds", p->from_alias);
		break;
	}
}

static void announce_accepted(struct engine *e, struct item *i, const char *source, const char *by)
{
	char text[LIMIT_REASON], version[64], span[32];

	describe_version(i->plan, version, sizeof(version));
	text_format_span(spec_expected_ms(&i->plan->spec), span);
	(void)snprintf(text, sizeof(text), "accepted from %.80s: %.64s:%.64s to %s, %zu step%s, about %s", source,
		       i->plan->function, i->plan->alias, version, i->plan->spec.n_steps + 1,
		       i->plan->spec.n_steps == 0 ? "" : "s", span);
	engine_add_event(e, i, "accepted", text, by);
}

/* Everything of the name that lives already makes way. */
static bool supersede(struct item *newest)
{
	bool any = false;

	for (struct item *i = newest; i; i = i->older) {
		struct rollout_event event = {.kind = EVENT_SUPERSEDED};

		if (i->unreadable || rollout_ended(&i->state))
			continue;
		engine_event(i, &event, NULL, NULL);
		any = true;
	}
	return any;
}

static struct item *make_item(struct engine *e, struct plan *plan, const char *region, uint64_t attempt)
{
	struct item *i = item_new(e, plan);

	i->attempt = attempt;
	i->revision = 1;
	i->region = mem_strdup(region);
	i->alias_key = intake_alias_key(plan, region);
	rollout_init(&i->state, engine_now(e));
	if (plan->spec.start_manual)
		(void)text_copy(i->state.reason, sizeof(i->state.reason),
				"waits for `rolloutctl promote` (start: manual)");
	return i;
}

static enum intake_result accept(struct intake *in, const char *region, const struct latest *latest)
{
	struct engine *e = in->e;
	struct item *before = strmap_get(&e->by_name, in->plan->name);
	struct item *i = make_item(e, take_ptr(in->plan), region, latest->attempt + 1);
	bool superseded;
	int r = record_new(e, i, in->key, in->hash, NULL);

	if (r != 0) {
		(void)snprintf(in->text, LIMIT_REASON, "it could not be recorded: %.200s", store_error_text(e->store));
		item_free(i);
		return INTAKE_REFUSED;
	}
	intake_remember_source(e, in->key, in->hash, i->name);
	superseded = supersede(before);
	item_link(e, i);
	announce_accepted(e, i, in->source, in->by);
	(void)snprintf(in->text, LIMIT_REASON, "%s#%llu%s", i->name, (unsigned long long)i->attempt,
		       superseded ? " starts when the earlier one has sent its traffic back" : " is accepted");
	engine_turn(e);
	return superseded ? INTAKE_SUPERSEDES : INTAKE_STARTED;
}

struct item *intake_start(struct engine *e, struct plan *plan, bool lift, const char *by,
			  char ret_text[static LIMIT_REASON])
{
	struct latest latest cleanup(latest_deinit) = {0};
	struct plan *p cleanup(plan_free_p) = plan;
	char *region cleanup(mem_free_p) = NULL;
	char error[LIMIT_REASON], boot_id[BOOT_ID_SIZE];
	struct rollout before = {0};
	const char *why = unusable(e, p, &region, error);
	struct item *i, *older;

	ret_text[0] = '\0';
	if (!why && find_latest(e, p->name, &latest) != 0)
		why = store_error_text(e->store);
	if (why) {
		(void)text_copy(ret_text, LIMIT_REASON, why);
		return NULL;
	}
	if (latest.found && lift && record_decode(latest.record, &before, boot_id, error, sizeof(error)) != 0)
		before.canary_hash[0] = '\0';
	older = strmap_get(&e->by_name, p->name);

	i = make_item(e, take_ptr(p), region, latest.attempt + 1);
	if (record_new(e, i, NULL, NULL, lift && before.canary_hash[0] ? before.canary_hash : NULL) != 0) {
		(void)snprintf(ret_text, LIMIT_REASON, "it could not be recorded: %.200s", store_error_text(e->store));
		item_free(i);
		return NULL;
	}
	(void)supersede(older);
	item_link(e, i);
	announce_accepted(e, i, by, "");
	return i;
}

/* A submitted plan is an operator's deed each time; only files are seen again without anybody's doing. */
static bool is_submit(const char *source)
{
	return strcmp(source, "submit") == 0;
}

static enum intake_result take(struct intake *in)
{
	struct engine *e = in->e;
	const char *known = strmap_get(&e->sources, in->key);
	struct latest latest cleanup(latest_deinit) = {0};
	char *region cleanup(mem_free_p) = NULL;
	char text[LIMIT_REASON];
	const char *why;
	bool same;

	if (known && strcmp(known, in->hash) == 0 && !is_submit(in->source))
		return INTAKE_UNCHANGED;
	if (in->plan->owner)
		return refuse(in,
			      "`service` is what rolloutd itself writes into the rollouts of a service: take it out");
	why = unusable(e, in->plan, &region, text);
	if (why)
		return refuse(in, why);
	if (in->plan->kind == PLAN_SERVICE && service_clashes(e, in->plan, region, in->text))
		return INTAKE_REFUSED;
	if (find_latest(e, in->plan->name, &latest) != 0)
		return refuse(in, store_error_text(e->store));
	same = latest.found && strcmp(latest.hash, in->plan->hash) == 0;
	if (same && in->plan->kind == PLAN_SERVICE && service_find(e, in->plan->name)) {
		forget_bytes(in);
		(void)snprintf(in->text, LIMIT_REASON,
			       "%s#%llu keeps this content already; AWS is compared with it now", in->plan->name,
			       (unsigned long long)latest.attempt);
		engine_check_services(e, in->plan->service.code.zip);
		return INTAKE_UNCHANGED;
	}
	if (same && in->plan->kind == PLAN_ROLLOUT) {
		forget_bytes(in);
		(void)snprintf(in->text, LIMIT_REASON,
			       "%s#%llu ran this content already; `rolloutctl retry` runs it again", in->plan->name,
			       (unsigned long long)latest.attempt);
		return INTAKE_UNCHANGED;
	}
	if (in->plan->kind == PLAN_SERVICE)
		return service_accept(e, take_ptr(in->plan), region, latest.attempt + 1, in->key, in->hash, in->by,
				      in->text);
	return accept(in, region, &latest);
}

enum intake_result engine_take_plan(struct engine *e, struct plan *plan, const char *source, const char *hash,
				    const char *by, char ret_text[static LIMIT_REASON])
{
	char *key cleanup(mem_free_p) = is_submit(source) ? mem_printf("submit:%s", plan->name) : mem_strdup(source);
	struct intake in = {e, plan, source, key, hash, by, ret_text};
	enum intake_result result;

	ret_text[0] = '\0';
	result = take(&in);
	plan_free(in.plan); /* NULL once it was accepted */
	return result;
}

/* --- retry --- */

static bool is_live(const struct engine *e, const char *name)
{
	for (const struct item *i = strmap_get(&e->by_name, name); i; i = i->older) {
		if (!rollout_ended(&i->state))
			return true;
	}
	return false;
}

/* The last plan of a name and its region, for another attempt: the caller's. ENGINE_DONE, or why there can be none. */
static enum engine_answer last_plan(struct engine *e, const char *name, struct latest *latest, struct plan **ret,
				    char **ret_region, char ret_text[static LIMIT_REASON])
{
	char error[LIMIT_REASON], text[LIMIT_REASON];
	const char *why;
	struct item *i;

	if (is_live(e, name)) {
		(void)text_copy(ret_text, LIMIT_REASON, "it has not ended yet: `rollback` it first, or wait");
		return ENGINE_REFUSED;
	}
	i = strmap_get(&e->by_name, name);
	if (i && i->dirty) {
		(void)snprintf(ret_text, LIMIT_REASON, "its end could not be recorded yet: %.200s",
			       store_error_text(e->store));
		return ENGINE_UNAVAILABLE;
	}
	if (find_latest(e, name, latest) != 0) {
		(void)text_copy(ret_text, LIMIT_REASON, store_error_text(e->store));
		return ENGINE_UNAVAILABLE;
	}
	if (!latest->found)
		return ENGINE_NO_SUCH;
	*ret = intake_load_plan(latest->plan, error, sizeof(error));
	why = *ret ? unusable(e, *ret, ret_region, text) : error;
	if (why) {
		(void)text_copy(ret_text, LIMIT_REASON, why);
		return ENGINE_REFUSED;
	}
	return ENGINE_DONE;
}

static enum engine_answer retry(struct engine *e, const char *name, bool despite_alarms, const char *by,
				const char *reason, char ret_text[static LIMIT_REASON])
{
	struct latest latest cleanup(latest_deinit) = {0};
	char error[LIMIT_REASON], boot_id[BOOT_ID_SIZE], text[LIMIT_REASON];
	struct rollout state = {0};
	struct plan *plan cleanup(plan_free_p) = NULL;
	char *region cleanup(mem_free_p) = NULL;
	enum engine_answer answer = last_plan(e, name, &latest, &plan, &region, ret_text);
	struct item *i;

	if (answer != ENGINE_DONE)
		return answer;
	/* An unreadable record only means that no code hash is known to lift the quarantine of. */
	if (record_decode(latest.record, &state, boot_id, error, sizeof(error)) != 0)
		state.canary_hash[0] = '\0';
	i = make_item(e, take_ptr(plan), region, latest.attempt + 1);
	i->state.despite_alarms = despite_alarms;
	if (record_new(e, i, NULL, NULL, state.canary_hash[0] ? state.canary_hash : NULL) != 0) {
		(void)text_copy(ret_text, LIMIT_REASON, store_error_text(e->store));
		item_free(i);
		return ENGINE_UNAVAILABLE;
	}
	item_link(e, i);
	services_rollout_started(e, i);
	(void)snprintf(text, sizeof(text), "retry%s by %s%s%.160s", despite_alarms ? " despite alarms" : "", by,
		       reason[0] ? ": " : "", reason);
	engine_add_event(e, i, rollout_announce_name(ANNOUNCE_COMMAND), text, by);
	(void)snprintf(ret_text, LIMIT_REASON, "%s#%llu starts%s; the version's quarantine is lifted", name,
		       (unsigned long long)i->attempt,
		       despite_alarms ? ", whatever alarms are in ALARM now: each counts once it was in another state"
				      : "");
	engine_turn(e);
	return ENGINE_DONE;
}

enum engine_answer engine_retry(struct engine *e, const char *name, const char *by, const char *reason,
				char ret_text[static LIMIT_REASON])
{
	struct service *service = service_find(e, name);

	ret_text[0] = '\0';
	return service ? service_retry(service, by, reason, ret_text) : retry(e, name, false, by, reason, ret_text);
}

enum engine_answer engine_retry_despite_alarms(struct engine *e, const char *name, const char *by, const char *reason,
					       char ret_text[static LIMIT_REASON])
{
	ret_text[0] = '\0';
	if (!service_find(e, name))
		return retry(e, name, true, by, reason, ret_text);
	(void)snprintf(
	    ret_text, LIMIT_REASON,
	    "alarms belong to a rollout: name that of an alias, such as `%.63s.prod`, instead of the service", name);
	return ENGINE_REFUSED;
}
