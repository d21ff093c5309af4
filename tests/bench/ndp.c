/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Neighbour solicitations: an asker, and io/ndp by itself as the one who answers.
 *
 *   serve INTERFACE TARGETS [classic]      answers until it is killed; prints "ready" first
 *   bare INTERFACE                         the least that any process has to do: one system call to
 *                                          receive, one to send, and no checks between them
 *   latency INTERFACE TARGETS N GAP-US     asks one after the other; prints the times in ns
 *   flood INTERFACE TARGETS N RATE         asks N times, RATE times per second (0: at most);
 *                                          prints sent, answered, wall ns, CPU ns of the asker
 *   scan INTERFACE N RATE                  the same, each time for another address, of nobody
 *
 * Targets are 2001:db8:1::1:0 and those after it. Over a veth pair the receiving half of the other
 * side runs in the softirq of the asker, and with the kernel answering all of it; what comes back is
 * counted by the interface, so that receiving costs the same whoever answers. In latency mode each
 * answer is read and checked.
 */
#include "io/ndp-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/ioctl.h>
#include <time.h>

enum {
	BURST = 32,
	WAIT_US = 200000
};

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct in6_addr target(uint32_t i)
{
	struct in6_addr a;

	(void)inet_parse("2001:db8:1::1:0", &a);
	i += 0x10000;
	for (int k = 0; k < 4; k++)
		a.s6_addr[12 + k] = (uint8_t)(i >> (24 - 8 * k));
	return a;
}

static void get_mac(int fd, const char *interface, uint8_t ret[static 6])
{
	struct ifreq request = { 0 };

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		die(interface);
	memcpy(ret, request.ifr_hwaddr.sa_data, 6);
}

static int open_socket(const char *interface, bool receive)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = receive ? htons(ETH_P_IPV6) : 0,
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	const int yes = 1, bytes = 8 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		die(interface);
	return fd;
}

/* -------------------------------------------------------------------- serve */

static void bare(const char *interface)
{
	int fd = open_socket(interface, true);
	uint8_t frame[2048], reply[ND_ADVERTISEMENT_SIZE];
	struct nd_advertisement a = { .router = true, .solicited = true };
	struct nd_solicitation s;

	get_mac(fd, interface, a.mac);
	memcpy(a.ethernet_source, a.mac, sizeof(a.mac));
	(void)printf("ready bare\n");
	(void)fflush(stdout);
	for (;;) {
		ssize_t n = recv(fd, frame, sizeof(frame), 0);

		if (n < 0)
			die("recv");
		if (nd_parse(frame, (size_t)n, &s) != NDP_DROP_NONE)
			continue;
		memcpy(a.ethernet_destination, s.reply_mac, sizeof(s.reply_mac));
		a.source = a.target = s.target;
		a.destination = s.source;
		nd_encode_advertisement(&a, reply);
		(void)send(fd, reply, sizeof(reply), 0);
	}
}

static void on_change(void *userdata)
{
	(void)userdata;
}

static void serve(const char *interface, uint32_t n_targets, bool classic)
{
	static const struct ndp_callbacks callbacks = { .on_change = on_change };
	struct ndp_plan plan = { 0 };
	struct ndp_interface *i = vec_add(&plan.interfaces);
	sd_event *event = NULL;
	struct ndp *ndp = NULL;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (!i || fd < 0)
		die("socket");
	(void)snprintf(i->name, sizeof(i->name), "%s", interface);
	i->ifindex = (int)if_nametoindex(interface);
	i->up = true;
	get_mac(fd, interface, i->mac);
	for (uint32_t k = 0; k < n_targets; k++) {
		struct ndp_target *t = vec_add(&i->targets);

		if (!t)
			die("targets");
		t->address = target(k);
	}
	if (classic) {
		struct ndp_rule *rule = vec_add(&i->rules);

		if (!rule || inet_prefix_parse("2001:db8:ffff::/64", &rule->prefix) < 0)
			die("rule");
	}
	if (sd_event_default(&event) < 0 || ndp_new(event, &callbacks, NULL, &ndp) < 0 ||
	    ndp_apply(ndp, &plan) < 0)
		die("ndp");
	(void)printf("ready %s\n",
		     ndp->uplinks.items[0].uplink->filter.targets_fd >= 0 ? "exact" : "classic");
	(void)fflush(stdout);
	(void)sd_event_loop(event);
}

/* ---------------------------------------------------------------------- ask */

/* A multicast solicitation with SLLA: an advertisement of the same shape, and then its checksum. */
static void build(const uint8_t mac[static 6], const struct in6_addr *address,
		  uint8_t frame[static ND_PROBE_SIZE])
{
	struct in6_addr source;
	uint32_t sum = 32 + 58;

	nd_encode_probe(mac, address, 0, frame);
	(void)inet_parse("fe80::a", &source);
	memcpy(frame + 22, &source, sizeof(source));
	frame[78] = 1;
	memcpy(frame + 80, mac, 6);
	frame[56] = frame[57] = 0;
	for (size_t i = 22; i < ND_PROBE_SIZE; i++)
		sum += (uint32_t)frame[i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	frame[56] = (uint8_t)(~sum >> 8);
	frame[57] = (uint8_t)~sum;
}

/* Without sleeping: what counts is when the answer is there, not when the asker has woken up. */
static bool await_answer(int fd, const struct in6_addr *address, uint64_t start)
{
	uint8_t frame[256], mac[6];
	struct in6_addr got;

	while (now(CLOCK_MONOTONIC) - start < WAIT_US * 1000ULL) {
		ssize_t n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (n > 0 && nd_parse_advertisement(frame, (size_t)n, &got, mac) > 0 &&
		    inet_equal(&got, address))
			return true;
	}
	return false;
}

static void latency(const char *interface, uint32_t n_targets, uint32_t n, uint32_t gap_us)
{
	int fd = open_socket(interface, true);
	uint8_t mac[6], frame[ND_PROBE_SIZE];

	get_mac(fd, interface, mac);
	for (uint32_t i = 0; i < n; i++) {
		const struct in6_addr address = target(i % n_targets);
		uint64_t start;

		build(mac, &address, frame);
		if (gap_us)
			(void)usleep(gap_us);
		start = now(CLOCK_MONOTONIC);
		if (send(fd, frame, sizeof(frame), 0) < 0)
			die("send");
		if (!await_answer(fd, &address, start)) {
			(void)fprintf(stderr, "question %u was not answered\n", i);
			exit(2);
		}
		(void)printf("%llu\n", (unsigned long long)(now(CLOCK_MONOTONIC) - start));
	}
}

static uint64_t count_received(const char *interface)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/thread-self/net/dev", "r");
	char line[512], name[64];
	unsigned long long packets;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %63[^:]: %*u %llu", name, &packets) == 2 &&
		    strcmp(name, interface) == 0)
			return packets;
	die("/proc/net/dev");
}

/* n_targets: 0 for those of nobody, all different. */
static void flood(const char *interface, uint32_t n_targets, uint32_t n, uint32_t rate)
{
	static uint8_t frames[BURST][ND_PROBE_SIZE];
	struct mmsghdr messages[BURST] = { 0 };
	struct iovec iov[BURST];
	int fd = open_socket(interface, false);
	uint64_t received = count_received(interface), wall, cpu;
	uint32_t sent = 0;
	uint8_t mac[6];

	get_mac(fd, interface, mac);
	for (int k = 0; k < BURST; k++) {
		iov[k] = (struct iovec){ frames[k], ND_PROBE_SIZE };
		messages[k].msg_hdr.msg_iov = &iov[k];
		messages[k].msg_hdr.msg_iovlen = 1;
	}
	wall = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	while (sent < n) {
		for (uint32_t k = 0; k < BURST; k++) {
			const struct in6_addr a =
				target(n_targets ? (sent + k) % n_targets : 0x1000000 + sent + k);

			build(mac, &a, frames[k]);
		}
		while (rate && now(CLOCK_MONOTONIC) - wall < sent * 1000000000ULL / rate)
			;
		if (sendmmsg(fd, messages, BURST, 0) != BURST)
			die("sendmmsg");
		sent += BURST;
	}
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now(CLOCK_MONOTONIC) - wall;
	(void)usleep(WAIT_US);
	(void)printf("%u %llu %llu %llu\n", sent,
		     (unsigned long long)(count_received(interface) - received),
		     (unsigned long long)wall, (unsigned long long)cpu);
}

int main(int argc, char **argv)
{
	uint32_t number[6] = { 0 };

	for (int i = 3; i < argc && i < 6; i++)
		number[i] = (uint32_t)strtoul(argv[i], NULL, 10);
	if (argc >= 4 && strcmp(argv[1], "serve") == 0)
		serve(argv[2], number[3], argc > 4);
	else if (argc == 3 && strcmp(argv[1], "bare") == 0)
		bare(argv[2]);
	else if (argc == 6 && strcmp(argv[1], "latency") == 0)
		latency(argv[2], number[3], number[4], number[5]);
	else if (argc == 6 && strcmp(argv[1], "flood") == 0)
		flood(argv[2], number[3], number[4], number[5]);
	else if (argc == 5 && strcmp(argv[1], "scan") == 0)
		flood(argv[2], 0, number[3], number[4]);
	else
		return 2;
	return 0;
}
