#include "credentials/sts.h"

#include "aws/request.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"

#define FORM	"application/x-www-form-urlencoded; charset=utf-8"
#define VERSION "2011-06-15"

static void take_form(struct http_request *r, struct arena *a, const struct aws_endpoint *e, struct buf *form)
{
	request_init(r, a, e, "POST", "/", "");
	/* Files are smaller than the buffer's cap, and so is what came out of them. */
	require(request_take_body(r, a, form, FORM) == 0);
	buf_wipe(form);
}

void sts_build_assume_role(const struct source *source, struct arena *a, const struct aws_endpoint *e,
			   struct http_request *ret)
{
	struct buf form = BUF_INIT_SECRET(LIMIT_AWS_REQUEST_BYTES);
	buf_add_text(&form, "Action=AssumeRole&Version=" VERSION);
	request_add_parameter(&form, "RoleArn", source->role_arn);
	request_add_parameter(&form, "RoleSessionName", source->session_name);
	request_add_parameter(&form, "ExternalId", source->external_id);
	if (source->duration_s > 0)
		buf_addf(&form, "&DurationSeconds=%u", source->duration_s);
	take_form(ret, a, e, &form);
}

void sts_build_web_identity(const struct source *source, const char *token, struct arena *a,
			    const struct aws_endpoint *e, struct http_request *ret)
{
	struct buf form = BUF_INIT_SECRET(LIMIT_AWS_REQUEST_BYTES);
	buf_add_text(&form, "Action=AssumeRoleWithWebIdentity&Version=" VERSION);
	request_add_parameter(&form, "RoleArn", source->role_arn);
	request_add_parameter(&form, "RoleSessionName", source->session_name);
	request_add_parameter(&form, "WebIdentityToken", token);
	take_form(ret, a, e, &form);
}

void sts_build_sso(const struct source *source, const char *token, struct arena *a, const struct aws_endpoint *e,
		   struct http_request *ret)
{
	struct buf query = BUF_INIT(LIMIT_AWS_REQUEST_BYTES);
	request_add_parameter(&query, "role_name", source->role_name);
	request_add_parameter(&query, "account_id", source->account_id);
	request_init(ret, a, e, "GET", "/federation/credentials", buf_text(&query));
	http_request_add_header(ret, "x-amz-sso_bearer_token", token);
	buf_deinit(&query);
}
