/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which settings of the kernel the plan raises, in which order, and when it only reports. */
#include "unit/world.h"

#define CONF "net/ipv6/conf/"

/* A host before we came: forwarding off, eth0's default route from router advertisements. */
static struct link *basic_world(struct world *w, const char *mode)
{
	struct link *eth0;

	world_init(w, 20, 10, 24);
	w->links.all_forwarding = w->links.default_forwarding = 0;
	(void)world_network(w, "n", "2001:db8:1:0:d0::/80");
	world_option(w, "n", WORLD_BRIDGE "name", "br0");
	world_link(w, "br0")->forwarding = 0;
	world_label(w, "n", "ipv6nat.mode", mode);
	eth0 = world_uplink(w, "eth0", "2001:db8:1::/64", "2001:db8:1::16");
	eth0->default_route_ra = true;
	eth0->accept_ra = 1;
	eth0->forwarding = 0;
	return eth0;
}

static void expect_sysctls(struct world *w, const char *expected, size_t n_problems)
{
	(void)world_plan(w);
	assert_string_equal(world_sysctls(w), expected);
	assert_int_equal(w->plan.problems.n, n_problems);
}

/* Property: forwarding is wanted where something is translated or opened by us, and nowhere else:
 * a host with native networks only is left as it is. */
static void test_modes(void **state)
{
	static const struct {
		const char *mode;
		bool wanted;
	} cases[] = {
		{ "nat", true },       { "proxy", true }, { "routed", true },
		{ "internal", false }, { "off", false },  { "native", false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		(void)basic_world(&w, cases[i].mode);
		expect_sysctls(&w,
			       cases[i].wanted ? CONF "eth0/accept_ra=2; " CONF "all/forwarding=1"
					       : "",
			       0);
		w.config.forwarding = CONFIG_FORWARDING_REPORT;
		expect_sysctls(&w, "", cases[i].wanted ? 2 : 0);
		world_done(&w);
	}
}

/* Property: without networks of ours nothing is touched. */
static void test_no_networks(void **state)
{
	struct world w;

	(void)state;
	(void)basic_world(&w, "nat");
	world_find_network(&w, "n")->ipv6 = false;
	expect_sysctls(&w, "", 0);
	world_done(&w);
}

struct ra_case {
	int accept_ra, forwarding, all_forwarding;
	bool default_route_ra, permanent;
	const char *expected;
};

/* Property: accept_ra=2 comes before forwarding, where advertisements are lived by and would be
 * (or are already) ignored; other values of accept_ra are somebody's decision. */
static void test_accept_ra(void **state)
{
	static const struct ra_case cases[] = {
		{ 1, 0, 0, true, true, CONF "eth0/accept_ra=2; " CONF "all/forwarding=1" },
		{ 1, 1, 1, true, true, CONF "eth0/accept_ra=2" },
		{ 1, 0, 1, true, true, "" }, /* does not forward: still accepts */
		{ 2, 0, 0, true, true, CONF "all/forwarding=1" },
		{ 0, 0, 0, true, true, CONF "all/forwarding=1" },
		{ -1, 0, 0, true, true, CONF "all/forwarding=1" },
		{ 1, 0, 0, false, true, CONF "all/forwarding=1" }, /* static */
		{ 1, 1, 1, false, false,
		  CONF "eth0/accept_ra=2" }, /* its route is purged already */
		{ 2, 1, 1, true, true, "" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct ra_case *c = &cases[i];
		struct link *eth0;
		struct world w;

		eth0 = basic_world(&w, "nat");
		eth0->accept_ra = c->accept_ra;
		eth0->forwarding = c->forwarding;
		eth0->default_route = eth0->default_route_ra = c->default_route_ra;
		eth0->addresses.items[0].flags = c->permanent ? IFA_F_PERMANENT : 0;
		w.links.all_forwarding = c->all_forwarding;
		world_config_uplink(&w, "eth0");
		(void)world_plan(&w);
		if (strcmp(world_sysctls(&w), c->expected) != 0)
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, w.text, c->expected);
		world_done(&w);
	}
}

/* Property: containers' bridges never get accept_ra, whatever is on them. */
static void test_no_accept_ra_for_bridges(void **state)
{
	struct world w;

	(void)state;
	(void)basic_world(&w, "nat");
	world_link(&w, "br0")->accept_ra = 1;
	world_link_address(&w, "br0", "fd00:6::1");
	world_link(&w, "br0")->addresses.items[0].flags = 0;
	expect_sysctls(&w, CONF "eth0/accept_ra=2; " CONF "all/forwarding=1", 0);
	world_done(&w);
}

/* Property: where the kernel has force_forwarding, it is raised for every interface that traffic
 * comes in on, accept_ra stays, and nothing global changes. */
static void test_force_forwarding(void **state)
{
	struct world w;

	(void)state;
	(void)basic_world(&w, "nat");
	(void)world_link(&w, "eth1");
	world_link_address(&w, "lo", "::1");
	world_link_address(&w, "wg0", "fd00:99::1");
	world_link_address(&w, "wlan0", "fe80::1");
	vec_foreach (l, &w.links.links)
		l->force_forwarding = 0;
	/* The network's first bridge name was replaced: that device is nobody's. */
	expect_sysctls(&w,
		       CONF "br0/force_forwarding=1; " CONF "eth0/force_forwarding=1; " CONF
			    "wg0/force_forwarding=1",
		       0);
	world_link(&w, "eth0")->force_forwarding = 1;
	expect_sysctls(&w, CONF "br0/force_forwarding=1; " CONF "wg0/force_forwarding=1", 0);

	w.config.forwarding = CONFIG_FORWARDING_REPORT;
	expect_sysctls(&w, "", 1);
	assert_int_equal(w.plan.problems.items[0].code, PROBLEM_FORWARDING_OFF);
	world_link(&w, "br0")->force_forwarding = world_link(&w, "wg0")->force_forwarding = 1;
	expect_sysctls(&w, "", 0);

	/* Forwarding is on: who turned it on had a reason, and nothing is missing. */
	world_link(&w, "eth0")->force_forwarding = 0;
	w.config.forwarding = CONFIG_FORWARDING_ENSURE;
	w.links.all_forwarding = 1;
	expect_sysctls(&w, "", 0);
	world_done(&w);
}

/* Property: Forwarding=report says both things, with a cure, and raises nothing. */
static void test_report(void **state)
{
	struct world w;

	(void)state;
	(void)basic_world(&w, "nat");
	w.config.forwarding = CONFIG_FORWARDING_REPORT;
	expect_sysctls(&w, "", 2);
	assert_string_equal(
		world_all_problems(&w),
		"warning accept-ra: eth0 has its default route from router advertisements, "
		"and accept_ra=1 ignores them when forwarding is on; error forwarding-off: "
		"IPv6 forwarding is off: no packet reaches a container from outside");
	vec_foreach (p, &w.plan.problems)
		assert_int_not_equal(p->cure[0], '\0');
	world_done(&w);
}

/* Property: what cannot be read is not written. */
static void test_unreadable(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w, "nat")->accept_ra = -1;
	w.links.all_forwarding = -1;
	expect_sysctls(&w, "", 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_no_networks),
		cmocka_unit_test(test_accept_ra),
		cmocka_unit_test(test_no_accept_ra_for_bridges),
		cmocka_unit_test(test_force_forwarding),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
