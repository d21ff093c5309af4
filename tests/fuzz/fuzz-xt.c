/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: the offsets of the five built-in chains (32 bits each), then the entries of an x_tables
 * table as the kernel returns them. */
#include "wire/foreign.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip6t_getinfo info = { .valid_hooks = 0x1f };
	struct foreign_rules rules = { 0 };
	uint8_t *copy;
	int r;

	if (size < sizeof(info.hook_entry))
		return 0;
	memcpy(info.hook_entry, data, sizeof(info.hook_entry));
	data += sizeof(info.hook_entry);
	size -= sizeof(info.hook_entry);
	copy = malloc(size + !size);
	assert(copy);
	memcpy(copy, data, size);
	r = foreign_decode_xt(&info, copy, size, &rules);
	assert(r == 0 || r == -EBADMSG);
	vec_foreach (rule, &rules) {
		assert(memchr(rule->oifname, '\0', sizeof(rule->oifname)));
		assert(memchr(rule->chain, '\0', sizeof(rule->chain)));
		assert(memchr(rule->target, '\0', sizeof(rule->target)));
	}
	vec_done(&rules);
	free(copy);
	return 0;
}
