/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A small world for tests of the model: an engine, networks, containers and links in one line
 * each, the plan that follows from them, and short questions about it.
 *
 *   world_init(&w, 28, 5, 2);
 *   world_uplink(&w, "eth0", "2001:db8:1::/64", "2001:db8:1::16");
 *   world_network(&w, "ula", "fd00:6::/64");
 *   world_container(&w, "web", "ula", "fd00:6::2");
 *   world_bound(&w, "web", "[::]:8080->80/tcp");
 *   world_plan(&w);
 *   assert_true(world_has(&w, "publish_any", "tcp . 8080 : fd00:6::2 . 80"));
 *
 * Names are unique within a world. What was added is found by its name; pointers to it live until
 * the next one of its kind.
 */
#include "unit/cmocka.h"

#include "base/own.h"
#include "model/native.h"
#include "model/plan.h"
#include "wire/nft-text.h"

#include <linux/if_addr.h>
#include <stdio.h>

#define WORLD_BRIDGE "com.docker.network.bridge."

struct world {
	struct config config;
	struct snapshot snapshot;
	struct links links;
	struct plan plan;
	unsigned n_ids;
	char text[4096]; /* what a question returned last */
};

static inline void *world_new(void *item)
{
	assert_non_null(item);
	return item;
}

static inline char *world_dup(const char *text)
{
	return world_new(strdup(text));
}

static inline struct in6_addr world_address(const char *text)
{
	struct in6_addr a = {};

	if (text && inet_parse(text, &a) < 0)
		fail_msg("%s is no address", text);
	return a;
}

static inline struct inet_prefix world_prefix(const char *text)
{
	struct inet_prefix p = {};

	if (inet_prefix_parse(text, &p) < 0)
		fail_msg("%s is no prefix", text);
	return p;
}

/* ---------------------------------------------------------------- links */

static inline struct link *world_link(struct world *w, const char *name)
{
	struct link *l = links_find_name(&w->links, name);

	if (l)
		return l;
	l = world_new(vec_add(&w->links.links));
	l->ifindex = (int)w->links.links.n;
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	l->up = true;
	l->has_mac = true;
	memcpy(l->mac, "\x02\x42\x00\x00\x00\x01", 6);
	l->accept_ra = l->forwarding = l->force_forwarding = -1;
	return l;
}

static inline void world_link_address(struct world *w, const char *link, const char *address)
{
	struct link_address *a = world_new(vec_add(&world_link(w, link)->addresses));

	a->address = world_address(address);
	a->prefix_length = 64;
	a->flags = IFA_F_PERMANENT;
}

/* An interface with a default route; on_link and address may be NULL. */
static inline struct link *world_uplink(struct world *w, const char *name, const char *on_link,
					const char *address)
{
	struct link *l = world_link(w, name);
	struct inet_prefix *p;

	l->default_route = true;
	if (on_link) {
		p = world_new(vec_add(&l->on_link));
		*p = world_prefix(on_link);
	}
	if (address)
		world_link_address(w, name, address);
	return l;
}

/* A port of a bridge, as a container's veth is. */
static inline struct link *world_bridge_port(struct world *w, const char *bridge, const char *name)
{
	int master = world_link(w, bridge)->ifindex;
	struct link *l = world_link(w, name);

	l->master = master;
	return l;
}

static inline void world_docker_rules(struct world *w, const char *bridge)
{
	struct bridge_name *b = world_new(vec_add(&w->links.docker_rules));

	(void)snprintf(b->name, sizeof(b->name), "%s", bridge);
	vec_sort(&w->links.docker_rules, (int (*)(const void *, const void *))strcmp);
}

/* ------------------------------------------------------------- networks */

static inline char *world_new_id(struct world *w)
{
	char id[DOCKER_ID_LENGTH + 1];

	(void)snprintf(id, sizeof(id), "%06x%058x", ++w->n_ids, 0);
	return world_dup(id);
}

static inline struct network *world_find_network(struct world *w, const char *name)
{
	vec_foreach (n, &w->snapshot.networks)
		if (strcmp(n->name, name) == 0)
			return n;
	fail_msg("no network %s", name);
	return NULL;
}

static inline void world_subnet(struct world *w, const char *network, const char *subnet)
{
	struct network_subnet *s = world_new(vec_add(&world_find_network(w, network)->subnets));

	s->prefix = world_prefix(subnet);
}

/* A network of driver bridge and its device; subnet NULL: without IPv6. */
static inline struct network *world_network(struct world *w, const char *name, const char *subnet)
{
	struct network *n = world_new(vec_add(&w->snapshot.networks));
	char bridge[16];

	n->id = world_new_id(w);
	n->name = world_dup(name);
	n->driver = world_dup("bridge");
	if (subnet) {
		n->ipv6 = true;
		world_subnet(w, name, subnet);
	}
	world_link(w, network_bridge(n, bridge))->is_bridge = true;
	return n;
}

/* The bridge's name: stays valid until the next call. */
static inline const char *world_bridge(struct world *w, const char *network)
{
	static char bridge[16];

	return network_bridge(world_find_network(w, network), bridge);
}

static inline void world_option(struct world *w, const char *network, const char *key,
				const char *value)
{
	assert_int_equal(key_values_set(&world_find_network(w, network)->options, key, value), 0);
}

static inline void world_label(struct world *w, const char *network, const char *key,
			       const char *value)
{
	assert_int_equal(key_values_set(&world_find_network(w, network)->labels, key, value), 0);
}

/* ----------------------------------------------------------- containers */

static inline struct container *world_find(struct world *w, const char *name)
{
	vec_foreach (c, &w->snapshot.containers)
		if (strcmp(c->name, name) == 0)
			return c;
	fail_msg("no container %s", name);
	return NULL;
}

/* An endpoint as a running container has it: both gateways, the IPv6 one with an IPv6 address. */
static inline struct endpoint *world_join(struct world *w, const char *container,
					  const char *network, const char *address)
{
	struct endpoint *e = world_new(vec_add(&world_find(w, container)->endpoints));

	e->network_id = world_dup(world_find_network(w, network)->id);
	e->network_name = world_dup(network);
	e->address = world_address(address);
	e->has_gateway4 = true;
	e->has_gateway6 = address;
	return e;
}

/* What GET /networks/{id} tells of a container. */
static inline void world_member(struct world *w, const char *network, const char *container,
				const char *address)
{
	struct network *n = world_find_network(w, network);
	struct network_member *m = world_new(vec_add(&n->members));

	m->container_id = world_dup(world_find(w, container)->id);
	m->address = world_address(address);
	n->members_known = true;
}

/* A running, inspected container; network NULL: on none yet. */
static inline struct container *world_container(struct world *w, const char *name,
						const char *network, const char *address)
{
	struct container *c = world_new(vec_add(&w->snapshot.containers));

	c->id = world_new_id(w);
	c->name = world_dup(name);
	c->state = CONTAINER_RUNNING;
	c->started_us = w->n_ids;
	c->inspected = true;
	if (network)
		(void)world_join(w, name, network, address);
	return c;
}

/* A container whose start the engine has not finished: its network knows its address already. */
static inline struct container *world_starting(struct world *w, const char *name,
					       const char *network, const char *address)
{
	struct container *c = world_container(w, name, network, NULL);

	c->state = CONTAINER_CREATED;
	c->started_us = 0;
	c->endpoints.items[0].has_gateway4 = false;
	if (address)
		world_member(w, network, name, address);
	return c;
}

static inline void world_container_label(struct world *w, const char *container, const char *key,
					 const char *value)
{
	assert_int_equal(key_values_set(&world_find(w, container)->labels, key, value), 0);
}

/*
 * "[::]:8080->80/tcp", "0.0.0.0:8080->80/tcp", ":8080->80/udp" (no host address asked for), host
 * port 0 where the engine chooses; "80/tcp" is exposed only.
 */
static inline struct port_binding world_parse_binding(const char *text)
{
	struct port_binding b = {};
	char host[64] = "", protocol[8] = "";
	unsigned host_port = 0, container_port = 0;
	int n = 0;

	if (sscanf(text, "%u/%7s%n", &container_port, protocol, &n) == 2 && !text[n]) {
		b.host_ip_kind = HOST_IP_UNPUBLISHED;
	} else if (sscanf(text, "[%63[^]]]:%u->%u/%7s", host, &host_port, &container_port,
			  protocol) == 4) {
		b.host_ip_kind = HOST_IP_V6;
		b.host_ip = world_address(host);
	} else if (sscanf(text, ":%u->%u/%7s", &host_port, &container_port, protocol) == 3) {
		b.host_ip_kind = HOST_IP_EMPTY;
	} else if (sscanf(text, "%63[0-9.]:%u->%u/%7s", host, &host_port, &container_port,
			  protocol) == 4) {
		b.host_ip_kind = HOST_IP_V4;
	} else {
		fail_msg("%s is no binding", text);
	}
	b.protocol = (uint8_t)inet_protocol_parse(protocol);
	b.host_port = (uint16_t)host_port;
	b.container_port = (uint16_t)container_port;
	return b;
}

/* What the engine has bound. */
static inline void world_bound(struct world *w, const char *container, const char *binding)
{
	struct port_binding *b = world_new(vec_add(&world_find(w, container)->ports));

	*b = world_parse_binding(binding);
}

/* What the container was created with. */
static inline void world_requested(struct world *w, const char *container, const char *binding)
{
	struct port_binding *b = world_new(vec_add(&world_find(w, container)->requested));

	*b = world_parse_binding(binding);
}

/* -------------------------------------------------------- configuration */

/* [Network PATTERN]; its keys are set on what is returned. */
static inline struct config_network *world_config(struct world *w, const char *pattern)
{
	struct config_network *n = world_new(vec_add(&w->config.networks));

	n->pattern = world_dup(pattern);
	return n;
}

static inline void world_pool(struct world *w, const char *range)
{
	struct config_pool *p = world_new(vec_add(&w->config.pools));

	p->name = world_dup("pool");
	p->range = world_prefix(range);
	p->has_range = true;
}

static inline void world_config_uplink(struct world *w, const char *name)
{
	struct config_string *s = world_new(vec_add(&w->config.uplinks));

	s->text = world_dup(name);
}

/* ------------------------------------------------------------- the plan */

static inline void world_engine(struct world *w, unsigned major, unsigned minor, unsigned patch)
{
	struct engine *e = &w->snapshot.engine;
	char version[48];

	(void)snprintf(version, sizeof(version), "%u.%u.%u", major, minor, patch);
	free(e->version);
	e->version = world_dup(version);
	e->version_major = major;
	e->version_minor = minor;
	e->version_patch = patch;
}

/* A connected engine and a host that forwards, without interfaces. */
static inline void world_init(struct world *w, unsigned major, unsigned minor, unsigned patch)
{
	*w = (struct world){};
	assert_int_equal(config_init(&w->config), 0);
	world_engine(w, major, minor, patch);
	w->snapshot.complete = w->snapshot.engine.connected = true;
	w->links.complete = w->links.sysctl_writable = true;
	w->links.all_forwarding = w->links.default_forwarding = 1;
	w->links.bridge_nf_call_ip6tables = -1;
}

static inline void world_done(struct world *w)
{
	plan_done(&w->plan);
	links_done(&w->links);
	snapshot_done(&w->snapshot);
	config_done(&w->config);
}

/* Observe and plan, as the manager does. May be called again after changes. */
static inline const struct plan *world_plan(struct world *w)
{
	vec_sort(&w->snapshot.networks, network_compare);
	vec_sort(&w->snapshot.containers, container_compare);
	vec_foreach (c, &w->snapshot.containers) {
		vec_sort(&c->ports, port_binding_compare);
		vec_sort(&c->requested, port_binding_compare);
	}
	native_update(&w->snapshot, &w->links);
	plan_done(&w->plan);
	assert_int_equal(plan_build(&w->config, &w->snapshot, &w->links, &w->plan), 0);
	return &w->plan;
}

/* ------------------------------------------------------------ questions */

/* NULL: not listed. */
static inline const struct status_network *world_status(const struct world *w, const char *network)
{
	vec_foreach (n, &w->plan.networks)
		if (strcmp(n->name, network) == 0)
			return n;
	return NULL;
}

/* "mode: reason" of a network, or "-" where it is not listed. */
static inline const char *world_mode(struct world *w, const char *network)
{
	const struct status_network *n = world_status(w, network);

	(void)snprintf(w->text, sizeof(w->text), "%s%s%s", n ? net_mode_to_string(n->mode) : "-",
		       n ? ": " : "", n ? n->reason : "");
	return w->text;
}

static inline const struct status_container *world_presence(const struct world *w,
							    const char *network,
							    const char *container)
{
	const struct status_network *n = world_status(w, network);

	if (n)
		vec_foreach (c, &n->containers)
			if (strcmp(c->name, container) == 0)
				return c;
	return NULL;
}

/* All ports of a container, wherever it is: "NETWORK [::]:8080->80/tcp active; …". */
static inline const char *world_ports(struct world *w, const char *container)
{
	char address[INET_ADDR_TEXT];
	size_t n = 0;

	w->text[0] = '\0';
	vec_foreach (network, &w->plan.networks)
		vec_foreach (c, &network->containers)
			vec_foreach (p, &c->ports)
				if (strcmp(c->name, container) == 0 && n < sizeof(w->text) - 256)
					n += (size_t)sprintf(w->text + n, "%s%s [%s]:%u->%u/%s %s",
							     n ? "; " : "", network->name,
							     inet_format(&p->host_address, address),
							     p->host_port, p->container_port,
							     inet_protocol_name(p->protocol),
							     port_state_to_string(p->state));
	return w->text;
}

static inline const struct ruleset_set *world_set(const struct world *w, const char *set)
{
	vec_foreach (s, &w->plan.ruleset.tables[RULESET_IP6].sets)
		if (strcmp(s->name, set) == 0)
			return s;
	vec_foreach (s, &w->plan.ruleset.tables[RULESET_BRIDGE].sets)
		if (strcmp(s->name, set) == 0)
			return s;
	return NULL;
}

/* All elements of a set in nft's words: "A; B". Sets that are not there are empty. */
static inline const char *world_elements(struct world *w, const char *set)
{
	const struct ruleset_set *s = world_set(w, set);
	char element[160];
	size_t n = 0;

	w->text[0] = '\0';
	if (!s)
		return w->text;
	vec_foreach (e, &s->elements) {
		nft_text_element(s, e, element, sizeof(element));
		if (n < sizeof(w->text) - sizeof(element) - 2)
			n += (size_t)sprintf(w->text + n, "%s%s", n ? "; " : "", element);
	}
	return w->text;
}

static inline bool world_has(const struct world *w, const char *set, const char *element)
{
	const struct ruleset_set *s = world_set(w, set);
	char text[160];

	if (!s)
		return false;
	vec_foreach (e, &s->elements) {
		nft_text_element(s, e, text, sizeof(text));
		if (strcmp(text, element) == 0)
			return true;
	}
	return false;
}

static inline size_t world_count(const struct world *w, const char *set)
{
	const struct ruleset_set *s = world_set(w, set);

	return s ? s->elements.n : 0;
}

static inline size_t world_problems(const struct world *w, enum problem_code code)
{
	size_t n = 0;

	vec_foreach (p, &w->plan.problems)
		n += p->code == code;
	return n;
}

/* All problems: "severity code: message; …". */
static inline const char *world_all_problems(struct world *w)
{
	size_t n = 0;

	w->text[0] = '\0';
	vec_foreach (p, &w->plan.problems)
		if (n < sizeof(w->text) - 1024)
			n += (size_t)snprintf(w->text + n, 1024, "%s%s %s: %s", n ? "; " : "",
					      problem_severity_to_string(p->severity),
					      problem_code_to_string(p->code), p->message);
	return w->text;
}

/* All sysctls in order: "conf/eth0/accept_ra=2; …". */
static inline const char *world_sysctls(struct world *w)
{
	size_t n = 0;

	w->text[0] = '\0';
	vec_foreach (s, &w->plan.sysctls)
		n += (size_t)snprintf(w->text + n, sizeof(w->text) - n, "%s%s=%d", n ? "; " : "",
				      s->path, s->value);
	return w->text;
}

/* The script of the ruleset; the caller frees it. */
static inline char *world_script(const struct world *w)
{
	char *text = NULL;

	assert_int_equal(nft_text_encode(&w->plan.ruleset, &text), 0);
	return text;
}
