#include "daemon/control/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/forms.h"
#include "daemon/control/family.h"

#define PAGE	   100
#define PAGE_BYTES (LIMIT_EVENTS_PAGE * 4096)

struct stream {
	struct engine *engine;
	struct store *store;
	char name[CONTROL_NAME_SIZE]; /* "": all */
	uint64_t cursor;	      /* the last event given */
	unsigned limit;		      /* of the first page when the cursor is 0 */
	struct buf page;
	size_t at; /* of the page's bytes */
	bool beat;
	bool broken;
};

struct stream *stream_new(struct engine *engine, struct store *store, const struct control_request *r)
{
	struct stream *s = mem_alloc(sizeof(*s));
	s->engine = engine;
	s->store = store;
	memcpy(s->name, r->name, sizeof(s->name));
	s->cursor = r->after;
	s->limit = r->limit;
	s->page = BUF_INIT(PAGE_BYTES);
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	buf_deinit(&s->page);
	free(s);
}

/* Takes over the form. */
static int add_line(struct stream *s, json_t *form)
{
	char *line = form ? json_dumps(form, FORM_DUMP_FLAGS) : NULL;
	json_decref(form);
	if (!line)
		return -EINVAL;
	buf_add_text(&s->page, line);
	buf_add_char(&s->page, '\n');
	free(line);
	return buf_ok(&s->page) ? 0 : -E2BIG;
}

/* Returns 0, or a negative errno when a line is too long for a page. */
static int add_events(struct stream *s, const json_t *events)
{
	int r = 0;
	for (size_t i = 0; i < json_array_size(events) && r == 0; i++) {
		json_t *event = json_array_get(events, i);
		r = add_line(s, json_incref(event));
		if (r == 0)
			s->cursor = (uint64_t)json_integer_value(json_object_get(event, "id"));
	}
	return r;
}

static void fill(struct stream *s)
{
	buf_reset(&s->page);
	s->at = 0;
	/* From an empty record, "the newest ones" are all that came meanwhile. */
	unsigned limit = s->cursor ? PAGE : s->limit;
	json_t *events = json_array();
	int r = family_collect_events(s->engine, s->store, s->name, s->cursor, limit, events);
	if (r == 0)
		r = add_events(s, events);
	json_decref(events);
	if (r == 0) {
		if (!s->cursor)
			s->limit = LIMIT_EVENTS_PAGE;
		return;
	}
	buf_reset(&s->page);
	s->broken = true;
	(void)add_line(s, form_error("unavailable", store_error_text(s->store))); /* or it just ends */
}

long stream_read(struct stream *s, char *out, size_t size)
{
	if (s->at == s->page.len && !s->broken)
		fill(s);
	size_t left = s->page.len - s->at;
	if (left == 0 && s->broken)
		return -1;
	if (left == 0 && s->beat) {
		s->beat = false;
		out[0] = '\n';
		return 1;
	}
	if (left == 0)
		return 0;
	size_t n = left < size ? left : size;
	memcpy(out, s->page.data + s->at, n);
	s->at += n;
	return (long)n;
}

void stream_beat(struct stream *s)
{
	s->beat = true;
}

bool stream_wants(const struct stream *s, const char *name)
{
	return family_has(s->name, name);
}
