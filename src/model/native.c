/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/native.h"

#include "decide.h"

/*
 * Version gate: before 27 Docker translates IPv6 only as an experiment (and never before 20.10).
 * Above it, only the kernel knows whether ip6tables is on: no API tells.
 */
static bool engine_may_translate(const struct engine *e)
{
	return engine_at_least(e, 27, 0, 0) || (engine_at_least(e, 20, 10, 0) && e->experimental);
}

static bool has_rules(const struct snapshot *s, const struct links *links, const struct network *n)
{
	char bridge[16];

	return engine_may_translate(&s->engine) && n->ipv6 &&
	       links_has_docker_rules(links, network_bridge(n, bridge));
}

/*
 * Docker itself takes its rules away after the bridge when a network is removed, and writes them
 * anew when it starts: neither is a loss.
 */
static bool can_be_lost(const struct snapshot *s, const struct links *links,
			const struct network *n)
{
	char bridge[16];

	return s->engine.connected && links_find_name(links, network_bridge(n, bridge));
}

void native_update(struct snapshot *snapshot, const struct links *links)
{
	vec_foreach (n, &snapshot->networks) {
		if (has_rules(snapshot, links, n))
			n->docker_rules = DOCKER_RULES_PRESENT;
		else if (n->docker_rules == DOCKER_RULES_PRESENT && can_be_lost(snapshot, links, n))
			n->docker_rules = DOCKER_RULES_LOST;
		else if (n->docker_rules == DOCKER_RULES_UNKNOWN)
			n->docker_rules = DOCKER_RULES_ABSENT;
	}
}

bool native_is_unknown(const struct snapshot *snapshot)
{
	vec_foreach (n, &snapshot->networks)
		if (n->docker_rules == DOCKER_RULES_UNKNOWN)
			return native_possible(snapshot);
	return false;
}

bool native_possible(const struct snapshot *snapshot)
{
	return engine_may_translate(&snapshot->engine);
}
