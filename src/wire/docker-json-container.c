/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container comes in two shapes: as an element of GET /containers/json (Names, State as a
 * string, Ports as a list) and from GET /containers/{id}/json (Name, State as an object, Ports by
 * container port). The shape of State tells them apart.
 */
#include "wire/docker-json-private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <time.h>

static const char *const label_prefixes[] = { "ipv6nat.", NULL };

/* The engine's order is random: sorted, so that the same facts compare equal; and once each. */
static void sort_bindings(struct port_bindings *b)
{
	size_t n = 0;

	vec_sort(b, port_binding_compare);
	for (size_t i = 0; i < b->n; i++)
		if (n == 0 || port_binding_compare(&b->items[n - 1], &b->items[i]) != 0)
			b->items[n++] = b->items[i];
	b->n = n;
}

static int parse_protocol(const char *text)
{
	char lower[8];
	size_t n = strlen(text);

	if (n >= sizeof(lower))
		return -EINVAL;
	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)tolower((unsigned char)text[i]);
	return inet_protocol_parse(lower);
}

/* Returns -EINVAL for what is no address; the engine has refused such a binding already. */
static int parse_host_ip(const char *text, struct port_binding *b)
{
	char buffer[INET_ADDR_TEXT + 2];
	struct in_addr v4;
	size_t n = strlen(text);

	if (n == 0) {
		b->host_ip_kind = HOST_IP_EMPTY;
		return 0;
	}
	if (inet_pton(AF_INET, text, &v4) == 1) {
		b->host_ip_kind = HOST_IP_V4;
		return 0;
	}
	/* PortBindings are kept as the client wrote them: "[::1]" too. */
	if (n >= 2 && n < sizeof(buffer) && text[0] == '[' && text[n - 1] == ']') {
		memcpy(buffer, text + 1, n - 2);
		buffer[n - 2] = '\0';
		text = buffer;
	}
	if (inet_parse(text, &b->host_ip) < 0)
		return -EINVAL;
	b->host_ip_kind = HOST_IP_V6;
	/* To the engine (Go's net.IP) these are IPv4. */
	if (IN6_IS_ADDR_V4MAPPED(&b->host_ip)) {
		b->host_ip_kind = HOST_IP_V4;
		b->host_ip = in6addr_any;
	}
	return 0;
}

/* "8080", "" or "0" (the engine chooses), "9000-9005" (it chooses one of these). */
static int parse_host_port(const char *text, uint16_t *ret)
{
	const char *dash = strchr(text, '-');
	uint16_t first, last;
	char buffer[6];

	if (!*text) {
		*ret = 0;
		return 0;
	}
	if (!dash)
		return inet_port_parse(text, ret);
	if ((size_t)(dash - text) >= sizeof(buffer))
		return -EINVAL;
	memcpy(buffer, text, (size_t)(dash - text));
	buffer[dash - text] = '\0';
	if (inet_port_parse(buffer, &first) < 0 || inet_port_parse(dash + 1, &last) < 0 ||
	    first > last)
		return -EINVAL;
	*ret = first == last ? first : 0;
	return 0;
}

static int add_binding(struct port_bindings *ret, const struct port_binding *b)
{
	struct port_binding *added = vec_add(ret);

	if (!added)
		return -ENOMEM;
	*added = *b;
	return 0;
}

/* "80/tcp" or "80". > 0 if it is one that we can publish, 0 if it is to be ignored. */
static int parse_port_key(const char *key, struct port_binding *ret)
{
	const char *slash = strchr(key, '/');
	size_t n = slash ? (size_t)(slash - key) : strlen(key);
	char port[6];
	int protocol = slash ? parse_protocol(slash + 1) : IPPROTO_TCP;

	if (protocol < 0 || n >= sizeof(port))
		return 0;
	memcpy(port, key, n);
	port[n] = '\0';
	*ret = (struct port_binding){ .protocol = (uint8_t)protocol };
	return inet_port_parse(port, &ret->container_port) == 0 && ret->container_port != 0;
}

static int decode_host_sides(const json_t *list, const struct port_binding *port,
			     struct port_bindings *ret, const char **ret_why)
{
	json_t *value;
	size_t i;

	json_array_foreach (list, i, value) {
		const json_t *ip = docker_json_get(value, "HostIp");
		const json_t *host_port = docker_json_get(value, "HostPort");
		struct port_binding b = *port;

		if (!json_is_object(value) || (ip && !json_is_string(ip)) ||
		    (host_port && !json_is_string(host_port)))
			return docker_json_bad(ret_why, "a port binding that is none");
		if (parse_host_ip(ip ? json_string_value(ip) : "", &b) < 0 ||
		    parse_host_port(host_port ? json_string_value(host_port) : "", &b.host_port) <
			    0)
			continue;
		if (add_binding(ret, &b) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* {"80/tcp":[{"HostIp":"","HostPort":"8080"}],"99/tcp":null} */
static int decode_port_map(const json_t *map, struct port_bindings *ret, const char **ret_why)
{
	const char *key;
	json_t *list;

	if (map && !json_is_object(map))
		return docker_json_bad(ret_why, "ports that are not an object");
	json_object_foreach ((json_t *)map, key, list) {
		struct port_binding port;
		int r = 0;

		if (!parse_port_key(key, &port))
			continue;
		if (!json_is_null(list) && !json_is_array(list))
			return docker_json_bad(ret_why, "bindings of a port that are not a list");
		if (json_array_size(list) == 0)
			r = add_binding(ret, &port);
		else
			r = decode_host_sides(list, &port, ret, ret_why);
		if (r < 0)
			return r;
	}
	sort_bindings(ret);
	return 0;
}

static int list_port(const json_t *value, const char *key, uint16_t *ret, const char **ret_why)
{
	json_t *number = docker_json_get(value, key);
	int64_t v = 0;
	int r = number ? docker_json_integer(number, &v, ret_why) : 0;

	if (r < 0)
		return r;
	if (v < 0 || v > UINT16_MAX)
		return docker_json_bad(ret_why, "a port number that is none");
	*ret = (uint16_t)v;
	return 0;
}

/* {"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"} */
static int decode_list_port(const json_t *value, struct port_bindings *ret, const char **ret_why)
{
	const char *type = json_string_value(docker_json_get(value, "Type"));
	const char *ip = json_string_value(docker_json_get(value, "IP"));
	int protocol = type ? parse_protocol(type) : -EINVAL, r;
	struct port_binding b = {};

	if (!json_is_object(value))
		return docker_json_bad(ret_why, "a port that is not an object");
	if (protocol < 0)
		return 0;
	b.protocol = (uint8_t)protocol;
	r = list_port(value, "PrivatePort", &b.container_port, ret_why);
	if (r == 0)
		r = list_port(value, "PublicPort", &b.host_port, ret_why);
	if (r < 0)
		return r;
	if (b.container_port == 0)
		return 0;
	/* Exposed only: no IP (29: an empty one) and no public port. */
	if ((!ip || !*ip) && b.host_port == 0)
		return add_binding(ret, &b);
	if (parse_host_ip(ip ? ip : "", &b) < 0)
		return 0;
	return add_binding(ret, &b);
}

static int decode_list_ports(const json_t *list, struct port_bindings *ret, const char **ret_why)
{
	json_t *value;
	size_t i;

	if (list && !json_is_array(list))
		return docker_json_bad(ret_why, "ports that are not a list");
	json_array_foreach (list, i, value) {
		int r = decode_list_port(value, ret, ret_why);

		if (r < 0)
			return r;
	}
	sort_bindings(ret);
	return 0;
}

static int decode_endpoint(const char *name, const json_t *value, struct endpoint *e,
			   const char **ret_why)
{
	const char *address = json_string_value(docker_json_get(value, "GlobalIPv6Address"));
	const char *gateway4 = json_string_value(docker_json_get(value, "Gateway"));
	const char *gateway6 = json_string_value(docker_json_get(value, "IPv6Gateway"));
	const json_t *priority = docker_json_get(value, "GwPriority");
	_cleanup_(json_decrefp) json_t *key = json_string_nocheck(name);
	int r;

	if (!key)
		return -ENOMEM;
	r = docker_json_text(key, &e->network_name, ret_why);
	if (r == 0)
		r = docker_json_text(docker_json_get(value, "NetworkID"), &e->network_id, ret_why);
	if (r < 0)
		return r;
	if (*e->network_id && !docker_json_network_id_is_valid(e->network_id))
		return docker_json_bad(ret_why, "an endpoint with an invalid network id");
	if (address && *address && inet_parse(address, &e->address) < 0)
		return docker_json_bad(ret_why, "an endpoint's address that is none");
	e->has_gateway4 = gateway4 && *gateway4;
	e->has_gateway6 = gateway6 && *gateway6;
	return priority ? docker_json_integer(priority, &e->gateway_priority, ret_why) : 0;
}

static int endpoint_compare(const void *a, const void *b)
{
	return strcmp(((const struct endpoint *)a)->network_name,
		      ((const struct endpoint *)b)->network_name);
}

static int decode_endpoints(const json_t *networks, struct container *c, const char **ret_why)
{
	const char *name;
	json_t *value;

	if (networks && !json_is_object(networks))
		return docker_json_bad(ret_why, "networks that are not an object");
	json_object_foreach ((json_t *)networks, name, value) {
		struct endpoint *e;
		int r;

		if (json_is_null(value)) /* asked for at creation, not yet connected */
			value = NULL;
		else if (!json_is_object(value))
			return docker_json_bad(ret_why, "an endpoint that is not an object");
		e = vec_add(&c->endpoints);
		if (!e)
			return -ENOMEM;
		r = decode_endpoint(name, value, e, ret_why);
		if (r < 0)
			return r;
	}
	vec_sort(&c->endpoints, endpoint_compare);
	return 0;
}

static enum network_mode_kind network_mode(const json_t *object)
{
	const char *mode = json_string_value(
		docker_json_get(docker_json_get(object, "HostConfig"), "NetworkMode"));

	if (mode && strcmp(mode, "host") == 0)
		return NETWORK_MODE_HOST;
	if (mode && strcmp(mode, "none") == 0)
		return NETWORK_MODE_NONE;
	if (mode && strncmp(mode, "container:", 10) == 0)
		return NETWORK_MODE_CONTAINER;
	return NETWORK_MODE_OWN;
}

static int decode_state(const json_t *value, enum container_state *ret, const char **ret_why)
{
	const char *text = json_string_value(value);
	int state = text ? container_state_from_string(text) : -EINVAL;

	if (state < 0)
		return docker_json_bad(ret_why, "a container state that is unknown");
	*ret = (enum container_state)state;
	return 0;
}

/* RFC 3339 to microseconds since 1970; 0 for what is none, or before ("0001-01-01": never). */
static uint64_t parse_time(const char *text)
{
	struct tm tm = {};
	int n = 0, offset_hours = 0, offset_minutes = 0;
	uint64_t us = 0;
	char sign;
	time_t t;

	if (!text ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6 ||
	    n == 0)
		return 0;
	text += n;
	if (*text == '.') {
		text++;
		for (uint64_t unit = 100000; isdigit((unsigned char)*text); text++, unit /= 10)
			us += (uint64_t)(*text - '0') * unit;
	}
	if (*text != 'Z' &&
	    (sscanf(text, "%c%2d:%2d", &sign, &offset_hours, &offset_minutes) != 3 ||
	     (sign != '+' && sign != '-')))
		return 0;
	if (tm.tm_year < 1970 || tm.tm_year > 9999)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	t = timegm(&tm);
	if (*text == '+')
		t -= offset_hours * 3600 + offset_minutes * 60;
	else if (*text == '-')
		t += offset_hours * 3600 + offset_minutes * 60;
	return t > 0 ? (uint64_t)t * 1000000 + us : 0;
}

static int decode_name(const json_t *value, char **ret, const char **ret_why)
{
	int r = docker_json_text(value, ret, ret_why);

	if (r == 0 && **ret == '/')
		memmove(*ret, *ret + 1, strlen(*ret));
	return r;
}

static int decode_inspected(const json_t *object, const json_t *state, struct container *c,
			    const char **ret_why)
{
	const json_t *settings = docker_json_get(object, "NetworkSettings");
	const json_t *host_config = docker_json_get(object, "HostConfig");
	int r;

	r = decode_name(docker_json_get(object, "Name"), &c->name, ret_why);
	if (r == 0)
		r = decode_state(docker_json_get(state, "Status"), &c->state, ret_why);
	if (r == 0)
		r = docker_json_key_values(
			docker_json_get(docker_json_get(object, "Config"), "Labels"),
			label_prefixes, &c->labels, ret_why);
	if (r == 0)
		r = decode_port_map(docker_json_get(settings, "Ports"), &c->ports, ret_why);
	if (r == 0)
		r = decode_port_map(docker_json_get(host_config, "PortBindings"), &c->requested,
				    ret_why);
	c->started_us = parse_time(json_string_value(docker_json_get(state, "StartedAt")));
	c->inspected = true;
	return r;
}

/* A container has several names while the engine still links them; ours has one slash. */
static const json_t *own_name(const json_t *names)
{
	json_t *value;
	size_t i;

	json_array_foreach (names, i, value) {
		const char *s = json_string_value(value);

		if (s && *s == '/' && !strchr(s + 1, '/'))
			return value;
	}
	return json_array_get(names, 0);
}

static int decode_listed(const json_t *object, const json_t *state, struct container *c,
			 const char **ret_why)
{
	int r;

	r = decode_name(own_name(docker_json_get(object, "Names")), &c->name, ret_why);
	if (r == 0)
		r = decode_state(state, &c->state, ret_why);
	if (r == 0)
		r = docker_json_key_values(docker_json_get(object, "Labels"), label_prefixes,
					   &c->labels, ret_why);
	if (r == 0)
		r = decode_list_ports(docker_json_get(object, "Ports"), &c->ports, ret_why);
	return r;
}

/* The list keeps what a failed start once had, which an inspect does not show: nothing is bound
 * for a process that does not run. */
static void forget_bound(struct container *c)
{
	if (c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED)
		return;
	vec_done(&c->ports);
	vec_foreach (e, &c->endpoints) {
		e->address = in6addr_any;
		e->has_gateway4 = e->has_gateway6 = false;
	}
}

static int decode_container(const json_t *object, struct container *c, const char **ret_why)
{
	const json_t *state = docker_json_get(object, "State");
	int r;

	r = docker_json_text(docker_json_get(object, "Id"), &c->id, ret_why);
	if (r < 0)
		return r;
	if (!docker_json_id_is_valid(c->id))
		return docker_json_bad(ret_why, "a container without a valid id");
	c->network_mode = network_mode(object);
	r = decode_endpoints(
		docker_json_get(docker_json_get(object, "NetworkSettings"), "Networks"), c,
		ret_why);
	if (r < 0)
		return r;
	r = json_is_object(state) ? decode_inspected(object, state, c, ret_why)
				  : decode_listed(object, state, c, ret_why);
	if (r == 0)
		forget_bound(c);
	return r;
}

int docker_json_container_value(const json_t *object, struct container *ret, const char **ret_why)
{
	_cleanup_(container_done) struct container c = {};
	int r;

	if (!json_is_object(object))
		return docker_json_bad(ret_why, "a container that is not an object");
	r = decode_container(object, &c, ret_why);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct container){};
	return 0;
}
