/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Enum <-> string. DEFINE_STRTAB(net_mode, enum net_mode, _NET_MODE_MAX, names) defines
 * net_mode_to_string() and net_mode_from_string(); the latter returns -EINVAL if unknown.
 * A table that is shorter than the enum does not compile.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define DECLARE_STRTAB(prefix, type)            \
	const char *prefix##_to_string(type v); \
	int prefix##_from_string(const char *s)

#define DEFINE_STRTAB(prefix, type, max, table)                       \
	static_assert(sizeof(table) / sizeof((table)[0]) == (max),    \
		      #table " does not name every value");           \
	const char *prefix##_to_string(type v)                        \
	{                                                             \
		return (unsigned)v < (max) ? (table)[v] : NULL;       \
	}                                                             \
	int prefix##_from_string(const char *s)                       \
	{                                                             \
		for (unsigned i = 0; i < (max); i++)                  \
			if ((table)[i] && strcmp((table)[i], s) == 0) \
				return (int)i;                        \
		return -EINVAL;                                       \
	}
