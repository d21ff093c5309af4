/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The plan: a pure function of (config, snapshot, links). Same input, same output, byte for byte.
 * No clock, no fd, no log: whatever is worth saying is a problem or a reason in the result.
 */
#include "base/config.h"
#include "base/facts.h"
#include "base/links.h"
#include "base/ndp.h"
#include "base/ruleset.h"
#include "base/status.h"

/* A sysctl that the plan wants raised (Forwarding=ensure). Applied in order. */
struct plan_sysctl {
	char path[64]; /* below /proc/sys, e.g. "net/ipv6/conf/eth0/accept_ra" */
	int value;
};

struct plan {
	struct ruleset ruleset;
	struct ndp_plan ndp;
	struct status_networks networks;
	struct status_uplinks uplinks;
	struct problems problems;
	VEC(struct plan_sysctl) sysctls;
};

/* What earlier attempts learnt from the kernel: elements and chains that it refused. */
struct plan_refusal {
	enum ruleset_family family;
	char set[RULESET_NAME];   /* "" for a chain */
	char chain[RULESET_NAME]; /* "" for an element */
	uint8_t key[RULESET_KEY];
	uint8_t prefix_length;
};
struct plan_refusals {
	VEC_FIELDS(struct plan_refusal);
};

/* Builds the plan. Returns 0 or -ENOMEM; *ret is then unchanged. */
int plan_build(const struct config *config, const struct snapshot *snapshot,
	       const struct links *links, struct plan *ret);
/*
 * What comes before the first plan: *ret is what is observed, and a table that has connections tracked
 * and does nothing else. > 0, or 0 if there is a table of ours already; -ENOMEM.
 */
int plan_tracking(const struct ruleset *observed, struct ruleset *ret);
/* Takes out of the plan what the kernel has refused, and what leads there. */
void plan_without(struct plan *plan, const struct plan_refusals *refusals);
void plan_done(struct plan *plan);

/* Where the ruleset holds a translated port: fills in the key, returns the map's name. */
const char *plan_port_element(const struct status_port *p, uint8_t key[static RULESET_KEY]);
