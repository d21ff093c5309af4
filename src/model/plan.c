/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/plan.h"

#include "answers.h"
#include "decide.h"
#include "layout.h"
#include "leftovers.h"
#include "publish.h"
#include "sysctl.h"

#include <arpa/inet.h>
#include <stdio.h>

struct context {
	const struct config *config;
	const struct snapshot *snapshot;
	const struct links *links;
	struct plan *plan;
	struct nets nets;
	struct presences presences;
	struct mappings mappings;
};

static struct ruleset_table *ip6(struct context *c)
{
	return &c->plan->ruleset.tables[RULESET_IP6];
}

/* ------------------------------------------------------------- elements */

static int put_name(struct ruleset_table *t, const char *set, const char *name)
{
	struct ruleset_element *e = layout_element(t, set);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_name(e->key, &offset, name);
	return 0;
}

static int put_name_chain(struct ruleset_table *t, const char *set, const char *name,
			  const char *chain)
{
	struct ruleset_element *e = layout_element(t, set);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_name(e->key, &offset, name);
	e->verdict = RULESET_GOTO;
	snprintf(e->chain, sizeof(e->chain), "%s", chain);
	return 0;
}

static int put_prefix_chain(struct ruleset_table *t, const char *set, const struct inet_prefix *p,
			    const char *chain)
{
	struct ruleset_element *e = layout_element(t, set);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_address(e->key, &offset, &p->address);
	e->prefix_length = p->length;
	e->verdict = RULESET_GOTO;
	snprintf(e->chain, sizeof(e->chain), "%s", chain);
	return 0;
}

static int put_address_chain(struct ruleset_table *t, const char *set, const struct in6_addr *a,
			     const char *chain)
{
	return put_prefix_chain(t, set, &(struct inet_prefix){ *a, 0 }, chain);
}

static int put_address(struct ruleset_table *t, const char *set, const struct in6_addr *a)
{
	struct ruleset_element *e = layout_element(t, set);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_address(e->key, &offset, a);
	return 0;
}

static int put_allowed(struct ruleset_table *t, const char *in, const char *out)
{
	struct ruleset_element *e = layout_element(t, SET_ALLOWED);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_name(e->key, &offset, in);
	ruleset_put_name(e->key, &offset, out);
	return 0;
}

const char *plan_port_element(const struct status_port *p, uint8_t key[static RULESET_KEY])
{
	bool any = inet_is_zero(&p->host_address);
	size_t offset = 0;

	memset(key, 0, RULESET_KEY);
	if (!any)
		ruleset_put_address(key, &offset, &p->host_address);
	ruleset_put_protocol(key, &offset, p->protocol);
	ruleset_put_port(key, &offset, p->host_port);
	return any ? SET_PUBLISH_ANY : SET_PUBLISH_ADDRESS;
}

/* Do bridged frames visit ip6 forward, too? */
static bool has_br_netfilter(const struct context *c, const struct link *bridge)
{
	return c->links->bridge_nf_call_ip6tables == 1 || (bridge && bridge->nf_call_ip6tables);
}

/*
 * With br_netfilter a translated frame is bridged back without leaving the bridge, and a bridge
 * never sends a frame out of the port it came from, unless the port is in hairpin mode (as Docker
 * sets it without docker-proxy). Where it is not, docker-proxy is there and does the work for
 * containers that ask for ports of their own.
 */
static bool needs_proxy(const struct context *c, const struct net *n)
{
	if (!n->link || !has_br_netfilter(c, n->link))
		return false;
	vec_foreach (port, &c->links->links)
		if (port->master == n->link->ifindex && port->hairpin)
			return false;
	return true;
}

static int put_self(struct context *c, const struct mapping *m)
{
	struct ruleset_element *e = layout_element(ip6(c), SET_SELF);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_address(e->key, &offset, &m->address);
	ruleset_put_protocol(e->key, &offset, m->port.protocol);
	ruleset_put_port(e->key, &offset, m->port.host_port);
	return 0;
}

static int put_mapping(struct context *c, const struct mapping *m)
{
	uint8_t key[RULESET_KEY];
	struct ruleset_element *e;
	size_t offset = 0;

	e = layout_element(ip6(c), plan_port_element(&m->port, key));
	if (!e)
		return -ENOMEM;
	memcpy(e->key, key, sizeof(e->key));
	ruleset_put_address(e->data, &offset, &m->address);
	ruleset_put_port(e->data, &offset, m->port.container_port);

	return m->net->needs_proxy ? put_self(c, m) : 0;
}

/* In modes without translation the container's own port is what is published. */
static int put_open(struct context *c, const struct mapping *m)
{
	struct ruleset_element *e = layout_element(ip6(c), SET_OPEN);
	size_t offset = 0;

	if (!e)
		return -ENOMEM;
	ruleset_put_address(e->key, &offset, &m->address);
	ruleset_put_protocol(e->key, &offset, m->port.protocol);
	ruleset_put_port(e->key, &offset, m->port.container_port);
	return 0;
}

/* ------------------------------------------------------------- networks */

/* An nft script cannot quote chain names, and interface names may hold almost anything. */
static const char *source_chain(const struct net *n, char buffer[static RULESET_NAME])
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	bool plain = n->bridge[strspn(n->bridge, safe)] == '\0';

	snprintf(buffer, RULESET_NAME, "from_%.16s", plain ? n->bridge : n->facts->id);
	return buffer;
}

/* A subnet wider than /32 covers several values of its first 32 bits. */
static int plan_inside(struct context *c, const struct inet_prefix *subnet)
{
	unsigned n = subnet->length < 32 ? 1U << (32 - subnet->length) : 1;
	uint32_t first;

	memcpy(&first, &subnet->address, sizeof(first));
	for (unsigned i = 0; i < n; i++) {
		struct ruleset_element *e = layout_element(ip6(c), SET_INSIDE);
		uint32_t bits = htonl(ntohl(first) + i);

		if (!e)
			return -ENOMEM;
		memcpy(e->key, &bits, sizeof(bits));
	}
	return 0;
}

/* A source address leads to one network only: intervals of a map do not overlap. */
static const struct net *overlapped(const struct context *c, const struct net *n,
				    const struct inet_prefix *subnet)
{
	for (const struct net *other = c->nets.items; other < n; other++)
		if (net_is_ours(other) && other->mode != NET_MODE_INTERNAL)
			vec_foreach (s, &other->facts->subnets)
				if (inet_prefix_overlaps(&s->prefix, subnet))
					return other;
	return NULL;
}

static int plan_source_subnet(struct context *c, const struct net *n,
			      const struct inet_prefix *subnet, const char *chain)
{
	const struct net *other = overlapped(c, n, subnet);
	char text[INET_PREFIX_TEXT];

	if (!other)
		return put_prefix_chain(ip6(c), SET_SOURCE, subnet, chain);
	return problems_add(
		&c->plan->problems, PROBLEM_SUBNET_OVERLAP, PROBLEM_WARNING,
		"give one of the networks another subnet",
		"network %s: %s overlaps a subnet of network %s, whose rules for outgoing "
		"traffic apply",
		n->facts->name, inet_prefix_format(subnet, text), other->facts->name);
}

static int plan_source(struct context *c, const struct net *n)
{
	char chain[RULESET_NAME];
	struct layout_source s = {
		.chain = source_chain(n, chain),
		.bridge = n->bridge,
		.masquerade = n->masquerade,
		.snat = n->snat,
	};
	int r;

	if (n->mode == NET_MODE_INTERNAL)
		return 0;
	r = layout_source_chain(ip6(c), &s);
	for (size_t i = 0; i < n->facts->subnets.n && r == 0; i++)
		r = plan_source_subnet(c, n, &n->facts->subnets.items[i].prefix, chain);
	return r;
}

static int plan_isolated_ports(struct context *c, const struct net *n)
{
	struct ruleset_table *t = &c->plan->ruleset.tables[RULESET_BRIDGE];
	struct ruleset_element *e;
	size_t offset = 0;
	int r = 0;

	if (!t->present)
		r = layout_bridge(t);
	/* Without the bridge's own address its containers would reach nobody at all. */
	if (r < 0 || !n->link || !n->link->has_mac)
		return r;
	e = layout_element(t, SET_GATEWAYS);
	if (!e)
		return -ENOMEM;
	ruleset_put_mac(e->key, &offset, n->link->mac);
	vec_foreach (port, &c->links->links)
		if (r == 0 && port->master == n->link->ifindex)
			r = put_name(t, SET_ISOLATED, port->name);
	return r;
}

static const char *entry_chain(const struct net *n)
{
	if (n->mode == NET_MODE_INTERNAL)
		return CHAIN_INTERNAL;
	return n->open ? CHAIN_TO_OPEN : CHAIN_TO_CLOSED;
}

static int plan_beside(struct context *c, const struct net *n)
{
	int r = 0;

	if (!net_publishes(n) || !leftovers_isolate(c->links, n->bridge))
		return 0;
	if (!ruleset_find_set(ip6(c), SET_BESIDE))
		r = layout_beside(ip6(c));
	return r ? r : put_name(ip6(c), SET_BESIDE, n->bridge);
}

static int plan_network(struct context *c, const struct net *n)
{
	int r;

	r = put_name_chain(ip6(c), SET_TO, n->bridge, entry_chain(n));
	if (r == 0)
		r = put_name(ip6(c), SET_BRIDGES, n->bridge);
	if (r == 0 && n->mode == NET_MODE_INTERNAL)
		r = put_name(ip6(c), SET_INTERNAL, n->bridge);
	if (r == 0 && n->overlaps)
		r = put_name(ip6(c), SET_OVERLAPPING, n->bridge);
	for (size_t i = 0; i < n->facts->subnets.n && r == 0; i++)
		r = plan_inside(c, &n->facts->subnets.items[i].prefix);
	if (r == 0 && n->icc)
		r = put_allowed(ip6(c), n->bridge, n->bridge);
	for (size_t i = 0; i < n->trusted.n && r == 0 && n->mode != NET_MODE_INTERNAL; i++)
		r = put_allowed(ip6(c), n->trusted.items[i].text, n->bridge);
	if (r == 0 && !n->icc)
		r = plan_isolated_ports(c, n);
	if (r == 0)
		r = plan_beside(c, n);
	return r ? r : plan_source(c, n);
}

/*
 * The responder has answered a unicast solicitation by the time the kernel would forward it, and
 * complain to the asker that its link-local source goes no further (RFC 4443 3.1, code 2). Not so
 * on a bridge with br_netfilter, where prerouting comes before the bridge hands the frame to anyone:
 * dropped there, it would never be answered. The complaint does less harm.
 */
static int plan_solicitations(struct context *c)
{
	int r = 0;

	vec_foreach (i, &c->plan->ndp.interfaces) {
		const struct link *l = links_find(c->links, i->ifindex);

		if (!l || (l->is_bridge && has_br_netfilter(c, l)))
			continue;
		vec_foreach (t, &i->targets) {
			struct ruleset_element *e;
			size_t offset = 0;

			if (r == 0 && !ruleset_find_set(ip6(c), SET_ANSWERED))
				r = layout_solicitations(ip6(c));
			e = r == 0 ? layout_element(ip6(c), SET_ANSWERED) : NULL;
			if (!e)
				return -ENOMEM;
			ruleset_put_name(e->key, &offset, i->name);
			ruleset_put_address(e->key, &offset, &t->address);
		}
	}
	return r;
}

/* ------------------------------------------------------- host addresses */

static bool has_address_binding(const struct context *c, const struct in6_addr *a)
{
	vec_foreach (m, &c->mappings)
		if (m->port.host_port != 0 && inet_equal(&m->port.host_address, a))
			return true;
	return false;
}

static bool is_inside(const struct context *c, const struct in6_addr *a)
{
	vec_foreach (n, &c->nets)
		vec_foreach (subnet, &n->facts->subnets)
			if (inet_prefix_contains(&subnet->prefix, a))
				return true;
	return false;
}

static int plan_host_addresses(struct context *c)
{
	vec_foreach (l, &c->links->links)
		vec_foreach (a, &l->addresses) {
			int r;

			/* These two are never translated, see publish_to_unknown. */
			if (inet_is_loopback(&a->address) || inet_is_link_local(&a->address))
				continue;
			r = put_address_chain(ip6(c), SET_HOST_ADDRESS, &a->address,
					      has_address_binding(c, &a->address)
						      ? CHAIN_PUBLISH_ADDRESS
						      : CHAIN_PUBLISH_ANY);
			if (r == 0 && is_inside(c, &a->address))
				r = put_address(ip6(c), SET_OWN, &a->address);
			if (r < 0)
				return r;
		}
	return 0;
}

/* ---------------------------------------------------------------- status */

static struct status_network *add_status_network(struct plan *plan, const struct net *n)
{
	struct status_network *s = vec_add(&plan->networks);

	if (!s)
		return NULL;
	s->id = strdup(n->facts->id);
	s->name = strdup(n->facts->name);
	s->reason = strdup(n->reason);
	if (!s->id || !s->name || !s->reason)
		return NULL;
	snprintf(s->bridge, sizeof(s->bridge), "%s", n->bridge);
	snprintf(s->uplink, sizeof(s->uplink), "%s", n->uplink);
	s->mode = n->mode;
	s->snat = n->snat;
	vec_foreach (subnet, &n->facts->subnets) {
		struct inet_prefix *p = vec_add(&s->subnets);

		if (!p)
			return NULL;
		*p = subnet->prefix;
	}
	return s;
}

static int add_status_container(struct context *c, struct status_network *network,
				const struct presence *p)
{
	struct status_container *s = vec_add(&network->containers);
	const struct link *uplink;

	if (!s)
		return -ENOMEM;
	s->id = strdup(p->container->id);
	s->name = strdup(p->container->name);
	s->address = p->address;
	if (!s->id || !s->name)
		return -ENOMEM;
	uplink = answers_on(c->config, c->links, p);
	if (uplink)
		snprintf(s->answered, sizeof(s->answered), "%s", uplink->name);
	for (size_t i = 0; i < p->n_mappings; i++) {
		struct status_port *port = vec_add(&s->ports);

		if (!port)
			return -ENOMEM;
		*port = c->mappings.items[p->first + i].port;
	}
	return 0;
}

static int plan_status(struct context *c)
{
	vec_foreach (n, &c->nets) {
		struct status_network *network = add_status_network(c->plan, n);

		if (!network)
			return -ENOMEM;
		vec_foreach (p, &c->presences)
			if (p->net == n && add_status_container(c, network, p) < 0)
				return -ENOMEM;
	}
	return 0;
}

static int add_uplink(struct plan *plan, const struct link *l)
{
	struct status_uplink *u = vec_add(&plan->uplinks);

	if (!u)
		return -ENOMEM;
	snprintf(u->interface, sizeof(u->interface), "%s", l->name);
	u->up = l->up;
	u->has_mac = l->has_mac;
	memcpy(u->mac, l->mac, sizeof(u->mac));
	vec_foreach (p, &l->on_link) {
		struct inet_prefix *prefix = vec_add(&u->prefixes);

		if (!prefix)
			return -ENOMEM;
		*prefix = *p;
	}
	vec_foreach (a, &l->addresses) {
		struct in6_addr *address;

		if (inet_is_link_local(&a->address))
			continue;
		address = vec_add(&u->addresses);
		if (!address)
			return -ENOMEM;
		*address = a->address;
	}
	return 0;
}

static int plan_uplinks(struct context *c)
{
	int r = 0;

	vec_foreach (l, &c->links->links)
		if (r == 0 && link_is_uplink(c->config, l))
			r = add_uplink(c->plan, l);
	vec_foreach (u, &c->config->uplinks)
		if (r == 0 && !links_find_name(c->links, u->text))
			r = problems_add(&c->plan->problems, PROBLEM_UPLINK_MISSING,
					 PROBLEM_WARNING,
					 "correct [Uplink] Interface=, or bring the interface up",
					 "interface %s does not exist", u->text);
	if (r == 0 && c->config->uplinks.n == 0 && c->plan->uplinks.n == 0)
		r = problems_add(&c->plan->problems, PROBLEM_UPLINK_MISSING, PROBLEM_NOTICE,
				 "connect the host to an IPv6 network",
				 "this host has no IPv6 default route");
	return r;
}

/* One notice for a container, however many ports its image exposes. */
static int report_closed_ports(struct context *c, const struct presence *p)
{
	const struct port_binding *first = NULL;
	char more[48] = "";
	size_t n = 0;

	vec_foreach (b, &p->container->ports)
		if (b->host_ip_kind == HOST_IP_UNPUBLISHED && n++ == 0)
			first = b;
	if (!first)
		return 0;
	if (n > 1)
		snprintf(more, sizeof(more), " (and %zu more)", n - 1);
	return problems_add(
		&c->plan->problems, PROBLEM_UNPUBLISHED_CLOSED, PROBLEM_NOTICE,
		"publish the port (-p), or label the network ipv6nat.firewall=open",
		"container %s on network %s: port %u/%s%s is exposed but not published, "
		"and closed from outside",
		p->container->name, p->net->facts->name, first->container_port,
		inet_protocol_name(first->protocol), more);
}

/* Says before anybody has to find out: what could be reached directly is closed now. */
static int report_closed(struct context *c)
{
	int r = 0;

	vec_foreach (p, &c->presences)
		if (r == 0 && !p->net->open &&
		    (p->net->mode == NET_MODE_PROXY || p->net->mode == NET_MODE_ROUTED))
			r = report_closed_ports(c, p);
	return r;
}

/* ----------------------------------------------------------------- entry */

static int plan_firewall(struct context *c)
{
	int r = layout_ip6(ip6(c));

	for (size_t i = 0; i < c->nets.n && r == 0; i++) {
		struct net *n = &c->nets.items[i];

		n->needs_proxy = needs_proxy(c, n);
		if (net_is_ours(n))
			r = plan_network(c, n);
	}
	for (size_t i = 0; i < c->mappings.n && r == 0; i++) {
		const struct mapping *m = &c->mappings.items[i];

		if (status_port_translated(&m->port))
			r = put_mapping(c, m);
		if (r == 0 && m->net->mode != NET_MODE_NAT && m->port.state != PORT_PROXIED)
			r = put_open(c, m);
	}
	for (size_t i = 0; i < c->presences.n && r == 0; i++) {
		const struct presence *p = &c->presences.items[i];

		if (net_publishes(p->net) && (p->net->mode != NET_MODE_NAT || p->net->open))
			r = put_address(ip6(c), SET_LIVE, &p->address);
	}
	if (r == 0)
		r = plan_solicitations(c);
	return r ? r : plan_host_addresses(c);
}

static int build(struct context *c)
{
	int r;

	r = nets_decide(c->config, c->snapshot, c->links, &c->plan->problems, &c->nets);
	if (r == 0)
		r = publish_collect(c->snapshot, &c->nets, &c->plan->problems, &c->presences,
				    &c->mappings);
	if (r == 0)
		r = answers_plan(c->config, c->links, &c->presences, c->plan);
	if (r == 0)
		r = plan_firewall(c);
	if (r == 0)
		r = plan_status(c);
	if (r == 0)
		r = plan_uplinks(c);
	if (r == 0)
		r = report_closed(c);
	if (r == 0)
		r = sysctl_plan(c->config, &c->nets, c->links, c->plan);
	if (r == 0)
		r = leftovers_report(c->snapshot, c->links, &c->plan->problems);
	if (r == 0)
		ruleset_finish(&c->plan->ruleset);
	return r;
}

int plan_build(const struct config *config, const struct snapshot *snapshot,
	       const struct links *links, struct plan *ret)
{
	struct plan plan = {};
	struct context c = { config, snapshot, links, &plan, {}, {}, {} };
	int r = build(&c);

	nets_done(&c.nets);
	vec_done(&c.presences);
	vec_done(&c.mappings);
	if (r < 0) {
		plan_done(&plan);
		return r;
	}
	*ret = plan;
	return 0;
}

void plan_done(struct plan *plan)
{
	ruleset_done(&plan->ruleset);
	ndp_plan_done(&plan->ndp);
	status_networks_done(&plan->networks);
	status_uplinks_done(&plan->uplinks);
	problems_done(&plan->problems);
	vec_done(&plan->sysctls);
	*plan = (struct plan){};
}

int plan_tracking(const struct ruleset *observed, struct ruleset *ret)
{
	struct ruleset tracking;
	int r;

	if (observed->tables[RULESET_IP6].present)
		return 0;
	r = ruleset_copy(observed, &tracking);
	if (r < 0)
		return r;
	r = layout_tracking(&tracking.tables[RULESET_IP6]);
	if (r < 0) {
		ruleset_done(&tracking);
		return r;
	}
	ruleset_finish(&tracking);
	*ret = tracking;
	return 1;
}
