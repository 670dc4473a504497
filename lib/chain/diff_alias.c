/* Aliases: those that are missing, and those that hold another version than they should. */
#include <string.h>

#include "base/text.h"
#include "chain/diff_inner.h"

enum want {
	WANT_VERSION,
	WANT_LATER, /* what comes first is in the list already */
	WANT_WAIT,
	WANT_PROBLEM,
};

struct wanted {
	enum want want;
	uint64_t version;
	const char *text;
	int64_t until_unix_ms; /* WANT_WAIT: when it is over; 0: nobody knows */
};

enum deed { DEED_NONE, DEED_CREATE, DEED_MOVE, DEED_ROLLOUT, DEED_WAIT, DEED_PROBLEM };

struct decision {
	enum deed deed;
	uint64_t version;
	const char *text;
	int64_t until_unix_ms; /* DEED_WAIT, as above */
};

static struct wanted want_problem(const char *text)
{
	return (struct wanted){.want = WANT_PROBLEM, .text = text};
}

static struct decision decide_text(enum deed deed, const char *text)
{
	return (struct decision){.deed = deed, .text = text};
}

static const char *version_name(struct diff *d, uint64_t version)
{
	char number[24];

	version_format(version, number);
	return arena_printf(d->a, version == VERSION_LATEST ? "%s" : "version %s", number);
}

static const char *holds(struct diff *d, const struct view_alias_entry *e)
{
	char text[LIMIT_REASON];

	alias_view_format(&e->view, text, sizeof(text));
	return arena_strdup(d->a, text);
}

/* --- what is declared --- */

static struct wanted want_number(struct diff *d, const struct service_alias *s)
{
	const struct view_version *newest = chain_view_newest(d->v);

	if (chain_view_version(d->v, s->version))
		return (struct wanted){.version = s->version};
	if (d->code_busy && (!newest || s->version > newest->number))
		return (struct wanted){.want = WANT_LATER}; /* it may be the one that is about to be published */
	const char *wanted = version_name(d, s->version);
	if (!newest)
		return want_problem(arena_printf(
		    d->a, "%s does not exist: no version of function %s was published; publish one, or say `code:`",
		    wanted, d->spec->function));
	return want_problem(arena_printf(d->a, "%s does not exist; the newest is %s: name one that exists", wanted,
					 version_name(d, newest->number)));
}

static struct wanted want_newest(struct diff *d)
{
	const struct view_version *newest = chain_view_newest(d->v);

	if (!d->code_settled)
		return (struct wanted){.want = WANT_LATER};
	if (newest)
		return (struct wanted){.version = newest->number};
	return want_problem(arena_printf(
	    d->a, "no version of function %s was published, so there is no newest: publish one, or say `code:`",
	    d->spec->function));
}

static size_t alias_index(const struct service_spec *spec, const char *name)
{
	size_t n = 0;

	while (n < spec->n_aliases && strcmp(spec->aliases[n].name, name) != 0)
		n++;
	return n;
}

static bool rollout_live(const struct chain_input *in, const char *name)
{
	size_t n = alias_index(in->spec, name);

	return n < in->spec->n_aliases &&
	       (in->memory->aliases[n].rollout_live || in->memory->aliases[n].held_by[0] != '\0');
}

uint64_t alias_source_version(const struct chain_input *in, size_t alias)
{
	const char *from = in->spec->aliases[alias].from_alias;
	const struct view_alias_entry *e = chain_view_alias(in->view, from);

	if (!e || e->view.odd || e->view.target.weight_bp > 0 || rollout_live(in, from))
		return 0;
	return e->view.target.version;
}

static struct wanted want_soaked(struct diff *d, const struct service_alias *s, const struct alias_memory *m,
				 uint64_t version)
{
	const char *what = version_name(d, version);
	char until[32];

	if (m->seen == version && d->in->now_unix_ms - m->seen_unix_ms >= s->soak_ms)
		return (struct wanted){.version = version};
	int64_t until_ms = (m->seen == version ? m->seen_unix_ms : d->in->now_unix_ms) + s->soak_ms;
	text_format_utc(until_ms, until);
	return (struct wanted){.want = WANT_WAIT,
			       .until_unix_ms = until_ms,
			       .text = arena_printf(d->a, "%s comes once alias %s has held it alone until %s", what,
						    s->from_alias, until)};
}

static struct wanted want_from_alias(struct diff *d, size_t n, const struct view_alias_entry *e)
{
	const struct service_alias *s = &d->spec->aliases[n];
	const struct alias_memory *m = &d->m->aliases[n];
	const struct view_alias_entry *source = chain_view_alias(d->v, s->from_alias);
	uint64_t version = alias_source_version(d->in, n);

	if (!source && alias_index(d->spec, s->from_alias) < d->spec->n_aliases)
		return (struct wanted){.want = WANT_LATER};
	if (!source)
		return want_problem(arena_printf(d->a,
						 "alias %s, whose version it takes, does not exist: create it, or "
						 "declare it in this file",
						 s->from_alias));
	if (version > 0) {
		/* A new alias serves nobody yet, so it need not wait; what was tried before is judged at once. */
		bool soaks = e && e->view.target.version != version && m->reached != version;
		return soaks ? want_soaked(d, s, m, version) : (struct wanted){.version = version};
	}
	if (!source->view.odd && source->view.target.weight_bp == 0 && !rollout_live(d->in, s->from_alias))
		return want_problem(arena_printf(d->a,
						 "alias %s, whose version it takes, holds $LATEST, which changes under "
						 "an alias: let it name a published version",
						 s->from_alias));
	return (struct wanted){.want = WANT_WAIT,
			       .text = arena_printf(d->a, "waits until alias %s holds one version alone (now: %s)",
						    s->from_alias, holds(d, source))};
}

static struct wanted alias_wanted(struct diff *d, size_t n, const struct view_alias_entry *e)
{
	const struct service_alias *s = &d->spec->aliases[n];

	switch (s->follow) {
	case FOLLOW_VERSION:
		return want_number(d, s);
	case FOLLOW_NEWEST:
		return want_newest(d);
	case FOLLOW_HEAD:
		return (struct wanted){.version = VERSION_LATEST};
	case FOLLOW_ALIAS:
		break;
	}
	return want_from_alias(d, n, e);
}

bool alias_is_wanted(const struct chain_input *in, size_t alias, uint64_t version)
{
	const struct service_alias *s = &in->spec->aliases[alias];
	const struct view_version *newest = chain_view_newest(in->view);

	switch (s->follow) {
	case FOLLOW_VERSION:
		return version == s->version;
	case FOLLOW_NEWEST:
		return newest && version == newest->number;
	case FOLLOW_HEAD:
		return version == VERSION_LATEST;
	case FOLLOW_ALIAS:
		break;
	}
	return version > 0 && version == alias_source_version(in, alias);
}

/* --- what follows from it --- */

/* DEED_NONE: the version can take traffic, as far as is known. */
static struct decision check_usable(struct diff *d, uint64_t version)
{
	const struct view_version *v = chain_view_version(d->v, version);

	if (v && strcmp(v->state, "Pending") == 0)
		return decide_text(DEED_WAIT,
				   arena_printf(d->a, "AWS is still making %s ready", version_name(d, version)));
	if (v && strcmp(v->state, "Failed") == 0)
		return decide_text(DEED_PROBLEM,
				   arena_printf(d->a, "AWS could not make %s ready: %s; name another one",
						version_name(d, version),
						v->state_reason[0] ? v->state_reason : "it gives no reason"));
	return (struct decision){0};
}

/* The version was there, or was to be, and an operator has not asked for it again. */
static bool was_tried(const struct diff *d, size_t n, uint64_t version)
{
	const struct alias_memory *m = &d->m->aliases[n];

	/* Insisting is good for one attempt: what comes back again is not tried without end. */
	return (!d->m->insist || m->insisted) && (version == VERSION_LATEST ? m->was_head : m->reached == version);
}

static struct decision decide_rolled_back(struct diff *d, size_t n, uint64_t version)
{
	const struct alias_memory *m = &d->m->aliases[n];

	return decide_text(DEED_PROBLEM,
			   arena_printf(d->a, "%s %s: %s; declare another version, or say `rolloutctl retry %s`",
					version_name(d, version), m->unmoved ? "got no traffic" : "was rolled back",
					m->outcome[0] ? m->outcome : "no reason was recorded", d->spec->name));
}

static struct decision decide_missing(struct diff *d, size_t n)
{
	struct wanted w = alias_wanted(d, n, NULL);

	if (w.want == WANT_LATER || d->m->aliases[n].rollout_live)
		return (struct decision){0};
	if (w.want != WANT_VERSION)
		return decide_text(w.want == WANT_WAIT ? DEED_WAIT : DEED_PROBLEM, w.text);
	/* All of its traffic would go to what was found to be bad. */
	if (d->m->aliases[n].rolled_back && was_tried(d, n, w.version))
		return decide_rolled_back(d, n, w.version);
	struct decision usable = check_usable(d, w.version);
	if (usable.deed != DEED_NONE)
		return usable;
	return (struct decision){.deed = DEED_CREATE, .version = w.version};
}

/* More than one version, or what cannot be expressed, and it is none of our rollouts. */
static struct decision decide_weighted(struct diff *d, const struct view_alias_entry *e)
{
	const struct view_concurrency *c = chain_view_concurrency(d->v, e->name);

	if (c && c->status == CONCURRENCY_IN_PROGRESS)
		return decide_text(DEED_WAIT,
				   "AWS is moving its provisioned concurrency, and shares its traffic meanwhile");
	return decide_text(
	    DEED_PROBLEM,
	    arena_printf(
		d->a,
		"it holds %s, and no rollout of ours is at work: end what does that, or `aws lambda update-alias "
		"--function-name %s --name %s --routing-config AdditionalVersionWeights={}`",
		holds(d, e), d->spec->function, e->name));
}

static struct decision decide_move(struct diff *d, size_t n, const struct view_alias_entry *e, uint64_t version)
{
	const struct service_alias *s = &d->spec->aliases[n];

	if (was_tried(d, n, version)) {
		if (d->m->aliases[n].rolled_back)
			return decide_rolled_back(d, n, version);
		return decide_text(
		    DEED_PROBLEM,
		    arena_printf(d->a,
				 "somebody else has moved it: it holds %s, and it was on %s; declare what it "
				 "should hold, or say `rolloutctl retry %s` to bring it back",
				 holds(d, e), version_name(d, version), d->spec->name));
	}
	struct decision usable = check_usable(d, version);
	if (usable.deed != DEED_NONE)
		return usable;
	if (version == VERSION_LATEST)
		return (struct decision){.deed = DEED_MOVE, .version = version};
	if (e->view.target.version != VERSION_LATEST)
		return (struct decision){.deed = DEED_ROLLOUT, .version = version};
	if (s->jump)
		return (struct decision){.deed = DEED_MOVE, .version = version};
	return decide_text(
	    DEED_PROBLEM, arena_printf(d->a,
				       "it holds $LATEST, whose traffic AWS cannot share with %s: give it the strategy "
				       "AllAtOnce, and it moves in one step",
				       version_name(d, version)));
}

/* While a rollout is at work the alias is its own, until another version is wanted: that one takes its place, and the
 * traffic goes back first. */
static struct decision decide_newer(struct diff *d, size_t n, const struct view_alias_entry *e)
{
	struct wanted w = alias_wanted(d, n, e);

	uint64_t reached = d->m->aliases[n].reached;

	if (w.want != WANT_VERSION || w.version == VERSION_LATEST || reached == 0 || w.version == reached ||
	    check_usable(d, w.version).deed != DEED_NONE)
		return (struct decision){0};
	return (struct decision){.deed = DEED_ROLLOUT, .version = w.version};
}

static struct decision decide(struct diff *d, size_t n, const struct view_alias_entry *e)
{
	if (!e)
		return decide_missing(d, n);
	if (d->m->aliases[n].held_by[0] != '\0')
		return decide_text(DEED_WAIT, arena_printf(d->a,
							   "rollout %s works on it: the alias is its own until "
							   "it has ended",
							   d->m->aliases[n].held_by));
	if (d->m->aliases[n].rollout_live)
		return decide_newer(d, n, e);
	if (e->view.odd || e->view.target.weight_bp > 0)
		return decide_weighted(d, e);
	struct wanted w = alias_wanted(d, n, e);
	switch (w.want) {
	case WANT_LATER:
		return (struct decision){0};
	case WANT_WAIT:
		return (struct decision){.deed = DEED_WAIT, .text = w.text, .until_unix_ms = w.until_unix_ms};
	case WANT_PROBLEM:
		return decide_text(DEED_PROBLEM, w.text);
	case WANT_VERSION:
		break;
	}
	if (e->view.target.version == w.version)
		return (struct decision){0};
	return decide_move(d, n, e, w.version);
}

static void add_call(struct diff *d, size_t n, enum change_kind kind, const char *from, uint64_t version)
{
	const char *name = d->spec->aliases[n].name;
	struct change *c = diff_add(d, kind, arena_printf(d->a, "alias %s", name));

	c->field = kind == CHANGE_CREATE_ALIAS ? "" : "version";
	c->from = from;
	c->to = version_name(d, version);
	c->key = name;
	c->index = n;
	c->version = version;
}

static void add_decision(struct diff *d, size_t n, const struct view_alias_entry *e, const struct decision *x)
{
	const char *subject = arena_printf(d->a, "alias %s", d->spec->aliases[n].name);

	switch (x->deed) {
	case DEED_NONE:
		break;
	case DEED_CREATE:
		add_call(d, n, CHANGE_CREATE_ALIAS, "", x->version);
		break;
	case DEED_MOVE:
		add_call(d, n, CHANGE_MOVE_ALIAS, holds(d, e), x->version);
		break;
	case DEED_ROLLOUT:
		/* What routes to the alias is put in order first. */
		if (d->api_calls == 0)
			add_call(d, n, CHANGE_ROLLOUT, holds(d, e), x->version);
		break;
	case DEED_WAIT:
		diff_wait(d, subject, "version", "%s", x->text);
		d->items[d->len - 1].until_unix_ms = x->until_unix_ms;
		break;
	case DEED_PROBLEM:
		diff_problem(d, subject, "version", "%s", x->text);
		break;
	}
}

static void add_aliases(struct diff *d, bool missing)
{
	for (size_t n = 0; n < d->spec->n_aliases; n++) {
		const struct view_alias_entry *e = chain_view_alias(d->v, d->spec->aliases[n].name);
		if (missing != !e)
			continue;
		struct decision x = decide(d, n, e);
		add_decision(d, n, e, &x);
	}
}

void diff_missing_aliases(struct diff *d)
{
	add_aliases(d, true);
}

void diff_moving_aliases(struct diff *d)
{
	add_aliases(d, false);
}
