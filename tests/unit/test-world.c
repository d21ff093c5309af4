/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan as a whole: the same for the same world in any order, for big worlds and hostile ones. */
#include "unit/world.h"

/* Everything that a plan says, as one text; the caller frees it. */
static char *plan_text(struct world *w)
{
	_cleanup_(freep) char *script = NULL;
	char *text = NULL, a[INET_ADDR_TEXT];
	size_t size = 0;
	FILE *f;

	(void)world_plan(w);
	script = world_script(w);
	f = open_memstream(&text, &size);
	assert_non_null(f);
	vec_foreach (n, &w->plan.networks) {
		fprintf(f, "%s %s %s %s %s\n", n->name, n->bridge, net_mode_to_string(n->mode),
			n->reason, n->uplink);
		vec_foreach (c, &n->containers) {
			fprintf(f, " %s %s\n", c->name, inet_format(&c->address, a));
			vec_foreach (p, &c->ports)
				fprintf(f, "  %s %u %u %u %d\n", inet_format(&p->host_address, a),
					p->host_port, p->container_port, p->protocol, p->state);
		}
	}
	vec_foreach (p, &w->plan.problems)
		fprintf(f, "%d %d %s %s\n", p->code, p->severity, p->message, p->cure);
	vec_foreach (s, &w->plan.sysctls)
		fprintf(f, "%s %d\n", s->path, s->value);
	fputs(script, f);
	fclose(f);
	return text;
}

/* ---------------------------------------------------------- determinism */

/* The same numbers in every run: xorshift. */
static uint32_t random_below(uint32_t *state, size_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return (uint32_t)(*state % n);
}

#define shuffle(seed, v)                                                \
	do {                                                            \
		for (size_t i_ = (v)->n; i_ > 1; i_--) {                \
			size_t k_ = random_below(seed, i_);             \
			typeof(*(v)->items) item_ = (v)->items[i_ - 1]; \
			(v)->items[i_ - 1] = (v)->items[k_];            \
			(v)->items[k_] = item_;                         \
		}                                                       \
	} while (0)

/* Everything whose order is the engine's whim. Links keep theirs (by ifindex), and what base/facts
 * promises to be sorted is sorted again before the plan is made. */
static void shuffle_world(struct world *w, uint32_t *seed)
{
	shuffle(seed, &w->snapshot.networks);
	shuffle(seed, &w->snapshot.containers);
	vec_foreach (n, &w->snapshot.networks) {
		shuffle(seed, &n->options);
		shuffle(seed, &n->labels);
		shuffle(seed, &n->members);
	}
	vec_foreach (c, &w->snapshot.containers) {
		shuffle(seed, &c->labels);
		shuffle(seed, &c->endpoints);
		shuffle(seed, &c->ports);
		shuffle(seed, &c->requested);
	}
	vec_foreach (l, &w->links.links) {
		shuffle(seed, &l->on_link);
	}
}

static void mixed_world(struct world *w)
{
	static const char *const networks[][2] = {
		{ "ula", "fd00:6::/64" },     { "same", "fd00:6::/64" },
		{ "wider", "fd00:6::/48" },   { "gua", "2001:db8:1:0:d0::/80" },
		{ "far", "2001:db8:2::/64" }, { "docker_gwbridge", "fd00:9::/64" },
	};
	char name[32], text[64];

	world_init(w, 28, 5, 2);
	w->links.all_forwarding = 0;
	world_uplink(w, "eth0", "2001:db8:1::/64", "2001:db8:1::16")->accept_ra = 1;
	(void)world_uplink(w, "eth1", "2001:db8:1::/64", "2001:db8:1::17");
	for (size_t i = 0; i < N_ELEMENTS(networks); i++) {
		(void)world_network(w, networks[i][0], networks[i][1]);
		world_option(w, networks[i][0], WORLD_BRIDGE "host_binding_ipv4", "0.0.0.0");
		world_option(w, networks[i][0], WORLD_BRIDGE "trusted_host_interfaces",
			     "wg1:wg0:wg1");
		world_label(w, networks[i][0], "ipv6nat.firewall", i % 2 ? "open" : "maybe");
	}
	world_option(w, "same", WORLD_BRIDGE "enable_icc", "false");
	(void)world_bridge_port(w, world_bridge(w, "same"), "veth2");
	(void)world_bridge_port(w, world_bridge(w, "same"), "veth1");

	for (unsigned i = 0; i < 24; i++) {
		const char *network = networks[i % 5][0];
		struct inet_prefix p = world_prefix(networks[i % 5][1]);

		p.address.s6_addr[15] = (uint8_t)(i + 2);
		(void)snprintf(name, sizeof(name), "c%u", i);
		inet_format(&p.address, text);
		if (i % 4 == 3) {
			(void)world_starting(w, name, network, text);
		} else {
			world_container(w, name, network, text)->started_us = 1; /* all alike */
			(void)world_join(w, name, networks[(i + 1) % 5][0], NULL);
		}
		for (unsigned k = 0; k < 4; k++) { /* many want the same */
			(void)snprintf(text, sizeof(text), "[%s]:%u->%u/tcp",
				       k == 3 ? "2001:db8:1::16" : "::", 8000 + (i + k) % 5,
				       80 + k);
			world_bound(w, name, text);
			(void)snprintf(text, sizeof(text), ":%u->%u/tcp", 8000 + (i + k) % 5,
				       80 + k);
			world_requested(w, name, text);
		}
		world_member(w, "docker_gwbridge", name, "fd00:9::2");
	}
}

/* Property: same world, same plan, byte for byte, in whatever order the engine tells it. */
static void test_any_order(void **state)
{
	_cleanup_(freep) char *first = NULL;
	uint32_t seed = 20240229;
	struct world w;

	(void)state;
	mixed_world(&w);
	first = plan_text(&w);
	assert_true(w.plan.problems.n > 5); /* a world worth shuffling */
	for (int i = 0; i < 50; i++) {
		_cleanup_(freep) char *again = NULL;

		shuffle_world(&w, &seed);
		again = plan_text(&w);
		assert_string_equal(again, first);
	}
	world_done(&w);
}

/* ----------------------------------------------------------------- scale */

/* Property: 500 containers with 20 ports each are all there, and take no quadratic time: with a
 * walk over all of them for each one this test would be felt. */
static void test_many_containers(void **state)
{
	char name[32], text[64];
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_network(&w, "n", "fd00:6::/64");
	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i);
		(void)snprintf(text, sizeof(text), "fd00:6::%x", i + 2);
		(void)world_container(&w, name, "n", text);
		for (unsigned k = 0; k < 20; k++) {
			(void)snprintf(text, sizeof(text), "[::]:%u->%u/tcp", 1000 + i * 20 + k,
				       k + 1);
			world_bound(&w, name, text);
		}
	}
	for (int i = 0; i < 20; i++)
		(void)world_plan(&w);
	assert_int_equal(world_count(&w, "publish_any"), 10000);
	assert_int_equal(world_presence(&w, "n", "c499")->ports.n, 20);
	assert_int_equal(world_presence(&w, "n", "c499")->ports.items[19].host_port, 10999);
	world_done(&w);
}

/* Property: neither do all ports there are of one container (a game or SIP server). */
static void test_many_ports(void **state)
{
	struct container *c;
	struct world w;

	(void)state;
	world_init(&w, 19, 3, 15); /* where every binding needs its request */
	(void)world_network(&w, "n", "fd00:6::/64");
	world_option(&w, "n", WORLD_BRIDGE "host_binding_ipv4", "0.0.0.0");
	c = world_container(&w, "many", "n", "fd00:6::2");
	for (unsigned port = 1; port <= UINT16_MAX; port++) {
		struct port_binding *b = world_new(vec_add(&c->requested));

		*b = (struct port_binding){ .protocol = IPPROTO_UDP,
					    .host_ip_kind = HOST_IP_EMPTY,
					    .container_port = (uint16_t)port,
					    .host_port = (uint16_t)port };
		b = world_new(vec_add(&c->ports));
		*b = c->requested.items[c->requested.n - 1];
		b->host_ip_kind = HOST_IP_V4;
	}
	for (int i = 0; i < 5; i++)
		(void)world_plan(&w);
	assert_int_equal(world_count(&w, "publish_any"), UINT16_MAX);
	assert_int_equal(world_presence(&w, "n", "many")->ports.n, UINT16_MAX);
	world_done(&w);
}

/* --------------------------------------------------------------- hostile */

/* Property: names and values that somebody made to hurt end up as data: the script has the lines
 * that it has for harmless names. */
static void test_hostile_names(void **state)
{
	static const char *const evil[] = {
		"\"",
		"'; flush ruleset; #",
		"a\nflush ruleset",
		"\x1b[2J",
		"\t",
		"%s%n%s",
		"{ }",
		"\\",
		"-A",
		"*",
		"\xff\xfe",
		"$(x)",
		"`x`",
	};
	_cleanup_(freep) char *tame = NULL;
	struct world w;

	(void)state;
	for (size_t i = 0; i <= N_ELEMENTS(evil); i++) {
		const char *name = i ? evil[i - 1] : "x";
		_cleanup_(freep) char *script = NULL;
		size_t lines = 0;

		world_init(&w, 28, 5, 2);
		(void)world_uplink(&w, "eth0", "2001:db8:1::/64", NULL);
		(void)world_network(&w, name, "2001:db8:1:0:d0::/80");
		world_option(&w, name, WORLD_BRIDGE "name", strlen(name) < 16 ? name : "y");
		world_option(&w, name, WORLD_BRIDGE "trusted_host_interfaces", name);
		world_option(&w, name, WORLD_BRIDGE "gateway_mode_ipv6", name);
		world_option(&w, name, WORLD_BRIDGE "host_binding_ipv4", name);
		world_option(&w, name, WORLD_BRIDGE "host_binding_ipv6", name);
		world_option(&w, name, "com.docker.network.host_ipv6", name);
		world_label(&w, name, "ipv6nat.mode", name);
		world_label(&w, name, "ipv6nat.firewall", name);
		world_label(&w, name, "ipv6nat.snat", name);
		world_label(&w, name, "ipv6nat.uplink", name);
		(void)world_container(&w, name, name, "2001:db8:1:0:d0::2");
		world_container_label(&w, name, "ipv6nat.publish", name);
		world_bound(&w, name, "[::]:8080->80/tcp");
		world_bound(&w, name, "99/tcp");
		(void)world_plan(&w);
		assert_string_equal(world_ports(&w, name) + strlen(name),
				    " [::]:8080->80/tcp active");
		assert_int_equal(world_problems(&w, PROBLEM_LABEL_INVALID), 4);

		script = world_script(&w);
		for (const char *p = script; *p; p++) {
			assert_true((unsigned char)*p >= ' ' || *p == '\n' || *p == '\t');
			lines += *p == '\n';
		}
		if (i == 0)
			tame = world_dup(script);
		for (const char *p = tame; *p; p++)
			lines -= *p == '\n';
		assert_int_equal(lines, 0);
		/* Chain names cannot be quoted at all. */
		if (!strchr("x-", name[0]) && strlen(name) < 16)
			assert_non_null(strstr(script, "chain from_0000010000000000 {"));
		world_done(&w);
	}
}

/* Property: a long value is cut in the message, at no harm to the rest of it. */
static void test_long_values(void **state)
{
	char value[5000];
	struct world w;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	world_init(&w, 28, 5, 2);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	(void)world_network(&w, "n", "fd00:6::/64");
	world_label(&w, "n", "ipv6nat.mode", value);
	world_label(&w, "n", "ipv6nat.uplink", value);
	(void)world_plan(&w);
	assert_int_equal(w.plan.problems.n, 2);
	vec_foreach (p, &w.plan.problems)
		assert_in_range(strlen(p->message), 64, 200);
	world_done(&w);
}

/* ------------------------------------------------------------- odd worlds */

/* Property: an empty world has the whole layout and no element, problem or wish but the uplink's. */
static void test_empty(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	w.links.all_forwarding = 0;
	(void)world_uplink(&w, "eth0", "2001:db8:1::/64", NULL);
	(void)world_plan(&w);
	vec_foreach (s, &w.plan.ruleset.tables[RULESET_IP6].sets)
		assert_int_equal(s->elements.n, 0);
	assert_true(w.plan.ruleset.tables[RULESET_IP6].present);
	assert_false(w.plan.ruleset.tables[RULESET_BRIDGE].present);
	assert_non_null(ruleset_find_chain(&w.plan.ruleset.tables[RULESET_IP6], "to_closed"));
	assert_int_equal(w.plan.networks.n + w.plan.problems.n + w.plan.sysctls.n, 0);
	assert_int_equal(w.plan.uplinks.n, 1);
	world_done(&w);
}

/* Property: a source leads to one network: what overlaps is told once for each network, and the
 * kernel is never asked for intervals that it must refuse. */
static void test_overlapping_subnets(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	(void)world_network(&w, "closed", "fd00:6::/64"); /* internal: nothing leaves it anyway */
	world_find_network(&w, "closed")->internal = true;
	(void)world_network(&w, "first", "fd00:6::/64");
	(void)world_network(&w, "same", "fd00:6::/64");
	(void)world_network(&w, "around", "fd00:6::/48");
	(void)world_network(&w, "inside", "fd00:6:0:0:1::/80");
	(void)world_network(&w, "beside", "fd00:6:0:1::/64");
	world_option(&w, "first", WORLD_BRIDGE "name", "br0");
	world_option(&w, "beside", WORLD_BRIDGE "name", "br1");
	(void)world_plan(&w);
	assert_int_equal(world_problems(&w, PROBLEM_SUBNET_OVERLAP), 4);
	assert_non_null(strstr(world_all_problems(&w),
			       "network inside: fd00:6:0:0:1::/80 overlaps a "
			       "subnet of network first, whose"));
	assert_string_equal(world_elements(&w, "source"), "fd00:6::/64 : goto from_br0");
	assert_int_equal(world_count(&w, "to"), 6); /* isolation goes by bridges, not by subnets */
	world_done(&w);
}

/* Property: many networks share the first 32 bits; a wide one covers several. */
static void test_inside(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_network(&w, "a", "fd00:6:0:1::/64");
	(void)world_network(&w, "b", "fd00:6:0:2::/64");
	(void)world_network(&w, "c", "fd01:8::/30");
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "inside"),
			    "0xfd000006; 0xfd010008; 0xfd010009; 0xfd01000a; 0xfd01000b");
	world_done(&w);
}

/* Property: the host's own connections from a bridge's address are nobody's to translate;
 * loopback and link-local addresses publish nothing. */
static void test_host_addresses(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_network(&w, "n", "fd00:6::/64");
	world_link_address(&w, "lo", "::1");
	world_link_address(&w, "eth0", "2001:db8:1::16");
	world_link_address(&w, "eth0", "fe80::16");
	world_link_address(&w, "eth1", "2001:db8:1::16"); /* twice on one host */
	world_link_address(&w, "br0", "fd00:6::1");
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "own"), "fd00:6::1");
	assert_string_equal(
		world_elements(&w, "host_address"),
		"2001:db8:1::16 : goto publish_to_any; fd00:6::1 : goto publish_to_any");
	world_done(&w);
}

/* Property: with br_netfilter and without hairpin mode a container's own ports are docker-proxy's. */
static void test_hairpin(void **state)
{
	static const struct {
		int global;
		bool own, hairpin, device, expected;
	} cases[] = {
		{ -1, false, false, true, false }, { 0, false, false, true, false },
		{ 1, false, false, true, true },   { 1, false, true, true, false },
		{ 0, true, false, true, true },    { 0, true, true, true, false },
		{ 1, false, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		world_init(&w, 28, 5, 2);
		(void)world_network(&w, "n", "fd00:6::/64");
		if (cases[i].device)
			world_option(&w, "n", WORLD_BRIDGE "name", "br0");
		else
			world_option(&w, "n", WORLD_BRIDGE "name", "br1");
		world_link(&w, "br0")->nf_call_ip6tables = cases[i].own;
		w.links.bridge_nf_call_ip6tables = cases[i].global;
		world_bridge_port(&w, "br0", "veth1")->hairpin = cases[i].hairpin;
		world_bridge_port(&w, "br9", "veth2")->hairpin = true; /* another bridge's */
		(void)world_container(&w, "web", "n", "fd00:6::2");
		world_bound(&w, "web", "[::]:8080->80/tcp");
		(void)world_plan(&w);
		assert_string_equal(world_elements(&w, "self"),
				    cases[i].expected ? "fd00:6::2 . tcp . 8080" : "");
		world_done(&w);
	}
}

/* Property: the key that counters are read by is the element's own key. */
static void test_port_element(void **state)
{
	static const char *const hosts[] = { "::", "2001:db8:1::16" };
	uint8_t key[RULESET_KEY];
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_network(&w, "n", "fd00:6::/64");
	(void)world_container(&w, "web", "n", "fd00:6::2");
	world_bound(&w, "web", "[::]:8080->80/tcp");
	world_bound(&w, "web", "[2001:db8:1::16]:8081->81/udp");
	(void)world_plan(&w);
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++) {
		struct status_port p = {
			.protocol = i ? IPPROTO_UDP : IPPROTO_TCP,
			.host_address = world_address(hosts[i]),
			.host_port = (uint16_t)(8080 + i),
		};
		const char *set = plan_port_element(&p, key);

		assert_string_equal(set, i ? "publish_address" : "publish_any");
		assert_int_equal(world_count(&w, set), 1);
		assert_memory_equal(world_set(&w, set)->elements.items[0].key, key, sizeof(key));
	}
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order),           cmocka_unit_test(test_many_containers),
		cmocka_unit_test(test_many_ports),          cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_long_values),         cmocka_unit_test(test_empty),
		cmocka_unit_test(test_overlapping_subnets), cmocka_unit_test(test_inside),
		cmocka_unit_test(test_host_addresses),      cmocka_unit_test(test_hairpin),
		cmocka_unit_test(test_port_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
