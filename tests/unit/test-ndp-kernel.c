/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io/ndp on a real kernel: frames over a veth pair, in a network namespace that ends with the
 * process. v0 is the uplink, v1 the other end of the wire, where the kernel does not speak IPv6.
 */
#include "io/ndp-internal.h"
#include "kernel.h"
#include "nd-cases.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define PATIENCE_US (5 * 1000 * 1000ULL)
/* How long silence has to last to be believed. */
#define SILENCE_US (30 * 1000ULL)
#define MS 1000ULL

static struct fixture {
	sd_event *event;
	struct ndp *ndp;
	unsigned n_changes;
	int wire;             /* a packet socket on v1 */
	struct ndp_plan plan; /* the next one */
} world;

static void on_change(void *userdata)
{
	struct fixture *f = userdata;

	f->n_changes++;
}

/* --------------------------------------------------------------------- wire */

static int open_wire(void)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IPV6),
		.sll_ifindex = (int)if_nametoindex("v1"),
	};
	const int yes = 1, bytes = 16 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void add_link(void)
{
	run("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 "
	    "address 02:00:00:00:00:0a");
	run("echo 1 >/proc/sys/net/ipv6/conf/v1/disable_ipv6 && ip link set v0 up && "
	    "ip link set v1 up");
	/* Before the kernel has noticed that both are up, it drops what is sent. */
	run("until ip link show v0 | grep -q 'state UP'; do sleep 0.02; done");
	world.wire = open_wire();
}

static void send_frame(const struct nd_frame *f)
{
	assert_int_equal(send(world.wire, f->bytes, f->size, 0), f->size);
}

static void ask(const struct nd_case *c)
{
	struct nd_frame f;

	nd_build(c, &f);
	send_frame(&f);
}

static void ask_for(const char *target)
{
	const struct nd_case c = { .target = target, WITH(ND_SLLA) };

	ask(&c);
}

/* Somebody else, who has ND_OTHER_MAC, says that the target is his. */
static void claim(const char *target)
{
	struct nd_advertisement a = {
		.source = nd_address(target),
		.destination = nd_address("ff02::1"),
		.target = nd_address(target),
		.override = true,
	};
	struct nd_frame f = { .size = ND_ADVERTISEMENT_SIZE };

	memcpy(a.mac, ND_OTHER_MAC, 6);
	memcpy(a.ethernet_source, ND_OTHER_MAC, 6);
	nd_multicast_mac(&a.destination, a.ethernet_destination);
	nd_encode_advertisement(&a, f.bytes);
	send_frame(&f);
}

/* The next frame from the responder of this ICMPv6 type, within the time; false: none came. */
static bool receive(int type, struct nd_frame *ret, uint64_t patience_us)
{
	const uint64_t end = now_us() + patience_us;

	for (;;) {
		ssize_t n = recv(world.wire, ret->bytes, sizeof(ret->bytes), 0);

		if (n > 0) {
			ret->size = (size_t)n;
			if (nd_type(ret->bytes, ret->size) == type)
				return true;
			continue;
		}
		if (now_us() > end)
			return false;
		assert_true(sd_event_run(world.event, 1 * MS) >= 0);
	}
}

static void spin(uint64_t us)
{
	spin_event(world.event, us);
}

#define expect(condition) expect_event(world.event, PATIENCE_US, condition)

static void drain(void)
{
	uint8_t byte;

	while (recv(world.wire, &byte, 1, 0) > 0)
		;
}

static void expect_silence(void)
{
	struct nd_frame f;

	if (receive(136, &f, SILENCE_US))
		fail_msg("an advertisement");
}

/* What an advertisement says, as text: flags, target, who is asked and told, MACs. */
struct told {
	char flags[4];
	char target[INET_ADDR_TEXT], source[INET_ADDR_TEXT], destination[INET_ADDR_TEXT];
	uint8_t to[6], from[6], mac[6];
};

static void read_told(const struct nd_frame *f, struct told *ret)
{
	struct in6_addr target, source, destination;

	assert_int_equal(f->size, ND_ADVERTISEMENT_SIZE);
	assert_int_equal(nd_parse_advertisement(f->bytes, f->size, &target, ret->mac), 1);
	assert_int_equal(f->bytes[78], 2); /* the option is there */
	memcpy(&source, f->bytes + 22, 16);
	memcpy(&destination, f->bytes + 38, 16);
	memcpy(ret->to, f->bytes, 6);
	memcpy(ret->from, f->bytes + 6, 6);
	for (int i = 0; i < 3; i++)
		ret->flags[i] = f->bytes[58] & 0x80 >> i ? "RSO"[i] : '-';
	ret->flags[3] = '\0';
	(void)inet_format(&target, ret->target);
	(void)inet_format(&source, ret->source);
	(void)inet_format(&destination, ret->destination);
}

static void expect_told(struct told *ret)
{
	struct nd_frame f;

	if (!receive(136, &f, PATIENCE_US))
		fail_msg("no advertisement");
	read_told(&f, ret);
}

static void expect_answer(const char *target, const char *flags)
{
	struct told told;

	expect_told(&told);
	assert_string_equal(told.target, target);
	assert_string_equal(told.flags, flags);
}

/* --------------------------------------------------------------------- plan */

static struct ndp_interface *add_interface(const char *name)
{
	struct ndp_interface *i = vec_add(&world.plan.interfaces);
	struct ifreq request = { 0 };

	if (!i)
		abort();
	(void)snprintf(i->name, sizeof(i->name), "%s", name);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	i->ifindex = (int)if_nametoindex(name);
	i->up = true;
	assert_int_equal(ioctl(world.wire, SIOCGIFHWADDR, &request), 0);
	memcpy(i->mac, request.ifr_hwaddr.sa_data, 6);
	return i;
}

static struct ndp_interface *get_interface(void)
{
	return world.plan.interfaces.n > 0 ? &world.plan.interfaces.items[0] : add_interface("v0");
}

static void add_target(const char *address)
{
	struct ndp_interface *i = get_interface();
	struct ndp_target *t = vec_add(&i->targets);

	assert_non_null(t);
	t->address = nd_address(address);
	vec_sort(&i->targets, ndp_target_compare);
}

static void add_rule(const char *prefix)
{
	struct ndp_rule *r = vec_add(&get_interface()->rules);

	assert_non_null(r);
	assert_int_equal(inet_prefix_parse(prefix, &r->prefix), 0);
}

static void add_own(const char *address)
{
	struct in6_addr *a = vec_add(&get_interface()->own);

	assert_non_null(a);
	*a = nd_address(address);
}

static int apply(void)
{
	return ndp_apply(world.ndp, &world.plan);
}

static struct ndp_counters counters(void)
{
	struct status_ndps statuses = { 0 };
	struct ndp_counters c;

	assert_int_equal(ndp_status(world.ndp, &statuses), 0);
	assert_true(statuses.n > 0);
	c = statuses.items[0].counters;
	status_ndps_done(&statuses);
	return c;
}

static size_t n_current(void)
{
	struct ndp_plan plan = { 0 };
	size_t n = 0;

	assert_int_equal(ndp_current(world.ndp, &plan), 0);
	vec_foreach (i, &plan.interfaces)
		n += i->targets.n;
	ndp_plan_done(&plan);
	return n;
}

/* One target, not announced, and its probes over. */
static void settle_target(const char *address)
{
	add_target(address);
	assert_int_equal(apply(), 1);
	spin(2300 * MS);
	drain();
}

static int set_up(void **state)
{
	static const struct ndp_callbacks callbacks = { .on_change = on_change };

	(void)state;
	if (!enter_namespace())
		return 0;
	world = (struct fixture){ .wire = -1 };
	run("ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode");
	add_link();
	assert_true(sd_event_new(&world.event) >= 0);
	assert_int_equal(ndp_new(world.event, &callbacks, &world, &world.ndp), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (!world.ndp)
		return 0;
	world.ndp = ndp_free(world.ndp);
	ndp_plan_done(&world.plan);
	world.event = sd_event_unref(world.event);
	world.wire = close_fd(world.wire);
	return 0;
}

#define need_namespace()        \
	do {                    \
		(void)state;    \
		if (!world.ndp) \
			skip(); \
	} while (0)

/* ---------------------------------------------------------------- answering */

static void expect_answer_to(const struct nd_case *c)
{
	const bool dad = c->source && strcmp(c->source, "::") == 0;
	const char *destination = c->source ? c->source : ND_ASKER;
	struct told told;

	expect_told(&told);
	assert_string_equal(told.flags, dad ? "R--" : "RS-");
	assert_string_equal(told.target, ND_TARGET);
	assert_string_equal(told.source, ND_TARGET);
	assert_string_equal(told.destination, dad ? "ff02::1" : destination);
	assert_memory_equal(told.to, dad ? "\x33\x33\0\0\0\x01" : ND_ASKER_MAC, 6);
	assert_memory_equal(told.from, ND_OUR_MAC, 6);
	assert_memory_equal(told.mac, ND_OUR_MAC, 6);
}

/* By address, the kernel tells malformed solicitations for others from nothing else. */
static enum ndp_drop get_reason(const struct nd_case *c, bool exact)
{
	return exact && c->target ? NDP_DROP_UNKNOWN : c->drop;
}

static void check_case(const struct nd_case *c, bool exact)
{
	const struct ndp_counters before = counters();
	struct ndp_counters after;

	ask(c);
	if (c->drop == NDP_DROP_NONE && !c->beyond_kernel)
		expect_answer_to(c);
	else
		expect_silence();
	after = counters();
	if (after.solicitations != before.solicitations + !c->beyond_kernel)
		fail_msg("%s: %s", c->name, c->beyond_kernel ? "came" : "did not come");
	for (int d = 1; d < _NDP_DROP_MAX; d++)
		if (after.dropped[d] !=
		    before.dropped[d] + (d == (int)get_reason(c, exact) && !c->beyond_kernel))
			fail_msg("%s: %s is wrong", c->name, ndp_drop_to_string((enum ndp_drop)d));
}

static bool is_exact(void)
{
	return world.ndp->uplinks.items[0].uplink->filter.targets_fd >= 0;
}

static void check_all_cases(bool exact)
{
	if (exact != is_exact()) {
		print_message("bpf() is not to be had, or for everybody\n");
		skip();
	}
	for (size_t i = 0; i < N_ELEMENTS(nd_cases); i++)
		check_case(&nd_cases[i], exact);
	assert_int_equal(counters().dad, 2);
	assert_int_equal(counters().unicast, 2);
	assert_int_equal(counters().lost, 0);
}

/* The 33 cases and some more, through the kernel's filter: answered byte by byte, or silent and
 * counted with the right reason. */
static void test_cases_exact(void **state)
{
	need_namespace();
	settle_target(ND_TARGET);
	check_all_cases(true);
}

/* The same with the classic filter, which is what there is with a rule. */
static void test_cases_rule(void **state)
{
	need_namespace();
	add_rule("2001:db8:99::/64");
	settle_target(ND_TARGET);
	check_all_cases(false);
}

/* The same where bpf() is refused; and everything else does work without it. */
static void test_cases_without_bpf(void **state)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2], some[2];

	need_namespace();
	assert_int_equal(syscall(SYS_capget, &header, all), 0);
	memcpy(some, all, sizeof(all));
	some[0].effective &= ~(1U << CAP_SYS_ADMIN);
	some[1].effective &= ~(1U << (39 - 32)); /* CAP_BPF, since Linux 5.8 */
	add_target(ND_TARGET);
	assert_int_equal(syscall(SYS_capset, &header, some), 0);
	assert_int_equal(apply(), 1);
	assert_int_equal(syscall(SYS_capset, &header, all), 0);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
	spin(2300 * MS);
	drain();
	check_all_cases(false);
}

/* Nobody else's address, not the host's own even if it is a target, nor what comes from ourselves
 * or from an address of our own; a plan's end ends the answers. */
static void test_silence(void **state)
{
	const struct nd_case looped = { .ethernet_source = ND_OUR_MAC };
	const struct nd_case own = { .source = "2001:db8:1::1", WITH(ND_SLLA) };

	need_namespace();
	add_own("2001:db8:1::1");
	add_target("2001:db8:1::1");
	settle_target(ND_TARGET);
	assert_int_equal(n_current(), 1);
	ask_for("2001:db8:1::d1");
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_UNKNOWN], 1);
	ask_for("2001:db8:1::1");
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_OWN], 1);
	ask(&looped);
	ask(&own);
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_SOURCE], 2);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");

	assert_int_equal(apply(), 1); /* an empty plan */
	ask_for(ND_TARGET);
	expect_silence();
	assert_int_equal(apply(), 0);
}

/* Each asker gets its own answer, whoever asked first (ndppd answers the first one twice). */
static void test_two_askers(void **state)
{
	const struct nd_case other = {
		.source = "fe80::b",
		.ethernet_source = ND_OTHER_MAC,
		.options = "\x01\x01" ND_OTHER_MAC,
		.options_size = 8,
	};
	struct told told;

	need_namespace();
	settle_target(ND_TARGET);
	for (int i = 0; i < 3; i++) {
		ask_for(ND_TARGET);
		ask(&other);
		expect_told(&told);
		assert_string_equal(told.destination, ND_ASKER);
		expect_told(&told);
		assert_string_equal(told.destination, "fe80::b");
		assert_memory_equal(told.to, ND_OTHER_MAC, 6);
	}
}

/* Override and source as configured; without a link-local address the target stands in. */
static void test_settings(void **state)
{
	const struct nd_case unicast = { .destination = ND_TARGET, WITH(ND_SLLA) };
	struct told told;

	need_namespace();
	settle_target(ND_TARGET);

	world.plan.override = CONFIG_NDP_OVERRIDE_MULTICAST;
	world.plan.source = CONFIG_NDP_SOURCE_LINK_LOCAL;
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	ask_for(ND_TARGET);
	expect_told(&told);
	assert_string_equal(told.flags, "RSO");
	assert_string_equal(told.source, ND_TARGET);
	ask(&unicast);
	expect_answer(ND_TARGET, "RS-");

	world.plan.override = CONFIG_NDP_OVERRIDE_ALWAYS;
	world.plan.source = CONFIG_NDP_SOURCE_LINK_LOCAL;
	add_target(ND_TARGET);
	get_interface()->link_local = nd_address("fe80::1");
	assert_int_equal(apply(), 1);
	ask(&unicast);
	expect_told(&told);
	assert_string_equal(told.flags, "RSO");
	assert_string_equal(told.source, "fe80::1");

	world.plan.source = CONFIG_NDP_SOURCE_ADDRESS;
	world.plan.source_address = nd_address("2001:db8:1::5");
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	ask_for(ND_TARGET);
	expect_told(&told);
	assert_string_equal(told.source, "2001:db8:1::5");
}

/* A rule answers for any address of its prefix, but not for link-local ones, not for our own, not
 * against DAD, and not faster than it may. Targets beside it are not slowed down. */
static void test_rule(void **state)
{
	const struct nd_case dad = { .source = "::", .target = "2001:db8:1::77" };
	unsigned n = 0;
	struct nd_frame f;

	need_namespace();
	add_rule("2001:db8:1::/64");
	add_rule("fe80::/10");
	add_own("2001:db8:1::1");
	world.plan.rate_per_s = 10;
	settle_target(ND_TARGET);
	ask_for("2001:db8:1::77");
	expect_answer("2001:db8:1::77", "RS-");
	ask_for("2001:db8:2::77");
	ask_for("fe80::77");
	ask_for("2001:db8:1::1");
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_UNKNOWN], 2);
	assert_int_equal(counters().dropped[NDP_DROP_OWN], 1);
	ask(&dad);
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_DAD_RULE], 1);

	spin(1100 * MS);
	for (int i = 0; i < 50; i++)
		ask_for("2001:db8:1::77");
	while (receive(136, &f, SILENCE_US))
		n++;
	assert_in_range(n, 10, 12);
	assert_int_equal(counters().dropped[NDP_DROP_RATE], 50 - n);
	for (int i = 0; i < 50; i++)
		ask_for(ND_TARGET);
	for (int i = 0; i < 50; i++)
		expect_answer(ND_TARGET, "RS-");

	/* Gone with the next plan. */
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	ask_for("2001:db8:1::78");
	expect_silence();
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
}

/* ------------------------------------------------------------- announcements */

struct heard {
	unsigned probes, routers, nodes, others;
	uint64_t first_nodes_us, last_us;
};

static void note_heard(struct heard *h, const struct nd_frame *f, const char *target, uint64_t us)
{
	static const char *const groups[] = { "ff02::2", "ff02::1" };
	struct nd_solicitation s;
	struct told told;

	if (nd_type(f->bytes, f->size) == 135) {
		assert_int_equal(nd_parse(f->bytes, f->size, &s), NDP_DROP_NONE);
		assert_true(inet_is_zero(&s.source) && s.nonce != 0);
		h->probes++;
		return;
	}
	if (nd_type(f->bytes, f->size) != 136)
		return;
	read_told(f, &told);
	if (target && strcmp(target, told.target) != 0) {
		h->others++;
		return;
	}
	if (strcmp(told.destination, groups[0]) == 0) {
		assert_string_equal(told.flags, "R--");
		assert_memory_equal(told.to, "\x33\x33\0\0\0\x02", 6);
		h->routers++;
	} else {
		assert_string_equal(told.destination, groups[1]);
		assert_string_equal(told.flags, "R-O");
		assert_memory_equal(told.to, "\x33\x33\0\0\0\x01", 6);
		h->first_nodes_us = h->nodes++ ? h->first_nodes_us : us;
	}
	assert_memory_equal(told.mac, told.from, 6);
	h->last_us = us;
}

/* All that is said unasked in this time. */
static struct heard listen_for(uint64_t us, const char *target)
{
	const uint64_t start = now_us();
	struct heard h = { 0 };

	while (now_us() < start + us) {
		struct nd_frame f = { 0 };
		ssize_t n = recv(world.wire, f.bytes, sizeof(f.bytes), 0);

		f.size = n > 0 ? (size_t)n : 0;
		if (n > 0)
			note_heard(&h, &f, target, now_us() - start);
		else
			assert_true(sd_event_run(world.event, 1 * MS) >= 0);
	}
	return h;
}

/* A new target: routers three times, a second apart, everybody once, soon; two probes. One that
 * was there before is not announced again, and without Announce= there are the probes alone. */
static void test_announcements(void **state)
{
	struct heard h;

	need_namespace();
	world.plan.announce = true;
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	h = listen_for(2500 * MS, ND_TARGET);
	assert_int_equal(h.probes, 2);
	assert_int_equal(h.routers, 3);
	assert_int_equal(h.nodes, 1);
	assert_in_range(h.first_nodes_us, 40 * MS, 500 * MS);
	assert_in_range(h.last_us, 1900 * MS, 2400 * MS);
	assert_int_equal(counters().announcements, 4);

	world.plan.announce = true;
	add_target(ND_TARGET);
	assert_int_equal(apply(), 0);
	world.plan.announce = true;
	add_target(ND_TARGET);
	add_target("2001:db8:1::d1");
	assert_int_equal(apply(), 1);
	h = listen_for(500 * MS, "2001:db8:1::d1");
	assert_int_equal(h.routers + h.nodes, 2);
	assert_int_equal(h.others, 0);

	add_target("2001:db8:1::d2");
	assert_int_equal(apply(), 1);
	h = listen_for(1500 * MS, NULL);
	assert_int_equal(h.probes, 2);
	assert_int_equal(h.routers + h.nodes, 0);
}

/* With another MAC everybody is told at once, three times, and solicitations get it as well. */
static void test_other_mac(void **state)
{
	struct told told;
	struct heard h;

	need_namespace();
	world.plan.announce = true;
	settle_target(ND_TARGET);
	run("ip link set v0 address 02:00:00:00:00:02");
	world.plan.announce = true;
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	expect_told(&told);
	assert_string_equal(told.flags, "R-O");
	assert_memory_equal(told.mac, "\x02\0\0\0\0\x02", 6);
	assert_memory_equal(told.from, "\x02\0\0\0\0\x02", 6);
	h = listen_for(2300 * MS, ND_TARGET);
	assert_int_equal(h.nodes, 2);
	assert_int_equal(h.routers + h.probes, 0);
	ask_for(ND_TARGET);
	expect_told(&told);
	assert_memory_equal(told.mac, "\x02\0\0\0\0\x02", 6);
}

/* Told by Linux since 5.19 and ip since 5.19 only. */
static void expect_all_multicast(bool on)
{
	run("link=$(ip -d link show v0); case $link in *allmulti*) ;; *) exit 0 ;; esac; "
	    "case $link in *'allmulti %d'*) ;; *) exit 1 ;; esac",
	    on);
}

/* Two thousand at once do not come as a burst; the groups stay below the cap, and what is
 * beyond is received all the same. */
static void test_many(void **state)
{
	unsigned most = 0;
	struct heard all = { 0 };

	need_namespace();
	world.plan.announce = true;
	for (unsigned i = 0; i < 2000; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "2001:db8:1::1:%x", i + 1);
		add_target(text);
	}
	assert_int_equal(apply(), 1);
	for (int i = 0; i < 60; i++) {
		struct heard h = listen_for(100 * MS, NULL);

		all.probes += h.probes;
		all.routers += h.routers;
		all.nodes += h.nodes;
		most = MAX_OF(most, h.probes + h.routers + h.nodes);
	}
	assert_int_equal(all.probes, 4000);
	assert_int_equal(all.routers, 6000);
	assert_int_equal(all.nodes, 2000);
	assert_in_range(most, 1, 3 * 25 * 16);
	run("test $(grep -c 'v0 .*ff02.*0001ff01' /proc/net/igmp6) -eq 256");
	expect_all_multicast(true);
	ask_for("2001:db8:1::1:7d0"); /* the last one */
	expect_answer("2001:db8:1::1:7d0", "RS-");

	/* Few again: all groups, nothing else. */
	world.plan.announce = true;
	add_target("2001:db8:1::1:7d0");
	assert_int_equal(apply(), 1);
	run("test $(grep -c 'v0 .*ff02.*0001ff01' /proc/net/igmp6) -eq 1");
	expect_all_multicast(false);
	assert_int_equal(apply(), 1);
	run("! grep -q 'v0 .*ff02.*0001ff01' /proc/net/igmp6");
}

/* ----------------------------------------------------------------- conflicts */

static bool has_conflict(void)
{
	const struct problems *p = ndp_problems(world.ndp);

	return p->n == 1 && p->items[0].code == PROBLEM_ADDRESS_CONFLICT &&
	       strstr(p->items[0].message, ND_TARGET) &&
	       strstr(p->items[0].message, "02:00:00:00:00:0b");
}

/* Somebody else answers the probe: silence, until a later probe finds the address free. */
static void test_conflict(void **state)
{
	struct nd_frame probe;

	need_namespace();
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-"); /* not waiting for the outcome */
	assert_int_equal(n_current(), 1);
	assert_true(counters().solicitations == 1);
	spin(10 * MS);
	claim(ND_TARGET);
	expect(has_conflict());
	assert_int_equal(world.n_changes, 1);
	assert_int_equal(n_current(), 0);
	ask_for(ND_TARGET);
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_UNKNOWN], 1);

	/* He still has it. */
	drain();
	assert_true(receive(135, &probe, PATIENCE_US));
	claim(ND_TARGET);
	spin(1200 * MS);
	assert_true(has_conflict());
	assert_int_equal(world.n_changes, 1);
	/* Now he is gone. */
	assert_true(receive(135, &probe, 2 * PATIENCE_US));
	expect(!has_conflict());
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
	assert_int_equal(world.n_changes, 2);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
}

/* A claim while all is settled starts a probe, and only an answer to that counts. The conflict
 * ends with the target. */
static void test_late_conflict(void **state)
{
	struct nd_frame probe;

	need_namespace();
	settle_target(ND_TARGET);
	claim(ND_TARGET);
	assert_true(receive(135, &probe, PATIENCE_US));
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
	spin(2300 * MS);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);

	drain();
	claim("2001:db8:1::d9"); /* nothing of ours */
	claim(ND_TARGET);
	assert_true(receive(135, &probe, PATIENCE_US));
	claim(ND_TARGET);
	expect(has_conflict());
	add_target("2001:db8:1::d1");
	assert_int_equal(apply(), 1);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
	assert_int_equal(world.n_changes, 1); /* ndp_apply() says it by itself */
}

/* Our own probe, come back from a loop of the link under another MAC, is neither a conflict nor
 * anybody's DAD; with another nonce it is DAD, and the address is defended. */
static void test_looped_probe(void **state)
{
	struct nd_frame probe;
	struct told told;

	need_namespace();
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	assert_true(receive(135, &probe, PATIENCE_US));
	assert_int_equal(probe.size, ND_PROBE_SIZE);
	memcpy(probe.bytes + 6, ND_OTHER_MAC, 6);
	send_frame(&probe);
	expect_silence();
	assert_int_equal(counters().dropped[NDP_DROP_SOURCE], 1);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);

	ask(&(const struct nd_case){ .source = "::", WITH(ND_NONCE) });
	expect_told(&told);
	assert_string_equal(told.flags, "R--");
	assert_int_equal(counters().dad, 1);
}

/* ----------------------------------------------------------------- interfaces */

/* How often the event loop has something to do within the time. */
static unsigned count_wakeups(uint64_t us)
{
	const uint64_t end = now_us() + us;
	unsigned n = 0;

	for (uint64_t now = now_us(); now < end; now = now_us()) {
		int r = sd_event_run(world.event, end - now);

		assert_true(r >= 0);
		n += r > 0;
	}
	return n;
}

/* Down without a word from the plan, and up again: no spinning, and answers again by itself. */
static void test_down_unnoticed(void **state)
{
	need_namespace();
	settle_target(ND_TARGET);
	run("ip link set v0 down");
	assert_in_range(count_wakeups(1000 * MS), 1, 10);
	assert_int_equal(n_current(), 0);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
	run("ip link set v0 up");
	expect(n_current() == 1);
	drain();
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
}

/* An answer that the kernel does not take is counted as that; an announcement is nobody's silence. */
static void test_send_fails(void **state)
{
	need_namespace();
	world.plan.announce = true;
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	expect(counters().announcements == 1);
	ask_for(ND_TARGET);
	run("ip link set v0 down");
	(void)usleep(100 * MS); /* the second step of the script is due */
	expect(counters().dropped[NDP_DROP_SEND] > 0);
	spin(50 * MS);
	assert_int_equal(counters().dropped[NDP_DROP_SEND], 1);
	assert_int_equal(counters().solicitations, 1);
	assert_int_equal(counters().advertisements, 0);
	assert_int_equal(counters().announcements, 1);
}

/* Down and up as the plan says; coming up is announced to everybody, three times. */
static void test_down_up(void **state)
{
	struct heard h;

	need_namespace();
	world.plan.announce = true;
	settle_target(ND_TARGET);
	world.plan.announce = true;
	add_target(ND_TARGET);
	get_interface()->up = false;
	assert_int_equal(apply(), 1);
	ask_for(ND_TARGET);
	expect_silence();
	assert_int_equal(count_wakeups(300 * MS), 0);
	assert_int_equal(n_current(), 0);
	world.plan.announce = true;
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	h = listen_for(2500 * MS, ND_TARGET);
	assert_int_equal(h.nodes, 3);
	assert_int_equal(h.probes, 2);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
	assert_int_equal(counters().advertisements, 1);
}

/* Deleted: no spinning. There again with another ifindex: the next plan has it, all works. */
static void test_recreated(void **state)
{
	int ifindex;

	need_namespace();
	settle_target(ND_TARGET);
	ifindex = (int)if_nametoindex("v0");
	run("ip link del v0");
	world.wire = close_fd(world.wire);
	assert_in_range(count_wakeups(1000 * MS), 1, 10);
	add_link();
	assert_int_not_equal(if_nametoindex("v0"), ifindex);
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
}

/* What is not Ethernet is a problem of its own and disturbs nobody. */
static void test_not_ethernet(void **state)
{
	need_namespace();
	(void)add_interface("lo");
	world.plan.interfaces.items[0].targets.n = 0;
	add_target("2001:db8:9::1"); /* on lo */
	(void)add_interface("v0");
	assert_non_null(vec_add(&world.plan.interfaces.items[1].targets));
	world.plan.interfaces.items[1].targets.items[0].address = nd_address(ND_TARGET);
	assert_int_equal(apply(), 1);
	assert_int_equal(ndp_problems(world.ndp)->n, 1);
	assert_int_equal(ndp_problems(world.ndp)->items[0].code, PROBLEM_UPLINK_NOT_ETHERNET);
	assert_int_equal(n_current(), 1);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
}

/* Without the right to open packet sockets that is said, and the next plan tries again. */
static void test_no_permission(void **state)
{
	need_namespace();
	add_target(ND_TARGET);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(apply(), 1);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(ndp_problems(world.ndp)->n, 1);
	assert_int_equal(ndp_problems(world.ndp)->items[0].code, PROBLEM_KERNEL_REFUSED);
	assert_int_equal(n_current(), 0);
	assert_int_equal(count_wakeups(500 * MS), 0);
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	assert_int_equal(ndp_problems(world.ndp)->n, 0);
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
}

/* --------------------------------------------------------------------- load */

/* Without what is mapped from files, whose pages come and go. */
static long resident_kib(void)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	return kib;
}

/* n solicitations in one system call or two, for addresses that were never asked for before. */
static void ask_unknown(struct nd_frame frames[static 64], uint32_t *serial)
{
	struct mmsghdr messages[64] = { 0 };
	struct iovec iov[64];

	for (unsigned i = 0; i < 64; i++) {
		struct nd_frame *f = &frames[i];

		++*serial;
		memcpy(f->bytes + 72, serial, sizeof(*serial));
		f->bytes[56] = f->bytes[57] = 0;
		*(uint16_t *)(void *)(f->bytes + 56) = htons(nd_checksum(f, 54));
		iov[i] = (struct iovec){ f->bytes, f->size };
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned sent = 0; sent < 64;) {
		int r = sendmmsg(world.wire, messages + sent, 64 - sent, 0);

		/* On a slow machine the socket is full of what was not delivered yet. */
		assert_true(r > 0 || errno == EAGAIN);
		sent += r > 0 ? (unsigned)r : 0;
	}
}

static void ask_for_many(uint32_t n)
{
	static struct nd_frame frames[64];
	uint32_t serial = 0;
	long before = 0;

	for (unsigned i = 0; i < 64; i++)
		nd_build(&(const struct nd_case){ .target = "2001:db8:1::d0:d0", WITH(ND_SLLA) },
			 &frames[i]);
	while (serial < n) {
		ask_unknown(frames, &serial);
		while (sd_event_run(world.event, 0) > 0)
			;
		if (serial == n / 1000 / 64 * 64)
			before = resident_kib(); /* everything was touched once */
	}
#ifdef __SANITIZE_ADDRESS__ /* whose own bookkeeping grows */
	(void)before;
#else
	assert_true(resident_kib() <= before);
#endif
	drain();
	ask_for(ND_TARGET);
	expect_answer(ND_TARGET, "RS-");
	assert_true(counters().solicitations >= n);
	assert_int_equal(counters().lost, 0);
}

/* A million addresses are asked for, as by a scan: nothing grows, and the target is answered. First
 * with a rule, so that none of them ends in the kernel's filter. */
static void test_million(void **state)
{
	/* In a virtual machine without KVM: a tenth of it. */
	const uint32_t n = getenv("IPV6NAT_SLOW_MACHINE") ? 100000 : 1000000;

	need_namespace();
	add_rule("2001:db8:7::/64");
	settle_target(ND_TARGET);
	ask_for_many(n);
	assert_true(counters().dropped[NDP_DROP_UNKNOWN] >= n);
	add_target(ND_TARGET);
	assert_int_equal(apply(), 1);
	ask_for_many(n);
	assert_true(counters().dropped[NDP_DROP_UNKNOWN] >= 2 * n);
}

static int on_other_work(sd_event_source *source, void *userdata)
{
	bool *done = userdata;

	(void)source;
	*done = true;
	return 0;
}

/* Until it is killed. */
static _Noreturn void flood(void)
{
	struct mmsghdr messages[64] = { 0 };
	struct nd_frame f;
	struct iovec iov;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	nd_build(&(const struct nd_case){ .target = ND_TARGET, WITH(ND_SLLA) }, &f);
	iov = (struct iovec){ f.bytes, f.size };
	for (unsigned i = 0; i < 64; i++) {
		messages[i].msg_hdr.msg_iov = &iov;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;)
		(void)sendmmsg(world.wire, messages, 64, 0);
}

/* However fast good solicitations come, other work has its turn, also if it comes after all that
 * brings facts. */
static void test_flood(void **state)
{
	pid_t children[4];

	need_namespace();
	settle_target(ND_TARGET);
	for (size_t i = 0; i < N_ELEMENTS(children); i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			flood();
	}
	expect(counters().advertisements > 10000);
	for (int i = 0; i < 50; i++) {
		const uint64_t before = counters().advertisements;
		sd_event_source *other = NULL;
		bool done = false;

		assert_true(sd_event_add_defer(world.event, &other, on_other_work, &done) >= 0);
		assert_true(sd_event_source_set_priority(other, NDP_EVENT_PRIORITY) >= 0);
		expect(done);
		sd_event_source_unref(other);
		/* one turn of the others, at most */
		assert_in_range(counters().advertisements - before, 0, 8 * NDP_BATCH);
		expect(counters().advertisements > before);
	}
	for (size_t i = 0; i < N_ELEMENTS(children); i++) {
		assert_int_equal(kill(children[i], SIGKILL), 0);
		assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
	}
}

/* What the kernel had to drop because we did not come to read it is counted. */
static void test_lost(void **state)
{
	need_namespace();
	settle_target(ND_TARGET);
	for (unsigned i = 0; i < 20000; i++)
		ask_for(ND_TARGET);
	assert_true(counters().lost > 0);
	expect(counters().lost + counters().advertisements == 20000);
}

int main(void)
{
#define kernel_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		kernel_test(test_cases_exact),
		kernel_test(test_cases_rule),
		kernel_test(test_cases_without_bpf),
		kernel_test(test_silence),
		kernel_test(test_two_askers),
		kernel_test(test_settings),
		kernel_test(test_rule),
		kernel_test(test_announcements),
		kernel_test(test_other_mac),
		kernel_test(test_many),
		kernel_test(test_conflict),
		kernel_test(test_late_conflict),
		kernel_test(test_looped_probe),
		kernel_test(test_down_unnoticed),
		kernel_test(test_send_fails),
		kernel_test(test_down_up),
		kernel_test(test_recreated),
		kernel_test(test_not_ethernet),
		kernel_test(test_no_permission),
		kernel_test(test_million),
		kernel_test(test_lost),
		kernel_test(test_flood),
	};

	log_set_level(LOG_ERR);
	return cmocka_run_group_tests_name("ndp-kernel", tests, NULL, NULL);
}
