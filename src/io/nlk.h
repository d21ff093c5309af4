/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A netlink socket: checked sending, bounded receiving, requests that are answered at once. */
#include "base/own.h"
#include "wire/attrs.h"

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#define NLK_BUFFER 65536 /* the kernel never fills more into one datagram */

struct nlk {
	int fd;
	uint32_t portid;
	uint32_t seq; /* of the last message sent */
	uint8_t *buffer;
	size_t received; /* length of what is in the buffer */
};
#define NLK_NONE         \
	{                \
		.fd = -1 \
	}

/* An error answer of the kernel. */
struct nlk_error {
	uint32_t seq;
	int error;         /* positive errno; 0: an ack */
	char message[160]; /* extack text, or "" */
};

/* Non-blocking, with extended acks that do not echo the request. */
int nlk_open(struct nlk *ret, int protocol);
void nlk_done(struct nlk *n);
int nlk_join(struct nlk *n, unsigned group);
void nlk_leave(struct nlk *n, unsigned group);
/* Raises a buffer of the socket (SO_SNDBUFFORCE, SO_RCVBUFFORCE), never lowers it. */
void nlk_force_buffer(struct nlk *n, int option, size_t size);

int nlk_send(struct nlk *n, const void *data, size_t size);
/* One datagram of the kernel's into n->buffer. > 0: received; -EAGAIN: none there;
 * -ENOBUFS: some were lost. */
int nlk_receive(struct nlk *n);
/* Waits for it, for a kernel that answers at once: -ETIMEDOUT after some seconds. */
int nlk_receive_wait(struct nlk *n);
/* Throws away what is left of earlier requests. */
void nlk_drain(struct nlk *n);
/* The messages in the buffer. */
#define nlk_foreach(h, left, n)                                                   \
	for (left = (int)(n)->received, h = (const struct nlmsghdr *)(n)->buffer; \
	     attrs_message_ok(h, left); h = mnl_nlmsg_next(h, &left))

/* 0 or -EBADMSG. */
int nlk_error_decode(const struct nlmsghdr *h, struct nlk_error *ret);

/*
 * Sends a request (its sequence number is set here) and hands the messages of the answer to the
 * handler, whose -errno becomes the result. It has to be a dump, or to ask for an ack. -EINTR: a
 * dump was interrupted by a change, repeat it.
 */
int nlk_request(struct nlk *n, struct nlmsghdr *h,
		int (*handler)(const struct nlmsghdr *h, void *userdata), void *userdata);
