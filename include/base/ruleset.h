/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * A ruleset as data: what model/plan wants, what io/fw has seen, what wire/nft-* render as text
 * and as netlink. Everything is sorted by name (elements by key), so that two rulesets are
 * compared by one walk. Keys and data are kept as the kernel's bytes: concatenated fields, each
 * padded with zeroes to four bytes (a non-zero pad byte is a different key to the kernel).
 */
#include "base/inet.h"
#include "base/strtab.h"
#include "base/vec.h"

#define RULESET_TABLE "ipv6nat"
#define RULESET_LAYOUT 1 /* raised whenever rules or sets of an older version would not do */

#define RULESET_NAME 32 /* sets, chains, interfaces; with the terminating zero */
#define RULESET_KEY 32
#define RULESET_DATA 20

enum ruleset_family {
	RULESET_IP6,
	RULESET_BRIDGE,
	_RULESET_FAMILY_MAX,
};
DECLARE_STRTAB(ruleset_family, enum ruleset_family);

/* A field of a packet or of its path: part of a key, or of data. */
enum ruleset_field {
	RULESET_FIELD_NONE,
	RULESET_IIFNAME,     /* 16 bytes */
	RULESET_OIFNAME,     /* 16 bytes */
	RULESET_SADDR,       /* 16 bytes */
	RULESET_DADDR,       /* 16 bytes */
	RULESET_L4PROTO,     /* 1 byte, padded to 4 */
	RULESET_DPORT,       /* 2 bytes big endian, padded to 4 */
	RULESET_SADDR32,     /* the first 4 bytes of the source: loaded and looked up fastest */
	RULESET_ETHER_DADDR, /* 6 bytes, padded to 8; bridge family */
	_RULESET_FIELD_MAX,
};
#define RULESET_FIELDS 3
/* Bytes of the field inside a concatenation. */
size_t ruleset_field_size(enum ruleset_field f);

enum ruleset_verdict {
	RULESET_VERDICT_NONE,
	RULESET_ACCEPT,
	RULESET_DROP,
	RULESET_RETURN,
	RULESET_JUMP,
	RULESET_GOTO,
	_RULESET_VERDICT_MAX,
};
DECLARE_STRTAB(ruleset_verdict, enum ruleset_verdict);

enum ruleset_set_kind {
	RULESET_SET,         /* membership */
	RULESET_MAP,         /* to data: address, or address . port */
	RULESET_VERDICT_MAP, /* to a verdict */
};

struct ruleset_element {
	uint8_t key[RULESET_KEY];
	uint8_t data[RULESET_DATA];   /* RULESET_MAP */
	uint8_t prefix_length;        /* interval sets: leading bits of the key that count */
	enum ruleset_verdict verdict; /* RULESET_VERDICT_MAP */
	char chain[RULESET_NAME];     /* its target for jump and goto */
	uint64_t packets;             /* observed counter: connections, in a nat chain */
};

struct ruleset_set {
	char name[RULESET_NAME];
	enum ruleset_set_kind kind;
	enum ruleset_field key[RULESET_FIELDS];  /* ends at RULESET_FIELD_NONE */
	enum ruleset_field data[RULESET_FIELDS]; /* RULESET_MAP */
	bool interval; /* one field, elements are prefixes that do not overlap */
	bool counter;  /* each element counts (kernel >= 5.7; older ones ignore it) */
	uint32_t size; /* most elements it may have; 0: any number. A bound allows a faster set */
	VEC(struct ruleset_element) elements; /* sorted by key, then prefix_length */
};
/* Only a concatenation is padded. */
size_t ruleset_key_size(const struct ruleset_set *s);
size_t ruleset_data_size(const struct ruleset_set *s);

enum ruleset_expr_kind {
	RULESET_EXPR_NONE,
	RULESET_MATCH_NAME,        /* field (IIFNAME, OIFNAME) == name */
	RULESET_MATCH_SET,         /* fields in set "name" */
	RULESET_MATCH_PREFIX,      /* field (SADDR, DADDR) in prefix */
	RULESET_MATCH_CT_STATE,    /* any bit of value: NF_CT_STATE_BIT() */
	RULESET_MATCH_CT_STATUS,   /* any bit of value: IPS_x */
	RULESET_MATCH_FIB_LOCAL,   /* field (SADDR, DADDR) is an address of this host */
	RULESET_MATCH_ICMPV6_TYPE, /* l4proto icmpv6 and its type == value */
	RULESET_MATCH_ETHER_IP6,   /* bridge family: meta protocol ip6 */
	RULESET_LOOKUP_VERDICT,    /* fields vmap "name" */
	RULESET_DNAT,              /* dnat to fields map "name" (address . port) */
	RULESET_SNAT,              /* snat to prefix.address */
	RULESET_MASQUERADE,
	RULESET_VERDICT,         /* verdict, chain in name for jump and goto */
	RULESET_MATCH_MULTICAST, /* bridge family: the frame was sent to a group */
	_RULESET_EXPR_MAX,
};

struct ruleset_expr {
	enum ruleset_expr_kind kind;
	bool invert; /* matches only */
	enum ruleset_field fields[RULESET_FIELDS];
	char name[RULESET_NAME];
	struct inet_prefix prefix;
	uint32_t value;
	enum ruleset_verdict verdict;
};

#define RULESET_EXPRS 6
struct ruleset_rule {
	struct ruleset_expr exprs[RULESET_EXPRS]; /* ends at RULESET_EXPR_NONE */
	/* Hash over layout version, chain and meaning; kept in the rule's comment ("ipv6nat:%016x"),
	 * so that an observed rule is recognised without decoding its bytecode. 0: foreign rule. */
	uint64_t tag;
};

enum ruleset_hook { /* values of enum nf_inet_hooks, and of the bridge family's */
	RULESET_HOOK_PREROUTING = 0,
	RULESET_HOOK_INPUT = 1,
	RULESET_HOOK_FORWARD = 2,
	RULESET_HOOK_OUTPUT = 3,
	RULESET_HOOK_POSTROUTING = 4,
};

struct ruleset_chain {
	char name[RULESET_NAME];
	bool base;
	bool nat; /* type nat, else filter */
	enum ruleset_hook hook;
	int priority;
	VEC(struct ruleset_rule) rules; /* in order */
};

struct ruleset_table {
	bool present;
	bool damaged;                     /* observed: holds objects or flags that we never make */
	bool owned;                       /* observed: another process lets nobody else change it */
	VEC(struct ruleset_set) sets;     /* sorted by name */
	VEC(struct ruleset_chain) chains; /* sorted by name */
};

struct ruleset {
	struct ruleset_table tables[_RULESET_FAMILY_MAX];
};

void ruleset_done(struct ruleset *r);
/* Deep copy, or move by assignment. 0 or -ENOMEM. */
int ruleset_copy(const struct ruleset *r, struct ruleset *ret);
/* Sorts sets, chains and elements and sets the tags. Call once after building, or after decoding:
 * an observed rule is known by its tag alone (no expressions) and keeps it. */
void ruleset_finish(struct ruleset *r);

struct ruleset_set *ruleset_find_set(const struct ruleset_table *t, const char *name);
struct ruleset_chain *ruleset_find_chain(const struct ruleset_table *t, const char *name);

int ruleset_element_compare(const void *a, const void *b); /* key, then prefix_length */
/* Same key: is the mapped value (data or verdict) the same? Counters do not matter. */
bool ruleset_element_same_value(const struct ruleset_element *a, const struct ruleset_element *b);
/* All properties but the elements, and but the counter: kernels before 5.7 drop it silently, and a
 * table must not be replaced again and again for that (who changes it raises RULESET_LAYOUT). */
bool ruleset_set_same_shape(const struct ruleset_set *a, const struct ruleset_set *b);
/* Type, hook and priority: what the kernel cannot change in place. */
bool ruleset_chain_same_shape(const struct ruleset_chain *a, const struct ruleset_chain *b);
bool ruleset_chain_same_rules(const struct ruleset_chain *a, const struct ruleset_chain *b);
uint64_t ruleset_rule_hash(enum ruleset_family family, const char *chain,
			   const struct ruleset_rule *rule);

/* Key builders: append a field to a zeroed key at *offset, which moves on by the padded size. */
void ruleset_put_address(uint8_t *key, size_t *offset, const struct in6_addr *a);
void ruleset_put_port(uint8_t *key, size_t *offset, uint16_t port);
void ruleset_put_protocol(uint8_t *key, size_t *offset, uint8_t protocol);
void ruleset_put_mac(uint8_t *key, size_t *offset, const uint8_t mac[static 6]);
void ruleset_put_name(uint8_t *key, size_t *offset, const char *name);
