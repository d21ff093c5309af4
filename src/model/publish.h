/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which host ports lead to which containers, and who holds one that several want. */
#include "decide.h"

struct mapping {
	const struct net *net;
	const struct container *container;
	struct in6_addr address; /* of the container on net */
	struct status_port port; /* with its verdict */
	bool confirmed;          /* listed by the engine, not assumed from the request */
};

struct mappings {
	VEC_FIELDS(struct mapping);
};

/* A container's presence on a network in scope. */
struct presence {
	const struct net *net;
	const struct container *container;
	struct in6_addr address;
	size_t first, n_mappings; /* its ports, among the mappings */
};

struct presences {
	VEC_FIELDS(struct presence);
};

/*
 * Every live container address, and every published port of the containers' IPv6 gateway
 * endpoints, conflicts decided. 0 or -ENOMEM.
 */
int publish_collect(const struct snapshot *snapshot, const struct nets *nets,
		    struct problems *problems, struct presences *ret_presences,
		    struct mappings *ret_mappings);
