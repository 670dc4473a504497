/*
 * Nothing here allocates: paths are normalised in the output, query parameters are compared in their encoded form
 * without being written out first, and headers are sorted as pointers.
 */
#include "aws/sigv4_canonical.h"

#include "base/error.h"
#include "base/text.h"

/* --- percent-encoding --- */

static bool is_unreserved(unsigned char c)
{
	static const bool table[256] = {
	    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
	    ['.'] = true,	  ['_'] = true,		['~'] = true,
	};
	return table[c];
}

static const char upper_hex[] = "0123456789ABCDEF";

static void put_encoded(struct sigv4_text *t, const char *at, size_t len, bool keep_slash)
{
	size_t done = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)at[i];
		if (is_unreserved(c) || (c == '/' && keep_slash))
			continue;
		const char escape[3] = {'%', upper_hex[c >> 4], upper_hex[c & 15]};
		sigv4_put(t, at + done, i - done);
		sigv4_put(t, escape, sizeof(escape));
		done = i + 1;
	}
	sigv4_put(t, at + done, len - done);
}

/* --- path --- */

/* Drops "", "." and "x/.."; keeps a final slash. As the segments are encoded again, a '/' in the output is always a
 * separator, so going up is cutting the output at its last one. */
static void put_normalized_path(struct sigv4_text *t, const char *path)
{
	size_t start = t->len;
	bool final_slash = path[strlen(path) - 1] == '/';
	while (*path) {
		path += *path == '/';
		size_t len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (t->len > start && t->data[t->len - 1] != '/')
				t->len--;
			t->len -= t->len > start;
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			sigv4_put_char(t, '/');
			put_encoded(t, path, len, false);
		}
		path += len;
	}
	if (t->len == start || final_slash)
		sigv4_put_char(t, '/');
}

/* Whether there may be an empty segment, "." or "..": nearly never, and then the path is encoded in one go. */
static bool may_want_normalizing(const char *path)
{
	if (*path != '/')
		return true;
	for (const char *slash = path; slash; slash = strchr(slash + 1, '/'))
		if (slash[1] == '/' || slash[1] == '.')
			return true;
	return false;
}

static void put_path(struct sigv4_text *t, const char *path, bool normalize)
{
	if (!*path)
		sigv4_put_char(t, '/');
	else if (normalize && may_want_normalizing(path))
		put_normalized_path(t, path);
	else
		put_encoded(t, path, strlen(path), true);
}

/* --- query --- */

/* Walks wire text as its canonical encoding: decodes an escape and encodes the byte again, so that "%7e" and "~" come
 * out the same. A '%' that starts no escape stands for itself. */
struct encoder {
	const char *at;
	const char *end;
	char out[2];
	unsigned ready; /* bytes of `out` still to be given */
};

static struct encoder encode_span(struct sigv4_span s)
{
	return (struct encoder){.at = s.at, .end = s.at + s.len};
}

/* The next byte of the encoding, or -1. */
static int encoder_next(struct encoder *e)
{
	if (e->ready > 0)
		return (unsigned char)e->out[2 - e->ready--];
	if (e->at == e->end)
		return -1;
	int decoded = *e->at == '%' ? text_percent_byte(e->at, (size_t)(e->end - e->at)) : -1;
	unsigned char c = (unsigned char)(decoded >= 0 ? decoded : *e->at);
	e->at += decoded >= 0 ? 3 : 1;
	if (is_unreserved(c))
		return c;
	e->out[0] = upper_hex[c >> 4];
	e->out[1] = upper_hex[c & 15];
	e->ready = 2;
	return '%';
}

static void put_reencoded(struct sigv4_text *t, struct sigv4_span s)
{
	struct encoder e = encode_span(s);
	for (int c; (c = encoder_next(&e)) >= 0;)
		sigv4_put_char(t, (char)c);
}

static int compare_encoded(struct sigv4_span a, struct sigv4_span b)
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
	struct sigv4_span key;
	struct sigv4_span value;
};

static bool pair_before(const struct pair *a, const struct pair *b)
{
	int order = compare_encoded(a->key, b->key);
	return order ? order < 0 : compare_encoded(a->value, b->value) < 0;
}

static struct pair parse_pair(const char *at, size_t len)
{
	const char *equals = memchr(at, '=', len);
	if (!equals)
		return (struct pair){.key = {at, len}, .value = {at + len, 0}};
	size_t key_len = (size_t)(equals - at);
	return (struct pair){.key = {at, key_len}, .value = {equals + 1, len - key_len - 1}};
}

static void put_query(struct sigv4_text *t, const char *query)
{
	struct pair pairs[SIGV4_QUERY_PAIRS];
	size_t n = 0;
	for (const char *at = query; *at;) {
		size_t len = strcspn(at, "&");
		if (len > 0) {
			if (n == SIGV4_QUERY_PAIRS) {
				t->overflow = true;
				return;
			}
			struct pair fresh = parse_pair(at, len);
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
			sigv4_put_char(t, '&');
		put_reencoded(t, pairs[i].key);
		sigv4_put_char(t, '=');
		put_reencoded(t, pairs[i].value);
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
	unsigned char first = sigv4_lower(*name);
	for (size_t i = 0; i < array_len(never_signed); i++)
		if (first == (unsigned char)*never_signed[i] && matches_pattern(name, never_signed[i]))
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

/* `host` is used when the request has no such header of its own. Returns how many there are. */
static size_t sort_headers(const struct http_request *r, const struct sigv4_canonical_rules *rules,
			   const struct http_header *host, const struct http_header **sorted)
{
	size_t n = 0;
	bool has_host = false;
	for (size_t i = 0; i < r->n_headers; i++) {
		const struct http_header *h = &r->headers[i];
		if (!is_signed(rules, h->name))
			continue;
		has_host |= compare_names(h->name, host->name) == 0;
		insert_sorted(sorted, n++, h);
	}
	if (!has_host && host->value)
		insert_sorted(sorted, n++, host);
	return n;
}

static void put_lower(struct sigv4_text *t, const char *name)
{
	size_t start = t->len;
	sigv4_put_text(t, name);
	for (size_t i = start; i < t->len; i++)
		t->data[i] = (char)sigv4_lower(t->data[i]);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Trims, and makes every run of blanks one space, within quotes too. */
static void put_value(struct sigv4_text *t, const char *value)
{
	while (is_blank(*value))
		value++;
	while (*value) {
		size_t word = strcspn(value, " \t\r\n");
		sigv4_put(t, value, word);
		value += word;
		while (is_blank(*value))
			value++;
		if (*value)
			sigv4_put_char(t, ' ');
	}
}

/* "name:value\n" for each, then the list of names, which is returned, and "\n". */
static struct sigv4_span put_headers(struct sigv4_text *t, const struct http_request *r,
				     const struct sigv4_canonical_rules *rules)
{
	const struct http_header host = {.name = "host", .value = r->host};
	const struct http_header *sorted[HTTP_HEADERS_MAX + 1];
	struct sigv4_span lines[HTTP_HEADERS_MAX + 1]; /* where each new name stands */
	size_t n = sort_headers(r, rules, &host, sorted);
	size_t n_names = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && compare_names(sorted[i]->name, sorted[i - 1]->name) == 0) {
			t->len -= !t->overflow; /* the line goes on */
			sigv4_put_char(t, ',');
		} else {
			size_t start = t->len;
			put_lower(t, sorted[i]->name);
			lines[n_names++] = (struct sigv4_span){t->data + start, t->len - start};
			sigv4_put_char(t, ':');
		}
		put_value(t, sorted[i]->value);
		sigv4_put_char(t, '\n');
	}
	sigv4_put_char(t, '\n');
	size_t names = t->len;
	for (size_t i = 0; i < n_names; i++) {
		if (i > 0)
			sigv4_put_char(t, ';');
		sigv4_put(t, lines[i].at, lines[i].len);
	}
	return (struct sigv4_span){t->data + names, t->len - names};
}

struct sigv4_span sigv4_canonical_write(const struct http_request *r, const struct sigv4_canonical_rules *rules,
					struct sigv4_text *t)
{
	require(r->n_headers <= HTTP_HEADERS_MAX);
	t->len = 0;
	t->overflow = false;
	sigv4_put_text(t, r->method);
	sigv4_put_char(t, '\n');
	put_path(t, r->path, rules->normalize_path);
	sigv4_put_char(t, '\n');
	put_query(t, r->query ? r->query : "");
	sigv4_put_char(t, '\n');
	struct sigv4_span names = put_headers(t, r, rules);
	sigv4_put_char(t, '\n');

	const char *hash = rules->payload_sha256;
	if (!hash)
		hash = http_header_find(r->headers, r->n_headers, "x-amz-content-sha256");
	char hex[SHA256_HEX_SIZE];
	if (!hash) {
		sha256_hex(r->body ? r->body : "", r->body_len, hex);
		hash = hex;
	}
	sigv4_put_text(t, hash);
	return names;
}
