#include "daemon/io/proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"

#define HOST_MAX    256
#define SETTING_MAX 2048
#define HTTPS_PORT  443
#define SHOWN_MAX   100

static const struct {
	const char *scheme;
	unsigned port; /* where it is when nothing else is said */
} schemes[] = {{"http", 80}, {"https", 443}, {"socks5", 1080}, {"socks5h", 1080}};

/* --- reading --- */

/* What is percent-encoded in a name or a password. NULL: it is not well formed, or has control characters. */
static char *decode(const char *s, size_t len)
{
	char *out = mem_alloc(len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];
		if (c == '%') {
			c = text_percent_byte(s + i, len - i);
			i += 2;
		}
		if (c < ' ' || c == 0x7f) { /* -1: what should be encoded is not */
			secret_free(out);
			return NULL;
		}
		out[n++] = (char)c;
	}
	return out;
}

/* Returns what is wrong, or NULL. */
static const char *take_user(const char *s, size_t len, struct proxy *p)
{
	const char *colon = memchr(s, ':', len);
	size_t user_len = colon ? (size_t)(colon - s) : len;
	p->user = decode(s, user_len);
	p->password = decode(colon ? colon + 1 : "", colon ? len - user_len - 1 : 0);
	if (!p->user || !p->password)
		return "has a name or a password that is not percent-encoded as in a URL";
	/* It separates the two in what is sent. */
	return strchr(p->user, ':') ? "has a user name with a colon in it" : NULL;
}

static bool is_proxy_host(const char *host)
{
	struct in6_addr six;
	size_t len = strlen(host);
	if (host[0] == '[') {
		char inside[HOST_MAX];
		text_copy(inside, sizeof(inside), host + 1);
		inside[len - 2] = '\0';
		return inet_pton(AF_INET6, inside, &six) == 1;
	}
	return len > 0 && strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == len;
}

/* Takes "host", "host:port", "[::1]" or "[::1]:port" apart. */
static bool split_host(const char *s, size_t len, unsigned port, char ret_host[static HOST_MAX], unsigned *ret_port)
{
	const char *end = s + len;
	const char *bracket = len > 0 && s[0] == '[' ? memchr(s, ']', len) : NULL;
	const char *host_end = bracket ? bracket + 1 : memchr(s, ':', len);
	char digits[8];
	uint64_t number = port;
	if (!host_end)
		host_end = end;
	if (host_end == s || host_end - s >= HOST_MAX || (s[0] == '[' && !bracket))
		return false;
	if (host_end != end) {
		size_t n = (size_t)(end - host_end) - 1;
		if (*host_end != ':' || n == 0 || n >= sizeof(digits))
			return false;
		memcpy(digits, host_end + 1, n);
		digits[n] = '\0';
		if (text_parse_u64(digits, 65535, &number) || number == 0)
			return false;
	}
	memcpy(ret_host, s, (size_t)(host_end - s));
	ret_host[host_end - s] = '\0';
	*ret_port = (unsigned)number;
	return true;
}

static const char *take_url(const char *value, struct proxy *p)
{
	const char *separator = strstr(value, "://");
	const char *authority = separator ? separator + 3 : text_starts_with(value, "//") ? value + 2 : value;
	size_t scheme_len = separator ? (size_t)(separator - value) : 0;
	size_t which = 0;
	while (
	    separator && which < array_len(schemes) &&
	    (strlen(schemes[which].scheme) != scheme_len || strncasecmp(schemes[which].scheme, value, scheme_len) != 0))
		which++;
	if (which == array_len(schemes))
		return "has a scheme that is none of http, https, socks5 and socks5h";
	size_t len = strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', len);
	if (at) {
		const char *wrong = take_user(authority, (size_t)(at - authority), p);
		if (wrong)
			return wrong;
		len -= (size_t)(at + 1 - authority);
		authority = at + 1;
	}
	char host[HOST_MAX];
	unsigned port;
	if (!split_host(authority, len, schemes[which].port, host, &port) || !is_proxy_host(host))
		return "has no host name or address, or a port that is not a number from 1 to 65535";
	p->url = mem_printf("%s://%s:%u", schemes[which].scheme, host, port);
	return NULL;
}

/* As Python has it: the name in small letters goes first, and switches the other one off when it is empty. Returns the
 * value, "" when it is switched off, or NULL. */
static const char *find_setting(credentials_lookup env, void *env_ctx, const char *const names[static 2],
				const char **ret_name)
{
	for (size_t i = 0; i < 2; i++) {
		const char *value = env(env_ctx, names[i]);
		if (!value || (i == 1 && !*value))
			continue;
		*ret_name = names[i];
		return value;
	}
	return NULL;
}

int proxy_read(credentials_lookup env, void *env_ctx, struct proxy *ret, char *ret_error, size_t error_size)
{
	static const char *const own[] = {"https_proxy", "HTTPS_PROXY"}, *const all[] = {"all_proxy", "ALL_PROXY"},
				 *const exceptions[] = {"no_proxy", "NO_PROXY"};
	struct proxy p = {.setting = NULL};
	const char *value = find_setting(env, env_ctx, own, &p.setting);
	if (!value)
		value = find_setting(env, env_ctx, all, &p.setting);
	if (value && *value) {
		const char *wrong = strlen(value) > SETTING_MAX ? "is too long" : take_url(value, &p);
		if (wrong) {
			snprintf(ret_error, error_size,
				 "%s cannot be used: it %s; write http://HOST:PORT or "
				 "http://USER:PASSWORD@HOST:PORT, or unset it",
				 p.setting, wrong);
			proxy_deinit(&p);
			return 1;
		}
		value = find_setting(env, env_ctx, exceptions, &p.exceptions_setting);
		p.exceptions = value && *value ? mem_strdup(value) : NULL;
	} else {
		p.setting = NULL;
	}
	*ret = p;
	return 0;
}

void proxy_deinit(struct proxy *p)
{
	free(p->url);
	secret_free(p->user);
	secret_free(p->password);
	free(p->exceptions);
	*p = (struct proxy){.setting = NULL};
}

/* --- exceptions --- */

struct address {
	int family; /* 0: it is none */
	unsigned char bytes[16];
};

static struct address read_address(const char *s)
{
	struct address a = {.family = 0};
	char inside[HOST_MAX];
	size_t len = strlen(s);
	if (len > 1 && s[0] == '[' && s[len - 1] == ']') {
		text_copy(inside, sizeof(inside), s + 1);
		inside[len - 2] = '\0';
		s = inside;
	}
	if (inet_pton(AF_INET, s, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, s, a.bytes) == 1)
		a.family = AF_INET6;
	return a;
}

static bool in_network(const struct address *network, unsigned bits, const struct address *a)
{
	if (network->family != a->family || bits > (a->family == AF_INET ? 32 : 128))
		return false;
	unsigned whole = bits / 8;
	unsigned char mask = (unsigned char)(0xff00U >> bits % 8);
	return memcmp(network->bytes, a->bytes, whole) == 0 &&
	       (bits % 8 == 0 || (network->bytes[whole] & mask) == (a->bytes[whole] & mask));
}

static bool address_is_excepted(char *entry, const struct address *host)
{
	char *slash = strchr(entry, '/');
	uint64_t bits = 128;
	if (slash) {
		*slash = '\0';
		if (text_parse_u64(slash + 1, 128, &bits))
			return false;
	}
	const struct address network = read_address(entry);
	if (!slash && network.family == AF_INET)
		bits = 32;
	return network.family && in_network(&network, (unsigned)bits, host);
}

/* "example.com" and ".example.com" stand for that name and for all below it. */
static bool name_is_excepted(const char *entry, const char *host)
{
	while (*entry == '.')
		entry++;
	size_t entry_len = strlen(entry), host_len = strlen(host);
	while (entry_len > 0 && entry[entry_len - 1] == '.')
		entry_len--;
	while (host_len > 0 && host[host_len - 1] == '.')
		host_len--;
	if (entry_len == 0 || entry_len > host_len)
		return false;
	const char *tail = host + host_len - entry_len;
	return strncasecmp(tail, entry, entry_len) == 0 && (tail == host || tail[-1] == '.');
}

static bool entry_matches(const char *s, size_t len, const char *host, unsigned port)
{
	char entry[HOST_MAX];
	if (len >= sizeof(entry))
		return false;
	memcpy(entry, s, len);
	entry[len] = '\0';
	const struct address address = read_address(host);
	unsigned entry_port = 0;
	char name[HOST_MAX];
	/* Whatever has more than one colon and no brackets is an address of IPv6. */
	bool bare_six = entry[0] != '[' && strchr(entry, ':') != strrchr(entry, ':');
	if (!bare_six && !strchr(entry, '/') && split_host(entry, len, 0, name, &entry_port))
		text_copy(entry, sizeof(entry), name);
	if (entry_port && entry_port != port)
		return false;
	return address.family ? address_is_excepted(entry, &address) : name_is_excepted(entry, host);
}

/* The entry at *at of the list, which is passed. Returns its length, 0: there is none. */
static size_t take_entry(const char **at, const char **ret_entry)
{
	static const char separators[] = ", \t";
	*ret_entry = *at + strspn(*at, separators);
	size_t len = strcspn(*ret_entry, separators);
	*at = *ret_entry + len;
	return len;
}

static bool excepts_all(const char *list)
{
	const char *entry;
	return take_entry(&list, &entry) == 1 && *entry == '*' && take_entry(&list, &entry) == 0;
}

bool proxy_serves(const struct proxy *p, const char *host)
{
	char name[HOST_MAX];
	unsigned port;
	if (!p->url)
		return false;
	if (!p->exceptions || !split_host(host, strlen(host), HTTPS_PORT, name, &port))
		return true;
	if (excepts_all(p->exceptions))
		return false;
	const char *at = p->exceptions, *entry;
	for (size_t len; (len = take_entry(&at, &entry)) > 0;)
		if (entry_matches(entry, len, name, port))
			return false;
	return true;
}

bool proxy_advise(const struct proxy *p, char *ret_text, size_t size)
{
	if (!p->exceptions || excepts_all(p->exceptions))
		return false;
	const char *at = p->exceptions, *entry;
	for (size_t len; (len = take_entry(&at, &entry)) > 0;) {
		char raw[SHOWN_MAX], shown[SHOWN_MAX];
		if (!memchr(entry, '*', len))
			continue;
		snprintf(raw, sizeof(raw), "%.*s", (int)(len < sizeof(raw) ? len : sizeof(raw) - 1), entry);
		text_copy_printable(shown, sizeof(shown), raw);
		snprintf(
		    ret_text, size,
		    "%s has '%s', which excepts no host from the proxy: write example.com, which stands for all below "
		    "it as well, or '*' alone for every host",
		    p->exceptions_setting, shown);
		return true;
	}
	return false;
}
