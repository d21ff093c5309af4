/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The shape of our tables: sets, chains and rules that stand still. What networks and containers
 * add are elements, and one short chain per network.
 */
#include "base/ruleset.h"

/* Names of sets and maps. */
#define SET_HOST_ADDRESS "host_address"       /* addresses of this host -> publish chain */
#define SET_PUBLISH_ADDRESS "publish_address" /* address . protocol . port -> address . port */
#define SET_PUBLISH_ANY "publish_any"         /* protocol . port -> address . port */
#define SET_INSIDE "inside"                   /* the first 32 bits of every subnet of ours */
#define SET_SELF "self"         /* container . protocol . host port of its own: see needs_proxy() */
#define SET_SOURCE "source"     /* subnet -> the network's source chain */
#define SET_TO "to"             /* bridge -> what may enter it */
#define SET_INTERNAL "internal" /* bridges that nothing leaves */
#define SET_BRIDGES "bridges"   /* bridges that we answer for */
#define SET_OVERLAPPING "overlapping" /* bridges whose subnet holds a whole on-link prefix */
#define SET_ALLOWED "allowed"   /* in . out interface: same bridge with ICC, trusted interfaces */
#define SET_OPEN "open"         /* container address . protocol . container port */
#define SET_OWN "own"           /* addresses of this host inside subnets of ours */
#define SET_LIVE "live"         /* container addresses that may be pinged */
#define SET_ANSWERED "answered" /* uplink . address: answered by us, not forwarded */
#define SET_GATEWAYS "gateways" /* Ethernet addresses of their bridges */
#define SET_ISOLATED "isolated_ports" /* bridge ports of containers with ICC off */
#define SET_BESIDE "beside" /* bridges whose containers docker-ipv6nat leaves to docker-proxy */

/* First 32 bits of subnets; wider subnets take several, but none wider than this. */
#define LAYOUT_INSIDE_MAX 1024
#define LAYOUT_WIDEST_SUBNET 24

/* Verdict chains of SET_TO and SET_HOST_ADDRESS. */
#define CHAIN_TO_CLOSED "to_closed"
#define CHAIN_TO_OPEN "to_open"
#define CHAIN_INTERNAL "internal"
#define CHAIN_PUBLISH_ADDRESS "publish_to_address"
#define CHAIN_PUBLISH_ANY "publish_to_any"

/* Adds the standing part of a table. 0 or -ENOMEM. */
int layout_ip6(struct ruleset_table *t);
/* Adds to it what leaves published ports to docker-proxy, for the containers of some bridges. */
int layout_beside(struct ruleset_table *t);
int layout_bridge(struct ruleset_table *t);
/* Instead of all this: a rule that has connections tracked, and does nothing. */
int layout_tracking(struct ruleset_table *t);
/* Adds what drops unicast solicitations that the responder answers. 0 or -ENOMEM. */
int layout_solicitations(struct ruleset_table *t);

struct layout_source {
	const char *chain;
	const char *bridge;
	bool masquerade;
	struct in6_addr snat; /* zero: masquerade with the outgoing interface's address */
};
/* Adds the chain that a network's subnets lead to in postrouting. 0 or -ENOMEM. */
int layout_source_chain(struct ruleset_table *t, const struct layout_source *s);

/* The set is part of the layout; returns its new zeroed element or NULL on memory shortage. */
struct ruleset_element *layout_element(struct ruleset_table *t, const char *set);
