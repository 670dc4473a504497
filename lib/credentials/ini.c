#include "credentials/ini.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/strmap.h"
#include "base/text.h"

#define DEFAULTS     "DEFAULT"
#define KEYS_MAX     256 /* of a section */
#define SECTIONS_MAX 16384

struct entry {
	char *group; /* NULL: of the section itself */
	char *key;
	char *value; /* NULL: the key is the name of a group */
};

struct section {
	char *name;
	struct entry *entries;
	size_t n;
	size_t cap;
};

struct ini {
	struct section **sections; /* pointers, as the map has them too */
	size_t n;
	size_t cap;
	struct section defaults;
	struct strmap by_name;
};

struct reader {
	struct ini *ini;
	struct section *section; /* NULL: before the first header */
	unsigned line;
	unsigned key_line;
	char *key; /* whose value is being read; NULL: none */
	size_t indent;
	struct buf value;
	char *error;
	size_t error_size;
};

struct text {
	const char *at;
	size_t len;
};

static int wrong(const struct reader *r, unsigned line, const char *what)
{
	snprintf(r->error, r->error_size, "line %u %s", line, what);
	return 1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\n';
}

static struct text trimmed(struct text t)
{
	while (t.len > 0 && is_blank(t.at[0])) {
		t.at++;
		t.len--;
	}
	while (t.len > 0 && is_blank(t.at[t.len - 1]))
		t.len--;
	return t;
}

static char *copy(struct text t)
{
	return mem_strndup(t.at, t.len);
}

static char *copy_lower(struct text t)
{
	char *s = copy(t);
	for (char *c = s; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return s;
}

/* --- sections and entries --- */

static void deinit_section(struct section *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->entries[i].group);
		free(s->entries[i].key);
		secret_free(s->entries[i].value);
	}
	free(s->entries);
	free(s->name);
}

static struct entry *find_entry(const struct section *s, const char *group, const char *key)
{
	for (size_t i = 0; i < s->n; i++) {
		struct entry *e = &s->entries[i];
		bool same = group ? e->group && strcmp(e->group, group) == 0 : !e->group;
		if (same && strcmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

static int add_entry(struct reader *r, const struct entry *e)
{
	struct section *s = r->section;
	if (s->n == KEYS_MAX) {
		secret_free(e->value);
		free(e->key);
		free(e->group);
		return wrong(r, r->key_line, "has one key more than a section may have here (256)");
	}
	s->entries = mem_grow(s->entries, &s->cap, s->n + 1, sizeof(*s->entries));
	s->entries[s->n++] = *e;
	return 0;
}

/* --- values: they are whole when the next key, section or the end comes --- */

static int take_group(struct reader *r, struct text value)
{
	for (size_t at = 0; at < value.len;) {
		const char *end = memchr(value.at + at, '\n', value.len - at);
		size_t len = end ? (size_t)(end - value.at) - at : value.len - at;
		struct text line = trimmed((struct text){.at = value.at + at, .len = len});
		at += len + 1;
		if (line.len == 0)
			continue;
		const char *equals = memchr(line.at, '=', line.len);
		if (!equals)
			return wrong(r, r->key_line,
				     "begins a group of keys, and a line below it is not \"key = value\"");
		size_t key_len = (size_t)(equals - line.at);
		struct entry e = {
		    .group = mem_strdup(r->key),
		    .key = copy(trimmed((struct text){.at = line.at, .len = key_len})),
		    .value = copy(trimmed((struct text){.at = equals + 1, .len = line.len - key_len - 1})),
		};
		struct entry *old = find_entry(r->section, e.group, e.key);
		if (old) { /* the last one counts */
			secret_free(old->value);
			old->value = take_ptr(e.value);
			free(e.group);
			free(e.key);
		} else if (add_entry(r, &e)) {
			return 1;
		}
	}
	return 0;
}

static int end_value(struct reader *r)
{
	if (!r->key)
		return 0;
	struct text whole = {.at = buf_text(&r->value), .len = r->value.len};
	while (whole.len > 0 && is_blank(whole.at[whole.len - 1]))
		whole.len--;
	bool group = whole.len > 0 && whole.at[0] == '\n';
	int result = group ? take_group(r, whole) : 0;
	struct entry e = {.value = group ? NULL : copy(whole)};
	e.key = take_ptr(r->key);
	secret_wipe(r->value.data, r->value.len);
	buf_reset(&r->value);
	int added = add_entry(r, &e);
	return result ? result : added;
}

/* --- lines --- */

static int take_section(struct reader *r, struct text line)
{
	const char *end = memrchr(line.at, ']', line.len);
	if (!end || end == line.at + 1)
		return wrong(r, r->line, "starts with '[' but is no section like [default]");
	char *name cleanup(mem_free_p) = copy((struct text){.at = line.at + 1, .len = (size_t)(end - line.at - 1)});
	if (strcmp(name, DEFAULTS) == 0) {
		r->section = &r->ini->defaults;
		return 0;
	}
	if (strmap_get(&r->ini->by_name, name))
		return wrong(r, r->line, "begins a section for the second time: make one of the two");
	if (r->ini->n == SECTIONS_MAX)
		return wrong(r, r->line, "begins one section more than a file may have here (16384)");
	struct section *s = mem_alloc(sizeof(*s));
	s->name = take_ptr(name);
	r->ini->sections = mem_grow(r->ini->sections, &r->ini->cap, r->ini->n + 1, sizeof(struct section *));
	r->ini->sections[r->ini->n++] = s;
	strmap_put(&r->ini->by_name, s->name, s);
	r->section = s;
	return 0;
}

static int take_option(struct reader *r, struct text line)
{
	if (!r->section)
		return wrong(r, r->line, "comes before the first section: put it below a line like [default]");
	size_t at = 0;
	while (at < line.len && line.at[at] != '=' && line.at[at] != ':')
		at++;
	struct text key = trimmed((struct text){.at = line.at, .len = at});
	if (at == line.len || key.len == 0)
		return wrong(r, r->line, "is neither a section, a comment nor \"key = value\"");
	struct text value = trimmed((struct text){.at = line.at + at + 1, .len = line.len - at - 1});
	r->key = copy_lower(key);
	r->key_line = r->line;
	if (find_entry(r->section, NULL, r->key))
		return wrong(r, r->line, "gives a key that this section has already");
	buf_add(&r->value, value.at, value.len);
	return 0;
}

static int take_line(struct reader *r, struct text whole)
{
	struct text line = trimmed(whole);
	if (line.len > 0 && (line.at[0] == '#' || line.at[0] == ';'))
		return 0;
	if (line.len == 0) { /* part of a value that goes on below it */
		if (r->key)
			buf_add_char(&r->value, '\n');
		return 0;
	}
	size_t indent = (size_t)(line.at - whole.at);
	if (r->key && indent > r->indent) {
		buf_add_char(&r->value, '\n');
		buf_add(&r->value, line.at, line.len);
		return 0;
	}
	int result = end_value(r);
	if (result)
		return result;
	r->indent = indent;
	return line.at[0] == '[' ? take_section(r, line) : take_option(r, line);
}

static int read_lines(struct reader *r, const char *text, size_t len)
{
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* an editor's byte order mark */
		text += 3;
		len -= 3;
	}
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end - text) - at : len - at;
		r->line++;
		int result = take_line(r, (struct text){.at = text + at, .len = line_len});
		if (result)
			return result;
		at += line_len + 1;
	}
	return end_value(r);
}

/* --- the face --- */

int ini_parse(const char *text, size_t len, struct ini **ret, char *ret_error, size_t error_size)
{
	if (len > LIMIT_CREDENTIALS_FILE) {
		snprintf(ret_error, error_size, "it is larger than 256 KiB, which no such file is");
		return 1;
	}
	if (memchr(text, '\0', len) || !text_is_utf8(text, len)) {
		snprintf(ret_error, error_size, "it is not UTF-8 text");
		return 1;
	}
	struct ini *ini = mem_alloc(sizeof(*ini));
	struct reader r = {
	    .ini = ini, .value = BUF_INIT_SECRET(LIMIT_CREDENTIALS_FILE), .error = ret_error, .error_size = error_size};
	int result = read_lines(&r, text, len);
	free(r.key);
	buf_wipe(&r.value);
	if (result) {
		ini_free(ini);
		return result;
	}
	*ret = ini;
	return 0;
}

void ini_free(struct ini *ini)
{
	if (!ini)
		return;
	for (size_t i = 0; i < ini->n; i++) {
		deinit_section(ini->sections[i]);
		free(ini->sections[i]);
	}
	deinit_section(&ini->defaults);
	free(ini->sections);
	strmap_deinit(&ini->by_name);
	free(ini);
}

size_t ini_n_sections(const struct ini *ini)
{
	return ini->n;
}

const char *ini_section(const struct ini *ini, size_t index)
{
	return ini->sections[index]->name;
}

bool ini_has(const struct ini *ini, const char *section)
{
	return strmap_get(&ini->by_name, section) != NULL;
}

const char *ini_get(const struct ini *ini, const char *section, const char *group, const char *key)
{
	const struct section *s = strmap_get(&ini->by_name, section);
	const struct entry *e = s ? find_entry(s, group, key) : NULL;
	/* A section that has the group itself does not share it with [DEFAULT]. */
	bool own_group = s && group && find_entry(s, NULL, group);
	if (s && !e && !own_group)
		e = find_entry(&ini->defaults, group, key);
	return e ? e->value : NULL;
}
