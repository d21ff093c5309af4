/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: one Ethernet frame. */
#include "wire/nd.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is answered is answered validly: our own parser takes the answer. */
static void check_answer(const struct nd_solicitation *s)
{
	struct nd_advertisement a = {
		.source = s->target,
		.destination = inet_is_zero(&s->source) ? in6addr_loopback : s->source,
		.target = s->target,
		.router = true,
		.solicited = true,
	};
	uint8_t frame[ND_ADVERTISEMENT_SIZE], mac[6];
	struct in6_addr target;

	assert(!inet_is_multicast(&s->source) && !inet_is_multicast(&s->target));
	assert(!inet_equal(&s->source, &s->target));
	assert(!(s->reply_mac[0] & 1) && s->nonce >> 48 == 0);
	nd_encode_advertisement(&a, frame);
	assert(nd_parse_advertisement(frame, sizeof(frame), &target, mac) == 1);
	assert(inet_equal(&target, &s->target));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nd_solicitation s;
	struct in6_addr target;
	uint8_t mac[6];
	enum ndp_drop drop = nd_parse(data, size, &s);

	assert(drop >= NDP_DROP_NONE && drop < _NDP_DROP_MAX);
	if (drop == NDP_DROP_NONE) {
		assert(nd_type(data, size) == 135);
		check_answer(&s);
	}
	if (nd_parse_advertisement(data, size, &target, mac) > 0) {
		assert(nd_type(data, size) == 136);
		assert(!inet_is_multicast(&target));
	}
	return 0;
}
