/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which addresses are answered on which uplink. */
#include "publish.h"

/*
 * The uplink that answers for a container: the one with the longest on-link prefix that contains
 * the address, on networks whose containers keep their own addresses outside. NULL: none.
 */
const struct link *answers_on(const struct config *config, const struct links *links,
			      const struct presence *p);
/* Fills in plan->ndp, and reports static rules that are wide. 0 or -ENOMEM. */
int answers_plan(const struct config *config, const struct links *links,
		 const struct presences *presences, struct plan *plan);
