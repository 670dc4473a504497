/*
 * What the fuzz targets share. A target defines fuzz_one(); support.c hands it each input, and holds it to a limit of
 * time. Under libFuzzer or AFL++ the inputs are made up; replay.c gives it those of the corpus, with any compiler.
 *
 * A property that does not hold is a require() that fails, so that a release of the product would have gone on, and the
 * fuzzer stops.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "plan/diag.h"

/* The target's own: takes any bytes. */
void fuzz_one(const uint8_t *data, size_t size);

/* Of libFuzzer's interface. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that is exactly as large as the text and its NUL, so that a sanitizer sees each read beyond it; free() it. */
char *fuzz_text(const uint8_t *data, size_t size);
/* Cuts the next line off the text: ends it with NUL, and moves *rest behind it. "" at the end. */
char *fuzz_line(char **rest);
/* A sentence for an operator: neither empty nor cut short by its buffer without need, on one line, in UTF-8, and
 * without anything that could command a terminal. `size`: of the buffer that it stands in. */
void fuzz_check_sentence(const char *text, size_t size);
/* Text that may be empty, but else is like a sentence. */
void fuzz_check_printable(const char *text, size_t size);
/* Diagnostics of a text: in order, each a sentence, at a place that the text has; and their formatted form. */
void fuzz_check_diags(const struct diags *d, const char *bytes, size_t size);
