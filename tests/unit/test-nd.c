/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmocka.h"
#include "nd-cases.h"

static void assert_address(const struct in6_addr *a, const char *text)
{
	struct in6_addr b = nd_address(text);

	assert_memory_equal(a, &b, sizeof(b));
}

/* Every case gets the verdict that the RFCs ask for, and a silent one fills in nothing. */
static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(nd_cases); i++) {
		const struct nd_case *c = &nd_cases[i];
		struct nd_solicitation s, untouched;
		struct nd_frame frame;
		enum ndp_drop drop;

		memset(&s, 0x5a, sizeof(s));
		untouched = s;
		nd_build(c, &frame);
		drop = nd_parse(frame.bytes, frame.size, &s);
		if (drop != c->drop)
			fail_msg("%s: %s, not %s", c->name, ndp_drop_to_string(drop),
				 ndp_drop_to_string(c->drop));
		if (drop != NDP_DROP_NONE) {
			assert_memory_equal(&s, &untouched, sizeof(s));
			continue;
		}
		assert_address(&s.source, c->source ? c->source : ND_ASKER);
		assert_address(&s.destination, c->destination ? c->destination : ND_GROUP);
		assert_address(&s.target, ND_TARGET);
		assert_int_equal(s.multicast, !c->destination || c->destination[0] == 'f');
		assert_memory_equal(s.ethernet_source,
				    c->ethernet_source ? c->ethernet_source : ND_ASKER_MAC, 6);
		/* SLLA, and without it the sender: in 30 they differ. */
		assert_memory_equal(s.reply_mac, ND_ASKER_MAC, 6);
		assert_int_equal(s.nonce, strstr(c->name, "nonce") && !strstr(c->name, "long")
						  ? 0x010203040506
						  : 0);
	}
}

/* Whatever is cut off, padding aside, makes it none. */
static void test_cut(void **state)
{
	struct nd_solicitation s;
	struct nd_frame frame;

	(void)state;
	nd_build(&nd_cases[0], &frame);
	assert_int_equal(nd_parse(frame.bytes, frame.size, &s), NDP_DROP_NONE);
	for (size_t size = 0; size < frame.size; size++)
		assert_int_equal(nd_parse(frame.bytes, size, &s), NDP_DROP_MALFORMED);
}

/* Each byte of headers, message and option counts: changed, the frame is dropped or says something
 * else. Hop limit, length and type have their own reasons; the checksum sees all the others. */
static void test_every_byte_counts(void **state)
{
	struct nd_solicitation s, t;
	struct nd_frame frame;

	(void)state;
	nd_build(&nd_cases[0], &frame);
	assert_int_equal(nd_parse(frame.bytes, frame.size, &s), NDP_DROP_NONE);
	for (size_t i = 6; i < frame.size; i++) {
		/* The flow label and traffic class do not matter to anybody. */
		if (i >= 14 && i < 18)
			continue;
		frame.bytes[i] ^= 0x10;
		if (nd_parse(frame.bytes, frame.size, &t) == NDP_DROP_NONE)
			assert_memory_not_equal(&s, &t, sizeof(s));
		if (i >= 22)
			assert_int_not_equal(nd_parse(frame.bytes, frame.size, &t), NDP_DROP_NONE);
		frame.bytes[i] ^= 0x10;
	}
}

static struct nd_advertisement example(void)
{
	struct nd_advertisement a = {
		.source = nd_address(ND_TARGET),
		.destination = nd_address(ND_ASKER),
		.target = nd_address(ND_TARGET),
		.router = true,
		.solicited = true,
	};

	memcpy(a.ethernet_source, ND_OUR_MAC, 6);
	memcpy(a.ethernet_destination, ND_ASKER_MAC, 6);
	memcpy(a.mac, ND_OUR_MAC, 6);
	return a;
}

/* The bytes of RFC 4861 4.4, flag by flag, with a checksum that the test calculates itself. */
static void test_advertisement(void **state)
{
	struct nd_advertisement a = example();
	struct nd_frame wanted = { 0 }, got = { .size = ND_ADVERTISEMENT_SIZE };
	uint16_t sum;

	(void)state;
	nd_append(&wanted, ND_ASKER_MAC ND_OUR_MAC "\x86\xdd\x60\0\0\0\0\x20\x3a\xff", 22);
	nd_append_address(&wanted, ND_TARGET);
	nd_append_address(&wanted, ND_ASKER);
	nd_append(&wanted, "\x88\0\0\0\xc0\0\0\0", 8);
	nd_append_address(&wanted, ND_TARGET);
	nd_append(&wanted, "\x02\x01" ND_OUR_MAC, 8);
	sum = nd_checksum(&wanted, 54);
	wanted.bytes[56] = (uint8_t)(sum >> 8);
	wanted.bytes[57] = (uint8_t)sum;
	nd_encode_advertisement(&a, got.bytes);
	assert_int_equal(wanted.size, got.size);
	assert_memory_equal(wanted.bytes, got.bytes, got.size);

	a.override = true;
	nd_encode_advertisement(&a, got.bytes);
	assert_int_equal(got.bytes[58], 0xe0);
	a.router = a.solicited = false;
	nd_encode_advertisement(&a, got.bytes);
	assert_int_equal(got.bytes[58], 0x20);
	assert_int_equal(nd_checksum(&got, 54), 0);
}

/* What we encode is a valid advertisement to us; the same checks as for solicitations apply. */
static void test_parse_advertisement(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = { { 21, 64 },   { 54, 135 }, { 55, 1 }, { 57, 0 },
		    { 62, 0xff }, { 79, 0 },   { 79, 2 } };
	struct nd_advertisement a = example();
	uint8_t frame[ND_ADVERTISEMENT_SIZE], mac[6];
	struct in6_addr target;

	(void)state;
	memcpy(a.mac, ND_OTHER_MAC, 6);
	nd_encode_advertisement(&a, frame);
	assert_int_equal(nd_type(frame, sizeof(frame)), 136);
	assert_int_equal(nd_parse_advertisement(frame, sizeof(frame), &target, mac), 1);
	assert_address(&target, ND_TARGET);
	assert_memory_equal(mac, ND_OTHER_MAC, 6);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		uint8_t copy[sizeof(frame)];

		memcpy(copy, frame, sizeof(frame));
		copy[bad[i].at] = bad[i].value;
		assert_int_equal(nd_parse_advertisement(copy, sizeof(copy), &target, mac), 0);
	}
	/* RFC 4861 7.1.2: who is answered is one, not all. */
	a.destination = nd_address("ff02::1");
	nd_encode_advertisement(&a, frame);
	assert_int_equal(nd_parse_advertisement(frame, sizeof(frame), &target, mac), 0);
	a.solicited = false;
	nd_encode_advertisement(&a, frame);
	assert_int_equal(nd_parse_advertisement(frame, sizeof(frame), &target, mac), 1);
	a.source = in6addr_any;
	nd_encode_advertisement(&a, frame);
	assert_int_equal(nd_parse_advertisement(frame, sizeof(frame), &target, mac), 0);
	for (size_t size = 0; size < sizeof(frame); size++)
		assert_int_equal(nd_parse_advertisement(frame, size, &target, mac), 0);
}

/* A probe is what DAD sends (RFC 4862 5.4.2), to the right group, and comes back with its nonce. */
static void test_probe(void **state)
{
	const struct in6_addr target = nd_address("2001:db8:1::12:3456:789a");
	uint8_t frame[ND_PROBE_SIZE];
	struct nd_solicitation s;

	(void)state;
	nd_encode_probe((const uint8_t *)ND_OUR_MAC, &target, 0x123456789abc, frame);
	assert_int_equal(nd_type(frame, sizeof(frame)), 135);
	assert_int_equal(nd_parse(frame, sizeof(frame), &s), NDP_DROP_NONE);
	assert_address(&s.source, "::");
	assert_address(&s.destination, "ff02::1:ff56:789a");
	assert_memory_equal(&s.target, &target, sizeof(target));
	assert_memory_equal(frame, "\x33\x33\xff\x56\x78\x9a" ND_OUR_MAC, 12);
	assert_true(s.nonce == 0x123456789abc);
	assert_true(s.multicast);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_advertisement),
		cmocka_unit_test(test_parse_advertisement),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests_name("nd", tests, NULL, NULL);
}
