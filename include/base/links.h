/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What the kernel said: links, addresses, routes, sysctls (by io/link) and the rules that Docker
 * itself keeps (by io/fw). Read by model.
 */
#include "base/inet.h"
#include "base/strtab.h"
#include "base/vec.h"

#include <net/if.h>

struct link_address {
	struct in6_addr address;
	uint8_t prefix_length;
	uint32_t flags; /* IFA_F_x */
};

struct link {
	int ifindex;
	char name[IFNAMSIZ];
	uint16_t type; /* ARPHRD_x */
	bool up;       /* IFF_UP and carrier (IFF_LOWER_UP) */
	bool is_bridge;
	bool nf_call_ip6tables; /* bridge: its own IFLA_BR_NF_CALL_IP6TABLES */
	bool hairpin;           /* bridge port: IFLA_BRPORT_MODE */
	int master;             /* ifindex of the bridge or bond, 0: none */
	uint8_t mac[6];
	bool has_mac;
	bool default_route;    /* an IPv6 default route leaves here */
	bool default_route_ra; /* ... and it was learnt from a router advertisement */
	/* Settings below conf.IFACE, of uplinks, bridges, and interfaces with an address that is not
	 * link-local; -1: not read, or unknown to the kernel. */
	int accept_ra;
	int forwarding;
	int force_forwarding;               /* kernel 6.17 */
	VEC(struct link_address) addresses; /* sorted by address */
	VEC(struct inet_prefix) on_link;    /* on-link routes (no gateway), sorted */
};

struct bridge_name {
	char name[IFNAMSIZ];
};
struct bridge_names { /* sorted */
	VEC_FIELDS(struct bridge_name);
};

/* Two separate sets of rules, each with a command of its own: ip6tables-nft, ip6tables-legacy. */
enum ip6tables {
	IP6TABLES_NFT,
	IP6TABLES_LEGACY,
	_IP6TABLES_MAX,
};
DECLARE_STRTAB(links_ip6tables, enum ip6tables);

/* What docker-ipv6nat makes and leaves behind; most of it in the words of Docker before 27. */
struct leftovers {
	bool chains;         /* built-in chains lead to DOCKER, DOCKER-ISOLATION-STAGE-1 */
	bool docker_forward; /* ... to DOCKER-FORWARD, which only Docker makes, from 28 on */
	bool user_rules;     /* DOCKER-USER holds more than its "-j RETURN" */
	struct bridge_names bridges; /* named by rules of these chains, and by jumps to them */
	struct bridge_names marked;  /* ... by the rule that nobody but docker-ipv6nat makes */
};

struct links {
	bool complete;          /* dumped once since the last loss of messages */
	VEC(struct link) links; /* sorted by ifindex */
	int all_forwarding;     /* net.ipv6.conf.all.forwarding; -1: unreadable */
	int default_forwarding;
	int bridge_nf_call_ip6tables; /* -1: br_netfilter is not loaded */
	bool sysctl_writable;
	struct bridge_names docker_rules; /* bridges named by Docker's own IPv6 rules */
	struct leftovers leftovers[_IP6TABLES_MAX];
};

void links_done(struct links *l);
struct link *links_find(const struct links *l, int ifindex);
struct link *links_find_name(const struct links *l, const char *name);
/* True if the address is assigned to any interface of this host. */
bool links_is_local(const struct links *l, const struct in6_addr *a);
bool links_has_docker_rules(const struct links *l, const char *bridge);
