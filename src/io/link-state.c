/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/link-internal.h"

#include <errno.h>

/* Far beyond any host's default and on-link routes; bounds what a routing daemon can make us keep. */
#define ROUTES_MAX 16384

void link_state_done(struct link_state *s)
{
	links_done(&s->links);
	vec_done(&s->routes);
}

/* The first of the n sorted items that is not less than key. */
static size_t lower_bound(const void *items, size_t n, size_t size, const void *key,
			  int (*compare)(const void *, const void *))
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (compare((const char *)items + middle * size, key) < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* Adds *item at its place in a sorted vector and evaluates to its address, NULL without memory. */
#define insert_sorted(v, item, compare)                                                          \
	({                                                                                       \
		typeof((v)->items) place_ = vec_add(v);                                          \
		if (place_) {                                                                    \
			size_t i_ = lower_bound((v)->items, (v)->n - 1, sizeof(*place_), (item), \
						(compare));                                      \
			place_ = &(v)->items[i_];                                                \
			memmove(place_ + 1, place_, ((v)->n - 1 - i_) * sizeof(*place_));        \
			*place_ = *(item);                                                       \
		}                                                                                \
		place_;                                                                          \
	})

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static int compare_addresses(const void *a, const void *b)
{
	const struct link_address *x = a, *y = b;

	return inet_compare(&x->address, &y->address);
}

static int compare_routes(const void *a, const void *b)
{
	const struct link_route *x = a, *y = b;
	int r = (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);

	if (r == 0)
		r = inet_prefix_compare(&x->destination, &y->destination);
	if (r == 0)
		r = (x->table > y->table) - (x->table < y->table);
	if (r == 0)
		r = (x->metric > y->metric) - (x->metric < y->metric);
	if (r == 0)
		r = inet_prefix_compare(&x->source, &y->source);
	return r ? r : inet_compare(&x->gateway, &y->gateway);
}

static void forget_routes(struct link_state *s, int ifindex, bool multipath_too)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->routes.n; i++) {
		struct link_route *route = &s->routes.items[i];

		if (route->ifindex != ifindex || (route->multipath && !multipath_too))
			s->routes.items[kept++] = *route;
	}
	if (kept == s->routes.n)
		return;
	s->routes.n = kept;
	s->unsettled = true;
}

static bool has_routes(const struct link_state *s, int ifindex)
{
	struct link_route first = { .ifindex = ifindex };
	size_t i = lower_bound(s->routes.items, s->routes.n, sizeof(first), &first, compare_routes);

	return i < s->routes.n && s->routes.items[i].ifindex == ifindex;
}

static bool same_facts(const struct link *a, const struct link *b)
{
	return strcmp(a->name, b->name) == 0 && a->type == b->type && a->up == b->up &&
	       a->is_bridge == b->is_bridge && a->nf_call_ip6tables == b->nf_call_ip6tables &&
	       a->hairpin == b->hairpin && a->master == b->master && a->has_mac == b->has_mac &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static void copy_facts(struct link *to, const struct link *from)
{
	memcpy(to->name, from->name, sizeof(to->name));
	to->type = from->type;
	to->up = from->up;
	to->is_bridge = from->is_bridge;
	to->nf_call_ip6tables = from->nf_call_ip6tables;
	to->hairpin = from->hairpin;
	to->master = from->master;
	to->has_mac = from->has_mac;
	memcpy(to->mac, from->mac, sizeof(to->mac));
}

static int apply_link(struct link_state *s, const struct rtnl_message *message)
{
	struct link *link = links_find(&s->links, message->ifindex);

	/*
	 * Routes vanish with IFF_UP, and with net.ipv6.route.skip_notify_on_dev_down the kernel
	 * says no more about it than this. Next hops of a multipath route may stay as dead ones
	 * that come to life silently, so they are not forgotten but looked up.
	 */
	if (!message->enabled) {
		forget_routes(s, message->ifindex, false);
		if (has_routes(s, message->ifindex))
			s->stale = true;
	}
	if (!link) {
		if (!insert_sorted(&s->links.links, &message->link, compare_links))
			return -ENOMEM;
		s->unsettled = true;
		return 1;
	}
	if (same_facts(link, &message->link))
		return 0;
	copy_facts(link, &message->link);
	return 1;
}

static void link_done(struct link *link)
{
	vec_done(&link->addresses);
	vec_done(&link->on_link);
}

static int apply_link_gone(struct link_state *s, int ifindex)
{
	struct link *link = links_find(&s->links, ifindex);

	forget_routes(s, ifindex, true);
	if (!link)
		return 0;
	link_done(link);
	vec_remove(&s->links.links, (size_t)(link - s->links.links.items));
	return 1;
}

static int apply_port(struct link_state *s, int ifindex, const struct rtnl_port *port)
{
	struct link *link = links_find(&s->links, ifindex);
	int changed = 0;

	if (!link)
		return 0;
	if (port->master && port->master != link->master) {
		link->master = port->master;
		changed = 1;
	}
	if (port->has_hairpin && port->hairpin != link->hairpin) {
		link->hairpin = port->hairpin;
		changed = 1;
	}
	return changed;
}

static int apply_port_gone(struct link_state *s, int ifindex)
{
	struct link *link = links_find(&s->links, ifindex);

	if (!link || (link->master == 0 && !link->hairpin))
		return 0;
	link->master = 0;
	link->hairpin = false;
	return 1;
}

static int apply_address(struct link_state *s, int ifindex, const struct link_address *address)
{
	struct link *link = links_find(&s->links, ifindex);
	struct link_address *known;

	if (!link)
		return 0;
	known = vec_find(&link->addresses, address, compare_addresses);
	if (!known)
		return insert_sorted(&link->addresses, address, compare_addresses) ? 1 : -ENOMEM;
	if (known->prefix_length == address->prefix_length && known->flags == address->flags)
		return 0;
	*known = *address;
	return 1;
}

static int apply_address_gone(struct link_state *s, int ifindex, const struct link_address *address)
{
	struct link *link = links_find(&s->links, ifindex);
	struct link_address *known;

	known = link ? vec_find(&link->addresses, address, compare_addresses) : NULL;
	if (!known)
		return 0;
	vec_remove(&link->addresses, (size_t)(known - link->addresses.items));
	return 1;
}

static struct link_route make_route(const struct rtnl_route *route, size_t nexthop)
{
	return (struct link_route){
		.ifindex = route->nexthops[nexthop].ifindex,
		.destination = route->destination,
		.table = route->table,
		.metric = route->metric,
		.source = route->source,
		.gateway = route->nexthops[nexthop].gateway,
		.from_ra = route->from_ra,
		.multipath = route->multipath,
	};
}

static bool is_nexthop_of(const struct link_route *known, const struct rtnl_route *route)
{
	for (size_t i = 0; i < route->n_nexthops; i++)
		if (known->ifindex == route->nexthops[i].ifindex &&
		    inet_equal(&known->gateway, &route->nexthops[i].gateway))
			return true;
	return false;
}

/*
 * The kernel does not say which route was replaced: of several with the same destination and
 * metric it takes the first of the same kind, all its next hops included.
 */
static bool replaces_known(const struct link_state *s, const struct rtnl_route *route)
{
	vec_foreach (known, &s->routes)
		if (known->table == route->table && known->metric == route->metric &&
		    inet_prefix_compare(&known->destination, &route->destination) == 0 &&
		    inet_prefix_compare(&known->source, &route->source) == 0 &&
		    !is_nexthop_of(known, route))
			return true;
	return false;
}

static int apply_route(struct link_state *s, const struct rtnl_route *route)
{
	if (route->replaces && replaces_known(s, route))
		s->stale = true;
	for (size_t i = 0; i < route->n_nexthops; i++) {
		struct link_route wanted = make_route(route, i);
		struct link_route *known = vec_find(&s->routes, &wanted, compare_routes);

		if (known) {
			s->unsettled |= known->from_ra != wanted.from_ra;
			*known = wanted;
		} else if (s->routes.n >= ROUTES_MAX) {
			s->full = true;
		} else if (insert_sorted(&s->routes, &wanted, compare_routes)) {
			s->unsettled = true;
		} else {
			return -ENOMEM;
		}
	}
	return 0;
}

static void apply_route_gone(struct link_state *s, const struct rtnl_route *route)
{
	for (size_t i = 0; i < route->n_nexthops; i++) {
		struct link_route wanted = make_route(route, i);
		struct link_route *known = vec_find(&s->routes, &wanted, compare_routes);

		if (!known)
			continue;
		vec_remove(&s->routes, (size_t)(known - s->routes.items));
		s->unsettled = true;
	}
}

int link_state_apply(struct link_state *s, const struct rtnl_message *message)
{
	switch (message->kind) {
	case RTNL_LINK:
		return apply_link(s, message);
	case RTNL_LINK_GONE:
		return apply_link_gone(s, message->ifindex);
	case RTNL_PORT:
		return apply_port(s, message->ifindex, &message->port);
	case RTNL_PORT_GONE:
		return apply_port_gone(s, message->ifindex);
	case RTNL_ADDRESS:
		return apply_address(s, message->ifindex, &message->address);
	case RTNL_ADDRESS_GONE:
		return apply_address_gone(s, message->ifindex, &message->address);
	case RTNL_ROUTE:
		return apply_route(s, &message->route);
	case RTNL_ROUTE_GONE:
		apply_route_gone(s, &message->route);
		return 0;
	case RTNL_NETCONF:
		return link_sysctl_read_one(&s->links, message->ifindex);
	}
	return 0;
}

static bool same_prefixes(const struct link *a, const struct link *b)
{
	if (a->on_link.n != b->on_link.n)
		return false;
	for (size_t i = 0; i < a->on_link.n; i++)
		if (inet_prefix_compare(&a->on_link.items[i], &b->on_link.items[i]) != 0)
			return false;
	return true;
}

static bool same_addresses(const struct link *a, const struct link *b)
{
	if (a->addresses.n != b->addresses.n)
		return false;
	for (size_t i = 0; i < a->addresses.n; i++) {
		const struct link_address *x = &a->addresses.items[i], *y = &b->addresses.items[i];

		if (!inet_equal(&x->address, &y->address) || x->flags != y->flags ||
		    x->prefix_length != y->prefix_length)
			return false;
	}
	return true;
}

static bool same_routes(const struct link *a, const struct link *b)
{
	return a->default_route == b->default_route && a->default_route_ra == b->default_route_ra &&
	       same_prefixes(a, b);
}

static int add_prefix(struct link *link, const struct inet_prefix *prefix)
{
	size_t n = link->on_link.n;
	struct inet_prefix *item;

	/* Sorted by prefix: the same one of another metric comes next. */
	if (n > 0 && inet_prefix_compare(&link->on_link.items[n - 1], prefix) == 0)
		return 0;
	item = vec_add(&link->on_link);
	if (!item)
		return -ENOMEM;
	*item = *prefix;
	return 0;
}

/* Gives *link its n routes. > 0: it had others. */
static int settle_link(struct link *link, const struct link_route *routes, size_t n)
{
	struct link now = {};
	int changed, r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (routes[i].destination.length > 0) {
			r = add_prefix(&now, &routes[i].destination);
		} else {
			now.default_route = true;
			now.default_route_ra |= routes[i].from_ra;
		}
	}
	changed = r == 0 && !same_routes(link, &now);
	if (changed) {
		typeof(link->on_link) old = link->on_link;

		link->on_link = now.on_link;
		now.on_link = old;
		link->default_route = now.default_route;
		link->default_route_ra = now.default_route_ra;
	}
	link_done(&now);
	return r < 0 ? r : changed;
}

int link_state_settle(struct link_state *s)
{
	int changed = 0, r;
	size_t i = 0;

	if (!s->unsettled)
		return 0;
	vec_foreach (link, &s->links.links) {
		size_t first;

		/* Routes of links that nobody told us about are possible between two messages. */
		while (i < s->routes.n && s->routes.items[i].ifindex < link->ifindex)
			i++;
		first = i;
		while (i < s->routes.n && s->routes.items[i].ifindex == link->ifindex)
			i++;
		r = settle_link(link, s->routes.items + first, i - first);
		if (r < 0)
			return r;
		changed |= r;
	}
	s->unsettled = false;
	return changed;
}

static bool same_link(const struct link *a, const struct link *b)
{
	return a->ifindex == b->ifindex && same_facts(a, b) && same_addresses(a, b) &&
	       same_routes(a, b);
}

int link_state_replace(struct link_state *s, struct link_state *fresh)
{
	typeof(s->links.links) links = s->links.links;
	typeof(s->routes) routes = s->routes;
	bool changed = links.n != fresh->links.links.n;

	for (size_t i = 0; i < fresh->links.links.n; i++) {
		struct link *link = &fresh->links.links.items[i];
		const struct link *old = links_find(&s->links, link->ifindex);

		if (!old) {
			changed = true;
			continue;
		}
		changed |= !same_link(old, link);
		link->accept_ra = old->accept_ra;
		link->forwarding = old->forwarding;
		link->force_forwarding = old->force_forwarding;
	}
	s->links.links = fresh->links.links;
	fresh->links.links = links;
	s->routes = fresh->routes;
	fresh->routes = routes;
	s->unsettled = fresh->unsettled;
	s->stale = fresh->stale;
	s->full = fresh->full;
	return changed;
}
