/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses are answered on which uplink, from literals. */
#include "unit/cmocka.h"
#include "unit/world.h"

#define NET "net"

static const struct ndp_interface *find_interface(const struct world *w, const char *name)
{
	vec_foreach (i, &w->plan.ndp.interfaces)
		if (strcmp(i->name, name) == 0)
			return i;
	return NULL;
}

static bool is_answered(const struct world *w, const char *interface, const char *address)
{
	const struct ndp_interface *i = find_interface(w, interface);
	struct in6_addr a = world_address(address);

	if (!i)
		return false;
	vec_foreach (t, &i->targets)
		if (inet_equal(&t->address, &a))
			return true;
	return false;
}

static void proxy_world(struct world *w, const char *subnet, const char *address)
{
	world_init(w, 20, 10, 24);
	(void)world_uplink(w, "eth0", "2001:db8:1::/64", "2001:db8:1::16");
	(void)world_network(w, NET, subnet);
	(void)world_container(w, "web", NET, address);
}

/* Property: a live container inside an on-link prefix is answered, and the kernel kept from it. */
static void test_live_container(void **state)
{
	struct world w;

	(void)state;
	proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
	(void)world_plan(&w);
	assert_true(is_answered(&w, "eth0", "2001:db8:1:0:d0::2"));
	assert_true(world_has(&w, "answered", "\"eth0\" . 2001:db8:1:0:d0::2"));
	assert_string_equal(world_status(&w, NET)->containers.items[0].answered, "eth0");
	world_done(&w);
}

/* Property: on a bridge with br_netfilter the kernel's way is left alone, as it is ours, too. */
static void test_bridge_netfilter(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct world w;

		(void)state;
		proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
		w.links.bridge_nf_call_ip6tables = i == 1;
		links_find_name(&w.links, "eth0")->is_bridge = true;
		links_find_name(&w.links, "eth0")->nf_call_ip6tables = i == 2;
		(void)world_plan(&w);
		assert_true(is_answered(&w, "eth0", "2001:db8:1:0:d0::2"));
		assert_int_equal(world_has(&w, "answered", "\"eth0\" . 2001:db8:1:0:d0::2"),
				 i == 0);
		world_done(&w);
	}
}

/* Property: a stopped container is not answered, a starting one is as soon as it is a member. */
static void test_starting_container(void **state)
{
	struct world w;

	(void)state;
	proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
	(void)world_starting(&w, "next", NET, "2001:db8:1:0:d0::3");
	(void)world_starting(&w, "stopped", NET, NULL);
	(void)world_plan(&w);
	assert_true(is_answered(&w, "eth0", "2001:db8:1:0:d0::3"));
	assert_int_equal(find_interface(&w, "eth0")->targets.n, 2);
	world_done(&w);
}

/* Property: private networks, routed prefixes and Answer=no leave the uplink alone. */
static void test_nothing_to_answer(void **state)
{
	struct world w;

	(void)state;
	proxy_world(&w, "fd00:6::/64", "fd00:6::2");
	(void)world_plan(&w);
	assert_int_equal(w.plan.ndp.interfaces.n, 0);
	world_done(&w);

	proxy_world(&w, "2001:db8:2::/64", "2001:db8:2::2");
	(void)world_plan(&w);
	assert_int_equal(w.plan.ndp.interfaces.n, 0);
	world_done(&w);

	proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
	w.config.ndp_answer = false;
	(void)world_plan(&w);
	assert_int_equal(w.plan.ndp.interfaces.n, 0);
	assert_int_equal(world_count(&w, "answered"), 0);
	world_done(&w);
}

/* Property: of several uplinks the one with the longest prefix around the address answers. */
static void test_longest_prefix(void **state)
{
	struct world w;

	(void)state;
	proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
	(void)world_uplink(&w, "eth1", "2001:db8:1:0:d0::/76", "2001:db8:1:0:d0::1:1");
	(void)world_uplink(&w, "eth2", "2001:db8::/32", "2001:db8::1");
	(void)world_plan(&w);
	assert_true(is_answered(&w, "eth1", "2001:db8:1:0:d0::2"));
	assert_false(is_answered(&w, "eth0", "2001:db8:1:0:d0::2"));
	assert_false(is_answered(&w, "eth2", "2001:db8:1:0:d0::2"));
	world_done(&w);
}

/* Property: the uplink that somebody names is the only one, and must have the prefix on its link. */
static void test_asked_uplink(void **state)
{
	static const char *const names[] = { "eth0", "eth1", "eth2" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		bool is_on_link = i < 2;
		struct world w;

		proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
		(void)world_uplink(&w, "eth1", "2001:db8:1::/64", "2001:db8:1::17");
		(void)world_uplink(&w, "eth2", "2001:db8:2::/64", "2001:db8:2::1");
		world_label(&w, NET, "ipv6nat.uplink", names[i]);
		(void)world_plan(&w);
		for (size_t k = 0; k < N_ELEMENTS(names); k++)
			assert_int_equal(is_answered(&w, names[k], "2001:db8:1:0:d0::2"),
					 i == k && is_on_link);
		world_done(&w);
	}
}

/* Property: this host's own addresses, the bridge's among them, are never targets. */
static void test_own_addresses(void **state)
{
	struct world w;

	(void)state;
	proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::1");
	world_link_address(&w, world_bridge(&w, NET), "2001:db8:1:0:d0::1");
	(void)world_plan(&w);
	assert_false(is_answered(&w, "eth0", "2001:db8:1:0:d0::1"));
	world_done(&w);
}

/* Property: where Docker translates nothing by itself, the answers are our half; else they are not. */
static void test_native(void **state)
{
	static const struct {
		const char *gateway_mode;
		bool answered;
		size_t n_problems;
	} cases[] = { { "routed", true, 0 }, { "nat", false, 1 } };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		proxy_world(&w, "2001:db8:1:0:d0::/80", "2001:db8:1:0:d0::2");
		world_engine(&w, 28, 5, 2);
		world_option(&w, NET, WORLD_BRIDGE "gateway_mode_ipv6", cases[i].gateway_mode);
		world_docker_rules(&w, world_bridge(&w, NET));
		(void)world_plan(&w);
		assert_int_equal(world_status(&w, NET)->mode, NET_MODE_NATIVE);
		assert_int_equal(is_answered(&w, "eth0", "2001:db8:1:0:d0::2"), cases[i].answered);
		assert_int_equal(world_problems(&w, PROBLEM_FORWARD_DROP), cases[i].n_problems);
		world_done(&w);
	}
}

/* Property: a static rule is there without containers; a wide one, or one for nobody, is told. */
static void test_rules(void **state)
{
	struct world w;
	struct config_proxy *p;

	(void)state;
	world_init(&w, 20, 10, 24);
	(void)world_uplink(&w, "eth0", "2001:db8:1::/64", "2001:db8:1::16");
	p = world_new(vec_add(&w.config.proxies));
	p->interface = world_dup("eth0");
	*(struct inet_prefix *)world_new(vec_add(&p->prefixes)) =
		world_prefix("2001:db8:1:0:d0::/80");
	*(struct inet_prefix *)world_new(vec_add(&p->prefixes)) =
		world_prefix("2001:db8:1::f0/124");
	*(struct inet_prefix *)world_new(vec_add(&p->prefixes)) =
		world_prefix("2001:db8:1::f0/124");
	p = world_new(vec_add(&w.config.proxies));
	p->interface = world_dup("eth9");
	(void)world_plan(&w);
	assert_non_null(find_interface(&w, "eth0"));
	assert_int_equal(find_interface(&w, "eth0")->rules.n, 2);
	assert_int_equal(world_problems(&w, PROBLEM_WIDE_RULE), 1);
	assert_int_equal(world_problems(&w, PROBLEM_UPLINK_MISSING), 1);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_container),
		cmocka_unit_test(test_bridge_netfilter),
		cmocka_unit_test(test_starting_container),
		cmocka_unit_test(test_nothing_to_answer),
		cmocka_unit_test(test_longest_prefix),
		cmocka_unit_test(test_asked_uplink),
		cmocka_unit_test(test_own_addresses),
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
