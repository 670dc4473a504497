/*
 * The addresses at which containers and instances are given their keys, and which URLs may stand in for them. What is
 * fetched there are keys, in the clear: so plain http is for this machine, and for the link-local addresses that the
 * host itself answers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PLACE_CONTAINER	 "169.254.170.2"
#define PLACE_INSTANCE	 "169.254.169.254"
#define PLACE_INSTANCE_6 "fd00:ec2::254"
#define PLACE_POD	 "169.254.170.23"
#define PLACE_POD_6	 "fd00:ec2::23"

/* Whether that is one of the addresses above; written as the system writes addresses. */
bool place_is_metadata(const char *ip);
/* NULL, or what is wrong with the URL: "is …". A container's may be https to anywhere; http only to loopback, the
 * addresses of containers and pods, and localhost. */
const char *place_check_container(const char *url);
/* An instance's: http to loopback, localhost and the addresses above; https to anywhere. */
const char *place_check_instance(const char *url);
size_t place_origin_len(const char *url); /* of its scheme and host, without the path */
