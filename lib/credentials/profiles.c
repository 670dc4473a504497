#include "credentials/profiles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/strmap.h"
#include "base/text.h"
#include "credentials/ini.h"
#include "credentials/words.h"

struct file {
	char *path;
	char *absent;
	struct ini *ini; /* NULL: absent */
};

struct profiles {
	struct file files[PROFILES_N_FILES];
	/* Names to the names of their sections in the config file, borrowed from its ini. */
	struct strmap profiles;
	struct strmap sessions;
	struct strmap services;
};

static const char *filled(const char *value)
{
	return value && *value ? value : NULL;
}

/* As the SDK does it: what begins with the word, and is two shell words, the second of which is the name. Of two
 * sections with one name, "[profile x]" and "[profile \"x\"]", the later one counts. */
static void add_section(struct profiles *p, const char *section)
{
	struct strmap *map = NULL;
	char **words;
	if (text_starts_with(section, "profile"))
		map = &p->profiles;
	else if (text_starts_with(section, "sso-session"))
		map = &p->sessions;
	else if (text_starts_with(section, "services"))
		map = &p->services;
	else if (strcmp(section, "default") == 0)
		strmap_put(&p->profiles, section, (void *)section);
	if (!map || words_split(section, &words))
		return;
	if (words[0] && words[1] && !words[2])
		strmap_put(map, words[1], (void *)section);
	words_free(words);
}

int profiles_parse(const struct profiles_text files[static PROFILES_N_FILES], struct profiles **ret, char *ret_error,
		   size_t error_size)
{
	struct profiles *p = mem_alloc(sizeof(*p));
	for (size_t i = 0; i < PROFILES_N_FILES; i++) {
		char why[200];
		p->files[i].path = mem_strdup(files[i].path);
		p->files[i].absent = files[i].text ? NULL : mem_strdup(files[i].absent);
		if (!files[i].text || !ini_parse(files[i].text, files[i].len, &p->files[i].ini, why, sizeof(why)))
			continue;
		snprintf(ret_error, error_size, "%s: %s", files[i].path, why);
		profiles_free(p);
		return 1;
	}
	const struct ini *config = p->files[PROFILES_CONFIG].ini;
	for (size_t i = 0; config && i < ini_n_sections(config); i++)
		add_section(p, ini_section(config, i));
	*ret = p;
	return 0;
}

/* --- from the files --- */

static const struct {
	const char *variable;
	const char *standard;
} places[PROFILES_N_FILES] = {
    [PROFILES_CREDENTIALS] = {"AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"},
    [PROFILES_CONFIG] = {"AWS_CONFIG_FILE", "~/.aws/config"},
};

struct loaded {
	char *path;
	char *text;
	size_t len;
};

static void unload(struct loaded (*list)[PROFILES_N_FILES])
{
	struct loaded *files = *list;
	for (size_t i = 0; i < PROFILES_N_FILES; i++) {
		free(files[i].path);
		if (files[i].text)
			secret_wipe(files[i].text, files[i].len);
		free(files[i].text);
	}
}

/* "~/" stands for $HOME. *ret_absent: why there is no file. Returns 0, or 1 with the error. */
static int load(enum profiles_file file, credentials_lookup lookup, void *lookup_ctx, profiles_read read,
		void *read_ctx, struct loaded *out, const char **ret_absent, char *ret_error, size_t size)
{
	const char *given = filled(lookup(lookup_ctx, places[file].variable));
	const char *path = given ? given : places[file].standard;
	const char *home = filled(lookup(lookup_ctx, "HOME"));
	if (text_starts_with(path, "~/") && !home) {
		out->path = mem_strdup(path);
		*ret_absent = "cannot be found, as HOME is not set";
		return 0;
	}
	out->path = text_starts_with(path, "~/") ? mem_printf("%s%s", home, path + 1) : mem_strdup(path);
	int r = read(read_ctx, out->path, LIMIT_CREDENTIALS_FILE, &out->text, &out->len);
	/* For the SDK a folder or /dev/null is no file, too. */
	*ret_absent = r == -EINVAL ? "is not a regular file" : "does not exist";
	if (r == 0 || r == -ENOENT || r == -ENOTDIR || r == -EINVAL)
		return 0;
	snprintf(ret_error, size, "%s %s", out->path,
		 r == -EFBIG	? "is larger than 256 KiB, which no such file is"
		 : r == -EACCES ? "may not be read by this user: check its owner and mode, and those of its folders"
				: strerror(-r));
	return 1;
}

int profiles_load(credentials_lookup lookup, void *lookup_ctx, profiles_read read, void *read_ctx,
		  struct profiles **ret, char *ret_error, size_t error_size)
{
	struct loaded files[PROFILES_N_FILES] cleanup(unload) = {0};
	struct profiles_text texts[PROFILES_N_FILES] = {0};
	for (enum profiles_file i = 0; i < PROFILES_N_FILES; i++) {
		if (load(i, lookup, lookup_ctx, read, read_ctx, &files[i], &texts[i].absent, ret_error, error_size))
			return 1;
		texts[i].path = files[i].path;
		texts[i].text = files[i].text;
		texts[i].len = files[i].len;
	}
	return profiles_parse(texts, ret, ret_error, error_size);
}

void profiles_free(struct profiles *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < PROFILES_N_FILES; i++) {
		free(p->files[i].path);
		free(p->files[i].absent);
		ini_free(p->files[i].ini);
	}
	strmap_deinit(&p->profiles);
	strmap_deinit(&p->sessions);
	strmap_deinit(&p->services);
	free(p);
}

static const char *section_of(const struct profiles *p, enum profiles_file file, const char *profile)
{
	const struct ini *ini = p->files[file].ini;
	if (file == PROFILES_CONFIG)
		return strmap_get(&p->profiles, profile);
	return ini && ini_has(ini, profile) ? profile : NULL;
}

bool profiles_has(const struct profiles *p, const char *profile)
{
	return section_of(p, PROFILES_CREDENTIALS, profile) || section_of(p, PROFILES_CONFIG, profile);
}

const char *profiles_get_from(const struct profiles *p, enum profiles_file file, const char *profile, const char *key)
{
	const char *section = section_of(p, file, profile);
	return section ? filled(ini_get(p->files[file].ini, section, NULL, key)) : NULL;
}

const char *profiles_get(const struct profiles *p, const char *profile, const char *key)
{
	const char *value = profiles_get_from(p, PROFILES_CREDENTIALS, profile, key);
	return value ? value : profiles_get_from(p, PROFILES_CONFIG, profile, key);
}

bool profiles_has_services(const struct profiles *p, const char *name)
{
	return strmap_get(&p->services, name) != NULL;
}

const char *profiles_get_service(const struct profiles *p, const char *profile, const char *service_id, const char *key)
{
	const char *name = profiles_get(p, profile, "services");
	const char *section = name ? strmap_get(&p->services, name) : NULL;
	return section ? filled(ini_get(p->files[PROFILES_CONFIG].ini, section, service_id, key)) : NULL;
}

bool profiles_has_session(const struct profiles *p, const char *session)
{
	return strmap_get(&p->sessions, session) != NULL;
}

const char *profiles_get_session(const struct profiles *p, const char *session, const char *key)
{
	const char *section = strmap_get(&p->sessions, session);
	return section ? filled(ini_get(p->files[PROFILES_CONFIG].ini, section, NULL, key)) : NULL;
}

const char *profiles_path_of(const struct profiles *p, const char *profile, const char *key)
{
	bool first = profiles_get_from(p, PROFILES_CREDENTIALS, profile, key) != NULL;
	return p->files[first ? PROFILES_CREDENTIALS : PROFILES_CONFIG].path;
}

const char *profiles_path(const struct profiles *p, enum profiles_file file)
{
	return p->files[file].path;
}

const char *profiles_absent(const struct profiles *p, enum profiles_file file)
{
	return p->files[file].absent;
}
