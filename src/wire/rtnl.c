/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/rtnl.h"

#include "base/own.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>

/* Bytes not yet read. Everything is copied out of them, so alignment does not matter. */
struct reader {
	const uint8_t *data;
	size_t left;
};

struct attribute {
	uint16_t type;
	struct reader payload;
};

static void reader_skip(struct reader *r, size_t length)
{
	/* The padding of the last item may be missing. */
	length = MIN_OF(length, r->left);
	r->data += length;
	r->left -= length;
}

static int read_fixed(struct reader *r, void *ret, size_t length)
{
	if (r->left < length)
		return -EBADMSG;
	memcpy(ret, r->data, length);
	reader_skip(r, NLMSG_ALIGN(length));
	return 0;
}

/* > 0: *ret is the next attribute; 0: there is none. */
static int read_attribute(struct reader *r, struct attribute *ret)
{
	struct nlattr header;

	if (r->left < sizeof(header))
		return 0;
	memcpy(&header, r->data, sizeof(header));
	if (header.nla_len < sizeof(header) || header.nla_len > r->left)
		return -EBADMSG;
	ret->type = header.nla_type & NLA_TYPE_MASK;
	ret->payload.data = r->data + NLA_HDRLEN;
	ret->payload.left = header.nla_len - NLA_HDRLEN;
	reader_skip(r, NLA_ALIGN(header.nla_len));
	return 1;
}

static int get_u8(const struct attribute *a, uint8_t *ret)
{
	if (a->payload.left < 1)
		return -EBADMSG;
	*ret = a->payload.data[0];
	return 0;
}

static int get_u32(const struct attribute *a, uint32_t *ret)
{
	if (a->payload.left < sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, a->payload.data, sizeof(*ret));
	return 0;
}

static int get_ifindex(const struct attribute *a, int *ret)
{
	uint32_t value;
	int r = get_u32(a, &value);

	if (r < 0)
		return r;
	if (value > INT32_MAX)
		return -EBADMSG;
	*ret = (int)value;
	return 0;
}

static int get_address(const struct attribute *a, struct in6_addr *ret)
{
	if (a->payload.left < sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, a->payload.data, sizeof(*ret));
	return 0;
}

static int get_name(const struct attribute *a, char ret[static IFNAMSIZ])
{
	size_t length = strnlen((const char *)a->payload.data, a->payload.left);

	if (length == 0 || length >= IFNAMSIZ)
		return -EBADMSG;
	memset(ret, 0, IFNAMSIZ);
	memcpy(ret, a->payload.data, length);
	return 0;
}

static bool is_text(const struct attribute *a, const char *text)
{
	size_t length = strlen(text);

	return strnlen((const char *)a->payload.data, a->payload.left) == length &&
	       memcmp(a->payload.data, text, length) == 0;
}

/* One attribute of type wanted out of a nest. > 0: found. */
static int find_attribute(const struct attribute *nest, uint16_t wanted, struct attribute *ret)
{
	struct reader reader = nest->payload;
	struct attribute a;
	int r;

	while ((r = read_attribute(&reader, &a)) > 0)
		if (a.type == wanted) {
			*ret = a;
			return 1;
		}
	return r;
}

/* Like find_attribute(), for a flag in one byte; *ret stays if it is not there. */
static int find_flag(const struct attribute *nest, uint16_t wanted, bool *ret)
{
	struct attribute a;
	uint8_t value;
	int r;

	r = find_attribute(nest, wanted, &a);
	if (r <= 0)
		return r;
	r = get_u8(&a, &value);
	if (r < 0)
		return r;
	*ret = value != 0;
	return 1;
}

static int decode_linkinfo(const struct attribute *linkinfo, struct link *link)
{
	struct attribute kind, data;
	int r;

	r = find_attribute(linkinfo, IFLA_INFO_KIND, &kind);
	if (r < 0)
		return r;
	if (r > 0 && is_text(&kind, "bridge")) {
		link->is_bridge = true;
		r = find_attribute(linkinfo, IFLA_INFO_DATA, &data);
		if (r > 0)
			r = find_flag(&data, IFLA_BR_NF_CALL_IP6TABLES, &link->nf_call_ip6tables);
		if (r < 0)
			return r;
	}

	/* Attribute numbers of another kind of master (bond, team) mean other things. */
	r = find_attribute(linkinfo, IFLA_INFO_SLAVE_KIND, &kind);
	if (r <= 0 || !is_text(&kind, "bridge"))
		return r;
	r = find_attribute(linkinfo, IFLA_INFO_SLAVE_DATA, &data);
	if (r > 0)
		r = find_flag(&data, IFLA_BRPORT_MODE, &link->hairpin);
	return r;
}

static int decode_link_attribute(const struct attribute *a, struct link *link)
{
	switch (a->type) {
	case IFLA_IFNAME:
		return get_name(a, link->name);
	case IFLA_ADDRESS:
		link->has_mac = a->payload.left == sizeof(link->mac);
		if (link->has_mac)
			memcpy(link->mac, a->payload.data, sizeof(link->mac));
		return 0;
	case IFLA_MASTER:
		return get_ifindex(a, &link->master);
	case IFLA_LINKINFO:
		return decode_linkinfo(a, link);
	default:
		return 0;
	}
}

static int decode_link(struct reader *reader, const struct ifinfomsg *info,
		       struct rtnl_message *ret)
{
	struct link *link = &ret->link;
	struct attribute a;
	int r;

	ret->kind = RTNL_LINK;
	ret->enabled = info->ifi_flags & IFF_UP;
	link->ifindex = info->ifi_index;
	link->type = info->ifi_type;
	link->up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_LOWER_UP);
	link->accept_ra = link->forwarding = link->force_forwarding = -1;
	while ((r = read_attribute(reader, &a)) > 0) {
		/* An event of the old wireless extensions: it describes nothing but itself. */
		if (a.type == IFLA_WIRELESS)
			return 0;
		r = decode_link_attribute(&a, link);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	return link->name[0] ? 1 : -EBADMSG;
}

static int decode_port(struct reader *reader, struct rtnl_message *ret)
{
	struct attribute a;
	int r;

	ret->kind = RTNL_PORT;
	while ((r = read_attribute(reader, &a)) > 0) {
		if (a.type == IFLA_MASTER) {
			r = get_ifindex(&a, &ret->port.master);
		} else if (a.type == IFLA_PROTINFO) {
			r = find_flag(&a, IFLA_BRPORT_MODE, &ret->port.hairpin);
			ret->port.has_hairpin = r > 0;
		}
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	/* A bridge on itself (its VLANs) names itself as master. */
	return ret->port.master != ret->ifindex;
}

static int decode_link_or_port(struct reader *reader, uint16_t type, struct rtnl_message *ret)
{
	struct ifinfomsg info;
	int r;

	r = read_fixed(reader, &info, sizeof(info));
	if (r < 0)
		return r;
	if (info.ifi_index <= 0)
		return -EBADMSG;
	ret->ifindex = info.ifi_index;
	if (info.ifi_family == AF_BRIDGE) {
		if (type == RTM_NEWLINK)
			return decode_port(reader, ret);
		ret->kind = RTNL_PORT_GONE;
		return 1;
	}
	if (info.ifi_family != AF_UNSPEC)
		return 0;
	if (type == RTM_NEWLINK)
		return decode_link(reader, &info, ret);
	ret->kind = RTNL_LINK_GONE;
	return 1;
}

static int decode_address(struct reader *reader, uint16_t type, struct rtnl_message *ret)
{
	struct in6_addr address = {}, local = {};
	struct ifaddrmsg info;
	struct attribute a;
	int r;

	r = read_fixed(reader, &info, sizeof(info));
	if (r < 0)
		return r;
	if (info.ifa_family != AF_INET6)
		return 0;
	if (info.ifa_prefixlen > 128 || info.ifa_index == 0 || info.ifa_index > INT32_MAX)
		return -EBADMSG;

	ret->kind = type == RTM_NEWADDR ? RTNL_ADDRESS : RTNL_ADDRESS_GONE;
	ret->ifindex = (int)info.ifa_index;
	ret->address.prefix_length = info.ifa_prefixlen;
	ret->address.flags = info.ifa_flags;
	while ((r = read_attribute(reader, &a)) > 0) {
		if (a.type == IFA_ADDRESS)
			r = get_address(&a, &address);
		else if (a.type == IFA_LOCAL)
			r = get_address(&a, &local);
		else if (a.type == IFA_FLAGS)
			r = get_u32(&a, &ret->address.flags);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	/* On an address with a peer, IFA_ADDRESS is the peer's. */
	ret->address.address = inet_is_zero(&local) ? address : local;
	return inet_is_zero(&ret->address.address) ? -EBADMSG : 1;
}

struct nexthop_facts {
	struct rtnl_nexthop nexthop;
	bool has_gateway;
	bool encapsulated;
};

static int decode_nexthop_attribute(const struct attribute *a, struct nexthop_facts *n)
{
	switch (a->type) {
	case RTA_GATEWAY:
		n->has_gateway = true;
		return get_address(a, &n->nexthop.gateway);
	case RTA_VIA:
		n->has_gateway = true;
		return 0;
	case RTA_ENCAP_TYPE:
		n->encapsulated = true;
		return 0;
	default:
		return 0;
	}
}

/*
 * True if this leads to the whole world, or to a prefix that a link may share. A route of 128
 * bits is about one host: VPN servers and neighbour proxies keep thousands of them.
 */
static bool route_counts(const struct rtnl_route *route)
{
	const struct in6_addr *a = &route->destination.address;

	if (route->table == RT_TABLE_LOCAL)
		return false;
	if (route->destination.length == 0)
		return true;
	return route->destination.length < 128 && route->table == RT_TABLE_MAIN &&
	       !inet_is_link_local(a) && !inet_is_multicast(a);
}

static void add_nexthop(struct rtnl_route *route, const struct nexthop_facts *n)
{
	bool on_link = !n->has_gateway && !n->encapsulated;

	if (n->nexthop.ifindex <= 0 || route->n_nexthops >= N_ELEMENTS(route->nexthops))
		return;
	if (route->destination.length == 0 || on_link)
		route->nexthops[route->n_nexthops++] = n->nexthop;
}

static int decode_multipath(struct reader reader, struct rtnl_route *route)
{
	struct rtnexthop header;
	struct attribute a;
	int r;

	while (reader.left >= sizeof(header)) {
		struct nexthop_facts n = {};
		struct reader inner;

		memcpy(&header, reader.data, sizeof(header));
		if (header.rtnh_len < sizeof(header) || header.rtnh_len > reader.left)
			return -EBADMSG;
		inner.data = reader.data + sizeof(header);
		inner.left = header.rtnh_len - sizeof(header);
		reader_skip(&reader, RTNH_ALIGN(header.rtnh_len));

		n.nexthop.ifindex = header.rtnh_ifindex;
		while ((r = read_attribute(&inner, &a)) > 0) {
			r = decode_nexthop_attribute(&a, &n);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return r;
		add_nexthop(route, &n);
	}
	return 0;
}

static int decode_route_attribute(const struct attribute *a, struct rtnl_route *route,
				  struct nexthop_facts *single, struct reader *multipath)
{
	switch (a->type) {
	case RTA_DST:
		return get_address(a, &route->destination.address);
	case RTA_SRC:
		return get_address(a, &route->source.address);
	case RTA_TABLE:
		return get_u32(a, &route->table);
	case RTA_PRIORITY:
		return get_u32(a, &route->metric);
	case RTA_OIF:
		return get_ifindex(a, &single->nexthop.ifindex);
	case RTA_MULTIPATH:
		/* Later: which next hops count depends on the other attributes. */
		*multipath = a->payload;
		return 0;
	default:
		return decode_nexthop_attribute(a, single);
	}
}

static int decode_route(struct reader *reader, const struct nlmsghdr *header,
			struct rtnl_message *ret)
{
	struct rtnl_route *route = &ret->route;
	struct nexthop_facts single = {};
	struct reader multipath = {};
	struct attribute a;
	struct rtmsg info;
	int r;

	r = read_fixed(reader, &info, sizeof(info));
	if (r < 0)
		return r;
	if (info.rtm_family != AF_INET6 || (info.rtm_flags & RTM_F_CLONED))
		return 0;
	if (info.rtm_dst_len > 128 || info.rtm_src_len > 128)
		return -EBADMSG;

	ret->kind = header->nlmsg_type == RTM_NEWROUTE ? RTNL_ROUTE : RTNL_ROUTE_GONE;
	route->table = info.rtm_table;
	route->from_ra = info.rtm_protocol == RTPROT_RA;
	route->replaces = ret->kind == RTNL_ROUTE && (header->nlmsg_flags & NLM_F_REPLACE);
	route->destination.length = info.rtm_dst_len;
	route->source.length = info.rtm_src_len;
	while ((r = read_attribute(reader, &a)) > 0) {
		r = decode_route_attribute(&a, route, &single, &multipath);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	inet_mask(&route->destination.address, route->destination.length);
	inet_mask(&route->source.address, route->source.length);

	if (info.rtm_type == RTN_UNICAST && route_counts(route)) {
		add_nexthop(route, &single);
		r = decode_multipath(multipath, route);
		if (r < 0)
			return r;
		route->multipath = multipath.left > 0;
	}
	return route->n_nexthops > 0 || route->replaces;
}

static int decode_netconf(struct reader *reader, struct rtnl_message *ret)
{
	struct netconfmsg info;
	struct attribute a;
	uint32_t value;
	int r;

	r = read_fixed(reader, &info, sizeof(info));
	if (r < 0)
		return r;
	if (info.ncm_family != AF_INET6)
		return 0;
	ret->kind = RTNL_NETCONF;
	while ((r = read_attribute(reader, &a)) > 0) {
		if (a.type != NETCONFA_IFINDEX)
			continue;
		r = get_u32(&a, &value);
		if (r < 0)
			return r;
		ret->ifindex = (int)value;
	}
	if (r < 0)
		return r;
	return ret->ifindex != 0;
}

static int decode(struct reader *reader, const struct nlmsghdr *header, struct rtnl_message *ret)
{
	switch (header->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return decode_link_or_port(reader, header->nlmsg_type, ret);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return decode_address(reader, header->nlmsg_type, ret);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return decode_route(reader, header, ret);
	case RTM_NEWNETCONF:
		return decode_netconf(reader, ret);
	default:
		return 0;
	}
}

int rtnl_decode(const void *data, size_t length, struct rtnl_message *ret)
{
	struct reader reader = { data, length };
	struct rtnl_message message = {};
	struct nlmsghdr header;
	int r;

	r = read_fixed(&reader, &header, sizeof(header));
	if (r < 0)
		return r;
	if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length)
		return -EBADMSG;
	reader.left = header.nlmsg_len - sizeof(header);
	r = decode(&reader, &header, &message);
	if (r > 0)
		*ret = message;
	return r;
}
