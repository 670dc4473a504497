/* What differs, case by case: function, code, versions, aliases, pruning; and what is remembered of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"
#include "base/text.h"
#include "chain_rig.h"

#define set_text(out, s) assert_true(text_copy(out, sizeof(out), s))

static int setup(void **state)
{
	struct chain_rig *g = mem_alloc(sizeof(*g));
	chain_rig_init(g);
	g->spec.api.type = API_NONE;
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	chain_rig_deinit(*state);
	free(*state);
	return 0;
}

static void assert_list(struct chain_rig *g, const char *expected)
{
	assert_string_equal(chain_rig_text(g), expected);
}

static void assert_problem(struct chain_rig *g, const char *subject, const char *words)
{
	const struct change *c = chain_rig_about(g, CHANGE_PROBLEM, subject);
	if (!c || !strstr(c->text, words))
		fail_msg("no problem of %s with \"%s\":\n%s", subject, words, chain_rig_text(g));
}

/* --- function --- */

static void test_function_missing(void **state)
{
	struct chain_rig *g = *state;
	g->function_found = false;
	g->n_versions = 0;
	chain_rig_ask(g);
	assert_list(g,
		    "problem function hello: function hello does not exist in this region: create it, or say how with "
		    "`create:`\n");
	g->spec.create.role = "arn:aws:iam::123456789012:role/run";
	chain_rig_ask(g);
	assert_list(g, "create-function create function hello (zip:sha-two)\n");
	g->code_problem = "it is empty";
	chain_rig_ask(g);
	assert_list(
	    g, "problem function hello: hello.zip cannot be used: it is empty; nothing is published until it can be "
	       "read\n");
	g->spec.code.source = CODE_LATEST;
	g->code_problem = NULL;
	chain_rig_ask(g);
	assert_problem(g, "function hello", "no code to create it from");
}

static void test_function_from_nothing(void **state)
{
	struct chain_rig *g = *state;
	g->function_found = false;
	g->n_versions = 0;
	g->next_version = 1;
	g->slow = true;
	g->spec.create.role = "arn:aws-cn:iam::123456789012:role/run";
	g->aliases[2].follow = FOLLOW_NEWEST;
	chain_rig_ask(g);
	chain_rig_make(g, chain_rig_only(g, CHANGE_CREATE_FUNCTION), CHAIN_RIG_OK);
	assert_string_equal(g->view.partition, "aws-cn");
	assert_string_equal(g->view.account_id, CHAIN_RIG_ACCOUNT);
	assert_string_equal(g->memory.applied_code, "zip:sha-two");
	assert_string_equal(g->memory.applied_sha256, "sha-two");
	chain_rig_diff(g);
	/* It is being made ready: its code waits, the alias of $LATEST does not. */
	assert_list(g, "wait function hello: AWS is still making function hello ready\n"
		       "create-alias create alias dev ($LATEST)\n");
	chain_rig_look(g);
	assert_int_equal(chain_rig_run(g), 2); /* dev, version 1 */
	assert_list(g, "wait function hello: AWS is still making version 1 ready\n"
		       "wait alias test: AWS is still making version 1 ready\n");
	chain_rig_look(g);
	assert_int_equal(chain_rig_run(g), 2);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->view.target.version, 1);
}

/* --- code --- */

static void test_code_differs(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	set_text(g->code_sha256, "sha-three");
	chain_rig_ask(g);
	assert_list(g, "update-code function hello: code: sha-two -> zip:sha-three\n");
	assert_string_equal(chain_rig_only(g, CHANGE_UPDATE_CODE)->key, "hello");
	g->slow = true;
	chain_rig_make(g, &g->list.items[0], CHAIN_RIG_OK);
	chain_rig_diff(g);
	assert_list(g, "wait function hello: AWS is still updating function hello\n");
	chain_rig_look(g);
	chain_rig_ask(g);
	assert_list(g, "publish-version publish a version of function hello\n");
	const struct change *c = chain_rig_only(g, CHANGE_PUBLISH_VERSION);
	assert_string_equal(c->key, "sha-three");
	assert_string_equal(c->from, "version 2");
	assert_int_equal(c->version, 2);
	chain_rig_make(g, c, CHAIN_RIG_OK);
	chain_rig_diff(g);
	assert_list(g, "wait function hello: AWS is still making version 3 ready\n");
	chain_rig_look(g);
	chain_rig_ask(g);
	assert_list(g, "");
}

static void test_code_unreadable(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->aliases[2].follow = FOLLOW_NEWEST;
	chain_rig_add_version(g, "sha-other");
	g->code_sha256[0] = '\0';
	g->code_problem = "no such file";
	chain_rig_ask(g);
	/* What is newest is not what is declared. */
	assert_list(g,
		    "problem function hello: hello.zip cannot be used: no such file; nothing is published until it can "
		    "be read\n");
}

/* What is foretold keeps what it said, whatever becomes of the view. */
static void test_code_foretold(void **state)
{
	struct chain_rig *g = *state;
	struct arena *a cleanup(arena_free_p) = arena_new();
	struct change_list l;
	struct chain_input in;

	chain_rig_run(g);
	set_text(g->code_sha256, "sha-three");
	chain_rig_ask(g);
	in = chain_rig_input(g);
	chain_forecast(&in, a, &l);
	assert_true(l.len >= 2);
	assert_int_equal(l.items[0].kind, CHANGE_UPDATE_CODE);
	assert_string_equal(l.items[0].from, "sha-two");
	assert_string_equal(l.items[0].to, "zip:sha-three");
	assert_int_equal(l.items[1].kind, CHANGE_PUBLISH_VERSION);
	assert_string_equal(l.items[1].to, "sha-three");
}

static void test_code_drift(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	assert_string_equal(g->memory.applied_code, "zip:sha-two");
	set_text(g->latest.code_sha256, "sha-by-hand");
	chain_rig_ask(g);
	assert_int_equal(g->list.len, 1);
	assert_problem(g, "function hello", "somebody else has put other code into $LATEST");
	assert_problem(g, "function hello", "rolloutctl retry hello");
	chain_rig_insist(g);
	chain_rig_run(g);
	assert_list(g, "");
	assert_string_equal(g->latest.code_sha256, "sha-two");
	chain_rig_ask(g);
	assert_false(g->memory.insist);
}

static void test_code_failed(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	set_text(g->latest.last_update_status, "Failed");
	set_text(g->latest.last_update_reason, "the image is gone");
	set_text(g->latest.code_sha256, "sha-old");
	chain_rig_ask(g);
	assert_problem(g, "function hello", "the image is gone");
	assert_int_equal(g->list.len, 1);
	/* An operator's wish is one attempt. */
	chain_rig_insist(g);
	chain_rig_diff(g);
	assert_list(g, "update-code function hello: code: sha-old -> zip:sha-two\n");
	chain_rig_make(g, &g->list.items[0], CHAIN_RIG_OK);
	set_text(g->latest.last_update_status, "Failed");
	chain_rig_ask(g);
	assert_null(chain_rig_only(g, CHANGE_UPDATE_CODE));
	assert_problem(g, "function hello", "the image is gone");
	/* The same when it is the declared code that failed, whoever put it in. */
	set_text(g->latest.code_sha256, "sha-two");
	g->memory = (struct chain_memory){0};
	chain_rig_ask(g);
	assert_problem(g, "function hello", "the image is gone");
	chain_rig_insist(g);
	chain_rig_ask(g);
	assert_list(g, "update-code function hello: code: sha-two -> zip:sha-two\n");
	/* Other code is another matter. */
	set_text(g->code_sha256, "sha-four");
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_UPDATE_CODE));
}

static void test_code_from_elsewhere(void **state)
{
	struct chain_rig *g = *state;
	g->n_alias = 0;
	g->spec.n_aliases = 0;
	g->spec.code = (struct code_spec){.source = CODE_S3, .bucket = "b", .key = "k", .object_version = "7"};
	chain_rig_ask(g);
	assert_string_equal(chain_rig_only(g, CHANGE_UPDATE_CODE)->to, "s3:b/k?versionId=7");
	chain_rig_run(g);
	assert_list(g, "");
	/* Whatever hash AWS gave it, it is applied; another object is not. */
	g->spec.code.object_version = "8";
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_UPDATE_CODE));
	g->spec.code = (struct code_spec){.source = CODE_IMAGE, .image = "host/app@sha256:sha-digest"};
	set_text(g->latest.code_sha256, "sha-digest");
	chain_rig_ask(g);
	assert_null(chain_rig_only(g, CHANGE_UPDATE_CODE));
	assert_string_equal(g->memory.applied_code, "image:host/app@sha256:sha-digest");
	g->spec.code.image = "host/app:tag";
	chain_rig_ask(g);
	assert_string_equal(chain_rig_only(g, CHANGE_UPDATE_CODE)->to, "image:host/app:tag");
}

static void test_code_identity(void **state)
{
	(void)state;
	char out[129];
	char key[300];
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	struct code_spec c = {.source = CODE_S3, .bucket = "b", .key = key};
	code_identity(&c, "", out, sizeof(out));
	assert_int_equal(strlen(out), strlen("s3:") + 64);
	char first[129];
	memcpy(first, out, sizeof(out));
	key[10] = 'x';
	code_identity(&c, "", out, sizeof(out));
	assert_string_not_equal(first, out);
	c.source = CODE_LATEST;
	code_identity(&c, "", out, sizeof(out));
	assert_string_equal(out, "");
	/* Just fitting, and just not. */
	c = (struct code_spec){.source = CODE_IMAGE, .image = key};
	key[128 - strlen("image:")] = '\0';
	code_identity(&c, "", out, sizeof(out));
	assert_true(text_ends_with(out, "kkk") && strlen(out) == 128);
	key[128 - strlen("image:")] = 'k';
	key[129 - strlen("image:")] = '\0';
	code_identity(&c, "", out, sizeof(out));
	assert_int_equal(strlen(out), strlen("image:") + 64);
}

static void test_publish(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	/* A change of the configuration alone is published, too; but not when one of the two is not known. */
	set_text(g->latest.config_digest, "other");
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_PUBLISH_VERSION));
	g->versions[1].config_digest[0] = '\0';
	chain_rig_ask(g);
	assert_list(g, "");
	/* AWS says that there is nothing new: it is not asked again at once. */
	set_text(g->versions[1].config_digest, "config");
	chain_rig_ask(g);
	struct change_answer same = {.version = g->versions[1]};
	chain_apply(&g->spec, chain_rig_only(g, CHANGE_PUBLISH_VERSION), &same, &g->view);
	assert_int_equal(g->view.n_versions, 2);
	chain_rig_diff(g);
	assert_list(g, "");
	/* Nobody asked for publishing. */
	g->spec.code.source = CODE_NONE;
	chain_rig_ask(g);
	assert_list(g, "");
	/* $LATEST as it stands. */
	g->spec.code.source = CODE_LATEST;
	set_text(g->latest.code_sha256, "sha-by-hand");
	chain_rig_ask(g);
	assert_non_null(chain_rig_only(g, CHANGE_PUBLISH_VERSION));
}

static void test_version_failed(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->aliases[2].follow = FOLLOW_NEWEST;
	struct view_version *v = chain_rig_add_version(g, "sha-two");
	set_text(v->state, "Failed");
	set_text(v->state_reason, "no snapshot");
	chain_rig_ask(g);
	assert_list(
	    g, "problem function hello: AWS could not make version 3 ready: no snapshot; publish corrected code\n");
	g->aliases[2] = (struct service_alias){.name = "prod", .follow = FOLLOW_VERSION, .version = 3};
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "AWS could not make version 3 ready");
}

/* --- aliases --- */

static void test_aliases_missing(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_ask(g);
	assert_list(g, "create-alias create alias dev ($LATEST)\n"
		       "create-alias create alias test (version 1)\n"
		       "create-alias create alias prod (version 2)\n");
	assert_int_equal(g->list.items[2].index, 2);
	assert_int_equal(g->list.items[2].version, 2);
	assert_string_equal(g->list.items[2].key, "prod");
	assert_int_equal(chain_rig_run(g), 3);
	assert_int_equal(g->memory.aliases[2].reached, 2);
	assert_true(g->memory.aliases[0].was_head);
	assert_int_equal(chain_rig_run(g), 0);
	g->aliases[2].version = 9;
	chain_rig_ask(g);
	assert_list(g, "problem alias prod: version 9 does not exist; the newest is version 2: name one that exists\n");
	g->n_versions = 0;
	g->spec.code.source = CODE_NONE;
	g->aliases[1].follow = FOLLOW_NEWEST;
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "no version of function hello was published");
	assert_problem(g, "alias test", "there is no newest");
}

static void test_alias_moves(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_add_version(g, "sha-two");
	g->aliases[2].version = 3;
	chain_rig_ask(g);
	assert_list(g, "rollout alias prod: version: version 2 -> version 3, by a rollout\n");
	assert_null(chain_first_call(&g->list));
	g->memory.aliases[2].rollout_live = true;
	g->memory.aliases[2].reached = 3;
	chain_rig_alias(g, "prod")->view.target = (struct alias_target){.version = 2, .extra = 3, .weight_bp = 1000};
	chain_rig_ask(g);
	assert_list(g, "");
	/* It works on another version than is wanted now: this one takes its place. */
	g->memory.aliases[2].reached = 1;
	chain_rig_ask(g);
	assert_list(g, "rollout alias prod: version: version 2 (90%) and version 3 (10%) -> version 3, by a rollout\n");
	g->memory.aliases[2].reached = 3;
	/* Its end was a rollback. */
	g->memory.aliases[2] =
	    (struct alias_memory){.reached = 3, .rolled_back = true, .outcome = "errors: 9% of version 3"};
	chain_rig_alias(g, "prod")->view.target = (struct alias_target){.version = 2};
	chain_rig_ask(g);
	assert_list(
	    g, "problem alias prod: version 3 was rolled back: errors: 9% of version 3; declare another version, or "
	       "say `rolloutctl retry hello`\n");
	g->memory.aliases[2].unmoved = true;
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "version 3 got no traffic: errors: 9% of version 3");
	g->memory.aliases[2].unmoved = false;
	/* A missing alias is not put on what came back. */
	struct chain_rig_alias prod = g->alias[2];
	g->n_alias = 2;
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "was rolled back");
	g->n_alias = 3;
	g->alias[2] = prod;
	chain_rig_insist(g);
	chain_rig_ask(g);
	assert_true(g->memory.insist);
	assert_non_null(chain_rig_only(g, CHANGE_ROLLOUT));
	/* It comes back once more, while the wish is still open: it is not tried again without being asked. */
	struct chain_memory before = g->memory;
	struct chain_input in = chain_rig_input(g);
	chain_remember_after(&in, chain_rig_only(g, CHANGE_ROLLOUT), NULL, &g->memory);
	assert_true(g->memory.insist && g->memory.aliases[2].rollout_live);
	g->memory.aliases[2].rollout_live = false;
	g->memory.aliases[2].rolled_back = true;
	chain_rig_diff(g);
	assert_problem(g, "alias prod", "was rolled back");
	g->memory = before;
	chain_rig_diff(g);
	chain_rig_run(g);
	assert_false(g->memory.insist);
	assert_int_equal(chain_rig_alias(g, "prod")->view.target.version, 3);
	assert_list(g, "");
}

static void test_alias_drift(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_alias(g, "prod")->view.target.version = 1;
	chain_rig_alias(g, "dev")->view.target.version = 1;
	chain_rig_ask(g);
	assert_int_equal(g->list.len, 2);
	assert_problem(g, "alias prod", "somebody else has moved it: it holds version 1, and it was on version 2");
	assert_problem(g, "alias dev", "it was on $LATEST");
	chain_rig_insist(g);
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->view.target.version, 2);
	assert_int_equal(chain_rig_alias(g, "dev")->view.target.version, VERSION_LATEST);
	assert_false(g->memory.insist);
}

static void test_alias_head(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->aliases[0] = (struct service_alias){.name = "dev", .follow = FOLLOW_VERSION, .version = 2};
	g->aliases[1] = (struct service_alias){.name = "test", .follow = FOLLOW_HEAD};
	chain_rig_ask(g);
	assert_problem(g, "alias dev", "AllAtOnce");
	const struct change *c = chain_rig_only(g, CHANGE_MOVE_ALIAS);
	assert_string_equal(c->key, "test");
	assert_int_equal(c->version, VERSION_LATEST);
	assert_string_equal(c->to, "$LATEST");
	g->aliases[0].jump = true;
	assert_int_equal(chain_rig_run(g), 2);
	assert_list(g, "");
	assert_int_equal(g->memory.aliases[0].reached, 2);
}

static void test_alias_weighted(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	chain_rig_alias(g, "prod")->view.target =
	    (struct alias_target){.version = 2, .extra = 1, .weight_bp = WEIGHT_BP_MAX};
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "no rollout of ours is at work");
	/* AWS itself shares traffic while it moves provisioned concurrency. */
	g->concurrency[0] = (struct view_concurrency){.qualifier = "prod", .status = CONCURRENCY_IN_PROGRESS};
	g->n_concurrency = 1;
	chain_rig_ask(g);
	assert_non_null(chain_rig_about(g, CHANGE_WAIT, "alias prod"));
	assert_int_equal(g->list.len, 1);
	g->concurrency[0].status = CONCURRENCY_READY;
	chain_rig_alias(g, "prod")->view = (struct alias_view){.target = {.version = 2}, .odd = true};
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "no rollout of ours is at work");
}

static void test_alias_newest_waits(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->aliases[2].follow = FOLLOW_NEWEST;
	set_text(g->code_sha256, "sha-three");
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->view.target.version, 3);
	/* By hand to an older version: as with a number. */
	chain_rig_alias(g, "prod")->view.target.version = 2;
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "somebody else has moved it");
	/* Whoever publishes. */
	g->spec.code.source = CODE_NONE;
	chain_rig_add_version(g, "sha-by-hand");
	chain_rig_ask(g);
	assert_int_equal(chain_rig_only(g, CHANGE_ROLLOUT)->version, 4);
}

static void test_alias_follows(void **state)
{
	struct chain_rig *g = *state;
	g->aliases[2] =
	    (struct service_alias){.name = "prod", .follow = FOLLOW_ALIAS, .from_alias = "test", .soak_ms = 3600000};
	/* A new alias waits for its source to exist, not for the soak. */
	chain_rig_ask(g);
	assert_null(chain_rig_about(g, CHANGE_CREATE_ALIAS, "alias prod"));
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->view.target.version, 1);
	/* The source takes another version: from then on time counts. */
	chain_rig_alias(g, "test")->view.target = (struct alias_target){.version = 1, .extra = 2, .weight_bp = 1000};
	g->memory.aliases[1].rollout_live = true;
	g->memory.aliases[1].reached = 2;
	g->aliases[1].version = 2;
	chain_rig_ask(g);
	assert_int_equal(g->memory.aliases[2].seen, 0);
	chain_rig_alias(g, "test")->view.target = (struct alias_target){.version = 2};
	chain_rig_ask(g);
	assert_list(g, "wait alias prod: waits until alias test holds one version alone (now: version 2)\n");
	g->memory.aliases[1].rollout_live = false;
	g->now_unix_ms = 1700000000000;
	chain_rig_ask(g);
	assert_list(
	    g, "wait alias prod: version 2 comes once alias test has held it alone until 2023-11-14T23:13:20.000Z\n");
	g->now_unix_ms += 3599999;
	chain_rig_ask(g);
	assert_int_equal(g->list.items[0].kind, CHANGE_WAIT);
	g->now_unix_ms += 1;
	chain_rig_ask(g);
	assert_list(g, "rollout alias prod: version: version 1 -> version 2, by a rollout\n");
	/* What was rolled back is said, not waited for. */
	struct chain_memory before = g->memory;
	g->memory.aliases[2] = (struct alias_memory){.reached = 2, .rolled_back = true};
	chain_rig_diff(g);
	assert_problem(g, "alias prod", "version 2 was rolled back: no reason was recorded");
	/* The time of another version does not count. */
	g->memory.aliases[2] = (struct alias_memory){.reached = 1, .seen = 1, .seen_unix_ms = 1};
	chain_rig_diff(g);
	assert_int_equal(g->list.items[0].kind, CHANGE_WAIT);
	g->memory = before;
	/* A clock that was set back begins anew, but never counts too little. */
	g->now_unix_ms = 1600000000000;
	chain_rig_ask(g);
	assert_int_equal(g->memory.aliases[2].seen_unix_ms, 1600000000000);
	assert_int_equal(g->list.items[0].kind, CHANGE_WAIT);
	/* From $LATEST there is nothing to promote; from nowhere neither. */
	chain_rig_alias(g, "test")->view.target = (struct alias_target){.version = VERSION_LATEST};
	g->aliases[1].follow = FOLLOW_HEAD;
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "holds $LATEST");
	g->aliases[2].from_alias = "elsewhere";
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "alias elsewhere, whose version it takes, does not exist");
}

/* --- what a look shows --- */

/* The operator's wish lasts until it is known what the code is. */
static void test_insist_waits(void **state)
{
	struct chain_rig *g = *state;
	chain_rig_run(g);
	g->aliases[2].follow = FOLLOW_NEWEST;
	chain_rig_alias(g, "prod")->view.target.version = 1;
	set_text(g->latest.last_update_status, "InProgress");
	chain_rig_insist(g);
	chain_rig_ask(g);
	assert_true(g->memory.insist);
	set_text(g->latest.last_update_status, "Successful");
	chain_rig_run(g);
	assert_list(g, "");
	assert_int_equal(chain_rig_alias(g, "prod")->view.target.version, 2);
	assert_false(g->memory.insist);
}

static void test_seen(void **state)
{
	struct chain_rig *g = *state;
	/* Found as declared: from then on another hand is another hand. */
	chain_rig_add_alias(g, "prod", 2);
	chain_rig_look(g);
	struct chain_input in = chain_rig_input(g);
	assert_true(chain_remember_seen(&in, &g->memory));
	assert_int_equal(g->memory.aliases[2].reached, 2);
	assert_int_equal(g->memory.aliases[1].reached, 0);
	assert_string_equal(g->memory.applied_code, "zip:sha-two");
	assert_false(chain_remember_seen(&in, &g->memory));
	g->alias[0].view.target.version = 1;
	chain_rig_ask(g);
	assert_problem(g, "alias prod", "somebody else has moved it");
	g->function_found = false;
	chain_rig_look(g);
	in = chain_rig_input(g);
	assert_false(chain_remember_seen(&in, &g->memory));
}

/* --- versions that nobody needs --- */

static void prepare_prune(struct chain_rig *g)
{
	for (int n = 0; n < 6; n++)
		chain_rig_add_version(g, "sha-two");
	chain_rig_run(g);
	g->spec.keep_versions = 2;
	g->kept[0] = 4;
	g->n_kept = 1;
	g->concurrency[0] = (struct view_concurrency){.qualifier = "5", .status = CONCURRENCY_READY};
	g->n_concurrency = 1;
}

static void test_prune(void **state)
{
	struct chain_rig *g = *state;
	prepare_prune(g); /* 1 … 8: test has 1, prod has 2, 4 is kept, 5 is provisioned, 7 and 8 are new enough */
	chain_rig_ask(g);
	assert_list(g, "delete-version delete version 3 of function hello\n"
		       "delete-version delete version 6 of function hello\n");
	assert_int_equal(g->list.items[1].version, 6);
	assert_int_equal(chain_rig_run(g), 2);
	assert_int_equal(chain_rig_run(g), 0);
	assert_int_equal(g->n_versions, 6);
}

static void test_prune_many(void **state)
{
	struct chain_rig *g = *state;
	for (int n = 0; n < 28; n++)
		chain_rig_add_version(g, "sha-two");
	chain_rig_run(g);
	g->spec.keep_versions = 1;
	chain_rig_ask(g);
	assert_int_equal(g->list.len, 27);
	for (size_t n = 0; n < 27; n++)
		assert_int_equal(g->list.items[n].version, n + 3);
}

static void test_image_function(void **state)
{
	struct chain_rig *g = *state;
	g->function_found = false;
	g->n_versions = 0;
	g->spec.code = (struct code_spec){.source = CODE_IMAGE, .image = "host/app:tag"};
	g->spec.create.role = "no ARN at all";
	chain_rig_ask(g);
	g->view.account_id[0] = '\0';
	chain_rig_make(g, chain_rig_only(g, CHANGE_CREATE_FUNCTION), CHAIN_RIG_OK);
	assert_string_equal(g->view.image_uri, "host/app:tag");
	assert_string_equal(g->view.account_id, "");
	/* An API needs the account; nothing else does. */
	g->spec.api.type = API_REST;
	g->api_found = true;
	g->view.api.found = true;
	chain_rig_diff(g);
	assert_non_null(chain_rig_about(g, CHANGE_WAIT, "API hello-api"));
}

static void test_prune_holds(void **state)
{
	struct chain_rig *g = *state;
	prepare_prune(g);
	g->memory.aliases[2].rollout_live = true;
	chain_rig_ask(g);
	assert_list(g, "");
	g->memory.aliases[2].rollout_live = false;
	/* An alias of somebody else's names versions, too, and an odd one might name any. */
	chain_rig_add_alias(g, "other", 3)->view.target =
	    (struct alias_target){.version = 3, .extra = 6, .weight_bp = 1};
	chain_rig_ask(g);
	assert_list(g, "");
	chain_rig_alias(g, "other")->view = (struct alias_view){.target = {.version = 8}, .odd = true};
	chain_rig_ask(g);
	assert_list(g, "");
	g->n_alias--;
	g->concurrency_unread = true;
	chain_rig_ask(g);
	assert_problem(g, "function hello", "lambda:ListProvisionedConcurrencyConfigs");
	assert_int_equal(g->list.len, 1);
	g->concurrency_unread = false;
	/* Anything that is due comes first. */
	g->aliases[2].version = 7;
	chain_rig_ask(g);
	assert_null(chain_rig_about(g, CHANGE_DELETE_VERSION, "version 3 of function hello"));
	/* What was reached, or is declared, is needed even when no alias has it. */
	g->aliases[2].version = 2;
	g->memory.aliases[2] = (struct alias_memory){.reached = 2};
	g->aliases[1].version = 3;
	g->memory.aliases[1] = (struct alias_memory){.reached = 3, .rolled_back = true, .seen = 6};
	chain_rig_ask(g);
	assert_null(chain_first_call(&g->list));
	g->memory.aliases[1].seen = 0;
	chain_rig_diff(g);
	assert_int_equal(chain_rig_only(g, CHANGE_DELETE_VERSION)->version, 6);
	g->memory.aliases[0].reached = 6;
	chain_rig_diff(g);
	assert_null(chain_first_call(&g->list));
}

static void test_names(void **state)
{
	(void)state;
	for (enum change_kind k = CHANGE_CREATE_FUNCTION; k <= CHANGE_PROBLEM; k++) {
		assert_non_null(change_kind_name(k));
		for (enum change_kind other = CHANGE_CREATE_FUNCTION; other < k; other++)
			assert_string_not_equal(change_kind_name(k), change_kind_name(other));
	}
	char small[12];
	struct change c = {
	    .kind = CHANGE_WAIT, .subject = "alias prod", .field = "", .from = "", .to = "", .text = "later"};
	change_format(&c, small, sizeof(small));
	assert_string_equal(small, "alias prod:");
}

int main(void)
{
#define rigged(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    rigged(test_function_missing),
	    rigged(test_function_from_nothing),
	    rigged(test_code_differs),
	    rigged(test_code_foretold),
	    rigged(test_code_unreadable),
	    rigged(test_code_drift),
	    rigged(test_code_failed),
	    rigged(test_code_from_elsewhere),
	    cmocka_unit_test(test_code_identity),
	    rigged(test_publish),
	    rigged(test_version_failed),
	    rigged(test_aliases_missing),
	    rigged(test_alias_moves),
	    rigged(test_alias_drift),
	    rigged(test_alias_head),
	    rigged(test_alias_weighted),
	    rigged(test_alias_newest_waits),
	    rigged(test_alias_follows),
	    rigged(test_insist_waits),
	    rigged(test_seen),
	    rigged(test_prune),
	    rigged(test_prune_many),
	    rigged(test_prune_holds),
	    rigged(test_image_function),
	    cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
