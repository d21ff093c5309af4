/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * nf_tables netlink messages <-> rulesets (libnftnl, libmnl). Pure: bytes only, no socket.
 * Encodings: kernel include/uapi/linux/netfilter/nf_tables.h.
 */
#include "base/changes.h"
#include "base/ruleset.h"

#include <libmnl/libmnl.h>

/* One netlink batch: BATCH_BEGIN, the changes, BATCH_END. */
struct nft_batch {
	uint8_t *data; /* malloc()ed */
	size_t length;
	uint32_t first_seq; /* sequence number of the message of change 0 (BATCH_BEGIN is one less) */
	uint32_t last_seq;  /* of the last change: the one that asks for an ack */
	/* change_of_seq.items[seq - first_seq]: index of the first change in that message. */
	VEC(uint32_t) change_of_seq;
};

/*
 * Runs of element changes of the same set and kind share messages (bounded by the 64 KiB attribute
 * limit), unless one_by_one: then each has its own, so that an error names its element.
 * 0 or -ENOMEM.
 */
int nft_batch_encode(const struct ruleset_changes *changes, uint32_t seq, bool one_by_one,
		     struct nft_batch *ret);
void nft_batch_done(struct nft_batch *b);

/* Decoders of one dumped message into *table; foreign kinds of objects set table->damaged.
 * Messages of other tables return 0 and change nothing. > 0: it was ours. -EBADMSG, -ENOMEM. */
int nft_decode_table(const struct nlmsghdr *h, enum ruleset_family family, struct ruleset_table *table);
int nft_decode_chain(const struct nlmsghdr *h, enum ruleset_family family, struct ruleset_table *table);
int nft_decode_rule(const struct nlmsghdr *h, enum ruleset_family family, struct ruleset_table *table);
int nft_decode_set(const struct nlmsghdr *h, enum ruleset_family family, struct ruleset_table *table);
int nft_decode_elements(const struct nlmsghdr *h, enum ruleset_family family, struct ruleset_table *table);
