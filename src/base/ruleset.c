/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/ruleset.h"

#include <assert.h>
#include <string.h>

static const char *const family_names[] = {
	[RULESET_IP6] = "ip6",
	[RULESET_BRIDGE] = "bridge",
};
DEFINE_STRTAB(ruleset_family, enum ruleset_family, _RULESET_FAMILY_MAX, family_names)

static const char *const verdict_names[] = {
	[RULESET_VERDICT_NONE] = "none", [RULESET_ACCEPT] = "accept", [RULESET_DROP] = "drop",
	[RULESET_RETURN] = "return",     [RULESET_JUMP] = "jump",     [RULESET_GOTO] = "goto",
};
DEFINE_STRTAB(ruleset_verdict, enum ruleset_verdict, _RULESET_VERDICT_MAX, verdict_names)

static const size_t field_sizes[] = {
	[RULESET_FIELD_NONE] = 0, [RULESET_IIFNAME] = 16, [RULESET_OIFNAME] = 16,
	[RULESET_SADDR] = 16,     [RULESET_DADDR] = 16,   [RULESET_L4PROTO] = 4,
	[RULESET_DPORT] = 4,      [RULESET_SADDR32] = 4,  [RULESET_ETHER_DADDR] = 8,
};
static_assert(sizeof(field_sizes) / sizeof(field_sizes[0]) == _RULESET_FIELD_MAX,
	      "every field has a size");

size_t ruleset_field_size(enum ruleset_field f)
{
	return (unsigned)f < _RULESET_FIELD_MAX ? field_sizes[f] : 0;
}

static size_t fields_size(const enum ruleset_field fields[static RULESET_FIELDS])
{
	size_t n = 0;

	if (fields[1] == RULESET_FIELD_NONE && fields[0] == RULESET_DPORT)
		return 2;
	if (fields[1] == RULESET_FIELD_NONE && fields[0] == RULESET_L4PROTO)
		return 1;
	if (fields[1] == RULESET_FIELD_NONE && fields[0] == RULESET_ETHER_DADDR)
		return 6;
	for (size_t i = 0; i < RULESET_FIELDS && fields[i] != RULESET_FIELD_NONE; i++)
		n += ruleset_field_size(fields[i]);
	return n;
}

size_t ruleset_key_size(const struct ruleset_set *s)
{
	return fields_size(s->key);
}

size_t ruleset_data_size(const struct ruleset_set *s)
{
	return fields_size(s->data);
}

static void table_done(struct ruleset_table *t)
{
	vec_foreach (s, &t->sets)
		vec_done(&s->elements);
	vec_foreach (c, &t->chains)
		vec_done(&c->rules);
	vec_done(&t->sets);
	vec_done(&t->chains);
	t->present = t->damaged = t->owned = false;
}

void ruleset_done(struct ruleset *r)
{
	for (size_t f = 0; f < _RULESET_FAMILY_MAX; f++)
		table_done(&r->tables[f]);
}

/* Copies the items of one vector into another that is still empty. */
#define vec_copy(from, to)                                                                \
	({                                                                                \
		typeof(from) from_ = (from);                                              \
		typeof(to) to_ = (to);                                                    \
		to_->items = from_->n ? calloc(from_->n, sizeof(*to_->items)) : NULL;     \
		to_->n = to_->n_allocated = to_->items ? from_->n : 0;                    \
		if (to_->items)                                                           \
			memcpy(to_->items, from_->items, from_->n * sizeof(*to_->items)); \
		to_->n == from_->n;                                                       \
	})

static bool copy_set(const struct ruleset_set *from, struct ruleset_set *to)
{
	*to = *from;
	memset(&to->elements, 0, sizeof(to->elements));
	return vec_copy(&from->elements, &to->elements);
}

static bool copy_chain(const struct ruleset_chain *from, struct ruleset_chain *to)
{
	*to = *from;
	memset(&to->rules, 0, sizeof(to->rules));
	return vec_copy(&from->rules, &to->rules);
}

static bool copy_table(const struct ruleset_table *from, struct ruleset_table *to)
{
	to->present = from->present;
	to->damaged = from->damaged;
	to->owned = from->owned;
	vec_foreach (s, &from->sets) {
		struct ruleset_set *copy = vec_add(&to->sets);

		if (!copy || !copy_set(s, copy))
			return false;
	}
	vec_foreach (c, &from->chains) {
		struct ruleset_chain *copy = vec_add(&to->chains);

		if (!copy || !copy_chain(c, copy))
			return false;
	}
	return true;
}

int ruleset_copy(const struct ruleset *r, struct ruleset *ret)
{
	struct ruleset copy = { 0 };

	for (size_t f = 0; f < _RULESET_FAMILY_MAX; f++)
		if (!copy_table(&r->tables[f], &copy.tables[f])) {
			ruleset_done(&copy);
			return -ENOMEM;
		}
	*ret = copy;
	return 0;
}

/* Sets and chains both begin with their name, so a bare name serves as the key of a search. */
static_assert(offsetof(struct ruleset_set, name) == 0, "sets sort by their first member");
static_assert(offsetof(struct ruleset_chain, name) == 0, "chains sort by their first member");

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

int ruleset_element_compare(const void *a, const void *b)
{
	const struct ruleset_element *x = a, *y = b;
	int r = memcmp(x->key, y->key, sizeof(x->key));

	return r ? r
		 : (x->prefix_length > y->prefix_length) - (x->prefix_length < y->prefix_length);
}

/* Equal keys: the first one stays. The same fact may well have two causes. */
static void drop_duplicates(struct ruleset_set *s)
{
	size_t kept = 0;

	vec_foreach (e, &s->elements)
		if (kept == 0 || ruleset_element_compare(&s->elements.items[kept - 1], e) != 0)
			s->elements.items[kept++] = *e;
	s->elements.n = kept;
}

void ruleset_finish(struct ruleset *r)
{
	for (enum ruleset_family f = 0; f < _RULESET_FAMILY_MAX; f++) {
		struct ruleset_table *t = &r->tables[f];

		vec_sort(&t->sets, compare_names);
		vec_sort(&t->chains, compare_names);
		vec_foreach (s, &t->sets) {
			vec_sort(&s->elements, ruleset_element_compare);
			drop_duplicates(s);
		}
		vec_foreach (c, &t->chains)
			vec_foreach (rule, &c->rules)
				if (rule->exprs[0].kind != RULESET_EXPR_NONE)
					rule->tag = ruleset_rule_hash(f, c->name, rule);
	}
}

/* A table under construction is not sorted yet: there a walk has the last word. */
struct ruleset_set *ruleset_find_set(const struct ruleset_table *t, const char *name)
{
	struct ruleset_set *found = vec_find(&t->sets, name, compare_names);

	if (found)
		return found;
	vec_foreach (s, &t->sets)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

struct ruleset_chain *ruleset_find_chain(const struct ruleset_table *t, const char *name)
{
	struct ruleset_chain *found = vec_find(&t->chains, name, compare_names);

	if (found)
		return found;
	vec_foreach (c, &t->chains)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

bool ruleset_element_same_value(const struct ruleset_element *a, const struct ruleset_element *b)
{
	return a->verdict == b->verdict && strcmp(a->chain, b->chain) == 0 &&
	       memcmp(a->data, b->data, sizeof(a->data)) == 0;
}

/* The kernel only keeps the types: it does not know a source from a destination address. */
static bool same_type(enum ruleset_field a, enum ruleset_field b)
{
	static const enum ruleset_field canonical[_RULESET_FIELD_MAX] = {
		[RULESET_IIFNAME] = RULESET_IIFNAME, [RULESET_OIFNAME] = RULESET_IIFNAME,
		[RULESET_SADDR] = RULESET_DADDR,     [RULESET_DADDR] = RULESET_DADDR,
		[RULESET_L4PROTO] = RULESET_L4PROTO, [RULESET_DPORT] = RULESET_DPORT,
		[RULESET_SADDR32] = RULESET_SADDR32, [RULESET_ETHER_DADDR] = RULESET_ETHER_DADDR,
	};

	return canonical[a] == canonical[b];
}

static bool same_types(const enum ruleset_field a[static RULESET_FIELDS],
		       const enum ruleset_field b[static RULESET_FIELDS])
{
	for (size_t i = 0; i < RULESET_FIELDS; i++)
		if (!same_type(a[i], b[i]))
			return false;
	return true;
}

bool ruleset_set_same_shape(const struct ruleset_set *a, const struct ruleset_set *b)
{
	return strcmp(a->name, b->name) == 0 && a->kind == b->kind && a->interval == b->interval &&
	       same_types(a->key, b->key) && same_types(a->data, b->data);
}

bool ruleset_chain_same_shape(const struct ruleset_chain *a, const struct ruleset_chain *b)
{
	if (strcmp(a->name, b->name) != 0 || a->base != b->base)
		return false;
	return !a->base || (a->nat == b->nat && a->hook == b->hook && a->priority == b->priority);
}

bool ruleset_chain_same_rules(const struct ruleset_chain *a, const struct ruleset_chain *b)
{
	if (a->rules.n != b->rules.n)
		return false;
	for (size_t i = 0; i < a->rules.n; i++)
		if (a->rules.items[i].tag == 0 || a->rules.items[i].tag != b->rules.items[i].tag)
			return false;
	return true;
}

/* FNV-1a: small, without a state to set up, and the same on every machine and in every version. */
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static void hash_bytes(uint64_t *hash, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++)
		*hash = (*hash ^ p[i]) * FNV_PRIME;
}

/* Little endian by hand, so that a tag does not depend on the machine. */
static void hash_number(uint64_t *hash, uint32_t value)
{
	for (unsigned shift = 0; shift < 32; shift += 8)
		hash_bytes(hash, &(uint8_t){ (uint8_t)(value >> shift) }, 1);
}

/* The terminating zero keeps "ab" + "c" apart from "a" + "bc". */
static void hash_string(uint64_t *hash, const char *s)
{
	hash_bytes(hash, s, strlen(s) + 1);
}

static void hash_expr(uint64_t *hash, const struct ruleset_expr *e)
{
	hash_number(hash, e->kind);
	hash_number(hash, e->invert);
	for (size_t i = 0; i < RULESET_FIELDS; i++)
		hash_number(hash, e->fields[i]);
	hash_string(hash, e->name);
	hash_bytes(hash, &e->prefix.address, sizeof(e->prefix.address));
	hash_number(hash, e->prefix.length);
	hash_number(hash, e->value);
	hash_number(hash, e->verdict);
}

uint64_t ruleset_rule_hash(enum ruleset_family family, const char *chain,
			   const struct ruleset_rule *rule)
{
	uint64_t hash = FNV_BASIS;

	hash_number(&hash, RULESET_LAYOUT);
	hash_string(&hash, ruleset_family_to_string(family));
	hash_string(&hash, chain);
	for (size_t i = 0; i < RULESET_EXPRS && rule->exprs[i].kind != RULESET_EXPR_NONE; i++)
		hash_expr(&hash, &rule->exprs[i]);
	return hash ? hash : 1; /* 0 marks a foreign rule */
}

static void put(uint8_t *key, size_t *offset, enum ruleset_field f, const void *data, size_t size)
{
	assert(*offset + ruleset_field_size(f) <= RULESET_KEY);
	memcpy(key + *offset, data, size);
	*offset += ruleset_field_size(f);
}

void ruleset_put_address(uint8_t *key, size_t *offset, const struct in6_addr *a)
{
	put(key, offset, RULESET_DADDR, a, sizeof(*a));
}

void ruleset_put_port(uint8_t *key, size_t *offset, uint16_t port)
{
	put(key, offset, RULESET_DPORT, &(uint16_t){ htons(port) }, sizeof(port));
}

void ruleset_put_protocol(uint8_t *key, size_t *offset, uint8_t protocol)
{
	put(key, offset, RULESET_L4PROTO, &protocol, sizeof(protocol));
}

void ruleset_put_mac(uint8_t *key, size_t *offset, const uint8_t mac[static 6])
{
	put(key, offset, RULESET_ETHER_DADDR, mac, 6);
}

void ruleset_put_name(uint8_t *key, size_t *offset, const char *name)
{
	/* The kernel compares all 16 bytes, the last of which is zero in every interface name. */
	put(key, offset, RULESET_IIFNAME, name,
	    strnlen(name, ruleset_field_size(RULESET_IIFNAME) - 1));
}
