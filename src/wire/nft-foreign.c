/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifications, and the little of foreign rules that matters to us. */
#include "wire/foreign.h"
#include "wire/attrs.h"
#include "wire/nft-internal.h"
#include "base/own.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables_compat.h>

static int decode_commit(const struct nlmsghdr *h, struct nft_event *e)
{
	const struct nlattr *tb[NFTA_GEN_PROC_NAME + 1];
	int r;

	r = attrs_parse(h, sizeof(struct nfgenmsg), tb, N_ELEMENTS(tb));
	if (r < 0)
		return r;
	e->commit = true;
	(void)attrs_be32(tb[NFTA_GEN_ID], &e->generation);
	(void)attrs_be32(tb[NFTA_GEN_PROC_PID], &e->pid);
	(void)attrs_string(tb[NFTA_GEN_PROC_NAME], e->process, sizeof(e->process));
	return 1;
}

int nft_decode_event(const struct nlmsghdr *h, struct nft_event *ret)
{
	struct nft_event e = { .portid = h->nlmsg_pid };
	const struct nlattr *tb[NFTA_TABLE_NAME + 1];
	int r;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return 0;
	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	e.family = ((const struct nfgenmsg *)mnl_nlmsg_get_payload(h))->nfgen_family;
	if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN) {
		r = decode_commit(h, &e);
	} else {
		e.rule = NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWRULE;
		/* In every other message the first attribute type is the name of the table. */
		r = attrs_parse(h, sizeof(struct nfgenmsg), tb, N_ELEMENTS(tb));
		if (r == 0)
			r = attrs_string(tb[NFTA_TABLE_NAME], e.table, sizeof(e.table));
	}
	if (r > 0)
		*ret = e;
	return r;
}

/* What has been gathered of a rule while its expressions are walked. */
struct walk {
	struct foreign_rule rule;
	uint32_t oifname_register; /* 0: none holds the name */
};

static void walk_meta(struct walk *w, const struct nlattr *data)
{
	const struct nlattr *tb[NFTA_META_KEY + 1];
	uint32_t key, to;

	if (attrs_parse_nested(data, tb, N_ELEMENTS(tb)) < 0 ||
	    !attrs_be32(tb[NFTA_META_DREG], &to) || !attrs_be32(tb[NFTA_META_KEY], &key))
		return;
	if (key == NFT_META_OIFNAME)
		w->oifname_register = to;
	else if (to == w->oifname_register)
		w->oifname_register = 0;
}

/* ip6tables compares the name with its terminating zero, nft all 16 bytes; without a zero it is
 * the beginning of a name ("br-+"). */
static void walk_cmp(struct walk *w, const struct nlattr *data)
{
	const struct nlattr *tb[NFTA_CMP_DATA + 1], *value[NFTA_DATA_VALUE + 1];
	uint32_t from, op;

	if (attrs_parse_nested(data, tb, N_ELEMENTS(tb)) < 0 ||
	    !attrs_be32(tb[NFTA_CMP_SREG], &from) || !attrs_be32(tb[NFTA_CMP_OP], &op) ||
	    !tb[NFTA_CMP_DATA] ||
	    attrs_parse_nested(tb[NFTA_CMP_DATA], value, N_ELEMENTS(value)) < 0)
		return;
	if (from != w->oifname_register || from == 0 || op != NFT_CMP_EQ || !value[NFTA_DATA_VALUE])
		return;
	if (memchr(mnl_attr_get_payload(value[NFTA_DATA_VALUE]), '\0',
		   mnl_attr_get_payload_len(value[NFTA_DATA_VALUE])))
		(void)attrs_string(value[NFTA_DATA_VALUE], w->rule.oifname,
				   sizeof(w->rule.oifname));
}

static void walk_immediate(struct walk *w, const struct nlattr *data)
{
	const struct nlattr *tb[NFTA_IMMEDIATE_DATA + 1];

	if (attrs_parse_nested(data, tb, N_ELEMENTS(tb)) == 0 && tb[NFTA_IMMEDIATE_DATA])
		(void)nft_decode_verdict(tb[NFTA_IMMEDIATE_DATA], &w->rule.verdict, w->rule.target,
					 sizeof(w->rule.target));
}

static void walk_match(struct walk *w, const struct nlattr *data)
{
	const struct nlattr *tb[NFTA_MATCH_INFO + 1];

	if (attrs_parse_nested(data, tb, N_ELEMENTS(tb)) < 0)
		return;
	if (attrs_string_equals(tb[NFTA_MATCH_NAME], "conntrack") ||
	    attrs_string_equals(tb[NFTA_MATCH_NAME], "state"))
		w->rule.conntrack = true;
	else if (attrs_string_equals(tb[NFTA_MATCH_NAME], "addrtype") && tb[NFTA_MATCH_INFO])
		w->rule.to_local =
			foreign_is_to_local(mnl_attr_get_payload(tb[NFTA_MATCH_INFO]),
					    mnl_attr_get_payload_len(tb[NFTA_MATCH_INFO]));
}

static void walk_target(struct walk *w, const struct nlattr *data)
{
	const struct nlattr *tb[NFTA_TARGET_NAME + 1];

	w->rule.masquerade = attrs_parse_nested(data, tb, N_ELEMENTS(tb)) == 0 &&
			     attrs_string_equals(tb[NFTA_TARGET_NAME], "MASQUERADE");
}

static void walk_expr(struct walk *w, const struct nlattr *nest)
{
	const struct nlattr *tb[NFTA_EXPR_DATA + 1];

	if (attrs_parse_nested(nest, tb, N_ELEMENTS(tb)) < 0)
		return;
	if (!attrs_string_equals(tb[NFTA_EXPR_NAME], "counter") &&
	    !attrs_string_equals(tb[NFTA_EXPR_NAME], "immediate"))
		w->rule.any = false;
	if (attrs_string_equals(tb[NFTA_EXPR_NAME], "masq"))
		w->rule.masquerade = true;
	if (!tb[NFTA_EXPR_DATA])
		return;
	if (attrs_string_equals(tb[NFTA_EXPR_NAME], "meta"))
		walk_meta(w, tb[NFTA_EXPR_DATA]);
	else if (attrs_string_equals(tb[NFTA_EXPR_NAME], "cmp"))
		walk_cmp(w, tb[NFTA_EXPR_DATA]);
	else if (attrs_string_equals(tb[NFTA_EXPR_NAME], "immediate"))
		walk_immediate(w, tb[NFTA_EXPR_DATA]);
	else if (attrs_string_equals(tb[NFTA_EXPR_NAME], "match"))
		walk_match(w, tb[NFTA_EXPR_DATA]);
	else if (attrs_string_equals(tb[NFTA_EXPR_NAME], "target"))
		walk_target(w, tb[NFTA_EXPR_DATA]);
	else if (attrs_string_equals(tb[NFTA_EXPR_NAME], "ct"))
		w->rule.conntrack = true;
}

/* > 0: tb holds the attributes of a message of that ip6 table. */
static int parse_of_table(const struct nlmsghdr *h, const char *table, const struct nlattr **tb,
			  size_t n, uint16_t table_attribute)
{
	int r;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	if (((const struct nfgenmsg *)mnl_nlmsg_get_payload(h))->nfgen_family != NFPROTO_IPV6)
		return 0;
	r = attrs_parse(h, sizeof(struct nfgenmsg), tb, n);
	if (r < 0)
		return r;
	return attrs_string_equals(tb[table_attribute], table);
}

int foreign_decode_nft_rule(const struct nlmsghdr *h, const char *table,
			    struct foreign_rules *rules)
{
	const struct nlattr *tb[NFTA_RULE_EXPRESSIONS + 1], *a;
	struct foreign_rule *copy;
	struct walk w = { .rule.any = true };
	int r;

	r = parse_of_table(h, table, tb, N_ELEMENTS(tb), NFTA_RULE_TABLE);
	if (r <= 0)
		return r;
	if (!tb[NFTA_RULE_EXPRESSIONS] ||
	    !attrs_string(tb[NFTA_RULE_CHAIN], w.rule.chain, sizeof(w.rule.chain)))
		return 0;
	mnl_attr_for_each_nested (a, tb[NFTA_RULE_EXPRESSIONS])
		walk_expr(&w, a);
	copy = vec_add(rules);
	if (!copy)
		return -ENOMEM;
	*copy = w.rule;
	return 1;
}

int foreign_decode_nft_chain(const struct nlmsghdr *h, const char *table,
			     char ret[static FOREIGN_NAME])
{
	const struct nlattr *tb[NFTA_CHAIN_NAME + 1];
	int r;

	r = parse_of_table(h, table, tb, N_ELEMENTS(tb), NFTA_CHAIN_TABLE);
	if (r <= 0)
		return r;
	return attrs_string(tb[NFTA_CHAIN_NAME], ret, FOREIGN_NAME);
}
