/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoders sort everything, so that the same facts are equal item by item. */
#include "io/docker-private.h"

static bool key_values_equal(const struct key_values *a, const struct key_values *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
		    strcmp(a->items[i].value, b->items[i].value) != 0)
			return false;
	return true;
}

static bool bindings_equal(const struct port_bindings *a, const struct port_bindings *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (port_binding_compare(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

static bool endpoints_equal(const struct container *a, const struct container *b)
{
	if (a->endpoints.n != b->endpoints.n)
		return false;
	for (size_t i = 0; i < a->endpoints.n; i++) {
		const struct endpoint *x = &a->endpoints.items[i], *y = &b->endpoints.items[i];

		if (strcmp(x->network_id, y->network_id) != 0 ||
		    strcmp(x->network_name, y->network_name) != 0 ||
		    !inet_equal(&x->address, &y->address) || x->has_gateway4 != y->has_gateway4 ||
		    x->has_gateway6 != y->has_gateway6 ||
		    x->gateway_priority != y->gateway_priority)
			return false;
	}
	return true;
}

static bool common_equal(const struct container *a, const struct container *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 && a->state == b->state &&
	       a->network_mode == b->network_mode && key_values_equal(&a->labels, &b->labels) &&
	       endpoints_equal(a, b);
}

bool container_equal(const struct container *a, const struct container *b)
{
	return common_equal(a, b) && a->started_us == b->started_us &&
	       a->inspected == b->inspected && bindings_equal(&a->ports, &b->ports) &&
	       bindings_equal(&a->requested, &b->requested);
}

/* An IPv6 side without a host port: gateway mode routed. */
static bool is_routed(const struct port_binding *b)
{
	return b->host_ip_kind == HOST_IP_V6 && b->host_port == 0;
}

/* An engine says of an exposed port that is routed just that it is exposed, or nothing at all. */
static bool is_hostless(const struct port_binding *b)
{
	return is_routed(b) || b->host_ip_kind == HOST_IP_UNPUBLISHED;
}

static const struct port_binding *next_bound(const struct port_bindings *b, size_t *i)
{
	while (*i < b->n && is_hostless(&b->items[*i]))
		++*i;
	return *i < b->n ? &b->items[(*i)++] : NULL;
}

static bool bound_agree(const struct port_bindings *known, const struct port_bindings *listed)
{
	size_t i = 0, j = 0;

	/* What the list has of routed ports is known. */
	vec_foreach (b, listed)
		if (is_routed(b) && !vec_find(known, b, port_binding_compare))
			return false;
	for (;;) {
		const struct port_binding *a = next_bound(known, &i), *b = next_bound(listed, &j);

		if (!a || !b)
			return !a && !b;
		if (port_binding_compare(a, b) != 0)
			return false;
	}
}

bool container_agrees(const struct container *known, const struct container *listed)
{
	return common_equal(known, listed) && bound_agree(&known->ports, &listed->ports);
}

static bool subnets_equal(const struct network *a, const struct network *b)
{
	if (a->subnets.n != b->subnets.n)
		return false;
	for (size_t i = 0; i < a->subnets.n; i++)
		if (inet_prefix_compare(&a->subnets.items[i].prefix, &b->subnets.items[i].prefix) ||
		    !inet_equal(&a->subnets.items[i].gateway, &b->subnets.items[i].gateway))
			return false;
	return true;
}

bool network_equal_but_members(const struct network *a, const struct network *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->driver, b->driver) == 0 && a->ipv6 == b->ipv6 &&
	       a->ipv6_only == b->ipv6_only && a->internal == b->internal &&
	       a->config_only == b->config_only && a->ingress == b->ingress &&
	       a->swarm == b->swarm && subnets_equal(a, b) &&
	       key_values_equal(&a->options, &b->options) &&
	       key_values_equal(&a->labels, &b->labels);
}

bool network_equal(const struct network *a, const struct network *b)
{
	if (!network_equal_but_members(a, b) || a->members_known != b->members_known ||
	    a->members.n != b->members.n)
		return false;
	for (size_t i = 0; i < a->members.n; i++)
		if (strcmp(a->members.items[i].container_id, b->members.items[i].container_id) ||
		    !inet_equal(&a->members.items[i].address, &b->members.items[i].address))
			return false;
	return true;
}
