/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule as nf_tables bytecode. Every expression of ours begins with empty registers: fields are
 * loaded one after the other from the first register on, and used at once.
 */
#include "wire/nft-internal.h"
#include "base/own.h"

#include <inttypes.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>

DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free)
DEFINE_CLEANUP(struct nftnl_udata_buf *, nftnl_udata_buf_free)

#define IP6_SADDR_OFFSET 8
#define IP6_DADDR_OFFSET 24

struct builder {
	struct nftnl_rule *rule;
	bool out_of_memory; /* checked once, at the end */
};

static struct nftnl_expr *add(struct builder *b, const char *name)
{
	struct nftnl_expr *e = nftnl_expr_alloc(name);

	if (e)
		nftnl_rule_add_expr(b->rule, e);
	else
		b->out_of_memory = true;
	return e;
}

static void set_data(struct builder *b, struct nftnl_expr *e, uint16_t attribute, const void *data,
		     size_t size)
{
	if (nftnl_expr_set(e, attribute, data, (uint32_t)size) < 0)
		b->out_of_memory = true;
}

static void set_string(struct builder *b, struct nftnl_expr *e, uint16_t attribute,
		       const char *text)
{
	if (nftnl_expr_set_str(e, attribute, text) < 0)
		b->out_of_memory = true;
}

/* The four big registers and the sixteen small ones are the same 64 bytes; big ones where they
 * begin at the offset are what every kernel, and nft, knows. */
static uint32_t register_at(size_t offset)
{
	return offset % 16 == 0 ? NFT_REG_1 + (uint32_t)offset / 16
				: NFT_REG32_00 + (uint32_t)offset / 4;
}

static void load_meta(struct builder *b, uint32_t key, size_t offset)
{
	struct nftnl_expr *e = add(b, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, register_at(offset));
}

static void load_payload(struct builder *b, uint32_t base, uint32_t from, size_t size,
			 size_t offset)
{
	struct nftnl_expr *e = add(b, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, from);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, (uint32_t)size);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, register_at(offset));
}

static uint32_t address_offset(enum ruleset_field f)
{
	return f == RULESET_SADDR ? IP6_SADDR_OFFSET : IP6_DADDR_OFFSET;
}

static void load_field(struct builder *b, enum ruleset_field f, size_t offset)
{
	switch (f) {
	case RULESET_IIFNAME:
		load_meta(b, NFT_META_IIFNAME, offset);
		break;
	case RULESET_OIFNAME:
		load_meta(b, NFT_META_OIFNAME, offset);
		break;
	case RULESET_SADDR:
	case RULESET_DADDR:
		load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, address_offset(f), 16, offset);
		break;
	case RULESET_L4PROTO:
		load_meta(b, NFT_META_L4PROTO, offset);
		break;
	case RULESET_DPORT:
		load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, offset);
		break;
	case RULESET_ETHER_DADDR:
		load_payload(b, NFT_PAYLOAD_LL_HEADER, 0, 6, offset);
		break;
	case RULESET_SADDR32:
		load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP6_SADDR_OFFSET, 4, offset);
		break;
	case RULESET_FIELD_NONE:
	case _RULESET_FIELD_MAX:
		break;
	}
}

static void load_fields(struct builder *b, const enum ruleset_field fields[static RULESET_FIELDS])
{
	size_t offset = 0;

	for (size_t i = 0; i < RULESET_FIELDS && fields[i] != RULESET_FIELD_NONE; i++) {
		load_field(b, fields[i], offset);
		offset += ruleset_field_size(fields[i]);
	}
}

static void compare(struct builder *b, bool invert, const void *data, size_t size)
{
	struct nftnl_expr *e = add(b, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, invert ? NFT_CMP_NEQ : NFT_CMP_EQ);
	set_data(b, e, NFTNL_EXPR_CMP_DATA, data, size);
}

static void mask(struct builder *b, const void *bits, size_t size)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = add(b, "bitwise");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, (uint32_t)size);
	set_data(b, e, NFTNL_EXPR_BITWISE_MASK, bits, size);
	set_data(b, e, NFTNL_EXPR_BITWISE_XOR, zero, size);
}

static void lookup(struct builder *b, const char *set, bool invert, const uint32_t *to)
{
	struct nftnl_expr *e = add(b, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	set_string(b, e, NFTNL_EXPR_LOOKUP_SET, set);
	if (to)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, *to);
	if (invert)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

static void match_name(struct builder *b, const struct ruleset_expr *x)
{
	uint8_t name[16] = { 0 };

	memcpy(name, x->name, strnlen(x->name, sizeof(name) - 1));
	load_field(b, x->fields[0], 0);
	compare(b, x->invert, name, sizeof(name));
}

/* Whole bytes need no mask: nft lists the shorter comparison as the prefix that it is. */
static void match_prefix(struct builder *b, const struct ruleset_expr *x)
{
	uint8_t length = x->prefix.length;
	size_t size = length > 0 && length <= 32 ? 4 : sizeof(struct in6_addr);
	struct in6_addr bits;

	if (length > 0 && length % 8 == 0) {
		load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, address_offset(x->fields[0]),
			     length / 8, 0);
		compare(b, x->invert, &x->prefix.address, length / 8);
		return;
	}
	memset(&bits, 0xff, sizeof(bits));
	inet_mask(&bits, length);
	/* Four bytes are loaded, masked and compared by the kernel's fast expressions. */
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, address_offset(x->fields[0]), size, 0);
	mask(b, &bits, size);
	compare(b, x->invert, &x->prefix.address, size);
}

/* Any of the bits: "not zero after masking"; inverted: none of them. Host order, both of them. */
static void match_ct(struct builder *b, uint32_t key, const struct ruleset_expr *x)
{
	const uint32_t zero = 0;
	struct nftnl_expr *e = add(b, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	mask(b, &x->value, sizeof(x->value));
	compare(b, !x->invert, &zero, sizeof(zero));
}

static void match_fib_local(struct builder *b, const struct ruleset_expr *x)
{
	const uint32_t local = RTN_LOCAL; /* in host order */
	struct nftnl_expr *e = add(b, "fib");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS,
			   x->fields[0] == RULESET_SADDR ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	compare(b, x->invert, &local, sizeof(local));
}

static void match_icmpv6_type(struct builder *b, const struct ruleset_expr *x)
{
	const uint8_t protocol = IPPROTO_ICMPV6, type = (uint8_t)x->value;

	load_meta(b, NFT_META_L4PROTO, 0);
	compare(b, false, &protocol, sizeof(protocol));
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, offsetof(struct icmp6_hdr, icmp6_type), 1, 0);
	compare(b, x->invert, &type, sizeof(type));
}

static void match_ether_ip6(struct builder *b, const struct ruleset_expr *x)
{
	const uint16_t protocol = htons(ETH_P_IPV6);

	load_meta(b, NFT_META_PROTOCOL, 0);
	compare(b, x->invert, &protocol, sizeof(protocol));
}

static void match_multicast(struct builder *b, const struct ruleset_expr *x)
{
	const uint8_t type = PACKET_MULTICAST;

	load_meta(b, NFT_META_PKTTYPE, 0);
	compare(b, x->invert, &type, sizeof(type));
}

static void immediate(struct builder *b, const struct in6_addr *a)
{
	struct nftnl_expr *e = add(b, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	set_data(b, e, NFTNL_EXPR_IMM_DATA, a, sizeof(*a));
}

/* The kernel derives the flags of the range from the registers that are present. */
static void nat(struct builder *b, uint32_t type, const uint32_t *port_register)
{
	struct nftnl_expr *e = add(b, "nat");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, type);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV6);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	if (port_register)
		nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, *port_register);
}

static void dnat(struct builder *b, const struct ruleset_expr *x)
{
	const uint32_t data = NFT_REG_1, port = NFT_REG_2; /* address . port */

	load_fields(b, x->fields);
	lookup(b, x->name, false, &data);
	nat(b, NFT_NAT_DNAT, &port);
}

static void verdict(struct builder *b, const struct ruleset_expr *x)
{
	struct nftnl_expr *e = add(b, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, nft_verdict_code(x->verdict));
	if (x->verdict == RULESET_JUMP || x->verdict == RULESET_GOTO)
		set_string(b, e, NFTNL_EXPR_IMM_CHAIN, x->name);
}

static void encode_expr(struct builder *b, const struct ruleset_expr *x)
{
	const uint32_t verdict_register = NFT_REG_VERDICT;

	switch (x->kind) {
	case RULESET_MATCH_NAME:
		match_name(b, x);
		break;
	case RULESET_MATCH_SET:
		load_fields(b, x->fields);
		lookup(b, x->name, x->invert, NULL);
		break;
	case RULESET_MATCH_PREFIX:
		match_prefix(b, x);
		break;
	case RULESET_MATCH_CT_STATE:
		match_ct(b, NFT_CT_STATE, x);
		break;
	case RULESET_MATCH_CT_STATUS:
		match_ct(b, NFT_CT_STATUS, x);
		break;
	case RULESET_MATCH_FIB_LOCAL:
		match_fib_local(b, x);
		break;
	case RULESET_MATCH_ICMPV6_TYPE:
		match_icmpv6_type(b, x);
		break;
	case RULESET_MATCH_ETHER_IP6:
		match_ether_ip6(b, x);
		break;
	case RULESET_MATCH_MULTICAST:
		match_multicast(b, x);
		break;
	case RULESET_LOOKUP_VERDICT:
		load_fields(b, x->fields);
		lookup(b, x->name, false, &verdict_register);
		break;
	case RULESET_DNAT:
		dnat(b, x);
		break;
	case RULESET_SNAT:
		immediate(b, &x->prefix.address);
		nat(b, NFT_NAT_SNAT, NULL);
		break;
	case RULESET_MASQUERADE:
		(void)add(b, "masq");
		break;
	case RULESET_VERDICT:
		verdict(b, x);
		break;
	case RULESET_EXPR_NONE:
	case _RULESET_EXPR_MAX:
		break;
	}
}

static int put_tag(struct nftnl_rule *rule, uint64_t tag)
{
	_cleanup_(nftnl_udata_buf_freep) struct nftnl_udata_buf *udata =
		nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
	char text[NFT_TAG_TEXT];

	if (!udata)
		return -ENOMEM;
	(void)snprintf(text, sizeof(text), NFT_TAG_FORMAT, tag);
	if (!nftnl_udata_put_strz(udata, NFTNL_UDATA_RULE_COMMENT, text) ||
	    nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata),
				nftnl_udata_buf_len(udata)) < 0)
		return -ENOMEM;
	return 0;
}

int nft_rule_encode(struct nlmsghdr *h, const struct ruleset_change *c)
{
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
	struct builder b = { .rule = rule };

	if (!rule || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, RULESET_TABLE) < 0 ||
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, c->chain->name) < 0 ||
	    put_tag(rule, c->rule->tag) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < RULESET_EXPRS && c->rule->exprs[i].kind != RULESET_EXPR_NONE; i++)
		encode_expr(&b, &c->rule->exprs[i]);
	if (b.out_of_memory)
		return -ENOMEM;
	nftnl_rule_nlmsg_build_payload(h, rule);
	return 0;
}
