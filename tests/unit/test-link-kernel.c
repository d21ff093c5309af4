/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io/link on a real kernel, in a network namespace of its own that ends with the process. */
#include "base/inet.h"
#include "base/own.h"
#include "io/link-internal.h"
#include "kernel.h"

#include <errno.h>
#include <linux/if_addr.h>

/* How long a change may take to arrive, and how long silence has to last to be believed. */
#define PATIENCE_US (20 * 1000 * 1000ULL)
#define SILENCE_US (getenv("IPV6NAT_SLOW_MACHINE") ? 600 * 1000ULL : 200 * 1000ULL)

static struct fixture {
	sd_event *event;
	struct link_monitor *monitor;
	struct links *links;
	unsigned n_changes;
} world;

static void on_change(void *userdata)
{
	struct fixture *f = userdata;

	f->n_changes++;
}

static struct link *find(const char *name)
{
	return links_find_name(world.links, name);
}

static void spin(uint64_t us)
{
	spin_event(world.event, us);
}

#define expect(condition) expect_event(world.event, PATIENCE_US, condition)

static int set_up(void **state)
{
	static const struct link_callbacks callbacks = { .on_change = on_change };

	(void)state;
	if (!enter_namespace())
		return 0;
	world = (struct fixture){};
	run("ip link set lo up");
	assert_true(sd_event_new(&world.event) >= 0);
	assert_int_equal(link_monitor_new(world.event, &callbacks, &world, &world.monitor), 0);
	world.links = link_monitor_links(world.monitor);
	return 0;
}

static void expect_same_link(const struct link *a, const struct link *b)
{
	assert_int_equal(a->ifindex, b->ifindex);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->up, b->up);
	assert_int_equal(a->hairpin, b->hairpin);
	assert_int_equal(a->master, b->master);
	assert_int_equal(a->is_bridge, b->is_bridge);
	assert_int_equal(a->nf_call_ip6tables, b->nf_call_ip6tables);
	assert_memory_equal(a->mac, b->mac, sizeof(a->mac));
	assert_int_equal(a->accept_ra, b->accept_ra);
	assert_int_equal(a->forwarding, b->forwarding);
	assert_int_equal(a->force_forwarding, b->force_forwarding);
	assert_int_equal(a->default_route, b->default_route);
	assert_int_equal(a->default_route_ra, b->default_route_ra);
	assert_int_equal(a->on_link.n, b->on_link.n);
	for (size_t i = 0; i < a->on_link.n; i++)
		assert_int_equal(inet_prefix_compare(&a->on_link.items[i], &b->on_link.items[i]),
				 0);
}

static bool has_same_address(const struct link *link, const struct link_address *wanted)
{
	vec_foreach (address, &link->addresses)
		if (inet_equal(&address->address, &wanted->address) &&
		    address->flags == wanted->flags &&
		    address->prefix_length == wanted->prefix_length)
			return true;
	return false;
}

/* The kernel lists tentative addresses, but does not announce them before they are settled. */
static void expect_same_addresses(const struct link *a, const struct link *b)
{
	vec_foreach (address, &a->addresses)
		assert_true((address->flags & IFA_F_TENTATIVE) || has_same_address(b, address));
	vec_foreach (address, &b->addresses)
		assert_true((address->flags & IFA_F_TENTATIVE) || has_same_address(a, address));
}

/* What was learnt from notifications is what a dump says. */
static void expect_same_as_dump(void)
{
	_cleanup_(link_monitor_freep) struct link_monitor *other = NULL;
	static const struct link_callbacks callbacks = { .on_change = on_change };
	const struct links *dumped;

	spin(SILENCE_US);
	assert_int_equal(link_monitor_new(world.event, &callbacks, &world, &other), 0);
	dumped = link_monitor_links(other);
	assert_true(world.links->complete);
	assert_int_equal(world.links->links.n, dumped->links.n);
	for (size_t i = 0; i < dumped->links.n; i++) {
		expect_same_link(&world.links->links.items[i], &dumped->links.items[i]);
		expect_same_addresses(&world.links->links.items[i], &dumped->links.items[i]);
	}
}

static int tear_down(void **state)
{
	(void)state;
	if (world.monitor)
		expect_same_as_dump();
	link_monitor_free(world.monitor);
	sd_event_unref(world.event);
	world = (struct fixture){};
	return 0;
}

#define need_namespace()            \
	do {                        \
		(void)state;        \
		if (!world.monitor) \
			skip();     \
	} while (0)

static bool has_address(const char *interface, const char *text)
{
	const struct link *link = find(interface);
	struct in6_addr a;

	assert_int_equal(inet_parse(text, &a), 0);
	if (link)
		vec_foreach (address, &link->addresses)
			if (inet_equal(&address->address, &a))
				return true;
	return false;
}

static bool has_prefix(const char *interface, const char *text)
{
	const struct link *link = find(interface);
	struct inet_prefix p;

	assert_int_equal(inet_prefix_parse(text, &p), 0);
	if (link)
		vec_foreach (prefix, &link->on_link)
			if (inet_prefix_compare(prefix, &p) == 0)
				return true;
	return false;
}

static bool is_uplink(const char *interface)
{
	const struct link *link = find(interface);

	return link && link->default_route;
}

/* A pair with carrier: v0 is ours, v1 plays the wire. */
static void add_pair(const char *name)
{
	run("ip link add %s type veth peer name %s-peer && ip link set %s-peer up && "
	    "ip link set %s up",
	    name, name, name, name);
	expect(find(name) && find(name)->up);
}

/* The world as it is at the start is there at once, complete, and without a callback. */
static void test_first_dump(void **state)
{
	need_namespace();
	assert_true(world.links->complete);
	assert_non_null(find("lo"));
	assert_true(has_address("lo", "::1"));
	assert_int_equal(find("lo")->on_link.n, 0);
	assert_int_equal(world.links->all_forwarding, 0);
	assert_int_equal(world.links->default_forwarding, 0);
	spin(SILENCE_US);
	assert_int_equal(world.n_changes, 0);
}

/* Links come, change state and address, and go; a name may come back with another ifindex. */
static void test_links(void **state)
{
	int ifindex;

	need_namespace();
	run("ip link add v0 type veth peer name v1");
	expect(find("v0") && find("v1"));
	assert_false(find("v0")->up);
	assert_int_equal(find("v0")->type, 1);
	run("ip link set v0 up");
	spin(SILENCE_US);
	assert_false(find("v0")->up); /* no carrier before its peer is up */
	run("ip link set v1 up");
	expect(find("v0")->up && find("v1")->up);
	run("ip link set v1 down");
	expect(!find("v0")->up && !find("v1")->up);

	run("ip link set v0 address 02:00:00:00:00:07");
	expect(find("v0")->has_mac && find("v0")->mac[5] == 7);

	ifindex = find("v0")->ifindex;
	run("ip link del v0");
	expect(!find("v0") && !find("v1"));
	run("ip link add v0 type veth peer name v1");
	expect(find("v0"));
	assert_int_not_equal(find("v0")->ifindex, ifindex);
}

/* A renamed link keeps its ifindex and all that is known about it. */
static void test_rename(void **state)
{
	int ifindex;

	need_namespace();
	add_pair("v0");
	run("ip addr add 2001:db8:1::1/64 dev v0 nodad");
	run("ip -6 route add default via 2001:db8:1::fe dev v0");
	expect(is_uplink("v0"));
	ifindex = find("v0")->ifindex;
	run("ip link set v0 down && ip link set v0 name up.link-0");
	expect(find("up.link-0"));
	assert_null(find("v0"));
	assert_int_equal(find("up.link-0")->ifindex, ifindex);
	run("ip link set up.link-0 up && ip addr add 2001:db8:1::1/64 dev up.link-0 nodad && "
	    "ip -6 route add default via 2001:db8:1::fe dev up.link-0");
	expect(is_uplink("up.link-0"));
	/* A dot in a name is fine in a path. */
	assert_int_equal(find("up.link-0")->forwarding, 0);
	assert_int_equal(find("up.link-0")->accept_ra, 1);
}

/* Ports join, change hairpin mode by either interface, leave and move; the link itself stays. */
static void test_bridge(void **state)
{
	need_namespace();
	run("ip link add b0 type bridge && ip link add b1 type bridge && ip link set b0 up");
	add_pair("v0");
	expect(find("b0") && find("b0")->is_bridge && !find("v0")->is_bridge);
	assert_int_equal(find("b0")->forwarding, 0);
	assert_int_equal(find("b0")->accept_ra, 1);
	run("ip link set v0 master b0");
	expect(find("v0")->master == find("b0")->ifindex);
	expect(find("b0")->up);
	run("bridge link set dev v0 hairpin on");
	expect(find("v0")->hairpin);
	run("bridge link set dev v0 hairpin off");
	expect(!find("v0")->hairpin);
	run("ip link set v0 type bridge_slave hairpin on");
	expect(find("v0")->hairpin);
	run("ip link set v0 master b1");
	expect(find("v0")->master == find("b1")->ifindex);
	spin(SILENCE_US);
	assert_false(find("v0")->hairpin);
	run("ip link set v0 nomaster");
	expect(find("v0")->master == 0);
	run("ip link set v0 master b0");
	expect(find("v0")->master == find("b0")->ifindex);
	run("ip link del b0");
	expect(!find("b0") && find("v0")->master == 0);

	/* The kernel does not announce it. */
	run("ip link set b1 type bridge nf_call_ip6tables 1");
	spin(SILENCE_US);
	assert_true(link_read_sysctls(world.monitor) > 0);
	assert_true(find("b1")->nf_call_ip6tables);
	run("ip link set b1 type bridge nf_call_ip6tables 0");
	assert_true(link_read_sysctls(world.monitor) > 0);
	assert_false(find("b1")->nf_call_ip6tables);
	assert_int_equal(link_read_sysctls(world.monitor), 0);
}

/* Addresses with flags, also after duplicate address detection, and with a peer. */
static void test_addresses(void **state)
{
	need_namespace();
	add_pair("v0");
	run("ip addr add 2001:db8:1::1/64 dev v0");
	expect(has_address("v0", "2001:db8:1::1"));
	assert_true(links_is_local(world.links, &find("v0")->addresses.items[0].address));
	expect(!(find("v0")->addresses.items[0].flags & IFA_F_TENTATIVE));
	run("ip addr add 2001:db8:2::1 peer 2001:db8:2::2/128 dev v0 nodad");
	expect(has_address("v0", "2001:db8:2::1"));
	assert_false(has_address("v0", "2001:db8:2::2"));
	run("ip addr del 2001:db8:1::1/64 dev v0");
	expect(!has_address("v0", "2001:db8:1::1"));
	run("ip link set v0 down");
	expect(find("v0")->addresses.n == 0);
}

/* Default routes of every kind make an uplink, and the last one's end ends that. */
static void test_default_routes(void **state)
{
	need_namespace();
	add_pair("v0");
	add_pair("v1");
	run("ip addr add 2001:db8:1::1/64 dev v0 nodad && ip addr add 2001:db8:2::1/64 dev v1 nodad");
	run("ip -6 route add default via 2001:db8:1::fe dev v0 metric 100");
	expect(is_uplink("v0"));
	assert_false(find("v0")->default_route_ra);
	assert_int_equal(find("v0")->accept_ra, 1);
	assert_int_equal(find("v0")->forwarding, 0);
	run("ip -6 route add default via 2001:db8:1::fd dev v0 metric 200 proto ra");
	expect(find("v0")->default_route_ra);
	run("ip -6 route del default dev v0 metric 100");
	spin(SILENCE_US);
	assert_true(is_uplink("v0"));
	run("ip -6 route del default dev v0 metric 200");
	expect(!is_uplink("v0"));
	assert_false(find("v0")->default_route_ra);
	assert_int_equal(find("v0")->accept_ra, 1);

	run("ip -6 route add default dev v1 table 51820");
	expect(is_uplink("v1"));
	run("ip -6 route flush table 51820");
	expect(!is_uplink("v1"));
	run("ip -6 route add blackhole default metric 9000");
	run("ip -6 route add default from 2001:db8:9::/48 via 2001:db8:2::fe dev v1");
	expect(is_uplink("v1"));
	run("ip link set v1 down");
	expect(!is_uplink("v1"));
}

/* All next hops of a multipath route count, one by one as they come and go. */
static void test_multipath(void **state)
{
	need_namespace();
	add_pair("v0");
	add_pair("v1");
	add_pair("v2");
	for (int i = 0; i < 3; i++)
		run("ip addr add 2001:db8:%d::1/64 dev v%d nodad", i, i);
	run("ip -6 route add default nexthop via 2001:db8:0::fe nexthop via 2001:db8:1::fe");
	expect(is_uplink("v0") && is_uplink("v1"));
	run("ip -6 route append default via 2001:db8:2::fe");
	expect(is_uplink("v2"));
	run("ip -6 route del default via 2001:db8:1::fe");
	expect(!is_uplink("v1"));
	assert_true(is_uplink("v0") && is_uplink("v2"));
	/* The dead next hop stays in the kernel and comes to life without a word. */
	run("ip link set v2 down");
	expect(!find("v2")->up);
	spin(SILENCE_US);
	assert_true(is_uplink("v0"));
	run("ip link set v2 up");
	expect(find("v2")->up);
	spin(2 * SILENCE_US);
	expect_same_as_dump();
	run("ip -6 route del default");
	expect(!is_uplink("v0"));
	run("ip -6 route flush default");
	expect(!is_uplink("v2"));
}

/* The kernel does not tell what a replaced route was. */
static void test_replace(void **state)
{
	need_namespace();
	add_pair("v0");
	add_pair("v1");
	run("ip addr add 2001:db8:0::1/64 dev v0 nodad && ip addr add 2001:db8:1::1/64 dev v1 nodad");
	run("ip -6 route add default via 2001:db8:0::fe dev v0");
	expect(is_uplink("v0"));
	run("ip -6 route replace default via 2001:db8:1::fe dev v1");
	expect(is_uplink("v1") && !is_uplink("v0"));
	run("ip -6 route replace default nexthop via 2001:db8:0::fe nexthop via 2001:db8:1::fe");
	expect(is_uplink("v0"));
	expect_same_as_dump();
	run("ip -6 route add 2001:db8:77::/48 dev v0 metric 5");
	expect(has_prefix("v0", "2001:db8:77::/48"));
	run("ip -6 route replace 2001:db8:77::/48 via 2001:db8:1::fe metric 5");
	expect_same_as_dump();
}

/* With skip_notify_on_dev_down routes go without a notification of their own. */
static void test_silent_routes(void **state)
{
	need_namespace();
	add_pair("v0");
	run("ip addr add 2001:db8:1::1/64 dev v0 nodad");
	run("ip -6 route add default via 2001:db8:1::fe dev v0");
	expect(is_uplink("v0"));
	assert_int_equal(link_write_sysctl("net/ipv6/route/skip_notify_on_dev_down", 1), 0);
	run("ip link set v0 down");
	expect(!is_uplink("v0") && find("v0")->on_link.n == 0);
	run("ip link set v0 up");
	spin(SILENCE_US);
	assert_false(is_uplink("v0"));
}

/* On-link is what routes say, not what address lengths say. */
static void test_on_link(void **state)
{
	need_namespace();
	add_pair("v0");
	run("ip addr add 2001:db8:1::1/64 dev v0 nodad");
	expect(has_prefix("v0", "2001:db8:1::/64"));
	run("ip addr add 2001:db8:2::1/64 dev v0 nodad noprefixroute");
	expect(has_address("v0", "2001:db8:2::1"));
	assert_false(has_prefix("v0", "2001:db8:2::/64"));
	run("ip -6 route add 2001:db8:3::/48 dev v0");
	expect(has_prefix("v0", "2001:db8:3::/48"));
	/* The same prefix with two metrics is listed once, and gone with the second. */
	run("ip -6 route add 2001:db8:3::/48 dev v0 metric 7");
	spin(SILENCE_US);
	assert_int_equal(find("v0")->on_link.n, 2);
	run("ip -6 route del 2001:db8:3::/48 dev v0 metric 7");
	spin(SILENCE_US);
	assert_true(has_prefix("v0", "2001:db8:3::/48"));
	run("ip -6 route del 2001:db8:3::/48 dev v0");
	expect(!has_prefix("v0", "2001:db8:3::/48"));
	/* Not on-link: through a gateway, other tables, single hosts, nowhere. */
	run("ip -6 route add 2001:db8:4::/64 via 2001:db8:1::fe");
	run("ip -6 route add 2001:db8:5::/64 dev v0 table 77");
	run("ip -6 route add 2001:db8:6::6/128 dev v0");
	run("ip -6 route add unreachable 2001:db8:7::/64 dev lo");
	run("ip addr add 2001:db8:8::1/64 dev v0 nodad");
	expect(has_prefix("v0", "2001:db8:8::/64"));
	assert_int_equal(find("v0")->on_link.n, 2);
}

/* The routes of a router, thousands of them, come and go and do not even wake us up. */
static void test_many_routes(void **state)
{
	need_namespace();
	/* No link-local addresses: their duplicate address detection would end in between. */
	assert_int_equal(link_write_sysctl("net/ipv6/conf/default/addr_gen_mode", 1), 0);
	add_pair("v0");
	run("ip addr add 2001:db8:1::1/64 dev v0 nodad");
	expect(has_prefix("v0", "2001:db8:1::/64"));
	spin(SILENCE_US);
	run("for i in $(seq 3000); do echo route add 2001:db9:$i::/48 via 2001:db8:1::fe dev v0; "
	    "echo route add 2001:dba::$i dev v0; done | ip -6 -batch -");
	assert_int_equal(sd_event_run(world.event, SILENCE_US), 0);
	run("for i in $(seq 3000); do echo route del 2001:db9:$i::/48 via 2001:db8:1::fe dev v0; "
	    "done | ip -6 -batch -");
	assert_int_equal(sd_event_run(world.event, SILENCE_US), 0);
	run("ip -6 route add 2001:db8:2::/64 dev v0");
	expect(has_prefix("v0", "2001:db8:2::/64"));
	run("ip -6 route replace 2001:db8:2::/64 via 2001:db8:1::fe dev v0");
	expect_same_as_dump();
}

static int count_uplinks(void)
{
	int n = 0;

	vec_foreach (link, &world.links->links)
		n += link->default_route;
	return n;
}

/* Forwarding is announced by the kernel; accept_ra is seen when settings are read again. */
static void test_settings(void **state)
{
	need_namespace();
	add_pair("v0");
	run("ip addr add 2001:db8:1::1/64 dev v0 nodad && ip link add b0 type bridge");
	run("ip -6 route add default via 2001:db8:1::fe dev v0");
	expect(count_uplinks() == 1 && find("b0"));
	assert_true(world.links->sysctl_writable);

	assert_int_equal(link_write_sysctl("net/ipv6/conf/all/forwarding", 1), 0);
	expect(world.links->all_forwarding == 1);
	expect(find("b0")->forwarding == 1 && find("v0")->forwarding == 1);
	assert_int_equal(world.links->default_forwarding, 1);
	assert_int_equal(link_write_sysctl("net/ipv6/conf/v0/forwarding", 0), 0);
	expect(find("v0")->forwarding == 0);

	spin(SILENCE_US);
	assert_int_equal(link_write_sysctl("net/ipv6/conf/v0/accept_ra", 2), 0);
	assert_true(link_read_sysctls(world.monitor) > 0);
	assert_int_equal(find("v0")->accept_ra, 2);
	assert_int_equal(link_read_sysctls(world.monitor), 0);

	/* Absent before Linux 6.17. */
	if (find("b0")->force_forwarding >= 0) {
		assert_int_equal(link_write_sysctl("net/ipv6/conf/b0/force_forwarding", 1), 0);
		(void)link_read_sysctls(world.monitor);
		assert_int_equal(find("b0")->force_forwarding, 1);
	}
}

/* Nothing but plain paths below /proc/sys is written to. */
static void test_write_refused(void **state)
{
	(void)state;
	assert_int_equal(link_write_sysctl("net/ipv6/../ipv4/ip_forward", 0), -EINVAL);
	assert_int_equal(link_write_sysctl("..", 0), -EINVAL);
	assert_int_equal(link_write_sysctl("./net", 0), -EINVAL);
	assert_int_equal(link_write_sysctl("/etc/hostname", 0), -EINVAL);
	assert_int_equal(link_write_sysctl("net//ipv6", 0), -EINVAL);
	assert_int_equal(link_write_sysctl("", 0), -EINVAL);
	assert_int_equal(link_write_sysctl("net/ipv6/conf/no-such/forwarding", 1), -ENOENT);
}

/* A read-only /proc/sys, as containers have it, is recognised, and the errno says so. */
static void test_read_only(void **state)
{
	int r;

	need_namespace();
	if (unshare(CLONE_NEWNS) < 0) {
		print_message("no mount namespace: %s\n", strerror(errno));
		skip();
	}
	run("mount --make-rprivate / && mount --bind /proc/sys /proc/sys && "
	    "mount -o remount,bind,ro /proc/sys");
	r = link_read_sysctls(world.monitor);
	assert_true(r > 0);
	assert_false(world.links->sysctl_writable);
	assert_int_equal(world.links->all_forwarding, 0);
	assert_int_equal(link_write_sysctl("net/ipv6/conf/all/forwarding", 1), -EROFS);
	run("umount /proc/sys");
	assert_true(link_read_sysctls(world.monitor) > 0);
}

/* One wake-up, one callback; what a plan cannot see is no change at all. */
static void test_coalescing(void **state)
{
	need_namespace();
	run("for i in 0 1 2 3 4 5 6 7 8 9; do echo link add d$i type bridge; done | ip -batch -");
	expect(find("d9"));
	assert_int_equal(world.n_changes, 1);
	spin(SILENCE_US);
	world.n_changes = 0;
	run("ip link set d0 mtu 1400 && ip link set d0 alias something");
	run("ip link set d0 up && ip -6 route add 2001:db8:4::/64 via fe80::1 dev d0 || true");
	spin(SILENCE_US);
	world.n_changes = 0;
	run("ip link set d0 mtu 1500; ip -6 route add 2001:db8:5::/64 via fe80::1 dev d0");
	run("ip -6 route replace 2001:db8:5::/64 via fe80::2 dev d0");
	spin(SILENCE_US);
	assert_int_equal(world.n_changes, 0);
}

/* Far more than fits into the receive buffer: messages are lost, the picture is right again. */
static void test_lost_messages(void **state)
{
	need_namespace();
	assert_int_equal(link_monitor_set_receive_buffer(world.monitor, 4096), 0);
	run("for i in $(seq 300); do echo link add f$i type veth peer name g$i; done | "
	    "ip -batch -");
	run("for i in $(seq 300); do echo link set f$i up; echo addr add 2001:db8:$i::1/64 dev f$i;"
	    "done | ip -batch -");
	run("ip -6 route add default via 2001:db8:300::2 dev f300");
	/* A handful of messages were kept, yet one wake-up and one callback tell it all. */
	assert_true(sd_event_run(world.event, PATIENCE_US) > 0);
	assert_int_equal(world.links->links.n, 601);
	assert_int_equal(world.n_changes, 1);
	expect(find("g300") && has_address("f300", "2001:db8:300::1") && is_uplink("f300"));
	expect(world.links->complete);
	assert_int_equal(world.links->links.n, 601);
	expect_same_as_dump();

	run("for i in $(seq 299); do echo link del f$i; done | ip -batch -");
	expect(world.links->links.n == 3 && world.links->complete);
}

/* Messages lost again and again while addresses come and go: the last word counts. */
static void test_flood(void **state)
{
	need_namespace();
	assert_int_equal(link_monitor_set_receive_buffer(world.monitor, 4096), 0);
	add_pair("v0");
	run("(for n in $(seq 20); do for i in $(seq 100); do echo addr add 2001:db8::$i dev v0 nodad;"
	    "done; for i in $(seq 100); do echo addr del 2001:db8::$i dev v0; done; done; "
	    "echo addr add 2001:db8::1 dev v0) | ip -batch - && ip link add last type bridge &");
	expect(find("last"));
	expect(world.links->complete);
	assert_true(has_address("v0", "2001:db8::1"));
	assert_false(has_address("v0", "2001:db8::2"));
}

int main(void)
{
#define kernel_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		kernel_test(test_first_dump),
		kernel_test(test_links),
		kernel_test(test_rename),
		kernel_test(test_bridge),
		kernel_test(test_addresses),
		kernel_test(test_default_routes),
		kernel_test(test_multipath),
		kernel_test(test_replace),
		kernel_test(test_silent_routes),
		kernel_test(test_on_link),
		kernel_test(test_many_routes),
		kernel_test(test_settings),
		kernel_test(test_coalescing),
		kernel_test(test_lost_messages),
		kernel_test(test_flood),
		kernel_test(test_read_only),
		cmocka_unit_test(test_write_refused),
	};

	log_set_level(LOG_WARNING);
	return cmocka_run_group_tests_name("link-kernel", tests, NULL, NULL);
}
