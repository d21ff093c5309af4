/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x_tables format: entries one after the other, each with its matches and its target. A chain
 * of the user begins with an entry whose target ERROR holds its name; jumps are offsets of the
 * entry behind it. The built-in chains begin at the offsets in the header.
 */
#include "wire/foreign.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter_ipv6/ip6_tables.h> /* after net/if.h, or the two clash */

/* Offset of the first rule of a chain and the chain's name. */
struct head {
	uint32_t offset;
	char name[RULESET_NAME];
};

struct table {
	const uint8_t *data;
	size_t size;
	VEC(struct head) heads; /* in order of their offsets */
};

struct entry {
	const struct ip6t_entry *entry;
	const struct xt_entry_target *target;
	uint32_t offset, next;
};

/* The entry at an offset, measured. 0 at the end of the table, else > 0 or -EBADMSG. */
static int entry_at(const struct table *t, uint32_t offset, struct entry *ret)
{
	const struct ip6t_entry *e = (const struct ip6t_entry *)(t->data + offset);
	const struct xt_entry_target *target;
	size_t left;

	if (offset >= t->size)
		return 0;
	left = t->size - offset;
	if (left < sizeof(*e) || offset % __alignof__(*e) != 0 || e->next_offset > left)
		return -EBADMSG;
	if (e->target_offset < sizeof(*e) || e->target_offset % __alignof__(*target) != 0 ||
	    e->target_offset + sizeof(*target) > e->next_offset)
		return -EBADMSG;
	target = (const struct xt_entry_target *)((const uint8_t *)e + e->target_offset);
	if (target->u.target_size < sizeof(*target) ||
	    e->target_offset + (size_t)target->u.target_size > e->next_offset)
		return -EBADMSG;
	*ret = (struct entry){ e, target, offset, offset + e->next_offset };
	return 1;
}

static bool has_target(const struct entry *e, const char *name, size_t size)
{
	return strncmp(e->target->u.user.name, name, sizeof(e->target->u.user.name)) == 0 &&
	       e->target->u.target_size >= size;
}

static bool add_head(struct table *t, uint32_t offset, const char *name, size_t size)
{
	struct head *head = vec_add(&t->heads);
	size_t length = strnlen(name, size);

	if (!head)
		return false;
	head->offset = offset;
	if (length < sizeof(head->name))
		memcpy(head->name, name, length);
	return true;
}

static int find_heads(struct table *t, const struct ip6t_getinfo *info)
{
	static const char *const hooks[NF_INET_NUMHOOKS] = {
		[NF_INET_PRE_ROUTING] = "PREROUTING",   [NF_INET_LOCAL_IN] = "INPUT",
		[NF_INET_FORWARD] = "FORWARD",          [NF_INET_LOCAL_OUT] = "OUTPUT",
		[NF_INET_POST_ROUTING] = "POSTROUTING",
	};
	struct entry e;
	int r;

	for (uint32_t offset = 0; (r = entry_at(t, offset, &e)) > 0; offset = e.next) {
		const struct xt_error_target *error = (const struct xt_error_target *)e.target;

		if (has_target(&e, XT_ERROR_TARGET, sizeof(*error)) &&
		    !add_head(t, e.next, error->errorname, sizeof(error->errorname)))
			return -ENOMEM;
		for (unsigned hook = 0; hook < NF_INET_NUMHOOKS; hook++)
			if ((info->valid_hooks & 1U << hook) && info->hook_entry[hook] == offset &&
			    !add_head(t, offset, hooks[hook], strlen(hooks[hook])))
				return -ENOMEM;
	}
	return r;
}

static const char *head_name(const struct table *t, uint32_t offset)
{
	vec_foreach (head, &t->heads)
		if (head->offset == offset)
			return head->name;
	return "";
}

/* The name of an outgoing interface that is matched completely, its terminating zero included. */
static void decode_oifname(const struct ip6t_ip6 *ip6, char ret[static IFNAMSIZ])
{
	size_t length = strnlen(ip6->outiface, IFNAMSIZ);

	if (length == IFNAMSIZ || (ip6->invflags & IP6T_INV_VIA_OUT))
		return;
	for (size_t i = 0; i <= length; i++)
		if (ip6->outiface_mask[i] != 0xff)
			return;
	memcpy(ret, ip6->outiface, length);
}

/* Revisions 0 and 1 differ in where it says whether a mask is inverted. */
bool foreign_is_to_local(const void *addrtype, size_t size)
{
	struct xt_addrtype_info_v1 info = { 0 };
	static const uint8_t zero[16];
	size_t known = sizeof(info.source) + sizeof(info.dest);

	if (size < sizeof(info) || size > known + sizeof(zero))
		return false;
	memcpy(&info, addrtype, sizeof(info));
	return info.source == 0 && info.dest == XT_ADDRTYPE_LOCAL &&
	       memcmp((const uint8_t *)addrtype + known, zero, size - known) == 0;
}

static void decode_match(const struct xt_entry_match *m, struct foreign_rule *rule)
{
	if (strncmp(m->u.user.name, "conntrack", sizeof(m->u.user.name)) == 0 ||
	    strncmp(m->u.user.name, "state", sizeof(m->u.user.name)) == 0)
		rule->conntrack = true;
	else if (strncmp(m->u.user.name, "addrtype", sizeof(m->u.user.name)) == 0)
		rule->to_local = foreign_is_to_local(m->data, m->u.match_size - sizeof(*m));
}

static void decode_matches(const struct entry *e, struct foreign_rule *rule)
{
	const uint8_t *p = (const uint8_t *)e->entry + sizeof(*e->entry);
	size_t left = e->entry->target_offset - sizeof(*e->entry);

	while (left >= sizeof(struct xt_entry_match)) {
		const struct xt_entry_match *m = (const struct xt_entry_match *)p;

		if (m->u.match_size < sizeof(*m) || m->u.match_size > left ||
		    m->u.match_size % __alignof__(*m) != 0)
			break;
		decode_match(m, rule);
		p += m->u.match_size;
		left -= m->u.match_size;
	}
}

static void decode_target(const struct table *t, const struct entry *e, struct foreign_rule *rule)
{
	const struct xt_standard_target *standard = (const struct xt_standard_target *)e->target;

	rule->masquerade = has_target(e, "MASQUERADE", sizeof(*e->target));
	if (!has_target(e, XT_STANDARD_TARGET, sizeof(*standard)))
		return;
	if (standard->verdict >= 0) {
		rule->verdict = RULESET_JUMP;
		strcpy(rule->target, head_name(t, (uint32_t)standard->verdict));
	} else if (standard->verdict == -NF_ACCEPT - 1) {
		rule->verdict = RULESET_ACCEPT;
	} else if (standard->verdict == -NF_DROP - 1) {
		rule->verdict = RULESET_DROP;
	} else if (standard->verdict == XT_RETURN) {
		rule->verdict = RULESET_RETURN;
	}
}

static int decode_rules(const struct table *t, struct foreign_rules *rules)
{
	const struct head *chain = NULL;
	struct entry e;
	size_t n = 0;
	int r;

	for (uint32_t offset = 0; (r = entry_at(t, offset, &e)) > 0; offset = e.next) {
		/* Without the padding at the end of it. */
		static const uint8_t nothing[offsetof(struct ip6t_ip6, invflags) + 1];
		struct foreign_rule rule = { 0 }, *copy;

		for (; n < t->heads.n && t->heads.items[n].offset <= offset; n++)
			chain = &t->heads.items[n];
		if (!chain || has_target(&e, XT_ERROR_TARGET, sizeof(struct xt_error_target)))
			continue; /* a chain's name, no rule */
		strcpy(rule.chain, chain->name);
		decode_oifname(&e.entry->ipv6, rule.oifname);
		rule.any = e.entry->target_offset == sizeof(*e.entry) &&
			   memcmp((const uint8_t *)&e.entry->ipv6, nothing, sizeof(nothing)) == 0;
		decode_matches(&e, &rule);
		decode_target(t, &e, &rule);
		copy = vec_add(rules);
		if (!copy)
			return -ENOMEM;
		*copy = rule;
	}
	return r;
}

int foreign_decode_xt(const struct ip6t_getinfo *info, const void *entries, size_t size,
		      struct foreign_rules *rules)
{
	struct table t = { .data = entries, .size = size };
	int r;

	r = size > UINT32_MAX / 2 ? -EBADMSG : find_heads(&t, info);
	if (r == 0)
		r = decode_rules(&t, rules);
	vec_done(&t.heads);
	return r;
}
