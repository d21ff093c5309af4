/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sysctl.h"

#include <linux/if_addr.h>
#include <stdio.h>

static int want(struct plan *plan, const char *interface, const char *key, int value)
{
	struct plan_sysctl *s = vec_add(&plan->sysctls);

	if (!s)
		return -ENOMEM;
	snprintf(s->path, sizeof(s->path), "net/ipv6/conf/%s/%s", interface, key);
	s->value = value;
	return 0;
}

static bool needs_forwarding(const struct nets *nets)
{
	vec_foreach (n, nets)
		if (net_publishes(n))
			return true;
	return false;
}

static bool is_container_bridge(const struct nets *nets, const struct link *l)
{
	vec_foreach (n, nets)
		if (n->link == l)
			return true;
	return false;
}

/* With conf.IFACE.force_forwarding (kernel 6.17) each interface that packets come in on is enough. */
static bool has_force_forwarding(const struct links *links)
{
	vec_foreach (l, &links->links)
		if (l->force_forwarding >= 0)
			return true;
	return false;
}

/*
 * Everything that traffic for a container may come in on: a published port answers on every
 * interface that has an address, as docker-proxy did before we took over.
 */
static bool carries_traffic(const struct config *config, const struct nets *nets,
			    const struct link *l)
{
	if (link_is_uplink(config, l) || is_container_bridge(nets, l))
		return true;
	vec_foreach (a, &l->addresses)
		if (!inet_is_link_local(&a->address) && !inet_is_loopback(&a->address))
			return true;
	return false;
}

/* An address without IFA_F_PERMANENT was made from a router advertisement (or by DHCPv6). */
static bool lives_by_ra(const struct link *l)
{
	if (l->default_route_ra)
		return true;
	vec_foreach (a, &l->addresses)
		if (!inet_is_link_local(&a->address) && !(a->flags & IFA_F_PERMANENT))
			return true;
	return false;
}

/*
 * accept_ra=1 means "unless forwarding": the moment forwarding goes on, the kernel purges the
 * default route that an advertisement made. 2 means "although forwarding", and must come first.
 */
static int plan_accept_ra(const struct config *config, const struct nets *nets,
			  const struct links *links, bool forwarding_comes, struct plan *plan)
{
	vec_foreach (l, &links->links) {
		int r;

		if (l->accept_ra != 1 || is_container_bridge(nets, l) || !lives_by_ra(l))
			continue;
		if (l->forwarding != 1 && !forwarding_comes)
			continue;
		if (config->forwarding == CONFIG_FORWARDING_ENSURE)
			r = want(plan, l->name, "accept_ra", 2);
		else
			r = problems_add(
				&plan->problems, PROBLEM_ACCEPT_RA, PROBLEM_WARNING,
				"set net.ipv6.conf.INTERFACE.accept_ra=2 before forwarding",
				"%s has its default route from router advertisements, and "
				"accept_ra=1 ignores them when forwarding is on",
				l->name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_force_forwarding(const struct config *config, const struct nets *nets,
				 const struct links *links, struct plan *plan)
{
	vec_foreach (l, &links->links) {
		int r;

		if (l->force_forwarding != 0 || !carries_traffic(config, nets, l))
			continue;
		r = want(plan, l->name, "force_forwarding", 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool forwards_by_force(const struct config *config, const struct nets *nets,
			      const struct links *links)
{
	vec_foreach (l, &links->links)
		if (carries_traffic(config, nets, l) && l->force_forwarding != 1)
			return false;
	return true;
}

int sysctl_plan(const struct config *config, const struct nets *nets, const struct links *links,
		struct plan *plan)
{
	bool ensure = config->forwarding == CONFIG_FORWARDING_ENSURE;
	bool force = has_force_forwarding(links);
	int r;

	if (!needs_forwarding(nets))
		return 0;
	/* force_forwarding leaves the reading of advertisements alone. */
	r = plan_accept_ra(config, nets, links, links->all_forwarding == 0 && !force, plan);
	if (r < 0 || links->all_forwarding != 0)
		return r;
	if (ensure && force)
		return plan_force_forwarding(config, nets, links, plan);
	if (ensure)
		return want(plan, "all", "forwarding", 1);
	if (force && forwards_by_force(config, nets, links))
		return 0;
	return problems_add(&plan->problems, PROBLEM_FORWARDING_OFF, PROBLEM_ERROR,
			    "set net.ipv6.conf.all.forwarding=1, or Forwarding=ensure",
			    "IPv6 forwarding is off: no packet reaches a container from outside");
}
