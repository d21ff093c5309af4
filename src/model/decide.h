/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Per network: which mode, and which of Docker's and our own options apply. */
#include "model/plan.h"

/* One network as the plan sees it. Borrows from snapshot, config and links. */
struct net {
	const struct network *facts;
	const struct link *link; /* of the bridge; NULL while the kernel has none */
	char bridge[16];
	enum net_mode mode;
	char *reason;
	bool open;     /* unpublished ports are not closed */
	bool overlaps; /* holds a whole on-link prefix: its other addresses are not containers */
	bool icc;      /* containers on the bridge reach one another */
	bool masquerade;
	struct in6_addr snat;       /* zero: masquerade with the uplink's address */
	struct in6_addr binding;    /* host address for bindings without one; zero: every address */
	bool default_binding_known; /* Docker's default binding is every address */
	bool host_ports;            /* false: the engine ignores them (gateway mode routed) */
	const char *uplink;         /* "" if there is none */
	bool uplink_asked;          /* somebody has named it */
	struct config_strings trusted;
	bool needs_proxy; /* its containers reach ports of their own through docker-proxy */
};

struct nets {
	VEC_FIELDS(struct net);
};

/* Networks in scope (driver bridge, IPv6), in the order of the snapshot. 0 or -ENOMEM. */
int nets_decide(const struct config *config, const struct snapshot *snapshot,
		const struct links *links, struct problems *problems, struct nets *ret);
void nets_done(struct nets *nets);
struct net *nets_find(const struct nets *nets, const char *network_id);

/* We make rules for it (every mode but native and off). */
bool net_is_ours(const struct net *n);
/* Published ports of its containers are translated by us. */
bool net_publishes(const struct net *n);

/* An interface that leads out: configured, or one with a default route. */
bool link_is_uplink(const struct config *config, const struct link *l);
/* Engine at least major.minor.patch; false while the version is unknown. */
bool engine_at_least(const struct engine *e, unsigned major, unsigned minor, unsigned patch);
