/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/flow.h"
#include "base/own.h"
#include "wire/attrs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

/* The kernel's defaults, until the first packet. */
#define ESTABLISHED_S (5 * 24 * 3600)
#define HANDSHAKE_S 60
/* More than a new entry needs: nothing within it has to be checked. */
#define NEW_ROOM 512

struct tuple {
	uint8_t protocol;
	struct in6_addr source, destination;
	uint16_t source_port, destination_port;
};

/* > 0, or 0 if it is a tuple of another family or without ports. */
static int decode_tuple(const struct nlattr *nest, struct tuple *t)
{
	const struct nlattr *tb[CTA_TUPLE_PROTO + 1], *ip[CTA_IP_V6_DST + 1];
	const struct nlattr *proto[CTA_PROTO_DST_PORT + 1];

	if (attrs_parse_nested(nest, tb, N_ELEMENTS(tb)) < 0 || !tb[CTA_TUPLE_IP] ||
	    !tb[CTA_TUPLE_PROTO] || attrs_parse_nested(tb[CTA_TUPLE_IP], ip, N_ELEMENTS(ip)) < 0 ||
	    attrs_parse_nested(tb[CTA_TUPLE_PROTO], proto, N_ELEMENTS(proto)) < 0)
		return -EBADMSG;
	return attrs_bytes(ip[CTA_IP_V6_SRC], &t->source, sizeof(t->source)) &&
	       attrs_bytes(ip[CTA_IP_V6_DST], &t->destination, sizeof(t->destination)) &&
	       attrs_bytes(proto[CTA_PROTO_NUM], &t->protocol, sizeof(t->protocol)) &&
	       attrs_be16(proto[CTA_PROTO_SRC_PORT], &t->source_port) &&
	       attrs_be16(proto[CTA_PROTO_DST_PORT], &t->destination_port);
}

int flow_decode(const struct nlmsghdr *h, struct flow *ret)
{
	const struct nlattr *tb[CTA_ZONE + 1];
	struct tuple original, reply;
	int r;

	if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return 0;
	r = attrs_parse(h, sizeof(struct nfgenmsg), tb, N_ELEMENTS(tb));
	if (r < 0)
		return r;
	if (!tb[CTA_TUPLE_ORIG] || !tb[CTA_TUPLE_REPLY] || !tb[CTA_ID])
		return -EBADMSG;
	r = decode_tuple(tb[CTA_TUPLE_ORIG], &original);
	if (r > 0)
		r = decode_tuple(tb[CTA_TUPLE_REPLY], &reply);
	if (r <= 0)
		return r;
	*ret = (struct flow){
		.protocol = original.protocol,
		.source = original.source,
		.source_port = original.source_port,
		.destination = original.destination,
		.destination_port = original.destination_port,
		.reply_source = reply.source,
		.reply_source_port = reply.source_port,
		.original = tb[CTA_TUPLE_ORIG],
		.id = tb[CTA_ID],
		.zone = tb[CTA_ZONE],
	};
	return 1;
}

static struct nlmsghdr *put_header(void *buffer, uint16_t type, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_INET6;
	g->version = NFNETLINK_V0;
	return h;
}

/* Without CTA_FILTER: 5.4 ignores it, and later kernels return what does not match for IPv6. */
struct nlmsghdr *flow_encode_dump(void *buffer, size_t size, uint32_t seq)
{
	if (size < sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg))
		return NULL;
	return put_header(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq);
}

static bool put_copy(struct nlmsghdr *h, size_t size, const struct nlattr *a)
{
	return !a || mnl_attr_put_check(h, size, a->nla_type, mnl_attr_get_payload_len(a),
					mnl_attr_get_payload(a));
}

/* The tuple makes the request one for a single entry: without it, it would flush all of them. The
 * id keeps a newer entry of the same tuple. */
struct nlmsghdr *flow_encode_delete(const struct flow *f, void *buffer, size_t size, uint32_t seq)
{
	struct nlmsghdr *h;

	if (size < sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg) || !f->original || !f->id)
		return NULL;
	h = put_header(buffer, IPCTNL_MSG_CT_DELETE, 0, seq);
	if (!put_copy(h, size, f->original) || !put_copy(h, size, f->id) ||
	    !put_copy(h, size, f->zone))
		return NULL;
	return h;
}

static void put_tuple(struct nlmsghdr *h, uint16_t type, const struct tuple *t)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);
	struct nlattr *ip = mnl_attr_nest_start(h, CTA_TUPLE_IP), *proto;

	mnl_attr_put(h, CTA_IP_V6_SRC, sizeof(t->source), &t->source);
	mnl_attr_put(h, CTA_IP_V6_DST, sizeof(t->destination), &t->destination);
	mnl_attr_nest_end(h, ip);
	proto = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, t->protocol);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(t->source_port));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(t->destination_port));
	mnl_attr_nest_end(h, proto);
	mnl_attr_nest_end(h, nest);
}

/* Its windows are unknown: as the kernel does with connections that it has not seen begin. */
static void put_tcp_state(struct nlmsghdr *h, bool established)
{
	static const struct nf_ct_tcp_flags flags = {
		.flags = IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL,
		.mask = IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL,
	};
	struct nlattr *info = mnl_attr_nest_start(h, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(h, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(h, CTA_PROTOINFO_TCP_STATE,
			established ? TCP_CONNTRACK_ESTABLISHED : TCP_CONNTRACK_SYN_RECV);
	mnl_attr_put(h, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(flags), &flags);
	mnl_attr_put(h, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(flags), &flags);
	mnl_attr_nest_end(h, tcp);
	mnl_attr_nest_end(h, info);
}

/* With an answer seen, no packet of it is looked up in a nat chain; assured, it is not the first
 * to go when the table is full. */
struct nlmsghdr *flow_encode_new_tcp(const struct flow *f, bool established, void *buffer,
				     size_t size, uint32_t seq)
{
	const struct tuple original = { IPPROTO_TCP, f->source, f->destination, f->source_port,
					f->destination_port };
	const struct tuple reply = { IPPROTO_TCP, f->destination, f->source, f->destination_port,
				     f->source_port };
	struct nlmsghdr *h;

	if (size < NEW_ROOM)
		return NULL;
	h = put_header(buffer, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, seq);
	put_tuple(h, CTA_TUPLE_ORIG, &original);
	put_tuple(h, CTA_TUPLE_REPLY, &reply);
	mnl_attr_put_u32(h, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	mnl_attr_put_u32(h, CTA_TIMEOUT, htonl(established ? ESTABLISHED_S : HANDSHAKE_S));
	put_tcp_state(h, established);
	return h;
}
