/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nf_tables messages: what we encode, the kernel's dumps look like; so our decoders read it. */
#include "base/own.h"
#include "model/ruleset-diff.h"
#include "unit/ruleset-sample.h"
#include "wire/foreign.h"
#include "wire/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void encode(const struct ruleset *wanted, bool one_by_one, struct ruleset_changes *changes,
		   struct nft_batch *batch)
{
	const struct ruleset nothing = { 0 };

	assert_int_equal(ruleset_diff(&nothing, wanted, changes), 0);
	assert_int_equal(nft_batch_encode(changes, 100, one_by_one, batch), 0);
}

static int decode_message(const struct nlmsghdr *h, struct ruleset *r)
{
	int result = 0;

	for (enum ruleset_family f = 0; result >= 0 && f < _RULESET_FAMILY_MAX; f++) {
		struct ruleset_table *t = &r->tables[f];

		switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
		case NFT_MSG_NEWTABLE:
			result = nft_decode_table(h, f, t);
			break;
		case NFT_MSG_NEWCHAIN:
			result = nft_decode_chain(h, f, t);
			break;
		case NFT_MSG_NEWRULE:
			result = nft_decode_rule(h, f, t);
			break;
		case NFT_MSG_NEWSET:
			result = nft_decode_set(h, f, t);
			break;
		case NFT_MSG_NEWSETELEM:
			result = nft_decode_elements(h, f, t);
			break;
		}
	}
	return result;
}

#define foreach_message(h, left, batch)                                               \
	for (left = (int)(batch)->length, h = (const struct nlmsghdr *)(batch)->data; \
	     mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))

static void decode_batch(const struct nft_batch *batch, struct ruleset *ret)
{
	const struct nlmsghdr *h;
	int left;

	*ret = (struct ruleset){ 0 };
	foreach_message(h, left, batch) assert_true(decode_message(h, ret) >= 0);
	assert_int_equal(left, 0);
	for (enum ruleset_family f = 0; f < _RULESET_FAMILY_MAX; f++)
		assert_int_equal(nft_decode_finish(&ret->tables[f]), 0);
}

/* Nothing gets lost on the way: the decoded ruleset does not differ from the encoded one. */
static void test_round_trip(void **state)
{
	struct ruleset wanted = { 0 }, decoded;
	struct ruleset_changes changes, rest;
	struct nft_batch batch;

	(void)state;
	sample_build(&wanted);
	for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
		encode(&wanted, one_by_one, &changes, &batch);
		decode_batch(&batch, &decoded);
		assert_false(decoded.tables[RULESET_IP6].damaged);
		assert_false(decoded.tables[RULESET_BRIDGE].damaged);
		assert_int_equal(ruleset_diff(&decoded, &wanted, &rest), 0);
		assert_int_equal(rest.n, 0);
		assert_true(ruleset_find_set(&decoded.tables[RULESET_IP6], "pub_addr")->counter);
		vec_done(&rest);
		ruleset_done(&decoded);
		nft_batch_done(&batch);
		vec_done(&changes);
	}
	ruleset_done(&wanted);
}

/* Sequence numbers count up, lead from any message to its change; one message asks for an ack. */
static void test_sequence(void **state)
{
	struct ruleset wanted = { 0 };
	struct ruleset_changes changes;
	struct nft_batch batch;
	const struct nlmsghdr *h;
	uint32_t seq = 100, previous = 0;
	int left, n_acks = 0;

	(void)state;
	sample_build(&wanted);
	encode(&wanted, true, &changes, &batch);
	foreach_message(h, left, &batch)
	{
		assert_int_equal(h->nlmsg_seq, seq++);
		n_acks += !!(h->nlmsg_flags & NLM_F_ACK);
		assert_int_equal(!!(h->nlmsg_flags & NLM_F_ACK), h->nlmsg_seq == batch.last_seq);
	}
	assert_int_equal(n_acks, 1);
	assert_int_equal(batch.first_seq, 101);
	assert_int_equal(batch.last_seq, seq - 2);
	assert_int_equal(batch.change_of_seq.n, batch.last_seq - batch.first_seq + 1);
	for (size_t i = 0; i < batch.change_of_seq.n; i++) {
		uint32_t change = batch.change_of_seq.items[i];

		/* An interval set comes with a message more: its null end. */
		assert_true(change == previous || change == previous + 1);
		previous = change;
	}
	assert_int_equal(previous, changes.n - 1);
	nft_batch_done(&batch);
	vec_done(&changes);
	ruleset_done(&wanted);
}

/* A list of elements is one attribute of at most 64 KiB: long ones are divided, and nothing is lost
 * in between. */
static void test_many_elements(void **state)
{
	struct ruleset wanted = { 0 }, decoded;
	struct ruleset_changes changes, rest;
	struct nft_batch batch;
	const struct nlmsghdr *h;
	struct ruleset_set *s;
	int left;

	(void)state;
	sample_build(&wanted);
	s = ruleset_find_set(&wanted.tables[RULESET_IP6], "source");
	for (unsigned n = 0; n < 20000; n++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "fd01:0:%x::/64", n);
		sample_in_prefix(s, text, "a_chain_with_a_name_of_31_chars");
	}
	ruleset_finish(&wanted);
	encode(&wanted, false, &changes, &batch);
	foreach_message(h, left, &batch) assert_true(h->nlmsg_len < 65536);
	assert_true(batch.change_of_seq.n < 200);
	decode_batch(&batch, &decoded);
	assert_int_equal(ruleset_diff(&decoded, &wanted, &rest), 0);
	assert_int_equal(rest.n, 0);
	vec_done(&rest);
	ruleset_done(&decoded);
	nft_batch_done(&batch);
	vec_done(&changes);
	ruleset_done(&wanted);
}

/* Bytes cut off or turned over anywhere are an error or another ruleset, never a read beyond the
 * message (which is in a block of its own here, for the sanitizer to see). */
static void test_malformed(void **state)
{
	struct ruleset wanted = { 0 };
	struct ruleset_changes changes;
	struct nft_batch batch;
	const struct nlmsghdr *h;
	int left;

	(void)state;
	sample_build(&wanted);
	encode(&wanted, true, &changes, &batch);
	foreach_message(h, left, &batch)
	{
		for (uint32_t n = sizeof(*h); n < h->nlmsg_len; n++) {
			_cleanup_(freep) struct nlmsghdr *cut = malloc(n),
							 *turned = malloc(h->nlmsg_len);
			struct ruleset r = { 0 };
			struct nft_event event;
			struct foreign_rules rules = { 0 };

			memcpy(cut, h, n);
			cut->nlmsg_len = n;
			memcpy(turned, h, h->nlmsg_len);
			((uint8_t *)turned)[n] ^= 0xff;
			for (int i = 0; i < 2; i++) {
				(void)decode_message(i ? turned : cut, &r);
				(void)nft_decode_event(i ? turned : cut, &event);
				(void)foreign_decode_nft_rule(i ? turned : cut, RULESET_TABLE,
							      &rules);
			}
			(void)nft_decode_finish(&r.tables[RULESET_IP6]);
			ruleset_done(&r);
			vec_done(&rules);
		}
	}
	nft_batch_done(&batch);
	vec_done(&changes);
	ruleset_done(&wanted);
}

static void event_message(struct nlmsghdr *h, uint16_t type, uint8_t family)
{
	struct nfgenmsg *g;

	mnl_nlmsg_put_header(h);
	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_pid = 77;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
}

/* Notifications name the table, and at the end of a transaction the process. */
static void test_events(void **state)
{
	uint8_t buffer[256];
	struct nlmsghdr *h = (struct nlmsghdr *)buffer;
	struct nft_event e;

	(void)state;
	event_message(h, NFT_MSG_DELRULE, NFPROTO_BRIDGE);
	mnl_attr_put_strz(h, NFTA_RULE_TABLE, RULESET_TABLE);
	assert_int_equal(nft_decode_event(h, &e), 1);
	assert_false(e.commit);
	assert_int_equal(e.family, NFPROTO_BRIDGE);
	assert_int_equal(e.portid, 77);
	assert_string_equal(e.table, RULESET_TABLE);
	event_message(h, NFT_MSG_NEWGEN, NFPROTO_UNSPEC);
	mnl_attr_put_u32(h, NFTA_GEN_ID, htonl(9));
	mnl_attr_put_u32(h, NFTA_GEN_PROC_PID, htonl(1234));
	mnl_attr_put_strz(h, NFTA_GEN_PROC_NAME, "nft");
	assert_int_equal(nft_decode_event(h, &e), 1);
	assert_true(e.commit);
	assert_int_equal(e.generation, 9);
	assert_int_equal(e.pid, 1234);
	assert_string_equal(e.process, "nft");
	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
	assert_int_equal(nft_decode_event(h, &e), 0);
}

/* An element that a dump shows twice means that it does not show another one. */
static void test_twins(void **state)
{
	struct ruleset r = { 0 };
	struct ruleset_set *s;

	(void)state;
	s = sample_set(&r.tables[RULESET_IP6], "x", RULESET_SET, RULESET_IIFNAME, 0, 0);
	sample_name(s, "a");
	sample_name(s, "b");
	assert_int_equal(nft_decode_finish(&r.tables[RULESET_IP6]), 0);
	sample_name(s, "a");
	assert_int_equal(nft_decode_finish(&r.tables[RULESET_IP6]), -EAGAIN);
	ruleset_done(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_many_elements), cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_events),        cmocka_unit_test(test_twins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
