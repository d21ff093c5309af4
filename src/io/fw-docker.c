/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bridges that Docker's own IPv6 rules name, and what docker-ipv6nat has left behind.
 *
 * With its nftables back end, Docker keeps the table "ip6 docker-bridges" with one chain
 * nat-postrouting-out__BRIDGE for each network, whatever its options.
 *
 * With ip6tables (through nf_tables or the older x_tables), every version has rules "-o BRIDGE" in
 * the table filter, whatever the network's masquerading and ports are. But docker-ipv6nat makes
 * such rules, too, and leaves them behind, so only these count:
 *
 *   DOCKER-BRIDGE, DOCKER-CT, DOCKER-FORWARD (28 and later): docker-ipv6nat knows no such chains;
 *   DOCKER: a drop, "! -i BRIDGE -o BRIDGE -j DROP" (27 and later): docker-ipv6nat only accepts;
 *   FORWARD (up to 27): "-o BRIDGE -j DOCKER" behind the rule for established connections of
 *   the bridge. docker-ipv6nat puts them in the other order.
 *
 * In turn, nobody but docker-ipv6nat makes "-o BRIDGE -m addrtype --dst-type LOCAL -j MASQUERADE" in
 * the table nat, one for each network. Its other rules have the shapes of Docker before 27.
 */
#include "io/fw-internal.h"
#include "wire/foreign.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>

#define DOCKER_TABLE "docker-bridges"
#define DOCKER_CHAIN "nat-postrouting-out__"
#define LEGACY_TABLES "/proc/net/ip6_tables_names"

static const char *const ip6tables_tables[] = { "filter", "nat" };

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_bridge(struct bridge_names *bridges, const char *name)
{
	struct bridge_name *b = vec_add(bridges);

	if (!b)
		return -ENOMEM;
	(void)snprintf(b->name, sizeof(b->name), "%s", name);
	return 0;
}

static void sort_bridges(struct bridge_names *bridges)
{
	size_t n = 0;

	vec_sort(bridges, compare_names);
	vec_foreach (b, bridges)
		if (n == 0 || strcmp(bridges->items[n - 1].name, b->name) != 0)
			bridges->items[n++] = *b;
	bridges->n = n;
}

/* An earlier rule of FORWARD for the established connections to this rule's bridge? */
static bool behind_established(const struct foreign_rules *rules, const struct foreign_rule *rule)
{
	for (const struct foreign_rule *r = rules->items; r < rule; r++)
		if (r->conntrack && r->verdict == RULESET_ACCEPT &&
		    strcmp(r->chain, rule->chain) == 0 && strcmp(r->oifname, rule->oifname) == 0)
			return true;
	return false;
}

static bool is_dockers(const struct foreign_rules *rules, const struct foreign_rule *rule)
{
	static const char *const chains[] = { "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD" };

	if (rule->oifname[0] == '\0')
		return false;
	for (size_t i = 0; i < N_ELEMENTS(chains); i++)
		if (strcmp(rule->chain, chains[i]) == 0)
			return true;
	if (strcmp(rule->chain, "DOCKER") == 0)
		return rule->verdict == RULESET_DROP;
	return strcmp(rule->chain, "FORWARD") == 0 && rule->verdict == RULESET_JUMP &&
	       strcmp(rule->target, "DOCKER") == 0 && behind_established(rules, rule);
}

static int add_dockers(struct links *links, const struct foreign_rules *rules)
{
	int r = 0;

	vec_foreach (rule, rules)
		if (r >= 0 && is_dockers(rules, rule))
			r = add_bridge(&links->docker_rules, rule->oifname);
	return r;
}

static bool jumps_to(const struct foreign_rule *rule, const char *chain)
{
	return rule->verdict == RULESET_JUMP && strcmp(rule->target, chain) == 0;
}

static bool is_chain(const struct foreign_rule *rule, const char *chain)
{
	return strcmp(rule->chain, chain) == 0;
}

/* -o BRIDGE -m addrtype --dst-type LOCAL -j MASQUERADE */
static bool is_mark(const struct foreign_rule *rule)
{
	return is_chain(rule, "POSTROUTING") && rule->oifname[0] && rule->to_local &&
	       rule->masquerade;
}

/* Rules that only docker-ipv6nat and Docker make, of those that name the bridge they are for. */
static bool is_leftover(const struct foreign_rule *rule)
{
	if (rule->oifname[0] == '\0')
		return false;
	return is_mark(rule) || (is_chain(rule, "FORWARD") && jumps_to(rule, "DOCKER")) ||
	       ((is_chain(rule, "DOCKER-ISOLATION-STAGE-1") ||
		 is_chain(rule, "DOCKER-ISOLATION-STAGE-2")) &&
		rule->verdict == RULESET_DROP);
}

static int add_leftovers(struct leftovers *l, const struct foreign_rules *rules)
{
	int r = 0;

	vec_foreach (rule, rules) {
		l->chains |=
			!is_chain(rule, "DOCKER-ISOLATION-STAGE-1") &&
			(jumps_to(rule, "DOCKER") || jumps_to(rule, "DOCKER-ISOLATION-STAGE-1"));
		l->docker_forward |= jumps_to(rule, "DOCKER-FORWARD");
		l->user_rules |= is_chain(rule, "DOCKER-USER") &&
				 !(rule->any && rule->verdict == RULESET_RETURN);
		if (r == 0 && is_leftover(rule))
			r = add_bridge(&l->bridges, rule->oifname);
		if (r == 0 && is_mark(rule))
			r = add_bridge(&l->marked, rule->oifname);
	}
	sort_bridges(&l->bridges);
	sort_bridges(&l->marked);
	return r;
}

static int on_chain(const struct nlmsghdr *h, void *userdata)
{
	char name[FOREIGN_NAME];
	size_t prefix = strlen(DOCKER_CHAIN);

	if (foreign_decode_nft_chain(h, DOCKER_TABLE, name) <= 0 ||
	    strncmp(name, DOCKER_CHAIN, prefix) != 0 || strlen(name + prefix) >= IFNAMSIZ)
		return 0;
	return add_bridge(userdata, name + prefix);
}

/* What the callback of a dump of rules is told. */
struct wanted {
	const char *table;
	struct foreign_rules *rules;
};

static int on_rule(const struct nlmsghdr *h, void *userdata)
{
	struct wanted *w = userdata;
	int r = foreign_decode_nft_rule(h, w->table, w->rules);

	return r == -EBADMSG ? 0 : r; /* a foreign rule that we cannot read is not our concern */
}

static int read_nft(struct fw *fw, struct links *links, struct foreign_rules *rules)
{
	uint8_t buffer[FW_REQUEST];
	struct nlmsghdr *h = fw_request_begin(buffer, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_IPV6);
	int r;

	r = nlk_request(&fw->command, h, on_chain, &links->docker_rules);
	for (size_t i = 0; i < N_ELEMENTS(ip6tables_tables) && r >= 0; i++) {
		struct wanted w = { ip6tables_tables[i], rules };

		h = fw_request_begin(buffer, NFT_MSG_GETRULE, NLM_F_DUMP, NFPROTO_IPV6);
		mnl_attr_put_strz(h, NFTA_RULE_TABLE, w.table);
		r = nlk_request(&fw->command, h, on_rule, &w);
	}
	return r;
}

/* Asking for a table creates it, so look first. */
static bool has_legacy(const char *table)
{
	_cleanup_(fclosep) FILE *f = fopen(LEGACY_TABLES, "re");
	char line[64];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, table) == 0)
			return true;
	}
	return false;
}

static int get_entries(int fd, const struct ip6t_getinfo *info, struct foreign_rules *rules)
{
	socklen_t size = (socklen_t)(sizeof(struct ip6t_get_entries) + info->size);
	_cleanup_(freep) struct ip6t_get_entries *entries = calloc(1, size);

	if (!entries)
		return -ENOMEM;
	memcpy(entries->name, info->name, sizeof(entries->name));
	entries->size = info->size;
	if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_ENTRIES, entries, &size) < 0)
		return -errno; /* -EAGAIN: the size has changed since */
	return foreign_decode_xt(info, entries->entrytable, info->size, rules);
}

static int read_legacy(const char *table, struct foreign_rules *rules)
{
	_cleanup_(closep) int fd = -1;
	struct ip6t_getinfo info;
	int r = -EAGAIN;

	fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; i < FW_DUMP_ATTEMPTS && r == -EAGAIN; i++) {
		socklen_t size = sizeof(info);

		memset(&info, 0, sizeof(info));
		(void)snprintf(info.name, sizeof(info.name), "%s", table);
		if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_INFO, &info, &size) < 0)
			return -errno;
		r = get_entries(fd, &info, rules);
	}
	return r;
}

/* One look: both kinds of ip6tables may be in use on one host, each with an order of its own. */
static int read_once(struct fw *fw, struct links *links)
{
	struct foreign_rules nft = { 0 }, legacy = { 0 };
	int r;

	r = read_nft(fw, links, &nft);
	if (r >= 0)
		r = add_dockers(links, &nft);
	if (r >= 0)
		r = add_leftovers(&links->leftovers[IP6TABLES_NFT], &nft);
	for (size_t i = 0; i < N_ELEMENTS(ip6tables_tables) && r >= 0; i++)
		if (has_legacy(ip6tables_tables[i]))
			r = read_legacy(ip6tables_tables[i], &legacy);
	if (r >= 0)
		r = add_dockers(links, &legacy);
	if (r >= 0)
		r = add_leftovers(&links->leftovers[IP6TABLES_LEGACY], &legacy);
	vec_done(&nft);
	vec_done(&legacy);
	return r;
}

int fw_read_rules_of_others(struct fw *fw, struct links *links)
{
	_cleanup_(links_done) struct links seen = { 0 };
	struct links old = { 0 };
	int r = -EINTR;

	for (unsigned i = 0; i < FW_DUMP_ATTEMPTS && r == -EINTR; i++) {
		links_done(&seen);
		r = read_once(fw, &seen);
	}
	if (r < 0)
		return r == -EINTR ? -EAGAIN : r;
	sort_bridges(&seen.docker_rules);
	old.docker_rules = links->docker_rules;
	memcpy(old.leftovers, links->leftovers, sizeof(old.leftovers));
	links->docker_rules = seen.docker_rules;
	memcpy(links->leftovers, seen.leftovers, sizeof(seen.leftovers));
	seen = old;
	return 0;
}
