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
	const char *control; /* path of the socket; NULL: the usual one */
	const char *host;    /* NULL: this one */
	const char *columns; /* -o, NULL: the usual ones */
	const char *file;    /* of a verb that takes one */
	bool json;
	bool no_legend;
	bool color;
	bool quiet; /* a daemon that does not answer needs no words */
};

#define CTL_DEFAULT_CONTROL "/run/ipv6nat/control.sock"

#define CTL_RED "\x1b[1;31m"
#define CTL_YELLOW "\x1b[1;33m"
#define CTL_GREEN "\x1b[1;32m"
#define CTL_NORMAL "\x1b[0m"

/* main.c */

int main_help(const struct ctl_options *o);

/* ctl.c */

/* "ipv6natctl: ...", and the cure on a line of its own unless it is NULL or "". */
_printf_(2, 3) void ctl_error(const char *cure, const char *format, ...);

/*
 * Names and messages come from others, and a terminal obeys what it is sent: a copy with control
 * characters (but for those allowed), invalid UTF-8 and direction marks as \xNN; NULL: no memory.
 * Where the user's character set is not UTF-8, all that is not ASCII: libsmartcols 2.38 would never
 * end with it.
 */
char *ctl_escape(const char *text, const char *allowed);

/* client.c */

struct client_reply {
	char *body; /* '\0' terminated */
	size_t n;
};
/*
 * One request to the daemon. CTL_OK and a body (the answer was 200), or what the program has to
 * exit with after the error that has been printed (unless o->quiet).
 */
int client_request(const struct ctl_options *o, const char *method, const char *path,
		   struct client_reply *ret);
void client_reply_done(struct client_reply *r);

/*
 * GETs a document of lines that has no end, and hands over every line, without its end, as it
 * comes; what on_line() returns unless it is 0 ends it, and is returned. Else only errors end it,
 * as above: a daemon that goes away is CTL_NO_DAEMON.
 */
int client_follow(const struct ctl_options *o, const char *path,
		  int (*on_line)(void *userdata, const char *line, size_t n), void *userdata);

/* remote.c */

/* Is this a host that ssh can be given? Explains why not. */
bool remote_check(const char *host);
/* Runs the same command on o->host; what the program has to exit with. */
int remote_run(const struct ctl_options *o, const char *verb);

/* table.c */

#define TABLE_MAX_COLUMNS 16

struct table_column {
	const char *name;
	bool number; /* to the right, and no string in JSON */
	bool list;   /* an array in JSON, items separated by '\n' there */
	bool wrap;   /* words, which give way when the screen is too narrow; at most one column */
	bool extra;  /* only with -o, and in JSON */
};
struct table_layout {
	const char *name; /* of the array in JSON */
	const struct table_column *columns;
	size_t n_columns;
};
struct table;
/* What -o means: the number of columns to show, and which; -EINVAL: unknown column (printed). */
int table_choose(const struct table_layout *l, const struct ctl_options *o,
		 size_t ret_chosen[static TABLE_MAX_COLUMNS]);
int table_new(const struct table_layout *l, const struct ctl_options *o, struct table **ret);
struct table *table_free(struct table *t);
DEFINE_CLEANUP(struct table *, table_free)
/* Lines are filled in after this; cells of columns that are not shown are ignored. */
int table_add_line(struct table *t);
int table_set(struct table *t, size_t column, const char *text); /* NULL: nothing there */
_printf_(3, 4) int table_setf(struct table *t, size_t column, const char *format, ...);
void table_color(struct table *t, size_t column, const char *color); /* after it has been set */
int table_print(struct table *t);

/* flow.c */

/* Words in lines of a screen's width. */
struct flow {
	size_t indent; /* of lines but the first */
	size_t width;  /* 0: lines have no end */
	size_t column; /* where the cursor stands */
	bool begun;    /* the next word needs a space before it */
};
/* The terminal that output goes to; width 0 and lines without end: it is none. */
void flow_screen(size_t *ret_width, size_t *ret_lines);
/* Columns that a text takes, in the user's character set. */
size_t flow_width(const char *text);
/* Escapes the text and prints its words; color: an escape sequence, or NULL. */
_printf_(3, 4) void flow_print(struct flow *f, const char *color, const char *format, ...);

/* show.c */

extern const struct table_layout show_networks_layout, show_ports_layout, show_addresses_layout;
int show_networks(const struct ctl_options *o, const struct api_status *s);
int show_ports(const struct ctl_options *o, const struct api_status *s);
int show_addresses(const struct ctl_options *o, const struct api_status *s);

/* status.c */

int status_show(const struct ctl_options *o, const struct api_status *s);

/* verbs.c */

struct verb {
	const char *name;
	int (*run)(const struct ctl_options *o);
	const struct table_layout *table; /* NULL: prints none */
	bool takes_json;
	bool takes_file;
	bool is_local; /* asks nobody */
};
const struct verb *verbs_find(const char *name);

/* monitor.c */

int monitor_run(const struct ctl_options *o);

/* import.c */

int import_ndppd(const struct ctl_options *o);
