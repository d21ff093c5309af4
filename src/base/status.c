/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const codes[] = {
	[PROBLEM_DOCKER_DISCONNECTED] = "docker-disconnected",
	[PROBLEM_FORWARD_DROP] = "forward-drop",
	[PROBLEM_FORWARDING_OFF] = "forwarding-off",
	[PROBLEM_ACCEPT_RA] = "accept-ra",
	[PROBLEM_SYSCTL_READONLY] = "sysctl-readonly",
	[PROBLEM_DOCKER_RULES_LOST] = "docker-rules-lost",
	[PROBLEM_PORT_CONFLICT] = "port-conflict",
	[PROBLEM_ADDRESS_REFUSED] = "address-refused",
	[PROBLEM_ADDRESS_CONFLICT] = "address-conflict",
	[PROBLEM_SUBNET_OVERLAP] = "subnet-overlap",
	[PROBLEM_UNROUTED_PREFIX] = "unrouted-prefix",
	[PROBLEM_UNPUBLISHED_CLOSED] = "unpublished-closed",
	[PROBLEM_IPV4_ONLY_PORT] = "ipv4-only-port",
	[PROBLEM_UPLINK_MISSING] = "uplink-missing",
	[PROBLEM_UPLINK_NOT_ETHERNET] = "uplink-not-ethernet",
	[PROBLEM_KERNEL_REFUSED] = "kernel-refused",
	[PROBLEM_FOREIGN_REPAIR] = "foreign-repair",
	[PROBLEM_LEFTOVER_RULES] = "leftover-rules",
	[PROBLEM_LABEL_INVALID] = "label-invalid",
	[PROBLEM_DOCKER_LIMIT] = "docker-limit",
	[PROBLEM_ROOTLESS] = "rootless",
	[PROBLEM_WIDE_RULE] = "wide-rule",
	[PROBLEM_METRICS_LISTEN] = "metrics-listen",
};
DEFINE_STRTAB(problem_code, enum problem_code, _PROBLEM_CODE_MAX, codes)

static const char *const severities[] = {
	[PROBLEM_NOTICE] = "notice",
	[PROBLEM_WARNING] = "warning",
	[PROBLEM_ERROR] = "error",
};
DEFINE_STRTAB(problem_severity, enum problem_severity, _PROBLEM_SEVERITY_MAX, severities)

static const char *const port_states[] = {
	[PORT_ACTIVE] = "active",     [PORT_ASSUMED] = "assumed", [PORT_PROXIED] = "proxied",
	[PORT_CONFLICT] = "conflict", [PORT_REFUSED] = "refused",
};
DEFINE_STRTAB(port_state, enum port_state, _PORT_STATE_MAX, port_states)

bool status_port_translated(const struct status_port *p)
{
	return p->host_port != 0 && (p->state == PORT_ACTIVE || p->state == PORT_ASSUMED);
}

const double status_latency_bounds_s[STATUS_LATENCY_BOUNDS] = {
	0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
};

void status_latency_add(struct status_latency *l, uint64_t duration_us)
{
	double duration_s = (double)duration_us / 1e6;
	unsigned i = 0;

	while (i < STATUS_LATENCY_BOUNDS && duration_s > status_latency_bounds_s[i])
		i++;
	l->counts[i]++;
	l->sum_s += duration_s;
}

int problems_add(struct problems *p, enum problem_code code, enum problem_severity severity,
		 const char *cure, const char *format, ...)
{
	struct problem *added;
	va_list ap;

	added = vec_add(p);
	if (!added)
		return -ENOMEM;
	added->code = code;
	added->severity = severity;
	added->cure = strdup(cure);
	va_start(ap, format);
	added->message = vformat_text(format, ap);
	va_end(ap);
	if (!added->cure || !added->message) {
		free(added->cure);
		free(added->message);
		p->n--;
		return -ENOMEM;
	}
	return 0;
}

void problems_done(struct problems *p)
{
	vec_foreach (i, p) {
		free(i->message);
		free(i->cure);
	}
	vec_done(p);
}

bool problems_equal(const struct problem *a, const struct problem *b)
{
	return a->code == b->code && a->severity == b->severity &&
	       strcmp(a->message, b->message) == 0 && strcmp(a->cure, b->cure) == 0;
}

void status_networks_done(struct status_networks *n)
{
	vec_foreach (net, n) {
		free(net->id);
		free(net->name);
		free(net->reason);
		vec_done(&net->subnets);
		vec_foreach (c, &net->containers) {
			free(c->id);
			free(c->name);
			vec_done(&c->ports);
		}
		vec_done(&net->containers);
	}
	vec_done(n);
}

void status_uplinks_done(struct status_uplinks *u)
{
	vec_foreach (uplink, u) {
		vec_done(&uplink->prefixes);
		vec_done(&uplink->addresses);
	}
	vec_done(u);
}

void status_ndps_done(struct status_ndps *n)
{
	vec_foreach (ndp, n)
		vec_done(&ndp->rules);
	vec_done(n);
}
