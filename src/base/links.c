/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/links.h"

static const char *const kinds[] = {
	[IP6TABLES_NFT] = "ip6tables-nft",
	[IP6TABLES_LEGACY] = "ip6tables-legacy",
};
DEFINE_STRTAB(links_ip6tables, enum ip6tables, _IP6TABLES_MAX, kinds)

void links_done(struct links *l)
{
	vec_foreach (link, &l->links) {
		vec_done(&link->addresses);
		vec_done(&link->on_link);
	}
	vec_done(&l->links);
	vec_done(&l->docker_rules);
	for (unsigned i = 0; i < _IP6TABLES_MAX; i++) {
		vec_done(&l->leftovers[i].bridges);
		vec_done(&l->leftovers[i].marked);
	}
	*l = (struct links){};
}

static int compare_ifindex(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

struct link *links_find(const struct links *l, int ifindex)
{
	struct link key = { .ifindex = ifindex };

	return vec_find(&l->links, &key, compare_ifindex);
}

struct link *links_find_name(const struct links *l, const char *name)
{
	vec_foreach (link, &l->links)
		if (strcmp(link->name, name) == 0)
			return link;
	return NULL;
}

bool links_is_local(const struct links *l, const struct in6_addr *a)
{
	vec_foreach (link, &l->links)
		vec_foreach (address, &link->addresses)
			if (inet_equal(&address->address, a))
				return true;
	return false;
}

static int compare_bridge_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool links_has_docker_rules(const struct links *l, const char *bridge)
{
	return vec_find(&l->docker_rules, bridge, compare_bridge_name);
}
