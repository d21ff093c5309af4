/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Input: rtnetlink messages one after the other, as one datagram holds them. */
#include "wire/rtnl.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct rtnl_message *m)
{
	if (m->kind == RTNL_LINK)
		assert(m->link.name[0] && !m->link.name[IFNAMSIZ - 1] && m->link.ifindex > 0);
	if (m->kind == RTNL_ADDRESS)
		assert(m->address.prefix_length <= 128 && m->ifindex > 0);
	if (m->kind == RTNL_ROUTE || m->kind == RTNL_ROUTE_GONE) {
		assert(m->route.destination.length <= 128);
		assert(m->route.n_nexthops <= RTNL_NEXTHOPS_MAX);
		for (size_t i = 0; i < m->route.n_nexthops; i++)
			assert(m->route.nexthops[i].ifindex > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size > 0) {
		struct rtnl_message message;
		struct nlmsghdr header;
		size_t length;
		int r = rtnl_decode(data, size, &message);

		assert(r == 0 || r == 1 || r == -EBADMSG);
		if (r > 0)
			check(&message);
		if (size < sizeof(header))
			break;
		memcpy(&header, data, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size)
			break;
		length = NLMSG_ALIGN((size_t)header.nlmsg_len);
		if (length >= size)
			break;
		data += length;
		size -= length;
	}
	return 0;
}
