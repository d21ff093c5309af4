/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Solicitations, good and bad, as frames: read by test-nd, sent over a real link by
 * test-ndp-kernel, and the seeds of the fuzzer's corpus. The numbers are those of the comparison
 * of responders that they come from; kernel and ndppd differ in half of them.
 */
#include "base/own.h"
#include "wire/nd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#define ND_TARGET "2001:db8:1::d0"
#define ND_ASKER "fe80::a"
#define ND_ASKER_MAC "\x02\x00\x00\x00\x00\x0a"
#define ND_OTHER_MAC "\x02\x00\x00\x00\x00\x0b"
#define ND_OUR_MAC "\x02\x00\x00\x00\x00\x01"
#define ND_GROUP "ff02::1:ff00:d0"

#define ND_SLLA "\x01\x01" ND_ASKER_MAC
#define ND_NONCE "\x0e\x01\x01\x02\x03\x04\x05\x06"

struct nd_case {
	const char *name;
	enum ndp_drop drop; /* as nd_parse() says */
	/* Where it differs from a good multicast solicitation. NULL or 0: it does not. */
	const char *source, *destination, *target;
	const char *ethernet_source, *ethernet_destination;
	const char *options; /* with their length; NULL: none */
	size_t options_size;
	uint8_t hop_limit, code, type;
	enum {
		ND_PLAIN,
		ND_FRAGMENT,
		ND_HOP_BY_HOP
	} extension;
	bool bad_checksum;
	size_t payload;     /* what the IPv6 header says */
	size_t icmp_size;   /* cut off there */
	size_t extra;       /* padding of the link behind it */
	bool beyond_kernel; /* never reaches us: the kernel's filter drops it */
};

#define WITH(o) .options = (o), .options_size = sizeof(o) - 1

static const struct nd_case nd_cases[] = {
	{ "01 multicast", WITH(ND_SLLA) },
	{ "02 unicast", .destination = ND_TARGET, WITH(ND_SLLA) },
	{ "03 unicast without SLLA", .destination = ND_TARGET },
	{ .name = "04 multicast without SLLA" },
	{ "05 DAD", .source = "::" },
	{ "06 DAD with SLLA", NDP_DROP_DESTINATION, .source = "::", WITH(ND_SLLA) },
	{ "07 DAD to the target", NDP_DROP_DESTINATION, .source = "::", .destination = ND_TARGET },
	{ "08 bad checksum", NDP_DROP_CHECKSUM, .bad_checksum = true, WITH(ND_SLLA) },
	{ "09 hop limit 64", NDP_DROP_HOP_LIMIT, .hop_limit = 64, WITH(ND_SLLA) },
	{ "10 hop limit 254", NDP_DROP_HOP_LIMIT, .hop_limit = 254, WITH(ND_SLLA) },
	{ "11 code 1", NDP_DROP_MALFORMED, .code = 1, WITH(ND_SLLA) },
	{ "12 multicast target", NDP_DROP_MALFORMED, .target = "ff02::1:ff00:d0", WITH(ND_SLLA) },
	{ "13 option of length 0", NDP_DROP_MALFORMED, WITH("\x01\x00" ND_ASKER_MAC) },
	{ "14 option cut off", NDP_DROP_MALFORMED, WITH(ND_SLLA), .icmp_size = 28 },
	{ "15 option beyond the packet", NDP_DROP_MALFORMED, WITH("\x01\x02" ND_ASKER_MAC) },
	{ "16 16 bytes of ICMPv6", NDP_DROP_MALFORMED, .icmp_size = 16 },
	{ "17 shorter than it says", NDP_DROP_MALFORMED, WITH(ND_SLLA), .payload = 64 },
	{ "18 whole, but a fragment", NDP_DROP_FRAGMENT, WITH(ND_SLLA), .extension = ND_FRAGMENT },
	{ "19 hop-by-hop options", NDP_DROP_MALFORMED, WITH(ND_SLLA), .extension = ND_HOP_BY_HOP,
	  .beyond_kernel = true },
	{ "20 SLLA of 16 bytes", NDP_DROP_MALFORMED,
	  WITH("\x01\x02" ND_ASKER_MAC "\0\0\0\0\0\0\0") },
	{ "21 multicast source", NDP_DROP_SOURCE, .source = "ff02::2", WITH(ND_SLLA) },
	{ "22 loopback source", NDP_DROP_SOURCE, .source = "::1", WITH(ND_SLLA) },
	{ "23 source off the link", .source = "2001:db8:bad::1", WITH(ND_SLLA) },
	{ "24 source is the target", NDP_DROP_SOURCE, .source = ND_TARGET, WITH(ND_SLLA) },
	{ "25 to all nodes", .destination = "ff02::1", WITH(ND_SLLA) },
	{ "26 multicast in a unicast frame", .ethernet_destination = ND_OUR_MAC, WITH(ND_SLLA) },
	/* Right by itself: only the kernel knows to whom a frame was sent. */
	{ "27 to another MAC", .destination = ND_TARGET, .ethernet_destination = ND_OTHER_MAC,
	  WITH(ND_SLLA), .beyond_kernel = true },
	{ "28 SLLA and nonce", WITH(ND_SLLA ND_NONCE) },
	{ "29 DAD with nonce", .source = "::", WITH(ND_NONCE) },
	{ "30 SLLA is not the sender", .ethernet_source = ND_OTHER_MAC, WITH(ND_SLLA) },
	{ "31 another group", .destination = "ff02::1:ff00:1234", WITH(ND_SLLA) },
	{ "32 DAD to all nodes", NDP_DROP_DESTINATION, .source = "::", .destination = "ff02::1" },
	{ "33 still alive", WITH(ND_SLLA) },
	/* Not in that comparison. */
	{ "34 long nonce",
	  WITH("\x0e\x02\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e") },
	{ "35 unknown option, SLLA twice",
	  WITH("\xfd\x01\0\0\0\0\0\0" ND_SLLA "\x01\x01" ND_OTHER_MAC) },
	{ "36 padded by the link", WITH(ND_SLLA), .extra = 18 },
	{ "37 group as SLLA", NDP_DROP_SOURCE, WITH("\x01\x01\x33\x33\0\0\0\x01") },
	{ "38 target ::", NDP_DROP_MALFORMED, .target = "::", WITH(ND_SLLA) },
	{ "39 group as sender", NDP_DROP_SOURCE, .ethernet_source = "\x33\x33\0\0\0\x01" },
	{ "40 echo request", NDP_DROP_MALFORMED, .type = 128, WITH(ND_SLLA),
	  .beyond_kernel = true },
	{ "41 one byte behind the option", NDP_DROP_MALFORMED, WITH(ND_SLLA "\x01") },
};

struct nd_frame {
	uint8_t bytes[256];
	size_t size;
};

static inline struct in6_addr nd_address(const char *text)
{
	struct in6_addr a;
	int r = inet_parse(text, &a);

	assert(r == 0);
	(void)r;
	return a;
}

static inline void nd_append(struct nd_frame *f, const void *bytes, size_t n)
{
	assert(f->size + n <= sizeof(f->bytes));
	memcpy(f->bytes + f->size, bytes, n);
	f->size += n;
}

static inline void nd_append_address(struct nd_frame *f, const char *text)
{
	struct in6_addr a = nd_address(text);

	nd_append(f, &a, sizeof(a));
}

/* Independent of the code under test: 16 bits at a time, as RFC 1071 has it. */
static inline uint16_t nd_checksum(const struct nd_frame *f, size_t icmp_at)
{
	const size_t size = f->size - icmp_at;
	uint32_t sum = (uint32_t)size + 58;

	for (size_t i = 22; i < 54; i++)
		sum += (uint32_t)f->bytes[i] << (i & 1 ? 0 : 8);
	for (size_t i = 0; i < size; i++)
		sum += (uint32_t)f->bytes[icmp_at + i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void nd_append_ip(struct nd_frame *f, const struct nd_case *c,
				const char *destination)
{
	const uint8_t next_header[] = { [ND_PLAIN] = 58, [ND_FRAGMENT] = 44, [ND_HOP_BY_HOP] = 0 };
	const uint8_t header[8] = { 0x60, [6] = next_header[c->extension],
				    c->hop_limit ? c->hop_limit : 255 };

	nd_append(f, header, sizeof(header));
	nd_append_address(f, c->source ? c->source : ND_ASKER);
	nd_append_address(f, destination);
	if (c->extension == ND_FRAGMENT)
		nd_append(f, "\x3a\0\0\0\0\0\0\x01", 8);
	else if (c->extension == ND_HOP_BY_HOP)
		nd_append(f, "\x3a\0\x01\x04\0\0\0\0", 8);
}

static inline void nd_build(const struct nd_case *c, struct nd_frame *ret)
{
	const char *destination = c->destination ? c->destination : ND_GROUP;
	const struct in6_addr group = nd_address(destination);
	const uint8_t icmp[8] = { c->type ? c->type : 135, c->code };
	uint8_t mac[6];
	size_t icmp_at, payload;
	uint16_t sum;

	memcpy(mac, ND_OUR_MAC, sizeof(mac));
	if (inet_is_multicast(&group))
		nd_multicast_mac(&group, mac);
	*ret = (struct nd_frame){ 0 };
	nd_append(ret, c->ethernet_destination ? c->ethernet_destination : (const char *)mac, 6);
	nd_append(ret, c->ethernet_source ? c->ethernet_source : ND_ASKER_MAC, 6);
	nd_append(ret, "\x86\xdd", 2);
	nd_append_ip(ret, c, destination);
	icmp_at = ret->size;
	nd_append(ret, icmp, sizeof(icmp));
	nd_append_address(ret, c->target ? c->target : ND_TARGET);
	if (c->options)
		nd_append(ret, c->options, c->options_size);
	if (c->icmp_size)
		ret->size = icmp_at + c->icmp_size;
	payload = c->payload ? c->payload : ret->size - 54;
	ret->bytes[18] = (uint8_t)(payload >> 8);
	ret->bytes[19] = (uint8_t)payload;
	sum = (uint16_t)(nd_checksum(ret, icmp_at) ^ (c->bad_checksum ? 0x0100 : 0));
	ret->bytes[icmp_at + 2] = (uint8_t)(sum >> 8);
	ret->bytes[icmp_at + 3] = (uint8_t)sum;
	ret->size += c->extra;
}
