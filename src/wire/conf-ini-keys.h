/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The table of sections and keys behind conf-ini.c, and how their values are read. */
#include "base/config.h"

struct conf_key {
	const char *name;
	/* Stores the value at field. 0, -EINVAL or -ENOMEM. The value is not empty. */
	int (*parse)(const char *value, void *field);
	/* Gives back what the field owns; NULL: a plain value of the size below. */
	void (*reset)(void *field);
	size_t offset; /* within what the section's open() returns */
	size_t size;
	const char *expected; /* completes "expected ..." */
	/* Has no effect in this version: the one value without, or "" for any value. */
	const char *without_effect;
};

struct conf_section {
	const char *name;
	const char *argument; /* what stands behind the name, for messages; NULL: nothing */
	bool (*argument_is_valid)(const char *argument);
	/* Where the keys are stored; NULL: no memory. */
	void *(*open)(struct config *c, const char *argument);
	const struct conf_key *keys; /* ends with a name of NULL */
};

/* Exact, case-sensitive; NULL if there is none. */
const struct conf_section *conf_section_find(const char *name);
const struct conf_key *conf_key_find(const struct conf_section *s, const char *name);
/* The right spelling if only the case is wrong, else NULL. */
const char *conf_key_suggest(const struct conf_section *s, const char *name);

/* Sets one key; an empty value means the default. *defaults is as config_init() made it. */
int conf_key_set(const struct conf_section *s, const struct conf_key *k, void *object,
		 const char *value, struct config *c, const struct config *defaults);
