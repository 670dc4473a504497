/*
 * What differs between the declared chain and the one that AWS has, as an ordered list of changes. Pure: the same spec,
 * view and memory give the same list.
 *
 * The order is the order in which a request depends on things, so that nothing ever routes to what is not there yet:
 *   function, code, version, aliases that do not exist, API, permissions, routes, deployment, stages and their
 *   variables, rollouts of aliases that should move, permissions that nothing uses any more, versions that nobody
 *   needs.
 *
 * The caller carries out the first call (chain_first_call), lets the answer into the view (chain_apply), and asks
 * again. What depends on something that is not there yet is not in the list: it comes with a later asking. A ROLLOUT is
 * listed once no call of the API is due, and may be started when it is listed. What cannot be done, or is not ours to
 * do, is a CHANGE_PROBLEM about its subject, and everything else goes on.
 *
 * What is put back, and what is only named. Configuration that the file declares (aliases that are missing,
 * permissions, routes, stages, stage variables) is put back when somebody changed it. What carries code or traffic is
 * not moved over somebody's head: an alias or $LATEST that was as declared once and is not any more is a problem that
 * names what it is now, until an operator asks again (struct chain_memory `insist`).
 */
#pragma once

#include "chain/view.h"

enum change_kind {
	/* calls that change something; CHANGE_IS_CALL */
	CHANGE_CREATE_FUNCTION,
	CHANGE_UPDATE_CODE,
	CHANGE_PUBLISH_VERSION,
	CHANGE_CREATE_ALIAS,
	CHANGE_MOVE_ALIAS, /* a jump: to or from $LATEST, never with a share */
	CHANGE_CREATE_API,
	CHANGE_ADD_PERMISSION,
	CHANGE_CREATE_RESOURCE,	   /* REST */
	CHANGE_PUT_METHOD,	   /* REST */
	CHANGE_PUT_INTEGRATION,	   /* REST */
	CHANGE_CREATE_INTEGRATION, /* HTTP */
	CHANGE_CREATE_ROUTE,	   /* HTTP */
	CHANGE_UPDATE_ROUTE,	   /* HTTP: to another integration */
	CHANGE_CREATE_DEPLOYMENT,
	CHANGE_CREATE_STAGE,
	CHANGE_UPDATE_STAGE, /* its deployment, its variable, or both */
	CHANGE_REMOVE_PERMISSION,
	CHANGE_DELETE_VERSION,
	/* not calls */
	CHANGE_ROLLOUT, /* an alias should move: by a rollout */
	CHANGE_WAIT,	/* something is under way; look again later */
	CHANGE_PROBLEM,
};

#define CHANGE_IS_CALL(kind) ((kind) < CHANGE_ROLLOUT)

/*
 * What each kind holds. `subject`, `field`, `from` and `to` are for people and never NULL ("" for what does not exist);
 * the rest is for requests, NULL or 0 where the table has no word about it. Aliases and stages go by their names.
 *
 *   kind                 field          from -> to                          key           index  others
 *   CREATE_FUNCTION      ""             "" -> identity of the code          the function  -
 *   UPDATE_CODE          "code"         CodeSha256 -> identity of the code  the function  -
 *   PUBLISH_VERSION      "version"      newest version -> CodeSha256        CodeSha256    -      version: newest, or 0
 *   CREATE_ALIAS         ""             "" -> "version 2", "$LATEST"        alias         alias  version
 *   MOVE_ALIAS, ROLLOUT  "version"      what it holds -> "version 2"        alias         alias  version
 *   CREATE_API           ""             "" -> its name                      its name      -
 *   ADD_PERMISSION       ""             "" -> source ARN                    statement id  stage
 *   REMOVE_PERMISSION    ""             source ARN, "any source" -> ""      statement id  alias
 *   CREATE_RESOURCE      ""             "" -> last part of the path         whole path    route  parent
 *   PUT_METHOD           ""             "" -> "GET /hello"                  "GET /hello"  route  parent: its resource
 *   PUT_INTEGRATION      "integration"  URI -> URI                          "GET /hello"  route  parent: its resource
 *   CREATE_INTEGRATION   ""             "" -> URI                           URI           -
 *   CREATE_ROUTE         ""             "" -> "GET /hello"                  "GET /hello"  route  parent: integration
 *   UPDATE_ROUTE         "integration"  URI -> URI                          "GET /hello"  route  parent; id: its own
 *   CREATE_DEPLOYMENT    ""             "" -> its description               description   -
 *   CREATE_STAGE         ""             "" -> alias                         stage         stage  parent: deployment (1)
 *   UPDATE_STAGE         "variable V"   value -> alias                      stage         stage  parent: deployment (2)
 *                        "deployment"   its id -> id
 *   DELETE_VERSION       ""             "7" -> ""                           -             -      version
 *   WAIT, PROBLEM        its subject's  "" -> ""                            -             -      text
 *
 * Parents are ids: of the resource above, of the route's resource or integration, of the deployment.
 * (1) NULL for an HTTP API: the stage is made with automatic deployment. (2) NULL: it keeps the deployment that it has.
 *
 * The stage variable's name is the spec's, its value the alias's name; CREATE_STAGE and UPDATE_STAGE always set it, as
 * setting it to what it is changes nothing. Other variables are not touched.
 */
struct change {
	enum change_kind kind;
	const char *subject; /* "alias prod", "stage prod of API hello-api" */
	const char *field;   /* "version", "variable lambdaAlias"; "" for the whole subject */
	const char *from;    /* "" when it does not exist */
	const char *to;	     /* "" when it goes away */
	const char *text;    /* WAIT, PROBLEM: a sentence, with the cure */
	const char *key;
	size_t index; /* into the spec's aliases, stages or routes, as the table says */
	uint64_t version;
	const char *parent;
	const char *id;
	/* WAIT: when it is over, if that is known. CREATE_API: when one whose answer is lost has come to be,
	 * or never will. */
	int64_t until_unix_ms;
};

/* What the record remembers of an alias. */
struct alias_memory {
	/* The version that it was brought to, or to which a rollout was started; 0: none. Whoever gives up a rollout
	 * for other reasons than its failure (it was superseded) sets it back to 0. */
	uint64_t reached;
	bool was_head;		      /* it was brought to $LATEST */
	uint64_t seen;		      /* FOLLOW_ALIAS: what the other alias holds alone … */
	int64_t seen_unix_ms;	      /* … since when we know */
	bool rollout_live;	      /* a rollout of ours works on it */
	bool rolled_back;	      /* the rollout to `reached` came back or failed */
	bool unmoved;		      /* … before any traffic moved */
	char outcome[LIMIT_REASON];   /* and why */
	char held_by[LIMIT_NAME + 1]; /* a rollout that is not ours works on it; as of the last look, not on record */
	bool insisted;		      /* it was moved because an operator insists: once; false whenever insist is set */
};

#define DEPLOY_MARK_SIZE 48

/* What must be remembered between two lookings; kept in the service's record. */
struct chain_memory {
	char applied_code[DIGEST_SIZE + 64]; /* identity (hashed if long) of the code that was applied last; "" none */
	char applied_sha256[CODE_HASH_SIZE]; /* the CodeSha256 that AWS had then */
	bool deploy;			 /* a deployment for all declared stages is due, as routes are changed, say */
	char deployment_id[API_ID_SIZE]; /* made for the routes as they are; "" none yet */
	/* Description of the deployment that was asked for: one whose answer was lost is found by it. */
	char deploy_mark[DEPLOY_MARK_SIZE];
	/* An API was asked for; it may be there and not be shown before this. Nothing tells two of them apart. */
	int64_t api_until_unix_ms;
	bool insist;	/* an operator asks for it: what drifted is moved, too; chain_remember_seen ends it */
	bool code_done; /* … and the code was put in for that: once; false whenever insist is set */
	struct alias_memory aliases[LIMIT_SERVICE_ALIASES];
};

struct chain_input {
	const struct service_spec *spec;
	const struct chain_view *view;
	const struct chain_memory *memory;
	char code_sha256[SHA256_BASE64_SIZE]; /* of the zip; "" when it could not be read */
	const char *code_problem;	      /* why it could not; NULL: it was read, or there is none */
	const uint64_t *kept_versions;	      /* that must not be deleted, whatever names them */
	size_t n_kept_versions;
	int64_t now_unix_ms;
};

struct change_list {
	struct change *items; /* in the arena */
	size_t len;
};

/* Appends nothing to the view; everything of the result lives in `a`. */
void chain_diff(const struct chain_input *in, struct arena *a, struct change_list *ret);

/* Everything that would be done one after the other, as if AWS answered each change well; then what remains. What does
 * not exist yet has an id in parentheses. */
void chain_forecast(const struct chain_input *now, struct arena *a, struct change_list *ret);

/* The first call to make; NULL: none. */
const struct change *chain_first_call(const struct change_list *l);

/* A call's own time, after which nothing comes of it any more. */
#define CHAIN_API_COMES_MS INT64_C(10000)

/*
 * The memory as it must be recorded before a change is sent (a route: a deployment will be due), and as it is after one
 * was answered, the view of `in` having it already (chain_apply); for a ROLLOUT, as it is once one was started.
 * `created`: the id that AWS gave (of a deployment), or NULL.
 */
void chain_remember_before(const struct change *c, struct chain_memory *m);
/* It leaves only now: the record, or the queue, may have taken its time. */
void chain_remember_sent(const struct change *c, int64_t now_unix_ms, struct chain_memory *m);
void chain_remember_after(const struct chain_input *in, const struct change *c, const char *created,
			  struct chain_memory *m);

/*
 * What a fresh view shows to be so already: code and aliases that are as declared, since when an alias that another one
 * follows holds its version alone, a deployment that every stage has, an operator's wish that is fulfilled. Asked
 * before each chain_diff on a view that was just read. Returns whether the memory has changed and is to be recorded.
 */
bool chain_remember_seen(const struct chain_input *in, struct chain_memory *m);

/*
 * Lets what an answer said into the view. `answer` is what the parser of that operation gave; fields that an operation
 * does not answer are zero.
 */
struct change_answer {
	const char *id;		     /* of what was created */
	const char *root_id;	     /* CREATE_API, REST, when it was told */
	struct view_version version; /* CREATE_FUNCTION, UPDATE_CODE, PUBLISH_VERSION */
	struct alias_view alias;     /* CREATE_ALIAS, MOVE_ALIAS */
	size_t statement_bytes;	     /* ADD_PERMISSION */
};
void chain_apply(const struct service_spec *spec, const struct change *c, const struct change_answer *answer,
		 struct chain_view *v);

/* "create alias prod (version 2)", "stage prod of API hello-api: variable lambdaAlias: dev -> prod". */
void change_format(const struct change *c, char *out, size_t size);
const char *change_kind_name(enum change_kind k); /* "create-alias" */
