/*
 * A service's life: taken in, loaded, commanded, recorded. What it does when it looks at AWS is in service_check.c.
 */
#include "engine/service.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* No account can have this name, so no rollout's key begins so. */
#define KEY_PREFIX "@service/"

/* The reason of a service that has been told to look. */
#define LOOKS "AWS is compared with the file"

/* --- one service --- */

struct service *service_new(struct engine *e, struct plan *plan)
{
	struct service *s = mem_alloc(sizeof(*s));

	s->engine = e;
	s->plan = plan;
	s->due_boot_ms = INT64_MAX;
	if (plan)
		s->name = mem_strdup(plan->name);
	return s;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	service_stop(s);
	reconcile_free(s->last);
	plan_free(s->plan);
	free(s->name);
	free(s->region);
	free(s->key);
	free(s->unreadable);
	free(s->raw_record);
	free(s->kept);
	free(s);
}

void services_free(struct engine *e)
{
	while (e->first_service) {
		struct service *s = e->first_service;

		e->first_service = s->next;
		service_free(s);
	}
}

struct service *service_find(const struct engine *e, const char *name)
{
	for (struct service *s = e->first_service; s; s = s->next) {
		if (strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

struct service *service_next(const struct service *s)
{
	return s->next;
}

static void link_service(struct service *s)
{
	struct service **slot = &s->engine->first_service;

	while (*slot)
		slot = &(*slot)->next;
	*slot = s;
}

static void unlink_service(struct service *s)
{
	struct service **slot = &s->engine->first_service;

	while (*slot != s)
		slot = &(*slot)->next;
	*slot = s->next;
}

void service_mark_dirty(struct service *s)
{
	s->dirty = true;
}

void service_event(struct service *s, const char *kind, const char *text, const char *by)
{
	engine_add_row_event(s->engine, s->id, s->name, s->state.phase, kind, text, by);
}

void service_set_phase(struct service *s, enum rollout_phase phase, const char *reason)
{
	struct service_state *st = &s->state;
	bool news = st->phase != phase || strcmp(st->reason, reason) != 0;
	char text[LIMIT_REASON];

	st->phase = phase;
	(void)text_copy(st->reason, sizeof(st->reason), reason);
	service_mark_dirty(s);
	if (!news)
		return;
	(void)snprintf(text, sizeof(text), "%s%s%.220s", rollout_phase_name(phase), reason[0] ? ": " : "", reason);
	service_event(s, rollout_announce_name(ANNOUNCE_PHASE), text, "");
}

void service_look_soon(struct service *s, int64_t wait_ms)
{
	int64_t at = engine_now(s->engine).boot_ms + wait_ms;

	if (s->state.paused)
		return;
	if (s->now || s->probe) {
		s->look_again = true;
		return;
	}
	/* What was seen before is not what a rollout should start from. */
	s->rollouts_due = false;
	if (at < s->due_boot_ms)
		s->due_boot_ms = at;
}

void service_rollout_name(const struct service *s, size_t alias, char out[static LIMIT_NAME + 1])
{
	/* The loader has seen to it that it fits. */
	(void)snprintf(out, LIMIT_NAME + 1, "%s.%s", s->name, s->plan->service.aliases[alias].name);
}

struct item *service_rollout(const struct service *s, size_t alias)
{
	char name[LIMIT_NAME + 1];
	struct item *found = NULL;

	service_rollout_name(s, alias, name);
	for (struct item *i = strmap_get(&s->engine->by_name, name); i && !found; i = i->older) {
		if (!rollout_ended(&i->state))
			found = i;
	}
	return found;
}

/* --- the store --- */

bool service_is_row(const struct store_rollout *r)
{
	return text_starts_with(r->alias_key, KEY_PREFIX);
}

bool services_dirty(const struct engine *e)
{
	for (const struct service *s = e->first_service; s; s = s->next) {
		if (s->dirty)
			return true;
	}
	return false;
}

static int put(struct service *s, bool live)
{
	struct buf record cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	struct store_rollout row;

	if (!s->unreadable)
		service_record_encode(&s->state, &s->plan->service, &record);
	row = (struct store_rollout){
	    .id = s->id,
	    .live = live,
	    .revision = s->revision,
	    .record = s->unreadable ? s->raw_record : buf_text(&record),
	    .updated_unix_ms = engine_now(s->engine).unix_ms,
	};
	return store_put_rollout(s->engine->store, &row);
}

int services_put(struct engine *e)
{
	int r = 0;

	for (struct service *s = e->first_service; s && r == 0; s = s->next) {
		if (s->dirty)
			r = put(s, true);
	}
	return r;
}

void services_recorded(struct engine *e)
{
	for (struct service *s = e->first_service; s; s = s->next) {
		if (s->dirty)
			s->revision++;
		s->dirty = false;
	}
}

void service_load_row(struct engine *e, const struct store_rollout *r)
{
	char error[LIMIT_REASON] = "";
	const char *region = strchr(r->alias_key + strlen(KEY_PREFIX), '/');
	struct service *s = service_new(e, intake_load_plan(r->plan, error, sizeof(error)));

	s->id = r->id;
	s->attempt = r->attempt;
	s->revision = r->revision;
	s->key = mem_strdup(r->alias_key);
	s->region = region ? mem_strndup(region + 1, strcspn(region + 1, "/")) : mem_strdup("");
	if (!s->name)
		s->name = mem_strdup(r->name);
	link_service(s);
	if (s->plan && service_record_decode(r->record, &s->plan->service, &s->state, error, sizeof(error)) == 0)
		return;
	plan_free(take_ptr(s->plan));
	s->raw_record = mem_strdup(r->record);
	s->unreadable = mem_printf("%s. Nothing of it is touched; submit its plan again", error);
	s->state.phase = PHASE_BLOCKED;
	service_event(s, "unreadable", s->unreadable, "");
}

struct ended {
	bool found;
	struct rollout state;
};

static int take_ended(void *ctx, const struct store_rollout *r)
{
	struct ended *x = ctx;
	char boot_id[BOOT_ID_SIZE], error[LIMIT_REASON];

	x->found = !r->live && record_decode(r->record, &x->state, boot_id, error, sizeof(error)) == 0;
	return 0;
}

static void note_end(struct alias_memory *m, const struct rollout *state)
{
	m->rollout_live = false;
	m->rolled_back = state->phase != PHASE_SUCCEEDED;
	m->unmoved = state->phase == PHASE_FAILED;
	(void)text_copy(m->outcome, sizeof(m->outcome), m->rolled_back ? state->reason : "");
}

/* Rollouts go on living while nobody looks; what the service remembers of them is of before. */
static int resume(struct service *s)
{
	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		struct alias_memory *m = &s->state.memory.aliases[n];
		struct ended x = {0};
		char name[LIMIT_NAME + 1];
		int r;

		if (service_rollout(s, n) || !m->rollout_live)
			continue;
		service_rollout_name(s, n, name);
		r = store_each_of_name(s->engine->store, name, 1, take_ended, &x);
		if (r != 0)
			return r;
		m->rollout_live = false;
		if (x.found)
			note_end(m, &x.state);
		service_mark_dirty(s);
	}
	service_look_soon(s, 0);
	return 0;
}

int services_resume(struct engine *e)
{
	int r = 0;

	for (struct service *s = e->first_service; s && r == 0; s = s->next) {
		if (!s->unreadable)
			r = resume(s);
	}
	return r;
}

/* A rollout that is no service's has let go of an alias: the services that declare it have waited for that. */
static void foreign_ended(struct engine *e, const struct item *i)
{
	for (struct service *s = e->first_service; s; s = s->next) {
		const char *function = s->key + strlen(KEY_PREFIX);

		if (!s->unreadable && text_starts_with(i->alias_key, function) && i->alias_key[strlen(function)] == '/')
			service_look_soon(s, 0);
	}
}

void services_rollout_ended(struct engine *e, const struct item *i)
{
	struct service *s = i->plan->owner ? service_find(e, i->plan->owner) : NULL;

	if (!i->plan->owner)
		foreign_ended(e, i);
	if (!s || s->unreadable || i->state.superseded)
		return;
	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		if (strcmp(s->plan->service.aliases[n].name, i->plan->alias) != 0)
			continue;
		note_end(&s->state.memory.aliases[n], &i->state);
		service_mark_dirty(s);
		service_look_soon(s, 0);
	}
}

void services_rollout_started(struct engine *e, const struct item *i)
{
	struct service *s = i->plan->owner ? service_find(e, i->plan->owner) : NULL;

	if (s && !s->unreadable && !s->state.paused)
		service_look_soon(s, 0);
}

/* --- what is due --- */

void services_run(struct engine *e)
{
	int64_t now = engine_now(e).boot_ms;

	if (e->draining || e->fenced)
		return;
	for (struct service *s = e->first_service; s; s = s->next) {
		if (s->due_boot_ms <= now)
			service_check(s);
	}
}

int64_t services_next_ms(const struct engine *e)
{
	int64_t at = INT64_MAX;

	for (const struct service *s = e->first_service; s && !e->draining; s = s->next) {
		if (s->due_boot_ms < at)
			at = s->due_boot_ms;
	}
	return at;
}

void engine_check_services(struct engine *e, const char *zip)
{
	for (struct service *s = e->first_service; s; s = s->next) {
		const char *path = s->unreadable ? NULL : s->plan->service.code.zip;

		if (s->unreadable || s->state.paused || (zip && (!path || strcmp(path, zip) != 0)))
			continue;
		service_set_phase(s, PHASE_PREPARING, LOOKS);
		service_look_soon(s, 0);
	}
}

void engine_each_artifact(struct engine *e, void (*cb)(void *ctx, const char *path), void *ctx)
{
	for (struct service *s = e->first_service; s; s = s->next) {
		const char *path = s->unreadable ? NULL : s->plan->service.code.zip;
		bool first = path != NULL;

		for (struct service *o = e->first_service; o != s && first; o = o->next) {
			if (!o->unreadable && o->plan->service.code.zip)
				first = strcmp(o->plan->service.code.zip, path) != 0;
		}
		if (first)
			cb(ctx, path);
	}
}

/* --- taking plans in --- */

void service_copy_memory(const struct service *s, const struct service_spec *spec, struct chain_memory *ret)
{
	const struct service_spec *old = s->unreadable ? NULL : &s->plan->service;

	if (!old)
		return;
	*ret = s->state.memory;
	memset(ret->aliases, 0, sizeof(ret->aliases));
	for (size_t n = 0; n < spec->n_aliases; n++) {
		for (size_t m = 0; m < old->n_aliases; m++) {
			if (strcmp(spec->aliases[n].name, old->aliases[m].name) == 0)
				ret->aliases[n] = s->state.memory.aliases[m];
		}
	}
}

#define PAUSED "by an operator: nothing is looked at or changed; `rolloutctl resume` goes on"

static void inherit(struct service *s, const struct service *older)
{
	service_copy_memory(older, &s->plan->service, &s->state.memory);
	s->state.changes_made = older->state.changes_made;
	s->state.paused = older->state.paused;
	if (s->state.paused) {
		s->state.phase = PHASE_PAUSED;
		(void)text_copy(s->state.reason, sizeof(s->state.reason), PAUSED);
	}
	(void)text_copy(s->state.api_id, sizeof(s->state.api_id), older->state.api_id);
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool clash_of_aliases(const struct service *o, const struct plan *plan, char *ret_text)
{
	const struct service_spec *a = &plan->service, *b = &o->plan->service;

	for (size_t n = 0; n < a->n_aliases * b->n_aliases; n++) {
		const char *name = a->aliases[n / b->n_aliases].name;

		if (strcmp(name, b->aliases[n % b->n_aliases].name) != 0)
			continue;
		(void)snprintf(
		    ret_text, LIMIT_REASON,
		    "service %.63s keeps alias %.60s of function %.64s already: take it out of one of the two", o->name,
		    name, plan->function);
		return true;
	}
	return false;
}

/* Several functions may share an API and its stages, as long as they mean the same by them. */
static bool clash_of_stages(const struct service *o, const struct plan *plan, char *ret_text)
{
	const struct service_spec *a = &plan->service, *b = &o->plan->service;
	bool same_api =
	    a->api.type == b->api.type && (same_text(a->api.name, b->api.name) || same_text(a->api.id, b->api.id));

	if (!same_api || !same_text(a->api.stage_variable, b->api.stage_variable))
		return false;
	for (size_t n = 0; n < a->api.n_stages * b->api.n_stages; n++) {
		const struct service_stage *x = &a->api.stages[n / b->api.n_stages];
		const struct service_stage *y = &b->api.stages[n % b->api.n_stages];

		if (strcmp(x->name, y->name) != 0 || strcmp(a->aliases[x->alias].name, b->aliases[y->alias].name) == 0)
			continue;
		(void)snprintf(
		    ret_text, LIMIT_REASON,
		    "service %.63s keeps stage %.40s of API %.40s on alias %.40s: take the stage out of one of the two",
		    o->name, x->name, a->api.name ? a->api.name : a->api.id, b->aliases[y->alias].name);
		return true;
	}
	return false;
}

bool service_clashes(const struct engine *e, const struct plan *plan, const char *region,
		     char ret_text[static LIMIT_REASON])
{
	for (const struct service *o = e->first_service; o; o = o->next) {
		if (o->unreadable || strcmp(o->name, plan->name) == 0 || strcmp(o->plan->account, plan->account) != 0 ||
		    strcmp(o->region, region) != 0)
			continue;
		if (strcmp(o->plan->function, plan->function) == 0 && clash_of_aliases(o, plan, ret_text))
			return true;
		if (clash_of_stages(o, plan, ret_text))
			return true;
	}
	return false;
}

/* The new row, the older one's end, and the source, in one transaction. */
static int record_new(struct service *s, struct service *older, const char *source, const char *hash)
{
	struct engine *e = s->engine;
	struct buf record cleanup(buf_deinit) = BUF_INIT(LIMIT_RECORD_BYTES);
	struct store_source from = {source, hash, s->name};
	int64_t now = engine_now(e).unix_ms;
	struct store_rollout row;
	int r = store_begin(e->store);

	if (r != 0)
		return r;
	service_record_encode(&s->state, &s->plan->service, &record);
	row = (struct store_rollout){
	    .name = s->name,
	    .attempt = s->attempt,
	    .alias_key = s->key,
	    .live = true,
	    .revision = s->revision,
	    .plan = s->plan->normalized,
	    .plan_hash = s->plan->hash,
	    .record = buf_text(&record),
	    .created_unix_ms = now,
	    .updated_unix_ms = now,
	};
	r = store_insert_rollout(e->store, &row, &s->id);
	if (r == 0 && older)
		r = put(older, false);
	if (r == 0)
		r = store_put_source(e->store, &from);
	if (r == 0)
		r = store_commit(e->store);
	if (r != 0)
		store_abort(e->store);
	return r;
}

/* A live rollout whose way the new content describes otherwise is started anew: the old one goes home first. */
static void restart_changed_rollouts(struct service *s, const char *by)
{
	char why[LIMIT_REASON];

	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		const struct item *i = service_rollout(s, n);
		struct plan *p cleanup(plan_free_p) = NULL;

		if (!i || i->unreadable || s->plan->service.aliases[n].follow == FOLLOW_HEAD)
			continue;
		p = service_make_rollout(s, n, i->plan->version);
		if (p && strcmp(p->hash, i->plan->hash) != 0 && !intake_start(s->engine, take_ptr(p), false, by, why))
			service_event(s, rollout_announce_name(ANNOUNCE_TROUBLE), why, "");
	}
}

enum intake_result service_accept(struct engine *e, struct plan *plan, const char *region, uint64_t attempt,
				  const char *source, const char *hash, const char *by,
				  char ret_text[static LIMIT_REASON])
{
	struct service *older = service_find(e, plan->name);
	struct service *s = service_new(e, plan);
	char text[LIMIT_REASON];

	s->attempt = attempt;
	s->revision = 1;
	s->region = mem_strdup(region);
	s->key = mem_printf(KEY_PREFIX "%s/%s/%s", plan->account, s->region, plan->function);
	s->state.phase = PHASE_PREPARING;
	s->state.created_unix_ms = engine_now(e).unix_ms;
	if (older)
		inherit(s, older);
	if (record_new(s, older, source, hash) != 0) {
		(void)snprintf(ret_text, LIMIT_REASON, "it could not be recorded: %.200s", store_error_text(e->store));
		service_free(s);
		return INTAKE_REFUSED;
	}
	intake_remember_source(e, source, hash, s->name);
	if (older) {
		unlink_service(older);
		service_free(older);
	}
	link_service(s);
	service_look_soon(s, 0);
	(void)snprintf(text, sizeof(text), "accepted from %.80s: keeps function %.64s, %zu aliases, %zu stages", source,
		       plan->function, plan->service.n_aliases, plan->service.api.n_stages);
	service_event(s, "accepted", text, by);
	if (!s->state.paused)
		restart_changed_rollouts(s, source);
	(void)snprintf(ret_text, LIMIT_REASON, "%s#%llu is accepted%s", s->name, (unsigned long long)s->attempt,
		       s->state.paused ? "; the service stays paused: `rolloutctl resume` goes on" : "");
	engine_turn(e);
	return older ? INTAKE_SUPERSEDES : INTAKE_STARTED;
}

/* --- commands --- */

/* The one live rollout that a command to the service can only mean; NULL: there is none, or more than one. */
static struct item *only_rollout(const struct service *s, char *ret_text)
{
	struct item *found = NULL;
	size_t n_found = 0, len = 0;
	char names[160] = "";

	for (size_t n = 0; n < s->plan->service.n_aliases; n++) {
		struct item *i = service_rollout(s, n);

		if (!i)
			continue;
		found = i;
		n_found++;
		if (len + strlen(i->name) + 3 < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? ", " : "", i->name);
	}
	if (n_found == 1)
		return found;
	if (n_found == 0)
		(void)snprintf(
		    ret_text, LIMIT_REASON,
		    "no rollout of %.63s is under way; a finished one goes back by its own name: `rolloutctl rollback "
		    "%.63s.ALIAS`",
		    s->name, s->name);
	else
		(void)snprintf(ret_text, LIMIT_REASON, "several rollouts of it are under way: name one of %s", names);
	return NULL;
}

static void say_commanded(struct service *s, const char *what, const char *by, const char *reason)
{
	char text[LIMIT_REASON];

	(void)snprintf(text, sizeof(text), "%s by %s%s%.160s", what, by, reason[0] ? ": " : "", reason);
	service_event(s, rollout_announce_name(ANNOUNCE_COMMAND), text, by);
}

static enum engine_answer pause_service(struct service *s, const char *by, const char *reason, char *ret_text)
{
	if (s->state.paused) {
		(void)text_copy(ret_text, LIMIT_REASON, "it is paused already");
		return ENGINE_ALREADY;
	}
	service_stop(s);
	s->state.paused = true;
	s->due_boot_ms = INT64_MAX;
	say_commanded(s, "pause", by, reason);
	service_set_phase(s, PHASE_PAUSED, PAUSED);
	(void)text_copy(ret_text, LIMIT_REASON, "paused; rollouts that are under way go on by themselves");
	return ENGINE_DONE;
}

static enum engine_answer resume_service(struct service *s, const char *by, const char *reason, char *ret_text)
{
	s->state.paused = false;
	s->failures = 0;
	s->state.probe_failures = 0;
	say_commanded(s, "resume", by, reason);
	service_set_phase(s, PHASE_PREPARING, LOOKS);
	service_look_soon(s, 0);
	(void)text_copy(ret_text, LIMIT_REASON, "looks at AWS again now");
	return ENGINE_DONE;
}

enum engine_answer service_command(struct service *s, enum rollout_command command, const char *by, const char *reason,
				   char ret_text[static LIMIT_REASON])
{
	struct item *i;

	if (s->unreadable) {
		(void)text_copy(ret_text, LIMIT_REASON, s->unreadable);
		return ENGINE_REFUSED;
	}
	switch (command) {
	case COMMAND_PAUSE:
		return pause_service(s, by, reason, ret_text);
	case COMMAND_RESUME:
		return resume_service(s, by, reason, ret_text);
	case COMMAND_PROMOTE:
	case COMMAND_PROMOTE_FULL:
	case COMMAND_ROLLBACK:
		break;
	}
	i = only_rollout(s, ret_text);
	return i ? engine_command(s->engine, i->name, command, by, reason, ret_text) : ENGINE_REFUSED;
}

enum engine_answer service_retry(struct service *s, const char *by, const char *reason,
				 char ret_text[static LIMIT_REASON])
{
	if (s->unreadable) {
		(void)text_copy(ret_text, LIMIT_REASON, s->unreadable);
		return ENGINE_REFUSED;
	}
	s->state.memory.insist = true;
	s->state.memory.code_done = false;
	for (size_t n = 0; n < s->plan->service.n_aliases; n++)
		s->state.memory.aliases[n].insisted = false;
	s->state.paused = false;
	s->failures = 0;
	s->state.probe_failures = 0;
	say_commanded(s, "retry", by, reason);
	service_set_phase(s, PHASE_PREPARING, LOOKS);
	service_look_soon(s, 0);
	(void)text_copy(ret_text, LIMIT_REASON,
			"everything that differs is brought to what the file says, what somebody else moved included");
	engine_turn(s->engine);
	if (!s->engine->store_failing && !s->engine->fenced)
		return ENGINE_DONE;
	(void)snprintf(ret_text, LIMIT_REASON,
		       "it was taken, but could not be recorded yet and may be lost in a restart: %.150s",
		       store_error_text(s->engine->store));
	return ENGINE_UNAVAILABLE;
}

/* The row's end, in a transaction of its own. Returns 0 or the store's error. */
static int record_end(struct service *s)
{
	struct store *store = s->engine->store;
	int r = store_begin(store);

	if (r == 0)
		r = put(s, false);
	if (r == 0)
		r = store_commit(store);
	if (r != 0)
		store_abort(store);
	return r;
}

enum engine_answer engine_forget(struct engine *e, const char *name, const char *by, const char *reason,
				 char ret_text[static LIMIT_REASON])
{
	struct service *s = service_find(e, name);

	if (!s && !strmap_get(&e->by_name, name))
		return ENGINE_NO_SUCH;
	if (!s) {
		(void)text_copy(ret_text, LIMIT_REASON,
				"it is a rollout, which ends by itself: only services are kept");
		return ENGINE_REFUSED;
	}
	/* What waits to be recorded goes first: the row must be as it is on disk. */
	engine_turn(e);
	if (e->store_failing || e->fenced || record_end(s) != 0) {
		(void)snprintf(ret_text, LIMIT_REASON, "it could not be recorded: %.200s", store_error_text(e->store));
		return ENGINE_UNAVAILABLE;
	}
	say_commanded(s, "forget", by, reason);
	unlink_service(s);
	service_free(s);
	(void)text_copy(
	    ret_text, LIMIT_REASON,
	    "it is not kept any longer; everything in AWS stays as it is, and rollouts that are under way go on");
	engine_turn(e);
	return ENGINE_DONE;
}

/* --- views --- */

void engine_each_service(struct engine *e, engine_service_cb cb, void *ctx)
{
	for (const struct service *s = e->first_service; s; s = s->next)
		service_show(s, cb, ctx);
}

bool engine_service(struct engine *e, const char *name, engine_service_cb cb, void *ctx)
{
	const struct service *s = service_find(e, name);

	if (s)
		service_show(s, cb, ctx);
	return s != NULL;
}
