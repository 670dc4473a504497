/*
 * Decimal numbers as people write them: "1.25", "-3", "0.005". No exponents, no blanks, no locale. Parsers take the
 * whole string; they return 0, -EINVAL (not of the form) or -ERANGE (of the form, but with too many digits).
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

#define NUMBER_DIGITS	15 /* of a number: a double gives back so many (IEEE 754: DBL_DIG) */
#define NUMBER_DECIMALS 9  /* of them after the point */

/* With at most three decimals and no sign; in thousandths. */
must_use int number_parse_permille(const char *s, int64_t *ret_permille);
void number_format_permille(int64_t permille, char out[static 32]); /* "1.25"; of >= 0 */

/* With at most NUMBER_DIGITS digits, leading zeros not counted, and NUMBER_DECIMALS decimals. */
must_use int number_parse(const char *s, double *ret);
/* The shortest text that number_parse reads back to the same value, of one that it has read. */
void number_format(double v, char out[static 32]);
