#include "daemon/io/echo.h"

#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "base/text.h"

#define SECRET_MIN 16 /* characters */

/* Overwrites what the request had as a secret, wherever it stands in these bytes. Real ones are long, and a word that
 * somebody tries things out with is to be found in any answer. */
static void mask(char *bytes, size_t len, const char *secret, size_t secret_len)
{
	char *at;
	while (secret_len >= SECRET_MIN && len >= secret_len && (at = memmem(bytes, len, secret, secret_len))) {
		memset(at, '*', secret_len);
		len -= (size_t)(at - bytes) + secret_len;
		bytes = at + secret_len;
	}
}

/* The value of a header that nobody may see again; "": it is not one of those. Of a signature's header, the rest is
 * no secret, and helps whoever has to find out what is wrong with it. */
static const char *secret_of(const char *line)
{
	static const char *const tokens[] = {
	    "X-Amz-Security-Token: ", "X-Amz-Sso_Bearer_Token: ", "X-Aws-Ec2-Metadata-Token: "};
	static const char signature[] = "Authorization: ";
	for (size_t i = 0; i < array_len(tokens); i++)
		if (strncasecmp(line, tokens[i], strlen(tokens[i])) == 0)
			return line + strlen(tokens[i]);
	const char *at = strncasecmp(line, signature, sizeof(signature) - 1) == 0 ? strstr(line, "Signature=") : NULL;
	if (at)
		return at + strlen("Signature=");
	return strncasecmp(line, signature, sizeof(signature) - 1) == 0 ? line + sizeof(signature) - 1 : "";
}

static void mask_everywhere(const struct echo *e, const char *secret, size_t len)
{
	mask(e->body->data, e->body->len, secret, len);
	for (size_t i = 0; i < e->n_headers; i++)
		mask((char *)e->headers[i].value, strlen(e->headers[i].value), secret, len); /* an arena's */
	mask(e->error, strlen(e->error), secret, len);
}

/* A web identity is asked with in the body, as STS has it: as it was sent there, and as whoever reads forms sees it. */
static void mask_web_identity(const struct echo *e)
{
	static const char name[] = "WebIdentityToken=";
	const struct buf *sent = e->sent_secret;
	const char *at = sent && sent->len > 0 ? memmem(sent->data, sent->len, name, sizeof(name) - 1) : NULL;
	if (!at)
		return;
	const char *end = sent->data + sent->len;
	at += sizeof(name) - 1;
	const char *behind = memchr(at, '&', (size_t)(end - at));
	end = behind ? behind : end;
	mask_everywhere(e, at, (size_t)(end - at));
	struct buf plain = BUF_INIT_SECRET(sent->len + 1);
	for (; at < end; at++) {
		int decoded = text_percent_byte(at, (size_t)(end - at));
		buf_add_char(&plain, decoded >= 0 ? (char)decoded : *at);
		at += decoded >= 0 ? 2 : 0;
	}
	mask_everywhere(e, buf_text(&plain), plain.len);
	buf_wipe(&plain);
}

void echo_mask(const struct echo *e)
{
	for (const struct curl_slist *item = e->sent_headers; item; item = item->next) {
		const char *secret = secret_of(item->data);
		mask_everywhere(e, secret, strlen(secret));
	}
	mask_web_identity(e);
}
