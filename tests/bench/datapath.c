/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU time of new connections through a router namespace.
 *
 * One thread holds a socket in the sender's and one in the receiver's namespace. Over veth pairs the
 * router's work runs inline, in the softirq of the sending system call, so that the CPU time of this
 * process is sender + router + receiver. Every connection has an address of its own that was never
 * used before (the source, or with -o the destination), and every one is checked: the receiver must
 * see it, from the expected source.
 *
 * Output: CPU ns per connection, wall ns per connection, connections.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CLIENT_PORT = 20000,
	WARM_UP = 500
};

struct options {
	const char *sender; /* path of a network namespace */
	const char *router;
	const char *receiver;
	struct in6_addr dest;   /* published address, or with -o the prefix of destinations */
	struct in6_addr source; /* prefix of sources, or with -o the sender's address */
	struct in6_addr expect; /* with -o: the source the receiver must see */
	bool outbound;
	bool tcp;
	unsigned port; /* first published port */
	unsigned n_ports;
	unsigned target_port; /* the receiver listens here */
	unsigned n_flows;
};

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(saved));
	exit(1);
}

static void enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("%s", path);
	close(fd);
}

/* A CT_DELETE without a tuple empties the table of the namespace. */
static void flush_conntrack(void)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
	} request = {
		.nlh = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.nfg = { .nfgen_family = AF_INET6 },
	};
	char answer[256];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, answer, sizeof(answer), 0) < 0)
		die("conntrack flush");
	close(fd);
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint32_t random32(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

/* The low half of the address counts on from the time of the start: never the same again. */
static struct in6_addr next_address(const struct in6_addr *prefix)
{
	static uint64_t serial;
	struct in6_addr a = *prefix;

	if (serial == 0)
		serial = now(CLOCK_REALTIME);
	serial++;
	memcpy(&a.s6_addr[8], &serial, sizeof(serial));
	return a;
}

static struct sockaddr_in6 endpoint(const struct in6_addr *addr, unsigned port)
{
	return (struct sockaddr_in6){
		.sin6_family = AF_INET6,
		.sin6_addr = *addr,
		.sin6_port = htons((uint16_t)port),
	};
}

static int bound_socket(int type, unsigned port)
{
	struct sockaddr_in6 sin6 = endpoint(&in6addr_any, port);
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) < 0)
		die("port %u", port);
	return fd;
}

/* The addresses of one new connection. */
static void choose(const struct options *o, struct in6_addr *ret_source,
		   struct sockaddr_in6 *ret_dest, struct in6_addr *ret_expect)
{
	if (o->outbound) {
		struct in6_addr dest = next_address(&o->dest);

		*ret_source = o->source;
		*ret_dest = endpoint(&dest, o->target_port);
		*ret_expect = o->expect;
	} else {
		*ret_source = next_address(&o->source);
		*ret_dest = endpoint(&o->dest, o->port + random32() % o->n_ports);
		*ret_expect = *ret_source;
	}
}

static void send_datagram(int fd, const struct in6_addr *source, const struct sockaddr_in6 *dest)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)"x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_name = (void *)dest,
		.msg_namelen = sizeof(*dest),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct in6_pktinfo info = { .ipi6_addr = *source };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = IPPROTO_IPV6;
	cmsg->cmsg_type = IPV6_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	if (sendmsg(fd, &msg, 0) < 0)
		die("sendmsg");
}

static bool udp_flow(const struct options *o, int sender, int receiver)
{
	struct in6_addr source, expect;
	struct sockaddr_in6 dest, from;
	socklen_t from_len = sizeof(from);
	char byte;

	choose(o, &source, &dest, &expect);
	send_datagram(sender, &source, &dest);
	return recvfrom(receiver, &byte, 1, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len) ==
		       1 &&
	       memcmp(&from.sin6_addr, &expect, sizeof(expect)) == 0;
}

static int tcp_socket(void)
{
	struct linger linger = { .l_onoff = 1 };
	int one = 1;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		die("socket");
	return fd;
}

/* connect, then close with a reset: no TIME_WAIT. A socket stays in the namespace it was made in. */
static bool tcp_flow(const struct options *o, int listener)
{
	struct in6_addr source, expect;
	struct sockaddr_in6 dest, from, local;
	socklen_t from_len = sizeof(from);
	int fd, peer;
	bool ok = false;

	choose(o, &source, &dest, &expect);
	local = endpoint(&source, CLIENT_PORT);
	fd = tcp_socket();
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		die("bind");
	if (connect(fd, (struct sockaddr *)&dest, sizeof(dest)) == 0) {
		peer = accept4(listener, (struct sockaddr *)&from, &from_len, SOCK_CLOEXEC);
		ok = peer >= 0 && memcmp(&from.sin6_addr, &expect, sizeof(expect)) == 0;
		close(fd);
		if (peer >= 0)
			close(peer);
	} else
		close(fd);
	return ok;
}

static void run(const struct options *o, int sender, int receiver, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!(o->tcp ? tcp_flow(o, receiver) : udp_flow(o, sender, receiver))) {
			fprintf(stderr, "connection %u of %u is not as expected\n", i, n);
			exit(2);
		}
}

static void parse_address(const char *text, struct in6_addr *ret)
{
	if (inet_pton(AF_INET6, text, ret) != 1) {
		errno = EINVAL;
		die("%s", text);
	}
}

static void parse(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt(argc, argv, "S:R:T:d:s:e:otp:k:l:n:")) != -1)
		switch (opt) {
		case 'S':
			o->sender = optarg;
			break;
		case 'R':
			o->router = optarg;
			break;
		case 'T':
			o->receiver = optarg;
			break;
		case 'd':
			parse_address(optarg, &o->dest);
			break;
		case 's':
			parse_address(optarg, &o->source);
			break;
		case 'e':
			parse_address(optarg, &o->expect);
			break;
		case 'o':
			o->outbound = true;
			break;
		case 't':
			o->tcp = true;
			break;
		case 'p':
			o->port = (unsigned)atoi(optarg);
			break;
		case 'k':
			o->n_ports = (unsigned)atoi(optarg);
			break;
		case 'l':
			o->target_port = (unsigned)atoi(optarg);
			break;
		case 'n':
			o->n_flows = (unsigned)atoi(optarg);
			break;
		default:
			exit(1);
		}
	if (!o->sender || !o->router || !o->receiver || !o->n_ports || !o->n_flows) {
		fprintf(stderr,
			"usage: %s -S NS -R NS -T NS -s SOURCE -d DEST [-e EXPECT] [-o] [-t] "
			"-p PORT -k PORTS -l TARGET-PORT -n FLOWS\n",
			argv[0]);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	uint64_t cpu, wall;
	int sender, receiver;

	parse(argc, argv, &o);
	enter(o.receiver);
	receiver = bound_socket(o.tcp ? SOCK_STREAM : SOCK_DGRAM, o.target_port);
	if (o.tcp && listen(receiver, 128) < 0)
		die("listen");
	enter(o.router);
	flush_conntrack();
	enter(o.sender);
	sender = o.tcp ? -1 : bound_socket(SOCK_DGRAM, CLIENT_PORT);
	run(&o, sender, receiver, WARM_UP);

	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	wall = now(CLOCK_MONOTONIC);
	run(&o, sender, receiver, o.n_flows);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now(CLOCK_MONOTONIC) - wall;
	printf("%.1f %.1f %u\n", (double)cpu / o.n_flows, (double)wall / o.n_flows, o.n_flows);
	return 0;
}
