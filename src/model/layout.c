/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layout.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>
#include <stdio.h>

/*
 * Base chains. Our NAT comes one step before Docker's (-100, 100): the first nat chain that
 * translates a connection decides. The filter comes before the tables of others, which may only
 * take away what we accept.
 */
#define PRIORITY_DNAT (-101)
#define PRIORITY_SNAT 99
#define PRIORITY_FILTER (-1)
#define PRIORITY_RAW (-300)
#define PRIORITY_BRIDGE_FILTER (-200)

#define CT_ESTABLISHED (1U << 1) /* NF_CT_STATE_BIT(IP_CT_ESTABLISHED), as "ct state" counts */
#define CT_RELATED (1U << 2)

static const struct inet_prefix link_local = { { { { 0xfe, 0x80 } } }, 10 };
static const struct inet_prefix loopback = { IN6ADDR_LOOPBACK_INIT, 128 };

/* -------------------------------------------------------- expressions */

static struct ruleset_expr ct_state(uint32_t bits)
{
	return (struct ruleset_expr){ .kind = RULESET_MATCH_CT_STATE, .value = bits };
}

static struct ruleset_expr ct_status(uint32_t bits)
{
	return (struct ruleset_expr){ .kind = RULESET_MATCH_CT_STATUS, .value = bits };
}

static struct ruleset_expr is_local(enum ruleset_field f)
{
	return (struct ruleset_expr){ .kind = RULESET_MATCH_FIB_LOCAL, .fields = { f } };
}

static struct ruleset_expr in_prefix(enum ruleset_field f, struct inet_prefix p)
{
	return (struct ruleset_expr){ .kind = RULESET_MATCH_PREFIX, .fields = { f }, .prefix = p };
}

static struct ruleset_expr echo_request(void)
{
	return (struct ruleset_expr){ .kind = RULESET_MATCH_ICMPV6_TYPE,
				      .value = ICMP6_ECHO_REQUEST };
}

static struct ruleset_expr solicitation(void)
{
	return (struct ruleset_expr){ .kind = RULESET_MATCH_ICMPV6_TYPE,
				      .value = ND_NEIGHBOR_SOLICIT };
}

static struct ruleset_expr named(enum ruleset_expr_kind kind, const char *name)
{
	struct ruleset_expr e = { .kind = kind };

	snprintf(e.name, sizeof(e.name), "%s", name);
	return e;
}

static struct ruleset_expr out_on(const char *interface)
{
	struct ruleset_expr e = named(RULESET_MATCH_NAME, interface);

	e.fields[0] = RULESET_OIFNAME;
	return e;
}

static struct ruleset_expr in_set(const char *set, enum ruleset_field a, enum ruleset_field b,
				  enum ruleset_field c)
{
	struct ruleset_expr e = named(RULESET_MATCH_SET, set);

	e.fields[0] = a;
	e.fields[1] = b;
	e.fields[2] = c;
	return e;
}

static struct ruleset_expr not_in(const char *set, enum ruleset_field f)
{
	struct ruleset_expr e = in_set(set, f, 0, 0);

	e.invert = true;
	return e;
}

static struct ruleset_expr vmap(const char *map, enum ruleset_field f)
{
	struct ruleset_expr e = named(RULESET_LOOKUP_VERDICT, map);

	e.fields[0] = f;
	return e;
}

static struct ruleset_expr dnat(const char *map, enum ruleset_field a, enum ruleset_field b,
				enum ruleset_field c)
{
	struct ruleset_expr e = named(RULESET_DNAT, map);

	e.fields[0] = a;
	e.fields[1] = b;
	e.fields[2] = c;
	return e;
}

static struct ruleset_expr verdict(enum ruleset_verdict v)
{
	return (struct ruleset_expr){ .kind = RULESET_VERDICT, .verdict = v };
}

static struct ruleset_expr go_to(const char *chain)
{
	struct ruleset_expr e = named(RULESET_VERDICT, chain);

	e.verdict = RULESET_GOTO;
	return e;
}

static struct ruleset_expr masquerade(void)
{
	return (struct ruleset_expr){ .kind = RULESET_MASQUERADE };
}

static struct ruleset_expr snat(const struct in6_addr *to)
{
	return (struct ruleset_expr){ .kind = RULESET_SNAT, .prefix = { *to, 128 } };
}

/* ------------------------------------------------------------ objects */

/*
 * The builder fills one table; the first memory shortage is remembered, and everything after it
 * is skipped, so that the layout below reads as the ruleset does.
 */
struct builder {
	struct ruleset_table *table;
	struct ruleset_chain *chain; /* that rules are added to */
	int error;
};

static struct ruleset_set *set(struct builder *b, const char *name, enum ruleset_set_kind kind,
			       enum ruleset_field f0, enum ruleset_field f1, enum ruleset_field f2)
{
	static struct ruleset_set nowhere;
	struct ruleset_set *s = b->error ? NULL : vec_add(&b->table->sets);

	if (!s) {
		b->error = -ENOMEM;
		return &nowhere;
	}
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->kind = kind;
	s->key[0] = f0;
	s->key[1] = f1;
	s->key[2] = f2;
	return s;
}

static void publish_map(struct builder *b, const char *name, enum ruleset_field f0,
			enum ruleset_field f1, enum ruleset_field f2)
{
	struct ruleset_set *s = set(b, name, RULESET_MAP, f0, f1, f2);

	s->data[0] = RULESET_DADDR;
	s->data[1] = RULESET_DPORT;
	s->counter = true;
}

static void chain(struct builder *b, const char *name)
{
	b->chain = b->error ? NULL : vec_add(&b->table->chains);
	if (!b->chain) {
		b->error = -ENOMEM;
		return;
	}
	snprintf(b->chain->name, sizeof(b->chain->name), "%s", name);
}

static void base_chain(struct builder *b, const char *name, bool nat, enum ruleset_hook hook,
		       int priority)
{
	chain(b, name);
	if (b->error)
		return;
	b->chain->base = true;
	b->chain->nat = nat;
	b->chain->hook = hook;
	b->chain->priority = priority;
}

static void add_rule(struct builder *b, const struct ruleset_expr *exprs, size_t n)
{
	struct ruleset_rule *r = b->error ? NULL : vec_add(&b->chain->rules);

	if (!r) {
		b->error = -ENOMEM;
		return;
	}
	memcpy(r->exprs, exprs, n * sizeof(*exprs));
}

#define rule(b, ...)                                                                       \
	do {                                                                               \
		const struct ruleset_expr exprs_[] = { __VA_ARGS__ };                      \
		static_assert(sizeof(exprs_) <= sizeof(((struct ruleset_rule *)0)->exprs), \
			      "too many expressions");                                     \
		add_rule(b, exprs_, sizeof(exprs_) / sizeof(exprs_[0]));                   \
	} while (0)

/* ------------------------------------------------------------- layout */

static void layout_sets(struct builder *b)
{
	set(b, SET_HOST_ADDRESS, RULESET_VERDICT_MAP, RULESET_DADDR, 0, 0);
	publish_map(b, SET_PUBLISH_ADDRESS, RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT);
	publish_map(b, SET_PUBLISH_ANY, RULESET_L4PROTO, RULESET_DPORT, 0);
	set(b, SET_INSIDE, RULESET_SET, RULESET_SADDR32, 0, 0)->size = LAYOUT_INSIDE_MAX;
	set(b, SET_SELF, RULESET_SET, RULESET_SADDR, RULESET_L4PROTO, RULESET_DPORT);
	set(b, SET_SOURCE, RULESET_VERDICT_MAP, RULESET_SADDR, 0, 0)->interval = true;
	set(b, SET_OWN, RULESET_SET, RULESET_SADDR, 0, 0);
	set(b, SET_TO, RULESET_VERDICT_MAP, RULESET_OIFNAME, 0, 0);
	set(b, SET_INTERNAL, RULESET_SET, RULESET_IIFNAME, 0, 0);
	set(b, SET_BRIDGES, RULESET_SET, RULESET_IIFNAME, 0, 0);
	set(b, SET_OVERLAPPING, RULESET_SET, RULESET_OIFNAME, 0, 0);
	set(b, SET_ALLOWED, RULESET_SET, RULESET_IIFNAME, RULESET_OIFNAME, 0);
	set(b, SET_OPEN, RULESET_SET, RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT);
	set(b, SET_LIVE, RULESET_SET, RULESET_DADDR, 0, 0);
}

/*
 * To this host: translate. The addresses known to be local are one hash lookup away. The fib
 * answers for all others, so that an address that came a moment ago, or while nobody kept the
 * map, publishes as well.
 */
static void layout_destination(struct builder *b, const char *name, enum ruleset_hook hook)
{
	base_chain(b, name, true, hook, PRIORITY_DNAT);
	rule(b, vmap(SET_HOST_ADDRESS, RULESET_DADDR));
	rule(b, is_local(RULESET_DADDR), go_to("publish_to_unknown"));
}

/*
 * What is not translated reaches docker-proxy. Link-local clients stay with it, as their packets
 * cannot be forwarded. Internal networks are not to reach it, as what it does for them is leaving:
 * theirs is translated without exception, and dropped by the forward chain.
 */
static void layout_link_local(struct builder *b, enum ruleset_field f)
{
	rule(b, in_prefix(f, link_local), not_in(SET_INTERNAL, RULESET_IIFNAME),
	     verdict(RULESET_RETURN));
}

static void layout_publish_guards(struct builder *b)
{
	layout_link_local(b, RULESET_SADDR);
	rule(b, in_set(SET_INSIDE, RULESET_SADDR32, 0, 0),
	     in_set(SET_SELF, RULESET_SADDR, RULESET_L4PROTO, RULESET_DPORT),
	     verdict(RULESET_RETURN));
}

static void layout_publish(struct builder *b)
{
	chain(b, "publish_to_unknown");
	rule(b, in_prefix(RULESET_DADDR, loopback), verdict(RULESET_RETURN));
	layout_link_local(b, RULESET_DADDR);
	rule(b, go_to(CHAIN_PUBLISH_ADDRESS));

	chain(b, CHAIN_PUBLISH_ADDRESS);
	layout_publish_guards(b);
	rule(b, dnat(SET_PUBLISH_ADDRESS, RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT));
	rule(b, dnat(SET_PUBLISH_ANY, RULESET_L4PROTO, RULESET_DPORT, 0));

	chain(b, CHAIN_PUBLISH_ANY);
	layout_publish_guards(b);
	rule(b, dnat(SET_PUBLISH_ANY, RULESET_L4PROTO, RULESET_DPORT, 0));
}

/*
 * Isolation is decided where a packet enters a network: whatever comes from another network or
 * from outside is treated alike. What leaves an internal network is dropped before anything that
 * others have opened is looked at. Translated traffic passes then, so it passes ICC off too.
 */
static void layout_forward(struct builder *b)
{
	base_chain(b, "forward", false, RULESET_HOOK_FORWARD, PRIORITY_FILTER);
	rule(b, ct_state(CT_ESTABLISHED | CT_RELATED), verdict(RULESET_ACCEPT));
	rule(b, in_set(SET_INTERNAL, RULESET_IIFNAME, 0, 0), go_to(CHAIN_INTERNAL));
	rule(b, ct_status(IPS_DST_NAT), verdict(RULESET_ACCEPT));
	rule(b, in_set(SET_OVERLAPPING, RULESET_OIFNAME, 0, 0), not_in(SET_LIVE, RULESET_DADDR),
	     verdict(RULESET_ACCEPT));
	rule(b, vmap(SET_TO, RULESET_OIFNAME));

	for (int open = 0; open < 2; open++) {
		chain(b, open ? CHAIN_TO_OPEN : CHAIN_TO_CLOSED);
		rule(b, in_set(SET_ALLOWED, RULESET_IIFNAME, RULESET_OIFNAME, 0),
		     verdict(RULESET_ACCEPT));
		rule(b, in_set(SET_OPEN, RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT),
		     verdict(RULESET_ACCEPT));
		/* Other networks reach published ports, and nothing else. */
		rule(b, in_set(SET_BRIDGES, RULESET_IIFNAME, 0, 0), verdict(RULESET_DROP));
		if (open) {
			/* A scan must not make the kernel look for each address on the bridge. */
			rule(b, not_in(SET_LIVE, RULESET_DADDR), verdict(RULESET_DROP));
			continue;
		}
		rule(b, echo_request(), in_set(SET_LIVE, RULESET_DADDR, 0, 0),
		     verdict(RULESET_ACCEPT));
		rule(b, verdict(RULESET_DROP));
	}

	chain(b, CHAIN_INTERNAL);
	rule(b, in_set(SET_ALLOWED, RULESET_IIFNAME, RULESET_OIFNAME, 0), verdict(RULESET_ACCEPT));
	rule(b, verdict(RULESET_DROP));
}

int layout_ip6(struct ruleset_table *t)
{
	struct builder b = { .table = t };

	t->present = true;
	layout_sets(&b);
	layout_destination(&b, "prerouting", RULESET_HOOK_PREROUTING);
	layout_destination(&b, "output", RULESET_HOOK_OUTPUT);
	layout_publish(&b);
	layout_forward(&b);

	/*
	 * Keyed by source address: iifname never matches in postrouting below kernel 5.7. Looking at
	 * its first bits spares what comes from outside the costlier lookup of intervals.
	 */
	base_chain(&b, "postrouting", true, RULESET_HOOK_POSTROUTING, PRIORITY_SNAT);
	rule(&b, in_set(SET_INSIDE, RULESET_SADDR32, 0, 0), vmap(SET_SOURCE, RULESET_SADDR));
	return b.error;
}

/*
 * docker-ipv6nat's rules drop what goes from one bridge to another, translated or not: its published
 * ports are reached from other networks through docker-proxy. Ahead of all rules, so that the chain
 * is as it is without it, and costs nothing where there is no such bridge.
 */
int layout_beside(struct ruleset_table *t)
{
	struct builder b = { .table = t };
	struct ruleset_rule *rules, last;

	set(&b, SET_BESIDE, RULESET_SET, RULESET_IIFNAME, 0, 0);
	b.chain = ruleset_find_chain(t, "prerouting");
	rule(&b, in_set(SET_BESIDE, RULESET_IIFNAME, 0, 0), verdict(RULESET_RETURN));
	if (b.error)
		return b.error;
	rules = b.chain->rules.items;
	last = rules[b.chain->rules.n - 1];
	memmove(rules + 1, rules, (b.chain->rules.n - 1) * sizeof(*rules));
	rules[0] = last;
	return 0;
}

int layout_tracking(struct ruleset_table *t)
{
	struct builder b = { .table = t };

	t->present = true;
	base_chain(&b, "tracking", false, RULESET_HOOK_PREROUTING, PRIORITY_FILTER);
	rule(&b, ct_state(CT_ESTABLISHED));
	return b.error;
}

int layout_solicitations(struct ruleset_table *t)
{
	struct builder b = { .table = t };

	/* Before conntrack and everything else; a packet socket has seen the packet already. */
	set(&b, SET_ANSWERED, RULESET_SET, RULESET_IIFNAME, RULESET_DADDR, 0);
	base_chain(&b, "solicitations", false, RULESET_HOOK_PREROUTING, PRIORITY_RAW);
	rule(&b, solicitation(), in_set(SET_ANSWERED, RULESET_IIFNAME, RULESET_DADDR, 0),
	     verdict(RULESET_DROP));
	return b.error;
}

int layout_source_chain(struct ruleset_table *t, const struct layout_source *s)
{
	struct builder b = { .table = t };

	chain(&b, s->chain);
	/* This host's own connections, from the bridge's address, are nobody's to translate. */
	rule(&b, in_set(SET_OWN, RULESET_SADDR, 0, 0), verdict(RULESET_RETURN));
	/* To a published port of the own network: the answer has to come back this way. */
	rule(&b, ct_status(IPS_DST_NAT), out_on(s->bridge), masquerade());
	if (s->masquerade) {
		rule(&b, in_set(SET_BRIDGES, RULESET_OIFNAME, 0, 0), verdict(RULESET_RETURN));
		if (inet_is_zero(&s->snat))
			rule(&b, masquerade());
		else
			rule(&b, snat(&s->snat));
	}
	return b.error;
}

/*
 * ICC off for bridged frames, with br_netfilter or without it: a container may send to the bridge
 * itself, and what it sends to a group reaches no other container. Judged by Ethernet addresses as
 * the frame comes in, as br_netfilter changes them afterwards to bridge what it has translated; and
 * not by connection tracking, which in this family needs a module that tracks all bridges of the host.
 * Both ends in the set means the same bridge, as frames are forwarded within one bridge only.
 */
int layout_bridge(struct ruleset_table *t)
{
	const struct ruleset_expr ip6 = { .kind = RULESET_MATCH_ETHER_IP6 };
	const struct ruleset_expr multicast = { .kind = RULESET_MATCH_MULTICAST };
	struct ruleset_expr unicast = multicast;
	struct builder b = { .table = t };

	unicast.invert = true;
	t->present = true;
	set(&b, SET_ISOLATED, RULESET_SET, RULESET_IIFNAME, 0, 0);
	set(&b, SET_GATEWAYS, RULESET_SET, RULESET_ETHER_DADDR, 0, 0);
	base_chain(&b, "prerouting", false, RULESET_HOOK_PREROUTING, PRIORITY_BRIDGE_FILTER);
	rule(&b, in_set(SET_ISOLATED, RULESET_IIFNAME, 0, 0), ip6, unicast,
	     not_in(SET_GATEWAYS, RULESET_ETHER_DADDR), verdict(RULESET_DROP));
	base_chain(&b, "forward", false, RULESET_HOOK_FORWARD, PRIORITY_BRIDGE_FILTER);
	rule(&b, in_set(SET_ISOLATED, RULESET_IIFNAME, 0, 0),
	     in_set(SET_ISOLATED, RULESET_OIFNAME, 0, 0), ip6, multicast, verdict(RULESET_DROP));
	return b.error;
}

struct ruleset_element *layout_element(struct ruleset_table *t, const char *name)
{
	vec_foreach (s, &t->sets)
		if (strcmp(s->name, name) == 0)
			return vec_add(&s->elements);
	return NULL;
}
