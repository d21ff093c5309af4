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
	const char *file;    /* of a verb that takes one */
	bool json;
	bool no_legend;
	bool color;
};

/* ctl.c */

/* "ipv6natctl: ...", and the cure on a line of its own unless it is NULL or "". */
_printf_(2, 3) void ctl_error(const char *cure, const char *format, ...);

/*
 * Names and messages come from others, and a terminal obeys what it is sent: a copy with control
 * characters (but for those allowed), invalid UTF-8 and direction marks as \xNN; NULL: no memory.
 */
char *ctl_escape(const char *text, const char *allowed);

/* client.c */

struct client_reply {
	char *body; /* '\0' terminated */
	size_t n;
};
/*
 * One request to the daemon. CTL_OK and a body (the answer was 200), or what the program has to
 * exit with after the error that has been printed.
 */
int client_request(const struct ctl_options *o, const char *method, const char *path,
		   struct client_reply *ret);
void client_reply_done(struct client_reply *r);

/* verbs.c */

struct verb {
	const char *name;
	int (*run)(const struct ctl_options *o);
	bool takes_json;
	bool takes_columns;
	bool takes_file;
};
const struct verb *verbs_find(const char *name);

/* import.c */

int import_ndppd(const struct ctl_options *o);

/* table.c */

struct table_column {
	const char *name;
	double width; /* as of scols_table_new_column(): a hint, or a share if below 1 */
	bool number;  /* to the right, and no string in JSON */
	bool trunc;   /* is cut first when the screen is too narrow */
	bool extra;   /* only with -o */
};
struct table;
/* -EINVAL: unknown column in -o (printed). */
int table_new(const char *name, const struct table_column *columns, size_t n_columns,
	      const struct ctl_options *o, struct table **ret);
struct table *table_free(struct table *t);
DEFINE_CLEANUP(struct table *, table_free)
/* Lines are filled in after this; cells of columns that are not shown are ignored. */
int table_add_line(struct table *t);
int table_set(struct table *t, size_t column, const char *text); /* NULL: nothing there */
_printf_(3, 4) int table_setf(struct table *t, size_t column, const char *format, ...);
int table_print(struct table *t);

/* show.c */

void show_summary(const struct ctl_options *o, const struct api_status *s);
int show_networks(const struct ctl_options *o, const struct api_status *s);
int show_ports(const struct ctl_options *o, const struct api_status *s);
int show_containers(const struct ctl_options *o, const struct api_status *s);

/* show-ndp.c */

void show_ndp_summary(const struct api_status *s);
int show_addresses(const struct ctl_options *o, const struct api_status *s);
