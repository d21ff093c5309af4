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
	uint32_t first_seq; /* of the message of change 0; BATCH_BEGIN is one less */
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

/*
 * Decoders of one dumped message into *table; objects and flags that we never make set
 * table->damaged. Messages of other tables return 0 and change nothing. > 0: it was ours.
 * -EBADMSG, -ENOMEM. Order: table, chains, sets, then rules and elements, then finish.
 */
int nft_decode_table(const struct nlmsghdr *h, enum ruleset_family family,
		     struct ruleset_table *table);
int nft_decode_chain(const struct nlmsghdr *h, enum ruleset_family family,
		     struct ruleset_table *table);
int nft_decode_rule(const struct nlmsghdr *h, enum ruleset_family family,
		    struct ruleset_table *table);
int nft_decode_set(const struct nlmsghdr *h, enum ruleset_family family,
		   struct ruleset_table *table);
int nft_decode_elements(const struct nlmsghdr *h, enum ruleset_family family,
			struct ruleset_table *table);
/*
 * After the last message: pairs starts and ends of intervals to prefixes, sorts the elements. 0, or
 * -EAGAIN if an element came twice: the kernel goes through its hash table anew for every datagram
 * of a dump, and does not tell if it has resized it meanwhile, so that others are missing.
 */
int nft_decode_finish(struct ruleset_table *table);

/* A notification: which table a change was made in, or the end of a transaction. */
struct nft_event {
	bool commit;     /* NFT_MSG_NEWGEN: the fields of the second group are set */
	bool rule;       /* NFT_MSG_NEWRULE: a rule was added, or replaced */
	uint8_t family;  /* NFPROTO_x */
	char table[64];  /* cut if longer: ours and Docker's are not */
	uint32_t portid; /* the sender's netlink address */
	/* Of a commit: */
	uint32_t generation;
	uint32_t pid;
	char process[16]; /* "" if unknown */
};
/* > 0: *ret is set. 0: of no interest. -EBADMSG. */
int nft_decode_event(const struct nlmsghdr *h, struct nft_event *ret);
