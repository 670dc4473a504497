/* Numbers, lengths of time, percents, dates and URLs, as people and AWS write them: what is read is written again as
 * something that reads back to the same value. */
#include <string.h>

#include "base/http.h"
#include "base/text.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "plan/texts.h"

static void check_duration(const char *text)
{
	int64_t ms, again;
	char out[32];
	if (text_parse_duration(text, LIMIT_DURATION_MS, &ms) != 0)
		return;
	require(ms >= 0 && ms <= LIMIT_DURATION_MS);
	text_format_duration(ms, out);
	require(text_parse_duration(out, LIMIT_DURATION_MS, &again) == 0 && again == ms);
	text_format_span(ms, out);
	fuzz_check_sentence(out, sizeof(out));
}

static void check_percents(const char *text)
{
	uint32_t bp, ppm, again;
	char out[16];
	if (text_parse_percent_bp(text, &bp) == 0) {
		text_format_bp(bp, out);
		require(bp <= 10000 && text_parse_percent_bp(out, &again) == 0 && again == bp);
		/* What has two decimals has four. */
		require(text_parse_percent_ppm(text, &ppm) == 0 && ppm == bp * 100);
	}
	if (text_parse_percent_ppm(text, &ppm) == 0) {
		text_format_ppm(ppm, out);
		require(ppm <= 1000000 && text_parse_percent_ppm(out, &again) == 0 && again == ppm);
	}
}

static void check_numbers(const char *text)
{
	uint64_t u;
	int64_t i;
	struct buf out cleanup(buf_deinit) = BUF_INIT(64);
	if (text_parse_u64(text, UINT64_MAX, &u) == 0) {
		buf_add_u64(&out, u);
		/* Leading zeros are lost, and nothing else. */
		require(strcmp(text + strspn(text, "0") - (u == 0), buf_text(&out)) == 0 || text[0] == '0');
		require(text_parse_u64(text, u, &u) == 0);
		require(u == 0 || text_parse_u64(text, u - 1, &u) == -ERANGE);
	}
	if (text_parse_i64(text, -1000, 1000, &i) == 0)
		require(i >= -1000 && i <= 1000);
}

static void check_utc(const char *text)
{
	int64_t ms, again;
	char out[32];
	if (text_parse_utc(text, &ms) != 0)
		return;
	text_format_utc(ms, out);
	require(text_parse_utc(out, &again) == 0 && again == ms);
}

/* What a plan may have as a URL can be requested: whoever sends it does not look again. */
static void check_url(const char *text)
{
	cleanup(arena_free_p) struct arena *a = arena_new();
	struct http_request r = {.body = ""};
	char why[256];
	bool good = texts_check_url(text, why, sizeof(why)), read = http_request_set_url(a, text, &r) == 0;
	require(read || !good);
	if (!read)
		return;
	require(r.scheme[0] && r.host[0] && r.path[0] == '/' && !strpbrk(r.host, "/?#@ \t\r\n"));
	require(!good || strcmp(r.scheme, "https") == 0 || strcmp(r.scheme, "http") == 0);
	/* The URL is its parts again: nothing is dropped on the way. */
	const char *mark = strchr(text, '?') ? "?" : "";
	cleanup(mem_free_p) char *full = mem_printf("%s://%s%s%s%s", r.scheme, r.host, r.path, mark, r.query);
	cleanup(mem_free_p) char *bare = mem_printf("%s://%s%s%s", r.scheme, r.host, mark, r.query);
	require(strcmp(full, text) == 0 || strcmp(bare, text) == 0);
}

/* Whatever goes into a form or a header comes out as text of its kind. */
static void check_escapes(const char *text, size_t len)
{
	struct buf out cleanup(buf_deinit) = BUF_INIT(1024 * 1024);
	char shown[64];
	buf_add_json_string(&out, text);
	require(!buf_ok(&out) || text_is_utf8(buf_text(&out), out.len));
	buf_reset(&out);
	buf_add_uri(&out, text, len, false);
	require(!buf_ok(&out) ||
		strspn(buf_text(&out), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%") ==
		    out.len);
	text_copy_printable(shown, sizeof(shown), text);
	fuzz_check_printable(shown, sizeof(shown));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	cleanup(mem_free_p) char *text = fuzz_text(data, size);
	check_duration(text);
	check_percents(text);
	check_numbers(text);
	check_utc(text);
	check_url(text);
	check_escapes(text, size);
	require(text_distance(text, "analysis", 3) <= 4);
}
