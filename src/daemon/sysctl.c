/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "manager-private.h"

#include <stdio.h>

static struct sysctl_attempt *find_attempt(struct manager *m, const struct plan_sysctl *s)
{
	vec_foreach (a, &m->sysctls)
		if (strcmp(a->sysctl.path, s->path) == 0)
			return a;
	return NULL;
}

/*
 * Each is written once per full synchronisation: whoever sets it back has a reason, and two
 * programs must not fight over it. What could not be written becomes a problem.
 */
int manager_apply_sysctls(struct manager *m)
{
	int written = 0;

	vec_foreach (s, &m->plan.sysctls) {
		struct sysctl_attempt *a = find_attempt(m, s);

		if (a)
			continue;
		a = vec_add(&m->sysctls);
		if (!a)
			return log_oom();
		a->sysctl = *s;
		a->error = link_write_sysctl(s->path, s->value);
		if (a->error < 0)
			continue;
		log_notice("Set %s to %d, so that containers are reached (Forwarding=ensure)",
			   s->path, s->value);
		written++;
	}
	if (written > 0)
		(void)link_read_sysctls(m->link_monitor);
	return written;
}

int manager_report_sysctls(struct manager *m)
{
	vec_foreach (s, &m->plan.sysctls) {
		const struct sysctl_attempt *a = find_attempt(m, s);
		_cleanup_(freep) char *cure = NULL;
		int r;

		if (!a || a->error == 0)
			continue;
		/* With slashes, as sysctl.d(5) allows: interface names may hold dots themselves. */
		if (asprintf(&cure, "put \"%s = %d\" into /etc/sysctl.d/60-ipv6nat.conf on the host and run "
				    "sysctl --system there",
			     s->path, s->value) < 0)
			return -ENOMEM;
		r = problems_add(&m->own, PROBLEM_SYSCTL_READONLY, PROBLEM_ERROR, cure,
				 "cannot set %s to %d: %s", s->path, s->value, strerror(-a->error));
		if (r < 0)
			return r;
	}
	return 0;
}
