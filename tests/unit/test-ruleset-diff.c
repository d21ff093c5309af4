/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes are not only counted but applied, one by one, to a small model of nf_tables that knows
 * its rules: nothing is added twice, nothing that is absent is deleted, nothing refers to what does
 * not exist, and what is referred to cannot be deleted.
 */
#include "model/ruleset-diff.h"
#include "wire/nft-text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------- building */

static struct ruleset_table *ip6_table(struct ruleset *r)
{
	r->tables[RULESET_IP6].present = true;
	return &r->tables[RULESET_IP6];
}

static struct ruleset_set *add_set(struct ruleset_table *t, const char *name)
{
	struct ruleset_set *s = vec_add(&t->sets);

	assert_non_null(s);
	strcpy(s->name, name);
	s->kind = RULESET_VERDICT_MAP;
	s->key[0] = RULESET_DPORT;
	return s;
}

static struct ruleset_chain *add_chain(struct ruleset_table *t, const char *name)
{
	struct ruleset_chain *c = vec_add(&t->chains);

	assert_non_null(c);
	strcpy(c->name, name);
	return c;
}

static void add_element(struct ruleset_set *s, uint16_t port, enum ruleset_verdict verdict,
			const char *chain)
{
	struct ruleset_element *e = vec_add(&s->elements);
	size_t offset = 0;

	assert_non_null(e);
	ruleset_put_port(e->key, &offset, port);
	e->verdict = verdict;
	strcpy(e->chain, chain);
}

static void add_verdict(struct ruleset_chain *c, enum ruleset_verdict verdict, const char *target)
{
	struct ruleset_rule *rule = vec_add(&c->rules);

	assert_non_null(rule);
	rule->exprs[0] = (struct ruleset_expr){ .kind = RULESET_VERDICT, .verdict = verdict };
	strcpy(rule->exprs[0].name, target);
}

static void add_lookup(struct ruleset_chain *c, const char *set)
{
	struct ruleset_rule *rule = vec_add(&c->rules);

	assert_non_null(rule);
	rule->exprs[0] = (struct ruleset_expr){ .kind = RULESET_LOOKUP_VERDICT,
						.fields = { RULESET_DPORT } };
	strcpy(rule->exprs[0].name, set);
}

/* A base chain that looks up map "m" and a chain "to_A" that an element of the map jumps to. */
static struct ruleset sample(void)
{
	struct ruleset r = { 0 };
	struct ruleset_table *t = ip6_table(&r);
	struct ruleset_set *m = add_set(t, "m");
	struct ruleset_chain *base;

	add_element(m, 80, RULESET_JUMP, "to_A");
	add_element(m, 81, RULESET_ACCEPT, "");
	base = add_chain(t, "forward");
	base->base = true;
	base->hook = RULESET_HOOK_FORWARD;
	base->priority = -1;
	add_lookup(base, "m");
	add_verdict(add_chain(t, "to_A"), RULESET_DROP, "");
	ruleset_finish(&r);
	return r;
}

/* What the kernel's answer looks like: rules are known by their tags alone. */
static struct ruleset as_observed(const struct ruleset *r)
{
	struct ruleset copy;

	assert_int_equal(ruleset_copy(r, &copy), 0);
	for (size_t f = 0; f < _RULESET_FAMILY_MAX; f++)
		vec_foreach (c, &copy.tables[f].chains)
			vec_foreach (rule, &c->rules)
				memset(rule->exprs, 0, sizeof(rule->exprs));
	return copy;
}

static struct ruleset_changes diff(const struct ruleset *before, const struct ruleset *after)
{
	struct ruleset_changes changes = { 0 };

	assert_int_equal(ruleset_diff(before, after, &changes), 0);
	return changes;
}

/* --------------------------------------------------------------- simulator */

/* Is name referred to by a rule, or, for a chain, by an element? */
static bool refers(const struct ruleset_table *t, const char *name, bool is_chain)
{
	vec_foreach (c, &t->chains)
		vec_foreach (rule, &c->rules)
			for (size_t i = 0; i < RULESET_EXPRS; i++) {
				const struct ruleset_expr *e = &rule->exprs[i];

				if ((e->kind == RULESET_VERDICT) == is_chain &&
				    e->kind != RULESET_EXPR_NONE && strcmp(e->name, name) == 0)
					return true;
			}
	if (!is_chain)
		return false;
	vec_foreach (s, &t->sets)
		vec_foreach (e, &s->elements)
			if (strcmp(e->chain, name) == 0)
				return true;
	return false;
}

static void check_target(const struct ruleset_table *t, enum ruleset_verdict v, const char *chain)
{
	const struct ruleset_chain *c;

	if (v != RULESET_JUMP && v != RULESET_GOTO)
		return;
	c = ruleset_find_chain(t, chain);
	assert_non_null(c);
	assert_false(c->base);
}

static void apply_table(struct ruleset_table *t, const struct ruleset_change *c)
{
	if (c->op == RULESET_DELETE_TABLE) {
		struct ruleset r = { 0 };

		assert_true(t->present);
		r.tables[0] = *t;
		ruleset_done(&r);
		memset(t, 0, sizeof(*t));
	} else {
		t->present = true;
	}
}

static void apply_set(struct ruleset_table *t, const struct ruleset_change *c)
{
	struct ruleset_set *s = ruleset_find_set(t, c->set->name);

	assert_true(t->present);
	if (c->op == RULESET_ADD_SET) {
		assert_null(s);
		s = vec_add(&t->sets);
		*s = *c->set;
		memset(&s->elements, 0, sizeof(s->elements));
	} else {
		assert_non_null(s);
		assert_int_equal(s->elements.n, 0);
		assert_false(refers(t, s->name, false));
		vec_done(&s->elements);
		vec_remove(&t->sets, (size_t)(s - t->sets.items));
	}
}

static void apply_chain(struct ruleset_table *t, const struct ruleset_change *c)
{
	struct ruleset_chain *chain = ruleset_find_chain(t, c->chain->name);

	assert_true(t->present);
	if (c->op == RULESET_ADD_CHAIN) {
		assert_null(chain);
		chain = vec_add(&t->chains);
		*chain = *c->chain;
		memset(&chain->rules, 0, sizeof(chain->rules));
		return;
	}
	assert_non_null(chain);
	if (c->op == RULESET_FLUSH_CHAIN) {
		vec_done(&chain->rules);
		return;
	}
	assert_int_equal(chain->rules.n, 0);
	assert_false(refers(t, chain->name, true));
	vec_done(&chain->rules);
	vec_remove(&t->chains, (size_t)(chain - t->chains.items));
}

static void apply_rule(struct ruleset_table *t, const struct ruleset_change *c)
{
	struct ruleset_chain *chain = ruleset_find_chain(t, c->chain->name);
	const struct ruleset_expr *e = &c->rule->exprs[0];
	struct ruleset_rule *rule;

	assert_non_null(chain);
	if (e->kind == RULESET_VERDICT)
		check_target(t, e->verdict, e->name);
	else
		assert_non_null(ruleset_find_set(t, e->name));
	rule = vec_add(&chain->rules);
	*rule = *c->rule;
}

static void apply_element(struct ruleset_table *t, const struct ruleset_change *c)
{
	struct ruleset_set *s = ruleset_find_set(t, c->set->name);
	size_t i = 0;

	assert_non_null(s);
	while (i < s->elements.n && ruleset_element_compare(&s->elements.items[i], c->element) != 0)
		i++;
	if (c->op == RULESET_ADD_ELEMENT) {
		struct ruleset_element *e;

		assert_int_equal(i, s->elements.n);
		check_target(t, c->element->verdict, c->element->chain);
		e = vec_add(&s->elements);
		*e = *c->element;
	} else {
		assert_true(i < s->elements.n);
		vec_remove(&s->elements, i);
	}
}

static void apply(struct ruleset *kernel, const struct ruleset_changes *changes)
{
	vec_foreach (c, changes) {
		struct ruleset_table *t = &kernel->tables[c->family];

		switch (c->op) {
		case RULESET_ADD_TABLE:
		case RULESET_DELETE_TABLE:
			apply_table(t, c);
			break;
		case RULESET_ADD_SET:
		case RULESET_DELETE_SET:
			apply_set(t, c);
			break;
		case RULESET_ADD_CHAIN:
		case RULESET_DELETE_CHAIN:
		case RULESET_FLUSH_CHAIN:
			apply_chain(t, c);
			break;
		case RULESET_ADD_RULE:
			apply_rule(t, c);
			break;
		case RULESET_ADD_ELEMENT:
		case RULESET_DELETE_ELEMENT:
			apply_element(t, c);
			break;
		case _RULESET_OP_MAX:
			fail();
		}
	}
	ruleset_finish(kernel);
}

/* Equal as text: an answer that does not come from the code under test. */
static void assert_same_ruleset(const struct ruleset *a, const struct ruleset *b)
{
	char *x = NULL, *y = NULL;

	assert_int_equal(nft_text_encode(a, &x), 0);
	assert_int_equal(nft_text_encode(b, &y), 0);
	assert_string_equal(x, y);
	free(x);
	free(y);
}

/* Applies the difference to a copy of "before"; the result is "after", and then nothing is left
 * to do. Returns how many changes it took. */
static size_t converge(const struct ruleset *before, const struct ruleset *after)
{
	struct ruleset observed = as_observed(before), kernel;
	struct ruleset_changes changes = diff(&observed, after);
	size_t n = changes.n;

	assert_int_equal(ruleset_copy(before, &kernel), 0);
	apply(&kernel, &changes);
	vec_done(&changes);
	assert_same_ruleset(&kernel, after);

	ruleset_done(&observed);
	observed = as_observed(&kernel);
	changes = diff(&observed, after);
	assert_int_equal(changes.n, 0);
	vec_done(&changes);
	ruleset_done(&observed);
	ruleset_done(&kernel);
	return n;
}

/* Both rulesets are released; the expected ops are given as a list that ends at _RULESET_OP_MAX. */
static void assert_ops(struct ruleset before, struct ruleset after, const enum ruleset_op *expected)
{
	struct ruleset observed = as_observed(&before);
	struct ruleset_changes changes = diff(&observed, &after);
	size_t i;

	for (i = 0; i < changes.n && expected[i] != _RULESET_OP_MAX; i++)
		assert_int_equal(changes.items[i].op, expected[i]);
	assert_int_equal(i, changes.n);
	assert_int_equal(expected[i], _RULESET_OP_MAX);
	vec_done(&changes);
	ruleset_done(&observed);
	(void)converge(&before, &after);
	ruleset_done(&before);
	ruleset_done(&after);
}

#define OPS(...) ((const enum ruleset_op[]){ __VA_ARGS__ __VA_OPT__(, ) _RULESET_OP_MAX })
#define REPLACED                                                                            \
	OPS(RULESET_ADD_TABLE, RULESET_DELETE_TABLE, RULESET_ADD_TABLE, RULESET_ADD_SET,    \
	    RULESET_ADD_CHAIN, RULESET_ADD_CHAIN, RULESET_ADD_ELEMENT, RULESET_ADD_ELEMENT, \
	    RULESET_ADD_RULE, RULESET_ADD_RULE)

/* ------------------------------------------------------------------- tests */

/* A converged pass does nothing, whatever the counters say. */
static void test_no_change(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	observed.tables[RULESET_IP6].sets.items[0].elements.items[0].packets = 1000;
	assert_ops(observed, sample(), OPS());
}

/* Nothing is wanted and nothing is there. */
static void test_nothing(void **state)
{
	(void)state;
	assert_ops((struct ruleset){ 0 }, (struct ruleset){ 0 }, OPS());
}

/* The first time: table, sets, chains, elements, rules. */
static void test_create(void **state)
{
	(void)state;
	assert_ops((struct ruleset){ 0 }, sample(),
		   OPS(RULESET_ADD_TABLE, RULESET_ADD_SET, RULESET_ADD_CHAIN, RULESET_ADD_CHAIN,
		       RULESET_ADD_ELEMENT, RULESET_ADD_ELEMENT, RULESET_ADD_RULE,
		       RULESET_ADD_RULE));
}

/* A table that is not wanted goes as a whole. */
static void test_remove_table(void **state)
{
	(void)state;
	assert_ops(sample(), (struct ruleset){ 0 }, OPS(RULESET_DELETE_TABLE));
}

/* The common case: a port is published. Rules stand still, an element moves. */
static void test_add_element(void **state)
{
	struct ruleset wanted = sample();

	(void)state;
	add_element(&wanted.tables[RULESET_IP6].sets.items[0], 79, RULESET_DROP, "");
	ruleset_finish(&wanted);
	assert_ops(sample(), wanted, OPS(RULESET_ADD_ELEMENT));
}

/* A port is not published any more. */
static void test_remove_element(void **state)
{
	struct ruleset wanted = sample();

	(void)state;
	vec_remove(&wanted.tables[RULESET_IP6].sets.items[0].elements, 1);
	assert_ops(sample(), wanted, OPS(RULESET_DELETE_ELEMENT));
}

/* The kernel refuses another value for a key that exists: out with the old one first. */
static void test_change_value(void **state)
{
	struct ruleset wanted = sample();

	(void)state;
	wanted.tables[RULESET_IP6].sets.items[0].elements.items[1].verdict = RULESET_DROP;
	assert_ops(sample(), wanted, OPS(RULESET_DELETE_ELEMENT, RULESET_ADD_ELEMENT));
}

/* A new network: its chain exists before the element that jumps to it. */
static void test_new_network(void **state)
{
	struct ruleset wanted = sample();
	struct ruleset_table *t = &wanted.tables[RULESET_IP6];

	(void)state;
	add_element(&t->sets.items[0], 90, RULESET_JUMP, "to_B");
	add_verdict(add_chain(t, "to_B"), RULESET_ACCEPT, "");
	ruleset_finish(&wanted);
	assert_ops(sample(), wanted, OPS(RULESET_ADD_CHAIN, RULESET_ADD_ELEMENT, RULESET_ADD_RULE));
}

/* A network goes: element, rules, chain. */
static void test_removed_network(void **state)
{
	struct ruleset wanted = sample();
	struct ruleset_table *t = &wanted.tables[RULESET_IP6];

	(void)state;
	vec_remove(&t->sets.items[0].elements, 0);
	vec_done(&t->chains.items[1].rules);
	vec_remove(&t->chains, 1);
	assert_ops(sample(), wanted,
		   OPS(RULESET_DELETE_ELEMENT, RULESET_FLUSH_CHAIN, RULESET_DELETE_CHAIN));
}

/* Obsolete chains that jump to one another are all emptied before the first is deleted. */
static void test_removed_chains_refer_to_each_other(void **state)
{
	struct ruleset observed = sample();
	struct ruleset_table *t = &observed.tables[RULESET_IP6];

	(void)state;
	add_verdict(add_chain(t, "x1"), RULESET_JUMP, "x2");
	add_verdict(add_chain(t, "x2"), RULESET_GOTO, "to_A");
	ruleset_finish(&observed);
	assert_ops(observed, sample(),
		   OPS(RULESET_FLUSH_CHAIN, RULESET_FLUSH_CHAIN, RULESET_DELETE_CHAIN,
		       RULESET_DELETE_CHAIN));
}

/* Other rules in a chain: emptied and filled again; elements and other chains are left alone. */
static void test_changed_rules(void **state)
{
	struct ruleset wanted = sample();

	(void)state;
	add_verdict(&wanted.tables[RULESET_IP6].chains.items[1], RULESET_ACCEPT, "");
	ruleset_finish(&wanted);
	assert_ops(sample(), wanted, OPS(RULESET_FLUSH_CHAIN, RULESET_ADD_RULE, RULESET_ADD_RULE));
}

/* A rule of somebody else in one of our chains is removed. */
static void test_foreign_rule(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	assert_non_null(vec_add(&observed.tables[RULESET_IP6].chains.items[1].rules));
	assert_ops(observed, sample(), OPS(RULESET_FLUSH_CHAIN, RULESET_ADD_RULE));
}

/* Somebody emptied a chain: nothing to flush. */
static void test_lost_rule(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	vec_done(&observed.tables[RULESET_IP6].chains.items[1].rules);
	assert_ops(observed, sample(), OPS(RULESET_ADD_RULE));
}

/* An obsolete map and what it jumps to: elements, rules that look it up, chain, and then the map. */
static void test_obsolete_set(void **state)
{
	struct ruleset observed = sample();
	struct ruleset_table *t = &observed.tables[RULESET_IP6];

	(void)state;
	add_element(add_set(t, "old"), 1, RULESET_JUMP, "x");
	add_lookup(add_chain(t, "x"), "old");
	ruleset_finish(&observed);
	assert_ops(observed, sample(),
		   OPS(RULESET_DELETE_ELEMENT, RULESET_FLUSH_CHAIN, RULESET_DELETE_CHAIN,
		       RULESET_DELETE_SET));
}

/* A base chain that nobody wants is taken out in place: the counters of all others go on. */
static void test_obsolete_base_chain(void **state)
{
	struct ruleset observed = sample();
	struct ruleset_chain *c = add_chain(&observed.tables[RULESET_IP6], "input");

	(void)state;
	c->base = true;
	c->hook = RULESET_HOOK_INPUT;
	add_verdict(c, RULESET_DROP, "");
	ruleset_finish(&observed);
	assert_ops(observed, sample(), OPS(RULESET_FLUSH_CHAIN, RULESET_DELETE_CHAIN));
}

/* A damaged table is replaced, although all that is known of it is as wanted. */
static void test_damaged(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	observed.tables[RULESET_IP6].damaged = true;
	assert_ops(observed, sample(), REPLACED);
}

/* The kernel cannot change the type of a set. */
static void test_set_shape(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	observed.tables[RULESET_IP6].sets.items[0].interval = true;
	assert_ops(observed, sample(), REPLACED);
}

/* The kernel cannot change the priority of a base chain. */
static void test_chain_shape(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	observed.tables[RULESET_IP6].chains.items[0].priority = -2;
	assert_ops(observed, sample(), REPLACED);
}

/* Nor make a base chain of one that is none. */
static void test_chain_without_hook(void **state)
{
	struct ruleset observed = sample();

	(void)state;
	observed.tables[RULESET_IP6].chains.items[0].base = false;
	assert_ops(observed, sample(), REPLACED);
}

/* Another layout: the objects look alike, not one rule does. */
static void test_other_layout(void **state)
{
	struct ruleset observed = sample(), stripped;

	(void)state;
	vec_foreach (c, &observed.tables[RULESET_IP6].chains)
		vec_foreach (rule, &c->rules)
			rule->tag++;
	stripped = as_observed(&observed);
	ruleset_done(&observed);
	assert_ops(stripped, sample(), REPLACED);
}

/* Tables are independent: one is as wanted, one appears, one goes. */
static void test_families(void **state)
{
	struct ruleset wanted = sample(), observed = sample();
	struct ruleset_chain *c;

	(void)state;
	wanted.tables[RULESET_BRIDGE].present = true;
	c = add_chain(&wanted.tables[RULESET_BRIDGE], "forward");
	c->base = true;
	add_verdict(c, RULESET_DROP, "");
	ruleset_finish(&wanted);
	assert_ops(observed, wanted, OPS(RULESET_ADD_TABLE, RULESET_ADD_CHAIN, RULESET_ADD_RULE));

	observed = sample();
	observed.tables[RULESET_BRIDGE].present = true;
	assert_ops(observed, sample(), OPS(RULESET_DELETE_TABLE));
}

/* --------------------------------------------------------------- randomised */

static uint32_t random_state;

/* xorshift32: the same pairs on every machine. */
static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % n;
}

#define N_CHAINS 6 /* the first two are base chains */
#define N_SETS 4

static void random_rules(struct ruleset_table *t, struct ruleset_chain *c)
{
	for (uint32_t n = random_below(4); n > 0; n--) {
		const struct ruleset_chain *target = &t->chains.items[random_below(t->chains.n)];

		if (t->sets.n > 0 && random_below(2))
			add_lookup(c, t->sets.items[random_below(t->sets.n)].name);
		else if (!target->base && random_below(3))
			add_verdict(c, RULESET_JUMP + random_below(2), target->name);
		else
			add_verdict(c, RULESET_ACCEPT + random_below(3), "");
	}
}

static void random_elements(struct ruleset_table *t, struct ruleset_set *s)
{
	for (uint16_t port = 0; port < 8; port++) {
		const struct ruleset_chain *target;

		if (random_below(2))
			continue;
		target = t->chains.n ? &t->chains.items[random_below(t->chains.n)] : NULL;
		if (target && !target->base)
			add_element(s, port, RULESET_JUMP, target->name);
		else
			add_element(s, port, RULESET_ACCEPT + random_below(2), "");
	}
}

static void random_table(struct ruleset_table *t)
{
	char name[RULESET_NAME];

	t->present = random_below(8) > 0;
	if (!t->present)
		return;
	for (unsigned i = 0; i < N_CHAINS; i++) {
		struct ruleset_chain *c;

		if (random_below(3) == 0)
			continue;
		snprintf(name, sizeof(name), "c%u", i);
		c = add_chain(t, name);
		c->base = i < 2;
		c->priority = random_below(16) == 0 ? 1 : 0;
	}
	for (unsigned i = 0; i < N_SETS; i++) {
		struct ruleset_set *s;

		if (random_below(4) == 0)
			continue;
		snprintf(name, sizeof(name), "s%u", i);
		s = add_set(t, name);
		s->interval = random_below(32) == 0;
		random_elements(t, s);
	}
	vec_foreach (c, &t->chains)
		random_rules(t, c);
}

static struct ruleset random_ruleset(void)
{
	struct ruleset r = { 0 };

	for (size_t f = 0; f < _RULESET_FAMILY_MAX; f++)
		random_table(&r.tables[f]);
	ruleset_finish(&r);
	return r;
}

/* Changes a little, as life does: one element in or out, one chain's rules. */
static void disturb(struct ruleset *r)
{
	struct ruleset_table *t = &r->tables[RULESET_IP6];
	struct ruleset_set *s = t->sets.n ? &t->sets.items[random_below(t->sets.n)] : NULL;
	struct ruleset_chain *c = t->chains.n ? &t->chains.items[random_below(t->chains.n)] : NULL;

	if (s && s->elements.n > 0)
		vec_remove(&s->elements, random_below(s->elements.n));
	if (s)
		add_element(s, (uint16_t)(100 + random_below(100)), RULESET_ACCEPT, "");
	if (c && random_below(2))
		add_verdict(c, RULESET_RETURN, "");
	ruleset_finish(r);
}

/* Whatever is observed, one transaction that the kernel accepts makes it what is wanted. */
static void test_random_pairs(void **state)
{
	size_t n_incremental = 0;

	(void)state;
	random_state = 20240229;
	for (unsigned i = 0; i < 3000; i++) {
		struct ruleset before = random_ruleset(), after = random_ruleset();
		struct ruleset_changes changes;

		before.tables[RULESET_IP6].damaged =
			before.tables[RULESET_IP6].present && random_below(32) == 0;
		changes = diff(&before, &after);
		n_incremental += changes.n > 0 && changes.items[0].op > RULESET_DELETE_TABLE;
		vec_done(&changes);
		(void)converge(&before, &after);
		ruleset_done(&before);
		ruleset_done(&after);
	}
	assert_true(n_incremental > 300); /* or the test proves little */
}

static bool has_rules(const struct ruleset_table *t)
{
	vec_foreach (c, &t->chains)
		if (c->rules.n > 0)
			return true;
	return false;
}

/* The smaller the difference, the smaller the transaction: at most an element out and one in, a
 * chain flushed and filled again. (A table without rules is not recognised and replaced.) */
static void test_random_disturbances(void **state)
{
	(void)state;
	random_state = 1;
	for (unsigned i = 0; i < 1000; i++) {
		struct ruleset before = random_ruleset(), after;
		size_t n;

		assert_int_equal(ruleset_copy(&before, &after), 0);
		disturb(&after);
		n = converge(&before, &after);
		if (has_rules(&before.tables[RULESET_IP6]))
			assert_true(n <= 2 + 1 + 4);
		ruleset_done(&before);
		ruleset_done(&after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_change),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_remove_table),
		cmocka_unit_test(test_add_element),
		cmocka_unit_test(test_remove_element),
		cmocka_unit_test(test_change_value),
		cmocka_unit_test(test_new_network),
		cmocka_unit_test(test_removed_network),
		cmocka_unit_test(test_removed_chains_refer_to_each_other),
		cmocka_unit_test(test_changed_rules),
		cmocka_unit_test(test_foreign_rule),
		cmocka_unit_test(test_lost_rule),
		cmocka_unit_test(test_obsolete_set),
		cmocka_unit_test(test_obsolete_base_chain),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_set_shape),
		cmocka_unit_test(test_chain_shape),
		cmocka_unit_test(test_chain_without_hook),
		cmocka_unit_test(test_other_layout),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_random_pairs),
		cmocka_unit_test(test_random_disturbances),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
