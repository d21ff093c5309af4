/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packet path: no allocation, no log, bounded work per wake-up. */
#include "io/ndp-internal.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <sys/epoll.h>
#include <time.h>

#define DEFAULT_RATE_PER_S 1000
#define US_PER_S 1000000ULL
/* Others want to use the event loop as well. */
#define BATCHES_PER_WAKEUP 8
/* After so many batches in a row one lets the next gather; a single asker waits for its answers. */
#define FLOOD_BATCHES 1
static const struct timespec gather = { .tv_nsec = 30000 };

int ndp_batch_new(struct ndp_batch **ret)
{
	struct ndp_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < NDP_BATCH; i++) {
		b->sent_iov[i] = (struct iovec){ b->sent_frames[i], ND_ADVERTISEMENT_SIZE };
		b->sent[i].msg_hdr.msg_iov = &b->sent_iov[i];
		b->sent[i].msg_hdr.msg_iovlen = 1;
	}
	*ret = b;
	return 0;
}

/* ------------------------------------------------------------------ sending */

static void count_sent(struct ndp_counters *c, enum ndp_frame_kind kind)
{
	switch (kind) {
	case NDP_FRAME_MULTICAST:
		c->advertisements++;
		break;
	case NDP_FRAME_UNICAST:
		c->advertisements++;
		c->unicast++;
		break;
	case NDP_FRAME_DAD:
		c->advertisements++;
		c->dad++;
		break;
	case NDP_FRAME_ANNOUNCEMENT:
		c->announcements++;
		break;
	case NDP_FRAME_PROBE:
		break;
	}
}

/* Reasons of silence are about solicitations: what nobody has asked for is not among them. */
static void count_unsent(struct ndp_counters *c, enum ndp_frame_kind kind)
{
	if (kind != NDP_FRAME_ANNOUNCEMENT && kind != NDP_FRAME_PROBE)
		c->dropped[NDP_DROP_SEND]++;
}

/*
 * A frame that the kernel does not take is lost, as it would be on any wire: who asks asks again.
 * If the interface is gone, the socket's receiving side is told as well, and acts on it.
 */
void ndp_batch_flush(struct ndp_uplink *u)
{
	struct ndp_batch *b = u->ndp->batch;
	size_t done = 0;

	while (done < b->n) {
		int r = sendmmsg(u->fd, b->sent + done, (unsigned)(b->n - done), MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			count_unsent(&u->counters, b->kinds[done++]);
		for (; r > 0; r--)
			count_sent(&u->counters, b->kinds[done++]);
	}
	b->n = 0;
}

uint8_t *ndp_batch_add(struct ndp_uplink *u, enum ndp_frame_kind kind)
{
	struct ndp_batch *b = u->ndp->batch;

	if (b->n == NDP_BATCH)
		ndp_batch_flush(u);
	b->kinds[b->n] = kind;
	return b->sent_frames[b->n++];
}

struct in6_addr ndp_choose_source(const struct ndp_uplink *u, const struct in6_addr *target)
{
	switch (u->ndp->settings.source) {
	case CONFIG_NDP_SOURCE_TARGET:
		break;
	case CONFIG_NDP_SOURCE_LINK_LOCAL:
		/* There may be none yet, or none at all; an answer is worth more than its source. */
		if (!inet_is_zero(&u->wanted.link_local))
			return u->wanted.link_local;
		break;
	case CONFIG_NDP_SOURCE_ADDRESS:
		return u->ndp->settings.source_address;
	}
	return *target;
}

static bool overrides(const struct ndp *n, const struct nd_solicitation *s)
{
	switch (n->settings.override) {
	case CONFIG_NDP_OVERRIDE_NEVER:
		return false;
	case CONFIG_NDP_OVERRIDE_MULTICAST:
		return s->multicast;
	case CONFIG_NDP_OVERRIDE_ALWAYS:
	case _CONFIG_NDP_OVERRIDE_MAX:
		break;
	}
	return true;
}

/* RFC 4861 7.2.4: to whom it may concern if nobody in particular asks, which is DAD. */
static void answer(struct ndp_uplink *u, const struct nd_solicitation *s)
{
	static const struct in6_addr all_nodes = { .s6_addr = { 0xff, 0x02, [15] = 0x01 } };
	const bool dad = inet_is_zero(&s->source);
	struct nd_advertisement a = {
		.source = ndp_choose_source(u, &s->target),
		.destination = dad ? all_nodes : s->source,
		.target = s->target,
		.router = true,
		.solicited = !dad,
		.override = overrides(u->ndp, s),
	};

	memcpy(a.ethernet_source, u->wanted.mac, sizeof(a.ethernet_source));
	memcpy(a.mac, u->wanted.mac, sizeof(a.mac));
	if (dad)
		nd_multicast_mac(&all_nodes, a.ethernet_destination);
	else
		memcpy(a.ethernet_destination, s->reply_mac, sizeof(a.ethernet_destination));
	nd_encode_advertisement(&a, ndp_batch_add(u, dad            ? NDP_FRAME_DAD
						     : s->multicast ? NDP_FRAME_MULTICAST
								    : NDP_FRAME_UNICAST));
}

/* ----------------------------------------------------------------- deciding */

static int compare_address(const void *a, const void *b)
{
	return inet_compare(a, b);
}

/*
 * Binary search: of 1,000 addresses one is found in some 50 ns, where the system calls for one
 * answer take 2 us. A hash would have nothing to win.
 */
struct ndp_target_state *ndp_find_target(struct ndp_uplink *u, const struct in6_addr *address)
{
	const struct ndp_target key = { *address };
	const struct ndp_target *found = vec_find(&u->wanted.targets, &key, ndp_target_compare);

	return found ? &u->states[found - u->wanted.targets.items] : NULL;
}

static bool is_own(const struct ndp_uplink *u, const struct in6_addr *address)
{
	return vec_find(&u->wanted.own, address, compare_address);
}

/* A token bucket that holds what may be answered in one second. */
static bool take_token(struct ndp_uplink *u)
{
	const uint32_t wish = u->ndp->settings.rate_per_s;
	const uint64_t rate = wish ? wish : DEFAULT_RATE_PER_S;
	const uint64_t now_us = ndp_now(u->ndp);
	const uint64_t passed_us = MIN_OF(now_us - u->tokens_us, US_PER_S);

	u->tokens = MIN_OF(u->tokens + passed_us * rate, rate * US_PER_S);
	u->tokens_us = now_us;
	if (u->tokens < US_PER_S)
		return false;
	u->tokens -= US_PER_S;
	return true;
}

/*
 * A rule claims addresses that nobody may have. To defend them all against DAD would keep every
 * other host of the prefix from getting an address (RFC 4862 5.4.3). RFC 4389 4.1.3.3: never for
 * link-local addresses.
 */
static enum ndp_drop decide_by_rules(struct ndp_uplink *u, const struct nd_solicitation *s)
{
	bool found = false;

	if (inet_is_link_local(&s->target))
		return NDP_DROP_UNKNOWN;
	vec_foreach (rule, &u->wanted.rules)
		found |= inet_prefix_contains(&rule->prefix, &s->target);
	if (!found)
		return NDP_DROP_UNKNOWN;
	if (inet_is_zero(&s->source))
		return NDP_DROP_DAD_RULE;
	return take_token(u) ? NDP_DROP_NONE : NDP_DROP_RATE;
}

static enum ndp_drop decide(struct ndp_uplink *u, const struct nd_solicitation *s)
{
	const struct ndp_target_state *state;

	if (memcmp(s->ethernet_source, u->wanted.mac, sizeof(u->wanted.mac)) == 0 ||
	    is_own(u, &s->source))
		return NDP_DROP_SOURCE;
	if (is_own(u, &s->target))
		return NDP_DROP_OWN;
	state = ndp_find_target(u, &s->target);
	if (!state)
		return decide_by_rules(u, s);
	/* RFC 7527 4.2: a probe of ours that comes back is a loop of the link, not somebody else. */
	if (inet_is_zero(&s->source) && s->nonce != 0 && s->nonce == state->nonce)
		return NDP_DROP_SOURCE;
	return state->phase == NDP_SILENT ? NDP_DROP_UNKNOWN : NDP_DROP_NONE;
}

/* ---------------------------------------------------------------- receiving */

static void handle_advertisement(struct ndp_uplink *u, const uint8_t *frame, size_t size)
{
	struct ndp_target_state *state;
	struct in6_addr target;
	uint8_t mac[6];

	if (nd_parse_advertisement(frame, size, &target, mac) <= 0)
		return;
	state = ndp_find_target(u, &target);
	if (state && !ndp_is_own_mac(u->ndp, mac))
		ndp_schedule_claim(u, state, mac);
}

static void handle_frame(struct ndp_uplink *u, const uint8_t *frame, size_t size)
{
	struct nd_solicitation s;
	enum ndp_drop drop;

	if (nd_type(frame, size) == ND_NEIGHBOR_ADVERT) {
		handle_advertisement(u, frame, size);
		return;
	}
	u->counters.solicitations++;
	drop = nd_parse(frame, size, &s);
	if (drop == NDP_DROP_NONE)
		drop = decide(u, &s);
	if (drop == NDP_DROP_NONE)
		answer(u, &s);
	else
		u->counters.dropped[drop]++;
}

/*
 * The next frame that the kernel has put into the ring, or NULL. A ring, as recvmmsg() takes a
 * fifth more time for each answer. Not TPACKET_V3: it waits for more before it wakes us up.
 */
static struct tpacket2_hdr *next_slot(struct ndp_uplink *u)
{
	struct tpacket2_hdr *slot = (void *)(u->ring + u->ring_next * NDP_SLOT_SIZE);

	if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return NULL;
	u->ring_next = (u->ring_next + 1) % NDP_RING_SLOTS;
	return slot;
}

static unsigned handle_batch(struct ndp_uplink *u)
{
	struct tpacket2_hdr *slot;
	unsigned n;

	for (n = 0; n < NDP_BATCH && (slot = next_slot(u)); n++) {
		handle_frame(u, (const uint8_t *)slot + slot->tp_mac, slot->tp_snaplen);
		__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
	ndp_batch_flush(u);
	return n;
}

int ndp_answer_on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct ndp_uplink *u = userdata;
	int error = 0;
	socklen_t length = sizeof(error);

	(void)source;
	/*
	 * More has come while the answers went out: to look costs less than to be woken up. If more
	 * goes on coming it is a flood, and a larger batch costs less for each answer.
	 */
	for (unsigned i = 0; i < BATCHES_PER_WAKEUP && handle_batch(u) > 0; i++)
		if (i >= FLOOD_BATCHES)
			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &gather, NULL);
	/* Such an error is told once, and clears itself: the interface may be up again by now. */
	if ((revents & EPOLLERR) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
	    error)
		ndp_uplink_fail(u, error);
	return 0;
}
