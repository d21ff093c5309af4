/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_COLUMNS 16

struct table {
	struct libscols_table *scols;
	struct libscols_line *line;
	const struct table_column *columns;
	size_t n_columns;
	bool json;
	int place[MAX_COLUMNS]; /* -1: not shown */
};

static int find_column(const struct table *t, const char *name, size_t n)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (strlen(t->columns[i].name) == n &&
		    strncasecmp(t->columns[i].name, name, n) == 0)
			return (int)i;
	return -EINVAL;
}

static void complain_column(const struct table *t, const char *name, size_t n)
{
	_cleanup_(freep) char *copy = strndup(name, n), *safe = copy ? ctl_escape(copy, "") : NULL;
	char known[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < t->n_columns && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
					 i > 0 ? "," : "columns: ", t->columns[i].name);
	ctl_error(known, "unknown column \"%s\"", safe ? safe : "");
}

static int show_column(struct table *t, size_t i, int place)
{
	const struct table_column *c = &t->columns[i];
	struct libscols_column *column;
	int flags = (c->number ? SCOLS_FL_RIGHT : 0) | (c->trunc ? SCOLS_FL_TRUNC : 0);

	column = scols_table_new_column(t->scols, c->name, c->width, flags);
	if (!column)
		return -ENOMEM;
	if (c->number)
		(void)scols_column_set_json_type(column, SCOLS_JSON_NUMBER);
	t->place[i] = place;
	return 0;
}

/* -o A,B: these in this order; else those that are not extra. */
static int choose_columns(struct table *t, const char *wanted)
{
	int place = 0, r = 0;

	for (size_t i = 0; i < t->n_columns; i++)
		t->place[i] = -1;
	for (size_t i = 0; !wanted && i < t->n_columns && r == 0; i++)
		if (!t->columns[i].extra)
			r = show_column(t, i, place++);
	while (wanted && r == 0) {
		size_t n = strcspn(wanted, ",");
		int i = find_column(t, wanted, n);

		if (i < 0) {
			complain_column(t, wanted, n);
			return -EINVAL;
		}
		if (t->place[i] < 0)
			r = show_column(t, (size_t)i, place++);
		wanted = wanted[n] == ',' ? wanted + n + 1 : NULL;
	}
	return r;
}

int table_new(const char *name, const struct table_column *columns, size_t n_columns,
	      const struct ctl_options *o, struct table **ret)
{
	_cleanup_(table_freep) struct table *t = calloc(1, sizeof(*t));
	int r;

	if (!t || n_columns > MAX_COLUMNS)
		return -ENOMEM;
	t->columns = columns;
	t->n_columns = n_columns;
	t->json = o->json;
	t->scols = scols_new_table();
	if (!t->scols)
		return -ENOMEM;
	/* Escaping is ours: libsmartcols' own would escape the backslashes again. */
	if (scols_table_set_name(t->scols, name) < 0 ||
	    scols_table_enable_json(t->scols, o->json) < 0 ||
	    scols_table_enable_noencoding(t->scols, 1) < 0 ||
	    scols_table_enable_noheadings(t->scols, o->no_legend) < 0)
		return -ENOMEM;
	r = choose_columns(t, o->columns);
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
	safe = ctl_escape(text ? text : "-", "");
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
	int r;

	va_start(ap, format);
	r = vasprintf(&text, format, ap);
	va_end(ap);
	if (r < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return table_set(t, column, text);
}

int table_print(struct table *t)
{
	return scols_print_table(t->scols) < 0 ? -EIO : 0;
}
