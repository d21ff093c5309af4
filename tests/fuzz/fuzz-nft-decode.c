/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: nfnetlink messages one after the other, as one datagram holds them: dumps of tables, of
 * foreign rules and of conntrack entries, and notifications. */
#include "wire/attrs.h"
#include "wire/flow.h"
#include "wire/foreign.h"
#include "wire/nft.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_result(int r)
{
	assert(r == 0 || r == 1 || r == -EBADMSG);
}

/* Objects before what is inside of them: in whatever order they come, they come twice. */
static void decode_ours(const struct nlmsghdr *h, struct ruleset *ruleset)
{
	for (enum ruleset_family f = 0; f < _RULESET_FAMILY_MAX; f++) {
		struct ruleset_table *t = &ruleset->tables[f];

		check_result(nft_decode_table(h, f, t));
		check_result(nft_decode_chain(h, f, t));
		check_result(nft_decode_set(h, f, t));
		check_result(nft_decode_rule(h, f, t));
		check_result(nft_decode_elements(h, f, t));
	}
}

static void decode_others(const struct nlmsghdr *h, struct foreign_rules *rules)
{
	char name[FOREIGN_NAME];
	uint8_t buffer[512];
	struct nft_event event;
	struct flow flow;
	int r;

	check_result(nft_decode_event(h, &event));
	check_result(foreign_decode_nft_rule(h, "filter", rules));
	check_result(foreign_decode_nft_chain(h, "docker-bridges", name));
	r = flow_decode(h, &flow);
	check_result(r);
	if (r > 0)
		(void)flow_encode_delete(&flow, buffer, sizeof(buffer), 1);
}

static void check_ruleset(struct ruleset *ruleset)
{
	for (enum ruleset_family f = 0; f < _RULESET_FAMILY_MAX; f++) {
		struct ruleset_table *t = &ruleset->tables[f];
		int r = nft_decode_finish(t);

		assert(r == 0 || r == -EAGAIN);
		vec_foreach (s, &t->sets) {
			assert(s->name[0] && memchr(s->name, '\0', sizeof(s->name)));
			assert(ruleset_key_size(s) > 0 && ruleset_key_size(s) <= RULESET_KEY);
			assert(ruleset_data_size(s) <= RULESET_DATA);
			vec_foreach (e, &s->elements)
				assert(e->prefix_length <= 128);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ruleset ruleset = { 0 };
	struct foreign_rules rules = { 0 };
	/* Aligned, and exactly as long as the input: beyond lies the sanitizer's red zone. */
	uint8_t *copy = malloc(size + !size);
	const struct nlmsghdr *h = (const struct nlmsghdr *)copy;
	int left = (int)size;

	assert(copy);
	memcpy(copy, data, size);
	for (; attrs_message_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		decode_ours(h, &ruleset);
		decode_others(h, &rules);
	}
	check_ruleset(&ruleset);
	ruleset_done(&ruleset);
	vec_done(&rules);
	free(copy);
	return 0;
}
