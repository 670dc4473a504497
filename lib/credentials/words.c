#include "credentials/words.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/secret.h"

#define LINE_MAX_BYTES 65536

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int take_quoted(const char **at, struct buf *word)
{
	char quote = *(*at)++;
	while (**at && **at != quote) {
		bool escapes = quote == '"' && **at == '\\' && ((*at)[1] == '"' || (*at)[1] == '\\');
		*at += escapes;
		buf_add_char(word, *(*at)++);
	}
	if (!**at)
		return WORDS_OPEN_QUOTE;
	(*at)++;
	return WORDS_OK;
}

static int take_word(const char **at, struct buf *word)
{
	while (**at && !is_blank(**at)) {
		if (**at == '\'' || **at == '"') {
			int r = take_quoted(at, word);
			if (r)
				return r;
			continue;
		}
		if (**at == '\\' && !*++*at)
			return WORDS_OPEN_BACKSLASH;
		buf_add_char(word, *(*at)++);
	}
	return WORDS_OK;
}

int words_split(const char *line, char ***ret)
{
	char **words = mem_array(WORDS_MAX + 1, sizeof(*words));
	size_t n = 0;
	int r = WORDS_OK;
	for (const char *at = line;;) {
		while (is_blank(*at))
			at++;
		if (!*at)
			break;
		struct buf word cleanup(buf_wipe) = BUF_INIT_SECRET(LINE_MAX_BYTES);
		r = n == WORDS_MAX ? WORDS_TOO_MANY : take_word(&at, &word);
		if (!r && !buf_ok(&word))
			r = WORDS_TOO_MANY;
		if (r)
			break;
		words[n++] = buf_take(&word);
	}
	if (r) {
		words_free(words);
		return r;
	}
	*ret = words;
	return WORDS_OK;
}

void words_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		secret_free(words[i]);
	free(words);
}
