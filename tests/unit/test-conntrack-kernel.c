/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Topology: one network namespace, one veth pair; 2001:db8::1 is this host's, and packets to
 * fd00:a::/64 vanish at the other end. The host's own flows are translated in the output hook as
 * those of others are in prerouting.
 */
#include "base/links.h"
#include "io/fw-internal.h"
#include "model/plan.h"
#include "model/ruleset-diff.h"
#include "unit/ruleset-sample.h"
#include "wire/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define HOST "2001:db8::1"
#define OLD "fd00:a::a1"
#define NEW "fd00:a::a2"

static sd_event *event;
static struct fw *fw;
static struct links links;
static struct ruleset wanted;

static void nothing(void *userdata)
{
	(void)userdata;
}

static void no_change(void *userdata, pid_t pid, const char *process)
{
	(void)userdata;
	(void)pid;
	(void)process;
}

static const struct fw_callbacks callbacks = {
	.on_foreign_change = no_change,
	.on_rules_of_others = nothing,
	.on_lost = nothing,
};

static void add_local(const char *text)
{
	struct link *link = vec_add(&links.links);
	struct link_address *a = vec_add(&link->addresses);

	assert_non_null(a);
	a->address = sample_address(text);
}

static void settle(void)
{
	while (sd_event_run(event, 50000) > 0)
		;
}

/* Commits a ruleset, and has the flows forgotten that contradict it. */
static void commit(const struct ruleset *ruleset)
{
	struct ruleset observed;
	struct ruleset_changes changes;
	struct fw_refusal refusal;

	assert_int_equal(fw_read(fw, &observed), 0);
	assert_int_equal(ruleset_diff(&observed, ruleset, &changes), 0);
	assert_true(fw_commit(fw, &changes, &refusal) >= 0);
	assert_true(fw_forget_flows(fw, &changes, &links) >= 0);
	vec_done(&changes);
	ruleset_done(&observed);
	settle();
}

/* What is wanted now. */
static void apply(void)
{
	ruleset_finish(&wanted);
	commit(&wanted);
}

static int set_up(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0 || sd_event_new(&event) < 0 ||
	    fw_new(event, &callbacks, NULL, &fw) < 0 ||
	    system("ip link set lo up; ip link add d0 type veth peer d1;"
		   "ip link set d0 up; ip link set d1 up;"
		   "ip addr add " HOST "/64 dev d0 nodad; ip addr add fd00:a::1/64 dev d0 nodad;"
		   "ip neigh add " OLD " lladdr 02:00:00:00:00:01 dev d0;"
		   "ip neigh add " NEW " lladdr 02:00:00:00:00:02 dev d0") != 0)
		return -1;
	add_local("fd00:a::1");
	add_local(HOST);
	sample_build(&wanted);
	apply();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fw = fw_free(fw);
	event = sd_event_unref(event);
	links_done(&links);
	ruleset_done(&wanted);
	return 0;
}

static int open_flow(int type, const char *to, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons(port),
				  .sin6_addr = sample_address(to) };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno == EINPROGRESS);
	if (type == SOCK_DGRAM)
		assert_int_equal(send(fd, "x", 1, 0), 1);
	return fd;
}

static int listen_at(int type, const char *at, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons(port),
				  .sin6_addr = sample_address(at) };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

struct count {
	uint8_t protocol;
	uint16_t port;
	struct in6_addr reply_source;
	int n;
};

static int count_flow(const struct nlmsghdr *h, void *userdata)
{
	struct count *c = userdata;
	struct flow f;

	c->n += flow_decode(h, &f) > 0 && f.protocol == c->protocol &&
		(f.destination_port == c->port || f.source_port == c->port) &&
		inet_equal(&f.reply_source, &c->reply_source);
	return 0;
}

static int n_flows(uint8_t protocol, uint16_t port, const char *reply_source)
{
	struct count c = { protocol, port, sample_address(reply_source), 0 };
	uint8_t buffer[64];
	struct nlk n;

	assert_int_equal(nlk_open(&n, NETLINK_NETFILTER), 0);
	assert_int_equal(
		nlk_request(&n, flow_encode_dump(buffer, sizeof(buffer), 0), count_flow, &c), 0);
	nlk_done(&n);
	return c.n;
}

static struct ruleset_element *port_of(uint8_t protocol, uint16_t port)
{
	struct ruleset_set *s = ruleset_find_set(&wanted.tables[RULESET_IP6], "pub_any");
	struct ruleset_element key = { 0 };
	size_t offset = 0;

	ruleset_put_protocol(key.key, &offset, protocol);
	ruleset_put_port(key.key, &offset, port);
	return vec_find(&s->elements, &key, ruleset_element_compare);
}

static void map_port(uint8_t protocol, uint16_t port, const char *target)
{
	struct ruleset_set *s = ruleset_find_set(&wanted.tables[RULESET_IP6], "pub_any");
	struct ruleset_element *e = port_of(protocol, port);
	struct in6_addr a = sample_address(target);

	if (e)
		memcpy(e->data, &a, sizeof(a));
	else
		sample_port(s, NULL, protocol, port, target, port);
	apply();
}

static void unmap_port(uint8_t protocol, uint16_t port)
{
	struct ruleset_set *s = ruleset_find_set(&wanted.tables[RULESET_IP6], "pub_any");

	vec_remove(&s->elements, (size_t)(port_of(protocol, port) - s->elements.items));
	apply();
}

/* A UDP flow that docker-proxy has answered moves to the container when its port is mapped; flows
 * of other ports and other protocols stay where they are. */
static void test_new_mapping(void **state)
{
	int udp = listen_at(SOCK_DGRAM, HOST, 5353), other = listen_at(SOCK_DGRAM, HOST, 5354);
	int tcp = listen_at(SOCK_STREAM, HOST, 5353);
	int flows[] = { open_flow(SOCK_DGRAM, HOST, 5353), open_flow(SOCK_DGRAM, HOST, 5354),
			open_flow(SOCK_STREAM, HOST, 5353) };

	(void)state;
	assert_int_equal(n_flows(IPPROTO_UDP, 5353, HOST), 1);
	map_port(IPPROTO_UDP, 5353, OLD);
	map_port(IPPROTO_TCP, 5353, OLD);
	assert_int_equal(n_flows(IPPROTO_UDP, 5353, HOST), 0);
	assert_int_equal(n_flows(IPPROTO_UDP, 5354, HOST), 1);
	assert_int_equal(n_flows(IPPROTO_TCP, 5353, HOST), 1);
	assert_int_equal(send(flows[0], "x", 1, 0), 1);
	assert_int_equal(n_flows(IPPROTO_UDP, 5353, OLD), 1);
	for (size_t i = 0; i < N_ELEMENTS(flows); i++)
		close(flows[i]);
	close(udp);
	close(other);
	close(tcp);
}

/* Flows of any protocol leave a container that lost its port; straight ones to it stay. */
static void test_moved_and_removed(void **state)
{
	int udp = open_flow(SOCK_DGRAM, HOST, 53), tcp = open_flow(SOCK_STREAM, HOST, 8080);
	int straight;

	(void)state;
	map_port(IPPROTO_TCP, 8081, OLD);
	straight = open_flow(SOCK_STREAM, OLD, 8081);
	assert_int_equal(n_flows(IPPROTO_UDP, 53, OLD), 1);
	assert_int_equal(n_flows(IPPROTO_TCP, 8080, OLD), 1);
	map_port(IPPROTO_UDP, 53, NEW);
	assert_int_equal(n_flows(IPPROTO_UDP, 53, OLD), 0);
	assert_int_equal(n_flows(IPPROTO_TCP, 8080, OLD), 1);
	assert_int_equal(send(udp, "x", 1, 0), 1);
	assert_int_equal(n_flows(IPPROTO_UDP, 53, NEW), 1);
	unmap_port(IPPROTO_UDP, 53);
	unmap_port(IPPROTO_TCP, 8080);
	unmap_port(IPPROTO_TCP, 8081);
	assert_int_equal(n_flows(IPPROTO_UDP, 53, NEW), 0);
	assert_int_equal(n_flows(IPPROTO_TCP, 8080, OLD), 0);
	assert_int_equal(n_flows(IPPROTO_TCP, 8081, OLD), 1);
	close(udp);
	close(tcp);
	close(straight);
}

/* A flow that agrees with a new mapping stays: the same table loaded again resets nobody. And the
 * counter of a mapping counts connections, not packets. */
static void test_agreeing_flow(void **state)
{
	struct ruleset observed;
	struct ruleset_set *s;
	int udp = open_flow(SOCK_DGRAM, HOST, 53);
	uint64_t packets = 0;

	(void)state;
	assert_int_equal(send(udp, "x", 1, 0), 1);
	assert_int_equal(fw_read(fw, &observed), 0);
	s = ruleset_find_set(&observed.tables[RULESET_IP6], "pub_any");
	vec_foreach (e, &s->elements)
		packets += e->packets;
	assert_int_equal(packets, 1);
	ruleset_done(&observed);
	assert_int_equal(system("nft delete table ip6 ipv6nat"), 0);
	apply();
	assert_int_equal(n_flows(IPPROTO_UDP, 53, OLD), 1);
	close(udp);
}

/* Between the first look for a new mapping and the second one, docker-proxy answers once more, and
 * another mapping comes: its looks are for both. */
static void test_looks_for_all(void **state)
{
	int proxy = listen_at(SOCK_DGRAM, HOST, 5355);
	struct sockaddr_in6 client = { .sin6_family = AF_INET6,
				       .sin6_port = htons(4000),
				       .sin6_addr = sample_address(NEW) };

	(void)state;
	map_port(IPPROTO_UDP, 5355, OLD);
	map_port(IPPROTO_UDP, 5356, OLD);
	assert_int_equal(sendto(proxy, "x", 1, 0, (struct sockaddr *)&client, sizeof(client)), 1);
	assert_int_equal(n_flows(IPPROTO_UDP, 5355, NEW), 1);
	for (int i = 0; i < 500 && n_flows(IPPROTO_UDP, 5355, NEW) > 0; i++)
		assert_true(sd_event_run(event, 10000) >= 0);
	assert_int_equal(n_flows(IPPROTO_UDP, 5355, NEW), 0);
	close(proxy);
}

/* Many flows and several requests at once: one pass after the other finds all of them. */
static void test_many_flows(void **state)
{
	enum {
		N = 500
	};
	int fds[N];

	(void)state;
	for (int i = 0; i < N; i++)
		fds[i] = open_flow(SOCK_DGRAM, HOST, 53);
	assert_int_equal(n_flows(IPPROTO_UDP, 53, OLD), N);
	map_port(IPPROTO_UDP, 53, NEW);
	assert_int_equal(n_flows(IPPROTO_UDP, 53, OLD), 0);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

/* One end of a connection, whose other end is *ret_peer; the listening socket is closed. */
static int open_connection(const char *to, uint16_t port, int *ret_peer)
{
	int listening = listen_at(SOCK_STREAM, to, port), fd = open_flow(SOCK_STREAM, to, port);

	*ret_peer = accept(listening, NULL, NULL);
	assert_true(*ret_peer >= 0);
	close(listening);
	return fd;
}

static void assert_alive(int fd, int peer)
{
	char c = 0;

	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(recv(peer, &c, 1, 0), 1);
	assert_int_equal(c, 'x');
}

/* What has begun before anything was tracked is known to conntrack when mappings come, and goes on, also
 * when one end has nothing more to say; what is never translated is left out. */
static void test_connections_of_before(void **state)
{
	static const struct ruleset nothing_yet;
	struct ruleset tracking, more;
	int peer, half_peer, inner_peer, fd, half, inner;

	(void)state;
	assert_int_equal(system("nft delete table ip6 ipv6nat"), 0);
	fd = open_connection(HOST, 8080, &peer);
	half = open_connection(HOST, 8081, &half_peer);
	inner = open_connection("::1", 8082, &inner_peer);
	assert_int_equal(shutdown(half_peer, SHUT_WR), 0);
	assert_int_equal(plan_tracking(&nothing_yet, &tracking), 1);
	assert_int_equal(plan_tracking(&tracking, &more), 0);
	commit(&tracking);
	ruleset_done(&tracking);
	assert_int_equal(n_flows(IPPROTO_TCP, 8080, HOST), 0);
	assert_true(fw_adopt_connections(fw) > 0);
	assert_int_equal(n_flows(IPPROTO_TCP, 8080, HOST), 1);
	map_port(IPPROTO_TCP, 8080, OLD);
	map_port(IPPROTO_TCP, 8081, OLD);
	assert_int_equal(n_flows(IPPROTO_TCP, 8080, HOST), 1);
	assert_int_equal(n_flows(IPPROTO_TCP, 8081, HOST), 1);
	assert_int_equal(n_flows(IPPROTO_TCP, 8082, "::1"), 0);
	assert_alive(fd, peer);
	assert_alive(peer, fd);
	assert_alive(half, half_peer);
	assert_alive(inner, inner_peer);
	close(fd);
	close(peer);
	close(half);
	close(half_peer);
	close(inner);
	close(inner_peer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(test_new_mapping),   TEST(test_moved_and_removed),
		TEST(test_agreeing_flow), TEST(test_looks_for_all),
		TEST(test_many_flows),    TEST(test_connections_of_before),
	};

	if (geteuid() != 0) {
		puts("SKIP: needs root for network namespaces");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
