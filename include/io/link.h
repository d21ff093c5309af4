/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Interfaces, IPv6 addresses, on-link and default routes by rtnetlink, and the IPv6 sysctls that
 * forwarding depends on. Keeps struct links current; a loss of messages leads to a new dump.
 */
#include "base/links.h"
#include "base/own.h"

#include <systemd/sd-event.h>

struct link_monitor;

struct link_callbacks {
	void (*on_change)(void *userdata); /* struct links changed in a way that a plan can see */
};

int link_monitor_new(sd_event *event, const struct link_callbacks *callbacks, void *userdata,
		     struct link_monitor **ret);
struct link_monitor *link_monitor_free(struct link_monitor *m);
DEFINE_CLEANUP(struct link_monitor *, link_monitor_free)

/* Owned by *m; complete after link_monitor_new(). The manager has docker_rules filled in. */
struct links *link_monitor_links(struct link_monitor *m);
/* Reads the sysctls, and the bridges' own settings, again (the kernel does not announce all of
 * them). > 0: something changed; on_change is not called for it. */
int link_read_sysctls(struct link_monitor *m);
/* Of these only whether bridged frames visit ip6 hooks. Docker loads br_netfilter with the first
 * network that needs it, and nothing tells: cheap enough to be asked in every pass. */
int link_read_br_netfilter(struct link_monitor *m);
/* Writes an integer to path below /proc/sys, as "net/ipv6/conf/eth0/accept_ra"; "..", "." and a
 * leading "/" are refused. 0, or -errno (-EROFS, -EACCES: read-only /proc/sys). */
int link_write_sysctl(const char *path, int value);
