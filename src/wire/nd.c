/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/nd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <string.h>

#define HOP_LIMIT 255
#define OPTION_UNIT 8
#define OPTION_NONCE 14 /* RFC 3971 5.3.2, used as in RFC 7527 */

/* Where the parts of a frame are; options follow ND_TARGET. */
enum {
	AT_ETHERNET = 0,
	AT_IP = ETHER_HDR_LEN,
	AT_ICMP = AT_IP + sizeof(struct ip6_hdr),
	AT_TARGET = AT_ICMP + sizeof(struct icmp6_hdr),
	AT_OPTIONS = AT_TARGET + sizeof(struct in6_addr),
};
static_assert(AT_OPTIONS + OPTION_UNIT == ND_ADVERTISEMENT_SIZE, "one option");
static_assert(AT_OPTIONS + OPTION_UNIT == ND_PROBE_SIZE, "one option");

/* What solicitations and advertisements have in common. */
struct message {
	struct ether_header ethernet;
	struct ip6_hdr ip;
	struct icmp6_hdr icmp;
	struct in6_addr target;
	bool has_link_address;
	uint8_t link_address[6];
	uint64_t nonce;
};

/* ----------------------------------------------------------------- checksum */

/* RFC 1071: the sum may be taken in any byte order and over wider words. */
static uint64_t add_bytes(uint64_t sum, const uint8_t *p, size_t n)
{
	uint32_t word;

	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, p, n);
	return sum + word;
}

/* Of an ICMPv6 message, with the pseudo header of RFC 8200 8.1. 0xffff: its checksum is right. */
static uint16_t sum_icmp(const struct ip6_hdr *ip, const uint8_t *icmp, size_t size)
{
	uint64_t sum = (uint64_t)htonl((uint32_t)size) + htonl(IPPROTO_ICMPV6);

	sum = add_bytes(sum, (const uint8_t *)&ip->ip6_src, sizeof(ip->ip6_src));
	sum = add_bytes(sum, (const uint8_t *)&ip->ip6_dst, sizeof(ip->ip6_dst));
	sum = add_bytes(sum, icmp, size);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* ------------------------------------------------------------------ parsing */

/*
 * One option. Of several of a kind the first counts, as in Linux. A nonce longer than ours cannot
 * be ours, which is all we want to know of it.
 */
static bool parse_option(const uint8_t *option, size_t size, uint8_t link_address_type,
			 struct message *m)
{
	if (option[0] == link_address_type && !m->has_link_address) {
		if (size != OPTION_UNIT)
			return false; /* not the length of an Ethernet address */
		memcpy(m->link_address, option + 2, sizeof(m->link_address));
		m->has_link_address = true;
	} else if (option[0] == OPTION_NONCE && size == OPTION_UNIT && m->nonce == 0) {
		for (size_t i = 2; i < OPTION_UNIT; i++)
			m->nonce = m->nonce << 8 | option[i];
	}
	return true;
}

static bool parse_options(const uint8_t *p, size_t left, uint8_t link_address_type,
			  struct message *m)
{
	while (left > 0) {
		size_t size = left < 2 ? 0 : (size_t)p[1] * OPTION_UNIT;

		if (size == 0 || size > left || !parse_option(p, size, link_address_type, m))
			return false;
		p += size;
		left -= size;
	}
	return true;
}

/* RFC 4861 7.1.1 and 7.1.2, as far as they say the same. */
static enum ndp_drop parse_message(const uint8_t *frame, size_t size, uint8_t type,
				   uint8_t link_address_type, struct message *m)
{
	size_t length;

	if (size < AT_OPTIONS)
		return NDP_DROP_MALFORMED;
	memcpy(&m->ethernet, frame, sizeof(m->ethernet));
	memcpy(&m->ip, frame + AT_IP, sizeof(m->ip));
	memcpy(&m->icmp, frame + AT_ICMP, sizeof(m->icmp));
	memcpy(&m->target, frame + AT_TARGET, sizeof(m->target));
	length = ntohs(m->ip.ip6_plen);

	if (m->ethernet.ether_type != htons(ETHERTYPE_IPV6) || m->ip.ip6_vfc >> 4 != 6)
		return NDP_DROP_MALFORMED;
	if (m->ip.ip6_nxt == IPPROTO_FRAGMENT)
		return NDP_DROP_FRAGMENT; /* RFC 6980 5, even a whole one */
	if (m->ip.ip6_nxt != IPPROTO_ICMPV6 || m->icmp.icmp6_type != type)
		return NDP_DROP_MALFORMED;
	if (length > size - AT_ICMP || length < AT_OPTIONS - AT_ICMP)
		return NDP_DROP_MALFORMED;
	if (m->ip.ip6_hlim != HOP_LIMIT)
		return NDP_DROP_HOP_LIMIT;
	if (sum_icmp(&m->ip, frame + AT_ICMP, length) != 0xffff)
		return NDP_DROP_CHECKSUM;
	if (m->icmp.icmp6_code != 0 || inet_is_multicast(&m->target) || inet_is_zero(&m->target))
		return NDP_DROP_MALFORMED;
	if (!parse_options(frame + AT_OPTIONS, length - (AT_OPTIONS - AT_ICMP), link_address_type,
			   m))
		return NDP_DROP_MALFORMED;
	return NDP_DROP_NONE;
}

static bool is_group_mac(const uint8_t mac[static 6])
{
	return mac[0] & 1;
}

static bool is_solicited_node(const struct in6_addr *a)
{
	static const uint8_t prefix[13] = { 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff };

	return memcmp(a, prefix, sizeof(prefix)) == 0;
}

/* Who asks: an answer to a group, to ourselves or to the address asked for would help nobody. */
static bool is_asker(const struct message *m)
{
	const struct in6_addr *source = &m->ip.ip6_src;

	return !inet_is_multicast(source) && !inet_is_loopback(source) &&
	       !inet_equal(source, &m->target) && !is_group_mac(m->ethernet.ether_shost) &&
	       !(m->has_link_address && is_group_mac(m->link_address));
}

enum ndp_drop nd_parse(const uint8_t *frame, size_t size, struct nd_solicitation *ret)
{
	struct message m = { 0 };
	enum ndp_drop drop;

	drop = parse_message(frame, size, ND_NEIGHBOR_SOLICIT, ND_OPT_SOURCE_LINKADDR, &m);
	if (drop != NDP_DROP_NONE)
		return drop;
	if (!is_asker(&m))
		return NDP_DROP_SOURCE;
	if (inet_is_zero(&m.ip.ip6_src) &&
	    (!is_solicited_node(&m.ip.ip6_dst) || m.has_link_address))
		return NDP_DROP_DESTINATION;

	*ret = (struct nd_solicitation){
		.source = m.ip.ip6_src,
		.destination = m.ip.ip6_dst,
		.target = m.target,
		.multicast = inet_is_multicast(&m.ip.ip6_dst),
		.nonce = m.nonce,
	};
	memcpy(ret->ethernet_source, m.ethernet.ether_shost, sizeof(ret->ethernet_source));
	memcpy(ret->reply_mac, m.has_link_address ? m.link_address : m.ethernet.ether_shost,
	       sizeof(ret->reply_mac));
	return NDP_DROP_NONE;
}

int nd_parse_advertisement(const uint8_t *frame, size_t size, struct in6_addr *ret_target,
			   uint8_t ret_mac[static 6])
{
	struct message m = { 0 };

	if (parse_message(frame, size, ND_NEIGHBOR_ADVERT, ND_OPT_TARGET_LINKADDR, &m) !=
	    NDP_DROP_NONE)
		return 0;
	if (inet_is_multicast(&m.ip.ip6_src) || inet_is_zero(&m.ip.ip6_src))
		return 0;
	if (inet_is_multicast(&m.ip.ip6_dst) && (m.icmp.icmp6_data32[0] & ND_NA_FLAG_SOLICITED))
		return 0;
	*ret_target = m.target;
	memcpy(ret_mac, m.has_link_address ? m.link_address : m.ethernet.ether_shost, 6);
	return 1;
}

int nd_type(const uint8_t *frame, size_t size)
{
	return size > AT_ICMP && frame[AT_IP + offsetof(struct ip6_hdr, ip6_nxt)] == IPPROTO_ICMPV6
		       ? frame[AT_ICMP]
		       : -1;
}

/* ----------------------------------------------------------------- encoding */

/* All of a message with one option of one unit, but for the contents of that option. */
static void encode_headers(const uint8_t ethernet_source[static 6],
			   const uint8_t ethernet_destination[static 6],
			   const struct in6_addr *source, const struct in6_addr *destination,
			   uint8_t frame[static ND_ADVERTISEMENT_SIZE])
{
	struct ether_header ethernet = { .ether_type = htons(ETHERTYPE_IPV6) };
	struct ip6_hdr ip = {
		.ip6_plen = htons(ND_ADVERTISEMENT_SIZE - AT_ICMP),
		.ip6_nxt = IPPROTO_ICMPV6,
		.ip6_hlim = HOP_LIMIT,
		.ip6_src = *source,
		.ip6_dst = *destination,
	};

	ip.ip6_vfc = 6 << 4; /* not above: it shares a union with the others */
	memcpy(ethernet.ether_shost, ethernet_source, ETH_ALEN);
	memcpy(ethernet.ether_dhost, ethernet_destination, ETH_ALEN);
	memcpy(frame, &ethernet, sizeof(ethernet));
	memcpy(frame + AT_IP, &ip, sizeof(ip));
}

/* The ICMPv6 part; the headers, which its checksum covers, and the option are there already. */
static void encode_icmp(uint8_t type, uint32_t flags, const struct in6_addr *target,
			uint8_t frame[static ND_ADVERTISEMENT_SIZE])
{
	struct icmp6_hdr icmp = { .icmp6_type = type };
	struct ip6_hdr ip;

	icmp.icmp6_data32[0] = flags;
	memcpy(&ip, frame + AT_IP, sizeof(ip));
	memcpy(frame + AT_ICMP, &icmp, sizeof(icmp));
	memcpy(frame + AT_TARGET, target, sizeof(*target));
	icmp.icmp6_cksum =
		(uint16_t)~sum_icmp(&ip, frame + AT_ICMP, ND_ADVERTISEMENT_SIZE - AT_ICMP);
	memcpy(frame + AT_ICMP, &icmp, sizeof(icmp));
}

void nd_encode_advertisement(const struct nd_advertisement *a,
			     uint8_t ret[static ND_ADVERTISEMENT_SIZE])
{
	encode_headers(a->ethernet_source, a->ethernet_destination, &a->source, &a->destination,
		       ret);
	ret[AT_OPTIONS] = ND_OPT_TARGET_LINKADDR;
	ret[AT_OPTIONS + 1] = 1;
	memcpy(ret + AT_OPTIONS + 2, a->mac, sizeof(a->mac));
	encode_icmp(ND_NEIGHBOR_ADVERT,
		    (a->router ? ND_NA_FLAG_ROUTER : 0) |
			    (a->solicited ? ND_NA_FLAG_SOLICITED : 0) |
			    (a->override ? ND_NA_FLAG_OVERRIDE : 0),
		    &a->target, ret);
}

void nd_encode_probe(const uint8_t mac[static 6], const struct in6_addr *target, uint64_t nonce,
		     uint8_t ret[static ND_PROBE_SIZE])
{
	struct in6_addr group;
	uint8_t group_mac[6];

	nd_solicited_node(target, &group);
	nd_multicast_mac(&group, group_mac);
	encode_headers(mac, group_mac, &in6addr_any, &group, ret);
	ret[AT_OPTIONS] = OPTION_NONCE;
	ret[AT_OPTIONS + 1] = 1;
	for (size_t i = OPTION_UNIT; i-- > 2; nonce >>= 8)
		ret[AT_OPTIONS + i] = (uint8_t)nonce;
	encode_icmp(ND_NEIGHBOR_SOLICIT, 0, target, ret);
}

void nd_solicited_node(const struct in6_addr *target, struct in6_addr *ret_group)
{
	struct in6_addr group = { .s6_addr = { 0xff, 0x02, [11] = 0x01, [12] = 0xff } };

	memcpy(&group.s6_addr[13], &target->s6_addr[13], 3);
	*ret_group = group;
}

void nd_multicast_mac(const struct in6_addr *group, uint8_t ret[static 6])
{
	ret[0] = ret[1] = 0x33;
	memcpy(ret + 2, &group->s6_addr[12], 4);
}
