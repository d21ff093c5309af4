/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/nlk.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#define ANSWER_TIMEOUT_MS 5000

static int open_socket(struct nlk *n, int protocol)
{
	static const int on = 1;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	socklen_t length = sizeof(address);

	n->buffer = malloc(NLK_BUFFER);
	if (!n->buffer)
		return -ENOMEM;
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(n->fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	n->portid = address.nl_pid;
	/* Conveniences: without them error texts are missing and error answers are longer. */
	(void)setsockopt(n->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(n->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

int nlk_open(struct nlk *ret, int protocol)
{
	struct nlk n = NLK_NONE;
	int r;

	r = open_socket(&n, protocol);
	if (r < 0) {
		nlk_done(&n);
		return r;
	}
	*ret = n;
	return 0;
}

void nlk_done(struct nlk *n)
{
	n->fd = close_fd(n->fd);
	free(steal_ptr(&n->buffer));
}

int nlk_join(struct nlk *n, unsigned group)
{
	if (setsockopt(n->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

void nlk_leave(struct nlk *n, unsigned group)
{
	(void)setsockopt(n->fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group));
}

void nlk_force_buffer(struct nlk *n, int option, size_t size)
{
	int now = 0, want = size > INT32_MAX / 2 ? INT32_MAX / 2 : (int)size;
	socklen_t length = sizeof(now);

	/* The kernel doubles what is asked for, and tells the doubled value. */
	if (getsockopt(n->fd, SOL_SOCKET, option == SO_SNDBUFFORCE ? SO_SNDBUF : SO_RCVBUF, &now,
		       &length) == 0 &&
	    now / 2 < want)
		(void)setsockopt(n->fd, SOL_SOCKET, option, &want, sizeof(want));
}

int nlk_send(struct nlk *n, const void *data, size_t size)
{
	static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent;

	do {
		sent = sendto(n->fd, data, size, 0, (const struct sockaddr *)&kernel,
			      sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int nlk_receive(struct nlk *n)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = n->buffer, .iov_len = NLK_BUFFER };
	struct msghdr m;
	ssize_t size;

	do {
		m = (struct msghdr){
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
		};
		size = recvmsg(n->fd, &m, 0);
		/* Other processes may write to us, too: passed over. */
	} while ((size < 0 && errno == EINTR) ||
		 (size >= 0 && (m.msg_namelen != sizeof(from) || from.nl_pid != 0)));
	if (size < 0)
		return -errno;
	if (m.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	n->received = (size_t)size;
	return 1;
}

/* The kernel handles a request while it is being sent, so that this hardly ever waits. */
int nlk_receive_wait(struct nlk *n)
{
	struct pollfd p = { .fd = n->fd, .events = POLLIN };
	int r;

	for (;;) {
		r = nlk_receive(n);
		if (r != -EAGAIN)
			return r;
		r = poll(&p, 1, ANSWER_TIMEOUT_MS);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return -ETIMEDOUT;
	}
}

void nlk_drain(struct nlk *n)
{
	int r;

	do {
		r = nlk_receive(n);
	} while (r > 0 || r == -ENOBUFS || r == -EMSGSIZE);
}

static void decode_message(const struct nlmsghdr *h, const struct nlmsgerr *e, size_t size,
			   char *ret, size_t ret_size)
{
	size_t offset = sizeof(*e);
	const struct nlattr *a;
	const char *end = (const char *)e + size;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	/* Attributes come behind the request, of which a capped answer holds the header only. */
	if (!(h->nlmsg_flags & NLM_F_CAPPED)) {
		if (e->msg.nlmsg_len < sizeof(e->msg) || e->msg.nlmsg_len > size)
			return;
		offset += MNL_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	}
	if (offset > size)
		return;
	for (a = (const struct nlattr *)((const char *)e + offset);
	     mnl_attr_ok(a, (int)(end - (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG)
			(void)snprintf(ret, ret_size, "%.*s", (int)mnl_attr_get_payload_len(a),
				       mnl_attr_get_str(a));
}

int nlk_error_decode(const struct nlmsghdr *h, struct nlk_error *ret)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	size_t size = mnl_nlmsg_get_payload_len(h);

	if (size < sizeof(*e) || e->error > 0)
		return -EBADMSG;
	*ret = (struct nlk_error){ .seq = h->nlmsg_seq, .error = -e->error };
	decode_message(h, e, size, ret->message, sizeof(ret->message));
	return 0;
}

struct answer {
	uint32_t seq;
	int (*handler)(const struct nlmsghdr *h, void *userdata);
	void *userdata;
	bool interrupted;
	int result; /* the handler's first error */
};

static int end_of_dump(const struct nlmsghdr *h)
{
	/* A dump that fails half-way says so in its last message. */
	if (mnl_nlmsg_get_payload_len(h) >= sizeof(int32_t))
		return MIN_OF(*(const int32_t *)mnl_nlmsg_get_payload(h), 0);
	return 0;
}

/* > 0: the answer is complete; 0: more to come; < 0: complete, with an error. */
static int handle(struct answer *a, const struct nlmsghdr *h)
{
	struct nlk_error e;
	int r;

	if (h->nlmsg_seq != a->seq)
		return 0;
	a->interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
	if (h->nlmsg_type == NLMSG_DONE) {
		r = end_of_dump(h);
		return r < 0 ? r : 1;
	}
	if (h->nlmsg_type == NLMSG_ERROR) {
		r = nlk_error_decode(h, &e);
		return r < 0 ? r : e.error > 0 ? -e.error : 1;
	}
	if (h->nlmsg_type < NLMSG_MIN_TYPE || a->result < 0)
		return 0; /* read to the end all the same, or the next dump would be EBUSY */
	r = a->handler(h, a->userdata);
	if (r < 0)
		a->result = r;
	return 0;
}

static int receive_answer(struct nlk *n, struct answer *a)
{
	const struct nlmsghdr *h;
	int left, r;

	for (;;) {
		r = nlk_receive_wait(n);
		if (r < 0)
			return r;
		nlk_foreach(h, left, n)
		{
			r = handle(a, h);
			if (r != 0)
				return r;
		}
	}
}

int nlk_request(struct nlk *n, struct nlmsghdr *h,
		int (*handler)(const struct nlmsghdr *h, void *userdata), void *userdata)
{
	struct answer a = { .seq = ++n->seq, .handler = handler, .userdata = userdata };
	int r;

	h->nlmsg_seq = a.seq;
	r = nlk_send(n, h, h->nlmsg_len);
	if (r < 0)
		return r;
	r = receive_answer(n, &a);
	if (r < 0) {
		nlk_drain(n);
		return r;
	}
	if (a.result < 0)
		return a.result;
	return a.interrupted ? -EINTR : 0;
}
