/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A ruleset as an nft script: for people, for --dry-run and for golden tests. Loads in nft 1.0.6. */
#include "base/ruleset.h"

/*
 * Replaces the tables when loaded: "table ip6 ipv6nat; delete table …; table ip6 ipv6nat { … }";
 * nothing is said of a table that is not present. Rules carry their tags as comments, so that a
 * loaded script is recognised as ours. *ret is malloc()ed. 0 or -ENOMEM.
 */
int nft_text_encode(const struct ruleset *r, char **ret);

/* One element as it stands in the script, e.g. "tcp . 8080 : fd00::2 . 80", cut to size. */
void nft_text_element(const struct ruleset_set *s, const struct ruleset_element *e, char *ret,
		      size_t size);
