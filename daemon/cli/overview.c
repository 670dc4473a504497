#include "overview.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "field.h"
#include "page.h"
#include "service.h"
#include "span.h"
#include "table.h"

/* A rollout's or a service's form and its place in the order. */
struct entry {
	const json_t *form;
	int urgency;
};

/* What an operator must look at first has the lowest number. */
static int urgency_of(const json_t *rollout)
{
	static const char *const order[] = {"blocked", "rolling-back", "paused",  "promoting", "progressing",
					    "baking",  "preparing",    "pending", "failed",    "rolled-back"};
	const char *phase = field_text(rollout, "phase");

	for (size_t i = 0; i < array_len(order); i++)
		if (strcmp(order[i], phase) == 0)
			return (int)i;
	return (int)array_len(order);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->urgency != y->urgency)
		return x->urgency - y->urgency;
	return strcmp(field_text(x->form, "name"), field_text(y->form, "name"));
}

/* The caller frees. */
static struct entry *sort_entries(const json_t *all, enum overview_order order)
{
	size_t n = json_array_size(all);
	struct entry *entries = mem_array(n, sizeof(*entries));

	for (size_t i = 0; i < n; i++) {
		entries[i].form = json_array_get(all, i);
		entries[i].urgency = order == OVERVIEW_BY_URGENCY ? urgency_of(entries[i].form) : 0;
	}
	if (n > 0)
		qsort(entries, n, sizeof(*entries), compare);
	return entries;
}

static void add_row(struct table *t, const json_t *r, int64_t now)
{
	const char *phase = field_text(r, "phase"), *trouble = field_text(r, "trouble");
	bool readable = !field_true(r, "unreadable");
	int64_t created = field_time(r, "created_at");
	char step[48], weight[16], versions[64], age[32] = "-";

	page_format_step(r, step);
	page_format_versions(r, versions);
	if (created && now >= created)
		text_format_span(now - created, age);
	table_row(t);
	table_cell(t, STYLE_BOLD, field_text(r, "name"));
	if (readable)
		table_cellf(t, STYLE_PLAIN, "%s:%s", field_text(r, "function"), field_text(r, "alias"));
	else
		table_cell(t, STYLE_PLAIN, "-");
	table_cell(t, page_style(r), phase);
	table_cell(t, STYLE_PLAIN, step);
	table_cell(t, STYLE_PLAIN, readable ? page_weight(r, "weight_bp", weight) : "-");
	table_cell(t, STYLE_PLAIN, versions);
	table_cell(t, STYLE_PLAIN, age);
	if (trouble[0])
		table_cell(t, STYLE_BAD, trouble);
	else
		table_cell(t, STYLE_PLAIN, field_text(r, "reason"));
}

static size_t count_lines(const json_t *files)
{
	size_t lines = 0;

	for (size_t i = 0; i < json_array_size(files); i++) {
		size_t n = json_array_size(field_array(json_array_get(files, i), "errors"));
		lines += n ? n : 1;
	}
	return lines;
}

static void put_files(struct canvas *c, const json_t *files)
{
	if (json_array_size(files) == 0)
		return;
	canvas_end_line(c);
	canvas_put(c, STYLE_BAD, "Plan files that are wrong, and not taken in:");
	canvas_end_line(c);
	for (size_t i = 0; i < json_array_size(files); i++) {
		const json_t *file = json_array_get(files, i), *errors = field_array(file, "errors");

		if (json_array_size(errors) == 0) {
			canvas_putf(c, STYLE_PLAIN, "  %s", field_text(file, "file"));
			canvas_end_line(c);
		}
		for (size_t k = 0; k < json_array_size(errors); k++) {
			const char *line = json_string_value(json_array_get(errors, k));
			canvas_putf(c, STYLE_PLAIN, "  %s", line ? line : "");
			canvas_end_line(c);
		}
	}
}

static void put_rollouts(struct canvas *c, const struct entry *rollouts, size_t n, size_t shown, int64_t now)
{
	static const struct column columns[] = {{.title = "NAME", .shrink_to = 16},
						{.title = "FUNCTION:ALIAS", .shrink_to = 14},
						{.title = "PHASE"},
						{.title = "STEP"},
						{.title = "WEIGHT", .right = true},
						{.title = "VERSIONS"},
						{.title = "AGE"},
						{.title = "REASON", .shrink_to = 10}};
	struct table *t = table_new(c->screen, columns, array_len(columns));

	for (size_t i = 0; i < shown; i++)
		add_row(t, rollouts[i].form, now);
	table_render(t, c, 0);
	table_free(t);
	if (shown < n) {
		canvas_putf(c, STYLE_DIM, "%zu more; see: rolloutctl list", n - shown);
		canvas_end_line(c);
	}
}

/* How many of n lines fit when they may take half of what is left. */
static size_t half_of_room(const struct canvas *c, size_t n)
{
	size_t room = canvas_rows_left(c) > 3 ? (size_t)(canvas_rows_left(c) - 3) / 2 : 1;

	return c->max_rows > 0 && n > room ? room : n;
}

static void put_services(struct canvas *c, const json_t *list, enum overview_order order)
{
	const json_t *all = field_array(list, "services");
	size_t n = json_array_size(all);

	if (n == 0)
		return;
	struct entry *entries = sort_entries(all, order);
	json_t *sorted = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, (json_t *)entries[i].form);
	service_put_table(c, sorted, half_of_room(c, n), field_time(list, "now"));
	json_decref(sorted);
	free(entries);
}

/* The rows of the rollouts' table, where the files' block may take half of the screen at most. */
static size_t rows_for_rollouts(const struct canvas *c, const json_t *files, size_t n)
{
	if (c->max_rows == 0)
		return n;
	size_t room = (size_t)(canvas_rows_left(c) > 0 ? canvas_rows_left(c) : 0);
	size_t below = json_array_size(files) ? count_lines(files) + 2 : 0;

	below = below > room / 2 ? room / 2 : below;
	size_t rows = room > below + 2 ? room - below - 2 : 1;
	return n > rows ? rows : n;
}

void overview_render(struct canvas *c, const json_t *list, enum overview_order order)
{
	const json_t *all = field_array(list, "rollouts"), *files = field_array(list, "files");
	size_t n = json_array_size(all);
	bool services = json_array_size(field_array(list, "services")) > 0;

	put_services(c, list, order);
	if (n > 0) {
		struct entry *rollouts = sort_entries(all, order);

		if (services)
			canvas_end_line(c);
		put_rollouts(c, rollouts, n, rows_for_rollouts(c, files, n), field_time(list, "now"));
		free(rollouts);
	} else if (!services) {
		canvas_put(c, STYLE_PLAIN,
			   "No rollouts. Drop a plan into the plans folder, or: rolloutctl submit FILE");
		canvas_end_line(c);
	}
	put_files(c, files);
}
