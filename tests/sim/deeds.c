/* What the script does to the daemon, its host, its disk, AWS and the alias. See simulation.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/text.h"
#include "plan/diag.h"
#include "tests/sim/simulation.h"

#define FUNCTION_PATH	 "/2015-03-31/functions/" SCRIPT_FUNCTION
#define COMMAND_AFTER_MS 20 /* after a write has left */
#define DRAIN_MS	 (15 * MS_PER_SECOND)
#define NEVER_DOWN_MS	 (30 * MS_PER_SECOND) /* how long a seed's daemon may be away once it is quiet */

struct host *simulation_owner(struct simulation *s)
{
	return s->hosts[s->owner].engine ? &s->hosts[s->owner] : NULL;
}

/* The daemon that can be talked to. */
static struct host *listening(struct simulation *s)
{
	struct host *h = simulation_owner(s);

	return h && host_runs(h) && !h->draining ? h : NULL;
}

bool deeds_call_aws(struct simulation *s, const char *method, const char *path, const char *body)
{
	struct http_request request = {.method = method,
				       .scheme = "http",
				       .host = "lambda.localhost",
				       .path = path,
				       .query = "",
				       .body = body,
				       .body_len = strlen(body)};
	struct instant now = {.unix_ms = SIMULATION_START_UNIX_MS + s->now_ms, .boot_ms = s->now_ms};
	struct world_reply reply = {0};
	bool good;

	(void)checker_sending(&s->checker, NULL, &request);
	world_handle(s->world, &request, now, &reply);
	good = reply.response.status / 100 == 2;
	world_reply_deinit(&reply);
	checker_look(&s->checker);
	return good;
}

/* --- fates --- */

static void count_struck(void *ctx, const char *fault, uint64_t struck)
{
	struct simulation *s = ctx;
	enum tally_item item;

	if (tally_of_fault(fault, &item))
		s->tally.n[item] += struck;
}

static size_t add_fate(char *out, size_t size, size_t len, const struct script_fate *f)
{
	bool metrics = text_starts_with(f->fault, "metrics_");
	int n =
	    snprintf(out + len, size - len,
		     "%s{\"op\": \"%s\", \"fault\": \"%s\", \"probability\": %u.%u%%, \"delay\": \"%llds\"%s%s}",
		     len > 1 ? ", " : "", metrics ? "*" : f->operation, f->fault, f->permille / 10, f->permille % 10,
		     (long long)(f->delay_ms / MS_PER_SECOND), f->applied ? ", \"applied\": true" : "",
		     strcmp(f->fault, "stale") == 0 ? ", \"within\": \"5s\"" : "");

	require(n > 0 && len + (size_t)n < size);
	return len + (size_t)n;
}

/* The script's, unless all is quiet; and those of a region that is out. */
void simulation_put_fates(struct simulation *s)
{
	static const char *const out_faults[] = {"", "error503", "throttle", "lost_before"};
	char text[4096] = "[";
	size_t len = 1;

	world_count_faults(s->world, count_struck, s);
	for (size_t i = 0; i < s->script->n_fates && !s->quiet; i++)
		len = add_fate(text, sizeof(text), len, &s->script->fates[i]);
	if (s->now_ms < s->region_out_until_ms && s->region_out_how != 0 && !s->quiet) {
		const struct script_fate f = {"*", out_faults[s->region_out_how], 1000, MS_PER_SECOND, false};

		len = add_fate(text, sizeof(text), len, &f);
	}
	(void)snprintf(text + len, sizeof(text) - len, "]");
	if (len == 1 && !s->fates_put)
		return; /* none, as before */
	s->fates_put = len > 1;
	if (!deeds_call_aws(s, "PUT", "/_localaws/faults", text))
		checker_fail(&s->checker, VIOLATION_LIVENESS, "the simulation's own request was refused: %.200s", text);
}

/* --- plans and commands --- */

static void drop_plan(struct simulation *s, struct host *h, unsigned index)
{
	const struct script_plan *p = &s->script->plans[index];
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	char text[4096], file[32], answer[LIMIT_REASON], hash[SHA256_HEX_SIZE];
	enum intake_result result;
	struct plan *plan;

	script_plan_text(p, text, sizeof(text));
	plan = plan_load(text, strlen(text), diags);
	if (!plan)
		fprintf(stderr, "%s\n%s", diags->items[0].text, text);
	require(plan);
	diags_deinit(diags);
	(void)text_copy(s->plan_hashes[index], sizeof(s->plan_hashes[index]), plan->hash);
	sha256_hex(text, strlen(text), hash);
	(void)snprintf(file, sizeof(file), "%s.yaml", script_names[p->name]);
	result = engine_take_plan(h->engine, plan, file, hash, "", answer);
	trace_note(&s->trace, s->now_ms, "plan", answer);
	trace_number(&s->trace, result);
	if (host_is_dead(h))
		return;
	if (result == INTAKE_UNCHANGED)
		s->tally.n[TALLY_UNCHANGED]++;
	if (result != INTAKE_STARTED && result != INTAKE_SUPERSEDES)
		return;
	s->tally.n[TALLY_PLANS]++;
	s->tally.n[TALLY_SUPERSEDED] += result == INTAKE_SUPERSEDES;
	checker_plan_taken(&s->checker, h, p->name, result == INTAKE_SUPERSEDES);
}

/* A file is read when it changes, and the folder at the start; here not at each, as what it has is the same mostly. */
static void read_folder(struct simulation *s, struct host *h)
{
	if (!s->unread && prng_below(&s->chance, 3) != 0)
		return;
	s->unread = false;
	for (unsigned i = 0; i < SCRIPT_NAMES; i++) {
		if (s->files[i] != 0 && !host_is_dead(h))
			drop_plan(s, h, s->files[i] - 1);
	}
}

static void keep_attempt(void *ctx, const struct view_rollout *v)
{
	*(uint64_t *)ctx = v->attempt;
}

/* The attempt that operators mean: the oldest that has not ended, or the newest; 0: there is none. */
static uint64_t attempt_of(const struct host *h, unsigned name)
{
	const struct item *i = strmap_get(&h->engine->by_name, script_names[name]), *found = i;
	uint64_t attempt = 0;

	for (; i; i = i->older) {
		if (!rollout_ended(&i->state))
			found = i;
	}
	if (found)
		return found->attempt;
	return engine_view(h->engine, script_names[name], keep_attempt, &attempt) ? attempt : 0;
}

static void command(struct simulation *s, struct host *h, unsigned name, enum rollout_command c)
{
	char text[LIMIT_REASON];
	uint64_t attempt = attempt_of(h, name);
	enum engine_answer answer;

	if (attempt == 0)
		return;
	checker_commands(&s->checker, h, name, attempt, c);
	answer = engine_command(h->engine, script_names[name], c, "uid=0 pid=1", "", text);
	trace_note(&s->trace, s->now_ms, rollout_command_name(c), text);
	if (host_is_dead(h))
		return;
	s->tally.n[TALLY_COMMANDS]++;
	s->tally.n[TALLY_COMMANDS_REFUSED] += answer != ENGINE_DONE;
	checker_commanded(&s->checker, name, attempt, c, answer);
}

static void retry(struct simulation *s, struct host *h, unsigned name)
{
	char text[LIMIT_REASON];
	enum engine_answer answer = engine_retry(h->engine, script_names[name], "uid=0 pid=1", "", text);

	trace_note(&s->trace, s->now_ms, "retry", text);
	s->tally.n[TALLY_COMMANDS]++;
	if (answer != ENGINE_DONE && answer != ENGINE_UNAVAILABLE)
		return;
	checker_retried(&s->checker, name);
	if (answer == ENGINE_DONE && !host_is_dead(h))
		checker_plan_taken(&s->checker, h, name, false);
}

/* --- the human --- */

static void human_writes(struct simulation *s, unsigned alias, const struct alias_target *t)
{
	char path[96], body[160];

	checker_human(&s->checker, alias);
	(void)snprintf(path, sizeof(path), FUNCTION_PATH "/aliases/%s", script_aliases[alias]);
	if (t->weight_bp)
		(void)snprintf(body, sizeof(body),
			       "{\"FunctionVersion\": \"%llu\", \"RoutingConfig\": "
			       "{\"AdditionalVersionWeights\": {\"%llu\": 0.%04u}}}",
			       (unsigned long long)t->version, (unsigned long long)t->extra, t->weight_bp);
	else
		(void)snprintf(body, sizeof(body),
			       "{\"FunctionVersion\": \"%llu\", \"RoutingConfig\": {\"AdditionalVersionWeights\": {}}}",
			       (unsigned long long)t->version);
	trace_note(&s->trace, s->now_ms, "human", body);
	if (deeds_call_aws(s, "PUT", path, body))
		s->tally.n[TALLY_HUMAN_WRITES]++;
}

static void human_deletes(struct simulation *s, const struct deed *d)
{
	char path[96];

	checker_human(&s->checker, d->a);
	(void)snprintf(path, sizeof(path), FUNCTION_PATH "/aliases/%s", script_aliases[d->a]);
	trace_note(&s->trace, s->now_ms, "human", "deletes the alias");
	if (deeds_call_aws(s, "DELETE", path, ""))
		s->tally.n[TALLY_HUMAN_DELETES]++;
	s->alias_back_ms[d->a] = s->now_ms + d->for_ms;
}

static void bring_alias_back(struct simulation *s, unsigned alias)
{
	char body[96];

	(void)snprintf(body, sizeof(body), "{\"Name\": \"%s\", \"FunctionVersion\": \"1\"}", script_aliases[alias]);
	checker_human(&s->checker, alias);
	if (s->checker.aliases[alias].there || deeds_call_aws(s, "POST", FUNCTION_PATH "/aliases", body) || !s->quiet)
		s->alias_back_ms[alias] = INT64_MAX;
}

static void human(struct simulation *s, const struct deed *d)
{
	const struct checked_alias *a = &s->checker.aliases[d->a];
	struct alias_target t = {.version = d->b};

	switch (d->kind) {
	case DEED_HUMAN_WRITE:
		if (d->c != 0 && d->c != d->b)
			t = (struct alias_target){d->b, d->c, 3050}; /* of no step: those are in whole percent */
		break;
	case DEED_HUMAN_HOME:
		t = (struct alias_target){.version = a->holds.version};
		break;
	default:
		t = a->holds;
		break;
	}
	if (a->there)
		human_writes(s, d->a, &t);
}

/* --- the host --- */

/* At once, or in the midst of one of the next operations of the disk. */
static void kill_host(struct simulation *s, struct host *h, const struct deed *d)
{
	trace_note(&s->trace, s->now_ms, "kill", deed_kind_name(d->kind));
	h->start_after_ms = d->for_ms;
	if (d->trigger != TRIGGER_TIME)
		s->tally.n[TALLY_KILLS_AT_WRITE]++;
	if (d->kind == DEED_REBOOT) {
		s->tally.n[TALLY_REBOOTS]++;
		disk_kill(h->process);
		simulation_reboot(s);
	} else if (d->kind == DEED_KILL && d->b > 0) {
		disk_kill_at(h->process, d->b);
	} else if (d->kind == DEED_KILL) {
		disk_kill(h->process);
	} else if (d->b > 0) {
		disk_crash_at(s->disk, d->b);
	} else {
		disk_crash(s->disk);
	}
}

static void stop_host(struct simulation *s, struct host *h, int64_t for_ms)
{
	trace_note(&s->trace, s->now_ms, "stop", "");
	h->stopped_until_ms = s->now_ms + for_ms;
	s->tally.n[TALLY_STOPS]++;
}

static void restart(struct simulation *s, struct host *h, int64_t for_ms)
{
	trace_note(&s->trace, s->now_ms, "drain", "");
	engine_drain(h->engine);
	h->draining = true;
	h->start_at_ms = s->now_ms + DRAIN_MS + for_ms;
	h->wake_ms = host_now(h).boot_ms;
	s->tally.n[TALLY_RESTARTS]++;
}

static struct host *other_host(struct simulation *s)
{
	struct host *h = &s->hosts[1 - s->owner];

	return h->engine ? NULL : h;
}

/* While the first one has the lock, a second daemon must be refused. */
static void second_daemon(struct simulation *s, struct host *first)
{
	struct host *h = other_host(s);
	unsigned owner = s->owner;

	if (!h || host_is_dead(first) || s->unlocked)
		return;
	trace_note(&s->trace, s->now_ms, "second daemon", "");
	if (host_start(h)) {
		checker_fail(&s->checker, VIOLATION_ONE_WRITER, "a second daemon could open the state of the first");
		return;
	}
	h->start_at_ms = INT64_MAX;
	s->owner = owner;
	s->tally.n[TALLY_SECOND_DAEMONS]++;
}

/* The lock is gone, as when its file is deleted by hand, and another daemon begins with the state. */
static void usurp(struct simulation *s, struct host *first, int64_t for_ms)
{
	struct host *h = other_host(s);

	if (!h)
		return;
	trace_note(&s->trace, s->now_ms, "usurper", "");
	disk_lose_lock(first->process);
	first->stopped_until_ms = s->now_ms + for_ms;
	first->start_at_ms = INT64_MAX;
	if (host_start(h)) {
		checker_crashed(&s->checker); /* it knows what is on the disk, no more */
		s->tally.n[TALLY_USURPERS]++;
		return;
	}
	/* That one does not come back; the first goes on without a lock. */
	h->start_at_ms = INT64_MAX;
	s->unlocked = true;
}

static void fail_disk(struct simulation *s, const struct deed *d)
{
	static const enum disk_fault faults[] = {DISK_FAIL_ANY, DISK_FAIL_WRITE, DISK_FAIL_SYNC, DISK_LOSE_SYNC};

	trace_note(&s->trace, s->now_ms, "disk", "fails");
	disk_fail(s->disk, faults[d->c % array_len(faults)], d->a, d->b);
}

static void fill_disk(struct simulation *s, const struct deed *d)
{
	trace_note(&s->trace, s->now_ms, "disk", "full");
	disk_set_capacity(s->disk, disk_used(s->disk));
	s->disk_full_until_ms = s->now_ms + d->for_ms;
	s->tally.n[TALLY_DISK_FULL]++;
}

static void cut_region(struct simulation *s, const struct deed *d)
{
	trace_note(&s->trace, s->now_ms, "region out", "");
	s->region_out_until_ms = s->now_ms + d->for_ms;
	s->region_out_how = d->b;
	s->tally.n[TALLY_REGION_OUT]++;
	simulation_put_fates(s);
}

/* What queries see. */
static void set_gauge(struct simulation *s, const char *value)
{
	char body[96];

	(void)snprintf(body, sizeof(body), "[{\"namespace\": \"Sim\", \"metric\": \"depth\", \"value\": %s}]", value);
	trace_note(&s->trace, s->now_ms, "gauge", value);
	(void)deeds_call_aws(s, "PUT", "/_localaws/gauges", body);
}

static void set_alarm(struct simulation *s, const char *state)
{
	char body[96];

	(void)snprintf(body, sizeof(body), "[{\"name\": \"" SCRIPT_ALARM "\", \"state\": \"%s\"}]", state);
	trace_note(&s->trace, s->now_ms, "alarm", state);
	(void)deeds_call_aws(s, "PUT", "/_localaws/alarms", body);
}

static void disturb(struct simulation *s, const struct deed *d)
{
	char high[16];

	(void)snprintf(high, sizeof(high), "%d", SCRIPT_GAUGE_HIGH);
	if (d->kind == DEED_GAUGE) {
		set_gauge(s, d->b == 0 ? high : "null");
		s->gauge_back_ms = s->now_ms + d->for_ms;
	} else {
		set_alarm(s, d->b == 0 ? "ALARM" : "INSUFFICIENT_DATA");
		s->alarm_back_ms = s->now_ms + d->for_ms;
	}
	s->tally.n[d->kind == DEED_GAUGE ? TALLY_GAUGES : TALLY_ALARMS]++;
}

static void end_disturbances(struct simulation *s)
{
	char ok[16];

	(void)snprintf(ok, sizeof(ok), "%d", SCRIPT_GAUGE_OK);
	if (s->now_ms >= s->gauge_back_ms) {
		s->gauge_back_ms = INT64_MAX;
		set_gauge(s, ok);
	}
	if (s->now_ms >= s->alarm_back_ms) {
		s->alarm_back_ms = INT64_MAX;
		set_alarm(s, "OK");
	}
}

/* --- running them --- */

/* What needs a daemon that listens; a file waits for its start. */
static void talk(struct simulation *s, const struct deed *d)
{
	struct host *h = listening(s);

	if (d->kind == DEED_PLAN)
		s->files[s->script->plans[d->a].name] = d->a + 1;
	if (!h) {
		s->unread = s->unread || d->kind == DEED_PLAN;
		return;
	}
	if (d->kind == DEED_PLAN)
		drop_plan(s, h, d->a);
	else if (d->kind == DEED_COMMAND)
		command(s, h, d->a, (enum rollout_command)d->b);
	else
		retry(s, h, d->a);
}

static void do_to_host(struct simulation *s, struct host *h, const struct deed *d)
{
	switch (d->kind) {
	case DEED_KILL:
	case DEED_POWER_CUT:
	case DEED_REBOOT:
		kill_host(s, h, d);
		break;
	case DEED_RESTART:
		restart(s, h, d->for_ms);
		break;
	case DEED_STOP:
		stop_host(s, h, d->for_ms);
		break;
	case DEED_SECOND:
		second_daemon(s, h);
		break;
	default:
		usurp(s, h, d->for_ms);
		break;
	}
}

static void run(struct simulation *s, const struct deed *d)
{
	struct host *h = simulation_owner(s);

	switch (d->kind) {
	case DEED_PLAN:
	case DEED_COMMAND:
	case DEED_RETRY:
		talk(s, d);
		break;
	case DEED_HUMAN_WRITE:
	case DEED_HUMAN_HOME:
	case DEED_HUMAN_SAME:
		human(s, d);
		break;
	case DEED_HUMAN_DELETE:
		human_deletes(s, d);
		break;
	case DEED_HUMAN_PUBLISH:
		(void)deeds_call_aws(s, "POST", FUNCTION_PATH "/versions", "{}");
		break;
	case DEED_CLOCK:
		trace_note(&s->trace, s->now_ms, "clock", "");
		s->wall_jump_ms += d->for_ms;
		s->tally.n[TALLY_CLOCK_JUMPS]++;
		break;
	case DEED_DISK_ERROR:
		fail_disk(s, d);
		break;
	case DEED_DISK_FULL:
		fill_disk(s, d);
		break;
	case DEED_REGION_OUT:
		cut_region(s, d);
		break;
	case DEED_GAUGE:
	case DEED_ALARM:
		disturb(s, d);
		break;
	case DEED_KEYS_OUT:
		s->keys_out_until_ms = s->now_ms + d->for_ms;
		break;
	default:
		if (h && !h->draining && host_runs(h))
			do_to_host(s, h, d);
		break;
	}
}

void deeds_at(struct simulation *s, struct host *h, enum deed_trigger trigger, uint64_t number)
{
	for (size_t i = 0; i < s->script->n_deeds && !s->quiet; i++) {
		struct deed *d = &s->deeds[i];

		if (d->done || d->trigger != trigger || (uint64_t)d->at != number)
			continue;
		d->done = true;
		if (trigger == TRIGGER_START) {
			disk_kill_at(h->process, d->a);
		} else if (d->kind == DEED_USURP || d->kind == DEED_COMMAND) {
			/* Not in the midst of the daemon's turn, but soon. */
			d->done = false;
			d->trigger = TRIGGER_TIME;
			d->at = s->now_ms + (d->kind == DEED_COMMAND ? COMMAND_AFTER_MS : 0);
		} else if (h == simulation_owner(s) && !h->draining && !h->dying) {
			do_to_host(s, h, d);
		}
	}
}

static bool is_due(const struct simulation *s, const struct deed *d)
{
	return !d->done && d->trigger == TRIGGER_TIME && d->at <= s->now_ms;
}

static void end_of_troubles(struct simulation *s)
{
	end_disturbances(s);
	if (s->disk_full_until_ms != 0 && s->now_ms >= s->disk_full_until_ms) {
		s->disk_full_until_ms = 0;
		disk_set_capacity(s->disk, UINT64_MAX);
	}
	if (s->region_out_until_ms != 0 && s->now_ms >= s->region_out_until_ms) {
		s->region_out_until_ms = 0;
		simulation_put_fates(s);
	}
	for (unsigned i = 0; i < SCRIPT_ALIASES; i++) {
		if (s->now_ms >= s->alias_back_ms[i])
			bring_alias_back(s, i);
	}
}

static void start_hosts(struct simulation *s)
{
	for (size_t i = 0; i < HOSTS; i++) {
		struct host *h = &s->hosts[i];

		if (h->engine && h->draining && s->now_ms >= h->start_at_ms) {
			/* It did not end in time: systemd kills it. */
			disk_kill(h->process);
			h->start_after_ms = 0;
			host_bury(h);
		}
		if (!h->engine && s->now_ms >= h->start_at_ms && host_start(h))
			read_folder(s, h);
		/* Killed while it read the folder: host_step buries it. */
	}
}

void deeds_run_due(struct simulation *s)
{
	end_of_troubles(s);
	start_hosts(s);
	for (size_t i = 0; i < s->script->n_deeds && !s->quiet; i++) {
		if (is_due(s, &s->deeds[i])) {
			s->deeds[i].done = true;
			run(s, &s->deeds[i]);
		}
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t deeds_next_ms(const struct simulation *s)
{
	int64_t at = INT64_MAX;

	for (size_t i = 0; i < s->script->n_deeds && !s->quiet; i++) {
		if (!s->deeds[i].done && s->deeds[i].trigger == TRIGGER_TIME)
			at = earlier(at, s->deeds[i].at);
	}
	for (size_t i = 0; i < SCRIPT_ALIASES; i++)
		at = earlier(at, s->alias_back_ms[i]);
	at = earlier(at, earlier(s->gauge_back_ms, s->alarm_back_ms));
	if (s->disk_full_until_ms != 0)
		at = earlier(at, s->disk_full_until_ms);
	if (s->region_out_until_ms != 0)
		at = earlier(at, s->region_out_until_ms);
	for (size_t i = 0; i < HOSTS; i++) {
		if (s->hosts[i].draining)
			at = earlier(at, s->hosts[i].start_at_ms);
	}
	return at;
}

/* --- the quiet end --- */

void deeds_calm(struct simulation *s)
{
	s->quiet = true;
	trace_note(&s->trace, s->now_ms, "quiet", "");
	s->region_out_until_ms = s->keys_out_until_ms = s->disk_full_until_ms = 0;
	simulation_put_fates(s);
	disk_heal(s->disk);
	disk_crash_at(s->disk, 0);
	disk_set_capacity(s->disk, UINT64_MAX);
	for (unsigned i = 0; i < SCRIPT_ALIASES; i++) {
		if (s->alias_back_ms[i] != INT64_MAX)
			s->alias_back_ms[i] = earlier(s->alias_back_ms[i], s->now_ms);
	}
	if (s->gauge_back_ms != INT64_MAX)
		s->gauge_back_ms = earlier(s->gauge_back_ms, s->now_ms);
	if (s->alarm_back_ms != INT64_MAX)
		s->alarm_back_ms = earlier(s->alarm_back_ms, s->now_ms);
	for (size_t i = 0; i < HOSTS; i++) {
		struct host *h = &s->hosts[i];

		h->stopped_until_ms = earlier(h->stopped_until_ms, s->now_ms);
		if (h->engine)
			disk_kill_at(h->process, 0);
		if (!h->engine && h->start_at_ms != INT64_MAX)
			h->start_at_ms = earlier(h->start_at_ms, s->now_ms + NEVER_DOWN_MS);
	}
}

bool deeds_all_ended(const struct simulation *s)
{
	const struct host *h = &s->hosts[s->owner];

	for (size_t i = 0; i < SCRIPT_ALIASES; i++) {
		if (s->alias_back_ms[i] != INT64_MAX)
			return false;
	}
	return h->engine && host_runs(h) && !h->draining && h->n_flights == 0 && !h->engine->first;
}

void deeds_resolve(struct simulation *s)
{
	struct host *h = listening(s);

	for (unsigned i = 0; i < SCRIPT_NAMES && h; i++) {
		const struct item *item = strmap_get(&h->engine->by_name, script_names[i]);
		bool lives = false;

		for (; item; item = item->older)
			lives = lives || !rollout_ended(&item->state);
		if (!lives)
			continue;
		s->tally.n[TALLY_RESOLVED]++;
		command(s, h, i, COMMAND_ROLLBACK);
	}
}
