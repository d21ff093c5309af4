/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/plan.h"

#include <stdio.h>

static bool element_is_refused(const struct plan_refusals *refusals, enum ruleset_family family,
			       const struct ruleset_set *s, const struct ruleset_element *e)
{
	vec_foreach (r, refusals) {
		if (r->family != family)
			continue;
		if (r->chain[0] && e->verdict != RULESET_VERDICT_NONE &&
		    strcmp(r->chain, e->chain) == 0)
			return true;
		if (r->set[0] && strcmp(r->set, s->name) == 0 &&
		    r->prefix_length == e->prefix_length &&
		    memcmp(r->key, e->key, sizeof(e->key)) == 0)
			return true;
	}
	return false;
}

static bool chain_is_refused(const struct plan_refusals *refusals, enum ruleset_family family,
			     const struct ruleset_chain *chain)
{
	/* A base chain is the layout itself: without it there is no point in the rest. */
	if (chain->base)
		return false;
	vec_foreach (r, refusals)
		if (r->family == family && r->chain[0] && strcmp(r->chain, chain->name) == 0)
			return true;
	return false;
}

/* The status says what is in force, not what should be. */
static void mark_ports(struct plan *plan, const struct plan_refusals *refusals)
{
	vec_foreach (n, &plan->networks)
		vec_foreach (c, &n->containers)
			vec_foreach (p, &c->ports) {
				struct ruleset_element e = {};
				struct ruleset_set s = {};

				if (!status_port_translated(p))
					continue;
				snprintf(s.name, sizeof(s.name), "%s", plan_port_element(p, e.key));
				if (element_is_refused(refusals, RULESET_IP6, &s, &e))
					p->state = PORT_REFUSED;
			}
}

void plan_without(struct plan *plan, const struct plan_refusals *refusals)
{
	if (refusals->n > 0)
		mark_ports(plan, refusals);
	for (unsigned f = 0; f < _RULESET_FAMILY_MAX && refusals->n > 0; f++) {
		struct ruleset_table *t = &plan->ruleset.tables[f];

		vec_foreach (s, &t->sets) {
			size_t kept = 0;

			vec_foreach (e, &s->elements)
				if (!element_is_refused(refusals, f, s, e))
					s->elements.items[kept++] = *e;
			s->elements.n = kept;
		}
		for (size_t i = t->chains.n; i-- > 0;)
			if (chain_is_refused(refusals, f, &t->chains.items[i])) {
				vec_done(&t->chains.items[i].rules);
				vec_remove(&t->chains, i);
			}
	}
}
