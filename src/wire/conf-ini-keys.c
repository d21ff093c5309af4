/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/conf-ini-keys.h"

#include "base/log.h"
#include "wire/docker-url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <strings.h>

/* Values */

static int parse_enum(const char *value, void *field, int (*from_string)(const char *))
{
	int r = from_string(value);

	if (r < 0)
		return -EINVAL;
	*(unsigned *)field = (unsigned)r;
	return 0;
}

#define DEFINE_PARSE_ENUM(prefix)                                                             \
	static int parse_##prefix(const char *value, void *field)                             \
	{                                                                                     \
		static_assert(sizeof(enum prefix) == sizeof(unsigned), "stored as unsigned"); \
		return parse_enum(value, field, prefix##_from_string);                        \
	}

DEFINE_PARSE_ENUM(config_backend)
DEFINE_PARSE_ENUM(config_on_stop)
DEFINE_PARSE_ENUM(config_unpublished)
DEFINE_PARSE_ENUM(config_foreign_forward)
DEFINE_PARSE_ENUM(config_forwarding)
DEFINE_PARSE_ENUM(config_ndp_override)
DEFINE_PARSE_ENUM(net_mode)

static int parse_firewall(const char *value, void *field)
{
	enum net_firewall *f = field;

	if (strcmp(value, "closed") == 0)
		*f = NET_FIREWALL_CLOSED;
	else if (strcmp(value, "open") == 0)
		*f = NET_FIREWALL_OPEN;
	else
		return -EINVAL;
	return 0;
}

static int parse_pool_ports(const char *value, void *field)
{
	if (strcmp(value, "all") != 0 && strcmp(value, "published") != 0)
		return -EINVAL;
	*(bool *)field = strcmp(value, "all") == 0;
	return 0;
}

static int parse_bool(const char *value, void *field)
{
	bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;

	if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
		return -EINVAL;
	*(bool *)field = yes;
	return 0;
}

static int parse_log_level(const char *value, void *field)
{
	int r = log_level_from_string(value);

	if (r < 0)
		return -EINVAL;
	*(int *)field = r;
	return 0;
}

/* Decimal, 1 to the maximum. */
static int parse_number(const char *value, uint32_t maximum, uint32_t *ret)
{
	uint64_t n = 0;

	for (const char *p = value; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > maximum)
			return -EINVAL;
	}
	if (n == 0)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static int parse_seconds(const char *value, void *field)
{
	return parse_number(value, 86400, field);
}

static int parse_rate(const char *value, void *field)
{
	return parse_number(value, 10000000, field);
}

static int parse_string(const char *value, void *field)
{
	char **text = field, *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static void reset_string(void *field)
{
	char **text = field;

	free(*text);
	*text = NULL;
}

static int parse_docker_host(const char *value, void *field)
{
	struct docker_address address = {};
	const char *why;
	int r;

	r = docker_address_parse(value, false, false, &address, &why);
	docker_address_done(&address);
	return r < 0 ? r : parse_string(value, field);
}

static int parse_path(const char *value, void *field)
{
	return value[0] == '/' ? parse_string(value, field) : -EINVAL;
}

/* As the kernel's dev_valid_name(). */
static bool interface_is_valid(const char *name)
{
	return name[0] != '\0' && strlen(name) < IFNAMSIZ && !strpbrk(name, "/: \t") &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int parse_interface(const char *value, void *field)
{
	return interface_is_valid(value) ? parse_string(value, field) : -EINVAL;
}

/* Calls parse for each word of the value, which is a list. */
static int parse_words(const char *value, void *field, int (*parse)(const char *, void *))
{
	_cleanup_(freep) char *copy = strdup(value);
	char *state = NULL;
	int r;

	if (!copy)
		return -ENOMEM;
	for (char *w = strtok_r(copy, " \t", &state); w; w = strtok_r(NULL, " \t", &state)) {
		r = parse(w, field);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_interface(const char *value, void *field)
{
	struct config_strings *list = field;
	struct config_string *s;

	if (!interface_is_valid(value))
		return -EINVAL;
	vec_foreach (known, list)
		if (strcmp(known->text, value) == 0)
			return 0;
	s = vec_add(list);
	if (!s)
		return -ENOMEM;
	s->text = strdup(value);
	if (!s->text) {
		list->n--;
		return -ENOMEM;
	}
	return 0;
}

static int parse_interfaces(const char *value, void *field)
{
	return parse_words(value, field, add_interface);
}

static void reset_strings(void *field)
{
	struct config_strings *list = field;

	vec_foreach (s, list)
		free(s->text);
	vec_done(list);
}

static int parse_uplinks(const char *value, void *field)
{
	if (strcmp(value, "auto") == 0) {
		reset_strings(field);
		return 0;
	}
	return parse_interfaces(value, field);
}

static bool address_is_unicast(const struct in6_addr *a)
{
	return !inet_is_zero(a) && !inet_is_multicast(a) && !inet_is_loopback(a);
}

static int parse_snat(const char *value, void *field)
{
	struct in6_addr a;

	if (inet_parse(value, &a) < 0 || !address_is_unicast(&a) || inet_is_link_local(&a))
		return -EINVAL;
	*(struct in6_addr *)field = a;
	return 0;
}

static int parse_ndp_source(const char *value, void *object)
{
	struct config *c = object;
	struct in6_addr a = IN6ADDR_ANY_INIT;

	if (strcmp(value, "target") == 0) {
		c->ndp_source = CONFIG_NDP_SOURCE_TARGET;
	} else if (strcmp(value, "link-local") == 0) {
		c->ndp_source = CONFIG_NDP_SOURCE_LINK_LOCAL;
	} else {
		if (inet_parse(value, &a) < 0 || !address_is_unicast(&a))
			return -EINVAL;
		c->ndp_source = CONFIG_NDP_SOURCE_ADDRESS;
	}
	c->ndp_source_address = a;
	return 0;
}

static void reset_ndp_source(void *object)
{
	(void)parse_ndp_source("target", object);
}

static int parse_network_prefix(const char *value, void *object)
{
	struct config_network *n = object;
	struct inet_prefix p = { 0 };
	bool of_uplink = strcmp(value, "uplink") == 0;

	if (!of_uplink && inet_prefix_parse(value, &p) < 0)
		return -EINVAL;
	n->prefix = p;
	n->has_prefix = !of_uplink;
	n->prefix_of_uplink = of_uplink;
	return 0;
}

static void reset_network_prefix(void *object)
{
	struct config_network *n = object;

	n->prefix = (struct inet_prefix){ 0 };
	n->has_prefix = n->prefix_of_uplink = false;
}

static int add_proxy_prefix(const char *value, void *object)
{
	struct config_proxy *proxy = object;
	struct inet_prefix p, *item;

	if (inet_prefix_parse(value, &p) < 0)
		return -EINVAL;
	vec_foreach (known, &proxy->prefixes)
		if (inet_prefix_compare(known, &p) == 0)
			return 0;
	item = vec_add(&proxy->prefixes);
	if (!item)
		return -ENOMEM;
	*item = p;
	return 0;
}

static int parse_proxy_prefixes(const char *value, void *object)
{
	return parse_words(value, object, add_proxy_prefix);
}

static void reset_proxy_prefixes(void *object)
{
	struct config_proxy *proxy = object;

	vec_done(&proxy->prefixes);
}

static int parse_pool_range(const char *value, void *object)
{
	struct config_pool *pool = object;

	if (inet_prefix_parse(value, &pool->range) < 0)
		return -EINVAL;
	pool->has_range = true;
	return 0;
}

static void reset_pool_range(void *object)
{
	struct config_pool *pool = object;

	pool->range = (struct inet_prefix){ 0 };
	pool->has_range = false;
}

/* "[ADDRESS6]:PORT" or "ADDRESS4:PORT". */
static int parse_listen(const char *value, void *field)
{
	struct in6_addr address;
	uint16_t port;

	if (inet_endpoint_parse(value, &address, &port) < 0 || port == 0)
		return -EINVAL;
	return parse_string(value, field);
}

/* Keys */

#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define WHOLE(type) 0, sizeof(struct type)
#define AN_ADDRESS "an IPv6 address"
#define A_PREFIX "an IPv6 prefix as 2001:db8:1::/80"
#define AN_INTERFACE "an interface name (at most 15 characters)"
#define ANY ""

static const struct conf_key daemon_keys[] = {
	{ "Backend", parse_config_backend, NULL, FIELD(config, backend),
	  "auto, nftables or ip6tables", "ip6tables" },
	{ "OnStop", parse_config_on_stop, NULL, FIELD(config, on_stop), "keep or remove", NULL },
	{ "LogLevel", parse_log_level, NULL, FIELD(config, log_level),
	  "error, warning, notice, info or debug", NULL },
	{ 0 },
};

static const struct conf_key docker_keys[] = {
	{ "Host", parse_docker_host, reset_string, FIELD(config, docker_host),
	  "unix:///PATH (at most 107 bytes), tcp://HOST:PORT or https://HOST:PORT", NULL },
	{ "CertPath", parse_path, reset_string, FIELD(config, docker_cert_path), "an absolute path",
	  NULL },
	{ "ResyncSec", parse_seconds, NULL, FIELD(config, resync_s),
	  "a number of seconds, 1 to 86400", NULL },
	{ 0 },
};

static const struct conf_key uplink_keys[] = {
	{ "Interface", parse_uplinks, reset_strings, FIELD(config, uplinks),
	  "auto or interface names (at most 15 characters each)", NULL },
	{ 0 },
};

static const struct conf_key ndp_keys[] = {
	{ "Answer", parse_bool, NULL, FIELD(config, ndp_answer), "yes or no", NULL },
	{ "Source", parse_ndp_source, reset_ndp_source, WHOLE(config),
	  "target, link-local or " AN_ADDRESS, NULL },
	{ "Override", parse_config_ndp_override, NULL, FIELD(config, ndp_override),
	  "never, multicast or always", NULL },
	{ "Announce", parse_bool, NULL, FIELD(config, ndp_announce), "yes or no", NULL },
	{ "RatePerSec", parse_rate, NULL, FIELD(config, ndp_rate_per_s), "a number above 0", NULL },
	{ 0 },
};

static const struct conf_key firewall_keys[] = {
	{ "Unpublished", parse_config_unpublished, NULL, FIELD(config, unpublished),
	  "drop or accept", NULL },
	{ "ForeignForward", parse_config_foreign_forward, NULL, FIELD(config, foreign_forward),
	  "report or jump", "jump" },
	{ "Forwarding", parse_config_forwarding, NULL, FIELD(config, forwarding),
	  "ensure or report", NULL },
	{ 0 },
};

static const struct conf_key proxy_keys[] = {
	{ "Prefix", parse_proxy_prefixes, reset_proxy_prefixes, WHOLE(config_proxy), A_PREFIX,
	  NULL },
	{ 0 },
};

static const struct conf_key pool_keys[] = {
	{ "Range", parse_pool_range, reset_pool_range, WHOLE(config_pool), A_PREFIX, NULL },
	{ "Uplink", parse_interface, reset_string, FIELD(config_pool, uplink), AN_INTERFACE, ANY },
	{ "Ports", parse_pool_ports, NULL, FIELD(config_pool, all_ports), "published or all", ANY },
	{ 0 },
};

static const struct conf_key network_keys[] = {
	{ "Mode", parse_net_mode, NULL, FIELD(config_network, mode),
	  "auto, nat, proxy, routed, npt, internal, native or off", NULL },
	{ "Snat", parse_snat, NULL, FIELD(config_network, snat), AN_ADDRESS, NULL },
	{ "Prefix", parse_network_prefix, reset_network_prefix, WHOLE(config_network),
	  "uplink or " A_PREFIX, ANY },
	{ "Firewall", parse_firewall, NULL, FIELD(config_network, firewall), "closed or open",
	  NULL },
	{ "Uplink", parse_interface, reset_string, FIELD(config_network, uplink), AN_INTERFACE,
	  NULL },
	{ "Trusted", parse_interfaces, reset_strings, FIELD(config_network, trusted),
	  "interface names (at most 15 characters each)", NULL },
	{ 0 },
};

static const struct conf_key metrics_keys[] = {
	{ "Listen", parse_listen, reset_string, FIELD(config, metrics_listen), "[ADDRESS]:PORT",
	  NULL },
	{ 0 },
};

/* Sections */

static void *open_config(struct config *c, const char *argument)
{
	(void)argument;
	return c;
}

static bool network_name_is_valid(const char *name)
{
	return name[0] != '\0';
}

static bool pool_name_is_valid(const char *name)
{
	return name[0] != '\0' && strspn(name, "abcdefghijklmnopqrstuvwxyz"
					       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					       "0123456789_.-") == strlen(name);
}

static void *open_proxy(struct config *c, const char *argument)
{
	struct config_proxy *proxy;

	vec_foreach (known, &c->proxies)
		if (strcmp(known->interface, argument) == 0)
			return known;
	proxy = vec_add(&c->proxies);
	if (!proxy)
		return NULL;
	proxy->interface = strdup(argument);
	if (!proxy->interface) {
		c->proxies.n--;
		return NULL;
	}
	return proxy;
}

static void *open_pool(struct config *c, const char *argument)
{
	struct config_pool *pool;

	vec_foreach (known, &c->pools)
		if (strcmp(known->name, argument) == 0)
			return known;
	pool = vec_add(&c->pools);
	if (!pool)
		return NULL;
	pool->name = strdup(argument);
	if (!pool->name) {
		c->pools.n--;
		return NULL;
	}
	return pool;
}

/* Globs overlap, so the order of all [Network] sections counts: never goes back to one. */
static void *open_network(struct config *c, const char *argument)
{
	struct config_network *n = c->networks.n > 0 ? &c->networks.items[c->networks.n - 1] : NULL;

	if (n && strcmp(n->pattern, argument) == 0)
		return n;
	n = vec_add(&c->networks);
	if (!n)
		return NULL;
	n->pattern = strdup(argument);
	if (!n->pattern) {
		c->networks.n--;
		return NULL;
	}
	return n;
}

static const struct conf_section sections[] = {
	{ "Daemon", NULL, NULL, open_config, daemon_keys },
	{ "Docker", NULL, NULL, open_config, docker_keys },
	{ "Uplink", NULL, NULL, open_config, uplink_keys },
	{ "NDP", NULL, NULL, open_config, ndp_keys },
	{ "Firewall", NULL, NULL, open_config, firewall_keys },
	{ "Proxy", "INTERFACE", interface_is_valid, open_proxy, proxy_keys },
	{ "Pool", "NAME", pool_name_is_valid, open_pool, pool_keys },
	{ "Network", "NAME", network_name_is_valid, open_network, network_keys },
	{ "Metrics", NULL, NULL, open_config, metrics_keys },
};

const struct conf_section *conf_section_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(sections); i++)
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	return NULL;
}

const struct conf_key *conf_key_find(const struct conf_section *s, const char *name)
{
	for (const struct conf_key *k = s->keys; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

const char *conf_key_suggest(const struct conf_section *s, const char *name)
{
	for (const struct conf_key *k = s->keys; k->name; k++)
		if (strcasecmp(k->name, name) == 0)
			return k->name;
	return NULL;
}

static void key_reset(const struct conf_key *k, void *object, const struct config *defaults)
{
	char *field = (char *)object + k->offset;

	if (k->reset)
		k->reset(field);
	else if (defaults)
		memcpy(field, (const char *)defaults + k->offset, k->size);
	else
		memset(field, 0, k->size);
}

/*
 * "Later wins" across sections of the same name: a key that is set again counts only where it
 * stands last. Without this, Mode=auto (which is how "unset" is stored) could not take back
 * an earlier Mode=nat. Lists add up, so theirs moves to the end as well.
 */
static int take_over_network_key(const struct conf_key *k, struct config_network *n,
				 const char *value, struct config *c)
{
	int r;

	vec_foreach (earlier, &c->networks) {
		if (earlier == n || strcmp(earlier->pattern, n->pattern) != 0)
			continue;
		if (k->parse == parse_interfaces && value[0] != '\0') {
			vec_foreach (s, &earlier->trusted) {
				r = add_interface(s->text, &n->trusted);
				if (r < 0)
					return r;
			}
		}
		key_reset(k, earlier, NULL);
	}
	return 0;
}

int conf_key_set(const struct conf_section *s, const struct conf_key *k, void *object,
		 const char *value, struct config *c, const struct config *defaults)
{
	int r;

	if (s->keys == network_keys) {
		r = take_over_network_key(k, object, value, c);
		if (r < 0)
			return r;
	}
	if (value[0] == '\0') {
		key_reset(k, object, object == (void *)c ? defaults : NULL);
		return 0;
	}
	return k->parse(value, (char *)object + k->offset);
}
