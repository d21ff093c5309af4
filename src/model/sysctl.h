/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Forwarding, and the router advertisements that it would silence. */
#include "decide.h"

/* Adds to plan->sysctls what has to be raised, or to plan->problems where we may only report.
 * 0 or -ENOMEM. */
int sysctl_plan(const struct config *config, const struct nets *nets, const struct links *links,
		struct plan *plan);
