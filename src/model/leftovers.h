/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* docker-ipv6nat's rules, and Docker's from a time when it translated, where they are in the way. */
#include "base/links.h"
#include "base/facts.h"
#include "base/status.h"

/* Do they drop what the bridge's containers send to other networks, translated or not? */
bool leftovers_isolate(const struct links *links, const char *bridge);
/* Adds PROBLEM_LEFTOVER_RULES for each kind of ip6tables that holds some; the cure is a command.
 * 0 or -ENOMEM. */
int leftovers_report(const struct snapshot *snapshot, const struct links *links,
		     struct problems *problems);
