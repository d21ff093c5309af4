/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A list of changes to a ruleset, in an order that nf_tables accepts as one transaction. */
#include "base/ruleset.h"

enum ruleset_op {
	RULESET_ADD_TABLE, /* no-op if it exists */
	RULESET_DELETE_TABLE,
	RULESET_ADD_SET,
	RULESET_DELETE_SET,
	RULESET_ADD_CHAIN,
	RULESET_DELETE_CHAIN,
	RULESET_FLUSH_CHAIN,
	RULESET_ADD_RULE,
	RULESET_ADD_ELEMENT,
	RULESET_DELETE_ELEMENT,
	_RULESET_OP_MAX,
};

struct ruleset_change {
	enum ruleset_op op;
	enum ruleset_family family;
	const struct ruleset_set *set;         /* set and element changes */
	const struct ruleset_chain *chain;     /* chain and rule changes */
	const struct ruleset_rule *rule;       /* RULESET_ADD_RULE */
	const struct ruleset_element *element; /* element changes */
};

struct ruleset_changes {
	VEC_FIELDS(struct ruleset_change);
};
