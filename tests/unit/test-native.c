/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does Docker itself translate a network? What the kernel shows, and what the version allows. */
#include "unit/world.h"

static enum docker_rules rules_of(struct world *w, const char *network)
{
	native_update(&w->snapshot, &w->links);
	return world_find_network(w, network)->docker_rules;
}

/* Property: rules that cannot be Docker's for this version do not count. */
static void test_version_gate(void **state)
{
	static const struct {
		unsigned major, minor;
		bool experimental, possible;
	} cases[] = {
		{ 19, 3, true, false },  { 20, 10, false, false }, { 20, 10, true, true },
		{ 26, 1, false, false }, { 26, 1, true, true },    { 27, 0, false, true },
		{ 29, 7, false, true },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		world_init(&w, cases[i].major, cases[i].minor, 0);
		w.snapshot.engine.experimental = cases[i].experimental;
		(void)world_network(&w, "n", "fd00:6::/64");
		world_docker_rules(&w, world_bridge(&w, "n"));
		assert_int_equal(native_possible(&w.snapshot), cases[i].possible);
		assert_int_equal(rules_of(&w, "n"),
				 cases[i].possible ? DOCKER_RULES_PRESENT : DOCKER_RULES_ABSENT);
		world_done(&w);
	}
}

/* Property: before the engine has told its version, nothing is Docker's. */
static void test_unknown_version(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 0, 0);
	free(w.snapshot.engine.version);
	w.snapshot.engine.version = NULL;
	assert_false(native_possible(&w.snapshot));
	world_done(&w);
}

/* Property: rules are unknown until they have been looked for, where there may be any; once is enough. */
static void test_unknown_until_looked_for(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	assert_false(native_is_unknown(&w.snapshot));
	(void)world_network(&w, "n", "fd00:6::/64");
	assert_true(native_is_unknown(&w.snapshot));
	assert_int_equal(rules_of(&w, "n"), DOCKER_RULES_ABSENT);
	assert_false(native_is_unknown(&w.snapshot));
	world_docker_rules(&w, world_bridge(&w, "n"));
	assert_int_equal(rules_of(&w, "n"), DOCKER_RULES_PRESENT);
	assert_false(native_is_unknown(&w.snapshot));
	(void)world_network(&w, "next", "fd00:7::/64");
	assert_true(native_is_unknown(&w.snapshot));
	w.snapshot.engine.version_major = 26;
	assert_false(native_is_unknown(&w.snapshot));
	world_done(&w);
}

/* Property: each network goes by its own bridge, and only with IPv6. */
static void test_own_bridge(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_network(&w, "one", "fd00:6::/64");
	(void)world_network(&w, "two", "fd00:7::/64");
	(void)world_network(&w, "v4", NULL);
	world_option(&w, "two", WORLD_BRIDGE "name", "br-two");
	world_docker_rules(&w, "br-two");
	world_docker_rules(&w, world_bridge(&w, "v4"));
	world_docker_rules(&w, "br-tw");
	assert_int_equal(rules_of(&w, "two"), DOCKER_RULES_PRESENT);
	assert_int_equal(rules_of(&w, "one"), DOCKER_RULES_ABSENT);
	assert_int_equal(rules_of(&w, "v4"), DOCKER_RULES_ABSENT);
	world_done(&w);
}

/* Property: vanished rules change no mode. They are an error until they are back, or until the
 * engine's facts start anew. */
static void test_lost(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	(void)world_network(&w, "n", "fd00:6::/64");
	world_docker_rules(&w, world_bridge(&w, "n"));
	(void)world_plan(&w);
	assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NATIVE);
	assert_int_equal(w.plan.problems.n, 0);

	for (int pass = 0; pass < 2; pass++) { /* it stays so */
		vec_done(&w.links.docker_rules);
		(void)world_plan(&w);
		assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NATIVE);
		assert_int_equal(w.plan.problems.n, 1);
		assert_int_equal(w.plan.problems.items[0].code, PROBLEM_DOCKER_RULES_LOST);
		assert_int_equal(w.plan.problems.items[0].severity, PROBLEM_ERROR);
		assert_string_equal(w.plan.problems.items[0].cure,
				    "restart Docker, which writes its rules again");
	}

	world_docker_rules(&w, world_bridge(&w, "n"));
	assert_int_equal(world_plan(&w)->problems.n, 0);
	assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NATIVE);

	vec_done(&w.links.docker_rules);
	world_find_network(&w, "n")->docker_rules = DOCKER_RULES_UNKNOWN; /* made again */
	assert_int_equal(world_plan(&w)->problems.n, 0);
	assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NAT);
	world_done(&w);
}

/* Property: Docker's rules go with the bridge of a network that is removed, and away from them the
 * engine writes them anew; neither is worth a word, and neither changes the mode. */
static void test_not_lost(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	(void)world_network(&w, "n", "fd00:6::/64");
	world_docker_rules(&w, world_bridge(&w, "n"));
	(void)world_plan(&w);

	vec_done(&w.links.docker_rules);
	w.snapshot.engine.connected = false;
	assert_int_equal(world_plan(&w)->problems.n, 0);
	assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NATIVE);

	w.snapshot.engine.connected = true;
	(void)snprintf(world_link(&w, world_bridge(&w, "n"))->name, IFNAMSIZ, "other");
	assert_int_equal(world_plan(&w)->problems.n, 0);
	assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NATIVE);
	world_done(&w);
}

/* Property: who wants another mode does not care about lost rules. */
static void test_lost_but_forced(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 28, 5, 2);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	(void)world_network(&w, "n", "fd00:6::/64");
	world_label(&w, "n", "ipv6nat.mode", "nat");
	world_find_network(&w, "n")->docker_rules = DOCKER_RULES_LOST;
	assert_int_equal(world_plan(&w)->problems.n, 0);
	assert_int_equal(world_status(&w, "n")->mode, NET_MODE_NAT);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_gate),
		cmocka_unit_test(test_unknown_version),
		cmocka_unit_test(test_unknown_until_looked_for),
		cmocka_unit_test(test_own_bridge),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_not_lost),
		cmocka_unit_test(test_lost_but_forced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
