/*
 * Probes: real requests to the stages, as users make them, and what they are answered.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/chain.h"

#define PROBE_TIMEOUT_MS (10 * MS_PER_SECOND)

struct probe {
	struct engine *e;
	struct plan_verify *targets; /* URLs owned */
	size_t n;
	size_t at;
	bool cancelled;
	probe_cb cb;
	void *arg;
};

void probe_url(const struct engine *e, const struct chain_place *place, enum api_type type, const char *api_id,
	       const char *stage, const char *path, char *out, size_t size)
{
	enum aws_service service = type == API_HTTP ? AWS_APIGATEWAY_V2 : AWS_APIGATEWAY;
	const char *region = place->region, *suffix = endpoint_suffix(region);
	struct aws_endpoint at;
	char problem[LIMIT_REASON];

	out[0] = '\0';
	if (api_id[0] == '\0' ||
	    e->ports.endpoint(e->ports.ctx, place->account, service, region, &at, problem, sizeof(problem)) != 0)
		return;
	/* On loopback it is a stand-in, which serves by itself what it was told to. Wherever else the control plane is
	 * reached (FIPS, dual-stack, a VPC's own endpoint), what AWS serves has its own host. */
	if (endpoint_is_here(&at))
		(void)snprintf(out, size, "%s://%s%s/restapis/%s/%s/_user_request_%s", at.scheme, at.host, at.base_path,
			       api_id, stage, path);
	else if (type == API_HTTP && strcmp(stage, "$default") == 0)
		(void)snprintf(out, size, "https://%s.execute-api.%s.%s%s", api_id, region, suffix, path);
	else
		(void)snprintf(out, size, "https://%s.execute-api.%s.%s/%s%s", api_id, region, suffix, stage, path);
}

static void probe_free(struct probe *p)
{
	for (size_t n = 0; n < p->n; n++)
		free((char *)p->targets[n].url);
	free(p->targets);
	free(p);
}

static void end(struct probe *p, const char *error)
{
	if (!p->cancelled)
		p->cb(p->arg, error);
	probe_free(p);
}

static void answered(void *arg, enum transport_result result, const struct http_response *response, const char *error);

static void send(struct probe *p)
{
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct http_request r = {.method = "GET", .body = ""};

	/* The URL is ours, or was checked with the plan. */
	require(http_request_set_url(a, p->targets[p->at].url, &r) == 0);
	http_request_add_header(&r, "User-Agent", "rolloutd-probe");
	p->e->calls_open++;
	p->e->ports.send(p->e->ports.ctx, &r, PROBE_TIMEOUT_MS, answered, p);
}

static void answered(void *arg, enum transport_result result, const struct http_response *response, const char *error)
{
	struct probe *p = arg;
	const struct plan_verify *t = &p->targets[p->at];
	char text[LIMIT_REASON], body[80];

	p->e->calls_open--;
	if (p->cancelled) {
		end(p, "");
		return;
	}
	if (result != TRANSPORT_ANSWERED) {
		(void)snprintf(text, sizeof(text), "%.150s gave no answer: %.80s", t->url, error);
		end(p, text);
		return;
	}
	if (response->status != t->expect_status) {
		text_copy_printable(body, sizeof(body), response->body);
		(void)snprintf(text, sizeof(text), "%.120s answered %d, not %d: %.60s", t->url, response->status,
			       t->expect_status, body);
		end(p, text);
		return;
	}
	if (++p->at == p->n)
		end(p, "");
	else
		send(p);
}

struct probe *probe_start(struct engine *e, const struct plan_verify *targets, size_t n, probe_cb cb, void *arg)
{
	struct probe *p = mem_alloc(sizeof(*p));

	require(n > 0);
	*p = (struct probe){.e = e, .n = n, .cb = cb, .arg = arg};
	p->targets = mem_array(n, sizeof(*p->targets));
	for (size_t i = 0; i < n; i++)
		p->targets[i] = (struct plan_verify){mem_strdup(targets[i].url), targets[i].expect_status};
	send(p);
	return p;
}

void probe_cancel(struct probe *p)
{
	if (p)
		p->cancelled = true;
}
