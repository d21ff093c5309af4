/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"
#include "cmocka.h"
#include "wire/rtnl.h"

#include <errno.h>
/* The order matters: net/if.h (by base/links.h) before linux/if.h. */
#include <linux/if.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

/* A message under construction. */
struct message {
	union {
		struct nlmsghdr header;
		uint8_t bytes[4096];
	};
};

static void begin(struct message *m, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	*m = (struct message){};
	m->header.nlmsg_type = type;
	m->header.nlmsg_flags = flags;
	memcpy(m->bytes + NLMSG_HDRLEN, body, n);
	m->header.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(n));
}

static size_t put(struct message *m, uint16_t type, const void *value, size_t n)
{
	const struct nlattr a = {
		.nla_type = type,
		.nla_len = (uint16_t)(NLA_HDRLEN + n),
	};
	size_t at = m->header.nlmsg_len;

	assert_true(at + NLA_HDRLEN + NLA_ALIGN(n) <= sizeof(m->bytes));
	memcpy(m->bytes + at, &a, sizeof(a));
	if (n > 0)
		memcpy(m->bytes + at + NLA_HDRLEN, value, n);
	m->header.nlmsg_len += (uint32_t)(NLA_HDRLEN + NLA_ALIGN(n));
	return at;
}

static void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	(void)put(m, type, &value, sizeof(value));
}

static void put_u8(struct message *m, uint16_t type, uint8_t value)
{
	(void)put(m, type, &value, sizeof(value));
}

static void put_text(struct message *m, uint16_t type, const char *value)
{
	(void)put(m, type, value, strlen(value) + 1);
}

static void put_address(struct message *m, uint16_t type, const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_parse(text, &a), 0);
	(void)put(m, type, &a, sizeof(a));
}

/* Makes all that was put since the start the content of the attribute that starts there. */
static void end_nest(struct message *m, size_t start)
{
	struct nlattr a;

	memcpy(&a, m->bytes + start, sizeof(a));
	a.nla_len = (uint16_t)(m->header.nlmsg_len - start);
	memcpy(m->bytes + start, &a, sizeof(a));
}

static void begin_link(struct message *m, uint16_t type, uint8_t family, int ifindex,
		       unsigned flags)
{
	const struct ifinfomsg info = {
		.ifi_family = family,
		.ifi_index = ifindex,
		.ifi_type = 1,
		.ifi_flags = flags,
	};

	begin(m, type, 0, &info, sizeof(info));
}

static void begin_route(struct message *m, uint16_t type, uint16_t flags, const struct rtmsg *info)
{
	struct rtmsg copy = *info;

	copy.rtm_family = AF_INET6;
	if (copy.rtm_table == 0)
		copy.rtm_table = RT_TABLE_MAIN;
	if (copy.rtm_type == 0)
		copy.rtm_type = RTN_UNICAST;
	begin(m, type, flags, &copy, sizeof(copy));
}

/* From the heap and of the exact length, so that the sanitizer sees every byte too far. */
static int decode_bytes(const void *data, size_t length, struct rtnl_message *ret)
{
	_cleanup_(freep) void *copy = malloc(length ?: 1);

	assert_non_null(copy);
	memcpy(copy, data, length);
	return rtnl_decode(copy, length, ret);
}

static int decode(const struct message *m, struct rtnl_message *ret)
{
	return decode_bytes(m->bytes, m->header.nlmsg_len, ret);
}

static void expect_nothing(const struct message *m)
{
	struct rtnl_message ret;

	assert_int_equal(decode(m, &ret), 0);
}

static void expect_bad(const struct message *m)
{
	struct rtnl_message ret;

	assert_int_equal(decode(m, &ret), -EBADMSG);
}

static void expect_kind(const struct message *m, enum rtnl_kind kind, struct rtnl_message *ret)
{
	assert_int_equal(decode(m, ret), 1);
	assert_int_equal(ret->kind, kind);
}

static void expect_prefix(const struct inet_prefix *p, const char *text)
{
	char buffer[INET_PREFIX_TEXT];

	assert_string_equal(inet_prefix_format(p, buffer), text);
}

/* A plain interface; carrier and the administrator's wish are two things. */
static void test_link(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct rtnl_message ret;
	struct message m;

	(void)state;
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, IFF_UP | IFF_LOWER_UP);
	put_text(&m, IFLA_IFNAME, "eth0.100");
	(void)put(&m, IFLA_ADDRESS, mac, sizeof(mac));
	expect_kind(&m, RTNL_LINK, &ret);
	assert_int_equal(ret.ifindex, 7);
	assert_int_equal(ret.link.ifindex, 7);
	assert_string_equal(ret.link.name, "eth0.100");
	assert_int_equal(ret.link.type, 1);
	assert_true(ret.enabled && ret.link.up && ret.link.has_mac);
	assert_memory_equal(ret.link.mac, mac, sizeof(mac));
	assert_int_equal(ret.link.master, 0);
	assert_false(ret.link.is_bridge || ret.link.hairpin || ret.link.nf_call_ip6tables);
	assert_int_equal(ret.link.accept_ra, -1);
	assert_int_equal(ret.link.forwarding, -1);
	assert_int_equal(ret.link.force_forwarding, -1);
	assert_int_equal(ret.link.addresses.n, 0);

	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, IFF_UP);
	put_text(&m, IFLA_IFNAME, "123456789012345");
	(void)put(&m, IFLA_ADDRESS, "12345678901234567890", 20); /* InfiniBand */
	expect_kind(&m, RTNL_LINK, &ret);
	assert_true(ret.enabled && !ret.link.up && !ret.link.has_mac);

	begin_link(&m, RTM_DELLINK, AF_UNSPEC, 7, 0);
	expect_kind(&m, RTNL_LINK_GONE, &ret);
	assert_int_equal(ret.ifindex, 7);
}

static void put_bridge_info(struct message *m, const char *kind)
{
	size_t linkinfo = put(m, IFLA_LINKINFO | NLA_F_NESTED, NULL, 0), data;

	put_text(m, IFLA_INFO_KIND, kind);
	data = put(m, IFLA_INFO_DATA, NULL, 0);
	put_u8(m, IFLA_BR_NF_CALL_IP6TABLES, 1);
	end_nest(m, data);
	end_nest(m, linkinfo);
}

static void put_slave_info(struct message *m, const char *kind)
{
	size_t linkinfo = put(m, IFLA_LINKINFO, NULL, 0), data;

	put_text(m, IFLA_INFO_KIND, "veth");
	put_text(m, IFLA_INFO_SLAVE_KIND, kind);
	data = put(m, IFLA_INFO_SLAVE_DATA, NULL, 0);
	put_u8(m, IFLA_BRPORT_STATE, 3);
	put_u8(m, IFLA_BRPORT_MODE, 1);
	end_nest(m, data);
	end_nest(m, linkinfo);
}

/* Attribute numbers inside LINKINFO mean what the kind says, nothing else. */
static void test_bridge(void **state)
{
	struct rtnl_message ret;
	struct message m;

	(void)state;
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 8, 0);
	put_text(&m, IFLA_IFNAME, "docker0");
	put_bridge_info(&m, "bridge");
	expect_kind(&m, RTNL_LINK, &ret);
	assert_true(ret.link.is_bridge && ret.link.nf_call_ip6tables);

	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 8, 0);
	put_text(&m, IFLA_IFNAME, "x");
	put_bridge_info(&m, "bridges");
	expect_kind(&m, RTNL_LINK, &ret);
	assert_false(ret.link.is_bridge || ret.link.nf_call_ip6tables);

	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 9, 0);
	put_text(&m, IFLA_IFNAME, "veth1");
	put_u32(&m, IFLA_MASTER, 8);
	put_slave_info(&m, "bridge");
	expect_kind(&m, RTNL_LINK, &ret);
	assert_true(ret.link.hairpin && !ret.link.is_bridge);
	assert_int_equal(ret.link.master, 8);

	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 9, 0);
	put_text(&m, IFLA_IFNAME, "veth1");
	put_slave_info(&m, "bond");
	expect_kind(&m, RTNL_LINK, &ret);
	assert_false(ret.link.hairpin);
}

/* AF_BRIDGE: about the port, not the link; its DELLINK least of all. */
static void test_port(void **state)
{
	struct rtnl_message ret;
	struct message m;
	size_t nest;

	(void)state;
	begin_link(&m, RTM_NEWLINK, AF_BRIDGE, 9, IFF_UP);
	put_text(&m, IFLA_IFNAME, "veth1");
	put_u32(&m, IFLA_MASTER, 8);
	nest = put(&m, IFLA_PROTINFO | NLA_F_NESTED, NULL, 0);
	put_u8(&m, IFLA_BRPORT_MODE, 1);
	end_nest(&m, nest);
	expect_kind(&m, RTNL_PORT, &ret);
	assert_int_equal(ret.ifindex, 9);
	assert_int_equal(ret.port.master, 8);
	assert_true(ret.port.has_hairpin && ret.port.hairpin);

	/* Old kernels put a bare state byte there. */
	begin_link(&m, RTM_NEWLINK, AF_BRIDGE, 9, IFF_UP);
	put_u32(&m, IFLA_MASTER, 8);
	put_u8(&m, IFLA_PROTINFO, 3);
	expect_kind(&m, RTNL_PORT, &ret);
	assert_false(ret.port.has_hairpin);

	/* A bridge about itself. */
	begin_link(&m, RTM_NEWLINK, AF_BRIDGE, 8, IFF_UP);
	put_u32(&m, IFLA_MASTER, 8);
	expect_nothing(&m);

	begin_link(&m, RTM_DELLINK, AF_BRIDGE, 9, IFF_UP);
	put_u32(&m, IFLA_MASTER, 8);
	expect_kind(&m, RTNL_PORT_GONE, &ret);
	assert_int_equal(ret.ifindex, 9);
}

static void test_link_malformed(void **state)
{
	struct message m;

	(void)state;
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, 0);
	expect_bad(&m); /* nameless */
	put_text(&m, IFLA_IFNAME, "");
	expect_bad(&m);
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, 0);
	put_text(&m, IFLA_IFNAME, "1234567890123456");
	expect_bad(&m);
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 0, 0);
	put_text(&m, IFLA_IFNAME, "eth0");
	expect_bad(&m);
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, 0);
	put_text(&m, IFLA_IFNAME, "eth0");
	put_u8(&m, IFLA_MASTER, 1);
	expect_bad(&m);
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, 0);
	put_text(&m, IFLA_IFNAME, "eth0");
	put_u32(&m, IFLA_MASTER, UINT32_MAX);
	expect_bad(&m);

	/* An event of wireless extensions looks like a link without its attributes. */
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, IFF_UP);
	put_text(&m, IFLA_IFNAME, "wlan0");
	put_u32(&m, IFLA_WIRELESS, 0);
	expect_nothing(&m);
	begin_link(&m, RTM_NEWLINK, AF_INET6, 7, IFF_UP);
	expect_nothing(&m);
}

/* Every message cut off at every byte, whole or with a length that claims more. */
static void test_truncated(void **state)
{
	struct rtnl_message ret;
	struct message m;
	size_t full;

	(void)state;
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 9, 0);
	put_text(&m, IFLA_IFNAME, "veth1");
	put_u32(&m, IFLA_MASTER, 8);
	put_slave_info(&m, "bridge");
	full = m.header.nlmsg_len;
	for (size_t n = 0; n < full; n++) {
		m.header.nlmsg_len = (uint32_t)full;
		assert_int_equal(decode_bytes(m.bytes, n, &ret), -EBADMSG);
		m.header.nlmsg_len = (uint32_t)n;
		/* May be cut between two attributes, and then is a shorter message. */
		(void)decode_bytes(m.bytes, n, &ret);
	}
	m.header.nlmsg_len = (uint32_t)full;
	assert_int_equal(decode_bytes(m.bytes, full, &ret), 1);

	/* An inner length beyond the outer one. */
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 9, 0);
	put_text(&m, IFLA_IFNAME, "veth1");
	full = put(&m, IFLA_LINKINFO, NULL, 0);
	((struct nlattr *)(void *)(m.bytes + put(&m, IFLA_INFO_KIND, "bridge", 7)))->nla_len = 200;
	end_nest(&m, full);
	expect_bad(&m);

	/* Lengths below the header's own would never end. */
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 9, 0);
	((struct nlattr *)(void *)(m.bytes + put(&m, IFLA_IFNAME, "x", 2)))->nla_len = 0;
	expect_bad(&m);
}

static void begin_address(struct message *m, uint16_t type, uint8_t family, uint8_t length)
{
	const struct ifaddrmsg info = {
		.ifa_family = family,
		.ifa_prefixlen = length,
		.ifa_flags = IFA_F_PERMANENT,
		.ifa_index = 3,
	};

	begin(m, type, 0, &info, sizeof(info));
}

static void test_address(void **state)
{
	struct rtnl_message ret;
	char buffer[INET_ADDR_TEXT];
	struct message m;

	(void)state;
	begin_address(&m, RTM_NEWADDR, AF_INET6, 64);
	put_address(&m, IFA_ADDRESS, "2001:db8::1");
	put_u32(&m, IFA_FLAGS, IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE);
	expect_kind(&m, RTNL_ADDRESS, &ret);
	assert_int_equal(ret.ifindex, 3);
	assert_string_equal(inet_format(&ret.address.address, buffer), "2001:db8::1");
	assert_int_equal(ret.address.prefix_length, 64);
	assert_int_equal(ret.address.flags, IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE);

	/* With a peer the own address is the local one. */
	begin_address(&m, RTM_DELADDR, AF_INET6, 128);
	put_address(&m, IFA_ADDRESS, "2001:db8::2");
	put_address(&m, IFA_LOCAL, "2001:db8::1");
	expect_kind(&m, RTNL_ADDRESS_GONE, &ret);
	assert_string_equal(inet_format(&ret.address.address, buffer), "2001:db8::1");
	assert_int_equal(ret.address.flags, IFA_F_PERMANENT);

	begin_address(&m, RTM_NEWADDR, AF_INET, 24);
	expect_nothing(&m);
	begin_address(&m, RTM_NEWADDR, AF_INET6, 129);
	put_address(&m, IFA_ADDRESS, "2001:db8::1");
	expect_bad(&m);
	begin_address(&m, RTM_NEWADDR, AF_INET6, 64);
	expect_bad(&m);
	put_u32(&m, IFA_ADDRESS, 1);
	expect_bad(&m);
}

/* Default routes of all tables but the local one count, of whatever origin. */
static void test_default_route(void **state)
{
	const struct rtmsg plain = {}, ra = { .rtm_protocol = RTPROT_RA };
	const struct rtmsg local = { .rtm_table = RT_TABLE_LOCAL };
	const struct rtmsg blackhole = { .rtm_type = RTN_BLACKHOLE };
	const struct rtmsg cloned = { .rtm_flags = RTM_F_CLONED };
	const struct rtmsg from = { .rtm_src_len = 48 };
	struct rtnl_message ret;
	struct message m;

	(void)state;
	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	put_u32(&m, RTA_OIF, 5);
	put_u32(&m, RTA_TABLE, 51820);
	put_u32(&m, RTA_PRIORITY, 1024);
	put_address(&m, RTA_GATEWAY, "fe80::1");
	expect_kind(&m, RTNL_ROUTE, &ret);
	assert_int_equal(ret.route.n_nexthops, 1);
	assert_int_equal(ret.route.nexthops[0].ifindex, 5);
	assert_true(inet_is_link_local(&ret.route.nexthops[0].gateway));
	assert_int_equal(ret.route.table, 51820);
	assert_int_equal(ret.route.metric, 1024);
	assert_false(ret.route.from_ra || ret.route.multipath || ret.route.replaces);
	expect_prefix(&ret.route.destination, "::/0");

	begin_route(&m, RTM_DELROUTE, 0, &ra);
	put_u32(&m, RTA_OIF, 5);
	expect_kind(&m, RTNL_ROUTE_GONE, &ret);
	assert_true(ret.route.from_ra);
	assert_true(inet_is_zero(&ret.route.nexthops[0].gateway));

	begin_route(&m, RTM_NEWROUTE, 0, &from);
	put_address(&m, RTA_SRC, "2001:db8:1::7");
	put_u32(&m, RTA_OIF, 5);
	expect_kind(&m, RTNL_ROUTE, &ret);
	expect_prefix(&ret.route.source, "2001:db8:1::/48");

	begin_route(&m, RTM_NEWROUTE, 0, &local);
	put_u32(&m, RTA_OIF, 5);
	expect_nothing(&m);
	begin_route(&m, RTM_NEWROUTE, 0, &blackhole);
	put_u32(&m, RTA_OIF, 1);
	expect_nothing(&m);
	begin_route(&m, RTM_NEWROUTE, 0, &cloned);
	put_u32(&m, RTA_OIF, 5);
	expect_nothing(&m);
	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	expect_nothing(&m); /* leads nowhere */
}

static void put_nexthop(struct message *m, int ifindex, const char *gateway)
{
	struct rtnexthop header = { .rtnh_ifindex = ifindex };
	size_t start = m->header.nlmsg_len;

	m->header.nlmsg_len += sizeof(header);
	if (gateway)
		put_address(m, RTA_GATEWAY, gateway);
	header.rtnh_len = (uint16_t)(m->header.nlmsg_len - start);
	memcpy(m->bytes + start, &header, sizeof(header));
}

static void test_multipath(void **state)
{
	const struct rtmsg plain = {}, on_link = { .rtm_dst_len = 48 };
	struct rtnl_message ret;
	struct message m;
	size_t nest;

	(void)state;
	/* The attributes that say whether next hops count may come after them. */
	begin_route(&m, RTM_NEWROUTE, 0, &on_link);
	nest = put(&m, RTA_MULTIPATH, NULL, 0);
	put_nexthop(&m, 5, "fe80::1");
	put_nexthop(&m, 6, NULL);
	end_nest(&m, nest);
	put_address(&m, RTA_DST, "2001:db8:7::");
	expect_kind(&m, RTNL_ROUTE, &ret);
	assert_int_equal(ret.route.n_nexthops, 1);
	assert_int_equal(ret.route.nexthops[0].ifindex, 6);

	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	nest = put(&m, RTA_MULTIPATH, NULL, 0);
	for (int i = 1; i <= RTNL_NEXTHOPS_MAX + 2; i++)
		put_nexthop(&m, i, "fe80::1");
	end_nest(&m, nest);
	expect_kind(&m, RTNL_ROUTE, &ret);
	assert_true(ret.route.multipath);
	assert_int_equal(ret.route.n_nexthops, RTNL_NEXTHOPS_MAX);
	assert_int_equal(ret.route.nexthops[1].ifindex, 2);

	/* A next hop's length of zero would never end. */
	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	(void)put(&m, RTA_MULTIPATH, &(struct rtnexthop){}, sizeof(struct rtnexthop));
	expect_bad(&m);
	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	(void)put(&m, RTA_MULTIPATH, &(struct rtnexthop){ .rtnh_len = 9 },
		  sizeof(struct rtnexthop));
	expect_bad(&m);
}

static int decode_on_link(struct message *m, const char *prefix, uint32_t table,
			  struct rtnl_message *ret)
{
	struct inet_prefix p;
	struct rtmsg info = {};

	assert_int_equal(inet_prefix_parse(prefix, &p), 0);
	info.rtm_dst_len = p.length;
	begin_route(m, RTM_NEWROUTE, 0, &info);
	(void)put(m, RTA_DST, &p.address, sizeof(p.address));
	put_u32(m, RTA_OIF, 5);
	put_u32(m, RTA_TABLE, table);
	return decode(m, ret);
}

/* Prefixes of the main table that somebody else's hosts may be on. */
static void test_on_link_route(void **state)
{
	const struct rtmsg replaced = { .rtm_dst_len = 64 };
	struct rtnl_message ret;
	struct message m;

	(void)state;
	assert_int_equal(decode_on_link(&m, "2001:db8:1::/64", RT_TABLE_MAIN, &ret), 1);
	expect_prefix(&ret.route.destination, "2001:db8:1::/64");
	assert_int_equal(ret.route.nexthops[0].ifindex, 5);
	assert_int_equal(decode_on_link(&m, "2000::/3", RT_TABLE_MAIN, &ret), 1);
	assert_int_equal(decode_on_link(&m, "fe80::/64", RT_TABLE_MAIN, &ret), 0);
	assert_int_equal(decode_on_link(&m, "ff00::/8", RT_TABLE_MAIN, &ret), 0);
	assert_int_equal(decode_on_link(&m, "2001:db8:1::1/128", RT_TABLE_MAIN, &ret), 0);
	assert_int_equal(decode_on_link(&m, "2001:db8:1::/64", 77, &ret), 0);

	(void)decode_on_link(&m, "2001:db8:1::/64", RT_TABLE_MAIN, &ret);
	put_address(&m, RTA_GATEWAY, "fe80::1");
	expect_nothing(&m);
	(void)decode_on_link(&m, "2001:db8:1::/64", RT_TABLE_MAIN, &ret);
	(void)put(&m, RTA_ENCAP_TYPE, &(uint16_t){ 5 }, sizeof(uint16_t));
	expect_nothing(&m);

	/* What took an on-link route's place has to be known, even if it does not count itself. */
	begin_route(&m, RTM_NEWROUTE, NLM_F_REPLACE, &replaced);
	put_address(&m, RTA_DST, "2001:db8:1::");
	put_address(&m, RTA_GATEWAY, "fe80::1");
	put_u32(&m, RTA_OIF, 5);
	expect_kind(&m, RTNL_ROUTE, &ret);
	assert_true(ret.route.replaces);
	assert_int_equal(ret.route.n_nexthops, 0);
	expect_prefix(&ret.route.destination, "2001:db8:1::/64");
}

static void test_route_malformed(void **state)
{
	const struct rtmsg plain = {}, too_long = { .rtm_dst_len = 129 };
	const struct rtmsg ipv4 = { .rtm_family = AF_INET };
	struct message m;

	(void)state;
	begin_route(&m, RTM_NEWROUTE, 0, &too_long);
	expect_bad(&m);
	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	put_u32(&m, RTA_GATEWAY, 1);
	expect_bad(&m);
	begin_route(&m, RTM_NEWROUTE, 0, &plain);
	put_u8(&m, RTA_OIF, 1);
	expect_bad(&m);
	begin(&m, RTM_NEWROUTE, 0, &ipv4, sizeof(ipv4));
	put_u32(&m, RTA_OIF, 5);
	expect_nothing(&m);
	begin(&m, RTM_NEWROUTE, 0, &ipv4, 4);
	expect_bad(&m);
}

static void test_netconf(void **state)
{
	const struct netconfmsg info = { .ncm_family = AF_INET6 };
	const struct netconfmsg ipv4 = { .ncm_family = AF_INET };
	struct rtnl_message ret;
	struct message m;

	(void)state;
	begin(&m, RTM_NEWNETCONF, 0, &info, sizeof(info));
	put_u32(&m, NETCONFA_IFINDEX, (uint32_t)NETCONFA_IFINDEX_ALL);
	put_u32(&m, NETCONFA_FORWARDING, 1);
	expect_kind(&m, RTNL_NETCONF, &ret);
	assert_int_equal(ret.ifindex, NETCONFA_IFINDEX_ALL);
	begin(&m, RTM_NEWNETCONF, 0, &ipv4, sizeof(ipv4));
	put_u32(&m, NETCONFA_IFINDEX, 5);
	expect_nothing(&m);
	begin(&m, RTM_NEWNETCONF, 0, &info, sizeof(info));
	expect_nothing(&m);
	begin(&m, RTM_NEWNEIGH, 0, &info, sizeof(info));
	expect_nothing(&m);
	begin(&m, NLMSG_DONE, 0, &info, 0);
	expect_nothing(&m);
}

/* Whatever is said about one message, *ret stays as it was unless there is a fact. */
static void test_untouched(void **state)
{
	struct rtnl_message ret = { .ifindex = 4711 };
	struct message m;

	(void)state;
	begin_link(&m, RTM_NEWLINK, AF_UNSPEC, 7, 0);
	assert_int_equal(decode(&m, &ret), -EBADMSG);
	assert_int_equal(ret.ifindex, 4711);
	begin_address(&m, RTM_NEWADDR, AF_INET, 24);
	assert_int_equal(decode(&m, &ret), 0);
	assert_int_equal(ret.ifindex, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),          cmocka_unit_test(test_bridge),
		cmocka_unit_test(test_port),          cmocka_unit_test(test_link_malformed),
		cmocka_unit_test(test_truncated),     cmocka_unit_test(test_address),
		cmocka_unit_test(test_default_route), cmocka_unit_test(test_multipath),
		cmocka_unit_test(test_on_link_route), cmocka_unit_test(test_route_malformed),
		cmocka_unit_test(test_netconf),       cmocka_unit_test(test_untouched),
	};

	return cmocka_run_group_tests_name("rtnl", tests, NULL, NULL);
}
