#include "service.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "change.h"
#include "field.h"
#include "span.h"
#include "table.h"

#define INDENT	    2
#define EVENT_ROWS  6
#define AS_DECLARED "as declared"

bool service_is(const json_t *form)
{
	return field_is(form, "kind", "Service");
}

/* --- the page --- */

static void put_head(struct canvas *c, const json_t *s)
{
	const char *phase = field_text(s, "phase"), *reason = field_text(s, "reason");

	canvas_put(c, STYLE_BOLD, field_text(s, "name"));
	canvas_put(c, STYLE_PLAIN, "  service");
	if (!field_true(s, "unreadable")) {
		canvas_putf(c, STYLE_PLAIN, " of function %s", field_text(s, "function"));
		canvas_putf(c, STYLE_DIM, "  %s, account %s, attempt %jd", field_text(s, "region"),
			    field_text(s, "account"), (intmax_t)field_int(s, "attempt"));
	}
	canvas_end_line(c);
	canvas_put(c, page_phase_style(phase), phase);
	if (reason[0]) {
		canvas_put(c, STYLE_PLAIN, ": ");
		page_put_sentence(c, STYLE_PLAIN, reason);
	}
	canvas_end_line(c);
}

/* What an operator can do now, where the service waits for one. */
static void put_hint(struct canvas *c, const json_t *s)
{
	const char *name = field_text(s, "name"), *phase = field_text(s, "phase");
	char text[512] = "";

	if (field_true(s, "unreadable"))
		return;
	if (strcmp(phase, "paused") == 0)
		snprintf(text, sizeof(text), "rolloutctl resume %.64s", name);
	else if (strcmp(phase, "blocked") == 0 || strcmp(phase, "failed") == 0 || strcmp(phase, "rolled-back") == 0)
		snprintf(text, sizeof(text),
			 "mend what is named here, or correct the plan; then rolloutctl retry %.64s (brings everything "
			 "to what the plan says, what somebody else moved included)",
			 name);
	page_put_field(c, STYLE_BOLD, "to do", text);
}

static enum style state_style(const char *state)
{
	return strcmp(state, AS_DECLARED) == 0 ? STYLE_GOOD : STYLE_WARN;
}

static void put_aliases(struct canvas *c, const json_t *aliases)
{
	static const struct column columns[] = {{.title = "ALIAS", .shrink_to = 8},
						{.title = "DECLARED", .shrink_to = 12},
						{.title = "HOLDS", .shrink_to = 12},
						{.title = "ROLLOUT", .shrink_to = 10},
						{.title = "STATE", .shrink_to = 12}};
	struct table *t = table_new(c->screen, columns, array_len(columns));

	for (size_t i = 0; i < json_array_size(aliases); i++) {
		const json_t *a = json_array_get(aliases, i);
		const char *holds = field_text(a, "holds"), *rollout = field_text(a, "rollout");

		table_row(t);
		table_cell(t, STYLE_BOLD, field_text(a, "name"));
		table_cell(t, STYLE_PLAIN, field_text(a, "declared"));
		table_cell(t, STYLE_PLAIN, holds[0] ? holds : "-");
		table_cell(t, STYLE_INFO, rollout[0] ? rollout : "-");
		table_cell(t, state_style(field_text(a, "state")), field_text(a, "state"));
	}
	table_render(t, c, INDENT);
	table_free(t);
}

static void put_stages(struct canvas *c, const json_t *stages)
{
	static const struct column columns[] = {
	    {.title = "STAGE", .shrink_to = 8}, {.title = "ALIAS", .shrink_to = 8}, {.title = "URL", .shrink_to = 20}};

	if (json_array_size(stages) == 0)
		return;
	struct table *t = table_new(c->screen, columns, array_len(columns));
	for (size_t i = 0; i < json_array_size(stages); i++) {
		const json_t *s = json_array_get(stages, i);
		const char *url = field_text(s, "url");

		table_row(t);
		table_cell(t, STYLE_BOLD, field_text(s, "name"));
		table_cell(t, STYLE_PLAIN, field_text(s, "alias"));
		table_cell(t, STYLE_PLAIN, url[0] ? url : "-");
	}
	canvas_end_line(c);
	table_render(t, c, INDENT);
	table_free(t);
}

static void put_changes(struct canvas *c, const json_t *changes)
{
	if (json_array_size(changes) == 0)
		return;
	canvas_end_line(c);
	canvas_pad(c, INDENT);
	canvas_put(c, STYLE_BOLD, "What differs from the plan:");
	canvas_end_line(c);
	for (size_t i = 0; i < json_array_size(changes); i++)
		change_put(c, json_array_get(changes, i), INDENT);
}

static void put_details(struct canvas *c, const struct page *p)
{
	const json_t *s = p->rollout;
	char count[SPAN_TIME_SIZE];

	page_put_time(c, p, "checked", "checked_at");
	if (!field_time(s, "checked_at"))
		page_put_field(c, STYLE_PLAIN, "checked", "not yet");
	if (!p->details)
		return;
	span_format_count(field_int(s, "changes_made"), count);
	page_put_field(c, STYLE_PLAIN, "made", count);
	page_put_field(c, STYLE_PLAIN, "API", field_text(s, "api_id"));
	page_put_field(c, STYLE_PLAIN, "plan", field_text(s, "source"));
	page_put_field(c, STYLE_PLAIN, "plan hash", field_text(s, "plan_hash"));
}

/* The newest, its rollouts' among them; where there is no room for all, those. */
static void put_events(struct canvas *c, const struct page *p)
{
	int n = (int)json_array_size(p->events), shown = n < EVENT_ROWS ? n : EVENT_ROWS;

	if (shown > canvas_rows_left(c) - 1)
		shown = canvas_rows_left(c) - 1;
	if (shown <= 0)
		return;
	canvas_end_line(c);
	for (int i = n - shown; i < n; i++)
		page_put_event(c, json_array_get(p->events, (size_t)i), p->now_unix_ms, true);
}

void service_render(struct canvas *c, const struct page *p)
{
	const json_t *s = p->rollout;

	put_head(c, s);
	page_put_field(c, STYLE_BAD, "trouble", field_text(s, "trouble"));
	put_hint(c, s);
	if (!field_true(s, "unreadable")) {
		canvas_end_line(c);
		put_aliases(c, field_array(s, "aliases"));
		put_stages(c, field_array(s, "stages"));
		put_changes(c, field_array(s, "changes"));
		canvas_end_line(c);
		put_details(c, p);
	}
	put_events(c, p);
}

/* --- one line, and all of them --- */

static size_t count_declared(const json_t *aliases)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(aliases); i++)
		n += field_is(json_array_get(aliases, i), "state", AS_DECLARED);
	return n;
}

void service_put_line(struct canvas *c, const json_t *service)
{
	const char *phase = field_text(service, "phase"), *reason = field_text(service, "reason");
	const json_t *aliases = field_array(service, "aliases");
	size_t n = json_array_size(aliases), declared = count_declared(aliases);

	canvas_putf(c, STYLE_BOLD, "%s ", field_text(service, "name"));
	canvas_put(c, page_phase_style(phase), phase);
	if (declared < n)
		canvas_putf(c, STYLE_PLAIN, ", %zu of %zu %s as declared", declared, n, n == 1 ? "alias" : "aliases");
	if (reason[0])
		canvas_putf(c, STYLE_PLAIN, ": %s", reason);
	canvas_end_line(c);
}

static void add_row(struct table *t, const json_t *s, int64_t now)
{
	const char *phase = field_text(s, "phase"), *trouble = field_text(s, "trouble");
	const json_t *aliases = field_array(s, "aliases");
	size_t n = json_array_size(aliases), declared = count_declared(aliases);
	int64_t checked = field_time(s, "checked_at");
	bool readable = !field_true(s, "unreadable");
	char ago[32];

	table_row(t);
	table_cell(t, STYLE_BOLD, field_text(s, "name"));
	table_cell(t, page_phase_style(phase), phase);
	table_cell(t, STYLE_PLAIN, readable ? field_text(s, "function") : "-");
	if (declared == n)
		table_cellf(t, STYLE_PLAIN, "%zu", n);
	else
		table_cellf(t, STYLE_WARN, "%zu/%zu", declared, n);
	table_cellf(t, STYLE_PLAIN, "%zu", json_array_size(field_array(s, "stages")));
	text_format_span(now > checked ? (now - checked) / 1000 * 1000 : 0, ago);
	if (checked)
		table_cellf(t, STYLE_PLAIN, "%s ago", ago);
	else
		table_cell(t, STYLE_DIM, "not yet");
	if (trouble[0])
		table_cell(t, STYLE_BAD, trouble);
	else
		table_cell(t, STYLE_PLAIN, field_text(s, "reason"));
}

void service_put_table(struct canvas *c, const json_t *services, size_t shown, int64_t now_unix_ms)
{
	static const struct column columns[] = {
	    {.title = "NAME", .shrink_to = 16},	    {.title = "PHASE"},
	    {.title = "FUNCTION", .shrink_to = 14}, {.title = "ALIASES", .right = true},
	    {.title = "STAGES", .right = true},	    {.title = "CHECKED"},
	    {.title = "NOTE", .shrink_to = 10}};
	size_t n = json_array_size(services);
	struct table *t = table_new(c->screen, columns, array_len(columns));

	for (size_t i = 0; i < shown; i++)
		add_row(t, json_array_get(services, i), now_unix_ms);
	table_render(t, c, 0);
	table_free(t);
	if (shown < n) {
		canvas_putf(c, STYLE_DIM, "%zu more services; see: rolloutctl list", n - shown);
		canvas_end_line(c);
	}
}
