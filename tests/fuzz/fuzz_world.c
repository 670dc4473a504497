/*
 * World files of rollout-localaws, and the parts of one that its admin API takes. The bytes are a world file; one that
 * is good is served for a minute of its own time, and shows itself as JSON.
 */
#include <jansson.h>

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "fuzz.h"
#include "sim/world.h"

#define NOW_MS INT64_C(1795385400000)

static void ask(struct world *w, const char *method, const char *path, const char *body, size_t len)
{
	struct http_request r = {.method = method,
				 .scheme = "http",
				 .host = "localhost",
				 .path = path,
				 .query = "",
				 .body = body,
				 .body_len = len};
	http_request_add_header(&r, "Host", r.host);
	struct world_reply reply = {.arena = NULL};
	world_handle(w, &r, (struct instant){.unix_ms = NOW_MS, .boot_ms = 1000}, &reply);
	require(reply.fate <= WORLD_RESET && (reply.response.status == 0 || reply.response.status >= 100));
	json_t *j = json_loadb(reply.response.body, reply.response.body_len, JSON_REJECT_DUPLICATES, NULL);
	require(json_is_object(j) || json_is_array(j));
	json_decref(j);
	world_reply_deinit(&reply);
}

static struct world *make(void)
{
	struct world *w = world_new(7);
	world_require_signatures(w, false);
	world_serve_admin(w, true);
	return w;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static const char *const shown[] = {"state",  "counters", "traffic", "metrics",
					    "limits", "faults",	  "alarms",  "clock"};
	static const char *const parts[] = {"traffic", "metrics", "limits", "faults", "alarms"};
	const char *text = (const char *)data;
	const struct instant now = {.unix_ms = NOW_MS, .boot_ms = 1000};
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(world_free_p) struct world *w = make();
	bool good = world_load(w, text, size, now, &d) == 0;
	require(good == (d.errors == 0));
	fuzz_check_diags(&d, text, size);
	for (size_t i = 0; good && i < array_len(shown); i++) {
		cleanup(mem_free_p) char *path = mem_printf("/_localaws/%s", shown[i]);
		ask(w, "GET", path, "", 0);
	}
	/* The same bytes as a part of a world. */
	cleanup(world_free_p) struct world *other = make();
	cleanup(mem_free_p) char *path = mem_printf("/_localaws/%s", parts[size % array_len(parts)]);
	ask(other, "PUT", path, text, size);
	ask(other, "GET", "/_localaws/state", "", 0);
}
