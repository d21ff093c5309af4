/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/ndp.h"

void ndp_plan_done(struct ndp_plan *p)
{
	vec_foreach (i, &p->interfaces) {
		vec_done(&i->targets);
		vec_done(&i->rules);
		vec_done(&i->own);
	}
	vec_done(&p->interfaces);
}

int ndp_target_compare(const void *a, const void *b)
{
	const struct ndp_target *x = a, *y = b;

	return inet_compare(&x->address, &y->address);
}

static const char *const drops[] = {
	[NDP_DROP_NONE] = "none",
	[NDP_DROP_MALFORMED] = "malformed",
	[NDP_DROP_HOP_LIMIT] = "hop-limit",
	[NDP_DROP_CHECKSUM] = "checksum",
	[NDP_DROP_FRAGMENT] = "fragment",
	[NDP_DROP_SOURCE] = "source",
	[NDP_DROP_DESTINATION] = "destination",
	[NDP_DROP_UNKNOWN] = "unknown",
	[NDP_DROP_OWN] = "own",
	[NDP_DROP_DAD_RULE] = "dad-rule",
	[NDP_DROP_RATE] = "rate",
	[NDP_DROP_SEND] = "send",
};
DEFINE_STRTAB(ndp_drop, enum ndp_drop, _NDP_DROP_MAX, drops)
