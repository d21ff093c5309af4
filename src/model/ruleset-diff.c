/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One walk over two sorted rulesets sorts the differences into phases; the phases one after the
 * other are an order in which nothing refers to what is not there yet, or not any more:
 *
 *   sets and chains appear, then nothing refers to obsolete objects any more (elements deleted,
 *   chains flushed), then obsolete chains go, then elements and rules that may refer to anything
 *   wanted are added, then obsolete sets go.
 *
 * The kernel checks references while it reads a transaction, not at its end, so that the order
 * matters even though all of it takes effect at once.
 */
#include "model/ruleset-diff.h"
#include "base/own.h"

#include <errno.h>
#include <string.h>

enum phase {
	PHASE_TABLE,
	PHASE_ADD_SET,
	PHASE_ADD_CHAIN,
	PHASE_DELETE_ELEMENT,
	PHASE_FLUSH_CHAIN,
	PHASE_DELETE_CHAIN,
	PHASE_ADD_ELEMENT,
	PHASE_ADD_RULE,
	PHASE_DELETE_SET,
	_PHASE_MAX,
};

struct diff {
	enum ruleset_family family;
	struct ruleset_changes phases[_PHASE_MAX];
	bool out_of_memory; /* checked once, at the end */
};

static void diff_done(struct diff *d)
{
	for (size_t i = 0; i < _PHASE_MAX; i++)
		vec_done(&d->phases[i]);
}

static void emit(struct diff *d, enum phase phase, struct ruleset_change change)
{
	struct ruleset_change *c = vec_add(&d->phases[phase]);

	if (!c) {
		d->out_of_memory = true;
		return;
	}
	change.family = d->family;
	*c = change;
}

static void emit_table(struct diff *d, enum ruleset_op op)
{
	emit(d, PHASE_TABLE, (struct ruleset_change){ .op = op });
}

static void emit_set(struct diff *d, enum phase phase, enum ruleset_op op,
		     const struct ruleset_set *s)
{
	emit(d, phase, (struct ruleset_change){ .op = op, .set = s });
}

static void emit_chain(struct diff *d, enum phase phase, enum ruleset_op op,
		       const struct ruleset_chain *c)
{
	emit(d, phase, (struct ruleset_change){ .op = op, .chain = c });
}

static void add_element(struct diff *d, const struct ruleset_set *s,
			const struct ruleset_element *e)
{
	emit(d, PHASE_ADD_ELEMENT,
	     (struct ruleset_change){ .op = RULESET_ADD_ELEMENT, .set = s, .element = e });
}

static void delete_element(struct diff *d, const struct ruleset_set *s,
			   const struct ruleset_element *e)
{
	emit(d, PHASE_DELETE_ELEMENT,
	     (struct ruleset_change){ .op = RULESET_DELETE_ELEMENT, .set = s, .element = e });
}

static void add_rules(struct diff *d, const struct ruleset_chain *c)
{
	vec_foreach (rule, &c->rules)
		emit(d, PHASE_ADD_RULE,
		     (struct ruleset_change){ .op = RULESET_ADD_RULE, .chain = c, .rule = rule });
}

static void add_set(struct diff *d, const struct ruleset_set *s)
{
	emit_set(d, PHASE_ADD_SET, RULESET_ADD_SET, s);
	vec_foreach (e, &s->elements)
		add_element(d, s, e);
}

/* Elements go one by one: kernels before 6.4 keep the chains busy that a deleted map jumps to. */
static void delete_set(struct diff *d, const struct ruleset_set *s)
{
	vec_foreach (e, &s->elements)
		delete_element(d, s, e);
	emit_set(d, PHASE_DELETE_SET, RULESET_DELETE_SET, s);
}

static void add_chain(struct diff *d, const struct ruleset_chain *c)
{
	emit_chain(d, PHASE_ADD_CHAIN, RULESET_ADD_CHAIN, c);
	add_rules(d, c);
}

/* Flushed first, as obsolete chains may refer to one another. */
static void delete_chain(struct diff *d, const struct ruleset_chain *c)
{
	if (c->rules.n > 0)
		emit_chain(d, PHASE_FLUSH_CHAIN, RULESET_FLUSH_CHAIN, c);
	emit_chain(d, PHASE_DELETE_CHAIN, RULESET_DELETE_CHAIN, c);
}

/* Position of a merge walk: < 0 only in a, > 0 only in b, 0 in both. */
#define merge_compare(a, i, b, j, compare) \
	((i) >= (a)->n ? 1 : (j) >= (b)->n ? -1 : (compare)(&(a)->items[i], &(b)->items[j]))

static int compare_sets(const struct ruleset_set *a, const struct ruleset_set *b)
{
	return strcmp(a->name, b->name);
}

static int compare_chains(const struct ruleset_chain *a, const struct ruleset_chain *b)
{
	return strcmp(a->name, b->name);
}

static void diff_elements(struct diff *d, const struct ruleset_set *observed,
			  const struct ruleset_set *wanted)
{
	size_t i = 0, j = 0;

	while (i < observed->elements.n || j < wanted->elements.n) {
		int order = merge_compare(&observed->elements, i, &wanted->elements, j,
					  ruleset_element_compare);
		bool same = order == 0 && ruleset_element_same_value(&observed->elements.items[i],
								     &wanted->elements.items[j]);

		if (order <= 0 && !same)
			delete_element(d, observed, &observed->elements.items[i]);
		if (order >= 0 && !same)
			add_element(d, wanted, &wanted->elements.items[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

static void diff_sets(struct diff *d, const struct ruleset_table *observed,
		      const struct ruleset_table *wanted)
{
	size_t i = 0, j = 0;

	while (i < observed->sets.n || j < wanted->sets.n) {
		int order = merge_compare(&observed->sets, i, &wanted->sets, j, compare_sets);

		if (order < 0)
			delete_set(d, &observed->sets.items[i]);
		else if (order > 0)
			add_set(d, &wanted->sets.items[j]);
		else
			diff_elements(d, &observed->sets.items[i], &wanted->sets.items[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

static void diff_rules(struct diff *d, const struct ruleset_chain *observed,
		       const struct ruleset_chain *wanted)
{
	if (ruleset_chain_same_rules(observed, wanted))
		return;
	if (observed->rules.n > 0)
		emit_chain(d, PHASE_FLUSH_CHAIN, RULESET_FLUSH_CHAIN, wanted);
	add_rules(d, wanted);
}

static void diff_chains(struct diff *d, const struct ruleset_table *observed,
			const struct ruleset_table *wanted)
{
	size_t i = 0, j = 0;

	while (i < observed->chains.n || j < wanted->chains.n) {
		int order = merge_compare(&observed->chains, i, &wanted->chains, j, compare_chains);

		if (order < 0)
			delete_chain(d, &observed->chains.items[i]);
		else if (order > 0)
			add_chain(d, &wanted->chains.items[j]);
		else
			diff_rules(d, &observed->chains.items[i], &wanted->chains.items[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

static bool chain_shares_rule(const struct ruleset_chain *a, const struct ruleset_chain *b)
{
	vec_foreach (x, &a->rules)
		vec_foreach (y, &b->rules)
			if (x->tag != 0 && x->tag == y->tag)
				return true;
	return false;
}

static bool has_rules(const struct ruleset_table *t)
{
	vec_foreach (c, &t->chains)
		if (c->rules.n > 0)
			return true;
	return false;
}

/*
 * Every tag covers RULESET_LAYOUT: where not one rule is known, another version made the table, or
 * something else did.
 */
static bool chains_fit(const struct ruleset_table *observed, const struct ruleset_table *wanted)
{
	bool known = !has_rules(wanted);
	size_t i = 0, j = 0;

	while (i < observed->chains.n && j < wanted->chains.n) {
		const struct ruleset_chain *o = &observed->chains.items[i];
		const struct ruleset_chain *w = &wanted->chains.items[j];
		int order = compare_chains(o, w);

		if (order == 0 && !ruleset_chain_same_shape(o, w))
			return false;
		if (order == 0 && !known)
			known = chain_shares_rule(o, w);
		i += order <= 0;
		j += order >= 0;
	}
	return known;
}

static bool sets_fit(const struct ruleset_table *observed, const struct ruleset_table *wanted)
{
	size_t i = 0, j = 0;

	while (i < observed->sets.n && j < wanted->sets.n) {
		const struct ruleset_set *o = &observed->sets.items[i];
		const struct ruleset_set *w = &wanted->sets.items[j];
		int order = compare_sets(o, w);

		if (order == 0 && !ruleset_set_same_shape(o, w))
			return false;
		i += order <= 0;
		j += order >= 0;
	}
	return true;
}

static void diff_table(struct diff *d, const struct ruleset_table *observed,
		       const struct ruleset_table *wanted)
{
	static const struct ruleset_table nothing = { 0 };

	if (!wanted->present) {
		if (observed->present)
			emit_table(d, RULESET_DELETE_TABLE);
		return;
	}
	if (!observed->present) {
		emit_table(d, RULESET_ADD_TABLE);
		observed = &nothing;
	} else if (observed->damaged || !sets_fit(observed, wanted) ||
		   !chains_fit(observed, wanted)) {
		emit_table(d, RULESET_ADD_TABLE);
		emit_table(d, RULESET_DELETE_TABLE);
		emit_table(d, RULESET_ADD_TABLE);
		observed = &nothing;
	}
	diff_sets(d, observed, wanted);
	diff_chains(d, observed, wanted);
}

static bool append(struct ruleset_changes *to, const struct ruleset_changes *from)
{
	vec_foreach (c, from) {
		struct ruleset_change *copy = vec_add(to);

		if (!copy)
			return false;
		*copy = *c;
	}
	return true;
}

int ruleset_diff(const struct ruleset *observed, const struct ruleset *wanted,
		 struct ruleset_changes *ret)
{
	struct ruleset_changes all = { 0 };
	bool out_of_memory = false;

	/* No reference leads from one table to another, so the families follow one another. */
	for (enum ruleset_family f = 0; f < _RULESET_FAMILY_MAX; f++) {
		_cleanup_(diff_done) struct diff d = { .family = f };

		diff_table(&d, &observed->tables[f], &wanted->tables[f]);
		out_of_memory |= d.out_of_memory;
		for (size_t i = 0; i < _PHASE_MAX; i++)
			out_of_memory |= !append(&all, &d.phases[i]);
	}
	if (out_of_memory) {
		vec_done(&all);
		return -ENOMEM;
	}
	*ret = all;
	return 0;
}
