/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor: one message per changed object, then one that closes the transaction and names the
 * process. The sender's netlink address tells our own changes from those of others; the process id
 * would not, as it is one of the initial PID namespace.
 */
#include "base/log.h"
#include "io/fw-internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#define RECEIVE_BUFFER (32U << 20) /* 65,000 elements in one transaction of somebody else's */
#define DATAGRAMS_PER_WAKEUP 64

static bool is_ours(const struct nft_event *e)
{
	return (e->family == NFPROTO_IPV6 || e->family == NFPROTO_BRIDGE) &&
	       strcmp(e->table, RULESET_TABLE) == 0;
}

/* The tables that fw_read_rules_of_others() reads, and those that stand beside them. */
static bool is_others(const struct nft_event *e)
{
	static const char *const tables[] = { "docker-bridges", "filter", "nat", "raw" };

	for (size_t i = 0; e->family == NFPROTO_IPV6 && i < N_ELEMENTS(tables); i++)
		if (strcmp(e->table, tables[i]) == 0)
			return true;
	return false;
}

static void handle_event(struct fw *fw, const struct nft_event *e, bool *others)
{
	if (e->portid == fw->command.portid)
		return;
	if (!e->commit) {
		fw->ours_changed |= is_ours(e);
		fw->rules_forged |= is_ours(e) && e->rule;
		fw->others_changed |= is_others(e);
		return;
	}
	*others |= fw->others_changed;
	fw->others_changed = false;
	if (fw->ours_changed) {
		fw->ours_changed = false;
		fw->callbacks.on_foreign_change(fw->userdata, (pid_t)e->pid, e->process);
	}
}

static void handle_datagram(struct fw *fw, bool *others)
{
	const struct nlmsghdr *h;
	int left;

	nlk_foreach(h, left, &fw->monitor)
	{
		struct nft_event e;

		if (nft_decode_event(h, &e) > 0)
			handle_event(fw, &e, others);
	}
}

static int on_monitor(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct fw *fw = userdata;
	bool others = false, lost = false;

	(void)source;
	(void)fd;
	(void)revents;
	for (unsigned i = 0; i < DATAGRAMS_PER_WAKEUP; i++) {
		int r = nlk_receive(&fw->monitor);

		if (r == -EAGAIN)
			break;
		if (r < 0) {
			/* What was lost may have been the end of a transaction. */
			fw->ours_changed = fw->others_changed = false;
			lost = others = true;
			if (r != -ENOBUFS)
				log_warning_errno(
					r,
					"Cannot read nftables events, reading the rules instead: %m");
			continue;
		}
		handle_datagram(fw, &others);
	}
	if (lost)
		fw->callbacks.on_lost(fw->userdata);
	if (others)
		fw->callbacks.on_rules_of_others(fw->userdata);
	return 0;
}

/*
 * Drops the notifications of our own transactions before they are queued: they neither wake us nor
 * fill the buffer. The sender's address is the same in all messages of a datagram, as the kernel
 * gathers those of one transaction only. A kernel without such filters wakes us more often.
 */
static void filter_own(struct fw *fw)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(fw->command.portid), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = { .len = N_ELEMENTS(code), .filter = code };

	(void)setsockopt(fw->monitor.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int on_deferred_loss(sd_event_source *source, void *userdata)
{
	struct fw *fw = userdata;

	(void)source;
	fw->callbacks.on_lost(fw->userdata);
	fw->callbacks.on_rules_of_others(fw->userdata);
	return 0;
}

static void defer_loss(struct fw *fw)
{
	(void)sd_event_source_set_enabled(fw->lost_source, SD_EVENT_ONESHOT);
}

/*
 * The kernel counts a transaction first and tells of it at its end, some milliseconds later if it is
 * large. One after the other, they are: when it has taken an empty one, all before it have been told.
 */
static void wait_until_told(struct fw *fw)
{
	static const struct ruleset_changes nothing;
	_cleanup_(nft_batch_done) struct nft_batch batch = { 0 };

	if (nft_batch_encode(&nothing, fw->command.seq + 1, false, &batch) < 0)
		return;
	fw->command.seq = batch.last_seq + 1;
	(void)nlk_send(&fw->command, batch.data, batch.length);
	nlk_drain(&fw->command);
}

/* Messages that are queued already stay. In this order, whoever commits in between is told twice
 * rather than never. */
void fw_monitor_suspend(struct fw *fw, uint32_t *ret_generation)
{
	*ret_generation = 0;
	(void)fw_read_generation(fw, ret_generation);
	wait_until_told(fw);
	nlk_leave(&fw->monitor, NFNLGRP_NFTABLES);
}

void fw_monitor_resume(struct fw *fw, uint32_t generation)
{
	uint32_t now = 0;
	int r;

	r = nlk_join(&fw->monitor, NFNLGRP_NFTABLES);
	if (r < 0)
		log_error_errno(
			r, "Cannot watch nftables, changes of others wait for the next resync: %m");
	if (fw_read_generation(fw, &now) < 0 || now != generation)
		defer_loss(fw);
}

static int add_sources(struct fw *fw, sd_event *event)
{
	int r;

	r = sd_event_add_io(event, &fw->monitor_source, fw->monitor.fd, EPOLLIN, on_monitor, fw);
	if (r >= 0)
		r = sd_event_source_set_description(fw->monitor_source, "nftables monitor");
	if (r >= 0)
		r = sd_event_add_defer(event, &fw->lost_source, on_deferred_loss, fw);
	if (r >= 0)
		r = sd_event_source_set_enabled(fw->lost_source, SD_EVENT_OFF);
	return r;
}

int fw_monitor_start(struct fw *fw, sd_event *event)
{
	int r;

	r = nlk_open(&fw->monitor, NETLINK_NETFILTER);
	if (r < 0)
		return r;
	filter_own(fw);
	nlk_force_buffer(&fw->monitor, SO_RCVBUFFORCE, RECEIVE_BUFFER);
	r = nlk_join(&fw->monitor, NFNLGRP_NFTABLES);
	return r < 0 ? r : add_sources(fw, event);
}

void fw_monitor_stop(struct fw *fw)
{
	fw->monitor_source = sd_event_source_disable_unref(fw->monitor_source);
	fw->lost_source = sd_event_source_disable_unref(fw->lost_source);
	nlk_done(&fw->monitor);
}
