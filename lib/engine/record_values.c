#include "engine/record_values.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/nesting.h"

const char *record_values_encode(const struct samples *s, size_t index, struct buf *out)
{
	const double *v = samples_values(s, index);
	bool any = false;

	buf_reset(out);
	for (size_t n = 0; n < s->n_values; n++) {
		buf_add_char(out, n == 0 ? '[' : ',');
		if (isfinite(v[n]))
			buf_addf(out, "%.17g", v[n]);
		else
			buf_add_text(out, "null");
		any = any || isfinite(v[n]);
	}
	buf_add_char(out, ']');
	return any ? buf_text(out) : NULL;
}

static void json_release(json_t *j)
{
	json_decref(j);
}
define_cleanup(json_t *, json_release);

void record_values_decode(const char *text, struct samples *s, int64_t start_unix_ms)
{
	size_t len = text ? strlen(text) : 0;
	bool sane = len > 0 && len <= LIMIT_RECORD_BYTES && !nesting_exceeds(text, len, 1);
	json_t *list cleanup(json_release_p) = sane ? json_loadb(text, len, 0, NULL) : NULL;
	double *v = samples_values(s, samples_find(s, start_unix_ms));

	if (!json_is_array(list) || json_array_size(list) != s->n_values)
		return;
	for (size_t n = 0; n < s->n_values; n++) {
		const json_t *x = json_array_get(list, n);

		if (json_is_number(x))
			v[n] = json_number_value(x);
	}
}
