/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The responder: answers neighbour solicitations on the uplinks for exactly what the plan lists,
 * announces what is new, probes whether somebody else holds an address. No state per
 * solicitation, no allocation in the packet path. An interface may be absent, down, renamed or
 * replaced; the responder survives all of it.
 */
#include "base/ndp.h"
#include "base/own.h"
#include "base/status.h"

#include <systemd/sd-event.h>

struct ndp;

/*
 * Of the event sources for frames. Equals take turns, so other work that has this priority (or a
 * higher one) is done however fast frames come.
 */
#define NDP_EVENT_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

struct ndp_callbacks {
	/* Conflicts or errors of interfaces changed: ndp_problems() may answer otherwise now. */
	void (*on_change)(void *userdata);
};

int ndp_new(sd_event *event, const struct ndp_callbacks *callbacks, void *userdata,
	    struct ndp **ret);
struct ndp *ndp_free(struct ndp *n);
DEFINE_CLEANUP(struct ndp *, ndp_free)

/*
 * Takes *plan over (it is empty afterwards) and makes it current: sockets are opened and closed,
 * the table of targets is swapped, new targets are announced. > 0: something changed; 0: nothing;
 * < 0: -ENOMEM. What single interfaces refuse is a problem, not an error.
 */
int ndp_apply(struct ndp *n, struct ndp_plan *plan);

/* Counters and static rules of each interface, added to *ret. 0 or -ENOMEM. */
int ndp_status(struct ndp *n, struct status_ndps *ret);
/* PROBLEM_ADDRESS_CONFLICT, PROBLEM_UPLINK_NOT_ETHERNET. */
const struct problems *ndp_problems(const struct ndp *n);
/* What is answered now, and not silenced by a conflict: a copy, for "addresses". 0 or -ENOMEM. */
int ndp_current(struct ndp *n, struct ndp_plan *ret);
