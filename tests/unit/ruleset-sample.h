/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Rulesets for tests: every kind of set, map and expression there is. */
#include "base/ruleset.h"

#include <assert.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>
#include <stdio.h>

static inline struct in6_addr sample_address(const char *text)
{
	struct in6_addr a;

	assert(inet_parse(text, &a) == 0);
	return a;
}

static inline struct inet_prefix sample_prefix(const char *text)
{
	struct inet_prefix p;

	assert(inet_prefix_parse(text, &p) == 0);
	return p;
}

static inline struct ruleset_set *sample_set(struct ruleset_table *t, const char *name,
					     enum ruleset_set_kind kind, enum ruleset_field a,
					     enum ruleset_field b, enum ruleset_field c)
{
	struct ruleset_set *s = vec_add(&t->sets);

	assert(s);
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	s->kind = kind;
	s->key[0] = a;
	s->key[1] = b;
	s->key[2] = c;
	if (kind == RULESET_MAP) {
		s->data[0] = RULESET_DADDR;
		s->data[1] = RULESET_DPORT;
		s->counter = true;
	}
	return s;
}

static inline struct ruleset_element *sample_element(struct ruleset_set *s)
{
	struct ruleset_element *e = vec_add(&s->elements);

	assert(e);
	return e;
}

/* host NULL: any address. */
static inline struct ruleset_element *sample_port(struct ruleset_set *s, const char *host,
						  uint8_t protocol, uint16_t port,
						  const char *target, uint16_t target_port)
{
	struct ruleset_element *e = sample_element(s);
	struct in6_addr a;
	size_t offset = 0;

	if (host) {
		a = sample_address(host);
		ruleset_put_address(e->key, &offset, &a);
	}
	ruleset_put_protocol(e->key, &offset, protocol);
	ruleset_put_port(e->key, &offset, port);
	if (!target)
		return e;
	offset = 0;
	a = sample_address(target);
	ruleset_put_address(e->data, &offset, &a);
	ruleset_put_port(e->data, &offset, target_port);
	return e;
}

static inline struct ruleset_element *sample_in_prefix(struct ruleset_set *s, const char *prefix,
						       const char *chain)
{
	struct ruleset_element *e = sample_element(s);
	struct inet_prefix p = sample_prefix(prefix);
	size_t offset = 0;

	ruleset_put_address(e->key, &offset, &p.address);
	e->prefix_length = p.length;
	if (chain) {
		e->verdict = RULESET_JUMP;
		(void)snprintf(e->chain, sizeof(e->chain), "%s", chain);
	}
	return e;
}

static inline struct ruleset_element *sample_name(struct ruleset_set *s, const char *name)
{
	struct ruleset_element *e = sample_element(s);
	size_t offset = 0;

	ruleset_put_name(e->key, &offset, name);
	return e;
}

static inline void sample_chain(struct ruleset_table *t, const char *name)
{
	struct ruleset_chain *c = vec_add(&t->chains);

	assert(c);
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
}

static inline void sample_base_chain(struct ruleset_table *t, const char *name, bool nat,
				     enum ruleset_hook hook, int priority)
{
	struct ruleset_chain *c;

	sample_chain(t, name);
	c = &t->chains.items[t->chains.n - 1];
	c->base = true;
	c->nat = nat;
	c->hook = hook;
	c->priority = priority;
}

static inline void sample_rule_of(struct ruleset_chain *c, const struct ruleset_expr *exprs,
				  size_t n)
{
	struct ruleset_rule *r = vec_add(&c->rules);

	assert(r && n <= RULESET_EXPRS);
	memcpy(r->exprs, exprs, n * sizeof(*exprs));
}

/* Appends a rule to the chain that was added last. */
#define SAMPLE_RULE(t, ...)                                                   \
	do {                                                                  \
		const struct ruleset_expr exprs_[] = { __VA_ARGS__ };         \
		sample_rule_of(&(t)->chains.items[(t)->chains.n - 1], exprs_, \
			       sizeof(exprs_) / sizeof(exprs_[0]));           \
	} while (0)

#define SAMPLE_EXPR(k, ...) ((struct ruleset_expr){ .kind = RULESET_##k, __VA_ARGS__ })
#define SAMPLE_VERDICT(v) SAMPLE_EXPR(VERDICT, .verdict = RULESET_##v)

static inline void sample_sets(struct ruleset_table *t)
{
	struct ruleset_set *s;

	s = sample_set(t, "pub_addr", RULESET_MAP, RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT);
	sample_port(s, "2001:db8:1::10", IPPROTO_TCP, 9000, "fd00:a::a1", 9001);
	s = sample_set(t, "pub_any", RULESET_MAP, RULESET_L4PROTO, RULESET_DPORT, 0);
	sample_port(s, NULL, IPPROTO_TCP, 8080, "fd00:a::a1", 80);
	sample_port(s, NULL, IPPROTO_UDP, 53, "fd00:a::a1", 53);
	sample_port(s, NULL, IPPROTO_SCTP, 8080, "fd00:a::a1", 3868);
	s = sample_set(t, "host", RULESET_VERDICT_MAP, RULESET_DADDR, 0, 0);
	sample_in_prefix(s, "2001:db8:1::10/128", "publish")->prefix_length = 0;
	sample_in_prefix(s, "::1/128", NULL)->verdict = RULESET_RETURN;
	s->elements.items[1].prefix_length = 0;
	s = sample_set(t, "source", RULESET_VERDICT_MAP, RULESET_SADDR, 0, 0);
	s->interval = true;
	sample_in_prefix(s, "fd00:a::/64", "post_a");
	sample_in_prefix(s, "fd00:a:0:1::/64", "post_b");
	sample_in_prefix(s, "ff00::/8", NULL)->verdict = RULESET_DROP;
	s = sample_set(t, "to", RULESET_VERDICT_MAP, RULESET_OIFNAME, 0, 0);
	sample_name(s, "br-a")->verdict = RULESET_ACCEPT;
	s = sample_set(t, "bridges", RULESET_SET, RULESET_IIFNAME, 0, 0);
	sample_name(s, "br-a");
	sample_name(s, "br-0123456789ab");
	s = sample_set(t, "allowed", RULESET_SET, RULESET_IIFNAME, RULESET_OIFNAME, 0);
	memcpy(sample_name(s, "br-a")->key + 16, "br-0123456789ab", 15);
	s = sample_set(t, "open", RULESET_SET, RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT);
	sample_port(s, "2001:db8:1::a2", IPPROTO_TCP, 443, NULL, 0);
	s = sample_set(t, "trusted", RULESET_SET, RULESET_DADDR, 0, 0);
	s->interval = true;
	sample_in_prefix(s, "::/16", NULL);
	sample_in_prefix(s, "2001:db8::1/128", NULL);
	s = sample_set(t, "inside", RULESET_SET, RULESET_SADDR32, 0, 0);
	s->size = 1024;
	memcpy(sample_element(s)->key, "\xfd\x00\x00\x0a", 4);
}

static inline void sample_nat_chains(struct ruleset_table *t)
{
	sample_base_chain(t, "prerouting", true, RULESET_HOOK_PREROUTING, -101);
	SAMPLE_RULE(t, SAMPLE_EXPR(LOOKUP_VERDICT, .name = "host", .fields = { RULESET_DADDR }));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_FIB_LOCAL, .fields = { RULESET_DADDR }),
		    SAMPLE_EXPR(VERDICT, .verdict = RULESET_GOTO, .name = "publish"));
	sample_chain(t, "publish");
	SAMPLE_RULE(t,
		    SAMPLE_EXPR(MATCH_PREFIX, .fields = { RULESET_DADDR },
				.prefix = sample_prefix("::1/128")),
		    SAMPLE_VERDICT(RETURN));
	SAMPLE_RULE(t,
		    SAMPLE_EXPR(MATCH_PREFIX, .fields = { RULESET_SADDR },
				.prefix = sample_prefix("fe80::/10")),
		    SAMPLE_VERDICT(RETURN));
	SAMPLE_RULE(t, SAMPLE_EXPR(DNAT, .name = "pub_addr",
				   .fields = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT }));
	SAMPLE_RULE(t, SAMPLE_EXPR(DNAT, .name = "pub_any",
				   .fields = { RULESET_L4PROTO, RULESET_DPORT }));
	sample_base_chain(t, "postrouting", true, RULESET_HOOK_POSTROUTING, 99);
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_SET, .name = "inside", .fields = { RULESET_SADDR32 }),
		    SAMPLE_EXPR(LOOKUP_VERDICT, .name = "source", .fields = { RULESET_SADDR }));
	sample_chain(t, "post_a");
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_NAME, .name = "br-a", .fields = { RULESET_OIFNAME }),
		    SAMPLE_EXPR(MATCH_CT_STATUS, .value = IPS_DST_NAT), SAMPLE_EXPR(MASQUERADE));
	sample_chain(t, "post_b");
	SAMPLE_RULE(t, SAMPLE_EXPR(SNAT, .prefix = sample_prefix("2001:db8:1::20/128")));
}

static inline void sample_filter_chains(struct ruleset_table *t)
{
	sample_base_chain(t, "forward", false, RULESET_HOOK_FORWARD, -1);
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_CT_STATE, .value = 2 | 4), SAMPLE_VERDICT(ACCEPT));
	SAMPLE_RULE(t, SAMPLE_EXPR(LOOKUP_VERDICT, .name = "to", .fields = { RULESET_OIFNAME }));
	SAMPLE_RULE(t,
		    SAMPLE_EXPR(MATCH_SET, .name = "allowed",
				.fields = { RULESET_IIFNAME, RULESET_OIFNAME }),
		    SAMPLE_VERDICT(ACCEPT));
	SAMPLE_RULE(t,
		    SAMPLE_EXPR(MATCH_SET, .name = "open",
				.fields = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT }),
		    SAMPLE_VERDICT(ACCEPT));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_SET, .name = "trusted", .fields = { RULESET_DADDR }),
		    SAMPLE_EXPR(MATCH_ICMPV6_TYPE, .value = ICMP6_ECHO_REQUEST),
		    SAMPLE_VERDICT(ACCEPT));
	sample_chain(t, "inverted");
	SAMPLE_RULE(t,
		    SAMPLE_EXPR(MATCH_NAME, .name = "br-a", .fields = { RULESET_IIFNAME },
				.invert = true),
		    SAMPLE_EXPR(MATCH_SET, .name = "bridges", .fields = { RULESET_OIFNAME },
				.invert = true),
		    SAMPLE_VERDICT(RETURN));
	SAMPLE_RULE(t,
		    SAMPLE_EXPR(MATCH_PREFIX, .fields = { RULESET_SADDR }, .invert = true,
				.prefix = sample_prefix("fd00:a::/64")),
		    SAMPLE_EXPR(MATCH_PREFIX, .fields = { RULESET_DADDR }, .invert = true,
				.prefix = sample_prefix("fd00:a::/61")),
		    SAMPLE_VERDICT(RETURN));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_CT_STATE, .value = 2 | 4, .invert = true),
		    SAMPLE_EXPR(MATCH_CT_STATUS, .value = IPS_DST_NAT, .invert = true),
		    SAMPLE_VERDICT(RETURN));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_ICMPV6_TYPE, .value = ICMP6_ECHO_REQUEST, .invert = true),
		    SAMPLE_VERDICT(RETURN));
	sample_base_chain(t, "output", true, RULESET_HOOK_OUTPUT, -101);
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_FIB_LOCAL, .fields = { RULESET_DADDR }, .invert = true),
		    SAMPLE_VERDICT(RETURN));
	SAMPLE_RULE(t, SAMPLE_EXPR(VERDICT, .verdict = RULESET_JUMP, .name = "publish"));
}

static inline void sample_bridge(struct ruleset_table *t)
{
	t->present = true;
	sample_name(sample_set(t, "isolated", RULESET_SET, RULESET_IIFNAME, 0, 0), "veth0");
	ruleset_put_mac(
		sample_element(sample_set(t, "gateways", RULESET_SET, RULESET_ETHER_DADDR, 0, 0))
			->key,
		&(size_t){ 0 }, (const uint8_t[6]){ 2, 0x42, 0xac, 0x11, 0, 1 });
	sample_base_chain(t, "forward", false, RULESET_HOOK_FORWARD, -200);
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_SET, .name = "isolated", .fields = { RULESET_IIFNAME }),
		    SAMPLE_EXPR(MATCH_SET, .name = "isolated", .fields = { RULESET_OIFNAME }),
		    SAMPLE_EXPR(MATCH_ETHER_IP6), SAMPLE_VERDICT(DROP));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_ETHER_IP6, .invert = true), SAMPLE_VERDICT(ACCEPT));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_MULTICAST, .invert = true),
		    SAMPLE_EXPR(MATCH_SET, .name = "gateways", .fields = { RULESET_ETHER_DADDR },
				.invert = true),
		    SAMPLE_VERDICT(DROP));
	SAMPLE_RULE(t, SAMPLE_EXPR(MATCH_ETHER_IP6),
		    SAMPLE_EXPR(MATCH_PREFIX, .fields = { RULESET_SADDR },
				.prefix = sample_prefix("fd00:a::/64")),
		    SAMPLE_VERDICT(ACCEPT));
}

static inline void sample_build(struct ruleset *r)
{
	struct ruleset_table *t = &r->tables[RULESET_IP6];

	t->present = true;
	sample_sets(t);
	sample_nat_chains(t);
	sample_filter_chains(t);
	sample_bridge(&r->tables[RULESET_BRIDGE]);
	ruleset_finish(r);
}
