/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "decide.h"

#include "layout.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>

#define DOCKER_BRIDGE "com.docker.network.bridge."

struct context {
	const struct config *config;
	const struct snapshot *snapshot;
	const struct links *links;
	struct problems *problems;
};

bool engine_at_least(const struct engine *e, unsigned major, unsigned minor, unsigned patch)
{
	if (!e->version)
		return false;
	if (e->version_major != major)
		return e->version_major > major;
	if (e->version_minor != minor)
		return e->version_minor > minor;
	return e->version_patch >= patch;
}

bool net_is_ours(const struct net *n)
{
	return n->mode != NET_MODE_NATIVE && n->mode != NET_MODE_OFF;
}

bool net_publishes(const struct net *n)
{
	return n->mode == NET_MODE_NAT || n->mode == NET_MODE_PROXY || n->mode == NET_MODE_ROUTED;
}

bool link_is_uplink(const struct config *config, const struct link *l)
{
	if (config->uplinks.n == 0)
		return l->default_route;
	vec_foreach (u, &config->uplinks)
		if (strcmp(u->text, l->name) == 0)
			return true;
	return false;
}

/* As Go's strconv.ParseBool(), which the engine uses; anything else keeps the default there too. */
static bool option_bool(const struct network *n, const char *key, bool otherwise)
{
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	const char *value = key_values_get(&n->options, key);

	for (size_t i = 0; value && i < N_ELEMENTS(no); i++) {
		if (strcmp(value, no[i]) == 0)
			return false;
		if (strcmp(value, yes[i]) == 0)
			return true;
	}
	return otherwise;
}

/*
 * Our own keys: the label first, then the Docker option of the same name. What is not valid falls
 * through to the next one.
 */
enum source {
	SOURCE_LABEL,
	SOURCE_OPTION,
	_SOURCE_MAX,
};

static const char *own_value(const struct network *n, enum source source, const char *key,
			     const char **ret_where)
{
	*ret_where = source == SOURCE_LABEL ? "label" : "option";
	return key_values_get(source == SOURCE_LABEL ? &n->labels : &n->options, key);
}

static bool gateway_mode_is(const struct network *n, const char *mode)
{
	const char *value = key_values_get(&n->options, DOCKER_BRIDGE "gateway_mode_ipv6");

	return value && strcmp(value, mode) == 0;
}

static int invalid_value(struct context *c, const struct network *n, const char *where,
			 const char *key, const char *value, const char *expected)
{
	return problems_add(c->problems, PROBLEM_LABEL_INVALID, PROBLEM_WARNING, expected,
			    "network %s: %s %s=%.64s is not valid and is ignored", n->name, where,
			    key, value);
}

/* ------------------------------------------------------------------ mode */

static int decided(struct net *net, enum net_mode mode, const char *format, ...) _printf_(3, 4);
static int decided(struct net *net, enum net_mode mode, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	net->reason = vformat_text(format, ap);
	va_end(ap);
	if (!net->reason)
		return -ENOMEM;
	net->mode = mode;
	return 1;
}

/* > 0: the configuration or a label decides. */
static int decide_by_wish(struct context *c, struct net *net)
{
	const struct network *n = net->facts;
	const struct config_network *match = NULL;
	const char *value, *where;
	int mode, r;

	vec_foreach (cn, &c->config->networks)
		if (cn->mode != NET_MODE_AUTO && fnmatch(cn->pattern, n->name, 0) == 0)
			match = cn;
	if (match && match->mode != NET_MODE_NPT)
		return decided(net, match->mode, "[Network %s] in the configuration",
			       match->pattern);
	if (match) {
		r = problems_add(c->problems, PROBLEM_LABEL_INVALID, PROBLEM_WARNING,
				 "use nat, proxy or routed",
				 "network %s: Mode=npt is not available in this version", n->name);
		if (r < 0)
			return r;
	}

	for (enum source source = 0; source < _SOURCE_MAX; source++) {
		value = own_value(n, source, "ipv6nat.mode", &where);
		if (!value)
			continue;
		mode = net_mode_from_string(value);
		if (mode == NET_MODE_AUTO)
			return 0;
		if (mode >= 0 && mode != NET_MODE_NPT)
			return decided(net, (enum net_mode)mode, "%s ipv6nat.mode=%s", where,
				       value);
		r = invalid_value(c, n, where, "ipv6nat.mode", value,
				  "use auto, nat, proxy, routed, internal, native or off");
		if (r < 0)
			return r;
	}
	return 0;
}

/* The uplink on whose on-link prefix the subnet lies: the longest such prefix wins. */
static const struct link *on_link_uplink(struct context *c, const struct inet_prefix *subnet,
					 struct inet_prefix *ret)
{
	const struct link *best = NULL;

	vec_foreach (l, &c->links->links) {
		if (!link_is_uplink(c->config, l))
			continue;
		vec_foreach (p, &l->on_link)
			if (p->length <= subnet->length &&
			    inet_prefix_contains(p, &subnet->address) &&
			    (!best || p->length > ret->length)) {
				best = l;
				*ret = *p;
			}
	}
	return best;
}

static int decide_by_prefix(struct context *c, struct net *net, const char *because, bool ula_too)
{
	const struct inet_prefix *subnet = &net->facts->subnets.items[0].prefix;
	char text[INET_PREFIX_TEXT], on_link[INET_PREFIX_TEXT];
	struct inet_prefix found = {};
	const struct link *uplink;
	int r;

	inet_prefix_format(subnet, text);
	if (!ula_too && inet_is_ula(&subnet->address))
		return decided(net, NET_MODE_NAT, "%s%s is a private prefix (ULA)", because, text);

	uplink = on_link_uplink(c, subnet, &found);
	if (uplink)
		return decided(net, NET_MODE_PROXY, "%s%s lies inside %s, on-link on %s", because,
			       text, inet_prefix_format(&found, on_link), uplink->name);

	r = problems_add(c->problems, PROBLEM_UNROUTED_PREFIX, PROBLEM_NOTICE,
			 "make sure that the router sends this prefix here, or use mode nat",
			 "network %s: nothing on this host shows that %s is routed to it",
			 net->facts->name, text);
	if (r < 0)
		return r;
	return decided(net, NET_MODE_ROUTED, "%s%s is %s on-link here", because, text,
		       inet_is_ula(&subnet->address) ? "not" : "neither private nor");
}

static int decide_auto(struct context *c, struct net *net)
{
	const struct network *n = net->facts;

	if (c->snapshot->engine.rootless)
		return decided(net, NET_MODE_OFF,
			       "a rootless engine keeps its networks in a namespace of its own");
	if (gateway_mode_is(n, "isolated"))
		return decided(net, NET_MODE_OFF, "gateway_mode_ipv6=isolated");
	if (n->internal)
		return decided(net, NET_MODE_INTERNAL, "internal network");
	if (n->docker_rules == DOCKER_RULES_PRESENT || n->docker_rules == DOCKER_RULES_LOST)
		return decided(net, NET_MODE_NATIVE, "Docker's own IPv6 rules for %s are present",
			       net->bridge);
	if (gateway_mode_is(n, "routed"))
		return decide_by_prefix(c, net, "gateway_mode_ipv6=routed, ", true);
	return decide_by_prefix(c, net, "", false);
}

static int decide_mode(struct context *c, struct net *net)
{
	int r;

	vec_foreach (subnet, &net->facts->subnets)
		if (subnet->prefix.length < LAYOUT_WIDEST_SUBNET)
			return decided(net, NET_MODE_OFF,
				       "a subnet wider than /%d is not supported",
				       LAYOUT_WIDEST_SUBNET);
	r = decide_by_wish(c, net);
	return r ? r : decide_auto(c, net);
}

/* --------------------------------------------------------------- options */

static int decide_firewall(struct context *c, struct net *net)
{
	const struct network *n = net->facts;
	const char *value, *where;
	enum net_firewall wish = NET_FIREWALL_DEFAULT;
	int r;

	for (enum source source = 0; source < _SOURCE_MAX && wish == NET_FIREWALL_DEFAULT;
	     source++) {
		value = own_value(n, source, "ipv6nat.firewall", &where);
		if (!value)
			continue;
		if (strcmp(value, "open") == 0) {
			wish = NET_FIREWALL_OPEN;
		} else if (strcmp(value, "closed") == 0) {
			wish = NET_FIREWALL_CLOSED;
		} else {
			r = invalid_value(c, n, where, "ipv6nat.firewall", value,
					  "use open or closed");
			if (r < 0)
				return r;
		}
	}
	if (wish == NET_FIREWALL_DEFAULT && gateway_mode_is(n, "nat-unprotected"))
		wish = NET_FIREWALL_OPEN;

	vec_foreach (cn, &c->config->networks)
		if (cn->firewall != NET_FIREWALL_DEFAULT && fnmatch(cn->pattern, n->name, 0) == 0)
			wish = cn->firewall;

	net->open = wish == NET_FIREWALL_DEFAULT
			    ? c->config->unpublished == CONFIG_UNPUBLISHED_ACCEPT
			    : wish == NET_FIREWALL_OPEN;
	return 0;
}

/*
 * Labels and options come from whoever may start containers: such a source address must be an
 * uplink's own, or inside a pool that the configuration grants.
 */
static bool snat_is_granted(struct context *c, const struct in6_addr *address)
{
	vec_foreach (p, &c->config->pools)
		if (p->has_range && inet_prefix_contains(&p->range, address))
			return true;
	vec_foreach (l, &c->links->links)
		if (link_is_uplink(c->config, l))
			vec_foreach (a, &l->addresses)
				if (inet_equal(&a->address, address))
					return true;
	return false;
}

static int snat_wish(struct context *c, struct net *net, const char *where, const char *key,
		     const char *value)
{
	struct in6_addr address;

	if (inet_parse(value, &address) < 0 || inet_is_multicast(&address) ||
	    inet_is_link_local(&address) || inet_is_loopback(&address) || inet_is_zero(&address))
		return invalid_value(c, net->facts, where, key, value, "use an IPv6 address");
	if (!snat_is_granted(c, &address))
		return problems_add(c->problems, PROBLEM_ADDRESS_REFUSED, PROBLEM_WARNING,
				    "assign the address to the uplink, or grant it in a [Pool]",
				    "network %s: %s %s=%s is neither an uplink's address nor in a "
				    "pool; masquerading instead",
				    net->facts->name, where, key, value);
	net->snat = address;
	return 0;
}

static int decide_source(struct context *c, struct net *net)
{
	const struct network *n = net->facts;
	const char *value, *where;
	int r = 0;

	if (net->mode != NET_MODE_NAT)
		return 0;
	net->masquerade = option_bool(n, DOCKER_BRIDGE "enable_ip_masquerade", true);

	vec_foreach (cn, &c->config->networks)
		if (!inet_is_zero(&cn->snat) && fnmatch(cn->pattern, n->name, 0) == 0)
			net->snat = cn->snat;
	if (!inet_is_zero(&net->snat))
		return 0;

	for (enum source source = 0; source < _SOURCE_MAX; source++) {
		value = own_value(n, source, "ipv6nat.snat", &where);
		if (value)
			r = snat_wish(c, net, where, "ipv6nat.snat", value);
		if (r < 0 || !inet_is_zero(&net->snat))
			return r;
	}
	value = key_values_get(&n->options, "com.docker.network.host_ipv6");
	if (value && *value)
		r = snat_wish(c, net, "option", "com.docker.network.host_ipv6", value);
	return r;
}

/*
 * Where does a binding without host address go? docker-ipv6nat's host_binding_ipv6 names an
 * address. Docker's own host_binding_ipv4 (which on the default bridge also shows the engine's --ip,
 * and concerns no other network there) may hold an IPv6 literal, and if it holds an IPv4 address
 * other than 0.0.0.0 there is no IPv6 binding at all.
 */
static int decide_binding(struct context *c, struct net *net)
{
	const struct network *n = net->facts;
	const char *value;
	int r = 0;

	value = key_values_get(&n->options, DOCKER_BRIDGE "host_binding_ipv6");
	if (value && inet_parse(value, &net->binding) < 0)
		r = invalid_value(c, n, "option", DOCKER_BRIDGE "host_binding_ipv6", value,
				  "use an IPv6 address without prefix length");

	value = key_values_get(&n->options, DOCKER_BRIDGE "host_binding_ipv4");
	if (!value || strcmp(value, "0.0.0.0") == 0)
		net->default_binding_known = true;
	else if (inet_is_zero(&net->binding))
		net->default_binding_known = inet_parse(value, &net->binding) == 0;
	net->host_ports =
		!gateway_mode_is(n, "routed") || !engine_at_least(&c->snapshot->engine, 27, 0, 0);
	return r;
}

static int trust(struct net *net, const char *name, size_t length)
{
	struct config_string *s;

	if (length == 0 || length >= IFNAMSIZ)
		return 0;
	s = vec_add(&net->trusted);
	if (!s)
		return -ENOMEM;
	s->text = strndup(name, length);
	return s->text ? 0 : -ENOMEM;
}

static int decide_trusted(struct context *c, struct net *net)
{
	const char *value =
		key_values_get(&net->facts->options, DOCKER_BRIDGE "trusted_host_interfaces");
	int r = 0;

	while (value && *value && r >= 0) {
		size_t length = strcspn(value, ":");

		r = trust(net, value, length);
		value += length + (value[length] == ':');
	}
	vec_foreach (cn, &c->config->networks)
		if (fnmatch(cn->pattern, net->facts->name, 0) == 0)
			for (size_t i = 0; i < cn->trusted.n && r >= 0; i++)
				r = trust(net, cn->trusted.items[i].text,
					  strlen(cn->trusted.items[i].text));
	return r;
}

/* > 0: *ret is the interface that somebody asked for. */
static int uplink_wish(struct context *c, const struct net *net, const char *where,
		       const char *wish, const struct link **ret)
{
	int r;

	*ret = links_find_name(c->links, wish);
	if (*ret)
		return 1;
	r = problems_add(c->problems, PROBLEM_UPLINK_MISSING, PROBLEM_WARNING,
			 "correct the name, or bring the interface up",
			 "network %s: uplink %.64s (%s) does not exist", net->facts->name, wish,
			 where);
	return r < 0 ? r : 0;
}

static int find_uplink_wish(struct context *c, const struct net *net, const struct link **ret)
{
	const char *wish = NULL, *where;
	int r = 0;

	vec_foreach (cn, &c->config->networks)
		if (cn->uplink && fnmatch(cn->pattern, net->facts->name, 0) == 0)
			wish = cn->uplink;
	if (wish)
		r = uplink_wish(c, net, "configuration", wish, ret);
	for (enum source source = 0; source < _SOURCE_MAX && r == 0; source++) {
		wish = own_value(net->facts, source, "ipv6nat.uplink", &where);
		if (wish)
			r = uplink_wish(c, net, where, wish, ret);
	}
	return r;
}

static int decide_uplink(struct context *c, struct net *net)
{
	const struct link *l = NULL;
	struct inet_prefix found = {};
	int r;

	net->uplink = "";
	if (net->mode == NET_MODE_INTERNAL || net->mode == NET_MODE_OFF)
		return 0;
	r = find_uplink_wish(c, net, &l);
	if (r < 0)
		return r;
	net->uplink_asked = l;
	if (!l)
		l = on_link_uplink(c, &net->facts->subnets.items[0].prefix, &found);
	vec_foreach (u, &c->links->links)
		if (!l && link_is_uplink(c->config, u))
			l = u;
	if (l)
		net->uplink = l->name;
	return 0;
}

/*
 * A subnet that equals or contains an on-link prefix of an uplink: most of its addresses are the
 * neighbours', so that what no container has is not ours to drop.
 */
static int decide_overlap(struct context *c, struct net *net)
{
	char text[INET_PREFIX_TEXT], on_link[INET_PREFIX_TEXT];

	if (net->mode != NET_MODE_PROXY && net->mode != NET_MODE_ROUTED)
		return 0;
	vec_foreach (l, &c->links->links) {
		if (!link_is_uplink(c->config, l) || l == net->link)
			continue;
		vec_foreach (p, &l->on_link)
			vec_foreach (s, &net->facts->subnets)
				if (s->prefix.length <= p->length &&
				    inet_prefix_contains(&s->prefix, &p->address)) {
					net->overlaps = true;
					return problems_add(
						c->problems, PROBLEM_SUBNET_OVERLAP,
						PROBLEM_WARNING,
						"give the network a part of the prefix, e.g. a /80 of it",
						"network %s: %s takes in all of %s, which is on-link on %s: "
						"this host may not reach its neighbours there",
						net->facts->name,
						inet_prefix_format(&s->prefix, text),
						inet_prefix_format(p, on_link), l->name);
				}
	}
	return 0;
}

static int report_native(struct context *c, const struct net *net)
{
	const struct network *n = net->facts;
	struct inet_prefix found = {};

	if (net->mode == NET_MODE_NATIVE && n->docker_rules == DOCKER_RULES_LOST)
		return problems_add(
			c->problems, PROBLEM_DOCKER_RULES_LOST, PROBLEM_ERROR,
			"restart Docker, which writes its rules again",
			"network %s: Docker's own IPv6 rules for %s were there and are gone",
			n->name, net->bridge);
	if (n->docker_rules != DOCKER_RULES_PRESENT || gateway_mode_is(n, "routed") ||
	    gateway_mode_is(n, "nat-unprotected"))
		return 0;
	if (net->mode == NET_MODE_NATIVE && on_link_uplink(c, &n->subnets.items[0].prefix, &found))
		return problems_add(
			c->problems, PROBLEM_FORWARD_DROP, PROBLEM_NOTICE,
			"create the network with -o " DOCKER_BRIDGE
			"gateway_mode_ipv6=routed to have them reached directly",
			"network %s: Docker translates its addresses and drops direct access "
			"to them, so they are not answered on the uplink",
			n->name);
	if (net->mode == NET_MODE_PROXY || net->mode == NET_MODE_ROUTED)
		return problems_add(
			c->problems, PROBLEM_FORWARD_DROP, PROBLEM_WARNING,
			"create the network with -o " DOCKER_BRIDGE "gateway_mode_ipv6=routed",
			"network %s: mode %s was asked for, but Docker's own rules drop "
			"direct access to its containers",
			n->name, net_mode_to_string(net->mode));
	return 0;
}

/* Solicitations come for what is on-link. Mode proxy may be asked for where nothing of it is. */
static int report_unanswered(struct context *c, const struct net *net)
{
	const struct inet_prefix *subnet = &net->facts->subnets.items[0].prefix;
	char text[INET_PREFIX_TEXT];

	if (net->mode != NET_MODE_PROXY || !c->config->ndp_answer || !*net->uplink)
		return 0;
	vec_foreach (l, &c->links->links) {
		if (!link_is_uplink(c->config, l) || l == net->link ||
		    (net->uplink_asked && strcmp(l->name, net->uplink) != 0))
			continue;
		vec_foreach (p, &l->on_link)
			if (inet_prefix_overlaps(p, subnet))
				return 0;
	}
	return problems_add(c->problems, PROBLEM_UNROUTED_PREFIX, PROBLEM_WARNING,
			    "add a route to the prefix without a gateway on the uplink, or have it "
			    "routed to this host and use mode routed",
			    "network %s: mode proxy, but %s is not on-link on %s: its containers "
			    "are not answered",
			    net->facts->name, inet_prefix_format(subnet, text),
			    net->uplink_asked ? net->uplink : "any uplink");
}

static int net_decide(struct context *c, struct net *net)
{
	int r;

	network_bridge(net->facts, net->bridge);
	net->link = links_find_name(c->links, net->bridge);
	r = decide_mode(c, net);
	if (r >= 0)
		r = decide_firewall(c, net);
	if (r >= 0)
		r = decide_source(c, net);
	if (r >= 0)
		r = decide_binding(c, net);
	if (r >= 0)
		r = decide_trusted(c, net);
	if (r >= 0)
		r = decide_overlap(c, net);
	if (r >= 0)
		r = report_native(c, net);
	if (r >= 0)
		r = decide_uplink(c, net);
	if (r >= 0)
		r = report_unanswered(c, net);
	net->icc = option_bool(net->facts, DOCKER_BRIDGE "enable_icc", true);
	return r;
}

/* ----------------------------------------------------------------- entry */

static bool in_scope(const struct network *n)
{
	return n->ipv6 && !n->config_only && strcmp(n->driver, "bridge") == 0 && n->subnets.n > 0;
}

int nets_decide(const struct config *config, const struct snapshot *snapshot,
		const struct links *links, struct problems *problems, struct nets *ret)
{
	struct context c = { config, snapshot, links, problems };
	int r;

	vec_foreach (n, &snapshot->networks) {
		struct net *net;

		if (!in_scope(n))
			continue;
		net = vec_add(ret);
		if (!net)
			return -ENOMEM;
		net->facts = n;
		r = net_decide(&c, net);
		if (r < 0)
			return r;
	}
	return 0;
}

void nets_done(struct nets *nets)
{
	vec_foreach (n, nets) {
		free(n->reason);
		vec_foreach (t, &n->trusted)
			free(t->text);
		vec_done(&n->trusted);
	}
	vec_done(nets);
}

struct net *nets_find(const struct nets *nets, const char *network_id)
{
	vec_foreach (n, nets)
		if (strcmp(n->facts->id, network_id) == 0)
			return n;
	return NULL;
}
