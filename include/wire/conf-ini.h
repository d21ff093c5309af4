/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* ipv6nat.conf(5) text -> struct config (libinih). Untrusted, line length bounded. */
#include "base/config.h"

#include <stdio.h>

/*
 * Adds the settings of one file to *config. name is used in messages. On the first error returns
 * -EINVAL and a malloc()ed "FILE:LINE: what" in *ret_error; -ENOMEM; -errno of a read error.
 * Keys that this version does not act on yet add to config->warnings.
 */
int conf_ini_parse(FILE *f, const char *name, struct config *config, char **ret_error);
