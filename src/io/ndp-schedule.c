/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What we say unasked: announcements, and probes whether somebody else holds an address.
 *
 * Each target has its own place in a script; one timer walks over all of them and sends what is
 * due, some frames at a time. Walking costs microseconds and happens only while something is due.
 */
#include "io/ndp-internal.h"

#include "base/log.h"

#include <sys/random.h>

#define US_PER_MS 1000ULL
#define US_PER_S 1000000ULL

/* No more than 4,000 frames per second: switches and routers take multicast with their CPU. */
#define FRAMES_PER_TICK 16
#define TICK_US (4 * US_PER_MS)
/* Many at once are spread over this time each, and over a second at most. */
#define SPREAD_US (1 * US_PER_MS)
/* RETRANS_TIMER (RFC 4861 10) */
#define RETRANS_US US_PER_S
/* How long the holder of an address gets before we tell everybody that it is with us. */
#define GRACE_US (50 * US_PER_MS)

#define RETRY_FIRST_US (2 * US_PER_S)
#define RETRY_MAX_US (60 * US_PER_S)
/* Conflicts further apart than this have nothing to do with one another. */
#define CONFLICT_MEMORY_US (600 * US_PER_S)

/*
 * PROBE: a solicitation as for DAD (RFC 4862 5.4.2), with a nonce (RFC 7527).
 *
 * ROUTERS: an unsolicited advertisement to ff02::2 with O=0 (RFC 9131 4): makes routers create an
 * entry before the first packet needs it, and displaces nobody.
 *
 * NODES: an unsolicited advertisement to ff02::1 with O=1. RFC 4861 7.2.5: with O=0 a router that
 * knows another MAC for the address, because the container was on another host a moment ago,
 * merely distrusts it; it would go on sending there for DELAY_FIRST_PROBE_TIME and three probes,
 * 8 s. 7.2.6 and 7.2.8 allow O=1 here (they forbid it in solicited answers of a proxy). As O=1 may
 * displace a rightful owner too, he is asked first and has GRACE_US to defend his address.
 */
enum {
	PROBE = 1 << 0,
	ROUTERS = 1 << 1,
	NODES = 1 << 2,
};

struct step {
	unsigned send;
	uint64_t delay_us; /* until the next step; 0: there is none */
};

/* Unsolicited advertisements: MAX_NEIGHBOR_ADVERTISEMENT (3) of a kind, RETRANS_TIMER apart. */
static const struct step scripts[_NDP_SCRIPT_MAX][5] = {
	[NDP_SCRIPT_NEW] = {
		{ PROBE | ROUTERS, GRACE_US },
		{ NODES, RETRANS_US - GRACE_US },
		{ PROBE | ROUTERS, RETRANS_US },
		{ ROUTERS, 0 },
	},
	[NDP_SCRIPT_UP] = {
		{ PROBE, GRACE_US },
		{ NODES, RETRANS_US },
		{ PROBE | NODES, RETRANS_US },
		{ NODES, 0 },
	},
	[NDP_SCRIPT_MAC] = {
		{ NODES, RETRANS_US },
		{ NODES, RETRANS_US },
		{ NODES, 0 },
	},
	[NDP_SCRIPT_CHECK] = {
		{ PROBE, RETRANS_US },
		{ PROBE, RETRANS_US },
		{ 0, 0 },
	},
	[NDP_SCRIPT_RETRY] = {
		{ PROBE, RETRANS_US },
		{ 0, 0 },
	},
};

/* ------------------------------------------------------------------ sending */

static uint64_t random_below(uint64_t limit)
{
	uint64_t r = 0;

	/* Not a secret: if there are no random bytes yet, the jitter is missing, that is all. */
	if (limit == 0 || getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		return 0;
	return r % limit;
}

static void send_probe(struct ndp_uplink *u, const struct in6_addr *target,
		       struct ndp_target_state *state)
{
	state->nonce = 1 + random_below((1ULL << 48) - 1);
	nd_encode_probe(u->wanted.mac, target, state->nonce, ndp_batch_add(u, NDP_FRAME_PROBE));
}

static void send_announcement(struct ndp_uplink *u, const struct in6_addr *target, bool to_nodes)
{
	struct nd_advertisement a = {
		.source = ndp_choose_source(u, target),
		.destination = { .s6_addr = { 0xff, 0x02, [15] = to_nodes ? 0x01 : 0x02 } },
		.target = *target,
		.router = true,
		.override = to_nodes,
	};

	memcpy(a.ethernet_source, u->wanted.mac, sizeof(a.ethernet_source));
	memcpy(a.mac, u->wanted.mac, sizeof(a.mac));
	nd_multicast_mac(&a.destination, a.ethernet_destination);
	nd_encode_advertisement(&a, ndp_batch_add(u, NDP_FRAME_ANNOUNCEMENT));
}

static unsigned send_step(struct ndp_uplink *u, const struct in6_addr *target,
			  struct ndp_target_state *state, unsigned what)
{
	unsigned n = 0;

	if (what & PROBE) {
		send_probe(u, target, state);
		n++;
	}
	if (!u->ndp->settings.announce)
		return n;
	for (unsigned kind = ROUTERS; kind <= NODES; kind <<= 1)
		if (what & kind) {
			send_announcement(u, target, kind == NODES);
			n++;
		}
	return n;
}

/* ------------------------------------------------------------------ scripts */

static void start(struct ndp_target_state *state, enum ndp_script script, uint64_t when_us)
{
	state->script = script;
	state->step = 0;
	state->due_us = when_us;
	if (state->phase != NDP_SILENT && script != NDP_SCRIPT_MAC)
		state->phase = NDP_PROBING;
}

static void finish(struct ndp_uplink *u, const struct in6_addr *target,
		   struct ndp_target_state *state, uint64_t now_us)
{
	char text[INET_ADDR_TEXT];

	state->due_us = NDP_NEVER;
	if (state->phase == NDP_SILENT) {
		log_notice("%s: nobody else has %s any more, answering for it again",
			   u->wanted.name, inet_format(target, text));
		state->phase = NDP_SETTLED; /* not silent any more, in the eyes of start() */
		start(state, NDP_SCRIPT_NEW, now_us);
		ndp_update_problems(u->ndp);
		return;
	}
	state->script = NDP_SCRIPT_NONE;
	state->phase = NDP_SETTLED;
}

/* One step of one target. Returns the number of frames. */
static unsigned run_step(struct ndp_uplink *u, const struct in6_addr *target,
			 struct ndp_target_state *state, uint64_t now_us)
{
	const struct step *step = &scripts[state->script][state->step];
	unsigned n = send_step(u, target, state, step->send);

	if (step->delay_us == 0) {
		finish(u, target, state, now_us);
		return n;
	}
	state->step++;
	state->due_us = now_us + step->delay_us;
	return n;
}

static uint64_t spread(size_t n)
{
	return n > 1 ? random_below(MIN_OF(n * SPREAD_US, US_PER_S)) : 0;
}

void ndp_schedule_all(struct ndp_uplink *u, enum ndp_script script)
{
	const uint64_t now_us = ndp_now(u->ndp);
	const size_t n = u->wanted.targets.n;

	for (size_t i = 0; i < n; i++) {
		struct ndp_target_state *state = &u->states[i];

		if (state->phase == NDP_SILENT) {
			/* A new MAC does not free the address, a new link may. */
			if (script == NDP_SCRIPT_UP)
				start(state, NDP_SCRIPT_RETRY, now_us + spread(n));
			continue;
		}
		if (!state->known && script == NDP_SCRIPT_UP)
			start(state, NDP_SCRIPT_NEW, now_us + spread(n));
		else if (script == NDP_SCRIPT_MAC && state->phase == NDP_PROBING)
			start(state, NDP_SCRIPT_UP, now_us + spread(n));
		else
			start(state, script, now_us + spread(n));
		state->known = true;
	}
}

void ndp_schedule_new(struct ndp_uplink *u)
{
	const uint64_t now_us = ndp_now(u->ndp);
	size_t n = 0;

	for (size_t i = 0; i < u->wanted.targets.n; i++)
		n += !u->states[i].known;
	for (size_t i = 0; n > 0 && i < u->wanted.targets.n; i++) {
		if (u->states[i].known)
			continue;
		start(&u->states[i], NDP_SCRIPT_NEW, now_us + spread(n));
		u->states[i].known = true;
	}
}

/* ---------------------------------------------------------------- conflicts */

/*
 * Two that claim the same address at the same time silence each other, as DAD does (RFC 4862
 * 5.4.3). By the jitter one of them is back first, and the other one's retry finds him.
 */
static void silence(struct ndp_uplink *u, struct ndp_target_state *state,
		    const uint8_t mac[static 6])
{
	const uint64_t now_us = ndp_now(u->ndp);
	const bool news = state->phase != NDP_SILENT || memcmp(state->mac, mac, 6) != 0;
	uint64_t wait_us;

	if (now_us - state->conflict_us > CONFLICT_MEMORY_US)
		state->n_conflicts = 0;
	wait_us = state->n_conflicts < 5 ? RETRY_FIRST_US << state->n_conflicts : RETRY_MAX_US;
	if (state->n_conflicts < UINT8_MAX)
		state->n_conflicts++;
	state->conflict_us = now_us;
	state->phase = NDP_SILENT;
	memcpy(state->mac, mac, sizeof(state->mac));
	start(state, NDP_SCRIPT_RETRY, now_us + wait_us + random_below(wait_us / 4));
	if (news)
		ndp_update_problems(u->ndp);
}

/*
 * Only an answer to a probe silences, not any advertisement that somebody makes up; a claim at
 * another time is what starts a probe. Whoever lies to probes as well could take the address with
 * O=1 just as well: neighbour discovery is as safe as its link (RFC 4861 11.1).
 */
void ndp_schedule_claim(struct ndp_uplink *u, struct ndp_target_state *state,
			const uint8_t mac[static 6])
{
	switch (state->phase) {
	case NDP_PROBING:
		/* Before the first step nothing was asked. */
		if (state->step > 0)
			silence(u, state, mac);
		break;
	case NDP_SILENT:
		if (state->script == NDP_SCRIPT_RETRY && state->step > 0)
			silence(u, state, mac);
		break;
	case NDP_SETTLED:
		start(state, NDP_SCRIPT_CHECK, ndp_now(u->ndp));
		ndp_schedule_arm(u->ndp);
		break;
	}
}

/* -------------------------------------------------------------------- timer */

static void run_uplink(struct ndp_uplink *u, uint64_t now_us, unsigned *n_frames)
{
	const size_t n = u->wanted.targets.n;

	/* From where the last tick stopped, so that everybody's first step comes before anybody's
	 * second. */
	for (size_t i = 0; i < n && *n_frames < FRAMES_PER_TICK; i++) {
		if (u->cursor >= n)
			u->cursor = 0;
		if (u->states[u->cursor].due_us <= now_us)
			*n_frames += run_step(u, &u->wanted.targets.items[u->cursor].address,
					      &u->states[u->cursor], now_us);
		u->cursor++;
	}
	ndp_batch_flush(u);
}

static uint64_t next_of_uplink(const struct ndp_uplink *u)
{
	uint64_t next_us = u->reopen_us;

	if (!ndp_uplink_is_open(u))
		return next_us;
	for (size_t i = 0; i < u->wanted.targets.n; i++)
		next_us = MIN_OF(next_us, u->states[i].due_us);
	return next_us;
}

void ndp_schedule_arm(struct ndp *n)
{
	uint64_t next_us = NDP_NEVER;
	int r;

	vec_foreach (ref, &n->uplinks)
		next_us = MIN_OF(next_us, next_of_uplink(ref->uplink));
	if (next_us == NDP_NEVER) {
		(void)sd_event_source_set_enabled(n->timer, SD_EVENT_OFF);
		return;
	}
	r = sd_event_source_set_time(n->timer, next_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(n->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		log_error_errno(r, "NDP: cannot arm the timer of announcements: %m");
}

int ndp_schedule_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ndp *n = userdata;
	const uint64_t now_us = ndp_now(n);
	unsigned n_frames = 0;
	bool changed = false;

	(void)usec;
	vec_foreach (ref, &n->uplinks) {
		if (ref->uplink->reopen_us <= now_us)
			changed |= ndp_uplink_open(ref->uplink) > 0;
		if (ndp_uplink_is_open(ref->uplink))
			run_uplink(ref->uplink, now_us, &n_frames);
	}
	if (changed)
		ndp_update_problems(n);
	ndp_schedule_arm(n);
	/* What is left waits for the next tick. */
	if (n_frames >= FRAMES_PER_TICK) {
		(void)sd_event_source_set_time(source, now_us + TICK_US);
		(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	return 0;
}
