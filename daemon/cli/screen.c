#include "screen.h"

#include <langinfo.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/utf8.h"

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && v[0];
}

void screen_measure(struct screen *s, int fd)
{
	struct winsize size;

	s->width = 80;
	s->height = 24;
	if (ioctl(fd, TIOCGWINSZ, &size) != 0)
		return;
	if (size.ws_col > 0)
		s->width = size.ws_col;
	if (size.ws_row > 0)
		s->height = size.ws_row;
}

void screen_probe(struct screen *s, int fd)
{
	const char *term = getenv("TERM");

	*s = (struct screen){0};
	s->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	s->terminal = isatty(fd) && term && strcmp(term, "dumb") != 0;
	s->colour = s->terminal && !is_set("NO_COLOR");
	if (s->terminal)
		screen_measure(s, fd);
}

const char *screen_symbol(const struct screen *s, enum symbol symbol)
{
	static const char *const fine[SYMBOL_COUNT] = {"✓", "▶", "✗", "░", "█", "·", "…"};
	static const char *const plain[SYMBOL_COUNT] = {"+", ">", "!", ".", "#", "-", "..."};

	return s->utf8 ? fine[symbol] : plain[symbol];
}

/* Marks that turn the direction of what follows, or hide: they can make a line read as something else. */
static bool is_deceptive(uint32_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) ||
	       c == 0xfeff || c == 0x061c || c == 0x2028 || c == 0x2029;
}

/* One character as it is to be shown: what, how many bytes of the input it stands for, how many cells it takes. */
struct glyph {
	const char *text;
	size_t text_len;
	size_t used;
	int cells;
};

static struct glyph next_glyph(const struct screen *s, const char *at, size_t left)
{
	size_t len = utf8_char_len(at, left);

	if (len == 0)
		return (struct glyph){"?", 1, 1, 1};
	if (*at == '\n' || *at == '\t' || *at == '\r')
		return (struct glyph){" ", 1, 1, 1};
	uint32_t c = utf8_decode(at, len);
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || is_deceptive(c) || (len > 1 && !s->utf8))
		return (struct glyph){"?", 1, len, 1};
	int cells = len == 1 ? 1 : wcwidth((wchar_t)c);
	if (cells < 0)
		return (struct glyph){"?", 1, len, 1};
	return (struct glyph){at, len, len, cells};
}

int screen_cells(const struct screen *s, const char *text)
{
	int cells = 0;

	for (size_t left = strlen(text); left > 0;) {
		struct glyph g = next_glyph(s, text, left);
		cells += g.cells;
		text += g.used;
		left -= g.used;
	}
	return cells;
}

int screen_add(const struct screen *s, struct buf *out, const char *text, int max_cells)
{
	const char *ellipsis = screen_symbol(s, SYMBOL_ELLIPSIS);
	int whole = screen_cells(s, text);
	int room = max_cells < 0 || whole <= max_cells ? INT_MAX : max_cells - (s->utf8 ? 1 : 3);
	int cells = 0;

	for (size_t left = strlen(text); left > 0;) {
		struct glyph g = next_glyph(s, text, left);
		if (g.cells > room - cells)
			break;
		buf_add(out, g.text, g.text_len);
		cells += g.cells;
		text += g.used;
		left -= g.used;
	}
	if (room == INT_MAX)
		return cells;
	for (; *ellipsis && cells < max_cells; cells++) {
		size_t len = utf8_char_len(ellipsis, strlen(ellipsis));
		buf_add(out, ellipsis, len);
		ellipsis += len;
	}
	return cells;
}

static const char *style_start(enum style style)
{
	switch (style) {
	case STYLE_PLAIN:
		break;
	case STYLE_BOLD:
		return "\033[1m";
	case STYLE_DIM:
		return "\033[2m";
	case STYLE_GOOD:
		return "\033[32m";
	case STYLE_WARN:
		return "\033[33m";
	case STYLE_BAD:
		return "\033[1;31m";
	case STYLE_INFO:
		return "\033[36m";
	}
	return NULL;
}

static bool full(const struct canvas *c)
{
	return c->max_rows > 0 && c->rows >= c->max_rows;
}

/* Cells left on the line; negative: no limit. */
static int room(const struct canvas *c)
{
	return c->clip && c->screen->width > 0 ? c->screen->width - c->column : -1;
}

void canvas_put(struct canvas *c, enum style style, const char *text)
{
	const char *start = c->screen->colour ? style_start(style) : NULL;

	if (full(c) || room(c) == 0 || !*text)
		return;
	if (start)
		buf_add_text(c->out, start);
	c->column += screen_add(c->screen, c->out, text, room(c));
	if (start)
		buf_add_text(c->out, "\033[0m");
}

void canvas_putf(struct canvas *c, enum style style, const char *fmt, ...)
{
	char text[2048]; /* longer than any reason and any name beside it; a longer text is cut */
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	canvas_put(c, style, text);
}

void canvas_symbol(struct canvas *c, enum style style, enum symbol symbol, int count)
{
	struct buf run = BUF_INIT(4096);

	for (int i = 0; i < count; i++)
		buf_add_text(&run, screen_symbol(c->screen, symbol));
	canvas_put(c, style, buf_text(&run));
	buf_deinit(&run);
}

void canvas_pad(struct canvas *c, int column)
{
	while (c->column < column && room(c) != 0 && !full(c)) {
		buf_add_char(c->out, ' ');
		c->column++;
	}
}

void canvas_end_line(struct canvas *c)
{
	if (full(c))
		return;
	buf_add_text(c->out, c->redraw ? "\033[K\n" : "\n");
	c->rows++;
	c->column = 0;
}

int canvas_rows_left(const struct canvas *c)
{
	return c->max_rows > 0 ? c->max_rows - c->rows : INT_MAX;
}
