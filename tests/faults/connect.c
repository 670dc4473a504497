/*
 * Sends single requests of a program that uses libcurl elsewhere: loaded by LD_PRELOAD. FAULT_CONNECT names a file of
 * four lines, which is read anew for each request:
 *
 *	a POSIX extended expression, to be found in "METHOD URL TARGET" (of x-amz-target, or nothing)
 *	how many of those that match are let through first
 *	where the others connect to instead, as in CURLOPT_CONNECT_TO
 *	their time-out in milliseconds
 *
 * While there is no such file, nothing is touched. A line is appended to FAULT_CONNECT.struck for each request that was
 * sent elsewhere. libcurl does all the rest: a name that is not found, a port where nobody listens and a certificate
 * that is not to be trusted are its own errors.
 *
 * aws.example is the loopback's name, and no other name below it exists; nobody is asked.
 */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <regex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#undef curl_easy_setopt

#define EXPORTED __attribute__((visibility("default")))
#define LINES	 4
#define KNOWN	 "aws.example"

/* What the handle was given last. The program has one thread for its requests, and prepares one after the other. */
static char url[4096], method[16], target[256];

static CURLcode set_option(CURL *easy, CURLoption option, void *value)
{
	static CURLcode (*real)(CURL *, CURLoption, ...);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
	return real(easy, option, value);
}

static void keep(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%s", text);
}

/* Whatever the option takes, a long, a pointer or a curl_off_t, is as wide as a pointer on the hosts of these tests. */
EXPORTED CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	static const char header[] = "x-amz-target: ";
	va_list args;

	_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *), "passed on as pointers");
	va_start(args, option);
	void *value = va_arg(args, void *);
	va_end(args);
	if (option == CURLOPT_URL)
		keep(url, sizeof(url), value);
	else if (option == CURLOPT_CUSTOMREQUEST)
		keep(method, sizeof(method), value ? value : "GET");
	if (option == CURLOPT_HTTPHEADER) {
		target[0] = '\0';
		for (const struct curl_slist *item = value; item; item = item->next)
			if (strncasecmp(item->data, header, sizeof(header) - 1) == 0)
				keep(target, sizeof(target), item->data + sizeof(header) - 1);
	}
	return set_option(easy, option, value);
}

/* Fills the lines of the file. False: there is no fault now. */
static bool read_fault(const char *path, char text[static 4096], char *lines[static LINES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, 4095);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (int i = 0; i < LINES; i++) {
		size_t len = strcspn(text, "\n");

		if (text[len] == '\0')
			return false;
		text[len] = '\0';
		lines[i] = text;
		text += len + 1;
	}
	return true;
}

static bool matches(const char *pattern, const char *what)
{
	regex_t compiled;

	if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		abort();
	bool found = regexec(&compiled, what, 0, NULL, 0) == 0;
	regfree(&compiled);
	return found;
}

static void note(const char *path, const char *what)
{
	char name[4096], line[8192];
	int n = snprintf(line, sizeof(line), "%s\n", what);

	(void)snprintf(name, sizeof(name), "%s.struck", path);
	int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

/* The list stays: libcurl reads it until the transfer ends, and there are few of them. */
static void divert(CURL *easy, const char *where, long timeout_ms)
{
	static struct curl_slist *last;

	if (!last || strcmp(last->data, where) != 0)
		last = curl_slist_append(NULL, where);
	(void)set_option(easy, CURLOPT_CONNECT_TO, last);
	(void)set_option(easy, CURLOPT_TIMEOUT_MS, (void *)timeout_ms);
}

EXPORTED CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	static CURLMcode (*real)(CURLM *, CURL *);
	static unsigned long seen;
	const char *path = getenv("FAULT_CONNECT");
	char text[4096], what[sizeof(url) + sizeof(method) + sizeof(target) + 2], *lines[LINES];

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "curl_multi_add_handle");
	(void)set_option(easy, CURLOPT_CONNECT_TO, NULL);
	(void)snprintf(what, sizeof(what), "%s %s %s", method, url, target);
	if (path && read_fault(path, text, lines) && matches(lines[0], what) && seen++ >= strtoul(lines[1], NULL, 10)) {
		divert(easy, lines[2], strtol(lines[3], NULL, 10));
		note(path, what);
	}
	return real(multi, easy);
}

EXPORTED int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	const char *known = node ? strstr(node, KNOWN) : NULL;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (known && known != node)
		return EAI_NONAME;
	return real(known ? "127.0.0.1" : node, service, hints, ret);
}
