/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets of one uplink: frames, groups. They come and go with the interface. */
#include "io/ndp-internal.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/mman.h>

/* A multiple of any page size. */
#define RING_BLOCK_BYTES (64U * 1024)
#define RING_BYTES ((size_t)NDP_SLOT_SIZE * NDP_RING_SLOTS)
/*
 * Each group is an MLD report now and then, and an entry of a list that the kernel walks for each
 * multicast frame: 1,000 of them halve its own speed at neighbour discovery.
 */
#define GROUPS_MAX 256
#define BACKOFF_FIRST_US (100 * 1000ULL)
#define BACKOFF_MAX_US (60 * 1000 * 1000ULL)
/* What has worked for so long begins with the first back-off again. */
#define STABLE_US (10 * 1000 * 1000ULL)

struct ndp_uplink *ndp_uplink_new(struct ndp *n)
{
	struct ndp_uplink *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->ndp = n;
	u->fd = -1;
	u->groups_fd = -1;
	u->filter = (struct ndp_filter){ .targets_fd = -1, .counts_fd = -1 };
	u->reopen_us = NDP_NEVER;
	return u;
}

void ndp_uplink_free(struct ndp_uplink *u)
{
	if (!u)
		return;
	ndp_uplink_close(u);
	vec_done(&u->wanted.targets);
	vec_done(&u->wanted.rules);
	vec_done(&u->wanted.own);
	free(u->states);
	free(u);
}

/* ------------------------------------------------------------------- groups */

static int compare_group(const void *a, const void *b)
{
	return inet_compare(a, b);
}

struct groups {
	VEC_FIELDS(struct in6_addr);
};

static void groups_donep(struct groups *g)
{
	vec_done(g);
}

/* Those of all targets; several may share one, which has but the last 24 bits of the address. */
static int collect_groups(const struct ndp_uplink *u, struct groups *ret)
{
	size_t n = 0;

	vec_foreach (target, &u->wanted.targets) {
		struct in6_addr *group = vec_add(ret);

		if (!group)
			return -ENOMEM;
		nd_solicited_node(&target->address, group);
	}
	vec_sort(ret, compare_group);
	for (size_t i = 0; i < ret->n; i++)
		if (n == 0 || !inet_equal(&ret->items[n - 1], &ret->items[i]))
			ret->items[n++] = ret->items[i];
	ret->n = n;
	return 0;
}

/* RFC 4861 7.2.8 wants proxies to join; bridges with MLD snooping rely on the reports. */
static int change_membership(struct ndp_uplink *u, const struct in6_addr *group, int option)
{
	const struct ipv6_mreq request = { *group, (unsigned)u->wanted.ifindex };

	if (setsockopt(u->groups_fd, IPPROTO_IPV6, option, &request, sizeof(request)) < 0)
		return -errno;
	return 0;
}

/* 0, or what kept us from joining all that are wanted; u->groups is right in any case. */
static int change_groups(struct ndp_uplink *u, const struct groups *wanted)
{
	int r, error = 0;

	for (size_t i = u->groups.n; i-- > 0;) {
		if (vec_find(wanted, &u->groups.items[i], compare_group))
			continue;
		(void)change_membership(u, &u->groups.items[i], IPV6_DROP_MEMBERSHIP);
		vec_remove(&u->groups, i);
	}
	vec_foreach (group, wanted) {
		struct in6_addr *joined;

		if (vec_find(&u->groups, group, compare_group))
			continue;
		r = change_membership(u, group, IPV6_ADD_MEMBERSHIP);
		if (r < 0) {
			error = r;
			continue;
		}
		joined = vec_add(&u->groups);
		if (!joined) {
			(void)change_membership(u, group, IPV6_DROP_MEMBERSHIP);
			return -ENOMEM;
		}
		*joined = *group;
		vec_sort(&u->groups, compare_group);
	}
	return error;
}

static void set_all_multicast(struct ndp_uplink *u, bool on)
{
	const struct packet_mreq request = { .mr_ifindex = u->wanted.ifindex,
					     .mr_type = PACKET_MR_ALLMULTI };

	/* Counted by the kernel, and taken back by it when the socket goes. */
	if (on != u->all_multicast &&
	    setsockopt(u->fd, SOL_PACKET, on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP,
		       &request, sizeof(request)) == 0)
		u->all_multicast = on;
}

/*
 * The solicited-node groups of all targets; where that is not possible, or not reasonable, because
 * there are too many or because a rule may mean any group, every multicast frame of the link.
 */
static void follow_groups(struct ndp_uplink *u)
{
	_cleanup_(groups_donep) struct groups groups = { 0 };
	bool too_many;
	int r;

	r = collect_groups(u, &groups);
	if (r < 0)
		groups.n = 0;
	too_many = groups.n > GROUPS_MAX;
	groups.n = MIN_OF(groups.n, GROUPS_MAX);
	if (r >= 0 && u->groups_fd < 0) {
		u->groups_fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = u->groups_fd < 0 ? -errno : 0;
	}
	if (r >= 0)
		r = change_groups(u, &groups);
	set_all_multicast(u, r < 0 || too_many || u->wanted.rules.n > 0);
	if (r < 0 && !u->groups_logged)
		log_notice_errno(r,
				 "%s: cannot join all solicited-node groups, receiving all "
				 "multicast instead; switches with MLD snooping may not know: %m",
				 u->wanted.name);
	else if (too_many && !u->groups_logged)
		log_notice("%s: more than %d solicited-node groups, receiving all multicast for "
			   "the others; switches with MLD snooping may not know",
			   u->wanted.name, GROUPS_MAX);
	u->groups_logged = r < 0 || too_many;
}

/* ------------------------------------------------------------------- socket */

static int open_ring(int fd, uint8_t **ret)
{
	const struct tpacket_req request = {
		.tp_block_size = RING_BLOCK_BYTES,
		.tp_block_nr = RING_BYTES / RING_BLOCK_BYTES,
		.tp_frame_size = NDP_SLOT_SIZE,
		.tp_frame_nr = NDP_RING_SLOTS,
	};
	const int version = TPACKET_V2;
	void *ring;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return -errno;
	ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	*ret = ring;
	return 0;
}

static void close_ring(struct ndp_uplink *u)
{
	if (u->ring)
		(void)munmap(u->ring, RING_BYTES);
	u->ring = NULL;
	u->ring_next = 0;
}

/* > 0: it is there, and no Ethernet. */
static int bind_to_interface(int fd, int ifindex)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IPV6),
		.sll_ifindex = ifindex,
	};
	socklen_t length = sizeof(address);
	int error = 0;

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	if (address.sll_hatype != ARPHRD_ETHER)
		return 1;
	/* bind() does not mind an interface that is down, the first read does. */
	length = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return -error;
}

/*
 * Protocol 0: nothing is received before the filter is there, and bind() names the protocol. Of a
 * bridge or bond the master is what has the addresses, so it is the uplink; its ports would show
 * us nothing, as their frames are taken away before sockets for one protocol see them.
 */
static int open_socket(struct ndp_uplink *u)
{
	_cleanup_(closep) int fd = -1;
	int r;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = ndp_filter_open(&u->filter, fd);
	if (r >= 0)
		r = open_ring(fd, &u->ring);
	/* Since Linux 4.20; the filter does it as well, a little later. */
	(void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){ 1 }, sizeof(int));
	if (r >= 0)
		r = bind_to_interface(fd, u->wanted.ifindex);
	if (r != 0)
		return r;
	r = sd_event_add_io(u->ndp->event, &u->io, fd, EPOLLIN, ndp_answer_on_readable, u);
	if (r >= 0)
		r = sd_event_source_set_priority(u->io, NDP_EVENT_PRIORITY);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(u->io, "ndp");
	u->fd = steal_fd(&fd);
	return 0;
}

/* Down or gone: what netlink, and so the next plan, tells in a moment. */
static bool is_passing(int error)
{
	return error == ENETDOWN || error == ENODEV || error == ENXIO;
}

static void note_error(struct ndp_uplink *u, int error)
{
	const bool permission = error == EPERM || error == EACCES;

	if (is_passing(error))
		log_debug_errno(error, "%s: no neighbour solicitations for now: %m",
				u->wanted.name);
	else if (error != u->error)
		log_error_errno(error, "%s: cannot receive neighbour solicitations, %s: %m",
				u->wanted.name,
				permission ? "CAP_NET_RAW is needed" : "will retry");
	u->error = error;
	if (ndp_now(u->ndp) - u->opened_us > STABLE_US && u->opened_us != 0)
		u->backoff_us = 0;
	u->opened_us = 0;
	u->backoff_us =
		u->backoff_us ? MIN_OF(u->backoff_us * 2, BACKOFF_MAX_US) : BACKOFF_FIRST_US;
	/* Nobody gives us a capability later on. */
	u->reopen_us = permission ? NDP_NEVER : ndp_now(u->ndp) + u->backoff_us;
}

int ndp_uplink_open(struct ndp_uplink *u)
{
	const int error_before = u->error;
	const bool not_ethernet_before = u->not_ethernet;
	int r;

	if (ndp_uplink_is_open(u))
		return 0;
	u->reopen_us = NDP_NEVER;
	r = open_socket(u);
	u->not_ethernet = r > 0;
	if (r != 0) {
		u->io = sd_event_source_disable_unref(u->io);
		close_ring(u);
		ndp_filter_done(&u->filter);
	}
	if (r < 0) {
		note_error(u, -r);
	} else if (r > 0) {
		if (!not_ethernet_before)
			log_warning("%s is not an Ethernet interface, containers are not "
				    "announced there",
				    u->wanted.name);
	} else {
		u->error = 0;
		u->opened_us = ndp_now(u->ndp);
		ndp_uplink_follow(u);
		ndp_schedule_all(u, NDP_SCRIPT_UP);
	}
	return u->error != error_before || u->not_ethernet != not_ethernet_before;
}

void ndp_uplink_close(struct ndp_uplink *u)
{
	if (ndp_uplink_is_open(u))
		ndp_uplink_read_counters(u);
	u->io = sd_event_source_disable_unref(u->io);
	close_ring(u);
	u->fd = close_fd(u->fd);
	u->groups_fd = close_fd(u->groups_fd);
	ndp_filter_done(&u->filter);
	vec_done(&u->groups);
	u->all_multicast = false;
	u->reopen_us = NDP_NEVER;
}

void ndp_uplink_fail(struct ndp_uplink *u, int error)
{
	ndp_uplink_close(u);
	note_error(u, error);
	ndp_schedule_arm(u->ndp);
	ndp_update_problems(u->ndp);
}

void ndp_uplink_follow(struct ndp_uplink *u)
{
	if (!ndp_uplink_is_open(u))
		return;
	ndp_filter_follow(&u->filter, u->fd, &u->wanted);
	follow_groups(u);
}

void ndp_uplink_read_counters(struct ndp_uplink *u)
{
	struct tpacket_stats stats;
	socklen_t length = sizeof(stats);

	/* Reading sets the kernel's counter to zero. */
	if (getsockopt(u->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0)
		u->counters.lost += stats.tp_drops;
	ndp_filter_count(&u->filter, &u->counters);
}
