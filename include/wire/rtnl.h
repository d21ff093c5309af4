/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Decodes what rtnetlink says about links, bridge ports, IPv6 addresses, IPv6 routes and IPv6
 * settings of interfaces. Of the routes only those count that decide over uplinks: default
 * routes of every table, and on-link routes to prefixes (not to single hosts) of the main table.
 */
#include "base/links.h"

/* More next hops than this in one route are not looked at. */
#define RTNL_NEXTHOPS_MAX 64

enum rtnl_kind {
	RTNL_LINK,
	RTNL_LINK_GONE,
	RTNL_PORT,      /* a bridge on one of its ports (AF_BRIDGE): says less than RTNL_LINK */
	RTNL_PORT_GONE, /* the interface left its bridge; it lives on */
	RTNL_ADDRESS,
	RTNL_ADDRESS_GONE,
	RTNL_ROUTE,
	RTNL_ROUTE_GONE,
	RTNL_NETCONF, /* a setting below net.ipv6.conf changed, see NETCONFA_IFINDEX_x */
};

struct rtnl_port {
	int master; /* 0: not said */
	bool has_hairpin;
	bool hairpin;
};

struct rtnl_nexthop {
	int ifindex;
	struct in6_addr gateway; /* zero: on-link */
};

struct rtnl_route {
	struct inet_prefix destination;
	struct inet_prefix source; /* of a source-specific route, else length 0 */
	uint32_t table;
	uint32_t metric;
	bool from_ra;      /* learnt from a router advertisement */
	bool multipath;    /* next hops outlive their interface's being down */
	bool replaces;     /* took the place of a route that the message does not describe */
	size_t n_nexthops; /* 0: this route does not count, but what it replaced may have */
	struct rtnl_nexthop nexthops[RTNL_NEXTHOPS_MAX];
};

struct rtnl_message {
	enum rtnl_kind kind;
	int ifindex;  /* of everything but routes */
	bool enabled; /* RTNL_LINK: IFF_UP, whatever the carrier */
	union {
		struct link link; /* RTNL_LINK; addresses, routes and settings are empty */
		struct rtnl_port port;
		struct link_address address;
		struct rtnl_route route;
	};
};

/*
 * Decodes the one message, header included, that begins at data. > 0: *ret is filled in and
 * owns no memory; 0: nothing that counts; -EBADMSG: not a well-formed message.
 */
int rtnl_decode(const void *data, size_t length, struct rtnl_message *ret);
