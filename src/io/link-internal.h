/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Shared by the parts of io/link: what is kept (link-state), settings (link-sysctl), sockets. */
#include "io/link.h"
#include "wire/rtnl.h"

/* One next hop of a route that counts; sorted, so that each link's routes are neighbours. */
struct link_route {
	int ifindex;
	struct inet_prefix destination;
	uint32_t table;
	uint32_t metric;
	struct inet_prefix source;
	struct in6_addr gateway;
	bool from_ra;
	bool multipath;
};

/* What the messages so far amount to. All zero is empty. */
struct link_state {
	struct links links;
	VEC(struct link_route) routes;
	bool unsettled; /* link_state_settle() has something to do */
	bool stale;     /* messages do not tell the whole story: only a dump can */
	bool full;      /* routes beyond the limit were left out */
};

void link_state_done(struct link_state *s);
static inline void link_state_donep(struct link_state *s)
{
	link_state_done(s);
}

/* > 0: something that a plan can see changed, routes excepted; < 0: -ENOMEM. */
int link_state_apply(struct link_state *s, const struct rtnl_message *message);
/* Spreads the routes over the links. > 0: something changed; < 0: -ENOMEM. */
int link_state_settle(struct link_state *s);
/* Takes links and routes of *fresh, which gets the old ones. > 0: they differ. */
int link_state_replace(struct link_state *s, struct link_state *fresh);

/* Reads the settings that l should have and has not, or all of them again. > 0: changed. */
int link_sysctl_complete(struct links *l);
int link_sysctl_read(struct links *l);
int link_sysctl_read_br_netfilter(struct links *l);
/* The same for one interface; NETCONFA_IFINDEX_ALL and _DEFAULT too. */
int link_sysctl_read_one(struct links *l, int ifindex);

/* For tests: a small buffer makes the kernel lose messages. */
int link_monitor_set_receive_buffer(struct link_monitor *m, int bytes);
