/* validate and submit: plans as files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli.h"
#include "control/api.h"
#include "engine/planform.h"
#include "event.h"
#include "field.h"
#include "page.h"
#include "plans.h"
#include "plan/plan.h"
#include "table.h"

static int read_stdin(char **ret, size_t *ret_len)
{
	struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	char block[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0)
		buf_add(&b, block, (size_t)n);
	int rc = n < 0 ? -errno : buf_ok(&b) ? 0 : -EFBIG;
	if (rc == 0) {
		*ret_len = b.len;
		*ret = buf_take(&b);
	}
	buf_deinit(&b);
	return rc;
}

/* Complains by itself. */
static int read_plan(const struct cli *cli, const char *file, char **ret, size_t *ret_len)
{
	int rc = strcmp(file, "-") == 0 ? read_stdin(ret, ret_len) : file_read(file, LIMIT_PLAN_BYTES, ret, ret_len);

	if (rc == 0)
		return EXIT_DONE;
	if (rc == -EFBIG)
		cli_error(cli, "%s: too large for a plan: more than %d bytes", file, LIMIT_PLAN_BYTES);
	else if (rc == -EINVAL)
		cli_error(cli, "%s: not a regular file", file);
	else
		cli_error(cli, "%s: cannot be read: %s", file, strerror(-rc));
	return EXIT_REFUSED;
}

/* What is shown in place of "-". */
static const char *shown_name(const char *file)
{
	return strcmp(file, "-") == 0 ? "(standard input)" : file;
}

/* --- validate --- */

static void put_text(struct canvas *c, const char *text)
{
	/* Line by line, as a canvas makes blanks of line ends. */
	while (*text) {
		size_t len = strcspn(text, "\n");
		cleanup(mem_free_p) char *line = mem_strndup(text, len);

		canvas_put(c, STYLE_PLAIN, line);
		canvas_end_line(c);
		text += len + (text[len] == '\n');
	}
}

static void add_step(struct table *t, const char *label, const char *weight, int64_t bake_ms, int64_t expected_ms)
{
	char span[32];

	table_row(t);
	table_cell(t, STYLE_PLAIN, label);
	table_cell(t, STYLE_PLAIN, weight);
	text_format_span(bake_ms, span);
	table_cell(t, STYLE_PLAIN, bake_ms > 0 ? span : "-");
	text_format_span(expected_ms, span);
	table_cell(t, STYLE_PLAIN, expected_ms > 0 ? span : "-");
}

static void put_steps(struct canvas *c, const json_t *plan)
{
	static const struct column columns[] = {{.title = "STEP"},
						{.title = "WEIGHT", .right = true},
						{.title = "BAKE"},
						{.title = "TAKES"},
						{.title = ""}};
	struct table *t = table_new(c->screen, columns, array_len(columns));
	const json_t *steps = field_array(plan, "steps");

	for (size_t i = 0; i < json_array_size(steps); i++) {
		const json_t *s = json_array_get(steps, i);
		int64_t least = field_int(s, "min_invocations");
		char label[24], weight[16], note[64] = "";

		snprintf(label, sizeof(label), "%zu", i + 1);
		if (least > 0)
			snprintf(note, sizeof(note), "from %jd invocations on", (intmax_t)least);
		add_step(t, label, page_weight(s, "weight_bp", weight), field_int(s, "bake_ms"),
			 field_int(s, "expected_ms"));
		table_cellf(t, STYLE_DIM, "%s%s%s", note, note[0] && field_true(s, "approve") ? ", " : "",
			    field_true(s, "approve") ? "then waits for promote" : "");
	}
	if (field_is(plan, "experiment", "back")) {
		add_step(t, "then", "0%", 0, 0);
		table_cell(t, STYLE_DIM, "back to the stable version");
	} else {
		add_step(t, "final", "100%", field_int(plan, "final_bake_ms"), field_int(plan, "final_expected_ms"));
	}
	table_render(t, c, 2);
	table_free(t);
}

static void put_good(struct canvas *c, const char *file)
{
	canvas_put(c, STYLE_BOLD, file);
	canvas_put(c, STYLE_GOOD, ": good");
	canvas_end_line(c);
}

/* The steps, and how long they take. */
static void put_schedule(struct canvas *c, const json_t *plan, bool by_clock)
{
	char expected[32], bake[32];

	put_steps(c, plan);
	text_format_span(field_int(plan, "expected_ms"), expected);
	text_format_span(field_int(plan, "bake_ms"), bake);
	if (by_clock)
		canvas_putf(
		    c, STYLE_PLAIN,
		    "  Takes about %s when everything passes: %s of bakes; only the last promotion waits for its "
		    "evidence (pace: clock).",
		    expected, bake);
	else
		canvas_putf(
		    c, STYLE_PLAIN,
		    "  Takes about %s when everything passes: %s of bakes, and each step waits until its own metric "
		    "periods have ended and settled (pace: evidence).",
		    expected, bake);
	canvas_end_line(c);
}

static bool goes_by_clock(const json_t *plan)
{
	return field_is(json_object_get(plan, "analysis"), "pace", "clock");
}

static const char *version_of(const struct plan *p, char out[static 64])
{
	switch (p->version_kind) {
	case PLAN_VERSION_NUMBER:
		snprintf(out, 64, "version %ju", (uintmax_t)p->version);
		break;
	case PLAN_VERSION_LATEST:
		snprintf(out, 64, "the latest version");
		break;
	case PLAN_VERSION_PUBLISH:
		snprintf(out, 64, "a version that it publishes");
		break;
	case PLAN_VERSION_FROM_ALIAS:
		snprintf(out, 64, "what alias %.40s holds", p->from_alias);
		break;
	}
	return out;
}

static void put_rollout(struct canvas *c, const char *file, const struct plan *p, const json_t *form)
{
	char version[64];
	const json_t *spec = json_object_get(form, "plan");

	put_good(c, file);
	canvas_putf(c, STYLE_PLAIN, "  %s rolls out %s of %s on alias %s%s%s, account %s", p->name,
		    version_of(p, version), p->function, p->alias, p->region ? " in " : "", p->region ? p->region : "",
		    p->account);
	canvas_end_line(c);
	put_schedule(c, spec, goes_by_clock(spec));
	if (p->spec.start_manual) {
		canvas_putf(c, STYLE_PLAIN, "  Waits in pending for: rolloutctl promote %s (start: manual).", p->name);
		canvas_end_line(c);
	}
}

static void put_aliases(struct canvas *c, const json_t *aliases)
{
	static const struct column columns[] = {{.title = "ALIAS"}, {.title = "HOLDS"}, {.title = "ROLLOUT"}};
	struct table *t = table_new(c->screen, columns, array_len(columns));

	for (size_t i = 0; i < json_array_size(aliases); i++) {
		const json_t *a = json_array_get(aliases, i);
		const char *rollout = field_text(a, "rollout");
		char takes[32];

		table_row(t);
		table_cell(t, STYLE_BOLD, field_text(a, "name"));
		table_cell(t, STYLE_PLAIN, field_text(a, "declared"));
		text_format_span(field_int(json_object_get(a, "plan"), "expected_ms"), takes);
		if (rollout[0])
			table_cellf(t, STYLE_PLAIN, "%s, about %s", rollout, takes);
		else
			table_cell(t, STYLE_DIM, "none needed");
	}
	table_render(t, c, 2);
	table_free(t);
}

static void put_api(struct canvas *c, const struct service_api *api)
{
	if (api->type == API_NONE)
		return;
	canvas_putf(c, STYLE_PLAIN, "  %s API %s: %zu %s, and %zu %s by the stage variable %s",
		    api->type == API_REST ? "REST" : "HTTP", api->name ? api->name : api->id, api->n_routes,
		    api->n_routes == 1 ? "route" : "routes", api->n_stages, api->n_stages == 1 ? "stage" : "stages",
		    api->stage_variable);
	canvas_end_line(c);
}

static void put_code(struct canvas *c, const struct code_spec *code)
{
	char from[LIMIT_PATH + 64] = "";

	switch (code->source) {
	case CODE_NONE:
		return;
	case CODE_LATEST:
		snprintf(from, sizeof(from), "$LATEST, as it stands");
		break;
	case CODE_ZIP:
		snprintf(from, sizeof(from), "the zip file %s", code->zip);
		break;
	case CODE_S3:
		snprintf(from, sizeof(from), "s3://%s/%s", code->bucket, code->key);
		break;
	case CODE_IMAGE:
		snprintf(from, sizeof(from), "the image %s", code->image);
		break;
	}
	canvas_putf(c, STYLE_PLAIN, "  Code from %s: a version is published when it differs from the newest one", from);
	canvas_end_line(c);
}

static void put_service(struct canvas *c, const char *file, const struct plan *p, const json_t *form)
{
	const json_t *aliases = field_array(form, "aliases");

	put_good(c, file);
	canvas_putf(c, STYLE_PLAIN, "  %s keeps function %s%s%s, account %s", p->name, p->function,
		    p->region ? " in " : "", p->region ? p->region : "", p->account);
	canvas_end_line(c);
	put_code(c, &p->service.code);
	put_api(c, &p->service.api);
	put_aliases(c, aliases);
	for (size_t i = 0; i < json_array_size(aliases); i++) {
		const json_t *a = json_array_get(aliases, i), *spec = json_object_get(a, "plan");

		if (!json_is_object(spec))
			continue;
		canvas_end_line(c);
		canvas_putf(c, STYLE_PLAIN, "  When alias %s moves, by rollout %s:", field_text(a, "name"),
			    field_text(a, "rollout"));
		canvas_end_line(c);
		put_schedule(c, spec, goes_by_clock(spec));
	}
}

struct validation {
	struct cli *cli;
	struct canvas canvas;
	json_t *files; /* with -o json */
	int rc;
};

static void put_check(struct validation *v, const char *file, const struct plan *plan, const struct diags *diags,
		      const json_t *form)
{
	struct buf text = BUF_INIT(1024 * 1024);

	diags_format(diags, file, &text);
	put_text(&v->canvas, buf_text(&text));
	if (plan && plan->kind == PLAN_SERVICE)
		put_service(&v->canvas, file, plan, form);
	else if (plan)
		put_rollout(&v->canvas, file, plan, form);
	buf_deinit(&text);
}

/* With the files that it names, where they can be looked at. */
static struct plan *load(const char *file, const char *bytes, size_t len, struct diags *diags)
{
	struct plan *plan = plan_load(bytes, len, diags);

	if (plan && strcmp(file, "-") != 0)
		event_check(plan, file, diags);
	if (diags->errors == 0)
		return plan;
	plan_free(plan);
	return NULL;
}

static void validate_text(struct validation *v, const char *path, const char *bytes, size_t len)
{
	struct diags *diags = mem_alloc(sizeof(*diags));
	const char *file = shown_name(path);
	cleanup(plan_free_p) struct plan *plan = load(path, bytes, len, diags);
	json_t *form = planform_check(plan, diags);

	if (!plan)
		v->rc = EXIT_REFUSED;
	if (v->files) {
		json_object_set_new(form, "file", json_string(file));
		json_array_append_new(v->files, form);
	} else {
		put_check(v, file, plan, diags, form);
		json_decref(form);
	}
	diags_deinit(diags);
	free(diags);
}

static void validate_file(struct validation *v, const char *file)
{
	cleanup(mem_free_p) char *bytes = NULL;
	size_t len;

	if (read_plan(v->cli, file, &bytes, &len) != EXIT_DONE)
		v->rc = EXIT_REFUSED;
	else
		validate_text(v, file, bytes, len);
}

int command_validate(struct cli *cli)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct validation v = {.cli = cli, .canvas = {.screen = &cli->screen, .out = &out}};

	v.files = cli->json ? json_array() : NULL;
	for (int i = 0; i < cli->n_args; i++) {
		validate_file(&v, cli->args[i]);
		cli_write(&out);
		buf_reset(&out);
	}
	if (v.files) {
		json_t *all = json_object();

		json_object_set_new(all, "files", v.files);
		cli_write_json(cli, all);
		json_decref(all);
	}
	buf_deinit(&out);
	return v.rc;
}

/* --- for who wants the plan itself --- */

int plans_load(struct cli *cli, const char *file, bool warnings, struct plan **ret_plan)
{
	struct diags *diags cleanup(mem_free_p) = mem_alloc(sizeof(*diags));
	struct buf text = BUF_INIT(1024 * 1024), out = BUF_INIT(1024 * 1024);
	struct canvas c = {.screen = &cli->screen, .out = &out};
	cleanup(mem_free_p) char *bytes = NULL;
	size_t len;
	int rc = read_plan(cli, file, &bytes, &len);

	if (rc != EXIT_DONE)
		return rc;
	*ret_plan = plan_load(bytes, len, diags);
	if (warnings || !*ret_plan)
		diags_format(diags, shown_name(file), &text);
	put_text(&c, buf_text(&text));
	fputs(buf_text(&out), stderr);
	buf_deinit(&text);
	buf_deinit(&out);
	diags_deinit(diags);
	return *ret_plan ? EXIT_DONE : EXIT_REFUSED;
}

/* --- submit --- */

static void print_taken(struct cli *cli, const json_t *answer)
{
	struct buf out = BUF_INIT(64 * 1024);
	struct canvas c = {.screen = &cli->screen, .out = &out};
	const char *name = field_text(answer, "name"), *message = field_text(answer, "message");
	const char *phase = field_text(answer, "phase");
	bool unchanged = field_is(answer, "result", "unchanged");

	canvas_putf(&c, STYLE_BOLD, "%s: ", name);
	canvas_put(&c, unchanged ? STYLE_WARN : STYLE_GOOD, field_text(answer, "result"));
	if (unchanged && phase[0])
		canvas_putf(&c, STYLE_PLAIN, ", it is %s", phase);
	if (message[0])
		canvas_putf(&c, STYLE_PLAIN, ": %s", message);
	canvas_end_line(&c);
	canvas_putf(&c, STYLE_PLAIN, "To see it: rolloutctl %s %s", unchanged ? "status" : "watch", name);
	canvas_end_line(&c);
	cli_write(&out);
	buf_deinit(&out);
}

/* The daemon's diagnostics read as those of a compiler. */
static void print_diagnostics(const struct cli *cli, const char *file, const json_t *diagnostics)
{
	struct buf out = BUF_INIT(1024 * 1024);
	struct canvas c = {.screen = &cli->screen, .out = &out};

	for (size_t i = 0; i < json_array_size(diagnostics); i++) {
		const json_t *d = json_array_get(diagnostics, i);

		canvas_putf(&c, STYLE_PLAIN, "%s:%jd:%jd: %s: %s", file, (intmax_t)field_int(d, "line"),
			    (intmax_t)field_int(d, "column"), field_text(d, "severity"), field_text(d, "text"));
		canvas_end_line(&c);
	}
	fputs(buf_text(&out), stderr);
	buf_deinit(&out);
}

static int post(struct cli *cli, const char *file, enum control_route route, const struct buf *plan, json_t **ret)
{
	struct buf path = BUF_INIT(256);
	struct reply reply;

	control_format_path(route, NULL, NULL, &path);
	int rc = client_call(cli->client, "POST", buf_text(&path), plan, "application/yaml", &reply);
	buf_deinit(&path);
	if (rc != 0)
		return cli_unreachable(cli);
	if (reply.status >= 200 && reply.status <= 299) {
		rc = EXIT_DONE;
		*ret = take_ptr(reply.json);
	} else {
		const json_t *error = json_object_get(reply.json, "error");

		print_diagnostics(cli, file, field_array(error, "diagnostics"));
		rc = cli_refused(cli, &reply);
	}
	reply_deinit(&reply);
	return rc;
}

int plans_post(struct cli *cli, const char *file, enum control_route route, json_t **ret_json)
{
	cleanup(mem_free_p) char *bytes = NULL;
	struct buf plan = BUF_INIT(LIMIT_PLAN_BYTES);
	size_t len;
	int rc = read_plan(cli, file, &bytes, &len);

	if (rc != EXIT_DONE)
		return rc;
	if (len == 0) {
		cli_error(cli, "%s: empty: expected a plan", shown_name(file));
		return EXIT_REFUSED;
	}
	buf_add(&plan, bytes, len);
	rc = post(cli, shown_name(file), route, &plan, ret_json);
	buf_deinit(&plan);
	return rc;
}

int command_submit(struct cli *cli)
{
	json_t *answer = NULL;
	int rc = plans_post(cli, cli->args[0], CONTROL_SUBMIT, &answer);

	if (rc != EXIT_DONE)
		return rc;
	if (cli->json)
		cli_write_json(cli, answer);
	else
		print_taken(cli, answer);
	json_decref(answer);
	return EXIT_DONE;
}
