/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The control API's documents (jansson). *ret is malloc()ed. 0 or -ENOMEM. */
#include "base/status.h"

int api_json_status(const struct status *s, char **ret);
/* {"error": message, "cure": cure} */
int api_json_error(const char *message, const char *cure, char **ret);
