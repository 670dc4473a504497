/* The function itself, the code in $LATEST, and the version that is published from it. */
#include <string.h>

#include "base/text.h"
#include "chain/diff_inner.h"

#define DIGEST_PREFIX "@sha256:"

/* The CodeSha256 that AWS will give the declared code, when it is known beforehand; NULL: it is not. */
static const char *expected_sha256(const struct chain_input *in)
{
	const struct code_spec *c = &in->spec->code;

	if (c->source == CODE_ZIP)
		return in->code_sha256[0] ? in->code_sha256 : NULL;
	if (c->source != CODE_IMAGE)
		return NULL;
	const char *digest = strstr(c->image, DIGEST_PREFIX);
	return digest ? digest + strlen(DIGEST_PREFIX) : NULL;
}

bool code_is_latest(const struct chain_input *in)
{
	const char *expected = expected_sha256(in);

	return expected && strcmp(expected, in->view->latest.code_sha256) == 0;
}

static bool declares_code(const struct diff *d)
{
	enum code_source s = d->spec->code.source;

	return s == CODE_ZIP || s == CODE_S3 || s == CODE_IMAGE;
}

static const char *declared_identity(struct diff *d)
{
	char identity[sizeof(d->m->applied_code)];

	code_identity(&d->spec->code, d->in->code_sha256, identity, sizeof(identity));
	return arena_strdup(d->a, identity);
}

static bool code_unreadable(const struct diff *d)
{
	return d->in->code_problem || (d->spec->code.source == CODE_ZIP && d->in->code_sha256[0] == '\0');
}

static void problem_unreadable(struct diff *d, const char *subject)
{
	diff_problem(d, subject, "code", "%s cannot be used: %s; nothing is published until it can be read",
		     d->spec->code.zip, d->in->code_problem ? d->in->code_problem : "it was not read");
}

static void missing_function(struct diff *d, const char *subject)
{
	const char *name = d->spec->function;

	if (!d->spec->create.role) {
		diff_problem(d, subject, "",
			     "function %s does not exist in this region: create it, or say how with `create:`", name);
	} else if (!declares_code(d)) {
		diff_problem(d, subject, "",
			     "function %s does not exist in this region, and the file has no code to create it from: "
			     "create it, or name a zip, an S3 object or an image with `code:`",
			     name);
	} else if (code_unreadable(d)) {
		problem_unreadable(d, subject);
	} else {
		struct change *c = diff_add(d, CHANGE_CREATE_FUNCTION, subject);
		c->key = name;
		c->to = declared_identity(d);
	}
}

static bool is_state(const char *state, const char *what)
{
	return strcmp(state, what) == 0;
}

/* AWS is still busy with $LATEST: until it is done, nothing can be put into it or published from it. */
static bool wait_for_latest(struct diff *d, const char *subject)
{
	const struct view_version *latest = &d->v->latest;

	if (is_state(latest->state, "Pending"))
		diff_wait(d, subject, "code", "AWS is still making function %s ready", d->spec->function);
	else if (is_state(latest->last_update_status, "InProgress"))
		diff_wait(d, subject, "code", "AWS is still updating function %s", d->spec->function);
	else
		return false;
	return true;
}

static bool problem_failed(struct diff *d, const char *subject)
{
	const struct view_version *latest = &d->v->latest;
	bool update = is_state(latest->last_update_status, "Failed");

	if (!update && !is_state(latest->state, "Failed"))
		return false;
	const char *reason = update ? latest->last_update_reason : latest->state_reason;
	diff_problem(d, subject, "code",
		     "AWS could not make the code of function %s ready: %s; correct it, then give other code or say "
		     "`rolloutctl retry %s`",
		     d->spec->function, reason[0] ? reason : "it gives no reason", d->spec->name);
	return true;
}

/* Once for each time that an operator asks: code that AWS refuses would go round in circles. */
static bool insists(const struct diff *d)
{
	return d->m->insist && !d->m->code_done;
}

/* Whether the declared code must be put into $LATEST; *ret_drift: it was there, and somebody replaced it. */
static bool update_due(struct diff *d, const char *identity, bool *ret_drift)
{
	bool applied = strcmp(d->m->applied_code, identity) == 0;

	*ret_drift = false;
	if (code_is_latest(d->in))
		return false;
	if (!applied)
		return true;
	*ret_drift = strcmp(d->m->applied_sha256, d->v->latest.code_sha256) != 0;
	return *ret_drift && insists(d);
}

static void add_update(struct diff *d, const char *subject, const char *identity)
{
	struct change *c = diff_add(d, CHANGE_UPDATE_CODE, subject);

	c->field = "code";
	c->from = arena_strdup(d->a, d->v->latest.code_sha256); /* the view changes while the change lives on */
	c->to = identity;
	c->key = d->spec->function;
	d->code_busy = true;
}

/* True when the code in $LATEST is what it should be. */
static bool code_in_order(struct diff *d, const char *subject)
{
	if (wait_for_latest(d, subject)) {
		d->code_busy = true;
		return false;
	}
	if (!declares_code(d))
		return !problem_failed(d, subject);
	if (code_unreadable(d)) {
		problem_unreadable(d, subject);
		return false;
	}
	const char *identity = declared_identity(d);
	bool drift;
	if (update_due(d, identity, &drift)) {
		add_update(d, subject, identity);
		return false;
	}
	if (problem_failed(d, subject)) {
		if (insists(d)) {
			d->len--; /* said by the update that follows: the operator wants it tried again */
			add_update(d, subject, identity);
		}
		return false;
	}
	if (drift) {
		diff_problem(d, subject, "code",
			     "somebody else has put other code into $LATEST (CodeSha256 %s); give the file that code, "
			     "or say `rolloutctl retry %s` to put the file's code back",
			     d->v->latest.code_sha256, d->spec->name);
		return false;
	}
	return true;
}

static bool is_published(const struct view_version *latest, const struct view_version *newest)
{
	if (!newest || strcmp(newest->code_sha256, latest->code_sha256) != 0)
		return false;
	/* A configuration that is not known cannot be called different. */
	return newest->config_digest[0] == '\0' || latest->config_digest[0] == '\0' ||
	       strcmp(newest->config_digest, latest->config_digest) == 0;
}

/* True when the newest version is what $LATEST is, and can be used. */
static bool version_in_order(struct diff *d, const char *subject)
{
	const struct view_version *latest = &d->v->latest;
	const struct view_version *newest = chain_view_newest(d->v);
	char number[24] = "";

	if (newest)
		version_format(newest->number, number);
	if (newest && is_state(newest->state, "Pending")) {
		diff_wait(d, subject, "version", "AWS is still making version %s ready", number);
		d->code_busy = true;
		return false;
	}
	if (!is_published(latest, newest)) {
		struct change *c = diff_add(d, CHANGE_PUBLISH_VERSION, subject);
		c->field = "version";
		c->from = newest ? arena_printf(d->a, "version %s", number) : "";
		c->to = arena_strdup(d->a, latest->code_sha256);
		c->key = c->to;
		c->version = newest ? newest->number : 0;
		d->code_busy = true;
		return false;
	}
	if (is_state(newest->state, "Failed")) {
		diff_problem(d, subject, "version", "AWS could not make version %s ready: %s; publish corrected code",
			     number, newest->state_reason[0] ? newest->state_reason : "it gives no reason");
		return false;
	}
	return true;
}

void diff_function(struct diff *d)
{
	const char *subject = arena_printf(d->a, "function %s", d->spec->function);

	if (!d->v->function_found)
		missing_function(d, subject);
	else if (d->spec->code.source == CODE_NONE)
		d->code_settled = true;
	else
		d->code_settled = code_in_order(d, subject) && version_in_order(d, subject);
}
