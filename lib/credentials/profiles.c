#include "credentials/profiles.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
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
