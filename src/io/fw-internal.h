/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the parts of io/fw share: fw.c commits, fw-read.c reads, fw-monitor.c watches. */
#include "io/conntrack.h"
#include "io/fw.h"
#include "io/nlk.h"
#include "wire/nft.h"

#define FW_REQUEST 512 /* room for any request of ours but a transaction */
#define FW_DUMP_ATTEMPTS 10
#define FW_LARGE_COMMIT 64 /* changes: from here on, suspending the monitor is worth its calls */

struct fw {
	struct fw_callbacks callbacks;
	void *userdata;
	struct nlk command; /* requests and transactions, synchronous */
	struct nlk monitor; /* notifications */
	sd_event_source *monitor_source;
	sd_event_source *lost_source; /* tells of a loss that was noticed while committing */
	struct conntrack *conntrack;
	bool ours_changed; /* by somebody else, in the transaction that is being notified */
	bool others_changed;
	/* Of the ruleset as it was read last, and as we have changed it since. */
	uint32_t generation;
	/* Somebody else made a rule in one of our tables, since our last transaction: it may have our
	 * comment, by which we know our rules. */
	bool rules_forged;
};

int fw_monitor_start(struct fw *fw, sd_event *event);
void fw_monitor_stop(struct fw *fw);

/*
 * While anybody listens, the kernel makes a page of notification for every element of a transaction
 * and keeps them all to its end: a second and 260 MB for 65,000 elements. So the monitor is
 * suspended around large transactions. Whether somebody else committed meanwhile is told by the
 * number of the ruleset's generation, which grows by one with every transaction.
 */
void fw_monitor_suspend(struct fw *fw, uint32_t *ret_generation);
void fw_monitor_resume(struct fw *fw, uint32_t generation);

int fw_read_generation(struct fw *fw, uint32_t *ret);

/* Begins a request in a buffer of FW_REQUEST bytes. */
struct nlmsghdr *fw_request_begin(void *buffer, uint16_t type, uint16_t flags, uint8_t family);
