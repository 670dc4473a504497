/* explain: a rollout's story on the terminal, or as JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "story.h"

#define WIDTH_MAX     96 /* longer lines are hard to read */
#define WIDTH_DEFAULT 80
#define TIME_COLUMN   10

static enum style style_of(enum story_tone tone)
{
	switch (tone) {
	case TONE_PLAIN:
		break;
	case TONE_GOOD:
		return STYLE_GOOD;
	case TONE_WARN:
		return STYLE_WARN;
	case TONE_BAD:
		return STYLE_BAD;
	case TONE_DIM:
		return STYLE_DIM;
	}
	return STYLE_PLAIN;
}

static const char *tone_name(enum story_tone tone)
{
	static const char *const names[] = {"plain", "good", "warning", "bad", "detail"};

	return names[tone];
}

/* --- as text --- */

struct paper {
	struct canvas canvas;
	int width;
	int indent;
};

/* The text, broken at its blanks; a word that is wider than the line stands on one of its own. */
static void put_words(struct paper *p, enum style style, const char *text)
{
	struct canvas *c = &p->canvas;

	while (*text) {
		size_t len = strcspn(text, " ");
		cleanup(mem_free_p) char *word = mem_strndup(text, len);
		int cells = screen_cells(c->screen, word);

		if (c->column > p->indent && c->column + 1 + cells > p->width) {
			canvas_end_line(c);
			canvas_pad(c, p->indent);
		} else if (c->column > p->indent) {
			canvas_put(c, style, " ");
		}
		canvas_put(c, style, word);
		text += len + strspn(text + len, " ");
	}
}

static void put_sentence(struct paper *p, const struct story *s, const struct story_sentence *x, bool times)
{
	struct canvas *c = &p->canvas;
	char time[40];

	p->indent = times ? TIME_COLUMN : 2;
	if (times && x->at_unix_ms != 0) {
		story_format_time(x->at_unix_ms, s->created_unix_ms, time);
		canvas_put(c, STYLE_DIM, time);
	}
	if (c->column + 1 >= p->indent && c->column > 0)
		canvas_end_line(c); /* of another day: the date needs the line */
	canvas_pad(c, p->indent);
	put_words(p, style_of(x->tone), x->text);
	if (x->source[0]) {
		cleanup(mem_free_p) char *source = mem_printf("[%s]", x->source);
		put_words(p, STYLE_DIM, source);
	}
	canvas_end_line(c);
}

static int width_of(const struct screen *screen)
{
	const char *columns = getenv("COLUMNS");
	uint64_t v = WIDTH_DEFAULT;

	if (screen->terminal && screen->width > 0)
		v = (uint64_t)screen->width;
	else if (columns && text_parse_u64(columns, 10000, &v) != 0)
		v = WIDTH_DEFAULT;
	return v < 40 ? 40 : v > WIDTH_MAX ? WIDTH_MAX : (int)v;
}

static void put_story(struct paper *p, const struct story *s, const struct telling *t)
{
	struct canvas *c = &p->canvas;

	for (size_t i = 0; i < STORY_CHAPTERS; i++) {
		const struct story_chapter *x = &t->chapters[i];

		if (x->n == 0)
			continue;
		if (i > 0)
			canvas_end_line(c);
		canvas_put(c, STYLE_BOLD, x->title);
		if (i == 2)
			canvas_put(c, STYLE_DIM, " (times are UTC)");
		canvas_end_line(c);
		for (size_t k = 0; k < x->n; k++)
			put_sentence(p, s, &x->sentences[k], i == 2);
	}
}

/* --- as JSON --- */

static json_t *sentence_form(const struct story_sentence *x)
{
	char at[32];

	text_format_utc(x->at_unix_ms, at);
	return json_pack("{s:o?, s:s, s:s, s:s}", "at", x->at_unix_ms ? json_string(at) : json_null(), "tone",
			 tone_name(x->tone), "text", x->text, "source", x->source);
}

static json_t *story_form(const struct story *s, const struct telling *t)
{
	json_t *chapters = json_array();

	for (size_t i = 0; i < STORY_CHAPTERS; i++) {
		json_t *sentences = json_array();

		for (size_t k = 0; k < t->chapters[i].n; k++)
			json_array_append_new(sentences, sentence_form(&t->chapters[i].sentences[k]));
		json_array_append_new(chapters,
				      json_pack("{s:s, s:o}", "title", t->chapters[i].title, "sentences", sentences));
	}
	return json_pack("{s:s, s:I, s:s, s:o}", "name", s->name, "attempt", (json_int_t)s->attempt, "phase", s->phase,
			 "chapters", chapters);
}

int command_explain(struct cli *cli)
{
	struct buf out = BUF_INIT(LIMIT_CONTROL_ANSWER_BYTES);
	struct paper p = {.canvas = {.screen = &cli->screen, .out = &out}, .width = width_of(&cli->screen)};
	json_t *record = NULL;
	int rc = story_get(cli, cli->args[0], &record);

	if (rc != EXIT_DONE)
		return rc;
	struct story *s = story_read(cli, record);
	if (s) {
		struct telling *t = telling_new(s);

		if (cli->json) {
			json_t *form = story_form(s, t);
			cli_write_json(cli, form);
			json_decref(form);
		} else {
			put_story(&p, s, t);
			cli_write(&out);
		}
		telling_free(t);
	}
	rc = s ? EXIT_DONE : EXIT_REFUSED;
	story_free(s);
	buf_deinit(&out);
	json_decref(record);
	return rc;
}
