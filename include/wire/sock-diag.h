/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* This host's TCP connections: sock_diag messages <-> structs. Bytes only, no socket. */
#include "base/inet.h"

#include <libmnl/libmnl.h>
#include <stdbool.h>

/* One connection over IPv6, in a state in which both ends may still send. Ports are in this
 * machine's order. */
struct sock_diag_connection {
	struct in6_addr local, remote;
	uint16_t local_port, remote_port;
	bool established; /* else its handshake is not over */
};

/* > 0: *ret is set. 0: over IPv4, or of no interest. -EBADMSG. */
int sock_diag_decode(const struct nlmsghdr *h, struct sock_diag_connection *ret);
/* Writes the request for all of them into a buffer of at least size bytes; NULL if it does not
 * fit. */
struct nlmsghdr *sock_diag_encode_dump(void *buffer, size_t size, uint32_t seq);
