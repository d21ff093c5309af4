/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan against recorded engines: what four engines answered, and the rules that they kept, in;
 * the whole plan as text out, compared with tests/data/plans/. UPDATE_GOLDEN=1 writes them anew
 * (read the difference before you commit it).
 */
#include "unit/cmocka.h"

#include "base/own.h"
#include "model/native.h"
#include "model/plan.h"
#include "wire/docker-json.h"
#include "wire/nft-text.h"

#include <glob.h>
#include <stdio.h>

#define DATA "tests/data/"

static char *read_file(const char *path, size_t *ret_size)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "r");
	char *text;
	size_t n;

	if (!f)
		return NULL;
	text = calloc(1, 1 << 20);
	assert_non_null(text);
	n = fread(text, 1, (1 << 20) - 1, f);
	if (ret_size)
		*ret_size = n;
	return text;
}

static char *read_answer(const char *engine, const char *name, size_t *ret_size)
{
	char path[256];
	char *text;

	snprintf(path, sizeof(path), DATA "engines/%s/%s", engine, name);
	text = read_file(path, ret_size);
	if (!text)
		fail_msg("cannot read %s: run from the top of the tree", path);
	return text;
}

/* ------------------------------------------------------------ the world */

static void load_inspected(const char *engine, struct snapshot *s)
{
	char pattern[256];
	glob_t found;

	snprintf(pattern, sizeof(pattern), DATA "engines/%s/container-*.json", engine);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		size_t size;
		_cleanup_(freep) char *text = read_file(found.gl_pathv[i], &size);
		struct container c = {}, *kept;
		const char *why = NULL;

		if (docker_json_container(text, size, &c, &why) < 0)
			fail_msg("%s: %s", found.gl_pathv[i], why);
		kept = snapshot_find_container(s, c.id);
		if (kept) {
			container_done(kept);
			*kept = c;
		} else {
			container_done(&c);
		}
	}
	globfree(&found);
}

static void load_snapshot(const char *engine, struct snapshot *s)
{
	struct networks networks = {};
	struct containers containers = {};
	const char *why = NULL;
	unsigned skipped;
	size_t size;

	_cleanup_(freep) char *version = read_answer(engine, "version.json", &size);
	assert_int_equal(docker_json_version(version, size, &s->engine, &why), 0);
	_cleanup_(freep) char *info = read_answer(engine, "info.json", &size);
	assert_int_equal(docker_json_info(info, size, &s->engine, &why), 0);

	_cleanup_(freep) char *networks_text = read_answer(engine, "networks.json", &size);
	assert_int_equal(docker_json_networks(networks_text, size, &networks, &skipped, &why), 0);
	assert_int_equal(skipped, 0);
	s->networks.items = networks.items;
	s->networks.n = networks.n;
	vec_sort(&s->networks, network_compare);

	_cleanup_(freep) char *containers_text = read_answer(engine, "containers.json", &size);
	assert_int_equal(docker_json_containers(containers_text, size, &containers, &skipped, &why),
			 0);
	assert_int_equal(skipped, 0);
	s->containers.items = containers.items;
	s->containers.n = containers.n;
	vec_sort(&s->containers, container_compare);

	load_inspected(engine, s);
	s->complete = true;
	s->engine.connected = true;
}

static struct link *add_link(struct links *l, const char *name, bool bridge)
{
	struct link *link = vec_add(&l->links);

	assert_non_null(link);
	link->ifindex = (int)l->links.n;
	snprintf(link->name, sizeof(link->name), "%s", name);
	link->up = true;
	link->is_bridge = bridge;
	link->has_mac = true;
	memcpy(link->mac, "\x02\x42\x00\x00\x00", 5);
	link->mac[5] = (uint8_t)l->links.n;
	link->accept_ra = -1;
	link->forwarding = 1;
	link->force_forwarding = -1;
	return link;
}

static void add_address(struct link *l, const char *text)
{
	struct link_address *a = vec_add(&l->addresses);

	assert_non_null(a);
	assert_int_equal(inet_parse(text, &a->address), 0);
	a->flags = 0x80; /* IFA_F_PERMANENT */
}

/* The lab host: one uplink, on-link 2001:db8:1::/64, forwarding on, and the engine's bridges. */
static void make_links(const char *engine, const struct snapshot *s, struct links *l)
{
	_cleanup_(freep) char *iptables = read_answer(engine, "ip6tables-save.txt", NULL);
	_cleanup_(freep) char *nft = read_answer(engine, "nft-ip6.txt", NULL);
	struct link *eth0 = add_link(l, "eth0", false);
	struct inet_prefix *on_link = vec_add(&eth0->on_link);

	eth0->default_route = true;
	add_address(eth0, "2001:db8:1::16");
	add_address(eth0, "fe80::16");
	assert_int_equal(inet_prefix_parse("2001:db8:1::/64", on_link), 0);
	l->complete = true;
	l->all_forwarding = 1;
	l->bridge_nf_call_ip6tables = -1;

	vec_foreach (n, &s->networks) {
		char bridge[16], rule[64], chain[64];

		if (strcmp(n->driver, "bridge") != 0)
			continue;
		network_bridge(n, bridge);
		add_link(l, bridge, true);
		snprintf(rule, sizeof(rule), "-o %s -j DOCKER\n", bridge);
		snprintf(chain, sizeof(chain), "nat-postrouting-out__%s ", bridge);
		if (strstr(iptables, rule) || strstr(nft, chain)) {
			struct bridge_name *b = vec_add(&l->docker_rules);

			snprintf(b->name, sizeof(b->name), "%s", bridge);
		}
	}
	vec_sort(&l->docker_rules, (int (*)(const void *, const void *))strcmp);
}

/* ------------------------------------------------------------- the text */

static void put_status(FILE *f, const struct plan *plan)
{
	char a[INET_ADDR_TEXT];

	vec_foreach (n, &plan->networks) {
		fprintf(f, "# network %s (%s): %s, %s; uplink %s\n", n->name, n->bridge,
			net_mode_to_string(n->mode), n->reason, n->uplink[0] ? n->uplink : "none");
		vec_foreach (c, &n->containers) {
			fprintf(f, "#   %s %s\n", c->name, inet_format(&c->address, a));
			vec_foreach (p, &c->ports)
				fprintf(f, "#     [%s]:%u/%s -> %u %s\n",
					inet_format(&p->host_address, a), p->host_port,
					inet_protocol_name(p->protocol), p->container_port,
					port_state_to_string(p->state));
		}
	}
	vec_foreach (p, &plan->problems)
		fprintf(f, "# %s %s: %s; %s\n", problem_severity_to_string(p->severity),
			problem_code_to_string(p->code), p->message, p->cure);
}

static char *plan_as_text(const struct plan *plan)
{
	_cleanup_(freep) char *ruleset = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	put_status(f, plan);
	assert_int_equal(nft_text_encode(&plan->ruleset, &ruleset), 0);
	fputs(ruleset, f);
	fclose(f);
	return text;
}

static void compare_golden(const char *name, const char *text)
{
	_cleanup_(freep) char *golden = NULL;
	char path[256];

	snprintf(path, sizeof(path), DATA "plans/%s.txt", name);
	if (getenv("UPDATE_GOLDEN")) {
		_cleanup_(fclosep) FILE *f = fopen(path, "w");

		assert_non_null(f);
		fputs(text, f);
		return;
	}
	golden = read_file(path, NULL);
	assert_non_null(golden);
	assert_string_equal(text, golden);
}

static void check_engine(const char *engine, bool with_docker_rules, const char *golden)
{
	struct config config;
	struct snapshot s = {};
	struct links l = {};
	struct plan plan = {}, again = {};

	config_init(&config);
	load_snapshot(engine, &s);
	make_links(engine, &s, &l);
	if (!with_docker_rules)
		vec_done(&l.docker_rules);
	native_update(&s, &l);
	assert_int_equal(plan_build(&config, &s, &l, &plan), 0);
	assert_int_equal(plan_build(&config, &s, &l, &again), 0);

	_cleanup_(freep) char *text = plan_as_text(&plan);
	_cleanup_(freep) char *text_again = plan_as_text(&again);
	assert_string_equal(text, text_again); /* same input, same output */
	compare_golden(golden, text);

	plan_done(&plan);
	plan_done(&again);
	links_done(&l);
	snapshot_done(&s);
	config_done(&config);
}

static void test_20_10(void **state)
{
	(void)state;
	check_engine("20.10.24", true, "20.10.24");
}

static void test_28_5_native(void **state)
{
	(void)state;
	check_engine("28.5.2", true, "28.5.2");
}

static void test_28_5_without_ip6tables(void **state)
{
	(void)state;
	check_engine("28.5.2", false, "28.5.2-ip6tables-false");
}

static void test_29_iptables(void **state)
{
	(void)state;
	check_engine("29.7.2", true, "29.7.2");
}

static void test_29_nftables(void **state)
{
	(void)state;
	check_engine("29.7.2-nftables", true, "29.7.2-nftables");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_20_10),
		cmocka_unit_test(test_28_5_native),
		cmocka_unit_test(test_28_5_without_ip6tables),
		cmocka_unit_test(test_29_iptables),
		cmocka_unit_test(test_29_nftables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
