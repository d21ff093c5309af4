/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of ipv6natctl share. */
#include "base/own.h"
#include "wire/api-json-read.h"

#include <stdbool.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1, /* or, for status: there are errors or warnings */
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
};

struct ctl_options {
	const char *control; /* path of the socket */
	const char *host;    /* NULL: this one */
	const char *columns; /* -o, NULL: the usual ones */
	bool json;
	bool no_legend;
	bool color;
};

/* main.c: "ipv6natctl: ...", and the cure on a line of its own unless it is NULL or "". */
_printf_(2, 3) void ctl_error(const char *cure, const char *format, ...);

/* client.c */

struct ctl_reply {
	char *body; /* '\0' terminated */
	size_t n;
};
/*
 * One request to the daemon. CTL_OK and a body (the answer was 200), or what the program has to
 * exit with after the error that has been printed.
 */
int ctl_request(const struct ctl_options *o, const char *method, const char *path,
		struct ctl_reply *ret);
void ctl_reply_done(struct ctl_reply *r);

/* escape.c: names and messages come from others, and a terminal obeys what it is sent. */

/* A copy with control characters, invalid UTF-8 and direction marks as \xNN; NULL: no memory. */
char *ctl_escape(const char *text, const char *allowed);

/* verbs.c */

struct ctl_verb {
	const char *name;
	int (*run)(const struct ctl_options *o);
	bool takes_json;
	bool takes_columns;
};
const struct ctl_verb *ctl_verb_find(const char *name);

/* table.c */

struct ctl_column {
	const char *name;
	double width; /* as of scols_table_new_column(): a hint, or a share if below 1 */
	bool number;  /* to the right, and no string in JSON */
	bool trunc;   /* is cut first when the screen is too narrow */
	bool extra;   /* only with -o */
};
struct ctl_table;
/* -EINVAL: unknown column in -o (printed). */
int ctl_table_new(const char *name, const struct ctl_column *columns, size_t n_columns,
		  const struct ctl_options *o, struct ctl_table **ret);
struct ctl_table *ctl_table_free(struct ctl_table *t);
DEFINE_CLEANUP(struct ctl_table *, ctl_table_free)
/* Lines are filled in after this; cells of columns that are not shown are ignored. */
int ctl_table_add_line(struct ctl_table *t);
int ctl_table_set(struct ctl_table *t, size_t column, const char *text); /* NULL: nothing there */
_printf_(3, 4) int ctl_table_setf(struct ctl_table *t, size_t column, const char *format, ...);
int ctl_table_print(struct ctl_table *t);

/* show.c */

void ctl_show_summary(const struct ctl_options *o, const struct api_status *s);
int ctl_show_networks(const struct ctl_options *o, const struct api_status *s);
int ctl_show_ports(const struct ctl_options *o, const struct api_status *s);
int ctl_show_containers(const struct ctl_options *o, const struct api_status *s);
