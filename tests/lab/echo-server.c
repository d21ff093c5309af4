/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server inside the lab's containers: echo-server NAME tcp:80 udp:53 ...
 *
 * Every line (TCP) or datagram (UDP) is answered with "NAME tcp:80 from PEER[ what was sent]", so
 * that one line proves which container was reached, on which port, and whose address it saw.
 * A line that begins with "GET " makes it answer as a web server would, once, for curl.
 * Listens on IPv6 and IPv4; prints "ready" when it does. One process, no threads, any number of connections.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

enum kind {
	TCP_LISTEN,
	UDP,
	TCP
};

struct endpoint {
	enum kind kind;
	int fd;
	unsigned port;
	bool http;
	char peer[INET6_ADDRSTRLEN];
	size_t used;
	char line[LINE_MAX_BYTES];
};

static const char *name;
static int epfd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(struct endpoint *e)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, e->fd, &ev) < 0)
		die("epoll_ctl");
}

static void format_peer(const struct sockaddr_in6 *sa, char text[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(&sa->sin6_addr))
		inet_ntop(AF_INET, &sa->sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &sa->sin6_addr, text, INET6_ADDRSTRLEN);
}

static int format_answer(char *out, size_t size, const struct endpoint *e, const char *peer,
			 const char *sent)
{
	return snprintf(out, size, "%s %s:%u from %s%s%s\n", name, e->kind == UDP ? "udp" : "tcp",
			e->port, peer, *sent ? " " : "", sent);
}

static void open_listener(const char *spec)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	struct endpoint *e = calloc(1, sizeof(*e));
	bool udp = strncmp(spec, "udp:", 4) == 0;
	int on = 1, off = 0;

	if (!e || (!udp && strncmp(spec, "tcp:", 4) != 0)) {
		fprintf(stderr, "usage: echo-server NAME tcp:PORT|udp:PORT...\n");
		exit(2);
	}
	e->kind = udp ? UDP : TCP_LISTEN;
	e->port = (unsigned)atoi(spec + 4);
	sa.sin6_port = htons((uint16_t)e->port);
	e->fd = socket(AF_INET6, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0);
	if (e->fd < 0)
		die("socket");
	setsockopt(e->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(e->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (udp)
		setsockopt(e->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	if (bind(e->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(spec);
	if (!udp && listen(e->fd, 4096) < 0)
		die("listen");
	watch(e);
}

static void accept_peers(const struct endpoint *listener)
{
	struct sockaddr_in6 sa;
	socklen_t len;

	for (;;) {
		struct endpoint *e;
		int fd;

		len = sizeof(sa);
		fd = accept4(listener->fd, (struct sockaddr *)&sa, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		e = calloc(1, sizeof(*e));
		if (!e)
			die("calloc");
		e->kind = TCP;
		e->fd = fd;
		e->port = listener->port;
		format_peer(&sa, e->peer);
		watch(e);
	}
}

/* False when the connection is over. Answers are short: a full send buffer means a client that
 * does not read, and is treated as gone. */
static bool answer_line(struct endpoint *e, const char *line)
{
	char out[LINE_MAX_BYTES + 512];
	int n = 0;

	if (strncmp(line, "GET ", 4) == 0)
		e->http = true;
	if (e->http && *line)
		return true;
	if (e->http)
		n = snprintf(out, sizeof(out),
			     "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n");
	n += format_answer(out + n, sizeof(out) - (size_t)n, e, e->peer, line);
	return send(e->fd, out, (size_t)n, MSG_NOSIGNAL) == n && !e->http;
}

/* False when the connection is over. */
static bool serve_tcp(struct endpoint *e)
{
	ssize_t n = recv(e->fd, e->line + e->used, sizeof(e->line) - 1 - e->used, 0);
	char *start = e->line, *end;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	e->used += (size_t)n;
	e->line[e->used] = '\0';
	while ((end = strchr(start, '\n'))) {
		*end = '\0';
		if (end > start && end[-1] == '\r')
			end[-1] = '\0';
		if (!answer_line(e, start))
			return false;
		start = end + 1;
	}
	e->used -= (size_t)(start - e->line);
	memmove(e->line, start, e->used);
	return e->used < sizeof(e->line) - 1;
}

/* A server with several addresses must answer from the one it was asked on. */
static void serve_udp(const struct endpoint *e)
{
	char in[LINE_MAX_BYTES], out[LINE_MAX_BYTES + 512], peer[INET6_ADDRSTRLEN];
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 64];
	struct sockaddr_in6 sa;
	struct iovec iov = { .iov_base = in, .iov_len = sizeof(in) - 1 };
	struct msghdr msg = { .msg_name = &sa,
			      .msg_namelen = sizeof(sa),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(e->fd, &msg, 0);
	struct cmsghdr *c;

	if (n < 0)
		return;
	in[n] = '\0';
	in[strcspn(in, "\r\n")] = '\0';
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(c);

		/* the interface only where the address means nothing without it */
		if (c->cmsg_type == IPV6_PKTINFO && !IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
			info->ipi6_ifindex = 0;
	}
	format_peer(&sa, peer);
	iov.iov_base = out;
	iov.iov_len = (size_t)format_answer(out, sizeof(out), e, peer, in);
	(void)sendmsg(e->fd, &msg, MSG_NOSIGNAL);
}

static void serve(struct endpoint *e)
{
	switch (e->kind) {
	case TCP_LISTEN:
		accept_peers(e);
		break;
	case UDP:
		serve_udp(e);
		break;
	case TCP:
		if (!serve_tcp(e)) {
			close(e->fd);
			free(e);
		}
		break;
	}
}

static void on_signal(int signum)
{
	(void)signum;
	_exit(0);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	int i;

	/* as PID 1 of a container it would not die of a signal without a handler */
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0)
		die("epoll_create1");
	name = argc > 1 ? argv[1] : "";
	for (i = 2; i < argc; i++)
		open_listener(argv[i]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(epfd, events, 64, -1);

		for (i = 0; i < n; i++)
			serve(events[i].data.ptr);
	}
}
