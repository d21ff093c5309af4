/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which host ports lead where: the engine's bindings, its gateway order, assumptions, conflicts. */
#include "unit/world.h"

#define OPTION_V4 WORLD_BRIDGE "host_binding_ipv4"
#define OPTION_V6 WORLD_BRIDGE "host_binding_ipv6"

/* One uplink, one ULA network, a default bridge without IPv6. */
static void basic_world(struct world *w, unsigned major, unsigned minor, unsigned patch)
{
	world_init(w, major, minor, patch);
	(void)world_uplink(w, "eth0", "2001:db8:1::/64", "2001:db8:1::16");
	(void)world_network(w, "bridge", NULL);
	world_option(w, "bridge", WORLD_BRIDGE "default_bridge", "true");
	world_option(w, "bridge", OPTION_V4, "0.0.0.0");
	(void)world_network(w, "ula", "fd00:6::/64");
}

static void expect_ports(struct world *w, const char *container, const char *expected)
{
	(void)world_plan(w);
	assert_string_equal(world_ports(w, container), expected);
}

/* --------------------------------------------------------------- HostIp */

struct host_ip_case {
	unsigned major, minor, patch;
	const char *default_v4, *option_v6; /* options of the network */
	const char *requested[3], *bound[3];
	bool listed_only; /* not inspected */
	const char *expected;
};

/* Property: what a binding means for IPv6, for every engine version and default binding. */
static void test_host_ip(void **state)
{
	static const struct host_ip_case cases[] = {
		/* An IPv6 literal is what it says, an IPv4 one is none of our business. */
		{ 20,
		  10,
		  24,
		  NULL,
		  NULL,
		  { "[2001:db8:1::16]:8083->83/tcp" },
		  { "[2001:db8:1::16]:8083->83/tcp" },
		  false,
		  "ula [2001:db8:1::16]:8083->83/tcp active" },
		{ 20,
		  10,
		  24,
		  NULL,
		  NULL,
		  { "127.0.0.1:81->80/tcp" },
		  { "127.0.0.1:81->80/tcp" },
		  false,
		  "" },
		{ 20,
		  10,
		  24,
		  NULL,
		  NULL,
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp", "[::]:80->80/tcp" },
		  false,
		  "ula [::]:80->80/tcp active" },
		{ 28, 5, 2, NULL, NULL, { "80/tcp" }, { "80/tcp" }, false, "" },
		/* Before 20.10.6 the request tells. */
		{ 19,
		  3,
		  15,
		  NULL,
		  NULL,
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp" },
		  false,
		  "ula [::]:80->80/tcp active" },
		{ 20,
		  10,
		  5,
		  NULL,
		  NULL,
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp", "[::]:80->80/tcp" },
		  false,
		  "ula [::]:80->80/tcp active" },
		{ 20,
		  10,
		  5,
		  NULL,
		  NULL,
		  { ":0->80/tcp" },
		  { "0.0.0.0:49153->80/tcp" },
		  false,
		  "ula [::]:49153->80/tcp active" },
		{ 20, 10, 6, NULL, NULL, { ":80->80/tcp" }, { "0.0.0.0:80->80/tcp" }, false, "" },
		{ 19,
		  3,
		  15,
		  NULL,
		  NULL,
		  { "0.0.0.0:80->80/tcp" },
		  { "0.0.0.0:80->80/tcp" },
		  false,
		  "" },
		{ 19, 3, 15, NULL, NULL, { ":80->80/tcp" }, { "0.0.0.0:80->80/tcp" }, true, "" },
		/* ... for the very binding: a port for localhost only stays there. */
		{ 19,
		  3,
		  15,
		  NULL,
		  NULL,
		  { ":8080->80/tcp", "127.0.0.1:8081->80/tcp" },
		  { "0.0.0.0:8080->80/tcp", "127.0.0.1:8081->80/tcp" },
		  false,
		  "ula [::]:8080->80/tcp active" },
		{ 19,
		  3,
		  15,
		  NULL,
		  NULL,
		  { ":0->80/tcp", "127.0.0.1:8081->80/tcp" },
		  { "0.0.0.0:49153->80/tcp", "127.0.0.1:8081->80/tcp" },
		  false,
		  "ula [::]:49153->80/tcp active" },
		{ 19,
		  3,
		  15,
		  NULL,
		  NULL,
		  { ":0->80/tcp", "127.0.0.1:0->80/tcp" },
		  { "0.0.0.0:49153->80/tcp", "127.0.0.1:49154->80/tcp" },
		  false,
		  "" },
		{ 19,
		  3,
		  15,
		  NULL,
		  NULL,
		  { ":53->53/udp", "127.0.0.1:53->53/tcp" },
		  { "0.0.0.0:53->53/udp", "127.0.0.1:53->53/tcp" },
		  false,
		  "ula [::]:53->53/udp active" },
		/* ... unless the default binding is an IPv4 address. */
		{ 19,
		  3,
		  15,
		  "192.0.2.1",
		  NULL,
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp" },
		  false,
		  "" },
		{ 19,
		  3,
		  15,
		  "2001:db8:1::16",
		  NULL,
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp" },
		  false,
		  "ula [2001:db8:1::16]:80->80/tcp active" },
		/* docker-ipv6nat's option narrows the default binding, nothing else. */
		{ 20,
		  10,
		  24,
		  NULL,
		  "2001:db8:1::16",
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp", "[::]:80->80/tcp" },
		  false,
		  "ula [2001:db8:1::16]:80->80/tcp active" },
		{ 20,
		  10,
		  24,
		  NULL,
		  "2001:db8:1::16",
		  { "[::]:80->80/tcp" },
		  { "[::]:80->80/tcp" },
		  false,
		  "ula [::]:80->80/tcp active" },
		{ 20,
		  10,
		  24,
		  NULL,
		  "2001:db8:1::16",
		  { ":80->80/tcp", "[::]:81->80/tcp" },
		  { "0.0.0.0:80->80/tcp", "[::]:80->80/tcp", "[::]:81->80/tcp" },
		  false,
		  "ula [2001:db8:1::16]:80->80/tcp active; ula [::]:81->80/tcp active" },
		{ 20,
		  10,
		  24,
		  NULL,
		  "2001:db8:1::16",
		  { NULL },
		  { "0.0.0.0:80->80/tcp", "[::]:80->80/tcp" },
		  true,
		  "ula [2001:db8:1::16]:80->80/tcp active" },
		{ 20,
		  10,
		  24,
		  NULL,
		  "2001:db8:1::16",
		  { NULL },
		  { "[::]:80->80/tcp" },
		  true,
		  "ula [::]:80->80/tcp active" },
		{ 20,
		  10,
		  24,
		  NULL,
		  "2001:db8:1::16/64",
		  { ":80->80/tcp" },
		  { "0.0.0.0:80->80/tcp", "[::]:80->80/tcp" },
		  false,
		  "ula [::]:80->80/tcp active" },
		{ 20,
		  10,
		  24,
		  "::",
		  "2001:db8:1::16",
		  { ":80->80/tcp" },
		  { "[::]:80->80/tcp" },
		  false,
		  "ula [2001:db8:1::16]:80->80/tcp active" },
		/* What the kernel cannot translate is listed. */
		{ 20,
		  10,
		  24,
		  NULL,
		  NULL,
		  { "[::1]:82->82/tcp" },
		  { "[::1]:82->82/tcp" },
		  false,
		  "ula [::1]:82->82/tcp proxied" },
		{ 20,
		  10,
		  24,
		  NULL,
		  NULL,
		  { "[fe80::1]:82->82/tcp" },
		  { "[fe80::1]:82->82/tcp" },
		  false,
		  "ula [fe80::1]:82->82/tcp proxied" },
		/* The same twice is once. */
		{ 28,
		  5,
		  2,
		  NULL,
		  NULL,
		  { NULL },
		  { "[::]:80->80/tcp", "[::]:80->80/tcp" },
		  false,
		  "ula [::]:80->80/tcp active" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct host_ip_case *c = &cases[i];
		struct world w;

		basic_world(&w, c->major, c->minor, c->patch);
		if (c->default_v4)
			world_option(&w, "ula", OPTION_V4, c->default_v4);
		if (c->option_v6)
			world_option(&w, "ula", OPTION_V6, c->option_v6);
		world_container(&w, "web", "ula", "fd00:6::2")->inspected = !c->listed_only;
		for (size_t k = 0; k < N_ELEMENTS(c->bound); k++) {
			if (c->requested[k])
				world_requested(&w, "web", c->requested[k]);
			if (c->bound[k])
				world_bound(&w, "web", c->bound[k]);
		}
		(void)world_plan(&w);
		if (strcmp(world_ports(&w, "web"), c->expected) != 0)
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, w.text, c->expected);
		world_done(&w);
	}
}

/* Property: an option that is no address is a problem, and Docker's own option still counts. */
static void test_invalid_host_binding(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 20, 10, 24);
	world_option(&w, "ula", OPTION_V6, "eth0");
	world_option(&w, "ula", OPTION_V4, "2001:db8:1::16");
	(void)world_starting(&w, "web", "ula", "fd00:6::2");
	world_requested(&w, "web", ":80->80/tcp");
	expect_ports(&w, "web", "ula [2001:db8:1::16]:80->80/tcp assumed");
	assert_int_equal(world_problems(&w, PROBLEM_LABEL_INVALID), 1);
	world_done(&w);
}

/* ------------------------------------------------------ what is published */

/* Property: a mapping is an element of the map of its kind; in mode nat the container's own port
 * is not opened. */
static void test_nat_elements(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_container(&w, "web", "ula", "fd00:6::2");
	world_bound(&w, "web", "[::]:8080->80/tcp");
	world_bound(&w, "web", "[::]:8080->80/udp");
	world_bound(&w, "web", "[2001:db8:1::16]:8080->81/sctp");
	world_bound(&w, "web", "[::1]:8082->82/tcp");
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "publish_any"),
			    "tcp . 8080 : fd00:6::2 . 80; udp . 8080 : fd00:6::2 . 80");
	assert_string_equal(world_elements(&w, "publish_address"),
			    "2001:db8:1::16 . sctp . 8080 : fd00:6::2 . 81");
	assert_int_equal(world_count(&w, "open"), 0);
	assert_int_equal(world_count(&w, "live"), 0);
	/* The address with a binding of its own is looked up in both maps. */
	assert_true(world_has(&w, "host_address", "2001:db8:1::16 : goto publish_to_address"));
	world_done(&w);
}

/* Property: in modes without translation the container's port is opened as well, live addresses
 * may be pinged, and a host address without bindings needs one lookup only. */
static void test_proxy_elements(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_network(&w, "gua", "2001:db8:1:0:d0::/80");
	(void)world_container(&w, "web", "gua", "2001:db8:1:0:d0::2");
	world_bound(&w, "web", "[::]:8080->80/tcp");
	world_bound(&w, "web", "[::1]:8082->82/tcp");
	world_bound(&w, "web", "[::]:0->83/tcp"); /* as gateway mode routed lists it */
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "publish_any"),
			    "tcp . 8080 : 2001:db8:1:0:d0::2 . 80");
	assert_string_equal(world_elements(&w, "open"),
			    "2001:db8:1:0:d0::2 . tcp . 80; 2001:db8:1:0:d0::2 . tcp . 83");
	assert_string_equal(world_elements(&w, "live"), "2001:db8:1:0:d0::2");
	assert_string_equal(world_elements(&w, "host_address"),
			    "2001:db8:1::16 : goto publish_to_any");
	world_done(&w);
}

/* Property: ipv6nat.publish=no leaves all ports to docker-proxy; another value is a problem. */
static void test_publish_label(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_network(&w, "gua", "2001:db8:1:0:d0::/80");
	(void)world_container(&w, "web", "gua", "2001:db8:1:0:d0::2");
	world_bound(&w, "web", "[::]:8080->80/tcp");
	world_container_label(&w, "web", "ipv6nat.publish", "no");
	expect_ports(&w, "web", "gua [::]:8080->80/tcp proxied");
	assert_int_equal(world_count(&w, "publish_any") + world_count(&w, "open"), 0);

	world_container_label(&w, "web", "ipv6nat.publish", "yes");
	expect_ports(&w, "web", "gua [::]:8080->80/tcp active");
	assert_int_equal(w.plan.problems.n, 0);
	world_container_label(&w, "web", "ipv6nat.publish", "No");
	expect_ports(&w, "web", "gua [::]:8080->80/tcp active");
	assert_string_equal(world_all_problems(&w),
			    "warning label-invalid: container web: label "
			    "ipv6nat.publish=No is not valid and is ignored");
	world_done(&w);
}

/* Property: only running and paused containers have ports; a container that shares a network
 * namespace has none of its own. */
static void test_states(void **state)
{
	static const struct {
		enum container_state state;
		enum network_mode_kind network_mode;
		const char *expected;
	} cases[] = {
		{ CONTAINER_RUNNING, NETWORK_MODE_OWN, "ula [::]:8080->80/tcp active" },
		{ CONTAINER_PAUSED, NETWORK_MODE_OWN, "ula [::]:8080->80/tcp active" },
		{ CONTAINER_CREATED, NETWORK_MODE_OWN, "" },
		{ CONTAINER_RESTARTING, NETWORK_MODE_OWN, "" },
		{ CONTAINER_REMOVING, NETWORK_MODE_OWN, "" },
		{ CONTAINER_EXITED, NETWORK_MODE_OWN, "" },
		{ CONTAINER_DEAD, NETWORK_MODE_OWN, "" },
		{ CONTAINER_RUNNING, NETWORK_MODE_HOST, "" },
		{ CONTAINER_RUNNING, NETWORK_MODE_NONE, "" },
		{ CONTAINER_RUNNING, NETWORK_MODE_CONTAINER, "" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct container *c;
		struct world w;

		basic_world(&w, 28, 5, 2);
		c = world_container(&w, "web", "ula", "fd00:6::2");
		c->state = cases[i].state;
		c->network_mode = cases[i].network_mode;
		world_bound(&w, "web", "[::]:8080->80/tcp");
		world_requested(&w, "web", ":8080->80/tcp");
		expect_ports(&w, "web", cases[i].expected);
		assert_int_equal(world_count(&w, "publish_any"), *cases[i].expected ? 1 : 0);
		assert_int_equal(w.plan.problems.n, 0);
		world_done(&w);
	}
}

/* ------------------------------------------------------- gateway endpoint */

struct join {
	const char *network; /* a*: fd00:a::, internal if it contains "int"; NULL: no more */
	const char *address; /* NULL: none */
	bool gateway4, gateway6;
	int64_t priority;
};

struct gateway_case {
	unsigned major;
	struct join joins[3];
	const char *expected; /* network of the port, "" for none */
};

/* Property: ports follow the engine's gateway order: priority, not docker_gwbridge, not internal,
 * both gateways before one, name; 28 and later look for an IPv6 gateway of its own. */
static void test_gateway_order(void **state)
{
	static const struct gateway_case cases[] = {
		{ 20, { { "b", "fd00:b::2", 1, 1, 0 }, { "a", "fd00:a::2", 1, 1, 0 } }, "a" },
		{ 28, { { "b", "fd00:b::2", 1, 1, 1 }, { "a", "fd00:a::2", 1, 1, 0 } }, "b" },
		{ 28, { { "b", "fd00:b::2", 1, 1, 0 }, { "a", "fd00:a::2", 1, 1, -1 } }, "b" },
		/* Internal comes later whatever its gateways; a priority still beats that. */
		{ 28, { { "a_int", "fd00:a::2", 1, 1, 0 }, { "b", "fd00:b::2", 0, 1, 0 } }, "b" },
		{ 28,
		  { { "a_int", "fd00:a::2", 1, 1, 5 }, { "b", "fd00:b::2", 1, 1, 0 } },
		  "a_int" },
		/* Both gateways before one, one before none. */
		{ 28, { { "a", "fd00:a::2", 0, 1, 0 }, { "b", "fd00:b::2", 1, 1, 0 } }, "b" },
		{ 28, { { "a", "fd00:a::2", 0, 1, 0 }, { "b", NULL, 1, 0, 0 } }, "a" },
		/* An IPv6-only network: since 28 it has the IPv6 gateway, before there was none. */
		{ 28, { { "a", "fd00:a::2", 0, 1, 0 } }, "a" },
		{ 20, { { "a", "fd00:a::2", 0, 1, 0 } }, "" },
		/* One gateway for both families: an IPv4 network that comes first takes the ports. */
		{ 27, { { "a", NULL, 1, 0, 0 }, { "b", "fd00:b::2", 1, 0, 0 } }, "" },
		{ 28, { { "a", NULL, 1, 0, 0 }, { "b", "fd00:b::2", 1, 1, 0 } }, "b" },
		{ 28, { { "a", NULL, 1, 0, 9 }, { "b", "fd00:b::2", 1, 1, 0 } }, "b" },
		{ 27, { { "a", NULL, 1, 0, 0 }, { "b", "fd00:b::2", 0, 1, 0 } }, "" },
		{ 28, { { "a", NULL, 1, 0, 0 }, { "b", "fd00:b::2", 0, 1, 0 } }, "b" },
		/* Without any gateway there is no port. */
		{ 28, { { "a", "fd00:a::2", 0, 0, 0 } }, "" },
		{ 20, { { "a", "fd00:a::2", 0, 0, 0 } }, "" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct gateway_case *c = &cases[i];
		size_t n_addresses = 0, n_presences = 0;
		char expected[64] = "";
		struct world w;

		basic_world(&w, c->major, 0, 0);
		(void)world_container(&w, "web", NULL, NULL);
		world_bound(&w, "web", "[::]:8080->80/tcp");
		for (const struct join *j = c->joins; j < c->joins + 3 && j->network; j++) {
			char subnet[32];
			struct endpoint *e;

			(void)snprintf(subnet, sizeof(subnet), "fd00:%c::/64", j->network[0]);
			(void)world_network(&w, j->network, subnet);
			world_find_network(&w, j->network)->internal = strstr(j->network, "int");
			/* An internal network that has the ports is no usual one: let it publish. */
			world_label(&w, j->network, "ipv6nat.mode", "nat");
			e = world_join(&w, "web", j->network, j->address);
			e->has_gateway4 = j->gateway4;
			e->has_gateway6 = j->gateway6;
			e->gateway_priority = j->priority;
			n_addresses += j->address != NULL;
		}
		if (*c->expected)
			(void)snprintf(expected, sizeof(expected), "%s [::]:8080->80/tcp active",
				       c->expected);
		(void)world_plan(&w);
		if (strcmp(world_ports(&w, "web"), expected) != 0)
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, w.text, expected);
		/* Without ports or with: it is listed wherever it has an address. */
		vec_foreach (n, &w.plan.networks)
			n_presences += n->containers.n;
		assert_int_equal(n_presences, n_addresses);
		world_done(&w);
	}
}

/* Property: docker_gwbridge, which only its own members show, comes after every other network. */
static void test_gwbridge(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_network(&w, "docker_gwbridge", "fd00:9::/64");
	(void)world_container(&w, "task", NULL, NULL);
	world_member(&w, "docker_gwbridge", "task", "fd00:9::2");
	world_bound(&w, "task", "[::]:7081->80/tcp");
	expect_ports(&w, "task", "docker_gwbridge [::]:7081->80/tcp active");

	(void)world_join(&w, "task", "ula", "fd00:6::2");
	expect_ports(&w, "task", "ula [::]:7081->80/tcp active");
	assert_non_null(world_presence(&w, "docker_gwbridge", "task"));
	world_done(&w);
}

/* Property: a "::" port of a container without IPv6 is told once, and never for ::1. */
static void test_ipv4_only(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_container(&w, "legacy", "bridge", NULL);
	world_bound(&w, "legacy", "[::1]:8090->90/tcp");
	world_bound(&w, "legacy", "0.0.0.0:8091->91/tcp");
	assert_int_equal(world_plan(&w)->problems.n, 0);
	world_bound(&w, "legacy", "[::]:8092->92/tcp");
	world_bound(&w, "legacy", "[::]:8093->93/tcp");
	(void)world_plan(&w);
	assert_int_equal(w.plan.problems.n, 1);
	assert_int_equal(w.plan.problems.items[0].severity, PROBLEM_NOTICE);
	assert_non_null(
		strstr(world_all_problems(&w), "ipv4-only-port: container legacy: port 8092 "));
	world_done(&w);
}

/* ------------------------------------------------------------ assumptions */

struct assumption_case {
	const char *requested, *address; /* of the member; NULL: not connected yet */
	const char *key, *value;         /* an option of the network, or NULL */
	bool docker_rules;
	const char *expected;
};

/* Property: a starting container's ports are assumed if they are explicit, their host address is
 * certain, the engine knows the container's address already, and Docker does not translate. */
static void test_assumptions(void **state)
{
	static const struct assumption_case cases[] = {
		{ ":8080->80/tcp", "fd00:6::2", NULL, NULL, false,
		  "ula [::]:8080->80/tcp assumed" },
		{ "[2001:db8:1::16]:8080->80/tcp", "fd00:6::2", NULL, NULL, false,
		  "ula [2001:db8:1::16]:8080->80/tcp assumed" },
		{ ":8080->80/tcp", NULL, NULL, NULL, false, "" },
		{ ":0->80/tcp", "fd00:6::2", NULL, NULL, false, "" },
		{ "[::]:0->80/tcp", "fd00:6::2", NULL, NULL, false, "" },
		{ "0.0.0.0:8080->80/tcp", "fd00:6::2", NULL, NULL, false, "" },
		{ "[::1]:8080->80/tcp", "fd00:6::2", NULL, NULL, false,
		  "ula [::1]:8080->80/tcp proxied" },
		{ ":8080->80/tcp", "fd00:6::2", OPTION_V4, "192.0.2.1", false, "" },
		{ ":8080->80/tcp", "fd00:6::2", OPTION_V4, "junk", false, "" },
		{ ":8080->80/tcp", "fd00:6::2", OPTION_V4, "2001:db8:1::16", false,
		  "ula [2001:db8:1::16]:8080->80/tcp assumed" },
		{ "[::]:8080->80/tcp", "fd00:6::2", OPTION_V4, "192.0.2.1", false,
		  "ula [::]:8080->80/tcp assumed" },
		{ ":8080->80/tcp", "fd00:6::2", OPTION_V6, "2001:db8:1::16", false,
		  "ula [2001:db8:1::16]:8080->80/tcp assumed" },
		{ ":8080->80/tcp", "fd00:6::2", WORLD_BRIDGE "gateway_mode_ipv6", "routed", false,
		  "" },
		{ ":8080->80/tcp", "fd00:6::2", NULL, NULL, true, "ula [::]:8080->80/tcp proxied" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct assumption_case *c = &cases[i];
		struct world w;

		basic_world(&w, 28, 5, 2);
		if (c->docker_rules)
			world_docker_rules(&w, world_bridge(&w, "ula"));
		if (c->key)
			world_option(&w, "ula", c->key, c->value);
		(void)world_starting(&w, "web", "ula", c->address);
		world_requested(&w, "web", c->requested);
		(void)world_plan(&w);
		if (strcmp(world_ports(&w, "web"), c->expected) != 0)
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, w.text, c->expected);
		assert_int_equal(world_count(&w, "publish_any") +
					 world_count(&w, "publish_address"),
				 strstr(c->expected, "assumed") ? 1 : 0);
		assert_int_equal(world_problems(&w, PROBLEM_PORT_CONFLICT), 0);
		world_done(&w);
	}
}

/* Property: the engine's --ip, which the default bridge's options show, concerns no other network,
 * neither what is assumed there nor what is bound; nor need there be a default bridge. */
static void test_binding_of_the_default_bridge(void **state)
{
	static const char *const bindings[] = { "2001:db8:1::16", "127.0.0.1", NULL };
	struct world w;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bindings); i++) {
		if (bindings[i]) {
			basic_world(&w, 28, 5, 2);
			world_option(&w, "bridge", OPTION_V4, bindings[i]);
		} else {
			world_init(&w, 28, 5, 2);
			(void)world_network(&w, "ula", "fd00:6::/64");
		}
		(void)world_starting(&w, "web", "ula", "fd00:6::2");
		world_requested(&w, "web", ":8080->80/tcp");
		(void)world_container(&w, "old", "ula", "fd00:6::3");
		world_requested(&w, "old", ":8081->80/tcp");
		world_bound(&w, "old", "0.0.0.0:8081->80/tcp");
		world_bound(&w, "old", "[::]:8081->80/tcp");
		expect_ports(&w, "web", "ula [::]:8080->80/tcp assumed");
		expect_ports(&w, "old", "ula [::]:8081->80/tcp active");
		world_done(&w);
	}
}

/* Property: of several networks the one that will be the gateway must know the address. */
static void test_assumption_waits_for_gateway(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 20, 10, 24);
	(void)world_network(&w, "aaa", "fd00:a::/64");
	(void)world_starting(&w, "web", "ula", "fd00:6::2");
	(void)world_join(&w, "web", "aaa", NULL);
	world_requested(&w, "web", ":8080->80/tcp");
	expect_ports(&w, "web", "");
	assert_non_null(world_presence(&w, "ula", "web"));
	world_member(&w, "aaa", "web", "fd00:a::2");
	expect_ports(&w, "web", "aaa [::]:8080->80/tcp assumed");
	world_done(&w);
}

/* Property: a network without IPv4 comes after one with both families, before the start as after. */
static void test_assumption_ipv6_only(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	world_network(&w, "aaa", "fd00:a::/64")->ipv6_only = true;
	(void)world_starting(&w, "web", "aaa", "fd00:a::2");
	world_requested(&w, "web", ":8080->80/tcp");
	expect_ports(&w, "web", "aaa [::]:8080->80/tcp assumed");
	(void)world_join(&w, "web", "ula", NULL);
	world_member(&w, "ula", "web", "fd00:6::2");
	expect_ports(&w, "web", "ula [::]:8080->80/tcp assumed");
	world_done(&w);
}

/* Property: a container that never ran names its networks only: by name, by ID, or "default". */
static void test_networks_by_name(void **state)
{
	struct world w;
	struct endpoint *e;

	(void)state;
	world_init(&w, 20, 10, 24);
	(void)world_network(&w, "bridge", "fd00:d0c::/64");
	world_option(&w, "bridge", OPTION_V4, "0.0.0.0");
	e = world_starting(&w, "web", "bridge", "fd00:d0c::2")->endpoints.items;
	world_requested(&w, "web", ":8080->80/tcp");
	e->network_id[0] = '\0';
	expect_ports(&w, "web", "bridge [::]:8080->80/tcp assumed");
	free(e->network_name);
	e->network_name = world_dup("default");
	expect_ports(&w, "web", "bridge [::]:8080->80/tcp assumed");
	free(e->network_name);
	e->network_name = world_dup(world_find_network(&w, "bridge")->id);
	expect_ports(&w, "web", "bridge [::]:8080->80/tcp assumed");
	free(e->network_name);
	e->network_name = world_dup("other");
	expect_ports(&w, "web", "");
	world_done(&w);
}

/* -------------------------------------------------------------- conflicts */

/* Property: of two confirmed containers the older start holds the port; the other one is told. */
static void test_older_start(void **state)
{
	struct world w;

	(void)state;
	for (int older = 0; older < 2; older++) {
		basic_world(&w, 28, 5, 2);
		world_container(&w, "one", "ula", "fd00:6::2")->started_us = older ? 5 : 7;
		world_container(&w, "two", "ula", "fd00:6::3")->started_us = older ? 7 : 5;
		world_bound(&w, "one", "[::]:8080->80/tcp");
		world_bound(&w, "two", "[::]:8080->80/tcp");
		world_bound(&w, "two", "[::]:8080->80/udp"); /* another port */
		(void)world_plan(&w);
		assert_string_equal(
			world_all_problems(&w),
			older ? "warning port-conflict: container two: [::]:8080/tcp already "
				"leads to container one"
			      : "warning port-conflict: container one: [::]:8080/tcp already "
				"leads to container two");
		assert_string_equal(
			world_ports(&w, "two"),
			older ? "ula [::]:8080->80/tcp conflict; ula [::]:8080->80/udp active"
			      : "ula [::]:8080->80/tcp active; ula [::]:8080->80/udp active");
		assert_true(world_has(&w, "publish_any",
				      older ? "tcp . 8080 : fd00:6::2 . 80"
					    : "tcp . 8080 : fd00:6::3 . 80"));
		assert_int_equal(world_count(&w, "publish_any"), 2);
		world_done(&w);
	}
}

/* Property: the same start: the plan is still one and the same. */
static void test_same_start(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_container(&w, "one", "ula", "fd00:6::2");
	world_container(&w, "two", "ula", "fd00:6::3")->started_us =
		world_find(&w, "one")->started_us;
	world_bound(&w, "two", "[::]:8080->80/tcp");
	world_bound(&w, "one", "[::]:8080->81/tcp");
	expect_ports(&w, "one", "ula [::]:8080->81/tcp active"); /* the lower ID */
	assert_string_equal(world_ports(&w, "two"), "ula [::]:8080->80/tcp conflict");
	world_done(&w);
}

/* Property: a confirmed mapping beats an assumed one, however old; nobody is told, as the start of
 * the loser has yet to succeed. */
static void test_confirmed_beats_assumed(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_starting(&w, "new", "ula", "fd00:6::2");
	(void)world_container(&w, "old", "ula", "fd00:6::3");
	world_requested(&w, "new", ":8080->80/tcp");
	world_bound(&w, "old", "[::]:8080->80/tcp");
	expect_ports(&w, "new", "ula [::]:8080->80/tcp conflict");
	assert_string_equal(world_ports(&w, "old"), "ula [::]:8080->80/tcp active");
	assert_int_equal(w.plan.problems.n, 0);
	world_done(&w);
}

/* Property: an exact address and "::" both stand, the exact one first; but while it is assumed it
 * does not take the address away from another container. */
static void test_exact_beats_any(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_container(&w, "any", "ula", "fd00:6::2");
	(void)world_container(&w, "exact", "ula", "fd00:6::3");
	world_bound(&w, "any", "[::]:8080->80/tcp");
	world_bound(&w, "exact", "[2001:db8:1::16]:8080->80/tcp");
	expect_ports(&w, "any", "ula [::]:8080->80/tcp active");
	assert_string_equal(world_ports(&w, "exact"), "ula [2001:db8:1::16]:8080->80/tcp active");
	assert_int_equal(w.plan.problems.n, 0);
	assert_true(world_has(&w, "host_address", "2001:db8:1::16 : goto publish_to_address"));

	(void)world_starting(&w, "hasty", "ula", "fd00:6::4");
	world_requested(&w, "hasty", "[2001:db8:1::17]:8080->80/tcp");
	world_requested(&w, "hasty", "[2001:db8:1::17]:8081->81/tcp");
	expect_ports(&w, "hasty",
		     "ula [2001:db8:1::17]:8080->80/tcp conflict; "
		     "ula [2001:db8:1::17]:8081->81/tcp assumed");
	assert_int_equal(world_count(&w, "publish_address"), 2);
	world_done(&w);
}

/* Property: a loser's container port stays open in modes without translation. */
static void test_loser_is_reached_directly(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_network(&w, "gua", "2001:db8:1:0:d0::/80");
	(void)world_container(&w, "one", "gua", "2001:db8:1:0:d0::2");
	(void)world_container(&w, "two", "gua", "2001:db8:1:0:d0::3");
	world_bound(&w, "one", "[::]:8080->80/tcp");
	world_bound(&w, "two", "[::]:8080->80/tcp");
	expect_ports(&w, "two", "gua [::]:8080->80/tcp conflict");
	assert_string_equal(world_elements(&w, "open"),
			    "2001:db8:1:0:d0::2 . tcp . 80; 2001:db8:1:0:d0::3 . tcp . 80");
	world_done(&w);
}

/* Property: what is left to docker-proxy claims nothing. */
static void test_proxied_claims_nothing(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, 28, 5, 2);
	(void)world_container(&w, "old", "ula", "fd00:6::2");
	world_container_label(&w, "old", "ipv6nat.publish", "no");
	(void)world_container(&w, "new", "ula", "fd00:6::3");
	world_bound(&w, "old", "[::]:8080->80/tcp");
	world_bound(&w, "new", "[::]:8080->80/tcp");
	expect_ports(&w, "new", "ula [::]:8080->80/tcp active");
	assert_int_equal(w.plan.problems.n, 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_ip),
		cmocka_unit_test(test_invalid_host_binding),
		cmocka_unit_test(test_nat_elements),
		cmocka_unit_test(test_proxy_elements),
		cmocka_unit_test(test_publish_label),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_gateway_order),
		cmocka_unit_test(test_gwbridge),
		cmocka_unit_test(test_ipv4_only),
		cmocka_unit_test(test_assumptions),
		cmocka_unit_test(test_binding_of_the_default_bridge),
		cmocka_unit_test(test_assumption_waits_for_gateway),
		cmocka_unit_test(test_assumption_ipv6_only),
		cmocka_unit_test(test_networks_by_name),
		cmocka_unit_test(test_older_start),
		cmocka_unit_test(test_same_start),
		cmocka_unit_test(test_confirmed_beats_assumed),
		cmocka_unit_test(test_exact_beats_any),
		cmocka_unit_test(test_loser_is_reached_directly),
		cmocka_unit_test(test_proxied_claims_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
