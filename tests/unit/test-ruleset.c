/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/ruleset.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct ruleset_rule accept_from(const char *interface)
{
	struct ruleset_rule rule = {
		.exprs = {
			{.kind = RULESET_MATCH_NAME, .fields = {RULESET_IIFNAME}},
			{.kind = RULESET_VERDICT, .verdict = RULESET_ACCEPT},
		},
	};

	strcpy(rule.exprs[0].name, interface);
	return rule;
}

static struct ruleset_set *add_set(struct ruleset *r, const char *name)
{
	struct ruleset_set *s = vec_add(&r->tables[RULESET_IP6].sets);

	assert_non_null(s);
	strcpy(s->name, name);
	return s;
}

static struct ruleset_chain *add_chain(struct ruleset *r, const char *name)
{
	struct ruleset_chain *c = vec_add(&r->tables[RULESET_IP6].chains);

	assert_non_null(c);
	strcpy(c->name, name);
	return c;
}

static void add_port(struct ruleset_set *s, uint16_t port)
{
	struct ruleset_element *e = vec_add(&s->elements);
	size_t offset = 0;

	assert_non_null(e);
	ruleset_put_port(e->key, &offset, port);
}

static void add_rule(struct ruleset_chain *c, struct ruleset_rule rule)
{
	struct ruleset_rule *r = vec_add(&c->rules);

	assert_non_null(r);
	*r = rule;
}

/* Every value of the enums has a name, and the name leads back to the value. */
static void test_names(void **state)
{
	(void)state;
	for (int f = 0; f < _RULESET_FAMILY_MAX; f++) {
		assert_non_null(ruleset_family_to_string(f));
		assert_int_equal(ruleset_family_from_string(ruleset_family_to_string(f)), f);
	}
	for (int v = 0; v < _RULESET_VERDICT_MAX; v++) {
		assert_non_null(ruleset_verdict_to_string(v));
		assert_int_equal(ruleset_verdict_from_string(ruleset_verdict_to_string(v)), v);
	}
	assert_null(ruleset_family_to_string(_RULESET_FAMILY_MAX));
	assert_int_equal(ruleset_verdict_from_string("nonsense"), -EINVAL);
}

/* A concatenated key is what the kernel computes: big endian, each field padded with zeroes. */
static void test_key_bytes(void **state)
{
	static const uint8_t expected[RULESET_KEY] = {
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, /* address */
		6,    0,    0,    0,                                           /* protocol */
		0x23, 0x28, 0,    0,                                           /* port 9000 */
	};
	const struct ruleset_set s = {
		.key = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT },
		.data = { RULESET_DADDR, RULESET_DPORT },
	};
	uint8_t key[RULESET_KEY] = { 0 };
	struct in6_addr a;
	size_t offset = 0;

	(void)state;
	inet_pton(AF_INET6, "2001:db8::10", &a);
	ruleset_put_address(key, &offset, &a);
	ruleset_put_protocol(key, &offset, IPPROTO_TCP);
	ruleset_put_port(key, &offset, 9000);
	assert_memory_equal(key, expected, sizeof(key));
	assert_int_equal(offset, 24);
	assert_int_equal(ruleset_key_size(&s), 24);
	assert_int_equal(ruleset_data_size(&s), 20);
	assert_int_equal(ruleset_field_size(RULESET_IIFNAME), 16);
}

/* A name fills 16 bytes and never the last of them, however long it is. */
static void test_key_name(void **state)
{
	uint8_t key[RULESET_KEY] = { 0 };
	size_t offset = 0;

	(void)state;
	ruleset_put_name(key, &offset, "a-name-beyond-the-limit");
	assert_string_equal((char *)key, "a-name-beyond-t");
	assert_int_equal(offset, 16);
}

/* Finishing sorts, so that finding works by bisection; and finding works before as well. */
static void test_finish_and_find(void **state)
{
	struct ruleset r = { 0 };
	struct ruleset_table *t = &r.tables[RULESET_IP6];

	(void)state;
	add_set(&r, "c");
	add_port(add_set(&r, "a"), 90);
	add_port(&t->sets.items[1], 80);
	add_chain(&r, "z");
	add_chain(&r, "y");
	assert_ptr_equal(ruleset_find_set(t, "c"), &t->sets.items[0]);
	assert_ptr_equal(ruleset_find_chain(t, "z"), &t->chains.items[0]);

	ruleset_finish(&r);
	assert_string_equal(t->sets.items[0].name, "a");
	assert_string_equal(t->sets.items[1].name, "c");
	assert_string_equal(t->chains.items[0].name, "y");
	assert_int_equal(t->sets.items[0].elements.items[0].key[1], 80);
	assert_ptr_equal(ruleset_find_set(t, "c"), &t->sets.items[1]);
	assert_ptr_equal(ruleset_find_chain(t, "z"), &t->chains.items[1]);
	assert_null(ruleset_find_set(t, "b"));
	assert_null(ruleset_find_chain(t, "x"));
	ruleset_done(&r);
}

/* The tag tells rules apart by meaning and place, and by nothing else. */
static void test_tags(void **state)
{
	struct ruleset_rule a = accept_from("brA"), b = accept_from("brB"), same;
	uint64_t tag = ruleset_rule_hash(RULESET_IP6, "to_A", &a);

	(void)state;
	memset(&same, 0xff, sizeof(same)); /* padding differs */
	for (size_t i = 0; i < RULESET_EXPRS; i++) {
		memset(same.exprs[i].name, 0, sizeof(same.exprs[i].name));
		same.exprs[i].kind = a.exprs[i].kind;
		same.exprs[i].invert = a.exprs[i].invert;
		memcpy(same.exprs[i].fields, a.exprs[i].fields, sizeof(a.exprs[i].fields));
		strcpy(same.exprs[i].name, a.exprs[i].name);
		same.exprs[i].prefix.address = a.exprs[i].prefix.address;
		same.exprs[i].prefix.length = a.exprs[i].prefix.length;
		same.exprs[i].value = a.exprs[i].value;
		same.exprs[i].verdict = a.exprs[i].verdict;
	}
	assert_true(tag != 0);
	assert_true(tag == ruleset_rule_hash(RULESET_IP6, "to_A", &same));
	assert_true(tag != ruleset_rule_hash(RULESET_IP6, "to_A", &b));
	assert_true(tag != ruleset_rule_hash(RULESET_IP6, "to_B", &a));
	assert_true(tag != ruleset_rule_hash(RULESET_BRIDGE, "to_A", &a));
	same.exprs[0].invert = true;
	assert_true(tag != ruleset_rule_hash(RULESET_IP6, "to_A", &same));
}

/* The tag is part of what lives in the kernel across versions of the program: it must not drift.
 * Who changes this number on purpose raises RULESET_LAYOUT. */
static void test_tag_is_stable(void **state)
{
	struct ruleset_rule a = accept_from("brA");

	(void)state;
	assert_true(ruleset_rule_hash(RULESET_IP6, "to_A", &a) == UINT64_C(0x31cfc7bb57dfad4f));
}

/* Rules that we made get a tag; an observed rule, known by its tag alone, keeps it. */
static void test_finish_tags(void **state)
{
	struct ruleset r = { 0 };
	struct ruleset_chain *c = add_chain(&r, "to_A");
	struct ruleset_rule ours = accept_from("brA");

	(void)state;
	add_rule(c, ours);
	add_rule(c, (struct ruleset_rule){ .tag = 7 });
	add_rule(c, (struct ruleset_rule){ 0 });
	ruleset_finish(&r);
	assert_true(c->rules.items[0].tag == ruleset_rule_hash(RULESET_IP6, "to_A", &ours));
	assert_true(c->rules.items[1].tag == 7);
	assert_true(c->rules.items[2].tag == 0);
	ruleset_done(&r);
}

/* A copy is equal and independent. */
static void test_copy(void **state)
{
	struct ruleset r = { .tables[RULESET_IP6].present = true }, copy;

	(void)state;
	add_port(add_set(&r, "s"), 80);
	add_set(&r, "empty");
	add_rule(add_chain(&r, "c"), accept_from("brA"));
	ruleset_finish(&r);
	assert_int_equal(ruleset_copy(&r, &copy), 0);
	r.tables[RULESET_IP6].sets.items[1].elements.items[0].key[1] = 81;
	ruleset_done(&r);
	assert_false(r.tables[RULESET_IP6].present);

	assert_true(copy.tables[RULESET_IP6].present);
	assert_int_equal(copy.tables[RULESET_IP6].sets.n, 2);
	assert_int_equal(copy.tables[RULESET_IP6].sets.items[1].elements.items[0].key[1], 80);
	assert_int_equal(copy.tables[RULESET_IP6].chains.items[0].rules.n, 1);
	ruleset_done(&copy);
}

/* Elements sort by the whole key, then by prefix length; values and counters do not matter. */
static void test_element_compare(void **state)
{
	struct ruleset_element a = { .key = { 1 }, .prefix_length = 64 }, b = a;

	(void)state;
	b.packets = 5;
	b.verdict = RULESET_DROP;
	assert_int_equal(ruleset_element_compare(&a, &b), 0);
	assert_false(ruleset_element_same_value(&a, &b));
	b.verdict = RULESET_VERDICT_NONE;
	assert_true(ruleset_element_same_value(&a, &b));
	b.prefix_length = 65;
	assert_true(ruleset_element_compare(&a, &b) < 0);
	b.key[RULESET_KEY - 1] = 1;
	b.prefix_length = 0;
	assert_true(ruleset_element_compare(&a, &b) < 0);
	strcpy(b.chain, "x");
	assert_false(ruleset_element_same_value(&a, &b));
}

/* Shapes are what cannot be changed in place; a counter that an old kernel dropped is none. */
static void test_shapes(void **state)
{
	struct ruleset_set s = { .name = "s", .kind = RULESET_MAP, .key = { RULESET_DADDR } },
			   t = s;
	struct ruleset_chain c = { .name = "c", .base = true, .hook = RULESET_HOOK_FORWARD }, d = c;

	(void)state;
	t.counter = true;
	assert_true(ruleset_set_same_shape(&s, &t));
	t.data[0] = RULESET_DADDR;
	assert_false(ruleset_set_same_shape(&s, &t));
	t = s;
	t.interval = true;
	assert_false(ruleset_set_same_shape(&s, &t));
	d.priority = -1;
	assert_false(ruleset_chain_same_shape(&c, &d));
	c.base = d.base = false; /* hook and priority mean nothing now */
	assert_true(ruleset_chain_same_shape(&c, &d));
}

/* A foreign rule (tag 0) makes a chain differ, even from a chain that looks the same. */
static void test_foreign_rule_differs(void **state)
{
	struct ruleset r = { 0 };
	struct ruleset_chain *c = add_chain(&r, "c");

	(void)state;
	assert_true(ruleset_chain_same_rules(c, c));
	add_rule(c, (struct ruleset_rule){ .tag = 7 });
	assert_true(ruleset_chain_same_rules(c, c));
	add_rule(c, (struct ruleset_rule){ .tag = 0 });
	assert_false(ruleset_chain_same_rules(c, c));
	ruleset_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_key_bytes),
		cmocka_unit_test(test_key_name),
		cmocka_unit_test(test_finish_and_find),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_tag_is_stable),
		cmocka_unit_test(test_finish_tags),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_element_compare),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_foreign_rule_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
