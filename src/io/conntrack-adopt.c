/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conntrack takes the next packet of a connection that it has not seen begin for the first one of a
 * new connection. Where nothing was tracked before our table, that packet would be translated if its
 * port leads to a container, and a connection that docker-proxy has accepted be reset. So conntrack
 * is told of this host's connections when tracking begins.
 */
#include "io/conntrack.h"
#include "io/nlk.h"
#include "wire/flow.h"
#include "wire/sock-diag.h"

#include <linux/netlink.h>

struct adoption {
	struct nlk entries;
	int n;
};

/* Without an ack: an entry that is there already is as good. */
static int adopt(const struct nlmsghdr *h, void *userdata)
{
	struct adoption *a = userdata;
	struct sock_diag_connection c;
	uint8_t buffer[512];

	if (sock_diag_decode(h, &c) <= 0 || inet_is_loopback(&c.local) ||
	    inet_is_link_local(&c.local))
		return 0; /* never translated */
	h = flow_encode_new_tcp(&(struct flow){ .source = c.remote,
						.source_port = c.remote_port,
						.destination = c.local,
						.destination_port = c.local_port },
				c.established, buffer, sizeof(buffer), ++a->entries.seq);
	a->n++;
	return nlk_send(&a->entries, h, h->nlmsg_len);
}

int conntrack_adopt(void)
{
	struct adoption a = { .entries = NLK_NONE };
	struct nlk sockets = NLK_NONE;
	uint8_t buffer[128];
	int r;

	r = nlk_open(&sockets, NETLINK_SOCK_DIAG);
	if (r >= 0)
		r = nlk_open(&a.entries, NETLINK_NETFILTER);
	if (r >= 0)
		r = nlk_request(&sockets, sock_diag_encode_dump(buffer, sizeof(buffer), 0), adopt,
				&a);
	nlk_done(&sockets);
	nlk_done(&a.entries);
	return r < 0 ? r : a.n;
}
