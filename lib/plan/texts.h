/*
 * Texts of hooks, requests, code and APIs. Each checker takes the whole text; when it says no, `why` completes the
 * sentence "`exec` is `…`: ".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

/* https to anywhere, http to the loopback; for editors. */
#define TEXTS_PATTERN_URL                                                                                              \
	"^(https://|http://(localhost|127\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[::1\\])([:/?]|$))[!\"$-?A-~]*$"

must_use bool texts_check_url(const char *text, char *why, size_t size);
must_use bool texts_check_program(const char *text, char *why, size_t size);
must_use bool texts_check_invoke(const char *text, char *why, size_t size);

must_use bool texts_check_path(const char *text, char *why, size_t size);
must_use bool texts_check_bucket(const char *text, char *why, size_t size);
must_use bool texts_check_object_key(const char *text, char *why, size_t size); /* its version too */
must_use bool texts_check_image(const char *text, char *why, size_t size);
must_use bool texts_check_description(const char *text, char *why, size_t size);
must_use bool texts_check_latest_code(const char *text, char *why, size_t size);

must_use bool texts_check_role(const char *text, char *why, size_t size);
must_use bool texts_check_runtime(const char *text, char *why, size_t size);
must_use bool texts_check_handler(const char *text, char *why, size_t size);

must_use bool texts_check_api_name(const char *text, char *why, size_t size);
must_use bool texts_check_api_id(const char *text, char *why, size_t size);
must_use bool texts_check_stage_variable(const char *text, char *why, size_t size);
must_use bool texts_check_stage(const char *text, char *why, size_t size); /* of either type of API */
must_use bool texts_check_route(const char *text, char *why, size_t size);
must_use bool texts_check_probe_path(const char *text, char *why, size_t size);

must_use bool texts_check_stat(const char *text, char *why, size_t size); /* of a duration: "p99.9", "Average" */
/* Parts of CloudWatch's MetricDataQueries, by CloudWatch's own limits. */
must_use bool texts_check_data_id(const char *text, char *why, size_t size);
must_use bool texts_check_metric_word(const char *text, char *why, size_t size);
must_use bool texts_check_dimension_value(const char *text, char *why, size_t size);
must_use bool texts_check_expression(const char *text, char *why, size_t size);
must_use bool texts_check_account_id(const char *text, char *why, size_t size);

/* Whether a REST API takes the stage's name: HTTP APIs have more. */
must_use bool texts_is_rest_stage(const char *text);
