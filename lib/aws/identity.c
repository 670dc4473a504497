#include "aws/identity.h"

#include <string.h>

#include "aws/request.h"
#include "aws/xml.h"
#include "base/text.h"

#define FORM	   "application/x-www-form-urlencoded; charset=utf-8"
#define BODY	   "Action=GetCallerIdentity&Version=2011-06-15"
#define ACCOUNT_ID 12 /* digits */

void identity_build_get(struct arena *a, const struct aws_endpoint *e, struct http_request *ret)
{
	request_init(ret, a, e, "POST", "/", "");
	ret->body = BODY;
	ret->body_len = strlen(BODY);
	http_request_add_header(ret, "Content-Type", FORM);
}

static bool read_element(const char *body, const char *name, char *out, size_t size)
{
	char text[IDENTITY_ARN_SIZE];
	size_t len;
	const char *found = xml_find(body, name, &len);
	if (!found || len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, found, len);
	text[len] = '\0';
	xml_decode(text);
	if (strlen(text) >= size)
		return false;
	text_copy_printable(out, size, text);
	return true;
}

int identity_parse(const struct http_response *response, struct identity *ret, struct aws_error *ret_error)
{
	struct identity found = {0};
	const char *body = response->body;
	size_t len;
	if (!xml_find(body, "GetCallerIdentityResult", &len) ||
	    !read_element(body, "Arn", found.arn, sizeof(found.arn)) || !text_starts_with(found.arn, "arn:") ||
	    !read_element(body, "Account", found.account_id, sizeof(found.account_id)) ||
	    strlen(found.account_id) != ACCOUNT_ID || strspn(found.account_id, "0123456789") != ACCOUNT_ID) {
		aws_error_malformed(response, "STS's words for whose keys these are", ret_error);
		return 1;
	}
	*ret = found;
	return 0;
}
