/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NOTHING "-"
/* Narrower columns of words are hard to read. */
#define MIN_WRAPPED_WIDTH 20

struct table {
	struct libscols_table *scols;
	struct libscols_line *line;
	struct libscols_column *wrapped; /* NULL: none */
	const struct table_layout *layout;
	bool json;
	int place[TABLE_MAX_COLUMNS]; /* -1: not shown */
};

static int find_column(const struct table_layout *l, const char *name, size_t n)
{
	for (size_t i = 0; i < l->n_columns; i++)
		if (strlen(l->columns[i].name) == n &&
		    strncasecmp(l->columns[i].name, name, n) == 0)
			return (int)i;
	return -EINVAL;
}

static void complain_column(const struct table_layout *l, const char *name, size_t n)
{
	_cleanup_(freep) char *copy = strndup(name, n), *safe = copy ? ctl_escape(copy, "") : NULL;
	char known[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < l->n_columns && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 i > 0 ? "," : "columns: ", l->columns[i].name);
	ctl_error(known, "unknown column \"%s\"", safe ? safe : "");
}

int table_choose(const struct table_layout *l, const struct ctl_options *o,
		 size_t chosen[static TABLE_MAX_COLUMNS])
{
	const char *wanted = o->columns;
	bool is_shown[TABLE_MAX_COLUMNS] = { 0 };
	int n = 0;

	for (size_t i = 0; (!wanted || wanted[0] == '+') && i < l->n_columns; i++)
		if (!l->columns[i].extra || (o->json && !wanted)) {
			is_shown[i] = true;
			chosen[n++] = i;
		}
	if (wanted && wanted[0] == '+')
		wanted++;
	while (wanted) {
		size_t length = strcspn(wanted, ",");
		int i = find_column(l, wanted, length);

		if (i < 0) {
			complain_column(l, wanted, length);
			return -EINVAL;
		}
		if (!is_shown[i]) {
			is_shown[i] = true;
			chosen[n++] = (size_t)i;
		}
		wanted = wanted[length] == ',' ? wanted + length + 1 : NULL;
	}
	return n;
}

/* Lines are broken at spaces; libsmartcols by itself breaks words. */
static size_t wrap_chunk_size(const struct libscols_column *column, const char *data,
			      void *userdata)
{
	(void)column;
	(void)userdata;
	return strlen(data);
}

static char *wrap_next_chunk(const struct libscols_column *column, char *data, void *userdata)
{
	size_t width = scols_column_get_width(column);
	char *space = NULL;

	(void)userdata;
	if (flow_width(data) <= width)
		return NULL;
	for (char *p = strchr(data, ' '); p && (size_t)(p - data) <= width; p = strchr(p + 1, ' '))
		space = p;
	if (!space)
		return NULL;
	*space = '\0';
	return space + 1;
}

static int add_column(struct table *t, const struct table_column *c)
{
	bool wrap = t->json ? c->list : c->wrap;
	int flags = (c->number ? SCOLS_FL_RIGHT : 0) | (wrap ? SCOLS_FL_WRAP : 0);
	int r = 0, type = SCOLS_JSON_STRING;
	struct libscols_column *column;

	column = scols_table_new_column(t->scols, c->name, c->wrap ? 0.3 : 1, flags);
	if (!column)
		return -ENOMEM;
	if (c->number)
		type = SCOLS_JSON_NUMBER;
	else if (c->list)
		type = SCOLS_JSON_ARRAY_STRING;
	r = scols_column_set_json_type(column, type);
	if (r == 0 && wrap && t->json)
		r = scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
					      scols_wrapnl_nextchunk, NULL);
	else if (r == 0 && wrap)
		r = scols_column_set_wrapfunc(column, wrap_chunk_size, wrap_next_chunk, NULL);
	if (wrap && !t->json)
		t->wrapped = column;
	return r < 0 ? -ENOMEM : 0;
}

int table_new(const struct table_layout *layout, const struct ctl_options *o, struct table **ret)
{
	_cleanup_(table_freep) struct table *t = calloc(1, sizeof(*t));
	size_t chosen[TABLE_MAX_COLUMNS];
	int n, r = 0;

	if (!t)
		return -ENOMEM;
	t->layout = layout;
	t->json = o->json;
	t->scols = scols_new_table();
	if (!t->scols)
		return -ENOMEM;
	/* Escaping is ours: libsmartcols' own would escape the backslashes again. */
	if (scols_table_set_name(t->scols, layout->name) < 0 ||
	    scols_table_enable_json(t->scols, o->json) < 0 ||
	    scols_table_enable_noencoding(t->scols, 1) < 0 ||
	    scols_table_enable_colors(t->scols, o->color) < 0 ||
	    scols_table_enable_noheadings(t->scols, o->no_legend) < 0)
		return -ENOMEM;
	n = table_choose(layout, o, chosen);
	if (n < 0)
		return n;
	for (size_t i = 0; i < TABLE_MAX_COLUMNS; i++)
		t->place[i] = -1;
	for (int i = 0; i < n && r == 0; i++) {
		t->place[chosen[i]] = i;
		r = add_column(t, &layout->columns[chosen[i]]);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(&t);
	return 0;
}

struct table *table_free(struct table *t)
{
	if (!t)
		return NULL;
	scols_unref_table(t->scols);
	free(t);
	return NULL;
}

int table_add_line(struct table *t)
{
	t->line = scols_table_new_line(t->scols, NULL);
	return t->line ? 0 : -ENOMEM;
}

int table_set(struct table *t, size_t column, const char *text)
{
	_cleanup_(freep) char *safe = NULL;
	int r;

	if (t->place[column] < 0)
		return 0;
	if (t->json) {
		/* JSON has its own escapes, and null */
		if (!text)
			return 0;
		return scols_line_set_data(t->line, (size_t)t->place[column], text) < 0 ? -ENOMEM
											: 0;
	}
	safe = ctl_escape(text ? text : NOTHING, "");
	if (!safe)
		return -ENOMEM;
	r = scols_line_refer_data(t->line, (size_t)t->place[column], safe);
	if (r < 0)
		return -ENOMEM;
	safe = NULL;
	return 0;
}

int table_setf(struct table *t, size_t column, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = vformat_text(format, ap);
	va_end(ap);
	return text ? table_set(t, column, text) : -ENOMEM;
}

void table_color(struct table *t, size_t column, const char *color)
{
	struct libscols_cell *cell;

	if (t->place[column] < 0)
		return;
	cell = scols_line_get_cell(t->line, (size_t)t->place[column]);
	if (cell)
		(void)scols_cell_set_color(cell, color);
}

/* Of a column, its heading included. */
static size_t needed_width(const struct table *t, struct libscols_column *column,
			   const char *heading)
{
	size_t width = flow_width(heading), n = scols_table_get_nlines(t->scols);

	for (size_t i = 0; i < n; i++) {
		struct libscols_line *line = scols_table_get_line(t->scols, i);
		const char *data = scols_cell_get_data(scols_line_get_column_cell(line, column));

		width = MAX_OF(width, flow_width(data ? data : ""));
	}
	return width;
}

static size_t longest_word(const char *text)
{
	size_t longest = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		longest = MAX_OF(longest, n);
		text += n + strspn(text + n, " ");
	}
	return longest;
}

/* Has the column that is broken into lines enough room for that, beside the others? */
static bool has_room(const struct table *t, size_t width)
{
	size_t others = 0, needed = MIN_WRAPPED_WIDTH, n = scols_table_get_nlines(t->scols);

	for (size_t i = 0; i < t->layout->n_columns; i++) {
		struct libscols_column *column;

		if (t->place[i] < 0)
			continue;
		column = scols_table_get_column(t->scols, (size_t)t->place[i]);
		if (column != t->wrapped)
			others += needed_width(t, column, t->layout->columns[i].name) + 1;
	}
	for (size_t i = 0; i < n; i++) {
		struct libscols_line *line = scols_table_get_line(t->scols, i);

		needed = MAX_OF(needed, longest_word(scols_cell_get_data(
						scols_line_get_column_cell(line, t->wrapped))));
	}
	return others + needed <= width || others == 0;
}

static int print_line(struct table *t, struct libscols_line *line)
{
	_cleanup_(freep) char *text = NULL;

	if (scols_table_print_range_to_string(t->scols, line, line, &text) < 0)
		return -EIO;
	/* not every line has an end */
	for (size_t n = strlen(text); n > 0 && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0';
	puts(text);
	return 0;
}

/* What has no room beside the others is below each line. */
static int print_below(struct table *t, size_t width)
{
	size_t n = scols_table_get_nlines(t->scols);

	if (scols_column_set_flags(t->wrapped, SCOLS_FL_HIDDEN) < 0)
		return -EIO;
	for (size_t i = 0; i < n; i++) {
		struct libscols_line *line = scols_table_get_line(t->scols, i);
		const char *data =
			scols_cell_get_data(scols_line_get_column_cell(line, t->wrapped));
		struct flow f = { .indent = 4, .width = width, .column = 4 };
		int r = print_line(t, line);

		if (r < 0)
			return r;
		if (!data || strcmp(data, NOTHING) == 0)
			continue;
		printf("    ");
		flow_print(&f, NULL, "%s", data);
		putchar('\n');
	}
	return 0;
}

int table_print(struct table *t)
{
	size_t width, lines;

	flow_screen(&width, &lines);
	if (t->wrapped && width > 0 && !has_room(t, width))
		return print_below(t, width);
	return scols_print_table(t->scols) < 0 ? -EIO : 0;
}
