/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/inet.h"
#include "base/own.h"
#include "cmocka.h"

#include <errno.h>

static struct in6_addr address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_parse(text, &a), 0);
	return a;
}

static struct inet_prefix prefix(const char *text)
{
	struct inet_prefix p;

	assert_int_equal(inet_prefix_parse(text, &p), 0);
	return p;
}

static void expect_address(const struct in6_addr *a, const char *text)
{
	char buffer[INET_ADDR_TEXT];

	assert_string_equal(inet_format(a, buffer), text);
}

/* Only an address is an address; what is refused leaves the output alone. */
static void test_parse(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"1.2.3.4",
		"::1 ",
		" ::1",
		"[::1]",
		"fe80::1%1",
		"fe80::1%eth0",
		"::1/128",
		"1::2::3",
		"12345::",
		":::",
		"1:2:3:4:5:6:7",
		"g::",
		"1:2:3:4:5:6:7:8:9",
		"::1\n",
		"::ffff:1.2.3",
		"::1.2.3.256",
		"1:2:3:4:5:6:7:8:",
	};
	struct in6_addr a = address("2001:db8::1");

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		if (inet_parse(bad[i], &a) != -EINVAL)
			fail_msg("accepted: \"%s\"", bad[i]);
		expect_address(&a, "2001:db8::1");
	}
	assert_int_equal(inet_parse("2001:DB8:0:0:0:0:0:A", &a), 0);
	expect_address(&a, "2001:db8::a");
	assert_int_equal(inet_parse("::ffff:192.0.2.1", &a), 0);
	expect_address(&a, "::ffff:192.0.2.1");
	assert_int_equal(inet_parse("::", &a), 0);
	assert_true(inet_is_zero(&a));
}

static void test_prefix_parse(void **state)
{
	static const char *const bad[] = {
		"",
		"/64",
		"::",
		"::/",
		"::/129",
		"::/-1",
		"::/ 64",
		"::/64 ",
		"::/+64",
		"::/6x",
		"::/64/64",
		"::/0x40",
		"::/65600",
		"1.2.3.4/8",
		"[::]/0",
		"fe80::%1/64",
		"::/1000000000000",
		"0000:0000:0000:0000:0000:0000:255.255.255.2555/1",
	};
	struct inet_prefix p = prefix("2001:db8::/32");
	char buffer[INET_PREFIX_TEXT];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		if (inet_prefix_parse(bad[i], &p) != -EINVAL)
			fail_msg("accepted: \"%s\"", bad[i]);
		assert_string_equal(inet_prefix_format(&p, buffer), "2001:db8::/32");
	}
	p = prefix("2001:db8:1:2:3:4:5:6/64"); /* host bits are cleared */
	assert_string_equal(inet_prefix_format(&p, buffer), "2001:db8:1:2::/64");
	p = prefix("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128");
	assert_string_equal(inet_prefix_format(&p, buffer),
			    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
	p = prefix("ffff::/0");
	assert_string_equal(inet_prefix_format(&p, buffer), "::/0");
}

/* Where to listen: IPv6 in brackets, IPv4 as a mapped address. */
static void test_endpoint_parse(void **state)
{
	static const char *const bad[] = { "",        "9469",        ":9469",       "[::1]",
					   "[::1]:",  "::1:9469",    "[::1:9469",   "::1]:9469",
					   "[]:9469", "1.2.3:1",     "[1.2.3.4]:1", "1.2.3.4:65536",
					   "[::1]:x", "localhost:80" };
	char text[INET_ADDR_TEXT];
	struct in6_addr a;
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (inet_endpoint_parse(bad[i], &a, &port) != -EINVAL)
			fail_msg("\"%s\" was accepted", bad[i]);
	assert_int_equal(port, 7);
	assert_int_equal(inet_endpoint_parse("[2001:db8::1]:9469", &a, &port), 0);
	assert_string_equal(inet_format(&a, text), "2001:db8::1");
	assert_int_equal(port, 9469);
	assert_int_equal(inet_endpoint_parse("192.0.2.1:80", &a, &port), 0);
	assert_string_equal(inet_format(&a, text), "::ffff:192.0.2.1");
	assert_int_equal(port, 80);
}

static void test_port_parse(void **state)
{
	static const char *const bad[] = { "",    "-1",  "+1",    " 1",     "1 ",         "65536",
					   "0x1", "1.0", "99999", "100000", "99999999999" };
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		if (inet_port_parse(bad[i], &port) != -EINVAL)
			fail_msg("accepted: \"%s\"", bad[i]);
		assert_int_equal(port, 7);
	}
	assert_int_equal(inet_port_parse("0", &port), 0);
	assert_int_equal(port, 0);
	assert_int_equal(inet_port_parse("65535", &port), 0);
	assert_int_equal(port, 65535);
	assert_int_equal(inet_port_parse("080", &port), 0);
	assert_int_equal(port, 80);
}

static void test_compare(void **state)
{
	struct in6_addr low = address("2001:db8::ff"), high = address("2001:db8::1:0");
	struct inet_prefix wide = prefix("2001:db8::/32"), narrow = prefix("2001:db8::/64");
	struct inet_prefix next = prefix("2001:db9::/16"), later = prefix("2001:db9::/32");

	(void)state;
	assert_true(inet_compare(&low, &high) < 0 && inet_compare(&high, &low) > 0);
	assert_int_equal(inet_compare(&low, &low), 0);
	assert_true(inet_equal(&low, &low) && !inet_equal(&low, &high));
	/* By address, then the wider first. */
	assert_true(inet_prefix_compare(&wide, &narrow) < 0);
	assert_true(inet_prefix_compare(&narrow, &wide) > 0);
	assert_true(inet_prefix_compare(&next, &wide) < 0);
	assert_true(inet_prefix_compare(&narrow, &later) < 0);
	assert_int_equal(inet_prefix_compare(&wide, &wide), 0);
}

/* At byte borders and one bit beside them. */
static void test_mask(void **state)
{
	static const struct {
		uint8_t length;
		const char *first, *last;
	} cases[] = {
		{ 0, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ 1, "8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ 7, "aa00::", "abff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ 8, "aa00::", "aaff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ 9, "aa80::", "aaff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ 63, "aaaa:aaaa:aaaa:aaaa::", "aaaa:aaaa:aaaa:aaab:ffff:ffff:ffff:ffff" },
		{ 64, "aaaa:aaaa:aaaa:aaaa::", "aaaa:aaaa:aaaa:aaaa:ffff:ffff:ffff:ffff" },
		{ 65, "aaaa:aaaa:aaaa:aaaa:8000::", "aaaa:aaaa:aaaa:aaaa:ffff:ffff:ffff:ffff" },
		{ 127, "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa",
		  "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaab" },
		{ 128, "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa",
		  "aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct inet_prefix p = { .length = cases[i].length };
		struct in6_addr last;

		p.address = address("aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa");
		inet_mask(&p.address, p.length);
		expect_address(&p.address, cases[i].first);
		inet_prefix_last(&p, &last);
		expect_address(&last, cases[i].last);
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *prefix, *inside, *outside;
	} cases[] = {
		{ "::/0", "ffff::", NULL },
		{ "::/1", "7fff::1", "8000::" },
		{ "8000::/1", "ffff::", "7fff::" },
		{ "2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::" },
		{ "2001:db8::2/127", "2001:db8::3", "2001:db8::4" },
		{ "2001:db8::2/127", "2001:db8::2", "2001:db8::1" },
		{ "2001:db8::2/128", "2001:db8::2", "2001:db8::3" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct inet_prefix p = prefix(cases[i].prefix);
		struct in6_addr a = address(cases[i].inside);

		assert_true(inet_prefix_contains(&p, &a));
		if (!cases[i].outside)
			continue;
		a = address(cases[i].outside);
		assert_false(inet_prefix_contains(&p, &a));
	}
}

static void test_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{ "::/0", "2001:db8::1/128", true },
		{ "::/1", "8000::/1", false },
		{ "2001:db8::/64", "2001:db8::/64", true },
		{ "2001:db8::/64", "2001:db8::1:0/112", true },
		{ "2001:db8::/64", "2001:db8:0:1::/64", false },
		{ "2001:db8::/63", "2001:db8:0:1::/64", true },
		{ "2001:db8::2/127", "2001:db8::3/128", true },
		{ "2001:db8::1/128", "2001:db8::2/128", false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct inet_prefix a = prefix(cases[i].a), b = prefix(cases[i].b);

		assert_int_equal(inet_prefix_overlaps(&a, &b), cases[i].overlap);
		assert_int_equal(inet_prefix_overlaps(&b, &a), cases[i].overlap);
	}
}

/* The first and last address of each kind, and the ones beside them. */
static void test_kinds(void **state)
{
	static const struct {
		bool (*is)(const struct in6_addr *a);
		const char *text;
		bool yes;
	} cases[] = {
		{ inet_is_ula, "fbff::", false },
		{ inet_is_ula, "fc00::", true },
		{ inet_is_ula, "fdff:ffff::", true },
		{ inet_is_ula, "fe00::", false },
		{ inet_is_link_local, "fe7f:ffff::", false },
		{ inet_is_link_local, "fe80::", true },
		{ inet_is_link_local, "febf:ffff::", true },
		{ inet_is_link_local, "fec0::", false },
		{ inet_is_loopback, "::", false },
		{ inet_is_loopback, "::1", true },
		{ inet_is_loopback, "::2", false },
		{ inet_is_multicast, "feff::", false },
		{ inet_is_multicast, "ff00::", true },
		{ inet_is_multicast, "ff02::1:ff00:1", true },
		{ inet_is_zero, "::", true },
		{ inet_is_zero, "8000::", false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct in6_addr a = address(cases[i].text);

		if (cases[i].is(&a) != cases[i].yes)
			fail_msg("%s", cases[i].text);
	}
}

/* RFC 5952: lower case, no leading zeros, the longest run of zeros (the first of two) cut. */
static void test_format(void **state)
{
	static const char *const texts[][2] = {
		{ "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "0:0:0:0:0:0:0:0", "::" },
		{ "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct in6_addr a = address(texts[i][0]);

		expect_address(&a, texts[i][1]);
	}
}

static void test_protocols(void **state)
{
	(void)state;
	assert_string_equal(inet_protocol_name(IPPROTO_TCP), "tcp");
	assert_string_equal(inet_protocol_name(IPPROTO_UDP), "udp");
	assert_string_equal(inet_protocol_name(IPPROTO_SCTP), "sctp");
	assert_null(inet_protocol_name(IPPROTO_ICMPV6));
	assert_int_equal(inet_protocol_parse("tcp"), IPPROTO_TCP);
	assert_int_equal(inet_protocol_parse("udp"), IPPROTO_UDP);
	assert_int_equal(inet_protocol_parse("sctp"), IPPROTO_SCTP);
	assert_int_equal(inet_protocol_parse("TCP"), -EINVAL);
	assert_int_equal(inet_protocol_parse("tcp6"), -EINVAL);
	assert_int_equal(inet_protocol_parse(""), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),          cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_endpoint_parse), cmocka_unit_test(test_port_parse),
		cmocka_unit_test(test_compare),        cmocka_unit_test(test_mask),
		cmocka_unit_test(test_contains),       cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_kinds),          cmocka_unit_test(test_format),
		cmocka_unit_test(test_protocols),
	};

	return cmocka_run_group_tests_name("inet", tests, NULL, NULL);
}
