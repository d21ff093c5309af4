/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/fw-internal.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#define BUFFER_MIN (1U << 20)

struct nlmsghdr *fw_request_begin(void *buffer, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

static int on_generation(const struct nlmsghdr *h, void *userdata)
{
	struct nft_event e;

	if (nft_decode_event(h, &e) > 0 && e.commit)
		*(uint32_t *)userdata = e.generation;
	return 0;
}

int fw_read_generation(struct fw *fw, uint32_t *ret)
{
	uint8_t buffer[FW_REQUEST];

	return nlk_request(&fw->command,
			   fw_request_begin(buffer, NFT_MSG_GETGEN, NLM_F_ACK, NFPROTO_UNSPEC),
			   on_generation, ret);
}

/* The cheapest question that needs both the capability and nf_tables (and loads the module). */
static int probe(struct fw *fw)
{
	uint32_t generation;
	int r;

	r = fw_read_generation(fw, &generation);
	return r == -EINVAL ? -EOPNOTSUPP : r; /* nobody registered for these messages */
}

int fw_new(sd_event *event, const struct fw_callbacks *callbacks, void *userdata, struct fw **ret)
{
	_cleanup_(fw_freep) struct fw *fw = malloc(sizeof(*fw));
	int r;

	if (!fw)
		return -ENOMEM;
	*fw = (struct fw){
		.callbacks = *callbacks,
		.userdata = userdata,
		.command = NLK_NONE,
		.monitor = NLK_NONE,
	};
	r = nlk_open(&fw->command, NETLINK_NETFILTER);
	if (r >= 0)
		r = probe(fw);
	if (r >= 0)
		r = fw_monitor_start(fw, event);
	if (r >= 0)
		r = conntrack_new(event, &fw->conntrack);
	if (r < 0)
		return r;
	*ret = steal_ptr(&fw);
	return 0;
}

struct fw *fw_free(struct fw *fw)
{
	if (!fw)
		return NULL;
	conntrack_free(fw->conntrack);
	fw_monitor_stop(fw);
	nlk_done(&fw->command);
	free(fw);
	return NULL;
}

/* > 0: acknowledged. < 0: -errno; ret_error->error is set if it is the kernel's refusal. */
static int collect(struct nlk *n, const struct nft_batch *batch, struct nlk_error *ret_error)
{
	bool lost = false;
	const struct nlmsghdr *h;
	int left, r;

	for (;;) {
		/* One refused batch may produce more errors than the buffer holds: the first ones
		 * are kept, and the first is the one that counts. */
		r = lost ? nlk_receive(n) : nlk_receive_wait(n);
		if (r == -ENOBUFS) {
			lost = true;
			continue;
		}
		if (r < 0)
			return lost ? -ENOBUFS : r;
		nlk_foreach(h, left, n)
		{
			struct nlk_error e;

			if (h->nlmsg_type != NLMSG_ERROR || nlk_error_decode(h, &e) < 0 ||
			    e.seq + 1 < batch->first_seq || e.seq > batch->last_seq + 1)
				continue;
			if (e.error > 0) {
				*ret_error = e;
				return -e.error;
			}
			if (e.seq == batch->last_seq)
				return 1;
		}
	}
}

static int send_batch(struct nlk *n, const struct nft_batch *batch, struct nlk_error *ret_error)
{
	size_t size = MAX_OF(2 * batch->length, BUFFER_MIN);
	int r;

	nlk_force_buffer(n, SO_SNDBUFFORCE, size);
	nlk_force_buffer(n, SO_RCVBUFFORCE, size);
	nlk_drain(n);
	r = nlk_send(n, batch->data, batch->length);
	if (r < 0)
		return r;
	r = collect(n, batch, ret_error);
	nlk_drain(n);
	return r;
}

/* The changes [first, next) of the message that was refused; empty if it was none of them. */
static void find_changes(const struct nft_batch *batch, const struct ruleset_changes *changes,
			 uint32_t seq, size_t *ret_first, size_t *ret_next)
{
	size_t i = seq - batch->first_seq;

	*ret_first = *ret_next = changes->n;
	if (seq < batch->first_seq || i >= batch->change_of_seq.n)
		return;
	*ret_first = batch->change_of_seq.items[i];
	if (i + 1 < batch->change_of_seq.n)
		*ret_next = batch->change_of_seq.items[i + 1];
}

/* *ret_shared: the refused message held several changes, any of which may be meant. */
static int transact(struct fw *fw, const struct ruleset_changes *changes, bool one_by_one,
		    struct fw_refusal *ret, bool *ret_shared)
{
	_cleanup_(nft_batch_done) struct nft_batch batch = { 0 };
	struct nlk_error e = { 0 };
	size_t next;
	int r;

	r = nft_batch_encode(changes, fw->command.seq + 1, one_by_one, &batch);
	if (r < 0)
		return r;
	fw->command.seq = batch.last_seq + 1;
	r = send_batch(&fw->command, &batch, &e);
	if (e.error == 0)
		return r;
	*ret = (struct fw_refusal){ .error = e.error };
	memcpy(ret->message, e.message, sizeof(ret->message));
	find_changes(&batch, changes, e.seq, &ret->change, &next);
	*ret_shared = next > ret->change + 1;
	return r;
}

/* Has anybody else committed since our tables were read? */
static bool has_been_overtaken(struct fw *fw)
{
	uint32_t now;

	return fw_read_generation(fw, &now) < 0 || now != fw->generation;
}

static int commit(struct fw *fw, const struct ruleset_changes *changes,
		  struct fw_refusal *ret_refusal)
{
	bool shared = false;
	int r;

	*ret_refusal = (struct fw_refusal){ .change = changes->n };
	r = transact(fw, changes, false, ret_refusal, &shared);
	/* Nothing has been applied: ask again in a way that makes the kernel name the element. */
	if (r < 0 && shared)
		r = transact(fw, changes, true, ret_refusal, &shared);
	/* What is refused then may only be missing, or there already. */
	if (r < 0 && ret_refusal->error != 0 && has_been_overtaken(fw)) {
		*ret_refusal = (struct fw_refusal){ .change = changes->n };
		r = -ERESTART;
	}
	if (r < 0 && ret_refusal->error == 0)
		ret_refusal->error = -r;
	if (r > 0) {
		fw->generation++;
		fw->rules_forged = false; /* what was read as damaged has been replaced */
	}
	return r;
}

int fw_commit(struct fw *fw, const struct ruleset_changes *changes, struct fw_refusal *ret_refusal)
{
	uint32_t generation;
	int r;

	if (changes->n == 0)
		return 0;
	if (changes->n < FW_LARGE_COMMIT)
		return commit(fw, changes, ret_refusal);
	fw_monitor_suspend(fw, &generation);
	r = commit(fw, changes, ret_refusal);
	fw_monitor_resume(fw, generation + (r > 0));
	return r;
}

int fw_forget_flows(struct fw *fw, const struct ruleset_changes *changes, const struct links *local)
{
	return conntrack_forget(fw->conntrack, changes, local);
}

int fw_adopt_connections(struct fw *fw)
{
	(void)fw;
	return conntrack_adopt();
}
