/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/docker-json-private.h"

#include <arpa/inet.h>
#include <ctype.h>

static const char *const label_prefixes[] = { "ipv6nat.", NULL };
static const char *const option_prefixes[] = { "com.docker.network.", "ipv6nat.", NULL };

#define OPTION_BRIDGE_NAME "com.docker.network.bridge.name"

/* The kernel's rule (dev_valid_name): other names cannot be an interface's, and this one goes into
 * rules and messages. */
static bool interface_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n < 1 || n > 15 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (const char *p = name; *p; p++)
		if (*p == '/' || *p == ':' || isspace((unsigned char)*p) ||
		    (unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return true;
}

/* An address, where some engines append the prefix length. */
static int parse_address(const char *text, struct in6_addr *ret)
{
	char buffer[INET_ADDR_TEXT];
	size_t n = strcspn(text, "/");

	if (n >= sizeof(buffer))
		return -EINVAL;
	memcpy(buffer, text, n);
	buffer[n] = '\0';
	return inet_parse(buffer, ret);
}

static int decode_subnet(const json_t *value, struct network *n, const char **ret_why)
{
	const char *subnet = json_string_value(docker_json_get(value, "Subnet"));
	const char *gateway = json_string_value(docker_json_get(value, "Gateway"));
	struct network_subnet *added;
	struct inet_prefix prefix;

	if (!json_is_object(value))
		return docker_json_bad(ret_why, "a subnet that is not an object");
	/* IPv4, or none given (some IPAM drivers). */
	if (!subnet || !strchr(subnet, ':'))
		return 0;
	if (inet_prefix_parse(subnet, &prefix) < 0)
		return docker_json_bad(ret_why, "a subnet that is none");
	added = vec_add(&n->subnets);
	if (!added)
		return -ENOMEM;
	added->prefix = prefix;
	/* What cannot be read is not said: the bridge device's address is the truth anyway. */
	if (gateway && parse_address(gateway, &added->gateway) < 0)
		added->gateway = in6addr_any;
	return 0;
}

static int subnet_compare(const void *a, const void *b)
{
	return inet_prefix_compare(&((const struct network_subnet *)a)->prefix,
				   &((const struct network_subnet *)b)->prefix);
}

static int decode_subnets(const json_t *ipam, struct network *n, const char **ret_why)
{
	const json_t *config = docker_json_get(ipam, "Config");
	json_t *value;
	size_t i;

	if (config && !json_is_array(config))
		return docker_json_bad(ret_why, "subnets that are not a list");
	json_array_foreach (config, i, value) {
		int r = decode_subnet(value, n, ret_why);

		if (r < 0)
			return r;
	}
	vec_sort(&n->subnets, subnet_compare);
	return 0;
}

static int member_compare(const void *a, const void *b)
{
	return strcmp(((const struct network_member *)a)->container_id,
		      ((const struct network_member *)b)->container_id);
}

static int decode_members(const json_t *members, struct network *n, const char **ret_why)
{
	const char *key;
	json_t *value;

	if (members && !json_is_object(members))
		return docker_json_bad(ret_why, "members that are not an object");
	json_object_foreach ((json_t *)members, key, value) {
		const char *address = json_string_value(docker_json_get(value, "IPv6Address"));
		struct network_member *m;

		if (strlen(key) > DOCKER_TEXT_MAX) {
			*ret_why = "a member's name is too long";
			return -E2BIG;
		}
		m = vec_add(&n->members);
		if (!m)
			return -ENOMEM;
		m->container_id = strdup(key);
		if (!m->container_id)
			return -ENOMEM;
		if (address && *address && parse_address(address, &m->address) < 0)
			return docker_json_bad(ret_why, "a member's address that is none");
	}
	vec_sort(&n->members, member_compare);
	/* An engine of 29 leaves an empty object out: absent is nobody. */
	n->members_known = true;
	return 0;
}

static int decode_flags(const json_t *object, struct network *n, const char **ret_why)
{
	bool ipv4;
	const struct {
		const char *key;
		bool *flag;
	} flags[] = {
		{ "EnableIPv4", &ipv4 },      { "EnableIPv6", &n->ipv6 },
		{ "Internal", &n->internal }, { "ConfigOnly", &n->config_only },
		{ "Ingress", &n->ingress },
	};

	for (size_t i = 0; i < N_ELEMENTS(flags); i++) {
		int r = docker_json_flag(docker_json_get(object, flags[i].key), flags[i].flag,
					 ret_why);
		if (r < 0)
			return r;
	}
	/* Engines before 28 do not say: there is no such network. */
	n->ipv6_only = docker_json_get(object, "EnableIPv4") && !ipv4;
	return 0;
}

static bool is_swarm(const json_t *object)
{
	const char *scope = json_string_value(docker_json_get(object, "Scope"));

	return scope && strcmp(scope, "swarm") == 0;
}

static int check_bridge_name(struct network *n, const char **ret_why)
{
	for (size_t i = 0; i < n->options.n; i++) {
		struct key_value *kv = &n->options.items[i];

		if (strcmp(kv->key, OPTION_BRIDGE_NAME) != 0)
			continue;
		if (*kv->value && strcmp(n->driver, "bridge") == 0 &&
		    !interface_name_is_valid(kv->value))
			return docker_json_bad(ret_why, "a bridge name that is no interface's");
		/* Empty is the same as absent to the engine: so it is to our readers. */
		if (!*kv->value) {
			free(kv->key);
			free(kv->value);
			vec_remove(&n->options, i);
		}
		break;
	}
	return 0;
}

static int decode_network(const json_t *object, struct network *n, const char **ret_why)
{
	int r;

	r = docker_json_text(docker_json_get(object, "Id"), &n->id, ret_why);
	if (r < 0)
		return r;
	if (!docker_json_network_id_is_valid(n->id))
		return docker_json_bad(ret_why, "a network without a valid id");
	r = docker_json_text(docker_json_get(object, "Name"), &n->name, ret_why);
	if (r == 0)
		r = docker_json_text(docker_json_get(object, "Driver"), &n->driver, ret_why);
	if (r == 0)
		r = decode_flags(object, n, ret_why);
	n->swarm = is_swarm(object);
	if (r == 0)
		r = decode_subnets(docker_json_get(object, "IPAM"), n, ret_why);
	if (r == 0)
		r = docker_json_key_values(docker_json_get(object, "Options"), option_prefixes,
					   &n->options, ret_why);
	if (r == 0)
		r = docker_json_key_values(docker_json_get(object, "Labels"), label_prefixes,
					   &n->labels, ret_why);
	if (r == 0)
		r = decode_members(docker_json_get(object, "Containers"), n, ret_why);
	if (r == 0)
		r = check_bridge_name(n, ret_why);
	return r;
}

int docker_json_network_value(const json_t *object, struct network *ret, const char **ret_why)
{
	_cleanup_(network_done) struct network n = {};
	int r;

	if (!json_is_object(object))
		return docker_json_bad(ret_why, "a network that is not an object");
	r = decode_network(object, &n, ret_why);
	if (r < 0)
		return r;
	*ret = n;
	n = (struct network){};
	return 0;
}
