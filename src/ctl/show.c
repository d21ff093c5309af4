/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of networks, ports and addresses. */
#include "ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "A, B", in JSON an item a line; NULL if there is none, or no memory. */
static char *join(const struct ctl_options *o, const struct api_texts *texts)
{
	char *all = NULL;
	size_t size = 0;
	FILE *f;

	if (texts->n == 0)
		return NULL;
	f = open_memstream(&all, &size);
	if (!f)
		return NULL;
	vec_foreach (t, texts)
		fprintf(f, "%s%s", t == texts->items ? "" : o->json ? "\n" : ", ", t->text);
	if (fclose(f) == 0)
		return all;
	free(all);
	return NULL;
}

/* -- networks -------------------------------------------------------------------------------- */

enum network_column {
	NETWORK_COLUMN_NETWORK,
	NETWORK_COLUMN_MODE,
	NETWORK_COLUMN_BRIDGE,
	NETWORK_COLUMN_SUBNETS,
	NETWORK_COLUMN_UPLINK,
	NETWORK_COLUMN_CONTAINERS,
	NETWORK_COLUMN_REASON,
	NETWORK_COLUMN_ID,
	NETWORK_COLUMN_SNAT,
	NETWORK_COLUMN_PREFIX,
	_NETWORK_COLUMN_MAX,
};

static const struct table_column network_columns[_NETWORK_COLUMN_MAX] = {
	[NETWORK_COLUMN_NETWORK] = { .name = "NETWORK" },
	[NETWORK_COLUMN_MODE] = { .name = "MODE" },
	[NETWORK_COLUMN_BRIDGE] = { .name = "BRIDGE", .extra = true },
	[NETWORK_COLUMN_SUBNETS] = { .name = "SUBNETS", .list = true },
	[NETWORK_COLUMN_UPLINK] = { .name = "UPLINK" },
	[NETWORK_COLUMN_CONTAINERS] = { .name = "CONTAINERS", .number = true },
	[NETWORK_COLUMN_REASON] = { .name = "REASON", .wrap = true },
	[NETWORK_COLUMN_ID] = { .name = "ID", .extra = true },
	[NETWORK_COLUMN_SNAT] = { .name = "SNAT", .extra = true },
	[NETWORK_COLUMN_PREFIX] = { .name = "PREFIX", .extra = true },
};
const struct table_layout show_networks_layout = { "networks", network_columns,
						   N_ELEMENTS(network_columns) };

static int add_network(struct table *t, const struct ctl_options *o, const struct api_network *n)
{
	_cleanup_(freep) char *subnets = join(o, &n->subnets);
	const char *const cells[_NETWORK_COLUMN_MAX] = {
		[NETWORK_COLUMN_NETWORK] = n->name,  [NETWORK_COLUMN_MODE] = n->mode,
		[NETWORK_COLUMN_BRIDGE] = n->bridge, [NETWORK_COLUMN_SUBNETS] = subnets,
		[NETWORK_COLUMN_UPLINK] = n->uplink, [NETWORK_COLUMN_REASON] = n->reason,
		[NETWORK_COLUMN_ID] = n->id,         [NETWORK_COLUMN_SNAT] = n->snat,
		[NETWORK_COLUMN_PREFIX] = n->prefix,
	};
	int r = table_add_line(t);

	for (size_t i = 0; i < N_ELEMENTS(cells) && r == 0; i++)
		r = table_set(t, i, cells[i]);
	return r == 0 ? table_setf(t, NETWORK_COLUMN_CONTAINERS, "%zu", n->containers.n) : r;
}

int show_networks(const struct ctl_options *o, const struct api_status *s)
{
	_cleanup_(table_freep) struct table *t = NULL;
	int r = table_new(&show_networks_layout, o, &t);

	vec_foreach (n, &s->networks)
		if (r == 0)
			r = add_network(t, o, n);
	return r == 0 ? table_print(t) : r;
}

/* -- ports ----------------------------------------------------------------------------------- */

enum port_column {
	PORT_COLUMN_CONTAINER,
	PORT_COLUMN_NETWORK,
	PORT_COLUMN_PROTOCOL,
	PORT_COLUMN_HOST,
	PORT_COLUMN_TARGET,
	PORT_COLUMN_STATE,
	PORT_COLUMN_CONNECTIONS,
	PORT_COLUMN_HOST_ADDRESS,
	PORT_COLUMN_HOST_PORT,
	PORT_COLUMN_ADDRESS,
	PORT_COLUMN_CONTAINER_PORT,
	PORT_COLUMN_ID,
	_PORT_COLUMN_MAX,
};

static const struct table_column port_columns[_PORT_COLUMN_MAX] = {
	[PORT_COLUMN_CONTAINER] = { .name = "CONTAINER" },
	[PORT_COLUMN_NETWORK] = { .name = "NETWORK" },
	[PORT_COLUMN_PROTOCOL] = { .name = "PROTOCOL" },
	[PORT_COLUMN_HOST] = { .name = "HOST" },
	[PORT_COLUMN_TARGET] = { .name = "TARGET" },
	[PORT_COLUMN_STATE] = { .name = "STATE" },
	[PORT_COLUMN_CONNECTIONS] = { .name = "CONNECTIONS", .number = true },
	[PORT_COLUMN_HOST_ADDRESS] = { .name = "HOST_ADDRESS", .extra = true },
	[PORT_COLUMN_HOST_PORT] = { .name = "HOST_PORT", .number = true, .extra = true },
	[PORT_COLUMN_ADDRESS] = { .name = "ADDRESS", .extra = true },
	[PORT_COLUMN_CONTAINER_PORT] = { .name = "CONTAINER_PORT", .number = true, .extra = true },
	[PORT_COLUMN_ID] = { .name = "ID", .extra = true },
};
const struct table_layout show_ports_layout = { "ports", port_columns, N_ELEMENTS(port_columns) };

static int set_endpoint(struct table *t, enum port_column column, const char *address,
			unsigned port)
{
	if (strchr(address, ':'))
		return table_setf(t, column, "[%s]:%u", address, port);
	return table_setf(t, column, "%s:%u", address, port);
}

static int add_port(struct table *t, const struct ctl_options *o, const struct api_network *n,
		    const struct api_container *c, const struct api_port *p)
{
	bool is_published = p->host_port > 0;
	const char *const cells[_PORT_COLUMN_MAX] = {
		[PORT_COLUMN_CONTAINER] = c->name,
		[PORT_COLUMN_NETWORK] = n->name,
		[PORT_COLUMN_PROTOCOL] = p->protocol,
		[PORT_COLUMN_STATE] = p->state[0] != '\0' ? p->state : NULL,
		[PORT_COLUMN_HOST_ADDRESS] = is_published ? p->host_address : NULL,
		[PORT_COLUMN_ADDRESS] = c->address,
		[PORT_COLUMN_ID] = c->id,
	};
	int r = table_add_line(t);

	for (size_t i = 0; i < N_ELEMENTS(cells) && r == 0; i++)
		r = table_set(t, i, cells[i]);
	if (r == 0 && is_published)
		r = set_endpoint(t, PORT_COLUMN_HOST, p->host_address, p->host_port);
	if (r == 0 && is_published)
		r = table_setf(t, PORT_COLUMN_HOST_PORT, "%u", p->host_port);
	if (r == 0)
		r = set_endpoint(t, PORT_COLUMN_TARGET, c->address ? c->address : "",
				 p->container_port);
	if (r == 0)
		r = table_setf(t, PORT_COLUMN_CONTAINER_PORT, "%u", p->container_port);
	if (r == 0)
		r = table_setf(t, PORT_COLUMN_CONNECTIONS, "%" PRIu64, p->connections);
	if (o->color && strcmp(p->state, "conflict") == 0)
		table_color(t, PORT_COLUMN_STATE, CTL_YELLOW);
	return r;
}

int show_ports(const struct ctl_options *o, const struct api_status *s)
{
	_cleanup_(table_freep) struct table *t = NULL;
	int r = table_new(&show_ports_layout, o, &t);

	vec_foreach (n, &s->networks)
		vec_foreach (c, &n->containers)
			vec_foreach (p, &c->ports)
				if (r == 0)
					r = add_port(t, o, n, c, p);
	return r == 0 ? table_print(t) : r;
}

/* -- addresses: what is answered on the uplinks ---------------------------------------------- */

enum address_column {
	ADDRESS_COLUMN_ADDRESS,
	ADDRESS_COLUMN_INTERFACE,
	ADDRESS_COLUMN_CONTAINER,
	ADDRESS_COLUMN_NETWORK,
	ADDRESS_COLUMN_KIND,
	ADDRESS_COLUMN_ID,
	_ADDRESS_COLUMN_MAX,
};

static const struct table_column address_columns[_ADDRESS_COLUMN_MAX] = {
	[ADDRESS_COLUMN_ADDRESS] = { .name = "ADDRESS" },
	[ADDRESS_COLUMN_INTERFACE] = { .name = "INTERFACE" },
	[ADDRESS_COLUMN_CONTAINER] = { .name = "CONTAINER" },
	[ADDRESS_COLUMN_NETWORK] = { .name = "NETWORK" },
	[ADDRESS_COLUMN_KIND] = { .name = "KIND" },
	[ADDRESS_COLUMN_ID] = { .name = "ID", .extra = true },
};
const struct table_layout show_addresses_layout = { "addresses", address_columns,
						    N_ELEMENTS(address_columns) };

static int add_address(struct table *t, const char *const cells[static _ADDRESS_COLUMN_MAX])
{
	int r = table_add_line(t);

	for (size_t i = 0; i < _ADDRESS_COLUMN_MAX && r == 0; i++)
		r = table_set(t, i, cells[i]);
	return r;
}

static int add_addresses(struct table *t, const struct api_network *n)
{
	int r = 0;

	vec_foreach (c, &n->containers) {
		const char *const cells[] = {
			[ADDRESS_COLUMN_ADDRESS] = c->public ? c->public : c->address,
			[ADDRESS_COLUMN_INTERFACE] = c->answered,
			[ADDRESS_COLUMN_CONTAINER] = c->name,
			[ADDRESS_COLUMN_NETWORK] = n->name,
			[ADDRESS_COLUMN_KIND] = "container",
			[ADDRESS_COLUMN_ID] = c->id,
		};

		if (c->answered && r == 0)
			r = add_address(t, cells);
	}
	return r;
}

static int add_rules(struct table *t, const struct api_ndp *n)
{
	int r = 0;

	vec_foreach (prefix, &n->rules) {
		const char *const cells[_ADDRESS_COLUMN_MAX] = {
			[ADDRESS_COLUMN_ADDRESS] = prefix->text,
			[ADDRESS_COLUMN_INTERFACE] = n->interface,
			[ADDRESS_COLUMN_KIND] = "rule",
		};

		if (r == 0)
			r = add_address(t, cells);
	}
	return r;
}

int show_addresses(const struct ctl_options *o, const struct api_status *s)
{
	_cleanup_(table_freep) struct table *t = NULL;
	int r = table_new(&show_addresses_layout, o, &t);

	vec_foreach (n, &s->networks)
		if (r == 0)
			r = add_addresses(t, n);
	vec_foreach (n, &s->ndps)
		if (r == 0)
			r = add_rules(t, n);
	return r == 0 ? table_print(t) : r;
}
