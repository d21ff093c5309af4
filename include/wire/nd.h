/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Neighbour solicitations and advertisements (RFC 4861 4.3, 4.4) as Ethernet frames. Pure: bytes
 * only. Full validation of RFC 4861 7.1.1 and RFC 6980, whatever a kernel filter checked before.
 */
#include "base/ndp.h"

#define ND_ADVERTISEMENT_SIZE (14 + 40 + 24 + 8)
#define ND_PROBE_SIZE (14 + 40 + 24 + 8)

struct nd_solicitation {
	struct in6_addr source; /* zero: DAD */
	struct in6_addr destination;
	struct in6_addr target;
	uint8_t reply_mac[6]; /* SLLA option, else the Ethernet source */
	uint8_t ethernet_source[6];
	bool multicast; /* sent to a multicast destination */
	uint64_t nonce; /* RFC 7527, 48 bits; 0: none, or longer than ours */
};

/* NDP_DROP_NONE: *ret is filled in; else it is untouched. */
enum ndp_drop nd_parse(const uint8_t *frame, size_t size, struct nd_solicitation *ret);

struct nd_advertisement {
	uint8_t ethernet_source[6], ethernet_destination[6];
	struct in6_addr source, destination, target;
	bool router, solicited, override;
	uint8_t mac[6]; /* target link-layer address option */
};
/* Writes ND_ADVERTISEMENT_SIZE bytes, checksum included. */
void nd_encode_advertisement(const struct nd_advertisement *a,
			     uint8_t ret[static ND_ADVERTISEMENT_SIZE]);

/* A solicitation of our own: a probe for an address (RFC 4862 5.4.2), with a nonce of 48 bits. */
void nd_encode_probe(const uint8_t mac[static 6], const struct in6_addr *target, uint64_t nonce,
		     uint8_t ret[static ND_PROBE_SIZE]);

/* The ICMPv6 type of a frame, valid or not; -1: it is something else. */
int nd_type(const uint8_t *frame, size_t size);
/* An advertisement for target: > 0 and the MAC that it names (target link-layer address option,
 * else the Ethernet source); 0: not a valid one (RFC 4861 7.1.2). */
int nd_parse_advertisement(const uint8_t *frame, size_t size, struct in6_addr *ret_target,
			   uint8_t ret_mac[static 6]);

/* RFC 4291 2.7.1, RFC 2464 7 */
void nd_solicited_node(const struct in6_addr *target, struct in6_addr *ret_group);
void nd_multicast_mac(const struct in6_addr *group, uint8_t ret[static 6]);
