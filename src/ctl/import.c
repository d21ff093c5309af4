/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import-ndppd: a file in, our configuration out; nobody is asked. */
#include "ctl/ctl.h"
#include "wire/ndppd-conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* At most one byte more than the parser takes, so that it can say so. */
static int read_file(const char *path, char **ret, size_t *ret_n)
{
	_cleanup_(freep) char *text = malloc(NDPPD_CONF_MAX + 1);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return -errno;
	if (!text)
		return -ENOMEM;
	errno = 0;
	n = fread(text, 1, NDPPD_CONF_MAX + 1, f);
	if (ferror(f))
		return errno > 0 ? -errno : -EIO;
	*ret = steal_ptr(&text);
	*ret_n = n;
	return 0;
}

static int convert(const char *path, const char *name, char **ret, char **ret_error)
{
	_cleanup_(freep) char *text = NULL;
	struct ndppd_conf c = { 0 };
	size_t n = 0;
	int r = read_file(path, &text, &n);

	if (r < 0)
		return r;
	r = ndppd_conf_parse(text, n, name, &c, ret_error);
	if (r == 0)
		r = ndppd_conf_to_ini(&c, ret);
	ndppd_conf_done(&c);
	return r;
}

int import_ndppd(const struct ctl_options *o)
{
	_cleanup_(freep) char *name = ctl_escape(o->file, "");
	_cleanup_(freep) char *text = NULL, *error = NULL;
	int r = name ? convert(o->file, name, &text, &error) : -ENOMEM;

	if (r < 0) {
		if (error)
			ctl_error(NULL, "%s", error);
		else
			ctl_error(NULL, "%s: %s", name ? name : "", strerror(-r));
		return CTL_FAILED;
	}
	fputs(text, stdout);
	return CTL_OK;
}
