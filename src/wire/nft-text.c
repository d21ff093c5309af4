/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/nft-text.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>

struct value_name {
	uint32_t value;
	const char *name;
};

static const struct value_name ct_states[] = {
	{ NF_CT_STATE_INVALID_BIT, "invalid" },
	{ NF_CT_STATE_BIT(IP_CT_ESTABLISHED), "established" },
	{ NF_CT_STATE_BIT(IP_CT_RELATED), "related" },
	{ NF_CT_STATE_BIT(IP_CT_NEW), "new" },
	{ NF_CT_STATE_UNTRACKED_BIT, "untracked" },
};

static const struct value_name ct_statuses[] = {
	{ IPS_EXPECTED, "expected" }, { IPS_SEEN_REPLY, "seen-reply" },
	{ IPS_ASSURED, "assured" },   { IPS_CONFIRMED, "confirmed" },
	{ IPS_SRC_NAT, "snat" },      { IPS_DST_NAT, "dnat" },
	{ IPS_DYING, "dying" },
};

static const struct value_name icmpv6_types[] = {
	{ ICMP6_DST_UNREACH, "destination-unreachable" },
	{ ICMP6_PACKET_TOO_BIG, "packet-too-big" },
	{ ICMP6_TIME_EXCEEDED, "time-exceeded" },
	{ ICMP6_PARAM_PROB, "parameter-problem" },
	{ ICMP6_ECHO_REQUEST, "echo-request" },
	{ ICMP6_ECHO_REPLY, "echo-reply" },
	{ ND_ROUTER_SOLICIT, "nd-router-solicit" },
	{ ND_ROUTER_ADVERT, "nd-router-advert" },
	{ ND_NEIGHBOR_SOLICIT, "nd-neighbor-solicit" },
	{ ND_NEIGHBOR_ADVERT, "nd-neighbor-advert" },
	{ ND_REDIRECT, "nd-redirect" },
};

static const char *const hook_names[] = {
	[RULESET_HOOK_PREROUTING] = "prerouting",   [RULESET_HOOK_INPUT] = "input",
	[RULESET_HOOK_FORWARD] = "forward",         [RULESET_HOOK_OUTPUT] = "output",
	[RULESET_HOOK_POSTROUTING] = "postrouting",
};

/* How a field is called in a rule, and the data type it has in a set. */
static const struct {
	const char *selector;
	const char *type;
} field_names[] = {
	[RULESET_FIELD_NONE] = { "", "" },
	[RULESET_IIFNAME] = { "iifname", "ifname" },
	[RULESET_OIFNAME] = { "oifname", "ifname" },
	[RULESET_SADDR] = { "ip6 saddr", "ipv6_addr" },
	[RULESET_DADDR] = { "ip6 daddr", "ipv6_addr" },
	[RULESET_L4PROTO] = { "meta l4proto", "inet_proto" },
	[RULESET_DPORT] = { "th dport", "inet_service" },
	[RULESET_ETHER_DADDR] = { "ether daddr", "ether_addr" },
	[RULESET_SADDR32] = { "@nh,64,32", "@nh,64,32" },
};
static_assert(N_ELEMENTS(field_names) == _RULESET_FIELD_MAX, "every field has a name");

/*
 * nft has no way to write a quotation mark inside a quoted string; an interface of such a name is
 * shown with a question mark instead, which at worst matches nothing. The same for what a terminal
 * would act on. A last asterisk is escaped, as it would match every name of that beginning.
 */
static void put_ifname(FILE *f, const char *name, size_t size)
{
	size_t n = strnlen(name, size);

	fputc('"', f);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '*' && i == n - 1)
			fputc('\\', f);
		fputc(c == '"' || c < 0x20 || c == 0x7f ? '?' : c, f);
	}
	fputc('"', f);
}

static void put_address(FILE *f, const void *bytes)
{
	char text[INET_ADDR_TEXT];
	struct in6_addr a;

	memcpy(&a, bytes, sizeof(a));
	fputs(inet_format(&a, text), f);
}

/* A prefix of full length is written as the address alone, as nft itself does. */
static void put_prefix(FILE *f, const void *bytes, uint8_t length)
{
	put_address(f, bytes);
	if (length < 128)
		fprintf(f, "/%u", length);
}

static void put_field(FILE *f, enum ruleset_field field, const uint8_t *bytes)
{
	const char *protocol;

	switch (field) {
	case RULESET_IIFNAME:
	case RULESET_OIFNAME:
		put_ifname(f, (const char *)bytes, ruleset_field_size(field));
		break;
	case RULESET_SADDR:
	case RULESET_DADDR:
		put_address(f, bytes);
		break;
	case RULESET_L4PROTO:
		protocol = inet_protocol_name(bytes[0]);
		if (protocol)
			fputs(protocol, f);
		else
			fprintf(f, "%u", bytes[0]);
		break;
	case RULESET_DPORT:
		fprintf(f, "%u", (unsigned)bytes[0] << 8 | bytes[1]);
		break;
	case RULESET_ETHER_DADDR:
		for (unsigned i = 0; i < 6; i++)
			fprintf(f, "%s%02x", i ? ":" : "", bytes[i]);
		break;
	case RULESET_SADDR32:
		fprintf(f, "0x%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
		break;
	case RULESET_FIELD_NONE:
	case _RULESET_FIELD_MAX:
		break;
	}
}

static bool more_fields(const enum ruleset_field *fields, size_t i)
{
	return i < RULESET_FIELDS && fields[i] != RULESET_FIELD_NONE;
}

static void put_values(FILE *f, const enum ruleset_field *fields, const uint8_t *bytes)
{
	for (size_t i = 0; more_fields(fields, i); i++) {
		fputs(i ? " . " : "", f);
		put_field(f, fields[i], bytes);
		bytes += ruleset_field_size(fields[i]);
	}
}

static void put_types(FILE *f, const enum ruleset_field *fields)
{
	for (size_t i = 0; more_fields(fields, i); i++)
		fprintf(f, "%s%s", i ? " . " : "", field_names[fields[i]].type);
}

static void put_selectors(FILE *f, const enum ruleset_field *fields)
{
	for (size_t i = 0; more_fields(fields, i); i++)
		fprintf(f, "%s%s", i ? " . " : "", field_names[fields[i]].selector);
}

static void put_verdict(FILE *f, enum ruleset_verdict verdict, const char *chain)
{
	fputs(ruleset_verdict_to_string(verdict), f);
	if (verdict == RULESET_JUMP || verdict == RULESET_GOTO)
		fprintf(f, " %s", chain);
}

static void put_element(FILE *f, const struct ruleset_set *s, const struct ruleset_element *e)
{
	if (s->interval)
		put_prefix(f, e->key, e->prefix_length);
	else
		put_values(f, s->key, e->key);

	switch (s->kind) {
	case RULESET_SET:
		break;
	case RULESET_MAP:
		fputs(" : ", f);
		put_values(f, s->data, e->data);
		break;
	case RULESET_VERDICT_MAP:
		fputs(" : ", f);
		put_verdict(f, e->verdict, e->chain);
		break;
	}
}

static void put_set(FILE *f, const struct ruleset_set *s)
{
	fprintf(f, "\t%s %s {\n\t\t%s ", s->kind == RULESET_SET ? "set" : "map", s->name,
		s->key[0] == RULESET_SADDR32 ? "typeof" : "type");
	put_types(f, s->key);
	if (s->kind == RULESET_MAP) {
		fputs(" : ", f);
		put_types(f, s->data);
	}
	if (s->kind == RULESET_VERDICT_MAP)
		fputs(" : verdict", f);
	fputc('\n', f);
	if (s->size > 0)
		fprintf(f, "\t\tsize %u\n", s->size);
	if (s->interval)
		fputs("\t\tflags interval\n", f);
	if (s->counter)
		fputs("\t\tcounter\n", f);
	if (s->elements.n > 0) {
		fputs("\t\telements = {", f);
		vec_foreach (e, &s->elements) {
			fputs(e == s->elements.items ? "\n\t\t\t" : ",\n\t\t\t", f);
			put_element(f, s, e);
		}
		fputs("\n\t\t}\n", f);
	}
	fputs("\t}\n", f);
}

/* "x & mask != 0"; "!" is "x & mask == 0", while "!=" would compare all bits of x. */
static void put_flags(FILE *f, const struct ruleset_expr *e, const char *selector,
		      const struct value_name *names, size_t n_names)
{
	uint32_t rest = e->value;
	const char *separator = "";

	fprintf(f, "%s %s", selector, e->invert ? "! " : "");
	for (size_t i = 0; i < n_names; i++)
		if (rest & names[i].value) {
			fprintf(f, "%s%s", separator, names[i].name);
			separator = ",";
			rest &= ~names[i].value;
		}
	if (rest)
		fprintf(f, "%s0x%" PRIx32, separator, rest);
}

static void put_icmpv6_type(FILE *f, const struct ruleset_expr *e)
{
	fprintf(f, "icmpv6 type %s", e->invert ? "!= " : "");
	for (size_t i = 0; i < N_ELEMENTS(icmpv6_types); i++)
		if (icmpv6_types[i].value == e->value) {
			fputs(icmpv6_types[i].name, f);
			return;
		}
	fprintf(f, "%" PRIu32, e->value);
}

static void put_match_name(FILE *f, const struct ruleset_expr *e)
{
	fprintf(f, "%s %s", field_names[e->fields[0]].selector, e->invert ? "!= " : "");
	put_ifname(f, e->name, sizeof(e->name));
}

static void put_match_set(FILE *f, const struct ruleset_expr *e)
{
	put_selectors(f, e->fields);
	fprintf(f, " %s@%s", e->invert ? "!= " : "", e->name);
}

static void put_match_prefix(FILE *f, const struct ruleset_expr *e)
{
	fprintf(f, "%s %s", field_names[e->fields[0]].selector, e->invert ? "!= " : "");
	put_prefix(f, &e->prefix.address, e->prefix.length);
}

static void put_match_fib_local(FILE *f, const struct ruleset_expr *e)
{
	fprintf(f, "fib %s type %slocal", e->fields[0] == RULESET_SADDR ? "saddr" : "daddr",
		e->invert ? "!= " : "");
}

static void put_lookup_verdict(FILE *f, const struct ruleset_expr *e)
{
	put_selectors(f, e->fields);
	fprintf(f, " vmap @%s", e->name);
}

static void put_dnat(FILE *f, const struct ruleset_expr *e)
{
	fputs("dnat ip6 to ", f);
	put_selectors(f, e->fields);
	fprintf(f, " map @%s", e->name);
}

static void put_expr(FILE *f, const struct ruleset_expr *e)
{
	switch (e->kind) {
	case RULESET_MATCH_NAME:
		put_match_name(f, e);
		break;
	case RULESET_MATCH_SET:
		put_match_set(f, e);
		break;
	case RULESET_MATCH_PREFIX:
		put_match_prefix(f, e);
		break;
	case RULESET_MATCH_CT_STATE:
		put_flags(f, e, "ct state", ct_states, N_ELEMENTS(ct_states));
		break;
	case RULESET_MATCH_CT_STATUS:
		put_flags(f, e, "ct status", ct_statuses, N_ELEMENTS(ct_statuses));
		break;
	case RULESET_MATCH_FIB_LOCAL:
		put_match_fib_local(f, e);
		break;
	case RULESET_MATCH_ICMPV6_TYPE:
		put_icmpv6_type(f, e);
		break;
	case RULESET_MATCH_ETHER_IP6:
		fprintf(f, "meta protocol %sip6", e->invert ? "!= " : "");
		break;
	case RULESET_MATCH_MULTICAST:
		fprintf(f, "meta pkttype %smulticast", e->invert ? "!= " : "");
		break;
	case RULESET_LOOKUP_VERDICT:
		put_lookup_verdict(f, e);
		break;
	case RULESET_DNAT:
		put_dnat(f, e);
		break;
	case RULESET_SNAT:
		fputs("snat ip6 to ", f);
		put_address(f, &e->prefix.address);
		break;
	case RULESET_MASQUERADE:
		fputs("masquerade", f);
		break;
	case RULESET_VERDICT:
		put_verdict(f, e->verdict, e->name);
		break;
	case RULESET_EXPR_NONE:
	case _RULESET_EXPR_MAX:
		break;
	}
}

/* The tag is a real comment of the rule: what was loaded from this text is recognised as ours. */
static void put_rule(FILE *f, const struct ruleset_rule *rule)
{
	fputs(rule->exprs[0].kind == RULESET_EXPR_NONE ? "\t\t#" : "\t\t", f);
	for (size_t i = 0; i < RULESET_EXPRS && rule->exprs[i].kind != RULESET_EXPR_NONE; i++) {
		fputs(i ? " " : "", f);
		put_expr(f, &rule->exprs[i]);
	}
	fprintf(f, " comment \"ipv6nat:%016" PRIx64 "\"\n", rule->tag);
}

/* Priorities as numbers: nft 1.0.6 refuses "dstnat" on the output hook. */
static void put_chain(FILE *f, const struct ruleset_chain *c)
{
	fprintf(f, "\tchain %s {\n", c->name);
	if (c->base)
		fprintf(f, "\t\ttype %s hook %s priority %d; policy accept;\n",
			c->nat ? "nat" : "filter", hook_names[c->hook], c->priority);
	vec_foreach (rule, &c->rules)
		put_rule(f, rule);
	fputs("\t}\n", f);
}

static void put_table(FILE *f, const char *family, const struct ruleset_table *t)
{
	fprintf(f, "table %s " RULESET_TABLE "\n", family);
	fprintf(f, "delete table %s " RULESET_TABLE "\n", family);
	fprintf(f, "table %s " RULESET_TABLE " {\n", family);
	vec_foreach (s, &t->sets) {
		put_set(f, s);
		fputc('\n', f);
	}
	vec_foreach (c, &t->chains) {
		put_chain(f, c);
		fputs(c + 1 < t->chains.items + t->chains.n ? "\n" : "", f);
	}
	fputs("}\n", f);
}

int nft_text_encode(const struct ruleset *r, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	bool failed;

	if (!f)
		return -ENOMEM;
	for (enum ruleset_family family = 0; family < _RULESET_FAMILY_MAX; family++)
		if (r->tables[family].present)
			put_table(f, ruleset_family_to_string(family), &r->tables[family]);
	failed = ferror(f);
	if (fclose(f) != 0 || failed)
		return -ENOMEM;
	*ret = steal_ptr(&text);
	return 0;
}

void nft_text_element(const struct ruleset_set *s, const struct ruleset_element *e, char *ret,
		      size_t size)
{
	FILE *f = fmemopen(ret, size, "w");

	ret[0] = '\0';
	if (!f)
		return;
	put_element(f, s, e);
	(void)fclose(f); /* fails when the text is cut */
	ret[size - 1] = '\0';
}
