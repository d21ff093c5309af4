/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/flow.h"
#include "base/own.h"
#include "wire/attrs.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

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
