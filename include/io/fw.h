/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The firewall in the kernel: reads our tables, commits changes as one transaction, watches for
 * others that touch them, and drops conntrack entries that contradict a mapping. It knows
 * rulesets, not networks or containers.
 */
#include "base/changes.h"
#include "base/links.h"
#include "base/own.h"
#include "base/ruleset.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

struct fw;

/* They may read and commit, but not free the struct fw. */
struct fw_callbacks {
	/* Somebody else changed one of our tables; process may be "". Not called for our own commits. */
	void (*on_foreign_change)(void *userdata, pid_t pid, const char *process);
	/* Docker's or ip6tables' tables changed, or notifications were lost: fw_read_rules_of_others()
	 * may answer otherwise now. At most once per commit. */
	void (*on_rules_of_others)(void *userdata);
	/* Notifications of our tables may have been lost (ENOBUFS): read them again. */
	void (*on_lost)(void *userdata);
};

/* What the kernel refused: the first offending change and the kernel's own words. */
struct fw_refusal {
	size_t change;     /* index into the changes; their number, if not a certain one */
	int error;         /* positive errno */
	char message[160]; /* extack text, or "" */
};

/*
 * Opens the netlink sockets and attaches them to the event loop. -EPERM without CAP_NET_ADMIN,
 * -EOPNOTSUPP (or what the kernel said) without nf_tables. Notifications are seen from here on,
 * so that nothing is missed between this and the first fw_read().
 */
int fw_new(sd_event *event, const struct fw_callbacks *callbacks, void *userdata, struct fw **ret);
struct fw *fw_free(struct fw *fw);
DEFINE_CLEANUP(struct fw *, fw_free)

/* Reads our tables from the kernel into *ret (initialised by the callee; ruleset_done()). */
int fw_read(struct fw *fw, struct ruleset *ret);

/*
 * Commits the changes as one transaction and waits for the kernel's ack. 0: nothing to do;
 * > 0: done; < 0: -errno, nothing was applied, and *ret_refusal says what was refused.
 * -EAGAIN and -ERESTART: somebody interfered, read again and retry.
 */
int fw_commit(struct fw *fw, const struct ruleset_changes *changes, struct fw_refusal *ret_refusal);

/*
 * Conntrack follows: for every change of a DNAT map in a committed list, entries that contradict
 * the mapping are deleted (UDP for new ones; all protocols for removed or moved ones). Runs
 * asynchronously, once for all changes queued; local tells which destinations are this host's.
 */
int fw_forget_flows(struct fw *fw, const struct ruleset_changes *changes,
		    const struct links *local);

/*
 * Tells conntrack of the TCP connections that this host's sockets have, as they are. Those that have
 * begun before anything was tracked would be new to it with their next packet, and be translated. Call
 * it when connections are tracked, so that no later one is missed, and nothing is translated yet. The
 * number of connections, or -errno.
 */
int fw_adopt_connections(struct fw *fw);

/* What Docker's own IPv6 rules are and what docker-ipv6nat's, as nf_tables (all of ip6tables-nft and
 * of Docker's nftables backend) and the older x_tables hold them. Replaces links->docker_rules and
 * links->leftovers; unchanged on failure. */
int fw_read_rules_of_others(struct fw *fw, struct links *links);
