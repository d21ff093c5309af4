/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the encoder and the decoder of nf_tables messages share. */
#include "wire/nft.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* nft's numbers of data types; the kernel only keeps them, for nft to list sets by. A
 * concatenation has six bits for each field, the first field in the highest. */
#define NFT_TYPE_BITS 6
uint32_t nft_type_of_field(enum ruleset_field f);
uint32_t nft_type_of_fields(const enum ruleset_field fields[static RULESET_FIELDS]);
/*
 * The fields of a type number, in their canonical form, as the kernel does not know whether an
 * address is a source or a destination: DADDR for addresses, IIFNAME for names. False if the type
 * is none of ours.
 */
bool nft_fields_of_type(uint32_t type, enum ruleset_field ret[static RULESET_FIELDS]);

uint8_t nft_family(enum ruleset_family f); /* NFPROTO_x */

#define NFT_TAG_FORMAT "ipv6nat:%016" PRIx64
#define NFT_TAG_PREFIX "ipv6nat:"
#define NFT_TAG_TEXT (sizeof(NFT_TAG_PREFIX) - 1 + 16 + 1)

/* NF_ACCEPT, NFT_JUMP, ... and back; NONE for what is none of ours. */
int32_t nft_verdict_code(enum ruleset_verdict v);
enum ruleset_verdict nft_verdict_of_code(int32_t code);
/* NFTA_DATA_x holding a verdict. 0: it is none, *ret stays; < 0: -EBADMSG. */
int nft_decode_verdict(const struct nlattr *nest, enum ruleset_verdict *ret, char *ret_chain,
		       size_t size);

/* Writes a rule's attributes after the nfgenmsg. 0 or -ENOMEM. */
int nft_rule_encode(struct nlmsghdr *h, const struct ruleset_change *c);
