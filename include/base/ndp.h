/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What is answered on which uplink, as data: built by model/plan, applied by io/ndp. Solicitations
 * and reasons for silence as wire/nd and io/ndp count them.
 */
#include "base/config.h"
#include "base/inet.h"
#include "base/strtab.h"
#include "base/vec.h"

#include <net/if.h>

/* An address of a live container: answered, defended against DAD, announced, its group joined. */
struct ndp_target {
	struct in6_addr address;
};

/* A static rule, as ndppd's: answered for every address, rate-limited, never against DAD. */
struct ndp_rule {
	struct inet_prefix prefix;
};

struct ndp_interface {
	char name[IFNAMSIZ];
	int ifindex;
	uint16_t type; /* ARPHRD_x: only Ethernet is answered on */
	bool up;
	uint8_t mac[6];
	struct in6_addr link_local;     /* zero: none (yet) */
	VEC(struct ndp_target) targets; /* sorted by address, no duplicates */
	VEC(struct ndp_rule) rules;     /* sorted, no duplicates */
	/* This host's own addresses: never answered, whatever a rule says. Sorted. */
	VEC(struct in6_addr) own;
};

struct ndp_plan {
	VEC(struct ndp_interface) interfaces; /* sorted by ifindex */
	enum config_ndp_source source;
	struct in6_addr source_address; /* CONFIG_NDP_SOURCE_ADDRESS */
	enum config_ndp_override override;
	bool announce;
	uint32_t rate_per_s; /* answers for static rules, per interface; 0: the default */
};

void ndp_plan_done(struct ndp_plan *p);
int ndp_target_compare(const void *a, const void *b); /* by address */

/* Why a solicitation was not answered. Names are those of status and metrics. */
enum ndp_drop {
	NDP_DROP_NONE,
	NDP_DROP_MALFORMED, /* short, bad lengths, bad options, wrong type or code */
	NDP_DROP_HOP_LIMIT, /* RFC 4861 7.1.1 */
	NDP_DROP_CHECKSUM,
	NDP_DROP_FRAGMENT,    /* RFC 6980 */
	NDP_DROP_SOURCE,      /* multicast, loopback, the target itself, or our own frame */
	NDP_DROP_DESTINATION, /* "::" asks a unicast or all-nodes address; DAD with SLLA */
	NDP_DROP_UNKNOWN,     /* nobody of ours has this address */
	NDP_DROP_OWN,         /* the kernel answers for this host's own addresses */
	NDP_DROP_DAD_RULE,    /* DAD for an address that only a static rule covers */
	NDP_DROP_RATE,
	NDP_DROP_SEND, /* the kernel did not take the answer */
	_NDP_DROP_MAX,
};
DECLARE_STRTAB(ndp_drop, enum ndp_drop);

struct ndp_counters {
	uint64_t solicitations;  /* received by us; the kernel's filter has dropped others before */
	uint64_t advertisements; /* solicited answers sent */
	uint64_t unicast;        /* ... of them to unicast solicitations */
	uint64_t dad;            /* ... of them in defence of an address */
	uint64_t announcements;  /* unsolicited advertisements sent */
	uint64_t lost;           /* dropped by the kernel before we read them (PACKET_STATISTICS) */
	uint64_t dropped[_NDP_DROP_MAX];
};
