/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes down when the kernel says that nf_tables changed, in the network namespace it is started
 * in. One line for each commit, TIME being nanoseconds of CLOCK_REALTIME (as Docker's timeNano):
 *
 *   TIME PROCESS ADDED DELETED [+PORT ...] [-PORT ...]
 *
 * with the elements of the map ip6 ipv6nat publish_any that it added and deleted, and their host
 * ports. Prints "ready" first. Runs with real-time priority: what is measured is the sender.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PORTS_MAX 32 /* named in one line */

struct commit {
	unsigned added, deleted, n_ports;
	int ports[PORTS_MAX]; /* negative: deleted */
};

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static const struct nlattr *find(const struct nlattr *nest, uint16_t type)
{
	struct nlattr *a;

	mnl_attr_for_each_nested (a, nest)
		if (mnl_attr_get_type(a) == type)
			return a;
	return NULL;
}

/* The key is protocol . port, each padded to four bytes. */
static void note_element(struct commit *c, const struct nlattr *element, bool added)
{
	const struct nlattr *key = find(element, NFTA_SET_ELEM_KEY);
	const struct nlattr *value = key ? find(key, NFTA_DATA_VALUE) : NULL;
	uint16_t port = 0;

	if (value && mnl_attr_get_payload_len(value) >= 6)
		memcpy(&port, (const uint8_t *)mnl_attr_get_payload(value) + 4, sizeof(port));
	*(added ? &c->added : &c->deleted) += 1;
	if (c->n_ports < PORTS_MAX)
		c->ports[c->n_ports++] = added ? ntohs(port) : -ntohs(port);
}

static void note_elements(struct commit *c, const struct nlmsghdr *h, bool added)
{
	const struct nlattr *elements = NULL;
	struct nlattr *a, *element;
	bool ours = false, ports = false;

	mnl_attr_for_each (a, h, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) == NFTA_SET_ELEM_LIST_TABLE)
			ours = strcmp(mnl_attr_get_str(a), "ipv6nat") == 0;
		else if (mnl_attr_get_type(a) == NFTA_SET_ELEM_LIST_SET)
			ports = strcmp(mnl_attr_get_str(a), "publish_any") == 0;
		else if (mnl_attr_get_type(a) == NFTA_SET_ELEM_LIST_ELEMENTS)
			elements = a;
	}
	if (ours && ports && elements)
		mnl_attr_for_each_nested (element, elements)
			note_element(c, element, added);
}

static void print_commit(const struct commit *c, const struct nlmsghdr *h, int64_t time)
{
	const char *process = "?";
	struct nlattr *a;

	mnl_attr_for_each (a, h, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) == NFTA_GEN_PROC_NAME)
			process = mnl_attr_get_str(a);
	(void)printf("%lld %s %u %u", (long long)time, process, c->added, c->deleted);
	for (unsigned i = 0; i < c->n_ports; i++)
		(void)printf(" %+d", c->ports[i]);
	(void)printf("\n");
	(void)fflush(stdout);
}

static void take(struct commit *c, const struct nlmsghdr *h, int64_t time)
{
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWSETELEM:
		note_elements(c, h, true);
		break;
	case NFT_MSG_DELSETELEM:
		note_elements(c, h, false);
		break;
	case NFT_MSG_NEWGEN:
		print_commit(c, h, time);
		*c = (struct commit){ 0 };
		break;
	}
}

int main(void)
{
	static _Alignas(struct nlmsghdr) char buffer[1 << 17];
	struct sched_param priority = { .sched_priority = 10 };
	int group = NFNLGRP_NFTABLES, size = 64 << 20;
	struct commit commit = { 0 };
	struct mnl_socket *s = mnl_socket_open(NETLINK_NETFILTER);

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 ||
	    setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0) {
		perror("nf_tables notifications");
		return 1;
	}
	(void)sched_setscheduler(0, SCHED_FIFO, &priority);
	(void)printf("ready\n");
	(void)fflush(stdout);
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(s, buffer, sizeof(buffer));
		int64_t time = now_ns();
		int left = (int)n;

		if (n < 0) {
			(void)printf("lost %s\n", strerror(errno));
			(void)fflush(stdout);
			continue;
		}
		for (const struct nlmsghdr *h = (void *)buffer; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left))
			take(&commit, h, time);
	}
}
