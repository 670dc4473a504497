/* Services, and what rollouts say of publishing, hooks and requests: meaning, hash, normalised form, children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "plan/plan.h"
#include "plan/target.h"
#include "plan/texts.h"

#define HEAD	"apiVersion: rolloutd/v1\nkind: Service\nname: hello\nfunction: hello\n"
#define ROLLOUT "apiVersion: rolloutd/v1\nkind: Rollout\nname: hello\nfunction: hello\nalias: prod\n"

static struct plan *load(const char *text)
{
	cleanup(diags_deinit) struct diags d = {0};
	struct plan *p = plan_load(text, strlen(text), &d);
	if (!p) {
		cleanup(buf_deinit) struct buf out = BUF_INIT(65536);
		diags_format(&d, "plan", &out);
		fail_msg("%s\n%s", text, buf_text(&out));
	}
	return p;
}

/* load(normalize(p)) is p: what is written out is all there is, as test_hash_of_services shows. */
static void assert_round_trip(const struct plan *p)
{
	json_error_t error;
	cleanup(plan_free_p) struct plan *q = load(p->normalized);
	assert_string_equal(p->normalized, q->normalized);
	assert_string_equal(p->hash, q->hash);
	assert_int_equal(p->kind, q->kind);
	json_t *json = json_loads(p->normalized, JSON_REJECT_DUPLICATES, &error);
	assert_non_null(json);
	json_decref(json);
}

static void assert_hashes(const char *a_text, const char *b_text, bool equal)
{
	cleanup(plan_free_p) struct plan *a = load(a_text);
	cleanup(plan_free_p) struct plan *b = load(b_text);
	if ((strcmp(a->hash, b->hash) == 0) != equal)
		fail_msg("%s\n%s\nshould be %s:\n%s\n%s", a_text, b_text, equal ? "equal" : "different", a->normalized,
			 b->normalized);
	assert_round_trip(a);
	assert_round_trip(b);
}

static void assert_error(const char *text, const char *want)
{
	cleanup(diags_deinit) struct diags d = {0};
	cleanup(plan_free_p) struct plan *p = plan_load(text, strlen(text), &d);
	assert_null(p);
	assert_true(d.len > 0);
	if (!strstr(d.items[0].text, want))
		fail_msg("wanted: %s\ngot: %s", want, d.items[0].text);
}

static const char full[] =
    HEAD "region: eu-central-1\naccount: prod-eu\n"
	 "code: {s3: {bucket: builds, key: a.zip, version: v1}, description: build 1}\n"
	 "create: {role: 'arn:aws:iam::123456789012:role/r', runtime: python3.12, handler: a.b,\n"
	 "  architecture: arm64, memory: 256, timeout: 10s}\n"
	 "aliases:\n"
	 "  test: latest\n"
	 "  dev: $LATEST\n"
	 "  prod:\n"
	 "    version: {from_alias: test, soak: 2h}\n"
	 "    rollout:\n"
	 "      strategy: Linear10PercentEvery1Minute\n"
	 "      hooks: {pre_traffic: {invoke: 'smoke:1'}, post_traffic: {exec: tell, timeout: 1h}}\n"
	 "      verify: [{url: 'https://a.example/', expect_status: 204}]\n"
	 "  hot: {version: 3, rollout: {strategy: AllAtOnce}}\n"
	 "api:\n"
	 "  name: hello-api\n"
	 "  type: http\n"
	 "  stage_variable: which\n"
	 "  routes: [{method: POST, path: /b}, {method: GET, path: /b}, {method: ANY, path: /a}]\n"
	 "  stages: {test: test, $default: prod, hot: hot}\n"
	 "  probe: {path: '/a?x', expect_status: 404}\n"
	 "keep_versions: 7\ncheck_every: 5m\n";

static void test_parts_of_a_service(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load(full);
	const struct service_spec *s = &p->service;
	assert_int_equal(p->kind, PLAN_SERVICE);
	assert_string_equal(p->region, "eu-central-1");
	assert_string_equal(p->account, "prod-eu");
	assert_null(p->alias);
	assert_string_equal(s->name, "hello");
	assert_string_equal(s->function, "hello");
	assert_int_equal(s->code.source, CODE_S3);
	assert_string_equal(s->code.bucket, "builds");
	assert_string_equal(s->code.key, "a.zip");
	assert_string_equal(s->code.object_version, "v1");
	assert_string_equal(s->code.description, "build 1");
	assert_string_equal(s->create.role, "arn:aws:iam::123456789012:role/r");
	assert_string_equal(s->create.runtime, "python3.12");
	assert_string_equal(s->create.handler, "a.b");
	assert_string_equal(s->create.architecture, "arm64");
	assert_int_equal(s->create.memory_mb, 256);
	assert_int_equal(s->create.timeout_s, 10);
	assert_int_equal(s->keep_versions, 7);
	assert_int_equal(s->check_every_ms, 5 * MS_PER_MINUTE);
	assert_round_trip(p);
}

static void test_aliases_of_a_service(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load(full);
	const struct service_alias *a = p->service.aliases;
	assert_int_equal(p->service.n_aliases, 4);
	assert_string_equal(a[0].name, "dev");
	assert_int_equal(a[0].follow, FOLLOW_HEAD);
	assert_true(a[0].jump);
	assert_int_equal(p->hows[0].spec.n_steps, 0);
	assert_string_equal(a[1].name, "hot");
	assert_int_equal(a[1].follow, FOLLOW_VERSION);
	assert_int_equal(a[1].version, 3);
	assert_true(a[1].jump);
	assert_string_equal(a[2].name, "prod");
	assert_int_equal(a[2].follow, FOLLOW_ALIAS);
	assert_string_equal(a[2].from_alias, "test");
	assert_int_equal(a[2].soak_ms, 2 * MS_PER_HOUR);
	assert_false(a[2].jump);
	assert_string_equal(a[3].name, "test");
	assert_int_equal(a[3].follow, FOLLOW_NEWEST);
	assert_false(a[3].jump);
	assert_int_equal(p->hows[3].spec.n_steps, 1);
	const struct plan_how *prod = &p->hows[2];
	assert_int_equal(prod->spec.n_steps, 9);
	assert_int_equal(prod->pre_traffic.kind, PLAN_HOOK_INVOKE);
	assert_string_equal(prod->pre_traffic.target, "smoke:1");
	assert_int_equal(prod->pre_traffic.timeout_ms, 5 * MS_PER_MINUTE);
	assert_int_equal(prod->post_traffic.kind, PLAN_HOOK_EXEC);
	assert_int_equal(prod->post_traffic.timeout_ms, MS_PER_HOUR);
	assert_int_equal(prod->n_verify, 1);
	assert_int_equal(prod->verify[0].expect_status, 204);
}

static void test_api_of_a_service(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p = load(full);
	const struct service_api *api = &p->service.api;
	assert_int_equal(api->type, API_HTTP);
	assert_string_equal(api->name, "hello-api");
	assert_null(api->id);
	assert_string_equal(api->stage_variable, "which");
	assert_int_equal(api->n_routes, 3);
	assert_string_equal(api->routes[0].path, "/a");
	assert_string_equal(api->routes[0].method, "ANY");
	assert_string_equal(api->routes[1].method, "GET");
	assert_string_equal(api->routes[2].method, "POST");
	assert_int_equal(api->n_stages, 3);
	assert_string_equal(api->stages[0].name, "$default");
	assert_string_equal(p->service.aliases[api->stages[0].alias].name, "prod");
	assert_string_equal(p->service.aliases[api->stages[1].alias].name, "hot");
	assert_string_equal(p->service.aliases[api->stages[2].alias].name, "test");
	assert_string_equal(api->probe_path, "/a?x");
	assert_int_equal(api->probe_status, 404);
}

static void test_defaults_of_a_service(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *p =
	    load(HEAD "aliases: {prod: 2}\napi: {id: abc, stages: {prod: prod}, probe: {path: /}}\n");
	assert_int_equal(p->service.code.source, CODE_NONE);
	assert_null(p->service.create.role);
	assert_int_equal(p->service.api.type, API_REST);
	assert_string_equal(p->service.api.stage_variable, "lambdaAlias");
	assert_int_equal(p->service.api.n_routes, 0);
	assert_int_equal(p->service.api.probe_status, 200);
	assert_int_equal(p->service.keep_versions, 0);
	assert_int_equal(p->service.check_every_ms, MS_PER_MINUTE);
	assert_int_equal(p->hows[0].spec.steps[0].weight_bp, 1000);
}

static void test_versions_of_a_rollout(void **state)
{
	(void)state;
	cleanup(plan_free_p) struct plan *zip = load(ROLLOUT "version: {publish: {zip: a.zip, description: d}}\n");
	assert_int_equal(zip->version_kind, PLAN_VERSION_PUBLISH);
	assert_int_equal(zip->code.source, CODE_ZIP);
	assert_string_equal(zip->code.zip, "a.zip");
	assert_string_equal(zip->code.description, "d");
	cleanup(plan_free_p) struct plan *head = load(ROLLOUT "version: {publish: {}}\n");
	assert_int_equal(head->code.source, CODE_LATEST);
	cleanup(plan_free_p) struct plan *image = load(ROLLOUT "version: {publish: {image: 'r/hello:1'}}\n");
	assert_int_equal(image->code.source, CODE_IMAGE);
	cleanup(plan_free_p) struct plan *from = load(ROLLOUT "version: {from_alias: test, soak: 90s}\n");
	assert_int_equal(from->version_kind, PLAN_VERSION_FROM_ALIAS);
	assert_string_equal(from->from_alias, "test");
	assert_int_equal(from->spec.soak_ms, 90 * MS_PER_SECOND);
	assert_null(from->owner);
}

static void test_gates(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool pre, post;
	} cases[] = {
	    {"", false, false},
	    {"hooks: {pre_traffic: {exec: a}}\n", true, false},
	    {"hooks: {post_traffic: {http: 'https://a'}}\n", false, true},
	    {"verify: [{url: 'https://a'}]\n", false, true},
	};
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup(mem_free_p) char *text = mem_printf(ROLLOUT "version: 2\n%s", cases[i].text);
		cleanup(plan_free_p) struct plan *p = load(text);
		assert_int_equal(p->spec.pre_gate, cases[i].pre);
		assert_int_equal(p->spec.post_gate, cases[i].post);
		assert_round_trip(p);
	}
}

/* However it is written. */
static void test_same_services(void **state)
{
	(void)state;
	static const char *const same[][2] = {
	    {"aliases: {a: 1}\n", "aliases: {a: {version: 1}}\n"},
	    {"aliases: {a: 1}\n", "aliases: {a: {version: '1', rollout: {strategy: Canary10Percent5Minutes}}}\n"},
	    {"aliases: {a: 1}\n", "aliases: {a: {version: 1, rollout: {steps: [{weight: 10%, bake: 300s}]}}}\n"},
	    {"aliases: {a: 1, b: latest}\n", "check_every: 60s\naliases: {b: latest, a: 1}\n"},
	    {"aliases: {a: $LATEST}\n", "aliases: {a: {version: $LATEST, rollout: {strategy: AllAtOnce}}}\n"},
	    {"aliases: {a: {version: {from_alias: b}}, b: 1}\n",
	     "aliases: {a: {version: {from_alias: b, soak: 0}}, b: 1}\n"},
	    {"aliases: {a: 1}\napi: {name: x, stages: {s: a, t: a}}\n",
	     "aliases: {a: 1}\napi: {stages: {t: a, s: a}, stage_variable: lambdaAlias, type: rest, name: x}\n"},
	    {"aliases: {a: 1}\napi: {name: x, stages: {s: a}, routes: [{method: GET, path: /b}, {method: GET, path: "
	     "/}]}\n",
	     "aliases: {a: 1}\napi: {name: x, stages: {s: a}, routes: [{path: /, method: GET}, {path: /b, method: "
	     "GET}]}\n"},
	};
	for (size_t i = 0; i < array_len(same); i++) {
		cleanup(mem_free_p) char *a = mem_printf(HEAD "%s", same[i][0]);
		cleanup(mem_free_p) char *b = mem_printf(HEAD "%s", same[i][1]);
		assert_hashes(a, b, true);
	}
}

static void assert_all_different(const char *head, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cleanup(mem_free_p) char *a = mem_printf("%s%s", head, texts[i]);
		for (size_t j = 0; j < i; j++) {
			cleanup(mem_free_p) char *b = mem_printf("%s%s", head, texts[j]);
			assert_hashes(a, b, false);
		}
	}
}

/* Each value that a service can have is in its hash. */
static void test_hash_of_services(void **state)
{
	(void)state;
#define CREATE "code: {zip: a}\ncreate: {role: 'arn:aws:iam::123456789012:role/r', runtime: r, handler: h"
#define API    "aliases: {a: 1, b: 1}\napi: {stages: {s: a}, "
	static const char *const different[] = {
	    "aliases: {a: 1}\n",
	    "aliases: {a: 2}\n",
	    "aliases: {b: 1}\n",
	    "aliases: {a: latest}\n",
	    "aliases: {a: $LATEST}\n",
	    "aliases: {a: 1, b: {version: {from_alias: a}}}\n",
	    "aliases: {a: 1, b: {version: {from_alias: a, soak: 1s}}}\n",
	    "aliases: {a: {version: 1, rollout: {strategy: AllAtOnce}}}\n",
	    "aliases: {a: {version: 1, rollout: {final_bake: 1m}}}\n",
	    "aliases: {a: {version: 1, rollout: {hooks: {pre_traffic: {exec: x}}}}}\n",
	    "aliases: {a: {version: 1, rollout: {verify: [{url: 'https://x'}]}}}\n",
	    "aliases: {a: 1}\nregion: us-east-1\n",
	    "aliases: {a: 1}\naccount: x\n",
	    "aliases: {a: 1}\nkeep_versions: 1\n",
	    "aliases: {a: 1}\ncheck_every: 61s\n",
	    "code: $LATEST\n",
	    "code: {zip: a}\n",
	    "code: {zip: b}\n",
	    "code: {zip: a, description: d}\n",
	    "code: {image: a/b}\n",
	    "code: {s3: {bucket: abc, key: k}}\n",
	    "code: {s3: {bucket: abd, key: k}}\n",
	    "code: {s3: {bucket: abc, key: l}}\n",
	    "code: {s3: {bucket: abc, key: k, version: v}}\n",
	    CREATE "}\n",
	    CREATE ", memory: 129}\n",
	    CREATE ", timeout: 4s}\n",
	    CREATE ", architecture: arm64}\n",
	    "code: {zip: a}\ncreate: {role: 'arn:aws:iam::123456789012:role/s', runtime: r, handler: h}\n",
	    "code: {zip: a}\ncreate: {role: 'arn:aws:iam::123456789012:role/r', runtime: s, handler: h}\n",
	    "code: {zip: a}\ncreate: {role: 'arn:aws:iam::123456789012:role/r', runtime: r, handler: i}\n",
	    API "name: x}\n",
	    API "id: x}\n",
	    API "name: y}\n",
	    API "name: x, type: http}\n",
	    API "name: x, stage_variable: v}\n",
	    API "name: x, routes: [{method: GET, path: /}]}\n",
	    API "name: x, routes: [{method: PUT, path: /}]}\n",
	    API "name: x, routes: [{method: GET, path: /a}]}\n",
	    API "name: x, probe: {path: /}}\n",
	    API "name: x, probe: {path: /a}}\n",
	    API "name: x, probe: {path: /, expect_status: 201}}\n",
	    "aliases: {a: 1, b: 1}\napi: {stages: {s: b}, name: x}\n",
	    "aliases: {a: 1, b: 1}\napi: {stages: {t: a}, name: x}\n",
	};
	assert_all_different(HEAD, different, array_len(different));
}

static void test_hash_of_rollouts(void **state)
{
	(void)state;
	static const char *const different[] = {
	    "version: 2\n",
	    "version: {publish: {}}\n",
	    "version: {publish: {description: d}}\n",
	    "version: {publish: {zip: a}}\n",
	    "version: {publish: {image: a/b}}\n",
	    "version: {publish: {s3: {bucket: abc, key: k}}}\n",
	    "version: {from_alias: test}\n",
	    "version: {from_alias: dev}\n",
	    "version: {from_alias: test, soak: 1s}\n",
	    "version: 2\nkeep_versions: 1\n",
	    "version: 2\nhooks: {pre_traffic: {exec: x}}\n",
	    "version: 2\nhooks: {pre_traffic: {exec: y}}\n",
	    "version: 2\nhooks: {pre_traffic: {invoke: x}}\n",
	    "version: 2\nhooks: {pre_traffic: {exec: x, timeout: 1m}}\n",
	    "version: 2\nhooks: {post_traffic: {exec: x}}\n",
	    "version: 2\nhooks: {post_traffic: {http: 'https://x'}}\n",
	    "version: 2\nverify: [{url: 'https://x'}]\n",
	    "version: 2\nverify: [{url: 'https://y'}]\n",
	    "version: 2\nverify: [{url: 'https://x', expect_status: 201}]\n",
	    "version: 2\nverify: [{url: 'https://x'}, {url: 'https://y'}]\n",
	};
	assert_all_different(ROLLOUT, different, array_len(different));
}

static void test_child(void **state)
{
	(void)state;
	static const struct plan_verify probes[] = {{"http://127.0.0.1:4599/prod/a", 404}};
	cleanup(plan_free_p) struct plan *p = load(full);
	cleanup(plan_free_p) struct plan *c = plan_make_child(p, 2, 5, probes, 1);
	assert_non_null(c);
	assert_int_equal(c->kind, PLAN_ROLLOUT);
	assert_string_equal(c->name, "hello.prod");
	assert_string_equal(c->owner, "hello");
	assert_string_equal(c->function, "hello");
	assert_string_equal(c->alias, "prod");
	assert_string_equal(c->region, "eu-central-1");
	assert_string_equal(c->account, "prod-eu");
	assert_int_equal(c->version_kind, PLAN_VERSION_NUMBER);
	assert_int_equal(c->version, 5);
	assert_string_equal(c->strategy, "Linear10PercentEvery1Minute");
	assert_int_equal(c->spec.n_steps, 9);
	assert_true(c->spec.pre_gate);
	assert_true(c->spec.post_gate);
	assert_int_equal(c->spec.soak_ms, 0);
	assert_int_equal(c->pre_traffic.kind, PLAN_HOOK_INVOKE);
	assert_int_equal(c->n_verify, 2);
	assert_string_equal(c->verify[0].url, probes[0].url);
	assert_int_equal(c->verify[0].expect_status, 404);
	assert_string_equal(c->verify[1].url, "https://a.example/");
	assert_round_trip(c);
	cleanup(plan_free_p) struct plan *again = plan_make_child(p, 2, 5, probes, 1);
	assert_string_equal(c->hash, again->hash);
	cleanup(plan_free_p) struct plan *newer = plan_make_child(p, 2, 6, probes, 1);
	assert_string_not_equal(c->hash, newer->hash);
}

static void test_child_of_an_arn(void **state)
{
	(void)state;
	static const char arn[] = "arn:aws:lambda:us-east-1:123456789012:function:hello";
	cleanup(mem_free_p) char *text = mem_printf(
	    "apiVersion: rolloutd/v1\nkind: Service\nname: s\nfunction: %s\naliases: {Prod_1: {version: 1, rollout: "
	    "{strategy: AllAtOnce}}}\n",
	    arn);
	cleanup(plan_free_p) struct plan *p = load(text);
	cleanup(plan_free_p) struct plan *c = plan_make_child(p, 0, 1, NULL, 0);
	assert_string_equal(c->name, "s.Prod_1");
	assert_string_equal(c->function_arn, arn);
	assert_string_equal(c->region, "us-east-1");
	assert_int_equal(c->spec.n_steps, 0);
	assert_false(c->spec.pre_gate);
	assert_false(c->spec.post_gate);
	assert_round_trip(c);
}

static void test_child_that_no_plan_may_be(void **state)
{
	(void)state;
	struct plan_verify probes[LIMIT_VERIFY + 1];
	for (size_t i = 0; i < array_len(probes); i++)
		probes[i] = (struct plan_verify){"https://a.example/", 200};
	cleanup(plan_free_p) struct plan *p = load(HEAD "aliases: {a: 1}\n");
	cleanup(plan_free_p) struct plan *good = plan_make_child(p, 0, 1, probes, LIMIT_VERIFY);
	assert_non_null(good);
	assert_null(plan_make_child(p, 0, 1, probes, LIMIT_VERIFY + 1));
	probes[0].url = "http://a.example/";
	assert_null(plan_make_child(p, 0, 1, probes, 1));
}

/* A service's schedules, all written out, are its largest part; what is accepted can be read back. */
static void add_schedules(struct buf *b, size_t quotes)
{
	buf_add_text(b, HEAD "aliases:\n");
	for (int i = 0; i < LIMIT_SERVICE_ALIASES; i++) {
		buf_addf(b, "  alias-%02d:\n    version: 9007199254740991\n    rollout:\n", i);
		buf_add_text(b, "      strategy: Linear1PercentEvery120Minutes\n      final_bake: 1h59m58s\n");
		buf_add_text(b, "      analysis:\n        period: 1h\n        metrics:\n");
		for (int m = 0; m < 13; m++) {
			buf_addf(b, "          - alarm: '%0*d", (int)(LIMIT_ALARM_NAME - quotes), m);
			for (size_t q = 0; q < quotes; q++)
				buf_add_char(b, '"');
			buf_add_text(b, "'\n");
		}
	}
}

static void test_largest(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf good = BUF_INIT(LIMIT_PLAN_BYTES);
	cleanup(buf_deinit) struct buf bad = BUF_INIT(LIMIT_PLAN_BYTES);
	add_schedules(&good, 10);
	assert_true(buf_ok(&good));
	cleanup(plan_free_p) struct plan *p = load(buf_text(&good));
	assert_true(strlen(p->normalized) > (size_t)LIMIT_NORMALIZED_BYTES * 9 / 10);
	assert_round_trip(p);
	add_schedules(&bad, 100);
	assert_true(buf_ok(&bad));
	assert_error(buf_text(&bad), "written out in full");
}

/* Short keys and values are many before they are long. */
static void add_dimensions(struct buf *b, int queries)
{
	buf_add_text(b, HEAD "aliases:\n");
	for (int i = 1; i < LIMIT_SERVICE_ALIASES; i++)
		buf_addf(b, "  a%02d: {version: 1, rollout: {strategy: Linear1PercentEvery1Minute}}\n", i);
	buf_add_text(b, "  m:\n    version: 1\n    rollout:\n      strategy: Linear1PercentEvery1Minute\n"
			"      analysis:\n        metrics:\n");
	for (int q = 0; q < queries; q++) {
		buf_addf(b, "        - query: {max: %d, metric_data_queries: [", q);
		for (int i = 0; i < 18; i++) {
			buf_addf(b,
				 "%s{Id: i%d, ReturnData: %s, MetricStat: {Period: 60, Stat: a, Metric: {Namespace: a, "
				 "MetricName: a, Dimensions: [{Name: a, Value: b}",
				 i > 0 ? "," : "", i, i > 0 ? "false" : "true");
			for (int d = 1; d < 25; d++)
				buf_add_text(b, ",{Name: a,Value: b}");
			buf_add_text(b, "]}}}");
		}
		buf_add_text(b, "]}\n");
	}
}

static void test_most_keys(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf good = BUF_INIT(LIMIT_PLAN_BYTES);
	cleanup(buf_deinit) struct buf bad = BUF_INIT(LIMIT_PLAN_BYTES);
	add_dimensions(&good, 3);
	assert_true(buf_ok(&good));
	cleanup(plan_free_p) struct plan *p = load(buf_text(&good));
	assert_round_trip(p);
	add_dimensions(&bad, 4);
	assert_true(buf_ok(&bad));
	assert_error(buf_text(&bad), "more than 24576 keys and values");
}

static void test_loop_of_all(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	buf_add_text(&b, HEAD "aliases:\n");
	for (int i = 0; i < LIMIT_SERVICE_ALIASES; i++)
		buf_addf(&b, "  a%02d: {version: {from_alias: a%02d}}\n", i, (i + 1) % LIMIT_SERVICE_ALIASES);
	cleanup(diags_deinit) struct diags d = {0};
	assert_null(plan_load(buf_text(&b), b.len, &d));
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(d.items[0].text, "`a00` takes its version from `a01`"));
}

/* The longest chain that is no loop. */
static void test_chain_of_all(void **state)
{
	(void)state;
	cleanup(buf_deinit) struct buf b = BUF_INIT(LIMIT_PLAN_BYTES);
	buf_add_text(&b, HEAD "aliases:\n");
	for (int i = 0; i + 1 < LIMIT_SERVICE_ALIASES; i++)
		buf_addf(&b, "  a%02d: {version: {from_alias: a%02d}}\n", i, i + 1);
	buf_addf(&b, "  a%02d: latest\n", LIMIT_SERVICE_ALIASES - 1);
	cleanup(plan_free_p) struct plan *p = load(buf_text(&b));
	assert_int_equal(p->service.n_aliases, LIMIT_SERVICE_ALIASES);
	assert_round_trip(p);
}

struct check_case {
	const char *text;
	bool good;
};

static void assert_checks(bool (*check)(const char *, char *, size_t), const struct check_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char why[256] = "";
		if (check(cases[i].text, why, sizeof(why)) != cases[i].good)
			fail_msg("%s should be %s (%s)", cases[i].text, cases[i].good ? "good" : "bad", why);
		assert_int_equal(why[0] == '\0', cases[i].good);
	}
}

#define ASSERT_CHECKS(check, ...)                                                                                      \
	assert_checks((check), (const struct check_case[]){__VA_ARGS__},                                               \
		      sizeof((const struct check_case[]){__VA_ARGS__}) / sizeof(struct check_case))

static void test_urls(void **state)
{
	(void)state;
	ASSERT_CHECKS(texts_check_url, {"https://a", true}, {"https://a.b-c.example:443/x/y?z=%20&a", true},
		      {"https://[2001:db8::1]:8443/", true}, {"https://a?b", true}, {"http://localhost/", true},
		      {"http://localhost:1/", true}, {"http://127.0.0.1", true}, {"http://127.255.0.3:65535/a", true},
		      {"http://[::1]:8080/a", true}, {"http://a/", false}, {"http://localhost.example/", false},
		      {"http://127.0.0.1.example/", false}, {"http://128.0.0.1/", false}, {"http://127.0.0/", false},
		      {"http://127.0.0.256/", false}, {"http://127.0.0.1.2/", false}, {"http://0127.0.0.1/", false},
		      {"http://1270.0.0.1/", false}, {"http://127.0.0.1@a/", false}, {"http://[::1/", false},
		      {"http://[::1].a/", false}, {"http://[::2]/", false}, {"https://", false}, {"https:///a", false},
		      {"https://a:0/", false}, {"https://a:65536/", false}, {"https://a:/", false},
		      {"https://a:1234567890/", false}, {"https://u:p@a/", false}, {"https://a/#x", false},
		      {"https://a/\x7f", false}, {"https://a\\b", false}, {"https://a/\xc3\xa9", false},
		      {"HTTPS://a/", false}, {"", false}, {"https://-a/", false}, {"https://.a/", false},
		      {"https://a/@x", true}, {"https://a?u@v", true});
	char longest[LIMIT_URL + 2] = "https://a/";
	memset(longest + 10, 'x', LIMIT_URL - 10);
	ASSERT_CHECKS(texts_check_url, {longest, true});
	longest[LIMIT_URL] = 'x';
	ASSERT_CHECKS(texts_check_url, {longest, false});
}

static void test_hook_targets(void **state)
{
	(void)state;
	ASSERT_CHECKS(texts_check_program, {"a", true}, {"notify-chat", true}, {"a.sh", true}, {".a", false},
		      {"..", false}, {".", false}, {"", false}, {"a/b", false}, {"/a", false}, {"a b", false},
		      {"a\n", false}, {"\xc3\xa9", false});
	ASSERT_CHECKS(texts_check_invoke, {"f", true}, {"f:prod", true}, {"f:12", true}, {"f:$LATEST", true},
		      {"123456789012:function:f", true}, {"123456789012:function:f:prod", true},
		      {"arn:aws:lambda:us-east-1:123456789012:function:f", true},
		      {"arn:aws:lambda:us-east-1:123456789012:function:f:1", true},
		      {"arn:aws:lambda:us-east-1:123456789012:f", false},
		      {"arn:aws:sns:us-east-1:123456789012:function:f:1", false}, {"f:", false}, {"f:a:b", false},
		      {":f", false}, {"", false}, {"f:$latest", false}, {"f g", false});
}

static void test_routes(void **state)
{
	(void)state;
	ASSERT_CHECKS(texts_check_route, {"/", true}, {"/hello", true}, {"/a/b.c_~:-/d", true}, {"/{id}", true},
		      {"/a/{id}/b", true}, {"/{proxy+}", true}, {"/a/{p.q-r_s+}", true}, {"", false}, {"hello", false},
		      {"//", false}, {"/a/", false}, {"/a//b", false}, {"/{}", false}, {"/{+}", false}, {"/{a", false},
		      {"/{a}b", false}, {"/a{b}", false}, {"/{a+}/b", false}, {"/{a++}", false}, {"/a b", false},
		      {"/a?b", false}, {"/a%20", false}, {"/{a/b}", false}, {"/{a+", false}, {"/a\xc3\xa9", false});
	ASSERT_CHECKS(texts_check_stage, {"prod", true}, {"$default", true}, {"-", true}, {"a-b", false}, {"", false},
		      {"$latest", false});
	ASSERT_CHECKS(texts_check_probe_path, {"/", true}, {"/a?b=%20", true}, {"a", false}, {"", false},
		      {"/a b", false}, {"/a#b", false});
}

static void test_code_and_create(void **state)
{
	(void)state;
	ASSERT_CHECKS(texts_check_path, {"a.zip", true}, {"/a/b \xc3\xa9.zip", true}, {"", false}, {"a/", false},
		      {"a\nb", false}, {"a\xe2\x80\xa8", false}, {"\xff", false});
	ASSERT_CHECKS(texts_check_bucket, {"abc", true}, {"a.b-c", true}, {"ab", false}, {"-abc", false},
		      {"abc.", false}, {"Abc", false}, {"a_b", false});
	ASSERT_CHECKS(texts_check_image, {"1.dkr.ecr.us-east-1.amazonaws.com/a:1", true}, {"r/a@sha256:00", true},
		      {"a", false}, {"/a", false}, {"r/a b", false}, {"", false});
	ASSERT_CHECKS(texts_check_role, {"arn:aws:iam::123456789012:role/r", true},
		      {"arn:aws-us-gov:iam::123456789012:role/path/r+=,.@-_", true},
		      {"arn:aws:iam::12345678901:role/r", false}, {"arn:aws:iam::1234567890123:role/r", false},
		      {"arn:aws:iam::123456789012:user/r", false}, {"arn:aws:iam::123456789012:role/", false},
		      {"arn:aws", false}, {"r", false}, {"", false});
	ASSERT_CHECKS(texts_check_stage_variable, {"lambdaAlias", true}, {"a_1", true}, {"", false}, {"a-b", false});
	ASSERT_CHECKS(target_check_rollout_name, {"a", true}, {"a.b", true}, {"a.B_1", true}, {"a.", false},
		      {".a", false}, {"a.b.c", false}, {"a.1", false}, {"A.b", false}, {"a-.b", false});
}

/* Whatever is cut off or changed, there is a plan that can be read back, or an error. */
static void test_damaged(void **state)
{
	(void)state;
	struct prng r;
	prng_init(&r, 3);
	for (int i = 0; i < 8000; i++) {
		char copy[sizeof(full)];
		size_t len = i < (int)sizeof(full) ? (size_t)i : sizeof(full) - 1;
		memcpy(copy, full, sizeof(full));
		for (uint64_t n = prng_below(&r, 3); n > 0; n--)
			copy[prng_below(&r, sizeof(full) - 1)] = "{}[]:,-#&*!|>'\"%@`\n \t5$a"[prng_below(&r, 24)];
		cleanup(diags_deinit) struct diags d = {0};
		cleanup(plan_free_p) struct plan *p = plan_load(copy, len, &d);
		assert_true((p == NULL) == (d.errors > 0));
		if (p)
			assert_round_trip(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts_of_a_service),
	    cmocka_unit_test(test_aliases_of_a_service),
	    cmocka_unit_test(test_api_of_a_service),
	    cmocka_unit_test(test_defaults_of_a_service),
	    cmocka_unit_test(test_versions_of_a_rollout),
	    cmocka_unit_test(test_gates),
	    cmocka_unit_test(test_same_services),
	    cmocka_unit_test(test_hash_of_services),
	    cmocka_unit_test(test_hash_of_rollouts),
	    cmocka_unit_test(test_child),
	    cmocka_unit_test(test_child_of_an_arn),
	    cmocka_unit_test(test_child_that_no_plan_may_be),
	    cmocka_unit_test(test_largest),
	    cmocka_unit_test(test_most_keys),
	    cmocka_unit_test(test_loop_of_all),
	    cmocka_unit_test(test_chain_of_all),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_hook_targets),
	    cmocka_unit_test(test_routes),
	    cmocka_unit_test(test_code_and_create),
	    cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests_name("plans of services", tests, NULL, NULL);
}
