/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Docker said, as structs: labels, order, look-ups, names of bridges. */
#include "unit/cmocka.h"

#include "base/facts.h"
#include "base/links.h"
#include "base/own.h"

#include <stdio.h>

/* Property: a key has one value, the last; values are copies; the empty value is one. */
static void test_key_values(void **state)
{
	struct key_values v = {};
	char key[] = "ipv6nat.mode", value[] = "nat";

	(void)state;
	assert_null(key_values_get(&v, key));
	assert_int_equal(key_values_set(&v, key, value), 0);
	value[0] = 'X';
	assert_string_equal(key_values_get(&v, key), "nat");
	assert_int_equal(key_values_set(&v, "ipv6nat.snat", "a"), 0);
	assert_int_equal(key_values_set(&v, "ipv6nat.mode", "proxy"), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(key_values_get(&v, key), "proxy");
	/* Its own value as the new one. */
	assert_int_equal(key_values_set(&v, key, key_values_get(&v, key)), 0);
	assert_string_equal(key_values_get(&v, key), "proxy");
	assert_int_equal(key_values_set(&v, "", ""), 0);
	assert_string_equal(key_values_get(&v, ""), "");
	assert_null(key_values_get(&v, "ipv6nat.mod"));
	assert_null(key_values_get(&v, "ipv6nat.mode2"));
	key_values_done(&v);
	key_values_done(&v);
	assert_int_equal(v.n, 0);
}

/* Property: the order of bindings is total, by protocol and container port first. */
static void test_port_binding_compare(void **state)
{
	static const struct port_binding sorted[] = {
		{ IPPROTO_TCP, HOST_IP_UNPUBLISHED, {}, 80, 0 },
		{ IPPROTO_TCP, HOST_IP_EMPTY, {}, 80, 8080 },
		{ IPPROTO_TCP, HOST_IP_V4, {}, 80, 1 },
		{ IPPROTO_TCP, HOST_IP_V4, {}, 80, 65535 },
		{ IPPROTO_TCP, HOST_IP_V6, {}, 80, 8080 },
		{ IPPROTO_TCP, HOST_IP_V6, IN6ADDR_LOOPBACK_INIT, 80, 8080 },
		{ IPPROTO_TCP, HOST_IP_UNPUBLISHED, {}, 65535, 0 },
		{ IPPROTO_UDP, HOST_IP_UNPUBLISHED, {}, 1, 0 },
		{ IPPROTO_SCTP, HOST_IP_UNPUBLISHED, {}, 1, 0 },
	};

	(void)state;
	for (size_t a = 0; a < N_ELEMENTS(sorted); a++)
		for (size_t b = 0; b < N_ELEMENTS(sorted); b++) {
			int r = port_binding_compare(&sorted[a], &sorted[b]);

			assert_int_equal((r > 0) - (r < 0), (a > b) - (a < b));
		}
}

static char *id_of(unsigned i)
{
	char *id = NULL;

	assert_true(asprintf(&id, "%064x", i) > 0);
	return id;
}

/* Property: objects are found by their whole ID in a sorted snapshot. */
static void test_snapshot_find(void **state)
{
	struct snapshot s = {};
	_cleanup_(freep) char *absent = id_of(50);

	(void)state;
	assert_null(snapshot_find_container(&s, absent));
	assert_null(snapshot_find_network(&s, absent));
	for (unsigned i = 100; i > 0; i--) {
		struct container *c;
		struct network *n;

		if (i == 50)
			continue;
		c = vec_add(&s.containers);
		assert_non_null(c);
		c->id = id_of(i);
		n = vec_add(&s.networks);
		assert_non_null(n);
		n->id = id_of(i);
	}
	vec_sort(&s.containers, container_compare);
	vec_sort(&s.networks, network_compare);
	for (unsigned i = 1; i <= 100; i++) {
		_cleanup_(freep) char *id = id_of(i);
		struct container *c = snapshot_find_container(&s, id);
		struct network *n = snapshot_find_network(&s, id);

		assert_int_equal(c != NULL, i != 50);
		assert_int_equal(n != NULL, i != 50);
		if (c)
			assert_string_equal(c->id, id);
		if (n)
			assert_string_equal(n->id, id);
	}
	assert_null(snapshot_find_network(&s, ""));
	assert_null(snapshot_find_network(&s, "000"));
	snapshot_done(&s);
}

/* Property: a bridge is named by its option, up to the 15 characters that an interface may have,
 * else by 12 digits of its ID. */
static void test_network_bridge(void **state)
{
	static const struct {
		const char *option, *expected;
	} cases[] = {
		{ NULL, "br-0123456789ab" },
		{ "", "br-0123456789ab" },
		{ "docker0", "docker0" },
		{ "br-fifteen-char", "br-fifteen-char" },
		{ "%s", "%s" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct network n = { .id = (char[]){ "0123456789abcdef0123456789abcdef" } };
		char buffer[16];

		if (cases[i].option)
			assert_int_equal(key_values_set(&n.options,
							"com.docker.network.bridge.name",
							cases[i].option),
					 0);
		assert_ptr_equal(network_bridge(&n, buffer), buffer);
		assert_string_equal(buffer, cases[i].expected);
		key_values_done(&n.options);
	}
}

/* Property: half-built and empty objects can be released, more than once. */
static void test_done(void **state)
{
	struct container c = {};
	struct network n = {};
	struct snapshot s = {};

	(void)state;
	container_done(&c);
	network_done(&n);
	assert_non_null(vec_add(&c.endpoints));
	assert_non_null(vec_add(&n.members));
	container_done(&c);
	network_done(&n);
	container_done(&c);
	assert_non_null(vec_add(&s.networks));
	assert_non_null(vec_add(&s.containers));
	snapshot_done(&s);
	snapshot_done(&s);
}

/* Property: links are found by index and by whole name, addresses on whichever has them. */
static void test_links(void **state)
{
	static const char *const names[] = { "lo", "eth0", "eth01", "fifteen_letters" };
	struct in6_addr a = IN6ADDR_LOOPBACK_INIT;
	struct links l = {};
	struct bridge_name *b;
	struct link_address *address;

	(void)state;
	assert_null(links_find(&l, 1));
	assert_null(links_find_name(&l, "lo"));
	assert_false(links_has_docker_rules(&l, "br0"));
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct link *link = vec_add(&l.links);

		assert_non_null(link);
		link->ifindex = (int)i * 3 + 1;
		(void)snprintf(link->name, sizeof(link->name), "%s", names[i]);
	}
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		assert_string_equal(links_find(&l, (int)i * 3 + 1)->name, names[i]);
		assert_ptr_equal(links_find_name(&l, names[i]), &l.links.items[i]);
	}
	assert_null(links_find(&l, 2));
	assert_null(links_find_name(&l, "eth"));

	assert_false(links_is_local(&l, &a));
	address = vec_add(&l.links.items[2].addresses);
	assert_non_null(address);
	address->address = a;
	assert_true(links_is_local(&l, &a));
	assert_false(links_is_local(&l, &in6addr_any));

	b = vec_add(&l.docker_rules);
	assert_non_null(b);
	(void)snprintf(b->name, sizeof(b->name), "br0");
	b = vec_add(&l.docker_rules);
	assert_non_null(b);
	(void)snprintf(b->name, sizeof(b->name), "docker0");
	assert_true(links_has_docker_rules(&l, "br0"));
	assert_true(links_has_docker_rules(&l, "docker0"));
	assert_false(links_has_docker_rules(&l, "docker"));
	links_done(&l);
	links_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_values),    cmocka_unit_test(test_port_binding_compare),
		cmocka_unit_test(test_snapshot_find), cmocka_unit_test(test_network_bridge),
		cmocka_unit_test(test_done),          cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
