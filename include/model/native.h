/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Does Docker itself translate IPv6 for a network? facts in, network.docker_rules out. Pure. */
#include "base/facts.h"
#include "base/links.h"

/*
 * Brings network.docker_rules up to date with what the kernel shows. Rules once seen and gone are
 * LOST, not ABSENT: a network leaves mode native only when the engine reconnects (facts start
 * anew) or the network is made again, so that a foreign flush never changes what we do.
 */
void native_update(struct snapshot *snapshot, const struct links *links);
/* Is there a network whose rules were never looked for? The kernel does not tell of new ones in
 * x_tables. */
bool native_is_unknown(const struct snapshot *snapshot);
/* False where the engine's version rules it out, whatever rules there are. */
bool native_possible(const struct snapshot *snapshot);
