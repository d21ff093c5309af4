/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "answers.h"

/* A static rule for more addresses than this answers for nobody most of the time. */
#define WIDE_RULE 112

/* In mode native the engine may be asked not to translate: then it is our half, too. */
static bool keeps_addresses(const struct net *n)
{
	const char *mode =
		key_values_get(&n->facts->options, "com.docker.network.bridge.gateway_mode_ipv6");

	return n->mode == NET_MODE_PROXY ||
	       (n->mode == NET_MODE_NATIVE && mode && strcmp(mode, "routed") == 0);
}

const struct link *answers_on(const struct config *config, const struct links *links,
			      const struct presence *p)
{
	const struct link *best = NULL;
	uint8_t length = 0;

	if (!config->ndp_answer || !keeps_addresses(p->net))
		return NULL;
	vec_foreach (l, &links->links) {
		if (!link_is_uplink(config, l) || l == p->net->link)
			continue;
		if (p->net->uplink_asked && strcmp(l->name, p->net->uplink) != 0)
			continue;
		vec_foreach (prefix, &l->on_link)
			if (inet_prefix_contains(prefix, &p->address) &&
			    (!best || prefix->length > length)) {
				best = l;
				length = prefix->length;
			}
	}
	return best;
}

static int compare_addresses(const void *a, const void *b)
{
	return inet_compare(a, b);
}

static int add_own(const struct links *links, struct ndp_interface *i)
{
	vec_foreach (l, &links->links)
		vec_foreach (a, &l->addresses) {
			struct in6_addr *own = vec_add(&i->own);

			if (!own)
				return -ENOMEM;
			*own = a->address;
		}
	vec_sort(&i->own, compare_addresses);
	return 0;
}

static struct ndp_interface *get_interface(const struct links *links, const struct link *l,
					   struct ndp_plan *plan)
{
	struct ndp_interface *i;

	vec_foreach (known, &plan->interfaces)
		if (known->ifindex == l->ifindex)
			return known;
	i = vec_add(&plan->interfaces);
	if (!i)
		return NULL;
	memcpy(i->name, l->name, sizeof(i->name));
	i->ifindex = l->ifindex;
	i->type = l->type;
	i->up = l->up;
	memcpy(i->mac, l->mac, sizeof(i->mac));
	vec_foreach (a, &l->addresses)
		if (inet_is_link_local(&a->address)) {
			i->link_local = a->address;
			break;
		}
	return add_own(links, i) < 0 ? NULL : i;
}

static bool is_own(const struct ndp_interface *i, const struct in6_addr *a)
{
	return vec_find(&i->own, a, compare_addresses);
}

static int add_target(const struct links *links, const struct link *l, const struct in6_addr *a,
		      struct ndp_plan *plan)
{
	struct ndp_interface *i = get_interface(links, l, plan);
	struct ndp_target *t;

	if (!i)
		return -ENOMEM;
	if (is_own(i, a))
		return 0;
	t = vec_add(&i->targets);
	if (!t)
		return -ENOMEM;
	t->address = *a;
	return 0;
}

static int add_rules(const struct links *links, const struct config_proxy *p, struct plan *plan)
{
	const struct link *l = links_find_name(links, p->interface);
	struct ndp_interface *i;
	char text[INET_PREFIX_TEXT];

	if (!l)
		return problems_add(&plan->problems, PROBLEM_UPLINK_MISSING, PROBLEM_WARNING,
				    "correct [Proxy NAME], or bring the interface up",
				    "interface %s of a static rule does not exist", p->interface);
	i = get_interface(links, l, &plan->ndp);
	if (!i)
		return -ENOMEM;
	vec_foreach (prefix, &p->prefixes) {
		struct ndp_rule *rule = vec_add(&i->rules);

		if (!rule)
			return -ENOMEM;
		rule->prefix = *prefix;
		if (prefix->length < WIDE_RULE &&
		    problems_add(
			    &plan->problems, PROBLEM_WIDE_RULE, PROBLEM_WARNING,
			    "containers are answered without a rule; narrow it to what is in use",
			    "[Proxy %s] Prefix=%s answers for addresses that nobody has",
			    p->interface, inet_prefix_format(prefix, text)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int compare_rules(const void *a, const void *b)
{
	return inet_prefix_compare(&((const struct ndp_rule *)a)->prefix,
				   &((const struct ndp_rule *)b)->prefix);
}

static int compare_interfaces(const void *a, const void *b)
{
	const struct ndp_interface *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

/* An address may be seen twice while a container moves between networks; rules may be repeated. */
#define drop_duplicates(v, compare)                                                           \
	do {                                                                                  \
		size_t kept_ = 0;                                                             \
		for (size_t k_ = 0; k_ < (v)->n; k_++)                                        \
			if (k_ == 0 || compare(&(v)->items[kept_ - 1], &(v)->items[k_]) != 0) \
				(v)->items[kept_++] = (v)->items[k_];                         \
		(v)->n = kept_;                                                               \
	} while (0)

static void finish(struct ndp_plan *plan)
{
	vec_sort(&plan->interfaces, compare_interfaces);
	vec_foreach (i, &plan->interfaces) {
		vec_sort(&i->targets, ndp_target_compare);
		drop_duplicates(&i->targets, ndp_target_compare);
		vec_sort(&i->rules, compare_rules);
		drop_duplicates(&i->rules, compare_rules);
	}
}

int answers_plan(const struct config *config, const struct links *links,
		 const struct presences *presences, struct plan *plan)
{
	int r = 0;

	plan->ndp.source = config->ndp_source;
	plan->ndp.source_address = config->ndp_source_address;
	plan->ndp.override = config->ndp_override;
	plan->ndp.announce = config->ndp_announce;
	plan->ndp.rate_per_s = config->ndp_rate_per_s;
	if (!config->ndp_answer)
		return 0;

	vec_foreach (p, presences) {
		const struct link *l = answers_on(config, links, p);

		if (r == 0 && l)
			r = add_target(links, l, &p->address, &plan->ndp);
	}
	vec_foreach (p, &config->proxies)
		if (r == 0)
			r = add_rules(links, p, plan);
	finish(&plan->ndp);
	return r;
}
