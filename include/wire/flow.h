/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Conntrack entries: nfnetlink messages <-> structs. Bytes only, no socket. */
#include "base/inet.h"

#include <libmnl/libmnl.h>

/* One IPv6 entry of a protocol with ports. Ports are in this machine's order. */
struct flow {
	uint8_t protocol;
	struct in6_addr source;
	uint16_t source_port;
	struct in6_addr destination; /* where the first packet went ... */
	uint16_t destination_port;
	struct in6_addr reply_source; /* ... and who answers: the target of a DNAT */
	uint16_t reply_source_port;
	/* Point into the message: what names the entry to the kernel. */
	const struct nlattr *original, *id, *zone;
};

/* > 0: *ret is set. 0: without ports, or not IPv6. -EBADMSG. */
int flow_decode(const struct nlmsghdr *h, struct flow *ret);
/* Write a request into a buffer of at least size bytes: all entries, deletion of one, a new one.
 * NULL if it does not fit. */
struct nlmsghdr *flow_encode_dump(void *buffer, size_t size, uint32_t seq);
struct nlmsghdr *flow_encode_delete(const struct flow *f, void *buffer, size_t size, uint32_t seq);
/* A TCP connection (of f, source and destination count) that is not translated: established, or
 * with its handshake under way. */
struct nlmsghdr *flow_encode_new_tcp(const struct flow *f, bool established, void *buffer,
				     size_t size, uint32_t seq);
