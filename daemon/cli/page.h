/*
 * One rollout, or one service, as people read it: the page that `status` prints and `watch` redraws, and its one-line
 * form.
 */
#pragma once

#include <jansson.h>

#include "screen.h"

struct page {
	const json_t *rollout; /* the API's form; of a rollout or a service */
	const json_t *events;  /* array of event forms, oldest first; NULL: none shown */
	int64_t now_unix_ms;   /* on the daemon's clock */
	bool details;	       /* also what only `status` shows */
};

void page_render(struct canvas *c, const struct page *p);

/* "hello-prod progressing, step 2 of 5, 10% on version 2: the reason". */
void page_put_line(struct canvas *c, const json_t *rollout);
/* "22:10:05 hello-prod weight 10% on version 2". */
void page_put_event(struct canvas *c, const json_t *event, int64_t now_unix_ms, bool with_name);

/* Parts of a page. A sentence is broken at its words where the canvas clips. */
void page_put_sentence(struct canvas *c, enum style style, const char *text);
void page_put_field(struct canvas *c, enum style style, const char *label, const char *text); /* "": no line */
void page_put_time(struct canvas *c, const struct page *p, const char *label, const char *key);

enum style page_phase_style(const char *phase);
enum style
page_style(const json_t *rollout); /* of its phase: that of an experiment that has ended as planned is good */
/* "10%" of a field of basis points. */
const char *page_weight(const json_t *object, const char *key_bp, char out[static 16]);
/* "2/5", "final", "-" for a rollout that has not begun. */
void page_format_step(const json_t *rollout, char out[static 48]);
/* "1 > 2", with "?" for what is not known yet; "-" when neither is. */
void page_format_versions(const json_t *rollout, char out[static 64]);
/* The exit code that a phase means to `wait`; -1 while it goes on. */
int page_exit_code(const json_t *rollout);
bool page_ended(const json_t *rollout);
