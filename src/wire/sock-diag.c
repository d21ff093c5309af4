/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/sock-diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#define STATES                                                                                    \
	(1U << TCP_SYN_RECV | 1U << TCP_ESTABLISHED | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 | \
	 1U << TCP_CLOSE_WAIT)

int sock_diag_decode(const struct nlmsghdr *h, struct sock_diag_connection *ret)
{
	struct sock_diag_connection c = {};
	struct inet_diag_msg m;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	if (mnl_nlmsg_get_payload_len(h) < sizeof(m))
		return -EBADMSG;
	memcpy(&m, mnl_nlmsg_get_payload(h), sizeof(m));
	if (m.idiag_family != AF_INET6 || m.idiag_state >= 32 || !(STATES >> m.idiag_state & 1))
		return 0;
	memcpy(&c.local, m.id.idiag_src, sizeof(c.local));
	memcpy(&c.remote, m.id.idiag_dst, sizeof(c.remote));
	if (IN6_IS_ADDR_V4MAPPED(&c.local))
		return 0;
	c.local_port = ntohs(m.id.idiag_sport);
	c.remote_port = ntohs(m.id.idiag_dport);
	c.established = m.idiag_state != TCP_SYN_RECV;
	*ret = c;
	return 1;
}

struct nlmsghdr *sock_diag_encode_dump(void *buffer, size_t size, uint32_t seq)
{
	struct inet_diag_req_v2 *request;
	struct nlmsghdr *h;

	if (size < sizeof(*h) + sizeof(*request))
		return NULL;
	h = mnl_nlmsg_put_header(buffer);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	request = mnl_nlmsg_put_extra_header(h, sizeof(*request));
	request->sdiag_family = AF_INET6;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = STATES;
	return h;
}
