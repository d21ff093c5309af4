/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan without what the kernel has refused. */
#include "unit/world.h"

static void basic_world(struct world *w)
{
	world_init(w, 28, 5, 2);
	(void)world_uplink(w, "eth0", NULL, "2001:db8:1::16");
	(void)world_network(w, "n", "fd00:6::/64");
	(void)world_network(w, "m", "fd00:7::/64");
	world_option(w, "n", WORLD_BRIDGE "name", "br0");
	world_option(w, "m", WORLD_BRIDGE "name", "br1");
	world_option(w, "m", WORLD_BRIDGE "enable_icc", "0");
	(void)world_bridge_port(w, "br1", "veth1");
	(void)world_container(w, "web", "n", "fd00:6::2");
	world_bound(w, "web", "[::]:8080->80/tcp");
	world_bound(w, "web", "[::]:8081->81/tcp");
	(void)world_plan(w);
}

static bool has_chain(struct world *w, const char *name)
{
	return ruleset_find_chain(&w->plan.ruleset.tables[RULESET_IP6], name);
}

static void refuse(struct world *w, struct plan_refusal refusal)
{
	struct plan_refusals refusals = { .items = &refusal, .n = 1 };

	plan_without(&w->plan, &refusals);
}

/* As the daemon notes it: the element's key and prefix length. */
static struct plan_refusal element(struct world *w, const char *set, size_t i)
{
	struct plan_refusal refusal = { .family = RULESET_IP6 };
	const struct ruleset_element *e = &world_set(w, set)->elements.items[i];

	(void)snprintf(refusal.set, sizeof(refusal.set), "%s", set);
	memcpy(refusal.key, e->key, sizeof(refusal.key));
	refusal.prefix_length = e->prefix_length;
	return refusal;
}

/* Property: an element goes, its neighbours and other sets stay. */
static void test_element(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w);
	refuse(&w, element(&w, "publish_any", 0));
	assert_string_equal(world_elements(&w, "publish_any"), "tcp . 8081 : fd00:6::2 . 81");
	refuse(&w, element(&w, "source", 1));
	assert_string_equal(world_elements(&w, "source"), "fd00:6::/64 : goto from_br0");
	world_done(&w);
}

/* Property: a port that the kernel has refused is not said to be active, and is not counted. */
static void test_port(void **state)
{
	struct world w;

	(void)state;
	basic_world(&w);
	refuse(&w, element(&w, "publish_any", 1));
	assert_string_equal(world_ports(&w, "web"),
			    "n [::]:8080->80/tcp active; n [::]:8081->81/tcp refused");
	assert_false(status_port_translated(&world_presence(&w, "n", "web")->ports.items[1]));
	assert_true(status_port_translated(&world_presence(&w, "n", "web")->ports.items[0]));
	world_done(&w);
}

/* Property: an element is known by its set, family and prefix length too. */
static void test_other_element(void **state)
{
	struct plan_refusal refusal;
	struct world w;

	(void)state;
	basic_world(&w);
	refusal = element(&w, "source", 0);
	refusal.prefix_length--;
	refuse(&w, refusal);
	refusal = element(&w, "source", 0);
	refusal.family = RULESET_BRIDGE;
	refuse(&w, refusal);
	refusal = element(&w, "bridges", 0); /* of the same bytes as one of "internal" might be */
	(void)snprintf(refusal.set, sizeof(refusal.set), "internal");
	refuse(&w, refusal);
	assert_int_equal(world_count(&w, "source"), 2);
	assert_int_equal(world_count(&w, "bridges"), 2);
	world_done(&w);
}

/* Property: a chain goes with every element that leads to it. */
static void test_chain(void **state)
{
	struct plan_refusal refusal = { .family = RULESET_IP6, .chain = "from_br0" };
	struct world w;

	(void)state;
	basic_world(&w);
	assert_true(has_chain(&w, "from_br0"));
	refuse(&w, refusal);
	assert_false(has_chain(&w, "from_br0"));
	assert_true(has_chain(&w, "from_br1"));
	assert_string_equal(world_elements(&w, "source"), "fd00:7::/64 : goto from_br1");
	assert_int_equal(world_count(&w, "to"), 2);
	world_done(&w);
}

/* Property: base chains are the layout itself and stay; the other table is not concerned. */
static void test_base_chain(void **state)
{
	struct plan_refusal refusal = { .family = RULESET_IP6, .chain = "forward" };
	struct world w;

	(void)state;
	basic_world(&w);
	refuse(&w, refusal);
	assert_true(has_chain(&w, "forward"));
	assert_int_equal(world_count(&w, "isolated_ports"), 1);
	world_done(&w);
}

/* Property: nothing refused, nothing gone. */
static void test_nothing(void **state)
{
	struct plan_refusals none = {};
	_cleanup_(freep) char *before = NULL, *after = NULL;
	struct world w;

	(void)state;
	basic_world(&w);
	before = world_script(&w);
	plan_without(&w.plan, &none);
	after = world_script(&w);
	assert_string_equal(before, after);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_element),       cmocka_unit_test(test_port),
		cmocka_unit_test(test_other_element), cmocka_unit_test(test_chain),
		cmocka_unit_test(test_base_chain),    cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
