/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that docker-ipv6nat makes: whose they are, by what the engine's version allows. */
#include "unit/world.h"

static void name_bridge(struct bridge_names *names, const char *name)
{
	struct bridge_name *b = world_new(vec_add(names));

	(void)snprintf(b->name, sizeof(b->name), "%s", name);
	vec_sort(names, (int (*)(const void *, const void *))strcmp);
}

static void leave(struct world *w, enum ip6tables kind, const char *bridge)
{
	struct leftovers *l = &w->links.leftovers[kind];

	l->chains = true;
	name_bridge(&l->bridges, bridge);
	name_bridge(&l->marked, bridge);
}

/* What is told, and how: nothing, all of it, or only what is certainly not Docker's. */
enum told {
	NOTHING,
	ALL,
	MARKED,
};

static enum told told(struct world *w)
{
	const struct problem *found = NULL;

	(void)world_plan(w);
	vec_foreach (p, &w->plan.problems)
		if (p->code == PROBLEM_LEFTOVER_RULES)
			found = p;
	if (!found)
		return NOTHING;
	assert_int_equal(found->severity, PROBLEM_WARNING);
	return strstr(found->cure, "-X ") ? ALL : MARKED;
}

/* Property: chains are taken away only where they cannot be Docker's. */
static void test_whose_they_are(void **state)
{
	static const struct {
		unsigned major, minor;
		bool experimental;
		bool native;         /* some network has Docker's own rules */
		bool docker_forward; /* a chain of Docker's own, from 28 on */
		bool marked;         /* the rule that Docker never makes is there, too */
		enum told told;
	} cases[] = {
		{ 19, 3, false, false, false, true, ALL },
		{ 20, 10, false, false, false, true, ALL },
		{ 20, 10, false, false, false, false, ALL }, /* a stale one of Docker's */
		{ 26, 1, false, true, false, false,
		  ALL }, /* they look like Docker's, but cannot be */
		{ 20, 10, true, true, false, false, NOTHING },
		{ 20, 10, true, true, false, true, MARKED },
		{ 26, 1, true, false, false, false, NOTHING }, /* no network with IPv6 */
		{ 27, 3, false, false, false, false, NOTHING },
		{ 27, 3, false, false, false, true, MARKED },
		{ 28, 5, false, true, true, false, NOTHING },
		{ 28, 5, false, true, true, true, MARKED },
		{ 28, 5, false, false, true, true, MARKED },
		{ 28, 5, false, false, false, true, ALL },   /* "ip6tables": false */
		{ 29, 7, false, true, false, true, MARKED }, /* its nftables backend */
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct world w;

		world_init(&w, cases[i].major, cases[i].minor, 0);
		(void)world_uplink(&w, "eth0", NULL, NULL);
		w.snapshot.engine.experimental = cases[i].experimental;
		(void)world_network(&w, "n", "fd00:6::/64");
		leave(&w, IP6TABLES_NFT, "br-old");
		if (!cases[i].marked)
			vec_done(&w.links.leftovers[IP6TABLES_NFT].marked);
		w.links.leftovers[IP6TABLES_NFT].docker_forward = cases[i].docker_forward;
		if (cases[i].native)
			world_docker_rules(&w, world_bridge(&w, "n"));
		if (told(&w) != cases[i].told)
			fail_msg("case %zu: %d", i, told(&w));
		world_done(&w);
	}
}

/* Property: each kind of ip6tables is told of on its own, with a command of its own. */
static void test_both_kinds(void **state)
{
	struct world w;
	const struct problem *p;

	(void)state;
	world_init(&w, 20, 10, 0);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	leave(&w, IP6TABLES_NFT, "docker0");
	leave(&w, IP6TABLES_LEGACY, "br-a.b");
	assert_int_equal(world_plan(&w)->problems.n, 2);
	p = w.plan.problems.items;
	assert_true(strncmp(p[0].cure, "ip6tables-nft-save | ", 21) == 0);
	assert_non_null(strstr(p[0].cure, "(docker0)"));
	assert_non_null(strstr(p[0].cure, "| ip6tables-nft-restore --noflush"));
	assert_true(strncmp(p[1].cure, "ip6tables-legacy-save | ", 24) == 0);
	assert_non_null(strstr(p[1].cure, "(br-a[.]b)"));
	world_done(&w);
}

/* Property: a name that a shell, or awk, would not take as it stands is not in the command. */
static void test_names(void **state)
{
	static const char *const names[] = {
		"$(reboot)", "';id", "a|b", "br*", "a\\b", "\"x", "a b"
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		world_init(&w, 20, 10, 0);
		(void)world_uplink(&w, "eth0", NULL, NULL);
		leave(&w, IP6TABLES_NFT, names[i]);
		leave(&w, IP6TABLES_NFT, "docker0");
		assert_int_equal(told(&w), ALL);
		assert_non_null(strstr(w.plan.problems.items[0].cure, "\" (docker0) \""));
		world_done(&w);
	}
}

/* Property: the message says of what it is not known whether it still runs, and whose DOCKER-USER is. */
static void test_message(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 20, 10, 0);
	(void)world_uplink(&w, "eth0", NULL, NULL);
	leave(&w, IP6TABLES_NFT, "br-1");
	assert_string_equal(
		world_all_problems((world_plan(&w), &w)),
		"warning leftover-rules: ip6tables-nft holds the rules of docker-ipv6nat "
		"for br-1: nothing uses them any more");
	for (unsigned i = 2; i < 6; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "br-%u", i);
		leave(&w, IP6TABLES_NFT, name);
	}
	(void)world_link(&w, "br-5");
	w.links.leftovers[IP6TABLES_NFT].user_rules = true;
	assert_string_equal(
		world_all_problems((world_plan(&w), &w)),
		"warning leftover-rules: ip6tables-nft holds the rules of docker-ipv6nat "
		"for br-1, br-2, br-3 and 2 more: it runs beside us, or was stopped and "
		"has left them; stop it for good before they are removed; chain "
		"DOCKER-USER has rules of yours and is kept");
	assert_null(strstr(w.plan.problems.items[0].cure, "|-USER"));
	world_done(&w);
}

/* Property: beside its drops between networks, containers reach published ports by docker-proxy, and
 * those of internal networks do not. */
static void test_beside(void **state)
{
	const struct ruleset_chain *chain;
	struct world w;

	(void)state;
	world_init(&w, 20, 10, 0);
	(void)world_network(&w, "its", "fd00:6::/64");
	(void)world_network(&w, "free", "fd00:7::/64");
	world_network(&w, "hidden", "fd00:8::/64")->internal = true;
	world_option(&w, "its", WORLD_BRIDGE "name", "br-its");
	world_option(&w, "hidden", WORLD_BRIDGE "name", "br-hidden");
	(void)world_plan(&w);
	assert_null(world_set(&w, "beside"));
	chain = ruleset_find_chain(&w.plan.ruleset.tables[RULESET_IP6], "prerouting");
	assert_int_equal(chain->rules.n, 2);

	leave(&w, IP6TABLES_LEGACY, "br-its");
	leave(&w, IP6TABLES_LEGACY, "br-hidden");
	(void)world_plan(&w);
	assert_string_equal(world_elements(&w, "beside"), "\"br-its\"");
	chain = ruleset_find_chain(&w.plan.ruleset.tables[RULESET_IP6], "prerouting");
	assert_int_equal(chain->rules.n, 3);
	assert_string_equal(chain->rules.items[0].exprs[0].name, "beside");
	assert_int_equal(chain->rules.items[0].exprs[1].verdict, RULESET_RETURN);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_they_are), cmocka_unit_test(test_both_kinds),
		cmocka_unit_test(test_names),          cmocka_unit_test(test_message),
		cmocka_unit_test(test_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
