/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "manager-private.h"

#include <stdio.h>

/* Whoever sets a value back may do so again and again: two programs must not fight over it. */
#define REPEAT_US (10 * UINT64_C(1000000))

static struct sysctl_attempt *find_attempt(struct manager *m, const struct plan_sysctl *s)
{
	vec_foreach (a, &m->sysctls)
		if (strcmp(a->sysctl.path, s->path) == 0)
			return a;
	return NULL;
}

/* > 0: it may be written now. What could not be written is tried again by a full sync only. */
static bool may_write(struct manager *m, const struct sysctl_attempt *a)
{
	uint64_t again;

	if (!a)
		return true;
	if (a->error < 0)
		return false;
	again = a->written_us + REPEAT_US;
	if (again <= manager_now(m))
		return true;
	manager_retry_at(m, again);
	return false;
}

int manager_apply_sysctls(struct manager *m)
{
	int written = 0;

	vec_foreach (s, &m->plan.sysctls) {
		struct sysctl_attempt *a = find_attempt(m, s);

		if (!may_write(m, a))
			continue;
		if (!a)
			a = vec_add(&m->sysctls);
		if (!a)
			return log_oom();
		a->sysctl = *s;
		a->written_us = manager_now(m);
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

		if (!a || (a->error == 0 && a->written_us == manager_now(m)))
			continue;
		if (a->error == 0) {
			r = problems_add(
				&m->own, PROBLEM_FORWARDING_OFF, PROBLEM_WARNING,
				"find out who changes it, or set Forwarding=report",
				"%s was set to %d and has been changed back; it will be set again",
				s->path, s->value);
			if (r < 0)
				return r;
			continue;
		}
		/* With slashes, as sysctl.d(5) allows: interface names may hold dots themselves. */
		if (asprintf(
			    &cure,
			    "put \"%s = %d\" into /etc/sysctl.d/60-ipv6nat.conf on the host and run "
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
