/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Shared by the parts of io/ndp: ndp (plan, status), ndp-uplink (sockets, groups), ndp-filter (what
 * the kernel drops for us), ndp-answer (the packet path), ndp-schedule (announcements, probes).
 */
#include "io/ndp.h"
#include "wire/nd.h"

#include <sys/socket.h>

/* Frames per system call. */
#define NDP_BATCH 64
/* Solicitations have 86 bytes, with the signatures of RFC 3971 some hundred more; what does not fit
 * is malformed. As many as 100,000 per second bring in 20 ms. */
#define NDP_SLOT_SIZE 1024
#define NDP_RING_SLOTS 2048
#define NDP_NEVER UINT64_MAX

enum ndp_phase {
	NDP_PROBING, /* answered; whoever else claims it now was there before us */
	NDP_SETTLED, /* answered; a claim by somebody else starts a probe */
	NDP_SILENT,  /* somebody else holds it */
};

/* What is sent for a target in the course of time: ndp-schedule.c has the steps of each. */
enum ndp_script {
	NDP_SCRIPT_NONE,
	NDP_SCRIPT_NEW,   /* a container has come */
	NDP_SCRIPT_UP,    /* the uplink has come up */
	NDP_SCRIPT_MAC,   /* the uplink has another MAC */
	NDP_SCRIPT_CHECK, /* somebody else claims a settled address */
	NDP_SCRIPT_RETRY, /* is the address free again? */
	_NDP_SCRIPT_MAX,
};

struct ndp_target_state {
	uint64_t due_us; /* of the next step, or NDP_NEVER */
	uint64_t nonce;  /* of the last probe */
	uint64_t conflict_us;
	enum ndp_phase phase;
	enum ndp_script script;
	uint8_t step;
	uint8_t n_conflicts; /* in short succession */
	bool known;          /* has been announced on this uplink */
	uint8_t mac[6];      /* NDP_SILENT: of the other holder */
};

/* What the kernel drops for us. */
struct ndp_filter_entries {
	VEC_FIELDS(struct ndp_filter_entry);
};
struct ndp_filter {
	int targets_fd; /* a map of what is answered; -1: none, everything comes to us */
	int counts_fd;  /* a map of what was dropped; -1: none yet */
	size_t n_max;   /* as many fit into the map */
	struct ndp_filter_entries entries; /* in the map; sorted */
	uint64_t counted[_NDP_DROP_MAX];   /* have been added to the counters */
	bool refused;
};

struct ndp_uplink {
	struct ndp *ndp;
	struct ndp_interface wanted;
	struct ndp_target_state *states; /* one for each of wanted.targets, same index */
	size_t cursor;                   /* the target whose turn it is in the schedule */

	int fd; /* -1: not open */
	sd_event_source *io;
	uint8_t *ring; /* received frames, shared with the kernel */
	size_t ring_next;
	struct ndp_filter filter;
	int groups_fd;
	VEC(struct in6_addr) groups; /* joined; sorted */
	bool all_multicast;
	bool groups_logged;

	int error; /* why it is not open: errno, or 0 */
	bool not_ethernet;
	uint64_t opened_us, reopen_us, backoff_us;

	uint64_t tokens; /* millionths of an answer for static rules */
	uint64_t tokens_us;
	struct ndp_counters counters;
};

/* What a frame in the batch is, to be counted once it is on its way. */
enum ndp_frame_kind {
	NDP_FRAME_MULTICAST,
	NDP_FRAME_UNICAST,
	NDP_FRAME_DAD,
	NDP_FRAME_ANNOUNCEMENT,
	NDP_FRAME_PROBE,
};

/* What is to be sent. One for all uplinks, which take turns. */
struct ndp_batch {
	struct mmsghdr sent[NDP_BATCH];
	struct iovec sent_iov[NDP_BATCH];
	enum ndp_frame_kind kinds[NDP_BATCH];
	size_t n;
	uint8_t sent_frames[NDP_BATCH][ND_ADVERTISEMENT_SIZE];
};
static_assert(ND_PROBE_SIZE == ND_ADVERTISEMENT_SIZE, "frames of a batch have one size");

struct ndp_uplink_ref {
	struct ndp_uplink *uplink;
};
struct ndp_uplinks {
	VEC_FIELDS(struct ndp_uplink_ref);
};

struct ndp {
	sd_event *event;
	struct ndp_callbacks callbacks;
	void *userdata;
	sd_event_source *timer;

	struct ndp_plan settings;   /* without interfaces */
	struct ndp_uplinks uplinks; /* sorted by ifindex */
	struct ndp_batch *batch;
	struct problems problems;
};

/* ndp.c */
uint64_t ndp_now(struct ndp *n);
/* Conflicts or errors changed: problems are made anew. */
void ndp_update_problems(struct ndp *n);
bool ndp_is_own_mac(const struct ndp *n, const uint8_t mac[static 6]);

/* ndp-uplink.c */
struct ndp_uplink *ndp_uplink_new(struct ndp *n);
void ndp_uplink_free(struct ndp_uplink *u);
static inline bool ndp_uplink_is_open(const struct ndp_uplink *u)
{
	return u->fd >= 0;
}
/* > 0: the set of problems changed. */
int ndp_uplink_open(struct ndp_uplink *u);
void ndp_uplink_close(struct ndp_uplink *u);
/* The socket is of no more use: closes it, and opens it again after a while. */
void ndp_uplink_fail(struct ndp_uplink *u, int error);
/* Joins and leaves groups, and tells the kernel's filter, as wanted and own addresses have it. */
void ndp_uplink_follow(struct ndp_uplink *u);
void ndp_uplink_read_counters(struct ndp_uplink *u);

/* ndp-answer.c */
int ndp_batch_new(struct ndp_batch **ret);
/* Room for one more frame to send; sends the others first if there is none. */
uint8_t *ndp_batch_add(struct ndp_uplink *u, enum ndp_frame_kind kind);
void ndp_batch_flush(struct ndp_uplink *u);
int ndp_answer_on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata);
struct ndp_target_state *ndp_find_target(struct ndp_uplink *u, const struct in6_addr *address);
/* What an advertisement of this target is sent from. */
struct in6_addr ndp_choose_source(const struct ndp_uplink *u, const struct in6_addr *target);

/* ndp-schedule.c */
/* Starts a script for all targets, or for those that are not known yet. */
void ndp_schedule_all(struct ndp_uplink *u, enum ndp_script script);
void ndp_schedule_new(struct ndp_uplink *u);
/* Somebody sent an advertisement for a target of ours. */
void ndp_schedule_claim(struct ndp_uplink *u, struct ndp_target_state *state,
			const uint8_t mac[static 6]);
/* Arms the timer for whatever comes first. */
void ndp_schedule_arm(struct ndp *n);
int ndp_schedule_on_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* ndp-filter.c */
int ndp_filter_open(struct ndp_filter *f, int fd);
void ndp_filter_follow(struct ndp_filter *f, int fd, const struct ndp_interface *wanted);
/* Adds what the kernel has dropped since the last time. */
void ndp_filter_count(struct ndp_filter *f, struct ndp_counters *c);
void ndp_filter_done(struct ndp_filter *f);
