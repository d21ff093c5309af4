/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads our tables. Each dump is consistent in itself; a change between two of them is somebody
 * else's and arrives as a notification, after which the caller reads again. Until then, the number
 * of the generation tells a commit that is refused for that. */
#include "io/fw-internal.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>

struct reading {
	struct fw *fw;
	enum ruleset_family family;
	struct ruleset_table *table;
	int (*decode)(const struct nlmsghdr *h, enum ruleset_family family,
		      struct ruleset_table *table);
};

static int decode(const struct nlmsghdr *h, void *userdata)
{
	struct reading *r = userdata;

	return r->decode(h, r->family, r->table);
}

static struct nlmsghdr *begin(const struct reading *r, void *buffer, uint16_t type, uint16_t flags)
{
	static const uint8_t families[] = {
		[RULESET_IP6] = NFPROTO_IPV6,
		[RULESET_BRIDGE] = NFPROTO_BRIDGE,
	};
	static_assert(sizeof(families) == _RULESET_FAMILY_MAX, "every family has a number");

	return fw_request_begin(buffer, type, flags, families[r->family]);
}

static int read_table(struct reading *r)
{
	uint8_t buffer[FW_REQUEST];
	struct nlmsghdr *h = begin(r, buffer, NFT_MSG_GETTABLE, NLM_F_ACK);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, RULESET_TABLE);
	r->decode = nft_decode_table;
	return nlk_request(&r->fw->command, h, decode, r);
}

/* The kernel filters rules and sets by table; chains of other tables are passed over. */
static int dump(struct reading *r, uint16_t type, uint16_t table_attribute,
		int (*decoder)(const struct nlmsghdr *, enum ruleset_family,
			       struct ruleset_table *))
{
	uint8_t buffer[FW_REQUEST];
	struct nlmsghdr *h = begin(r, buffer, type, NLM_F_DUMP);

	mnl_attr_put_strz(h, table_attribute, RULESET_TABLE);
	r->decode = decoder;
	return nlk_request(&r->fw->command, h, decode, r);
}

static int dump_elements(struct reading *r, const char *set)
{
	uint8_t buffer[FW_REQUEST];
	struct nlmsghdr *h = begin(r, buffer, NFT_MSG_GETSETELEM, NLM_F_DUMP);

	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	r->decode = nft_decode_elements;
	return nlk_request(&r->fw->command, h, decode, r);
}

static int read_contents(struct reading *r)
{
	int q;

	q = dump(r, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, nft_decode_chain);
	if (q >= 0)
		q = dump(r, NFT_MSG_GETSET, NFTA_SET_TABLE, nft_decode_set);
	if (q >= 0)
		q = dump(r, NFT_MSG_GETRULE, NFTA_RULE_TABLE, nft_decode_rule);
	for (size_t i = 0; q >= 0 && i < r->table->sets.n; i++)
		q = dump_elements(r, r->table->sets.items[i].name);
	/* Gone since the table was seen: what a dump interrupted between two messages is, too. */
	return q == -ENOENT ? -EINTR : q;
}

static int read_family(struct fw *fw, enum ruleset_family family, struct ruleset_table *table)
{
	struct reading reading = { .fw = fw, .family = family, .table = table };
	int r;

	r = read_table(&reading);
	/* No such table; or the kernel does not know this family at all. */
	if (r == -ENOENT || (family == RULESET_BRIDGE && (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)))
		return 0;
	if (r < 0 || !table->present)
		return r;
	r = read_contents(&reading);
	return r < 0 ? r : nft_decode_finish(table);
}

static void pause_ms(unsigned ms)
{
	(void)poll(NULL, 0, (int)ms);
}

int fw_read(struct fw *fw, struct ruleset *ret)
{
	int r = -EINTR;

	for (unsigned i = 0; i < FW_DUMP_ATTEMPTS && (r == -EINTR || r == -EAGAIN); i++) {
		_cleanup_(ruleset_done) struct ruleset ruleset = { 0 };

		if (r == -EAGAIN)
			pause_ms(1U
				 << MIN_OF(i, 5U)); /* the kernel is about to resize a hash table */

		r = fw_read_generation(fw, &fw->generation);
		for (enum ruleset_family f = 0; r >= 0 && f < _RULESET_FAMILY_MAX; f++) {
			r = read_family(fw, f, &ruleset.tables[f]);
			ruleset.tables[f].damaged |= fw->rules_forged;
		}
		if (r < 0)
			continue;
		*ret = ruleset;
		ruleset = (struct ruleset){ 0 };
	}
	return r == -EINTR ? -EAGAIN : r;
}
