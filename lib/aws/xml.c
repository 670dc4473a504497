#include "aws/xml.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

const char *xml_find(const char *body, const char *name, size_t *ret_len)
{
	char open[64], close[64];
	int len = snprintf(open, sizeof(open), "<%s>", name);
	require(len > 0 && (size_t)len < sizeof(open) - 1);
	snprintf(close, sizeof(close), "</%s>", name);
	const char *start = strstr(body, open);
	const char *end = start ? strstr(start, close) : NULL;
	if (!end)
		return NULL;
	start += len;
	*ret_len = (size_t)(end - start);
	return start;
}

void xml_decode(char *text)
{
	static const struct {
		const char *name;
		char c;
	} entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}};
	char *out = text;
	while (*text) {
		size_t i = 0;
		while (i < array_len(entities) && !text_starts_with(text, entities[i].name))
			i++;
		if (i < array_len(entities)) {
			*out++ = entities[i].c;
			text += strlen(entities[i].name);
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}
