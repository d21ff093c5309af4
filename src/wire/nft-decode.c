/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumped messages as rulesets. Whoever may change our tables chooses these bytes: every attribute
 * is measured before it is read, and what cannot be expressed marks the table as damaged.
 */
#include "wire/nft-internal.h"
#include "wire/attrs.h"
#include "base/own.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>

/* Until nft_decode_finish() an element of an interval set is one of its two ends. */
#define INTERVAL_START 0
#define INTERVAL_END 255

static uint8_t message_family(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

	return g->nfgen_family;
}

/* Parses the attributes of a message of ours. > 0: it is about our table of this family. */
static int parse(const struct nlmsghdr *h, enum ruleset_family family, const struct nlattr **tb,
		 size_t n, uint16_t table)
{
	int r;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	if (message_family(h) != nft_family(family))
		return 0;
	r = attrs_parse(h, sizeof(struct nfgenmsg), tb, n);
	if (r < 0)
		return r;
	return attrs_string_equals(tb[table], RULESET_TABLE);
}

int nft_decode_table(const struct nlmsghdr *h, enum ruleset_family family,
		     struct ruleset_table *table)
{
	const struct nlattr *tb[NFTA_TABLE_FLAGS + 1];
	uint32_t flags = 0;
	int r;

	r = parse(h, family, tb, N_ELEMENTS(tb), NFTA_TABLE_NAME);
	if (r <= 0)
		return r;
	table->present = true;
	/* Dormant, owned, persistent: never of our making. */
	if (attrs_be32(tb[NFTA_TABLE_FLAGS], &flags) && flags != 0)
		table->damaged = true;
	table->owned = flags & NFT_TABLE_F_OWNER;
	return 1;
}

static int decode_hook(const struct nlattr *nest, struct ruleset_chain *c)
{
	const struct nlattr *tb[NFTA_HOOK_PRIORITY + 1];
	uint32_t hook, priority;
	int r;

	r = attrs_parse_nested(nest, tb, N_ELEMENTS(tb));
	if (r < 0)
		return r;
	if (!attrs_be32(tb[NFTA_HOOK_HOOKNUM], &hook) ||
	    !attrs_be32(tb[NFTA_HOOK_PRIORITY], &priority))
		return -EBADMSG;
	c->hook = hook;
	c->priority = (int)priority;
	return 0;
}

/* Returns > 0, or 0 if the chain is not such as we make them. */
static int decode_base_chain(const struct nlattr **tb, struct ruleset_chain *c)
{
	uint32_t policy = NF_DROP;
	int r;

	if (!tb[NFTA_CHAIN_HOOK])
		return 1;
	r = decode_hook(tb[NFTA_CHAIN_HOOK], c);
	if (r < 0)
		return r;
	c->base = true;
	c->nat = attrs_string_equals(tb[NFTA_CHAIN_TYPE], "nat");
	if (!c->nat && !attrs_string_equals(tb[NFTA_CHAIN_TYPE], "filter"))
		return 0;
	return c->hook <= RULESET_HOOK_POSTROUTING && attrs_be32(tb[NFTA_CHAIN_POLICY], &policy) &&
	       policy == NF_ACCEPT;
}

/*
 * Inserts a zeroed item where its name keeps the vector sorted, so that the rules and elements
 * that follow find it quickly. Evaluates to NULL on memory shortage.
 */
#define insert_by_name(v, new_name)                                                            \
	({                                                                                     \
		typeof(v) s_ = (v);                                                            \
		size_t i_ = s_->n;                                                             \
		typeof(s_->items) new_ = vec_add(s_);                                          \
		for (; new_ && i_ > 0 && strcmp(s_->items[i_ - 1].name, (new_name)) > 0; i_--) \
			s_->items[i_] = s_->items[i_ - 1];                                     \
		new_ ? memset(&s_->items[i_], 0, sizeof(*new_)) : NULL;                        \
	})

int nft_decode_chain(const struct nlmsghdr *h, enum ruleset_family family,
		     struct ruleset_table *table)
{
	const struct nlattr *tb[NFTA_CHAIN_FLAGS + 1];
	struct ruleset_chain c = { 0 }, *copy;
	uint32_t flags = 0;
	int r;

	r = parse(h, family, tb, N_ELEMENTS(tb), NFTA_CHAIN_TABLE);
	if (r <= 0)
		return r;
	(void)attrs_be32(tb[NFTA_CHAIN_FLAGS], &flags);
	if (flags & NFT_CHAIN_BINDING)
		return 1; /* belongs to a foreign rule, and goes with it */
	r = decode_base_chain(tb, &c);
	if (r < 0)
		return r;
	if (r == 0 || (flags & NFT_CHAIN_HW_OFFLOAD) ||
	    !attrs_string(tb[NFTA_CHAIN_NAME], c.name, sizeof(c.name)))
		table->damaged = true;
	if (c.name[0] == '\0' || ruleset_find_chain(table, c.name))
		return 1;
	copy = insert_by_name(&table->chains, c.name);
	if (!copy)
		return -ENOMEM;
	*copy = c;
	return 1;
}

/* The comment of a rule, among its items of type, length, value. */
static uint64_t decode_tag(const struct nlattr *userdata)
{
	const uint8_t *p = userdata ? mnl_attr_get_payload(userdata) : NULL;
	size_t left = userdata ? mnl_attr_get_payload_len(userdata) : 0;
	size_t prefix = strlen(NFT_TAG_PREFIX);
	uint64_t tag = 0;

	while (left >= 2 && p[0] != 0 /* NFTNL_UDATA_RULE_COMMENT */) {
		size_t skip = 2U + p[1];

		if (skip > left)
			return 0;
		p += skip;
		left -= skip;
	}
	if (left < 2 + NFT_TAG_TEXT || p[1] != NFT_TAG_TEXT)
		return 0;
	p += 2;
	if (memcmp(p, NFT_TAG_PREFIX, prefix) != 0 || p[NFT_TAG_TEXT - 1] != '\0')
		return 0;
	for (size_t i = prefix; i < NFT_TAG_TEXT - 1; i++) {
		if (!isdigit(p[i]) && (p[i] < 'a' || p[i] > 'f'))
			return 0;
		tag = tag << 4 | (uint64_t)(isdigit(p[i]) ? p[i] - '0' : p[i] - 'a' + 10);
	}
	return tag;
}

int nft_decode_rule(const struct nlmsghdr *h, enum ruleset_family family,
		    struct ruleset_table *table)
{
	const struct nlattr *tb[NFTA_RULE_USERDATA + 1];
	char name[RULESET_NAME];
	struct ruleset_chain *chain = NULL;
	struct ruleset_rule *rule;
	int r;

	r = parse(h, family, tb, N_ELEMENTS(tb), NFTA_RULE_TABLE);
	if (r <= 0)
		return r;
	if (attrs_string(tb[NFTA_RULE_CHAIN], name, sizeof(name)))
		chain = ruleset_find_chain(table, name);
	if (!chain)
		return 1; /* of a chain that was passed over */
	rule = vec_add(&chain->rules);
	if (!rule)
		return -ENOMEM;
	rule->tag = decode_tag(tb[NFTA_RULE_USERDATA]);
	return 1;
}

/* Returns > 0, or 0 if the set's types are not such as we make them. */
static int decode_types(const struct nlattr **tb, uint32_t flags, struct ruleset_set *s)
{
	uint32_t key, key_length, data, data_length;

	if (!attrs_be32(tb[NFTA_SET_KEY_TYPE], &key) ||
	    !attrs_be32(tb[NFTA_SET_KEY_LEN], &key_length))
		return -EBADMSG;
	if (!nft_fields_of_type(key, s->key) || key_length != ruleset_key_size(s))
		return 0;
	if (!(flags & NFT_SET_MAP)) {
		s->kind = RULESET_SET;
		return 1;
	}
	if (!attrs_be32(tb[NFTA_SET_DATA_TYPE], &data))
		return -EBADMSG;
	if (data == NFT_DATA_VERDICT) {
		s->kind = RULESET_VERDICT_MAP;
		return 1;
	}
	s->kind = RULESET_MAP;
	return nft_fields_of_type(data, s->data) &&
	       attrs_be32(tb[NFTA_SET_DATA_LEN], &data_length) &&
	       data_length == ruleset_data_size(s) && data_length <= RULESET_DATA;
}

static bool is_counter(const struct nlattr *expr)
{
	const struct nlattr *tb[NFTA_EXPR_NAME + 1];

	return attrs_parse_nested(expr, tb, N_ELEMENTS(tb)) >= 0 &&
	       attrs_string_equals(tb[NFTA_EXPR_NAME], "counter");
}

/* Returns > 0, or 0 if the set is not such as we make them. */
static int decode_set(const struct nlattr **tb, uint32_t flags, struct ruleset_set *s)
{
	int r;

	if (!attrs_string(tb[NFTA_SET_NAME], s->name, sizeof(s->name)) || s->name[0] == '\0')
		return 0;
	r = decode_types(tb, flags, s);
	if (r <= 0)
		return r;
	s->interval = flags & NFT_SET_INTERVAL;
	s->counter = tb[NFTA_SET_EXPR];
	if (s->interval && ruleset_key_size(s) != sizeof(struct in6_addr))
		return 0;
	if (s->counter && !is_counter(tb[NFTA_SET_EXPR]))
		return 0;
	/* NFT_SET_EXPR only says that user space knows expressions. */
	return !(flags & ~(uint32_t)(NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_EXPR)) &&
	       !tb[NFTA_SET_EXPRESSIONS] && !tb[NFTA_SET_TIMEOUT];
}

int nft_decode_set(const struct nlmsghdr *h, enum ruleset_family family,
		   struct ruleset_table *table)
{
	const struct nlattr *tb[NFTA_SET_EXPRESSIONS + 1];
	struct ruleset_set s = { 0 }, *copy;
	uint32_t flags = 0;
	int r;

	r = parse(h, family, tb, N_ELEMENTS(tb), NFTA_SET_TABLE);
	if (r <= 0)
		return r;
	(void)attrs_be32(tb[NFTA_SET_FLAGS], &flags);
	if (flags & NFT_SET_ANONYMOUS)
		return 1; /* belongs to a foreign rule, and goes with it */
	r = decode_set(tb, flags, &s);
	if (r < 0)
		return r;
	if (r == 0) {
		table->damaged = true;
		return 1;
	}
	if (ruleset_find_set(table, s.name))
		return 1;
	copy = insert_by_name(&table->sets, s.name);
	if (!copy)
		return -ENOMEM;
	*copy = s;
	return 1;
}

/* False: not a value of this size. */
static bool decode_value(const struct nlattr *nest, void *ret, size_t size)
{
	const struct nlattr *tb[NFTA_DATA_VALUE + 1], *value;

	if (!nest || attrs_parse_nested(nest, tb, N_ELEMENTS(tb)) < 0)
		return false;
	value = tb[NFTA_DATA_VALUE];
	if (!value || mnl_attr_get_payload_len(value) != size)
		return false;
	memcpy(ret, mnl_attr_get_payload(value), size);
	return true;
}

int nft_decode_verdict(const struct nlattr *nest, enum ruleset_verdict *ret, char *ret_chain,
		       size_t size)
{
	const struct nlattr *data[NFTA_DATA_VERDICT + 1], *tb[NFTA_VERDICT_CHAIN + 1];
	uint32_t code;

	if (attrs_parse_nested(nest, data, N_ELEMENTS(data)) < 0)
		return -EBADMSG;
	if (!data[NFTA_DATA_VERDICT])
		return 0;
	if (attrs_parse_nested(data[NFTA_DATA_VERDICT], tb, N_ELEMENTS(tb)) < 0 ||
	    !attrs_be32(tb[NFTA_VERDICT_CODE], &code))
		return -EBADMSG;
	if (tb[NFTA_VERDICT_CHAIN] && !attrs_string(tb[NFTA_VERDICT_CHAIN], ret_chain, size))
		return 0; /* longer than any name of ours */
	*ret = nft_verdict_of_code((int32_t)code);
	return 1;
}

static bool decode_element_verdict(const struct nlattr *nest, struct ruleset_element *e)
{
	return nest && nft_decode_verdict(nest, &e->verdict, e->chain, sizeof(e->chain)) > 0 &&
	       e->verdict != RULESET_VERDICT_NONE;
}

static uint64_t decode_counter(const struct nlattr *nest)
{
	const struct nlattr *expr[NFTA_EXPR_DATA + 1], *tb[NFTA_COUNTER_PACKETS + 1];
	uint64_t packets = 0;

	if (!nest || attrs_parse_nested(nest, expr, N_ELEMENTS(expr)) < 0 ||
	    !attrs_string_equals(expr[NFTA_EXPR_NAME], "counter") || !expr[NFTA_EXPR_DATA] ||
	    attrs_parse_nested(expr[NFTA_EXPR_DATA], tb, N_ELEMENTS(tb)) < 0)
		return 0;
	(void)attrs_be64(tb[NFTA_COUNTER_PACKETS], &packets);
	return packets;
}

/* Returns > 0, or 0 if the element is not such as we make them. */
static int decode_element(const struct nlattr *nest, const struct ruleset_set *s,
			  struct ruleset_element *e)
{
	const struct nlattr *tb[NFTA_SET_ELEM_EXPR + 1];
	uint32_t flags = 0;
	int r;

	r = attrs_parse_nested(nest, tb, N_ELEMENTS(tb));
	if (r < 0)
		return r;
	(void)attrs_be32(tb[NFTA_SET_ELEM_FLAGS], &flags);
	if (!decode_value(tb[NFTA_SET_ELEM_KEY], e->key, ruleset_key_size(s)) ||
	    (flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END))
		return 0;
	if (flags & NFT_SET_ELEM_INTERVAL_END) {
		e->prefix_length = INTERVAL_END;
		return s->interval;
	}
	e->prefix_length = s->interval ? INTERVAL_START : 0;
	e->packets = decode_counter(tb[NFTA_SET_ELEM_EXPR]);
	if (s->kind == RULESET_MAP)
		return decode_value(tb[NFTA_SET_ELEM_DATA], e->data, ruleset_data_size(s));
	if (s->kind == RULESET_VERDICT_MAP)
		return decode_element_verdict(tb[NFTA_SET_ELEM_DATA], e);
	return 1;
}

int nft_decode_elements(const struct nlmsghdr *h, enum ruleset_family family,
			struct ruleset_table *table)
{
	const struct nlattr *tb[NFTA_SET_ELEM_LIST_ELEMENTS + 1], *a;
	char name[RULESET_NAME];
	struct ruleset_set *s = NULL;
	int r;

	r = parse(h, family, tb, N_ELEMENTS(tb), NFTA_SET_ELEM_LIST_TABLE);
	if (r <= 0)
		return r;
	if (attrs_string(tb[NFTA_SET_ELEM_LIST_SET], name, sizeof(name)))
		s = ruleset_find_set(table, name);
	if (!s || !tb[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 1;
	mnl_attr_for_each_nested (a, tb[NFTA_SET_ELEM_LIST_ELEMENTS]) {
		struct ruleset_element e = { 0 }, *copy;

		r = decode_element(a, s, &e);
		if (r < 0)
			return r;
		if (r == 0) {
			table->damaged = true;
			continue;
		}
		copy = vec_add(&s->elements);
		if (!copy)
			return -ENOMEM;
		*copy = e;
	}
	return 1;
}

/* An end comes before the start of the interval that follows without a gap. */
static int compare_ends(const void *a, const void *b)
{
	const struct ruleset_element *x = a, *y = b;
	int r = memcmp(x->key, y->key, sizeof(x->key));

	return r ? r
		 : (x->prefix_length < y->prefix_length) - (x->prefix_length > y->prefix_length);
}

/* The length of the prefix that begins at start and ends before the address end (NULL: at the
 * very last address); < 0 if there is none. */
static int prefix_of_range(const uint8_t *start, const uint8_t *end)
{
	struct inet_prefix p;
	struct in6_addr last, want;

	memset(&want, 0xff, sizeof(want));
	if (end) {
		memcpy(&want, end, sizeof(want));
		for (size_t i = sizeof(want.s6_addr); i-- > 0;)
			if (want.s6_addr[i]-- != 0)
				break;
	}
	memcpy(&p.address, start, sizeof(p.address));
	for (int length = 0; length <= 128; length++) {
		struct in6_addr first = p.address;

		p.length = (uint8_t)length;
		inet_mask(&first, p.length);
		inet_prefix_last(&p, &last);
		if (inet_equal(&first, &p.address) && inet_equal(&last, &want))
			return length;
	}
	return -EINVAL;
}

/* Turns starts and ends into prefixes, in place. False if there is anything but prefixes. */
static bool pair_interval_ends(struct ruleset_set *s)
{
	size_t n = 0;

	vec_sort(&s->elements, compare_ends);
	for (size_t i = 0; i < s->elements.n; i++) {
		struct ruleset_element *e = &s->elements.items[i];
		bool last = i + 1 == s->elements.n;
		int length;

		if (e->prefix_length == INTERVAL_END) {
			/* Only what lies before the first interval may end without a start. */
			if (i > 0 || !inet_is_zero((const struct in6_addr *)e->key))
				return false;
			continue;
		}
		if (!last && e[1].prefix_length != INTERVAL_END)
			return false;
		length = prefix_of_range(e->key, last ? NULL : e[1].key);
		if (length < 0)
			return false;
		e->prefix_length = (uint8_t)length;
		s->elements.items[n++] = *e;
		i++;
	}
	s->elements.n = n;
	return true;
}

static bool has_twins(const struct ruleset_set *s)
{
	for (size_t i = 1; i < s->elements.n; i++)
		if (ruleset_element_compare(&s->elements.items[i - 1], &s->elements.items[i]) == 0)
			return true;
	return false;
}

int nft_decode_finish(struct ruleset_table *table)
{
	bool tagged = false, foreign = false, twins = false;

	vec_foreach (s, &table->sets) {
		if (s->interval && !pair_interval_ends(s)) {
			vec_done(&s->elements);
			table->damaged = true;
		}
		vec_sort(&s->elements, ruleset_element_compare);
		twins = twins || has_twins(s);
	}
	vec_foreach (c, &table->chains)
		vec_foreach (rule, &c->rules) {
			tagged = tagged || rule->tag != 0;
			foreign = foreign || rule->tag == 0;
		}
	/* Rules, and not one of them ours: somebody else's table, or made in another way. */
	if (foreign && !tagged)
		table->damaged = true;
	return twins ? -EAGAIN : 0;
}
