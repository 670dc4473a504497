#include "credentials/source.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "credentials/place.h"
#include "credentials/words.h"

#define DEFAULT_PROFILE "default"
#define DEFAULT_REGION	"us-east-1"
#define DURATION_MIN_S	900
#define DURATION_MAX_S	43200
#define SHA1_BYTES	20
#define VALUE_MAX	2048
#define TIMEOUT_MAX_S	60
#define TRIES_MAX	10

struct resolver {
	const struct source_request *request;
	const struct profiles *profiles;
	const char *region;
	const char *visited[SOURCE_DEPTH_MAX + 1]; /* profiles on the way to this one */
	size_t n_visited;
	char *error;
	size_t size;
};

enum found { FOUND = 0, BROKEN = 1, NONE = 2 };

#define broken(r, ...) (snprintf((r)->error, (r)->size, __VA_ARGS__), BROKEN)

static const char *env(const struct resolver *r, const char *name)
{
	const char *value = r->request->lookup(r->request->lookup_ctx, name);
	return value && *value ? value : NULL;
}

static const char *get(const struct resolver *r, const char *profile, const char *key)
{
	return profiles_get(r->profiles, profile, key);
}

static struct source *new_source(enum source_kind kind)
{
	struct source *s = mem_alloc(sizeof(*s));
	s->kind = kind;
	return s;
}

/* What goes into requests. AWS's own limits are lower. */
static int check_length(const struct resolver *r, const char *what, const char *value)
{
	if (!value || strlen(value) <= VALUE_MAX)
		return FOUND;
	return broken(r, "%s is longer than %d characters, which none is", what, VALUE_MAX);
}

/* --- keys --- */

static int from_environment(const struct resolver *r, const char *profile, struct source **ret)
{
	(void)profile;
	char why[200] = "";
	struct aws_credentials keys;
	int result = credentials_from_env(r->request->lookup, r->request->lookup_ctx, &keys, why, sizeof(why));
	if (result == CREDENTIALS_NONE)
		return NONE;
	if (result == CREDENTIALS_BROKEN)
		return broken(r, "the environment's AWS keys are unusable: %s", why);
	*ret = new_source(SOURCE_STATIC);
	(*ret)->keys = keys;
	(*ret)->text = mem_strdup("environment");
	return FOUND;
}

static int from_file(const struct resolver *r, enum profiles_file file, const char *profile, struct source **ret)
{
	static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
	const char *values[] = {NULL, NULL, NULL};
	char why[200] = "";
	struct aws_credentials keys;
	for (size_t i = 0; i < array_len(names); i++)
		values[i] = profiles_get_from(r->profiles, file, profile, names[i]);
	if (!values[2])
		values[2] = profiles_get_from(r->profiles, file, profile, "aws_security_token"); /* before 2015 */
	int result = credentials_from_texts(names, values, &keys, why, sizeof(why));
	if (result == CREDENTIALS_NONE)
		return NONE;
	if (result == CREDENTIALS_BROKEN)
		return broken(r, "%s: profile \"%s\": %s", profiles_path(r->profiles, file), profile, why);
	*ret = new_source(SOURCE_STATIC);
	(*ret)->keys = keys;
	(*ret)->from_file = true;
	(*ret)->text = mem_printf("profile %s of %s", profile, profiles_path(r->profiles, file));
	return FOUND;
}

/* --- web identity --- */

static const char *web_identity_setting(const struct resolver *r, const char *profile, bool with_env,
					const char *variable, const char *key)
{
	const char *value = with_env ? env(r, variable) : NULL;
	return value ? value : get(r, profile, key);
}

static int from_web_identity(const struct resolver *r, const char *profile, bool with_env, struct source **ret)
{
	static const char file_variable[] = "AWS_WEB_IDENTITY_TOKEN_FILE", file_key[] = "web_identity_token_file";
	const char *file = web_identity_setting(r, profile, with_env, file_variable, file_key);
	const char *role = web_identity_setting(r, profile, with_env, "AWS_ROLE_ARN", "role_arn");
	const char *session = web_identity_setting(r, profile, with_env, "AWS_ROLE_SESSION_NAME", "role_session_name");
	if (!file)
		return NONE;
	if (!role && with_env && env(r, file_variable))
		return broken(r, "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not: set both, or neither");
	if (!role)
		return broken(r, "%s: profile \"%s\" has web_identity_token_file but no role_arn: give it one",
			      profiles_path_of(r->profiles, profile, file_key), profile);
	if (check_length(r, "the ARN of the web identity's role", role) ||
	    check_length(r, "the web identity's role session name", session))
		return BROKEN;
	*ret = new_source(SOURCE_WEB_IDENTITY);
	(*ret)->token_file = mem_strdup(file);
	(*ret)->role_arn = mem_strdup(role);
	(*ret)->session_name = mem_strdup(session ? session : SOURCE_SESSION_NAME);
	(*ret)->region = mem_strdup(r->region);
	(*ret)->text = mem_printf("role %s by the web identity in %s", role, file);
	return FOUND;
}

/* --- SSO --- */

/* The file that "aws sso login" leaves its token in. */
static char *sso_token_file(const char *home, const char *key)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	char hex[2 * SHA1_BYTES + 1];
	unsigned len = 0;
	require(EVP_Digest(key, strlen(key), hash, &len, EVP_sha1(), NULL) == 1 && len == SHA1_BYTES);
	for (size_t i = 0; i < SHA1_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	return mem_printf("%s/.aws/sso/cache/%s.json", home, hex);
}

static int sso_value(const struct resolver *r, const char *profile, const char *session, const char *key,
		     const char **ret)
{
	const char *own = get(r, profile, key);
	const char *shared = session ? profiles_get_session(r->profiles, session, key) : NULL;
	const char *path = profiles_path(r->profiles, PROFILES_CONFIG);
	if (own && shared && strcmp(own, shared) != 0)
		return broken(r,
			      "%s: profile \"%s\" and its sso-session \"%s\" do not say the same for %s: make one of "
			      "the two",
			      path, profile, session, key);
	*ret = own ? own : shared;
	return *ret ? FOUND
		    : broken(r, "%s: profile \"%s\" is for SSO but has no %s: run \"aws configure sso\"", path, profile,
			     key);
}

static int from_sso(const struct resolver *r, const char *profile, struct source **ret)
{
	static const char *const keys[] = {"sso_role_name", "sso_account_id", "sso_start_url", "sso_region"};
	const char *values[array_len(keys)], *session = get(r, profile, "sso_session"), *home = env(r, "HOME");
	if (!get(r, profile, keys[0]) && !get(r, profile, keys[1]))
		return NONE;
	if (session && !profiles_has_session(r->profiles, session))
		return broken(r,
			      "%s: profile \"%s\" names the sso-session \"%s\", which does not exist: add "
			      "[sso-session %s]",
			      profiles_path(r->profiles, PROFILES_CONFIG), profile, session, session);
	for (size_t i = 0; i < array_len(keys); i++)
		if (sso_value(r, profile, session, keys[i], &values[i]) || check_length(r, keys[i], values[i]))
			return BROKEN;
	if (!home)
		return broken(r, "profile \"%s\" is for SSO, whose token is in ~/.aws/sso/cache, but HOME is not set",
			      profile);
	*ret = new_source(SOURCE_SSO);
	(*ret)->role_name = mem_strdup(values[0]);
	(*ret)->account_id = mem_strdup(values[1]);
	(*ret)->region = mem_strdup(values[3]);
	(*ret)->token_file = sso_token_file(home, session ? session : values[2]);
	(*ret)->profile = mem_strdup(profile);
	(*ret)->text = mem_printf("SSO role %s in account %s by profile %s", values[0], values[1], profile);
	return FOUND;
}

/* --- a program --- */

static int from_process(const struct resolver *r, const char *profile, struct source **ret)
{
	const char *line = get(r, profile, "credential_process");
	const char *path = profiles_path_of(r->profiles, profile, "credential_process");
	char **words;
	if (!line)
		return NONE;
	int split = words_split(line, &words);
	if (split)
		return broken(r, "%s: profile \"%s\": credential_process %s", path, profile,
			      split == WORDS_OPEN_QUOTE	      ? "has a quote that is not closed"
			      : split == WORDS_OPEN_BACKSLASH ? "ends with a backslash"
							      : "has too many words, or one too long");
	if (!words[0] || !*words[0]) {
		words_free(words);
		return broken(r, "%s: profile \"%s\": credential_process names no program", path, profile);
	}
	*ret = new_source(SOURCE_PROCESS);
	(*ret)->command = words;
	(*ret)->text = mem_printf("credential_process of profile %s in %s", profile, path);
	return FOUND;
}

static int refuse_login(const struct resolver *r, const char *profile)
{
	if (!get(r, profile, "login_session"))
		return NONE;
	return broken(
	    r,
	    "%s: profile \"%s\" uses login_session, whose keys rolloutd cannot fetch: name another profile with "
	    "\"credential_process = aws configure export-credentials --profile %s --format process\"",
	    profiles_path_of(r->profiles, profile, "login_session"), profile, profile);
}

/* What one profile has to give without assuming its role. */
static int from_profile(const struct resolver *r, const char *profile, bool with_env, struct source **ret)
{
	int result = from_web_identity(r, profile, with_env, ret);
	if (result == NONE)
		result = from_sso(r, profile, ret);
	if (result == NONE)
		result = from_file(r, PROFILES_CREDENTIALS, profile, ret);
	if (result == NONE)
		result = refuse_login(r, profile);
	if (result == NONE)
		result = from_process(r, profile, ret);
	if (result == NONE)
		result = from_file(r, PROFILES_CONFIG, profile, ret);
	return result;
}

/* --- container and instance --- */

static int from_container(const struct resolver *r, const char *profile, struct source **ret)
{
	(void)profile;
	const char *relative = env(r, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = env(r, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *file = env(r, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = env(r, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	if (!relative && !full)
		return NONE;
	if (relative && *relative != '/')
		return broken(r, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
	cleanup(mem_free_p) char *url =
	    relative ? mem_printf("http://%s%s", PLACE_CONTAINER, relative) : mem_strdup(full);
	const char *problem = place_check_container(url);
	if (problem)
		return broken(r, "%s is unusable: it %s",
			      relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
				       : "AWS_CONTAINER_CREDENTIALS_FULL_URI",
			      problem);
	if (!file && token && strpbrk(token, "\r\n"))
		return broken(r, "AWS_CONTAINER_AUTHORIZATION_TOKEN has a line break in it");
	*ret = new_source(SOURCE_CONTAINER);
	(*ret)->url = take_ptr(url);
	(*ret)->token_file = mem_strdup(file);
	(*ret)->authorization = file ? NULL : mem_strdup(token);
	(*ret)->text = mem_printf("container's role, by %.*s", (int)place_origin_len((*ret)->url), (*ret)->url);
	return FOUND;
}

static bool is_true(const char *value)
{
	return value && strcasecmp(value, "true") == 0;
}

static const char *setting(const struct resolver *r, const char *profile, const char *variable, const char *key)
{
	const char *value = env(r, variable);
	return value ? value : get(r, profile, key);
}

/* 1 where nothing is set. */
static int number_setting(const struct resolver *r, const char *profile, const char *variable, const char *key,
			  unsigned max, uint64_t *ret)
{
	const char *value = setting(r, profile, variable, key);
	*ret = 1;
	if (!value || (text_parse_u64(value, max, ret) == 0 && *ret > 0))
		return FOUND;
	return broken(r, "%s (%s) is no whole number from 1 to %u", variable, key, max);
}

static int from_instance(const struct resolver *r, const char *profile, struct source **ret)
{
	if (is_true(env(r, "AWS_EC2_METADATA_DISABLED")))
		return NONE;
	const char *url = setting(r, profile, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
	const char *mode =
	    setting(r, profile, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
	if (mode && strcasecmp(mode, "ipv4") != 0 && strcasecmp(mode, "ipv6") != 0)
		return broken(r,
			      "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (ec2_metadata_service_endpoint_mode) is neither "
			      "ipv4 nor ipv6");
	bool six =
	    mode ? strcasecmp(mode, "ipv6") == 0 : is_true(setting(r, profile, "AWS_IMDS_USE_IPV6", "imds_use_ipv6"));
	if (!url)
		url = six ? "http://[" PLACE_INSTANCE_6 "]" : "http://" PLACE_INSTANCE;
	const char *problem = place_check_instance(url);
	if (problem)
		return broken(r, "AWS_EC2_METADATA_SERVICE_ENDPOINT (ec2_metadata_service_endpoint) is unusable: it %s",
			      problem);
	size_t len = strlen(url);
	uint64_t timeout_s, tries;
	if (number_setting(r, profile, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", TIMEOUT_MAX_S,
			   &timeout_s) ||
	    number_setting(r, profile, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts", TRIES_MAX,
			   &tries))
		return BROKEN;
	*ret = new_source(SOURCE_INSTANCE);
	(*ret)->url = mem_strndup(url, url[len - 1] == '/' ? len - 1 : len);
	(*ret)->v1_refused = is_true(setting(r, profile, "AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled"));
	(*ret)->timeout_ms = MS_PER_SECOND * (int64_t)timeout_s;
	(*ret)->tries = (unsigned)tries;
	(*ret)->text = mem_strdup("instance role");
	return FOUND;
}

/* --- roles --- */

static bool wants_role(const struct resolver *r, const char *profile)
{
	return get(r, profile, "role_arn") && !get(r, profile, "web_identity_token_file");
}

static bool has_keys(const struct resolver *r, const char *profile)
{
	return get(r, profile, "aws_access_key_id") || get(r, profile, "aws_secret_access_key");
}

static int assume(const struct resolver *r, const char *role_arn, struct source *source, struct source **ret)
{
	*ret = new_source(SOURCE_ASSUME_ROLE);
	(*ret)->source = source;
	(*ret)->role_arn = mem_strdup(role_arn);
	(*ret)->region = mem_strdup(r->region);
	(*ret)->text = mem_printf("role %s from %s", role_arn, source->text);
	return FOUND;
}

static int from_credential_source(const struct resolver *r, const char *profile, const char *name, struct source **ret)
{
	static const struct {
		const char *name;
		int (*take)(const struct resolver *r, const char *profile, struct source **ret);
		const char *none;
	} sources[] = {
	    {"Environment", from_environment, "AWS_ACCESS_KEY_ID is not set"},
	    {"Ec2InstanceMetadata", from_instance, "AWS_EC2_METADATA_DISABLED is true"},
	    {"EcsContainer", from_container, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI are not set"},
	};
	const char *path = profiles_path_of(r->profiles, profile, "credential_source");
	size_t i = 0;
	while (i < array_len(sources) && strcmp(sources[i].name, name) != 0)
		i++;
	if (i == array_len(sources))
		return broken(r,
			      "%s: profile \"%s\": credential_source is neither Environment, Ec2InstanceMetadata nor "
			      "EcsContainer",
			      path, profile);
	int result = sources[i].take(r, profile, ret);
	if (result == NONE)
		return broken(r, "%s: profile \"%s\": credential_source is %s, which has no keys to give: %s", path,
			      profile, name, sources[i].none);
	return result;
}

static int check_source_profile(const struct resolver *r, const char *profile, const char *next)
{
	const char *path = profiles_path_of(r->profiles, profile, "source_profile");
	bool visited = false;
	if (!profiles_has(r->profiles, next))
		return broken(r, "%s: profile \"%s\": source_profile names \"%s\", which does not exist", path, profile,
			      next);
	for (size_t i = 0; i < r->n_visited; i++)
		visited |= strcmp(r->visited[i], next) == 0;
	/* A profile may name itself to say that its role is assumed with its own keys. */
	if (visited && (strcmp(profile, next) != 0 || !has_keys(r, next)))
		return broken(r,
			      "%s: profile \"%s\": source_profile leads back to \"%s\": the chain of roles must end at "
			      "a profile with keys",
			      path, profile, next);
	if (r->n_visited > SOURCE_DEPTH_MAX)
		return broken(r, "%s: profile \"%s\": more than %d roles are chained by source_profile", path, profile,
			      SOURCE_DEPTH_MAX);
	return FOUND;
}

static int from_role(struct resolver *r, const char *profile, struct source **ret);

static int from_source_profile(struct resolver *r, const char *profile, const char *next, struct source **ret)
{
	if (check_source_profile(r, profile, next))
		return BROKEN;
	r->visited[r->n_visited++] = next;
	if (!has_keys(r, next) && wants_role(r, next))
		return from_role(r, next, ret);
	int result = from_profile(r, next, false, ret);
	if (result == NONE)
		return broken(
		    r, "%s: profile \"%s\": its source_profile \"%s\" has no keys: give it some, or name another",
		    profiles_path_of(r->profiles, profile, "source_profile"), profile, next);
	return result;
}

static int take_role_options(const struct resolver *r, const char *profile, struct source *s)
{
	const char *name = get(r, profile, "role_session_name"), *duration = get(r, profile, "duration_seconds");
	uint64_t seconds = 0;
	if (duration && (text_parse_u64(duration, DURATION_MAX_S, &seconds) != 0 || seconds < DURATION_MIN_S))
		return broken(r, "%s: profile \"%s\": duration_seconds is no number from %d to %d",
			      profiles_path_of(r->profiles, profile, "duration_seconds"), profile, DURATION_MIN_S,
			      DURATION_MAX_S);
	if (check_length(r, "role_session_name", name) || check_length(r, "role_arn", s->role_arn) ||
	    check_length(r, "external_id", get(r, profile, "external_id")))
		return BROKEN;
	s->session_name = mem_strdup(name ? name : SOURCE_SESSION_NAME);
	s->external_id = mem_strdup(get(r, profile, "external_id"));
	s->duration_s = (unsigned)seconds;
	return FOUND;
}

static int from_role(struct resolver *r, const char *profile, struct source **ret)
{
	const char *path = profiles_path_of(r->profiles, profile, "role_arn");
	const char *next = get(r, profile, "source_profile"), *named = get(r, profile, "credential_source");
	if (get(r, profile, "mfa_serial"))
		return broken(
		    r,
		    "%s: profile \"%s\" has mfa_serial, which asks a person for a code: a daemon needs a role "
		    "that can be assumed without",
		    profiles_path_of(r->profiles, profile, "mfa_serial"), profile);
	if (next && named)
		return broken(r,
			      "%s: profile \"%s\" has both source_profile and credential_source: keep one of the two",
			      path, profile);
	if (!next && !named)
		return broken(r,
			      "%s: profile \"%s\" has role_arn, but neither source_profile nor credential_source says "
			      "whose keys assume it: add one of the two",
			      path, profile);
	cleanup(source_free_p) struct source *source = NULL;
	int result =
	    next ? from_source_profile(r, profile, next, &source) : from_credential_source(r, profile, named, &source);
	if (result)
		return result;
	cleanup(source_free_p) struct source *role = NULL;
	(void)assume(r, get(r, profile, "role_arn"), take_ptr(source), &role); /* always FOUND */
	if (take_role_options(r, profile, role))
		return BROKEN;
	*ret = take_ptr(role);
	return FOUND;
}

/* --- the chain --- */

/* "/root/.aws/config does not exist" */
static void add_file(const struct resolver *r, enum profiles_file file, const char *profile, struct buf *out)
{
	const char *absent = profiles_absent(r->profiles, file);
	buf_addf(out, ", %s ", profiles_path(r->profiles, file));
	if (absent)
		buf_add_text(out, absent);
	else
		buf_addf(out, "has no keys for profile \"%s\"", profile);
}

static char *describe_tried(const struct resolver *r, const char *profile)
{
	struct buf out = BUF_INIT(4096);
	buf_add_text(&out, r->request->profile ? "the environment is left out" : "AWS_ACCESS_KEY_ID is not set");
	add_file(r, PROFILES_CREDENTIALS, profile, &out);
	add_file(r, PROFILES_CONFIG, profile, &out);
	return buf_take(&out);
}

static int from_chain(struct resolver *r, const char *profile, bool named, struct source **ret)
{
	bool with_env = !r->request->profile;
	int result = with_env ? from_environment(r, profile, ret) : NONE;
	if (result == NONE && named && !profiles_has(r->profiles, profile))
		return broken(r, "there is no profile \"%s\": %s %s, %s %s", profile,
			      profiles_path(r->profiles, PROFILES_CREDENTIALS),
			      profiles_absent(r->profiles, PROFILES_CREDENTIALS) ?: "has no such section",
			      profiles_path(r->profiles, PROFILES_CONFIG),
			      profiles_absent(r->profiles, PROFILES_CONFIG) ?: "has no such section");
	if (result == NONE && wants_role(r, profile))
		result = from_role(r, profile, ret);
	if (result == NONE)
		result = from_profile(r, profile, with_env, ret);
	if (result == NONE)
		result = from_container(r, profile, ret);
	if (result != NONE)
		return result;
	cleanup(mem_free_p) char *tried = describe_tried(r, profile);
	result = from_instance(r, profile, ret);
	if (result == NONE)
		return broken(r,
			      "no AWS keys were found: give a profile some, or let the instance be asked, which "
			      "AWS_EC2_METADATA_DISABLED forbids; looked at: %s",
			      tried);
	if (result == FOUND)
		(*ret)->tried = take_ptr(tried);
	return result;
}

/* NULL: none is named. */
static const char *named_profile(const struct source_request *q)
{
	static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"};
	const char *profile = q->profile;
	for (size_t i = 0; !profile && i < array_len(variables); i++) {
		profile = q->lookup(q->lookup_ctx, variables[i]);
		if (profile && !*profile)
			profile = NULL;
	}
	return profile;
}

const char *source_profile(const struct source_request *request)
{
	const char *profile = named_profile(request);
	return profile ? profile : DEFAULT_PROFILE;
}

static int resolve(struct resolver *r, struct source **ret)
{
	const struct source_request *q = r->request;
	const char *profile = source_profile(q);
	bool named = named_profile(q) != NULL;
	r->visited[r->n_visited++] = profile;
	r->region = q->region;
	if (!r->region)
		r->region = endpoint_region(&(struct endpoint_settings){.env = q->lookup, .env_ctx = q->lookup_ctx});
	if (!r->region)
		r->region = get(r, profile, "region");
	if (!r->region)
		r->region = DEFAULT_REGION;
	struct source *found = NULL;
	int result = from_chain(r, profile, named, &found);
	if (result || !q->role_arn) {
		*ret = found;
		return result;
	}
	result = assume(r, q->role_arn, found, ret);
	(*ret)->session_name = mem_strdup(q->session_name ? q->session_name : SOURCE_SESSION_NAME);
	(*ret)->external_id = mem_strdup(q->external_id);
	return result;
}

int source_resolve(const struct source_request *request, struct source **ret, char *ret_error, size_t error_size)
{
	char error[1024] = "";
	struct source *found = NULL;
	struct resolver r = {.request = request, .profiles = request->profiles, .error = error, .size = sizeof(error)};
	if (resolve(&r, &found) != FOUND) {
		/* Names come from files that somebody else may have written. */
		text_copy_printable(ret_error, error_size, error);
		return 1;
	}
	*ret = found;
	return 0;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	source_free(s->source);
	aws_credentials_deinit(&s->keys);
	words_free(s->command);
	secret_free(s->authorization);
	char *const others[] = {s->text,	s->region,     s->role_arn,   s->session_name,
				s->external_id, s->token_file, s->account_id, s->role_name,
				s->profile,	s->url,	       s->tried};
	for (size_t i = 0; i < array_len(others); i++)
		secret_free(others[i]);
	free(s);
}

static bool same(const char *a, const char *b)
{
	return a && b ? text_equal_secret(a, b) : a == b;
}

static bool same_command(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && same(*a, *b)) {
		a++;
		b++;
	}
	return same(*a, *b);
}

bool source_equal(const struct source *a, const struct source *b)
{
	if (!a || !b)
		return a == b;
	return a->kind == b->kind && same(a->text, b->text) && source_equal(a->source, b->source) &&
	       same(a->keys.access_key_id, b->keys.access_key_id) &&
	       same(a->keys.secret_access_key, b->keys.secret_access_key) &&
	       same(a->keys.session_token, b->keys.session_token) &&
	       a->keys.expires_unix_ms == b->keys.expires_unix_ms && same(a->region, b->region) &&
	       same(a->role_arn, b->role_arn) && same(a->session_name, b->session_name) &&
	       same(a->external_id, b->external_id) && a->duration_s == b->duration_s &&
	       same(a->token_file, b->token_file) && same(a->account_id, b->account_id) &&
	       same(a->role_name, b->role_name) && same(a->profile, b->profile) &&
	       same_command(a->command, b->command) && same(a->url, b->url) &&
	       same(a->authorization, b->authorization) && a->v1_refused == b->v1_refused &&
	       a->timeout_ms == b->timeout_ms && a->tries == b->tries;
}
