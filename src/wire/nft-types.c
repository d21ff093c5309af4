/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/nft-internal.h"

#include <assert.h>
#include <linux/netfilter.h>

static const uint8_t field_types[] = {
	[RULESET_FIELD_NONE] = 0,  [RULESET_IIFNAME] = 41, /* ifname */
	[RULESET_OIFNAME] = 41,    [RULESET_SADDR] = 8,    /* ipv6_addr */
	[RULESET_DADDR] = 8,       [RULESET_L4PROTO] = 12, /* inet_proto */
	[RULESET_ETHER_DADDR] = 9,                         /* ether_addr */
	[RULESET_DPORT] = 13,                              /* inet_service */
	[RULESET_SADDR32] = 4,                             /* integer */
};
static_assert(sizeof(field_types) == _RULESET_FIELD_MAX, "every field has a type");

uint32_t nft_type_of_field(enum ruleset_field f)
{
	return (unsigned)f < _RULESET_FIELD_MAX ? field_types[f] : 0;
}

uint32_t nft_type_of_fields(const enum ruleset_field fields[static RULESET_FIELDS])
{
	uint32_t type = 0;

	for (size_t i = 0; i < RULESET_FIELDS && fields[i] != RULESET_FIELD_NONE; i++)
		type = type << NFT_TYPE_BITS | nft_type_of_field(fields[i]);
	return type;
}

static enum ruleset_field canonical_field(uint32_t type)
{
	static const enum ruleset_field canonical[] = { RULESET_DADDR,       RULESET_IIFNAME,
							RULESET_L4PROTO,     RULESET_DPORT,
							RULESET_ETHER_DADDR, RULESET_SADDR32 };

	for (size_t i = 0; i < sizeof(canonical) / sizeof(canonical[0]); i++)
		if (field_types[canonical[i]] == type)
			return canonical[i];
	return RULESET_FIELD_NONE;
}

bool nft_fields_of_type(uint32_t type, enum ruleset_field ret[static RULESET_FIELDS])
{
	enum ruleset_field fields[RULESET_FIELDS] = { RULESET_FIELD_NONE };
	size_t n = 0;

	for (uint32_t rest = type; rest; rest >>= NFT_TYPE_BITS)
		n++;
	if (n == 0 || n > RULESET_FIELDS)
		return false;
	for (size_t i = n; i-- > 0; type >>= NFT_TYPE_BITS) {
		fields[i] = canonical_field(type & ((1U << NFT_TYPE_BITS) - 1));
		if (fields[i] == RULESET_FIELD_NONE)
			return false;
	}
	memcpy(ret, fields, sizeof(fields));
	return true;
}

uint8_t nft_family(enum ruleset_family f)
{
	switch (f) {
	case RULESET_IP6:
		return NFPROTO_IPV6;
	case RULESET_BRIDGE:
		return NFPROTO_BRIDGE;
	case _RULESET_FAMILY_MAX:
		break;
	}
	return NFPROTO_UNSPEC;
}

static const int32_t verdict_codes[] = {
	[RULESET_VERDICT_NONE] = INT32_MIN, [RULESET_ACCEPT] = NF_ACCEPT, [RULESET_DROP] = NF_DROP,
	[RULESET_RETURN] = NFT_RETURN,      [RULESET_JUMP] = NFT_JUMP,    [RULESET_GOTO] = NFT_GOTO,
};
static_assert(sizeof(verdict_codes) / sizeof(verdict_codes[0]) == _RULESET_VERDICT_MAX,
	      "every verdict has a code");

int32_t nft_verdict_code(enum ruleset_verdict v)
{
	return verdict_codes[(unsigned)v < _RULESET_VERDICT_MAX ? v : RULESET_VERDICT_NONE];
}

enum ruleset_verdict nft_verdict_of_code(int32_t code)
{
	for (enum ruleset_verdict v = RULESET_ACCEPT; v < _RULESET_VERDICT_MAX; v++)
		if (verdict_codes[v] == code)
			return v;
	return RULESET_VERDICT_NONE;
}
