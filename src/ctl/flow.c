/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

/* On a screen that is narrower than this lines are left to the terminal. */
#define MIN_WIDTH 40

void flow_screen(size_t *ret_width, size_t *ret_lines)
{
	struct winsize w;

	*ret_width = 0;
	*ret_lines = SIZE_MAX;
	if (!isatty(STDOUT_FILENO))
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0 || w.ws_row == 0)
		w = (struct winsize){ .ws_col = 80, .ws_row = 24 };
	*ret_width = w.ws_col;
	*ret_lines = w.ws_row;
}

size_t flow_width(const char *word)
{
	mbstate_t state = { 0 };
	const char *p = word;
	size_t width = 0;
	wchar_t c;

	while (*p != '\0') {
		size_t n = mbrtowc(&c, p, strlen(p), &state);
		int w = n < (size_t)-2 ? wcwidth(c) : -1;

		if (w < 0)
			return strlen(word);
		width += (size_t)w;
		p += n;
	}
	return width;
}

static void print_word(struct flow *f, const char *color, const char *word)
{
	size_t n = flow_width(word), space = f->begun;

	if (f->begun && f->width >= MIN_WIDTH && f->column + 1 + n > f->width) {
		printf("\n%*s", (int)f->indent, "");
		f->column = f->indent;
		space = 0;
	}
	printf("%s%s%s%s", space > 0 ? " " : "", color ? color : "", word, color ? CTL_NORMAL : "");
	f->column += space + n;
	f->begun = true;
}

void flow_print(struct flow *f, const char *color, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL, *safe = NULL;
	char *state = NULL;
	va_list ap;

	va_start(ap, format);
	text = vformat_text(format, ap);
	va_end(ap);
	if (!text)
		return;
	safe = ctl_escape(text, "\n");
	if (!safe)
		return;
	for (char *w = strtok_r(safe, " \n", &state); w; w = strtok_r(NULL, " \n", &state))
		print_word(f, color, w);
}
