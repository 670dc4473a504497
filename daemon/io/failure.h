/* Why nothing was answered, as a sentence for people: what libcurl says, and what to do about it. */
#pragma once

#include <curl/curl.h>
#include <stddef.h>

struct failure {
	CURL *easy;
	CURLcode code;
	const char *text;  /* libcurl's own; "" */
	const char *host;  /* that was asked */
	const char *trust; /* whom certificates are verified by: trust_describe() */
	/* The proxy that was asked, without name and password, and the setting that names it; NULL: none. */
	const char *proxy;
	const char *proxy_setting;
};

void failure_describe(const struct failure *f, char *out, size_t size);
