/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes to a ruleset as one netlink batch. */
#include "wire/nft-internal.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>

/*
 * The list of elements in a message is an attribute, whose length has 16 bits. Messages are closed
 * beyond this size, and an element (two of them for an interval) is far smaller than the rest.
 */
#define ELEMENTS_MAX 0xf000
/* Room made before a message begins: nothing within it has to be checked. */
#define MESSAGE_ROOM 0x12000

/* nft's byte orders, in the userdata of a set; without them it lists names as "". */
#define BYTEORDER_HOST 1
#define BYTEORDER_BIG_ENDIAN 2
#define UDATA_SET_KEYBYTEORDER 0
#define UDATA_SET_DATABYTEORDER 1

struct writer {
	struct nft_batch batch;
	size_t allocated;
	uint32_t seq; /* of the next message */
	size_t last;  /* where the last message begins */
};

static bool make_room(struct writer *w)
{
	size_t allocated = w->allocated ? 2 * w->allocated : 2 * MESSAGE_ROOM;
	uint8_t *data;

	if (w->allocated - w->batch.length >= MESSAGE_ROOM)
		return true;
	data = realloc(w->batch.data, allocated);
	if (!data)
		return false;
	w->batch.data = data;
	w->allocated = allocated;
	return true;
}

static struct nlmsghdr *put_header(struct writer *w, uint16_t type, uint16_t flags, uint8_t family,
				   uint16_t res_id)
{
	struct nlmsghdr *h;
	struct nfgenmsg *g;

	if (!make_room(w))
		return NULL;
	h = mnl_nlmsg_put_header(w->batch.data + w->batch.length);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = w->seq++;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(res_id);
	return h;
}

/* A message of change number i. */
static struct nlmsghdr *begin(struct writer *w, uint16_t type, uint16_t flags,
			      const struct ruleset_changes *changes, size_t i)
{
	uint32_t *change = vec_add(&w->batch.change_of_seq);

	if (!change)
		return NULL;
	*change = (uint32_t)i;
	return put_header(w, NFNL_SUBSYS_NFTABLES << 8 | type, flags,
			  nft_family(changes->items[i].family), 0);
}

static void end(struct writer *w, const struct nlmsghdr *h)
{
	w->last = w->batch.length;
	w->batch.length += MNL_ALIGN(h->nlmsg_len);
}

static bool put_boundary(struct writer *w, uint16_t type)
{
	struct nlmsghdr *h = put_header(w, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);

	if (h)
		end(w, h);
	return h;
}

static void put_be32(struct nlmsghdr *h, uint16_t type, uint32_t value)
{
	mnl_attr_put_u32(h, type, htonl(value));
}

static void put_value(struct nlmsghdr *h, uint16_t type, const void *data, size_t size)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);

	mnl_attr_put(h, NFTA_DATA_VALUE, size, data);
	mnl_attr_nest_end(h, nest);
}

static void put_verdict(struct nlmsghdr *h, uint16_t type, const struct ruleset_element *e)
{
	struct nlattr *data = mnl_attr_nest_start(h, type);
	struct nlattr *verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);

	put_be32(h, NFTA_VERDICT_CODE, (uint32_t)nft_verdict_code(e->verdict));
	if (e->verdict == RULESET_JUMP || e->verdict == RULESET_GOTO)
		mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, e->chain);
	mnl_attr_nest_end(h, verdict);
	mnl_attr_nest_end(h, data);
}

/* Every element added gets a copy. Giving each its own takes the kernel half as long again. */
static void put_counter(struct nlmsghdr *h)
{
	struct nlattr *nest = mnl_attr_nest_start(h, NFTA_SET_EXPR);

	mnl_attr_put_strz(h, NFTA_EXPR_NAME, "counter");
	mnl_attr_nest_end(h, nest);
}

static void put_table(struct nlmsghdr *h, bool add)
{
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, RULESET_TABLE);
	if (add)
		put_be32(h, NFTA_TABLE_FLAGS, 0);
}

static void put_chain(struct nlmsghdr *h, const struct ruleset_chain *c, bool add)
{
	struct nlattr *hook;

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, c->name);
	if (!add || !c->base)
		return;
	hook = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
	put_be32(h, NFTA_HOOK_HOOKNUM, c->hook);
	put_be32(h, NFTA_HOOK_PRIORITY, (uint32_t)c->priority);
	mnl_attr_nest_end(h, hook);
	put_be32(h, NFTA_CHAIN_POLICY, NF_ACCEPT);
	mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, c->nat ? "nat" : "filter");
}

/* One item: type, length, a number in this machine's order. */
static void put_item(uint8_t *udata, size_t *length, uint8_t type, uint32_t value)
{
	udata[(*length)++] = type;
	udata[(*length)++] = sizeof(value);
	memcpy(udata + *length, &value, sizeof(value));
	*length += sizeof(value);
}

/*
 * What nft 1.0.6 notes for "typeof @nh,64,32": a set of raw bytes has no type that it could be
 * declared with, and a listing without this note could not be loaded again.
 */
static void put_typeof_saddr32(uint8_t *udata, size_t *length)
{
	enum {
		KEY_TYPEOF = 3,
		EXPR = 0,
		DATA = 1,
		EXPR_PAYLOAD = 7,
		DESC = 0,
		TYPE = 1,
		BASE = 2,
		OFFSET = 3,
		LEN = 4,
		BASE_NETWORK = 2
	};
	static const struct {
		uint8_t type;
		uint32_t value; /* bits */
	} data[] = {
		{ DESC, 0 }, { TYPE, 0 }, { BASE, BASE_NETWORK }, { OFFSET, 64 }, { LEN, 32 }
	};

	udata[(*length)++] = KEY_TYPEOF;
	udata[(*length)++] = 6 + 2 + N_ELEMENTS(data) * 6;
	put_item(udata, length, EXPR, EXPR_PAYLOAD);
	udata[(*length)++] = DATA;
	udata[(*length)++] = N_ELEMENTS(data) * 6;
	for (size_t i = 0; i < N_ELEMENTS(data); i++)
		put_item(udata, length, data[i].type, data[i].value);
}

static void put_set_userdata(struct nlmsghdr *h, const struct ruleset_set *s)
{
	bool name = s->key[0] == RULESET_IIFNAME || s->key[0] == RULESET_OIFNAME;
	uint8_t udata[64];
	size_t length = 0;

	put_item(udata, &length, UDATA_SET_KEYBYTEORDER,
		 name ? BYTEORDER_HOST : BYTEORDER_BIG_ENDIAN);
	if (s->kind == RULESET_MAP)
		put_item(udata, &length, UDATA_SET_DATABYTEORDER, BYTEORDER_BIG_ENDIAN);
	if (s->key[0] == RULESET_SADDR32)
		put_typeof_saddr32(udata, &length);
	mnl_attr_put(h, NFTA_SET_USERDATA, length, udata);
}

static uint32_t set_flags(const struct ruleset_set *s)
{
	return (s->kind == RULESET_SET ? 0 : NFT_SET_MAP) | (s->interval ? NFT_SET_INTERVAL : 0);
}

static void put_set(struct nlmsghdr *h, const struct ruleset_set *s, bool add)
{
	mnl_attr_put_strz(h, NFTA_SET_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(h, NFTA_SET_NAME, s->name);
	if (!add)
		return;
	put_be32(h, NFTA_SET_ID, h->nlmsg_seq); /* asked for, unused: we look sets up by name */
	put_be32(h, NFTA_SET_FLAGS, set_flags(s));
	put_be32(h, NFTA_SET_KEY_TYPE, nft_type_of_fields(s->key));
	put_be32(h, NFTA_SET_KEY_LEN, (uint32_t)ruleset_key_size(s));
	if (s->kind == RULESET_MAP) {
		put_be32(h, NFTA_SET_DATA_TYPE, nft_type_of_fields(s->data));
		put_be32(h, NFTA_SET_DATA_LEN, (uint32_t)ruleset_data_size(s));
	} else if (s->kind == RULESET_VERDICT_MAP) {
		put_be32(h, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
		put_be32(h, NFTA_SET_DATA_LEN, 0);
	}
	if (s->size > 0) {
		struct nlattr *desc = mnl_attr_nest_start(h, NFTA_SET_DESC);

		put_be32(h, NFTA_SET_DESC_SIZE, s->size);
		mnl_attr_nest_end(h, desc);
	}
	put_set_userdata(h, s);
	if (s->counter)
		put_counter(h);
}

static void put_end(struct nlmsghdr *h, const void *key, size_t size)
{
	struct nlattr *nest = mnl_attr_nest_start(h, NFTA_LIST_ELEM);

	put_value(h, NFTA_SET_ELEM_KEY, key, size);
	put_be32(h, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	mnl_attr_nest_end(h, nest);
}

/* The key after the last one of a prefix. False if there is none: the interval stays open. */
static bool key_after(const struct ruleset_element *e, struct in6_addr *ret)
{
	struct inet_prefix p = { .length = e->prefix_length };

	memcpy(&p.address, e->key, sizeof(p.address));
	inet_prefix_last(&p, ret);
	for (size_t i = sizeof(ret->s6_addr); i-- > 0;)
		if (++ret->s6_addr[i] != 0)
			return true;
	return false;
}

/*
 * The end of a prefix follows its start at once: newer kernels check that the two belong together.
 * Where the next prefix begins there, both have the same key, and the flag tells them apart.
 */
static void put_element(struct nlmsghdr *h, const struct ruleset_change *c)
{
	bool add = c->op == RULESET_ADD_ELEMENT;
	const struct ruleset_element *e = c->element;
	const struct ruleset_set *s = c->set;
	struct nlattr *nest = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	struct in6_addr after;

	put_value(h, NFTA_SET_ELEM_KEY, e->key, ruleset_key_size(s));
	if (add && s->kind == RULESET_MAP)
		put_value(h, NFTA_SET_ELEM_DATA, e->data, ruleset_data_size(s));
	else if (add && s->kind == RULESET_VERDICT_MAP)
		put_verdict(h, NFTA_SET_ELEM_DATA, e);
	mnl_attr_nest_end(h, nest);
	if (s->interval && key_after(e, &after))
		put_end(h, &after, sizeof(after));
}

static struct nlattr *begin_elements(struct nlmsghdr *h, const char *set)
{
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	return mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
}

/* nft expects an interval set to begin with the end of what lies before its first interval. */
static bool put_null_end(struct writer *w, const struct ruleset_changes *changes, size_t i)
{
	static const struct in6_addr zero;
	struct nlmsghdr *h = begin(w, NFT_MSG_NEWSETELEM, NLM_F_CREATE, changes, i);
	struct nlattr *list;

	if (!h)
		return false;
	list = begin_elements(h, changes->items[i].set->name);
	put_end(h, &zero, sizeof(zero));
	mnl_attr_nest_end(h, list);
	end(w, h);
	return true;
}

static bool same_message(const struct ruleset_change *a, const struct ruleset_change *b)
{
	return a->op == b->op && a->family == b->family && a->set == b->set;
}

/* Returns the number of changes written, 0 on memory shortage. */
static size_t encode_elements(struct writer *w, const struct ruleset_changes *changes, size_t i,
			      bool one_by_one)
{
	const struct ruleset_change *first = &changes->items[i];
	bool add = first->op == RULESET_ADD_ELEMENT;
	size_t n = 0;
	struct nlattr *list;
	struct nlmsghdr *h;

	h = begin(w, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
		  add ? NLM_F_CREATE | NLM_F_EXCL : 0, changes, i);
	if (!h)
		return 0;
	list = begin_elements(h, first->set->name);
	do {
		put_element(h, &first[n++]);
	} while (!one_by_one && i + n < changes->n && same_message(first, &first[n]) &&
		 h->nlmsg_len < ELEMENTS_MAX);
	mnl_attr_nest_end(h, list);
	end(w, h);
	return n;
}

static const struct {
	uint16_t type, flags;
} messages[] = {
	[RULESET_ADD_TABLE] = { NFT_MSG_NEWTABLE, NLM_F_CREATE },
	[RULESET_DELETE_TABLE] = { NFT_MSG_DELTABLE, 0 },
	[RULESET_ADD_SET] = { NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL },
	[RULESET_DELETE_SET] = { NFT_MSG_DELSET, 0 },
	[RULESET_ADD_CHAIN] = { NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL },
	[RULESET_DELETE_CHAIN] = { NFT_MSG_DELCHAIN, 0 },
	[RULESET_FLUSH_CHAIN] = { NFT_MSG_DELRULE, 0 }, /* no handle: all rules of the chain */
	[RULESET_ADD_RULE] = { NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND },
	[RULESET_ADD_ELEMENT] = { NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL },
	[RULESET_DELETE_ELEMENT] = { NFT_MSG_DELSETELEM, 0 },
};
static_assert(N_ELEMENTS(messages) == _RULESET_OP_MAX, "every change has a message");

static int put_change(struct nlmsghdr *h, const struct ruleset_change *c)
{
	switch (c->op) {
	case RULESET_ADD_TABLE:
	case RULESET_DELETE_TABLE:
		put_table(h, c->op == RULESET_ADD_TABLE);
		break;
	case RULESET_ADD_SET:
	case RULESET_DELETE_SET:
		put_set(h, c->set, c->op == RULESET_ADD_SET);
		break;
	case RULESET_ADD_CHAIN:
	case RULESET_DELETE_CHAIN:
		put_chain(h, c->chain, c->op == RULESET_ADD_CHAIN);
		break;
	case RULESET_FLUSH_CHAIN:
		mnl_attr_put_strz(h, NFTA_RULE_TABLE, RULESET_TABLE);
		mnl_attr_put_strz(h, NFTA_RULE_CHAIN, c->chain->name);
		break;
	case RULESET_ADD_RULE:
		return nft_rule_encode(h, c);
	case RULESET_ADD_ELEMENT:
	case RULESET_DELETE_ELEMENT:
	case _RULESET_OP_MAX:
		break;
	}
	return 0;
}

static bool encode_change(struct writer *w, const struct ruleset_changes *changes, size_t i)
{
	const struct ruleset_change *c = &changes->items[i];
	struct nlmsghdr *h = begin(w, messages[c->op].type, messages[c->op].flags, changes, i);

	if (!h || put_change(h, c) < 0)
		return false;
	end(w, h);
	if (c->op == RULESET_ADD_SET && c->set->interval)
		return put_null_end(w, changes, i);
	return true;
}

static bool encode_changes(struct writer *w, const struct ruleset_changes *changes, bool one_by_one)
{
	for (size_t i = 0; i < changes->n;) {
		enum ruleset_op op = changes->items[i].op;
		size_t n = 1;

		if (op == RULESET_ADD_ELEMENT || op == RULESET_DELETE_ELEMENT)
			n = encode_elements(w, changes, i, one_by_one);
		else if (!encode_change(w, changes, i))
			return false;
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

static void writer_done(struct writer *w)
{
	nft_batch_done(&w->batch);
}

int nft_batch_encode(const struct ruleset_changes *changes, uint32_t seq, bool one_by_one,
		     struct nft_batch *ret)
{
	_cleanup_(writer_done) struct writer w = { .seq = seq };

	if (!put_boundary(&w, NFNL_MSG_BATCH_BEGIN) || !encode_changes(&w, changes, one_by_one))
		return -ENOMEM;
	w.batch.first_seq = seq + 1;
	w.batch.last_seq = w.seq - 1;
	/* The kernel acknowledges the last change, and with it everything before. */
	((struct nlmsghdr *)(w.batch.data + w.last))->nlmsg_flags |= NLM_F_ACK;
	if (!put_boundary(&w, NFNL_MSG_BATCH_END))
		return -ENOMEM;
	*ret = w.batch;
	w.batch = (struct nft_batch){ 0 };
	return 0;
}

void nft_batch_done(struct nft_batch *b)
{
	free(b->data);
	vec_done(&b->change_of_seq);
	*b = (struct nft_batch){ 0 };
}
