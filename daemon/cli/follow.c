#include "follow.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "control/api.h"
#include "field.h"
#include "span.h"

#define LINE_MAX_BYTES	   (64 * 1024)
#define RETRY_FIRST_MS	   100
#define RETRY_MOST_MS	   2000
#define STATUS_TOO_MANY	   429
#define STATUS_UNAVAILABLE 503

struct follow {
	struct client *client;
	const char *name;
	uint64_t last_id;
	unsigned backlog;
	follow_cb event;
	void *ctx;

	CURLM *multi;
	CURL *easy;	 /* NULL: not open, and not being opened */
	struct buf line; /* what came of a line so far */
	bool open;	 /* a 200 came */
	bool was_open;
	bool refused;
	struct reply reply;    /* when refused */
	int64_t away_since_ms; /* 0: open */
	int64_t retry_at_ms;
	int64_t retry_wait_ms;
};

struct follow *follow_new(struct client *client, const char *name, uint64_t after, unsigned backlog, follow_cb event,
			  void *ctx)
{
	struct follow *f = mem_alloc(sizeof(*f));

	f->client = client;
	f->name = name;
	f->last_id = after;
	f->backlog = backlog;
	f->event = event;
	f->ctx = ctx;
	f->line = BUF_INIT(LINE_MAX_BYTES);
	f->reply.body = BUF_INIT(LINE_MAX_BYTES);
	f->away_since_ms = span_now_ms();
	f->retry_wait_ms = RETRY_FIRST_MS;
	f->multi = curl_multi_init();
	require(f->multi);
	return f;
}

static void drop_stream(struct follow *f)
{
	if (!f->easy)
		return;
	curl_multi_remove_handle(f->multi, f->easy);
	curl_easy_cleanup(f->easy);
	f->easy = NULL;
	f->open = false;
	buf_reset(&f->line);
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	drop_stream(f);
	curl_multi_cleanup(f->multi);
	buf_deinit(&f->line);
	reply_deinit(&f->reply);
	free(f);
}

static void take_event(struct follow *f, const json_t *event)
{
	int64_t id = field_int(event, "id");

	if (!json_is_object(event))
		return;
	/* Without an id it cannot be told from one that was seen. */
	if (id <= 0 || (uint64_t)id <= f->last_id)
		return;
	f->last_id = (uint64_t)id;
	f->event(f->ctx, event);
}

/* An event, or an empty line that keeps the connection alive. What is neither is passed over: the next poll of the
 * rollout's state tells the truth. */
static void take_line(struct follow *f)
{
	json_t *j = buf_ok(&f->line) ? field_parse(&f->line) : NULL;

	take_event(f, j);
	json_decref(j);
	buf_reset(&f->line);
}

static size_t take_bytes(char *data, size_t size, size_t n, void *arg)
{
	struct follow *f = arg;
	size_t left = size * n;

	if (!f->open) {
		buf_add(&f->reply.body, data, left);
		return size * n;
	}
	while (left > 0) {
		char *end = memchr(data, '\n', left);
		size_t len = end ? (size_t)(end - data) : left;

		buf_add(&f->line, data, len);
		data += len;
		left -= len;
		if (end) {
			take_line(f);
			data++;
			left--;
		}
	}
	return size * n;
}

/* Called for each header line; the first one is enough to know that the stream is there. */
static size_t take_header(const char *data, size_t size, size_t n, void *arg)
{
	struct follow *f = arg;
	long status = 0;

	(void)data;
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && !f->open) {
		f->open = f->was_open = true;
		f->away_since_ms = 0;
		f->retry_wait_ms = RETRY_FIRST_MS;
	}
	return size * n;
}

static void open_stream(struct follow *f)
{
	struct buf path = BUF_INIT(1024);

	control_format_path(CONTROL_EVENTS, f->name, NULL, &path);
	buf_addf(&path, "%sfollow=1&after=%ju&limit=%u", f->name ? "&" : "?", (uintmax_t)f->last_id,
		 f->last_id ? LIMIT_EVENTS_PAGE : f->backlog);
	f->easy = client_stream_handle(f->client, buf_text(&path));
	buf_deinit(&path);
	buf_reset(&f->reply.body);
	curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
	CURLMcode rc = curl_multi_add_handle(f->multi, f->easy);
	require(rc == CURLM_OK);
}

static void stream_ended(struct follow *f, CURLcode code)
{
	long status = 0;
	int64_t now = span_now_ms();

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	client_note_failure(f->client, code);
	/* A daemon that starts up or is busy will take us again soon; one that never did has said all it has to say. */
	bool passing = f->was_open && (status == STATUS_TOO_MANY || status == STATUS_UNAVAILABLE);
	if (code == CURLE_OK && status >= 300 && !passing) {
		f->refused = true;
		f->reply.status = status;
		f->reply.json = field_parse(&f->reply.body);
	}
	drop_stream(f);
	if (f->away_since_ms == 0)
		f->away_since_ms = now;
	f->retry_at_ms = now + f->retry_wait_ms;
	f->retry_wait_ms = f->retry_wait_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : f->retry_wait_ms * 2;
}

static void run(struct follow *f)
{
	int running, left;
	CURLMsg *m;

	curl_multi_perform(f->multi, &running);
	while ((m = curl_multi_info_read(f->multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE)
			stream_ended(f, m->data.result);
}

void follow_wait(struct follow *f, int fd, int64_t timeout_ms)
{
	struct curl_waitfd wait = {.fd = fd, .events = CURL_WAIT_POLLIN};
	int64_t now = span_now_ms();

	if (!f->easy && !f->refused && now >= f->retry_at_ms)
		open_stream(f);
	run(f);
	if (!f->easy && !f->refused && f->retry_at_ms - now < timeout_ms)
		timeout_ms = f->retry_at_ms - now;
	if (timeout_ms > 0)
		curl_multi_poll(f->multi, &wait, fd >= 0, (int)timeout_ms, NULL);
	run(f);
}

int64_t follow_away_since_ms(const struct follow *f)
{
	return f->away_since_ms;
}

bool follow_was_open(const struct follow *f)
{
	return f->was_open;
}

const struct reply *follow_refusal(const struct follow *f)
{
	return f->refused ? &f->reply : NULL;
}
