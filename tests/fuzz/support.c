#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/utf8.h"

/*
 * No input may take long: an operator's file or a stranger's answer must not hold the loop. This is the processor's
 * time of a build with sanitizers, ten times that of a release on the same input, so it stands for some 100 ms. A clock
 * that counts only our own work does not mind a busy host.
 */
#define CPU_LIMIT_MS INT64_C(1000)

static int64_t cpu_ms(void)
{
	struct timespec t;
	require(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
	return (int64_t)t.tv_sec * MS_PER_SECOND + t.tv_nsec / 1000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t began = cpu_ms();
	fuzz_one(data, size);
	bool took_too_long = cpu_ms() - began > CPU_LIMIT_MS;
	require(!took_too_long);
	return 0;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = mem_alloc(size + 1);
	if (size > 0)
		memcpy(text, data, size);
	return text;
}

char *fuzz_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');
	if (end)
		*end = '\0';
	*rest = end ? end + 1 : line + strlen(line);
	return line;
}

void fuzz_check_printable(const char *text, size_t size)
{
	size_t len = strnlen(text, size);
	require(len < size && text_is_utf8(text, len));
	for (size_t i = 0; i < len; i += utf8_char_len(text + i, len - i)) {
		uint32_t c = utf8_decode(text + i, utf8_char_len(text + i, len - i));
		bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
		require(!control);
	}
}

void fuzz_check_sentence(const char *text, size_t size)
{
	require(text[0]);
	fuzz_check_printable(text, size);
}

/* As YAML counts lines: CR, LF, both as one, and Unicode's own. */
static unsigned count_lines(const char *bytes, size_t size)
{
	unsigned lines = 1;
	for (size_t i = 0; i < size; i++) {
		bool separator = size - i >= 3 && memcmp(bytes + i, "\xe2\x80", 2) == 0 &&
				 ((unsigned char)bytes[i + 2] & 0xfe) == 0xa8;
		bool next_line = size - i >= 2 && memcmp(bytes + i, "\xc2\x85", 2) == 0;
		bool half = bytes[i] == '\r' && size - i >= 2 && bytes[i + 1] == '\n';
		lines += bytes[i] == '\n' || (bytes[i] == '\r' && !half) || separator || next_line;
	}
	return lines;
}

void fuzz_check_diags(const struct diags *d, const char *bytes, size_t size)
{
	unsigned lines = d->len > 0 ? count_lines(bytes, size) : 0;
	size_t errors = 0;
	for (size_t i = 0; i < d->len; i++) {
		const struct diag *item = &d->items[i];
		require(item->line >= 1 && item->line <= lines);
		require(item->column >= 1 && item->column <= size + 1);
		fuzz_check_sentence(item->text, SIZE_MAX);
		errors += item->severity == DIAG_ERROR;
	}
	require(errors <= d->errors && d->errors <= errors + d->dropped);
	struct buf out cleanup(buf_deinit) = BUF_INIT(1024 * 1024);
	diags_format(d, "file.yaml", &out);
	require(buf_ok(&out) && text_is_utf8(buf_text(&out), out.len));
}
