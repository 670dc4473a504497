/*
 * Nothing here allocates but through the buffers: paths are normalised in the output, query parameters are compared
 * in their encoded form without being written out first, and headers are sorted as pointers.
 */
#include "aws/sigv4_canonical.h"

#include <string.h>

#include "base/error.h"

struct span {
	const char *at;
	size_t len;
};

static void truncate_to(struct buf *b, size_t len)
{
	if (b->len > len) {
		b->len = len;
		b->data[len] = '\0';
	}
}

/* --- path --- */

static bool is_dots(struct span s, size_t dots)
{
	return s.len == dots && memcmp(s.at, "..", dots) == 0;
}

/* Drops "", "." and "x/.."; keeps a final slash. As the segments are encoded again, a '/' in the output is always a
 * separator, so going up is cutting the output at its last one. */
static void add_normalized_path(struct buf *b, const char *path)
{
	size_t start = b->len;
	size_t len = strlen(path);
	for (const char *at = path; *at;) {
		at += *at == '/';
		struct span segment = {.at = at, .len = strcspn(at, "/")};
		at += segment.len;
		if (segment.len == 0 || is_dots(segment, 1))
			continue;
		if (is_dots(segment, 2)) {
			size_t end = b->len;
			while (end > start && b->data[end - 1] != '/')
				end--;
			truncate_to(b, end > start ? end - 1 : start);
			continue;
		}
		buf_add(b, "/", 1);
		buf_add_uri(b, segment.at, segment.len, false);
	}
	if (b->len == start || (len > 0 && path[len - 1] == '/'))
		buf_add(b, "/", 1);
}

static void add_path(struct buf *b, const char *path, bool normalize)
{
	if (!*path)
		buf_add(b, "/", 1);
	else if (normalize)
		add_normalized_path(b, path);
	else
		buf_add_uri(b, path, strlen(path), true);
}

/* --- query --- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Walks wire text as its canonical encoding: decodes an escape and encodes the byte again, so that "%7e" and "~" come
 * out the same. A '%' that starts no escape stands for itself. */
struct encoder {
	const char *at;
	const char *end;
	char out[3];
	unsigned ready; /* bytes of `out` still to be given */
};

static struct encoder encode_span(struct span s)
{
	return (struct encoder){.at = s.at, .end = s.at + s.len};
}

/* The next byte of the encoding, or -1. */
static int encoder_next(struct encoder *e)
{
	static const char hex[] = "0123456789ABCDEF";
	if (e->ready > 0)
		return (unsigned char)e->out[3 - e->ready--];
	if (e->at == e->end)
		return -1;
	unsigned char c = (unsigned char)*e->at++;
	if (c == '%' && e->end - e->at >= 2 && hex_value(e->at[0]) >= 0 && hex_value(e->at[1]) >= 0) {
		c = (unsigned char)(hex_value(e->at[0]) * 16 + hex_value(e->at[1]));
		e->at += 2;
	}
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	    c == '_' || c == '~')
		return c;
	e->out[0] = '%';
	e->out[1] = hex[c >> 4];
	e->out[2] = hex[c & 15];
	e->ready = 2;
	return '%';
}

static void add_encoded(struct buf *b, struct span s)
{
	struct encoder e = encode_span(s);
	for (int c; (c = encoder_next(&e)) >= 0;)
		buf_add_char(b, (char)c);
}

static int compare_encoded(struct span a, struct span b)
{
	struct encoder x = encode_span(a);
	struct encoder y = encode_span(b);
	for (;;) {
		int p = encoder_next(&x);
		int q = encoder_next(&y);
		if (p != q)
			return p < q ? -1 : 1;
		if (p < 0)
			return 0;
	}
}

struct pair {
	struct span key;
	struct span value;
};

static bool pair_before(const struct pair *a, const struct pair *b)
{
	int order = compare_encoded(a->key, b->key);
	return order ? order < 0 : compare_encoded(a->value, b->value) < 0;
}

static void add_query(struct buf *b, const char *query)
{
	struct pair pairs[SIGV4_QUERY_PAIRS];
	size_t n = 0;
	for (const char *at = query; *at;) {
		size_t len = strcspn(at, "&");
		if (len > 0) {
			if (n == SIGV4_QUERY_PAIRS) {
				b->overflow = true;
				return;
			}
			const char *equals = memchr(at, '=', len);
			size_t key_len = equals ? (size_t)(equals - at) : len;
			struct pair fresh = {.key = {at, key_len}};
			fresh.value.at = equals ? equals + 1 : at + len;
			fresh.value.len = (size_t)(at + len - fresh.value.at);
			size_t place = n++;
			for (; place > 0 && pair_before(&fresh, &pairs[place - 1]); place--)
				pairs[place] = pairs[place - 1];
			pairs[place] = fresh;
		}
		at += len;
		at += *at == '&';
	}
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add(b, "&", 1);
		add_encoded(b, pairs[i].key);
		buf_add(b, "=", 1);
		add_encoded(b, pairs[i].value);
	}
}

/* --- headers --- */

/* Set by what carries the request, so the service may see another value than the one that was signed. */
static const char *const never_signed[] = {
    "authorization", "connection",	  "expect",	     "keep-alive", "te", "trailer", "upgrade", "user-agent",
    "proxy-*",	     "transfer-encoding", "x-amzn-trace-id",
};

static int compare_names(const char *a, const char *b)
{
	while (*a && sigv4_lower(*a) == sigv4_lower(*b)) {
		a++;
		b++;
	}
	return (int)sigv4_lower(*a) - (int)sigv4_lower(*b);
}

static bool matches_pattern(const char *name, const char *pattern)
{
	while (*pattern && *pattern != '*' && sigv4_lower(*name) == (unsigned char)*pattern) {
		name++;
		pattern++;
	}
	return *pattern == '*' || (!*pattern && !*name);
}

/* Whether the list "a;b;c" (in lower case) has the name. */
static bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = list; *at;) {
		size_t item = strcspn(at, ";");
		size_t same = 0;
		while (same < item && same < len && (unsigned char)at[same] == sigv4_lower(name[same]))
			same++;
		if (item == len && same == len)
			return true;
		at += item;
		at += *at == ';';
	}
	return false;
}

static bool is_signed(const struct sigv4_canonical_rules *rules, const char *name)
{
	if (rules->signed_names)
		return list_has(rules->signed_names, name);
	if (rules->omit_token && compare_names(name, "x-amz-security-token") == 0)
		return false;
	for (size_t i = 0; i < array_len(never_signed); i++)
		/* The first letter rules out nearly all at once. */
		if (sigv4_lower(*name) == (unsigned char)*never_signed[i] && matches_pattern(name, never_signed[i]))
			return false;
	return true;
}

static void insert_sorted(const struct http_header **list, size_t n, const struct http_header *h)
{
	/* Stable: headers of the same name keep their order. */
	for (; n > 0 && compare_names(h->name, list[n - 1]->name) < 0; n--)
		list[n] = list[n - 1];
	list[n] = h;
}

static void add_lower(struct buf *b, const char *name)
{
	char chunk[64];
	while (*name) {
		size_t n = 0;
		for (; *name && n < sizeof(chunk); name++)
			chunk[n++] = (char)sigv4_lower(*name);
		buf_add(b, chunk, n);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Trims, and makes every run of blanks one space, within quotes too. */
static void add_value(struct buf *b, const char *value)
{
	while (is_blank(*value))
		value++;
	while (*value) {
		const char *word = value;
		while (*value && !is_blank(*value))
			value++;
		buf_add(b, word, (size_t)(value - word));
		while (is_blank(*value))
			value++;
		if (*value)
			buf_add(b, " ", 1);
	}
}

static void add_headers(const struct http_request *r, const struct sigv4_canonical_rules *rules, struct buf *b,
			struct buf *names)
{
	const struct http_header *sorted[HTTP_HEADERS_MAX + 1];
	size_t n = 0;
	bool has_host = false;
	for (size_t i = 0; i < r->n_headers; i++) {
		if (!is_signed(rules, r->headers[i].name))
			continue;
		has_host |= compare_names(r->headers[i].name, "host") == 0;
		insert_sorted(sorted, n++, &r->headers[i]);
	}
	const struct http_header host = {.name = "host", .value = r->host};
	if (!has_host && r->host)
		insert_sorted(sorted, n++, &host);

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && compare_names(sorted[i]->name, sorted[i - 1]->name) == 0) {
			buf_add(b, ",", 1);
		} else {
			if (i > 0) {
				buf_add(b, "\n", 1);
				buf_add(names, ";", 1);
			}
			size_t start = b->len;
			add_lower(b, sorted[i]->name);
			if (buf_ok(b))
				buf_add(names, b->data + start, b->len - start);
			buf_add(b, ":", 1);
		}
		add_value(b, sorted[i]->value);
	}
	buf_add(b, "\n", 1);
}

void sigv4_canonical_write(const struct http_request *r, const struct sigv4_canonical_rules *rules, struct buf *ret,
			   struct buf *signed_headers)
{
	require(r->n_headers <= HTTP_HEADERS_MAX);
	buf_add_text(ret, r->method);
	buf_add(ret, "\n", 1);
	add_path(ret, r->path, rules->normalize_path);
	buf_add(ret, "\n", 1);
	add_query(ret, r->query ? r->query : "");
	buf_add(ret, "\n", 1);
	size_t names_start = signed_headers->len;
	add_headers(r, rules, ret, signed_headers);
	buf_add(ret, "\n", 1);
	buf_add_text(ret, buf_text(signed_headers) + names_start);
	buf_add(ret, "\n", 1);

	const char *hash = rules->payload_sha256;
	if (!hash)
		hash = http_header_find(r->headers, r->n_headers, "x-amz-content-sha256");
	char hex[SHA256_HEX_SIZE];
	if (!hash) {
		sha256_hex(r->body ? r->body : "", r->body_len, hex);
		hash = hex;
	}
	buf_add_text(ret, hash);
	ret->overflow |= signed_headers->overflow;
}
