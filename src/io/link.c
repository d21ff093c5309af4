/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notifications are applied one by one; a dump replaces everything, and is taken at the start,
 * when notifications were lost, and when they do not tell enough. Both end in the same place:
 * settle(), and one on_change() per wake-up.
 */
#include "io/link-internal.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* The kernel fills at most 32 kB per datagram of a dump; one notification is much smaller. */
#define BUFFER_SIZE (64U * 1024)
/* Starting some hundred containers at once makes thousands of notifications. */
#define RECEIVE_BUFFER_BYTES (8 * 1024 * 1024)
/* Others want to use the event loop as well. */
#define DATAGRAMS_PER_WAKEUP 2048
/* More than fits into the receive buffer. */
#define DATAGRAMS_TO_DROP (64 * 1024)
#define DUMP_ATTEMPTS 4
#define DUMP_TIMEOUT_S 10
/* A flood that outruns us leads to this many dumps per second at most, ... */
#define RESYNC_INTERVAL_US (100 * 1000ULL)
/* ... and a kernel that refuses them to this many. */
#define RETRY_INTERVAL_US (1000 * 1000ULL)

struct link_monitor {
	sd_event *event;
	struct link_callbacks callbacks;
	void *userdata;

	int fd;
	uint8_t *buffer;
	sd_event_source *io;
	sd_event_source *timer;

	struct link_state state;
	bool changed;
	bool lost;    /* what is kept may be wrong until the next dump */
	bool waiting; /* ... which the timer will start */
	bool shown_incomplete;
	bool full_logged;
	uint64_t last_resync_us;
};

/* ------------------------------------------------------------------ sockets */

static int open_netlink(int flags)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

/*
 * A host may hold the routes of the whole Internet, which change all day. Those that a decoder
 * would throw away anyway, because they lead through a gateway or to a single host, shall not
 * even wake us up. What replaces a route we have to see. Without the filter all works as well.
 */
static void filter_routes(int fd)
{
	/* Loads convert from network byte order, which netlink's headers are not in. */
	const uint16_t added = htons(RTM_NEWROUTE), deleted = htons(RTM_DELROUTE);
	const uint16_t replace = htons(NLM_F_REPLACE);
	const unsigned route = NLMSG_HDRLEN, attributes = NLMSG_SPACE(sizeof(struct rtmsg));
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, added, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, deleted, 0, 9),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, replace, 7, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, route + offsetof(struct rtmsg, rtm_dst_len)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 128, 5, 0),
		BPF_STMT(BPF_LD | BPF_IMM, attributes),
		BPF_STMT(BPF_LDX | BPF_IMM, RTA_GATEWAY),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_AD_OFF + SKF_AD_NLATTR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { N_ELEMENTS(code), code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		log_debug_errno(errno, "rtnetlink: no filter for routes, going on without: %m");
}

static int open_monitor(void)
{
	static const int groups[] = {
		RTNLGRP_LINK,
		RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV6_NETCONF,
	};
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	_cleanup_(closep) int fd = open_netlink(SOCK_NONBLOCK);
	const int bytes = RECEIVE_BUFFER_BYTES;

	if (fd < 0)
		return fd;
	/* Without an address of its own a socket hears nothing, whatever groups it is in. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Without CAP_NET_ADMIN in the initial user namespace the limit of net.core.rmem_max holds. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	filter_routes(fd);
	for (size_t i = 0; i < N_ELEMENTS(groups); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			return -errno;
	return steal_fd(&fd);
}

/* The length of one datagram from the kernel; 0: from somebody else, to be ignored. */
static ssize_t receive(int fd, uint8_t *buffer)
{
	struct sockaddr_nl from = {};
	struct iovec iov = { buffer, BUFFER_SIZE };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do
		n = recvmsg(fd, &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (from.nl_pid != 0)
		return 0;
	/* Cut off is as good as lost. */
	return msg.msg_flags & MSG_TRUNC ? -ENOBUFS : n;
}

/* --------------------------------------------------------------------- dump */

/*
 * The dump's own socket lives as long as the dump, so that what a failed one leaves behind is
 * never taken for an answer to the next. Blocking: the kernel prepares each part of a dump while
 * the one before is received, there is no waiting but for the kernel's locks.
 */
static int open_dump(void)
{
	_cleanup_(closep) int fd = open_netlink(0);
	const struct timeval timeout = { .tv_sec = DUMP_TIMEOUT_S };
	const int yes = 1;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	/* Makes the kernel look at the filter in the request's header; harmless where it cannot. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	return steal_fd(&fd);
}

enum dump_kind {
	DUMP_LINKS,
	DUMP_BRIDGES,
	DUMP_ADDRESSES,
	DUMP_ROUTES,
};

static void put_link_request(struct nlmsghdr *header, const char *kind)
{
	struct nlattr *linkinfo;

	header->nlmsg_type = RTM_GETLINK;
	(void)mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (kind) {
		linkinfo = mnl_attr_nest_start(header, IFLA_LINKINFO);
		mnl_attr_put_strz(header, IFLA_INFO_KIND, kind);
		mnl_attr_nest_end(header, linkinfo);
	}
}

static void put_address_request(struct nlmsghdr *header)
{
	struct ifaddrmsg *info;

	header->nlmsg_type = RTM_GETADDR;
	info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	info->ifa_family = AF_INET6;
}

static void put_route_request(struct nlmsghdr *header)
{
	struct rtmsg *info;

	header->nlmsg_type = RTM_GETROUTE;
	info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	info->rtm_family = AF_INET6;
	info->rtm_type = RTN_UNICAST;
}

static int request_dump(int fd, enum dump_kind kind, uint32_t sequence)
{
	uint8_t buffer[128] = {};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = sequence;
	switch (kind) {
	case DUMP_LINKS:
		put_link_request(header, NULL);
		break;
	case DUMP_BRIDGES:
		put_link_request(header, "bridge");
		break;
	case DUMP_ADDRESSES:
		put_address_request(header);
		break;
	case DUMP_ROUTES:
		put_route_request(header);
		break;
	}
	return send(fd, buffer, header->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The errno in NLMSG_DONE and NLMSG_ERROR alike. */
static int get_error(const struct nlmsghdr *header)
{
	int error;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(error))
		return header->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&error, mnl_nlmsg_get_payload(header), sizeof(error));
	return error < 0 ? error : 0;
}

static int apply_bytes(struct link_state *state, const struct nlmsghdr *header)
{
	struct rtnl_message message;

	/* What the kernel says and we cannot read is newer than we are: nothing to go by. */
	if (rtnl_decode(header, header->nlmsg_len, &message) <= 0)
		return 0;
	return link_state_apply(state, &message);
}

/* Adds one kind of object to *state. > 0: it changed meanwhile, the dump may lack something. */
static int dump(int fd, uint8_t *buffer, enum dump_kind kind, struct link_state *state)
{
	const uint32_t sequence = 1 + (uint32_t)kind;
	bool interrupted = false;
	int r = request_dump(fd, kind, sequence);

	while (r >= 0) {
		ssize_t length = receive(fd, buffer);
		int left = (int)length;

		if (length < 0)
			return length == -EAGAIN ? -ETIMEDOUT : (int)length;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != sequence)
				continue;
			interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				r = get_error(h);
				return r < 0 ? r : interrupted;
			}
			r = apply_bytes(state, h);
			if (r < 0)
				break;
		}
	}
	return r;
}

static int dump_all(uint8_t *buffer, struct link_state *ret)
{
	static const enum dump_kind kinds[] = { DUMP_LINKS, DUMP_ADDRESSES, DUMP_ROUTES };
	_cleanup_(closep) int fd = open_dump();
	_cleanup_(link_state_donep) struct link_state state = {};
	int interrupted = 0, r;

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		r = dump(fd, buffer, kinds[i], &state);
		if (r < 0)
			return r;
		interrupted |= r;
	}
	r = link_state_settle(&state);
	if (r < 0)
		return r;
	link_state_done(ret);
	*ret = state;
	state = (struct link_state){};
	return interrupted;
}

/* The bridges' own nf_call_ip6tables: RTM_NEWLINK comes for many changes, but not for this. */
static int dump_bridge_settings(struct link_monitor *m)
{
	_cleanup_(closep) int fd = open_dump();
	_cleanup_(link_state_donep) struct link_state fresh = {};
	int changed = 0, r;

	if (fd < 0)
		return fd;
	r = dump(fd, m->buffer, DUMP_BRIDGES, &fresh);
	if (r < 0)
		return r;
	vec_foreach (bridge, &fresh.links.links) {
		struct link *link = links_find(&m->state.links, bridge->ifindex);

		if (!link || link->nf_call_ip6tables == bridge->nf_call_ip6tables)
			continue;
		link->nf_call_ip6tables = bridge->nf_call_ip6tables;
		changed = 1;
	}
	return changed;
}

/* ------------------------------------------------------------------ monitor */

static uint64_t now_us(struct link_monitor *m)
{
	uint64_t now = 0;

	(void)sd_event_now(m->event, CLOCK_MONOTONIC, &now);
	return now;
}

static void resync_at(struct link_monitor *m, uint64_t when_us)
{
	int r = sd_event_source_set_time(m->timer, when_us);

	if (r >= 0)
		r = sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "rtnetlink: cannot arm the timer for the next dump: %m");
	m->waiting = r >= 0;
	/* Until then nothing is to be learnt from the rest of a flood. */
	if (m->waiting && m->lost)
		(void)sd_event_source_set_enabled(m->io, SD_EVENT_OFF);
}

static void note_loss(struct link_monitor *m)
{
	m->lost = true;
	m->state.links.complete = false;
}

/*
 * Throws away what is queued: notifications older than a loss would, after the dump, bring back
 * what has gone since. Only an empty queue makes the kernel accept new ones again.
 */
static bool empty_queue(struct link_monitor *m)
{
	for (unsigned i = 0; i < DATAGRAMS_TO_DROP; i++) {
		ssize_t n = receive(m->fd, m->buffer);

		if (n < 0 && n != -ENOBUFS)
			return true;
	}
	return false;
}

static void warn_if_full(struct link_monitor *m)
{
	if (m->state.full && !m->full_logged)
		log_warning("rtnetlink: too many on-link and default IPv6 routes, "
			    "going on without those beyond the limit");
	m->full_logged = m->state.full;
}

/* Reads everything again. 0, or what stood in the way; another attempt is then on its way. */
static int resync(struct link_monitor *m)
{
	_cleanup_(link_state_donep) struct link_state fresh = {};
	int r = 1;

	m->last_resync_us = now_us(m);
	(void)sd_event_source_set_enabled(m->io, SD_EVENT_ON);
	if (!empty_queue(m)) {
		resync_at(m, m->last_resync_us + RESYNC_INTERVAL_US);
		return -EAGAIN;
	}
	for (unsigned i = 0; i < DUMP_ATTEMPTS && r > 0; i++)
		r = dump_all(m->buffer, &fresh);
	if (r < 0) {
		resync_at(m, m->last_resync_us + RETRY_INTERVAL_US);
		return r;
	}
	m->changed |= link_state_replace(&m->state, &fresh) > 0;
	m->changed |= link_sysctl_read(&m->state.links) > 0;
	warn_if_full(m);
	m->lost = false;
	m->state.links.complete = true;
	m->changed |= m->shown_incomplete;
	m->shown_incomplete = false;
	if (r > 0) {
		/* Objects come and go faster than they can be listed. What was missed was there
		 * all the time; notifications keep the rest right until then. */
		log_debug("rtnetlink: dumps were interrupted, will read everything again");
		resync_at(m, m->last_resync_us + RETRY_INTERVAL_US);
		m->waiting = false; /* not if there is a better reason before */
	}
	return 0;
}

/* Reads everything again now, or soon if that was done a moment ago. */
static void resync_soon(struct link_monitor *m)
{
	uint64_t next_us = m->last_resync_us + RESYNC_INTERVAL_US;
	int r;

	if (now_us(m) < next_us) {
		resync_at(m, next_us);
		return;
	}
	r = resync(m);
	if (r < 0 && r != -EAGAIN)
		log_warning_errno(r, "rtnetlink: cannot read links and routes, will retry: %m");
}

/* The end of each wake-up. */
static void settle(struct link_monitor *m)
{
	int r = link_state_settle(&m->state);

	if (r < 0)
		note_loss(m);
	else
		m->changed |= r;
	if ((m->lost || m->state.stale) && !m->waiting)
		resync_soon(m);
	m->changed |= link_sysctl_complete(&m->state.links) > 0;
	warn_if_full(m);
	m->shown_incomplete |= !m->state.links.complete;

	if (!m->changed)
		return;
	m->changed = false;
	m->callbacks.on_change(m->userdata);
}

static void apply_datagram(struct link_monitor *m, size_t length)
{
	int left = (int)length, r;

	for (const struct nlmsghdr *h = (const struct nlmsghdr *)m->buffer; mnl_nlmsg_ok(h, left);
	     h = mnl_nlmsg_next(h, &left)) {
		r = apply_bytes(&m->state, h);
		if (r < 0)
			note_loss(m);
		else
			m->changed |= r;
	}
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct link_monitor *m = userdata;

	(void)source;
	(void)revents;
	for (unsigned i = 0; i < DATAGRAMS_PER_WAKEUP; i++) {
		ssize_t n = receive(fd, m->buffer);

		if (n == -EAGAIN)
			break;
		if (n == -ENOBUFS) {
			if (!m->lost)
				log_debug(
					"rtnetlink: messages were lost, reading everything again");
			note_loss(m);
		} else if (n < 0) {
			log_error_errno((int)n, "rtnetlink: cannot receive, will retry: %m");
			note_loss(m);
			break;
		} else if (!m->lost) {
			apply_datagram(m, (size_t)n);
		}
	}
	settle(m);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct link_monitor *m = userdata;

	(void)source;
	(void)usec;
	m->waiting = false;
	m->state.stale = true;
	settle(m);
	return 0;
}

static int attach(struct link_monitor *m)
{
	int r;

	r = sd_event_add_io(m->event, &m->io, m->fd, EPOLLIN, on_readable, m);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(m->io, "rtnetlink");
	r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, 0, 10 * 1000, on_timer, m);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(m->timer, "rtnetlink-resync");
	return sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
}

int link_monitor_new(sd_event *event, const struct link_callbacks *callbacks, void *userdata,
		     struct link_monitor **ret)
{
	_cleanup_(link_monitor_freep) struct link_monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->event = sd_event_ref(event);
	m->callbacks = *callbacks;
	m->userdata = userdata;
	m->fd = open_monitor();
	if (m->fd < 0)
		return m->fd;
	m->buffer = malloc(BUFFER_SIZE);
	if (!m->buffer)
		return -ENOMEM;
	r = attach(m);
	if (r >= 0)
		r = resync(m);
	if (r < 0)
		return r;
	r = link_state_settle(&m->state);
	if (r < 0)
		return r;
	(void)link_sysctl_complete(&m->state.links);
	m->changed = false;
	*ret = steal_ptr(&m);
	return 0;
}

struct link_monitor *link_monitor_free(struct link_monitor *m)
{
	if (!m)
		return NULL;
	sd_event_source_disable_unref(m->io);
	sd_event_source_disable_unref(m->timer);
	m->fd = close_fd(m->fd);
	link_state_done(&m->state);
	free(m->buffer);
	sd_event_unref(m->event);
	free(m);
	return NULL;
}

struct links *link_monitor_links(struct link_monitor *m)
{
	return &m->state.links;
}

int link_read_sysctls(struct link_monitor *m)
{
	int changed = dump_bridge_settings(m);

	if (changed < 0) {
		log_warning_errno(changed, "rtnetlink: cannot read settings of bridges, "
					   "going on with those of before: %m");
		changed = 0;
	}
	return link_sysctl_read(&m->state.links) | changed;
}

int link_read_br_netfilter(struct link_monitor *m)
{
	return link_sysctl_read_br_netfilter(&m->state.links);
}

int link_monitor_set_receive_buffer(struct link_monitor *m, int bytes)
{
	return setsockopt(m->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0 ? -errno : 0;
}
