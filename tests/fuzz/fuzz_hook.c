/*
 * What hooks say: the answer of a Lambda function, and the output of a program. The first byte chooses. Whatever it is,
 * it becomes a yes or a no, and a sentence for an operator.
 */
#include "daemon/hook.c"
/* Both have one, and neither is of use here. */
#define finish finish_gate
#include "engine/gate.c"

#include "fuzz.h"

/* An answer that begins like an object is never a yes when it says no or cannot be read. */
static bool may_say_no(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);
	const char *status = json_string_value(json_object_get(j, "status"));
	bool no =
	    text[strspn(text, " \t\r\n")] == '{' && (!j || (status && *status && strcasecmp(status, "Succeeded") != 0));
	json_decref(j);
	return no;
}

static void fuzz_answer(const char *text, size_t len, bool failed)
{
	struct http_response r = {.status = 200, .body = text, .body_len = len};
	struct aws_error error;
	char shown[LIMIT_REASON], sentence[LIMIT_REASON];
	if (failed)
		r.headers[r.n_headers++] = (struct http_header){.name = "X-Amz-Function-Error", .value = "Unhandled"};
	r.headers[r.n_headers++] = (struct http_header){.name = "X-Amz-Executed-Version", .value = text};
	struct lambda_invoked *x cleanup(mem_free_p) = mem_alloc(sizeof(*x));
	int rc = lambda_parse_invoke(&r, x, &error);
	require(rc == 0 && x->failed == failed);
	fuzz_check_printable(x->payload, sizeof(x->payload));
	fuzz_check_printable(x->status, sizeof(x->status));
	fuzz_check_printable(x->reason, sizeof(x->reason));
	fuzz_check_printable(x->executed_version, sizeof(x->executed_version));
	require(strlen(text) != len || !may_say_no(text) || (x->status[0] && strcasecmp(x->status, "Succeeded") != 0));
	error_message(x->payload, shown, sizeof(shown));
	fuzz_check_printable(shown, sizeof(shown));
	(void)snprintf(sentence, sizeof(sentence), "failed: %.*s", HINT_CHARS, shown);
	text_copy_printable(shown, sizeof(shown), sentence);
	fuzz_check_sentence(shown, sizeof(shown));
}

/* In pieces, as a pipe gives it. */
static void fuzz_output(const char *bytes, size_t len, size_t piece)
{
	struct hook *h cleanup(mem_free_p) = mem_alloc(sizeof(*h));
	char output[LIMIT_HOOK_OUTPUT_BYTES + 1], line[LIMIT_REASON];
	for (size_t at = 0; at < len; at += piece)
		keep(h, bytes + at, len - at < piece ? len - at : piece);
	require(h->len == (len < sizeof(h->tail) ? len : sizeof(h->tail)));
	require(memcmp(h->tail, bytes + len - h->len, h->len) == 0);
	format_output(h, output);
	fuzz_check_printable(output, sizeof(output));
	require(output[0] != ' ');
	last_line(output, line, sizeof(line));
	require(strlen(line) < sizeof(line) && !strchr(line, '\n'));
}

/* As a plan may name a function: the name and what qualifies it, without what they were taken from. */
static void fuzz_target(const char *text)
{
	struct gate_run *g cleanup(mem_free_p) = mem_alloc(sizeof(*g));
	struct plan_hook hook = {.kind = PLAN_HOOK_INVOKE, .target = text};
	char region[40];
	g->hook = &hook;
	split_target(g);
	require(strlen(g->function) < sizeof(g->function) && strlen(g->qualifier) < sizeof(g->qualifier));
	gate_hook_region(&hook, "us-east-1", region, sizeof(region));
	require(region[0] && strlen(region) < sizeof(region));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	if (size < 1)
		return;
	cleanup(mem_free_p) char *text = fuzz_text(data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
	case 1:
		fuzz_answer(text, size - 1, data[0] % 4 == 1);
		break;
	case 2:
		fuzz_output(text, size - 1, (size_t)data[0] * 16 + 1);
		break;
	default:
		fuzz_target(text);
	}
}
