/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Rules of others (ip6tables through nf_tables or through the older x_tables, Docker's nft tables),
 * reduced to what tells whose they are. Bytes only, no socket.
 */
#include "base/ruleset.h"

#include <libmnl/libmnl.h>
#include <net/if.h>

struct ip6t_getinfo; /* linux/netfilter_ipv6/ip6_tables.h */

#define FOREIGN_NAME 64

struct foreign_rule {
	char chain[RULESET_NAME];
	char oifname[IFNAMSIZ]; /* "-o NAME", not "! -o", not "-o NAME+"; or "" */
	bool any;               /* applies to every packet */
	bool conntrack;         /* looks at the state of the connection */
	bool to_local;          /* -m addrtype --dst-type LOCAL, and nothing else of it */
	bool masquerade;
	enum ruleset_verdict verdict; /* NONE: something else, or nothing */
	char target[RULESET_NAME];    /* of a jump */
};
struct foreign_rules {
	VEC_FIELDS(struct foreign_rule);
};

/* A dumped nf_tables rule: appended if it is of that ip6 table.
 * > 0: appended, 0: of no interest, -EBADMSG, -ENOMEM. */
int foreign_decode_nft_rule(const struct nlmsghdr *h, const char *table,
			    struct foreign_rules *rules);
/* A dumped nf_tables chain of that ip6 table. > 0: its name is in ret. 0: not of it. -EBADMSG. */
int foreign_decode_nft_chain(const struct nlmsghdr *h, const char *table,
			     char ret[static FOREIGN_NAME]);
/* The entries of an x_tables table, as IP6T_SO_GET_ENTRIES returns them. 0, -EBADMSG, -ENOMEM. */
int foreign_decode_xt(const struct ip6t_getinfo *info, const void *entries, size_t size,
		      struct foreign_rules *rules);
/* Does this data of the match addrtype mean --dst-type LOCAL, and nothing else? */
bool foreign_is_to_local(const void *addrtype, size_t size);
