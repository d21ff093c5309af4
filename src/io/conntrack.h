/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A part of io/fw: what changed mappings mean for the flows of before. Deletes the conntrack
 * entries that contradict them, and makes those that conntrack never had.
 */
#include "base/changes.h"
#include "base/links.h"
#include "base/own.h"

#include <systemd/sd-event.h>

struct conntrack;

int conntrack_new(sd_event *event, struct conntrack **ret);
struct conntrack *conntrack_free(struct conntrack *c);

/* As fw_forget_flows(). Copies what it needs. > 0: queued, 0: no change concerns a flow. */
int conntrack_forget(struct conntrack *c, const struct ruleset_changes *changes,
		     const struct links *local);

/* As fw_adopt_connections(). */
int conntrack_adopt(void);
