/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What has to be sent to turn one ruleset into another, as one transaction: pure, by one walk over
 * two sorted rulesets. Where the kernel could not change things in place (shape of a set or base
 * chain, a table that is damaged or of another layout) the whole table is replaced.
 */
#include "base/changes.h"
#include "base/ruleset.h"

/* *ret borrows from both rulesets. An empty list means: converged. 0 or -ENOMEM. */
int ruleset_diff(const struct ruleset *observed, const struct ruleset *wanted,
		 struct ruleset_changes *ret);
