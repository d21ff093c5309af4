/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done for a network, and why: modes, their precedence, and the options of a network. */
#include "unit/world.h"

#define NET "n"

static void basic_world(struct world *w, const char *subnet)
{
	world_init(w, 20, 10, 24);
	(void)world_uplink(w, "eth0", "2001:db8:1::/64", "2001:db8:1::16");
	(void)world_network(w, NET, subnet);
}

static void expect_mode(struct world *w, const char *expected)
{
	(void)world_plan(w);
	if (strncmp(world_mode(w, NET), expected, strlen(expected)) != 0)
		fail_msg("\"%s\" instead of \"%s\"", w->text, expected);
}

/* ----------------------------------------------------------------- auto */

struct auto_case {
	const char *subnet;
	const char *gateway_mode;
	bool internal, docker_rules;
	const char *expected;
	size_t n_unrouted, n_overlaps;
};

/* Property: mode auto decides in the documented order, and says why. */
static void test_auto(void **state)
{
	static const struct auto_case cases[] = {
		{ "fd00:6::/64", NULL, false, false, "nat: fd00:6::/64 is a private prefix (ULA)",
		  0, 0 },
		{ "fc00:6::/64", NULL, false, false, "nat: ", 0, 0 },
		{ "2001:db8:1:0:d0::/80", NULL, false, false,
		  "proxy: 2001:db8:1:0:d0::/80 lies inside 2001:db8:1::/64, on-link on eth0", 0,
		  0 },
		{ "2001:db8:1::/64", NULL, false, false, "proxy: ", 0, 1 },  /* equal is inside */
		{ "2001:db8:1::/48", NULL, false, false, "routed: ", 1, 1 }, /* around it is not */
		{ "2001:db8:2::/64", NULL, false, false,
		  "routed: 2001:db8:2::/64 is neither private nor on-link here", 1, 0 },
		{ "2001:db8:1:0:d0::/80", "isolated", true, true, "off: gateway_mode_ipv6=isolated",
		  0, 0 },
		{ "2001:db8:1:0:d0::/80", NULL, true, true, "internal: ", 0, 0 },
		{ "fd00:6::/64", NULL, false, true, "native: Docker's own IPv6 rules for br-", 0,
		  0 },
		{ "2001:db8:1:0:d0::/80", "routed", false, true, "native: ", 0, 0 },
		{ "2001:db8:1:0:d0::/80", "routed", false, false,
		  "proxy: gateway_mode_ipv6=routed, 2001:db8:1:0:d0::/80 lies inside ", 0, 0 },
		{ "fd00:6::/64", "routed", false, false,
		  "routed: gateway_mode_ipv6=routed, fd00:6::/64 is not on-link here", 1, 0 },
		{ "fd00:6::/64", "nat", false, false, "nat: ", 0, 0 },
		{ "fd00:6::/64", "nat-unprotected", false, false, "nat: ", 0, 0 },
		{ "fd00::/23", NULL, false, false, "off: a subnet wider than /24", 0, 0 },
		{ "fd00::/24", NULL, false, false, "nat: ", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct auto_case *c = &cases[i];
		struct world w;

		basic_world(&w, c->subnet);
		world_engine(&w, 28, 5, 2);
		world_find_network(&w, NET)->internal = c->internal;
		if (c->gateway_mode)
			world_option(&w, NET, WORLD_BRIDGE "gateway_mode_ipv6", c->gateway_mode);
		if (c->docker_rules)
			world_docker_rules(&w, world_bridge(&w, NET));
		expect_mode(&w, c->expected);
		assert_int_equal(world_problems(&w, PROBLEM_UNROUTED_PREFIX), c->n_unrouted);
		assert_int_equal(world_problems(&w, PROBLEM_SUBNET_OVERLAP), c->n_overlaps);
		assert_int_equal(world_count(&w, "overlapping"), c->n_overlaps);
		assert_int_equal(w.plan.problems.n, c->n_unrouted + c->n_overlaps);
		world_done(&w);
	}
}

/* Property: only bridges with IPv6 that have a subnet and are no templates are listed. */
static void test_scope(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_network(&w, "v4", NULL);
	(void)world_network(&w, "template", "fd00:1::/64");
	world_find_network(&w, "template")->config_only = true;
	(void)world_network(&w, "overlay", "fd00:2::/64");
	free(world_find_network(&w, "overlay")->driver);
	world_find_network(&w, "overlay")->driver = world_dup("overlay");
	(void)world_network(&w, "nosubnet", NULL);
	world_find_network(&w, "nosubnet")->ipv6 = true;
	(void)world_network(&w, "docker_gwbridge", "fd00:3::/64");
	(void)world_plan(&w);
	assert_int_equal(w.plan.networks.n, 1);
	assert_non_null(world_status(&w, "docker_gwbridge"));
	assert_int_equal(world_count(&w, "bridges"), 1);
	world_done(&w);
}

/* Property: the networks of a rootless engine are in a namespace where no rule of ours counts. */
static void test_rootless(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, "fd00:6::/64");
	w.snapshot.engine.rootless = true;
	expect_mode(&w, "off: a rootless engine");
	world_done(&w);
}

/* Property: of several on-link prefixes the longest decides; only those of uplinks count. */
static void test_longest_on_link(void **state)
{
	struct world w;
	struct link *l;

	(void)state;
	basic_world(&w, "2001:db8:1:0:d0::/80");
	(void)world_uplink(&w, "eth1", "2001:db8:1::/72", NULL);
	l = world_link(&w, "dummy0");
	*(struct inet_prefix *)world_new(vec_add(&l->on_link)) =
		world_prefix("2001:db8:1:0:d0::/79");
	expect_mode(&w, "proxy: 2001:db8:1:0:d0::/80 lies inside 2001:db8:1::/72, on-link on eth1");
	assert_string_equal(world_status(&w, NET)->uplink, "eth1");

	/* Configured uplinks replace those found by their default route. */
	world_config_uplink(&w, "dummy0");
	expect_mode(
		&w,
		"proxy: 2001:db8:1:0:d0::/80 lies inside 2001:db8:1:0:d0::/79, on-link on dummy0");
	world_done(&w);
}

/* ----------------------------------------------------------- precedence */

struct wish_case {
	const char *config, *label, *option; /* of the mode */
	const char *expected;
	size_t n_invalid;
};

/* Property: configuration, label, option, auto; what is not valid is a problem and falls through. */
static void test_precedence(void **state)
{
	static const struct wish_case cases[] = {
		{ "off", "nat", "proxy", "off: [Network n] in the configuration", 0 },
		{ NULL, "routed", "proxy", "routed: label ipv6nat.mode=routed", 0 },
		{ NULL, NULL, "proxy", "proxy: option ipv6nat.mode=proxy", 0 },
		{ NULL, "bridge", "proxy", "proxy: option ipv6nat.mode=proxy", 1 },
		{ NULL, "bridge", "PROXY", "nat: fd00:6::/64 is a private", 2 },
		{ NULL, "", NULL, "nat: fd00:6::/64 is a private", 1 },
		{ NULL, "auto", "proxy", "nat: fd00:6::/64 is a private", 0 },
		{ NULL, NULL, "auto", "nat: fd00:6::/64 is a private", 0 },
		{ NULL, "native", NULL, "native: label", 0 },
		{ NULL, "internal", NULL, "internal: label", 0 },
		{ NULL, "npt", "off", "off: option", 1 },
		{ "npt", "off", NULL, "off: label", 1 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		basic_world(&w, "fd00:6::/64");
		if (cases[i].config)
			world_config(&w, NET)->mode =
				(enum net_mode)net_mode_from_string(cases[i].config);
		if (cases[i].label)
			world_label(&w, NET, "ipv6nat.mode", cases[i].label);
		if (cases[i].option)
			world_option(&w, NET, "ipv6nat.mode", cases[i].option);
		expect_mode(&w, cases[i].expected);
		assert_int_equal(world_problems(&w, PROBLEM_LABEL_INVALID), cases[i].n_invalid);
		world_done(&w);
	}
}

/* Property: mode proxy where no uplink that may answer has the subnet on its link is a problem; not
 * where there is no uplink at all, which is another one, or where nobody is to be answered. */
static void test_proxy_off_link(void **state)
{
	static const struct {
		const char *subnet, *uplink, *on_link;
		bool answer;
		size_t n_warnings;
	} cases[] = {
		{ "2001:db8:1:0:d0::/80", NULL, "2001:db8:1::/64", true, 0 },
		{ "2001:db8:1::/64", NULL, "2001:db8:1:0:d0::/80", true, 0 },
		{ "2001:db8:2::/64", NULL, "2001:db8:1::/64", true, 1 },
		{ "2001:db8:2::/64", NULL, "2001:db8:1::/64", false, 0 },
		{ "2001:db8:1:0:d0::/80", "eth0", "2001:db8:1::/64", true, 0 },
		{ "2001:db8:1:0:d0::/80", "eth1", "2001:db8:1::/64", true, 1 },
		{ "2001:db8:1:0:d0::/80", NULL, NULL, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		world_init(&w, 20, 10, 24);
		if (cases[i].on_link) {
			(void)world_uplink(&w, "eth0", cases[i].on_link, NULL);
			(void)world_uplink(&w, "eth1", "2001:db8:3::/64", NULL);
		}
		(void)world_network(&w, NET, cases[i].subnet);
		world_label(&w, NET, "ipv6nat.mode", "proxy");
		if (cases[i].uplink)
			world_label(&w, NET, "ipv6nat.uplink", cases[i].uplink);
		w.config.ndp_answer = cases[i].answer;
		expect_mode(&w, "proxy: label ipv6nat.mode=proxy");
		assert_int_equal(world_problems(&w, PROBLEM_UNROUTED_PREFIX), cases[i].n_warnings);
		world_done(&w);
	}
}

/* Property: [Network] patterns are globs, and for each key the last match that sets it wins. */
static void test_globs(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, "fd00:6::/64");
	(void)world_network(&w, "mail_front", "fd00:7::/64");
	world_config(&w, "*")->mode = NET_MODE_OFF;
	world_config(&w, "mail_*")->mode = NET_MODE_ROUTED;
	world_config(&w, "mail_front")->snat = world_address("2001:db8:1::99"); /* sets no mode */
	expect_mode(&w, "off: [Network *] in");
	assert_string_equal(world_mode(&w, "mail_front"),
			    "routed: [Network mail_*] in the configuration");
	world_done(&w);
}

/* Property: a mode forced on a native network counts; a warning comes only where Docker's own
 * rules drop what the mode would let in. */
static void test_forced_on_native(void **state)
{
	static const struct {
		const char *mode, *gateway_mode;
		size_t n_warnings;
	} cases[] = {
		{ "proxy", NULL, 1 },     { "routed", "nat", 1 },
		{ "proxy", "routed", 0 }, { "proxy", "nat-unprotected", 0 },
		{ "nat", NULL, 0 },       { "off", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		basic_world(&w, "fd00:6::/64");
		world_engine(&w, 28, 5, 2);
		world_docker_rules(&w, world_bridge(&w, NET));
		world_label(&w, NET, "ipv6nat.mode", cases[i].mode);
		if (cases[i].gateway_mode)
			world_option(&w, NET, WORLD_BRIDGE "gateway_mode_ipv6",
				     cases[i].gateway_mode);
		expect_mode(&w, cases[i].mode);
		assert_int_equal(world_problems(&w, PROBLEM_FORWARD_DROP), cases[i].n_warnings);
		if (cases[i].n_warnings)
			assert_int_equal(w.plan.problems.items[0].severity, PROBLEM_WARNING);
		world_done(&w);
	}
}

/* Property: a network in mode native or off is in none of our sets; one in any other mode is. */
static void test_native_and_off_are_left_alone(void **state)
{
	static const char *const sets[] = {
		"to",   "bridges", "source", "allowed",     "inside",          "internal",
		"self", "open",    "live",   "publish_any", "publish_address", "isolated_ports"
	};
	static const enum net_mode modes[] = { NET_MODE_NATIVE, NET_MODE_OFF };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(modes); i++) {
		struct world w;

		basic_world(&w, "fd00:6::/64");
		world_config(&w, NET)->mode = modes[i];
		world_option(&w, NET, WORLD_BRIDGE "enable_icc", "false");
		world_option(&w, NET, WORLD_BRIDGE "trusted_host_interfaces", "wg0");
		(void)world_bridge_port(&w, world_bridge(&w, NET), "veth1");
		w.links.bridge_nf_call_ip6tables = 1;
		(void)world_container(&w, "web", NET, "fd00:6::2");
		world_bound(&w, "web", "[::]:8080->80/tcp");
		(void)world_plan(&w);
		for (size_t s = 0; s < N_ELEMENTS(sets); s++)
			assert_int_equal(world_count(&w, sets[s]), 0);
		assert_string_equal(world_ports(&w, "web"), "n [::]:8080->80/tcp proxied");
		world_done(&w);
	}
}

/* ------------------------------------------------------------- firewall */

struct firewall_case {
	enum config_unpublished global;
	enum net_firewall config;
	const char *label, *option, *gateway_mode;
	bool open;
	size_t n_invalid;
};

/* Property: closed unless something says open; the same precedence as for modes. */
static void test_firewall(void **state)
{
	static const struct firewall_case cases[] = {
		{ CONFIG_UNPUBLISHED_DROP, 0, NULL, NULL, NULL, false, 0 },
		{ CONFIG_UNPUBLISHED_ACCEPT, 0, NULL, NULL, NULL, true, 0 },
		{ CONFIG_UNPUBLISHED_DROP, 0, "open", NULL, NULL, true, 0 },
		{ CONFIG_UNPUBLISHED_ACCEPT, 0, "closed", NULL, NULL, false, 0 },
		{ CONFIG_UNPUBLISHED_DROP, 0, "closed", "open", NULL, false, 0 },
		{ CONFIG_UNPUBLISHED_DROP, 0, NULL, "open", NULL, true, 0 },
		{ CONFIG_UNPUBLISHED_DROP, 0, "Open", "open", NULL, true, 1 },
		{ CONFIG_UNPUBLISHED_DROP, 0, "yes", "no", NULL, false, 2 },
		{ CONFIG_UNPUBLISHED_DROP, 0, NULL, NULL, "nat-unprotected", true, 0 },
		{ CONFIG_UNPUBLISHED_DROP, 0, "closed", NULL, "nat-unprotected", false, 0 },
		{ CONFIG_UNPUBLISHED_DROP, NET_FIREWALL_CLOSED, "open", "open", "nat-unprotected",
		  false, 0 },
		{ CONFIG_UNPUBLISHED_DROP, NET_FIREWALL_OPEN, "closed", NULL, NULL, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct firewall_case *c = &cases[i];
		char expected[64];
		struct world w;

		basic_world(&w, "fd00:6::/64");
		w.config.unpublished = c->global;
		world_config(&w, "?")->firewall = c->config;
		if (c->label)
			world_label(&w, NET, "ipv6nat.firewall", c->label);
		if (c->option)
			world_option(&w, NET, "ipv6nat.firewall", c->option);
		if (c->gateway_mode)
			world_option(&w, NET, WORLD_BRIDGE "gateway_mode_ipv6", c->gateway_mode);
		(void)world_plan(&w);
		(void)snprintf(expected, sizeof(expected), "\"%s\" : goto %s",
			       world_bridge(&w, NET), c->open ? "to_open" : "to_closed");
		assert_string_equal(world_elements(&w, "to"), expected);
		assert_int_equal(world_problems(&w, PROBLEM_LABEL_INVALID), c->n_invalid);
		world_done(&w);
	}
}

/* Property: exposed ports of containers on own addresses are announced as closed, once for each
 * container, and not where nothing is closed. */
static void test_unpublished_closed(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, "2001:db8:1:0:d0::/80");
	(void)world_container(&w, "web", NET, "2001:db8:1:0:d0::2");
	world_bound(&w, "web", "[::]:8080->80/tcp");
	world_bound(&w, "web", "99/tcp");
	(void)world_plan(&w);
	assert_string_equal(world_all_problems(&w),
			    "notice unpublished-closed: container web on network n: port 99/tcp is "
			    "exposed but not published, and closed from outside");
	world_bound(&w, "web", "53/udp");
	world_bound(&w, "web", "100/tcp");
	(void)world_plan(&w);
	assert_int_equal(w.plan.problems.n, 1);
	assert_non_null(strstr(world_all_problems(&w), "port 99/tcp (and 2 more) is"));

	world_label(&w, NET, "ipv6nat.firewall", "open");
	assert_int_equal(world_plan(&w)->problems.n, 0);
	world_label(&w, NET, "ipv6nat.firewall", "closed");
	world_label(&w, NET, "ipv6nat.mode", "nat");
	assert_int_equal(world_plan(&w)->problems.n, 0);
	world_done(&w);
}

/* ----------------------------------------------------------------- snat */

struct snat_case {
	const char *config, *label, *option, *host_ipv6;
	const char *expected; /* NULL: masquerade */
	size_t n_refused, n_invalid;
};

/* Property: a source address from a label or option is an uplink's or in a pool; the
 * configuration's word needs no grant; what is refused falls through. */
static void test_snat(void **state)
{
	static const struct snat_case cases[] = {
		{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
		{ NULL, "2001:db8:1::16", NULL, NULL, "2001:db8:1::16", 0, 0 },
		{ NULL, "2001:db8:1::85", NULL, NULL, "2001:db8:1::85", 0, 0 }, /* pool */
		{ NULL, "2001:db8:1::17", NULL, NULL, NULL, 1, 0 },
		{ NULL, "2001:db8:3::1", NULL, NULL, NULL, 1, 0 }, /* not an uplink's */
		{ NULL, "2001:db8:1::17", "2001:db8:1::86", NULL, "2001:db8:1::86", 1, 0 },
		{ NULL, "2001:db8:1::85", "2001:db8:1::86", NULL, "2001:db8:1::85", 0, 0 },
		{ NULL, NULL, NULL, "2001:db8:1::16", "2001:db8:1::16", 0, 0 },
		{ NULL, NULL, NULL, "2001:db8:1::1", NULL, 1, 0 },
		{ NULL, NULL, NULL, "", NULL, 0, 0 },
		{ NULL, "2001:db8:1::1", NULL, "2001:db8:1::16", "2001:db8:1::16", 1, 0 },
		{ NULL, "2001:db8:1::16/128", "2001:db8:1::16", NULL, "2001:db8:1::16", 0, 1 },
		{ NULL, "198.51.100.1", NULL, NULL, NULL, 0, 1 },
		{ NULL, "fe80::16", NULL, NULL, NULL, 0, 1 },
		{ NULL, "ff02::1", NULL, NULL, NULL, 0, 1 },
		{ NULL, "::1", NULL, NULL, NULL, 0, 1 },
		{ NULL, "::", NULL, NULL, NULL, 0, 1 },
		{ "2001:db8:9::9", "2001:db8:1::16", NULL, NULL, "2001:db8:9::9", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct snat_case *c = &cases[i];
		_cleanup_(freep) char *script = NULL;
		char expected[128];
		struct in6_addr snat;
		struct world w;

		basic_world(&w, "fd00:6::/64");
		world_link_address(&w, "dummy0", "2001:db8:3::1");
		world_pool(&w, "2001:db8:1::80/121");
		if (c->config)
			world_config(&w, NET)->snat = world_address(c->config);
		if (c->label)
			world_label(&w, NET, "ipv6nat.snat", c->label);
		if (c->option)
			world_option(&w, NET, "ipv6nat.snat", c->option);
		if (c->host_ipv6)
			world_option(&w, NET, "com.docker.network.host_ipv6", c->host_ipv6);
		(void)world_plan(&w);
		script = world_script(&w);
		(void)snprintf(expected, sizeof(expected), "\t\t%s%s comment",
			       c->expected ? "snat ip6 to " : "masquerade",
			       c->expected ? c->expected : "");
		if (!strstr(script, expected))
			fail_msg("case %zu: no \"%s\" in %s", i, expected, script);
		assert_int_equal(world_problems(&w, PROBLEM_ADDRESS_REFUSED), c->n_refused);
		assert_int_equal(world_problems(&w, PROBLEM_LABEL_INVALID), c->n_invalid);
		snat = world_address(c->expected);
		assert_true(inet_equal(&world_status(&w, NET)->snat, &snat));
		world_done(&w);
	}
}

/* Property: Docker's enable_ip_masquerade=false, in any spelling that the engine knows, means that
 * no source is translated but for connections to published ports of the own network. */
static void test_masquerade_off(void **state)
{
	static const struct {
		const char *value;
		bool masquerade;
	} cases[] = {
		{ "false", false }, { "0", false }, { "F", false }, { "False", false },
		{ "true", true },   { "1", true },  { "no", true }, { "", true },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(freep) char *script = NULL;
		struct world w;

		basic_world(&w, "fd00:6::/64");
		world_option(&w, NET, WORLD_BRIDGE "enable_ip_masquerade", cases[i].value);
		(void)world_plan(&w);
		script = world_script(&w);
		assert_int_equal(strstr(script, "\t\tmasquerade comment") != NULL,
				 cases[i].masquerade);
		assert_non_null(strstr(script, "ct status dnat oifname"));
		world_done(&w);
	}
}

/* ------------------------------------------------------ icc and trusted */

/* Property: ICC is one element of "allowed"; without it the bridge's ports are isolated. */
static void test_icc(void **state)
{
	char allowed[64];
	struct world w;

	(void)state;
	basic_world(&w, "fd00:6::/64");
	(void)world_bridge_port(&w, world_bridge(&w, NET), "veth1");
	(void)world_bridge_port(&w, "br-else", "veth2");
	(void)world_plan(&w);
	(void)snprintf(allowed, sizeof(allowed), "\"%s\" . \"%s\"", world_bridge(&w, NET),
		       world_bridge(&w, NET));
	assert_string_equal(world_elements(&w, "allowed"), allowed);
	assert_false(w.plan.ruleset.tables[RULESET_BRIDGE].present);

	world_option(&w, NET, WORLD_BRIDGE "enable_icc", "false");
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "allowed"), "");
	assert_true(w.plan.ruleset.tables[RULESET_BRIDGE].present);
	assert_string_equal(world_elements(&w, "isolated_ports"), "\"veth1\"");
	assert_string_equal(world_elements(&w, "gateways"), "02:42:00:00:00:01");

	/* Whatever br_netfilter is set to: nobody announces a change of it. */
	w.links.bridge_nf_call_ip6tables = 1;
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "isolated_ports"), "\"veth1\"");
	world_done(&w);
}

/* Property: trusted interfaces come from Docker's option and from every matching section, each
 * once; names that no interface can have are left out. */
static void test_trusted(void **state)
{
	char expected[256];
	struct world w;
	struct config_string *s;

	(void)state;
	basic_world(&w, "fd00:6::/64");
	world_option(&w, NET, WORLD_BRIDGE "enable_icc", "false");
	world_option(&w, NET, WORLD_BRIDGE "trusted_host_interfaces",
		     ":wg0::eth1:wg0:fifteen_letters:sixteen_letters_:");
	s = world_new(vec_add(&world_config(&w, "*")->trusted));
	s->text = world_dup("tun0");
	s = world_new(vec_add(&world_config(&w, "other")->trusted));
	s->text = world_dup("tun1");
	(void)world_plan(&w);
	(void)snprintf(expected, sizeof(expected),
		       "\"eth1\" . \"%1$s\"; \"fifteen_letters\" . \"%1$s\"; \"tun0\" . \"%1$s\"; "
		       "\"wg0\" . \"%1$s\"",
		       world_bridge(&w, NET));
	assert_string_equal(world_elements(&w, "allowed"), expected);
	world_done(&w);
}

/* --------------------------------------------------------------- uplink */

/* Property: configuration, label, option, on-link prefix, any uplink; a name that is no
 * interface's is a problem and falls through. */
static void test_uplink(void **state)
{
	static const struct {
		const char *config, *label, *option, *expected;
		size_t n_missing;
	} cases[] = {
		{ NULL, NULL, NULL, "eth1", 0 },   { "eth0", "eth1", NULL, "eth0", 0 },
		{ NULL, "wg0", "eth0", "wg0", 0 }, { NULL, NULL, "eth0", "eth0", 0 },
		{ "nix", "wg0", NULL, "wg0", 1 },  { "nix", "nada", "niente", "eth1", 3 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		basic_world(&w, "2001:db8:2:0:d0::/80");
		(void)world_uplink(&w, "eth1", "2001:db8:2::/64", NULL);
		(void)world_link(&w, "wg0");
		if (cases[i].config)
			world_config(&w, NET)->uplink = world_dup(cases[i].config);
		if (cases[i].label)
			world_label(&w, NET, "ipv6nat.uplink", cases[i].label);
		if (cases[i].option)
			world_option(&w, NET, "ipv6nat.uplink", cases[i].option);
		(void)world_plan(&w);
		assert_string_equal(world_status(&w, NET)->uplink, cases[i].expected);
		assert_int_equal(world_problems(&w, PROBLEM_UPLINK_MISSING), cases[i].n_missing);
		world_done(&w);
	}
}

/* Property: a host without uplinks gets a notice, a configured one that is not there a warning. */
static void test_no_uplink(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 20, 10, 24);
	(void)world_plan(&w);
	assert_string_equal(world_all_problems(&w),
			    "notice uplink-missing: this host has no IPv6 default route");
	world_config_uplink(&w, "ppp0");
	(void)world_plan(&w);
	assert_string_equal(world_all_problems(&w),
			    "warning uplink-missing: interface ppp0 does not exist");
	world_done(&w);
}

/* Property: internal networks have no uplink, nothing leaves them and nothing is translated. */
static void test_internal(void **state)
{
	char bridge[24], to[64];
	struct world w;

	(void)state;
	basic_world(&w, "fd00:7::/64");
	world_find_network(&w, NET)->internal = true;
	(void)world_container(&w, "hidden", NET, "fd00:7::2");
	(void)world_plan(&w);
	(void)snprintf(bridge, sizeof(bridge), "\"%s\"", world_bridge(&w, NET));
	(void)snprintf(to, sizeof(to), "%s : goto internal", bridge);
	assert_string_equal(world_status(&w, NET)->uplink, "");
	assert_string_equal(world_elements(&w, "to"), to);
	assert_string_equal(world_elements(&w, "internal"), bridge);
	assert_int_equal(world_count(&w, "source"), 0);
	assert_int_equal(world_count(&w, "live"), 0);
	assert_non_null(world_presence(&w, NET, "hidden"));
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_rootless),
		cmocka_unit_test(test_longest_on_link),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_proxy_off_link),
		cmocka_unit_test(test_globs),
		cmocka_unit_test(test_forced_on_native),
		cmocka_unit_test(test_native_and_off_are_left_alone),
		cmocka_unit_test(test_firewall),
		cmocka_unit_test(test_unpublished_closed),
		cmocka_unit_test(test_snat),
		cmocka_unit_test(test_masquerade_off),
		cmocka_unit_test(test_icc),
		cmocka_unit_test(test_trusted),
		cmocka_unit_test(test_uplink),
		cmocka_unit_test(test_no_uplink),
		cmocka_unit_test(test_internal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
