/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "publish.h"

#define GWBRIDGE "docker_gwbridge"

struct context {
	const struct snapshot *snapshot;
	const struct nets *nets;
	struct problems *problems;
	struct presences *presences;
	struct mappings *mappings;
};

/* One of a container's networks, as the engine orders them to find the gateway. */
struct candidate {
	const struct network *network; /* NULL: not in the snapshot (yet) */
	const char *name;
	struct in6_addr address; /* zero: none (yet) */
	bool has_gateway4, has_gateway6;
	bool gwbridge, internal;
	int64_t priority;
};

struct candidates {
	VEC_FIELDS(struct candidate);
};

static bool is_live(const struct container *c)
{
	return c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED;
}

static const struct network_member *find_member(const struct network *n, const char *id)
{
	vec_foreach (m, &n->members)
		if (strcmp(m->container_id, id) == 0)
			return m;
	return NULL;
}

static const struct network *find_network(const struct snapshot *s, const struct endpoint *e)
{
	const struct network *n = snapshot_find_network(s, e->network_id);

	if (n)
		return n;
	/* A container that never ran names its networks without their IDs. */
	vec_foreach (other, &s->networks)
		if (strcmp(other->name, e->network_name) == 0 ||
		    strcmp(other->id, e->network_name) == 0)
			return other;
	/* "default" is what the API calls the network "bridge" in requests. */
	if (strcmp(e->network_name, "default") == 0)
		vec_foreach (other, &s->networks)
			if (strcmp(other->name, "bridge") == 0)
				return other;
	return NULL;
}

/*
 * The engine's own order, libnetwork's endpoint.Less(): priority (28 and later), docker_gwbridge
 * last, internal networks later, both gateways before one, then the network's name.
 */
static int compare_candidates(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;
	int gateways_a = a->has_gateway4 + a->has_gateway6;
	int gateways_b = b->has_gateway4 + b->has_gateway6;

	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->gwbridge != b->gwbridge)
		return a->gwbridge ? 1 : -1;
	if (a->internal != b->internal)
		return a->internal ? 1 : -1;
	if (gateways_a != gateways_b)
		return gateways_a > gateways_b ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int add_endpoint(struct context *ctx, const struct container *c, const struct endpoint *e,
			struct candidates *list)
{
	const struct network *n = find_network(ctx->snapshot, e);
	const struct network_member *m;
	struct candidate *candidate = vec_add(list);

	if (!candidate)
		return -ENOMEM;
	candidate->network = n;
	candidate->name = n ? n->name : e->network_name;
	candidate->priority = e->gateway_priority;
	candidate->internal = n && n->internal;
	if (is_live(c)) {
		candidate->address = e->address;
		candidate->has_gateway4 = e->has_gateway4;
		candidate->has_gateway6 = e->has_gateway6;
		return 0;
	}
	/* Starting: the gateways are not told yet, but what the network is tells enough. */
	candidate->has_gateway4 = !candidate->internal && !(n && n->ipv6_only);
	candidate->has_gateway6 = n && n->ipv6 && !n->internal;
	m = n ? find_member(n, c->id) : NULL;
	if (m)
		candidate->address = m->address;
	return 0;
}

/* docker_gwbridge is in no container's list of networks; only its own members show it. */
static int add_gwbridge(struct context *ctx, const struct container *c, struct candidates *list)
{
	vec_foreach (n, &ctx->snapshot->networks) {
		const struct network_member *m;
		struct candidate *candidate;

		if (strcmp(n->name, GWBRIDGE) != 0)
			continue;
		m = find_member(n, c->id);
		if (!m)
			continue;
		candidate = vec_add(list);
		if (!candidate)
			return -ENOMEM;
		*candidate = (struct candidate){
			.network = n,
			.name = n->name,
			.address = m->address,
			.has_gateway4 = true,
			.has_gateway6 = !inet_is_zero(&m->address),
			.gwbridge = true,
		};
	}
	return 0;
}

static int collect_candidates(struct context *ctx, const struct container *c,
			      struct candidates *list)
{
	int r = 0;

	for (size_t i = 0; i < c->endpoints.n && r == 0; i++)
		r = add_endpoint(ctx, c, &c->endpoints.items[i], list);
	if (r == 0)
		r = add_gwbridge(ctx, c, list);
	if (r == 0)
		vec_sort(list, compare_candidates);
	return r;
}

/*
 * Ports belong to the gateway endpoint. From 28 on the IPv6 one is the first that has an IPv6
 * gateway; before, there is one for both families, and it is the first with an IPv4 gateway.
 */
static const struct candidate *find_gateway(const struct snapshot *s, const struct candidates *list)
{
	bool separate = engine_at_least(&s->engine, 28, 0, 0);

	vec_foreach (candidate, list)
		if (separate ? candidate->has_gateway6 : candidate->has_gateway4)
			return candidate;
	return NULL;
}

static int add_presences(struct context *ctx, const struct container *c,
			 const struct candidates *list)
{
	vec_foreach (candidate, list) {
		const struct net *net;
		struct presence *p;

		net = candidate->network ? nets_find(ctx->nets, candidate->network->id) : NULL;
		if (!net || inet_is_zero(&candidate->address))
			continue;
		p = vec_add(ctx->presences);
		if (!p)
			return -ENOMEM;
		*p = (struct presence){ .net = net, .container = c, .address = candidate->address };
	}
	return 0;
}

/* The first binding of b's container port. */
static const struct port_binding *first_of_port(const struct port_bindings *v,
						const struct port_binding *b)
{
	size_t low = 0, high = v->n;
	struct port_binding port = { .protocol = b->protocol, .container_port = b->container_port };

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (port_binding_compare(&v->items[middle], &port) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return v->items + low;
}

/* Is there one for the same ports, of this kind? A requested host port of 0 may have become any. */
static bool is_in(const struct port_bindings *v, const struct port_binding *b,
		  enum host_ip_kind kind)
{
	if (v->n == 0)
		return false;
	for (const struct port_binding *q = first_of_port(v, b);
	     q < v->items + v->n && q->protocol == b->protocol &&
	     q->container_port == b->container_port;
	     q++)
		if (q->host_ip_kind == kind &&
		    (q->host_port == 0 || q->host_port == b->host_port) &&
		    (kind != HOST_IP_V6 || inet_equal(&q->host_ip, &b->host_ip)))
			return true;
	return false;
}

/*
 * Did the engine's default binding make it, rather than an explicit request of the same kind? As
 * long as the request is not known, "::" beside an IPv4 binding of the same ports tells as much.
 */
static bool is_default_binding(const struct container *c, const struct port_binding *b)
{
	if (!c->inspected)
		return b->host_ip_kind == HOST_IP_V6 && is_in(&c->ports, b, HOST_IP_V4);
	return is_in(&c->requested, b, HOST_IP_EMPTY) && !is_in(&c->requested, b, b->host_ip_kind);
}

/* > 0: *ret is the host address that the engine's listed binding means for IPv6. */
static bool confirmed_address(const struct context *ctx, const struct net *net,
			      const struct container *c, const struct port_binding *b,
			      struct in6_addr *ret)
{
	if (b->host_ip_kind == HOST_IP_V6) {
		*ret = b->host_ip;
		/* docker-ipv6nat's option, which the engine does not know, narrows the default. */
		if (inet_is_zero(ret) && is_default_binding(c, b))
			*ret = net->binding;
		return true;
	}
	/* Before 20.10.6 a binding without host address was listed as IPv4 only. */
	if (b->host_ip_kind == HOST_IP_V4 && net->default_binding_known &&
	    ctx->snapshot->engine.version && !engine_at_least(&ctx->snapshot->engine, 20, 10, 6) &&
	    is_default_binding(c, b)) {
		*ret = net->binding;
		return true;
	}
	return false;
}

static bool assumed_address(const struct net *net, const struct port_binding *b,
			    struct in6_addr *ret)
{
	if (!net->host_ports)
		return false;
	if (b->host_ip_kind == HOST_IP_V6)
		*ret = b->host_ip;
	else if (b->host_ip_kind == HOST_IP_EMPTY && net->default_binding_known)
		*ret = net->binding;
	else
		return false;
	return b->host_port != 0;
}

static bool stays_with_proxy(const struct net *net, const struct container *c,
			     const struct in6_addr *host)
{
	const char *publish = key_values_get(&c->labels, "ipv6nat.publish");

	/* The kernel cannot route replies to a translated ::1, and link-local is never forwarded. */
	return !net_publishes(net) || inet_is_loopback(host) || inet_is_link_local(host) ||
	       (publish && strcmp(publish, "no") == 0);
}

/* Bindings come sorted: what is the same for us stands among the last of its container port. */
static bool is_listed(const struct mappings *m, size_t first, const struct status_port *port)
{
	for (size_t i = m->n; i > first; i--) {
		const struct status_port *other = &m->items[i - 1].port;

		if (other->protocol != port->protocol ||
		    other->container_port != port->container_port)
			return false;
		if (other->host_port == port->host_port &&
		    inet_equal(&other->host_address, &port->host_address))
			return true;
	}
	return false;
}

static int add_mappings(struct context *ctx, const struct container *c, const struct net *net,
			const struct in6_addr *address)
{
	const struct port_bindings *bindings = is_live(c) ? &c->ports : &c->requested;
	size_t first = ctx->mappings->n;

	vec_foreach (b, bindings) {
		struct status_port port = {
			.protocol = b->protocol,
			.host_port = b->host_port,
			.container_port = b->container_port,
			.state = is_live(c) ? PORT_ACTIVE : PORT_ASSUMED,
		};
		struct mapping *m;

		if (is_live(c) ? !confirmed_address(ctx, net, c, b, &port.host_address)
			       : !assumed_address(net, b, &port.host_address))
			continue;
		if (stays_with_proxy(net, c, &port.host_address))
			port.state = PORT_PROXIED;
		if (is_listed(ctx->mappings, first, &port))
			continue;
		m = vec_add(ctx->mappings);
		if (!m)
			return -ENOMEM;
		*m = (struct mapping){ net, c, *address, port, is_live(c) };
	}
	return 0;
}

static int report_publish_label(struct context *ctx, const struct container *c)
{
	const char *publish = key_values_get(&c->labels, "ipv6nat.publish");

	if (!publish || strcmp(publish, "no") == 0 || strcmp(publish, "yes") == 0)
		return 0;
	return problems_add(ctx->problems, PROBLEM_LABEL_INVALID, PROBLEM_WARNING, "use yes or no",
			    "container %s: label ipv6nat.publish=%.64s is not valid and is ignored",
			    c->name, publish);
}

/* A "::" binding of a container without IPv6: docker-proxy hides the client's address. */
static int report_ipv4_only(struct context *ctx, const struct container *c)
{
	vec_foreach (b, &c->ports)
		if (is_live(c) && b->host_ip_kind == HOST_IP_V6 && b->host_port != 0 &&
		    !inet_is_loopback(&b->host_ip))
			return problems_add(
				ctx->problems, PROBLEM_IPV4_ONLY_PORT, PROBLEM_NOTICE,
				"connect the container to a network made with --ipv6",
				"container %s: port %u is reached over IPv6 only through docker-proxy, "
				"which hides the client's address: the container has no IPv6 address on "
				"the network that publishes its ports",
				c->name, b->host_port);
	return 0;
}

static int collect_container(struct context *ctx, const struct container *c)
{
	_cleanup_(freep) struct candidate *items = NULL;
	struct candidates list = {};
	const struct candidate *gateway;
	const struct net *net = NULL;
	size_t presence = ctx->presences->n, mapping = ctx->mappings->n;
	int r;

	if (c->network_mode != NETWORK_MODE_OWN)
		return 0;
	r = collect_candidates(ctx, c, &list);
	items = list.items;
	if (r == 0)
		r = add_presences(ctx, c, &list);
	if (r == 0)
		r = report_publish_label(ctx, c);
	if (r < 0)
		return r;

	gateway = find_gateway(ctx->snapshot, &list);
	if (gateway && gateway->network && !inet_is_zero(&gateway->address))
		net = nets_find(ctx->nets, gateway->network->id);
	if (!net)
		return report_ipv4_only(ctx, c);
	r = add_mappings(ctx, c, net, &gateway->address);
	for (; presence < ctx->presences->n; presence++)
		if (ctx->presences->items[presence].net == net) {
			ctx->presences->items[presence].first = mapping;
			ctx->presences->items[presence].n_mappings = ctx->mappings->n - mapping;
			break;
		}
	return r;
}

/* ------------------------------------------------------------- conflicts */

static int compare_host_side(const struct status_port *a, const struct status_port *b)
{
	int r = inet_compare(&a->host_address, &b->host_address);

	if (r == 0)
		r = (int)a->protocol - (int)b->protocol;
	return r ? r : (int)a->host_port - (int)b->host_port;
}

/* Host side first, then who goes first: confirmed, then the older start, then any fixed order. */
static int compare_claims(const void *pa, const void *pb)
{
	const struct mapping *a = *(struct mapping *const *)pa, *b = *(struct mapping *const *)pb;
	int r = compare_host_side(&a->port, &b->port);

	if (r)
		return r;
	if (a->confirmed != b->confirmed)
		return a->confirmed ? -1 : 1;
	if (a->container->started_us != b->container->started_us)
		return a->container->started_us < b->container->started_us ? -1 : 1;
	r = strcmp(a->container->id, b->container->id);
	return r ? r : (int)a->port.container_port - (int)b->port.container_port;
}

static int lose(struct context *ctx, struct mapping *loser, const struct mapping *winner)
{
	char address[INET_ADDR_TEXT];

	loser->port.state = PORT_CONFLICT;
	if (!loser->confirmed) /* its start has yet to succeed */
		return 0;
	return problems_add(ctx->problems, PROBLEM_PORT_CONFLICT, PROBLEM_WARNING,
			    "publish one of them on another port or host address",
			    "container %s: [%s]:%u/%s already leads to container %s",
			    loser->container->name, inet_format(&loser->port.host_address, address),
			    loser->port.host_port, inet_protocol_name(loser->port.protocol),
			    winner->container->name);
}

struct claims {
	VEC_FIELDS(struct mapping *);
};

/*
 * An exact address goes before "::", but not while it is only assumed: the engine may yet refuse it.
 * Claims on "::" come first in the order.
 */
static bool displaces_confirmed(const struct claims *claims, const struct mapping *m)
{
	struct status_port any = m->port;

	if (m->confirmed || inet_is_zero(&m->port.host_address))
		return false;
	any.host_address = in6addr_any;
	for (size_t low = 0, high = claims->n; low < high;) {
		size_t middle = low + (high - low) / 2;
		const struct mapping *other = claims->items[middle];
		int r = compare_host_side(&other->port, &any);

		/* Of several, the confirmed one comes first. */
		if (r == 0 && other->confirmed)
			return other->container != m->container;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static int decide_conflicts(struct context *ctx)
{
	struct claims claims = {};
	struct mapping *winner = NULL;
	int r = 0;

	vec_foreach (m, ctx->mappings) {
		struct mapping **claim;

		if (!status_port_translated(&m->port))
			continue;
		claim = vec_add(&claims);
		if (!claim) {
			vec_done(&claims);
			return -ENOMEM;
		}
		*claim = m;
	}
	vec_sort(&claims, compare_claims);
	vec_foreach (claim, &claims) {
		if (winner && compare_host_side(&winner->port, &(*claim)->port) == 0)
			r = lose(ctx, *claim, winner);
		else
			winner = *claim;
		if (r == 0 && displaces_confirmed(&claims, *claim))
			(*claim)->port.state = PORT_CONFLICT;
		if (r < 0)
			break;
	}
	vec_done(&claims);
	return r;
}

int publish_collect(const struct snapshot *snapshot, const struct nets *nets,
		    struct problems *problems, struct presences *ret_presences,
		    struct mappings *ret_mappings)
{
	struct context ctx = { snapshot, nets, problems, ret_presences, ret_mappings };

	vec_foreach (c, &snapshot->containers) {
		int r = collect_container(&ctx, c);

		if (r < 0)
			return r;
	}
	return decide_conflicts(&ctx);
}
